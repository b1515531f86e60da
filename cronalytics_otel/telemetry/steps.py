"""The steps of an agent, rebuilt from the times of its messages: chats, tool calls, subagents.

Pure functions; `spans.build_trace` makes spans of what they give.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile

from ..model import (
    AttributeValue,
    Conversation,
    Details,
    Message,
    SpanEvent,
    SpanKind,
    ToolCall,
    ToolRun,
)
from . import semconv as sc
from .content import ContentPolicy, error_text, masked_and_cut, messages_json, name_text, value_text
from .told import Attributes, Told, approval_event, put_usage, tool_error_type, with_times

_COPY_NS = 10_000
"""Two messages closer than this were written in one go: no model answers in 10 µs. So the host puts
the kept messages back, a microsecond apart, after it compressed a conversation: those are copies."""

_AT_ONCE_NS = 20_000_000
"""No model answers in 20 ms. Hosts before 0.18 write an agent's messages down together, when it is
done: they are a millisecond apart then, and their times say nothing of the steps."""

_CHILD_SLACK_NS = 1_000_000_000
"""How much later than its delegating call a subagent's session may seem to end."""


@dataclass(slots=True)
class Step:
    """A span in the making; `path` is what its id is derived from."""

    path: tuple[str, ...]
    name: str
    kind: SpanKind
    start: int
    end: int
    attributes: Attributes
    error: str | None = None
    children: list[Step] = field(default_factory=list)
    events: tuple[SpanEvent, ...] = ()

    def clamp(self, time_ns: int) -> int:
        return within(self.start, self.end, time_ns)

    def note(self, events: list[SpanEvent]) -> None:
        """Events within the step's time: clocks may differ."""
        clamped = (replace(event, time_ns=self.clamp(event.time_ns)) for event in events)
        self.events = (*self.events, *clamped)


def within(low: int, high: int, time_ns: int) -> int:
    return low if time_ns < low else min(time_ns, high)


def _start_of(step: Step) -> int:
    return step.start


def named(what: str, which: AttributeValue | None) -> str:
    return f"{what} {which}" if which else what


@dataclass(slots=True)
class Book:
    """What is gathered over a whole trace."""

    show: ContentPolicy | None
    """None when content stays at home."""
    details: Mapping[str, Details]
    """By session, what hooks told."""
    sessions: set[str] = field(default_factory=set)
    """Those that stand in the trace: one that came twice would be counted twice."""
    chats: list[Step] = field(default_factory=list)
    tools: list[Step] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    """That agents loaded, in order."""
    untimed: bool = False
    """The times of some steps are not known: see `_AT_ONCE_NS`."""

    def model_s(self) -> float | None:
        return _covered_ns(self.chats) / 1e9 if self.chats else None

    def tool_s(self) -> float:
        """Without the time of chats: those of a subagent lie within the call that started it."""
        if not self.tools:
            return 0.0
        return (_covered_ns(self.chats + self.tools) - _covered_ns(self.chats)) / 1e9

    def tokens(self) -> int:
        """Those that stand on chats."""
        counts = (chat.attributes.get(name, 0) for chat in self.chats for name in _COUNTED)
        return sum(count for count in counts if isinstance(count, int))


_COUNTED = (sc.GEN_AI_USAGE_INPUT_TOKENS, sc.GEN_AI_USAGE_OUTPUT_TOKENS)


def _covered_ns(steps: list[Step]) -> int:
    """The time in which at least one of them was under way."""
    covered, until = 0, -1
    for step in sorted(steps, key=_start_of):
        if step.end > until:
            covered += step.end - max(step.start, until)
            until = step.end
    return covered


@dataclass(frozen=True, slots=True)
class Agent:
    step: Step
    turns: int
    ended: bool
    """Whether the host wrote when its session ended."""
    answered: bool
    """Whether it ends with an answer of the model that asks for no tool."""
    at_turn_limit: bool
    """Whether the host had to ask it to come to an end."""


