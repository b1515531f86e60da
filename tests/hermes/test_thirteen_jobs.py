"""What a real collector received of thirteen real runs, against what the host wrote of them.

Nothing here reads the plugin's own data, and nothing is compared with a constant that the host's
ledger, databases or jobs.json could tell.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.telemetry import semconv
from tests.support.collector import FaultyCollector, SpanDict
from tests.support.fake_llm import ANSWER, SUBTASK, FakeModel
from tests.support.golden import golden
from tests.support.hermes import HermesHome, hermes_with_plugin
from tests.support.observed import (
    Observed,
    expected_steps,
    facts,
    iso_ns,
    iso_utc,
    near,
    roots,
    seconds,
    step,
    time_of,
    total,
    usage_of,
)
from tests.support.rotel import running_rotel
from tests.support.semconv import fits
from tests.support.thirteen import KEYS, MANUAL, Thirteen, job_specs

pytestmark = pytest.mark.host

FAILED = {
    "bad_script": "script_failed",
    "http_401": "auth_failed",
    "http_500": "server_error",
    "empty": "empty_response",
}
"""`error.type` of the runs that fail; the others do not."""

OUTCOMES = {key: "failure" if key in FAILED else "success" for key in KEYS} | {"gated": "skipped"}
SCRIPTS = ("script", "bad_script")
AGENTS = tuple(key for key in KEYS if key not in (*SCRIPTS, "gated"))
"""Those that have a session."""

GOLDEN = Path(__file__).with_name("golden")

ZONE = ZoneInfo("America/St_Johns")
"""What Hermes is told to live in: nobody's default, and not whole hours from UTC."""

every_job = pytest.mark.parametrize("key", KEYS)
every_agent = pytest.mark.parametrize("key", AGENTS)


@pytest.fixture(scope="module")
def observed(model: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """All thirteen run once. The collector is stopped before its sink is read: nothing is left."""
    folder = tmp_path_factory.mktemp("thirteen")
    with (
        FaultyCollector() as sink,
        running_rotel(sink.endpoint, folder / "rotel.log") as rotel,
    ):
        home = HermesHome.make(
            folder / "home",
            hermes_with_plugin(),
            model_url=model.url,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.http_url},
        )
        home.configure({"timezone": ZONE.key})
        jobs = Thirteen.create(home, ZONE)
        jobs_before = {job["id"]: job for job in home.jobs()}
        jobs.run()
        home.plugin("sync")
        home.plugin("sync")  # has nothing to do, and must not send anything again
        rotel.drain()
        return Observed(jobs=jobs, jobs_before=jobs_before, spans=sink.spans)


@pytest.fixture(scope="module")
def afterwards(
    observed: Observed, model: FakeModel, tmp_path_factory: pytest.TempPathFactory
) -> Observed:
    """The same runs, sent by somebody who was not there: the host's files alone are left."""
    with FaultyCollector() as sink:
        home = observed.jobs.home.copy_to(
            tmp_path_factory.mktemp("afterwards") / "home",
            model_url=model.url,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint},
        )
        shutil.rmtree(home.path / "cronalytics-otel")
        home.plugin("sync")
        return replace(observed, spans=sink.spans)


# --- all of them, once ---------------------------------------------------------------------


def test_each_run_in_the_ledger_arrives_as_one_trace_and_once(observed: Observed) -> None:
    ledger = Counter(row["id"] for row in observed.jobs.home.executions())
    arrived = Counter(s["attributes"]["hermes.cron.run.id"] for s in roots(observed.spans))

    assert len(ledger) == len(KEYS)
    assert arrived == ledger
    assert len({span["trace_id"] for span in observed.spans}) == len(KEYS)


def test_no_span_arrives_twice(observed: Observed) -> None:
    ids = Counter((span["trace_id"], span["span_id"]) for span in observed.spans)

    assert [span for span, count in ids.items() if count > 1] == []


def test_the_runs_themselves_went_as_the_host_has_always_run_them(observed: Observed) -> None:
    """The plugin changes nothing: just the four fail that fail without it."""
    status = {key: observed.execution(key)["status"] for key in KEYS}

    assert status == {key: "failed" if key in FAILED else "completed" for key in KEYS}


