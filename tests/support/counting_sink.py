"""An OTLP/HTTP backend that takes everything and remembers only ids and sizes, for loads."""

from __future__ import annotations

import gzip
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.loopback import LoopbackHttpServer, QuietHandler, ThreadedHttpServer


@dataclass(slots=True)
class Sizes:
    """Requests of one kind, with their bytes."""

    requests: int = 0
    wire_bytes: int = 0
    """As they came, compressed or not."""
    protobuf_bytes: int = 0


@dataclass(slots=True)
class Taken:
    """What came, from all senders together."""

    spans: dict[bytes, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By span id, the monotonic times at which its copies came."""
    traces: Sizes = field(default_factory=Sizes)
    metrics: Sizes = field(default_factory=Sizes)
    points: int = 0


class CountingSink(LoopbackHttpServer):
    """It answers once it has counted: what it acknowledges is in `taken`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.taken = Taken()
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self) -> ThreadedHttpServer:
        return _Server(self)

    def take(self, path: str, body: bytes, encoding: str) -> None:
        content = gzip.decompress(body) if encoding == "gzip" else body
        if path == "/v1/traces":
            self._take_traces(len(body), content)
        else:
            self._take_metrics(len(body), content)

    def _take_traces(self, wire_bytes: int, content: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(content)
        ids = [
            span.span_id
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            now_s = time.monotonic()
            for span_id in ids:
                self.taken.spans[span_id].append(now_s)
            _add(self.taken.traces, wire_bytes, len(content))

    def _take_metrics(self, wire_bytes: int, content: bytes) -> None:
        request = ExportMetricsServiceRequest.FromString(content)
        points = sum(
            len(getattr(metric, metric.WhichOneof("data") or "").data_points)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        with self._lock:
            self.taken.points += points
            _add(self.taken.metrics, wire_bytes, len(content))


def _add(sizes: Sizes, wire_bytes: int, protobuf_bytes: int) -> None:
    sizes.requests += 1
    sizes.wire_bytes += wire_bytes
    sizes.protobuf_bytes += protobuf_bytes


class _Server(ThreadedHttpServer):
    def __init__(self, sink: CountingSink) -> None:
        super().__init__(sink.port, _Handler)
        self.sink = sink


class _Handler(QuietHandler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802 the base's name
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.sink.take(self.path, body, self.headers.get("Content-Encoding", ""))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()
