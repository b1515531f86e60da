"""One run, one trace: the root from the run's facts, the steps from the times of its messages.

Pure functions of what they are given: the same run gives the same spans, ids included, wherever
and however often it is built. Whatever the clocks did, every span lies within its parent, siblings
are ordered by start, and no duration is negative; what that takes is that a time outside is moved
to the nearest one inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..model import (
    AttributeValue,
    Conversation,
    CostStatus,
    DeliveryOutcome,
    Message,
    Mode,
    Outcome,
    Run,
    ScheduleKind,
    Span,
    SpanKind,
    SpanLink,
    ToolCall,
    Trigger,
    Usage,
)
from ..outcome import ErrorType, classify
from . import ids
from . import semconv as sc
from .content import (
    ContentPolicy,
    error_text,
    masked_and_cut,
    messages_json,
    name_text,
    value_text,
)

MAX_SPANS = 2_000
"""Of one trace. Later steps are left out, and the root says `truncated`."""

_COPY_NS = 10_000
"""Two messages closer than this were written in one go: no model answers in 10 µs. So the host puts
the kept messages back, a microsecond apart, after it compressed a conversation: those are copies."""

_CHILD_SLACK_NS = 1_000_000_000
"""How much later than its delegating call a subagent's session may seem to end."""

_LAST_NS = 2**63 - 1

_Attributes = dict[str, AttributeValue]


def build_trace(
    run: Run,
    conversation: Conversation | None,
    *,
    steps: sc.Steps = sc.Steps.COMPLETE,
    previous: Run | None = None,
    content: ContentPolicy | None = None,
) -> list[Span]:
    """The spans of a finished run: the root first, parents before children, at most `MAX_SPANS`.

    `conversation` is the run's session with everything below it; None when there is none (a
    script, a gate) or, as `steps` then says, when the host has deleted it. `previous` is the job's
    run before this one, for the link. Without a content policy no content goes along.
    """
    start = _within(0, _LAST_NS, run.started_ns)
    root = _Step(
        path=(),
        name=_named(sc.SPAN_CRON, name_text(run.job_name) or name_text(run.job_id)),
        kind=SpanKind.SERVER,
        start=start,
        end=_within(start, _LAST_NS, run.ended_ns),
        attributes=_root_attributes(run),
        error=_error_description(run),
    )
    if (script := _script(run, root)) is not None:
        root.children.append(script)
    if conversation is not None:
        show = content if content is not None and content.includes(failed=run.failed) else None
        _add_conversation(run, conversation, root, _Book(show), steps)
    if steps is not sc.Steps.COMPLETE:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(steps)
    return _to_spans(root, run, previous)


def _add_conversation(
    run: Run, conversation: Conversation, root: _Step, book: _Book, steps: sc.Steps
) -> None:
    agent = _agent(conversation, root, book)
    root.children.append(agent.step)
    if run.failed and not agent.answered:
        agent.step.error = root.error
        agent.step.attributes[sc.ERROR_TYPE] = root.attributes[sc.ERROR_TYPE]
    if agent.ended and (deliver := _deliver(run, agent.step, root)) is not None:
        root.children.append(deliver)
        root.attributes[sc.HERMES_CRON_RUN_DELIVERY_TIME] = (deliver.end - deliver.start) / 1e9
    if steps is sc.Steps.COMPLETE:
        root.attributes[sc.HERMES_CRON_RUN_TURNS] = agent.turns
        root.attributes[sc.HERMES_CRON_RUN_TOOL_TIME] = book.tool_s()
        if (model_s := book.model_s()) is not None:
            root.attributes[sc.HERMES_CRON_RUN_MODEL_TIME] = model_s


def error_type(run: Run) -> str | None:
    """`error.type` of a run, on its span and its metrics: from the closed list, None on success."""
    if not run.failed:
        return None
    return run.error_type if run.error_type in _ERROR_TYPES else str(ErrorType.OTHER)


_ERROR_TYPES = frozenset(map(str, ErrorType))


def job_label(run: Run) -> str:
    """`hermes.cron.job.name`: the name as it was at the run, the id of a nameless job."""
    return value_text(run.job_name) or value_text(run.job_id) or "unknown"


# --- the root -----------------------------------------------------------------------------------


