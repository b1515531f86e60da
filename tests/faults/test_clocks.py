"""Clocks that are set back, hours that come twice, runs that overlap or take weeks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.host.home import Home
from cronalytics_otel.model import Outcome
from tests.support.collector import FaultyCollector
from tests.support.fault_checks import (
    assert_all_there_once,
    assert_journal_tells_the_truth,
    open_rows,
    outcomes,
    roots,
    runs_of,
    trace_id_of,
)
from tests.support.fault_owner import this_process
from tests.support.fault_process import SyncProcesses
from tests.support.homes import BuiltRun, HomeBuilder, Stage

HOUR = timedelta(hours=1)


def set_clock_back(home: HomeBuilder, run: BuiltRun, by: timedelta, *, from_: Stage) -> None:
    """What the host wrote of the run at this stage and later, it wrote by a clock that was set
    back meanwhile."""
    with closing(sqlite3.connect(home.disk.state_db)) as state, state:
        seconds = by.total_seconds()
        key = run.expected.session_id
        if from_ <= Stage.SESSION:
            state.execute("UPDATE sessions SET started_at = started_at - ? WHERE id = ?",
                          (seconds, key))  # fmt: skip
        if from_ <= Stage.WORKED:
            state.execute("UPDATE messages SET timestamp = timestamp - ? WHERE session_id = ?",
                          (seconds, key))  # fmt: skip
        state.execute("UPDATE sessions SET ended_at = ended_at - ? WHERE id = ?", (seconds, key))
    with closing(sqlite3.connect(home.disk.ledger_db)) as ledger, ledger:
        (text,) = ledger.execute(
            "SELECT finished_at FROM executions WHERE id = ?", (run.expected.execution_id,)
        ).fetchone()
        ledger.execute(
            "UPDATE executions SET finished_at = ? WHERE id = ?",
            ((datetime.fromisoformat(text) - by).isoformat(), run.expected.execution_id),
        )


@pytest.mark.parametrize("ledger_is", ["older", "as old as the run"])
@pytest.mark.parametrize("by", [timedelta(seconds=5), HOUR], ids=["5 s", "an hour"])
@pytest.mark.parametrize("from_", [Stage.SESSION, Stage.WORKED], ids=["session", "end"])
def test_a_clock_that_is_set_back_in_mid_run_makes_no_second_run(
    from_: Stage,
    by: timedelta,
    ledger_is: str,
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    job = home.job("digest", every_minutes=30)
    if ledger_is == "older":
        home.agent_run(job, noon - 6 * HOUR)
    run = home.agent_run(job, noon)
    home.write()
    set_clock_back(home, run, by, from_=from_)

    for ahead_s in (0.0, 3600.0):
        assert processes.sync(home.path, environ, clock_ahead_s=ahead_s).report.healthy

    assert_all_there_once(collector, home.expected)
    assert all(span["start_ns"] <= span["end_ns"] for span in collector.spans)
    assert open_rows(home.path) == 0


def test_two_overlapping_runs_of_one_job_keep_their_own_sessions(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The scheduler's, and one that its owner started by hand a minute later."""
    job = home.job("digest", every_minutes=30)
    home.agent_run(job, noon, 600)
    home.agent_run(job, noon + timedelta(minutes=1), 60, outcome="failure", source="direct")
    home.write()

    assert processes.sync(home.path, environ).report.healthy

    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


