"""Matches a session's observations to its messages: each answer's calls, each tool's own time.

Pure. The tree comes from the messages; the observations make its times, usage and errors exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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

_CUT = "length"
"""The finish reason of an answer that was cut."""

_TOOL_ERRORS = {
    "tool_error": ErrorType.TOOL_ERROR,
    "tool_timeout": ErrorType.TIMEOUT,
    "keyboard_interrupt": ErrorType.INTERRUPTED,
}


@dataclass(slots=True)
class ModelAttempts:
    """The model calls for one answer: failed ones, rejected ones, and the one whose answer was taken."""

    start_ns: int | None = None
    """The start of the first attempt; None when no attempt was observed."""
    end_ns: int = 0
    """The end of the last attempt; 0 when no attempt was observed."""
    calls: list[ModelCall] = field(default_factory=list)
    """The attempts that were answered."""
    events: list[SpanEvent] = field(default_factory=list)
    failure: ApiError | None = None
    """The last attempt, if it failed; None when it was answered."""

    @property
    def usage(self) -> Usage | None:
        """The tokens of all calls together; None unless all are known."""
        if len(self.calls) == 1:
            return self.calls[0].usage
        known = [call.usage for call in self.calls if call.usage is not None]
        return Usage.sum(known) if known and len(known) == len(self.calls) else None

    def put_attributes(self, attributes: Attributes) -> None:
        """Add whom the answer that was taken came from, and the tokens of all calls."""
        if not self.calls:
            return
        call = self.calls[-1]
        _put_asked(attributes, call)
        if response_model := name_text(call.response_model):
            attributes[sc.GEN_AI_RESPONSE_MODEL] = response_model
        if len(self.calls) > 1:
            attributes[sc.HERMES_CRON_STEP_API_CALLS] = len(self.calls)
        if (usage := self.usage) is not None:
            put_usage(attributes, usage)

    def put_failure(self, attributes: Attributes, failure: ApiError) -> str:
        """Add whom the last attempt went to, and the class of its error. Return the error's text."""
        self.put_attributes(attributes)
        _put_asked(attributes, failure)
        attributes[sc.ERROR_TYPE] = str(api_error_type(failure))
        return error_text(failure.message) or _NO_MESSAGE


_NO_MESSAGE = "The call failed, and the host gave no reason."


def _put_asked(attributes: Attributes, asked: ModelCall | ApiError) -> None:
    """Add the model that was asked, its provider and its server, as far as they are known."""
    if model := name_text(asked.model):
        attributes[sc.GEN_AI_REQUEST_MODEL] = model
    if provider := name_text(asked.provider):
        attributes[sc.GEN_AI_PROVIDER_NAME] = provider
    if server := name_text(asked.server_address):
        attributes[sc.SERVER_ADDRESS] = server


def put_usage(attributes: Attributes, usage: Usage) -> None:
    """Add the tokens of one call, or of all calls of one span."""
    attributes[sc.GEN_AI_USAGE_INPUT_TOKENS] = usage.input_tokens
    attributes[sc.GEN_AI_USAGE_OUTPUT_TOKENS] = usage.output_tokens
    attributes[sc.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS] = usage.cache_read_tokens
    attributes[sc.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS] = usage.cache_write_tokens
    attributes[sc.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS] = usage.reasoning_tokens


_NO_ATTEMPTS = ModelAttempts()
"""Shared by all answers without attempts: nobody may change it."""


class ObservedSession:
    """Hands out the observations of one session, in the order of its messages."""

    def __init__(self, observations: Observations, answers: Sequence[Message]) -> None:
        """`answers` are the messages of the session that a model gave, as far as is known."""
        self._attempts = deque(observations.attempts)
        calls = observations.calls
        # If there are as many calls as answers, each answer has its own, whatever the clocks did.
        # Answers that were cut are not observed.
        unobserved = sum(map(_is_cut, answers)) - sum(map(_is_cut, calls))
        missing_calls = len(answers) - len(calls)
        self._calls_match_answers = bool(calls) and unobserved >= 0 and missing_calls == unobserved
        self._tools = _by_call_id(observations.tools)
        self._model: tuple[str | None, str | None] | None = None

    def answer_ready_ns(self, message: Message) -> int:
        """Return when the answer was complete.

        Hermes writes a cut answer together with its continuation, so a cut one ends before the
        continuation's call starts.
        """
        if message.finish_reason != _CUT or not self._is_unobserved(message):
            return message.timestamp_ns
        call = self._next_call()
        return message.timestamp_ns if call is None else min(message.timestamp_ns, call.started_ns)

    def attempts_for(self, answer: Message) -> ModelAttempts:
        """Take the attempts that led to this answer. Answers must be asked for in their order."""
        attempts = self._attempts
        if not attempts:
            return _NO_ATTEMPTS
        if answer.finish_reason == _CUT and self._is_unobserved(answer):
            return self._take(self._errors_before(self.answer_ready_ns(answer)))
        if not self._calls_match_answers:
            return self._take(self._started_until(answer.timestamp_ns))
        if not answer.finish_reason:
            return _NO_ATTEMPTS
        return self._take(self._up_to_next_call())

    def pop_rest(self) -> ModelAttempts:
        """Take all attempts that are left: they led to no answer."""
        return self._take(len(self._attempts)) if self._attempts else _NO_ATTEMPTS

    def pop_tool(self, call_id: str) -> ToolResult | None:
        """Take the observation of the tool call with this id."""
        results = self._tools.get(call_id)
        return results.popleft() if results else None

    def _is_unobserved(self, message: Message) -> bool:
        """Return whether this is a cut answer that no hook observed.

        Hooks (0.13 to 0.19) do not observe cut answers; if a hook did observe one, it is treated like
        any other.
        """
        return _is_cut(message) and not ((call := self._next_call()) and _is_cut(call))

    def _next_call(self) -> ModelCall | None:
        return next((call for call in self._attempts if isinstance(call, ModelCall)), None)

    def _up_to_next_call(self) -> int:
        for number, attempt in enumerate(self._attempts, start=1):
            if isinstance(attempt, ModelCall):
                return number
        return len(self._attempts)

    def _started_until(self, time_ns: int) -> int:
        for number, attempt in enumerate(self._attempts):
            if attempt.started_ns > time_ns:
                return number
        return len(self._attempts)

    def _errors_before(self, time_ns: int) -> int:
        for number, attempt in enumerate(self._attempts):
            if isinstance(attempt, ModelCall) or attempt.started_ns >= time_ns:
                return number
        return len(self._attempts)

    def _take(self, count: int) -> ModelAttempts:
        taken = ModelAttempts()
        for _ in range(count):
            attempt = self._attempts.popleft()
            # The host dates all attempts of an answer at the first one's start.
            failed_ns = attempt.started_ns if taken.start_ns is None else taken.end_ns
            if taken.start_ns is None:
                taken.start_ns = attempt.started_ns
            taken.end_ns = attempt.ended_ns
            if (change := self._fallback(attempt, failed_ns)) is not None:
                taken.events.append(change)
            if isinstance(attempt, ApiError):
                taken.failure = attempt
                taken.events.append(_exception(attempt, failed_ns))
            else:
                taken.failure = None
                taken.calls.append(attempt)
        return taken

    def _fallback(self, attempt: ModelCall | ApiError, failed_ns: int) -> SpanEvent | None:
        """Return the event of a change of model before this attempt, or None if there was none.

        Hermes falls back to another model when one does not answer. `failed_ns` is when the attempt
        before this one failed.
        """
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
    return answer.finish_reason == _CUT


