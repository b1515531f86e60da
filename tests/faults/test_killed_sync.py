"""kill -9 of the syncing process, between every two steps: the next sync makes it good."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from tests.support.collector import FaultyCollector, hang, receipt_lost
from tests.support.fault_checks import (
    assert_all_there,
    assert_all_there_once,
    assert_journal_tells_the_truth,
    copies,
    open_rows,
    runs_of,
)
from tests.support.fault_owner import this_process
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder, Stage


def test_killed_before_any_statement_of_the_journal(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
    tmp_path: Path,
) -> None:
    """Each in turn, from the making of the file to the last COMMIT after the receipt."""
    sent_twice = 0
    for path, statement in copies_of(mixed_home, tmp_path):
        collector.clear()
        if not processes.sync(path, environ, die_before_statement=statement).killed:
            break
        done = processes.sync(path, environ)
        assert done.report is not None, (statement, done.trace)
        assert done.report.healthy, statement
        assert done.report.repair is None, statement
        assert_all_there(collector, mixed_home.expected)
        assert_journal_tells_the_truth(path, mixed_home.expected)
        assert open_rows(path) == 0
        sent_twice += max(map(len, copies(collector.spans).values())) > 1
        shutil.rmtree(path)
    assert statement > 50
    assert sent_twice, "none of them was between the receipt and its COMMIT"


def copies_of(home: HomeBuilder, folder: Path) -> Iterator[tuple[Path, int]]:
    """A fresh copy for each number from 1 on; all have one path, so that spans can be compared."""
    for number in count(1):
        yield Path(shutil.copytree(home.path, folder / "copy")), number


def test_killed_with_runs_still_open(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
    tmp_path: Path,
) -> None:
    """The second sync of a home, which finds runs ended that the first one saw open."""
    began = datetime.now(UTC) - timedelta(seconds=30)
    job = home.job("digest", every_minutes=30)
    runs = [
        home.agent_run(job, began, stop_after=Stage.WORKED, ledger_columns=this_process()),
        home.script_run(
            home.job("backup", every_minutes=5, no_agent=True),
            began,
            stop_after=Stage.RUNNING,
            ledger_columns=this_process(),
        ),
    ]
    home.write()
    done = processes.sync(home.path, environ)
    assert (done.report.new_runs, done.report.open_runs) == (0, 2)
    for run in runs:
        home.advance(run)
    home.write()

    for path, statement in copies_of(home, tmp_path):
        collector.clear()
        if not processes.sync(path, environ, die_before_statement=statement).killed:
            break
        assert processes.sync(path, environ).report.healthy, statement
        assert_all_there(collector, home.expected)
        assert_journal_tells_the_truth(path, home.expected)
        assert open_rows(path) == 0
        shutil.rmtree(path)
    assert statement > 20


def test_killed_after_the_harvest_and_before_the_first_request(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    assert processes.sync(mixed_home.path, environ, die_before_request=True).killed
    assert collector.requests == 0
    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected)

    done = processes.sync(mixed_home.path, environ)

    assert done.report.new_runs == 0
    assert_all_there_once(collector, mixed_home.expected)


def test_killed_while_the_collector_has_the_request_and_says_nothing(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_next(hang())
    running = processes.start(mixed_home.path, environ)
    collector.wait_until(lambda seen: len(seen.received) == 1)

    assert running.kill().killed
    done = processes.sync(mixed_home.path, environ)

    assert done.report.healthy
    assert_all_there_once(collector, mixed_home.expected)
    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected)


def test_a_lost_receipt_has_the_same_spans_sent_again(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_next(receipt_lost())
    done = processes.sync(mixed_home.path, environ)
    assert done.report.destinations[0].error
    assert done.report.destinations[0].pending == len(mixed_home.expected)

    done = processes.sync(mixed_home.path, environ, eager=True)

    assert done.report.destinations[0].pending == 0
    assert_all_there(collector, mixed_home.expected)
    assert {len(found) for found in copies(collector.spans).values()} == {2}


def test_a_dry_run_leaves_no_trace_of_itself(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    for _ in range(2):
        done = processes.sync(mixed_home.path, environ, dry_run=True)
        assert done.report.new_runs == len(mixed_home.expected)
    assert collector.requests == 0
    assert runs_of(mixed_home.path) == []

    assert processes.sync(mixed_home.path, environ).report.new_runs == len(mixed_home.expected)
    assert_all_there_once(collector, mixed_home.expected)
