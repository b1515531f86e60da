"""The steps of an agent, rebuilt from the times of its messages: chats, tool calls, subagents.

Pure functions; `spans.build_trace` makes spans of what they give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from ..model import AttributeValue, Conversation, Message, SpanKind, ToolCall, Usage
from . import semconv as sc
from .content import ContentPolicy, masked_and_cut, messages_json, name_text, value_text

Attributes = dict[str, AttributeValue]

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

    def clamp(self, time_ns: int) -> int:
        return within(self.start, self.end, time_ns)


def within(low: int, high: int, time_ns: int) -> int:
    return low if time_ns < low else min(time_ns, high)


def _start_of(step: Step) -> int:
    return step.start


def named(what: str, which: str | None) -> str:
    return f"{what} {which}" if which else what


@dataclass(slots=True)
class Book:
    """What is gathered over a whole trace."""

    show: ContentPolicy | None
    """None when content stays at home."""
    sessions: set[str] = field(default_factory=set)
    """Those that stand in the trace: one that came twice would be counted twice."""
    chats: list[Step] = field(default_factory=list)
    tools: list[Step] = field(default_factory=list)
    untimed: bool = False
    """The times of some steps are not known: see `_AT_ONCE_NS`."""

    def model_s(self) -> float | None:
        return _covered_ns(self.chats) / 1e9 if self.chats else None

    def tool_s(self) -> float:
        """Without the time of chats: those of a subagent lie within the call that started it."""
        return (_covered_ns(self.chats + self.tools) - _covered_ns(self.chats)) / 1e9


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
    return Agent(step, timeline.turns, sessions[-1].ended_ns is not None, _answered(sessions[-1]))


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
        self.turns = 0
        self.untimed = False

    def add(self, session: Conversation) -> None:
        messages = list(_copies_marked(session.messages))
        answers = sum(message.role == "assistant" and not copy for message, copy in messages)
        late = _written_late(session)
        alone = answers <= 1 and not any(message.role == "tool" for message, _ in messages)
        if late and not alone:
            self.untimed = self._book.untimed = True
        chat = _chat_of(session, self._chat_attributes, answers)
        ordinal = 0
        for message, copy in messages:
            at = max(self._now, self._agent.clamp(message.timestamp_ns))
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
        self._abandon_calls(self._agent.end)

    def _answer(self, message: Message, at: int, chat: _Chat, path: tuple[str, str]) -> None:
        self._abandon_calls(at)
        self.turns += 1
        attributes = chat.attributes.copy()
        if reason := name_text(message.finish_reason):
            attributes[sc.GEN_AI_RESPONSE_FINISH_REASONS] = (reason,)
        if (show := self._book.show) is not None:
            if asked := messages_json(self._news, show.max_chars):
                attributes[sc.GEN_AI_INPUT_MESSAGES] = asked
            if answered := messages_json((message,), show.max_chars):
                attributes[sc.GEN_AI_OUTPUT_MESSAGES] = answered
        self._news.clear()
        step = Step(
            path=(sc.SPAN_CHAT, *path),
            name=chat.name,
            kind=SpanKind.CLIENT,
            start=at if self.untimed else self._now,
            end=at,
            attributes=attributes,
        )
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
                if (show := self._book.show) is not None and message.content:
                    tool.attributes[sc.GEN_AI_TOOL_CALL_RESULT] = masked_and_cut(
                        message.content, show.max_chars
                    )
                return

    def _abandon_calls(self, at: int) -> None:
        for _, tool in self._open:
            tool.end = at
            tool.attributes[sc.HERMES_CRON_STEP_UNFINISHED] = True
        self._open.clear()


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


@dataclass(frozen=True, slots=True)
class _Chat:
    """What all chats of a session have in common."""

    name: str
    attributes: Attributes


def _chat_of(session: Conversation, attributes: Attributes, answers: int) -> _Chat:
    """A session's usage is known for its calls only when it is that of its one call."""
    common = attributes.copy()
    model = name_text(session.model)
    if model:
        common[sc.GEN_AI_REQUEST_MODEL] = model
    if provider := name_text(session.provider):
        common[sc.GEN_AI_PROVIDER_NAME] = provider
    if session.usage is not None and session.api_calls == answers == 1:
        common |= _call_usage(session.usage)
    return _Chat(named(sc.SPAN_CHAT, model), common)


def _call_usage(usage: Usage) -> Attributes:
    return {
        sc.GEN_AI_USAGE_INPUT_TOKENS: usage.input_tokens,
        sc.GEN_AI_USAGE_OUTPUT_TOKENS: usage.output_tokens,
        sc.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cache_read_tokens,
        sc.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: usage.cache_write_tokens,
        sc.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: usage.reasoning_tokens,
    }
