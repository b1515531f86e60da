"""A run that was seen live: exact times, each call's usage, retries, fall-backs, tools that failed."""

from __future__ import annotations

import pytest

from cronalytics_otel.model import (
    ApiError,
    Approval,
    Conversation,
    Message,
    ModelCall,
    Observations,
    Outcome,
    Span,
    ToolCall,
    ToolResult,
    Usage,
)
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import ContentMode, ContentPolicy
from cronalytics_otel.telemetry.ids import span_id
from cronalytics_otel.telemetry.traces.trace import build_trace
from tests.support.traces import (
    FULL,
    SESSION,
    a_run,
    a_session,
    a_subagent,
    answer,
    asks,
    at,
    check_shape,
    only,
    outline,
    result,
    tree,
    user,
)


def a_call(start: float, end: float, tokens: tuple[int, int] | None = (100, 10), **facts: object) -> ModelCall:  # fmt: skip
    usage = Usage(input_tokens=tokens[0], output_tokens=tokens[1]) if tokens else None
    known: dict[str, object] = {"model": "claude-x", "provider": "anthropic"} | facts
    return ModelCall(started_ns=at(start), ended_ns=at(end), usage=usage, **known)  # type: ignore[arg-type]


def an_error(start: float, end: float, **facts: object) -> ApiError:
    known: dict[str, object] = {"model": "claude-x", "provider": "anthropic"} | facts
    return ApiError(started_ns=at(start), ended_ns=at(end), **known)  # type: ignore[arg-type]


def a_tool(call_id: str, start: float, end: float, **facts: object) -> ToolResult:
    known: dict[str, object] = {"failed": False} | facts
    return ToolResult(call_id=call_id, name="t", started_ns=at(start), ended_ns=at(end), **known)  # type: ignore[arg-type]


TOOL_USE = a_session(
    user(2.5), asks(4, ("c1", "terminal"), ("c2", "read_file")), result(6, "c1"), result(6.5, "c2"),
    answer(9),
)  # fmt: skip


def live(
    conversation: Conversation,
    *observed: ModelCall | ApiError | ToolResult,
    content: ContentPolicy | None = None,
    **facts: object,
) -> list[Span]:
    observations = Observations(
        attempts=tuple(d for d in observed if not isinstance(d, ToolResult)),
        tools=tuple(d for d in observed if isinstance(d, ToolResult)),
    )
    spans = build_trace(
        a_run(**facts), conversation, observations={SESSION: observations}, content=content
    )
    check_shape(spans)
    return spans


def test_each_call_has_its_own_usage_and_its_own_time() -> None:
    spans = live(
        TOOL_USE,
        a_call(2.6, 3.9, (1000, 50)),
        a_tool("c1", 4.1, 5.9), a_tool("c2", 4.2, 6.4),
        a_call(6.7, 8.8, (1200, 70)),
    )  # fmt: skip
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.6..3.9] in=1000 out=50
            execute_tool terminal [internal 4.1..5.9]
            execute_tool read_file [internal 4.2..6.4]
            chat claude-x [client 6.7..8.8] in=1200 out=70
    """)
    assert spans[0].attributes[sc.HERMES_CRON_RUN_MODEL_TIME] == pytest.approx(1.3 + 2.1)


def test_a_rejected_answer_counts_with_the_one_that_was_taken_in_its_place() -> None:
    spans = live(
        a_session(user(2.5), answer(9)), a_call(3, 4, (100, 10)), a_call(4.5, 8, (110, 20))
    )
    (chat,) = (span for span in spans if span.name.startswith("chat"))
    assert chat.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 210
    assert chat.attributes[sc.GEN_AI_USAGE_OUTPUT_TOKENS] == 30
    assert (chat.start_ns, chat.end_ns) == (at(3), at(8))


CUT = a_session(
    user(2.5), answer(8.9, "This is half an", reason="length"), user(8.901, "Go on."),
    answer(8.902),
)  # fmt: skip
"""The host tells of no cut answer, and writes it down with the one that goes on after it."""


def test_a_cut_answer_has_the_time_until_the_call_that_goes_on_and_not_that_call() -> None:
    assert outline(live(CUT, a_call(5.5, 8.8, (1002, 52), finish_reason="stop"))) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..5.5]
            chat claude-x [client 5.5..8.8] in=1002 out=52
    """)


