"""Batches: whole traces, grouped into requests of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from ..journal.outbox import Entry
from ..model import Span

MAX_SPANS: Final = 512
"""Spans in a request: the SDK's own batch size. No trace is split, so a long one may exceed it."""

MAX_TEXT_CHARS: Final = 2_000_000
"""Characters of attributes in a request. With content on, 512 spans could exceed the 4 MiB that a
collector takes by default."""

BuiltTrace: TypeAlias = tuple[Entry, list[Span]]
"""An entry of the outbox with the spans of its run."""

Batch: TypeAlias = list[BuiltTrace]


def batches(traces: Iterable[BuiltTrace]) -> Iterator[Batch]:
    """Group whole traces up to the bounds of a request, in their order."""
    batch: Batch = []
    spans, chars = 0, 0
    for entry, trace in traces:
        size = _text_chars(trace)
        if batch and (spans + len(trace) > MAX_SPANS or chars + size > MAX_TEXT_CHARS):
            yield batch
            batch, spans, chars = [], 0, 0
        batch.append((entry, trace))
        spans += len(trace)
        chars += size
    if batch:
        yield batch


def _text_chars(trace: Sequence[Span]) -> int:
    chars = 0
    for span in trace:
        for value in span.attributes.values():
            if isinstance(value, str):
                chars += len(value)
    return chars