def with_observed_times(
    messages: Sequence[Message], observations: Observations
) -> list[Message] | None:
    """Return messages whose times are not known, with the times that hooks observed.

    Return None when the time of one of them cannot be found in the observations.
    """
    if not observations.calls:
        return None
    answers = sum(message.role == "assistant" and not message.is_copy for message in messages)
    # If there are as many calls as answers, each has its own. Otherwise some answers were rejected,
    # and the start of an answer's first tool is its time.
    calls = deque(observations.calls if len(observations.calls) == answers else ())
    # An answer takes the start of a tool, and a result its end: each has a queue of its own.
    to_start, to_end = _by_call_id(observations.tools), _by_call_id(observations.tools)
    timed: list[Message] = []
    at_ns: int | None = min(attempt.started_ns for attempt in observations.calls)
    for message in messages:
        if message.role == "assistant" and not message.is_copy:
            answers -= 1
            tools_began_ns = _first_start_ns(message, to_start)
            if calls:
                at_ns = calls.popleft().ended_ns
            elif not answers:
                at_ns = observations.calls[-1].ended_ns
            else:
                at_ns = tools_began_ns
        elif message.role == "tool":
            if results := to_end.get(message.tool_call_id or ""):
                at_ns = results.popleft().ended_ns
            else:
                at_ns = calls[0].started_ns if calls else None
        if at_ns is None:
            return None
        timed.append(message._replace(timestamp_ns=at_ns))
    return timed


def _first_start_ns(answer: Message, to_start: Mapping[str, deque[ToolResult]]) -> int | None:
    """Take the tool calls that an answer asks for, and return when the first of them began."""
    began = [
        results.popleft().started_ns
        for call in answer.tool_calls
        if (results := to_start.get(call.call_id))
    ]
    return min(began, default=None)


def _by_call_id(tools: Sequence[ToolResult]) -> dict[str, deque[ToolResult]]:
    """Group results by call id, in their order, since a model may give an id twice."""
    found: dict[str, deque[ToolResult]] = {}
    for tool in tools:
        if (known := found.get(tool.call_id)) is not None:
            known.append(tool)
        else:
            found[tool.call_id] = deque((tool,))
    return found


def _exception(error: ApiError, failed_ns: int) -> SpanEvent:
    """Return the event of a failed attempt; `failed_ns` is when the attempt before it failed."""
    # The start of a later attempt is not known; after a fall-back the host counts from 0 again.
    is_timed = not error.attempt and error.started_ns >= failed_ns
    return _event(
        sc.EVENT_EXCEPTION,
        error.ended_ns,
        {
            sc.ERROR_TYPE: str(api_error_type(error)),
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


def api_error_type(error: ApiError) -> ErrorType:
    return classify_api_error(error.reason, error.status_code, error.message)


def approval_event(result: ToolResult) -> SpanEvent | None:
    """Return the event of an approval: who was asked whether the tool may run, and the answer."""
    approval = result.approval
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


def tool_error_type(result: ToolResult) -> ErrorType:
    """Return the class of a tool's error. The host has several names for each class."""
    host_type = result.error_type or ""
    if host_type.endswith("_block"):
        return ErrorType.TOOL_BLOCKED
    return _TOOL_ERRORS.get(host_type, ErrorType.OTHER)


def _event(name: str, time_ns: int, values: Mapping[str, AttributeValue | None]) -> SpanEvent:
    known = {key: value for key, value in values.items() if value is not None}
    return SpanEvent(name=name, time_ns=time_ns, attributes=known)


NOT_OBSERVED = ObservedSession(Observations(), ())
"""A session that no hook observed. It is shared: it has nothing to take, so that it never changes."""
