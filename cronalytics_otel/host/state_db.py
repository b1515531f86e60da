"""Sessions and their usage: `state.db`.

A session row holds about 7.5 KB of system prompt before most columns that we need, so it is read
once, when it is new, and again only while it is open.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..model import Conversation, CostStatus, LastMessage, Message, ModelUsage, Session
from ..model.times import epoch_to_ns
from .message_times import AT_ONCE_NS, FASTEST_NS, written_when_done
from .messages import Calls, Messages, repeats_marked
from .sqlite import Row, batched, columns_of, placeholders, select_list
from .values import MAX_COUNT, text, usage

CRON_SESSION = re.compile(r"^cron_(?P<job>.+)_(?P<date>\d{8})_(?P<time>\d{6})$")
"""`cron_{job_id}_{YYYYMMDD}_{HHMMSS}`, the job id itself may hold underscores."""

_SUBAGENT = "subagent"
"""The source of a subagent's session; hosts before 0.17 write `cron` there."""

CHUNK = 2_000
"""Sessions a query: enough to spread its cost, few enough to keep memory flat."""

CONTINUED_NS = 1_000_000_000
"""From the end of a compressed session to the start of the next, whichever is written first."""

_COUNTED_AT_ONCE = 16
"""Conversations in memory together: those that were compressed are long."""

MAX_DEPTH = 16
"""Of subagents below a run; the host allows a handful, a cycle in the data must not hang us."""

