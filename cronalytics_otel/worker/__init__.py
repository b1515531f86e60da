"""When to sync: a pure plan, and the background thread in the host's process that follows it."""

from __future__ import annotations

from .thread import Worker

__all__ = ["Worker"]