def test_a_cut_answer_keeps_the_errors_before_it_and_the_next_one_its_own() -> None:
    spans = live(
        CUT, an_error(2.6, 3, status_code=429), an_error(5.5, 6, status_code=500), a_call(5.5, 8.8)
    )
    cut, taken = (span for span in spans if span.name.startswith("chat"))
    assert [e.attributes["http.response.status_code"] for e in cut.events] == [429]
    assert [e.attributes["http.response.status_code"] for e in taken.events] == [500]
    assert (cut.start_ns, cut.end_ns) == (at(2.6), at(5.5))


def test_tools_between_cut_answers_keep_their_place() -> None:
    cut_twice = a_session(
        user(2.5), answer(4.9, reason="length"), user(4.901), asks(4.902, ("c1", "terminal")),
        result(6, "c1"), answer(8.9, reason="length"), user(8.901), answer(8.902), api_calls=2,
    )  # fmt: skip
    spans = live(
        cut_twice, a_call(3.5, 4.8, (10, 1)), a_tool("c1", 5, 5.9), a_call(7.5, 8.8, (20, 2))
    )
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..3.5]
            chat claude-x [client 3.5..4.8] in=10 out=1
            execute_tool terminal [internal 5..5.9]
            chat claude-x [client 6..7.5]
            chat claude-x [client 7.5..8.8] in=20 out=2
    """)
    assert spans[0].attributes[sc.HERMES_CRON_RUN_MODEL_TIME] == pytest.approx(2.3 + 2.8)


def test_of_cut_answers_in_a_row_the_first_has_the_time_of_all() -> None:
    in_a_row = a_session(
        user(2.5), answer(8.9, reason="length"), user(8.901), answer(8.902, reason="length"),
        user(8.903), answer(8.904),
    )  # fmt: skip
    assert outline(live(in_a_row, a_call(6.5, 8.8))) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..6.5]
            chat claude-x [client 6.5..6.5]
            chat claude-x [client 6.5..8.8] in=100 out=10
    """)


def test_a_cut_answer_that_nothing_went_on_from_ended_when_it_was_written() -> None:
    given_up = a_session(
        user(2.5), asks(4, ("c1", "terminal")), result(6, "c1"), answer(8.9, reason="length")
    )
    spans = live(given_up, a_call(2.6, 3.9, (10, 1)), a_tool("c1", 4.1, 5.9))
    cut = [span for span in spans if span.name.startswith("chat")][-1]
    assert (cut.start_ns, cut.end_ns) == (at(6), at(8.9))


def test_a_host_that_told_of_a_cut_answer_is_believed() -> None:
    spans = live(
        a_session(user(2.5), answer(5.1, reason="length"), user(5.2), answer(9)),
        a_call(2.6, 5, (10, 1), finish_reason="length"),
        a_call(5.5, 8.8, (20, 2), finish_reason="stop"),
    )
    cut, taken = (span for span in spans if span.name.startswith("chat"))
    assert (cut.start_ns, cut.end_ns, taken.start_ns) == (at(2.6), at(5), at(5.5))
    assert cut.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 10


def test_usage_is_not_half_known() -> None:
    spans = live(TOOL_USE, a_call(3, 3.5, None), a_call(3.6, 3.9), a_call(7, 8))
    first, second = (span for span in spans if span.name.startswith("chat"))
    assert sc.GEN_AI_USAGE_INPUT_TOKENS not in first.attributes
    assert second.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 100


def test_the_root_says_what_stands_on_no_call() -> None:
    usage = Usage(input_tokens=2300, output_tokens=125)
    known = live(TOOL_USE, a_call(2.6, 3.9, (1000, 50)), a_call(6.7, 8.8, (1200, 70)), usage=usage)[
        0
    ]
    assert known.attributes[sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS] == 105  # a compression's, say
    unseen = build_trace(a_run(usage=usage), TOOL_USE)[0]
    assert unseen.attributes[sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS] == 2425
    exact = live(TOOL_USE, a_call(3, 4), a_call(7, 8), usage=Usage(input_tokens=200, output_tokens=20))  # fmt: skip
    assert sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS not in exact[0].attributes


