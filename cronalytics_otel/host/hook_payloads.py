"""The arguments of the host's hooks (`telemetry_schema_version` `hermes.observer.v1`), as records."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import ApiError, Approval, ModelCall, Observation, ToolResult, Usage
from ..model.times import epoch_to_ns
from .values import MAX_COUNT, server_address, text, usage

TEXT_CHARS = 4_000
"""Characters of any text in an observation; the rest is cut off."""


def read(hook: str, at_ns: int, arguments: Mapping[str, object]) -> Observation | None:
    """Return the record of one hook call at `at_ns`; None when its arguments make no sense.

    `arguments` are those of `hooks.OBSERVED_ARGUMENTS`; any value may be missing or of another type.
    """
    if hook == "post_tool_call":
        return _tool_result(at_ns, arguments)
    started_ns, ended_ns = _call_times(at_ns, arguments)
    if hook == "post_api_request":
        return ModelCall(
            started_ns=started_ns,
            ended_ns=ended_ns,
            model=_text(arguments.get("model")),
            provider=_text(arguments.get("provider")),
            server_address=_server_address(arguments.get("base_url")),
            response_model=_text(arguments.get("response_model")),
            finish_reason=_text(arguments.get("finish_reason")),
            usage=_usage(arguments.get("usage")),
        )
    return ApiError(
        started_ns=started_ns,
        ended_ns=ended_ns,
        model=_text(arguments.get("model")),
        provider=_text(arguments.get("provider")),
        server_address=_server_address(arguments.get("base_url")),
        status_code=_count(arguments.get("status_code")),
        attempt=_count(arguments.get("retry_count")),
        max_attempts=_count(arguments.get("max_retries")),
        retryable=_flag(arguments.get("retryable")),
        reason=_text(arguments.get("reason")),
        exception_type=_text(arguments.get("exception_type")),
        message=_text(arguments.get("message")),
    )


def _call_times(at_ns: int, arguments: Mapping[str, object]) -> tuple[int, int]:
    """Return when a model call started and ended, in nanoseconds since the epoch."""
    ended_ns = epoch_to_ns(arguments.get("ended_at")) or at_ns
    started_ns = epoch_to_ns(arguments.get("started_at"))
    if started_ns is None:  # before 0.16 the host gives a duration instead
        started_ns = ended_ns - (_duration_ns(arguments.get("api_duration")) or 0)
    return min(started_ns, ended_ns), ended_ns


def _tool_result(at_ns: int, arguments: Mapping[str, object]) -> ToolResult | None:
    call_id = _text(arguments.get("tool_call_id"))
    if call_id is None:
        return None
    status = arguments.get("status")
    return ToolResult(
        call_id=call_id,
        name=_text(arguments.get("tool_name")) or "unknown",
        started_ns=max(0, at_ns - (_count(arguments.get("duration_ms")) or 0) * 1_000_000),
        ended_ns=at_ns,
        # Older hosts give no status; then the type of the error alone shows that there was one.
        failed=status not in (None, "ok") or bool(arguments.get("error_type")),
        error_type=_text(arguments.get("error_type")),
        message=_text(arguments.get("error_message")),
        approval=_approval(arguments.get("approval")),
    )


def _approval(value: object) -> Approval | None:
    if not isinstance(value, Mapping):
        return None
    asked_ns, answered_ns = value.get("asked_ns"), value.get("answered_ns")
    if not isinstance(asked_ns, int):
        return None
    if not isinstance(answered_ns, int):
        answered_ns = None
    return Approval(
        at_ns=answered_ns or asked_ns,
        choice=_text(value.get("choice")),
        surface=_text(value.get("surface")),
        waited_s=None if answered_ns is None else max(0, answered_ns - asked_ns) / 1e9,
    )


def _usage(value: object) -> Usage | None:
    if not isinstance(value, Mapping):
        return None
    count = {name: _count(number) or 0 for name, number in value.items() if isinstance(name, str)}
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


def _server_address(base_url: object) -> str | None:
    return server_address(text(base_url))


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= MAX_COUNT else None


def _duration_ns(value: object) -> int | None:
    seconds = epoch_to_ns(value)
    return seconds if seconds is not None and seconds >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
