"""Rows of `sessions` and `session_model_usage` to records: the one place that knows both.

A field of a `…Columns` tuple has the name of the host's column. A host that lacks the column gives None.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from ..model import CostStatus, LastMessage, ModelUsage, Session, Usage
from ..model.times import epoch_to_ns
from .silence import asks_for_silence
from .sqlite import Row
from .values import MAX_COST_USD, MAX_COUNT, text, usage

CRON_SESSION = re.compile(r"^cron_(?P<job>.+)_(?P<date>\d{8})_(?P<time>\d{6})$")
"""`cron_{job_id}_{YYYYMMDD}_{HHMMSS}`. The job id itself may hold underscores."""

SUBAGENT = "subagent"
"""The source of a subagent's session; hosts before 0.17 write `cron` there."""

_EXCERPT_CHARS = 200
_BLANKS = "char(32, 9, 10, 13)"


class SessionColumns(NamedTuple):
    """The columns of `sessions` that are read."""

    id: object
    source: object
    model: object
    parent_session_id: object
    started_at: object
    ended_at: object
    end_reason: object
    tool_call_count: object
    input_tokens: object
    output_tokens: object
    cache_read_tokens: object
    cache_write_tokens: object
    reasoning_tokens: object
    billing_provider: object
    billing_base_url: object
    estimated_cost_usd: object
    actual_cost_usd: object
    cost_status: object
    title: object
    api_call_count: object


NOT_IN_CONVERSATION = frozenset({"tool_call_count", "title"})
"""The columns of `sessions` that a conversation does not need."""


class LastMessageColumns(NamedTuple):
    """What is read of a session's newest message."""

    role: object
    timestamp: object
    head: object
    tail: object
    ends_turn: object

    @staticmethod
    def expressions(ends_turn: str) -> str:
        """Return the SQL of these columns, for a message `m`."""
        return (
            "m.role, m.timestamp, "
            f"substr(trim(m.content, {_BLANKS}), 1, {_EXCERPT_CHARS}), "
            f"substr(trim(m.content, {_BLANKS}), -{_EXCERPT_CHARS}), {ends_turn}"
        )


class UsageColumns(NamedTuple):
    """The columns of `session_model_usage` that are read."""

    session_id: object
    task: object
    model: object
    billing_provider: object
    input_tokens: object
    output_tokens: object
    cache_read_tokens: object
    cache_write_tokens: object
    reasoning_tokens: object
    api_call_count: object
    estimated_cost_usd: object
    actual_cost_usd: object
    cost_status: object
    first_seen: object
    last_seen: object


_LAST = len(SessionColumns._fields)
_COST_STATUSES = {status.value: status for status in CostStatus}


def session_from(row: Row) -> Session | None:
    """Return the session of a row of `SessionColumns` and, behind them, `LastMessageColumns` if there are
    any. Return None for a row without an id or a readable start: nothing can be said of it."""
    columns = SessionColumns._make(row[:_LAST])
    started_ns = epoch_to_ns(columns.started_at)
    if started_ns is None or not isinstance(columns.id, str):
        return None
    match = CRON_SESSION.match(columns.id)
    job_id, *stamp = match.groups() if match else (None,)
    last_message = last_message_from(row[_LAST:])
    return Session(
        session_id=columns.id,
        job_id=job_id,
        wall_clock="".join(stamp) or None,
        parent_id=text(columns.parent_session_id),
        is_subagent=columns.source == SUBAGENT,
        source=text(columns.source),
        end_reason=text(columns.end_reason),
        started_ns=started_ns,
        ended_ns=epoch_to_ns(columns.ended_at),
        title=text(columns.title),
        tool_calls=_count(columns.tool_call_count),
        model_usage=_session_usage(columns, last_message),
        base_url=text(columns.billing_base_url),
        last_message=last_message,
    )


def last_message_from(row: Row) -> LastMessage | None:
    """Return the message of a row of `LastMessageColumns`; None for an empty one."""
    if not row or row[0] is None:
        return None
    columns = LastMessageColumns._make(row)
    head, tail = text(columns.head) or "", text(columns.tail) or ""
    return LastMessage(
        role=str(columns.role),
        timestamp_ns=epoch_to_ns(columns.timestamp),
        head=head,
        tail=tail,
        ends_turn=bool(columns.ends_turn),
        asks_for_silence=asks_for_silence(head, tail),
    )


