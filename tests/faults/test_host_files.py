"""The host's files: locked, missing, damaged, of another version. They are never written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.collector import FaultyCollector, status
from tests.support.fault_checks import (
    assert_all_there,
    assert_all_there_once,
    assert_journal_tells_the_truth,
    host_files,
    open_rows,
    roots,
    runs_of,
    trace_id_of,
)
from tests.support.fault_process import SyncProcesses
from tests.support.holding import held_exclusively
from tests.support.homes import HomeBuilder

DATABASES = ("state.db", "cron/executions.db")

each_database = pytest.mark.parametrize("name", DATABASES)


def statement(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)


def test_no_file_of_the_host_is_ever_written(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    before = host_files(mixed_home.path)
    assert {"state.db", "cron/executions.db", "cron/jobs.json", "config.yaml"} <= before.keys()

    processes.sync(mixed_home.path, environ, die_before_request=True)
    collector.answer_next(status(503))
    for how in ({}, {"eager": True}, {"full": True}, {"retry_refused": True}):
        processes.sync(mixed_home.path, environ, **how)

    assert_all_there_once(collector, mixed_home.expected)
    assert host_files(mixed_home.path) == before


# --- locked --------------------------------------------------------------------------------------


@each_database
def test_while_a_database_is_locked_everything_waits(
    name: str,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    with held_exclusively(mixed_home.path / name):
        done = processes.sync(mixed_home.path, environ)
        (problem,) = done.report.problems
        assert "locked" in problem
        assert str(mixed_home.path / name) in problem
        assert done.report.new_runs == 0

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected)


def test_while_the_messages_are_locked_their_traces_wait(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """Harvested before, and locked when the traces are built: no root goes without its steps."""
    processes.sync(mixed_home.path, environ, die_before_request=True)
    with held_exclusively(mixed_home.path / "state.db"):
        done = processes.sync(mixed_home.path, environ)
        assert "locked" in done.report.destinations[0].error
        assert collector.requests == 0

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
    partial = [r for r in roots(collector.spans) if "hermes.cron.trace.partial" in r["attributes"]]
    assert partial == []


# --- missing -------------------------------------------------------------------------------------


def test_an_empty_home_is_no_fault(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str], processes: SyncProcesses
) -> None:
    home.path.mkdir()

    done = processes.sync(home.path, environ)

    assert done.report.healthy
    assert (done.report.new_runs, collector.requests) == (0, 0)


def test_without_a_ledger_runs_come_from_their_sessions(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A host before 0.19."""
    old = HomeBuilder(home.path, with_ledger=False, system_prompt_bytes=64)
    job = old.job("digest", every_minutes=30)
    for number in range(3):
        old.agent_run(job, noon + timedelta(minutes=30 * number))
    old.write()

    assert processes.sync(home.path, environ).report.healthy

    assert_all_there_once(collector, old.expected)


@contextmanager
def away(path: Path) -> Iterator[None]:
    """Gone, and then back as it was."""
    hidden = path.with_name(path.name + ".hidden")
    path.rename(hidden)
    yield
    hidden.rename(path)


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """With garbage for a header, and then mended."""
    kept = Path(shutil.copy2(path, path.with_name(path.name + ".kept")))
    path.write_bytes(b"not a database at all" * 50 + path.read_bytes()[1050:])
    yield
    kept.replace(path)


faults = pytest.mark.parametrize("fault", [away, damaged], ids=["missing", "damaged"])