def _root_attributes(run: Run) -> _Attributes:
    job_name, run_id = job_label(run), value_text(run.run_id)
    session_id = value_text(run.session_id)
    values: dict[str, AttributeValue | None] = {
        sc.HERMES_CRON_JOB_ID: value_text(run.job_id),
        sc.HERMES_CRON_JOB_NAME: job_name,
        sc.HERMES_CRON_JOB_MODE: _plain(run.mode),
        sc.HERMES_CRON_JOB_SKILLS: tuple(filter(None, map(value_text, run.skills))) or None,
        sc.HERMES_CRON_SCHEDULE_KIND: _plain(run.schedule_kind),
        sc.HERMES_CRON_SCHEDULE_EXPRESSION: value_text(run.schedule_expression),
        sc.HERMES_CRON_SCHEDULE_TIMEZONE: value_text(run.schedule_timezone),
        sc.HERMES_CRON_RUN_ID: run_id,
        sc.HERMES_CRON_RUN_OUTCOME: str(run.outcome),
        sc.HERMES_CRON_RUN_OUTCOME_SOURCE: str(run.outcome_source),
        sc.HERMES_CRON_RUN_TRIGGER: _plain(run.trigger),
        sc.HERMES_CRON_RUN_SCHEDULED_TIME: _iso(run.scheduled_ns),
        sc.HERMES_CRON_RUN_LATENESS: run.lateness_s,
        sc.HERMES_CRON_RUN_QUEUE_TIME: run.queue_s,
        sc.HERMES_CRON_RUN_API_CALLS: run.api_calls,
        sc.HERMES_CRON_RUN_TOOL_CALLS: run.tool_calls,
        sc.HERMES_CRON_RUN_SUBAGENTS: run.subagents,
        sc.HERMES_CRON_RUN_SILENT: run.silent,
        sc.HERMES_CRON_COST_TOTAL: _cost_usd(run),
        sc.HERMES_CRON_COST_STATUS: _plain(run.cost_status),
        sc.HERMES_CRON_MODEL_NAME: value_text(run.model),
        sc.HERMES_CRON_MODEL_PROVIDER: value_text(run.provider),
        sc.HERMES_CRON_DELIVERY_OUTCOME: _plain(run.delivery_outcome),
        sc.HERMES_CRON_DELIVERY_TARGET: error_text(run.delivery_target),
        sc.HERMES_CRON_DELIVERY_ERROR: error_text(run.delivery_error),
        sc.ERROR_TYPE: error_type(run),
        sc.SESSION_ID: session_id,
        sc.GEN_AI_CONVERSATION_ID: session_id,
        sc.FAAS_INVOCATION_ID: run_id,
        sc.CICD_PIPELINE_NAME: job_name,
        sc.CICD_PIPELINE_ACTION_NAME: sc.ACTION_RUN,
        sc.CICD_PIPELINE_RUN_ID: run_id,
        sc.CICD_PIPELINE_RESULT: sc.CICD_RESULT[run.outcome],
    }  # fmt: skip
    if run.trigger in (Trigger.SCHEDULE, Trigger.CATCH_UP):
        values[sc.FAAS_TRIGGER] = sc.TRIGGER_TIMER
        values[sc.FAAS_TIME] = values[sc.HERMES_CRON_RUN_SCHEDULED_TIME]
        values[sc.FAAS_CRON] = _cron_expression(run)
    if run.usage is not None:
        values |= _run_usage(run.usage)
    return {name: value for name, value in values.items() if value is not None}


def _run_usage(usage: Usage) -> _Attributes:
    return {
        sc.HERMES_CRON_USAGE_INPUT_TOKENS: usage.input_tokens,
        sc.HERMES_CRON_USAGE_OUTPUT_TOKENS: usage.output_tokens,
        sc.HERMES_CRON_USAGE_CACHE_READ_TOKENS: usage.cache_read_tokens,
        sc.HERMES_CRON_USAGE_CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        sc.HERMES_CRON_USAGE_REASONING_TOKENS: usage.reasoning_tokens,
        sc.HERMES_CRON_USAGE_TOTAL_TOKENS: usage.total_tokens,
    }


def _cost_usd(run: Run) -> float | None:
    """An unknown cost is absent; some hosts write 0 for it."""
    if run.cost_usd is None or run.cost_status is CostStatus.UNKNOWN:
        return None
    return float(run.cost_usd)


def _plain(
    value: Mode | ScheduleKind | Trigger | CostStatus | DeliveryOutcome | None,
) -> str | None:
    """Of an enumeration, the text itself: the wire knows no subclass of `str`."""
    return None if value is None else str(value)


def _error_description(run: Run) -> str | None:
    """The status description of a failed run, masked and cut; None for status UNSET."""
    if not run.failed:
        return None
    return error_text(run.error_message) or sc.OUTCOME_MEANING[run.outcome]


