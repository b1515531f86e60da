"""From Hermes's files into the journal: what is new, and what was still open."""

from __future__ import annotations

from .context import HarvestReport
from .harvester import harvest

__all__ = ["HarvestReport", "harvest"]
