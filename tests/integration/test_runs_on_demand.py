"""The dashboard of Hermes 0.19 runs a job now: its scheduler starts it, and no schedule did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome, Run, Trigger
from cronalytics_otel.model.times import Zone
from tests.support.homes import BuiltRun, HomeBuilder, epoch_ns

NINE = datetime(2026, 5, 4, 9, 0, 20, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    return HomeBuilder(tmp_path / "home")


def sync(home: HomeBuilder, now: datetime) -> None:
    home.write()
    with Journal.open(Home(home.path).journal) as journal:
        harvest(Home(home.path), journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(now))


def run_of(home: HomeBuilder, built: BuiltRun) -> Run:
    with Journal.open(Home(home.path).journal) as journal:
        runs = {run.execution_id: run for run in journal.queries.runs(RunFilter())}
    return runs[built.expected.execution_id]


def test_a_run_between_two_occurrences_is_a_person_s(home: HomeBuilder) -> None:
    """In a history that is read for the first time."""
    job = home.job("digest", cron="0 9 * * *", created=NINE - DAY)
    home.agent_run(job, NINE)
    asked = home.agent_run(job, NINE + timedelta(hours=5))
    next_one = home.agent_run(job, NINE + DAY)
    sync(home, NINE + 2 * DAY)

    run = run_of(home, asked)
    assert (run.trigger, run.scheduled_ns, run.lateness_s) == (Trigger.MANUAL, None, None)
    assert run_of(home, next_one).trigger is Trigger.SCHEDULE
    assert run_of(home, next_one).lateness_s == 20.0


@pytest.mark.parametrize("seen_in_between", [True, False])
def test_a_job_with_an_interval_that_was_seen_before(
    home: HomeBuilder, seen_in_between: bool
) -> None:
    """The host makes it due now; a harvest may see that."""
    job = home.job("digest", every_minutes=60, created=NINE - timedelta(hours=1))
    sync(home, NINE - timedelta(minutes=30))
    home.agent_run(job, NINE)
    sync(home, NINE + timedelta(minutes=5))
    now = NINE + timedelta(minutes=20)
    if seen_in_between:
        home.jobs[job]["next_run_at"] = now.isoformat()
        sync(home, now + timedelta(seconds=5))
    asked = home.agent_run(job, now + timedelta(seconds=30))
    next_one = home.agent_run(job, now + timedelta(minutes=61))
    sync(home, now + timedelta(hours=2))

    run = run_of(home, asked)
    assert (run.trigger, run.scheduled_ns) == (Trigger.MANUAL, None)
    assert run_of(home, next_one).trigger is Trigger.SCHEDULE


def test_a_run_that_catches_up_is_none_of_these(home: HomeBuilder) -> None:
    job = home.job("digest", cron="0 9 * * *", created=NINE - DAY)
    home.agent_run(job, NINE)
    late = home.agent_run(job, NINE + DAY + timedelta(hours=5))
    sync(home, NINE + 2 * DAY)

    assert run_of(home, late).trigger is Trigger.CATCH_UP


def test_runs_of_a_schedule_that_was_edited_since_are_no_person_s(home: HomeBuilder) -> None:
    """It ran every hour, and is daily by the time at which it is first seen."""
    job = home.job("digest", cron="15 * * * *", created=NINE - DAY)
    built = [home.agent_run(job, NINE + timedelta(hours=number, minutes=15)) for number in range(4)]
    home.jobs[job]["schedule"] = {"kind": "cron", "expr": "0 9 * * *", "display": "0 9 * * *"}
    sync(home, NINE + 2 * DAY)

    assert {run_of(home, each).trigger for each in built} == {Trigger.SCHEDULE}


def test_nothing_was_missed_because_somebody_ran_the_job(home: HomeBuilder) -> None:
    job = home.job("digest", cron="0 9 * * *", created=NINE - DAY)
    for number in range(3):
        home.agent_run(job, NINE + number * DAY)
        home.agent_run(job, NINE + number * DAY + timedelta(hours=5))
    sync(home, NINE + 4 * DAY)

    with Journal.open(Home(home.path).journal) as journal:
        runs = journal.queries.runs(RunFilter())
    assert {run.outcome for run in runs} == {Outcome.SUCCESS}
    assert [run.trigger for run in runs].count(Trigger.MANUAL) == 3
