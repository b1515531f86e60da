"""The texts of a run in its trace: none unless switched on, and never a secret."""

from __future__ import annotations

import json

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from cronalytics_otel.export.otlp.spans import span_converter
from cronalytics_otel.model import Conversation, DeliveryOutcome, Outcome, Span, ToolCall
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import ContentMode, ContentPolicy
from cronalytics_otel.telemetry.traces.trace import build_trace
from tests.support.traces import (
    FULL,
    a_run,
    a_script_run,
    a_session,
    a_subagent,
    answer,
    asks,
    only,
    result,
    user,
)

MARK = "xyzzy-plugh"
CONTENT_NAMES = {
    sc.GEN_AI_INPUT_MESSAGES, sc.GEN_AI_OUTPUT_MESSAGES,
    sc.GEN_AI_TOOL_CALL_ARGUMENTS, sc.GEN_AI_TOOL_CALL_RESULT,
}  # fmt: skip


def a_talkative_session(text: str) -> Conversation:
    """`text` in the prompt, an answer, a tool's arguments and result, and in a subagent's."""
    call = ToolCall(call_id="c1", name="delegate_task", arguments=json.dumps({"goal": text}))
    child = a_subagent("s1", 4, 5, user(4, text), answer(4.5, text))
    return a_session(
        user(2, f"Do {text}"),
        asks(3)._replace(content=f"I will {text}", tool_calls=(call,)),
        result(6, "c1", json.dumps({"output": text})),
        answer(8, f"Did {text}"),
        children=(child,),
    )


def _on_the_wire(spans: list[Span]) -> str:
    return "\n".join(
        repr((span.name, span.attributes, span.error, span.links, span.events)) for span in spans
    )


@pytest.mark.parametrize("policy", [None, ContentPolicy(), ContentPolicy(mode=ContentMode.ERRORS)])
def test_no_content_leaves_unless_it_is_switched_on(policy: ContentPolicy | None) -> None:
    spans = build_trace(a_run(), a_talkative_session(MARK), content=policy)
    assert MARK not in _on_the_wire(spans)
    assert all(CONTENT_NAMES.isdisjoint(span.attributes) for span in spans)


def test_content_of_failed_runs_alone() -> None:
    run = a_run(outcome=Outcome.FAILURE)
    errors = ContentPolicy(mode=ContentMode.ERRORS)
    assert MARK in _on_the_wire(build_trace(run, a_talkative_session(MARK), content=errors))


def test_content_stands_where_it_was_said() -> None:
    spans = build_trace(a_run(), a_talkative_session(MARK), content=FULL)
    agent = only(spans, "invoke_agent hermes")
    first, last = (s for s in spans if s.name.startswith("chat") and s.parent_id == agent.span_id)
    assert _parts(first, sc.GEN_AI_INPUT_MESSAGES) == [("user", f"Do {MARK}")]
    assert _parts(first, sc.GEN_AI_OUTPUT_MESSAGES)[0] == ("assistant", f"I will {MARK}")
    assert _parts(last, sc.GEN_AI_INPUT_MESSAGES) == [("tool", f'{{"output": "{MARK}"}}')]
    assert _parts(last, sc.GEN_AI_OUTPUT_MESSAGES) == [("assistant", f"Did {MARK}")]
    tool = only(spans, "execute_tool delegate_task")
    assert tool.attributes[sc.GEN_AI_TOOL_CALL_ARGUMENTS] == f'{{"goal": "{MARK}"}}'
    assert tool.attributes[sc.GEN_AI_TOOL_CALL_RESULT] == f'{{"output": "{MARK}"}}'
    assert CONTENT_NAMES.isdisjoint(spans[0].attributes)


def _parts(span: Span, name: str) -> list[tuple[str, str]]:
    messages = json.loads(str(span.attributes[name]))
    return [
        (message["role"], part.get("content") or part.get("response") or part.get("arguments"))
        for message in messages
        for part in message["parts"]
    ]


def test_content_is_cut_to_its_limit() -> None:
    policy = ContentPolicy(mode=ContentMode.FULL, max_chars=50)
    spans = build_trace(a_run(), a_talkative_session("word " * 1_000), content=policy)
    for span in spans:
        for name in CONTENT_NAMES & span.attributes.keys():
            assert len(str(span.attributes[name])) < 400


