"""What hooks told of a session, laid beside its messages: each answer's calls, each tool's own time.

Pure. The messages make the tree; what hooks told makes it exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...domain.errors import ErrorType, classify_api_error
from ...model import (
    ApiError,
    AttributeValue,
    Message,
    ModelCall,
    Observations,
    SpanEvent,
    ToolResult,
    Usage,
)
from .. import semconv as sc
from ..content import error_text, name_text, value_text

Attributes = dict[str, AttributeValue]


@dataclass(slots=True)
class Asked:
    """What was asked of models for one answer: retries, rejected answers, and the one that was taken."""

    calls: list[ModelCall] = field(default_factory=list)
    events: list[SpanEvent] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Start and end of each attempt."""

    @property
    def start_ns(self) -> int | None:
        """Of the first attempt; None when hooks told of none."""
        return self.spans[0][0] if self.spans else None

    @property
    def end_ns(self) -> int | None:
        """Of the last answer."""
        return self.calls[-1].ended_ns if self.calls else None

    @property
    def usage(self) -> Usage | None:
        """Of all of them together; None unless all is known."""
        if len(self.calls) == 1:
            return self.calls[0].usage
        known = [call.usage for call in self.calls if call.usage is not None]
        return Usage.sum(known) if known and len(known) == len(self.calls) else None

    def describe(self, attributes: Attributes) -> None:
        """Puts what is known of the answer that was taken, and of what all of them took."""
        if not self.calls:
            return
        call = self.calls[-1]
        if model := name_text(call.model):
            attributes[sc.GEN_AI_REQUEST_MODEL] = model
        if response_model := name_text(call.response_model):
            attributes[sc.GEN_AI_RESPONSE_MODEL] = response_model
        if provider := name_text(call.provider):
            attributes[sc.GEN_AI_PROVIDER_NAME] = provider
        if len(self.calls) > 1:
            attributes[sc.HERMES_CRON_STEP_API_CALLS] = len(self.calls)
        if (usage := self.usage) is not None:
            put_usage(attributes, usage)


def put_usage(attributes: Attributes, usage: Usage) -> None:
    """Of one call, or of several that stand on one span."""
    attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] = usage.input_tokens
    attributes[sc.GEN_AI_USAGE_OUTPUT_TOKENS] = usage.output_tokens
    attributes[sc.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS] = usage.cache_read_tokens
    attributes[sc.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS] = usage.cache_write_tokens
    attributes[sc.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS] = usage.reasoning_tokens


_NOTHING = Asked()


class Told:
    """Hands out what hooks told of one session, in the order of its messages."""

    def __init__(self, details: Observations, answers: Sequence[Message]) -> None:
        """`answers`: those of its messages that a model gave, for all that is known."""
        self._attempts = deque(details.attempts)
        calls = details.calls
        # As many calls as answers: each has its own, whatever the clocks did. Of cut ones none is told.
        untold = sum(map(_is_cut, answers)) - sum(map(_is_cut, calls))
        self._in_order = bool(calls) and 0 <= untold == len(answers) - len(calls)
        self._tools = _by_id(details.tools)
        self._model: tuple[str | None, str | None] | None = None

    def given_ns(self, message: Message) -> int:
        """When it was there: a cut answer, before the call that goes on where it ends. The host writes
        it down with that one's answer."""
        if not self._is_untold(message):
            return message.timestamp_ns
        call = self._next_call()
        return message.timestamp_ns if call is None else min(message.timestamp_ns, call.started_ns)

    def for_answer(self, message: Message) -> Asked:
        """What was asked of models for this one."""
        if not self._attempts:
            return _NOTHING
        if self._is_untold(message):
            before_ns = self.given_ns(message)
            return self._take(
                lambda attempt, _: isinstance(attempt, ApiError) and attempt.started_ns < before_ns
            )
        if not self._in_order:
            return self._take(lambda attempt, _: attempt.started_ns <= message.timestamp_ns)
        if not message.finish_reason:
            return _NOTHING
        return self._take(lambda _, asked: not asked.calls)

    def _is_untold(self, message: Message) -> bool:
        """The host (0.13 to 0.19) tells of no answer that was cut; should one, it is as any other."""
        return _is_cut(message) and not ((call := self._next_call()) and _is_cut(call))

    def _next_call(self) -> ModelCall | None:
        return next((call for call in self._attempts if isinstance(call, ModelCall)), None)

    def rest(self) -> Asked:
        """All that nothing came of."""
        return self._take(lambda _attempt, _asked: True) if self._attempts else _NOTHING

    def _take(self, belongs: Callable[[ModelCall | ApiError, Asked], bool]) -> Asked:
        asked = Asked()
        while self._attempts and belongs(self._attempts[0], asked):
            attempt = self._attempts.popleft()
            # The host dates all attempts of an answer at the first one's start.
            failed_ns = asked.spans[-1][1] if asked.spans else attempt.started_ns
            asked.spans.append((attempt.started_ns, attempt.ended_ns))
            if (change := self._fallback(attempt, failed_ns)) is not None:
                asked.events.append(change)
            if isinstance(attempt, ApiError):
                asked.events.append(_exception(attempt, failed_ns))
            else:
                asked.calls.append(attempt)
        return asked

    def tool(self, call_id: str) -> ToolResult | None:
        runs = self._tools.get(call_id)
        return runs.popleft() if runs else None

    def _fallback(self, attempt: ModelCall | ApiError, failed_ns: int) -> SpanEvent | None:
        """The host goes on with another model when one does not answer; `failed_ns`: when that was."""
        now = (attempt.model, attempt.provider)
        before, self._model = self._model, now
        if before is None or before == now or attempt.model is None:
            return None
        values = {
            sc.HERMES_CRON_FALLBACK_FROM_MODEL: name_text(before[0]),
            sc.HERMES_CRON_FALLBACK_FROM_PROVIDER: name_text(before[1]),
            sc.HERMES_CRON_FALLBACK_TO_MODEL: name_text(now[0]),
            sc.HERMES_CRON_FALLBACK_TO_PROVIDER: name_text(now[1]),
        }
        return _event(sc.EVENT_MODEL_FALLBACK, max(attempt.started_ns, failed_ns), values)


