"""The sender of a destination's metrics: it sends encoded requests by OTLP, and returns a receipt for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..acknowledgement import Receipt
from .sender import MissingExporterError

if TYPE_CHECKING:
    from ...config import Destination

__all__ = ["MetricsSender", "MissingExporterError", "open_metrics_sender"]


class MetricsSender(Protocol):
    """Sends to one destination. Not for use by several threads at once, nor across a fork."""

    def send(self, request: bytes, *, points: int, timeout_s: float) -> Receipt:
        """Send an encoded ExportMetricsServiceRequest with so many points; return what became of it.

        Raises nothing for what a server or the network does. `timeout_s` bounds the whole request.
        """

    def close(self) -> None:
        """Close the connections."""


def open_metrics_sender(destination: Destination) -> MetricsSender:
    """Return a sender for `destination`, which connects when it first sends.

    Raises `MissingExporterError` when the destination uses gRPC, and that cannot be imported.
    """
    if destination.protocol == "grpc":
        try:
            from .grpc import GrpcMetricsSender
        except (ImportError, RuntimeError) as error:
            raise MissingExporterError.of(destination, error) from error
        return GrpcMetricsSender(destination)
    from .http import HttpMetricsSender

    return HttpMetricsSender(destination)
