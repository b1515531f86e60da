"""The arguments of the host's hooks, as records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.host import hook_payloads
from cronalytics_otel.model import ApiError, Approval, ModelCall, ToolResult, Usage

AT_S = 1_795_258_800.5
AT_NS = 1_795_258_800_500_000_000
SECOND = 1_000_000_000

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)


def test_an_answered_call() -> None:
    arguments = {
        "model": "claude-x", "provider": "anthropic", "base_url": "https://key@api.example.com:8443/v1",
        "response_model": "claude-x-20260101",
        "started_at": AT_S - 2, "ended_at": AT_S - 0.5, "finish_reason": "tool_calls",
        "usage": {"input_tokens": 800, "output_tokens": 50, "cache_read_tokens": 200,
                  "cache_write_tokens": 10, "reasoning_tokens": 20, "prompt_tokens": 1010,
                  "total_tokens": 1060, "request_count": 1},
    }  # fmt: skip
    assert hook_payloads.read("post_api_request", AT_NS, arguments) == ModelCall(
        started_ns=AT_NS - 2 * SECOND,
        ended_ns=AT_NS - SECOND // 2,
        model="claude-x",
        provider="anthropic",
        server_address="api.example.com",
        response_model="claude-x-20260101",
        finish_reason="tool_calls",
        usage=Usage(
            input_tokens=1010,
            output_tokens=50,
            cache_read_tokens=200,
            cache_write_tokens=10,
            reasoning_tokens=20,
        ),
    )


def test_a_call_without_a_start_is_placed_by_its_duration() -> None:
    call = hook_payloads.read("post_api_request", AT_NS, {"ended_at": AT_S, "api_duration": 1.5})
    assert call == ModelCall(started_ns=AT_NS - 1_500_000_000, ended_ns=AT_NS)


def test_a_call_without_usage_has_unknown_usage() -> None:
    call = hook_payloads.read("post_api_request", AT_NS, {"model": "m", "usage": None})
    assert call == ModelCall(started_ns=AT_NS, ended_ns=AT_NS, model="m")


def test_a_call_that_failed() -> None:
    arguments = {
        "model": "m", "provider": "p", "base_url": "http://localhost:8000", "started_at": AT_S - 1, "ended_at": AT_S, "status_code": 429,
        "retry_count": 1, "max_retries": 3, "retryable": True, "reason": "rate_limit",
        "exception_type": "RateLimitError", "message": "slow down",
    }  # fmt: skip
    assert hook_payloads.read("api_request_error", AT_NS, arguments) == ApiError(
        started_ns=AT_NS - SECOND,
        ended_ns=AT_NS,
        model="m",
        provider="p",
        server_address="localhost",
        status_code=429,
        attempt=1,
        max_attempts=3,
        retryable=True,
        reason="rate_limit",
        exception_type="RateLimitError",
        message="slow down",
    )


def test_a_long_error_text_is_cut() -> None:
    error = hook_payloads.read("api_request_error", AT_NS, {"message": "x" * 10_000})
    assert isinstance(error, ApiError)
    assert error.message == "x" * hook_payloads.TEXT_CHARS


@pytest.mark.parametrize(
    ("arguments", "failed"),
    [
        ({"status": "ok"}, False),
        ({}, False),
        ({"status": "error", "error_type": "tool_error"}, True),
        ({"status": "blocked", "error_type": "plugin_block"}, True),
        ({"status": "timeout"}, True),
        ({"error_type": "tool_error"}, True),
    ],
)
def test_a_tool_call_ended_when_its_hook_was_called(
    arguments: dict[str, object], failed: bool
) -> None:
    arguments |= {"tool_call_id": "c", "tool_name": "terminal", "duration_ms": 1500}
    run = hook_payloads.read("post_tool_call", AT_NS, arguments)
    assert isinstance(run, ToolResult)
    assert (run.started_ns, run.ended_ns) == (AT_NS - 1_500_000_000, AT_NS)
    assert (run.call_id, run.name, run.failed) == ("c", "terminal", failed)


def test_a_tool_call_without_an_id_is_passed_over() -> None:
    assert hook_payloads.read("post_tool_call", AT_NS, {"tool_name": "terminal"}) is None


@pytest.mark.parametrize(
    ("value", "approval"),
    [
        (
            {
                "surface": "smart",
                "asked_ns": AT_NS - 3 * SECOND,
                "choice": "smart_deny",
                "answered_ns": AT_NS - SECOND,
            },
            Approval(at_ns=AT_NS - SECOND, choice="smart_deny", surface="smart", waited_s=2.0),
        ),
        (
            {"surface": "gateway", "asked_ns": AT_NS - 3 * SECOND},
            Approval(at_ns=AT_NS - 3 * SECOND, choice=None, surface="gateway", waited_s=None),
        ),
        ({"surface": "cli"}, None),
        ("once", None),
    ],
)
def test_an_approval_has_the_time_that_passed_until_the_answer(
    value: object, approval: Approval | None
) -> None:
    run = hook_payloads.read("post_tool_call", AT_NS, {"tool_call_id": "c", "approval": value})
    assert isinstance(run, ToolResult)
    assert run.approval == approval


_KEYS = (
    "model", "usage", "started_at", "ended_at", "status_code", "retry_count", "message", "retryable",
    "tool_call_id", "duration_ms", "status", "approval", "error_type",
)  # fmt: skip


@given(
    hook=st.sampled_from(["post_api_request", "api_request_error", "post_tool_call"]),
    at_ns=st.integers(),
    arguments=st.dictionaries(st.sampled_from(_KEYS), anything),
)
def test_any_arguments_are_read_or_passed_over(
    hook: str, at_ns: int, arguments: dict[str, object]
) -> None:
    observation = hook_payloads.read(hook, at_ns, arguments)
    if observation is not None and observation.started_ns >= 0:
        assert observation.started_ns <= observation.ended_ns
