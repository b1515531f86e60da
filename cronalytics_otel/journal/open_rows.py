"""Rows of the host that were not final when they were read: each is read again at every harvest."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from .database import Connection


class OpenKind(StrEnum):
    """What an open row is."""

    EXECUTION = "execution"
    """A row of the host's ledger."""
    SESSION = "session"
    """A row of state.db."""
    OUTPUT = "output"
    """An output file that may become a run of its own."""


class OpenRows:
    """The table of open rows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def first_seen_ns(self, kind: OpenKind) -> dict[str, int]:
        """Return by id when each row of this kind was first seen open."""
        rows = self._connection.execute("SELECT id, seen_ns FROM open_row WHERE kind = ?", (kind,))
        return dict(rows.fetchall())

    def ids(self, kind: OpenKind) -> set[str]:
        """Return the ids of the open rows of this kind."""
        rows = self._connection.execute("SELECT id FROM open_row WHERE kind = ?", (kind,))
        return {row[0] for row in rows.fetchall()}

    def add(self, kind: OpenKind, ids: Iterable[str], now_ns: int) -> None:
        """Mark rows as open. A row that is open already keeps its time."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO open_row VALUES (?, ?, ?)", ((kind, i, now_ns) for i in ids)
        )

    def close(self, kind: OpenKind, ids: Iterable[str]) -> None:
        """Forget rows: each is final, or gone. Few of the rows that become final were ever open."""
        self._connection.executemany(
            "DELETE FROM open_row WHERE kind = ? AND id = ?",
            ((kind, i) for i in self.ids(kind).intersection(ids)),
        )
