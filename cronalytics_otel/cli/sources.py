"""The reasons for which the host's files may be absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..model.source import SourceName

ABSENCE: Final[Mapping[str, str]] = {
    SourceName.JOBS: "Hermes has no cron job yet",
    SourceName.LEDGER: "Hermes before 0.19 has none, and a new home gets it with its first run",
    SourceName.SESSIONS: "no agent has run yet",
    SourceName.OUTPUT: "no job has run yet",
}
"""By the name of the source."""
