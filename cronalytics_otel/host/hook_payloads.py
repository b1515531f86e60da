"""What the host's hooks say of a call: their arguments (`telemetry_schema_version`
`hermes.observer.v1`), read once, into records."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import ApiError, Approval, ModelCall, Observation, ToolResult, Usage
from ..model.times import epoch_to_ns
from .values import MAX_COUNT, text, usage

TEXT_CHARS = 4_000
"""Of any text that a hook told."""


def read(hook: str, time_s: float, told: Mapping[str, object]) -> Observation | None:
    """The record of one hook's arguments; None when they make no sense."""
    at_ns = epoch_to_ns(time_s)
    if at_ns is None:
        return None
    if hook == "post_tool_call":
        return _tool_run(at_ns, told)
    ended_ns = epoch_to_ns(told.get("ended_at")) or at_ns
    started_ns = epoch_to_ns(told.get("started_at"))
    if started_ns is None:  # before 0.16
        started_ns = ended_ns - (_duration_ns(told.get("api_duration")) or 0)
    started_ns = min(started_ns, ended_ns)
    if hook == "post_api_request":
        return ModelCall(
            started_ns=started_ns,
            ended_ns=ended_ns,
            model=_text(told.get("model")),
            provider=_text(told.get("provider")),
            response_model=_text(told.get("response_model")),
            finish_reason=_text(told.get("finish_reason")),
            usage=_usage(told.get("usage")),
        )
    return ApiError(
        started_ns=started_ns,
        ended_ns=ended_ns,
        model=_text(told.get("model")),
        provider=_text(told.get("provider")),
        status_code=_count(told.get("status_code")),
        attempt=_count(told.get("retry_count")),
        max_attempts=_count(told.get("max_retries")),
        retryable=_flag(told.get("retryable")),
        reason=_text(told.get("reason")),
        exception_type=_text(told.get("exception_type")),
        message=_text(told.get("message")),
    )


def _tool_run(at_ns: int, told: Mapping[str, object]) -> ToolResult | None:
    call_id = _text(told.get("tool_call_id"))
    if call_id is None:
        return None
    status = told.get("status")
    return ToolResult(
        call_id=call_id,
        name=_text(told.get("tool_name")) or "unknown",
        started_ns=max(0, at_ns - (_count(told.get("duration_ms")) or 0) * 1_000_000),
        ended_ns=at_ns,
        # Without a status (older hosts) an error is told by its text alone.
        failed=status not in (None, "ok") or bool(told.get("error_type")),
        error_type=_text(told.get("error_type")),
        message=_text(told.get("error_message")),
        approval=_approval(told.get("approval")),
    )


def _approval(told: object) -> Approval | None:
    if not isinstance(told, Mapping):
        return None
    asked_ns = epoch_to_ns(told.get("asked_s"))
    answered_ns = epoch_to_ns(told.get("answered_s"))
    if asked_ns is None:
        return None
    return Approval(
        at_ns=answered_ns or asked_ns,
        choice=_text(told.get("choice")),
        surface=_text(told.get("surface")),
        waited_s=None if answered_ns is None else max(0, answered_ns - asked_ns) / 1e9,
    )


def _usage(told: object) -> Usage | None:
    if not isinstance(told, Mapping):
        return None
    count = {name: _count(value) or 0 for name, value in told.items() if isinstance(name, str)}
    return usage(
        fresh=count.get("input_tokens", 0),
        output=count.get("output_tokens", 0),
        cache_read=count.get("cache_read_tokens", 0),
        cache_write=count.get("cache_write_tokens", 0),
        reasoning=count.get("reasoning_tokens", 0),
    )


def _text(value: object) -> str | None:
    whole = text(value)
    return whole and whole[:TEXT_CHARS]


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= MAX_COUNT else None


def _duration_ns(value: object) -> int | None:
    seconds = epoch_to_ns(value)
    return seconds if seconds is not None and seconds >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
