"""A collector that looks into a request before it decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.collector import Answer, SpanDict, decode_spans

Judge: TypeAlias = Callable[[list[SpanDict], int], Answer]
"""From a request's spans and its size in bytes to the answer: its `status`, `headers`, `body` and
`rejected` (how many spans are not kept; None for all)."""


class JudgingCollector:
    """OTLP/HTTP on a free loopback port, as a context manager."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.spans: list[SpanDict] = []
        """Those that were kept."""
        self.sizes: list[int] = []
        """Runs in each request, kept or not."""
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: bytes) -> Answer:
        spans = decode_spans(ExportTraceServiceRequest.FromString(body))
        with self._lock:
            self.sizes.append(len({span["trace_id"] for span in spans}))
            answer = self.judge(spans, len(body))
            if answer.rejected is not None:
                self.spans += spans[answer.rejected :]
            return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, collector: JudgingCollector) -> None:
        self.collector = collector
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.collector.take(body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base's name
        pass