# --- the root span, field by field ---------------------------------------------------------


@every_job
def test_the_root_has_the_jobs_name_and_ids(observed: Observed, key: str) -> None:
    root, job = observed.root(key), observed.job(key)

    assert root["name"] == f"cron {job['name']}"
    assert root["kind"] == "server"
    assert facts(root, "hermes.cron.job.") == {
        "id": job["id"],
        "name": job["name"],
        "mode": "script" if job["no_agent"] else "agent",
        **({"skills": job["skills"]} if job["skills"] else {}),
    }


@every_job
def test_the_root_has_the_ids_of_the_execution_and_of_the_session(
    observed: Observed, key: str
) -> None:
    attributes = observed.root(key)["attributes"]
    session_id = observed.family(key)[0]["id"] if key in AGENTS else None

    assert attributes["hermes.cron.run.id"] == observed.execution(key)["id"]
    assert attributes.get("session.id") == session_id
    assert attributes.get("gen_ai.conversation.id") == session_id


@every_job
def test_the_root_starts_and_ends_when_the_ledger_says(observed: Observed, key: str) -> None:
    root, execution = observed.root(key), observed.execution(key)

    assert root["start_ns"] == iso_ns(execution["started_at"])
    assert root["end_ns"] == iso_ns(execution["finished_at"])
    assert root["attributes"]["hermes.cron.run.queue_time"] == pytest.approx(
        seconds(execution["claimed_at"], execution["started_at"]), abs=1e-6
    )


@every_job
def test_the_outcome_is_the_ledgers(observed: Observed, key: str) -> None:
    attributes = observed.root(key)["attributes"]

    assert attributes["hermes.cron.run.outcome"] == OUTCOMES[key]
    assert attributes["hermes.cron.run.outcome_source"] == "ledger"
    assert attributes["hermes.cron.run.failed"] is (key in FAILED)


@every_job
def test_a_failure_has_the_hosts_own_text_and_anything_else_no_error(
    observed: Observed, key: str
) -> None:
    root = observed.root(key)

    assert root["status"] == ("error" if key in FAILED else "unset")
    assert root["status_message"] == (observed.execution(key)["error"] or "")
    assert root["attributes"].get("error.type") == FAILED.get(key)


@every_job
def test_a_run_by_hand_is_told_from_one_of_the_schedule(observed: Observed, key: str) -> None:
    attributes = observed.root(key)["attributes"]
    by_hand = observed.execution(key)["source"] == "direct"

    assert by_hand == (key == MANUAL)
    assert attributes["hermes.cron.run.trigger"] == ("manual" if by_hand else "schedule")


@every_job
def test_the_schedule_is_the_owners(observed: Observed, key: str) -> None:
    """That of the one-shot too, which the host deleted after its run."""
    schedule = observed.job(key)["schedule"]

    assert facts(observed.root(key), "hermes.cron.schedule.") == {
        "kind": schedule["kind"],
        "expression": schedule["display"],
        "timezone": ZONE.key,
    }


def test_the_host_has_deleted_the_one_shot(observed: Observed) -> None:
    assert observed.job("once")["id"] not in {job["id"] for job in observed.jobs.home.jobs()}


@every_job
def test_lateness_is_counted_from_when_the_run_was_due(observed: Observed, key: str) -> None:
    attributes = observed.root(key)["attributes"]
    execution = observed.execution(key)
    if execution["source"] == "direct":
        assert "hermes.cron.run.scheduled_time" not in attributes
        assert "hermes.cron.run.lateness" not in attributes
        return

    due = observed.jobs.due[key]
    assert attributes["hermes.cron.run.scheduled_time"] == iso_utc(due)
    assert attributes["hermes.cron.run.lateness"] == pytest.approx(
        seconds(due.isoformat(), execution["started_at"]), abs=1e-6
    )


@every_job
def test_tokens_are_the_sum_of_all_sessions_and_auxiliary_calls(
    observed: Observed, key: str
) -> None:
    rows = observed.spending(key)

    assert facts(observed.root(key), "hermes.cron.usage.") == (usage_of(rows) if rows else {})


