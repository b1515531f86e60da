"""What each model used in a session: `state.db`, table `session_model_usage` (0.19+)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from ..model import ModelUsage, Session
from .resumed import is_of_run
from .session_rows import UsageColumns, model_usage_from
from .sqlite import Row, batched, columns_of, placeholders

_USAGE_KEY = ("session_id", "task", "model", "billing_provider")
"""What tells the usage rows of a session apart, as far as we read it."""


class UsageTable:
    """Typed reads of the table in one open `state.db`. A host that has none gives no rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.columns = columns_of(connection, "session_model_usage")
        """The names of the columns that the table has."""

    def of(self, session: Session) -> list[UsageColumns]:
        """Return the rows of one session."""
        return list(
            map(UsageColumns._make, self._select(UsageColumns._fields, [session.session_id]))
        )

    def rows(self, sessions: Sequence[Session]) -> dict[str, list[tuple[str, ModelUsage]]]:
        """Return by session id its rows of `session_model_usage` (0.19+) as (task, usage), where they show
        more than the session's own row.

        The task is empty for the conversation itself and names auxiliary calls, which appear nowhere
        else.
        """
        found: dict[str, list[tuple[str, ModelUsage]]] = {}
        by_id = {session.session_id: session for session in sessions}
        own = {
            s.session_id: [(s.session_id, "", s.model_usage.model, s.model_usage.provider)]
            for s in sessions
        }
        keys: dict[str, list[Row]] = {}
        # An index holds the keys: the rows themselves are read for few sessions.
        for key in self._select(_USAGE_KEY, own):
            keys.setdefault(str(key[0]), []).append(key)
        show_more = [session_id for session_id, rows in keys.items() if rows != own.get(session_id)]
        for row in map(UsageColumns._make, self._select(UsageColumns._fields, show_more)):
            session = by_id[str(row.session_id)]
            # Of a resumed session whose own usage is unknown, the auxiliary calls may be known.
            is_known = bool(row.task) or session.model_usage.usage is not None
            if is_known and is_of_run(row, session):
                usage = (str(row.task or ""), model_usage_from(row))
                found.setdefault(session.session_id, []).append(usage)
        return found

    def _select(self, names: Sequence[str], ids: Iterable[str]) -> Iterator[Row]:
        """Give these columns of the rows of `session_model_usage` of some sessions; none where the host has
        no such table."""
        if not {"session_id", "model"} <= self.columns:
            return
        columns = ", ".join(name if name in self.columns else f"NULL AS {name}" for name in names)
        for batch in batched(ids):
            yield from self._connection.execute(
                f"SELECT {columns} FROM session_model_usage "  # noqa: S608
                f"WHERE session_id IN ({placeholders(len(batch))})",
                batch,
            ).fetchall()

    def sessions_of_several_models(self, ids: Sequence[str]) -> set[str]:
        """Return the sessions (0.19+) in which several models answered: no row shows which model
        gave which answer."""
        found: set[str] = set()
        if {"session_id", "model", "task"} <= self.columns:
            for batch in batched(ids):
                rows = self._connection.execute(
                    "SELECT session_id FROM session_model_usage "  # noqa: S608
                    f"WHERE session_id IN ({placeholders(len(batch))}) AND coalesce(task, '') = '' "
                    "GROUP BY session_id HAVING count(DISTINCT model) > 1",
                    batch,
                )
                found.update(row[0] for row in rows)
        return found
