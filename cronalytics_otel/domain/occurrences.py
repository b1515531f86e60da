"""How often a job is due: counts of its occurrences, in the past and to come. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from ..model import Job, Schedule, ScheduleKind
from . import schedule as schedules


def count_occurrences(schedule: Schedule, after_ns: int, up_to_ns: int, zone: tzinfo) -> int:
    """Return how many times `occurrences()` yields in (after, up_to], without stepping through them."""
    return counts_until(schedule, after_ns, (up_to_ns,), zone)[0]


def counts_until(
    schedule: Schedule, after_ns: int, ends_ns: Sequence[int], zone: tzinfo
) -> tuple[int, ...]:
    """Return the number of occurrences in (after, end] for each of several ends."""
    return tuple(
        sum(1 for _ in schedules.occurrences(schedule, after_ns, e, zone)) for e in ends_ns
    )


def scheduled_runs(
    job: Job,
    now_ns: int,
    ends_ns: Sequence[int],
    zone: tzinfo,
    *,
    due_to_end_s: float = 0.0,
) -> tuple[int, ...]:
    """Return how many runs of a job are scheduled in (now, end], for each of several ends.

    None for a job that is paused, disabled, completed or at the end of its repeats; never more than the
    repeats that are left. An interval's next run is the host's next due time while that is to come, else
    an interval from now. Each further one is due an interval after the end of the run before:
    `due_to_end_s` is the usual time from a run's due time to its end, lateness and duration together.
    """
    if not job.enabled or job.schedule is None or job.runs_left == 0:
        return (0,) * len(ends_ns)
    counts: tuple[int, ...]
    if job.schedule.kind is ScheduleKind.INTERVAL:
        counts = _interval_counts(job, now_ns, ends_ns, due_to_end_s)
    else:
        counts = counts_until(job.schedule, now_ns, ends_ns, zone)
    left = job.runs_left
    return counts if left is None else tuple(min(count, left) for count in counts)


def _interval_counts(
    job: Job, now_ns: int, ends_ns: Sequence[int], due_to_end_s: float
) -> tuple[int, ...]:
    raise NotImplementedError


def expected_occurrences(
    history: Sequence[tuple[int, Job]],
    after_ns: int,
    up_to_ns: int,
    zone: tzinfo,
    *,
    due_to_end_s: float = 0.0,
) -> int | None:
    """Return how many times a job was due in (after, up_to], by each definition while it held.

    `history` is the job's definitions with the time at which each was first seen, oldest first; the
    first holds from the job's creation. While a job was paused or disabled it was not due. None if no
    definition with a schedule is known.
    """
    raise NotImplementedError
