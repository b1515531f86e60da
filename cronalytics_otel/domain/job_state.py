"""Whether a job will run again, and if not, why. Pure functions."""

from __future__ import annotations

from enum import StrEnum

from ..model import Job, ScheduleKind


class JobState(StrEnum):
    """What is to be expected of a job (`hermes.cron.job.state`, but for the last)."""

    SCHEDULED = "scheduled"
    PAUSED = "paused"
    COMPLETED = "completed"
    """It has run as often as its owner wanted: once, or to the end of its repeats."""
    DISABLED = "disabled"
    DELETED = "deleted"
    """It is not in jobs.json any more. Its runs stay known."""


def state_of(job: Job | None) -> JobState:
    """Return the state of a job as jobs.json has it now; None is a job that is not there any more."""
    if job is None:
        return JobState.DELETED
    is_once = job.schedule is not None and job.schedule.kind is ScheduleKind.ONCE
    has_run_once = is_once and job.last_run_ns is not None and job.next_run_ns is None
    if job.runs_left == 0 or has_run_once:
        return JobState.COMPLETED
    if job.enabled:
        return JobState.SCHEDULED
    return JobState.DISABLED if job.paused_ns is None else JobState.PAUSED