def build_agent(conversation: Conversation, window: Step, book: Book) -> Agent:
    """The step of an agent within `window`, with everything below it."""
    sessions = _continued(conversation, book)
    agent_name = sc.AGENT_SUBAGENT if conversation.is_subagent else sc.AGENT_HERMES
    start = window.clamp(conversation.started_ns)
    step = Step(
        path=(sc.SPAN_INVOKE_AGENT, conversation.session_id),
        name=named(sc.SPAN_INVOKE_AGENT, agent_name),
        kind=SpanKind.INTERNAL,
        start=start,
        end=within(start, window.end, _end_ns(sessions, window)),
        attributes=_step_attributes(sc.SPAN_INVOKE_AGENT, conversation),
    )
    step.attributes[sc.GEN_AI_AGENT_NAME] = agent_name
    timeline = _Timeline(conversation, step, book)
    for session in sessions:
        timeline.add(session)
    timeline.close()
    if book.show is not None:
        step.attributes |= _asked_and_answered(sessions, book.show.max_chars)
    delegations = [tool for tool in step.children if tool.name.startswith(_DELEGATION)]
    for child in (child for session in sessions for child in session.children):
        if child.is_subagent and child.session_id not in book.sessions:
            if timeline.untimed:
                parent = _untimed_delegation(child, delegations, step)
            else:
                parent = _delegating(child, delegations) or step
            parent.children.append(build_agent(child, parent, book).step)
    for parent in (step, *delegations):
        parent.children.sort(key=_start_of)
    return Agent(
        step=step,
        turns=timeline.turns,
        ended=sessions[-1].ended_ns is not None,
        answered=_answered(sessions[-1]),
        at_turn_limit=any(m.at_turn_limit for session in sessions for m in session.messages),
    )


def _asked_and_answered(sessions: list[Conversation], max_chars: int) -> Attributes:
    """What the agent was given, and what it gave in the end."""
    asked = list(takewhile(lambda message: message.role != "assistant", sessions[0].messages))
    answer = sessions[-1].messages[-1:] if _answered(sessions[-1]) else ()
    told = {
        sc.GEN_AI_INPUT_MESSAGES: messages_json(asked, max_chars),
        sc.GEN_AI_OUTPUT_MESSAGES: messages_json(answer, max_chars),
    }
    return {name: text for name, text in told.items() if text is not None}


_DELEGATION = f"{sc.SPAN_EXECUTE_TOOL} delegate"


def _continued(conversation: Conversation, book: Book) -> list[Conversation]:
    """The session and those that the host continued it under, after compressing it, in order."""
    book.sessions.add(conversation.session_id)
    found = [conversation]
    for session in found:
        for child in session.children:
            if not child.is_subagent and child.session_id not in book.sessions:
                book.sessions.add(child.session_id)
                found.append(child)
    return found


def _end_ns(sessions: list[Conversation], window: Step) -> int:
    """The written end, or the last message if that is later; a subagent without an end (hosts
    before 0.17) ends with its last message, a run's own agent with the run."""
    times = [message.timestamp_ns for session in sessions for message in session.messages]
    ended_ns = sessions[-1].ended_ns
    if ended_ns is not None:
        times.append(ended_ns)
    elif not sessions[0].is_subagent:
        times.append(window.end)
    return max(times, default=window.end)


def _answered(session: Conversation) -> bool:
    last = session.messages[-1] if session.messages else None
    if last is None or last.role != "assistant":
        return False
    return bool(last.finish_reason) and not last.tool_calls


def _delegating(child: Conversation, delegations: list[Step]) -> Step | None:
    """The call that holds the child's time: of several the shortest, and then the least taken.

    A child that outlives the call was started in the background, and belongs beside it.
    """
    end = child.started_ns if child.ended_ns is None else child.ended_ns - _CHILD_SLACK_NS
    holding = [
        call for call in delegations if call.start <= child.started_ns <= call.end and end <= call.end
    ]  # fmt: skip
    return min(holding, key=_tightness, default=None)


def _untimed_delegation(child: Conversation, delegations: list[Step], agent: Step) -> Step:
    """Where the host wrote the calls down late: the only one, which then took at least as long as
    the child, and what came before it was over by then; of several, no one knows."""
    if len(delegations) != 1:
        return agent
    (call,) = delegations
    times = [child.started_ns, *(message.timestamp_ns for message in child.messages)]
    call.start = min(call.start, agent.clamp(min(times)))
    call.end = max(call.end, agent.clamp(max(times)))
    for earlier in agent.children[: agent.children.index(call)]:
        earlier.start = min(earlier.start, call.start)
        earlier.end = min(earlier.end, call.start)
    return call


