"""One run, one trace: golden traces of hand-made runs, and each rule of the steps by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cronalytics_otel.model import (
    AttributeValue,
    CostStatus,
    DeliveryOutcome,
    Outcome,
    OutcomeSource,
    Run,
    SkipReason,
    Span,
    SpanKind,
    Usage,
)
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.ids import span_id, trace_id
from cronalytics_otel.telemetry.traces import trace as spans_module
from cronalytics_otel.telemetry.traces.run_attributes import error_type, job_label
from cronalytics_otel.telemetry.traces.trace import build_trace
from tests.support.traces import (
    FULL,
    SECOND,
    SESSION,
    USAGE,
    a_run,
    a_script_run,
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

# --- golden traces ------------------------------------------------------------------------------


def test_a_plain_success() -> None:
    run = a_run(
        skills=("news", "mail"),
        model="claude-x",
        provider="anthropic",
        usage=USAGE,
        cost_usd=0.0125,
        cost_status=CostStatus.ESTIMATED,
        api_calls=1,
        tool_calls=0,
        subagents=0,
        silent=False,
        delivery_outcome=DeliveryOutcome.DELIVERED,
        delivery_target="telegram:-1001234",
    )
    spans = build_trace(run, a_session(user(2.5), answer(8)))
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..8] in=1000 out=50
          deliver telegram [producer 9..10]
    """)
    root, startup, agent, chat, deliver = spans
    assert root.attributes == {
        "hermes.cron.job.id": "6c583f72f2e8",
        "hermes.cron.job.name": "nightly digest",
        "hermes.cron.job.mode": "agent",
        "hermes.cron.job.skills": ("news", "mail"),
        "hermes.cron.schedule.kind": "cron",
        "hermes.cron.schedule.expression": "0 11 * * *",
        "hermes.cron.schedule.timezone": "UTC",
        "hermes.cron.run.id": "827d7d8d0a13465d87af9d17d7f12463",
        "hermes.cron.run.outcome": "success",
        "hermes.cron.run.outcome_source": "ledger",
        "hermes.cron.run.failed": False,
        "hermes.cron.run.time_source": "ledger",
        "hermes.cron.run.trigger": "schedule",
        "hermes.cron.run.scheduled_time": "2026-11-21T10:59:58.500000Z",
        "hermes.cron.run.lateness": 1.5,
        "hermes.cron.run.queue_time": 0.5,
        "hermes.cron.run.startup_time": 2.0,
        "hermes.cron.run.model_time": 5.5,
        "hermes.cron.run.tool_time": 0.0,
        "hermes.cron.run.delivery_time": 1.0,
        "hermes.cron.run.api_calls": 1,
        "hermes.cron.run.tool_calls": 0,
        "hermes.cron.run.subagents": 0,
        "hermes.cron.run.turns": 1,
        "hermes.cron.run.turn_limit_reached": False,
        "hermes.cron.run.silent": False,
        "hermes.cron.run.skills": ("news", "mail"),
        "hermes.cron.usage.input_tokens": 1000,
        "hermes.cron.usage.output_tokens": 50,
        "hermes.cron.usage.cache_read_tokens": 200,
        "hermes.cron.usage.cache_write_tokens": 0,
        "hermes.cron.usage.reasoning_tokens": 20,
        "hermes.cron.usage.total_tokens": 1050,
        "hermes.cron.cost.total": 0.0125,
        "hermes.cron.cost.status": "estimated",
        "hermes.cron.model.name": "claude-x",
        "hermes.cron.model.provider": "anthropic",
        "hermes.cron.delivery.outcome": "delivered",
        "hermes.cron.delivery.target": "telegram:-1001234",
        "session.id": SESSION,
        "gen_ai.conversation.id": SESSION,
    }
    assert startup.attributes == {}
    assert agent.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": SESSION,
        "gen_ai.agent.name": "hermes",
    }
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "hermes",
        "gen_ai.conversation.id": SESSION,
        "gen_ai.request.model": "claude-x",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 200,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 20,
    }
    assert deliver.attributes == {
        "hermes.cron.delivery.outcome": "delivered",
        "hermes.cron.delivery.target": "telegram:-1001234",
    }


