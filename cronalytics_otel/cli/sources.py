"""The reasons for which the host's files may be absent."""

from __future__ import annotations

from typing import Final

ABSENCE: Final = {
    "jobs": "Hermes has no cron job yet",
    "ledger": "Hermes before 0.19 has none, and a new home gets it with its first run",
    "sessions": "no agent has run yet",
    "output": "no job has run yet",
}
"""By the name of the source."""
