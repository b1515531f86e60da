"""A collector that looks into a request before it decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.collector import Answer, SpanDict, decode_spans
from tests.support.loopback import LoopbackHttpServer, QuietHandler, ThreadedHttpServer

Judge: TypeAlias = Callable[[list[SpanDict], int], Answer]
"""From a request's spans and its size in bytes to the answer: its `status`, `headers`, `body` and
`rejected` (how many spans are not kept; None for all)."""


class JudgingCollector(LoopbackHttpServer):
    """OTLP/HTTP on a free loopback port, as a context manager."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge
        self.spans: list[SpanDict] = []
        """Those that were kept."""
        self.sizes: list[int] = []
        """Runs in each request, kept or not."""
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self) -> ThreadedHttpServer:
        return _Server(self, self.port)

    def take(self, body: bytes) -> Answer:
        spans = decode_spans(ExportTraceServiceRequest.FromString(body))
        with self._lock:
            self.sizes.append(len({span["trace_id"] for span in spans}))
            answer = self.judge(spans, len(body))
            if answer.rejected is not None:
                self.spans += spans[answer.rejected :]
            return answer


class _Server(ThreadedHttpServer):
    def __init__(self, collector: JudgingCollector, port: int) -> None:
        self.collector = collector
        super().__init__(port, _Handler)


class _Handler(QuietHandler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802 the base's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/v1/metrics"):  # it judges traces
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        answer = self.server.collector.take(body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
