"""One of the host's files or folders, as it was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SourceName(StrEnum):
    """What each of the host's files and folders is called, in the journal and in what people see."""

    JOBS = "jobs"
    LEDGER = "ledger"
    SESSIONS = "sessions"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    name: str
    """A `SourceName`."""
    path: str
    exists: bool
    fault: str | None
    """What is wrong with it, with its path and what to do; None if nothing is."""
    changed_ns: int | None
    """When it, or its write-ahead log, was last written; None if it does not exist."""
