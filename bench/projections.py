"""Counting the runs that are scheduled, beside asking croniter for the first of them alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from croniter import croniter

from bench.lines import Bench, Line
from bench.timing import paired
from cronalytics_otel.domain import calendar_days, clock_changes, cron
from cronalytics_otel.domain.occurrences import scheduled_runs
from cronalytics_otel.model import Job, Mode, Schedule, ScheduleKind
from cronalytics_otel.model.times import NS, to_datetime

JOBS = 500
BAR_MS = 50.0
NOW_NS = 1_795_258_800 * NS
ENDS_NS = tuple(NOW_NS + days * 86_400 * NS for days in (30, 90, 365))
ZONES = tuple(
    map(ZoneInfo, ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo"))
)


def lines(bench: Bench) -> Iterator[Line]:
    """Measure three horizons of different jobs, of which nothing is known from before."""
    found = paired(
        partial(_cold, partial(_count, _jobs())),
        partial(_cpu_seconds, partial(_ask, _jobs())),
        pairs=5 if bench.quick else 21,
    )
    measured_ms = found.measured * 1e3
    yield Line(
        name=f"scheduled runs of {JOBS} jobs in 30, 90 and 365 days",
        measured=f"{measured_ms:.1f} ms CPU",
        floor=f"{found.floor * 1e3:.1f} ms",
        ratio=f"{found.ratio:.2f}",
        bar=f"≤ {BAR_MS:.0f} ms",
        met=measured_ms <= BAR_MS,
    )


def _jobs() -> list[Job]:
    forms = (
        "{m} {h} * * *", "*/{s} {h}-23 * * *", "{m} {h} * * 1-5", "{m} */{t} * * *", "{m} {h} {d} * *",
        "{m} {h} * {o} *", "{m} {h} 1,15 * {w}", "{m} * * * *",
    )  # fmt: skip
    made = (
        forms[i % len(forms)].format(
            m=i % 60, h=i % 23, s=2 + i % 29, t=2 + i % 11, d=1 + i % 31, o=1 + i % 12, w=i % 7
        )
        for i in range(2 * JOBS)
    )
    expressions = list(dict.fromkeys(["* * * * *", *made]))[:JOBS]
    return [
        Job(
            job_id=expression,
            name=expression,
            mode=Mode.AGENT,
            schedule=Schedule(kind=ScheduleKind.CRON, expression=expression, cron=expression),
        )
        for expression in expressions
    ]


def _cold(count: partial[None]) -> float:
    for known in (
        cron.read_cron, cron._simple_field, calendar_days._calendar, calendar_days._asked_days,
        clock_changes.clocks_of,
    ):  # fmt: skip
        known.cache_clear()
    return _cpu_seconds(count)


def _cpu_seconds(work: Callable[[], None]) -> float:
    """Return the CPU time of one call: it computes and waits for nothing."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _count(jobs: list[Job]) -> None:
    for place, job in enumerate(jobs):
        scheduled_runs(job, NOW_NS, ENDS_NS, ZONES[place % len(ZONES)])


def _ask(jobs: list[Job]) -> None:
    for place, job in enumerate(jobs):
        if job.schedule is not None and job.schedule.cron is not None:
            croniter(job.schedule.cron, to_datetime(NOW_NS, ZONES[place % len(ZONES)])).get_next(
                datetime
            )
