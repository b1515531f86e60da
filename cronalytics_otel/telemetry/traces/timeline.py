"""The chats and tool calls of one agent, from the times of its messages and from observations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ...model import ApiError, Conversation, Message, Observations, SpanKind, ToolCall, ToolResult
from .. import semconv as sc
from ..content import error_text, masked_and_cut, messages_json, name_text, value_text
from .observed import (
    NOT_OBSERVED,
    Attributes,
    ModelAttempts,
    ObservedSession,
    approval_event,
    put_usage,
    tool_error_type,
    with_observed_times,
)
from .steps import Step, TraceContext, named, step_attributes, within


class Timeline:
    """Turns an agent's messages, in the order of the host's rows, into its chats and tool calls.

    Time never goes back: a message that claims to be older than the one before it is taken to be as
    old. A chat begins at the prompt or at the last result; messages of the user in between are the
    host's own nudges, written late, and begin no chat.
    """

    def __init__(self, conversation: Conversation, agent: Step, context: TraceContext) -> None:
        self._agent = agent
        self._context = context
        self._cursor_ns = agent.start_ns
        self._open_tool_calls: list[tuple[ToolCall, Step]] = []
        self._next_input: list[Message] = []
        self._chat_attributes = step_attributes(sc.SPAN_CHAT, conversation)
        self._tool_attributes = step_attributes(sc.SPAN_EXECUTE_TOOL, conversation)
        self._observed = NOT_OBSERVED
        self._session = conversation
        self.turns = 0
        self.at_turn_limit = False
        """Whether the host had to ask the agent to finish."""
        self.times_are_known = True
        """Whether the times of all steps are known."""

    def add(self, session: Conversation) -> None:
        """Add the steps of the agent's next session."""
        # A call that failed before the host compressed the conversation was made again after that.
        self._add_to_agent(self._observed.pop_rest())
        self._session = session
        observations = self._context.observations.get(session.session_id)
        if observations is not None and session.resumed_ns is not None:
            observations = observations.before(session.resumed_ns)
        messages, times_are_known = _with_best_times(session, observations)
        answers = sum(m.role == "assistant" and not m.is_copy for m in messages)
        if not times_are_known and _has_several_steps(messages, answers):
            self.times_are_known = self._context.times_are_known = False
            observations = _only_errors(observations)
        model_answers = [m for m in messages if m.finish_reason and not m.is_copy]
        self._observed = (
            NOT_OBSERVED if observations is None else ObservedSession(observations, model_answers)
        )
        self._add_messages(
            session,
            messages,
            chat=_chat_attributes(session, self._chat_attributes, answers),
            every_call_answered=0 < (session.api_calls or 0) <= len(model_answers),
            times_are_known=times_are_known,
        )

    def close(self) -> None:
        """End the steps that no message ended."""
        attempts = self._observed.pop_rest()
        if attempts.failure is not None:
            self._add_failed_chat(attempts, attempts.failure)
        else:
            self._add_to_agent(attempts)
        self._abandon_tool_calls(self._agent.end_ns)

    def _add_messages(
        self,
        session: Conversation,
        messages: Sequence[Message],
        *,
        chat: Attributes,
        every_call_answered: bool,
        times_are_known: bool,
    ) -> None:
        """Add a step for each answer and each call, and end the calls whose results come.

        If every model call already has its answer, an answer without a finish reason is not a step:
        the host wrote it when the agent was interrupted. After the turn-limit request it does count.
        """
        ordinal = 0
        counts_without_reason = not every_call_answered
        for message in messages:
            if message.at_turn_limit:
                counts_without_reason = self.at_turn_limit = True
            at_ns = within(
                self._cursor_ns, self._agent.end_ns, self._observed.answer_ready_ns(message)
            )
            if message.role == "assistant":
                if not message.is_copy:
                    if message.finish_reason or counts_without_reason:
                        self._add_chat(message, at_ns, chat, (session.session_id, str(ordinal)))
                    ordinal += 1
            elif message.role == "tool":
                self._end_tool_call(message, at_ns)
            else:
                self._keep_as_input(message)
                if self.turns or not times_are_known:
                    continue
            self._cursor_ns = at_ns

    def _keep_as_input(self, message: Message) -> None:
        """Keep a message that is not a result as input of the next chat."""
        if not message.is_copy:
            self._next_input.append(message)

    def _add_to_agent(self, attempts: ModelAttempts) -> None:
        """Add attempts that are on no chat to the agent."""
        if attempts.start_ns is not None:
            first_ns = self._agent.clamp(attempts.start_ns)
            last_ns = self._agent.clamp(attempts.end_ns)
            self._context.unanswered.append((first_ns, max(first_ns, last_ns)))
            self._agent.add_events(attempts.events)

    def _add_chat(
        self, answer: Message, at_ns: int, chat: Attributes, path: tuple[str, str]
    ) -> None:
        """Add the chat that led to an answer, and the calls that the answer asks for."""
        if self._open_tool_calls:
            self._abandon_tool_calls(at_ns)
        self.turns += 1
        attributes = chat.copy()
        start_ns, end_ns = self._cursor_ns, at_ns
        attempts = self._observed.attempts_for(answer)
        if attempts.start_ns is not None:
            attempts.put_attributes(attributes)
            start_ns = within(start_ns, at_ns, attempts.start_ns)
        if not self.times_are_known:
            start_ns = at_ns
        elif attempts.calls:
            end_ns = within(start_ns, at_ns, attempts.calls[-1].ended_ns)
        error = None
        if attempts.failure is not None and self._is_written_by_host(answer):
            error = attempts.put_failure(attributes, attempts.failure)
        if reason := name_text(answer.finish_reason):
            attributes[sc.GEN_AI_RESPONSE_FINISH_REASONS] = (reason,)
        if self._context.content is not None:
            self._put_messages(attributes, answer, self._context.content.max_chars)
        self._next_input.clear()
        step = Step(
            (sc.SPAN_CHAT, *path),
            named(sc.SPAN_CHAT, attributes.get(sc.GEN_AI_REQUEST_MODEL)),
            SpanKind.CLIENT,
            start_ns,
            end_ns,
            attributes,
            error,
        )
        if attempts.events:
            step.add_events(attempts.events)
        self._context.chats.append(step)
        self._agent.children.append(step)
        for index, tool_call in enumerate(answer.tool_calls):
            self._open_tool_call(tool_call, at_ns, (sc.SPAN_EXECUTE_TOOL, *path, str(index)))

    def _is_written_by_host(self, answer: Message) -> bool:
        """Return whether the host wrote an answer because no model did.

        The summary at the turn limit is a model's, although it has no finish reason either.
        """
        return not answer.finish_reason and self.times_are_known and not self.at_turn_limit

    def _add_failed_chat(self, attempts: ModelAttempts, failure: ApiError) -> None:
        """Add the call that failed for good. Messages do not show it, so its id is not one of theirs."""
        start_ns = within(self._cursor_ns, self._agent.end_ns, attempts.start_ns or 0)
        attributes = _asked_attributes(self._session, self._chat_attributes)
        error = attempts.put_failure(attributes, failure)
        if self._context.content is not None and (
            asked := messages_json(self._next_input, self._context.content.max_chars)
        ):
            attributes[sc.GEN_AI_INPUT_MESSAGES] = asked
        step = Step(
            (sc.SPAN_CHAT, self._session.session_id, _FAILED, "0"),
            named(sc.SPAN_CHAT, attributes.get(sc.GEN_AI_REQUEST_MODEL)),
            SpanKind.CLIENT,
            start_ns,
            within(start_ns, self._agent.end_ns, attempts.end_ns),
            attributes,
            error,
        )
        step.add_events(attempts.events)
        self._context.chats.append(step)
        self._agent.children.append(step)

    def _put_messages(self, attributes: Attributes, answer: Message, max_chars: int) -> None:
        if asked := messages_json(self._next_input, max_chars):
            attributes[sc.GEN_AI_INPUT_MESSAGES] = asked
        if answered := messages_json((answer,), max_chars):
            attributes[sc.GEN_AI_OUTPUT_MESSAGES] = answered

    def _open_tool_call(self, tool_call: ToolCall, at_ns: int, path: tuple[str, ...]) -> None:
        """Add a tool call, open until its result comes."""
        name = name_text(tool_call.name)
        attributes = self._tool_attributes.copy()
        if name:
            attributes[sc.GEN_AI_TOOL_NAME] = name
        if call_id := value_text(tool_call.call_id):
            attributes[sc.GEN_AI_TOOL_CALL_ID] = call_id
        if (content := self._context.content) is not None and tool_call.arguments:
            attributes[sc.GEN_AI_TOOL_CALL_ARGUMENTS] = masked_and_cut(
                tool_call.arguments, content.max_chars
            )
        if tool_call.name == _SKILL_TOOL and (skill := _skill(tool_call.arguments)):
            attributes[sc.HERMES_CRON_SKILL_NAME] = skill
            self._context.skills.append(skill)
        step = Step(
            path,
            named(sc.SPAN_EXECUTE_TOOL, name),
            SpanKind.INTERNAL,
            at_ns,
            at_ns,
            attributes,
            may_delegate=tool_call.name.startswith(_DELEGATION),
        )
        self._context.tools.append(step)
        self._agent.children.append(step)
        self._open_tool_calls.append((tool_call, step))

    def _end_tool_call(self, message: Message, at_ns: int) -> None:
        """End the call with the result's id; a result without an id ends the oldest open call.

        A result that fits no open call is a copy, or its call is gone: it ends nothing.
        """
        self._next_input.append(message)
        call_id = message.tool_call_id
        for index, (tool_call, tool) in enumerate(self._open_tool_calls):
            if call_id is None or call_id == tool_call.call_id:
                del self._open_tool_calls[index]
                tool.end_ns = at_ns
                if not self.times_are_known:
                    tool.start_ns = at_ns
                if (result := self._observed.pop_tool(tool_call.call_id)) is not None:
                    self._put_result(tool, result, at_ns)
                if (content := self._context.content) is not None and message.content:
                    tool.attributes[sc.GEN_AI_TOOL_CALL_RESULT] = masked_and_cut(
                        message.content, content.max_chars
                    )
                return

    def _put_result(self, tool: Step, result: ToolResult, at_ns: int) -> None:
        """Add what the messages do not show: the tool's own time, its error, its approval."""
        tool.start_ns = within(tool.start_ns, at_ns, result.started_ns)
        tool.end_ns = within(tool.start_ns, at_ns, result.ended_ns)
        if result.failed:
            tool.attributes[sc.ERROR_TYPE] = str(tool_error_type(result))
            # A tool's error is content, as its result is.
            shown = error_text(result.message) if self._context.content is not None else None
            tool.error = shown or "The tool reported an error."
        if (event := approval_event(result)) is not None:
            tool.add_events((event,))

    def _abandon_tool_calls(self, at_ns: int) -> None:
        """End the calls for which no result was written."""
        for tool_call, tool in self._open_tool_calls:
            tool.end_ns = at_ns
            if (result := self._observed.pop_tool(tool_call.call_id)) is not None:
                self._put_result(tool, result, at_ns)
            else:
                tool.attributes[sc.HERMES_CRON_STEP_UNFINISHED] = True
        self._open_tool_calls.clear()


