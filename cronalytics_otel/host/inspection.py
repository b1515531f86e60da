"""A look at the host's files: are they there, can they be read, do they hold what we need?"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from . import jobs, ledger, state_db
from .home import Home
from .sqlite import HostDataError, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of the host. `fault` says what is wrong, with file and remedy; None: nothing."""

    name: str
    path: Path
    exists: bool
    fault: str | None
    changed_ns: int | None
    """When it, or its write-ahead log, was written last."""
    absence: str
    """What it means when it is not there."""


def look_at(home: Home) -> list[Source]:
    """Each file, opened and read a little; nothing is changed and no lock is kept."""
    return [
        _source("jobs", home.jobs, _check_jobs, "Hermes has no cron job yet"),
        _source(
            "ledger", home.ledger, _check_ledger,
            "Hermes before 0.19 has none, and a new home gets it with its first run",
        ),
        _source("sessions", home.state_db, _check_sessions, "no agent has run yet"),
        _source("output", home.outputs, _check_folder, "no job has run yet"),
    ]  # fmt: skip


def _source(name: str, path: Path, check: Callable[[Path], None], absence: str) -> Source:
    exists, changed_ns, fault = True, None, None
    try:
        exists = path.exists()
        changed_ns = _changed_ns(path)
        if exists:
            check(path)
    except HostDataError as error:
        fault = str(error)
    except OSError as error:  # a folder above it that this user may not enter
        fault = f"{path} cannot be read: {error.strerror}"
    return Source(
        name=name, path=path, exists=exists, fault=fault, changed_ns=changed_ns, absence=absence
    )


def _check_jobs(path: Path) -> None:
    jobs.parse(jobs.read_text(path) or "[]", path, UTC)


def _check_ledger(path: Path) -> None:
    with reading(path) as connection:
        for _ in ledger.reread(connection, path, ()):
            pass


def _check_sessions(path: Path) -> None:
    with reading(path) as connection:
        state_db.Reader(connection, path)
        state_db.watermark(connection)


def _check_folder(path: Path) -> None:
    if not os.access(path, os.R_OK | os.X_OK):
        raise HostDataError(f"{path} cannot be read: permission denied")


def _changed_ns(path: Path) -> int | None:
    times = [
        file.stat().st_mtime_ns
        for file in (path, path.with_name(f"{path.name}-wal"))
        if file.exists()
    ]
    return max(times, default=None)
