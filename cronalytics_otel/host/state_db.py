"""Sessions and their usage: `state.db`.

A session row holds about 7.5 KB of system prompt before most columns that we read. So it is read once,
when it is new, and again only while it is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from ..model import Conversation, LastMessage, Session, Watermark
from ..model.times import epoch_to_ns
from .capabilities import (
    Capabilities,
    CapabilityHistory,
    SilenceRule,
    newest_by,
)
from .conversations import conversation_of, tool_call_counts
from .message_times import written_when_done
from .messages import Messages
from .session_rows import (
    CRON_SESSION,
    NOT_IN_CONVERSATION,
    SUBAGENT,
    LastMessageColumns,
    SessionColumns,
    session_from,
)
from .sessions_of_runs import SessionsOfRuns
from .sqlite import batched, columns_of, placeholders, select_list
from .usage_table import UsageTable

__all__ = ["CRON_SESSION", "StateReader", "newest_row", "still_holds"]

CHUNK = 2_000
"""Sessions per query: enough to spread its cost, few enough to keep memory flat."""

CONTINUED_NS = 1_000_000_000
"""From the end of a compressed session to the start of the next, whichever is written first."""

BRANCHED = "branched"
"""The reason of the end of a session that somebody opened and copied into a new one, to go on there."""

_COUNTED_AT_ONCE = 16
"""Conversations in memory together: those that were compressed are long."""

MAX_DEPTH = 16
"""Of subagents below a run. The host allows a handful; a cycle in the data must not hang us."""

_NEEDED = ("id", "started_at")
_IS_CRON = "+s.id >= 'cron_' AND +s.id < 'cron`'"
"""`+` keeps the planner on the rowid: the range on the id would read all history."""

_PROBED = 100
"""Sessions per probe, in the search for when a home was upgraded."""


def newest_row(connection: sqlite3.Connection) -> Watermark:
    """Return the watermark of the newest session of any kind."""
    row = connection.execute(
        "SELECT rowid, id FROM sessions ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    return Watermark(int(row[0]), str(row[1])) if row else Watermark()


def still_holds(connection: sqlite3.Connection, watermark: Watermark) -> bool:
    row = connection.execute(
        "SELECT id FROM sessions WHERE rowid = ?", (watermark.rowid,)
    ).fetchone()
    return row is not None and row[0] == watermark.row_id


class StateReader:
    """Typed reads of one open `state.db`. It looks up once which columns this host version has."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Raises `HostSchemaError` when a column that we cannot do without is missing."""
        self.connection = connection
        self.messages = Messages(connection)
        present = columns_of(connection, "sessions")
        columns = select_list(path, "sessions", present, _NEEDED, SessionColumns._fields)
        self._columns = ", ".join(f"s.{c}" if " AS " not in c else c for c in columns.split(", "))
        self._conversation_columns = ", ".join(
            "NULL" if column.removeprefix("s.") in NOT_IN_CONVERSATION else column
            for column in self._columns.split(", ")
        )
        self._has_parent = "parent_session_id" in present
        self._has_source = "source" in present
        self.usage = UsageTable(connection)
        self._runs = SessionsOfRuns(self.messages, self.usage)

    @cached_property
    def oldest_start_ns(self) -> int | None:
        """When the oldest session began that the host still has; None without any."""
        row = self.connection.execute(
            "SELECT started_at FROM sessions ORDER BY rowid LIMIT 1"
        ).fetchone()
        return epoch_to_ns(row[0]) if row else None

    # --- sessions -------------------------------------------------------------------------------

    def new_cron_sessions(
        self, after: int, up_to: int
    ) -> Iterator[tuple[list[Session], Watermark]]:
        """Give cron sessions with `after < rowid <= up_to`, oldest first, in chunks with their
        watermarks."""
        query = self._select(
            f"s.rowid > ? AND s.rowid <= ? AND {_IS_CRON} ORDER BY s.rowid LIMIT ?", rowid=True
        )
        while True:
            rows = self.connection.execute(query, (after, up_to, CHUNK)).fetchall()
            if not rows:
                return
            after, last_id = int(rows[-1][-1]), str(rows[-1][0])
            found = (session_from(row[:-1]) for row in rows)
            sessions = [s for s in found if s is not None and s.job_id is not None]
            yield self._runs.as_left(sessions), Watermark(after, last_id)

    def sessions(self, ids: Iterable[str], *, for_conversation: bool = False) -> Iterator[Session]:
        """Give the sessions with these ids that still exist."""
        for batch in batched(ids):
            where = f"s.id IN ({placeholders(len(batch))})"
            query = self._select(where, for_conversation=for_conversation)
            rows = self.connection.execute(query, batch).fetchall()
            found = [session for row in rows if (session := session_from(row)) is not None]
            yield from found if for_conversation else self._runs.as_left(found)

    def descendants(
        self, roots: Sequence[Session], *, for_conversation: bool = False
    ) -> dict[str, list[Session]]:
        """Return by root id every session below it (subagents, continuations), parents first."""
        found: dict[str, list[Session]] = {}
        if not self._has_parent:
            return found
        root_of = {root.session_id: root.session_id for root in roots}
        level = list(roots)
        for _ in range(MAX_DEPTH):
            parents = {session.session_id: session for session in level}
            level = []
            for child in self._children(list(parents), for_conversation=for_conversation):
                parent = parents[child.parent_id or ""]
                if child.session_id in root_of or _is_of_chat(child, parent):
                    continue  # a cycle, or not the run's
                child = _with_relation(child, parent)  # noqa: PLW2901
                root_of[child.session_id] = root_of[parent.session_id]
                found.setdefault(root_of[child.session_id], []).append(child)
                level.append(child)
            if not level:
                break
        return found

    def _children(self, parents: Sequence[str], *, for_conversation: bool) -> Iterator[Session]:
        for batch in batched(parents):
            where = f"s.parent_session_id IN ({placeholders(len(batch))}) ORDER BY s.started_at"
            query = self._select(where, for_conversation=for_conversation)
            rows = self.connection.execute(query, batch).fetchall()
            found = [child for row in rows if (child := session_from(row)) is not None]
            yield from found if for_conversation else self._runs.as_left(found)

    def _select(self, where: str, *, rowid: bool = False, for_conversation: bool = False) -> str:
        """Return the query for `session_from`; with `rowid` that stands last in each row.

        For a conversation, what it does not need is left out: the last message, the title.
        """
        last = ", s.rowid" if rowid else ""
        if for_conversation or not self.messages.can_read_text:
            columns = self._conversation_columns if for_conversation else self._columns
            return f"SELECT {columns}{last} FROM sessions s WHERE {where}"  # noqa: S608
        message = LastMessageColumns.expressions(self.messages.ends_turn)
        return (
            f"SELECT {self._columns}, {message}{last} "  # noqa: S608
            "FROM sessions s LEFT JOIN messages m ON m.rowid = (SELECT rowid FROM messages "
            "WHERE session_id = s.id ORDER BY timestamp DESC LIMIT 1) "
            f"WHERE {where}"
        )

    # --- what versions write --------------------------------------------------------------------

    def capability_history(self, ledger_oldest_claim_ns: int | None) -> CapabilityHistory:
        """Return what the versions that wrote to this home write, by its schema and its rows.

        `ledger_oldest_claim_ns` is the oldest claim in the ledger, if there is one.
        """
        columns = {f"messages.{name}" for name in self.messages.columns}
        columns |= {f"session_model_usage.{name}" for name in self.usage.columns}
        newest = newest_by(columns)
        if newest.writes_messages_when_done or not self.messages.rewound_was_added:
            return CapabilityHistory(newest)
        return CapabilityHistory(newest, partial(self._last_old_row_ns, ledger_oldest_claim_ns))

    def _last_old_row_ns(self, before_ns: int | None) -> int | None:
        """Return the end of the newest session of the older version, among those that began before this
        time.

        Versions follow each other, so this is a binary search over rowids; each probe reads up to 100
        sessions. Invariant: a session of the older version that is newer than `found` lies in (low,
        high].
        """
        found: int | None = None
        low, high = 0, newest_row(self.connection).rowid
        while low < high:
            newest = self._probe(low, high, before_ns)
            times = self._times_if_written_when_done(newest.values())
            if times or not newest:
                return max(times, default=found)
            high = min(newest) - 1
            middle = (low + high + 1) // 2
            older = self._probe(low, middle, before_ns)
            times = self._times_if_written_when_done(older.values())
            if times:
                found, low = max(times), middle
            elif older:
                high = min(older) - 1
        return found

    def _probe(self, after: int, up_to: int, before_ns: int | None) -> dict[int, Session]:
        """Return by rowid the newest sessions of cron jobs with `after < rowid <= up_to`: also those that
        continue one, and subagents of hosts before 0.17."""
        is_of_cron = "+s.source = 'cron'" if self._has_source else "0"
        rows = self.connection.execute(
            self._select(
                f"s.rowid > ? AND s.rowid <= ? AND ({_IS_CRON} OR {is_of_cron}) AND +s.started_at < ? "
                "ORDER BY s.rowid DESC LIMIT ?",
                rowid=True,
            ),
            (after, up_to, float("inf") if before_ns is None else before_ns / 1e9, _PROBED),
        )
        found = {int(row[-1]): session_from(row[:-1]) for row in rows.fetchall()}
        return {rowid: session for rowid, session in found.items() if session is not None}

    def _times_if_written_when_done(self, sessions: Collection[Session]) -> list[int]:
        """Return when those of these sessions ended whose messages were written when it was done."""
        messages = self.messages.of([s.session_id for s in sessions], with_content=False)
        return [
            session.moved_ns if session.ended_ns is None else session.ended_ns
            for session in sessions
            if written_when_done(session.started_ns, messages.get(session.session_id, ()))
        ]

    def reinterpreted_for(
        self, capabilities: Capabilities, sessions: Sequence[Session]
    ) -> dict[str, Session]:
        """Return by id the sessions that need another reading of their last message, because a version
        with other rules than the newest wrote them."""
        by_marker = capabilities.silence is SilenceRule.ANYWHERE
        if (
            not by_marker
            and capabilities.ends_continued_sessions
            and not capabilities.raises_answer
        ):
            return {}  # as `session_from` reads them
        ids = [s.session_id for s in sessions]
        with_marker = self.messages.with_marker(ids) if by_marker else set()
        limited = self.messages.sessions_at_turn_limit(ids) if capabilities.raises_answer else set()
        return {
            session.session_id: session._replace(
                last_message=_reinterpreted(
                    last,
                    capabilities,
                    has_marker=session.session_id in with_marker,
                    is_at_limit=session.session_id in limited,
                ),
            )
            for session in sessions
            if (last := session.last_message) is not None
        }

    # --- tool calls ----------------------------------------------------------------------------

    def tool_calls(
        self, roots: Sequence[Session], descendants: Mapping[str, Sequence[Session]]
    ) -> dict[str, int]:
        """Return by session id how many calls were asked for, where a conversation was compressed or resumed.

        The host's own count restarts after compression, and includes the calls that were copied over. It
        goes on when somebody resumes the session.
        """
        families = {r.session_id: [r, *descendants.get(r.session_id, ())] for r in roots}
        all_sessions = [session for family in families.values() for session in family]
        compressed = self.messages.compressed([s.session_id for s in all_sessions])
        compressed |= {s.session_id for s in all_sessions if s.compressed or s.resumed_ns}
        counted = [
            root_id
            for root_id, family in families.items()
            if any(s.session_id in compressed for s in family)
        ]
        found: dict[str, int] = {}
        for batch in batched(counted, _COUNTED_AT_ONCE):
            for conversation in self.conversations(batch, with_content=False).values():
                found |= tool_call_counts(conversation)
        return found

    # --- conversations --------------------------------------------------------------------------

    def conversations(
        self, ids: Sequence[str], *, with_content: bool = True, in_ledger: Collection[str] = ()
    ) -> dict[str, Conversation]:
        """Return by root session id the whole conversation, with all sessions below it.

        Sessions that the host has pruned are absent. Texts may be megabytes: without content they
        are not read. `in_ledger` are the ids whose runs the ledger knows.
        """
        roots = {s.session_id: s for s in self.sessions(ids, for_conversation=True)}
        descendants = self.descendants(list(roots.values()), for_conversation=True)
        all_ids = [*roots, *(s.session_id for sessions in descendants.values() for s in sessions)]
        messages = self.messages.of(all_ids, with_content=with_content)
        several_models = self.usage.sessions_of_several_models(all_ids)
        return {
            root_id: conversation_of(
                root,
                descendants.get(root_id, []),
                messages,
                several_models,
                in_ledger=root_id in in_ledger,
            )
            for root_id, root in roots.items()
        }


