"""kill -9 of a real Collector during syncs: a run that counts as delivered is in the backend in the end.

`make killed-collectors` makes it long.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from cronalytics_otel.telemetry import ids
from tests.support.collector import FaultyCollector, hang, ok, status
from tests.support.collector_configs import (
    AGENT,
    AGENT_QUEUE,
    ANY_BACKEND,
    BASES,
    RETRIES_AT_ONCE,
    send_to,
    surroundings,
)
from tests.support.fault_checks import PROFILE, assert_all_there
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder
from tests.support.otelcol import otelcol

pytestmark = pytest.mark.usefixtures("otelcol_programs")

KILLS = int(os.environ.get("KILLED_COLLECTORS", "4"))
RUNS = 50
"""New ones before each kill."""


@pytest.mark.timeout(120 + KILLS * 30)
@pytest.mark.parametrize("base", BASES, ids=lambda base: base.stem)
def test_no_run_that_was_acknowledged_is_lost(
    base: Path,
    home: HomeBuilder,
    collector: FaultyCollector,
    processes: SyncProcesses,
    tmp_path: Path,
) -> None:
    chance = random.Random(base.stem)
    job = home.job("digest", every_minutes=5)
    began = datetime.now(UTC) - timedelta(days=30)
    has_queue = base == AGENT_QUEUE
    needs = surroundings(base, tmp_path / "files", backend=collector.endpoint)
    interrupted = waiting = 0
    with otelcol(
        tmp_path / "collector",
        base,
        ANY_BACKEND,
        environment=needs.environment,
        overrides=RETRIES_AT_ONCE if has_queue else None,
    ) as running:
        for n in range(KILLS):
            for _ in range(RUNS):
                began += timedelta(minutes=5)
                home.agent_run(job, began, tools=["terminal"])
            home.write()
            send_to(home.path, it={"endpoint": running.http_endpoint, **needs.destination})
            # Before a kill the backend may be silent or down, so that something is under way or in the queue.
            collector.answer_with((hang(), ok(), status(503), ok())[n % 4])
            requests = collector.requests
            syncing = processes.start(home.path, {}, eager=True)
            collector.wait_for_requests(requests + 1)
            # The queue takes all of it although the backend is silent, and so it surely holds something.
            ended = syncing.wait() if has_queue and n % 4 == 0 else None
            time.sleep(chance.uniform(0, 0.05))
            running.kill()
            done = ended or syncing.wait()
            assert done.report is not None, done.trace
            interrupted += done.report.destinations[0].error is not None
            waiting += not delivered(home.path) <= held(collector)
            running.start()
            collector.answer_with(ok())
        while not processes.sync(home.path, {}, eager=True).report.healthy:
            pass
        # What lies in the queue goes to the backend by itself.
        collector.wait_until(lambda seen: delivered(home.path) <= held(seen))

    if has_queue:
        assert waiting
    else:
        assert interrupted
        assert not waiting
    assert_all_there(collector, home.expected)


def held(collector: FaultyCollector) -> set[str]:
    """The traces that the backend holds."""
    return {span["trace_id"] for span in collector.spans}


def delivered(home: Path) -> set[str]:
    """The traces of the runs that the plugin counts as delivered."""
    with closing(sqlite3.connect(Home(home).journal)) as journal:
        sessions = journal.execute(
            "SELECT session_id FROM run WHERE id NOT IN (SELECT run_id FROM outbox)"
            " AND id NOT IN (SELECT run_id FROM refused)"
        ).fetchall()
    return {f"{ids.trace_id(PROFILE, session):032x}" for (session,) in sessions}


def test_a_queue_in_memory_would_lose_them(
    home: HomeBuilder, collector: FaultyCollector, processes: SyncProcesses, tmp_path: Path
) -> None:
    """Why no configuration of ours has one. It also shows that the test above can see a loss."""
    home.agent_run(home.job("digest", every_minutes=5), datetime.now(UTC) - timedelta(hours=1))
    home.write()
    collector.answer_with(status(503))
    needs = surroundings(AGENT, tmp_path / "files", backend=collector.endpoint)
    in_memory = {"sending_queue": {"enabled": True}, "retry_on_failure": {"enabled": True}}
    with otelcol(
        tmp_path / "collector",
        AGENT,
        ANY_BACKEND,
        environment=needs.environment,
        overrides={"exporters": {"otlp_http/traces": in_memory, "otlp_http/metrics": in_memory}},
    ) as running:
        send_to(home.path, it={"endpoint": running.http_endpoint})
        assert processes.sync(home.path, {}, eager=True).report.healthy
        running.restart()
        collector.answer_with(ok())
        assert processes.sync(home.path, {}, eager=True).report.healthy

    assert delivered(home.path)
    assert held(collector) == set()
