"""A person goes on with the session of a run: the run stays what it was, in journal and trace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.config import load_settings
from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import CostStatus, ModelCall, Outcome, Run, Usage
from cronalytics_otel.model.series import SeriesKind
from cronalytics_otel.model.times import Zone
from cronalytics_otel.sync import sync
from tests.support.collector import FaultyCollector
from tests.support.home_facts import Row
from tests.support.homes import BuiltRun, HomeBuilder, Subagent, Tokens, epoch_ns
from tests.support.host_schema import SHAPE_0_18, SHAPE_0_19
from tests.support.resumed import QUESTION, REPLY, resume

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
NOON = NINE + timedelta(hours=3)
OWN = Tokens(input=1_000, output=50)


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


def a_run(host: HomeBuilder, **how: object) -> BuiltRun:
    job = host.job("digest", every_minutes=30)
    settings: Row = {"tokens": OWN, "cost": 0.01, "tools": ["search"], **how}
    return host.agent_run(job, NINE, 20.0, **settings)


def only_run(host: HomeBuilder, *, at: datetime = NOON, genai_metrics: bool = False) -> Run:
    with Journal.open(Home(host.path).journal) as journal:
        harvest(
            Home(host.path),
            journal,
            Zone(info=UTC, name="UTC"),
            now_ns=epoch_ns(at),
            genai_metrics=genai_metrics,
        )
        (run,) = journal.queries.runs(RunFilter())
    return run


@pytest.fixture(params=["ledger", "no ledger"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> HomeBuilder:
    """A home of 0.19, and one of 0.18, whose host keeps no ledger and counts no models."""
    has_ledger = request.param == "ledger"
    shape = SHAPE_0_19 if has_ledger else SHAPE_0_18
    return HomeBuilder(tmp_path / "home", shape=shape, with_ledger=has_ledger)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "still open"])
def test_the_run_ends_before_the_chat_that_goes_on_with_its_session(
    host: HomeBuilder, closed: bool
) -> None:
    built = a_run(host)
    resume(host, built, NINE + timedelta(hours=1), closed=closed)
    host.write()

    run = only_run(host)

    assert run.outcome is Outcome.SUCCESS
    assert (run.started_ns, run.tool_calls) == (built.expected.started_ns, 1)
    assert abs(run.ended_ns - built.expected.ended_ns) < 20_000_000


def test_a_run_whose_rows_were_mixed_with_a_chat_has_no_usage_rather_than_the_sum(
    host: HomeBuilder,
) -> None:
    resume(host, a_run(host), NINE + timedelta(hours=1))
    host.write()

    run = only_run(host)

    assert (run.usage, run.cost_usd, run.cost_status) == (None, None, CostStatus.UNKNOWN)
    assert run.api_calls is None
    assert run.cost_is_unknown


def test_usage_of_another_model_in_the_chat_is_kept_apart_by_the_host(tmp_path: Path) -> None:
    host = HomeBuilder(tmp_path / "home")
    resume(host, a_run(host), NINE + timedelta(hours=1), model="chat-model")
    host.write()

    run = only_run(host)

    assert (run.usage, run.cost_usd) == (OWN.usage, 0.01)
    assert (run.model, run.api_calls, run.cost_status) == ("fake-model", 2, CostStatus.ESTIMATED)


def test_what_hooks_observed_in_the_run_is_its_usage(host: HomeBuilder) -> None:
    built = a_run(host)
    resume(host, built, NINE + timedelta(hours=1))
    host.write()
    session = built.expected.session_id or ""
    with Journal.open(Home(host.path).journal) as journal:
        seen = [
            ModelCall(started_ns=epoch_ns(at), ended_ns=epoch_ns(at) + 1, usage=usage)
            for at, usage in (
                (NINE + timedelta(seconds=5), Usage(input_tokens=600, output_tokens=20)),
                (NINE + timedelta(seconds=15), Usage(input_tokens=400, output_tokens=30)),
                (NINE + timedelta(hours=1), Usage(input_tokens=7_000, output_tokens=300)),
            )
        ]
        journal.observations.add([(session, session, each) for each in seen], 0)

    run = only_run(host, genai_metrics=True)

    assert run.usage == Usage(input_tokens=1_000, output_tokens=50)
    assert (run.api_calls, run.cost_usd) == (2, None)
    with Journal.open(Home(host.path).journal) as journal:
        counted = [
            each.total.value
            for each in journal.series.all()
            if each.key.kind is SeriesKind.CALL_TOKENS
        ]
    assert sum(counted) == 1_050


def test_a_visit_without_a_word_changes_nothing(host: HomeBuilder) -> None:
    built = a_run(host)
    resume(host, built, NINE + timedelta(hours=1), asks=False)
    host.write()

    run = only_run(host)

    assert (run.usage, run.cost_usd) == (OWN.usage, 0.01)
    assert abs(run.ended_ns - built.expected.ended_ns) < 20_000_000


def test_a_subagent_of_the_chat_is_not_the_run_s(host: HomeBuilder) -> None:
    built = a_run(host, subagents=[Subagent(goal="Look it up")])
    at = NINE + timedelta(hours=1)
    resume(host, built, at)
    parent = built.expected.session_id
    later = {"parent_session_id": parent, "source": "subagent", "input_tokens": 9_000}
    host.session("20260504_100002_abcdef", at + timedelta(seconds=2), **later)
    host.write()

    assert only_run(host).subagents == 1


def test_a_session_that_was_copied_to_go_on_in_is_not_the_run_s(host: HomeBuilder) -> None:
    built = a_run(host)
    at = NINE + timedelta(hours=1)
    resume(host, built, at, asks=False)
    session_id = built.expected.session_id or ""
    host.do(
        lambda: host.disk.update(
            "sessions", session_id, {"ended_at": at.timestamp(), "end_reason": "branched"}
        )
    )
    host.session("20260504_100000_abcdef", at, parent_session_id=session_id, input_tokens=9_000)
    host.write()

    run = only_run(host)

    assert (run.subagents, run.usage) == (0, OWN.usage)


def test_a_run_that_gave_no_answer_ends_before_the_chat_too(tmp_path: Path) -> None:
    host = HomeBuilder(tmp_path / "home", shape=SHAPE_0_18, with_ledger=False)
    built = a_run(host, outcome="failure", tokens=None, cost=None, tools=[])
    resume(host, built, NINE + timedelta(hours=1))
    host.write()

    run = only_run(host)

    assert run.outcome is Outcome.FAILURE
    assert run.ended_ns < epoch_ns(NINE + timedelta(minutes=1))


def test_the_host_s_own_requests_to_its_agent_do_not_end_the_run(host: HomeBuilder) -> None:
    """At the turn limit the host asks for a summary; and a killed run's session has no end."""
    built = a_run(host, outcome="turn_limit", tools=["search", "search"])
    session = built.expected.session_id or ""
    host.do(lambda: host.disk.update("sessions", session, {"ended_at": None, "end_reason": None}))
    host.write()

    run = only_run(host, at=NINE + timedelta(days=2))

    assert run.tool_calls == 2
    assert run.usage == OWN.usage


@pytest.mark.parametrize("resumed_before_the_sync", [True, False])
def test_nothing_of_the_chat_leaves(
    host: HomeBuilder, collector: FaultyCollector, resumed_before_the_sync: bool
) -> None:
    built = a_run(host)
    host.write()
    if not resumed_before_the_sync:
        only_run(host)
    resume(host, built, NINE + timedelta(hours=1))
    host.write()
    document = {
        "timezone": "UTC",
        "plugins": {"entries": {"cronalytics-otel": {"content": "full"}}},
    }
    (host.path / "config.yaml").write_text(json.dumps(document))
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    sync(Home(host.path), load_settings(host.path, environ))

    sent = json.dumps(collector.spans)
    assert "Report the news" in sent
    assert QUESTION not in sent
    assert REPLY not in sent
    names = [span["name"].split()[0] for span in collector.spans]
    assert names.count("chat") == 2
    (root,) = [span for span in collector.spans if span["parent_id"] is None]
    assert root["attributes"]["hermes.cron.run.turns"] == 2
    assert max(span["end_ns"] for span in collector.spans) <= root["end_ns"]
