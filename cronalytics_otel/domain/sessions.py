"""A session, and the sessions that continue it after its history was compressed."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Session


def continued(session: Session, below: Sequence[Session]) -> list[Session]:
    """Return the session and its continuations, in order. `below` has parents first."""
    chain = [session]
    for candidate in below:
        if candidate.parent_id == chain[-1].session_id and not candidate.is_subagent:
            chain.append(candidate)
    return chain


def last_of(session: Session, below: Sequence[Session]) -> Session:
    """Return the session that the conversation ended in."""
    return continued(session, below)[-1] if below else session
