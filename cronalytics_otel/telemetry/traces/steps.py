"""A step of a trace: a span in the making, and what is gathered over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...model import AttributeValue, Conversation, Observations, Span, SpanEvent, SpanKind
from .. import semconv as sc
from ..content import ContentPolicy, value_text
from .observed import Attributes


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


def start_of(step: Step) -> int:
    return step.start


def named(what: str, which: AttributeValue | None) -> str:
    return f"{what} {which}" if which else what


@dataclass(slots=True)
class Book:
    """What is gathered over a whole trace."""

    show: ContentPolicy | None
    """None when content stays at home."""
    details: Mapping[str, Observations]
    """By session, what hooks told."""
    in_ledger: bool
    """Whether the host keeps one, and knows the run there."""
    sessions: set[str] = field(default_factory=set)
    """Those that stand in the trace: one that came twice would be counted twice."""
    chats: list[Step] = field(default_factory=list)
    tools: list[Step] = field(default_factory=list)
    vain: list[tuple[int, int]] = field(default_factory=list)
    """From the first to the last of attempts that led to no answer."""
    skills: list[str] = field(default_factory=list)
    """That agents loaded, in order."""
    untimed: bool = False
    """The times of some steps are not known: see `timeline.AT_ONCE_NS`."""

    def model_s(self) -> float | None:
        asked = self._asked()
        return _covered_ns(asked) / 1e9 if asked else None

    def tool_s(self) -> float:
        """Without the time of chats: those of a subagent lie within the call that started it."""
        if not self.tools:
            return 0.0
        asked = self._asked()
        both = asked + [(tool.start, tool.end) for tool in self.tools]
        return (_covered_ns(both) - _covered_ns(asked)) / 1e9

    def _asked(self) -> list[tuple[int, int]]:
        return [(chat.start, chat.end) for chat in self.chats] + self.vain


def tokens_on(steps: Iterable[Step | Span]) -> int:
    """Those that stand there."""
    counts = (step.attributes.get(name, 0) for step in steps for name in _COUNTED)
    return sum(count for count in counts if isinstance(count, int))


_COUNTED = (sc.GEN_AI_USAGE_INPUT_TOKENS, sc.GEN_AI_USAGE_OUTPUT_TOKENS)


def _covered_ns(times: list[tuple[int, int]]) -> int:
    """The time in which at least one of them was under way."""
    covered, until = 0, -1
    for start, end in sorted(times):
        if end > until:
            covered += end - max(start, until)
            until = end
    return covered


def step_attributes(operation: str, conversation: Conversation) -> Attributes:
    attributes: Attributes = {sc.GEN_AI_OPERATION_NAME: operation}
    if session_id := value_text(conversation.session_id):
        attributes[sc.GEN_AI_CONVERSATION_ID] = session_id
    return attributes
