"""OTLP over HTTP: the official exporter encodes and compresses, our session sends and looks.

`OTLPSpanExporter.export` answers SUCCESS for any status from 200 to 399, never reads the body,
retries in the caller's thread and logs in the host's log. Its public `session` argument lets us
make the request ourselves. The session alone decides what is on the wire: headers, certificates
and redirects as the destination has them, so that the OTEL_EXPORTER_OTLP_* variables which the
exporter falls back to (newer versions add those headers even to given ones) reach no configured
destination. To the exporter it always answers 200: no retry, no log line.

Taken from the environment: proxies, and REQUESTS_CA_BUNDLE for a destination without its own
certificate. Not taken: `.netrc`, which would replace the Authorization header. TLS is always
verified.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from ssl import SSLCertVerificationError, SSLError
from typing import TYPE_CHECKING, Any, Final

import requests
import urllib3
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.version import __version__ as exporter_version
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ...config import safe_url
from ..acknowledgement import Receipt, Verdict, verdict_of_http
from .deadline import DeadlineAdapter, deadline, remaining_s
from .replies import one_liner, receipt_of_success, says_too_large

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ...config import Destination
    from ...model import Span

MAX_ANSWER_BYTES: Final = 64 * 1024
"""A receipt is some bytes; what is longer is a page, and not read to its end."""

_PROTOBUF_TYPES: Final = frozenset({"application/x-protobuf", "application/protobuf"})
_JSON_TYPE: Final = "application/json"

_TALKATIVE_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.util.re",  # quotes a malformed OTEL_EXPORTER_OTLP_HEADERS, secrets and all
    "urllib3.connectionpool",  # quotes the URL, secrets and all
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said; `headers` in lower case. `complete` is False for a body that was cut
    off or is longer than MAX_ANSWER_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


class HttpSender:
    """A `Sender` for http/protobuf."""

    def __init__(self, destination: Destination, convert: Callable[[Span], ReadableSpan]) -> None:
        self._destination = destination
        self._convert = convert
        self._clean = one_liner(destination)
        self._session = _Session(destination)
        with _quiet():
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
        readable = [self._convert(span) for span in spans]
        self._session.outcome = None
        with deadline(limit_s), _quiet():
            try:
                self._exporter.export(readable)
            except Exception as error:  # noqa: BLE001 old versions raise what they cannot encode
                return self._unsent(error)
        outcome = self._session.outcome
        if outcome is None:
            return self._unsent(_encoding_error(readable))
        if isinstance(outcome, Exception):
            reason = self._clean(_explain(outcome, limit_s))
            return Receipt(verdict=Verdict.RETRY, reason=reason, silent=_is_silence(outcome))
        return receipt_of(outcome, sent=len(spans), clean=self._clean, now_s=time.time())

    def _unsent(self, error: Exception | None) -> Receipt:
        if error is None:
            reason = "larger than what the exporter sends at once"
            return Receipt(verdict=Verdict.TOO_LARGE, reason=reason)
        reason = self._clean(f"cannot be encoded: {error}")
        return Receipt(verdict=Verdict.REFUSED, reason=reason)

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


# --- the request ---------------------------------------------------------------------------


class _Session(requests.Session):
    """Makes the exporter's request as the destination wants it, and keeps what came of it.

    `outcome` is the server's answer, the exception that stood in its place, or None when
    nothing was asked of us.
    """

    def __init__(self, destination: Destination) -> None:
        super().__init__()
        self.mount("http://", DeadlineAdapter())
        self.mount("https://", DeadlineAdapter())
        self.outcome: Answer | Exception | None = None
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
        """The exporter's way in (`post` of older versions ends here too); only `data` is taken."""
        try:
            self.outcome = self._post(kwargs["data"])
        except Exception as error:  # noqa: BLE001 all of it is an outcome
            self.outcome = error
        taken = requests.Response()
        taken.status_code = HTTPStatus.OK
        return taken

    def _post(self, data: bytes) -> Answer:
        request = requests.Request(
            "POST", self._endpoint, headers=self._request_headers, data=data
        ).prepare()
        # Prepared apart from the session: that would look into .netrc, and add cookies.
        environment = self.merge_environment_settings(
            request.url, {}, stream=True, verify=self._verify, cert=None
        )
        environment["cert"] = self._certificate
        with self.send(
            request, allow_redirects=False, timeout=remaining_s(), **environment
        ) as response:
            body, complete = _read(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(
                status=response.status_code, headers=headers, body=body, complete=complete
            )
        if answer.status < HTTPStatus.OK:
            # http.client takes an interim answer (102, 103) for the final one, which may still come.
            # It must not be read as the answer to the next request: close all connections.
            self.close()
        return answer


def _read(response: requests.Response) -> tuple[bytes, bool]:
    """The body, and whether that is all of it."""
    body = bytearray()
    try:
        while len(body) <= MAX_ANSWER_BYTES:
            piece = response.raw.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=True)
            if not piece:  # urllib3 1 does not say by itself when there should be more
                return bytes(body), not response.raw.length_remaining
            body += piece
    except (urllib3.exceptions.HTTPError, OSError, http.client.HTTPException):
        pass  # the status was said: what it means does not hang on the rest, except for a 2xx
    return bytes(body[:MAX_ANSWER_BYTES]), False


