"""The messages of sessions: `state.db`, table `messages`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from ..model import LastMessage, Message, Prompt, ToolCall
from ..model.times import epoch_to_ns
from . import prompts
from .session_rows import LastMessageColumns, last_message_from
from .sqlite import Row, batched, columns_of, placeholders
from .values import text as as_text

_PASSAGE_CHARS, _BEFORE_CHARS = 2_500, 8

_COPIED_AT_ONCE_NS = 10_000
"""Two messages closer than this were written in one go: no model answers in 10 µs.

After the host compressed a conversation, it writes the messages that it keeps again, a microsecond
apart: those are copies."""


class Messages:
    """Typed reads of the messages in one open `state.db`; a column that the host lacks reads as None."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.columns = columns_of(connection, "messages")
        """The names of the columns that the table has."""
        self.keeps_rewound = {"active", "compacted"} <= self.columns
        """Messages that the owner has rewound, or that were compressed away, stay in the table
        (0.18+)."""
        self.can_read_text = {"session_id", "role", "timestamp", "content"} <= self.columns
        self.ends_turn = (
            "m.finish_reason = 'stop' AND coalesce(m.tool_calls, '') IN ('', '[]')"
            if {"finish_reason", "tool_calls"} <= self.columns
            else "NULL"
        )
        """SQL about a message `m`: whether the model ended with it."""

    def prompts(self, ids: Sequence[str]) -> dict[str, Prompt]:
        """Return by session id what the first message shows: the host itself composes it."""
        found: dict[str, Prompt] = {}
        if not {"session_id", "content"} <= self.columns:
            return found
        for batch in batched(ids):
            rows = self._connection.execute(
                # The outputs of other jobs may be anywhere in it: only such a prompt is read whole.
                f"SELECT session_id, substr(content, 1, {_PASSAGE_CHARS}), "  # noqa: S608
                "CASE WHEN at THEN "
                f"substr(content, max(at - {_BEFORE_CHARS}, 1), {_PASSAGE_CHARS}) ELSE '' END, "
                "CASE WHEN instr(content, ?) THEN content ELSE '' END FROM ("
                "SELECT session_id, content, "
                "coalesce(nullif(instr(content, ?), 0), instr(content, ?)) AS at "
                "FROM messages WHERE rowid IN (SELECT min(rowid) FROM messages WHERE session_id IN "
                f"({placeholders(len(batch))}) GROUP BY session_id))",
                (prompts.FED, prompts.SCRIPT_FAULT, prompts.SCRIPT_OUTPUT, *batch),
            )
            for session_id, head, around, whole in rows:
                found[session_id] = prompts.read(str(head), str(around), str(whole))
        return found

    def prompt_begins_with(self, session_id: str, text: str) -> bool:
        """Return whether the owner's part of the session's prompt begins with this text. The host's own
        passages stand before it, each with an empty line at its end."""
        if not {"session_id", "content"} <= self.columns:
            return False
        row = self._connection.execute(
            "SELECT instr(content, ?) = 1 OR instr(content, ?) FROM messages WHERE rowid = "
            "(SELECT min(rowid) FROM messages WHERE session_id = ?)",
            (text, f"\n\n{text}", session_id),
        ).fetchone()
        return row is not None and bool(row[0])

    def sessions_at_turn_limit(self, ids: Sequence[str]) -> set[str]:
        """Return the sessions in which the host asked for a summary: the agent had no turn left."""
        found: set[str] = set()
        if {"session_id", "role", "content"} <= self.columns:
            for batch in batched(ids):
                rows = self._connection.execute(
                    "SELECT DISTINCT session_id FROM messages "  # noqa: S608
                    f"WHERE session_id IN ({placeholders(len(batch))}) AND role = 'user' "
                    f"AND substr(content, 1, {len(prompts.TURN_LIMIT)}) = ?",
                    (*batch, prompts.TURN_LIMIT),
                )
                found.update(row[0] for row in rows)
        return found

    @property
    def rewound_was_added(self) -> bool:
        """Whether the table was made by a version that kept no rewound messages. ALTER TABLE leaves the
        quoted column name in sqlite_master; the host's CREATE TABLE does not quote it."""
        row = self._connection.execute(
            "SELECT instr(sql, '\"compacted\"') FROM sqlite_master WHERE name = 'messages'"
        ).fetchone()
        return row is not None and bool(row[0])

    def with_marker(self, ids: Sequence[str]) -> set[str]:
        """Return the sessions with `[SILENT]` anywhere in the last message, in any case."""
        found: set[str] = set()
        if self.can_read_text:
            for batch in batched(ids):
                rows = self._connection.execute(
                    "SELECT s.id FROM sessions s JOIN messages m ON m.rowid = ("  # noqa: S608
                    "SELECT rowid FROM messages WHERE session_id = s.id "
                    "ORDER BY timestamp DESC LIMIT 1) "
                    f"WHERE s.id IN ({placeholders(len(batch))}) "
                    "AND instr(upper(m.content), '[SILENT]')",
                    batch,
                )
                found.update(row[0] for row in rows)
        return found

    def last_activity_ns(self, session_id: str) -> int | None:
        """Return the time of the newest message."""
        if "timestamp" not in self.columns:
            return None
        row = self._connection.execute(
            "SELECT max(timestamp) FROM messages WHERE session_id = ?", (session_id,)
        ).fetchone()
        return epoch_to_ns(row[0]) if row else None

    def last_of(self, session_id: str, count: int) -> LastMessage | None:
        """Return the last of the first `count` messages of a session, in the order of the host's rows."""
        if not self.can_read_text:
            return None
        row = self._connection.execute(
            f"SELECT {LastMessageColumns.expressions(self.ends_turn)} FROM messages m "  # noqa: S608
            f"WHERE session_id = ? {self._shown} ORDER BY rowid LIMIT 1 OFFSET ?",
            (session_id, count - 1),
        ).fetchone()
        return last_message_from(row or ())

    @property
    def _shown(self) -> str:
        """The SQL for the messages that had an effect: one that was compressed away did, and one that was
        rewound did not."""
        return "AND (active = 1 OR compacted = 1)" if self.keeps_rewound else ""

    def of(self, ids: Sequence[str], *, with_content: bool) -> dict[str, list[Message]]:
        """Return the messages of these sessions by session id, in the order of the host's rows."""
        found: dict[str, list[Message]] = {}
        if not {"session_id", "role", "timestamp"} <= self.columns:
            return found
        present = self.columns if with_content else self.columns - {"content"}
        columns = ", ".join(c if c in present else f"NULL AS {c}" for c in _COLUMNS)
        # The role is tested first, so that only user messages are read for this.
        columns += (
            f", role = 'user' AND substr(content, 1, {len(prompts.TURN_LIMIT)}) = ?"
            if "content" in self.columns
            else ", ? IS NULL"
        )
        for batch in batched(ids):
            rows = self._connection.execute(
                # By row, as the host itself orders them: its clock may have been set back.
                f"SELECT {columns} FROM messages "  # noqa: S608
                f"WHERE session_id IN ({placeholders(len(batch))}) {self._shown} "
                "ORDER BY session_id, rowid",
                (prompts.TURN_LIMIT, *batch),
            )
            for session_id, of_session in groupby(rows.fetchall(), _SESSION_ID):
                found[str(session_id)] = list(_messages(of_session))
        return found

    def compressed(self, ids: Sequence[str]) -> set[str]:
        """Return the sessions that were compressed in place (0.18+), or rewound in part."""
        found: set[str] = set()
        if self.keeps_rewound:
            for batch in batched(ids):
                rows = self._connection.execute(
                    "SELECT DISTINCT session_id FROM messages "  # noqa: S608
                    f"WHERE session_id IN ({placeholders(len(batch))}) AND active = 0",
                    batch,
                )
                found.update(row[0] for row in rows)
        return found


