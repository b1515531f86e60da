"""A session, and those that went on with it after its history was compressed."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Session


def continued(session: Session, below: Sequence[Session]) -> list[Session]:
    """The session, and those that went on with it one after the other after a compression."""
    chain = [session]
    for candidate in below:  # parents come first
        if candidate.parent_id == chain[-1].session_id and not candidate.is_subagent:
            chain.append(candidate)
    return chain


def last_of(session: Session, below: Sequence[Session]) -> Session:
    """The last of these."""
    return continued(session, below)[-1]
