"""Our own file: job definitions, final runs, observations, and what each destination lacks."""

from __future__ import annotations

from .database import JournalError, Repair, move_aside
from .journal import Journal
from .open_rows import OpenKind

__all__ = ["Journal", "JournalError", "OpenKind", "Repair", "move_aside"]