def _is_cut(answer: Message | ModelCall) -> bool:
    return answer.finish_reason == "length"


def with_times(messages: Sequence[Message], details: Observations) -> list[Message] | None:
    """Messages that the host wrote down when all was over, at the times that hooks told; None when
    hooks told too little of one of them."""
    if not details.calls:
        return None
    answers = sum(message.role == "assistant" and not message.is_copy for message in messages)
    # As many calls as answers: each has its own. Otherwise some were rejected: tools tell.
    calls = deque(details.calls if len(details.calls) == answers else ())
    asked_for = _by_id(details.tools)
    ended = _by_id(details.tools)
    timed: list[Message] = []
    at_ns: int | None = min(attempt.started_ns for attempt in details.calls)
    for message in messages:
        if message.role == "assistant" and not message.is_copy:
            answers -= 1
            begun = [
                asked_for[call.call_id].popleft().started_ns
                for call in message.tool_calls
                if asked_for.get(call.call_id)
            ]
            if calls:
                at_ns = calls.popleft().ended_ns
            elif not answers:
                at_ns = details.calls[-1].ended_ns
            else:
                at_ns = min(begun, default=None)
        elif message.role == "tool":
            if runs := ended.get(message.tool_call_id or ""):
                at_ns = runs.popleft().ended_ns
            else:
                at_ns = calls[0].started_ns if calls else None
        if at_ns is None:
            return None
        timed.append(replace(message, timestamp_ns=at_ns))
    return timed


def _by_id(tools: Sequence[ToolResult]) -> dict[str, deque[ToolResult]]:
    """A model may give an id twice."""
    found: dict[str, deque[ToolResult]] = {}
    for tool in tools:
        found.setdefault(tool.call_id, deque()).append(tool)
    return found


def _exception(error: ApiError, failed_ns: int) -> SpanEvent:
    """`failed_ns`: when the attempt before it did."""
    # When a later one began is not told; after a fall-back the host counts from 0 again.
    is_timed = not error.attempt and error.started_ns >= failed_ns
    error_type = classify_api_error(error.reason, error.status_code, error.message)
    return _event(
        sc.EVENT_EXCEPTION,
        error.ended_ns,
        {
            sc.ERROR_TYPE: str(error_type),
            sc.HTTP_RESPONSE_STATUS_CODE: error.status_code,
            sc.EXCEPTION_TYPE: name_text(error.exception_type),
            sc.EXCEPTION_MESSAGE: error_text(error.message),
            sc.HERMES_CRON_RETRY_TIME: max(0, error.ended_ns - error.started_ns) / 1e9
            if is_timed
            else None,
            sc.HERMES_CRON_RETRY_ATTEMPT: error.attempt,
            sc.HERMES_CRON_RETRY_LIMIT: error.max_attempts,
            sc.HERMES_CRON_RETRY_RETRYABLE: error.retryable,
        },
    )


def approval_event(run: ToolResult) -> SpanEvent | None:
    """Who was asked whether the tool may run, and what they said."""
    approval = run.approval
    if approval is None:
        return None
    return _event(
        sc.EVENT_TOOL_APPROVAL,
        approval.at_ns,
        {
            sc.HERMES_CRON_APPROVAL_CHOICE: value_text(approval.choice),
            sc.HERMES_CRON_APPROVAL_SURFACE: value_text(approval.surface),
            sc.HERMES_CRON_APPROVAL_WAIT_TIME: approval.waited_s,
        },
    )


def tool_error_type(run: ToolResult) -> ErrorType:
    """The host's own words for it are many; whether a tool failed, was stopped or never ran, few."""
    told = run.error_type or ""
    if told.endswith("_block"):
        return ErrorType.TOOL_BLOCKED
    return _TOOL_ERRORS.get(told, ErrorType.OTHER)


_TOOL_ERRORS = {
    "tool_error": ErrorType.TOOL_ERROR,
    "tool_timeout": ErrorType.TIMEOUT,
    "keyboard_interrupt": ErrorType.INTERRUPTED,
}


def _event(name: str, time_ns: int, values: Mapping[str, AttributeValue | None]) -> SpanEvent:
    known = {key: value for key, value in values.items() if value is not None}
    return SpanEvent(name=name, time_ns=time_ns, attributes=known)