@every_job
def test_cost_is_the_hosts_and_absent_where_the_host_knows_none(
    observed: Observed, key: str
) -> None:
    priced = [row for row in observed.spending(key) if row["cost_status"]]
    assert {row["cost_status"] for row in priced} <= {"estimated"}

    cost = facts(observed.root(key), "hermes.cron.cost.")

    if priced:
        expected = sum(row["estimated_cost_usd"] for row in priced)
        # The host does not count the summary that it asks for at the turn limit.
        status = "partial" if key == "loop" else "estimated"
        assert cost == {"total": pytest.approx(expected, rel=1e-12), "status": status}
    else:
        assert cost == {}


@every_job
def test_calls_tools_and_subagents_are_counted_over_all_sessions(
    observed: Observed, key: str
) -> None:
    family = observed.family(key)
    counted = {
        name: observed.root(key)["attributes"].get(f"hermes.cron.run.{name}")
        for name in ("api_calls", "tool_calls", "subagents")
    }

    assert counted == {
        "api_calls": total(observed.spending(key), "api_call_count") if family else None,
        "tool_calls": total(family, "tool_call_count") if family else None,
        "subagents": len(family) - 1 if family else None,
    }


@every_job
def test_model_and_provider_are_the_sessions(observed: Observed, key: str) -> None:
    expected = {}
    for session in observed.family(key)[:1]:
        named = {"name": session["model"], "provider": session["billing_provider"]}
        expected = {name: value for name, value in named.items() if value is not None}

    assert facts(observed.root(key), "hermes.cron.model.") == expected


@every_job
def test_a_root_is_not_taken_for_a_model_call(observed: Observed, key: str) -> None:
    """Backends price, once more, any span that has these."""
    names = observed.root(key)["attributes"]

    assert [name for name in names if name.startswith(("gen_ai.usage", "gen_ai.request"))] == []


@every_job
def test_local_delivery_is_none(observed: Observed, key: str) -> None:
    assert observed.job(key)["deliver"] == "local"

    assert facts(observed.root(key), "hermes.cron.delivery.") == {
        "outcome": "not_configured",
        "target": "local",
    }


def test_only_the_silent_run_is_silent(observed: Observed) -> None:
    silent = [key for key in KEYS if observed.root(key)["attributes"].get("hermes.cron.run.silent")]

    assert silent == ["silent"]


# --- the steps -----------------------------------------------------------------------------


@every_agent
def test_the_steps_are_the_hosts_messages(afterwards: Observed, key: str) -> None:
    """Each answer a `chat`, each result an `execute_tool`, of subagents too."""
    agents = afterwards.agents(key)

    assert agents.keys() == {session["id"] for session in afterwards.family(key)}
    for session in afterwards.family(key):
        children = afterwards.children(agents[session["id"]])
        assert [step(span) for span in children] == expected_steps(afterwards, session)


@every_agent
def test_the_start_of_a_run_is_a_step_until_the_agent_s_session(
    observed: Observed, key: str
) -> None:
    root = observed.root(key)
    (startup,) = (s for s in observed.children(root) if s["name"] == "startup")

    assert (startup["kind"], startup["attributes"]) == ("internal", {})
    assert startup["start_ns"] == root["start_ns"]
    assert startup["end_ns"] == near(observed.family(key)[0]["started_at"])
    assert root["attributes"]["hermes.cron.run.startup_time"] == pytest.approx(
        (startup["end_ns"] - startup["start_ns"]) / 1e9
    )


@every_agent
def test_a_chat_tells_its_server_and_what_it_cost_if_it_was_the_only_call(
    afterwards: Observed, key: str
) -> None:
    for session in afterwards.family(key):
        chats = [
            span["attributes"]
            for span in afterwards.trace(key)
            if span["name"].startswith("chat ")
            and span["attributes"]["gen_ai.conversation.id"] == session["id"]
        ]
        alone = len(chats) == 1 and session["api_call_count"] == 1
        cost = session["estimated_cost_usd"] if alone and session["cost_status"] else None
        for chat in chats:
            assert chat.get("server.address") == "127.0.0.1"
            assert chat.get("hermes.cron.step.cost") == cost


