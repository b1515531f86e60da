"""Sending spans by OTLP, with a receipt for each request.

`open_sender` gives the sender for a destination's protocol. What both protocols share is here:
the SDK's span type out of ours, and what becomes of a server's words.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace import SpanKind as SdkSpanKind

from ...config.destinations import KEY_IN_PATH
from ...model import AttributeValue, Span, SpanEvent, SpanKind, SpanLink
from ...telemetry.content import masked_and_cut
from ..acknowledgement import Receipt, Verdict

if TYPE_CHECKING:
    from ...config import Destination

SCOPE_NAME: Final = "cronalytics_otel"

_REASON_CHARS: Final = 200
_LEAST_SECRET_CHARS: Final = 4
"""Shorter header values (`1`, `eu`) are no secrets, and masking them would garble any text."""

_PERCENT: Final = re.compile("%[0-9A-F]{2}")

_SAYS_TOO_LARGE: Final = re.compile(
    r"(body|message|payload|request)( length| size)? (is )?too (large|big)|larger than max",
    re.IGNORECASE,
)
"""How servers say it under another status: the Collector's HTTP receiver answers 400 `http:
request body too large`, tonic (rotel, other Rust servers) OUT_OF_RANGE `message length too
large`, gRPC in Go and C RESOURCE_EXHAUSTED `received message larger than max`."""

_KIND: Final[Mapping[SpanKind, SdkSpanKind]] = {kind: SdkSpanKind[kind.name] for kind in SpanKind}
_UNSET: Final = Status(StatusCode.UNSET)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class MissingExporterError(Exception):
    """An optional part is not installed; the text says how to install it."""


class Sender(Protocol):
    """Sends to one destination. Not for use by several threads at once, nor across a fork."""

    def send(self, spans: Sequence[Span], *, timeout_s: float | None = None) -> Receipt:
        """Make one request, and say what became of it. Raises nothing for what a server or the
        network does. `timeout_s` bounds the whole of it (default: the destination's)."""

    def close(self) -> None:
        """Close its connections."""


def open_sender(
    destination: Destination,
    resource_attributes: Mapping[str, AttributeValue],
    *,
    scope_version: str,
) -> Sender:
    """A sender for `destination`; connects when it first sends.

    Raises MissingExporterError when the destination speaks gRPC and the extra is missing.
    """
    convert = span_converter(resource_attributes, scope_version=scope_version)
    if destination.protocol == "grpc":
        try:
            from .grpc import GrpcSender
        except ImportError as error:
            raise MissingExporterError(
                f"destination {destination.name!r} uses gRPC, which needs"
                " `pip install 'cronalytics-otel[grpc]'`"
            ) from error
        return GrpcSender(destination, convert)
    from .http import HttpSender

    return HttpSender(destination, convert)


class _Resource(Resource):
    """Hashed once: the encoder asks for it at every span, and the SDK's answer is a JSON text."""

    def __hash__(self) -> int:
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = super().__hash__()
        return known


# --- spans ---------------------------------------------------------------------------------


def span_converter(
    resource_attributes: Mapping[str, AttributeValue], *, scope_version: str
) -> Callable[[Span], ReadableSpan]:
    """A function from our span to the SDK's, built directly: a tracer costs five times as much."""
    resource = _Resource(dict(_encodable(resource_attributes)))
    scope = InstrumentationScope(SCOPE_NAME, scope_version)

    contexts: dict[int, SpanContext] = {}
    """Of the trace at hand: parents come before their children."""

    def convert(span: Span) -> ReadableSpan:
        trace_id, parent_id = span.trace_id, span.parent_id
        context = SpanContext(trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED)
        if parent_id is None:
            contexts.clear()
            parent = None
        else:
            parent = contexts.get(parent_id)
            if parent is None or parent.trace_id != trace_id:
                parent = SpanContext(trace_id, parent_id, is_remote=False, trace_flags=_SAMPLED)
        contexts[span.span_id] = context
        return ReadableSpan(
            name=_text(span.name),
            context=context,
            parent=parent,
            resource=resource,
            attributes=_encodable(span.attributes),
            events=[_event(event) for event in span.events] if span.events else (),
            links=[_link(link) for link in span.links] if span.links else (),
            kind=_KIND[span.kind],
            status=_UNSET if span.error is None else Status(StatusCode.ERROR, _text(span.error)),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=scope,
        )

    return convert


def _event(event: SpanEvent) -> Event:
    return Event(_text(event.name), _encodable(event.attributes), event.time_ns)


def _link(link: SpanLink) -> Link:
    context = SpanContext(link.trace_id, link.span_id, is_remote=False, trace_flags=_SAMPLED)
    return Link(context, _encodable(link.attributes))


def _encodable(attributes: Mapping[str, AttributeValue]) -> Mapping[str, AttributeValue]:
    """`attributes`, itself when all its text is ASCII, as nearly always."""
    for value in attributes.values():
        if type(value) is str:
            if not value.isascii():
                break
        elif type(value) is tuple and not all(map(str.isascii, value)):
            break
    else:
        return attributes
    return {
        name: _text(value)
        if isinstance(value, str)
        else tuple(map(_text, value))
        if isinstance(value, tuple)
        else value
        for name, value in attributes.items()
    }


def _text(text: str) -> str:
    r"""Text without lone surrogates (a `\ud800` in the host's JSON): they are no UTF-8, and the
    encoder would drop the attribute, or the whole request for a name."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


# --- what servers say ----------------------------------------------------------------------


def one_liner(destination: Destination) -> Callable[[str], str]:
    """A function that makes a server's or an exception's words fit for a log: one line, short,
    without control characters, header values, secrets of the URL, and what else looks like one."""
    said = {form for secret in _secrets(destination) for form in _as_quoted(secret)}
    secrets = sorted(said, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        words = "".join(char if char.isprintable() else " " for char in text).split()
        return masked_and_cut(" ".join(words), _REASON_CHARS)

    return clean


def _secrets(destination: Destination) -> Iterable[str]:
    found = [value for _, value in destination.headers]
    found += [part for value in found for part in value.split()]  # `Bearer TOKEN`
    found += [part for value in found for part in _of_basic(value)]
    if destination.protocol != "grpc":
        parts = urlsplit(destination.endpoint)
        found += KEY_IN_PATH.findall(parts.path)
        found += [value for _, value in parse_qsl(parts.query)]
        found += parts.query.replace("&", "=").split("=")[1::2]
        found += parts.netloc.rpartition("@")[0].split(":")
        user = unquote(parts.netloc.rpartition("@")[0])
        found += [*user.split(":"), b64encode(user.encode()).decode()]  # sent as `Basic …`
    return (secret for secret in found if len(secret) >= _LEAST_SECRET_CHARS)


def _of_basic(value: str) -> list[str]:
    """User and password out of `Basic …`."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return b64decode(encoded).decode().split(":", 1)
    except ValueError:
        return []


def _as_quoted(secret: str) -> Iterator[str]:
    """The forms in which servers repeat it: as it is, in a URL, in JSON (some escape `/` there)."""
    in_json = json.dumps(secret)[1:-1]
    in_urls = quote(secret), quote(secret, safe="")
    yield from (secret, in_json, in_json.replace("/", "\\/"), secret.replace("/", "\\/"), *in_urls)
    for in_url in in_urls:
        yield _PERCENT.sub(lambda found: found[0].lower(), in_url)


def says_too_large(text: str) -> bool:
    return _SAYS_TOO_LARGE.search(text) is not None


def receipt_of_success(rejected: int, message: str, *, sent: int) -> Receipt:
    """What `partial_success` makes of a success; a message alone is a warning of the server's."""
    if rejected <= 0:
        return Receipt(verdict=Verdict.ACCEPTED, reason=message)
    said = f": {message}" if message else ""
    if rejected >= sent:
        return Receipt(verdict=Verdict.REFUSED, reason=f"all {sent} spans were rejected{said}")
    return Receipt(
        verdict=Verdict.PARTIAL,
        reason=f"{rejected} of {sent} spans were rejected{said}",
        rejected_spans=rejected,
    )
