"""Cronalytics' formulas, as its 1.1.0 computes them: what ours are compared with in docs/projections.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from croniter import croniter

from cronalytics_otel.model import Job, Run, ScheduleKind

MOST_OCCURRENCES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A row of its jobs table, and its drift; None is shown as a dash."""

    scheduled_30: int
    scheduled_365: int
    average_usd: float | None
    nominal_30_usd: float | None
    trend_30_usd: float | None
    pace: float | None
    drift: float | None
    wasted_usd: float


def figures(job: Job, runs: Sequence[Run], now: datetime, window_days: int) -> Figures:
    """Return what it shows of a job. `now` is a local time without a zone.

    An unknown cost is 0. Every run is a success, because the host ends each session as
    `cron_complete`. Whether the job is paused, how old it is and what started a run plays no part.
    """
    scheduled = {days: _count(job, now, now + timedelta(days)) for days in (30, 365)}
    total_usd = sum(run.cost_usd or 0.0 for run in runs)
    average_usd = total_usd / len(runs) if runs else None
    nominal_usd = None if average_usd is None else average_usd * scheduled[30]
    trend_usd = total_usd / window_days * 30 if total_usd else None
    expected = _count(job, now - timedelta(window_days), now)
    return Figures(
        scheduled_30=scheduled[30],
        scheduled_365=scheduled[365],
        average_usd=average_usd,
        nominal_30_usd=nominal_usd,
        trend_30_usd=trend_usd,
        pace=trend_usd / nominal_usd if trend_usd and nominal_usd else None,
        drift=len(runs) / expected if expected else None,
        wasted_usd=0.0,
    )


def _count(job: Job, after: datetime, up_to: datetime) -> int:
    count = 0
    for due in _occurrences(job, after):
        if due > up_to or count == MOST_OCCURRENCES:
            break
        count += 1
    return count


def _occurrences(job: Job, after: datetime) -> Iterator[datetime]:
    schedule = job.schedule
    if schedule is None or schedule.kind is ScheduleKind.ONCE:
        return
    if schedule.cron is not None:
        times = croniter(schedule.cron, after)
        while True:
            yield times.get_next(datetime)
    while schedule.interval_s is not None:
        after += timedelta(seconds=schedule.interval_s)
        yield after
