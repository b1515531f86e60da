"""OTLP over gRPC, with a receipt.

The official gRPC exporter hides the server's response, and with it `partial_success`. It retries in
the caller's thread, and no public argument gives a view in between. So the official stub is called
here on a channel of our own, with spans of the official encoder, and with the official exporter's
rules for endpoint, TLS and credentials. Nothing is read from the environment but the proxy variables
that gRPC itself reads.

gRPC's C core writes some faults (a failed TLS handshake) to stderr by itself. Only the environment
variable GRPC_VERBOSITY=NONE silences it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlparse

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.version import __version__ as exporter_version
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from ...model import DestinationFault
from ..acknowledgement import Receipt, Verdict, fault_of_http, verdict_of_http
from .grpc_faults import explained, proxy_of
from .server_texts import log_text_for, receipt_of_success, says_too_large
from .spans import SdkSpans
from .trouble import by_way_of
from .trust import authorities_for_grpc

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ...config import Destination
    from ...model import Span

_VERDICT: Final[Mapping[grpc.StatusCode, Verdict]] = {
    grpc.StatusCode.UNKNOWN: Verdict.SERVER_ERROR,
    grpc.StatusCode.INTERNAL: Verdict.SERVER_ERROR,
    grpc.StatusCode.INVALID_ARGUMENT: Verdict.BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: Verdict.BAD_REQUEST,
    grpc.StatusCode.ALREADY_EXISTS: Verdict.BAD_REQUEST,
}
"""Any other code is for another try: those that the OTLP specification calls retryable, those that concern
the key or the address, and RESOURCE_EXHAUSTED, which is a quota."""

_FAULT: Final[Mapping[grpc.StatusCode, DestinationFault | None]] = {
    grpc.StatusCode.INVALID_ARGUMENT: None,
    grpc.StatusCode.FAILED_PRECONDITION: None,
    grpc.StatusCode.ALREADY_EXISTS: None,
    grpc.StatusCode.UNAUTHENTICATED: DestinationFault.CREDENTIALS,
    grpc.StatusCode.PERMISSION_DENIED: DestinationFault.CREDENTIALS,
    grpc.StatusCode.UNIMPLEMENTED: DestinationFault.ADDRESS,
    grpc.StatusCode.NOT_FOUND: DestinationFault.ADDRESS,
    grpc.StatusCode.DEADLINE_EXCEEDED: DestinationFault.UNREACHABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: DestinationFault.ACCOUNT,
}
"""What a code shows to be wrong, unless it is the request. Of any other code: the server."""

_SIZE_STATUS: Final = frozenset({grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE})
"""The codes with which servers refuse a message that is too large for them."""

_CHANNEL_OPTIONS: Final = (
    ("grpc.primary_user_agent", f"OTel-OTLP-Exporter-Python/{exporter_version}"),
    # Otherwise channels to one target share their connections, and a back-off of up to two minutes
    # after the target was down. Ours connects anew at each send: the outbox knows when.
    ("grpc.use_local_subchannel_pool", 1),
)

_HTTP_STATUS: Final = re.compile(r"Received http2 header with status: (\d+)")
"""gRPC's own words for an HTTP status that is not 200. It comes from a proxy or another service."""

_NOT_FROM_THE_SERVICE: Final = re.compile(
    r"Stream removed|RST_STREAM|No status received|Exception deserializing response|"
    r"Compression bit set|CLIENT: Received"
)
"""gRPC's own words for an answer that broke off, that cannot be read, or that is not gRPC. It calls them
UNKNOWN, INTERNAL or RESOURCE_EXHAUSTED, and servers use the same codes for what they refuse."""

_NOT_SENT_FAULT: Final = {
    "Failed to create channel": DestinationFault.ADDRESS,
    "Invalid metadata": DestinationFault.CREDENTIALS,
}
_NOT_SENT: Final = re.compile("|".join(_NOT_SENT_FAULT))
"""gRPC's own words for a request that it did not even try."""


