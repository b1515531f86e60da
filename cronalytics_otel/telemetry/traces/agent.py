"""An agent, rebuilt from its sessions: where it stands, what is below it, how it came to its end.

Pure functions; `spans.build_trace` makes spans of what they give.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from ...model import Conversation, SpanKind
from .. import semconv as sc
from ..content import messages_json
from .observed import Attributes
from .steps import Book, Step, named, start_of, step_attributes, within
from .timeline import Timeline

_CHILD_SLACK_NS = 1_000_000_000
"""How much later than its delegating call a subagent's session may seem to end."""


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
        attributes=step_attributes(sc.SPAN_INVOKE_AGENT, conversation),
    )
    step.attributes[sc.GEN_AI_AGENT_NAME] = agent_name
    timeline = Timeline(conversation, step, book)
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
        parent.children.sort(key=start_of)
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
    before 0.17, a process that died) ends with the last that it or one below it said, a run's own
    agent with the run."""
    times = [message.timestamp_ns for session in sessions for message in session.messages]
    ended_ns = sessions[-1].ended_ns
    if ended_ns is not None:
        times.append(ended_ns)
    elif not sessions[0].is_subagent:
        times.append(window.end)
    else:
        times += (_last_ns(child) for session in sessions for child in session.children)
    return max(times, default=window.end)


def _last_ns(conversation: Conversation) -> int:
    """When it, or what is below it, is last known to have been at work."""
    times = [conversation.ended_ns or conversation.started_ns]
    times += (message.timestamp_ns for message in conversation.messages)
    return max(times + [_last_ns(child) for child in conversation.children])


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
