"""Missed runs concluded from the ledger alone: a time in which no job was started. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo

from ..model import Execution, Job, ScheduleKind
from .missed import Gap, gap_before, gap_of, is_same_time
from .occurrences import occurrences
from .schedule import MAX_LATE_WHEN_UP_NS
from .scheduler_activity import SchedulerActivity, is_on_time, on_schedule_before


def missed_by_idle_ledger(
    job: Job,
    execution: Execution,
    activity: SchedulerActivity,
    jobs: Mapping[str, Job],
    *,
    host_due_ns: int | None,
    zone: tzinfo,
) -> Gap | None:
    """Return what was missed before this run.

    For jobs that no harvest saw overdue. The job may have been paused or edited, so its two runs before
    must have been on schedule, no run of any job may have started in between, and this run (or another at
    the same time) must be late.
    """
    due = _due_while_idle(job, execution, activity, host_due_ns, zone)
    if job.schedule is None or not due:
        return None
    together = activity.claimed_with(execution)
    if any(_is_late(jobs.get(e.job_id), e, activity, zone) for e in together):
        return gap_before(execution, due, None)
    if not is_on_time(job.schedule, execution, zone):
        return None
    # It came right on time. One job alone may have been paused until then, but not two at once.
    span = (due[0], execution.claimed_ns - MAX_LATE_WHEN_UP_NS)
    others = (other for other in jobs.values() if other.job_id != job.job_id)
    if not any(_was_idle(other, execution, activity, span, zone) for other in others):
        return None
    if host_due_ns is not None:
        return gap_before(execution, due, None)
    return gap_of(due[:-1], None)


def _due_while_idle(
    job: Job,
    execution: Execution,
    activity: SchedulerActivity,
    host_due_ns: int | None,
    zone: tzinfo,
) -> list[int]:
    """Return when the job was due between its run before and this one, if nothing at all was started
    meanwhile and there were two such times; else none."""
    if job.schedule is None or job.runs_left is not None or execution.source == "direct":
        return []
    previous = on_schedule_before(job.schedule, execution, activity, zone)
    if previous is None or previous.finished_ns is None or not activity.covers(previous.claimed_ns):
        return []
    times = occurrences(job.schedule, previous.finished_ns, execution.claimed_ns, zone)
    due = list(times)
    if len(due) < 2 or (host_due_ns is not None and not is_same_time(host_due_ns, due[0])):
        return []
    first_ns, last_ns = due[0] + MAX_LATE_WHEN_UP_NS, execution.claimed_ns - MAX_LATE_WHEN_UP_NS
    return due if activity.nothing_started(first_ns, last_ns) else []


def _was_idle(
    job: Job, execution: Execution, activity: SchedulerActivity, span: tuple[int, int], zone: tzinfo
) -> bool:
    """Return whether this cron job, too, came right on its schedule before and was due in that time."""
    schedule = job.schedule
    if schedule is None or schedule.kind is not ScheduleKind.CRON or not job.enabled:
        return False
    if job.runs_left is not None:
        return False
    # As it was before anything came back: its own late run may have been claimed just before.
    before = replace(
        execution, job_id=job.job_id, claimed_ns=execution.claimed_ns - MAX_LATE_WHEN_UP_NS
    )
    previous = on_schedule_before(schedule, before, activity, zone)
    if previous is None or previous.finished_ns is None or previous.finished_ns > span[1]:
        return False
    due = occurrences(schedule, max(previous.finished_ns, span[0] - 1), span[1], zone)
    return next(due, None) is not None


def _is_late(
    job: Job | None, execution: Execution, activity: SchedulerActivity, zone: tzinfo
) -> bool:
    """Return whether a cron job's run came when a scheduler that was up would not have started it."""
    if job is None or job.schedule is None or job.schedule.kind is not ScheduleKind.CRON:
        return False
    if execution.source == "direct" or is_on_time(job.schedule, execution, zone):
        return False
    previous = on_schedule_before(job.schedule, execution, activity, zone)
    if previous is None or previous.finished_ns is None:
        return False
    due = occurrences(job.schedule, previous.finished_ns, execution.claimed_ns, zone)
    return next(due, None) is not None