_CRON_FIELD = r"(?:[\d*?/,#LW-]|(?:MON|TUE|WED|THU|FRI|SAT|SUN|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC))+"
_CRON = re.compile(rf"@\w+|{_CRON_FIELD}(?:\s+{_CRON_FIELD}){{4,5}}", re.IGNORECASE)


def _cron_expression(run: Run) -> str | None:
    """The schedule if it is written as a cron expression: its owner may have written words."""
    text = (run.schedule_expression or "").strip()
    is_cron = run.schedule_kind is ScheduleKind.CRON and _CRON.fullmatch(text) is not None
    return text if is_cron else None


def _iso(time_ns: int | None) -> str | None:
    """ISO 8601 in UTC; None also for a time beyond the calendar."""
    if time_ns is None:
        return None
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.replace(tzinfo=None).isoformat() + "Z"


# --- steps --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Step:
    """A span in the making; `path` is what its id is derived from."""

    path: tuple[str, ...]
    name: str
    kind: SpanKind
    start: int
    end: int
    attributes: _Attributes
    error: str | None = None
    children: list[_Step] = field(default_factory=list)

    def clamp(self, time_ns: int) -> int:
        return _within(self.start, self.end, time_ns)


def _within(low: int, high: int, time_ns: int) -> int:
    return low if time_ns < low else min(time_ns, high)


def _start_of(step: _Step) -> int:
    return step.start


def _named(what: str, which: str | None) -> str:
    return f"{what} {which}" if which else what


def _script(run: Run, root: _Step) -> _Step | None:
    """A script job's script, or the gate that skipped an agent's run: all of the run's time."""
    has_one = run.mode is Mode.SCRIPT or run.outcome is Outcome.SKIPPED
    if not has_one or run.outcome is Outcome.MISSED:
        return None
    failure = error_type(run)
    return _Step(
        path=(sc.SPAN_SCRIPT,),
        name=sc.SPAN_SCRIPT,
        kind=SpanKind.INTERNAL,
        start=root.start,
        end=root.end,
        attributes={sc.ERROR_TYPE: failure} if failure else {},
        error=root.error,
    )


def _deliver(run: Run, after: _Step, root: _Step) -> _Step | None:
    """The host delivers after the session's end and before the run's: no closer time is written."""
    outcome = run.delivery_outcome
    if outcome not in (DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED):
        return None
    attributes: _Attributes = {sc.HERMES_CRON_DELIVERY_OUTCOME: str(outcome)}
    if target := error_text(run.delivery_target):
        attributes[sc.HERMES_CRON_DELIVERY_TARGET] = target
    error = None
    if outcome is DeliveryOutcome.FAILED:
        attributes[sc.ERROR_TYPE] = str(classify(run.delivery_error or ""))
        error = error_text(run.delivery_error) or "The host gave no reason."
    return _Step(
        path=(sc.SPAN_DELIVER,),
        name=_named(sc.SPAN_DELIVER, _platforms(run.delivery_target)),
        kind=SpanKind.PRODUCER,
        start=after.end,
        end=root.end,
        attributes=attributes,
        error=error,
    )


def _platforms(target: str | None) -> str | None:
    """`telegram` of `telegram:-100123`; several are joined. A chat's id belongs in no span name."""
    names = (part.partition(":")[0].strip() for part in (target or "").split(","))
    plain = dict.fromkeys(name for name in names if _PLATFORM.fullmatch(name))
    return name_text(",".join(plain))


_PLATFORM = re.compile(r"[\w.-]{1,32}", re.ASCII)


@dataclass(slots=True)
class _Book:
    """What is gathered over a whole trace."""

    show: ContentPolicy | None
    """None when content stays at home."""
    sessions: set[str] = field(default_factory=set)
    """Those that stand in the trace: one that came twice would be counted twice."""
    chats: list[_Step] = field(default_factory=list)
    tools: list[_Step] = field(default_factory=list)

    def model_s(self) -> float | None:
        return _covered_ns(self.chats) / 1e9 if self.chats else None

    def tool_s(self) -> float:
        """Without the time of chats: those of a subagent lie within the call that started it."""
        return (_covered_ns(self.chats + self.tools) - _covered_ns(self.chats)) / 1e9


def _covered_ns(steps: list[_Step]) -> int:
    """The time in which at least one of them was under way."""
    covered, until = 0, -1
    for step in sorted(steps, key=_start_of):
        if step.end > until:
            covered += step.end - max(step.start, until)
            until = step.end
    return covered


