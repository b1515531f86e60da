"""Opens and checks the journal's file, and replaces it when it cannot be used."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from .schema import MIGRATIONS, is_of_development, migrate, names_in, schema_names

log = logging.getLogger(__name__)

_REPLACED: Final = "the next sync moves it aside and makes a new one"
UNREADABLE_REMEDY: Final = "update cronalytics-otel, or move the journal away and sync again"
"""What to do about a value that this version cannot read."""

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another process that writes to the journal."""


class JournalError(Exception):
    """The journal cannot be used; the message names the fault and what to do.

    `damaged` means that the file itself is the fault: a new one helps. `unwritable` means that this
    user may not write to it, but may be able to read it.
    """

    damaged = False
    unwritable = False


class DevelopmentJournalError(JournalError):
    """A version from before the first release wrote the journal: the next sync replaces it."""

    damaged = True


class _Cursor(sqlite3.Cursor):
    """A cursor that raises `JournalError` also while rows are read: damage shows only then."""

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise translated(error) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise translated(error) from error


class Connection(sqlite3.Connection):
    """A connection to the journal. It raises `JournalError` instead of `sqlite3.Error`, so that faults
    of our own file are never taken for faults of the host's."""

    _depth = 0
    """How many transactions are open, one within the other."""

    def atomic(self) -> contextlib.AbstractContextManager[None]:
        """Write all that is written inside, or nothing. Blocks nest by savepoint."""
        return self._transaction(keep=True)

    def rolled_back(self) -> contextlib.AbstractContextManager[None]:
        """Undo at the end all that is written inside: a dry run."""
        return self._transaction(keep=False)

    @contextlib.contextmanager
    def _transaction(self, *, keep: bool) -> Iterator[None]:
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
            raise translated(error) from error

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*args)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise translated(error) from error


_UNNAMED_DAMAGE: Final = r"Could not decode to UTF-8|^no such (table|column)|has no column named|^(table|index) \w+ already exists"
_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)


def translated(error: Exception) -> JournalError:
    """Return the `JournalError` for a fault of SQLite or of the file system."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # SQLite itself takes such a file for sound. The migrations have made what it does not find.
    is_unnamed = re.search(_UNNAMED_DAMAGE, str(error)) is not None
    damaged = is_unnamed or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    unwritable = code in _UNWRITABLE or getattr(error, "errno", None) in _NO_ACCESS
    remedy = _REPLACED if damaged else _remedy(str(error))
    fault = JournalError(f"the journal cannot be used: {error}; {remedy}")
    fault.damaged = damaged
    fault.unwritable = unwritable
    return fault


_OF_ODD_VALUES = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError)
"""The errors that follow from a value of another kind than the column's."""


def damage_behind(connection: Connection, error: BaseException | None) -> JournalError | None:
    """Return the damage of the file that may have led to an error; None if the file is sound.

    SQLite may give values that no column can have. Other errors are not checked: the check reads the
    whole file.
    """
    odd = error.__cause__ if isinstance(error, JournalError) else error
    if not isinstance(odd, _OF_ODD_VALUES):
        return None
    try:
        _check(connection)
    except JournalError as fault:
        return fault if fault.damaged else None
    return None


def _check(connection: Connection) -> None:
    """Raises `JournalError` if any part of the file is damaged."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise _damage(found)
    _check_schema(connection)


def _damage(fault: str) -> JournalError:
    error = JournalError(f"the journal is damaged: {fault}; {_REPLACED}")
    error.damaged = True
    return error


def unreadable(what: str, error: Exception) -> JournalError:
    """Return the fault of a value that cannot be read. A text that is no JSON is damaged; any other value
    may be one of another version."""
    damaged = isinstance(error, json.JSONDecodeError)
    remedy = _REPLACED if damaged else UNREADABLE_REMEDY
    fault = JournalError(
        f"the journal holds {what} that this version cannot read ({error}): {remedy}"
    )
    fault.damaged = damaged
    return fault


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done about a damaged journal. A new one is filled from the host's files."""

    moved_to: Path
    fault: str


def open_database(path: Path, *, replace_damaged: bool = True) -> tuple[Connection, Repair | None]:
    """Open or make the journal (folder 0700, file 0600). `replace_damaged` moves a damaged one aside.

    Raises `JournalError` when the folder cannot be written, the disk is full, or a newer version
    of the plugin has written the file.
    """
    try:
        try:
            return (_checked(path) if replace_damaged else _opened(path)), None
        except JournalError as error:
            if not error.damaged or not replace_damaged:
                raise
            return _replaced(path, error)
    except OSError as error:
        raise translated(error) from error


def mark_suspect(path: Path) -> None:
    """Let the next sync check the whole file: a command met damage where a sync may read nothing."""
    with contextlib.suppress(OSError):
        _suspicion(path).touch(mode=0o600)


def _suspicion(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")


def _checked(path: Path) -> Connection:
    """Open the journal, and check all of it if a command met damage in it."""
    connection = _opened(path)
    if not _suspicion(path).exists():
        return connection
    try:
        _check(connection)
    except JournalError:
        connection.close()
        raise
    _suspicion(path).unlink(missing_ok=True)
    return connection


def _replaced(path: Path, error: JournalError) -> tuple[Connection, Repair | None]:
    """Move a journal that cannot be used aside, and make a new one."""
    if isinstance(error, DevelopmentJournalError):
        moved_to = move_aside(path, str(error), label="development").moved_to
        log.warning(
            "cronalytics-otel: the journal was written by a version from before the first release;"
            " it is now %s, and a new one is filled from Hermes's files",
            moved_to,
        )
        return _opened(path), None
    repair = move_aside(path, str(error))
    return _opened(path), repair


def open_for_reading(path: Path) -> Connection:
    """Open a journal that is there, also one that this user cannot write.

    A journal that can be written is opened as for a sync: one of an older version is brought up to
    date. Raises `JournalError` when it cannot be read, or another version wrote it.
    """
    try:
        return open_database(path, replace_damaged=False)[0]
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
    # In WAL mode also a reader makes files beside the database, unless it is declared immutable.
    # Without a write-ahead log nobody is writing to it.
    return _opened_unwritable(f"{uri}&immutable=1")


def _opened_unwritable(uri: str) -> Connection:
    """Open a journal that is never written through this connection."""
    connection = _connected(uri, uri=True)
    try:
        _check_development(connection)
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
        raise translated(error) from error


def _opened(path: Path) -> Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # We make the file ourselves: SQLite would make it readable for others, and its -wal has the same
    # mode.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = _connected(path)
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode a kill loses nothing that was committed. A power cut may: what it takes is read
        # from the host again, or sent once more.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=OFF")
        _check_development(connection)
        migrate(connection)
        _check_version(connection)
        _check_schema(connection)
    except BaseException as error:
        damage = damage_behind(connection, error)
        connection.close()
        if damage is not None:
            raise damage from error
        raise
    return connection


def _check_development(connection: Connection) -> None:
    if is_of_development(connection):
        raise DevelopmentJournalError(
            "the journal was written by a version from before the first release: the next sync moves"
            " it aside and fills a new one from Hermes's files"
        )


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


def _check_schema(connection: Connection) -> None:
    if missing := schema_names() - names_in(connection):
        raise _damage(f"it has no {', '.join(sorted(missing))}")


def move_aside(path: Path, fault: str, *, label: str = "damaged") -> Repair:
    """Rename a journal that cannot be used, by the time of its last change."""
    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.{label}-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{label}-{stamp}-{number}")
    path.rename(aside)
    _suspicion(path).unlink(missing_ok=True)
    aside.chmod(0o600)
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    return Repair(aside, fault)