def _reinterpreted(
    last: LastMessage, capabilities: Capabilities, *, has_marker: bool, is_at_limit: bool
) -> LastMessage:
    """Return a session's last message as the version that wrote it means it."""
    by_marker = capabilities.silence is SilenceRule.ANYWHERE
    return last._replace(
        asks_for_silence=has_marker if by_marker else last.asks_for_silence,
        ends_run=last.ends_turn and not capabilities.ends_continued_sessions,
        raised_if_failed=capabilities.raises_answer and (last.ends_turn or is_at_limit),
    )


def _is_of_chat(child: Session, parent: Session) -> bool:
    """Return whether a session was started from another one after the run of that one was over."""
    if parent.end_reason == BRANCHED and parent.ended_ns is not None:
        return child.source != SUBAGENT and child.started_ns >= parent.ended_ns - CONTINUED_NS
    return parent.resumed_ns is not None and child.started_ns >= parent.resumed_ns


def _with_relation(child: Session, parent: Session) -> Session:
    """Return the child as subagent or as continuation of its parent, by the host's own rule.

    What began after its parent was compressed continues it, and everything else below a session is a
    subagent. (A continuation has its parent's source.)
    """
    continues = (
        parent.compressed
        and (child.source != SUBAGENT or parent.source == SUBAGENT)
        and parent.ended_ns is not None
        and child.started_ns >= parent.ended_ns - CONTINUED_NS
    )
    return child._replace(is_subagent=not continues)
