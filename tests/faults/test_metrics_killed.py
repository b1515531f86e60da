"""Metrics through kill -9, lost receipts, clocks that go back, rebuilt day tables and changed zones.

A collector reads everything back: sums never go down, and end as the journal has them; deltas add up
to the same. `make killed-syncs` makes it long.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from tests.support.collector import FaultyCollector, Point, ok, receipt_lost, status
from tests.support.fault_process import SyncProcesses
from tests.support.home_facts import Situation
from tests.support.homes import HomeBuilder

SYNCS = int(os.environ.get("KILLED_SYNCS", "24"))
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Kathmandu")
COUNTED = {
    "hermes.cron.runs": "SELECT sum(coalesce(missed_count, 1)) FROM run",
    "hermes.cron.run.cost": "SELECT sum(cost_usd) FROM run WHERE cost_status IS NOT 'unknown'",
    "hermes.cron.run.tokens": "SELECT sum(input_tokens + output_tokens) FROM run",
    "hermes.cron.run.duration": "SELECT sum((ended_ns - started_ns) / 1e9) FROM run "
    "WHERE outcome <> 'missed'",
    "hermes.cron.run.errors": "SELECT sum(coalesce(missed_count, 1)) FROM run "
    "WHERE error_type IS NOT NULL",
}
"""By metric, the sum over all of its series."""


@pytest.fixture
def sums(collector: FaultyCollector) -> FaultyCollector:
    return collector


@pytest.fixture
def deltas() -> Iterator[FaultyCollector]:
    with FaultyCollector() as collector:
        yield collector


@pytest.mark.timeout(60 + SYNCS * 10)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_collectors_hold_is_what_the_journal_counted(
    home: HomeBuilder,
    noon: datetime,
    sums: FaultyCollector,
    deltas: FaultyCollector,
    processes: SyncProcesses,
    seed: int,
) -> None:
    chance = random.Random(seed)
    environ = {"OTEL_METRIC_EXPORT_INTERVAL": "1"}
    jobs = [home.job(name, cron="0 0 1 1 *") for name in ("digest", "backup", "inbox")]
    started = noon - timedelta(days=20)
    killed = 0
    for _ in range(SYNCS):
        for _ in range(chance.choice((0, 1, 1, 2))):
            started += timedelta(minutes=chance.choice((10, 90, 700)))
            add_run(home, chance.choice(jobs), started, chance)
        write(home, chance.choice(ZONES), sums, deltas)
        sums.answer_next_metrics(
            chance.choice((ok(), ok(), receipt_lost(), status(503), status(400)))
        )
        # A request that had arrived and is refused when it comes again is in the next one, too.
        deltas.answer_next_metrics(chance.choice((ok(), ok(), receipt_lost(), status(503))))
        killed += processes.sync(
            home.path,
            environ,
            eager=True,
            die_before_statement=chance.choice((None, chance.randrange(1, 90))),
            clock_ahead_s=chance.choice((0, 0, 900, -900)),
        ).killed
        if chance.random() < 0.2 and Home(home.path).journal.exists():
            with Journal.open(Home(home.path).journal) as journal:
                journal.figures.rebuild()
    assert killed > SYNCS / 8
    for collector in (sums, deltas):
        collector.answer_metrics_with(ok())
    for _ in range(3):
        assert processes.sync(home.path, environ, eager=True, clock_ahead_s=1800).report.healthy

    counted = counts(home.path)
    assert counted["hermes.cron.runs"] >= len(home.expected)
    assert_never_down(sums.points)
    assert totals(newest(sums.points)) == pytest.approx(counted)
    assert totals(once(deltas)) == pytest.approx(counted)


def add_run(home: HomeBuilder, job: str, started: datetime, chance: random.Random) -> None:
    if chance.random() < 0.3:
        home.script_run(job, started, outcome=chance.choice(("success", "failure")))
    else:
        outcomes: tuple[Situation, ...] = ("success", "success", "failure")
        home.agent_run(
            job, started, outcome=chance.choice(outcomes), cost=chance.choice((0.25, 0.125))
        )


def write(home: HomeBuilder, zone: str, sums: FaultyCollector, deltas: FaultyCollector) -> None:
    """Write the home, with a zone that may be another one than before."""
    home.write()
    named = {
        "sums": {"endpoint": sums.endpoint, "traces": False},
        "deltas": {"endpoint": deltas.endpoint, "traces": False, "temporality": "delta"},
    }
    plugins = {"entries": {"cronalytics-otel": {"destinations": named}}}
    config = {"timezone": zone, "plugins": plugins}
    (home.path / "config.yaml").write_text(json.dumps(config))


def counts(home: Path) -> dict[str, float]:
    with sqlite3.connect(Home(home).journal) as journal:
        return {
            metric: journal.execute(query).fetchone()[0] or 0 for metric, query in COUNTED.items()
        }


def assert_never_down(points: Iterable[Point]) -> None:
    """In the order of arrival, within each start time."""
    last: dict[object, Point] = {}
    for point in points:
        if point.kind == "gauge":
            continue
        before = last.get((point.series, point.start_ns))
        if before is not None and point.time_ns > point.start_ns:
            assert before.value <= point.value, (before, point)
            assert before.time_ns < point.time_ns, (before, point)
            assert all(a <= b for a, b in zip(before.buckets, point.buckets, strict=True))
        last[point.series, point.start_ns] = point


def newest(points: Iterable[Point]) -> list[Point]:
    """The last point of each series."""
    return list({point.series: point for point in points if point.kind != "gauge"}.values())


def once(collector: FaultyCollector) -> list[Point]:
    """The points of each request that was kept; of one that was sent again unchanged, once."""
    kept = {request.body: request for request in collector.metric_requests if request.kept}
    return [point for request in kept.values() for point in request.points if point.kind != "gauge"]


def totals(points: Iterable[Point]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for point in points:
        if point.metric in COUNTED:
            found[point.metric] += point.value
    return dict(found)
