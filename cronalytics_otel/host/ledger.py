"""The execution ledger, `cron/executions.db` (Hermes 0.19+): how each attempt to run a job ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..model import OPEN, DeliveryOutcome, Execution
from ..model.times import iso_offset_s, iso_to_ns
from .sqlite import HostDataError, Row, batched, columns_of, placeholders, select_list

_NEEDED = ("id", "job_id", "status", "claimed_at")


class ExecutionColumns(NamedTuple):
    """The columns of `executions` that are read, by the host's names; None where a host lacks one."""

    id: object
    job_id: object
    source: object
    pid: object
    process_started_at: object
    status: object
    claimed_at: object
    started_at: object
    finished_at: object
    error: object
    delivery_outcome: object
    scheduled_instant: object


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """What one reading of the ledger gave. `last_rowid` and `last_id` are the new watermark."""

    executions: list[Execution]
    unread: tuple[str, ...]
    """The ids of rows without a time that can be read."""
    last_rowid: int
    last_id: str
    oldest_claim_ns: int | None
    """The oldest claim of an ended run that the ledger still holds: older sessions have no row here.
    (A row that was left open is never pruned, and shows nothing of that.)"""
    first_ns: int | None
    """The oldest claim of any row."""
    is_complete: bool
    """Nothing was ever deleted from it: what is older than `first_ns` ran before there was a ledger."""
    pruned_unread: int
    """Rows that came and went since the watermark."""


def read(
    connection: sqlite3.Connection,
    path: Path,
    *,
    after_rowid: int,
    after_id: str,
    open_ids: Iterable[str],
) -> LedgerPage:
    """Return the rows newer than the watermark, and the rows in `open_ids` again.

    The watermark is trusted only while that rowid still holds that id (VACUUM may renumber). Otherwise
    every row is read: at most a thousand, by the host's own rule.
    """
    columns = _columns(connection, path)
    pruned_unread = 0
    if after_rowid and not _holds(connection, after_rowid, after_id):
        pruned_unread = _pruned_after(connection, after_rowid)
        after_rowid, after_id = 0, ""
    rows = connection.execute(
        f"SELECT {columns}, rowid FROM executions WHERE rowid > ? ORDER BY rowid",  # noqa: S608
        (after_rowid,),
    ).fetchall()
    if rows:
        after_rowid, after_id = int(rows[-1][-1]), str(rows[-1][0])
    seen = {str(row[0]) for row in rows}
    again = _rows_of(connection, columns, (i for i in open_ids if i not in seen))
    executions, unread = _parsed([*(row[:-1] for row in rows), *again])
    newest, count, first, oldest = connection.execute(
        "SELECT max(rowid), count(*), "
        "(SELECT claimed_at FROM executions ORDER BY rowid LIMIT 1), "
        "(SELECT claimed_at FROM executions ORDER BY status IN ('claimed', 'running'), rowid LIMIT 1) "
        "FROM executions"
    ).fetchone()
    return LedgerPage(
        executions=executions,
        unread=unread,
        last_rowid=after_rowid,
        last_id=after_id,
        oldest_claim_ns=iso_to_ns(oldest),
        first_ns=iso_to_ns(first),
        is_complete=newest is None or newest == count,
        pruned_unread=pruned_unread,
    )


def reread(connection: sqlite3.Connection, path: Path, ids: Iterable[str]) -> Iterator[Execution]:
    """Give the rows with these ids as they are now."""
    yield from _parsed(_rows_of(connection, _columns(connection, path), ids))[0]


def read_open(connection: sqlite3.Connection, path: Path) -> list[Execution]:
    """Return the rows that are open, the oldest claim first."""
    rows = connection.execute(
        f"SELECT {_columns(connection, path)} FROM executions "  # noqa: S608
        f"WHERE status IN ({placeholders(len(OPEN))})",
        sorted(OPEN),
    ).fetchall()
    return sorted(_parsed(rows)[0], key=lambda execution: execution.claimed_ns)


def _columns(connection: sqlite3.Connection, path: Path) -> str:
    present = columns_of(connection, "executions")
    return select_list(path, "executions", present, _NEEDED, ExecutionColumns._fields)


def _rows_of(connection: sqlite3.Connection, columns: str, ids: Iterable[str]) -> Iterator[Row]:
    for batch in batched(ids):
        yield from connection.execute(
            f"SELECT {columns} FROM executions "  # noqa: S608
            f"WHERE id IN ({placeholders(len(batch))})",
            batch,
        ).fetchall()


def _pruned_after(connection: sqlite3.Connection, rowid: int) -> int:
    """Return how many rows above a watermark are gone: the host deletes from below, and numbers on."""
    first, last, above = connection.execute(
        "SELECT min(rowid), max(rowid), count(*) FROM executions WHERE rowid > ?", (rowid,)
    ).fetchone()
    return 0 if first is None else int(last) - rowid - int(above)


def _holds(connection: sqlite3.Connection, rowid: int, execution_id: str) -> bool:
    row = connection.execute("SELECT id FROM executions WHERE rowid = ?", (rowid,)).fetchone()
    return row is not None and row[0] == execution_id


def _parsed(rows: Iterable[Row]) -> tuple[list[Execution], tuple[str, ...]]:
    executions: list[Execution] = []
    unread: list[str] = []
    for row in rows:
        try:
            executions.append(_execution(row))
        except HostDataError:
            unread.append(str(row[0]))
    return executions, tuple(unread)


def _execution(row: Row) -> Execution:
    """Raises `HostDataError` for a row without a time of claim that can be read."""
    columns = ExecutionColumns._make(row)
    claimed_ns = iso_to_ns(columns.claimed_at)
    if claimed_ns is None:
        raise HostDataError(f"execution {columns.id}: claimed {columns.claimed_at!r}")
    error, pid, started_at = columns.error, columns.pid, columns.process_started_at
    return Execution(
        execution_id=str(columns.id),
        job_id=str(columns.job_id),
        source=str(columns.source or ""),
        status=str(columns.status),
        claimed_ns=claimed_ns,
        started_ns=iso_to_ns(columns.started_at),
        finished_ns=iso_to_ns(columns.finished_at),
        error=error if isinstance(error, str) and error else None,
        pid=pid if isinstance(pid, int) else None,
        process_started_at=started_at if isinstance(started_at, int) else None,
        delivery_outcome=_delivery(columns.delivery_outcome),
        scheduled_ns=iso_to_ns(columns.scheduled_instant),
        utc_offset_s=iso_offset_s(columns.claimed_at),
    )


def _delivery(value: object) -> DeliveryOutcome | None:
    try:
        return DeliveryOutcome(value) if isinstance(value, str) else None
    except ValueError:
        return None
