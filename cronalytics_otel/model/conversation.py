"""The messages of an agent's session, with the sessions that it started."""

from __future__ import annotations

from dataclasses import dataclass

from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A row of the host's `messages`: real time, `role` user, assistant, tool or system."""

    role: str
    timestamp_ns: int
    content: str | None = None
    at_turn_limit: bool = False
    """The host's own request to come to an end: the agent had no turn left."""
    tool_call_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str | None = None
    finish_reason: str | None = None
    is_copy: bool = False
    """An answer that the host only wrote again, after it had compressed the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    call_id: str
    name: str
    arguments: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A session of the host with its messages and the sessions that it started."""

    session_id: str
    started_ns: int
    ended_ns: int | None
    model: str | None = None
    """None also where several had a part in it: which gave which answer, only hooks tell."""
    provider: str | None = None
    usage: Usage | None = None
    """Of this session alone, as the host's row has it."""
    api_calls: int | None = 0
    is_subagent: bool = False
    messages: tuple[Message, ...] = ()
    children: tuple[Conversation, ...] = ()