Calls = tuple[ToolCall, ...]


def repeats_marked(messages: Sequence[Message], before: frozenset[Calls]) -> tuple[Message, ...]:
    """Mark the messages at the start of a continued session that were copied from the session before it.

    The copied messages come first, with calls that are in `before`. (A model may ask
    for the same again later.)
    """
    if not before:
        return tuple(messages)
    marked: list[Message] = []
    repeating = True
    for message in messages:
        if repeating and message.role == "assistant" and not message.is_copy:
            repeating = message.tool_calls in before
            message = message._replace(is_copy=repeating)  # noqa: PLW2901
        marked.append(message)
    return tuple(marked)


_COLUMNS = (
    "session_id", "role", "timestamp", "content", "tool_call_id", "tool_calls", "finish_reason",
)  # fmt: skip
_SESSION_ID = itemgetter(0)


def _messages(rows: Iterable[Row]) -> Iterator[Message]:
    """Read the rows of one session, in their order."""
    before_ns: int | None = None
    for _, role, timestamp, content, call_id, calls, finish_reason, at_turn_limit in rows:
        time_ns = epoch_to_ns(timestamp) or 0
        yield Message(
            str(role),
            time_ns,
            None if content is None else _text_of(content),
            bool(at_turn_limit),
            as_text(call_id),
            _tool_calls(calls) if calls else (),
            as_text(finish_reason),
            role == "assistant"
            and before_ns is not None
            and 0 <= time_ns - before_ns <= _COPIED_AT_ONCE_NS,
        )
        before_ns = time_ns


_IN_PARTS = "\0json:"
"""The host writes this before a content that is a list of parts (hermes_state.py 0.19)."""


def _text_of(content: object) -> str | None:
    """Return a message's text; of a list of parts their texts, and `[image_url]` for other parts."""
    text = as_text(content)
    if text is None or not text.startswith(_IN_PARTS):
        return text
    written = text.removeprefix(_IN_PARTS)
    try:
        parts = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return "\n".join(map(_text_of_part, parts)) if isinstance(parts, list) else written


def _text_of_part(part: object) -> str:
    if not isinstance(part, dict):
        return str(part)
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type') or 'part'}]"


def _tool_calls(text: object) -> tuple[ToolCall, ...]:
    """Read calls in OpenAI's shape, `[{"id", "function": {"name", "arguments"}}]`; pass over others."""
    try:
        calls = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return ()
    if not isinstance(calls, list):
        return ()
    found = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            found.append(
                ToolCall(
                    str(call.get("id") or ""),
                    str(function.get("name") or "unknown"),
                    as_text(function.get("arguments")),
                )
            )
    return tuple(found)
