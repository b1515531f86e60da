"""The messages of an agent's session, with the sessions that it started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .usage import Usage


class ToolCall(NamedTuple):
    """A call of a tool that an answer asks for. (A tuple, as `Message` is.)"""

    call_id: str
    name: str
    arguments: str | None = None
    """JSON, as the model wrote it."""


class Message(NamedTuple):
    """A row of the host's `messages`; `role` is user, assistant, tool or system.

    (A tuple: a frozen dataclass takes four times as long to make, and messages are read whenever
    a trace is built.)
    """

    role: str
    timestamp_ns: int
    """When the host wrote it. See `Conversation.times_are_known`."""
    content: str | None = None
    at_turn_limit: bool = False
    """The host's own request to come to an end: the agent had no turn left."""
    tool_call_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    is_copy: bool = False
    """An answer that the host only wrote again, after it had compressed the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A session of the host with its messages and the sessions that it started."""

    session_id: str
    started_ns: int
    ended_ns: int | None
    model: str | None = None
    """None also where several models answered: only observations show which gave which answer."""
    provider: str | None = None
    server_address: str | None = None
    """The host of the provider's base URL. None as for the model."""
    usage: Usage | None = None
    """The tokens of this session alone, as the host's row has them."""
    cost_usd: float | None = None
    """The cost of this session alone; None unless all of it is known."""
    api_calls: int | None = 0
    is_subagent: bool = False
    messages: tuple[Message, ...] = ()
    times_are_known: bool = True
    """False when the host wrote the messages after the agent was done: their times are then not
    those of the steps."""
    resumed_ns: int | None = None
    """When somebody went on with the session after its run. Nothing from then on is in this record."""
    children: tuple[Conversation, ...] = ()