def _session_usage(columns: SessionColumns, last: LastMessage | None) -> ModelUsage:
    """Return what a session used. The host counts only calls whose provider reports usage: where a model
    answered and nothing was counted, the usage is unknown."""
    used = model_usage_from(columns)
    has_counted = used.api_calls or used.total_tokens or used.cost_status is not None
    if has_counted or not (_model_answered(last) or _count(columns.tool_call_count)):
        return used
    return replace(used, usage=None, api_calls=None, cost_status=CostStatus.UNKNOWN)


def _model_answered(last: LastMessage | None) -> bool:
    """Return whether a session's last message shows that a model answered in it. An answer that does not
    end the turn may be a notice of the host."""
    if last is None:
        return False
    return last.role == "tool" or last.ends_turn or (last.role, last.head) == _EMPTY_ANSWER


_EMPTY_ANSWER = ("assistant", "(empty)")
"""What the host keeps of an empty answer."""


def model_usage_from(columns: SessionColumns | UsageColumns) -> ModelUsage:
    cost_usd, status = _cost(columns)
    used = _tokens(columns)
    api_calls = _count(columns.api_call_count)
    if api_calls and used is not None and not used.total_tokens:
        # Every call takes tokens: its provider did not report them, and a price of 0 follows from that.
        used = None
        if status is CostStatus.ESTIMATED and not cost_usd:
            cost_usd, status = None, CostStatus.UNKNOWN
    return ModelUsage(
        model=text(columns.model),
        provider=text(columns.billing_provider),
        usage=used,
        api_calls=api_calls,
        cost_usd=cost_usd,
        cost_status=status,
    )


def _tokens(columns: SessionColumns | UsageColumns) -> Usage | None:
    """Return the tokens of a row; None if the host wrote none, or if a number is damaged.

    The host counts from 0. A column that it lacks, or has not written, adds nothing to the others.
    """
    written = (
        columns.input_tokens,
        columns.output_tokens,
        columns.cache_read_tokens,
        columns.cache_write_tokens,
        columns.reasoning_tokens,
    )
    if written[:2] == (None, None):
        return None
    counts = [0 if value is None else _count(value) for value in written]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return None
    fresh, output, cache_read, cache_write, reasoning = known
    return usage(
        fresh=fresh,
        output=output,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=reasoning,
    )


def _cost(columns: SessionColumns | UsageColumns) -> tuple[float | None, CostStatus | None]:
    """Return cost and status.

    The host writes 0.0 where it knows no price: only the status tells that from a cost of nothing.
    """
    word, status = columns.cost_status, None
    if isinstance(word, str):
        status = _COST_STATUSES.get(word)
        if status is None:  # a newer host's word, which decides what the amount means
            return None, CostStatus.UNKNOWN
    paid, priced = _amount(columns.actual_cost_usd), _amount(columns.estimated_cost_usd)
    if status is CostStatus.UNKNOWN:
        return _cost_of_some_calls(max(paid or 0, priced or 0))
    if paid is not None and (status is CostStatus.ACTUAL or paid > 0):
        return paid, CostStatus.ACTUAL
    if priced is not None and (status is not None or priced > 0):
        return priced, status or CostStatus.ESTIMATED
    return None, None if status is None else CostStatus.UNKNOWN


def _cost_of_some_calls(known: float) -> tuple[float | None, CostStatus]:
    """Return the cost where the last call's is unknown: the amount is all calls', so a lower bound."""
    return (known, CostStatus.PARTIAL) if known > 0 else (None, CostStatus.UNKNOWN)


def _amount(value: object) -> float | None:
    """Return a cost between 0 and MAX_COST_USD; anything else is damage, and says nothing of the cost."""
    known = isinstance(value, (int, float)) and 0 <= value <= MAX_COST_USD
    return float(value) if known else None  # type: ignore[arg-type]


def _count(value: object) -> int | None:
    """Return a count between 0 and MAX_COUNT, so that sums of it fit the journal. Anything else is damage,
    and says nothing."""
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    if not isinstance(value, float) or not 0 <= value <= MAX_COUNT:
        return None
    return int(value)
