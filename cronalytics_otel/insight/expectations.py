"""How often a job was due in a window, from what is known of it and of its last runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from itertools import takewhile
from statistics import median
from typing import NamedTuple

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
    home if that is later; in any case since its first known run was due, or since a person started it."""
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
    anchor = _anchor(job, since_ns, recent, due_to_end_s)
    return expected_occurrences(
        job.definitions,
        since_ns - 1,
        window.until_ns - 1 if stopped_ns is None else min(window.until_ns - 1, stopped_ns),
        zone,
        due_to_end_s=due_to_end_s,
        run_end_ns=None if anchor is None else anchor.end_ns,
        run_was_due=anchor is not None and anchor.was_due,
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


class _Anchor(NamedTuple):
    """A run from whose end the runs of an interval are counted."""

    end_ns: int
    was_due: bool
    """Whether the schedule started it, so that it is one of them."""


def _anchor(
    job: KnownJob, since_ns: int, recent: Iterable[RecentRun], due_to_end_s: float
) -> _Anchor | None:
    """Return the job's first run where the observed time begins with it, else the last one that was due.

    A job that people tried before the schedule started it is counted from the last try, as the host does.
    """
    first_ns = job.first_run_ns
    runs = [run for run in recent if run.outcome is not Outcome.MISSED]
    if first_ns is not None and job.first_run_was_manual and since_ns <= first_ns:
        tries = list(takewhile(_is_manual, reversed(runs)))
        end_ns = tries[-1].ended_ns if tries else first_ns + round(due_to_end_s * NS)
        return _Anchor(end_ns, was_due=False)
    if since_ns == first_ns:
        return _Anchor(since_ns + round(due_to_end_s * NS), was_due=True)
    last = next((run for run in runs if not _is_manual(run)), runs[0] if runs else None)
    return None if last is None else _Anchor(last.ended_ns, was_due=not _is_manual(last))


def _is_manual(run: RecentRun) -> bool:
    return run.trigger is Trigger.MANUAL