def test_tools_one_after_the_other_and_side_by_side() -> None:
    session = a_session(
        user(2.5),
        asks(3, ("c1", "terminal")),
        result(4, "c1"),
        asks(5, ("c2", "read_file"), ("c3", "web_search")),
        result(5.5, "c2"),
        result(7, "c3"),
        answer(8),
    )
    spans = build_trace(a_run(), session)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..3]
            execute_tool terminal [internal 3..4]
            chat claude-x [client 4..5]
            execute_tool read_file [internal 5..5.5]
            execute_tool web_search [internal 5..7]
            chat claude-x [client 7..8]
    """)
    assert spans[0].attributes[sc.HERMES_CRON_RUN_MODEL_TIME] == 2.5
    assert spans[0].attributes[sc.HERMES_CRON_RUN_TOOL_TIME] == 3.0
    assert spans[0].attributes[sc.HERMES_CRON_RUN_TURNS] == 3
    assert only(spans, "execute_tool web_search").attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "hermes",
        "gen_ai.conversation.id": SESSION,
        "gen_ai.tool.name": "web_search",
        "gen_ai.tool.call.id": "c3",
    }


def test_delegated_work_stands_under_the_call_that_delegated_it() -> None:
    grandchild = a_subagent("g1", 5, 6, user(5), answer(5.75))
    child = a_subagent(
        "s1", 4, 7,
        user(4), asks(4.5, ("d1", "delegate_task")), result(6.25, "d1"), answer(6.5),
        children=(grandchild,),
    )  # fmt: skip
    session = a_session(
        user(2.5), asks(3.5, ("c1", "delegate_task")), result(7.25, "c1"), answer(8),
        children=(child,),
    )  # fmt: skip
    spans = build_trace(a_run(), session)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..3.5]
            execute_tool delegate_task [internal 3.5..7.25]
              invoke_agent subagent [internal 4..7]
                chat claude-x [client 4..4.5]
                execute_tool delegate_task [internal 4.5..6.25]
                  invoke_agent subagent [internal 5..6]
                    chat claude-x [client 5..5.75] in=1000 out=50
                chat claude-x [client 6.25..6.5]
            chat claude-x [client 7.25..8]
    """)
    root = spans[0].attributes
    assert root[sc.HERMES_CRON_RUN_MODEL_TIME] == 1 + 0.5 + 0.75 + 0.25 + 0.75
    # 3.5..7.25, less the chats of the subagents in it.
    assert root[sc.HERMES_CRON_RUN_TOOL_TIME] == 3.75 - (0.5 + 0.75 + 0.25)
    assert root[sc.HERMES_CRON_RUN_TURNS] == 2
    assert [s.attributes[sc.GEN_AI_CONVERSATION_ID] for s in spans if s.name.startswith("inv")] == [
        SESSION, "s1", "g1",
    ]  # fmt: skip


def test_a_first_call_that_is_refused() -> None:
    run = a_run(
        outcome=Outcome.FAILURE,
        error_type="auth_failed",
        error_message="RuntimeError: HTTP 401: Incorrect API key provided: sk-fake1234",
        api_calls=0,
    )
    spans = build_trace(run, a_session(user(2.5), usage=Usage()))
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10] ERROR auth_failed: RuntimeError: HTTP 401: Incorrect API key provided: [masked]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9] ERROR auth_failed: RuntimeError: HTTP 401: Incorrect API key provided: [masked]
    """)
    root = spans[0].attributes
    assert root[sc.HERMES_CRON_RUN_TURNS] == 0
    assert sc.HERMES_CRON_RUN_MODEL_TIME not in root


def test_a_gate_that_says_no() -> None:
    run = a_run(session_id=None, outcome=Outcome.SKIPPED, ended_ns=at(0.5))
    spans = build_trace(run, None)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..0.5]
          script [internal 0..0.5]
    """)


def test_a_gate_s_no_has_its_reason_and_its_script_an_exit_code() -> None:
    run = a_run(
        session_id=None, outcome=Outcome.SKIPPED, ended_ns=at(0.5), script_exit_code=0,
        skip_reason=SkipReason.NO_OUTPUT,
    )  # fmt: skip
    root, script = build_trace(run, None)
    assert root.attributes[sc.HERMES_CRON_RUN_SKIP_REASON] == "no_output"
    assert root.attributes[sc.HERMES_CRON_RUN_SCRIPT_TIME] == 0.5
    assert script.attributes == {"process.exit.code": 0}


