"""Our own file: every run with all its facts, and the outbox of what each destination lacks."""

from __future__ import annotations

from .database import JournalError, Repair, move_aside
from .journal import Journal

__all__ = ["Journal", "JournalError", "Repair", "move_aside"]
