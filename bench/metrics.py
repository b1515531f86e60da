"""The metrics of a home: what one request is collected from, beside the official encoder's time for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.answers import make_journal
from bench.lines import Bench, Line
from bench.timing import paired
from cronalytics_otel.host.home import Home
from cronalytics_otel.insight.gauges import HomeState, read_gauges
from cronalytics_otel.journal import Journal
from cronalytics_otel.model import Budgets, Resource
from cronalytics_otel.model.series import Gauge, Series
from cronalytics_otel.model.temporality import Temporality
from cronalytics_otel.telemetry.metrics.collection import Collection, cumulative_points
from cronalytics_otel.telemetry.metrics.encoding import encoded

JOBS = (12, 200)
BAR_MS = 20
"""For a person's dozen jobs."""

STATE = HomeState(profile="default", version="0", budgets=Budgets(), running={})


def lines(bench: Bench) -> Iterator[Line]:
    """CPU time: it computes and reads, and waits for nothing."""
    for jobs in JOBS:
        path = bench.once(
            f"metrics-{jobs}",
            partial(make_journal, runs=bench.most_runs, now_ns=time.time_ns(), job_count=jobs),
        )
        with Journal.open(Home(path).journal) as journal:
            now_ns = time.time_ns()
            series, gauges = _collect(journal, now_ns)
            points = len(series) + len(gauges)
            pair = paired(
                partial(_cpu_s, partial(_collect, journal, now_ns)),
                partial(_cpu_s, partial(_encode, series, gauges, now_ns)),
                pairs=9 if bench.quick else 25,
            )
        yield Line(
            name=f"metrics of {jobs} jobs, {points:,} points: {bench.most_runs:,} runs",
            measured=f"{pair.measured * 1e3:.1f} ms",
            floor=f"{pair.floor * 1e3:.1f} ms (encoding)",
            ratio=f"{pair.ratio:.2f}",
            bar=f"≤ {BAR_MS} ms" if jobs == JOBS[0] else "-",
            met=pair.measured * 1e3 <= BAR_MS if jobs == JOBS[0] else None,
        )


def _collect(journal: Journal, now_ns: int) -> tuple[list[Series], list[Gauge]]:
    return journal.series.all(), read_gauges(journal, now_ns, STATE)


def _encode(series: list[Series], gauges: list[Gauge], now_ns: int) -> bytes:
    collection = Collection(
        time_ns=now_ns,
        profile=STATE.profile,
        resource=Resource(),
        temporality=Temporality.CUMULATIVE,
        series=cumulative_points(series, time_ns=now_ns, received_series_id=series[-1].id),
        gauges=gauges,
        exemplars={},
    )
    return encoded(collection).request.SerializeToString()


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
