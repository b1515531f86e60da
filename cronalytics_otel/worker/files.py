"""The host's files that change when a run begins or ends."""

from __future__ import annotations

from pathlib import Path

from ..host.home import Home
from .plan import FileTimes

_MISSING = (0, 0)


def file_times(home: Home) -> FileTimes:
    """Return size and time of change of the ledger, its write-ahead log, and jobs.json.

    Sessions change with every message, so state.db stands in for the ledger only where there is none.
    """
    watched = home.ledger if _file_time(home.ledger) != _MISSING else home.state_db
    log = watched.with_name(watched.name + "-wal")
    return tuple(_file_time(path) for path in (watched, log, home.jobs))


def settings_times(home: Home) -> FileTimes:
    """Return the same for the files that settings are read from."""
    return tuple(_file_time(home.path / name) for name in ("config.yaml", ".env"))


def _file_time(path: Path) -> tuple[int, int]:
    """Return size and time of change. They are zeros for a file that is missing or cannot be reached
    now, as on a network disk."""
    try:
        stat = path.stat()
    except OSError:
        return _MISSING
    return (stat.st_size, stat.st_mtime_ns)
