"""Sessions with their executions: what can become final now, what stays open, what was sent already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..domain.matching import Matcher
from ..model import Execution, Session
from .changes import EarlierHarvests, LedgerChanges
from .context import HarvestContext
from .readiness import Readiness


class Match(NamedTuple):
    """A session, and the execution that it belongs to if there is one."""

    execution: Execution | None
    session: Session


@dataclass(slots=True)
class Matches:
    """What can be done with the sessions of one chunk."""

    ready: list[Match] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    """The ids of sessions that are read again at the next harvest."""
    already_sent: list[str] = field(default_factory=list)
    """The ids of sessions whose runs were sent without them."""


class SessionMatching:
    """Matches the sessions of one harvest with its executions, one to one."""

    def __init__(
        self,
        context: HarvestContext,
        earlier: EarlierHarvests,
        changes: LedgerChanges,
        readiness: Readiness,
    ) -> None:
        self._journal = context.journal
        self._had_runs = earlier.has_runs
        self._ended = changes.ended
        self._readiness = readiness
        self.matcher = Matcher(changes.executions.values(), context.zone.info)
        self.unmatched = dict(changes.executions)
        """The executions, by id, that no session was found for."""
        self._postponed: list[Session] = []
        self._unwritten: list[Execution] = []
        """The executions of the sessions at hand, which are not in the journal yet."""

    def by_start(self, sessions: Iterable[Session]) -> Matches:
        """Match sessions with the executions that were running when they began.

        A session that is in the ledger's times and matches none is postponed: see `by_end`.
        """
        matches = Matches()
        self._unwritten = []
        for session in sessions:
            execution = self.matcher.by_start(session)
            if execution is not None:
                self._add(matches, execution, session)
            elif self._may_match_by_end(session):
                matches.open.append(session.session_id)
                self._postponed.append(session)
            elif self._readiness.is_complete(session):
                self._add_alone(matches, session)
            else:
                matches.open.append(session.session_id)
        return matches

    def forget_sessions(self) -> None:
        """Go on without the sessions, which cannot be read any more: the executions of those at hand
        count as unmatched."""
        self.unmatched |= {execution.execution_id: execution for execution in self._unwritten}
        self.written()

    def written(self) -> None:
        """Note that the runs of the sessions at hand are in the journal."""
        self._unwritten = []

    def by_end(self) -> Matches:
        """Match the sessions that were postponed with the executions that ended with them.

        Their clock was set back meanwhile. This is tried once all others are matched.
        """
        matches = Matches()
        for session in self._postponed:
            execution = self.matcher.by_end(session)
            if execution is not None:
                self._add(matches, execution, session)
            elif self._readiness.is_complete(session):
                self._add_alone(matches, session)
        return matches

    def ended_without_session(self) -> Sequence[Execution]:
        """Return the executions that are over and have no session."""
        return [e for e in self.unmatched.values() if e.execution_id in self._ended]

    def _add(self, matches: Matches, execution: Execution, session: Session) -> None:
        if execution.execution_id in self._ended:
            matches.ready.append(Match(execution, session))
            self._unwritten.append(execution)
            del self.unmatched[execution.execution_id]
        else:
            matches.open.append(session.session_id)

    def _add_alone(self, matches: Matches, session: Session) -> None:
        """Add a session without an execution, unless the run of its execution was sent alone, while
        the sessions could not be read."""
        if self._had_runs and self._journal.runs.execution_run_around(
            session.job_id or "", session.started_ns
        ):
            matches.already_sent.append(session.session_id)
        else:
            matches.ready.append(Match(None, session))

    def _may_match_by_end(self, session: Session) -> bool:
        """Return whether the ledger should know the session's execution, or has one that ended with it.

        After a clock was set back, a session may seem older than the whole ledger.
        """
        return self._readiness.ledger_covers(session) or self.matcher.ends_with(session) is not None
