"""Whether the process that owns an open run is dead: only proof counts."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.collector import FaultyCollector
from tests.support.fault_checks import (
    assert_all_there_once,
    open_rows,
    outcomes,
    roots,
    trace_id_of,
)
from tests.support.fault_namespace import ALONE
from tests.support.fault_owner import ledger_columns, owner, this_process
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder, Stage


def test_a_run_whose_process_was_killed_is_abandoned_and_stays_so(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """Also after the host has marked it `unknown`, at its next start."""
    digest = home.job("digest", every_minutes=30)
    backup = home.job("backup", every_minutes=5, no_agent=True)
    done_before = home.script_run(backup, datetime.now(UTC) - timedelta(seconds=60))
    with owner() as process:
        columns = ledger_columns(process.pid)
        began = datetime.now(UTC)
        agent = home.agent_run(digest, began, stop_after=Stage.WORKED, ledger_columns=columns)
        script = home.script_run(backup, began, stop_after=Stage.RUNNING, ledger_columns=columns)
        home.write()
        assert processes.sync(home.path, environ).report.open_runs == 2
    assert processes.sync(home.path, environ).report.open_runs == 0

    with closing(sqlite3.connect(home.disk.ledger_db)) as ledger, ledger:
        ledger.execute(
            "UPDATE executions SET status = 'unknown', finished_at = ?, error = 'restarted' "
            "WHERE status = 'running'",
            (datetime.now(UTC).isoformat(),),
        )
    for how in ({}, {"full": True}):
        assert processes.sync(home.path, environ, **how).report.healthy

    assert outcomes(collector.spans) == {
        trace_id_of(done_before.expected): "success",
        trace_id_of(agent.expected): "abandoned",
        trace_id_of(script.expected): "abandoned",
    }
    assert len(roots(collector.spans)) == 3
    assert open_rows(home.path) == 0


def test_a_process_that_began_in_the_same_moment_is_not_taken_for_the_owner(
    home: HomeBuilder, environ: dict[str, str], processes: SyncProcesses
) -> None:
    """At boot a hundred processes share a tick of the kernel's clock."""
    with twins() as (dead, alive):
        columns = ledger_columns(dead.pid)
        assert columns["process_started_at"] == ledger_columns(alive.pid)["process_started_at"]
        home.agent_run(
            home.job("digest", every_minutes=30),
            datetime.now(UTC),
            stop_after=Stage.WORKED,
            ledger_columns=columns,
        )
        home.write()
        assert processes.sync(home.path, environ).report.open_runs == 1
        dead.kill()
        dead.wait()

        assert processes.sync(home.path, environ).report.open_runs == 0


class twins:  # noqa: N801 - a context manager, used as a word
    """Two processes of one tick of the kernel's clock."""

    def __enter__(self) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        self._all: list[subprocess.Popen[bytes]] = []
        while True:
            pair = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
            self._all += pair
            first, second = (ledger_columns(p.pid)["process_started_at"] for p in pair)
            if first == second:
                return pair[0], pair[1]

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.kill()
            process.wait()


# Without namespaces there is no other container, so the fault cannot happen.
if ALONE:

    def test_a_sync_in_another_container_does_not_take_a_living_run_for_abandoned(
        home: HomeBuilder,
        collector: FaultyCollector,
        environ: dict[str, str],
        tmp_path: Path,
    ) -> None:
        """`docker compose run hermes hermes cronalytics-otel sync` beside a gateway that is at work."""
        run = home.agent_run(
            home.job("digest", every_minutes=30),
            datetime.now(UTC),
            1.0,
            stop_after=Stage.WORKED,
            ledger_columns=this_process(),
        )
        home.write()
        with SyncProcesses(tmp_path, ALONE) as elsewhere:
            done = elsewhere.sync(home.path, environ)
            assert (done.report.new_runs, done.report.open_runs) == (0, 1)
            home.advance(run)
            home.write()
            done = elsewhere.sync(home.path, environ)

        assert done.report.healthy
        assert_all_there_once(collector, home.expected)
