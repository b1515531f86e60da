"""A tick of twelve jobs with the plugin and without it: the runs, the leaving, the memory.

The model answers from another process after two seconds, as models do. Runs are compared in
pairs of ticks; their times are the ledger's. CPU time is told beside them: on a machine that others
use too, it shows what the wall clock cannot.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from bench.hosts import Host, fresh, model
from bench.lines import Bench, Line
from bench.sinks import Behaviour, sink
from tests.support.hermes import HermesHome, JobSpec

JOBS = 12
BEHAVIOURS: tuple[Behaviour, ...] = ("up", "refusing", "hanging", "503")
LEAVING_BAR_S = 0.3
FLUSH_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    run_s: float
    """Sum over the runs."""
    leave_s: float
    """From the end of the last run to the end of the process."""
    cpu_s: float
    """Of the whole process."""
    peak_mb: float


def lines(bench: Bench) -> Iterator[Line]:
    with ExitStack() as stack:
        url = stack.enter_context(model())
        plain = fresh(bench, "tick-plain", model_url=url, with_plugin=False)
        create_jobs(plain.home)
        ours = {
            behaviour: _with_plugin(
                bench, plain, behaviour, stack.enter_context(sink(behaviour)), url
            )
            for behaviour in BEHAVIOURS
        }
        first = {behaviour: _tick(host) for behaviour, host in ours.items()}
        _tick(plain)
        both: dict[Behaviour, list[tuple[Tick, Tick]]] = {behaviour: [] for behaviour in BEHAVIOURS}
        for number in range(2 if bench.quick else 6):
            bench.say(f"round {number + 1}")
            # A plain tick between every two of ours: each has a neighbour on either side.
            before = _tick(plain)
            for behaviour in BEHAVIOURS:
                mine = _tick(ours[behaviour])
                after = _tick(plain)
                both[behaviour].append((mine, _mean(before, after)))
                before = after
        for behaviour in BEHAVIOURS:
            if not (ours[behaviour].home.path / "cronalytics-otel" / "journal.db").exists():
                raise RuntimeError(f"the plugin did nothing in {ours[behaviour].home.path}")
            yield from _figures(behaviour, first[behaviour], both[behaviour])
    everything = [pair for pairs in both.values() for pair in pairs]
    yield _cpu(everything)
    yield _memory(everything)


def create_jobs(home: HermesHome) -> None:
    """Twelve agent jobs that are never due by themselves."""
    for number in range(JOBS):
        home.create_job(
            JobSpec(name=f"job {number}", schedule="0 0 1 1 *", prompt="FAKE:SLOW=2 Report")
        )


def _with_plugin(bench: Bench, plain: Host, behaviour: Behaviour, url: str, model_url: str) -> Host:
    home = plain.home.copy_to(
        bench.folder / f"tick-{behaviour}",
        model_url=model_url,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": url},
    )
    home.configure({"plugins": {"enabled": ["cronalytics-otel"]}})
    return Host(home=home)


def _tick(host: Host) -> Tick:
    since = host.home.make_due()
    exited = host.tick()
    runs = [
        (datetime.fromisoformat(row["started_at"]), datetime.fromisoformat(row["finished_at"]))
        for row in host.home.executions()
        if row["finished_at"] and datetime.fromisoformat(row["claimed_at"]) > since
    ]
    if len(runs) != JOBS:
        raise RuntimeError(f"{len(runs)} of {JOBS} jobs ran in {host.home.path}")
    last = max(finished for _, finished in runs)
    return Tick(
        run_s=sum((finished - started).total_seconds() for started, finished in runs),
        leave_s=exited.ended_at - last.timestamp(),
        cpu_s=exited.cpu_s,
        peak_mb=exited.peak_mb,
    )


def _mean(one: Tick, two: Tick) -> Tick:
    return Tick(
        run_s=(one.run_s + two.run_s) / 2,
        leave_s=(one.leave_s + two.leave_s) / 2,
        cpu_s=(one.cpu_s + two.cpu_s) / 2,
        peak_mb=(one.peak_mb + two.peak_mb) / 2,
    )


def _figures(behaviour: Behaviour, first: Tick, both: list[tuple[Tick, Tick]]) -> Iterator[Line]:
    ratio = statistics.median(mine.run_s / plain.run_s for mine, plain in both)
    yield Line(
        name=f"a run of 12, collector {behaviour}",
        measured=f"{statistics.median(m.run_s for m, _ in both) / JOBS:.3f} s",
        floor=f"{statistics.median(p.run_s for _, p in both) / JOBS:.3f} s (no plugin)",
        ratio=f"{ratio:.3f}",
        bar="<= 1.02",
        met=ratio <= 1.02,
    )
    more_s = statistics.median(mine.leave_s - plain.leave_s for mine, plain in both)
    floor_s = statistics.median(plain.leave_s for _, plain in both)
    yield Line(
        name=f"leaving after 12, collector {behaviour}",
        measured=f"{more_s:+.3f} s",
        floor=f"{floor_s:.3f} s (no plugin)",
        bar=f"<= +{LEAVING_BAR_S} s",
        met=more_s <= LEAVING_BAR_S,
    )
    first_s = first.leave_s - floor_s
    yield Line(
        name=f"leaving the first time, collector {behaviour}",
        measured=f"{first_s:+.3f} s",
        bar=f"<= +{FLUSH_LIMIT_S} s",
        met=first_s <= FLUSH_LIMIT_S + 0.1,
    )


def _cpu(both: list[tuple[Tick, Tick]]) -> Line:
    ratio = statistics.median(mine.cpu_s / plain.cpu_s for mine, plain in both)
    return Line(
        name="CPU of a tick of 12, all collectors",
        measured=f"{statistics.median(mine.cpu_s for mine, _ in both):.2f} s",
        floor=f"{statistics.median(plain.cpu_s for _, plain in both):.2f} s (no plugin)",
        ratio=f"{ratio:.3f}",
    )


def _memory(both: list[tuple[Tick, Tick]]) -> Line:
    more_mb = statistics.median(mine.peak_mb - plain.peak_mb for mine, plain in both)
    floor_mb = statistics.median(plain.peak_mb for _, plain in both)
    return Line(
        name="memory of a tick of 12, all collectors",
        measured=f"{more_mb:+.1f} MB",
        floor=f"{floor_mb:.0f} MB (no plugin)",
        ratio=f"{1 + more_mb / floor_mb:.3f}",
        bar="<= +25 MB",
        met=more_mb <= 25,
    )
