"""The messages on spans against the JSON schemas of the GenAI conventions, in our own words.

Sources: gen-ai-input-messages.json and gen-ai-output-messages.json of the semantic conventions, v1.37
to v1.41, and of the GenAI conventions' own repository after that. What changed meanwhile:
`finish_reason` is required until v1.41, and deprecated since; it is always there.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.model import Conversation, Message, Run, Span, ToolCall
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import ContentMode, ContentPolicy, messages_json
from cronalytics_otel.telemetry.traces.trace import build_trace
from tests import strategies
from tests.support.traces import a_run, a_session, a_subagent, answer, asks, only, result, user

Json = object
ROLES = {"system", "user", "assistant", "tool"}
FINISH_REASONS = {"stop", "length", "content_filter", "tool_call", "error"}


def text(value: Json) -> bool:
    return isinstance(value, str)


def anything(_value: Json) -> bool:
    return True


PARTS: dict[str, tuple[dict[str, Callable[[Json], bool]], set[str]]] = {
    # Of each type: what its fields are, and which are required.
    "text": ({"content": text}, {"content"}),
    "tool_call": ({"id": text, "name": text, "arguments": anything}, {"name"}),
    "tool_call_response": ({"id": text, "response": anything}, {"response"}),
}


def check_messages(attribute: object, *, output: bool) -> list[dict[str, Json]]:
    """The messages of an attribute; fails for what the schema does not allow, and for fields of
    which it does not speak."""
    assert isinstance(attribute, str)
    messages = json.loads(attribute)
    assert isinstance(messages, list)
    assert messages
    for message in messages:
        assert message.keys() <= {"role", "parts", "finish_reason"}
        assert text(message["role"])
        assert isinstance(message["parts"], list)
        for part in message["parts"]:
            known, required = PARTS[part["type"]]
            assert required <= part.keys() - {"type"} <= known.keys()
            assert all(known[name](value) for name, value in part.items() if name != "type")
        if output:
            assert message["role"] == "assistant"
            assert text(message["finish_reason"])
    return messages


def check_trace(spans: list[Span]) -> None:
    for span in spans:
        if (asked := span.attributes.get(sc.GEN_AI_INPUT_MESSAGES)) is not None:
            check_messages(asked, output=False)
        if (answered := span.attributes.get(sc.GEN_AI_OUTPUT_MESSAGES)) is not None:
            assert len(check_messages(answered, output=True)) == 1


@given(strategies.runs, strategies.conversations, st.integers(1, 100))
def test_the_messages_of_any_trace_are_of_the_schema(
    run: Run, conversation: Conversation, max_chars: int
) -> None:
    policy = ContentPolicy(mode=ContentMode.FULL, max_chars=max_chars)
    check_trace(build_trace(run, conversation, content=policy))


def test_the_hosts_roles_and_reasons_are_the_schemas() -> None:
    session = a_session(
        user(2), asks(3, ("c1", "web")), result(4, "c1"), answer(5), answer(6, reason="length")
    )
    policy = ContentPolicy(mode=ContentMode.FULL)
    spans = build_trace(a_run(), session, content=policy)
    messages = [
        message
        for span in spans
        for name in (sc.GEN_AI_INPUT_MESSAGES, sc.GEN_AI_OUTPUT_MESSAGES)
        if name in span.attributes
        for message in check_messages(span.attributes[name], output=False)
    ]
    assert {message["role"] for message in messages} == ROLES - {"system"}
    reasons = {message["finish_reason"] for message in messages if "finish_reason" in message}
    assert reasons == {"tool_call", "stop", "length"} <= FINISH_REASONS


def arguments_of(written: str, max_chars: int = 1_000) -> Json:
    call = ToolCall(call_id="c", name="t", arguments=written)
    message = Message(role="assistant", timestamp_ns=1, tool_calls=(call,), finish_reason="stop")
    (shown,) = json.loads(messages_json((message,), max_chars) or "")
    return shown["parts"][0]["arguments"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('{"city": "Rome", "days": 2}', {"city": "Rome", "days": 2}),
        ('{"password": "hunter2"}', {"password": "[masked]"}),
        ("[1]", "[1]"),
        ("Rome", "Rome"),
        ('{"city": "Ro', '{"city": "Ro'),
        ('{"a": "\\ud800"}', '{"a": "\\ud800"}'),
        ('{"a":' * 5_000, '{"a":' * 199 + '{"a"…'),
    ],
    ids=["object", "secret", "list", "text", "broken", "half a pair", "deep"],
)
def test_arguments_are_an_object_where_they_are_one(written: str, shown: Json) -> None:
    """The conventions ask for it: a text that can be read as an object is one."""
    assert arguments_of(written) == shown


@pytest.mark.parametrize("written", ['{"x": NaN}', '{"x": 1e999}'])
def test_arguments_that_json_cannot_say_are_text(written: str) -> None:
    assert arguments_of(written) == written


def test_arguments_of_any_depth_can_be_written() -> None:
    for depth in range(900, 1_000):
        call = ToolCall(call_id="c", name="t", arguments='{"x": ' + "[" * depth + "]" * depth + "}")
        message = Message(role="assistant", timestamp_ns=1, tool_calls=(call,))
        assert messages_json([message], 10_000) is not None


def test_arguments_that_were_cut_are_text() -> None:
    assert arguments_of('{"city": "Rome"}', 10) == '{"city": …'


def test_an_agents_span_has_its_task_and_its_result() -> None:
    """And no more: what was said in between stands on its chats."""
    child = a_subagent("s1", 3.5, 4, user(3.5, "Look."), answer(3.9, "Seen."))
    session = a_session(
        user(2, "Do it."), asks(3, ("c1", "delegate_task")), result(5, "c1"), answer(6, "Done."),
        children=(child,),
    )  # fmt: skip
    spans = build_trace(a_run(), session, content=ContentPolicy(mode=ContentMode.FULL))
    parts_by_span = {
        span.name: [
            check_messages(span.attributes[name], output=output)[0]["parts"]
            for name, output in (
                (sc.GEN_AI_INPUT_MESSAGES, False), (sc.GEN_AI_OUTPUT_MESSAGES, True),
            )
        ]
        for span in spans
        if span.name.startswith("invoke_agent")
    }  # fmt: skip
    assert parts_by_span == {
        "invoke_agent hermes": [
            [{"type": "text", "content": "Do it."}],
            [{"type": "text", "content": "Done."}],
        ],
        "invoke_agent subagent": [
            [{"type": "text", "content": "Look."}],
            [{"type": "text", "content": "Seen."}],
        ],
    }


def test_an_agent_that_came_to_no_answer_has_no_result() -> None:
    session = a_session(user(2), asks(3, ("c1", "web")), result(4, "c1"))
    spans = build_trace(a_run(), session, content=ContentPolicy(mode=ContentMode.FULL))
    agent = only(spans, "invoke_agent hermes")
    assert sc.GEN_AI_INPUT_MESSAGES in agent.attributes
    assert sc.GEN_AI_OUTPUT_MESSAGES not in agent.attributes