@pytest.mark.parametrize(
    "secret",
    ["sk-ant-api03-AbCdEf0123456789", "ghp_A1b2C3d4E5f6G7h8I9j0", "AKIAIOSFODNN7EXAMPLE",
     "xoxb-123456789012-abcdef", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
     "hunter2-of-the-password", "bob@example.com"],
)  # fmt: skip
def test_no_secret_leaves_in_any_text(secret: str) -> None:
    text = f"password={secret}" if secret.startswith("hunter2") else f"with {secret} in it"
    run = a_run(
        outcome=Outcome.FAILURE,
        error_message=text,
        delivery_outcome=DeliveryOutcome.FAILED,
        delivery_error=text,
        delivery_target=f"webhook:{text}",
    )
    spans = build_trace(run, a_talkative_session(text), content=FULL)
    wire = _on_the_wire(spans)
    assert secret not in wire
    assert wire.count("[masked]") >= 8
    failed = a_script_run(
        outcome=Outcome.FAILURE,
        error_message=f"Script exited with code 3\nstderr:\n{text}\nstdout:\n{text}",
    )
    wire = _on_the_wire(build_trace(failed, None, content=FULL))
    assert secret not in wire
    assert wire.count("[masked]") >= 5  # status of root and script, twice each, and the excerpt


# --- size ----------------------------------------------------------------------------------


def a_long_session(text: str, steps: int = 100) -> Conversation:
    """So many calls of the model and of a tool, each with `text`, and one short question."""
    messages = [user(2, "Do it.")]
    for number in range(steps):
        call = ToolCall(call_id=str(number), name="web", arguments=json.dumps({"q": text}))
        messages += [
            asks(3)._replace(content=text, tool_calls=(call,)), result(4, str(number), text)
        ]  # fmt: skip
    return a_session(*messages, answer(8, text))


def _encoded_bytes(spans: list[Span]) -> int:
    convert = span_converter({}, scope_version="0")
    return encode_spans([convert(span) for span in spans]).ByteSize()


@pytest.mark.parametrize("text", ["word ", "\u6f22\u5b57", "\U0001f680", '"', "\n", "\x01"])
def test_two_hundred_steps_with_all_their_content_go_through(text: str) -> None:
    """To collectors that take 4 MiB, whatever the texts are made of."""
    spans = build_trace(a_run(), a_long_session(text * 4_096), content=FULL)
    chats = [span for span in spans if span.name.startswith("chat")]
    tools = [span for span in spans if span.name.startswith("execute_tool")]
    assert (len(chats), len(tools)) == (101, 100)
    assert _encoded_bytes(spans) < 4 * 2**20
    for span in chats:
        assert len(str(span.attributes[sc.GEN_AI_OUTPUT_MESSAGES])) > 600
    for span in tools:
        assert len(str(span.attributes[sc.GEN_AI_TOOL_CALL_RESULT])) > 600


def test_in_a_long_trace_what_is_short_stays_whole() -> None:
    spans = build_trace(a_run(), a_long_session("\u6f22" * 4_096), content=FULL)
    first = next(span for span in spans if span.name.startswith("chat"))
    assert _parts(first, sc.GEN_AI_INPUT_MESSAGES) == [("user", "Do it.")]


def test_a_trace_of_usual_length_keeps_the_limit_that_its_owner_set() -> None:
    session = a_long_session("word " * 100, 200)
    assert FULL.limited_to(session) == FULL


STDERR = "Script exited with code 3\nstderr:\nno disk " + "x" * 500 + "\nstdout:\nhalf"


@pytest.mark.parametrize("mode", [ContentMode.ERRORS, ContentMode.FULL])
def test_what_a_failed_script_wrote_to_stderr_goes_with_content_cut_to_the_limit(
    mode: ContentMode,
) -> None:
    run = a_script_run(outcome=Outcome.FAILURE, error_message=STDERR, script_exit_code=3)
    content = ContentPolicy(mode=mode, max_chars=20)
    _, script = build_trace(run, None, content=content)
    assert script.attributes[sc.HERMES_CRON_SCRIPT_STDERR] == "no disk xxxxxxxxxxx…"


@pytest.mark.parametrize("content", [None, ContentPolicy()])
def test_without_content_the_excerpt_stays_at_home(content: ContentPolicy | None) -> None:
    run = a_script_run(outcome=Outcome.FAILURE, error_message=STDERR, script_exit_code=3)
    _, script = build_trace(run, None, content=content)
    assert sc.HERMES_CRON_SCRIPT_STDERR not in script.attributes


def test_what_a_failed_script_printed_is_no_error_text() -> None:
    error = "Script exited with code 3\nstderr:\nno disk\nstdout:\nrow for Jane Doe"
    run = a_script_run(outcome=Outcome.FAILURE, error_message=error, script_exit_code=3)
    for span in build_trace(run, None):
        assert span.error == "Script exited with code 3\nstderr:\nno disk"
    for span in build_trace(run, None, content=FULL):
        assert span.error == error
