"""What goes on now: runs that are going on, jobs that are due next, and runs that have just ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from ..journal.filters import RunFilter
from ..model import Run, RunningRun
from ..model.times import NS
from .overview import overdue_jobs
from .profiles import Profile
from .usual import is_hung, usual_duration_s

MAX_NEXT = 5
MAX_FINISHED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """A run that has not ended."""

    profile: str
    execution_id: str
    job_id: str
    job_name: str
    started_ns: int
    elapsed_s: float
    usual_s: float | None
    """How long the job's runs take at most, as a rule: their 95th percentile. None if that is unknown."""
    is_hung: bool
    process_is_gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NextUp:
    """A job that runs next at a time, or should have run then."""

    profile: str
    job_id: str
    job_name: str
    due_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    now_ns: int
    running: tuple[GoingOn, ...]
    """The oldest first."""
    overdue: tuple[NextUp, ...]
    """The longest first: jobs that a scheduler at work would have started."""
    next_up: tuple[NextUp, ...]
    """Jobs whose due time is still to come, the soonest first."""
    finished: tuple[Run, ...]
    """The newest end first."""
    last_sync_ns: int | None

    def __add__(self, other: Moment) -> Moment:
        """Return the same moment in several homes. It is as fresh as the home that was read first."""
        synced_ns = (self.last_sync_ns, other.last_sync_ns)
        return Moment(
            now_ns=self.now_ns,
            running=tuple(sorted(self.running + other.running, key=lambda each: each.started_ns)),
            overdue=_by_due_time(self.overdue + other.overdue),
            next_up=_by_due_time(self.next_up + other.next_up)[:MAX_NEXT],
            finished=tuple(
                sorted(self.finished + other.finished, key=lambda run: -run.ended_ns)[:MAX_FINISHED]
            ),
            last_sync_ns=min((ns for ns in synced_ns if ns is not None), default=None)
            if None not in synced_ns
            else None,
        )


def _by_due_time(due: Iterable[NextUp]) -> tuple[NextUp, ...]:
    return tuple(sorted(due, key=lambda each: each.due_ns))


class Now:
    """Looks again and again at one home. How long a job usually takes is computed once."""

    def __init__(self) -> None:
        self._usual_s: dict[str, float | None] = {}

    def look(
        self,
        profile: Profile,
        running: Sequence[RunningRun],
        now_ns: int,
        *,
        job_ids: frozenset[str] | None = None,
    ) -> Moment:
        """Return what goes on. `running` are the open rows of the ledger; `job_ids` None is every job."""
        journal = profile.journal
        facts = journal.facts.read()
        jobs = {job.job_id: job for job in facts.get(CURRENT_JOBS)}
        final = journal.runs.known_executions([each.execution.execution_id for each in running])
        due = [
            NextUp(
                profile=profile.name,
                job_id=job.job_id,
                job_name=job.name,
                due_ns=job.next_run_ns,
            )
            for job in jobs.values()
            if job.enabled
            and job.next_run_ns is not None
            and job.next_run_ns >= now_ns
            and (job_ids is None or job.job_id in job_ids)
        ]
        overdue = [
            NextUp(
                profile=profile.name,
                job_id=each.job.job_id,
                job_name=jobs[each.job.job_id].name,
                due_ns=each.job.due_ns,
            )
            for each in overdue_jobs(facts, now_ns)
            if each.is_current and (job_ids is None or each.job.job_id in job_ids)
        ]
        return Moment(
            now_ns=now_ns,
            running=tuple(
                self._going_on(
                    profile,
                    each,
                    job.name if (job := jobs.get(each.execution.job_id)) else None,
                    now_ns,
                )
                for each in running
                if each.execution.execution_id not in final
                and (job_ids is None or each.execution.job_id in job_ids)
            ),
            overdue=_by_due_time(overdue),
            next_up=_by_due_time(due)[:MAX_NEXT],
            finished=tuple(journal.queries.runs(RunFilter(jobs=job_ids, limit=MAX_FINISHED))),
            last_sync_ns=facts.get(LAST_SYNC_NS),
        )

    def _going_on(
        self, profile: Profile, each: RunningRun, name: str | None, now_ns: int
    ) -> GoingOn:
        execution = each.execution
        if execution.job_id not in self._usual_s:
            self._usual_s[execution.job_id] = usual_duration_s(
                profile.journal, execution.job_id, now_ns
            )
        usual_s = self._usual_s[execution.job_id]
        elapsed_s = max(0, now_ns - execution.began_ns) / NS
        return GoingOn(
            profile=profile.name,
            execution_id=execution.execution_id,
            job_id=execution.job_id,
            job_name=name or execution.job_id,
            started_ns=execution.began_ns,
            elapsed_s=elapsed_s,
            usual_s=usual_s,
            is_hung=is_hung(elapsed_s, usual_s),
            process_is_gone=each.process_is_gone,
        )
