"""When a run was due by the host's own next_run_at, as it was seen in jobs.json."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ..domain.evidence import PreviousRun
from ..domain.missed import OverdueSighting, was_overdue
from ..domain.schedule import (
    MAX_LATE_WHEN_UP_NS,
    SAME_TIME_NS,
    fits_later_occurrence,
    grace_s,
    is_on_time,
    is_out_of_turn,
    previous_occurrence_ns,
    was_superseded,
)
from ..model import Execution, Job, ScheduleKind
from ..model.times import NS
from .context import HarvestContext
from .job_history import JobHistory

TICK_NS = 60 * NS
"""The host's scheduler looks once a minute, so a run may start this much later than its grace allows."""


class DueTime(NamedTuple):
    """What is known of when a run was due. (A tuple: one is made for each run.)"""

    job: Job | None
    """The definition that explains the run."""
    host_due_ns: int | None
    """The time that the host had the run due for."""
    counted_from_ns: int | None
    """The time that the next due time is counted from; None when nobody saw it."""
    is_out_of_turn: bool = False
    """The job was not due: somebody asked for the run."""


class DueTimes:
    def __init__(self, context: HarvestContext, history: JobHistory) -> None:
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
        overdue: Sequence[OverdueSighting],
    ) -> DueTime:
        """Return when an execution was due. `job` is the definition that held at its end, `overdue` the
        times at which the job was seen overdue."""
        counted_from_ns = previous.counted_from_ns if previous is not None else None
        if self._is_out_of_turn(execution, job, previous):
            return DueTime(job, None, counted_from_ns, is_out_of_turn=True)
        due_ns = self.host_due_ns(execution, previous)
        if due_ns is None:
            return DueTime(job, None, counted_from_ns)
        is_sure = execution.claimed_ns - due_ns <= MAX_LATE_WHEN_UP_NS or was_overdue(
            overdue, execution, due_ns
        )
        if is_sure:
            return DueTime(job, due_ns, counted_from_ns)
        edited = self._edited_before(execution)
        if edited is not None:
            if edited.schedule is None or edited.schedule.kind is ScheduleKind.INTERVAL:
                # It counts from the edit, and nobody saw that.
                return DueTime(replace(edited, created_ns=None), None, None)
            return DueTime(edited, None, counted_from_ns)
        return DueTime(
            job, due_ns if self._still_held(execution, job, due_ns) else None, counted_from_ns
        )

    def _is_out_of_turn(
        self, execution: Execution, job: Job | None, previous: PreviousRun | None
    ) -> bool:
        """Return whether the scheduler started the job although it was not due ("run now" of the host's
        dashboard).

        A definition that was first seen after the run may have had another schedule then: it counts if the
        run before fits it.
        """
        if execution.source != "builtin" or execution.scheduled_ns is not None:
            return False
        if job is None or job.schedule is None or previous is None:
            return False
        zone = execution.zone_in(self._zone)
        after_ns, claimed_ns = previous.began_ns, execution.claimed_ns
        if not is_out_of_turn(job.schedule, after_ns=after_ns, claimed_ns=claimed_ns, zone=zone):
            return False
        return self._history.held(job, after_ns, claimed_ns) or is_on_time(
            job.schedule, after_ns, zone
        )

    def host_due_ns(self, execution: Execution, previous: PreviousRun | None) -> int | None:
        """Return the newest next_run_at that was seen between the previous run and this execution."""
        claimed_ns = execution.claimed_ns
        after_ns = previous.began_ns if previous is not None else 0
        # A run that still went on, or was a person's beside this one, has not moved the time yet.
        has_ended = previous is not None and previous.counted_from_ns <= claimed_ns
        if previous is not None and has_ended:
            after_ns = max(after_ns, previous.counted_from_ns - SAME_TIME_NS)
        due_ns = self._journal.jobs.due_between(execution.job_id, after_ns, claimed_ns + NS)
        if due_ns is None or previous is None or not has_ended:
            return due_ns
        job = self._history.at(execution.job_id, claimed_ns)
        is_outdated = was_superseded(
            job.schedule if job else None,
            due_ns,
            claimed_ns=claimed_ns,
            counted_from_ns=previous.counted_from_ns,
        )
        return None if is_outdated else due_ns

    def take_without_execution(self, job_id: str, began_ns: int) -> int | None:
        """Return when a run without an execution was due: the newest next_run_at that was seen before
        the run, if no earlier run took it and the host lets a run be so late.

        Each call takes the time for its run: call this in the order of the runs' starts.
        """
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
        """Return the definition with another schedule that was first seen after this run, if it
        explains the run better than the definition before."""
        claimed_ns = execution.claimed_ns
        edited = self._history.changed_schedule(execution.job_id, claimed_ns)
        if edited is None or edited.schedule is None or edited.schedule.cron is None:
            return edited
        newest_ns = previous_occurrence_ns(
            edited.schedule.cron, claimed_ns, execution.zone_in(self._zone)
        )
        return (
            edited
            if newest_ns is not None and claimed_ns - newest_ns <= MAX_LATE_WHEN_UP_NS
            else None
        )

    def _still_held(self, execution: Execution, job: Job | None, due_ns: int) -> bool:
        """Return whether a run that came late was due for the time that was seen last.

        A time that passed during a pause no longer holds. Nor, most likely, does one where the run came
        right on a later time: a scheduler that was down runs what is overdue whenever it comes back.
        """
        then = self._history.at(execution.job_id, execution.claimed_ns)
        if then is not None and not then.enabled:
            return False
        return not fits_later_occurrence(
            job.schedule if job else None,
            due_ns,
            claimed_ns=execution.claimed_ns,
            zone=execution.zone_in(self._zone),
        )
