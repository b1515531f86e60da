"""The homes that a question is about. Each profile of the host has a home and a journal of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from ..journal import Journal


class Profile(NamedTuple):
    name: str
    journal: Journal


Profiles: TypeAlias = Sequence[Profile]
"""Normally one."""


def known_since_ns(profiles: Profiles) -> int | None:
    """Return since when any run of the homes is known; None without runs."""
    known = (journal.job_runs.known_since_ns() for _, journal in profiles)
    return min((since_ns for since_ns in known if since_ns is not None), default=None)
