"""What the host's files say of a run, one record for each kind of row or file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from .run import OUTPUT_ID, DeliveryOutcome
from .times import wall_clock_ns
from .usage import CostStatus, Usage

TERMINAL = frozenset({"completed", "failed", "unknown"})
OPEN = frozenset({"claimed", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One row of the ledger. `started_ns` is None when the run never began."""

    execution_id: str
    job_id: str
    source: str
    """`builtin` (scheduler), `direct` (`hermes cron run`), or a scheduler provider's name."""
    status: str
    claimed_ns: int
    started_ns: int | None
    finished_ns: int | None
    error: str | None
    pid: int | None
    process_started_at: int | None
    delivery_outcome: DeliveryOutcome | None
    """Newer hosts only."""
    scheduled_ns: int | None
    """Newer hosts only (`scheduled_instant`)."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def known_open(self) -> bool:
        """Claimed or running. A status that we do not know waits for one that we do."""
        return self.status in OPEN

    @property
    def began_ns(self) -> int:
        return self.started_ns if self.started_ns is not None else self.claimed_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What one session, or one auxiliary use of a model, took.

    `cost_usd` is None where the host knows no price; `cost_status` None where it made no call.
    """

    model: str | None
    provider: str | None
    usage: Usage
    api_calls: int | None
    """None on hosts that do not count them."""
    cost_usd: float | None
    cost_status: CostStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastMessage:
    """The newest message of a session: whether it answered, and with what."""

    role: str
    timestamp_ns: int | None
    head: str
    tail: str
    is_final: bool = False
    """The model came to its end with it, and called for nothing more."""
    has_marker: bool = False
    """`[SILENT]`, in any case, stands somewhere in it: perhaps beyond what is read of it here. Only
    asked where that decides (before 0.18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    session_id: str
    job_id: str | None
    """From the id; None for a subagent's or a chat's session."""
    parent_id: str | None
    is_subagent: bool
    """False for the continuation of a session whose history was compressed."""
    source: str | None
    started_ns: int
    ended_ns: int | None
    title: str | None
    tool_calls: int | None
    """None on hosts that do not count them."""
    spending: ModelUsage
    last_message: LastMessage | None = None
    compressed: bool = False
    """It ended because its history was compressed: another session goes on with it."""
    wall_clock: str | None = None
    """`YYYYMMDDHHMMSS` from the session's id: the home's wall clock when the agent was called. None
    where the id has none."""

    def called_ns(self, zone: tzinfo) -> tuple[int, ...]:
        """When the agent was called, in whole seconds; two times in the hour that autumn repeats."""
        if self.wall_clock is None:
            return ()
        return wall_clock_ns(self.wall_clock, "%Y%m%d%H%M%S", zone)


class Ending(StrEnum):
    """What the file says of the run; the host's own texts stand beside each."""

    ANSWERED = "answered"
    """`## Response`, or a script's output."""
    EMPTY = "empty"
    """`## Response`, and the host's words for a model that said nothing."""
    FAILED = "failed"
    """`(FAILED)` in the title and `## Error` at the end, `script failed` or `BLOCKED` as status."""
    GATED = "gated"
    """`Script gate returned wakeAgent=false`."""
    NOTHING = "nothing"
    """An empty file: the script before the agent had no data for it, and it was not woken."""
    SILENT = "silent"
    """A script with nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    ending: Ending
    name: str | None
    schedule: str | None
    is_script: bool
    error: str | None
    printed: tuple[str, str] = ("", "")
    """How it begins and how it ends, what a script has given to be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """An output file, and when it was saved (whole seconds)."""

    job_id: str
    name: str
    saved_ns: int

    @property
    def run_id(self) -> str:
        """The same wherever it is read: `output_<job id>_<YYYYMMDD>_<HHMMSS>`."""
        stamp = self.name.removesuffix(".md").replace("-", "")
        return f"{OUTPUT_ID}{self.job_id}_{stamp}"


@dataclass(frozen=True, slots=True)
class FedOutput:
    """An output of another job in a prompt; `saved` is its `Run Time`, the home's wall clock."""

    job_id: str
    saved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is known of a run from its prompt.

    With a skill missing or its script failed, the agent began without what its job names; the host
    counts the run as completed all the same.
    """

    missing_skills: str | None = None
    """Names of those that were not found."""
    script_ran: bool = False
    """A script was to run before the agent, and did, or failed."""
    script_error: str | None = None
    """What the host says of the script that failed."""
    fed: tuple[FedOutput, ...] = ()