def test_a_script_before_the_agent() -> None:
    run = a_run(script_ended_ns=at(1), script_exit_code=0)
    spans = build_trace(run, a_session(user(2.5), answer(8)))
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          script [internal 0..1]
          startup [internal 1..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2.5..8] in=1000 out=50
    """)
    assert spans[0].attributes[sc.HERMES_CRON_RUN_SCRIPT_TIME] == 1.0


def test_a_script_is_over_when_its_agent_begins() -> None:
    run = a_run(script_ended_ns=at(3), script_exit_code=0)
    spans = build_trace(run, a_session(user(2.5), answer(8)))
    assert only(spans, "script").end_ns == at(2)
    assert spans[0].attributes[sc.HERMES_CRON_RUN_SCRIPT_TIME] == 2.0


def test_an_agent_without_the_data_of_its_script() -> None:
    run = a_run(
        script_ended_ns=at(1), script_exit_code=3, outcome=Outcome.FAILURE,
        error_type="script_failed", error_message="Script exited with code 3\nstderr:\nboom",
    )  # fmt: skip
    spans = build_trace(run, a_session(user(2.5), answer(8)))
    script, agent = only(spans, "script"), only(spans, "invoke_agent hermes")
    assert script.error == "Script exited with code 3\nstderr:\nboom"
    assert script.attributes == {"process.exit.code": 3, "error.type": "script_failed"}
    assert agent.error is None


def test_an_agent_that_fails_after_a_script_that_failed() -> None:
    run = a_run(
        script_ended_ns=at(1), script_exit_code=3, outcome=Outcome.FAILURE,
        error_type="server_error", error_message="RuntimeError: HTTP 500: no",
    )  # fmt: skip
    script = only(build_trace(run, a_session(user(2.5))), "script")
    assert script.error == "Script exited with code 3"
    assert script.attributes[sc.ERROR_TYPE] == "script_failed"


def test_an_agent_that_fails_after_a_script_that_went_well() -> None:
    run = a_run(
        script_ended_ns=at(1), script_exit_code=0, outcome=Outcome.FAILURE,
        error_type="server_error", error_message="RuntimeError: HTTP 500: no",
    )  # fmt: skip
    assert only(build_trace(run, a_session(user(2.5))), "script").error is None


def test_a_run_that_came_to_its_limit_of_turns_is_told_apart() -> None:
    limit = user(7)._replace(at_turn_limit=True)
    session = a_session(user(2), asks(3, ("c1", "t")), result(4, "c1"), limit, answer(8))
    root = build_trace(a_run(), session)[0]
    assert root.attributes[sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED] is True
    assert root.error is None
    below = replace(session, session_id="s1", is_subagent=True)
    parent = a_session(user(2), answer(9), children=(below,))
    assert build_trace(a_run(), parent)[0].attributes[sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED] is False  # fmt: skip


def test_a_script_that_fails() -> None:
    run = a_script_run(
        outcome=Outcome.FAILURE,
        error_type="script_failed",
        error_message="Script exited with code 3\nstderr:\nboom",
    )
    spans = build_trace(run, None)
    assert outline(spans).replace("\n", "|") == (
        "cron nightly digest [server 0..2] ERROR script_failed: "
        "Script exited with code 3|stderr:|boom|"
        "  script [internal 0..2] ERROR script_failed: Script exited with code 3|stderr:|boom"
    )
    assert spans[0].attributes[sc.HERMES_CRON_JOB_MODE] == "script"
    assert sc.SESSION_ID not in spans[0].attributes


# --- the root -----------------------------------------------------------------------------------


def test_what_is_not_known_is_absent() -> None:
    run = Run(
        profile="default", job_id="j", job_name="", mode=None, started_ns=at(0), ended_ns=at(1),
        outcome=Outcome.SUCCESS, outcome_source=OutcomeSource.LEDGER, execution_id="e",
        model="", delivery_error="  ",
    )  # fmt: skip
    (root,) = build_trace(run, None)
    assert root.attributes == {
        "hermes.cron.job.id": "j",
        "hermes.cron.job.name": "j",
        "hermes.cron.run.id": "e",
        "hermes.cron.run.outcome": "success",
        "hermes.cron.run.outcome_source": "ledger",
        "hermes.cron.run.failed": False,
        "hermes.cron.run.time_source": "ledger",
    }
    assert (root.name, root.error) == ("cron j", None)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_failures_have_an_error(outcome: Outcome) -> None:
    run = a_run(outcome=outcome, error_message="why", error_type="timeout")
    root = build_trace(run, None)[0]
    expected = ("why", "timeout") if run.failed else (None, None)
    assert (root.error, root.attributes.get(sc.ERROR_TYPE)) == expected
    assert root.attributes[sc.HERMES_CRON_RUN_FAILED] is run.failed


def test_a_failure_without_a_text_is_described_by_its_outcome() -> None:
    root = build_trace(a_run(outcome=Outcome.ABANDONED), None)[0]
    assert root.error == "Its process died: how far it came is not known."
    assert root.attributes[sc.ERROR_TYPE] == "_OTHER"


def test_an_error_class_that_is_not_in_the_list_is_other() -> None:
    assert error_type(a_run(outcome=Outcome.FAILURE, error_type="Request 4711 failed")) == "_OTHER"
    assert error_type(a_run(outcome=Outcome.FAILURE, error_type="rate_limited")) == "rate_limited"
    assert error_type(a_run(error_type="rate_limited")) is None


def test_an_unknown_cost_is_absent_though_the_host_wrote_zero() -> None:
    (root, *_) = build_trace(a_run(cost_usd=0.0, cost_status=CostStatus.UNKNOWN), None)
    assert sc.HERMES_CRON_COST_TOTAL not in root.attributes
    assert root.attributes[sc.HERMES_CRON_COST_STATUS] == "unknown"
    (root, *_) = build_trace(a_run(cost_usd=0, cost_status=CostStatus.INCLUDED), None)
    assert repr(root.attributes[sc.HERMES_CRON_COST_TOTAL]) == "0.0"


def test_what_tells_most_of_a_run_comes_first() -> None:
    run = a_run(
        outcome=Outcome.FAILURE, error_type="timeout", usage=USAGE, model="claude-x",
        cost_usd=0.01, cost_status=CostStatus.ESTIMATED,
    )  # fmt: skip
    (root, *_) = build_trace(run, None)
    order = list(root.attributes)
    telling = (
        sc.HERMES_CRON_RUN_OUTCOME, sc.HERMES_CRON_RUN_FAILED, sc.ERROR_TYPE, sc.HERMES_CRON_COST_TOTAL,
        sc.HERMES_CRON_USAGE_TOTAL_TOKENS, sc.HERMES_CRON_MODEL_NAME, sc.HERMES_CRON_JOB_ID,
    )  # fmt: skip
    places = [order.index(name) for name in telling]
    assert places == sorted(places)


def test_the_model_that_a_job_asks_for_is_shown_only_where_another_one_did_the_work() -> None:
    def declared(model: str | None, asked: str | None) -> object:
        (root, *_) = build_trace(a_run(model=model, declared_model=asked), None)
        return root.attributes.get("hermes.cron.model.declared")

    assert declared("fallback", "claude-x") == "claude-x"
    assert declared("claude-x", "claude-x") is None
    assert declared("claude-x", None) is None
    assert declared(None, "claude-x") is None


@pytest.mark.parametrize("over_budget", [True, False, None])
def test_a_run_over_its_budget_is_marked_and_one_without_a_budget_is_not(
    over_budget: bool | None,
) -> None:
    (root, *_) = build_trace(a_run(over_budget=over_budget), None)
    assert root.attributes.get("hermes.cron.run.over_budget") is over_budget


def test_without_a_ledger_nobody_knows_how_long_the_start_took() -> None:
    spans = build_trace(a_run(execution_id=None), a_session(user(2.5), answer(8)))
    assert [span.name.split()[0] for span in spans] == ["cron", "invoke_agent", "chat"]
    assert sc.HERMES_CRON_RUN_STARTUP_TIME not in spans[0].attributes


def test_a_chat_names_its_server_and_what_it_cost_where_that_is_its_own() -> None:
    run = a_run(cost_usd=0.03, cost_status=CostStatus.ESTIMATED)
    child = a_subagent("s1", 4, 7, user(4), answer(6.5), cost_usd=0.01)
    session = a_session(
        user(2.5), asks(3.5, ("c1", "delegate_task")), result(7.25, "c1"), answer(8),
        children=(child,), server_address="api.example.com", cost_usd=0.02,
    )  # fmt: skip
    first, of_child, last = (
        s for s in build_trace(run, session) if s.name.startswith("chat")
    )  # fmt: skip
    assert of_child.attributes["hermes.cron.step.cost"] == 0.01
    assert "server.address" not in of_child.attributes
    for chat in (first, last):  # two calls: nobody knows what each of them cost
        assert chat.attributes["server.address"] == "api.example.com"
        assert "hermes.cron.step.cost" not in chat.attributes


@pytest.mark.parametrize(
    ("cost_usd", "status"),
    [(0.01, CostStatus.ESTIMATED), (None, None), (0.0, CostStatus.UNKNOWN)],
)
def test_a_cost_that_is_no_part_of_the_run_s_is_on_no_chat(
    cost_usd: float | None, status: CostStatus | None
) -> None:
    run = a_run(cost_usd=cost_usd, cost_status=status)
    spans = build_trace(run, a_session(user(2.5), answer(8), cost_usd=0.02))
    assert sc.HERMES_CRON_STEP_COST not in only(spans, "chat claude-x").attributes


def test_the_span_name_is_one_short_line_and_the_attribute_the_name_as_it_was() -> None:
    run = a_run(job_name="a\n b" + "c" * 1000)
    (root, *_) = build_trace(run, None)
    assert root.name.startswith("cron a bccc")
    assert len(root.name) == len("cron ") + 128
    assert root.attributes[sc.HERMES_CRON_JOB_NAME] == job_label(run)
    assert job_label(run).startswith("a\n bccc")


def test_the_root_links_to_the_jobs_previous_run() -> None:
    previous = a_run(session_id="cron_6c583f72f2e8_20261120_110002")
    spans = build_trace(a_run(), a_session(user(3), answer(4)), previous=previous)
    (link,) = spans[0].links
    before = build_trace(previous, None)[0]
    assert (link.trace_id, link.span_id) == (before.trace_id, before.span_id)
    assert link.attributes == {"hermes.cron.link.relation": "previous_run"}
    assert all(span.links == () for span in spans[1:])


def test_the_root_links_to_the_runs_whose_outputs_it_was_given() -> None:
    previous = a_run(session_id="cron_6c583f72f2e8_20261120_110002")
    sources = [a_script_run(job_id="a", execution_id="a1"), a_run(session_id="cron_b_20261120_110002")]  # fmt: skip
    root = build_trace(a_run(), None, previous=previous, sources=sources)[0]
    roots = [build_trace(run, None)[0] for run in (previous, *sources)]
    assert [(link.trace_id, link.span_id) for link in root.links] == [
        (span.trace_id, span.span_id) for span in roots
    ]
    assert [link.attributes["hermes.cron.link.relation"] for link in root.links] == [
        "previous_run", "context_from", "context_from",
    ]  # fmt: skip


def test_ids_are_those_of_profile_and_session() -> None:
    root = build_trace(a_run(), None)[0]
    assert root.trace_id == trace_id("default", SESSION)
    assert root.span_id == span_id("default", SESSION)
    without = build_trace(a_run(session_id=None), None)[0]
    assert without.trace_id == trace_id("default", "827d7d8d0a13465d87af9d17d7f12463")


def test_a_step_keeps_its_id_when_more_is_known_later() -> None:
    session = a_session(user(2.5), asks(3, ("c1", "terminal")))
    longer = a_session(user(2.5), asks(3, ("c1", "terminal")), result(4, "c1"), answer(5))
    some, more = build_trace(a_run(), session), build_trace(a_run(), longer, content=FULL)
    assert {span.span_id for span in some} < {span.span_id for span in more}


def test_lost_steps_are_said() -> None:
    (root,) = build_trace(a_run(), None, partial=sc.Partial.HOST_PRUNED)
    assert root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] == "host_pruned"
    session = a_session(user(2.5), answer(3))
    root = build_trace(a_run(), session, partial=sc.Partial.TRUNCATED)[0]
    assert root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] == "truncated"
    lost = {
        sc.HERMES_CRON_RUN_TURNS, sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED,
        sc.HERMES_CRON_RUN_MODEL_TIME, sc.HERMES_CRON_RUN_TOOL_TIME,
    }  # fmt: skip
    assert lost.isdisjoint(root.attributes)


def test_the_tokens_of_chats_that_are_left_out_are_said_to_stand_on_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spans_module, "MAX_SPANS", 5)
    children = tuple(
        a_subagent(f"s{n}", 3 + n, 4 + n, user(3 + n), answer(4 + n)) for n in range(4)
    )
    session = a_session(user(2), answer(3), children=children)
    total = 5 * USAGE.total_tokens
    spans = build_trace(a_run(usage=Usage.sum([USAGE] * 5)), session)
    sent = sum(
        int(str(span.attributes.get(name, 0)))
        for span in spans
        for name in (sc.GEN_AI_USAGE_INPUT_TOKENS, sc.GEN_AI_USAGE_OUTPUT_TOKENS)
    )
    rest = spans[0].attributes[sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS]
    assert 0 < sent < total
    assert rest == total - sent


def test_a_trace_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "MAX_SPANS", 5)
    session = a_session(user(2), *(answer(3 + n / 2) for n in range(10)))
    spans = build_trace(a_run(), session)
    assert len(spans) == 5
    assert spans[0].attributes[sc.HERMES_CRON_TRACE_PARTIAL] == "truncated"
    # What the root says of the whole run is of the whole run.
    assert spans[0].attributes[sc.HERMES_CRON_RUN_TURNS] == 10
    check_shape(spans)


# --- steps --------------------------------------------------------------------------------------


def test_usage_of_a_session_with_several_calls_is_not_shared_out() -> None:
    session = a_session(user(2), asks(3, ("c1", "t")), result(4, "c1"), answer(5))
    assert _usage_of(build_trace(a_run(), session)) == [None, None]


def test_usage_is_unknown_when_the_calls_are_not_the_answers() -> None:
    """An empty answer that was asked for again: four calls, one message."""
    session = a_session(user(2), answer(5, "(empty)", None), api_calls=4)
    assert _usage_of(build_trace(a_run(), session)) == [None]


def test_usage_of_one_call_with_one_answer_is_that_calls() -> None:
    assert _usage_of(build_trace(a_run(), a_session(user(2), answer(5)))) == [1000]


def _usage_of(spans: list[Span]) -> list[AttributeValue | None]:
    chats = [span for span in spans if span.name.startswith("chat")]
    return [span.attributes.get(sc.GEN_AI_USAGE_INPUT_TOKENS) for span in chats]


def test_a_call_without_a_result_ends_at_the_next_known_time() -> None:
    session = a_session(
        user(2), asks(3, ("c1", "a"), ("c2", "b")), result(4, "c1"), asks(6, ("c3", "c"))
    )  # fmt: skip
    spans = build_trace(a_run(outcome=Outcome.TIMEOUT, error_message="idle"), session)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10] ERROR _OTHER: idle
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9] ERROR _OTHER: idle
            chat claude-x [client 2..3]
            execute_tool a [internal 3..4]
            execute_tool b [internal 3..6] unfinished
            chat claude-x [client 4..6]
            execute_tool c [internal 6..9] unfinished
    """)