def test_retries_stand_as_events_on_the_call_that_they_led_to() -> None:
    spans = live(
        a_session(user(2.5), answer(9)),
        an_error(3, 3.5, status_code=429, reason="rate_limit", attempt=0, max_attempts=3,
                 retryable=True, exception_type="RateLimitError", message="slow down, sk-abc1234567"),
        a_call(6, 8),
    )  # fmt: skip
    (chat,) = (span for span in spans if span.name.startswith("chat"))
    assert (chat.start_ns, chat.end_ns) == (at(3), at(8))
    (event,) = chat.events
    assert (event.name, event.time_ns) == ("exception", at(3.5))
    assert event.attributes == {
        "error.type": "rate_limited",
        "http.response.status_code": 429,
        "exception.type": "RateLimitError",
        "exception.message": "slow down, [masked]",
        "hermes.cron.retry.time": 0.5,
        "hermes.cron.retry.attempt": 0,
        "hermes.cron.retry.limit": 3,
        "hermes.cron.retry.retryable": True,
    }
    assert chat.error is None


def test_how_long_a_later_attempt_took_is_not_told() -> None:
    """The host tells of each when the first one began."""
    spans = live(
        a_session(user(2.5), answer(9)),
        an_error(3, 3.5, attempt=0), an_error(3, 6.5, attempt=1), a_call(7, 8),
    )  # fmt: skip
    (chat,) = (span for span in spans if span.name.startswith("chat"))
    times = [event.attributes.get("hermes.cron.retry.time") for event in chat.events]
    assert times == [0.5, None]


def test_a_fall_back_stands_after_the_errors_that_led_to_it() -> None:
    """The host dates all attempts of an answer alike, and counts from 0 again after a fall-back."""
    spans = live(
        a_session(user(2.5), answer(9)),
        an_error(3, 3.5, attempt=0), an_error(3, 6.5, attempt=1),
        an_error(3, 6.6, attempt=0, model="fall-back"), a_call(3, 8, model="fall-back"),
    )  # fmt: skip
    (chat,) = (span for span in spans if span.name.startswith("chat"))
    assert [
        (e.name, e.time_ns, e.attributes.get("hermes.cron.retry.time")) for e in chat.events
    ] == [
        ("exception", at(3.5), 0.5),
        ("exception", at(6.5), None),
        ("hermes.cron.model_fallback", at(6.5), None),
        ("exception", at(6.6), None),
    ]


