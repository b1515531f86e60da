"""What it means where a file of the host, or a destination, is absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ..model.source import SourceName

if TYPE_CHECKING:
    from ..config import Settings

ABSENCE: Final[Mapping[str, str]] = {
    SourceName.JOBS: "Hermes has no cron job yet",
    SourceName.LEDGER: "Hermes before 0.19 has none, and a new home gets it with its first run",
    SourceName.SESSIONS: "no agent has run yet",
    SourceName.OUTPUT: "no job has run yet",
}
"""By the name of the source."""


def no_destination(settings: Settings) -> str:
    """Return what becomes of the runs where the settings name no destination for traces."""
    if settings.metric_destinations:
        return "no destination for traces: runs are kept in the journal, and only their metrics are sent"
    return "no destination: runs are kept in the journal and sent nowhere"
