"""Faults of the plugin itself: described without secrets, and logged once per kind.

Worker and export share this module, so nothing heavy may be imported here.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

MAX_KINDS: Final = 256
"""Kinds that one process logs. Texts that differ each time must not fill the host's log."""


class OncePerKind:
    """Logs one warning for each kind of fault, because a fault usually lasts for a while."""

    def __init__(self, logger: logging.Logger, *, max_kinds: int = MAX_KINDS) -> None:
        self._logger = logger
        self._max_kinds = max_kinds
        self._logged: set[str] = set()

    def warning(self, text: str, *, kind: str | None = None) -> None:
        """Log `text`, unless its kind was logged before. The text itself is the default kind."""
        key = kind or text
        if key not in self._logged and len(self._logged) < self._max_kinds:
            self._logged.add(key)
            self._logger.warning("cronalytics-otel: %s", text)


_own_faults: Final = OncePerKind(log)


def report_own_fault(error: Exception) -> str:
    """Return a description of a fault of our own, and log once where it happened.

    Neither holds the error's own words, which may quote a secret.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "nowhere"
    reason = f"a fault of cronalytics-otel itself ({type(error).__name__} in {where}): report it"
    _own_faults.warning(f"{reason}\n{''.join(traceback.format_list(frames))}", kind=reason)
    return reason
