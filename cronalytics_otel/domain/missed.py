"""Runs that never happened, by the rules of the host (0.19). Pure functions.

The host counts on from the end of each run: `next_run_at` is the occurrence that follows it, and what
falls due while the job itself runs is skipped by design. A scheduler that finds a job past its time runs
it once, late, for the first time that it was due, and drops the others: those are missed. A scheduler
that is up misses nothing, so one of two things shows a gap:

- jobs.json as it was read: the job was past its time, and had not run (`OverdueSighting`). That is proof;
- the ledger: nothing at all was started meanwhile, and what came next came late, or another job did
  not run either at that time (`idle_scheduler.missed_by_idle_ledger`). That is a conclusion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from hashlib import blake2b

from ..model import Execution, Job, Outcome, OutcomeSource, Run, Schedule, ScheduleKind, Trigger
from ..model.times import NS, to_datetime
from . import schedule as schedules
from .errors import ErrorType
from .occurrences import occurrences
from .schedule import MAX_LATE_WHEN_UP_NS, SAME_TIME_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueSighting:
    """A job that was past its time, and had not run, when its definition was read."""

    due_ns: int
    """`next_run_at`."""
    until_ns: int
    """When it was last known to be overdue: the last time it was read, or when it was paused."""
    runs_left: int | None
    changed_ns: int | None = None
    """When it was seen to be due for another time, paused or gone."""
    reported: bool = False
    """Whether what was missed is in the journal already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A row of occurrences of one job that had no run.

    `ran_for_ns` is the occurrence that the late run made up for.
    """

    first_ns: int
    last_ns: int
    count: int
    ran_for_ns: int | None = None


def was_overdue(seen: Sequence[OverdueSighting], execution: Execution, due_ns: int) -> bool:
    """Return whether the job was seen overdue for this time and stayed so until this run."""
    return any(
        not overdue.reported
        and is_same_time(overdue.due_ns, due_ns)
        and (
            overdue.changed_ns is None or execution.claimed_ns <= overdue.changed_ns + SAME_TIME_NS
        )
        for overdue in seen
    )


def updated_sightings(
    known: Sequence[OverdueSighting], job: Job | None, seen_ns: int
) -> list[OverdueSighting]:
    """Return a job's overdue times, the oldest first, after one more look at its definition.

    `job` is None when it is gone. Only the last time may still be what the job is due for.
    """
    *before, last = known or (None,)
    if last is not None and job is not None and is_same_time(job.next_run_ns, last.due_ns):
        return [*before, _seen_again(last, job, seen_ns)]
    if last is not None and last.changed_ns is None:
        last = replace(last, changed_ns=seen_ns)
    ended = [last] if last is not None and not last.reported else []
    found = _past_its_time(job, seen_ns)
    return [*before, *ended, *([found] if found is not None else [])]


def _seen_again(known: OverdueSighting, job: Job, seen_ns: int) -> OverdueSighting:
    if known.changed_ns is not None or known.reported:
        return known
    if job.enabled:
        return replace(known, until_ns=max(known.until_ns, seen_ns), runs_left=job.runs_left)
    paused_ns = seen_ns if job.paused_ns is None else min(job.paused_ns, seen_ns)
    return replace(known, until_ns=max(known.until_ns, paused_ns), changed_ns=seen_ns)


def _past_its_time(job: Job | None, seen_ns: int) -> OverdueSighting | None:
    if job is None or job.next_run_ns is None:
        return None
    until_ns = seen_ns if job.enabled else job.paused_ns
    if until_ns is None or until_ns - job.next_run_ns <= MAX_LATE_WHEN_UP_NS:
        return None
    return OverdueSighting(
        due_ns=job.next_run_ns,
        until_ns=until_ns,
        runs_left=job.runs_left,
        changed_ns=None if job.enabled else seen_ns,
    )


def before_run(
    overdue: OverdueSighting,
    schedule: Schedule,
    execution: Execution,
    *,
    counted_from_ns: int | None,
    zone: tzinfo,
) -> Gap | None:
    """Return what was missed until this run, the first since the job was seen overdue.

    `counted_from_ns` is the time that the host counted this due time from, if it is known.
    """
    if execution.claimed_ns < overdue.until_ns - SAME_TIME_NS:
        return None  # the clocks disagree: the job was seen overdue after it had run
    if overdue.changed_ns is not None and execution.claimed_ns > overdue.changed_ns + SAME_TIME_NS:
        return without_run(overdue, schedule, counted_from_ns=counted_from_ns, zone=zone)
    limit_ns = min(overdue.until_ns + MAX_LATE_WHEN_UP_NS, execution.claimed_ns)
    if execution.source == "direct":
        # A person was faster than the scheduler: this run makes up for what was just due.
        late_ns = round(schedules.grace_s(schedule) * NS)
        limit_ns = min(limit_ns, execution.claimed_ns - late_ns)
        return gap_of(
            _due_times(overdue, schedule, counted_from_ns, limit_ns, zone), overdue.runs_left
        )
    due = list(_due_times(overdue, schedule, counted_from_ns, limit_ns, zone))
    return gap_before(execution, due, overdue.runs_left)


def without_run(
    overdue: OverdueSighting, schedule: Schedule, *, counted_from_ns: int | None, zone: tzinfo
) -> Gap | None:
    """Return what was missed until the job was paused, edited or removed before it could run late."""
    limit_ns = overdue.until_ns - MAX_LATE_WHEN_UP_NS
    due = _due_times(overdue, schedule, counted_from_ns, limit_ns, zone)
    return gap_of(due, overdue.runs_left)


def run_of(
    gap: Gap,
    job_id: str,
    job: Job | None,
    *,
    profile: str,
    scheduler_down: bool | None,
    zone_name: str | None,
) -> Run:
    """Return the gap as a run with the outcome `missed`. Its id is the same in a journal built anew."""
    key = f"{job_id}\0{gap.first_ns // NS}".encode("utf-8", "surrogatepass")
    schedule = job.schedule if job else None
    return Run(
        profile=profile,
        execution_id=f"missed_{blake2b(key, digest_size=8).hexdigest()}",
        job_id=job_id,
        job_name=job.name if job else job_id,
        mode=job.mode if job else None,
        skills=job.skills if job else (),
        trigger=Trigger.SCHEDULE,
        schedule_kind=schedule.kind if schedule else None,
        schedule_expression=schedule.expression if schedule else None,
        schedule_timezone=zone_name if schedule else None,
        scheduled_ns=gap.first_ns,
        started_ns=gap.first_ns,
        ended_ns=gap.last_ns,
        outcome=Outcome.MISSED,
        outcome_source=OutcomeSource.INFERRED,
        error_type=ErrorType.SCHEDULER_DOWN if scheduler_down else ErrorType.NOT_STARTED,
        error_message=_words(gap, scheduler_down=scheduler_down),
        missed_count=gap.count,
        scheduler_down=scheduler_down,
    )


def _words(gap: Gap, *, scheduler_down: bool | None) -> str:
    first, last = (f"{to_datetime(ns):%Y-%m-%d %H:%M}" for ns in (gap.first_ns, gap.last_ns))
    when = (
        f"Should have run at {first} UTC"
        if gap.count == 1
        else f"Should have run {gap.count:,} times from {first} to {last} UTC"
    )
    return (
        when
        + {True: "; the scheduler was down", False: "; other jobs were started", None: ""}[
            scheduler_down
        ]
    )


# --- times --------------------------------------------------------------------------------------


def _due_times(
    overdue: OverdueSighting,
    schedule: Schedule,
    counted_from_ns: int | None,
    limit_ns: int,
    zone: tzinfo,
) -> Iterator[int]:
    """Give the times at which the job was due, from the one that the host had for it."""
    if schedule.kind is ScheduleKind.ONCE:
        yield from (ns for ns in (overdue.due_ns,) if ns <= limit_ns)
        return
    from_ns = overdue.due_ns - 1
    if schedule.kind is ScheduleKind.INTERVAL and schedule.interval_s:
        step_ns = round(schedule.interval_s * NS)
        from_ns = overdue.due_ns - step_ns
        # By the ledger's end if it can be, so that a journal built anew finds the same times.
        if counted_from_ns is not None and abs(counted_from_ns - from_ns) <= SAME_TIME_NS:
            from_ns = counted_from_ns
    elif overdue.due_ns <= limit_ns:
        # Whatever the schedule says: a person can make a job due at once.
        yield overdue.due_ns
        from_ns = overdue.due_ns
    yield from occurrences(schedule, from_ns, limit_ns, zone)


def gap_before(execution: Execution, due: list[int], runs_left: int | None) -> Gap | None:
    """Return what this late run leaves missed: all but the time that it ran for (scheduled_instant,
    else the first due time), and those just before it, which a scheduler that is up may have taken
    together."""
    if not due:
        return None
    ran_for_ns = execution.scheduled_ns if execution.scheduled_ns in due else due[0]
    limit_ns = execution.claimed_ns - MAX_LATE_WHEN_UP_NS
    missed = (ns for ns in due if ns != ran_for_ns and ns <= limit_ns)
    left = None if runs_left is None else runs_left - 1
    gap = gap_of(missed, left)
    return replace(gap, ran_for_ns=ran_for_ns) if gap is not None else None


def gap_of(due: Iterable[int], runs_left: int | None) -> Gap | None:
    """Return these times as a gap. A job has no more than `runs_left` runs to miss."""
    missed = list(due)[:runs_left]
    if not missed:
        return None
    return Gap(first_ns=missed[0], last_ns=missed[-1], count=len(missed))


def is_same_time(a_ns: int | None, b_ns: int) -> bool:
    return a_ns is not None and abs(a_ns - b_ns) <= SAME_TIME_NS