def test_an_agent_that_answered_is_not_to_blame_for_a_failed_run() -> None:
    run = a_run(outcome=Outcome.FAILURE, error_message="Skill(s) not found and skipped: x")
    spans = build_trace(run, a_session(user(2), answer(5)))
    assert [span.name for span in spans if span.error is not None] == ["cron nightly digest"]


def test_a_result_without_an_id_belongs_to_the_oldest_open_call() -> None:
    session = a_session(
        user(2), asks(3, ("c1", "a"), ("c2", "b")), result(4, None), result(5, "c2")
    )  # fmt: skip
    spans = build_trace(a_run(), session)
    assert "execute_tool a [internal 3..4]" in outline(spans)
    assert "execute_tool b [internal 3..5]" in outline(spans)


def test_two_calls_with_one_id_are_two_calls() -> None:
    """Some providers count their calls from one in each answer."""
    session = a_session(
        user(2), asks(3, ("c1", "t")), result(4, "c1"), asks(5, ("c1", "t")), result(7, "c1")
    )  # fmt: skip
    spans = build_trace(a_run(), session)
    assert [s.end_ns - s.start_ns for s in spans if s.name == "execute_tool t"] == [
        1 * SECOND, 2 * SECOND,
    ]  # fmt: skip


def test_a_nudge_of_the_host_does_not_begin_a_chat() -> None:
    """The turn limit: the host writes its request for a summary only when the answer is there."""
    session = a_session(
        user(2), asks(3, ("c1", "t")), result(4, "c1"), user(5.9, "Summarize."), answer(6)
    )  # fmt: skip
    assert "chat claude-x [client 4..6]" in outline(build_trace(a_run(), session))


