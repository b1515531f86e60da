"""Sessions that somebody went on with after their run: what they hold from then on is not the run's.

`hermes chat --resume` opens the session again: it deletes the end, adds messages and usage to the same
rows, and writes another end when the chat is over. A run's evidence ends before the first message of that
chat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ..model import CostStatus, Message, ModelUsage, Session, Usage
from ..model.times import epoch_to_ns
from .session_rows import UsageColumns, model_usage_from

AGENT_ENDED = frozenset({"cron_complete", "compression"})
"""The reasons that the host gives when an agent's session ends. Opening the session again deletes them."""

SUBAGENT_ENDED = AGENT_ENDED | {"agent_close"}

_SOONEST_NS = 1_000_000_000
"""Nobody goes on with a session sooner than this after its last message."""

_COPIED_AT_ONCE_NS = 10_000
"""Two messages closer than this were written in one go. See `messages`."""


def may_be_resumed(session: Session) -> bool:
    """Return whether somebody may have gone on with the session: its messages show whether anybody did."""
    ended_by_host = SUBAGENT_ENDED if session.is_subagent else AGENT_ENDED
    return session.end_reason not in ended_by_host


def first_of_chat(messages: Sequence[Message]) -> int | None:
    """Return the position of the first message that is not the run's; None if all of them are.

    It is a user's message after the prompt. The host writes some itself while the agent is at work: they
    ask for the rest of an answer that is not final, or for an end at the turn limit, or they are copies
    that follow a compression.
    """
    for at, (before, message) in enumerate(pairwise(messages), start=1):
        if message.role != "user" or message.at_turn_limit:
            continue
        if message.timestamp_ns - before.timestamp_ns < _SOONEST_NS or _is_interim(before):
            continue
        if not _begins_copies(messages, at):
            return at
    return None


def _is_interim(message: Message) -> bool:
    """Return whether the message is an answer that the host does not take for the final one."""
    return (
        message.role == "assistant"
        and not message.tool_calls
        and message.finish_reason not in (None, "stop")
    )


def _begins_copies(messages: Sequence[Message], at: int) -> bool:
    following = messages[at + 1 : at + 2]
    return any(
        0 <= after.timestamp_ns - messages[at].timestamp_ns <= _COPIED_AT_ONCE_NS
        for after in following
    )


def usage_of_run(session: Session, rows: Sequence[UsageColumns]) -> ModelUsage:
    """Return what a resumed session had used when its run was over, by its rows of `session_model_usage`.

    A row adds up all calls of one model. One that was begun in the run and grew in the chat shows neither
    part, and then the usage is unknown.
    """
    whole = session.model_usage
    conversation = [row for row in rows if not row.task]
    own = [model_usage_from(row) for row in conversation if is_of_run(row, session)]
    is_known = bool(rows) and all(
        is_of_run(row, session) or _is_of_chat(row, session) for row in conversation
    )
    if not is_known:
        return replace(
            whole, usage=None, api_calls=None, cost_usd=None, cost_status=CostStatus.UNKNOWN
        )
    if len(own) == 1:
        return own[0]
    return ModelUsage(
        model=own[0].model if own else whole.model,
        provider=own[0].provider if own else whole.provider,
        usage=Usage.sum([part.usage for part in own if part.usage is not None]),
        api_calls=sum(part.api_calls or 0 for part in own),
        cost_usd=None,  # the rows of the models have it
        cost_status=CostStatus.UNKNOWN if own else None,
    )


def is_of_run(row: UsageColumns, session: Session) -> bool:
    """Return whether all calls of this row were over when somebody went on with the session."""
    last_ns = epoch_to_ns(row.last_seen)
    return session.resumed_ns is None or (last_ns is not None and last_ns < session.resumed_ns)


def _is_of_chat(row: UsageColumns, session: Session) -> bool:
    first_ns = epoch_to_ns(row.first_seen)
    return first_ns is not None and first_ns >= (session.resumed_ns or 0)