@every_agent
def test_an_agent_span_is_its_session_from_start_to_end(observed: Observed, key: str) -> None:
    """The run's own agent fails with the run; a subagent did not."""
    root = observed.root(key)
    for session in observed.family(key):
        span = observed.agents(key)[session["id"]]
        own = session["parent_session_id"] is None
        assert step(span) == {
            "name": f"invoke_agent {'hermes' if own else 'subagent'}",
            "kind": "internal",
            "start_ns": near(session["started_at"]),
            "end_ns": near(session["ended_at"]),
            "status": root["status"],
            "status_message": root["status_message"],
            "attributes": {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.conversation.id": session["id"],
                "gen_ai.agent.name": "hermes" if own else "subagent",
                **({"error.type": FAILED[key]} if key in FAILED else {}),
            },
        }


@every_agent
def test_turns_and_the_time_of_models_and_tools_are_those_of_the_messages(
    afterwards: Observed, key: str
) -> None:
    """While a subagent's model works, its parent's tool waits: that time counts once, as model's."""
    sessions = [afterwards.turns(session["id"]) for session in afterwards.family(key)]
    own, *others = sessions
    answers = [message for message in own if message["role"] == "assistant"]
    model = sum(time_of("assistant", messages) for messages in sessions)
    tool = time_of("tool", own) - sum(time_of("assistant", messages) for messages in others)
    run = facts(afterwards.root(key), "hermes.cron.run.")

    assert run["turns"] == len(answers)
    assert run.get("model_time") == (pytest.approx(model, abs=1e-5) if answers else None)
    assert run["tool_time"] == pytest.approx(tool, abs=1e-5)


def test_a_subagent_is_inside_the_tool_call_that_started_it(observed: Observed) -> None:
    startup, agent = observed.children(observed.root("delegate"))
    (call,) = (s for s in observed.children(agent) if s["name"] == "execute_tool delegate_task")
    (subagent,) = observed.children(call)

    assert startup["name"] == "startup"
    assert subagent["name"] == "invoke_agent subagent"
    names = [span["name"] for span in observed.children(subagent)]
    assert names == ["chat fake-model", "execute_tool terminal", "chat fake-model"]


@every_agent
def test_a_calls_usage_is_told_where_it_is_known_and_never_divided(
    afterwards: Observed, key: str
) -> None:
    for session in afterwards.family(key):
        chats = [
            span
            for span in afterwards.trace(key)
            if span["name"].startswith("chat ")
            and span["attributes"]["gen_ai.conversation.id"] == session["id"]
        ]
        cached = session["cache_read_tokens"]
        alone = len(chats) == 1 and session["api_call_count"] == 1
        usage = {
            "input_tokens": session["input_tokens"] + cached + session["cache_write_tokens"],
            "output_tokens": session["output_tokens"],
            "cache_read.input_tokens": cached,
            "cache_creation.input_tokens": session["cache_write_tokens"],
            "reasoning.output_tokens": session["reasoning_tokens"],
        }
        for chat in chats:
            assert facts(chat, "gen_ai.usage.") == (usage if alone else {})


@every_job
def test_only_the_one_that_never_came_to_an_end_reached_its_limit_of_turns(
    observed: Observed, key: str
) -> None:
    reached = observed.root(key)["attributes"].get("hermes.cron.run.turn_limit_reached")

    assert reached is ((key == "loop") if key in AGENTS else None)


@every_job
def test_only_a_skipped_run_has_a_reason_for_it(observed: Observed, key: str) -> None:
    reason = observed.root(key)["attributes"].get("hermes.cron.run.skip_reason")

    assert reason == ("wake_agent_false" if key == "gated" else None)