def _with_best_times(
    session: Conversation, observations: Observations | None
) -> tuple[Sequence[Message], bool]:
    """Return the session's messages, and whether their times are those of the steps.

    Observed times replace those that the host wrote too late.
    """
    if session.times_are_known or observations is None:
        return session.messages, session.times_are_known
    timed = with_observed_times(session.messages, observations)
    return (session.messages, False) if timed is None else (timed, True)


def _has_several_steps(messages: Sequence[Message], answers: int) -> bool:
    """Return whether there is more than one answer: a single one took all the time of its agent."""
    return answers > 1 or any(message.role == "tool" for message in messages)


def _only_errors(observations: Observations | None) -> Observations | None:
    """Return only the errors: without times, no answered call can be matched to its answer."""
    if observations is None:
        return None
    errors = tuple(a for a in observations.attempts if isinstance(a, ApiError))
    return replace(observations, attempts=errors)


_FAILED = "failed"
"""Begins the sequence of a session's failed calls, in their ids."""

_DELEGATION = "delegate"
"""The beginning of the names of the host's tools that may start a subagent."""

_SKILL_TOOL = "skill_view"
"""The host's tool that loads a skill."""


def _skill(arguments: str | None) -> str | None:
    """Return the name of the skill that a call loads. The name does not count as content."""
    if not arguments:
        return None
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    name = values.get("name") if isinstance(values, dict) else None
    return name_text(name) if isinstance(name, str) else None


def _chat_attributes(session: Conversation, attributes: Attributes, answers: int) -> Attributes:
    """Return what all chats of a session have in common, unless observations show more.

    A session's usage and cost are known for its calls only when they are those of its one call.
    """
    common = _asked_attributes(session, attributes)
    if session.api_calls == answers == 1:
        if session.usage is not None:
            put_usage(common, session.usage)
        if session.cost_usd is not None:
            common[sc.HERMES_CRON_STEP_COST] = session.cost_usd
    return common


def _asked_attributes(session: Conversation, attributes: Attributes) -> Attributes:
    """Return these attributes with the session's model, its provider and its server."""
    asked = attributes.copy()
    if model := name_text(session.model):
        asked[sc.GEN_AI_REQUEST_MODEL] = model
    if provider := name_text(session.provider):
        asked[sc.GEN_AI_PROVIDER_NAME] = provider
    if server := name_text(session.server_address):
        asked[sc.SERVER_ADDRESS] = server
    return asked