@pytest.mark.parametrize("gap_s", [1, 2, 3, 4])
@pytest.mark.parametrize("ends", ["in the same order", "the other way round"])
def test_two_runs_of_one_job_that_begin_together_keep_their_own_sessions(
    ends: str,
    gap_s: int,
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A session begins seconds after its execution: the second execution began in between."""
    job = home.job("digest", every_minutes=30)
    first_s, second_s = (60.0, 90.0) if ends == "in the same order" else (90.0, 60.0)
    home.agent_run(job, noon, first_s, session_lag_s=5)
    home.agent_run(
        job,
        noon + timedelta(seconds=gap_s),
        second_s,
        outcome="failure",
        source="direct",
        session_lag_s=5,
    )
    home.write()

    assert processes.sync(home.path, environ).report.healthy

    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


def test_two_jobs_of_the_same_second_keep_their_own_sessions(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    for name, outcome in (("a", "success"), ("b", "failure"), ("c", "empty")):
        home.agent_run(home.job(name, every_minutes=30), noon, outcome=outcome)  # type: ignore[arg-type]
    home.script_run(home.job("d", every_minutes=30, no_agent=True), noon)
    home.write()

    assert processes.sync(home.path, environ).report.healthy

    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


def test_a_run_that_ends_weeks_later_arrives_when_it_has_ended(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    began = datetime.now(UTC) - timedelta(minutes=5)
    job = home.job("digest", every_minutes=30)
    run = home.agent_run(job, began, 60, stop_after=Stage.WORKED, ledger_columns=this_process())
    home.write()
    weeks_s = 7 * 86_400.0
    for weeks in range(3):
        done = processes.sync(home.path, environ, clock_ahead_s=weeks * weeks_s)
        assert (done.report.new_runs, done.report.open_runs) == (0, 1)
    assert collector.requests == 0
    home.advance(run)
    home.write()

    processes.sync(home.path, environ, clock_ahead_s=3 * weeks_s)

    assert_all_there_once(collector, home.expected)
    assert open_rows(home.path) == 0


def test_without_a_ledger_a_session_that_never_ends_is_abandoned_after_a_day_and_once(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    old = HomeBuilder(home.path, with_ledger=False, system_prompt_bytes=64)
    began = datetime.now(UTC) - timedelta(minutes=5)
    run = old.agent_run(old.job("digest", every_minutes=30), began, 60, ended=False)
    old.write()
    processes.sync(home.path, environ)
    assert collector.requests == 0

    for hours in (25.0, 26.0):
        processes.sync(home.path, environ, clock_ahead_s=hours * 3600)

    assert outcomes(collector.spans) == {trace_id_of(run.expected): "abandoned"}
    assert len(roots(collector.spans)) == 1


# --- daylight saving -----------------------------------------------------------------------------

NEW_YORK = ZoneInfo("America/New_York")
FOLD = datetime(2026, 11, 1, 1, 0, tzinfo=NEW_YORK)
"""On that night 01:00 to 02:00 came twice: the first is UTC-4, the second UTC-5."""


def in_the_night_of_the_fold(hour: int, minute: int, *, second_time: bool = False) -> datetime:
    local = FOLD.replace(hour=hour, minute=minute, fold=int(second_time))
    return local.astimezone(UTC)


@pytest.fixture
def new_york(home: HomeBuilder) -> HomeBuilder:
    return HomeBuilder(home.path, timezone="America/New_York", system_prompt_bytes=64)


def test_runs_in_both_of_two_equal_hours_are_told_apart(
    new_york: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    job = new_york.job("digest", cron="*/30 * * * *", created=in_the_night_of_the_fold(0, 5))
    for second_time in (False, True):
        for minute in (0, 30):
            at = in_the_night_of_the_fold(1, minute, second_time=second_time)
            new_york.agent_run(job, at + timedelta(seconds=3), outcome="failure" if minute else "success")  # fmt: skip
    new_york.write()

    assert processes.sync(new_york.path, environ).report.healthy

    assert_all_there_once(collector, new_york.expected)
    assert_journal_tells_the_truth(new_york.path, new_york.expected)


@pytest.mark.parametrize("cron", ["*/30 * * * *", "0,30 0-5 * * *"])
def test_a_run_in_the_second_of_two_equal_hours_is_on_time(
    cron: str,
    new_york: HomeBuilder,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """Its due time is the second half past one, not the one an hour before."""
    job = new_york.job("digest", cron=cron, created=in_the_night_of_the_fold(0, 5))
    for second_time in (False, True):
        for minute in (0, 30):
            at = in_the_night_of_the_fold(1, minute, second_time=second_time)
            new_york.script_run(job, at + timedelta(seconds=3))
    new_york.write()

    processes.sync(new_york.path, environ)

    lateness = [run.lateness_s for run in runs_of(new_york.path)]
    assert lateness == [3.0] * 4


def test_a_first_run_in_the_second_of_two_equal_hours_is_no_catching_up(
    new_york: HomeBuilder, environ: dict[str, str], processes: SyncProcesses
) -> None:
    job = new_york.job("digest", cron="*/5 * * * *", created=in_the_night_of_the_fold(0, 5))
    at = in_the_night_of_the_fold(1, 30, second_time=True)
    new_york.script_run(job, at + timedelta(seconds=3))
    new_york.write()

    processes.sync(new_york.path, environ)

    (run,) = runs_of(new_york.path)
    assert (run.trigger, run.lateness_s) == ("schedule", 3.0)


def test_a_gated_run_across_the_end_of_the_first_hour_finds_its_output_file(
    new_york: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """It began at 01:59:50 and ended at 01:00:10, by the wall clock that stamps the file."""
    inbox = new_york.job("inbox", cron="*/30 * * * *", script="any_mail.py")
    began = in_the_night_of_the_fold(1, 59) + timedelta(seconds=50)
    new_york.gated_run(inbox, began, 20)
    new_york.write()

    processes.sync(new_york.path, environ)

    (run,) = runs_of(new_york.path)
    assert (run.outcome, run.outcome_source) == (Outcome.SKIPPED, "ledger")


def test_our_own_clock_set_back_stops_nothing(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A year ahead when it failed, right again afterwards: no back-off and no age lasts a year."""
    year_s = 365 * 86_400.0
    collector.stop()
    processes.sync(mixed_home.path, environ, clock_ahead_s=year_s)
    collector.start()

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
    assert Home(mixed_home.path).journal.exists()


def test_a_clock_that_was_wrong_at_boot_gives_up_nothing(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A board without a battery boots in the past, syncs, learns the time, and the collector is
    still down: the runs have waited for minutes, not for a year."""
    collector.stop()
    processes.sync(mixed_home.path, environ, clock_ahead_s=-365 * 86_400.0)

    done = processes.sync(mixed_home.path, environ)

    assert done.report.destinations[0].given_up == 0