@pytest.mark.parametrize("key", [*SCRIPTS, "gated"])
def test_a_script_run_has_the_script_and_nothing_else(observed: Observed, key: str) -> None:
    root = observed.root(key)

    (script,) = observed.children(root)

    assert len(observed.trace(key)) == 2
    assert (script["name"], script["kind"]) == ("script", "internal")
    code = re.match(r"Script exited with code (\d+)", observed.execution(key)["error"] or "")
    assert script["attributes"] == {
        "process.exit.code": int(code[1]) if code else 0,
        **({"error.type": FAILED[key]} if key in FAILED else {}),
    }
    assert (script["status"], script["status_message"]) == (root["status"], root["status_message"])


@every_job
def test_each_step_lies_within_its_parent(observed: Observed, key: str) -> None:
    by_id = {span["span_id"]: span for span in observed.trace(key)}
    for span in by_id.values():
        if span["parent_id"] is not None:
            parent = by_id[span["parent_id"]]
            assert parent["start_ns"] <= span["start_ns"] <= span["end_ns"] <= parent["end_ns"]


def is_failed_chat(span: SpanDict) -> bool:
    return bool(span["name"].startswith("chat ") and span["status"] == "error")


# --- seen live, and read afterwards --------------------------------------------------------


@every_job
def test_who_was_there_and_who_was_not_tell_the_same_tree(
    observed: Observed, afterwards: Observed, key: str
) -> None:
    """But for the call that failed for good: the host's messages do not show it."""

    def shape(spans: list[SpanDict]) -> set[tuple[str, str, str | None, str]]:
        return {(s["trace_id"], s["span_id"], s["parent_id"], s["name"]) for s in spans}

    failed = [s for s in observed.trace(key) if is_failed_chat(s)]
    others = [s for s in observed.trace(key) if not is_failed_chat(s)]
    assert shape(others) == shape(afterwards.trace(key))
    assert len(failed) == (key in ("http_401", "http_500"))


@every_job
def test_who_was_there_and_who_was_not_tell_the_same_of_the_run(
    observed: Observed, afterwards: Observed, key: str
) -> None:
    """But for what adds up its steps' times, and what the host no longer has: when it was due."""
    same = ("id", "outcome", "outcome_source", "api_calls", "tool_calls", "subagents", "turns")
    names = [f"hermes.cron.run.{name}" for name in same]
    families = ("hermes.cron.cost.", "hermes.cron.model.", "gen_ai.", "error.")

    def compared(one: Observed) -> dict[str, object]:
        attributes = one.root(key)["attributes"]
        return {n: v for n, v in attributes.items() if n in names or n.startswith(families)}

    assert compared(observed) == compared(afterwards)
    assert (
        facts(observed.root(key), "hermes.cron.usage.").items()
        <= facts(afterwards.root(key), "hermes.cron.usage.").items()
    )


@every_agent
def test_live_a_call_lies_within_the_time_that_its_messages_leave_it(
    observed: Observed, afterwards: Observed, key: str
) -> None:
    read = {span["span_id"]: span for span in afterwards.trace(key)}
    for span in observed.trace(key):
        if is_failed_chat(span):
            continue
        outer = read[span["span_id"]]
        assert outer["start_ns"] <= span["start_ns"] <= span["end_ns"] <= outer["end_ns"]


@every_agent
def test_live_the_calls_add_up_to_the_run(observed: Observed, key: str) -> None:
    on_calls = sum(
        span["attributes"].get(f"gen_ai.usage.{name}", 0)
        for span in observed.trace(key)
        for name in ("input_tokens", "output_tokens")
    )
    root = observed.root(key)["attributes"]

    assert on_calls == root["hermes.cron.usage.total_tokens"]
    assert "hermes.cron.usage.unattributed_tokens" not in root


@every_agent
def test_read_afterwards_the_root_says_what_stands_on_no_call(
    afterwards: Observed, key: str
) -> None:
    on_calls = sum(
        span["attributes"].get(f"gen_ai.usage.{name}", 0)
        for span in afterwards.trace(key)
        for name in ("input_tokens", "output_tokens")
    )
    root = afterwards.root(key)["attributes"]
    rest = root["hermes.cron.usage.total_tokens"] - on_calls

    assert root.get("hermes.cron.usage.unattributed_tokens", 0) == rest


