"""Runs that never happened, found with the runs that did.

1. A run became final, or a job that was seen overdue was paused, edited or removed.
2. `OverdueJobs` gives the sightings of the job. If there is none, `SchedulerActivity` shows an idle ledger.
3. `domain.missed` (`before_run`, `without_run`) or `domain.idle_scheduler` decides, and gives a `Gap`.
4. `missed.run_of` makes a run with the outcome `missed` of the gap.
5. A run that came late gets the time that it made up for as its due time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..domain import missed
from ..domain import schedule as schedules
from ..domain.evidence import Evidence, PreviousRun
from ..domain.idle_scheduler import missed_by_idle_ledger
from ..domain.missed import Gap, OverdueSighting
from ..domain.occurrences import occurrences
from ..domain.scheduler_activity import SchedulerActivity
from ..host import ledger as ledger_file
from ..host.sqlite import reading
from ..model import Execution, Job, Run
from ..model.times import NS
from .context import HarvestContext
from .due_times import DueTimes
from .job_history import JobHistory
from .overdue import REPORT_AFTER_NS, OverdueJobs


class MissedRuns:
    """Finds what was missed, from the runs that became final and from jobs that were overdue."""

    def __init__(
        self,
        context: HarvestContext,
        history: JobHistory,
        due_times: DueTimes,
        overdue: OverdueJobs,
    ) -> None:
        self._context = context
        self._history = history
        self._due_times = due_times
        self._overdue = overdue
        self._activity: SchedulerActivity | None = None

    def with_missed_before(self, found: Sequence[tuple[Evidence, Run]]) -> list[Run]:
        """Return these runs, and the missed runs before them.

        A run that made up for missed times gets the first of them as its due time.
        """
        runs: list[Run] = []
        missed_runs: list[Run] = []
        for evidence, run in found:
            execution = evidence.execution
            gap = self._before(execution, evidence) if execution else None
            if execution is None or gap is None:
                runs.append(run)
                continue
            job = self._history.at(run.job_id, execution.claimed_ns)
            runs.append(_as_late_run(run, gap, job))
            missed_runs.append(self._run_of(gap, run.job_id))
        return runs + self._unknown(missed_runs)

    def without_run(self) -> list[Run]:
        """Return what was missed by jobs that were paused, edited or removed before they could run
        late."""
        missed_runs: list[Run] = []
        blocked: set[str] = set()
        for job_id, overdue in self._overdue.ready_to_report():
            siblings = self._scheduler_activity().by_job.get(job_id, ())
            if job_id in blocked or self._any_still_runs(siblings):
                blocked.add(job_id)  # what it ran for is known when it has ended
                continue
            gap = self._missed_without_run(job_id, overdue, siblings)
            if gap is not None:
                missed_runs.append(self._run_of(gap, job_id))
            self._overdue.mark_reported(job_id, overdue)
        return self._unknown(missed_runs)

    # --- before one run -------------------------------------------------------------------------

    def _before(self, execution: Execution, evidence: Evidence) -> Gap | None:
        previous = evidence.previous
        job = self._history.at(execution.job_id, execution.claimed_ns)
        if job is None or job.schedule is None:
            return None
        first_of = [
            overdue
            for overdue in self._overdue.of_job(execution.job_id)
            if _is_first(execution, previous, overdue)
        ]
        if first_of:
            return self._while_overdue(first_of[-1], execution, job, previous)
        if previous is None or not self._could_be_missed(job, execution, previous):
            return None
        if evidence.zone_before is not None:
            return None  # in which of the zones it was due in between is not known
        return self._by_idle_ledger(job, execution, previous)

    def _while_overdue(
        self, overdue: OverdueSighting, execution: Execution, job: Job, previous: PreviousRun | None
    ) -> Gap | None:
        """Return what was missed while the job was seen overdue, until this run."""
        if overdue.reported:
            return None  # reported already
        self._overdue.forget(execution.job_id, overdue)
        then = self._history.at(execution.job_id, overdue.until_ns) or job  # edited since, perhaps
        schedule = then.schedule or job.schedule
        if schedule is None:
            return None
        return missed.before_run(
            overdue,
            schedule,
            execution,
            counted_from_ns=previous.counted_from_ns if previous is not None else None,
            zone=execution.zone_in(self._context.zone.info),
        )

    def _by_idle_ledger(self, job: Job, execution: Execution, previous: PreviousRun) -> Gap | None:
        """Return what the ledger alone shows to have been missed; the job must have been as it is now."""
        definitions = self._history.between(
            job.job_id, previous.counted_from_ns, execution.claimed_ns
        )
        now = self._history.now.get(job.job_id)
        if now is None or any(
            not other.enabled or other.schedule != now.schedule for other in definitions
        ):
            return None
        return missed_by_idle_ledger(
            now,
            execution,
            self._scheduler_activity(),
            self._history.now,
            host_due_ns=self._due_times.host_due_ns(execution, previous),
            zone=execution.zone_in(self._context.zone.info),
        )

    def _could_be_missed(self, job: Job, execution: Execution, previous: PreviousRun) -> bool:
        """Return whether the job was due in between. This is asked of every run, so that the ledger is
        read for few."""
        if job.schedule is None or execution.source == "direct":
            return False
        limit_ns = execution.claimed_ns - schedules.MAX_LATE_WHEN_UP_NS
        zone = execution.zone_in(self._context.zone.info)
        times = occurrences(job.schedule, previous.counted_from_ns, limit_ns, zone)
        return next(times, None) is not None

    # --- without a run --------------------------------------------------------------------------

    def _missed_without_run(
        self, job_id: str, overdue: OverdueSighting, siblings: Sequence[Execution]
    ) -> Gap | None:
        """Return what was missed if the job missed_runs ran for the time that it was overdue for."""
        until_ns = (overdue.changed_ns or 0) + REPORT_AFTER_NS
        if any(overdue.due_ns - NS <= e.claimed_ns <= until_ns for e in siblings):
            return None
        job = self._history.at(job_id, overdue.until_ns)
        if (
            job is None
            or job.schedule is None
            or not self._scheduler_activity().covers(overdue.due_ns)
        ):
            return None
        before = [e for e in siblings if e.claimed_ns < overdue.due_ns]
        return missed.without_run(
            overdue,
            job.schedule,
            counted_from_ns=before[-1].counted_from_ns if before else None,
            zone=self._context.zone.info,
        )

    def _any_still_runs(self, siblings: Sequence[Execution]) -> bool:
        """Return whether one is open. A row that is open for ever may be known to be abandoned."""
        is_open = [e.execution_id for e in siblings if e.is_open]
        return len(self._context.journal.runs.known_executions(is_open)) < len(is_open)

    # --- both -----------------------------------------------------------------------------------

    def _run_of(self, gap: Gap, job_id: str) -> Run:
        last_ns = gap.last_ns + schedules.MAX_LATE_WHEN_UP_NS
        return missed.run_of(
            gap,
            job_id,
            self._history.at(job_id, gap.first_ns),
            profile=self._context.home.profile,
            scheduler_down=self._scheduler_activity().scheduler_was_down(gap.first_ns, last_ns),
            zone_name=self._context.zone.name,
        )

    def _unknown(self, missed_runs: Sequence[Run]) -> list[Run]:
        """Return those that are not in the journal yet, each once."""
        by_id = {run.run_id: run for run in missed_runs}
        known = self._context.journal.runs.known_executions(list(by_id))
        return [run for run_id, run in by_id.items() if run_id not in known]

    def _scheduler_activity(self) -> SchedulerActivity:
        """Read all of it once a harvest, and only when there is something to ask it: a thousand rows."""
        if self._activity is None:
            path = self._context.home.ledger
            with reading(path) as connection:
                page = ledger_file.read(connection, path, after_rowid=0, after_id="", open_ids=())
            self._activity = SchedulerActivity.of(page.executions, page.oldest_claim_ns)
        return self._activity


def _is_first(execution: Execution, previous: PreviousRun | None, overdue: OverdueSighting) -> bool:
    """Return whether it is the job's first run since it was due for that time."""
    is_after = execution.claimed_ns >= overdue.due_ns - NS
    return is_after and (previous is None or previous.began_ns < overdue.due_ns)


def _as_late_run(run: Run, gap: Gap, job: Job | None) -> Run:
    """Return the run with the time it made up for as its due time, so that its lateness shows."""
    if gap.ran_for_ns is None or run.claimed_ns is None or job is None or job.schedule is None:
        return run
    trigger = schedules.trigger_of(
        "", job.schedule, claimed_ns=run.claimed_ns, due_ns=gap.ran_for_ns
    )
    return replace(run, scheduled_ns=gap.ran_for_ns, trigger=trigger)
