"""Spans of ours for tests of the export, and the plain data that a collector makes of them."""

from __future__ import annotations

from cronalytics_otel.model import Span, SpanKind

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C


def make_span(number: int = 1, **changes: object) -> Span:
    """A span that differs from others by `number`; `changes` are its fields."""
    fields: dict[str, object] = {
        "trace_id": TRACE_ID,
        "span_id": number,
        "parent_id": None,
        "name": f"cron job-{number}",
        "kind": SpanKind.SERVER,
        "start_ns": 1_750_000_000_000_000_000 + number,
        "end_ns": 1_750_000_005_000_000_000 + number,
        "attributes": {"hermes.cron.job.id": f"{number:012x}"},
        **changes,
    }
    return Span(**fields)  # type: ignore[arg-type]


def make_spans(count: int) -> list[Span]:
    return [make_span(number) for number in range(1, count + 1)]
