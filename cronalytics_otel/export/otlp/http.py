"""OTLP over HTTP: the official exporter encodes and compresses, our session sends and reads.

`OTLPSpanExporter.export` returns SUCCESS for any status from 200 to 399, never reads the body,
retries in the caller's thread and writes to the host's log. Its public `session` argument lets us
make the request ourselves. The session alone decides what is on the wire: headers, certificates
and redirects as the destination has them. So the OTEL_EXPORTER_OTLP_* variables, which the exporter
falls back to (newer versions add those headers even to given ones), reach no configured destination.
The session always returns 200 to the exporter: no retry, no log line.

The environment gives proxies. The settings say which authorities are trusted; without any, `trust.py` does.
`.netrc` is not read, because it would replace the Authorization header. TLS is always verified.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import requests
import urllib3
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.version import __version__ as exporter_version
from requests.utils import select_proxy

from ...clock import SYSTEM_CLOCK
from ...config import safe_url
from ..acknowledgement import Receipt, Verdict
from .deadline import DeadlineAdapter, remaining_s, within_deadline
from .http_answer import METRICS, HttpResponse, receipt_of
from .http_faults import explained
from .server_texts import log_text_for
from .spans import SdkSpans
from .trouble import by_way_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ...config import Destination
    from ...model import Span

MAX_ANSWER_BYTES: Final = 64 * 1024
"""A receipt takes some bytes. A longer answer is a web page, and not read to its end."""

_TALKATIVE_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.util.re",  # quotes a malformed OTEL_EXPORTER_OTLP_HEADERS, secrets and all
    "urllib3.connectionpool",  # quotes the URL, secrets and all
)


class HttpSender:
    """A `Sender` for http/protobuf."""

    def __init__(
        self, destination: Destination, to_sdk_span: Callable[[Span], ReadableSpan]
    ) -> None:
        self._destination = destination
        self._to_sdk_span = to_sdk_span
        self._log_text = log_text_for(destination)
        self._session = Session(destination)
        with quiet():
            self._exporter = OTLPSpanExporter(
                endpoint=destination.endpoint,
                certificate_file=destination.certificate,
                client_key_file=destination.client_key,
                client_certificate_file=destination.client_certificate,
                headers=dict(destination.headers),
                timeout=destination.timeout_s,
                compression=Compression(destination.compression),
                session=self._session,
            )

    def send(self, spans: Sequence[Span], *, timeout_s: float | None = None) -> Receipt:
        limit_s = self._destination.timeout_s
        if timeout_s is not None:
            limit_s = min(limit_s, timeout_s)
        readable = SdkSpans(spans, self._to_sdk_span)
        self._session.result = None
        with within_deadline(limit_s), quiet():
            try:
                self._exporter.export(readable)
            except Exception as error:  # noqa: BLE001 old versions raise what they cannot encode
                return self._unsent(error)
        result = self._session.result
        if result is None:  # the exporter could not encode the spans, or found them too large
            return self._unsent(_encoding_error(readable))
        if isinstance(result, Exception):
            return _receipt_of_error(result, limit_s, self._log_text, self._session.proxy)
        return receipt_of(
            result, sent=len(spans), log_text=self._log_text, now_s=SYSTEM_CLOCK.now_ns() / 1e9
        )

    def _unsent(self, error: Exception | None) -> Receipt:
        if error is None:
            reason = "larger than what the exporter sends at once"
            return Receipt(verdict=Verdict.TOO_LARGE, reason=reason)
        reason = self._log_text(f"cannot be encoded: {error}")
        return Receipt(verdict=Verdict.BAD_REQUEST, reason=reason)

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class HttpMetricsSender:
    """A `MetricsSender` for http/protobuf.

    A request of deltas is sent again byte by byte, so what is sent is encoded before, and no exporter is
    needed here.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._log_text = log_text_for(destination)
        self._session = Session(destination)

    def send(self, request: bytes, *, points: int, timeout_s: float) -> Receipt:
        data = _COMPRESS[self._destination.compression](request)
        with within_deadline(timeout_s), quiet():
            try:
                answer = self._session.send_data(data)
            except Exception as error:  # noqa: BLE001 - any of them is a result
                return _receipt_of_error(error, timeout_s, self._log_text, self._session.proxy)
        now_s = SYSTEM_CLOCK.now_ns() / 1e9
        return receipt_of(
            answer, sent=points, log_text=self._log_text, now_s=now_s, service=METRICS
        )

    def close(self) -> None:
        self._session.close()


_COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


# --- the request ---------------------------------------------------------------------------