def test_a_compressed_conversation_is_one_agent_and_its_copies_are_no_calls() -> None:
    """The host puts the kept messages back, a microsecond apart, and goes on."""
    kept = [
        user(5, "Summary of what was before"),
        asks(0, ("c1", "t"))._replace(timestamp_ns=at(5) + 1_000, is_copy=True),
        result(0, "c1")._replace(timestamp_ns=at(5) + 2_000),
    ]
    continued = a_session(
        *kept, asks(6, ("c2", "t")), result(7, "c2"), answer(8),
        session_id="20261121_110005_abcdef", started_ns=at(5), ended_ns=at(9), api_calls=2,
    )  # fmt: skip
    session = a_session(
        user(2), asks(3, ("c1", "t")), result(4, "c1"), ended_ns=at(5), children=(continued,)
    )  # fmt: skip
    spans = build_trace(a_run(delivery_outcome=DeliveryOutcome.DELIVERED), session)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2..3] in=1000 out=50
            execute_tool t [internal 3..4]
            chat claude-x [client 5..6]
            execute_tool t [internal 6..7]
            chat claude-x [client 7..8]
          deliver [producer 9..10]
    """)
    of_agent = [s for s in spans if s.name.split()[0] not in ("startup", "deliver")]
    assert {s.attributes[sc.GEN_AI_CONVERSATION_ID] for s in of_agent} == {SESSION}
    assert spans[0].attributes[sc.HERMES_CRON_RUN_TURNS] == 3


def test_a_background_subagent_stands_beside_the_call_that_it_outlives() -> None:
    child = a_subagent("s1", 3.5, 8, user(3.5), answer(7))
    session = a_session(
        user(2), asks(3, ("c1", "delegate_task")), result(4, "c1"), answer(8), children=(child,)
    )  # fmt: skip
    spans = build_trace(a_run(), session)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2..3]
            execute_tool delegate_task [internal 3..4]
            invoke_agent subagent [internal 3.5..8]
              chat claude-x [client 3.5..7] in=1000 out=50
            chat claude-x [client 4..8]
    """)


