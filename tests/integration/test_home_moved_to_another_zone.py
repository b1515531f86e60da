"""The zone of a home was changed: each run is read in the zone that the host was in at that time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter

from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome, Run, Trigger
from cronalytics_otel.model.times import Zone
from tests.support.homes import HomeBuilder, epoch_ns

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
DAYS = 5


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


def runs_of(home: HomeBuilder, zone: ZoneInfo, now: datetime) -> list[Run]:
    with Journal.open(Home(home.path).journal) as journal:
        read = Zone(info=zone, name=zone.key)
        harvest(Home(home.path), journal, read, now_ns=epoch_ns(now))
        return sorted(journal.queries.runs(RunFilter()), key=lambda run: run.ended_ns)


def nine(day: int, zone: ZoneInfo) -> datetime:
    return datetime(2026, 5, day, 9, 0, 20, tzinfo=zone)


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """A job at nine o'clock in Shanghai, and a gate that skipped its last run."""
    home = HomeBuilder(tmp_path / "home", timezone="Asia/Shanghai")
    job = home.job("digest", cron="0 9 * * *", script="gate.sh", created=nine(1, SHANGHAI))
    for day in range(2, 2 + DAYS - 1):
        home.agent_run(job, nine(day, SHANGHAI), script_s=2.0, script_output="ready")
    home.gated_run(job, nine(1 + DAYS, SHANGHAI))
    return home


def test_a_history_of_another_zone_is_on_time(home: HomeBuilder) -> None:
    home.write()
    runs = runs_of(home, ZoneInfo("UTC"), nine(20, SHANGHAI))

    assert [(run.trigger, run.lateness_s) for run in runs] == [(Trigger.SCHEDULE, 20.0)] * DAYS
    assert {run.schedule_timezone for run in runs} == {None}


def test_what_is_read_off_the_wall_clock_is_of_that_zone_too(home: HomeBuilder) -> None:
    """The time at which a script ended stands in the session's id, that of an output in its name."""
    home.write()
    runs = runs_of(home, ZoneInfo("UTC"), nine(20, SHANGHAI))

    assert [run.script_ended_ns for run in runs[:-1]] == [
        epoch_ns(nine(day, SHANGHAI) + timedelta(seconds=2)) // 10**9 * 10**9
        for day in range(2, 1 + DAYS)
    ]
    assert (runs[-1].outcome, str(runs[-1].skip_reason)) == (Outcome.SKIPPED, "wake_agent_false")


def test_after_the_move_nothing_was_missed_and_no_run_is_a_catch_up(home: HomeBuilder) -> None:
    job = next(iter(home.jobs))
    home.zone = ZoneInfo("UTC")
    for day in range(2 + DAYS, 2 + 2 * DAYS):
        home.agent_run(job, nine(day, home.zone))
    home.write()
    runs = runs_of(home, home.zone, nine(20, home.zone))

    assert len(runs) == 2 * DAYS
    assert {(run.trigger, run.lateness_s) for run in runs} == {(Trigger.SCHEDULE, 20.0)}
    assert [run.schedule_timezone for run in runs] == [None] * DAYS + ["UTC"] * DAYS


def test_a_due_time_that_was_counted_in_the_zone_before_is_one_or_unknown(
    home: HomeBuilder,
) -> None:
    """The host keeps a due time over the move: the next run is at nine o'clock in Shanghai."""
    job = next(iter(home.jobs))
    home.zone = ZoneInfo("UTC")
    home.agent_run(job, nine(2 + DAYS, SHANGHAI))
    home.agent_run(job, nine(2 + DAYS, SHANGHAI) + timedelta(hours=3))
    home.write()
    (kept, odd) = runs_of(home, home.zone, nine(20, home.zone))[-2:]

    assert (kept.trigger, kept.lateness_s) == (Trigger.SCHEDULE, 20.0)
    assert (odd.trigger, odd.scheduled_ns) == (Trigger.SCHEDULE, None)


@pytest.mark.parametrize(
    "run_before",
    [datetime(2026, 3, 2, 9, 5, tzinfo=NEW_YORK), datetime(2026, 10, 26, 9, 5, tzinfo=NEW_YORK)],
    ids=["spring", "autumn"],
)
def test_the_first_known_run_may_be_an_hour_off_where_the_clocks_changed(
    tmp_path: Path, run_before: datetime
) -> None:
    """As croniter is: the run before it is not in the ledger any more."""
    home = HomeBuilder(tmp_path / "home", timezone="America/New_York")
    job = home.job("weekly", cron="0 9 * * 1", created=run_before - timedelta(days=90))
    due: datetime = croniter("0 9 * * 1", run_before).get_next(datetime)
    assert due.hour != 9
    home.agent_run(job, due + timedelta(seconds=20))
    home.write()
    (run,) = runs_of(home, NEW_YORK, due + timedelta(days=1))

    assert run.scheduled_ns == epoch_ns(due)
    assert run.trigger is Trigger.SCHEDULE


def test_summer_time_is_no_move(tmp_path: Path) -> None:
    home = HomeBuilder(tmp_path / "home", timezone="America/New_York")
    first = datetime(2026, 3, 6, 9, 0, 20, tzinfo=NEW_YORK)
    job = home.job("digest", cron="0 9 * * *", created=first - timedelta(days=1))
    for number in range(DAYS):
        home.agent_run(job, first + timedelta(days=number))
    home.write()
    runs = runs_of(home, NEW_YORK, first + timedelta(days=9))

    assert {(run.trigger, run.lateness_s) for run in runs} == {(Trigger.SCHEDULE, 20.0)}
    assert {run.schedule_timezone for run in runs} == {"America/New_York"}