_NEEDED = ("id", "started_at")
_WANTED = (
    "id", "source", "model", "parent_session_id", "started_at", "ended_at", "end_reason",
    "tool_call_count", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "billing_provider", "estimated_cost_usd", "actual_cost_usd", "cost_status",
    "title", "api_call_count",
)  # fmt: skip
_EXCERPT_CHARS = 200
_BLANKS = "char(32, 9, 10, 13)"


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest row that was seen: trusted only while that rowid still holds that id."""

    rowid: int = 0
    session_id: str = ""


def watermark(connection: sqlite3.Connection) -> Watermark:
    """Of the newest session of any kind."""
    row = connection.execute(
        "SELECT rowid, id FROM sessions ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    return Watermark(int(row[0]), str(row[1])) if row else Watermark()


def still_holds(connection: sqlite3.Connection, mark: Watermark) -> bool:
    row = connection.execute("SELECT id FROM sessions WHERE rowid = ?", (mark.rowid,)).fetchone()
    return row is not None and row[0] == mark.session_id


class Reader:
    """Typed reads of one open `state.db`; looks up once which columns this host version has."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Raises `HostSchemaError` when a column that we cannot do without is missing."""
        self._connection = connection
        present = columns_of(connection, "sessions")
        columns = select_list(path, "sessions", present, _NEEDED, _WANTED)
        self._columns = ", ".join(f"s.{c}" if " AS " not in c else c for c in columns.split(", "))
        self._has_parent = "parent_session_id" in present
        self.messages = Messages(connection)
        self._usage = columns_of(connection, "session_model_usage")
        self.has_ledger_beside = bool(self._usage)
        """The host (0.19+) keeps a ledger, from its first run on, though it may not be there just now."""

    def new_cron_sessions(
        self, after: int, up_to: int
    ) -> Iterator[tuple[list[Session], Watermark]]:
        """Cron sessions with `after < rowid <= up_to`, oldest first, in chunks with their marks."""
        while True:
            # `+` keeps the planner on the rowid: the range on the id would read all history.
            rows = self._connection.execute(
                self._select("s.rowid > ? AND s.rowid <= ? AND +s.id >= 'cron_' "
                             "AND +s.id < 'cron`' ORDER BY s.rowid LIMIT ?"),
                (after, up_to, CHUNK),
            ).fetchall()  # fmt: skip
            if not rows:
                return
            after = int(rows[-1][0])
            sessions = [s for s in map(_session, rows) if s is not None and s.job_id is not None]
            yield sessions, Watermark(after, str(rows[-1][1]))

    def sessions(self, ids: Iterable[str], *, with_last_message: bool = True) -> Iterator[Session]:
        """Yield the sessions with these ids that still exist."""
        for batch in batched(ids):
            query = self._select(f"s.id IN ({placeholders(len(batch))})", with_last_message)
            for row in self._connection.execute(query, batch).fetchall():
                session = _session(row)
                if session is not None:
                    yield session

    def descendants(
        self, roots: Sequence[Session], *, with_last_message: bool = True
    ) -> dict[str, list[Session]]:
        """By root id, every session below it (subagents, continuations), parents first."""
        found: dict[str, list[Session]] = {}
        if not self._has_parent:
            return found
        root_of = {root.session_id: root.session_id for root in roots}
        level = list(roots)
        for _ in range(MAX_DEPTH):
            parents = {session.session_id: session for session in level}
            level = []
            for child in self._children(list(parents), with_last_message):
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

    def _children(self, parents: Sequence[str], with_last_message: bool) -> Iterator[Session]:
        for batch in batched(parents):
            where = f"s.parent_session_id IN ({placeholders(len(batch))}) ORDER BY s.started_at"
            query = self._select(where, with_last_message)
            for row in self._connection.execute(query, batch).fetchall():
                child = _session(row)
                if child is not None:
                    yield child

    def usage_rows(self, ids: Sequence[str]) -> dict[str, list[tuple[str, ModelUsage]]]:
        """By session id, its rows of `session_model_usage` (0.19+) as (task, spending).

        Task is empty for the conversation itself and names auxiliary calls, which appear nowhere
        else.
        """
        found: dict[str, list[tuple[str, ModelUsage]]] = {}
        if not {"session_id", "model"} <= self._usage:
            return found
        wanted = (
            "session_id", "task", "model", "billing_provider", "input_tokens", "output_tokens",
            "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "api_call_count",
            "estimated_cost_usd", "actual_cost_usd", "cost_status",
        )  # fmt: skip
        columns = ", ".join(c if c in self._usage else f"NULL AS {c}" for c in wanted)
        for batch in batched(ids):
            rows = self._connection.execute(
                f"SELECT {columns} FROM session_model_usage "  # noqa: S608
                f"WHERE session_id IN ({placeholders(len(batch))})",
                batch,
            )
            for session_id, task, *spending in rows.fetchall():
                found.setdefault(session_id, []).append((task or "", _spending(*spending)))
        return found

    def tool_calls(
        self, roots: Sequence[Session], below: Mapping[str, Sequence[Session]]
    ) -> dict[str, int]:
        """By session id, how many calls were asked for, where a conversation was compressed: the host's
        own count begins anew with that, and has the calls that were kept in it."""
        families = {r.session_id: [r, *below.get(r.session_id, ())] for r in roots}
        ids = [s.session_id for family in families.values() for s in family]
        compressed = self.messages.compressed(ids)
        told = [
            root_id
            for root_id, family in families.items()
            if any(s.compressed or s.session_id in compressed for s in family)
        ]
        found: dict[str, int] = {}
        for batch in batched(told, _COUNTED_AT_ONCE):
            for conversation in self.conversations(batch, with_content=False).values():
                found |= _asked_for(conversation)
        return found

    def conversations(
        self, ids: Sequence[str], *, with_content: bool = True, in_ledger: Collection[str] = ()
    ) -> dict[str, Conversation]:
        """Return by root session id the whole conversation, with all sessions below it.

        Sessions that the host has pruned are absent. Texts may be megabytes: without content they
        are not read. `in_ledger` are the ids whose runs the ledger knows.
        """
        roots = {s.session_id: s for s in self.sessions(ids, with_last_message=False)}
        below = self.descendants(list(roots.values()), with_last_message=False)
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
        """The sessions (0.19+) in which more than one model answered: which gave which, no row tells."""
        found: set[str] = set()
        if {"session_id", "model", "task"} <= self._usage:
            for batch in batched(ids):
                rows = self._connection.execute(
                    "SELECT session_id FROM session_model_usage "  # noqa: S608
                    f"WHERE session_id IN ({placeholders(len(batch))}) AND coalesce(task, '') = '' "
                    "GROUP BY session_id HAVING count(DISTINCT model) > 1",
                    batch,
                )
                found.update(row[0] for row in rows)
        return found

    def _select(self, where: str, with_last_message: bool = True) -> str:
        if not (with_last_message and self.messages.has_text):
            return f"SELECT s.rowid, {self._columns}, NULL, NULL, NULL, NULL, NULL, NULL FROM sessions s WHERE {where}"  # noqa: S608
        # Asked of hosts before 0.18 alone: a long answer is read whole for it.
        marker = "instr(upper(m.content), '[SILENT]')" if self.messages.are_late else "0"
        return (
            f"SELECT s.rowid, {self._columns}, m.role, m.timestamp, "  # noqa: S608
            f"substr(trim(m.content, {_BLANKS}), 1, {_EXCERPT_CHARS}), "
            f"substr(trim(m.content, {_BLANKS}), -{_EXCERPT_CHARS}), {self.messages.is_final}, "
            f"{marker} "
            "FROM sessions s LEFT JOIN messages m ON m.rowid = (SELECT rowid FROM messages "
            "WHERE session_id = s.id ORDER BY timestamp DESC LIMIT 1) "
            f"WHERE {where}"
        )