class GrpcSender:
    """A `Sender` for grpc."""

    def __init__(
        self, destination: Destination, to_sdk_span: Callable[[Span], ReadableSpan]
    ) -> None:
        self._destination = destination
        self._to_sdk_span = to_sdk_span
        self._client = _Client(destination, TraceServiceStub)

    def send(self, spans: Sequence[Span], *, timeout_s: float | None = None) -> Receipt:
        limit_s = self._destination.timeout_s
        if timeout_s is not None:
            limit_s = min(limit_s, timeout_s)
        try:
            request = encode_spans(SdkSpans(spans, self._to_sdk_span))
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the receipt
            reason = self._client.log_text(f"cannot be encoded: {error}")
            return Receipt(verdict=Verdict.BAD_REQUEST, reason=reason)
        return self._client.send(
            request, limit_s, lambda answer: (answer.rejected_spans, len(spans), "spans")
        )

    def close(self) -> None:
        self._client.close()


class GrpcMetricsSender:
    """A `MetricsSender` for grpc."""

    def __init__(self, destination: Destination) -> None:
        self._client = _Client(destination, MetricsServiceStub)

    def send(self, request: bytes, *, points: int, timeout_s: float) -> Receipt:
        message = ExportMetricsServiceRequest.FromString(request)
        return self._client.send(
            message, timeout_s, lambda answer: (answer.rejected_data_points, points, "points")
        )

    def close(self) -> None:
        self._client.close()


class _Client:
    """Calls one of the OTLP services of a destination."""

    def __init__(self, destination: Destination, stub: Callable[[grpc.Channel], Any]) -> None:
        self._destination = destination
        self._stub = stub
        self.log_text = log_text_for(destination)
        self._channel: grpc.Channel | None = None

    def send(
        self, request: Any, limit_s: float, counts: Callable[[Any], tuple[int, int, str]]
    ) -> Receipt:
        """Make one request. `counts` returns, of its `partial_success`, how many were rejected, of how
        many, and of what."""
        try:
            response = self._export(request, limit_s)
        except grpc.RpcError as error:
            self.close()  # a channel that failed would wait by itself before it connects again
            return _receipt_of_error(error, self.log_text, limit_s, self._proxy())
        except _UnusableFileError as error:
            reason = self.log_text(str(error))
            fault = DestinationFault.LOCAL_FILE
            return Receipt(verdict=Verdict.RETRY, reason=reason, fault=fault)
        except OSError as error:  # a certificate file
            reason = self.log_text(f"{type(error).__name__}: {error}")
            fault = DestinationFault.LOCAL_FILE
            return Receipt(verdict=Verdict.RETRY, reason=reason, fault=fault)
        except (ValueError, TypeError) as error:  # a header
            reason = self.log_text(f"{type(error).__name__}: {error}")
            return Receipt(verdict=Verdict.RETRY, reason=reason)
        if response is None:  # the status came from a proxy: no service has answered
            reason = "gRPC OK, but without an answer: is this an OTLP endpoint?"
            fault = DestinationFault.NOT_OTLP
            return Receipt(verdict=Verdict.RETRY, reason=reason, fault=fault)
        partial = response.partial_success
        rejected, sent, noun = counts(partial)
        message = self.log_text(partial.error_message)
        return receipt_of_success(rejected, message, sent=sent, noun=noun)

    def _export(self, request: Any, limit_s: float) -> Any:
        """Return the service's answer, or None for a status 0 without any message."""
        if self._channel is None:
            self._channel = _open_channel(self._destination)
        return self._stub(self._channel).Export(
            request, metadata=self._destination.headers, timeout=limit_s
        )

    def _proxy(self) -> str | None:
        return proxy_of(self._destination.endpoint)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _open_channel(destination: Destination) -> grpc.Channel:
    """Open a channel by the official exporter's rules: `https` is TLS, `http` is not, and a bare target
    is TLS unless `insecure` says otherwise.

    Raises OSError for a certificate file that cannot be read, and `_UnusableFileError` for one that
    must not be given to gRPC.
    """
    url = urlparse(destination.endpoint)
    target = url.netloc or destination.endpoint
    gzip = destination.compression == "gzip"
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    insecure = url.scheme == "http" if destination.insecure is None else destination.insecure
    if insecure and url.scheme != "https":
        return grpc.insecure_channel(target, options=_CHANNEL_OPTIONS, compression=compression)
    return grpc.secure_channel(
        target, _credentials(destination), options=_CHANNEL_OPTIONS, compression=compression
    )


