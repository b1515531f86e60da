"""A session, and the sessions that continue it after its history was compressed."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Session


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
