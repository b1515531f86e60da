"""What was said in sessions: `state.db`, table `messages`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..model import Message, Prompt, ToolCall
from ..model.times import epoch_to_ns
from . import prompts
from .sqlite import Row, batched, columns_of, placeholders
from .values import text as as_text

_PASSAGE_CHARS, _BEFORE_CHARS = 2_500, 8

_COPY_NS = 10_000
"""Two messages closer than this were written in one go: no model answers in 10 µs. So the host puts
the kept messages back, a microsecond apart, after it compressed a conversation: those are copies."""


class Messages:
    """Typed reads of one open `state.db`'s messages, by session; what a host version has not is None."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._present = columns_of(connection, "messages")
        self.has_rewinds = {"active", "compacted"} <= self._present
        """Messages that the owner took back, or that were compressed away, stay in the table (0.18+)."""
        self.has_text = {"session_id", "role", "timestamp", "content"} <= self._present
        self.is_final = (
            "m.finish_reason = 'stop' AND coalesce(m.tool_calls, '') IN ('', '[]')"
            if {"finish_reason", "tool_calls"} <= self._present
            else "NULL"
        )
        """SQL, of a message `m`: whether the model came to its end with it."""

    def prompts(self, ids: Sequence[str]) -> dict[str, Prompt]:
        """By session id, what its first message tells, which the host itself composes."""
        found: dict[str, Prompt] = {}
        if not {"session_id", "content"} <= self._present:
            return found
        for batch in batched(ids):
            rows = self._connection.execute(
                # The outputs of other jobs may be anywhere in it: only then is all of it read.
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

    def at_turn_limit(self, ids: Sequence[str]) -> set[str]:
        """The sessions in which the host asked for a summary: the agent had no turn left."""
        found: set[str] = set()
        if {"session_id", "role", "content"} <= self._present:
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
    def rewinds_were_added(self) -> bool:
        """Whether the table was made by a version without rewinds: SQLite writes a column that is added
        to a table into its statement as the host quotes it, and the host's own statement has no quotes."""
        row = self._connection.execute(
            "SELECT instr(sql, '\"compacted\"') FROM sqlite_master WHERE name = 'messages'"
        ).fetchone()
        return row is not None and bool(row[0])

    def with_marker(self, ids: Sequence[str]) -> set[str]:
        """Return the sessions with `[SILENT]` anywhere in the last message, in any case."""
        found: set[str] = set()
        if self.has_text:
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
        """The time of the newest message."""
        if "timestamp" not in self._present:
            return None
        row = self._connection.execute(
            "SELECT max(timestamp) FROM messages WHERE session_id = ?", (session_id,)
        ).fetchone()
        return epoch_to_ns(row[0]) if row else None

    def of(self, ids: Sequence[str], *, with_content: bool) -> dict[str, list[Message]]:
        """By session id, in the order of the host's rows."""
        wanted = ("session_id", "role", "timestamp", "content", "tool_call_id", "tool_calls",
                  "tool_name", "finish_reason")  # fmt: skip
        found: dict[str, list[Message]] = {}
        if not {"session_id", "role", "timestamp"} <= self._present:
            return found
        present = self._present if with_content else self._present - {"content"}
        columns = ", ".join(c if c in present else f"NULL AS {c}" for c in wanted)
        if "content" in self._present:
            columns += f", role = 'user' AND substr(content, 1, {len(prompts.TURN_LIMIT)}) = ?"
        else:
            columns += ", ? IS NULL"
        # What the owner took back never led anywhere; what was compressed away did happen.
        kept = "AND (active = 1 OR compacted = 1)" if self.has_rewinds else ""
        for batch in batched(ids):
            rows = self._connection.execute(
                # By row, as the host itself orders them: its clock may have been set back.
                f"SELECT {columns} FROM messages "  # noqa: S608
                f"WHERE session_id IN ({placeholders(len(batch))}) {kept} "
                "ORDER BY session_id, rowid",
                (prompts.TURN_LIMIT, *batch),
            )
            for row in rows.fetchall():
                said = found.setdefault(row[0], [])
                said.append(_message(row, said[-1].timestamp_ns if said else None))
        return found

    def compressed(self, ids: Sequence[str]) -> set[str]:
        """The sessions whose conversation was compressed in place (0.18+), or taken back in part."""
        found: set[str] = set()
        if self.has_rewinds:
            for batch in batched(ids):
                rows = self._connection.execute(
                    "SELECT DISTINCT session_id FROM messages "  # noqa: S608
                    f"WHERE session_id IN ({placeholders(len(batch))}) AND active = 0",
                    batch,
                )
                found.update(row[0] for row in rows)
        return found


Calls = tuple[ToolCall, ...]


def repeats_marked(said: Sequence[Message], before: frozenset[Calls]) -> Iterator[Message]:
    """Of a session that goes on with another one under a new id: the kept messages come first, with
    the calls that stand in what was `before`. (A model may ask for the same again later.)"""
    kept = bool(before)
    for message in said:
        if kept and message.role == "assistant" and not message.is_copy:
            kept = message.tool_calls in before
            yield replace(message, is_copy=kept)
        else:
            yield message


def _message(row: Row, before_ns: int | None) -> Message:
    """`before_ns` is the time of the message before it in the session."""
    (
        _, role, timestamp, content, tool_call_id, tool_calls, tool_name, finish_reason,
        at_turn_limit,
    ) = row  # fmt: skip
    time_ns = epoch_to_ns(timestamp) or 0
    close = before_ns is not None and 0 <= time_ns - before_ns <= _COPY_NS
    return Message(
        role=str(role),
        timestamp_ns=time_ns,
        content=_said(content),
        tool_call_id=as_text(tool_call_id),
        tool_calls=_tool_calls(tool_calls) if tool_calls else (),
        tool_name=as_text(tool_name),
        finish_reason=as_text(finish_reason),
        at_turn_limit=bool(at_turn_limit),
        is_copy=close and role == "assistant",
    )


_IN_PARTS = "\0json:"
"""What the host writes before a content that is no text but a list (hermes_state.py 0.19)."""


def _said(content: object) -> str | None:
    """A message's text; of one in parts, its texts, and `[image_url]` for what else there was."""
    text = as_text(content)
    if text is None or not text.startswith(_IN_PARTS):
        return text
    written = text.removeprefix(_IN_PARTS)
    try:
        parts = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return "\n".join(map(_part_said, parts)) if isinstance(parts, list) else written


def _part_said(part: object) -> str:
    if not isinstance(part, dict):
        return str(part)
    said = part.get("text")
    return said if isinstance(said, str) else f"[{part.get('type') or 'part'}]"


def _tool_calls(text: object) -> tuple[ToolCall, ...]:
    """OpenAI's shape: `[{"id", "function": {"name", "arguments"}}]`; what is not is passed over."""
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
                    call_id=str(call.get("id") or ""),
                    name=str(function.get("name") or "unknown"),
                    arguments=as_text(function.get("arguments")),
                )
            )
    return tuple(found)
