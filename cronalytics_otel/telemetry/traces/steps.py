"""A step of a trace (a span in the making), and the state that the builders of one trace share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...model import AttributeValue, Conversation, Observations, SpanEvent, SpanKind
from .. import semconv as sc
from ..content import ContentPolicy, value_text
from .observed import Attributes


@dataclass(slots=True)
class Step:
    """A span in the making; its id is derived from `path`."""

    path: tuple[str, ...]
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str | None = None
    may_delegate: bool = False
    """Whether it is a tool call that may start a subagent."""
    events: tuple[SpanEvent, ...] = ()
    children: list[Step] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9

    def clamp(self, time_ns: int) -> int:
        """Return the time within the step that is nearest to `time_ns`."""
        return within(self.start_ns, self.end_ns, time_ns)

    def add_events(self, events: Iterable[SpanEvent]) -> None:
        """Add events, moved into the step's time: clocks may differ."""
        clamped = (replace(event, time_ns=self.clamp(event.time_ns)) for event in events)
        self.events = (*self.events, *clamped)


def within(low: int, high: int, time_ns: int) -> int:
    """Return the time between `low` and `high` that is nearest to `time_ns`."""
    if time_ns < low:
        return low
    return time_ns if time_ns < high else high  # noqa: FURB136 - for each message, without a call


def named(what: str, which: AttributeValue | None) -> str:
    """Return a span's name: the kind of step, and which one if that is known."""
    return f"{what} {which}" if which else what


@dataclass(slots=True)
class TraceContext:
    """The state that the builders of one trace share: their inputs, and what they collect."""

    content: ContentPolicy | None
    """None when no content is sent."""
    observations: Mapping[str, Observations]
    """What hooks observed, by session id."""
    session_ids: set[str] = field(default_factory=set)
    """The sessions in the trace, so that none is added twice."""
    chats: list[Step] = field(default_factory=list)
    tools: list[Step] = field(default_factory=list)
    unanswered: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of attempts that are on no chat, from the first attempt to the last."""
    skills: list[str] = field(default_factory=list)
    """The skills that agents loaded, in order."""
    times_are_known: bool = True
    """Whether the times of all steps are known."""

    def model_and_tool_s(self) -> tuple[float | None, float]:
        """Return the time in models (None if none was called), and the time in tools but not in models.

        Times that overlap count once. A subagent's chats lie within the call that started it: their
        time is the model's, not the tool's.
        """
        asked = [(chat.start_ns, chat.end_ns) for chat in self.chats]
        asked += self.unanswered
        model_ns = _covered_ns(asked)
        model_s = model_ns / 1e9 if asked else None
        if not self.tools:
            return model_s, 0.0
        asked += [(tool.start_ns, tool.end_ns) for tool in self.tools]
        return model_s, (_covered_ns(asked) - model_ns) / 1e9


def tokens_on(steps: Iterable[Step]) -> int:
    """Return the sum of the tokens in the attributes of these steps."""
    total = 0
    for step in steps:
        for name in _COUNTED:
            count = step.attributes.get(name)
            if isinstance(count, int):
                total += count
    return total


_COUNTED = (sc.GEN_AI_USAGE_INPUT_TOKENS, sc.GEN_AI_USAGE_OUTPUT_TOKENS)


def _covered_ns(times: list[tuple[int, int]]) -> int:
    """Return the length of the union of these intervals, each a start and an end."""
    covered, until = 0, -1
    for start, end in sorted(times):
        if end > until:
            covered += end - (max(until, start))
            until = end
    return covered


def agent_name(conversation: Conversation) -> str:
    """Return `gen_ai.agent.name` of the agent whose conversation this is."""
    return sc.AGENT_SUBAGENT if conversation.is_subagent else sc.AGENT_HERMES


def step_attributes(operation: str, conversation: Conversation) -> Attributes:
    """Return the attributes that all steps of one kind in a session have in common."""
    attributes: Attributes = {
        sc.GEN_AI_OPERATION_NAME: operation,
        sc.GEN_AI_AGENT_NAME: agent_name(conversation),
    }
    if session_id := value_text(conversation.session_id):
        attributes[sc.GEN_AI_CONVERSATION_ID] = session_id
    return attributes
