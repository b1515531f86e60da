"""The execution ledger, `cron/executions.db` (Hermes 0.19+): what truly became of each attempt."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..model import DeliveryOutcome, Execution
from ..model.times import iso_to_ns
from .sqlite import HostDataError, Row, batched, columns_of, placeholders, select_list

_NEEDED = ("id", "job_id", "status", "claimed_at")
_WANTED = (
    "id", "job_id", "source", "pid", "process_started_at", "status", "claimed_at", "started_at",
    "finished_at", "error", "delivery_outcome", "scheduled_instant",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """What a look at the ledger gave. `last_rowid` and `last_id` are the new watermark."""

    executions: list[Execution]
    unread: int
    """Rows without a time that could be understood."""
    last_rowid: int
    last_id: str
    begins_ns: int | None
    """The oldest claim of an ended run that the ledger still holds: older sessions have no row here.
    (A row that was left open is never pruned, and says nothing of that.)"""
    first_ns: int | None
    """The oldest claim of any row."""
    is_complete: bool
    """Nothing was ever deleted from it: what is older than `first_ns` is of a host without a ledger."""
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
    """Rows newer than the watermark, and the rows in `open_ids` again.

    The watermark is trusted only while that rowid still holds that id (VACUUM may renumber):
    otherwise every row is read, at most a thousand by the host's own rule.
    """
    present = columns_of(connection, "executions")
    columns = select_list(path, "executions", present, _NEEDED, _WANTED)
    pruned_unread = 0
    if after_rowid and not _holds(connection, after_rowid, after_id):
        pruned_unread = _pruned_after(connection, after_rowid)
        after_rowid, after_id = 0, ""
    rows = connection.execute(
        f"SELECT rowid, {columns} FROM executions WHERE rowid > ? ORDER BY rowid",  # noqa: S608
        (after_rowid,),
    ).fetchall()
    seen = {str(row[1]) for row in rows}
    last_rowid, last_id = (int(rows[-1][0]), str(rows[-1][1])) if rows else (after_rowid, after_id)
    again = (
        row
        for batch in batched(i for i in open_ids if i not in seen)
        for row in connection.execute(
            f"SELECT rowid, {columns} FROM executions "  # noqa: S608
            f"WHERE id IN ({placeholders(len(batch))})",
            batch,
        )
    )
    executions, unread = _parsed([*rows, *again])
    newest, count, first = connection.execute(
        "SELECT max(rowid), count(*), "
        "(SELECT claimed_at FROM executions ORDER BY rowid LIMIT 1) FROM executions"
    ).fetchone()
    oldest = connection.execute(
        "SELECT claimed_at FROM executions ORDER BY status IN ('claimed', 'running'), rowid LIMIT 1"
    ).fetchone()
    return LedgerPage(
        executions=executions,
        unread=unread,
        last_rowid=last_rowid,
        last_id=last_id,
        begins_ns=iso_to_ns(oldest[0]) if oldest else None,
        first_ns=iso_to_ns(first),
        is_complete=newest is None or newest == count,
        pruned_unread=pruned_unread,
    )


def _pruned_after(connection: sqlite3.Connection, rowid: int) -> int:
    """Rows above a watermark that are not there: the host deletes from below, and numbers on."""
    first, last, above = connection.execute(
        "SELECT min(rowid), max(rowid), count(*) FROM executions WHERE rowid > ?", (rowid,)
    ).fetchone()
    return 0 if first is None else int(last) - rowid - int(above)


def reread(connection: sqlite3.Connection, path: Path, ids: Iterable[str]) -> Iterator[Execution]:
    """The rows with these ids as they are now."""
    present = columns_of(connection, "executions")
    columns = select_list(path, "executions", present, _NEEDED, _WANTED)
    for batch in batched(ids):
        rows = connection.execute(
            f"SELECT rowid, {columns} FROM executions "  # noqa: S608
            f"WHERE id IN ({placeholders(len(batch))})",
            batch,
        ).fetchall()
        yield from _parsed(rows)[0]


def _holds(connection: sqlite3.Connection, rowid: int, execution_id: str) -> bool:
    row = connection.execute("SELECT id FROM executions WHERE rowid = ?", (rowid,)).fetchone()
    return row is not None and row[0] == execution_id


def _parsed(rows: Iterable[Row]) -> tuple[list[Execution], int]:
    executions: list[Execution] = []
    unread = 0
    for row in rows:
        try:
            executions.append(_execution(row))
        except HostDataError:
            unread += 1
    return executions, unread


def _execution(row: Row) -> Execution:
    (
        _, execution_id, job_id, source, pid, process_started_at, status, claimed, started,
        finished, error, delivery, scheduled,
    ) = row  # fmt: skip
    claimed_ns = iso_to_ns(claimed)
    finished_ns = iso_to_ns(finished)
    if claimed_ns is None:
        raise HostDataError(f"execution {execution_id}: claimed {claimed!r}")
    return Execution(
        execution_id=str(execution_id),
        job_id=str(job_id),
        source=str(source or ""),
        status=str(status),
        claimed_ns=claimed_ns,
        started_ns=iso_to_ns(started),
        finished_ns=finished_ns,
        error=error if isinstance(error, str) and error else None,
        pid=pid if isinstance(pid, int) else None,
        process_started_at=process_started_at if isinstance(process_started_at, int) else None,
        delivery_outcome=_delivery(delivery),
        scheduled_ns=iso_to_ns(scheduled),
    )


def _delivery(value: object) -> DeliveryOutcome | None:
    try:
        return DeliveryOutcome(value) if isinstance(value, str) else None
    except ValueError:
        return None
