"""The receipt of an HTTP answer. Only OTLP's own answer is an acceptance: other services say 200 too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ...config import safe_url
from ...model import DestinationFault
from ..acknowledgement import (
    NOT_SERVED_STATUSES,
    Receipt,
    Verdict,
    fault_of_http,
    verdict_of_http,
)
from .http_faults import wants_tls
from .server_texts import receipt_of_success, says_too_large
from .trouble import by_way_of

_PROTOBUF_TYPES: Final = frozenset({"application/x-protobuf", "application/protobuf"})
_JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A server's answer. Header names are in lower case. `complete` is False when the body was cut
    off, cannot be decoded, or is longer than a receipt can be. `proxy` is the one that the request went
    through, without its credentials."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    proxy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of the OTLP services, by what its answers look like."""

    response: type[Any]
    """The message of a success."""
    rejected: str
    """The name of the count in its `partial_success`."""
    noun: str
    """What is sent."""


TRACES: Final = Service(
    response=ExportTraceServiceResponse, rejected="rejected_spans", noun="spans"
)
METRICS: Final = Service(
    response=ExportMetricsServiceResponse, rejected="rejected_data_points", noun="points"
)


def receipt_of(
    answer: HttpResponse,
    *,
    sent: int,
    log_text: Callable[[str], str],
    now_s: float,
    service: Service = TRACES,
) -> Receipt:
    """Return what an answer means for the `sent` spans or points. `now_s` is in epoch seconds, for
    Retry-After."""
    status = answer.status
    if 200 <= status < 300:
        return _receipt_of_2xx(answer, sent, log_text, service)
    words = f"{_title(status)}{_message(answer)}"
    if 300 <= status < 400:
        to = safe_url(answer.headers.get("location", "")) or "nowhere"
        words = f"{_title(status)}: redirected to {to}, which is not followed"
    verdict, fault = _verdict_and_fault(answer)
    retry_after = answer.headers.get("retry-after")
    may_wait = verdict in (Verdict.RETRY, Verdict.SERVER_ERROR)
    return Receipt(
        verdict=verdict,
        reason=log_text(f"{words}{by_way_of(answer.proxy or _named_proxy(answer))}"),
        fault=fault,
        retry_after_s=parse_retry_after(retry_after, now_s) if may_wait else None,
        not_served=status in NOT_SERVED_STATUSES,
    )


def _named_proxy(answer: HttpResponse) -> str | None:
    """Return the proxy that names itself in an answer that denies something."""
    return answer.headers.get("via") if answer.status in _MAY_BE_OF_PROXY else None


_MAY_BE_OF_PROXY: Final = frozenset({403, 407})


def _verdict_and_fault(answer: HttpResponse) -> tuple[Verdict, DestinationFault | None]:
    status = answer.status
    if status == 400:
        text = answer.body.decode("utf-8", "replace")
        if wants_tls(text):
            return Verdict.RETRY, DestinationFault.TLS_REQUIRED
        if says_too_large(_error_text(answer)):
            return Verdict.TOO_LARGE, None
    fault = fault_of_http(status)
    if answer.proxy is not None and status in _MAY_BE_OF_PROXY:
        fault = DestinationFault.PROXY
    return verdict_of_http(status), fault


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Return the seconds to wait, from either form of RFC 9110: seconds, or an HTTP date."""
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


def _receipt_of_2xx(
    answer: HttpResponse, sent: int, log_text: Callable[[str], str], service: Service
) -> Receipt:
    """Return a receipt that accepts only with OTLP's own answer: a login page or a wrong port says 200
    too."""
    try:
        partial = _otlp_response(answer, service).partial_success
    except _NotOtlpError as error:
        words = f"{_title(answer.status)}, but {error}: is this an OTLP endpoint?"
        return Receipt(
            verdict=Verdict.RETRY,
            reason=log_text(f"{words}{by_way_of(answer.proxy)}"),
            fault=DestinationFault.NOT_OTLP,
        )
    return receipt_of_success(
        getattr(partial, service.rejected),
        log_text(partial.error_message),
        sent=sent,
        noun=service.noun,
    )


class _NotOtlpError(Exception):
    """The answer does not come from an OTLP service; the text says why."""


def _otlp_response(answer: HttpResponse, service: Service) -> Any:
    """Return OTLP's own answer. Raises `_NotOtlpError`.

    An empty body *is* such a message (with nothing rejected), whatever content type stands above it: real
    backends answer 200, 202 and 204 in this way, and no web page is empty.
    """
    response = service.response()
    media_type = _media_type(answer)
    if not answer.complete:
        coding = answer.headers.get("content-encoding")
        decoded = f", or cannot be decoded ({coding})" if coding else ""
        raise _NotOtlpError(f"its answer was cut off or too long{decoded}")
    if not answer.body:
        return response
    if media_type not in {_JSON_TYPE} | _PROTOBUF_TYPES:
        raise _NotOtlpError(f"it answered {media_type or 'without a content type'}")
    try:
        if media_type == _JSON_TYPE:
            _parse_json(answer.body, response)
        else:
            response.ParseFromString(answer.body)
    except (DecodeError, ValueError, RecursionError, json_format.ParseError) as error:
        raise _NotOtlpError(f"its {media_type} is none of OTLP") from error
    return response


def _media_type(answer: HttpResponse) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _parse_json(body: bytes, response: Any) -> None:
    """Fill `response` from JSON, in which some backends answer protobuf, most of them `{}`.

    Unknown keys are ignored, as OTLP asks for, and `null` is an empty message. An `error` under a 200 does
    not accept the spans: it raises ValueError.
    """
    content = json.loads(body)
    if content is None:
        return
    if not isinstance(content, dict) or content.get("error"):
        raise ValueError
    partial = content.get("partialSuccess")
    if partial is not None and not isinstance(partial, dict):  # json_format would accept text
        raise ValueError
    json_format.ParseDict(content, response, ignore_unknown_fields=True)


def _title(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _message(answer: HttpResponse) -> str:
    text = _error_text(answer)
    return f": {text}" if text.strip() else ""


def _error_text(answer: HttpResponse) -> str:
    """Return the message in an error's body: google.rpc.Status as OTLP has it, JSON, or plain text."""
    media_type = _media_type(answer)
    if media_type in _PROTOBUF_TYPES:
        try:
            return str(Status.FromString(answer.body).message)
        except DecodeError:
            return ""
    if media_type == "text/html":
        return "(an HTML page)"
    text = answer.body.decode("utf-8", "replace")
    return _json_message(text) if media_type == _JSON_TYPE else text


def _json_message(text: str) -> str:
    """Return the `message` of a JSON object, or the text itself."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text
    message = content.get("message") if isinstance(content, dict) else None
    return message if isinstance(message, str) else text
