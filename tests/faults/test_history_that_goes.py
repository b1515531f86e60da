"""The host prunes, renumbers, deletes and moves its history: before, between and after syncs."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import LEDGER_LOST
from tests.support.collector import FaultyCollector, status
from tests.support.fault_checks import (
    assert_all_there_once,
    open_rows,
    outcomes,
    roots,
    trace_id_of,
)
from tests.support.fault_owner import this_process
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder, Stage

DATABASES = ("state.db", "cron/executions.db")


def test_runs_that_the_ledger_had_pruned_before_we_looked_come_from_their_sessions(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The ledger keeps 1000 rows; a busy week was longer."""
    digest = home.job("digest", every_minutes=30)
    backup = home.job("backup", every_minutes=1, no_agent=True)
    early = [home.agent_run(digest, noon - timedelta(hours=30 - n)) for n in range(3)]
    for number in range(1001):
        home.script_run(backup, noon - timedelta(hours=20) + timedelta(minutes=number))
    late = home.agent_run(digest, noon)
    home.write()

    assert processes.sync(home.path, environ).report.healthy

    arrived = outcomes(collector.spans)
    for run in (*early, late):
        assert arrived[trace_id_of(run.expected)] == "success"
    assert len(roots(collector.spans)) == 3 + 1000
    assert open_rows(home.path) == 0


def test_a_run_that_was_open_when_we_looked_and_is_pruned_since_is_not_waited_for(
    home: HomeBuilder,
    noon: datetime,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """It ended while we were away, and 1000 others after it: its row is gone."""
    job = home.job("backup", every_minutes=1, no_agent=True)
    run = home.script_run(job, noon, stop_after=Stage.RUNNING, ledger_columns=this_process())
    home.write()
    assert processes.sync(home.path, environ).report.open_runs == 1
    home.advance(run)
    for number in range(1, 1002):
        home.script_run(job, noon + timedelta(seconds=10 * number))
    home.write()

    done = processes.sync(home.path, environ)

    assert done.report.open_runs == 0
    assert open_rows(home.path) == 0
    (problem,) = done.report.problems
    assert "2 runs were deleted from it before they were read" in problem


def test_runs_that_came_and_went_while_nobody_looked_are_counted(
    home: HomeBuilder,
    noon: datetime,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    job = home.job("backup", every_minutes=1, no_agent=True)
    home.script_run(job, noon)
    home.write()
    assert processes.sync(home.path, environ).report.healthy
    for number in range(1, 1502):
        home.script_run(job, noon + timedelta(seconds=10 * number))
    home.write()

    done = processes.sync(home.path, environ)

    assert done.report.new_runs == 1000
    (problem,) = done.report.problems
    assert "501 runs were deleted from it before they were read" in problem
    assert processes.sync(home.path, environ).report.healthy
    with Journal.open(Home(home.path).journal) as journal:
        assert journal.facts.get(LEDGER_LOST) == 501


def test_sessions_pruned_before_they_were_sent_leave_a_root_that_says_so(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    job = home.job("digest", every_minutes=30)
    for number in range(3):
        home.agent_run(job, noon + timedelta(minutes=30 * number), tools=["terminal"], cost=0.5)
    home.write()
    collector.answer_next(status(503))
    processes.sync(home.path, environ)
    home.prune_sessions(noon + timedelta(minutes=45))

    processes.sync(home.path, environ, eager=True)

    assert_all_there_once(collector, home.expected)
    partial = {
        root["trace_id"]: root["attributes"].get("hermes.cron.trace.partial")
        for root in roots(collector.spans)
    }
    first, second, third = (trace_id_of(run) for run in home.expected)
    assert partial == {first: "host_pruned", second: "host_pruned", third: None}
    costs = [root["attributes"]["hermes.cron.cost.total"] for root in roots(collector.spans)]
    assert costs == [0.5] * 3


@pytest.mark.parametrize("when", ["between two syncs", "with runs still open"])
@pytest.mark.parametrize("name", DATABASES)
def test_a_vacuum_that_renumbers_rows_loses_and_doubles_nothing(
    name: str,
    when: str,
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    job = home.job("digest", every_minutes=30)
    is_open = when == "with runs still open"
    for number in range(6):
        home.agent_run(job, noon + timedelta(minutes=30 * number))
    last = home.agent_run(
        job,
        noon + timedelta(hours=3),
        stop_after=Stage.WORKED if is_open else Stage.FINISHED,
        ledger_columns=this_process(),
    )
    home.write()
    processes.sync(home.path, environ)
    home.prune_sessions(noon + timedelta(minutes=70))
    home.prune_ledger(3)
    for database in DATABASES:
        with closing(sqlite3.connect(home.path / database)) as connection:
            before = rowids(connection, database)
            if database == name:
                renumber(connection, database)
                assert rowids(connection, database) != before, "nothing was renumbered"
    if is_open:
        home.advance(last)
    home.agent_run(job, noon + timedelta(hours=4))
    home.write()

    for _ in range(2):
        assert processes.sync(home.path, environ).report.healthy

    assert_all_there_once(collector, home.expected)
    assert open_rows(home.path) == 0


def renumber(connection: sqlite3.Connection, database: str) -> None:
    """From 1 on, as a reload of a dump does, and VACUUM in SQLite versions that do not care."""
    table = "sessions" if database == "state.db" else "executions"
    with connection:
        for new, (old,) in enumerate(rowids(connection, database), start=1):
            connection.execute(f"UPDATE {table} SET rowid = ? WHERE rowid = ?", (new, old))
    connection.execute("VACUUM")


def rowids(connection: sqlite3.Connection, database: str) -> list[tuple[int]]:
    table = "sessions" if database == "state.db" else "executions"
    return connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()


def test_a_database_that_is_replaced_by_a_new_one_is_read_from_its_start(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The owner deleted the host's history, one run still open in it."""
    job = home.job("digest", every_minutes=30)
    home.agent_run(job, noon)
    home.agent_run(
        job,
        noon + timedelta(minutes=30),
        stop_after=Stage.WORKED,
        ledger_columns=this_process(),
    )
    home.write()
    processes.sync(home.path, environ)
    shutil.rmtree(home.path / "cron")
    (home.path / "state.db").unlink()
    fresh = HomeBuilder(home.path, seed=1, system_prompt_bytes=64)
    fresh.agent_run(fresh.job("digest", every_minutes=30), noon + timedelta(hours=2))
    fresh.write()

    for ahead_s in (0.0, 3600.0):
        done = processes.sync(home.path, environ, clock_ahead_s=ahead_s)

    assert_all_there_once(collector, [*home.expected, *fresh.expected])
    assert done.report.open_runs == 0
    assert open_rows(home.path) == 0


def test_a_home_that_moved_is_the_same_home(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
    tmp_path: Path,
) -> None:
    processes.sync(mixed_home.path, environ)
    moved = mixed_home.path.rename(tmp_path / "elsewhere")

    assert processes.sync(moved, environ).report.new_runs == 0

    assert_all_there_once(collector, mixed_home.expected)
    assert Home(moved).journal.exists()
