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
from .steps import Step, TraceContext, named, step_attributes, within
from .timeline import Timeline

_CHILD_SLACK_NS = 1_000_000_000
"""How much later than its delegating call a subagent's session may seem to end."""

_DELEGATION = f"{sc.SPAN_EXECUTE_TOOL} delegate"
"""The beginning of the name of each step that may start a subagent."""


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


def build_agent(conversation: Conversation, window: Step, context: TraceContext) -> Agent:
    """Return the step of an agent within `window`, with everything below it."""
    sessions = _continued(conversation, context)
    agent_name = sc.AGENT_SUBAGENT if conversation.is_subagent else sc.AGENT_HERMES
    start_ns = window.clamp(conversation.started_ns)
    step = Step(
        path=(sc.SPAN_INVOKE_AGENT, conversation.session_id),
        name=named(sc.SPAN_INVOKE_AGENT, agent_name),
        kind=SpanKind.INTERNAL,
        start_ns=start_ns,
        end_ns=within(start_ns, window.end_ns, _end_ns(sessions, window)),
        attributes=step_attributes(sc.SPAN_INVOKE_AGENT, conversation),
    )
    step.attributes[sc.GEN_AI_AGENT_NAME] = agent_name
    timeline = Timeline(conversation, step, context)
    for session in sessions:
        timeline.add(session)
    timeline.close()
    if context.content is not None:
        step.attributes |= _prompt_and_answer(sessions, context.content.max_chars)
    _add_subagents(sessions, step, context, timed=not timeline.is_untimed)
    return Agent(
        step=step,
        turns=timeline.turns,
        ended=sessions[-1].ended_ns is not None,
        answered=_answered(sessions[-1]),
        at_turn_limit=timeline.at_turn_limit,
    )


def _prompt_and_answer(sessions: list[Conversation], max_chars: int) -> Attributes:
    """Return what the agent was given, and its last answer."""
    prompt = list(takewhile(lambda message: message.role != "assistant", sessions[0].messages))
    answer = sessions[-1].messages[-1:] if _answered(sessions[-1]) else ()
    texts = {
        sc.GEN_AI_INPUT_MESSAGES: messages_json(prompt, max_chars),
        sc.GEN_AI_OUTPUT_MESSAGES: messages_json(answer, max_chars),
    }
    return {name: text for name, text in texts.items() if text is not None}


def _continued(conversation: Conversation, context: TraceContext) -> list[Conversation]:
    """Return the session and those that the host continued it under after compressing it, in order."""
    context.session_ids.add(conversation.session_id)
    found = [conversation]
    for session in found:
        for child in session.children:
            if not child.is_subagent and child.session_id not in context.session_ids:
                context.session_ids.add(child.session_id)
                found.append(child)
    return found


# --- its end ------------------------------------------------------------------------------------


def _end_ns(sessions: list[Conversation], window: Step) -> int:
    """Return when an agent ended: the written end, or its last message if that is later.

    A subagent without a written end (hosts before 0.17, a process that died) ends with its last
    sign of work or that of an agent below it; a run's own agent ends with the run.
    """
    last_ns = max((m.timestamp_ns for s in sessions for m in s.messages), default=None)
    ended_ns = sessions[-1].ended_ns
    if ended_ns is None:
        if not sessions[0].is_subagent:
            ended_ns = window.end_ns
        else:
            below = (_last_ns(child) for session in sessions for child in session.children)
            ended_ns = max(below, default=None)
    known = [time_ns for time_ns in (last_ns, ended_ns) if time_ns is not None]
    return max(known, default=window.end_ns)


def _last_ns(conversation: Conversation) -> int:
    """Return when a session, or one below it, is last known to have been at work."""
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
    sessions: list[Conversation], agent: Step, context: TraceContext, *, timed: bool
) -> None:
    """Put each subagent below the call that started it, or below the agent where none is known."""
    delegations = [step for step in agent.children if step.name.startswith(_DELEGATION)]
    for child in _subagents(sessions, context):
        if timed:
            parent = _delegating(child, delegations) or agent
        else:
            parent = _untimed_delegation(child, delegations, agent)
        parent.children.append(build_agent(child, parent, context).step)
    for parent in (agent, *delegations):
        parent.children.sort(key=_START)


def _subagents(sessions: list[Conversation], context: TraceContext) -> Iterator[Conversation]:
    """Yield the subagents that are not in the trace yet: one at a time, as they are added to it."""
    for session in sessions:
        for child in session.children:
            if child.is_subagent and child.session_id not in context.session_ids:
                yield child


def _delegating(child: Conversation, delegations: list[Step]) -> Step | None:
    """Return the call that holds the child's time: the shortest, and of those the least taken.

    A child that outlives the call was started in the background, and belongs beside it.
    """
    end_ns = child.started_ns if child.ended_ns is None else child.ended_ns - _CHILD_SLACK_NS
    holding = [
        call
        for call in delegations
        if call.start_ns <= child.started_ns <= call.end_ns and end_ns <= call.end_ns
    ]
    return min(holding, key=_tightness, default=None)


_START = attrgetter("start_ns")


def _tightness(call: Step) -> tuple[int, int]:
    return (call.end_ns - call.start_ns, len(call.children))


def _untimed_delegation(child: Conversation, delegations: list[Step], agent: Step) -> Step:
    """Return the parent of a subagent where the times of the calls are not known.

    An only call is the parent: it took at least as long as the child, and what came before it was
    over by then. Of several calls nobody knows which one it was.
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
