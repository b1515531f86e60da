"""OTLP collectors for tests: real sockets, real protobuf, and any misbehaviour on demand.

    with FaultyCollector() as collector:                        # answers every request with ok()
        collector.answer_with(status(503))                      # from now on
        collector.answer_next(status(429, retry_after="2"), receipt_lost())   # then as before
        send_to(collector.endpoint)
        assert collector.spans == [...]                         # what a backend would hold

An **answer** says what becomes of one request. Those that keep the spans: `ok`, `partial`,
`receipt_lost`, `half_an_answer`, `trickle`. Those that do not: `status`, `html`, `redirect`,
`hang`, `drop`. `collector.received` has each request that was read, kept or not; `collector.spans`
has the kept spans, a copy for each time they were sent, so a doubled span is seen twice.

Metrics have a record and a script of their own: `collector.metric_requests`, `answer_metrics_with`.

`GrpcCollector` is the same for gRPC, with `ok`, `partial`, `hang` and `grpc_status`.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self, TypeAlias

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status as StatusMessage

from tests.support.loopback import (
    LoopbackHttpServer,
    LoopbackServer,
    QuietHandler,
    ThreadedHttpServer,
)

SpanDict: TypeAlias = dict[str, Any]
"""A span as plain data: `trace_id`, `span_id`, `parent_id` (hex; None for a root), `name`, `kind`
(`server`, …), `start_ns`, `end_ns`, `attributes`, `status` (`unset`, `ok`, `error`),
`status_message`, `links` (`trace_id`, `span_id`, `attributes`), `events` (`name`, `time_ns`,
`attributes`), `resource` (its attributes), `scope` (`name`, `version`),
`schema_urls` (of resource and scope), `flags`."""

PROTOBUF: Final = "application/x-protobuf"
_TRICKLE_PAUSE_S: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What becomes of a request; made by the functions below."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rejected: int | None = 0
    """How many spans, from the first, are not kept; None for all of them."""
    hangs: bool = False
    """Says nothing before `collector.release()`."""
    drops: bool = False
    """Closes the connection (with a reset) in place of an answer."""
    unread: bool = False
    """Does so, or hangs, before it has read the request."""
    cut_at: int | None = None
    """Sends only so many bytes of the body, and closes."""
    trickles: bool = False
    """Sends a byte now and then, and goes on until the client leaves or `release()`."""
    grpc_code: str | None = None
    grpc_trailers: tuple[tuple[str, bytes], ...] = ()
    message: str = ""


def ok() -> Answer:
    """200 and an empty ExportTraceServiceResponse."""
    return Answer(headers={"Content-Type": PROTOBUF})


def partial(rejected: int, message: str = "", *, as_json: bool = False) -> Answer:
    """200, and the first `rejected` spans not taken (0 with a message is a warning)."""
    if as_json:
        # The JSON mapping of a protobuf int64 is a string.
        content = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}}
        return answer(200, json.dumps(content), content_type="application/json", rejected=rejected)
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Answer(
        headers={"Content-Type": PROTOBUF},
        body=response.SerializeToString(),
        rejected=rejected,
        message=message,
    )


def answer(
    status: int,
    body: str | bytes = b"",
    *,
    content_type: str | None = None,
    rejected: int | None = 0,
    **headers: str,
) -> Answer:
    """Any answer; the spans are kept unless `rejected` says otherwise. `retry_after="2"` is the
    header `Retry-After: 2`."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    if content_type is not None:
        named["Content-Type"] = content_type
    content = body.encode() if isinstance(body, str) else body
    return Answer(status=status, headers=named, body=content, rejected=rejected)


def status(
    code: int, body: str | bytes = b"", *, content_type: str | None = "text/plain", **headers: str
) -> Answer:
    """An error: nothing is kept. `status(429, retry_after="2")`."""
    return answer(code, body, content_type=content_type, rejected=None, **headers)


def html(code: int = 200, body: str = "<html><body>Please log in</body></html>") -> Answer:
    """A page, such as a login or a captive portal gives: nothing is kept."""
    return status(code, body, content_type="text/html; charset=utf-8")


def redirect(to: str, code: int = 302) -> Answer:
    return status(code, location=to)


def hang(*, unread: bool = False) -> Answer:
    """Nothing, until `collector.release()`; nothing is kept."""
    return Answer(rejected=None, hangs=True, unread=unread)


def drop(*, unread: bool = False) -> Answer:
    """The connection is reset, before or after reading; nothing is kept."""
    return Answer(rejected=None, drops=True, unread=unread)


def receipt_lost() -> Answer:
    """The spans are kept, and the connection is reset before anything is said."""
    return Answer(drops=True)


