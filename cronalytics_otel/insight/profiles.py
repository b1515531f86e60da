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