def test_a_call_that_failed_for_good_is_a_chat_with_its_attempts_as_events() -> None:
    conversation = a_session(
        user(2.5), asks(4, ("c1", "terminal")), result(6, "c1"),
        server_address="session.example",
    )  # fmt: skip
    spans = live(
        conversation,
        a_call(2.6, 3.9), a_tool("c1", 4.1, 5.9),
        an_error(6.1, 6.5, status_code=503, attempt=0, server_address="a.example"),
        an_error(6.1, 8.5, status_code=500, attempt=1, model="other", provider="acme",
                 server_address="b.example", message="upstream exploded, sk-abc1234567"),
        outcome=Outcome.FAILURE, error_type="server_error", error_message="HTTP 500",
    )  # fmt: skip
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10] ERROR server_error: HTTP 500
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9] ERROR server_error: HTTP 500
            chat claude-x [client 2.6..3.9] in=100 out=10
            execute_tool terminal [internal 4.1..5.9]
            chat other [client 6.1..8.5] ERROR server_error: upstream exploded, [masked]
    """)
    chat = spans[-1]
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "hermes",
        "gen_ai.conversation.id": SESSION,
        "gen_ai.request.model": "other",
        "gen_ai.provider.name": "acme",
        "server.address": "b.example",
        "error.type": "server_error",
    }
    assert [
        (e.name, e.time_ns, e.attributes.get("http.response.status_code")) for e in chat.events
    ] == [
        ("exception", at(6.5), 503),
        ("hermes.cron.model_fallback", at(6.5), None),
        ("exception", at(8.5), 500),
    ]
    assert only(spans, "invoke_agent hermes").events == ()
    assert spans[0].attributes[sc.HERMES_CRON_RUN_TURNS] == 1
    assert spans[0].attributes[sc.HERMES_CRON_RUN_MODEL_TIME] == pytest.approx(1.3 + 2.4)


def test_a_failed_call_has_an_id_of_its_own_sequence_and_moves_no_other() -> None:
    seen = live(TOOL_USE, a_call(2.6, 3.9), a_call(6.7, 8.8), an_error(8.9, 8.95))
    afterwards = build_trace(a_run(), TOOL_USE)
    failed = [span for span in seen if span.error is not None]
    assert [span.name for span in failed] == ["chat claude-x"]
    assert [s.span_id for s in seen if s not in failed] == [s.span_id for s in afterwards]
    assert failed[0].span_id == span_id(a_run().profile, SESSION, "chat", SESSION, "failed", "0")


def test_a_failed_call_names_the_session_s_model_where_the_hook_named_none() -> None:
    (chat,) = (
        span
        for span in live(a_session(user(2.5)), an_error(3, 4, model=None, provider=None))
        if span.name.startswith("chat")
    )
    assert chat.attributes[sc.GEN_AI_REQUEST_MODEL] == "claude-x"
    assert chat.error == "The call failed, and the host gave no reason."


def test_what_a_failed_call_asked_is_content() -> None:
    failed = an_error(3, 4)
    hidden = only(live(a_session(user(2.5, "Do it.")), failed), "chat claude-x")
    assert sc.GEN_AI_INPUT_MESSAGES not in hidden.attributes
    shown = only(live(a_session(user(2.5, "Do it.")), failed, content=FULL), "chat claude-x")
    assert "Do it." in str(shown.attributes[sc.GEN_AI_INPUT_MESSAGES])
    assert sc.GEN_AI_OUTPUT_MESSAGES not in shown.attributes


def test_a_subagent_s_call_that_failed_for_good_stands_in_its_own_conversation() -> None:
    child = a_subagent("child", 4, 7, user(4))
    conversation = a_session(
        user(2.5), asks(3, ("c1", "delegate_task")), result(8, "c1"), answer(9), children=(child,)
    )
    seen = {
        SESSION: Observations(attempts=(a_call(2.6, 2.9), a_call(8.1, 8.9))),
        "child": Observations(attempts=(an_error(4.5, 6.5, status_code=500),)),
    }
    spans = build_trace(a_run(), conversation, observations=seen)
    (failed,) = (span for span in spans if span.error is not None)
    assert failed.parent_id == only(spans, "invoke_agent subagent").span_id
    assert failed.attributes[sc.GEN_AI_AGENT_NAME] == "subagent"


def test_a_call_that_was_made_again_after_a_compression_did_not_fail_for_good() -> None:
    rest = a_session(user(5), answer(8), session_id="rest", started_ns=at(5), ended_ns=at(9))
    conversation = a_session(
        user(2.5), asks(3, ("c1", "t")), result(4, "c1"), ended_ns=at(5), children=(rest,)
    )
    seen = {
        SESSION: Observations(
            attempts=(a_call(2.6, 2.9), an_error(4.2, 4.5, reason="context_overflow"))
        ),
        "rest": Observations(attempts=(a_call(5.5, 7.9),)),
    }
    spans = build_trace(a_run(), conversation, observations=seen)
    assert not [span for span in spans if span.error is not None]
    (event,) = only(spans, "invoke_agent hermes").events
    assert event.attributes["error.type"] == "context_overflow"


def test_an_answer_that_the_host_wrote_for_a_call_that_failed_shows_that_it_failed() -> None:
    conversation = a_session(
        user(2.5), answer(5, "The provider refused.", reason=None), api_calls=0
    )
    spans = live(conversation, an_error(3, 4, status_code=400, message="flagged"))
    (chat,) = (span for span in spans if span.name.startswith("chat"))
    assert chat.error == "flagged"
    (afterwards,) = (
        s for s in build_trace(a_run(), conversation) if s.name.startswith("chat")
    )  # fmt: skip
    assert (chat.span_id, afterwards.error) == (afterwards.span_id, None)


def test_the_summary_at_the_turn_limit_is_a_model_s_answer() -> None:
    limit = user(7)._replace(at_turn_limit=True)
    conversation = a_session(
        user(2.5), asks(4, ("c1", "t")), result(6, "c1"), limit, answer(8, reason=None)
    )
    spans = live(conversation, an_error(7.1, 7.5))
    assert not [span for span in spans if span.error is not None]


@pytest.mark.parametrize(
    ("reason", "status", "message", "error_type"),
    [
        ("auth", 401, None, "auth_failed"),
        ("auth_permanent", None, None, "auth_failed"),
        ("upstream_rate_limit", 429, None, "rate_limited"),
        ("overloaded", 529, None, "server_error"),
        ("timeout", None, None, "timeout"),
        ("ssl_cert_verification", None, None, "network_error"),
        ("model_not_found", 404, None, "invalid_config"),
        ("unknown", 503, "x", "server_error"),
        (None, None, "Connection refused", "network_error"),
        ("billing", 404, "no credit", "budget_exceeded"),
        ("context_overflow", 400, "too long", "context_overflow"),
        ("content_policy_blocked", 400, "flagged", "content_policy_blocked"),
        (None, None, None, "_OTHER"),
    ],
)
def test_an_api_error_s_class_is_the_host_s_else_that_of_status_and_text(
    reason: str | None, status: int | None, message: str | None, error_type: str
) -> None:
    spans = live(
        a_session(user(2.5)), an_error(3, 4, reason=reason, status_code=status, message=message)
    )
    (chat,) = (span for span in spans if span.name.startswith("chat"))
    (event,) = chat.events
    assert event.attributes["error.type"] == chat.attributes["error.type"] == error_type


def test_the_time_of_attempts_that_nothing_came_of_is_the_model_s() -> None:
    """With what Hermes waited between them."""
    spans = live(a_session(user(2.5)), an_error(3, 3.5), an_error(5, 6))
    assert spans[0].attributes[sc.HERMES_CRON_RUN_MODEL_TIME] == 3.0


def test_a_clock_that_is_set_back_gives_no_answer_the_call_of_another() -> None:
    back = a_session(
        user(7.5), asks(8, ("c1", "terminal")), result(4, "c1"), answer(5),
        ended_ns=at(9),
    )  # fmt: skip
    spans = live(back, a_call(7.6, 7.9, (10, 1)), a_call(4.1, 4.9, (20, 2)))
    first, second = (span for span in spans if span.name.startswith("chat"))
    assert first.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 10
    assert second.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 20
    assert first.events == second.events == ()


def test_more_than_the_host_counted_is_no_part_of_the_run() -> None:
    spans = live(
        TOOL_USE, a_call(3, 4, (500, 5)), a_call(7, 8, (500, 5)), usage=Usage(input_tokens=600)
    )
    assert not any(sc.GEN_AI_USAGE_INPUT_TOKENS in span.attributes for span in spans)
    assert spans[0].attributes[sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS] == 600


def test_what_the_host_itself_wrote_as_an_answer_is_no_model_call() -> None:
    """It closes the conversation of an agent that was interrupted."""
    closed = a_session(
        user(2.5), asks(4, ("c1", "terminal")), result(6, "c1"),
        answer(6.002, "I was interrupted.", reason=None), api_calls=1,
    )  # fmt: skip
    spans = live(closed, a_call(2.6, 3.9))
    assert [span.name for span in spans if span.name.startswith("chat")] == ["chat claude-x"]
    assert sc.HERMES_CRON_TRACE_PARTIAL not in spans[0].attributes


def test_a_fall_back_to_another_model_is_an_event_and_the_calls_name_their_models() -> None:
    spans = live(
        TOOL_USE,
        an_error(2.6, 2.8, model="opus", provider="anthropic", status_code=529),
        a_call(3, 3.9, model="gpt", provider="openai", response_model="gpt-2026"),
        a_call(7, 8, model="gpt", provider="openai"),
    )
    first, second = (span for span in spans if span.name.startswith("chat"))
    assert [event.name for event in first.events] == ["exception", "hermes.cron.model_fallback"]
    fallback = first.events[1]
    assert fallback.time_ns == at(3)
    assert fallback.attributes == {
        "hermes.cron.fallback.from_model": "opus",
        "hermes.cron.fallback.from_provider": "anthropic",
        "hermes.cron.fallback.to_model": "gpt",
        "hermes.cron.fallback.to_provider": "openai",
    }
    assert first.name == second.name == "chat gpt"
    assert first.attributes[sc.GEN_AI_PROVIDER_NAME] == "openai"
    assert first.attributes[sc.GEN_AI_RESPONSE_MODEL] == "gpt-2026"
    assert second.events == ()


@pytest.mark.parametrize(
    ("reported_type", "error_type"),
    [
        ("tool_error", "tool_error"),
        ("plugin_block", "tool_blocked"),
        ("guardrail_block", "tool_blocked"),
        ("tool_timeout", "timeout"),
        ("keyboard_interrupt", "interrupted"),
        ("thread_missing_result", "_OTHER"),
        (None, "_OTHER"),
    ],
)
def test_a_tool_that_failed_is_an_error_of_its_own_and_not_of_the_run(
    reported_type: str | None, error_type: str
) -> None:
    spans = live(
        TOOL_USE,
        a_tool("c1", 4.1, 5, failed=True, error_type=reported_type, message="no such file"),
    )
    tool = only(spans, "execute_tool terminal")
    assert tool.attributes[sc.ERROR_TYPE] == error_type
    assert spans[0].error is None
    assert only(spans, "execute_tool read_file").error is None


def test_what_a_tool_said_when_it_failed_is_content() -> None:
    failed = a_tool(
        "c1", 4.1, 5, failed=True, error_type="tool_error", message="no such file: diary"
    )
    assert (
        only(live(TOOL_USE, failed), "execute_tool terminal").error == "The tool reported an error."
    )
    shown = live(TOOL_USE, failed, content=FULL)
    assert only(shown, "execute_tool terminal").error == "no such file: diary"
    errors_only = ContentPolicy(mode=ContentMode.ERRORS)
    kept = live(TOOL_USE, failed, content=errors_only)
    assert only(kept, "execute_tool terminal").error == "The tool reported an error."


def test_a_tool_whose_result_was_never_written_has_ended_when_the_hook_said_so() -> None:
    cut_off = a_session(user(2.5), asks(4, ("c1", "terminal")))
    seen = only(live(cut_off, a_tool("c1", 4.5, 6)), "execute_tool terminal")
    assert (seen.start_ns, seen.end_ns) == (at(4.5), at(6))
    assert sc.HERMES_CRON_STEP_UNFINISHED not in seen.attributes


def test_a_consent_is_an_event_of_the_call_that_needed_it() -> None:
    approval = Approval(at_ns=at(5), choice="smart_deny", surface="smart", waited_s=0.75)
    spans = live(TOOL_USE, a_tool("c1", 4.1, 5.5, failed=True, error_type="guardrail_block", approval=approval))  # fmt: skip
    (event,) = only(spans, "execute_tool terminal").events
    assert (event.name, event.time_ns) == ("hermes.cron.tool_approval", at(5))
    assert event.attributes == {
        "hermes.cron.approval.choice": "smart_deny",
        "hermes.cron.approval.surface": "smart",
        "hermes.cron.approval.wait_time": 0.75,
    }


WRITTEN_LATE = a_session(
    user(8.9), asks(8.901, ("c1", "terminal")), result(8.902, "c1"), answer(8.903)
)
"""As hosts before 0.18 leave it: all at once, when it was over."""


def test_what_a_host_wrote_too_late_has_the_times_that_hooks_told() -> None:
    spans = live(WRITTEN_LATE, a_call(2.6, 3.9, (10, 1)), a_tool("c1", 4.1, 5.9), a_call(6.7, 8.8, (20, 2)))  # fmt: skip
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.6..3.9] in=10 out=1
            execute_tool terminal [internal 4.1..5.9]
            chat claude-x [client 6.7..8.8] in=20 out=2
    """)
    assert sc.HERMES_CRON_TRACE_PARTIAL not in spans[0].attributes


