"""What hooks observed of the calls of a run while it was running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """A call of a model that was answered, as a hook saw it."""

    started_ns: int
    ended_ns: int
    model: str | None = None
    provider: str | None = None
    server_address: str | None = None
    """The host of the provider's base URL."""
    response_model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiError:
    """A call of a model that failed, as a hook saw it."""

    started_ns: int
    ended_ns: int
    model: str | None = None
    provider: str | None = None
    server_address: str | None = None
    """The host of the provider's base URL."""
    status_code: int | None = None
    """The HTTP status."""
    attempt: int | None = None
    """How many attempts had failed before this one."""
    max_attempts: int | None = None
    retryable: bool | None = None
    reason: str | None = None
    """The host's class of the error: `auth`, `server_error`, …"""
    exception_type: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The decision on a tool call that needed somebody's consent."""

    at_ns: int
    choice: str | None = None
    """The host's word: `once`, `deny`, `timeout`, `smart_approve`, …; None when nobody answered."""
    surface: str | None = None
    """Who was asked: `cli`, `gateway`, `smart` (a model)."""
    waited_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """A tool call that ended, as a hook saw it."""

    call_id: str
    name: str
    started_ns: int
    ended_ns: int
    failed: bool
    error_type: str | None = None
    message: str | None = None
    approval: Approval | None = None


Observation: TypeAlias = ModelCall | ApiError | ToolResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What hooks saw of one session, in the order in which it was seen: clocks may go back."""

    attempts: tuple[ModelCall | ApiError, ...] = ()
    tools: tuple[ToolResult, ...] = ()

    def before(self, at_ns: int) -> Observations:
        """Return what began before a time."""
        return Observations(
            attempts=tuple(each for each in self.attempts if each.started_ns < at_ns),
            tools=tuple(each for each in self.tools if each.started_ns < at_ns),
        )

    @property
    def calls(self) -> tuple[ModelCall, ...]:
        return tuple(attempt for attempt in self.attempts if isinstance(attempt, ModelCall))
