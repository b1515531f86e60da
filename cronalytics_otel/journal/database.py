"""Opening the journal: modes, permissions, and what is done when the file is damaged."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..clock import SYSTEM_CLOCK, Clock
from ..model.times import to_datetime
from .schema import MIGRATIONS, migrate

BUSY_TIMEOUT_S = 5.0


class JournalError(Exception):
    """The journal cannot be used; the message names the fault and what to do.

    `damaged` means that the file itself is broken: `move_aside` and a new one help. `unwritable`
    means that this user may not write it; it may still be read.
    """

    damaged = False
    unwritable = False


class _Cursor(sqlite3.Cursor):
    """Damage is met only when rows are read."""

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise _translated(error) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise _translated(error) from error


class Connection(sqlite3.Connection):
    """A connection to the journal. It raises `JournalError` instead of `sqlite3.Error`, so that faults
    of our own file are never taken for faults of the host's."""

    _depth = 0
    """How many `atomic` blocks are open."""

    @contextlib.contextmanager
    def atomic(self, *, keep: bool = True) -> Iterator[None]:
        """Write all that is written inside, or nothing; blocks nest by savepoint.

        With `keep=False` nothing stays: a dry run.
        """
        begin, end, undo = (
            ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            if self._depth == 0
            else (f"SAVEPOINT s{self._depth}", f"RELEASE s{self._depth}",
                  f"ROLLBACK TO s{self._depth}")
        )  # fmt: skip
        self.execute(begin)
        self._depth += 1
        try:
            yield
            self.execute(end if keep else undo)
        except BaseException:
            if self.in_transaction:
                self.execute(undo)
            raise
        finally:
            self._depth -= 1

    def execute(self, *args: Any) -> sqlite3.Cursor:
        try:
            return self.cursor(_Cursor).execute(*args)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise _translated(error) from error

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*args)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise _translated(error) from error


_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)


def _translated(error: Exception) -> JournalError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    undecodable = "Could not decode to UTF-8" in str(error)  # SQLite itself sees nothing wrong
    damaged = undecodable or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    unwritable = code in _UNWRITABLE or getattr(error, "errno", None) in _NO_ACCESS
    remedy = "the next sync moves it aside and makes a new one" if damaged else _remedy(str(error))
    translated = JournalError(f"the journal cannot be used: {error}; {remedy}")
    translated.damaged = damaged
    translated.unwritable = unwritable
    return translated


@dataclass(frozen=True, slots=True)
class Repair:
    """A damaged journal was moved aside; a new one is filled from the host."""

    moved_to: Path
    fault: str


def open_database(path: Path, *, mend: bool = True) -> tuple[Connection, Repair | None]:
    """Opens or makes the journal (folder 0700, file 0600), moving a damaged one aside.

    Raises `JournalError` when the folder cannot be written, the disk is full, or a newer version
    of the plugin has written the file.
    """
    try:
        try:
            return _opened(path), None
        except JournalError as error:
            if not error.damaged or not mend:
                raise
            repair = move_aside(path, str(error))
            return _opened(path), repair
    except OSError as error:
        raise _translated(error) from error


def open_for_reading(path: Path) -> Connection:
    """Opens a journal that is there, for whoever only asks; also one that cannot be written.

    Where it can be, it is opened as ever: one of an older version gets what it lacks. Raises
    `JournalError` when it cannot be read, or is of another version than ours.
    """
    try:
        return open_database(path, mend=False)[0]
    except JournalError as error:
        if not error.unwritable or not path.is_file():
            raise
    uri = f"file:{quote(os.fsencode(path))}?mode=ro"
    try:
        return _opened_unwritable(uri)
    except JournalError as error:
        wal = path.with_name(f"{path.name}-wal")
        if not error.unwritable or (wal.exists() and wal.stat().st_size):
            raise
    # In WAL mode also a reader makes files beside it, unless told that nobody writes; where there
    # is no log, nobody does.
    return _opened_unwritable(f"{uri}&immutable=1")


def _opened_unwritable(uri: str) -> Connection:
    connection = _connected(uri, uri=True)
    try:
        _check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _remedy(text: str) -> str:
    if "full" in text or "No space" in text or "disk I/O" in text:
        return "make room on the disk: nothing is lost, the next sync goes on from here"
    if "locked" in text:
        return "another program holds it: try again"
    return "this user must be able to read and write it and its folder"


def _connected(database: Path | str, *, uri: bool = False) -> Connection:
    try:
        return sqlite3.connect(
            database,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
            uri=uri,
        )
    except sqlite3.Error as error:
        raise _translated(error) from error


def _opened(path: Path) -> Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made by us first, so that SQLite never makes it (and its -wal, which copies the mode) readable
    # for others.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = _connected(path)
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode a kill loses nothing that was committed; only a power cut may, and what it
        # takes is read from the host or sent once more.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=OFF")
        migrate(connection)
        _check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: Connection) -> None:
    known = {migration.__name__ for migration in MIGRATIONS}
    applied = [name for (name,) in connection.execute("SELECT name FROM migration ORDER BY rowid")]
    if unknown := [name for name in applied if name not in known]:
        raise JournalError(
            "the journal was written by a newer cronalytics-otel"
            f" ({', '.join(unknown)}): update this one"
        )
    if not known <= set(applied):
        raise JournalError(
            "the journal was written by an older cronalytics-otel, and can be brought up to date"
            " only by who may write to it: run `cronalytics-otel sync` as that user"
        )


def move_aside(path: Path, fault: str, clock: Clock = SYSTEM_CLOCK) -> Repair:
    """Keeps a damaged journal under another name: it is rebuilt from the host."""
    stamp = to_datetime(clock.now_ns()).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    path.rename(aside)
    aside.chmod(0o600)
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    return Repair(aside, fault)
