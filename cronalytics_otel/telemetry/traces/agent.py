"""An agent, rebuilt from its sessions: its step, everything below it, and how it ended.

Pure functions; `trace.build_trace` makes spans of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from operator import attrgetter

from ...model import Conversation, SpanKind
from .. import semconv as sc
from ..content import messages_json
from .observed import Attributes
from .steps import Step, TraceContext, agent_name, named, step_attributes, within
from .timeline import Timeline

_CHILD_SLACK_NS = 1_000_000_000
"""The longest time by which a subagent's session may seem to end after its delegating call."""


@dataclass(frozen=True, slots=True)
class Agent:
    step: Step
    turns: int
    ended: bool
    """Whether the host wrote when its session ended."""
    answered: bool
    """Whether it ends with an answer of the model that asks for no tool."""
    at_turn_limit: bool
    """Whether the host had to ask it to finish."""


def build_agent(conversation: Conversation, parent: Step, context: TraceContext) -> Agent:
    """Return the step of an agent within the time of `parent`, with everything below it."""
    sessions = _take_continuations(conversation, context)
    start_ns = parent.clamp(conversation.started_ns)
    step = Step(
        path=(sc.SPAN_INVOKE_AGENT, conversation.session_id),
        name=named(sc.SPAN_INVOKE_AGENT, agent_name(conversation)),
        kind=SpanKind.INTERNAL,
        start_ns=start_ns,
        end_ns=within(start_ns, parent.end_ns, _end_ns(sessions, parent)),
        attributes=step_attributes(sc.SPAN_INVOKE_AGENT, conversation),
    )
    timeline = Timeline(conversation, step, context)
    for session in sessions:
        timeline.add(session)
    timeline.close()
    if context.content is not None:
        step.attributes |= _prompt_and_answer(sessions, context.content.max_chars)
    _add_subagents(sessions, step, context, times_are_known=timeline.times_are_known)
    return Agent(
        step=step,
        turns=timeline.turns,
        ended=sessions[-1].ended_ns is not None,
        answered=_answered(sessions[-1]),
        at_turn_limit=timeline.at_turn_limit,
    )


def _prompt_and_answer(sessions: list[Conversation], max_chars: int) -> Attributes:
    """Return the attributes of the agent's prompt and of its last answer."""
    prompt = list(takewhile(lambda message: message.role != "assistant", sessions[0].messages))
    answer = sessions[-1].messages[-1:] if _answered(sessions[-1]) else ()
    texts = {
        sc.GEN_AI_INPUT_MESSAGES: messages_json(prompt, max_chars),
        sc.GEN_AI_OUTPUT_MESSAGES: messages_json(answer, max_chars),
    }
    return {name: text for name, text in texts.items() if text is not None}


def _take_continuations(conversation: Conversation, context: TraceContext) -> list[Conversation]:
    """Return the session and its continuations in order, and count them as in the trace.

    Hermes continues a session under a new id after it compressed the history.
    """
    context.session_ids.add(conversation.session_id)
    found = [conversation]
    for session in found:
        for child in session.children:
            if not child.is_subagent and child.session_id not in context.session_ids:
                context.session_ids.add(child.session_id)
                found.append(child)
    return found


# --- its end ------------------------------------------------------------------------------------


def _end_ns(sessions: list[Conversation], parent: Step) -> int:
    """Return when an agent ended: the recorded end, or its last message if that is later.

    A subagent without a recorded end (hosts before 0.17, a process that died) ends with its last
    activity or that of an agent below it. A run's own agent ends with the run.
    """
    last_ns = max((m.timestamp_ns for s in sessions for m in s.messages), default=None)
    ended_ns = sessions[-1].ended_ns
    if ended_ns is None:
        if not sessions[0].is_subagent:
            ended_ns = parent.end_ns
        else:
            below = (_last_ns(child) for session in sessions for child in session.children)
            ended_ns = max(below, default=None)
    known = [time_ns for time_ns in (last_ns, ended_ns) if time_ns is not None]
    return max(known, default=parent.end_ns)


def _last_ns(conversation: Conversation) -> int:
    """Return the time of the last known activity of a session or of one below it."""
    times = [conversation.ended_ns or conversation.started_ns]
    times += (message.timestamp_ns for message in conversation.messages)
    return max(times + [_last_ns(child) for child in conversation.children])


def _answered(session: Conversation) -> bool:
    last = session.messages[-1] if session.messages else None
    if last is None or last.role != "assistant":
        return False
    return bool(last.finish_reason) and not last.tool_calls


# --- its subagents ------------------------------------------------------------------------------


def _add_subagents(
    sessions: list[Conversation], agent: Step, context: TraceContext, *, times_are_known: bool
) -> None:
    """Add each subagent to the call that started it, or to the agent if that call is not known."""
    delegations = [step for step in agent.children if step.may_delegate]
    for child in _subagents(sessions, context):
        if times_are_known:
            parent = _parent_call(child, delegations) or agent
        else:
            parent = _untimed_delegation(child, delegations, agent)
        parent.children.append(build_agent(child, parent, context).step)
    for parent in (agent, *delegations):
        parent.children.sort(key=_START)


def _subagents(sessions: list[Conversation], context: TraceContext) -> Iterator[Conversation]:
    """Yield the subagents that are not in the trace yet. The caller adds each one before the next is sought."""
    for session in sessions:
        for child in session.children:
            if child.is_subagent and child.session_id not in context.session_ids:
                yield child


def _parent_call(child: Conversation, delegations: list[Step]) -> Step | None:
    """Return the call whose time contains the child's, or None if there is no such call.

    Of several, it is the shortest, and of equals the one with fewest children. A child that outlives
    the call was started in the background, so that call is not its parent.
    """
    end_ns = child.started_ns if child.ended_ns is None else child.ended_ns - _CHILD_SLACK_NS
    holding = [
        call
        for call in delegations
        if call.start_ns <= child.started_ns <= call.end_ns and end_ns <= call.end_ns
    ]
    return min(holding, key=_duration_then_children, default=None)


_START = attrgetter("start_ns")


def _duration_then_children(call: Step) -> tuple[int, int]:
    return (call.end_ns - call.start_ns, len(call.children))


def _untimed_delegation(child: Conversation, delegations: list[Step], agent: Step) -> Step:
    """Return the parent of a subagent if the times of the calls are not known.

    If there is just one call, it is the parent. It lasted at least as long as the child, and
    everything before it was over by then. With several calls, the parent cannot be known.
    """
    if len(delegations) != 1:
        return agent
    (call,) = delegations
    times = [child.started_ns, *(message.timestamp_ns for message in child.messages)]
    call.start_ns = min(call.start_ns, agent.clamp(min(times)))
    call.end_ns = max(call.end_ns, agent.clamp(max(times)))
    for earlier in agent.children[: agent.children.index(call)]:
        earlier.start_ns = min(earlier.start_ns, call.start_ns)
        earlier.end_ns = min(earlier.end_ns, call.start_ns)
    return call
