"""Sessions and their usage: `state.db`.

A session row holds about 7.5 KB of system prompt before most columns that we read. So it is read once,
when it is new, and again only while it is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..model import Conversation, Message, ModelUsage, Session
from .capabilities import (
    BEFORE_0_18,
    SINCE_0_18,
    SINCE_0_19,
    Capabilities,
    CapabilityHistory,
)
from .message_times import AT_ONCE_NS, FASTEST_NS, written_when_done
from .messages import Calls, Messages, repeats_marked
from .session_rows import (
    CRON_SESSION,
    NOT_IN_CONVERSATION,
    SUBAGENT,
    LastMessageColumns,
    SessionColumns,
    UsageColumns,
    session_from,
    spending_from,
)
from .sqlite import batched, columns_of, placeholders, select_list

__all__ = ["CRON_SESSION", "Reader", "Watermark", "still_holds", "watermark"]

CHUNK = 2_000
"""Sessions a query: enough to spread its cost, few enough to keep memory flat."""

CONTINUED_NS = 1_000_000_000
"""From the end of a compressed session to the start of the next, whichever is written first."""

_COUNTED_AT_ONCE = 16
"""Conversations in memory together: those that were compressed are long."""

MAX_DEPTH = 16
"""Of subagents below a run. The host allows a handful; a cycle in the data must not hang us."""

_NEEDED = ("id", "started_at")
_IS_CRON = "+s.id >= 'cron_' AND +s.id < 'cron`'"
"""`+` keeps the planner on the rowid: the range on the id would read all history."""

_PROBED = 100
"""Sessions a probe, in the search for when a home was upgraded."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest row that was seen: trusted only while that rowid still holds that id."""

    rowid: int = 0
    session_id: str = ""


