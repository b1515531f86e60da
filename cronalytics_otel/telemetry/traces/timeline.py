"""The chats and tool calls of one agent, rebuilt from the times of its messages and what hooks told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ...model import ApiError, Conversation, Message, Observations, SpanKind, ToolCall, ToolResult
from .. import semconv as sc
from ..content import error_text, masked_and_cut, messages_json, name_text, value_text
from .observed import Attributes, Told, approval_event, put_usage, tool_error_type, with_times
from .steps import Book, Step, named, step_attributes, within

AT_ONCE_NS, FASTEST_NS = 20_000_000, 3_000_000
"""Hosts before 0.18 write an agent's messages down together, when it is done: their times then say
nothing of the steps. What is so close was written so; of a run that the ledger knows (0.19+, which
writes as it goes), only what no model could ever do. The schema does not tell: the home may have been
brought up to date since."""


class Timeline:
    """Turns an agent's messages, in the order of the host's rows, into its chats and tool calls.

    Time only goes on: a message that claims to be older than the one before it is taken to be as
    old. A chat begins at the prompt or at the last result; messages of the user in between are the
    host's own nudges, written late, and do not begin anything.
    """

    def __init__(self, conversation: Conversation, agent: Step, book: Book) -> None:
        self._agent = agent
        self._book = book
        self._now = agent.start
        self._open: list[tuple[ToolCall, Step]] = []
        self._news: list[Message] = []
        self._chat_attributes = step_attributes(sc.SPAN_CHAT, conversation)
        self._tool_attributes = step_attributes(sc.SPAN_EXECUTE_TOOL, conversation)
        self._told = Told(_NOTHING_TOLD, ())
        self.turns = 0
        self.untimed = False

    def add(self, session: Conversation) -> None:
        self._close_told()
        details = self._book.details.get(session.session_id, _NOTHING_TOLD)
        late = _written_late(session, FASTEST_NS if self._book.in_ledger else AT_ONCE_NS)
        messages: Sequence[Message] = session.messages
        if late and (timed := with_times(messages, details)) is not None:
            messages, late = timed, False
        answers = sum(message.role == "assistant" and not message.is_copy for message in messages)
        alone = answers <= 1 and not any(message.role == "tool" for message in messages)
        if late and not alone:
            self.untimed = self._book.untimed = True
            errors = tuple(a for a in details.attempts if isinstance(a, ApiError))
            details = replace(details, attempts=errors)  # which answer is whose cannot be told
        given = [message for message in messages if message.finish_reason and not message.is_copy]
        self._told = Told(details, given)
        is_full = 0 < (session.api_calls or 0) <= len(given)
        chat = _chat_of(session, self._chat_attributes, answers)
        ordinal = 0
        asked_to_end = False
        for message in messages:
            asked_to_end |= message.at_turn_limit
            at = within(self._now, self._agent.end, self._told.given_ns(message))
            if message.role == "assistant" and not message.is_copy:
                if message.finish_reason or not is_full or asked_to_end:
                    self._answer(message, at, chat, (session.session_id, str(ordinal)))
                # Else no call is left for it: the host's own word, where an agent was interrupted.
                ordinal += 1
            elif message.role == "tool":
                self._result(message, at)
            elif not message.is_copy:
                self._news.append(message)
            if message.role in ("assistant", "tool") or not (self.turns or late):
                self._now = at

    def close(self) -> None:
        self._close_told()
        self._abandon_calls(self._agent.end)

    def _close_told(self) -> None:
        """What came of nothing that the host kept: an API that never answered."""
        vain = self._told.rest()
        if vain.spans:
            clamp = self._agent.clamp
            first, last = vain.spans[0][0], vain.spans[-1][1]
            self._book.vain.append((clamp(first), max(clamp(first), clamp(last))))
            self._agent.note(vain.events)

    def _answer(self, message: Message, at: int, chat: Attributes, path: tuple[str, str]) -> None:
        self._abandon_calls(at)
        self.turns += 1
        asked = self._told.for_answer(message)
        attributes = chat.copy()
        asked.describe(attributes)
        if reason := name_text(message.finish_reason):
            attributes[sc.GEN_AI_RESPONSE_FINISH_REASONS] = (reason,)
        if (show := self._book.show) is not None:
            if put := messages_json(self._news, show.max_chars):
                attributes[sc.GEN_AI_INPUT_MESSAGES] = put
            if given := messages_json((message,), show.max_chars):
                attributes[sc.GEN_AI_OUTPUT_MESSAGES] = given
        self._news.clear()
        start = self._now if asked.start_ns is None else within(self._now, at, asked.start_ns)
        step = Step(
            path=(sc.SPAN_CHAT, *path),
            name=named(sc.SPAN_CHAT, attributes.get(sc.GEN_AI_REQUEST_MODEL)),
            kind=SpanKind.CLIENT,
            start=at if self.untimed else start,
            end=at if asked.end_ns is None else within(start, at, asked.end_ns),
            attributes=attributes,
        )
        if asked.events:
            step.note(asked.events)
        self._book.chats.append(step)
        self._agent.children.append(step)
        for index, call in enumerate(message.tool_calls):
            self._call(call, at, (sc.SPAN_EXECUTE_TOOL, *path, str(index)))

    def _call(self, call: ToolCall, at: int, path: tuple[str, ...]) -> None:
        name = name_text(call.name)
        attributes = self._tool_attributes.copy()
        if name:
            attributes[sc.GEN_AI_TOOL_NAME] = name
        if call_id := value_text(call.call_id):
            attributes[sc.GEN_AI_TOOL_CALL_ID] = call_id
        if (show := self._book.show) is not None and call.arguments:
            attributes[sc.GEN_AI_TOOL_CALL_ARGUMENTS] = masked_and_cut(
                call.arguments, show.max_chars
            )
        if skill := _skill(call):
            attributes[sc.HERMES_CRON_SKILL_NAME] = skill
            self._book.skills.append(skill)
        step = Step(
            path=path,
            name=named(sc.SPAN_EXECUTE_TOOL, name),
            kind=SpanKind.INTERNAL,
            start=at,
            end=at,
            attributes=attributes,
        )
        self._book.tools.append(step)
        self._agent.children.append(step)
        self._open.append((call, step))

    def _result(self, message: Message, at: int) -> None:
        """Of the call with its id; a result without an id, of the oldest open call.

        One that fits no open call is a copy, or its question is gone: nothing to time.
        """
        self._news.append(message)
        for index, (call, tool) in enumerate(self._open):
            if message.tool_call_id in (None, call.call_id):
                del self._open[index]
                tool.end = at
                tool.start = at if self.untimed else tool.start
                self._tell(tool, self._told.tool(call.call_id), at)
                if (show := self._book.show) is not None and message.content:
                    tool.attributes[sc.GEN_AI_TOOL_CALL_RESULT] = masked_and_cut(
                        message.content, show.max_chars
                    )
                return

    def _tell(self, tool: Step, run: ToolResult | None, at: int) -> None:
        """Its own time and error, which the messages do not show."""
        if run is None:
            return
        tool.start = within(tool.start, at, run.started_ns)
        tool.end = within(tool.start, at, run.ended_ns)
        if run.failed:
            tool.attributes[sc.ERROR_TYPE] = str(tool_error_type(run))
            # What a tool says is content, its error too.
            shown = error_text(run.message) if self._book.show is not None else None
            tool.error = shown or "The tool reported an error."
        if (event := approval_event(run)) is not None:
            tool.note([event])

    def _abandon_calls(self, at: int) -> None:
        for call, tool in self._open:
            tool.end = at
            run = self._told.tool(call.call_id)
            self._tell(tool, run, at)
            if run is None:
                tool.attributes[sc.HERMES_CRON_STEP_UNFINISHED] = True
        self._open.clear()


_NOTHING_TOLD = Observations()


def _skill(call: ToolCall) -> str | None:
    """The skill that this call loads: its name is no content."""
    if call.name != _LOADS_SKILL or not call.arguments:
        return None
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    name = arguments.get("name") if isinstance(arguments, dict) else None
    return name_text(name) if isinstance(name, str) else None


_LOADS_SKILL = "skill_view"
"""The host's tool."""