def test_then_a_tool_of_which_hooks_told_nothing_ended_before_the_next_call() -> None:
    spans = live(WRITTEN_LATE, a_call(2.6, 3.9), a_call(6.7, 8.8))
    tool = only(spans, "execute_tool terminal")
    assert (tool.start_ns, tool.end_ns) == (at(3.9), at(6.7))


def test_then_an_id_that_a_model_gave_twice_means_one_call_and_then_the_other() -> None:
    twice = a_session(
        user(8.9), asks(8.901, ("c", "a")), result(8.902, "c"), asks(8.903, ("c", "b")),
        result(8.904, "c"), answer(8.905),
    )  # fmt: skip
    spans = live(
        twice, a_call(2.6, 3), a_tool("c", 3.1, 3.9), a_call(4, 5), a_tool("c", 5.1, 5.9),
        a_call(6, 8),
    )  # fmt: skip
    first, second = (span for span in spans if span.name.startswith("execute_tool"))
    assert (first.end_ns, second.end_ns) == (at(3.9), at(5.9))


def test_then_rejected_answers_are_told_apart_by_the_tools() -> None:
    spans = live(
        WRITTEN_LATE, a_call(2.6, 3, (1, 1)), a_call(3.1, 3.9, (10, 1)), a_tool("c1", 4.1, 5.9),
        a_call(6.7, 8.8, (20, 2)),
    )  # fmt: skip
    first, second = (span for span in spans if span.name.startswith("chat"))
    assert (first.start_ns, first.end_ns) == (at(2.6), at(3.9))
    assert first.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 11
    assert second.attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] == 20