def _placed(child: Session, parent: Session) -> Session:
    """The host's own rule: what began after its parent was compressed goes on with it, and
    everything else below a session is a subagent. (What goes on has its parent's source.)"""
    continues = (
        parent.compressed
        and (child.source != _SUBAGENT or parent.source == _SUBAGENT)
        and parent.ended_ns is not None
        and child.started_ns >= parent.ended_ns - CONTINUED_NS
    )
    return replace(child, is_subagent=not continues)


def _session(row: Row) -> Session | None:
    """None for a row without a readable start: nothing can be said of it."""
    (
        _, session_id, source, model, parent_id, started, ended, end_reason, tool_calls, fresh, output, cache_read,
        cache_write, reasoning, provider, estimated, actual, cost_status, title, api_calls, role, at, head, tail,
        is_final, has_marker,
    ) = row  # fmt: skip
    started_ns = epoch_to_ns(started)
    if started_ns is None or not isinstance(session_id, str):
        return None
    match = CRON_SESSION.match(session_id)
    return Session(
        session_id=session_id,
        job_id=match["job"] if match else None,
        wall_clock=match["date"] + match["time"] if match else None,
        parent_id=text(parent_id),
        is_subagent=source == _SUBAGENT,
        source=text(source),
        compressed=end_reason == "compression",
        started_ns=started_ns,
        ended_ns=epoch_to_ns(ended),
        title=text(title),
        tool_calls=None if tool_calls is None else _count(tool_calls),
        spending=_spending(
            model,
            provider,
            fresh,
            output,
            cache_read,
            cache_write,
            reasoning,
            api_calls,
            estimated,
            actual,
            cost_status,
        ),
        last_message=None
        if role is None
        else LastMessage(
            role=str(role),
            timestamp_ns=epoch_to_ns(at),
            head=text(head) or "",
            tail=text(tail) or "",
            is_final=bool(is_final),
            has_marker=bool(has_marker),
        ),
    )


def _spending(
    model: object, provider: object, fresh: object, output: object, cache_read: object,
    cache_write: object, reasoning: object, api_calls: object, estimated: object, actual: object,
    cost_status: object,
) -> ModelUsage:  # fmt: skip
    cost_usd, status = _cost(estimated, actual, cost_status)
    return ModelUsage(
        model=text(model),
        provider=text(provider),
        usage=usage(
            fresh=_count(fresh),
            output=_count(output),
            cache_read=_count(cache_read),
            cache_write=_count(cache_write),
            reasoning=_count(reasoning),
        ),
        api_calls=None if api_calls is None else _count(api_calls),
        cost_usd=cost_usd,
        cost_status=status,
    )


def _cost(
    estimated: object, actual: object, status_text: object
) -> tuple[float | None, CostStatus | None]:
    """The host writes 0.0 where it knows no price: only the status tells that from nothing. It is the
    last call's, the amount all calls': one beside `unknown` is of those that had a price."""
    try:
        status = CostStatus(status_text) if isinstance(status_text, str) else None
    except ValueError:
        return None, CostStatus.UNKNOWN  # a newer host's word: what the amount is, it alone knows
    paid, priced = _amount(actual), _amount(estimated)
    if status is CostStatus.UNKNOWN:
        known = max(paid or 0, priced or 0)
        return (known, CostStatus.PARTIAL) if known > 0 else (None, status)
    if paid is not None and (status is CostStatus.ACTUAL or paid > 0):
        return paid, CostStatus.ACTUAL
    if priced is not None and (status is not None or priced > 0):
        return priced, status or CostStatus.ESTIMATED
    return None, status


def _amount(value: object) -> float | None:
    known = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]


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


def _count(value: object) -> int:
    """Not below zero, and not beyond what sums of it can be kept as."""
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        return 0
    return min(int(value), MAX_COUNT)