def test_live_each_answer_says_which_model_gave_it_and_how_many_were_rejected(
    observed: Observed,
) -> None:
    (chat,) = (s for s in observed.trace("empty") if s["name"].startswith("chat "))

    assert chat["attributes"]["gen_ai.response.model"] == "fake-model"
    calls = total(observed.family("empty"), "api_call_count")
    assert calls > 1
    assert chat["attributes"]["hermes.cron.step.api_calls"] == calls


@pytest.mark.parametrize(
    ("key", "status", "error_type"),
    [("http_401", 401, "auth_failed"), ("http_500", 500, "server_error")],
)
def test_live_a_call_that_failed_for_good_is_a_chat_and_each_attempt_an_event(
    observed: Observed, key: str, status: int, error_type: str
) -> None:
    (agent,) = observed.agents(key).values()
    (chat,) = observed.children(agent)
    limit = chat["events"][0]["attributes"]["hermes.cron.retry.limit"]

    assert is_failed_chat(chat)
    assert chat["attributes"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "hermes",
        "gen_ai.conversation.id": observed.family(key)[0]["id"],
        "gen_ai.request.model": "fake-model",
        "gen_ai.provider.name": "custom",
        "server.address": "127.0.0.1",
        "error.type": error_type,
    }
    for number, event in enumerate(chat["events"]):
        assert event["name"] == "exception"
        assert chat["start_ns"] <= event["time_ns"] <= chat["end_ns"]
        attributes = event["attributes"]
        assert attributes["http.response.status_code"] == status
        assert attributes["error.type"] == error_type
        assert attributes["hermes.cron.retry.attempt"] == number
    # A key that is wrong is wrong at the next attempt too.
    assert len(chat["events"]) == (limit if status == 500 else 1)


def test_no_run_that_went_well_has_an_event(observed: Observed) -> None:
    assert all(is_failed_chat(s) for s in observed.spans if s["events"])
    assert len([s for s in observed.spans if s["events"]]) == 2


# --- whole -------------------------------------------------------------------------------


@every_job
def test_the_whole_trace_is_the_one_that_was_reviewed(observed: Observed, key: str) -> None:
    """`make golden` writes them anew: read the difference before you commit it."""
    ids = {observed.job(key)["id"]: "job", observed.execution(key)["id"]: "run"}
    for number, session in enumerate(observed.family(key)):
        ids[session["id"]] = f"session {number}" if number else "session"
    trace = golden(observed.trace(key), ids)
    path = GOLDEN / f"{key}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        path.write_text(trace, encoding="utf-8")

    assert trace == path.read_text(encoding="utf-8")


# --- all spans -----------------------------------------------------------------------------


def test_every_name_is_registered_and_every_value_has_its_type(observed: Observed) -> None:
    registered = {row.name: row for row in semconv.ATTRIBUTES}
    unknown, mistyped = set(), set()
    for span in observed.spans:
        for name, value in [*span["attributes"].items(), *span["resource"].items()]:
            if name not in registered:
                unknown.add(name)
            elif not fits(registered[name].type, tuple(value) if type(value) is list else value):
                mistyped.add((name, value))

    assert (unknown, mistyped) == (set(), set())


def test_the_resource_says_what_runs_where(observed: Observed) -> None:
    resources = [json.dumps(span["resource"], sort_keys=True) for span in observed.spans]
    (resource,) = (json.loads(text) for text in set(resources))

    assert resource["service.name"] == "hermes-cron"
    assert resource["hermes.version"] == observed.jobs.home.hermes.version
    assert resource["hermes.profile.name"] == "default"
    assert {"service.version", "service.instance.id", "host.name"} <= resource.keys()


def test_no_text_of_a_conversation_and_no_secret_leaves(observed: Observed) -> None:
    """Content is off unless its owner switches it on."""
    private = [ANSWER, SUBTASK, "echo step", "not-a-real-key"]
    private += [spec.prompt for spec in job_specs(datetime.now()).values() if spec.prompt]
    everything = json.dumps(observed.spans, ensure_ascii=False)

    assert [text for text in private if text in everything] == []