def test_subagents_of_parallel_delegations_are_shared_out() -> None:
    children = tuple(a_subagent(f"s{n}", 3.5, 4, user(3.5), answer(4)) for n in (1, 2))
    session = a_session(
        user(2),
        asks(3, ("c1", "delegate_task"), ("c2", "delegate_task")),
        result(5, "c1"), result(5, "c2"), answer(6),
        children=children,
    )  # fmt: skip
    spans = build_trace(a_run(), session)
    parents = [span.parent_id for span in spans if span.name == "invoke_agent subagent"]
    assert parents == [s.span_id for s in spans if s.name == "execute_tool delegate_task"]


def test_a_subagent_without_an_end_ends_with_its_last_message() -> None:
    """Hosts before 0.17 write none."""
    child = replace(a_subagent("s1", 4, 0, user(4), answer(6)), ended_ns=None)
    spans = build_trace(a_run(), a_session(user(2), answer(8), children=(child,)))
    assert "invoke_agent subagent [internal 4..6]" in outline(spans)


def test_a_subagent_without_an_end_holds_what_its_own_subagents_did() -> None:
    """A process that died in a nested delegation."""
    inner = replace(a_subagent("s2", 5, 0, user(5), answer(7)), ended_ns=None)
    asked = asks(4.5, ("c2", "delegate_task"))
    outer = a_subagent("s1", 4, 0, user(4), asked, children=(inner,))
    session = a_session(
        user(2), asks(3, ("c1", "delegate_task")), ended_ns=None, children=(replace(outer, ended_ns=None),)
    )  # fmt: skip
    shown = outline(build_trace(a_run(outcome=Outcome.ABANDONED), session))
    assert "invoke_agent subagent [internal 4..7]" in shown
    assert "chat claude-x [client 5..7]" in shown


