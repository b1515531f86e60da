"""Export beside the bare official exporter: the same spans, the same collector."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from bench.lines import Bench, Line
from bench.sinks import sink
from bench.timing import Pair, paired, seconds
from cronalytics_otel.config import load_settings
from cronalytics_otel.export.batches import MAX_SPANS
from cronalytics_otel.export.otlp.sender import Sender, open_sender
from cronalytics_otel.export.otlp.spans import span_converter
from cronalytics_otel.export.traces import trace_builder
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.outbox import Entry
from cronalytics_otel.model import Span
from cronalytics_otel.sync import sync
from tests.support.large_homes import Size, large_home

RESOURCE = {"service.name": "hermes-cron", "service.instance.id": "bench", "host.name": "bench"}
SENDER_BAR, OUTBOX_BAR = 0.8, 0.6
"""Shares of the rate of the official exporter, which is handed ready spans."""


def lines(bench: Bench) -> Iterator[Line]:
    """Measure the sender alone, and the whole way: outbox, host's messages, traces, receipts."""
    runs, pairs = (2_000, 3) if bench.quick else (20_000, 5)
    home = Home(bench.once(f"exportable-{runs}", partial(_make, runs)))
    traces = _traces(home)
    batches = _batches(traces)
    spans = sum(map(len, batches))
    convert = span_converter(RESOURCE, scope_version="bench")
    readable = [[convert(span) for span in batch] for batch in batches]
    with sink("up") as url:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        (destination,) = load_settings(home.path, environment).destinations
        sender = open_sender(destination, RESOURCE, scope_version="bench")
        exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
        official = partial(_official_s, exporter, readable)
        yield _line(
            f"export, the sender: {spans:,} spans",
            spans,
            paired(partial(_sender_s, sender, batches), official, pairs=pairs),
            SENDER_BAR,
        )
        yield _line(
            f"export, outbox to receipts: {len(traces):,} runs",
            spans,
            paired(partial(_sync_s, bench, home, environment), official, pairs=pairs),
            OUTBOX_BAR,
        )
        sender.close()
        exporter.shutdown()  # type: ignore[no-untyped-call]


def _line(name: str, spans: int, pair: Pair, bar: float) -> Line:
    share = 1 / pair.ratio
    return Line(
        name=name,
        measured=f"{spans / pair.measured:,.0f} spans/s",
        floor=f"{spans / pair.floor:,.0f} spans/s (official exporter)",
        ratio=f"{share:.2f}",
        bar=f">= {bar}",
        met=share >= bar,
    )


def _make(runs: int, path: Path) -> None:
    """Make a home whose journal is up to date and knows no destination."""
    home = Home(large_home(Size(runs=runs)).borrow(path))
    sync(home, load_settings(path, {"OTEL_SDK_DISABLED": "true"}))


def _traces(home: Home) -> list[list[Span]]:
    settings = load_settings(home.path, {})
    with Journal.open(home.journal) as journal:
        entries = [Entry(0, run) for run in journal.queries.runs(RunFilter())]
        return [t for t in trace_builder(home, settings, journal)(entries) if t is not None]


def _batches(traces: list[list[Span]]) -> list[list[Span]]:
    """Return requests of whole traces, as we send them."""
    batches: list[list[Span]] = [[]]
    for trace in traces:
        if len(batches[-1]) + len(trace) > MAX_SPANS:
            batches.append([])
        batches[-1] += trace
    return batches


def _official_s(exporter: OTLPSpanExporter, batches: list[list[ReadableSpan]]) -> float:
    def export() -> None:
        for batch in batches:
            if exporter.export(batch) is not SpanExportResult.SUCCESS:
                raise RuntimeError("the sink did not take the floor's spans")

    return seconds(export)


def _sender_s(sender: Sender, batches: list[list[Span]]) -> float:
    def send() -> None:
        for batch in batches:
            receipt = sender.send(batch)
            if not receipt.accepted:
                raise RuntimeError(f"the sink did not take our spans: {receipt.reason}")

    return seconds(send)


def _sync_s(bench: Bench, home: Home, environment: dict[str, str]) -> float:
    """Return how long a copy takes to empty its outbox."""
    copy = Home(bench.folder / "exporting")
    shutil.copytree(home.path, copy.path, symlinks=True)
    settings = load_settings(copy.path, environment)
    took_s = seconds(lambda: _assert_sent(copy, sync(copy, settings).destinations[0].sent))
    shutil.rmtree(copy.path)
    return took_s


def _assert_sent(home: Home, sent: int) -> None:
    if not sent:
        raise RuntimeError(f"nothing was sent of {home.path}")
