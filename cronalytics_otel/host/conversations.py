"""Sessions and their messages as one conversation."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Conversation, CostStatus, Message, ModelUsage, Session
from .message_times import AT_ONCE_NS, FASTEST_NS, written_when_done
from .messages import Calls, repeats_marked
from .resumed import first_of_chat, may_be_resumed
from .values import server_address


def conversation_of(
    root: Session,
    descendants: Sequence[Session],
    messages: dict[str, list[Message]],
    several_models: set[str],
    *,
    in_ledger: bool,
) -> Conversation:
    """Return the conversation of a session, with the sessions below it as its children.

    `messages` are by session id. `several_models` are the sessions in which several models answered.
    """
    children: dict[str, list[Session]] = {}
    for session in descendants:
        children.setdefault(session.parent_id or "", []).append(session)
    at_once_ns = FASTEST_NS if in_ledger else AT_ONCE_NS

    def build(session: Session, before: frozenset[Calls]) -> Conversation:
        written, resumed_ns = _of_run(session, messages.get(session.session_id, ()))
        own_messages = repeats_marked(written, before)
        # Of a resumed session, the host's row has the sum of its run and of the chat.
        spent = session.model_usage if resumed_ns is None else _UNKNOWN
        has_one_model = session.session_id not in several_models
        if session.compressed:
            before |= {message.tool_calls for message in own_messages if message.tool_calls}
        return Conversation(
            session_id=session.session_id,
            started_ns=session.started_ns,
            ended_ns=_ended_ns(session, own_messages, resumed_ns),
            model=session.model_usage.model if has_one_model else None,
            provider=session.model_usage.provider if has_one_model else None,
            server_address=server_address(session.base_url) if has_one_model else None,
            usage=spent.usage,
            cost_usd=None if spent.cost_status is CostStatus.PARTIAL else spent.cost_usd,
            api_calls=spent.api_calls,
            is_subagent=session.is_subagent,
            messages=own_messages,
            times_are_known=not written_when_done(
                session.started_ns, own_messages, at_once_ns=at_once_ns
            ),
            children=tuple(
                build(child, _NO_CALLS if child.is_subagent else before)
                for child in children.get(session.session_id, ())
                if resumed_ns is None or child.started_ns < resumed_ns
            ),
            resumed_ns=resumed_ns,
        )

    return build(root, _NO_CALLS)


_NO_CALLS: frozenset[Calls] = frozenset()
_UNKNOWN = ModelUsage(
    model=None, provider=None, usage=None, api_calls=None, cost_usd=None, cost_status=None
)


def _of_run(session: Session, messages: Sequence[Message]) -> tuple[Sequence[Message], int | None]:
    """Return the messages of the run, and when somebody went on with the session if anybody did."""
    at = first_of_chat(messages) if may_be_resumed(session) else None
    return (messages, None) if at is None else (messages[:at], messages[at].timestamp_ns)


def _ended_ns(session: Session, messages: Sequence[Message], resumed_ns: int | None) -> int | None:
    """Return when the run's part of a session ended: its last message where the end is that of a chat."""
    if resumed_ns is not None and messages:
        return max(session.started_ns, messages[-1].timestamp_ns)
    return session.ended_ns


def tool_call_counts(conversation: Conversation) -> dict[str, int]:
    """Return by session id how many calls were asked for, in the sessions that have messages."""
    own_messages = conversation.messages
    calls = sum(len(message.tool_calls) for message in own_messages if not message.is_copy)
    found = {conversation.session_id: calls} if own_messages else {}
    for child in conversation.children:
        found |= tool_call_counts(child)
    return found