def test_a_run_that_died_has_its_agent_until_its_end_and_no_delivery() -> None:
    run = a_run(outcome=Outcome.ABANDONED, delivery_outcome=DeliveryOutcome.DELIVERED)
    spans = build_trace(run, a_session(user(2), ended_ns=None))
    assert [span.name.split()[0] for span in spans] == ["cron", "startup", "invoke_agent"]
    assert spans[2].end_ns == at(10)
    assert sc.HERMES_CRON_RUN_DELIVERY_TIME not in spans[0].attributes


@pytest.mark.parametrize(
    "outcome", [o for o in DeliveryOutcome if o not in ("delivered", "failed")]
)
def test_what_was_not_delivered_has_no_delivery_span(outcome: DeliveryOutcome) -> None:
    spans = build_trace(a_run(delivery_outcome=outcome), a_session(user(2), answer(8)))
    assert [span.name.split()[0] for span in spans] == ["cron", "startup", "invoke_agent", "chat"]
    assert spans[0].attributes[sc.HERMES_CRON_DELIVERY_OUTCOME] == str(outcome)


def test_a_failed_delivery_is_an_error_of_its_own() -> None:
    run = a_run(
        delivery_outcome=DeliveryOutcome.FAILED,
        delivery_target="telegram:-1001,discord:42,mail to:bob@example.com",
        delivery_error="Connection refused by bot 123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
    )
    spans = build_trace(run, a_session(user(2), answer(8)))
    deliver = only(spans, "deliver telegram,discord")
    assert deliver.error == "Connection refused by bot [masked]"
    assert deliver.attributes[sc.ERROR_TYPE] == "network_error"
    assert deliver.attributes[sc.HERMES_CRON_DELIVERY_TARGET] == (
        "telegram:-1001,discord:42,mail to:[masked]"
    )
    assert spans[0].error is None
    assert spans[0].attributes[sc.HERMES_CRON_DELIVERY_ERROR] == deliver.error


def test_a_script_run_has_no_delivery_span_because_no_time_of_it_is_known() -> None:
    spans = build_trace(a_script_run(delivery_outcome=DeliveryOutcome.DELIVERED), None)
    assert [span.name for span in spans] == ["cron nightly digest", "script"]


def test_missed_runs_are_one_span_without_length_at_the_last_time_that_was_missed() -> None:
    run = a_script_run(
        outcome=Outcome.MISSED, outcome_source=OutcomeSource.INFERRED, missed_count=3,
        scheduler_down=True, error_type="scheduler_down", error_message="Should have run 3 times",
        skills=("news",), execution_id="missed_1", claimed_ns=None,
    )  # fmt: skip
    previous = a_run(session_id="cron_6c583f72f2e8_20261120_110002")
    (span,) = build_trace(run, None, previous=previous)
    assert (span.name, span.kind) == ("missed nightly digest", SpanKind.SERVER)
    assert (span.start_ns, span.end_ns) == (at(2), at(2))
    assert span.error == "Should have run 3 times"
    assert span.attributes == {
        "hermes.cron.job.id": "6c583f72f2e8",
        "hermes.cron.job.name": "nightly digest",
        "hermes.cron.schedule.kind": "cron",
        "hermes.cron.schedule.expression": "0 11 * * *",
        "hermes.cron.schedule.timezone": "UTC",
        "hermes.cron.run.id": "missed_1",
        "hermes.cron.run.outcome": "missed",
        "hermes.cron.run.outcome_source": "inferred",
        "hermes.cron.run.failed": True,
        "hermes.cron.run.missed_count": 3,
        "hermes.cron.run.missed_since": "2026-11-21T11:00:00Z",
        "hermes.cron.run.scheduler_down": True,
        "error.type": "scheduler_down",
    }
    assert (span.trace_id, span.span_id) == (
        trace_id("default", "missed_1"), span_id("default", "missed_1"),
    )  # fmt: skip
    assert [link.trace_id for link in span.links] == [trace_id("default", previous.identity)]


def test_a_clock_that_was_set_back_bends_no_span() -> None:
    session = a_session(user(4), asks(5, ("c1", "t")), result(3, "c1"), answer(1), ended_ns=at(0.5))
    spans = build_trace(a_run(), session)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..5]
            chat claude-x [client 4..5]
            execute_tool t [internal 5..5]
            chat claude-x [client 5..5]
    """)


# --- hosts before 0.18, which write an agent's messages down when it is done --------------------


def test_steps_that_were_written_down_together_are_in_order_and_have_no_times() -> None:
    session = a_session(
        user(8.99), asks(8.991, ("c1", "t")), result(8.992, "c1"), answer(8.993)
    )  # fmt: skip
    spans = build_trace(a_run(), session)

    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 8.991..8.991]
            execute_tool t [internal 8.992..8.992]
            chat claude-x [client 8.993..8.993]
    """)
    root = spans[0].attributes
    assert root["hermes.cron.trace.partial"] == "untimed"
    assert root["hermes.cron.run.turns"] == 2
    assert "hermes.cron.run.model_time" not in root
    assert "hermes.cron.run.tool_time" not in root


