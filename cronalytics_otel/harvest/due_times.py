"""When a run was due: what the host itself had, as it was seen in jobs.json."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..domain.evidence import PreviousRun
from ..domain.missed import Overdue, was_overdue
from ..domain.schedule import (
    SAME_NS,
    UP_NS,
    counts_anew,
    grace_s,
    is_right_on_a_later_time,
    previous_occurrence_ns,
)
from ..model import Execution, Job, ScheduleKind
from ..model.times import NS
from .context import Context
from .job_history import JobHistory

TICK_NS = 60 * NS
"""Between two looks of the host's scheduler: a run may be so much later than the host counts."""


class DueTime(NamedTuple):
    """What is known of when a run was due. (A tuple: one is made for each run.)"""

    job: Job | None
    """The definition that explains the run."""
    known_ns: int | None
    """The time that the host had the run due for."""
    counted_from_ns: int | None
    """The time that an interval counts from; None when nobody saw it."""


class DueTimes:
    def __init__(self, context: Context, history: JobHistory) -> None:
        self._journal = context.journal
        self._zone = context.zone.info
        self._history = history
        self._seen: dict[str, list[int]] | None = None
        self._newest_start: dict[str, int] = {}

    def of_execution(
        self,
        execution: Execution,
        job: Job | None,
        previous: PreviousRun | None,
        overdue: Sequence[Overdue],
    ) -> DueTime:
        """Return when an execution was due. `job` is the definition that held at its end, `overdue` the
        times at which the job was seen overdue."""
        counted_ns = previous.counted_from_ns if previous is not None else None
        due_ns = self.known_ns(execution, previous)
        if due_ns is None:
            return DueTime(job, None, counted_ns)
        is_sure = execution.claimed_ns - due_ns <= UP_NS or was_overdue(overdue, execution, due_ns)
        if is_sure:
            return DueTime(job, due_ns, counted_ns)
        edited = self._edited_before(execution)
        if edited is not None:
            if edited.schedule is None or edited.schedule.kind is ScheduleKind.INTERVAL:
                # It counts from the edit, and nobody saw that.
                return DueTime(replace(edited, created_ns=None), None, None)
            return DueTime(edited, None, counted_ns)
        return DueTime(
            job, due_ns if self._still_held(execution, job, due_ns) else None, counted_ns
        )

    def known_ns(self, execution: Execution, previous: PreviousRun | None) -> int | None:
        """Return what the host had this execution due for when it was seen last, since the run before."""
        claimed_ns = execution.claimed_ns
        after_ns = previous.began_ns if previous is not None else 0
        # A run that still went on, or was a person's beside this one, has not moved the time yet.
        has_ended = previous is not None and previous.counted_from_ns <= claimed_ns
        if previous is not None and has_ended:
            after_ns = max(after_ns, previous.counted_from_ns - SAME_NS)
        due_ns = self._journal.jobs.due_between(execution.job_id, after_ns, claimed_ns + NS)
        if due_ns is None or previous is None or not has_ended:
            return due_ns
        job = self._history.at(execution.job_id, claimed_ns)
        anew = counts_anew(
            job.schedule if job else None,
            due_ns,
            claimed_ns=claimed_ns,
            previous_end_ns=previous.counted_from_ns,
        )
        return None if anew else due_ns

    def without_execution(self, job_id: str, began_ns: int) -> int | None:
        """Return when a run was due that no ledger knows: the newest time that was seen before the run,
        if no earlier run took it and the host lets a run be so late."""
        if self._seen is None:
            self._seen = self._journal.jobs.dues()
        dues = self._seen.get(job_id)
        if not dues:
            return None
        before_ns = self._newest_start.get(job_id, 0)
        self._newest_start[job_id] = max(before_ns, began_ns)
        seen = bisect_right(dues, began_ns + NS)
        if not seen or dues[seen - 1] <= before_ns:
            return None
        due_ns = dues[seen - 1]
        job = self._history.at(job_id, began_ns)
        late_s = grace_s(job.schedule) if job is not None and job.schedule is not None else 0
        if began_ns - due_ns > late_s * NS + TICK_NS:
            return None
        previous = self._journal.runs.previous_times(job_id, began_ns)
        return due_ns if previous is None or due_ns > previous[0] else None

    def _edited_before(self, execution: Execution) -> Job | None:
        """Return the definition with another schedule that was seen only after this run, if it explains
        the run better than the one before."""
        claimed_ns = execution.claimed_ns
        edited = self._history.changed_schedule(execution.job_id, claimed_ns)
        if edited is None or edited.schedule is None or edited.schedule.cron is None:
            return edited
        newest_ns = previous_occurrence_ns(edited.schedule.cron, claimed_ns, self._zone)
        return edited if newest_ns is not None and claimed_ns - newest_ns <= UP_NS else None

    def _still_held(self, execution: Execution, job: Job | None, due_ns: int) -> bool:
        """Return whether a run that came late was due for the time that was seen last.

        A time that passed during a pause no longer holds. Nor, most likely, does one where the run came
        right on a later time: a scheduler that was down runs what is overdue whenever it comes back.
        """
        then = self._history.at(execution.job_id, execution.claimed_ns)
        if then is not None and not then.enabled:
            return False
        return not is_right_on_a_later_time(
            job.schedule if job else None,
            due_ns,
            claimed_ns=execution.claimed_ns,
            zone=self._zone,
        )
