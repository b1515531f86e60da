"""A span as it will be sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .resource import AttributeValue, Resource


class SpanKind(StrEnum):
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLink:
    """A link to the root of another run's trace."""

    trace_id: int
    span_id: int
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    """Something that happened at one time within a span."""

    name: str
    time_ns: int
    attributes: dict[str, AttributeValue]


class Span(NamedTuple):
    """A span as it will be sent; the exporter gives it the SDK's type.

    `error` is the status description of a failed span, None for status UNSET. (A tuple: a frozen
    dataclass takes four times as long to make, and traces are built as they are sent.)
    """

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: dict[str, AttributeValue]
    error: str | None = None
    links: tuple[SpanLink, ...] = ()
    events: tuple[SpanEvent, ...] = ()
    resource: Resource | None = None
    """On the root span: the resource of the whole trace. None means the sender's own."""
