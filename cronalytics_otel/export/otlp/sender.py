"""The sender of a destination: it sends spans by OTLP, and returns a receipt for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from ...about import GRPC_PACKAGE
from ...model import AttributeValue, Span
from ..acknowledgement import Receipt
from .spans import span_converter

if TYPE_CHECKING:
    from ...config import Destination


class MissingExporterError(Exception):
    """gRPC cannot be imported; the text says what to do."""

    @classmethod
    def of(cls, destination: Destination, error: Exception) -> Self:
        return cls(
            f"destination {destination.name!r} uses gRPC, which needs"
            f" `pip install '{GRPC_PACKAGE}'` ({error}); where that is no help, set its protocol"
            " to http/protobuf"
        )


class Sender(Protocol):
    """Sends to one destination. Not for use by several threads at once, nor across a fork."""

    def send(self, spans: Sequence[Span], *, timeout_s: float | None = None) -> Receipt:
        """Make one request, and return what became of it.

        Raises nothing for what a server or the network does. `timeout_s` bounds the whole request,
        in addition to the destination's own time-out.
        """

    def close(self) -> None:
        """Close the connections."""


def open_sender(
    destination: Destination,
    resource_attributes: Mapping[str, AttributeValue],
    *,
    scope_version: str,
) -> Sender:
    """Return a sender for `destination`, which connects when it first sends.

    Raises `MissingExporterError` when the destination uses gRPC, and that cannot be imported.
    """
    to_sdk_span = span_converter(resource_attributes, scope_version=scope_version)
    if destination.protocol == "grpc":
        try:
            from .grpc import GrpcSender
        except (ImportError, RuntimeError) as error:  # the latter: versions that do not match
            raise MissingExporterError.of(destination, error) from error
        return GrpcSender(destination, to_sdk_span)
    from .http import HttpSender

    return HttpSender(destination, to_sdk_span)