@faults
def test_a_run_that_went_out_without_its_session_does_not_go_out_again_with_it(
    fault: Callable[[Path], AbstractContextManager[None]],
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """state.db is not to be had for a while. Whatever is sent meanwhile, a run is one trace."""
    with fault(mixed_home.path / "state.db"):
        processes.sync(mixed_home.path, environ)
    for ahead_s in (0.0, 3600.0):
        processes.sync(mixed_home.path, environ, clock_ahead_s=ahead_s)

    started = sorted(span["start_ns"] for span in roots(collector.spans))
    assert started == sorted(run.started_ns for run in mixed_home.expected)
    assert len(runs_of(mixed_home.path)) == len(mixed_home.expected)
    assert open_rows(mixed_home.path) == 0


@faults
def test_a_run_that_went_out_without_its_execution_does_not_go_out_again_with_it(
    fault: Callable[[Path], AbstractContextManager[None]],
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The ledger is not to be had for a while."""
    with fault(mixed_home.path / "cron" / "executions.db"):
        processes.sync(mixed_home.path, environ)
    for ahead_s in (0.0, 3600.0):
        processes.sync(mixed_home.path, environ, clock_ahead_s=ahead_s)

    arrived = sorted(root["trace_id"] for root in roots(collector.spans))
    assert arrived == sorted(trace_id_of(run) for run in mixed_home.expected)
    assert len(runs_of(mixed_home.path)) == len(mixed_home.expected)
    assert open_rows(mixed_home.path) == 0


# --- damaged -------------------------------------------------------------------------------------


@each_database
def test_a_damaged_database_is_told_for_as_long_as_it_is(
    name: str, mixed_home: HomeBuilder, environ: dict[str, str], processes: SyncProcesses
) -> None:
    with damaged(mixed_home.path / name):
        let_lie(mixed_home.path)
        for time in range(3):
            done = processes.sync(mixed_home.path, environ)
            assert done.report is not None, done.trace
            assert any(
                "damaged" in p and str(mixed_home.path / name) in p for p in done.report.problems
            ), f"sync {time + 1}"


def let_lie(home: Path) -> None:
    """As if no file of the home had been touched for an hour."""
    for path in home.rglob("*"):
        an_hour_ago = path.stat().st_mtime - 3600
        os.utime(path, (an_hour_ago, an_hour_ago))


def test_garbage_in_any_page_of_a_database_is_no_end_of_the_others(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
    tmp_path: Path,
) -> None:
    """Whatever SQLite says of it, the sync ends with a report, and once it is mended all is there."""
    # A session begins a few seconds after its execution.
    wanted = sorted(run.started_ns // 10**10 for run in mixed_home.expected)
    failures: dict[str, str] = {}
    for name in DATABASES:
        database = mixed_home.path / name
        page_size = int.from_bytes(database.read_bytes()[16:18], "big")
        for page in range(0, database.stat().st_size // page_size, 3):
            collector.clear()
            path = Path(shutil.copytree(mixed_home.path, tmp_path / "copy"))
            content = bytearray((path / name).read_bytes())
            content[page * page_size + 100 : (page + 1) * page_size] = b"\xa5" * (page_size - 100)
            (path / name).write_bytes(content)
            done = processes.sync(path, environ)
            assert done.report is not None, f"{name}, page {page}: {done.trace}"
            shutil.copy2(database, path / name)

            for ahead_s in (0.0, 3600.0):
                done = processes.sync(path, environ, clock_ahead_s=ahead_s)
            assert done.report.problems == ()
            starts = [span["start_ns"] // 10**10 for span in roots(collector.spans)]
            if sorted(starts) != wanted:
                failures[f"{name}, page {page}"] = f"{len(starts)} traces of {len(wanted)} runs"
            shutil.rmtree(path)
    assert failures == {}


# --- of another version --------------------------------------------------------------------------


def test_columns_that_are_new_are_no_fault(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    for name, table in (
        ("state.db", "sessions"),
        ("state.db", "messages"),
        ("state.db", "session_model_usage"),
        ("cron/executions.db", "executions"),
    ):
        statement(mixed_home.path / name, f"ALTER TABLE {table} ADD COLUMN of_the_future TEXT")
    statement(mixed_home.path / "state.db", "CREATE TABLE of_the_future (x)")

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected)


@faults
def test_a_trace_that_waits_for_the_collector_waits_for_its_steps_as_well(
    fault: Callable[[Path], AbstractContextManager[None]],
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The collector was down when it was harvested; now it is up, and state.db is not to be had."""
    collector.answer_next(status(503))
    processes.sync(mixed_home.path, environ)
    with fault(mixed_home.path / "state.db"):
        processes.sync(mixed_home.path, environ, eager=True)
        with_steps = {run.session_id for run in mixed_home.expected if run.session_id}
        assert len(roots(collector.spans)) == len(mixed_home.expected) - len(with_steps)

    assert processes.sync(mixed_home.path, environ, eager=True).report.healthy
    assert_all_there(collector, mixed_home.expected)
    assert not any("hermes.cron.trace.partial" in s["attributes"] for s in roots(collector.spans))


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [("state.db", "sessions", "started_at"), ("cron/executions.db", "executions", "claimed_at")],
)
def test_a_column_that_we_cannot_do_without_is_named_when_it_is_missing(
    name: str,
    table: str,
    column: str,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    rename = "ALTER TABLE {} RENAME COLUMN {} TO {}"
    statement(mixed_home.path / name, rename.format(table, column, "renamed"))
    for _ in range(2):
        done = processes.sync(mixed_home.path, environ)
        (problem,) = done.report.problems
        assert f"{table} lacks columns {column}" in problem
        assert str(mixed_home.path / name) in problem

    statement(mixed_home.path / name, rename.format(table, "renamed", column))
    assert processes.sync(mixed_home.path, environ).report.healthy
    assert_all_there_once(collector, mixed_home.expected)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("sessions", "estimated_cost_usd"),
        ("sessions", "cost_status"),
        ("sessions", "parent_session_id"),
        ("sessions", "title"),
        ("messages", "finish_reason"),
        ("messages", "tool_calls"),
        ("messages", "timestamp"),
        ("session_model_usage", "task"),
        ("session_model_usage", "model"),
    ],
)
def test_without_any_other_column_runs_still_arrive(
    table: str,
    column: str,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    rename = f"ALTER TABLE {table} RENAME COLUMN {column} TO renamed"
    with closing(sqlite3.connect(mixed_home.disk.state_db)) as connection, connection:
        connection.execute("PRAGMA legacy_alter_table = ON")
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(rename)

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
