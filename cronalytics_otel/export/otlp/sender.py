"""Sending spans by OTLP, with a receipt for each request.

`open_sender` gives the sender for a destination's protocol. What both protocols share is here:
the SDK's span type out of ours, and what becomes of a server's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ...model import AttributeValue, Span
from ..acknowledgement import Receipt
from .spans import span_converter

if TYPE_CHECKING:
    from ...config import Destination


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
