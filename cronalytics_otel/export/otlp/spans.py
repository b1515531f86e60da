"""Our spans as the OpenTelemetry SDK's type, built directly: a tracer costs five times as much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, overload

from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace import SpanKind as SdkSpanKind

from ...model import AttributeValue, Resource, Span, SpanEvent, SpanKind, SpanLink
from ...telemetry.content import well_formed, well_formed_attributes
from ...telemetry.semconv import SCHEMA_URL

SCOPE_NAME: Final = "cronalytics_otel"

_KIND: Final[Mapping[SpanKind, SdkSpanKind]] = {kind: SdkSpanKind[kind.name] for kind in SpanKind}
_UNSET: Final = Status(StatusCode.UNSET)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class _Resource(SdkResource):
    """A resource that is hashed once: the encoder asks at every span, and the SDK hashes a JSON text."""

    def __hash__(self) -> int:
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = super().__hash__()
        return known


_ResourceAndScope: TypeAlias = tuple[_Resource, InstrumentationScope]


def span_converter(
    resource_attributes: Mapping[str, AttributeValue], *, scope_version: str
) -> Callable[[Span], ReadableSpan]:
    """Return a function from our span to the SDK's.

    A trace has the resource that its root names, else the one of `resource_attributes`.
    """
    own = _sdk_resource(resource_attributes, scope_version)
    by_resource: dict[Resource | None, _ResourceAndScope] = {None: own}
    named: Resource | None = None
    """The resource that the trace at hand names."""
    resource, scope = own
    contexts: dict[int, SpanContext] = {}
    """The contexts of the trace at hand, by span id: parents come before their children."""

    def begin_trace(of_root: Resource | None) -> None:
        nonlocal named, resource, scope
        contexts.clear()
        if of_root is named:
            return
        if of_root is not None and of_root not in by_resource:
            attributes = dict(of_root.attributes)
            by_resource[of_root] = _sdk_resource(attributes, of_root.scope_version)
        named = of_root
        resource, scope = by_resource[of_root]

    def to_sdk_span(span: Span) -> ReadableSpan:
        (
            trace_id, span_id, parent_id, name, kind, start_ns, end_ns, attributes, error, links,
            events, of_root,
        ) = span  # fmt: skip
        context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)
        if parent_id is None:
            begin_trace(of_root)
            parent = None
        else:
            parent = contexts.get(parent_id)
            if parent is None or parent.trace_id != trace_id:
                parent = SpanContext(trace_id, parent_id, is_remote=False, trace_flags=_SAMPLED)
        contexts[span_id] = context
        return ReadableSpan(
            name=well_formed(name),
            context=context,
            parent=parent,
            resource=resource,
            attributes=well_formed_attributes(attributes),
            events=[_event(event) for event in events] if events else (),
            links=[_link(link) for link in links] if links else (),
            kind=_KIND[kind],
            status=_UNSET if error is None else Status(StatusCode.ERROR, well_formed(error)),
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=scope,
        )

    return to_sdk_span


class SdkSpans(Sequence[ReadableSpan]):
    """Our spans as a sequence of the SDK's, each of them made when it is read.

    The encoder reads each span once: none of them outlives its encoding, which spares memory and
    a good part of the time.
    """

    def __init__(self, spans: Sequence[Span], to_sdk_span: Callable[[Span], ReadableSpan]) -> None:
        self._spans = spans
        self._to_sdk_span = to_sdk_span

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[ReadableSpan]:
        return map(self._to_sdk_span, self._spans)

    @overload
    def __getitem__(self, index: int) -> ReadableSpan: ...
    @overload
    def __getitem__(self, index: slice) -> SdkSpans: ...
    def __getitem__(self, index: int | slice) -> ReadableSpan | SdkSpans:
        if isinstance(index, slice):
            return SdkSpans(self._spans[index], self._to_sdk_span)
        return self._to_sdk_span(self._spans[index])


def _sdk_resource(
    attributes: Mapping[str, AttributeValue], scope_version: str
) -> _ResourceAndScope:
    scope = InstrumentationScope(SCOPE_NAME, scope_version, SCHEMA_URL)
    return _Resource(dict(well_formed_attributes(attributes)), SCHEMA_URL), scope


def _event(event: SpanEvent) -> Event:
    return Event(well_formed(event.name), well_formed_attributes(event.attributes), event.time_ns)


def _link(link: SpanLink) -> Link:
    context = SpanContext(link.trace_id, link.span_id, is_remote=False, trace_flags=_SAMPLED)
    return Link(context, well_formed_attributes(link.attributes))