def test_so_are_they_when_only_the_prompt_was_written_at_its_time() -> None:
    """Hermes 0.17."""
    session = a_session(user(2.1), asks(8.991, ("c1", "t")), result(8.992, "c1"), answer(8.993))
    spans = build_trace(a_run(), session)

    assert [span.start_ns == span.end_ns for span in spans[3:]] == [True] * 3
    assert spans[0].attributes["hermes.cron.trace.partial"] == "untimed"


@pytest.mark.parametrize(("execution_id", "late"), [("e1", None), (None, "untimed")])
def test_an_answer_within_milliseconds_of_a_result_was_written_late_but_of_a_run_in_the_ledger(
    execution_id: str | None, late: str | None
) -> None:
    """A host with a ledger writes as it goes; the home of another may have been brought up to date."""
    session = a_session(
        user(3), asks(8.9, ("c1", "t")), result(8.910, "c1"), answer(8.920),
        in_ledger=execution_id is not None,
    )  # fmt: skip
    root, *_ = build_trace(a_run(execution_id=execution_id), session)
    assert root.attributes.get("hermes.cron.trace.partial") == late


def test_without_a_ledger_how_long_the_delivery_took_is_not_told() -> None:
    run = a_run(execution_id=None, delivery_outcome=DeliveryOutcome.DELIVERED)
    root, *_ = build_trace(run, a_session(user(2), answer(9)))
    assert sc.HERMES_CRON_RUN_DELIVERY_TIME not in root.attributes


def test_one_answer_alone_took_all_the_time_of_its_agent() -> None:
    spans = build_trace(a_run(), a_session(user(8.99), answer(8.992)))

    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 2..8.992] in=1000 out=50
    """)
    assert "hermes.cron.trace.partial" not in spans[0].attributes
    assert spans[0].attributes["hermes.cron.run.model_time"] == pytest.approx(6.992)


def test_a_run_that_never_got_an_answer_has_no_step_to_time() -> None:
    spans = build_trace(a_run(), a_session(user(8.99)))

    assert "hermes.cron.trace.partial" not in spans[0].attributes


def test_a_subagent_is_inside_the_one_call_that_was_written_down_late_and_the_call_is_as_long() -> None:  # fmt: skip
    child = a_subagent("sub", 4, 6, user(5.99), answer(5.991))
    session = a_session(
        user(8.99), asks(8.991, ("c1", "delegate_task")), result(8.992, "c1"), answer(8.993),
        children=(replace(child, ended_ns=None),),
    )  # fmt: skip
    spans = build_trace(a_run(), session)

    check_shape(spans)
    assert outline(spans) == tree("""
        cron nightly digest [server 0..10]
          startup [internal 0..2]
          invoke_agent hermes [internal 2..9]
            chat claude-x [client 4..4]
            execute_tool delegate_task [internal 4..8.992]
              invoke_agent subagent [internal 4..5.991]
                chat claude-x [client 4..5.991] in=1000 out=50
            chat claude-x [client 8.993..8.993]
    """)


def test_of_several_calls_that_were_written_down_late_no_one_knows_whose_a_subagent_is() -> None:
    child = a_subagent("sub", 4, 6, user(4), answer(6))
    session = a_session(
        user(8.99), asks(8.991, ("c1", "delegate_task"), ("c2", "delegate_task")),
        result(8.992, "c1"), result(8.9925, "c2"), answer(8.993), children=(child,),
    )  # fmt: skip
    spans = build_trace(a_run(), session)

    check_shape(spans)
    assert only(spans, "invoke_agent subagent").parent_id == only(spans, "invoke_agent hermes").span_id  # fmt: skip


def test_a_tool_that_took_no_time_and_a_quick_first_answer_are_no_sign_of_that() -> None:
    session = a_session(user(2), asks(2.005, ("c1", "t")), result(2.006, "c1"), answer(3))
    spans = build_trace(a_run(), session)

    assert "hermes.cron.trace.partial" not in spans[0].attributes
    assert only(spans, "execute_tool t").end_ns == at(2.006)


def test_a_run_that_left_an_output_file_alone_says_so_and_has_no_lateness() -> None:
    run = a_script_run(execution_id="output_6c583f72f2e8_20261121_110002", started_ns=at(2))
    root = build_trace(run, None)[0]

    assert root.attributes["hermes.cron.run.time_source"] == "output"
    assert root.attributes["hermes.cron.run.scheduled_time"]
    assert "hermes.cron.run.lateness" not in root.attributes
    assert root.start_ns == root.end_ns