def half_an_answer() -> Answer:
    """The spans are kept, and the answer breaks off in the midst of its body."""
    whole = partial(0, "a warning that will not be read to its end")
    return Answer(headers=whole.headers, body=whole.body, cut_at=len(whole.body) // 2)


def trickle() -> Answer:
    """The spans are kept, and the answer's body comes a byte at a time, without an end."""
    return Answer(headers={"Content-Type": PROTOBUF}, trickles=True)


def grpc_status(code: str, details: str = "", trailers: Iterable[tuple[str, bytes]] = ()) -> Answer:
    """A gRPC error by its name (`UNAVAILABLE`); nothing is kept."""
    return Answer(rejected=None, grpc_code=code, grpc_trailers=tuple(trailers), message=details)


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request that was read: header names in lower case, its spans, and how many of them
    (from the end) were kept."""

    headers: dict[str, str]
    path: str
    spans: list[SpanDict]
    kept: list[SpanDict]
    size_bytes: int
    """As it came over the wire, compressed or not."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a metric, as it came."""

    metric: str
    unit: str
    kind: str
    """`sum`, `histogram` or `gauge`."""
    delta: bool
    attributes: dict[str, Any]
    start_ns: int
    time_ns: int
    value: float
    """The sum of a histogram's values."""
    count: int = 0
    buckets: tuple[int, ...] = ()
    exemplars: tuple[tuple[str, str], ...] = ()
    """Trace and span ids, as hex."""
    resource: dict[str, Any]
    scope: tuple[str, str, str]
    """Name, version and schema URL."""

    @property
    def series(self) -> tuple[str, tuple[tuple[str, Any], ...]]:
        """What tells its series from others."""
        return self.metric, tuple(sorted(self.attributes.items()))


@dataclass(frozen=True, kw_only=True)
class ReceivedMetrics:
    """One request of metrics that was read; `kept` is whether its points were."""

    headers: dict[str, str]
    path: str
    points: list[Point]
    kept: bool
    body: bytes


class _Collector(LoopbackServer):
    """What both protocols share: the script, the record, and waiting for either."""

    def __init__(
        self, script: Iterable[Answer] = (), *, always: Answer | None = None, port: int = 0
    ) -> None:
        super().__init__(port)
        self._lock = threading.Condition()
        self._script = deque(script)
        self._always = always or ok()
        self._received: list[Received] = []
        self._metrics_script: deque[Answer] = deque()
        self._metrics_always = ok()
        self._metric_requests: list[ReceivedMetrics] = []
        self._asked = 0
        self._released = threading.Event()

    def answer_with(self, always: Answer) -> None:
        """From now on, for each request; a script that is left is forgotten."""
        with self._lock:
            self._script.clear()
            self._always = always

    def answer_next(self, *answers: Answer) -> None:
        """For the next requests, one each; then again what `answer_with` said."""
        with self._lock:
            self._script.extend(answers)

    def answer_metrics_with(self, always: Answer) -> None:
        """From now on, for each request of metrics."""
        with self._lock:
            self._metrics_script.clear()
            self._metrics_always = always

    def answer_next_metrics(self, *answers: Answer) -> None:
        """For the next requests of metrics, one each."""
        with self._lock:
            self._metrics_script.extend(answers)

    @property
    def metric_requests(self) -> list[ReceivedMetrics]:
        """The requests of metrics that were read, in order."""
        with self._lock:
            return list(self._metric_requests)

    @property
    def points(self) -> list[Point]:
        """The points that were kept, in order of arrival."""
        return [
            point for request in self.metric_requests if request.kept for point in request.points
        ]

    def _next_metrics_answer(self) -> Answer:
        with self._lock:
            return self._metrics_script.popleft() if self._metrics_script else self._metrics_always

    def _record_metrics(
        self,
        answer: Answer,
        request: ExportMetricsServiceRequest,
        headers: dict[str, str],
        path: str,
    ) -> None:
        with self._lock:
            self._metric_requests.append(
                ReceivedMetrics(
                    headers=headers,
                    path=path,
                    points=decode_points(request),
                    kept=answer.rejected is not None,
                    body=request.SerializeToString(deterministic=True),
                )
            )
            self._lock.notify_all()

    def release(self) -> None:
        """Let go of all requests that hang or trickle, now and later."""
        self._released.set()

    def close(self) -> None:
        self.release()
        self.stop()

    @property
    def received(self) -> list[Received]:
        """The requests that were read, in order."""
        with self._lock:
            return list(self._received)

    @property
    def requests(self) -> int:
        """How many requests came, those that were never read included."""
        with self._lock:
            return self._asked

    @property
    def spans(self) -> list[SpanDict]:
        """The spans that were kept: what a backend that does not deduplicate would hold."""
        return [span for request in self.received for span in request.kept]

    def clear(self) -> None:
        """Forget what came so far."""
        with self._lock:
            self._received.clear()
            self._asked = 0

    def wait_until(self, seen: Callable[[Self], bool], timeout_s: float = 30.0) -> None:
        """Until `seen(collector)` holds; raises TimeoutError with what did come."""
        with self._lock:
            if not self._lock.wait_for(lambda: seen(self), timeout_s):
                raise TimeoutError(
                    f"{self._asked} requests with {len(self.spans)} kept spans in {timeout_s} s"
                )

    def wait_for_requests(self, count: int, timeout_s: float = 30.0) -> None:
        self.wait_until(lambda collector: collector.requests >= count, timeout_s)

    def wait_for_spans(self, count: int, timeout_s: float = 30.0) -> None:
        self.wait_until(lambda collector: len(collector.spans) >= count, timeout_s)

    def _next_answer(self) -> Answer:
        with self._lock:
            self._asked += 1
            self._lock.notify_all()
            return self._script.popleft() if self._script else self._always

    def _record(
        self,
        answer: Answer,
        request: ExportTraceServiceRequest,
        *,
        headers: dict[str, str],
        path: str,
        size_bytes: int,
    ) -> None:
        spans = decode_spans(request)
        kept = [] if answer.rejected is None else spans[answer.rejected :]
        with self._lock:
            self._received.append(
                Received(headers=headers, path=path, spans=spans, kept=kept, size_bytes=size_bytes)
            )
            self._lock.notify_all()


# --- HTTP ----------------------------------------------------------------------------------


class FaultyCollector(_Collector, LoopbackHttpServer):
    """An OTLP/HTTP collector on a free loopback port, as a context manager.

    `stop()` frees the port as a collector that is down does, `start()` takes the same one again.
    """

    def __init__(
        self,
        script: Iterable[Answer] = (),
        *,
        always: Answer | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(script, always=always, port=port)
        self._tls = tls

    @property
    def endpoint(self) -> str:
        """The base URL, for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def traces_url(self) -> str:
        return f"{self.endpoint}/v1/traces"

    def _listen(self) -> ThreadedHttpServer:
        return _Server(self, self.port, self._tls)


class _Server(ThreadedHttpServer):
    def __init__(self, collector: FaultyCollector, port: int, tls: ssl.SSLContext | None) -> None:
        self.collector = collector
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(port, _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: the handshake, and a record of what is open."""
        connection: socket.socket = request
        try:
            if self._tls:
                connection.settimeout(30)
                connection = self._tls.wrap_socket(connection, server_side=True)
        except OSError:  # the client did not like our certificate, or we not its
            self.shutdown_request(connection)
            return
        with self._open_lock:
            self._open.add(connection)
        try:
            super().process_request_thread(connection, client_address)
        finally:
            with self._open_lock:
                self._open.discard(connection)

    def server_close(self) -> None:
        """Refuse new connections, and close the open ones."""
        super().server_close()
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # gone already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is what these tests are about; anything else is told."""
        import sys

        if not isinstance(sys.exception(), (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Handler(QuietHandler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802 the base's name
        collector = self.server.collector
        is_metrics = self.path.endswith("/v1/metrics")
        answer = collector._next_metrics_answer() if is_metrics else collector._next_answer()
        if not answer.unread:
            self._read(answer, is_metrics=is_metrics)
        if answer.hangs:
            self.close_connection = True
            collector._released.wait()
            return
        if answer.drops:
            self._reset()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.trickles:
            self._trickle()
            return
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.cut_at is None:
            self.wfile.write(answer.body)
        else:
            self.wfile.write(answer.body[: answer.cut_at])
            self.close_connection = True

    def _read(self, answer: Answer, *, is_metrics: bool) -> None:
        wire = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        encoding = self.headers.get("Content-Encoding", "")
        try:
            if is_metrics:
                metrics = ExportMetricsServiceRequest.FromString(_decompressed(wire, encoding))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.server.collector._record_metrics(answer, metrics, headers, self.path)
                return
            request = ExportTraceServiceRequest.FromString(_decompressed(wire, encoding))
        except DecodeError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            raise
        self.server.collector._record(
            answer,
            request,
            headers={name.lower(): value for name, value in self.headers.items()},
            path=self.path,
            size_bytes=len(wire),
        )

    def _reset(self) -> None:
        """A RST, so that the client sees a connection lost and not an answer that ended."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _trickle(self) -> None:
        self.close_connection = True
        self.end_headers()
        while not self.server.collector._released.wait(_TRICKLE_PAUSE_S):
            self.wfile.write(b"\n")
            self.wfile.flush()


# --- gRPC ----------------------------------------------------------------------------------


class GrpcCollector(_Collector):
    """An OTLP/gRPC collector on a free loopback port, as a context manager.

    `tls` is a key and a certificate chain (PEM), and perhaps the authority of its clients.
    """

    def __init__(
        self,
        script: Iterable[Answer] = (),
        *,
        always: Answer | None = None,
        tls: tuple[bytes, bytes] | tuple[bytes, bytes, bytes] | None = None,
        max_message_bytes: int | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(script, always=always, port=port)
        self._tls = tls
        self._max_message_bytes = max_message_bytes
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        import grpc
        from opentelemetry.proto.collector.metrics.v1 import (
            metrics_service_pb2_grpc as metrics_service,
        )
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

        collector = self

        class Servicer(service.TraceServiceServicer):
            def Export(self, request: ExportTraceServiceRequest, context: Any) -> Any:  # noqa: N802
                return collector._export(request, context)

        # One port for one server: a second one would share it, and take half of the requests.
        options: list[tuple[str, int]] = [("grpc.so_reuseport", 0)]
        if self._max_message_bytes is not None:
            options.append(("grpc.max_receive_message_length", self._max_message_bytes))
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)

        class MetricsServicer(metrics_service.MetricsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
                return collector._export_metrics(request, context)

        service.add_TraceServiceServicer_to_server(Servicer(), self._server)  # type: ignore[no-untyped-call]
        metrics_service.add_MetricsServiceServicer_to_server(MetricsServicer(), self._server)  # type: ignore[no-untyped-call]
        address = f"127.0.0.1:{self.port}"
        if self._tls is None:
            self.port = self._server.add_insecure_port(address)
        else:
            key, chain, *clients = self._tls
            credentials = grpc.ssl_server_credentials(
                [(key, chain)],
                root_certificates=clients[0] if clients else None,
                require_client_auth=bool(clients),
            )
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None

    def _export(self, request: ExportTraceServiceRequest, context: Any) -> Any:
        import grpc

        answer = self._next_answer()
        self._record(
            answer,
            request,
            headers=dict(context.invocation_metadata()),
            path="",
            size_bytes=request.ByteSize(),
        )
        if answer.hangs:
            self._released.wait()
        if answer.grpc_code is not None:
            context.set_trailing_metadata(answer.grpc_trailers)
            context.abort(grpc.StatusCode[answer.grpc_code], answer.message)
        return ExportTraceServiceResponse.FromString(answer.body)

    def _export_metrics(self, request: ExportMetricsServiceRequest, context: Any) -> Any:
        import grpc

        answer = self._next_metrics_answer()
        self._record_metrics(answer, request, dict(context.invocation_metadata()), "")
        if answer.hangs:
            self._released.wait()
        if answer.grpc_code is not None:
            context.abort(grpc.StatusCode[answer.grpc_code], answer.message)
        return ExportMetricsServiceResponse.FromString(answer.body)


# --- decoding ------------------------------------------------------------------------------


def decode_spans(request: ExportTraceServiceRequest) -> list[SpanDict]:
    """All spans of a request as plain data, each with its resource and scope."""
    return [
        {
            **_span(span),
            "resource": _attributes(group.resource.attributes),
            "scope": {"name": scoped.scope.name, "version": scoped.scope.version},
            "schema_urls": [group.schema_url, scoped.schema_url],
        }
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def decode_points(request: ExportMetricsServiceRequest) -> list[Point]:
    """All points of a request of metrics, each with its resource and scope."""
    return [
        _point(metric, point, group, scoped)
        for group in request.resource_metrics
        for scoped in group.scope_metrics
        for metric in scoped.metrics
        for point in getattr(metric, str(metric.WhichOneof("data"))).data_points
    ]


def _point(metric: Any, point: Any, group: Any, scoped: Any) -> Point:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    is_histogram = kind == "histogram"
    return Point(
        metric=metric.name,
        unit=metric.unit,
        kind=kind,
        delta=kind != "gauge" and data.aggregation_temporality == 1,
        attributes=_attributes(point.attributes),
        start_ns=point.start_time_unix_nano,
        time_ns=point.time_unix_nano,
        value=point.sum if is_histogram else getattr(point, point.WhichOneof("value")),
        count=point.count if is_histogram else 0,
        buckets=tuple(point.bucket_counts) if is_histogram else (),
        exemplars=tuple((one.trace_id.hex(), one.span_id.hex()) for one in point.exemplars),
        resource=_attributes(group.resource.attributes),
        scope=(scoped.scope.name, scoped.scope.version, scoped.schema_url),
    )


def _decompressed(wire: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(wire)
    return zlib.decompress(wire) if encoding == "deflate" else wire


def _span(span: SpanMessage) -> SpanDict:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "kind": SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": _attributes(span.attributes),
        "status": StatusMessage.StatusCode.Name(span.status.code)
        .removeprefix("STATUS_CODE_")
        .lower(),
        "status_message": span.status.message,
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": _attributes(link.attributes),
            }
            for link in span.links
        ],
        "events": [
            {
                "name": event.name,
                "time_ns": event.time_unix_nano,
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "flags": span.flags,
    }


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
