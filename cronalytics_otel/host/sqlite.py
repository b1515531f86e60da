"""Reading the host's SQLite files without ever disturbing them.

Only through `sqlite3`: a plain `open()` and `close()` of the file in the host's own process would
drop the locks that SQLite holds on it (POSIX locks belong to the process).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from ..clock import Clock

BUSY_TIMEOUT_S = 0.25
"""The host writes in short transactions. A file that is locked for longer is read at the next sync."""

RECENT_NS = 2_000_000_000
"""A file that changed so lately may change again within the same tick of its clock."""

Row = tuple[object, ...]

_text = partial(str, encoding="utf-8", errors="replace")


class HostDataError(Exception):
    """A file of the host cannot be read as it should; the message names file, fault and remedy."""


class HostBusyError(HostDataError):
    """It is locked for now; it is read at the next sync."""


class HostCorruptError(HostDataError):
    """It is damaged: its owner has to mend it."""


class HostSchemaError(HostDataError):
    """It lacks a table or column that we cannot do without."""


class HostTableMissingError(HostSchemaError):
    """It lacks the whole table: the host makes it with the first row."""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection in autocommit, so that no read transaction outlives a statement.

    Raises a `HostDataError` for every SQLite fault inside the block.
    """
    uri = f"file:{quote(os.fsencode(path))}?mode=ro"
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = _text  # a host's text may hold what a tool has printed
        connection.execute("PRAGMA query_only=1")
        yield connection
    except SQLITE_FAULTS as error:
        raise translated(path, error) from error
    finally:
        if connection is not None:
            connection.close()


SQLITE_FAULTS = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a database may raise. The text of SQLite's error may itself hold damaged bytes."""


def translated(path: Path, error: Exception) -> HostDataError:
    """Return the fault of a file that this error of SQLite means."""
    text = str(error)
    if is_busy(error):
        return HostBusyError(f"{path} is locked by another program: it is read at the next sync")
    if is_corrupt(error):
        return HostCorruptError(
            f"{path} is damaged ({text}): mend or restore it, `hermes doctor` helps"
        )
    return HostDataError(f"{path} cannot be read: {text}")


def is_busy(error: Exception) -> bool:
    """Return whether another program has locked the file for now."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_corrupt(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, UnicodeDecodeError) or code in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the table's column names; none when there is no such table."""
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return frozenset(str(name) for (name,) in rows)


def select_list(
    path: Path, table: str, present: frozenset[str], needed: Sequence[str], wanted: Sequence[str]
) -> str:
    """Return the columns to select: one that this host version lacks becomes NULL.

    Raises `HostSchemaError` naming each needed column that is missing.
    """
    missing = [name for name in needed if name not in present]
    if missing:
        if not present:
            raise HostTableMissingError(f"{path} has no table {table}: it is empty, or damaged")
        raise HostSchemaError(
            f"{path}: {table} lacks columns {', '.join(missing)}: this Hermes is newer or older than we know"
        )
    return ", ".join(name if name in present else f"NULL AS {name}" for name in wanted)


def batched(items: Iterable[str], size: int = 500) -> Iterator[list[str]]:
    """Give lists of at most `size`, for `IN (?, …)`: SQLite's oldest limit on parameters is 999."""
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def placeholders(count: int) -> str:
    return ",".join("?" * count)


def fingerprint(path: Path, clock: Clock) -> str:
    """Return what changes with the file or its write-ahead log; an empty text when it is missing.

    A change within the same tick of the clock would go unseen, so a file that has only just changed has a
    fingerprint that is like no other.
    """
    parts: list[str] = []
    newest = 0
    for suffix in ("", "-wal"):
        try:
            stat = path.with_name(path.name + suffix).stat()
        except OSError:
            continue
        if suffix and not stat.st_size:
            continue  # an empty log is as good as none: even our own reading makes one
        newest = max(newest, stat.st_mtime_ns)
        parts.append(f"{suffix}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}")
    age_ns = clock.now_ns() - newest
    if parts and 0 <= age_ns < RECENT_NS:
        parts.append(f"recent:{clock.monotonic_s()!r}")
    return "|".join(parts)