def _credentials(destination: Destination) -> grpc.ChannelCredentials:
    authority = _pem(destination.certificate) or authorities_for_grpc()
    key, chain = _pem(destination.client_key), _pem(destination.client_certificate)
    if (key is None) != (chain is None):
        # Given half a pair, gRPC's C core ends the process (SIGABRT), and Hermes with it.
        raise _UnusableFileError(
            f"the client certificate {destination.client_certificate} has no key: set client_key"
            " too (it may be the same file); gRPC was not tried without"
            if key is None
            else f"the client key {destination.client_key} has no certificate: set"
            " client_certificate too; gRPC was not tried without"
        )
    return grpc.ssl_channel_credentials(
        root_certificates=authority, private_key=key, certificate_chain=chain
    )


class _UnusableFileError(Exception):
    """A certificate or key must not reach gRPC; the text says which one, and what to do."""


def _pem(path: str | None) -> bytes | None:
    """Return the file's content. Raises `_UnusableFileError` when it holds no PEM.

    For gRPC an empty file is none at all. That would leave half of a pair, which ends the process, or
    trust all authorities of the system in place of the given one.
    """
    if path is None:
        return None
    content = Path(path).read_bytes()
    if b"-----BEGIN " not in content:
        raise _UnusableFileError(f"{path} holds no PEM (-----BEGIN …): put the right file there")
    return content


def _receipt_of_error(
    error: Any, log_text: Callable[[str], str], limit_s: float, proxy: str | None
) -> Receipt:
    code: grpc.StatusCode = error.code()
    details = error.details() or ""
    retry_after_s = _retry_delay_s(error)
    if (trouble := explained(details, via_proxy=proxy is not None)) is not None:
        reason = log_text(f"{trouble.reason}{by_way_of(proxy)}")
        return Receipt(verdict=Verdict.RETRY, reason=reason, fault=trouble.fault)
    timed_out = code is grpc.StatusCode.DEADLINE_EXCEEDED
    words = f"no answer within {limit_s:g} s" if timed_out else details
    verdict, fault = _verdict_and_fault(code, details)
    if retry_after_s is not None and fault is DestinationFault.ACCOUNT:
        fault = DestinationFault.SERVER  # it is only overloaded
    may_wait = verdict in (Verdict.RETRY, Verdict.SERVER_ERROR)
    return Receipt(
        verdict=verdict,
        reason=log_text(f"gRPC {code.name}{': ' if words else ''}{words}{by_way_of(proxy)}"),
        fault=fault,
        retry_after_s=retry_after_s if may_wait else None,
        timed_out=timed_out,
        not_served=code is grpc.StatusCode.UNIMPLEMENTED,
    )


def _verdict_and_fault(
    code: grpc.StatusCode, details: str
) -> tuple[Verdict, DestinationFault | None]:
    if (status := _HTTP_STATUS.search(details)) is not None:
        return verdict_of_http(int(status[1])), fault_of_http(int(status[1]))
    if (unsent := _NOT_SENT.search(details)) is not None:
        return Verdict.RETRY, _NOT_SENT_FAULT[unsent[0]]
    if _NOT_FROM_THE_SERVICE.search(details):
        return Verdict.RETRY, DestinationFault.NOT_OTLP
    if code in _SIZE_STATUS and says_too_large(details):
        return Verdict.TOO_LARGE, None
    return _VERDICT.get(code, Verdict.RETRY), _FAULT.get(code, DestinationFault.SERVER)


def _retry_delay_s(error: Any) -> float | None:
    """Return the delay of the RetryInfo, which comes in the status details, or alone in a trailer of
    its own (which the official exporter reads)."""
    trailers = dict(error.trailing_metadata() or ())
    try:
        if alone := trailers.get("google.rpc.retryinfo-bin"):
            return _seconds(RetryInfo.FromString(alone))
        for detail in Status.FromString(trailers.get("grpc-status-details-bin", b"")).details:
            if detail.Is(RetryInfo.DESCRIPTOR):
                return _seconds(RetryInfo.FromString(detail.value))
    except DecodeError:
        pass  # the details cannot be read: the status stands without them
    return None


def _seconds(info: Any) -> float:
    return max(0.0, float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9))