def watermark(connection: sqlite3.Connection) -> Watermark:
    """Return that of the newest session of any kind."""
    row = connection.execute(
        "SELECT rowid, id FROM sessions ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    return Watermark(int(row[0]), str(row[1])) if row else Watermark()


def still_holds(connection: sqlite3.Connection, mark: Watermark) -> bool:
    row = connection.execute("SELECT id FROM sessions WHERE rowid = ?", (mark.rowid,)).fetchone()
    return row is not None and row[0] == mark.session_id


class Reader:
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
        self._usage = columns_of(connection, "session_model_usage")

    # --- sessions -------------------------------------------------------------------------------

    def new_cron_sessions(
        self, after: int, up_to: int
    ) -> Iterator[tuple[list[Session], Watermark]]:
        """Give cron sessions with `after < rowid <= up_to`, oldest first, in chunks with their marks."""
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
            yield sessions, Watermark(after, last_id)

    def sessions(self, ids: Iterable[str], *, for_conversation: bool = False) -> Iterator[Session]:
        """Give the sessions with these ids that still exist."""
        for batch in batched(ids):
            where = f"s.id IN ({placeholders(len(batch))})"
            query = self._select(where, for_conversation=for_conversation)
            for row in self.connection.execute(query, batch).fetchall():
                session = session_from(row)
                if session is not None:
                    yield session

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
                if child.session_id in root_of:
                    continue  # a cycle
                child = _placed(child, parent)  # noqa: PLW2901
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
            for row in self.connection.execute(query, batch).fetchall():
                child = session_from(row)
                if child is not None:
                    yield child

    def _select(self, where: str, *, rowid: bool = False, for_conversation: bool = False) -> str:
        """Return the query for `session_from`; with `rowid` that stands last in each row.

        For a conversation, what it does not need is left out: the last message, the cost, the title.
        """
        last = ", s.rowid" if rowid else ""
        if for_conversation or not self.messages.has_text:
            columns = self._conversation_columns if for_conversation else self._columns
            return f"SELECT {columns}{last} FROM sessions s WHERE {where}"  # noqa: S608
        message = LastMessageColumns.expressions(self.messages.is_final)
        return (
            f"SELECT {self._columns}, {message}{last} "  # noqa: S608
            "FROM sessions s LEFT JOIN messages m ON m.rowid = (SELECT rowid FROM messages "
            "WHERE session_id = s.id ORDER BY timestamp DESC LIMIT 1) "
            f"WHERE {where}"
        )

    # --- what versions write --------------------------------------------------------------------

    def capability_history(self, ledger_begins_ns: int | None) -> CapabilityHistory:
        """Return what the versions that wrote to this home write, by its schema and its rows.

        `ledger_begins_ns` is the oldest claim in the ledger, if there is one.
        """
        newest = SINCE_0_19 if self._usage else SINCE_0_18
        if not self.messages.has_rewinds:
            return CapabilityHistory(BEFORE_0_18)
        if not self.messages.rewinds_were_added:
            return CapabilityHistory(newest)
        return CapabilityHistory(newest, partial(self._older_until_ns, ledger_begins_ns))

    def _older_until_ns(self, before_ns: int | None) -> int | None:
        """Return when the newest session ended whose messages were written when its agent was done.

        Only sessions that began before this time are looked at. Versions follow one another, so halves
        of the history are ruled out, each by its newest sessions.
        """
        found: int | None = None
        low, high = 0, watermark(self.connection).rowid
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
        continue one, and subagents of old."""
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

    def as_written_by(self, host: Capabilities, sessions: Sequence[Session]) -> dict[str, Session]:
        """Return by id those of these sessions whose last message means something else to the host that
        wrote them than to the newest."""
        if not host.writes_messages_when_done:
            return {}
        ids = [s.session_id for s in sessions]
        silent = self.messages.with_marker(ids)
        limited = self.messages.at_turn_limit(ids) if host.raises_answer_at_turn_limit else set()
        found = {}
        for session in sessions:
            last = session.last_message
            if last is not None:
                message = replace(
                    last,
                    asks_for_silence=session.session_id in silent,
                    ends_run=last.is_final,
                    raised_if_failed=last.is_final or session.session_id in limited,
                )
                found[session.session_id] = replace(session, last_message=message)
        return found

    # --- usage ----------------------------------------------------------------------------------

    def usage_rows(self, ids: Sequence[str]) -> dict[str, list[tuple[str, ModelUsage]]]:
        """Return by session id its rows of `session_model_usage` (0.19+) as (task, usage).

        The task is empty for the conversation itself and names auxiliary calls, which appear nowhere
        else.
        """
        found: dict[str, list[tuple[str, ModelUsage]]] = {}
        if not {"session_id", "model"} <= self._usage:
            return found
        columns = ", ".join(c if c in self._usage else f"NULL AS {c}" for c in UsageColumns._fields)
        for batch in batched(ids):
            rows = self.connection.execute(
                f"SELECT {columns} FROM session_model_usage "  # noqa: S608
                f"WHERE session_id IN ({placeholders(len(batch))})",
                batch,
            )
            for row in map(UsageColumns._make, rows.fetchall()):
                usage = (str(row.task or ""), spending_from(row))
                found.setdefault(str(row.session_id), []).append(usage)
        return found

    def tool_calls(
        self, roots: Sequence[Session], below: Mapping[str, Sequence[Session]]
    ) -> dict[str, int]:
        """Return by session id how many calls were asked for, where a conversation was compressed.

        The host's own count begins anew with that, and includes the calls that were copied over.
        """
        families = {r.session_id: [r, *below.get(r.session_id, ())] for r in roots}
        ids = [s.session_id for family in families.values() for s in family]
        compressed = self.messages.compressed(ids)
        counted = [
            root_id
            for root_id, family in families.items()
            if any(s.compressed or s.session_id in compressed for s in family)
        ]
        found: dict[str, int] = {}
        for batch in batched(counted, _COUNTED_AT_ONCE):
            for conversation in self.conversations(batch, with_content=False).values():
                found |= _asked_for(conversation)
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
        below = self.descendants(list(roots.values()), for_conversation=True)
        everyone = [*roots, *(s.session_id for sessions in below.values() for s in sessions)]
        messages = self.messages.of(everyone, with_content=with_content)
        mixed = self._of_several_models(everyone)
        return {
            root_id: _conversation(
                root, below.get(root_id, []), messages, mixed, in_ledger=root_id in in_ledger
            )
            for root_id, root in roots.items()
        }

    def _of_several_models(self, ids: Sequence[str]) -> set[str]:
        """Return the sessions (0.19+) in which several models answered: no row shows which gave which."""
        found: set[str] = set()
        if {"session_id", "model", "task"} <= self._usage:
            for batch in batched(ids):
                rows = self.connection.execute(
                    "SELECT session_id FROM session_model_usage "  # noqa: S608
                    f"WHERE session_id IN ({placeholders(len(batch))}) AND coalesce(task, '') = '' "
                    "GROUP BY session_id HAVING count(DISTINCT model) > 1",
                    batch,
                )
                found.update(row[0] for row in rows)
        return found


def _placed(child: Session, parent: Session) -> Session:
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
    return replace(child, is_subagent=not continues)


def _conversation(
    root: Session,
    below: Sequence[Session],
    messages: dict[str, list[Message]],
    mixed: set[str],
    *,
    in_ledger: bool,
) -> Conversation:
    children: dict[str, list[Session]] = {}
    for session in below:
        children.setdefault(session.parent_id or "", []).append(session)
    close_ns = FASTEST_NS if in_ledger else AT_ONCE_NS

    def build(session: Session, before: frozenset[Calls]) -> Conversation:
        said = repeats_marked(messages.get(session.session_id, ()), before)
        if session.compressed:
            before |= {message.tool_calls for message in said if message.tool_calls}
        return Conversation(
            session_id=session.session_id,
            started_ns=session.started_ns,
            ended_ns=session.ended_ns,
            model=None if session.session_id in mixed else session.spending.model,
            provider=None if session.session_id in mixed else session.spending.provider,
            usage=session.spending.usage,
            api_calls=session.spending.api_calls,
            is_subagent=session.is_subagent,
            messages=said,
            times_are_known=not written_when_done(session.started_ns, said, close_ns=close_ns),
            children=tuple(
                build(child, _NO_CALLS if child.is_subagent else before)
                for child in children.get(session.session_id, ())
            ),
        )

    return build(root, _NO_CALLS)


_NO_CALLS: frozenset[Calls] = frozenset()


def _asked_for(conversation: Conversation) -> dict[str, int]:
    said = conversation.messages
    calls = sum(len(message.tool_calls) for message in said if not message.is_copy)
    found = {conversation.session_id: calls} if said else {}
    for child in conversation.children:
        found |= _asked_for(child)
    return found
