"""Building and encoding one long trace, beside encoding the same spans."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from bench.lines import Bench, Line
from bench.timing import paired, seconds
from cronalytics_otel.export.otlp.spans import SdkSpans, span_converter
from cronalytics_otel.model import (
    Conversation,
    Message,
    Mode,
    ModelCall,
    Observations,
    Outcome,
    OutcomeSource,
    Run,
    ToolCall,
    ToolResult,
    Usage,
)
from cronalytics_otel.telemetry.traces.trace import build_trace

RESOURCE = {"service.name": "hermes-cron", "service.instance.id": "bench", "host.name": "bench"}
TURNS = 100
"""Each an answer and a tool call: 200 steps."""

AFTERWARDS_BAR, LIVE_BAR = 1.15, 1.2
SECOND = 1_000_000_000
BEGAN_NS = 1_795_258_800 * SECOND
SESSION = "cron_0123456789ab_20261121_110002"


def lines(bench: Bench) -> Iterator[Line]:
    """Measure a trace that is read afterwards, and one that was observed live."""
    pairs, traces = (5, 20) if bench.quick else (21, 50)
    run, conversation = _run(), _conversation()
    observed = {SESSION: _observations()}
    convert = span_converter(RESOURCE, scope_version="bench")
    sdk_resource = Resource(RESOURCE)
    for name, observations, bar in (
        ("read afterwards", {}, AFTERWARDS_BAR),
        ("observed live", observed, LIVE_BAR),
    ):
        spans = [
            convert(span) for span in build_trace(run, conversation, observations=observations)
        ]
        for span in spans:
            span._resource = sdk_resource

        def built(observations: dict[str, Observations] = observations) -> None:
            for _ in range(traces):
                trace = build_trace(run, conversation, observations=observations)
                encode_spans(SdkSpans(trace, convert)).SerializeToString()

        def encoded(spans: list[ReadableSpan] = spans) -> None:
            for _ in range(traces):
                encode_spans(spans).SerializeToString()

        pair = paired(partial(seconds, built), partial(seconds, encoded), pairs=pairs)
        yield Line(
            name=f"a trace of {len(spans)} spans, {name}",
            measured=f"{pair.measured / traces * 1e3:.2f} ms built and encoded",
            floor=f"{pair.floor / traces * 1e3:.2f} ms (the SDK's, encoded)",
            ratio=f"{pair.ratio:.2f}",
            bar=f"<= {bar}",
            met=pair.ratio <= bar,
        )


def _run() -> Run:
    return Run(
        profile="default", job_id="0123456789ab", job_name="long job", mode=Mode.AGENT,
        started_ns=BEGAN_NS, ended_ns=BEGAN_NS + (2 * TURNS + 2) * SECOND, outcome=Outcome.SUCCESS,
        outcome_source=OutcomeSource.LEDGER, execution_id="827d7d8d0a13465d87af9d17d7f12463",
        session_id=SESSION, usage=Usage(input_tokens=1000 * TURNS, output_tokens=50 * TURNS),
        cost_usd=0.25, model="claude-sonnet-4", provider="anthropic", api_calls=TURNS,
        tool_calls=TURNS, subagents=0,
    )  # fmt: skip


def _conversation() -> Conversation:
    messages = [Message(role="user", timestamp_ns=BEGAN_NS + SECOND)]
    for turn in range(TURNS):
        at_ns = BEGAN_NS + (2 * turn + 2) * SECOND
        call = ToolCall(call_id=f"call_{turn}", name="terminal", arguments='{"command": "ls"}')
        messages += [
            Message(role="assistant", timestamp_ns=at_ns, tool_calls=(call,),
                    finish_reason="tool_calls"),
            Message(role="tool", timestamp_ns=at_ns + SECOND, tool_call_id=call.call_id),
        ]  # fmt: skip
    return Conversation(
        session_id=SESSION, started_ns=BEGAN_NS, ended_ns=BEGAN_NS + (2 * TURNS + 2) * SECOND,
        model="claude-sonnet-4", provider="anthropic", server_address="api.anthropic.com",
        api_calls=TURNS, messages=tuple(messages),
    )  # fmt: skip


def _observations() -> Observations:
    usage = Usage(input_tokens=1000, output_tokens=50, cache_read_tokens=200)
    times = [BEGAN_NS + (2 * turn + 1) * SECOND for turn in range(TURNS)]
    return Observations(
        attempts=tuple(
            ModelCall(started_ns=at_ns + 1, ended_ns=at_ns + SECOND - 1, model="claude-sonnet-4",
                      provider="anthropic", server_address="api.anthropic.com",
                      response_model="claude-sonnet-4-20260514", usage=usage)
            for at_ns in times
        ),
        tools=tuple(
            ToolResult(call_id=f"call_{turn}", name="terminal", started_ns=at_ns + SECOND + 1,
                    ended_ns=at_ns + 2 * SECOND - 1, failed=False)
            for turn, at_ns in enumerate(times)
        ),
    )  # fmt: skip
