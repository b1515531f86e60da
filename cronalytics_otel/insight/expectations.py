"""How often a job was due in a window, from what is known of it and of its last runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from statistics import median

from ..domain.occurrences import expected_occurrences
from ..domain.projections import observed_since_ns
from ..journal.job_runs import RecentRun
from ..model import Outcome, Trigger
from ..model.times import NS
from .known_jobs import KnownJob
from .windows import Window

_NOT_ON_TIME = frozenset({Trigger.CATCH_UP, Trigger.MANUAL})


def known_since_ns(job: KnownJob, home_known_since_ns: int | None) -> int | None:
    """Return since when the job can have been observed: since it was made, or since anything is known of its
    home if that is later; in any case since its first known run was due."""
    created_ns = None if job.latest is None else job.latest.created_ns
    if created_ns is not None and home_known_since_ns is not None:
        created_ns = max(created_ns, home_known_since_ns)
    return min((ns for ns in (created_ns, job.first_run_ns) if ns is not None), default=None)


def usual_due_to_end_s(runs: Iterable[RecentRun]) -> float:
    """Return the median time from the due time to the end of a job's last runs; 0 if it is unknown.

    A run that was caught up with began late because the scheduler was off, and one by hand was not due.
    """
    known = [
        run.ended_ns - run.scheduled_ns
        for run in runs
        if run.scheduled_ns is not None
        and run.outcome is not Outcome.MISSED
        and run.trigger not in _NOT_ON_TIME
        and run.ended_ns >= run.scheduled_ns
    ]
    return median(known) / NS if known else 0.0


def expected_runs(
    job: KnownJob,
    window: Window,
    zone: tzinfo,
    recent: Sequence[RecentRun],
    *,
    last_ended_ns: int | None,
    known_since_ns: int | None,
) -> int | None:
    """Return how often the job was due in the window, while it was there; None if that is unknown.

    `recent` are its last runs, the newest first, and `last_ended_ns` is when the last one ended that took
    place.
    """
    since_ns = observed_since_ns(window.since_ns, window.until_ns, known_since_ns=known_since_ns)
    if since_ns is None or not job.definitions:
        return None
    stopped_ns = _stopped_ns(job, last_ended_ns)
    due_to_end_s = usual_due_to_end_s(recent)
    return expected_occurrences(
        job.definitions,
        since_ns - 1,
        window.until_ns - 1 if stopped_ns is None else min(window.until_ns - 1, stopped_ns),
        zone,
        due_to_end_s=due_to_end_s,
        run_end_ns=_known_end_ns(job, since_ns, recent, due_to_end_s),
        last_run_ns=last_ended_ns,
    )


def _stopped_ns(job: KnownJob, last_ended_ns: int | None) -> int | None:
    """Return until when a job was due that is gone or has used up its repeats; None for any other.

    One that is gone was surely there when a sync saw it last, and when it ran last.
    """
    if job.current is None:
        known = (ns for ns in (job.gone_since_ns, last_ended_ns) if ns is not None)
        return max(known, default=None)
    return last_ended_ns if job.current.runs_left == 0 else None


def _known_end_ns(
    job: KnownJob, since_ns: int, recent: Iterable[RecentRun], due_to_end_s: float
) -> int | None:
    """Return the end of a run, from which the runs of an interval are counted: of the first one where the
    observed time begins with it, else of the last."""
    if since_ns == job.first_run_ns:
        return since_ns + round(due_to_end_s * NS)
    return next((run.ended_ns for run in recent if run.outcome is not Outcome.MISSED), None)
