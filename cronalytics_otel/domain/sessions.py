"""A session, the sessions that continue it after its history was compressed, and when they ran."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Execution, Session


def continued(session: Session, descendants: Sequence[Session]) -> list[Session]:
    """Return the session and its continuations, in order. `descendants` has parents first."""
    chain = [session]
    for candidate in descendants:
        if candidate.parent_id == chain[-1].session_id and not candidate.is_subagent:
            chain.append(candidate)
    return chain


def last_of(session: Session, descendants: Sequence[Session]) -> Session:
    """Return the session that the conversation ended in."""
    return continued(session, descendants)[-1] if descendants else session


def recorded_times(
    execution: Execution | None, session: Session | None, last: Session | None
) -> tuple[int, int | None]:
    """Return a run's (start, end) as the host wrote them; the end is None if it wrote none.

    The ledger goes first. Else they are the start of the session, and the end of the `last` one that
    continues it.
    """
    if execution is not None:
        return execution.began_ns, execution.finished_ns
    return session.started_ns if session else 0, last.ended_ns if last else None
