"""Which session belongs to which execution. Pure functions: the ledger has no session id."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import tzinfo

from ..model import (
    Execution,
    Session,
)
from ..model.times import NS

SLACK_NS = NS
"""Two clocks of one machine that are read one after the other may differ by so much."""

END_SLACK_NS = 10 * NS
"""At most between a session's end and its execution's: the answer is saved and delivered in between."""

_NEVER_NS = 2**63 - 1


class Matcher:
    """Pairs sessions with executions, one to one."""

    def __init__(self, executions: Iterable[Execution], zone: tzinfo) -> None:
        """`zone` is the home's: session ids hold its wall clock time."""
        self._zone = zone
        self._by_job: dict[str, list[Execution]] = {}
        for execution in executions:
            self._by_job.setdefault(execution.job_id, []).append(execution)
        for siblings in self._by_job.values():
            siblings.sort(key=lambda e: e.began_ns)
        self._began = {job: [e.began_ns for e in es] for job, es in self._by_job.items()}
        self._ended = {
            job: sorted((e for e in es if e.finished_ns is not None), key=_finished)
            for job, es in self._by_job.items()
        }
        self._finished = {job: [_finished(e) for e in es] for job, es in self._ended.items()}
        self._taken: set[str] = set()

    def by_start(self, session: Session) -> Execution | None:
        """Return the execution that was running when the session began.

        Where several of one job overlap, it did not begin after the session's agent was called, it holds
        the whole session, and of those it ends first. A session that goes on does not belong to an
        execution that has ended.
        """
        job_id = session.job_id or ""
        siblings = self._by_job.get(job_id)
        if siblings is None:
            return None
        at = bisect_right(self._began[job_id], session.started_ns + SLACK_NS)
        running = [e for e in siblings[:at] if self._could_hold(e, session)]
        if not running:
            return None
        best = running[0] if len(running) == 1 else self._best(running, session)
        self._taken.add(best.execution_id)
        return best

    def _best(self, running: list[Execution], session: Session) -> Execution:
        # All of them remain where the home was in a zone then that nobody knows.
        running = [e for e in running if self._began_before_call(e, session)] or running
        if session.ended_ns is None:
            return next((e for e in reversed(running) if not e.ended_itself), running[-1])
        ended_ns = session.ended_ns - SLACK_NS
        holding = [e for e in running if _end_of(e) >= ended_ns]
        return min(holding, key=_end_of) if holding else running[-1]

    def _began_before_call(self, execution: Execution, session: Session) -> bool:
        """Return whether the execution began before the session's agent was called, by the wall clock in
        the session's id."""
        called_ns = max(session.called_ns(execution.zone_in(self._zone)), default=None)
        return called_ns is None or execution.began_ns < called_ns + SLACK_NS

    def _could_hold(self, execution: Execution, session: Session) -> bool:
        is_free = execution.execution_id not in self._taken
        return is_free and session.started_ns <= _end_of(execution)

    def by_end(self, session: Session) -> Execution | None:
        """Return the execution that ended with the session, for clocks that were set back meanwhile."""
        execution = self.ends_with(session)
        if execution is not None:
            self._taken.add(execution.execution_id)
        return execution

    def ends_with(self, session: Session) -> Execution | None:
        """Return the same as `by_end`, but do not pair them."""
        if session.ended_ns is None:
            return None
        job_id, at_ns = session.job_id or "", session.ended_ns
        finished = self._finished.get(job_id, ())
        first = bisect_left(finished, at_ns - END_SLACK_NS)
        last = bisect_right(finished, at_ns + END_SLACK_NS, lo=first)
        if first == last:
            return None
        near = (e for e in self._ended[job_id][first:last] if e.execution_id not in self._taken)
        return min(near, key=lambda e: abs(_finished(e) - at_ns), default=None)

    def before(self, execution: Execution) -> Execution | None:
        """Return the job's execution that began last before this one."""
        began = self._began.get(execution.job_id, [])
        at = bisect_right(began, execution.began_ns - 1)
        return self._by_job[execution.job_id][at - 1] if at else None


def _end_of(execution: Execution) -> int:
    """Return when it ended; never for one whose clock was set back to before its start: how long it took
    is unknown."""
    finished_ns = execution.finished_ns
    return _NEVER_NS if finished_ns is None or finished_ns < execution.began_ns else finished_ns


def _finished(execution: Execution) -> int:
    return _NEVER_NS if execution.finished_ns is None else execution.finished_ns
