"""What a test says of a run (`Tokens`, `ToolUse`, `Subagent`, ...) and what is then true of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, Literal

from cronalytics_otel.model import CostStatus, Mode, Outcome, SkipReason, Trigger, Usage

Row = dict[str, Any]
Situation = Literal[
    "success", "silent", "turn_limit", "failure", "empty", "timeout", "interrupted", "abandoned"
]
"""What happened to an agent's run, in words of the host rather than of a trace."""


class Stage(IntEnum):
    """The host's writes of one run, in its order."""

    CLAIMED = 1
    RUNNING = 2
    SESSION = 3
    WORKED = 4
    """Messages, tokens, subagents: what is there when `on_session_end` fires."""
    ENDED = 5
    """Title, `ended_at`, `end_reason`."""
    OUTPUT = 6
    MARKED = 7
    """jobs.json."""
    FINISHED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """As the host counts: `input` leaves out what came from or went to a cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    @property
    def usage(self) -> Usage:
        return Usage(
            input_tokens=self.input + self.cache_read + self.cache_write,
            output_tokens=self.output,
            cache_read_tokens=self.cache_read,
            cache_write_tokens=self.cache_write,
            reasoning_tokens=self.reasoning,
        )

    @property
    def columns(self) -> Row:
        return {f"{f.name}_tokens": getattr(self, f.name) for f in fields(self)}


ONE_CALL = Tokens(input=800, output=50, cache_read=200, reasoning=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    name: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"command": "echo hello"})
    result: str = '{"output": "hello", "exit_code": 0, "error": null}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Auxiliary:
    """A call beside the main loop (compression, vision): only in `session_model_usage`.

    The host gives such a row no cost status; a price that it does not know is a 0.
    """

    task: str = "compression"
    model: str = "small-model"
    provider: str = "custom"
    tokens: Tokens = field(default_factory=lambda: Tokens(input=90, output=10))
    cost: float | None = None
    calls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Subagent:
    goal: str = "Subtask: say hi"
    tokens: Tokens | None = ONE_CALL
    cost: float | None = None
    cost_status: str | None = None
    model: str = "fake-model"
    tools: Sequence[str | ToolUse] = ()
    subagents: Sequence[Subagent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a session and everything that it started used."""

    tokens: Tokens | None
    costs: tuple[tuple[str, float | None], ...]
    """The host's cost status and the cost of each part."""
    api_calls: int
    tool_calls: int
    sessions: int


def sum_costs(parts: Sequence[tuple[str, float | None]]) -> tuple[float | None, CostStatus | None]:
    """Of (host's cost status, cost): an unknown part makes the sum a lower bound."""
    known = [(status, cost or 0.0) for status, cost in parts if status != "unknown"]
    if not known:
        return None, CostStatus.UNKNOWN if parts else None
    total = sum(cost for _, cost in known)
    if len(known) < len(parts):
        return total, CostStatus.PARTIAL
    statuses = {status for status, _ in known}
    return total, CostStatus(statuses.pop()) if len(statuses) == 1 else CostStatus.ESTIMATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a `Run` must say of this run; the names are those of `model.Run`."""

    job_id: str
    job_name: str
    mode: Mode
    outcome: Outcome
    started_ns: int
    ended_ns: int
    execution_id: str | None
    session_id: str | None
    trigger: Trigger | None
    claimed_ns: int | None
    error_message: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Usage | None = None
    """With subagents and auxiliary calls, as is `cost_usd`."""
    cost_usd: float | None = None
    cost_status: CostStatus | None = None
    api_calls: int | None = None
    tool_calls: int | None = None
    subagents: int | None = None
    silent: bool | None = None
    delivery_error: str | None = None
    script_exit_code: int | None = None
    skip_reason: SkipReason | None = None

    def differences(
        self, run: object, *, ignore: Sequence[str] = ()
    ) -> dict[str, tuple[object, object]]:
        """Field to (expected, found), of those that differ.

        1 us (the host's own precision) and 1e-9 USD (the order of a sum) count as equal.
        """
        slack = {"started_ns": 1000, "ended_ns": 1000, "claimed_ns": 1000, "cost_usd": 1e-9}
        found: dict[str, tuple[object, object]] = {}
        for name in (f.name for f in fields(self) if f.name not in ignore):
            mine, theirs = getattr(self, name), getattr(run, name)
            close = (
                name in slack and None not in (mine, theirs) and abs(mine - theirs) <= slack[name]
            )
            if mine != theirs and not close:
                found[name] = (mine, theirs)
        return found
