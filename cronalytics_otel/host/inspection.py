"""A look at the host's files: do they exist, can they be read, do they hold what we need?"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable
from datetime import UTC
from pathlib import Path

from ..model import Source, SourceName
from . import jobs, ledger, state_db
from .home import Home
from .sqlite import HostDataError, HostTableMissingError, reading


def inspect_sources(
    home: Home, *, just_read: Container[str] = (), had_rows: Container[str] = ()
) -> tuple[Source, ...]:
    """Open each file and read a little of it. Nothing is changed, and no lock is kept.

    The files of the sources in `just_read` were read without a fault, and are not opened again. Those of
    the sources in `had_rows` were read before: if they are empty or not there now, that is a fault.
    """
    return tuple(
        _inspect(name, path, is_sound=name in just_read, had_rows=name in had_rows)
        for name, path in _paths(home).items()
    )


def has_changed(home: Home, sources: Iterable[Source]) -> bool:
    """Return whether a file was written, created or removed since it was found like this. Opens no
    file."""
    known = {source.name: (source.exists, source.changed_ns) for source in sources}
    try:
        return known != {
            name: (path.exists(), _changed_ns(path)) for name, path in _paths(home).items()
        }
    except OSError:  # a folder that this user may not enter, or a file that has just gone
        return True


def _paths(home: Home) -> dict[SourceName, Path]:
    return {
        SourceName.JOBS: home.jobs,
        SourceName.LEDGER: home.ledger,
        SourceName.SESSIONS: home.state_db,
        SourceName.OUTPUT: home.outputs,
    }


def vanished_file(path: Path) -> HostDataError:
    """Return the fault of a file that was read before and is not there any more."""
    return HostDataError(f"{path} is gone, and it was there before: restore it")


def _inspect(name: SourceName, path: Path, *, is_sound: bool, had_rows: bool) -> Source:
    exists, changed_ns, fault = True, None, None
    try:
        exists = path.exists()
        changed_ns = _changed_ns(path)
        if exists and not is_sound:
            _CHECKS[name](path)
        if had_rows and not exists:
            fault = str(vanished_file(path))
    except HostTableMissingError as error:
        fault = str(error) if had_rows else None
    except HostDataError as error:
        fault = str(error)
    except OSError as error:  # a folder above it that this user may not enter
        fault = f"{path} cannot be read: {error.strerror}"
    return Source(name=name, path=str(path), exists=exists, fault=fault, changed_ns=changed_ns)


def _check_jobs(path: Path) -> None:
    jobs.parse(jobs.read_text(path) or "[]", path, UTC)


def _check_ledger(path: Path) -> None:
    with reading(path) as connection:
        for _ in ledger.reread(connection, path, ()):
            pass


def _check_sessions(path: Path) -> None:
    with reading(path) as connection:
        state_db.StateReader(connection, path)
        state_db.newest_row(connection)


def _check_folder(path: Path) -> None:
    if not os.access(path, os.R_OK | os.X_OK):
        raise HostDataError(f"{path} cannot be read: permission denied")


_CHECKS: dict[SourceName, Callable[[Path], None]] = {
    SourceName.JOBS: _check_jobs,
    SourceName.LEDGER: _check_ledger,
    SourceName.SESSIONS: _check_sessions,
    SourceName.OUTPUT: _check_folder,
}


def _changed_ns(path: Path) -> int | None:
    """Return when the file or its write-ahead log was last written; an empty log counts as none."""
    log = path.with_name(f"{path.name}-wal")
    written = [path] if path.exists() else []
    if log.exists() and log.stat().st_size:
        written.append(log)
    return max((file.stat().st_mtime_ns for file in written), default=None)
