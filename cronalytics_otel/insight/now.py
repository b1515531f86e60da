"""What goes on now: runs that are going on, jobs that are due next, and runs that have just ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..journal import Journal
from ..journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from ..journal.filters import RunFilter
from ..model import Run, RunningRun
from ..model.times import NS
from .usual import is_hung, usual_duration_s

MAX_NEXT = 5
MAX_FINISHED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """A run that has not ended."""

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
    job_id: str
    job_name: str
    due_ns: int
    """It may be over: then the job is overdue, or nothing was read since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    now_ns: int
    running: tuple[GoingOn, ...]
    """The oldest first."""
    next_up: tuple[NextUp, ...]
    finished: tuple[Run, ...]
    """The newest end first."""
    last_sync_ns: int | None


class Now:
    """Looks again and again. How long a job usually takes is computed once."""

    def __init__(self) -> None:
        self._usual_s: dict[str, float | None] = {}

    def look(self, journal: Journal, running: Sequence[RunningRun], now_ns: int) -> Moment:
        """Return what goes on. `running` are the open rows of the ledger."""
        facts = journal.facts.read()
        jobs = {job.job_id: job for job in facts.get(CURRENT_JOBS)}
        final = journal.runs.known_executions([each.execution.execution_id for each in running])
        due = [
            NextUp(job_id=job.job_id, job_name=job.name, due_ns=job.next_run_ns)
            for job in jobs.values()
            if job.enabled and job.next_run_ns is not None
        ]
        return Moment(
            now_ns=now_ns,
            running=tuple(
                self._going_on(
                    journal,
                    each,
                    job.name if (job := jobs.get(each.execution.job_id)) else None,
                    now_ns,
                )
                for each in running
                if each.execution.execution_id not in final
            ),
            next_up=tuple(sorted(due, key=lambda each: each.due_ns)[:MAX_NEXT]),
            finished=tuple(journal.queries.runs(RunFilter(limit=MAX_FINISHED))),
            last_sync_ns=facts.get(LAST_SYNC_NS),
        )

    def _going_on(
        self, journal: Journal, each: RunningRun, name: str | None, now_ns: int
    ) -> GoingOn:
        execution = each.execution
        if execution.job_id not in self._usual_s:
            self._usual_s[execution.job_id] = usual_duration_s(journal, execution.job_id, now_ns)
        usual_s = self._usual_s[execution.job_id]
        elapsed_s = max(0, now_ns - execution.began_ns) / NS
        return GoingOn(
            execution_id=execution.execution_id,
            job_id=execution.job_id,
            job_name=name or execution.job_id,
            started_ns=execution.began_ns,
            elapsed_s=elapsed_s,
            usual_s=usual_s,
            is_hung=is_hung(elapsed_s, usual_s),
            process_is_gone=each.process_is_gone,
        )