def _encoding_error(spans: Sequence[ReadableSpan]) -> Exception | None:
    """Why the exporter made no request: what it does not encode, or (None) finds too large."""
    try:
        encode_spans(spans).SerializePartialToString()
    except Exception as error:  # noqa: BLE001 whatever it is, it goes into the receipt
        return error
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' lines of this thread out of the host's log; receipts say it all.

    Another user of the same exporter in the process goes on logging. The filter stays where it is:
    one that goes while another thread logs would let a line of that thread's through.
    """
    for name in _TALKATIVE_LOGGERS:
        logging.getLogger(name).addFilter(_is_of_another)
    _quiet_threads.add(threading.get_ident())
    try:
        yield
    finally:
        _quiet_threads.discard(threading.get_ident())


_quiet_threads: Final[set[int]] = set()


def _is_of_another(record: logging.LogRecord) -> bool:
    return record.thread not in _quiet_threads


def _explain(error: Exception, limit_s: float) -> str:
    """An exception of requests in a few words: its own text is long and quotes the URL."""
    cause = _cause(error)
    if isinstance(cause, SSLCertVerificationError):
        return f"TLS: the server's certificate was not accepted: {cause.verify_message}"
    if isinstance(cause, SSLError):
        return f"TLS: {cause.reason or cause}"
    if _is_silence(error):
        return f"no answer within {limit_s:g} s"
    if isinstance(cause, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(cause, http.client.BadStatusLine):
        return "its answer is not HTTP: is this a gRPC port?"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return f"{type(cause or error).__name__}: {cause or error}"


def _is_silence(error: Exception) -> bool:
    return isinstance(_cause(error), TimeoutError) or isinstance(error, requests.Timeout)


def _cause(error: BaseException | None) -> BaseException | None:
    """The first in the chain that is the system's, not a wrapping of requests or urllib3; some of
    theirs were never raised, and hold it as their argument."""
    wrappers = (requests.RequestException, urllib3.exceptions.HTTPError)
    while error is not None and isinstance(error, wrappers):
        held = (part for part in error.args if isinstance(part, BaseException))
        error = error.__cause__ or error.__context__ or next(held, None)
    return error


# --- the receipt ---------------------------------------------------------------------------


def receipt_of(answer: Answer, *, sent: int, clean: Callable[[str], str], now_s: float) -> Receipt:
    """What an answer means for the `sent` spans. `now_s` is epoch seconds, for Retry-After."""
    status = answer.status
    if 200 <= status < 300:
        return _receipt_of_2xx(answer, sent, clean)
    reason = clean(f"{_title(status)}{_told(answer)}")
    if 300 <= status < 400:
        to = safe_url(answer.headers.get("location", "")) or "nowhere"
        reason = clean(f"{_title(status)}: redirected to {to}, which is not followed")
    verdict = verdict_of_http(status)
    if verdict is Verdict.RETRY:
        retry_after_s = parse_retry_after(answer.headers.get("retry-after"), now_s)
        return Receipt(verdict=verdict, reason=reason, retry_after_s=retry_after_s)
    if status == 400 and says_too_large(_error_text(answer)):
        verdict = Verdict.TOO_LARGE
    return Receipt(verdict=verdict, reason=reason)


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds to wait, of both forms of RFC 9110: seconds, or an HTTP date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_s
        except (ValueError, OverflowError):  # a year or a zone beyond what a date can be
            return None
    return max(0.0, seconds) if isfinite(seconds) else None


def _receipt_of_2xx(answer: Answer, sent: int, clean: Callable[[str], str]) -> Receipt:
    """Accepted only with OTLP's own answer: a login page or a wrong port says 200 too.

    An empty body *is* an ExportTraceServiceResponse (with nothing rejected). It counts with
    OTLP's content types, and with none, as 200, 202 and 204 of real backends come; a page has
    a type of its own.
    """
    response = ExportTraceServiceResponse()
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    not_otlp = None
    if not answer.complete:
        not_otlp = "its answer was cut off or too long"
    elif media_type not in {"", _JSON_TYPE} | _PROTOBUF_TYPES or (answer.body and not media_type):
        not_otlp = f"it answered {media_type or 'without a content type'}"
    elif answer.body:
        try:
            if media_type == _JSON_TYPE:
                _parse_json(answer.body, response)
            else:
                response.ParseFromString(answer.body)
        except (DecodeError, ValueError, RecursionError, json_format.ParseError):
            not_otlp = f"its {media_type} is none of OTLP"
    if not_otlp:
        reason = clean(f"{_title(answer.status)}, but {not_otlp}: is this an OTLP endpoint?")
        return Receipt(verdict=Verdict.RETRY, reason=reason)
    partial = response.partial_success
    return receipt_of_success(partial.rejected_spans, clean(partial.error_message), sent=sent)


def _parse_json(body: bytes, response: ExportTraceServiceResponse) -> None:
    """Some backends answer JSON to protobuf, most of them `{}`; unknown keys are ignored, as
    OTLP asks for, but an `error` under a 200 is no acceptance."""
    content = json.loads(body)
    if not isinstance(content, dict) or content.get("error"):
        raise ValueError
    partial = content.get("partialSuccess")
    if partial is not None and not isinstance(partial, dict):  # json_format takes text for one
        raise ValueError
    json_format.ParseDict(content, response, ignore_unknown_fields=True)


def _title(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _told(answer: Answer) -> str:
    text = _error_text(answer)
    return f": {text}" if text.strip() else ""


def _error_text(answer: Answer) -> str:
    """What an error's body says: google.rpc.Status as OTLP has it, JSON, or plain text."""
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _PROTOBUF_TYPES:
        try:
            return str(Status.FromString(answer.body).message)
        except DecodeError:
            return ""
    if media_type == "text/html":
        return "(an HTML page)"
    text = answer.body.decode("utf-8", "replace")
    if media_type == _JSON_TYPE:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return text
        message = content.get("message") if isinstance(content, dict) else None
        return message if isinstance(message, str) else text
    return text