def _tightness(call: Step) -> tuple[int, int]:
    return (call.end - call.start, len(call.children))


def _step_attributes(operation: str, conversation: Conversation) -> Attributes:
    attributes: Attributes = {sc.GEN_AI_OPERATION_NAME: operation}
    if session_id := value_text(conversation.session_id):
        attributes[sc.GEN_AI_CONVERSATION_ID] = session_id
    return attributes


class _Timeline:
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
        self._chat_attributes = _step_attributes(sc.SPAN_CHAT, conversation)
        self._tool_attributes = _step_attributes(sc.SPAN_EXECUTE_TOOL, conversation)
        self._told = Told(_NOTHING_TOLD)
        self.turns = 0
        self.untimed = False

    def add(self, session: Conversation) -> None:
        self._close_told()
        details = self._book.details.get(session.session_id, _NOTHING_TOLD)
        late = _written_late(session)
        if late and (timed := with_times(session.messages, details)) is not None:
            session, late = replace(session, messages=timed), False
        messages = list(_copies_marked(session.messages))
        answers = sum(message.role == "assistant" and not copy for message, copy in messages)
        alone = answers <= 1 and not any(message.role == "tool" for message, _ in messages)
        if late and not alone:
            self.untimed = self._book.untimed = True
            details = replace(details, calls=())  # which answer is whose cannot be told
        self._told = Told(details)
        chat = _chat_of(session, self._chat_attributes, answers)
        ordinal = 0
        for message, copy in messages:
            at = within(self._now, self._agent.end, message.timestamp_ns)
            if message.role == "assistant" and not copy:
                self._answer(message, at, chat, (session.session_id, str(ordinal)))
                ordinal += 1
            elif message.role == "tool":
                self._result(message, at)
            elif not copy:
                self._news.append(message)
            if message.role in ("assistant", "tool") or not (self.turns or late):
                self._now = at

    def close(self) -> None:
        self._close_told()
        self._abandon_calls(self._agent.end)

    def _close_told(self) -> None:
        """What came of nothing that the host kept: an API that never answered."""
        self._agent.note(self._told.until(None).events)

    def _answer(self, message: Message, at: int, chat: Attributes, path: tuple[str, str]) -> None:
        self._abandon_calls(at)
        self.turns += 1
        asked = self._told.until(message.timestamp_ns)
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

    def _tell(self, tool: Step, run: ToolRun | None, at: int) -> None:
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


_NOTHING_TOLD = Details()


def _skill(call: ToolCall) -> str | None:
    """The skill that this call loads: its name is no content."""
    if call.name != _LOADS_SKILL or not call.arguments:
        return None
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return None
    name = arguments.get("name") if isinstance(arguments, dict) else None
    return name_text(name) if isinstance(name, str) else None


_LOADS_SKILL = "skill_view"
"""The host's tool."""


def _written_late(session: Conversation) -> bool:
    """Whether the host wrote the messages when the agent was done (before 0.18): the prompt comes
    nearer to the end than to the start (0.13 to 0.16), or an answer comes at once after a result."""
    messages = session.messages
    if not messages:
        return False
    prompt_ns, last_ns = messages[0].timestamp_ns, messages[-1].timestamp_ns
    written_ns = min(prompt_ns - session.started_ns, _AT_ONCE_NS * len(messages))
    if 0 <= last_ns - prompt_ns < written_ns:
        return True
    return any(
        before.role == "tool"
        and message.role == "assistant"
        and _COPY_NS < message.timestamp_ns - before.timestamp_ns < _AT_ONCE_NS
        for before, message in pairwise(messages)
    )


def _copies_marked(messages: tuple[Message, ...]) -> Iterator[tuple[Message, bool]]:
    """Each message, and whether it is an answer that the host only wrote again (`_COPY_NS`)."""
    before: int | None = None
    for message in messages:
        at = message.timestamp_ns
        close = before is not None and 0 <= at - before <= _COPY_NS
        yield message, close and message.role == "assistant"
        before = at


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