def test_then_calls_that_belong_to_no_answer_for_certain_stand_on_none() -> None:
    spans = live(WRITTEN_LATE, a_call(2.6, 3), a_call(3.1, 3.9), a_call(6.7, 8.8))
    assert spans[0].attributes[sc.HERMES_CRON_TRACE_PARTIAL] == "untimed"
    assert not any(sc.GEN_AI_USAGE_INPUT_TOKENS in span.attributes for span in spans)


def test_a_subagent_s_calls_stand_in_its_own_conversation() -> None:
    conversation = a_session(
        user(2.5), asks(3, ("c1", "delegate_task")), result(8, "c1"), answer(9),
        children=(a_subagent("child", 4, 7, user(4), answer(6.9)),),
    )  # fmt: skip
    spans = build_trace(
        a_run(),
        conversation,
        observations={
            SESSION: Observations(attempts=(a_call(2.6, 2.9, (10, 1)), a_call(8.1, 8.9, (20, 2)))),
            "child": Observations(attempts=(a_call(4.5, 6.5, (30, 3)),)),
        },
    )
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.6..2.9] in=10 out=1
            execute_tool delegate_task [internal 3..8]
              invoke_agent subagent [internal 4..7]
                chat claude-x [client 4.5..6.5] in=30 out=3
            chat claude-x [client 8.1..8.9] in=20 out=2
    """)


def test_a_skill_that_an_agent_loads_is_named_on_the_call_and_on_the_root() -> None:
    calls = (
        ToolCall(call_id="c1", name="skill_view", arguments='{"name": "pdf"}'),
        ToolCall(call_id="c2", name="skill_view", arguments="{not json"),
    )
    conversation = a_session(user(2.5), Message(role="assistant", timestamp_ns=at(4), tool_calls=calls), result(5, "c1"), answer(9))  # fmt: skip
    spans = build_trace(a_run(skills=("news", "pdf")), conversation)
    tools = [span for span in spans if span.name == "execute_tool skill_view"]
    assert [tool.attributes.get(sc.HERMES_CRON_SKILL_NAME) for tool in tools] == ["pdf", None]
    assert spans[0].attributes[sc.HERMES_CRON_RUN_SKILLS] == ("news", "pdf")
    assert spans[0].attributes[sc.HERMES_CRON_JOB_SKILLS] == ("news", "pdf")