@dataclass(frozen=True, slots=True)
class _Agent:
    step: _Step
    turns: int
    ended: bool
    """Whether the host wrote when its session ended."""
    answered: bool
    """Whether it ends with an answer of the model that asks for no tool."""


def _agent(conversation: Conversation, window: _Step, book: _Book) -> _Agent:
    """The step of an agent within `window`, with everything below it."""
    sessions = _continued(conversation, book)
    agent_name = sc.AGENT_SUBAGENT if conversation.is_subagent else sc.AGENT_HERMES
    start = window.clamp(conversation.started_ns)
    step = _Step(
        path=(sc.SPAN_INVOKE_AGENT, conversation.session_id),
        name=_named(sc.SPAN_INVOKE_AGENT, agent_name),
        kind=SpanKind.INTERNAL,
        start=start,
        end=_within(start, window.end, _end_ns(sessions, window)),
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
            parent = _delegating(child, delegations) or step
            parent.children.append(_agent(child, parent, book).step)
    for parent in (step, *delegations):
        parent.children.sort(key=_start_of)
    return _Agent(step, timeline.turns, sessions[-1].ended_ns is not None, _answered(sessions[-1]))


_DELEGATION = f"{sc.SPAN_EXECUTE_TOOL} delegate"


def _continued(conversation: Conversation, book: _Book) -> list[Conversation]:
    """The session and those that the host continued it under, after compressing it, in order."""
    book.sessions.add(conversation.session_id)
    found = [conversation]
    for session in found:
        for child in session.children:
            if not child.is_subagent and child.session_id not in book.sessions:
                book.sessions.add(child.session_id)
                found.append(child)
    return found


def _end_ns(sessions: list[Conversation], window: _Step) -> int:
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


def _delegating(child: Conversation, delegations: list[_Step]) -> _Step | None:
    """The call that holds the child's time: of several the shortest, and then the least taken.

    A child that outlives the call was started in the background, and belongs beside it.
    """
    end = child.started_ns if child.ended_ns is None else child.ended_ns - _CHILD_SLACK_NS
    holding = [
        call for call in delegations if call.start <= child.started_ns <= call.end and end <= call.end
    ]  # fmt: skip
    return min(holding, key=_tightness, default=None)


def _tightness(call: _Step) -> tuple[int, int]:
    return (call.end - call.start, len(call.children))


def _step_attributes(operation: str, conversation: Conversation) -> _Attributes:
    attributes: _Attributes = {sc.GEN_AI_OPERATION_NAME: operation}
    if session_id := value_text(conversation.session_id):
        attributes[sc.GEN_AI_CONVERSATION_ID] = session_id
    return attributes


class _Timeline:
    """Turns an agent's messages, in the order of the host's rows, into its chats and tool calls.

    Time only goes on: a message that claims to be older than the one before it is taken to be as
    old. A chat begins at the prompt or at the last result; messages of the user in between are the
    host's own nudges, written late, and do not begin anything.
    """

    def __init__(self, conversation: Conversation, agent: _Step, book: _Book) -> None:
        self._conversation = conversation
        self._agent = agent
        self._book = book
        self._now = agent.start
        self._open: list[tuple[ToolCall, _Step]] = []
        self._news: list[Message] = []
        self.turns = 0

    def add(self, session: Conversation) -> None:
        messages = list(_copies_marked(session.messages))
        answers = sum(message.role == "assistant" and not copy for message, copy in messages)
        usage = session.usage if session.api_calls == answers == 1 else None
        ordinal = 0
        for message, copy in messages:
            at = max(self._now, self._agent.clamp(message.timestamp_ns))
            if message.role == "assistant" and not copy:
                self._answer(session, message, at, str(ordinal), usage)
                ordinal += 1
            elif message.role == "tool":
                self._result(message, at)
            elif not copy:
                self._news.append(message)
            if message.role in ("assistant", "tool") or not self.turns:
                self._now = at

    def close(self) -> None:
        self._abandon_calls(self._agent.end)

    def _answer(
        self, session: Conversation, message: Message, at: int, ordinal: str, usage: Usage | None
    ) -> None:
        self._abandon_calls(at)
        self.turns += 1
        model = name_text(session.model)
        attributes = _step_attributes(sc.SPAN_CHAT, self._conversation)
        if model:
            attributes[sc.GEN_AI_REQUEST_MODEL] = model
        if provider := name_text(session.provider):
            attributes[sc.GEN_AI_PROVIDER_NAME] = provider
        if reason := name_text(message.finish_reason):
            attributes[sc.GEN_AI_RESPONSE_FINISH_REASONS] = (reason,)
        if usage is not None:
            attributes |= _call_usage(usage)
        if (show := self._book.show) is not None:
            if asked := messages_json(self._news, show.max_chars):
                attributes[sc.GEN_AI_INPUT_MESSAGES] = asked
            if answered := messages_json((message,), show.max_chars):
                attributes[sc.GEN_AI_OUTPUT_MESSAGES] = answered
        self._news.clear()
        chat = _Step(
            path=(sc.SPAN_CHAT, session.session_id, ordinal),
            name=_named(sc.SPAN_CHAT, model),
            kind=SpanKind.CLIENT,
            start=self._now,
            end=at,
            attributes=attributes,
        )
        self._book.chats.append(chat)
        self._agent.children.append(chat)
        for index, call in enumerate(message.tool_calls):
            self._call(call, at, (session.session_id, ordinal, str(index)))

    def _call(self, call: ToolCall, at: int, path: tuple[str, ...]) -> None:
        name = name_text(call.name)
        attributes = _step_attributes(sc.SPAN_EXECUTE_TOOL, self._conversation)
        if name:
            attributes[sc.GEN_AI_TOOL_NAME] = name
        if call_id := value_text(call.call_id):
            attributes[sc.GEN_AI_TOOL_CALL_ID] = call_id
        if (show := self._book.show) is not None and call.arguments:
            attributes[sc.GEN_AI_TOOL_CALL_ARGUMENTS] = masked_and_cut(
                call.arguments, show.max_chars
            )
        tool = _Step(
            path=(sc.SPAN_EXECUTE_TOOL, *path),
            name=_named(sc.SPAN_EXECUTE_TOOL, name),
            kind=SpanKind.INTERNAL,
            start=at,
            end=at,
            attributes=attributes,
        )
        self._book.tools.append(tool)
        self._agent.children.append(tool)
        self._open.append((call, tool))

    def _result(self, message: Message, at: int) -> None:
        """Of the call with its id; a result without an id, of the oldest open call.

        One that fits no open call is a copy, or its question is gone: nothing to time.
        """
        self._news.append(message)
        for index, (call, tool) in enumerate(self._open):
            if message.tool_call_id in (None, call.call_id):
                del self._open[index]
                tool.end = at
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


def _copies_marked(messages: tuple[Message, ...]) -> Iterator[tuple[Message, bool]]:
    """Each message, and whether it is an answer that the host only wrote again (`_COPY_NS`)."""
    before: int | None = None
    for message in messages:
        at = message.timestamp_ns
        close = before is not None and 0 <= at - before <= _COPY_NS
        yield message, close and message.role == "assistant"
        before = at


def _call_usage(usage: Usage) -> _Attributes:
    return {
        sc.GEN_AI_USAGE_INPUT_TOKENS: usage.input_tokens,
        sc.GEN_AI_USAGE_OUTPUT_TOKENS: usage.output_tokens,
        sc.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cache_read_tokens,
        sc.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: usage.cache_write_tokens,
        sc.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: usage.reasoning_tokens,
    }


# --- spans --------------------------------------------------------------------------------------


def _to_spans(root: _Step, run: Run, previous: Run | None) -> list[Span]:
    """Depth first, so that what is cut at `MAX_SPANS` leaves no span without its parent."""
    trace = ids.trace_id(run.profile, run.identity)
    links = () if previous is None else (_link(previous),)
    spans: list[Span] = []
    ahead: list[tuple[_Step, int | None]] = [(root, None)]
    while ahead and len(spans) < MAX_SPANS:
        step, parent_id = ahead.pop()
        span_id = ids.span_id(run.profile, run.identity, *step.path)
        spans.append(
            Span(
                trace_id=trace,
                span_id=span_id,
                parent_id=parent_id,
                name=step.name,
                kind=step.kind,
                start_ns=step.start,
                end_ns=step.end,
                attributes=step.attributes,
                error=step.error,
                links=links if parent_id is None else (),
            )
        )
        ahead.extend((child, span_id) for child in reversed(step.children))
    if ahead:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Steps.TRUNCATED)
    return spans


def _link(previous: Run) -> SpanLink:
    return SpanLink(
        trace_id=ids.trace_id(previous.profile, previous.identity),
        span_id=ids.span_id(previous.profile, previous.identity),
        attributes={sc.HERMES_CRON_LINK_RELATION: sc.RELATION_PREVIOUS_RUN},
    )
