"""Runs and conversations in a few words, and traces as text that can be read."""

from __future__ import annotations

from dataclasses import replace

from cronalytics_otel.host.message_times import AT_ONCE_NS, FASTEST_NS, written_when_done
from cronalytics_otel.model import (
    Conversation,
    Message,
    Mode,
    Outcome,
    OutcomeSource,
    Run,
    ScheduleKind,
    Span,
    ToolCall,
    Trigger,
    Usage,
)
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import ContentMode, ContentPolicy
from tests.strategies import BEGAN_NS

SECOND = 1_000_000_000
SESSION = "cron_6c583f72f2e8_20261121_110002"
FULL = ContentPolicy(mode=ContentMode.FULL)
USAGE = Usage(
    input_tokens=1000, output_tokens=50, cache_read_tokens=200, reasoning_tokens=20
)  # fmt: skip


def at(seconds: float) -> int:
    return BEGAN_NS + round(seconds * SECOND)


def a_run(**facts: object) -> Run:
    """A successful agent run of 10 s, scheduled, with the given facts instead."""
    run = Run(
        profile="default",
        job_id="6c583f72f2e8",
        job_name="nightly digest",
        mode=Mode.AGENT,
        started_ns=at(0),
        ended_ns=at(10),
        outcome=Outcome.SUCCESS,
        outcome_source=OutcomeSource.LEDGER,
        execution_id="827d7d8d0a13465d87af9d17d7f12463",
        session_id=SESSION,
        trigger=Trigger.SCHEDULE,
        schedule_kind=ScheduleKind.CRON,
        schedule_expression="0 11 * * *",
        schedule_timezone="UTC",
        scheduled_ns=at(-1.5),
        claimed_ns=at(-0.5),
    )
    return replace(run, **facts)  # type: ignore[arg-type]


def a_script_run(**facts: object) -> Run:
    return a_run(session_id=None, mode=Mode.SCRIPT, ended_ns=at(2), **facts)


def a_session(*messages: Message, in_ledger: bool = True, **facts: object) -> Conversation:
    """The session of `a_run`, from 2 s to 9 s; as the host's reader has it, in or out of the ledger."""
    session = Conversation(
        session_id=SESSION,
        started_ns=at(2),
        ended_ns=at(9),
        model="claude-x",
        provider="anthropic",
        usage=USAGE,
        api_calls=sum(m.role == "assistant" for m in messages),
        messages=messages,
    )
    session = replace(session, **facts)  # type: ignore[arg-type]
    at_once_ns = FASTEST_NS if in_ledger else AT_ONCE_NS
    late = written_when_done(session.started_ns, messages, at_once_ns=at_once_ns)
    return replace(session, times_are_known=not late)


def a_subagent(
    name: str, start: float, end: float, *messages: Message, **facts: object
) -> Conversation:
    return a_session(
        *messages,
        in_ledger=True,
        session_id=name,
        started_ns=at(start),
        ended_ns=at(end),
        is_subagent=True,
        **facts,
    )


def user(seconds: float, text: str = "Do it.") -> Message:
    return Message(role="user", timestamp_ns=at(seconds), content=text)


def answer(seconds: float, text: str = "Done.", reason: str | None = "stop") -> Message:
    return Message(
        role="assistant", timestamp_ns=at(seconds), content=text, finish_reason=reason
    )  # fmt: skip


def asks(seconds: float, *calls: tuple[str, str]) -> Message:
    return Message(
        role="assistant",
        timestamp_ns=at(seconds),
        content="",
        finish_reason="tool_calls",
        tool_calls=tuple(
            ToolCall(call_id=call_id, name=name, arguments='{"q": "x"}') for call_id, name in calls
        ),
    )


def result(seconds: float, call_id: str | None, text: str = '{"output": "ok"}') -> Message:
    return Message(
        role="tool", timestamp_ns=at(seconds), content=text, tool_call_id=call_id
    )  # fmt: skip


def outline(spans: list[Span]) -> str:
    """The tree with each span's kind and seconds since the run's start, its error, its usage."""
    depth: dict[int | None, int] = {None: -1}
    lines = []
    for span in spans:
        depth[span.span_id] = depth[span.parent_id] + 1
        start, end = ((t - spans[0].start_ns) / SECOND for t in (span.start_ns, span.end_ns))
        line = f"{'  ' * depth[span.span_id]}{span.name} [{span.kind} {start:g}..{end:g}]"
        if (tokens := span.attributes.get(sc.GEN_AI_USAGE_INPUT_TOKENS)) is not None:
            line += f" in={tokens} out={span.attributes[sc.GEN_AI_USAGE_OUTPUT_TOKENS]}"
        if span.attributes.get(sc.HERMES_CRON_STEP_UNFINISHED):
            line += " unfinished"
        if span.error is not None:
            line += f" ERROR {span.attributes[sc.ERROR_TYPE]}: {span.error}"
        lines.append(line)
    return "\n".join(lines)


def tree(text: str) -> str:
    """A golden outline, without the margin that it has in the source."""
    lines = text.strip("\n").splitlines()
    return "\n".join(line[8:].rstrip() for line in lines).rstrip()


def only(spans: list[Span], name: str) -> Span:
    (span,) = [span for span in spans if span.name == name]
    return span


def check_shape(spans: list[Span]) -> None:
    """A tree in time: parents first and around their children, siblings in order, ids unique."""
    by_id: dict[int, Span] = {}
    latest_start: dict[int, int] = {}
    for span in spans:
        assert 0 <= span.start_ns <= span.end_ns < 2**63
        assert span.trace_id == spans[0].trace_id
        assert span.span_id not in by_id
        if span is spans[0]:
            assert span.parent_id is None
        else:
            assert span.parent_id is not None
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns
            assert latest_start.get(span.parent_id, 0) <= span.start_ns
            latest_start[span.parent_id] = span.start_ns
        by_id[span.span_id] = span