def _written_late(session: Conversation, close_ns: int) -> bool:
    """Whether the host wrote the messages when the agent was done: the prompt comes nearer to the end
    than to the start (0.13 to 0.16), or an answer comes at once after a result (0.17)."""
    messages = session.messages
    if not messages:
        return False
    prompt_ns, last_ns = messages[0].timestamp_ns, messages[-1].timestamp_ns
    written_ns = min(prompt_ns - session.started_ns, close_ns * len(messages))
    if 0 <= last_ns - prompt_ns < written_ns:
        return True
    return any(
        before.role == "tool"
        and message.role == "assistant"
        and message.finish_reason  # else the host may have written it itself
        and not message.is_copy
        and 0 <= message.timestamp_ns - before.timestamp_ns < close_ns
        for before, message in pairwise(messages)
    )


def _chat_of(session: Conversation, attributes: Attributes, answers: int) -> Attributes:
    """What all chats of a session have in common, unless hooks tell better.

    A session's usage is known for its calls only when it is that of its one call.
    """
    common = attributes.copy()
    model = name_text(session.model)
    if model:
        common[sc.GEN_AI_REQUEST_MODEL] = model
    if provider := name_text(session.provider):
        common[sc.GEN_AI_PROVIDER_NAME] = provider
    if session.usage is not None and session.api_calls == answers == 1:
        put_usage(common, session.usage)
    return common