class Session(requests.Session):
    """Makes requests as the destination has them.

    `result` is the server's answer, or the exception in its place. It is None when the exporter made
    no request: it could not encode the spans, or found them too large.
    """

    def __init__(self, destination: Destination) -> None:
        super().__init__()
        self.mount("http://", DeadlineAdapter())
        if destination.endpoint.startswith("https://"):
            trusts_system = destination.certificate is None
            self.mount("https://", DeadlineAdapter(trusts_system=trusts_system))
        self.result: HttpResponse | Exception | None = None
        self.proxy: str | None = None
        """The proxy of the newest request, without its credentials."""
        self._endpoint = destination.endpoint
        self._verify = destination.certificate or True
        self._certificate = (
            (destination.client_certificate, destination.client_key)
            if destination.client_certificate and destination.client_key
            else destination.client_certificate
        )
        self._request_headers = {
            "user-agent": f"OTel-OTLP-Exporter-Python/{exporter_version}",
            **dict(destination.headers),
            "content-type": "application/x-protobuf",
        }
        if destination.compression != "none":
            self._request_headers["content-encoding"] = destination.compression

    def request(self, *_args: Any, **kwargs: Any) -> requests.Response:
        """Make the request of the exporter (`post` of its older versions ends here too). Only `data`
        is used."""
        try:
            self.result = self.send_data(kwargs["data"])
        except Exception as error:  # noqa: BLE001 - any of them is a result
            self.result = error
        accepted = requests.Response()
        accepted.status_code = HTTPStatus.OK
        return accepted

    def send_data(self, data: bytes) -> HttpResponse:
        request = requests.Request(
            "POST", self._endpoint, headers=self._request_headers, data=data
        ).prepare()
        # Not prepared by the session, which would read .netrc and add cookies.
        environment = self.merge_environment_settings(
            request.url, {}, stream=True, verify=self._verify, cert=None
        )
        environment |= {"cert": self._certificate, "verify": self._verify}
        proxy = select_proxy(str(request.url), environment["proxies"])
        self.proxy = safe_url(proxy) if proxy else None
        with self.send(
            request, allow_redirects=False, timeout=remaining_s(), **environment
        ) as response:
            body, complete = _read(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            answer = HttpResponse(
                status=response.status_code,
                headers=headers,
                body=body,
                complete=complete,
                proxy=self.proxy,
            )
        if answer.status < HTTPStatus.OK:
            # Only a 101 gets here: the server has switched to a protocol that nobody asked for, so its
            # connection can carry no other request.
            self.close()
        return answer


def _receipt_of_error(
    error: Exception, limit_s: float, log_text: Callable[[str], str], proxy: str | None
) -> Receipt:
    """Return the receipt of a request without an answer."""
    trouble = explained(error, limit_s)
    return Receipt(
        verdict=Verdict.RETRY,
        reason=log_text(f"{trouble.reason}{by_way_of(proxy)}"),
        fault=trouble.fault,
        timed_out=trouble.timed_out,
    )


def _read(response: requests.Response) -> tuple[bytes, bool]:
    """Return the body, and whether it is complete. One that cannot be decoded counts as cut off."""
    body, coding = bytearray(), response.headers.get("content-encoding", "")
    try:
        while len(body) <= MAX_ANSWER_BYTES:
            piece = response.raw.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=False)
            if not piece:  # urllib3 1 does not notice by itself that more should come
                decoded = _decoded(bytes(body), coding)
                return decoded or b"", decoded is not None and not response.raw.length_remaining
            body += piece
    except (urllib3.exceptions.HTTPError, OSError, http.client.HTTPException):
        pass  # only for a 2xx does the meaning of the status depend on the body
    return b"" if coding else bytes(body[:MAX_ANSWER_BYTES]), False


def _decoded(body: bytes, coding: str) -> bytes | None:
    """Return a body without its coding; None if it cannot be decoded, or is longer than a receipt can be.

    urllib3 would return what it does not know as it is, and a stream that breaks off as an empty body.
    """
    coding = coding.strip().lower()
    if not body or coding in ("", "identity"):
        return body
    for wbits in _WBITS.get(coding, ()):
        inflater = zlib.decompressobj(wbits)
        with suppress(zlib.error):
            decoded = inflater.decompress(body, MAX_ANSWER_BYTES)
            if inflater.eof:
                return decoded
    return None


_WBITS: Final[Mapping[str, Sequence[int]]] = {
    "gzip": (31,),
    "x-gzip": (31,),
    "deflate": (15, -15),  # some servers leave out the header of zlib
}


def _encoding_error(spans: Sequence[ReadableSpan]) -> Exception | None:
    """Return why the exporter made no request: an error of the encoder, or None when it found the
    request too large."""
    try:
        encode_spans(spans).SerializePartialToString()
    except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the receipt
        return error
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' lines about this thread's requests out of the host's log: receipts hold all.

    Another user of the same exporter in the process goes on logging. The filter is never removed:
    otherwise another thread that logs just then would get a line through.
    """
    for name in _TALKATIVE_LOGGERS:
        logging.getLogger(name).addFilter(_is_of_another_thread)
    _quiet_threads.add(threading.get_ident())
    try:
        yield
    finally:
        _quiet_threads.discard(threading.get_ident())


_quiet_threads: Final[set[int]] = set()


def _is_of_another_thread(record: logging.LogRecord) -> bool:
    return record.thread not in _quiet_threads
