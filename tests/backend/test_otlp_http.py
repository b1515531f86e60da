"""Receipts of OTLP over HTTP, against real sockets that answer all that servers answer."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
import ssl
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from cronalytics_otel.config import Destination, load_settings
from cronalytics_otel.export.acknowledgement import Receipt, Verdict
from cronalytics_otel.export.otlp.http_answer import parse_retry_after
from cronalytics_otel.export.otlp.sender import Sender, open_sender
from cronalytics_otel.model import AttributeValue, DestinationFault, SpanEvent, SpanKind, SpanLink
from tests.support.collector import (
    PROTOBUF,
    Answer,
    FaultyCollector,
    GrpcCollector,
    answer,
    drop,
    half_an_answer,
    hang,
    html,
    ok,
    partial,
    receipt_lost,
    redirect,
    status,
    trickle,
)
from tests.support.spans import TRACE_ID, make_span, make_spans

OpenSender = Callable[..., Sender]
UNREACHABLE = DestinationFault.UNREACHABLE


@pytest.fixture
def receipt_for(collector: FaultyCollector, sender_to: OpenSender) -> Callable[..., Receipt]:
    """What three spans get for an answer."""

    def send(reply: Answer, **fields: Any) -> Receipt:
        collector.answer_with(reply)
        return sender_to(collector.traces_url, **fields).send(make_spans(3))

    return send


ReceiptFor = Callable[[Answer], Receipt]


# --- what arrives --------------------------------------------------------------------------


def test_a_span_arrives_field_by_field(collector: FaultyCollector, sender_to: OpenSender) -> None:
    span = make_span(
        7,
        parent_id=6,
        kind=SpanKind.CLIENT,
        attributes={"text": "Grüße", "flag": True, "count": 3, "share": 0.5, "list": ("a", "ö")},
        error="the model answered 401",
        links=(SpanLink(trace_id=5, span_id=4, attributes={"relation": "previous"}),),
        events=(SpanEvent(name="retry", time_ns=1_750_000_001_000_000_000, attributes={"n": 1}),),
    )
    receipt = sender_to(collector.traces_url).send([span])
    assert receipt == Receipt(verdict=Verdict.ACCEPTED)
    assert collector.spans == [
        {
            "trace_id": f"{TRACE_ID:032x}",
            "span_id": "0000000000000007",
            "parent_id": "0000000000000006",
            "name": "cron job-7",
            "kind": "client",
            "start_ns": 1_750_000_000_000_000_007,
            "end_ns": 1_750_000_005_000_000_007,
            "attributes": {
                "text": "Grüße",
                "flag": True,
                "count": 3,
                "share": 0.5,
                "list": ["a", "ö"],
            },
            "status": "error",
            "status_message": "the model answered 401",
            "links": [
                {
                    "trace_id": f"{5:032x}",
                    "span_id": "0000000000000004",
                    "attributes": {"relation": "previous"},
                }
            ],
            "events": [
                {
                    "name": "retry",
                    "time_ns": 1_750_000_001_000_000_000,
                    "attributes": {"n": 1},
                }
            ],
            "resource": {"service.name": "hermes-cron"},
            "scope": {"name": "cronalytics_otel", "version": "9.8.7"},
            "schema_urls": ["https://opentelemetry.io/schemas/1.44.0"] * 2,
            "flags": 0x100,
        }
    ]


def test_a_span_without_error_has_no_status_and_a_root_no_parent(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    sender_to(collector.traces_url).send([make_span()])
    (span,) = collector.spans
    assert (span["status"], span["status_message"], span["parent_id"]) == ("unset", "", None)


@pytest.mark.parametrize("char", ["\ud800", "\0"], ids=["lone surrogate", "NUL"])
def test_a_character_that_no_text_may_contain_is_replaced_and_takes_nothing_with_it(
    collector: FaultyCollector, char: str
) -> None:
    """UTF-8 has no lone surrogates (json.loads makes them of escapes), and Postgres refuses NUL."""
    text, arrives = f"a{char}b", "a\ufffdb"
    attributes: dict[str, AttributeValue] = {"a": text, "b": (text,), "c": 1}
    span = make_span(
        name=text,
        error=text,
        attributes=attributes,
        links=(SpanLink(trace_id=5, span_id=4, attributes=attributes),),
        events=(SpanEvent(name=text, time_ns=1, attributes=attributes),),
    )
    destination = Destination(name="test", endpoint=collector.traces_url)
    sender = open_sender(destination, {"service.name": text}, scope_version="1")
    assert sender.send([span]).accepted
    sender.close()
    (arrived,) = collector.spans
    assert (arrived["name"], arrived["status_message"]) == (arrives, arrives)
    (event,), (link,) = arrived["events"], arrived["links"]
    expected = {"a": arrives, "b": [arrives], "c": 1}
    assert arrived["attributes"] == event["attributes"] == link["attributes"] == expected
    assert (event["name"], arrived["resource"]["service.name"]) == (arrives, arrives)


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compressed_spans_arrive_smaller(
    collector: FaultyCollector, sender_to: OpenSender, compression: str
) -> None:
    for kind in ("none", compression):
        assert sender_to(collector.traces_url, compression=kind).send(make_spans(50)).accepted
    plain, packed = collector.received
    assert packed.headers["content-encoding"] == compression
    assert "content-encoding" not in plain.headers
    assert packed.spans == plain.spans
    assert packed.size_bytes < plain.size_bytes / 2


def test_headers_of_the_destination_are_sent(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    headers = (("authorization", "Bearer s3cret"), ("x-scope-orgid", "Zürich"))
    sender_to(collector.traces_url, headers=headers).send([make_span()])
    sent = collector.received[0].headers
    assert sent["authorization"] == "Bearer s3cret"
    assert sent["content-type"] == PROTOBUF
    assert sent["user-agent"].startswith("OTel-OTLP-Exporter-Python/")


def test_one_connection_serves_several_requests(
    collector: FaultyCollector, sender_to: OpenSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = []
    connect = socket.socket.connect

    def counted(sock: socket.socket, address: Any) -> None:
        addresses.append(address)
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", counted)
    sender = sender_to(collector.traces_url)
    assert all(sender.send([make_span()]).accepted for _ in range(5))
    assert addresses == [("127.0.0.1", collector.port)]


# --- the environment -----------------------------------------------------------------------


def test_no_otel_variable_reaches_a_configured_destination(
    collector: FaultyCollector,
    sender_to: OpenSender,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for prefix in ("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"):
        monkeypatch.setenv(prefix + "HEADERS", "authorization=Bearer-of-another,x-other=1")
        monkeypatch.setenv(prefix + "ENDPOINT", "http://127.0.0.1:9/elsewhere")
        monkeypatch.setenv(prefix + "COMPRESSION", "gzip")
        monkeypatch.setenv(prefix + "TIMEOUT", "0.001")
        monkeypatch.setenv(prefix + "CERTIFICATE", str(tmp_path / "none.pem"))
        monkeypatch.setenv(prefix + "CLIENT_CERTIFICATE", str(tmp_path / "none.pem"))
        monkeypatch.setenv(prefix + "CLIENT_KEY", str(tmp_path / "none.pem"))
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "another")
    assert sender_to(collector.traces_url, headers=(("x-mine", "1"),)).send([make_span()]).accepted
    (request,) = collector.received
    assert request.headers["x-mine"] == "1"
    assert not {"authorization", "x-other", "content-encoding"} & set(request.headers)


def test_no_client_certificate_of_another_backend_is_offered(
    authority: trustme.CA,
    files: Callable[[trustme.Blob, str], str],
    sender_to: OpenSender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = authority.issue_cert("hermes.example")
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", files(other.private_key_and_cert_chain_pem, "o")
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", files(authority.cert_pem, "ca"))
    with FaultyCollector(tls=server_context(authority, clients=True)) as secure:
        trusting = sender_to(secure.traces_url, certificate=files(authority.cert_pem, "ca"))
        assert trusting.send([make_span()]).verdict is Verdict.RETRY
        plain = sender_to(secure.traces_url)
        assert "certificate was not accepted" in plain.send([make_span()]).reason
    assert secure.requests == 0


def test_netrc_does_not_replace_the_authorization_header(
    collector: FaultyCollector,
    sender_to: OpenSender,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    headers = (("authorization", "Bearer mine"),)
    sender_to(collector.traces_url, headers=headers).send([make_span()])
    sender_to(collector.traces_url).send([make_span()])
    first, second = collector.received
    assert first.headers["authorization"] == "Bearer mine"
    assert "authorization" not in second.headers


def test_user_information_of_the_url_is_sent_as_basic_authorization(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    url = collector.traces_url.replace("://", "://me:s%40crit@")
    sender_to(url).send([make_span()])
    assert collector.received[0].headers["authorization"] == "Basic bWU6c0Bjcml0"


def test_a_proxy_of_the_environment_is_used(
    collector: FaultyCollector, sender_to: OpenSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", collector.endpoint)
    assert sender_to("http://otel.invalid/v1/traces").send([make_span()]).accepted
    assert collector.received[0].path == "http://otel.invalid/v1/traces"


def test_settings_of_the_environment_send_as_the_specification_says(
    collector: FaultyCollector, tmp_path: Path
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint + "/",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    (destination,) = load_settings(tmp_path, environ).destinations
    sender = open_sender(destination, {}, scope_version="1")
    assert sender.send([make_span()]).accepted
    sender.close()
    (request,) = collector.received
    assert (request.path, request.headers["x-key"]) == ("/v1/traces", "a b")
    assert request.headers["content-encoding"] == "gzip"


# --- accepted, or not ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        ok(),
        answer(200, content_type="application/x-protobuf; charset=utf-8"),
        answer(200, content_type="application/protobuf"),
        answer(200),
        answer(202),
        answer(204),
        answer(200, content_type="text/plain; charset=utf-8"),
        answer(200, content_type="text/html"),
        answer(200, content_type=PROTOBUF, content_encoding="br"),
        answer(200, "null", content_type="application/json"),
        answer(200, "{}", content_type="application/json"),
        answer(200, '{"partialSuccess": {}}', content_type="application/json; charset=utf-8"),
        answer(200, '{"partialSuccess": null, "new": 1}', content_type="application/json"),
    ],
    ids=lambda reply: f"{reply.status} {reply.headers} {reply.body.decode()}",
)
def test_an_otlp_answer_is_a_receipt(receipt_for: ReceiptFor, reply: Answer) -> None:
    assert receipt_for(reply) == Receipt(verdict=Verdict.ACCEPTED)


@pytest.mark.parametrize(
    "reply",
    [
        html(200),
        html(202),
        answer(200, "OK"),
        answer(200, "OK", content_type="text/plain"),
        answer(200, "Login, please", content_type=PROTOBUF),
        answer(200, "[]", content_type="application/json"),
        answer(200, '"ok"', content_type="application/json"),
        answer(200, "true", content_type="application/json"),
        answer(200, "{}", content_type="text/plain"),
        answer(200, "null"),
        answer(200, "{", content_type="application/json"),
        answer(200, '{"error": "no such project"}', content_type="application/json"),
        answer(200, '{"partialSuccess": "yes"}', content_type="application/json"),
        answer(200, b"\n\x00" * 40_000, content_type=PROTOBUF),
        answer(200, "[" * 60_000, content_type="application/json"),
        answer(200, '{"partialSuccess":' * 3_000, content_type="application/json"),
    ],
    ids=lambda reply: f"{reply.status} {reply.headers} {reply.body[:30].decode()}",
)
def test_a_2xx_that_is_no_otlp_is_no_receipt(receipt_for: ReceiptFor, reply: Answer) -> None:
    receipt = receipt_for(reply)
    assert receipt.verdict is Verdict.RETRY
    assert "is this an OTLP endpoint?" in receipt.reason


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_no_receipt(
    collector: FaultyCollector, receipt_for: ReceiptFor, code: int
) -> None:
    with FaultyCollector() as elsewhere:
        receipt = receipt_for(redirect(f"{elsewhere.endpoint}/login?next=s3cret", code))
        assert receipt.verdict is Verdict.RETRY
        assert f"redirected to {elsewhere.endpoint}/login?next=***" in receipt.reason
    assert (elsewhere.requests, collector.requests) == (0, 1)


@pytest.mark.parametrize("as_json", [False, True])
def test_rejected_spans_are_a_partial_receipt(receipt_for: ReceiptFor, as_json: bool) -> None:
    assert receipt_for(partial(2, "too old", as_json=as_json)) == Receipt(
        verdict=Verdict.PARTIAL, reason="2 of 3 spans were rejected: too old", rejected=2
    )


def test_rejected_spans_may_be_a_json_number(receipt_for: ReceiptFor) -> None:
    content = json.dumps({"partialSuccess": {"rejectedSpans": 1}})
    receipt = receipt_for(answer(200, content, content_type="application/json"))
    assert (receipt.verdict, receipt.rejected) == (Verdict.PARTIAL, 1)


@pytest.mark.parametrize("rejected", [3, 4])
def test_when_all_spans_are_rejected_nothing_was_taken(
    receipt_for: ReceiptFor, rejected: int
) -> None:
    assert receipt_for(partial(rejected, "no quota")) == Receipt(
        verdict=Verdict.BAD_REQUEST, reason="all 3 spans were rejected: no quota"
    )


def test_a_message_without_rejected_spans_is_a_warning(receipt_for: ReceiptFor) -> None:
    assert receipt_for(partial(0, "this endpoint goes away in May")) == Receipt(
        verdict=Verdict.ACCEPTED, reason="this endpoint goes away in May"
    )


# --- other statuses ------------------------------------------------------------------------


@pytest.mark.parametrize("code", [408, 429, 502, 503, 504])
def test_a_passing_trouble_is_for_another_try(receipt_for: ReceiptFor, code: int) -> None:
    receipt = receipt_for(status(code, "busy"))
    assert receipt.verdict is Verdict.RETRY
    assert receipt.reason.startswith(f"HTTP {code} ")
    assert receipt.reason.endswith(": busy")
    assert receipt.retry_after_s is None


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (401, DestinationFault.CREDENTIALS),
        (402, DestinationFault.ACCOUNT),
        (403, DestinationFault.CREDENTIALS),
        (404, DestinationFault.ADDRESS),
        (405, DestinationFault.ADDRESS),
        (407, DestinationFault.PROXY),
        (410, DestinationFault.ADDRESS),
        (415, DestinationFault.WRONG_PROTOCOL),
        (418, DestinationFault.SERVER),
        (501, DestinationFault.ADDRESS),
    ],
)
def test_what_concerns_the_destination_is_for_another_try_and_says_what_is_wrong(
    receipt_for: ReceiptFor, code: int, fault: DestinationFault
) -> None:
    receipt = receipt_for(status(code, retry_after="3"))
    assert (receipt.verdict, receipt.fault) == (Verdict.RETRY, fault)
    assert receipt.retry_after_s == 3


@pytest.mark.parametrize("code", [500, 505, 520, 599])
def test_a_server_error_may_be_the_fault_of_either(receipt_for: ReceiptFor, code: int) -> None:
    receipt = receipt_for(status(code, retry_after="3"))
    assert (receipt.verdict, receipt.fault) == (Verdict.SERVER_ERROR, DestinationFault.SERVER)
    assert receipt.retry_after_s == 3


@pytest.mark.parametrize("code", [400, 422])
def test_a_refusal_of_the_content_is_for_good(receipt_for: ReceiptFor, code: int) -> None:
    receipt = receipt_for(status(code, retry_after="3"))
    assert (receipt.verdict, receipt.fault) == (Verdict.BAD_REQUEST, None)
    assert receipt.retry_after_s is None


@pytest.mark.parametrize("via", ["1.1 squid.corp (squid/5.7)", None])
def test_a_proxy_that_names_itself_is_named(receipt_for: ReceiptFor, via: str | None) -> None:
    receipt = receipt_for(status(403, "blocked", **({"via": via} if via else {})))
    named = f" (by way of the proxy {via})" if via else ""
    assert receipt.reason == f"HTTP 403 Forbidden: blocked{named}"


@pytest.mark.parametrize("coding", ["zstd", "br", "compress", "gzip, zstd", "deflate", "gzip"])
@pytest.mark.parametrize("content_type", [PROTOBUF, "application/json"])
def test_a_body_that_cannot_be_decoded_proves_nothing(
    receipt_for: ReceiptFor, coding: str, content_type: str
) -> None:
    """As protobuf, `\\n\\x00` is an OTLP answer: only its coding says that it means something else."""
    receipt = receipt_for(
        answer(200, b"\n\x00", content_type=content_type, content_encoding=coding)
    )
    assert (receipt.verdict, receipt.fault) == (Verdict.RETRY, DestinationFault.NOT_OTLP)
    assert f"cannot be decoded ({coding})" in receipt.reason


def test_a_coded_body_that_breaks_off_is_not_an_empty_one(receipt_for: ReceiptFor) -> None:
    begun = gzip.compress(partial(3).body)[:12]
    receipt = receipt_for(answer(200, begun, content_type=PROTOBUF, content_encoding="gzip"))
    assert receipt.verdict is Verdict.RETRY


def test_an_empty_body_may_be_coded(receipt_for: ReceiptFor) -> None:
    empty = gzip.compress(b"")
    assert receipt_for(answer(200, empty, content_type=PROTOBUF, content_encoding="gzip")).accepted


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_can_be_decoded_is_read(receipt_for: ReceiptFor, coding: str) -> None:
    pack = gzip.compress if coding == "gzip" else zlib.compress
    body = pack(partial(2, "too old").body)
    receipt = receipt_for(
        answer(200, body, content_type=PROTOBUF, content_encoding=coding, rejected=2)
    )
    assert receipt.verdict is Verdict.PARTIAL


def test_a_refusal_whose_text_cannot_be_decoded_is_shown_without_it(
    receipt_for: ReceiptFor,
) -> None:
    receipt = receipt_for(status(400, b"\x28\xb5\x2f\xfd", content_encoding="zstd"))
    assert receipt == Receipt(verdict=Verdict.BAD_REQUEST, reason="HTTP 400 Bad Request")


@pytest.mark.parametrize(
    "reply",
    [
        status(413),
        status(400, "http: request body too large"),
        status(400, Status(message="Message too large").SerializeToString(), content_type=PROTOBUF),
    ],
    ids=lambda reply: f"{reply.status} {reply.body!r}",
)
def test_too_large_is_told_apart(receipt_for: ReceiptFor, reply: Answer) -> None:
    assert receipt_for(reply).verdict is Verdict.TOO_LARGE


def test_a_request_above_the_exporters_own_limit_is_too_large(
    collector: FaultyCollector,
    sender_to: OpenSender,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    span = make_span(attributes={"content": "x" * (64 * 1024 * 1024)})
    # Exporters without that limit leave it to the server to say so.
    collector.answer_with(status(413))
    assert sender_to(collector.traces_url).send([span]).verdict is Verdict.TOO_LARGE
    assert not caplog.records


def test_a_span_that_cannot_be_encoded_is_refused_with_the_reason(
    collector: FaultyCollector, sender_to: OpenSender, caplog: pytest.LogCaptureFixture
) -> None:
    receipt = sender_to(collector.traces_url).send([make_span(start_ns=-1)])
    assert receipt.verdict is Verdict.BAD_REQUEST
    assert receipt.reason.startswith("cannot be encoded: ")
    assert collector.requests == 0
    assert not caplog.records


def test_retry_after_in_seconds_is_taken_over(receipt_for: ReceiptFor) -> None:
    assert receipt_for(status(429, retry_after="17")).retry_after_s == 17.0
    assert receipt_for(status(503, retry_after="0.5")).retry_after_s == 0.5


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:28:30 -0000", 30.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("soon", None),
        ("inf", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
        ("Fri, 31 Dec 2027 23:59:59 +99999999999999", None),
        ("9" * 5000, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_has_two_forms(value: str | None, wait_s: float | None) -> None:
    now_s = 1_445_412_480.0  # 07:28:00
    assert parse_retry_after(value, now_s) == wait_s


def test_a_date_in_retry_after_is_counted_from_now(receipt_for: ReceiptFor) -> None:
    receipt = receipt_for(status(503, retry_after="Fri, 31 Dec 2100 23:59:59 GMT"))
    assert receipt.retry_after_s is not None
    assert receipt.retry_after_s > 365 * 86400


# --- reasons -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            status(400, Status(message="bad span").SerializeToString(), content_type=PROTOBUF),
            "HTTP 400 Bad Request: bad span",
        ),
        (
            status(403, '{"code": 7, "message": "no key"}', content_type="application/json"),
            "HTTP 403 Forbidden: no key",
        ),
        (
            status(403, '{"detail": "no key"}', content_type="application/json"),
            'HTTP 403 Forbidden: {"detail": "no key"}',
        ),
        (status(400, "{", content_type="application/json"), "HTTP 400 Bad Request: {"),
        (status(401), "HTTP 401 Unauthorized"),
        (status(400, b"\xff", content_type=PROTOBUF), "HTTP 400 Bad Request"),
        (html(503), "HTTP 503 Service Unavailable: (an HTML page)"),
        (status(418, "I'm\r\n\x1b[31ma\ttea\x00pot "), "HTTP 418 I'm a Teapot: I'm [31ma tea pot"),
        (status(499, "gone"), "HTTP 499: gone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_reason_is_one_line_of_what_the_server_said(
    receipt_for: ReceiptFor, reply: Answer, reason: str
) -> None:
    assert receipt_for(reply).reason == reason


def test_json_that_nests_too_deeply_to_be_read_is_quoted(receipt_for: ReceiptFor) -> None:
    receipt = receipt_for(answer(400, "[" * 60_000, content_type="application/json"))
    assert receipt.verdict is Verdict.BAD_REQUEST
    assert receipt.reason.startswith("HTTP 400 Bad Request: [[[")


def test_a_reason_is_cut(receipt_for: ReceiptFor) -> None:
    reason = receipt_for(status(400, "x" * 100_000)).reason
    assert len(reason) == 200
    assert reason.endswith("x…")


def test_no_secret_that_a_server_repeats_is_in_a_reason(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    echo = "key hunter22 of Bearer tok3ntok3n for me:p%40ss and p@ss?apikey=qu3ry"
    collector.answer_with(status(401, echo))
    url = collector.traces_url.replace("://", "://user:p%40ss@") + "?apikey=qu3ry"
    headers = (("x-key", "hunter22"), ("authorization", "Bearer tok3ntok3n"))
    reason = sender_to(url, headers=headers).send([make_span()]).reason
    assert reason == "HTTP 401 Unauthorized: key *** of *** for me:*** and ***?apikey=***"


@pytest.mark.parametrize(
    "quoted",
    [
        lambda key: json.dumps({"error": f"bad key {key}"}),
        lambda key: json.dumps({"error": f"bad key {key}"}).replace("/", "\\/"),
        lambda key: f"bad key {key}".replace("/", "\\/"),
        lambda key: f"bad%20{quote(key)}",
        lambda key: f"bad%20{quote(key, safe='')}",
        lambda key: f"bad%20{quote(key, safe='').lower()}",
    ],
    ids=["JSON", "JSON with escaped slashes", "a part of that", "a path", "a query", "lower case"],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_no_secret_is_in_a_reason_in_whatever_form_a_server_repeats_it(
    receipt_for: Callable[..., Receipt], quoted: Callable[[str], str], content_type: str
) -> None:
    key = 'ab/cd12+34"567890/xyzq'
    reply = answer(403, quoted(key), content_type=content_type)
    reason = receipt_for(reply, headers=(("x-api-key", key),)).reason
    assert "cd12" not in reason
    assert "***" in reason


def test_no_half_of_basic_credentials_is_in_a_reason(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    credentials = b64encode(b"instance-7:glc_pass?word").decode()
    collector.answer_with(status(401, f"instance-7 may not, glc_pass?word, Basic {credentials}"))
    in_header = sender_to(
        collector.traces_url, headers=(("authorization", f"Basic {credentials}"),)
    )
    in_url = sender_to(
        collector.traces_url.replace("://", "://instance-7:glc_pass%3Fword@"),
    )
    for sender in (in_header, in_url):
        reason = sender.send([make_span()]).reason
        assert reason.startswith("HTTP 401 Unauthorized: *** may not, ***,")
        assert credentials not in reason


def test_no_secret_of_the_url_is_in_the_reason_of_a_lost_connection(
    sender_to: OpenSender, closed_port: int
) -> None:
    url = f"http://user:p4ssword@127.0.0.1:{closed_port}/v1/traces?apikey=qu3ry"
    receipt = sender_to(url).send([make_span()])
    assert (receipt.verdict, receipt.reason) == (Verdict.RETRY, "Connection refused")
    assert receipt.fault is DestinationFault.UNREACHABLE


def test_nothing_is_logged_whatever_comes_back(
    collector: FaultyCollector,
    sender_to: OpenSender,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "just-a-s3cret")
    for reply in (status(503), status(400), status(429), html(), redirect("/login"), drop()):
        collector.answer_with(reply)
        sender_to(collector.traces_url).send([make_span()])
    sender_to(f"http://127.0.0.1:{closed_port}/").send([make_span()])
    assert caplog.text == ""


# --- connections and time ------------------------------------------------------------------


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_one_request_is_made_for_one_send(
    collector: FaultyCollector, receipt_for: ReceiptFor
) -> None:
    for reply in (status(503), status(500), drop(), drop(unread=True), html()):
        collector.clear()
        receipt_for(reply)
        assert collector.requests == 1


@pytest.mark.parametrize("reply", [drop(), receipt_lost()])
def test_a_connection_that_is_lost_is_for_another_try(
    receipt_for: ReceiptFor, reply: Answer
) -> None:
    assert receipt_for(reply) == Receipt(
        verdict=Verdict.RETRY, reason="Connection reset by peer", fault=DestinationFault.CLOSED
    )


def test_a_connection_that_is_lost_while_sending_is_for_another_try(
    receipt_for: ReceiptFor,
) -> None:
    assert receipt_for(drop(unread=True)).verdict is Verdict.RETRY


def test_a_connection_that_is_closed_without_an_answer_says_so(sender_to: OpenSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say_nothing() -> None:
            connection, _ = server.accept()
            with connection:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=say_nothing)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        receipt = sender_to(url).send([make_span()])
        thread.join()
    assert receipt == Receipt(
        verdict=Verdict.RETRY,
        reason="the connection was closed without an answer",
        fault=DestinationFault.CLOSED,
    )


def test_a_grpc_port_is_told(sender_to: OpenSender) -> None:
    with GrpcCollector() as other:
        receipt = sender_to(f"{other.endpoint}/v1/traces").send([make_span()])
    assert receipt == Receipt(
        verdict=Verdict.RETRY,
        reason="its answer is not HTTP: is this a gRPC port?",
        fault=DestinationFault.WRONG_PROTOCOL,
    )


def test_an_answer_that_breaks_off_is_no_receipt(
    collector: FaultyCollector, receipt_for: ReceiptFor
) -> None:
    receipt = receipt_for(half_an_answer())
    assert receipt.verdict is Verdict.RETRY
    assert "cut off" in receipt.reason
    assert len(collector.spans) == 3


def test_a_status_counts_although_its_body_breaks_off(receipt_for: ReceiptFor) -> None:
    reply = Answer(status=400, rejected=None, body=b"bad span, because", cut_at=8)
    receipt = receipt_for(reply)
    assert receipt.verdict is Verdict.BAD_REQUEST
    assert receipt.reason == "HTTP 400 Bad Request: bad span"


def test_an_unknown_host_is_for_another_try(sender_to: OpenSender) -> None:
    receipt = sender_to("http://collector.invalid:4318/v1/traces").send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert receipt.reason


def test_an_unusable_address_is_for_another_try(sender_to: OpenSender) -> None:
    assert sender_to("ftp://127.0.0.1/").send([make_span()]).verdict is Verdict.RETRY


@pytest.mark.parametrize("reply", [hang(), hang(unread=True)])
def test_a_server_that_hangs_costs_the_timeout_and_no_more(
    receipt_for: Callable[..., Receipt], reply: Answer
) -> None:
    receipt = receipt_for(reply, timeout_s=0.3)
    assert receipt == Receipt(
        verdict=Verdict.RETRY, reason="no answer within 0.3 s", timed_out=True, fault=UNREACHABLE
    )


def test_the_timeout_of_a_call_is_used_in_place_of_the_destinations(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    collector.answer_with(hang())
    sender = sender_to(collector.traces_url, timeout_s=3600)
    assert sender.send([make_span()], timeout_s=0.2).reason == "no answer within 0.2 s"


def test_without_time_nothing_is_sent(collector: FaultyCollector, sender_to: OpenSender) -> None:
    receipt = sender_to(collector.traces_url).send([make_span()], timeout_s=0)
    assert receipt.verdict is Verdict.RETRY
    assert collector.requests == 0


def test_a_body_that_trickles_for_ever_ends_at_the_timeout(
    collector: FaultyCollector, receipt_for: Callable[..., Receipt]
) -> None:
    """Each byte comes well before a socket's time-out: only one for the whole ends this."""
    receipt = receipt_for(trickle(), timeout_s=0.5)
    assert receipt.verdict is Verdict.RETRY
    assert "cut off" in receipt.reason


@pytest.mark.parametrize(
    ("interim", "verdict"),
    [("100 Continue", Verdict.ACCEPTED), ("102 Processing", Verdict.ACCEPTED),
     ("103 Early Hints", Verdict.ACCEPTED), ("101 Switching Protocols", Verdict.RETRY)],
)  # fmt: skip
def test_what_comes_before_the_answer_is_not_taken_for_it(
    sender_to: OpenSender, interim: str, verdict: Verdict
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_twice() -> None:
            connection, _ = server.accept()
            with connection:
                _read_request(connection)
                with contextlib.suppress(OSError):  # the client may have left after the first one
                    for line in (interim, "100 Continue", interim):
                        connection.sendall(f"HTTP/1.1 {line}\r\nLink: </a>\r\n\r\n".encode())
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer_twice)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        receipt = sender_to(url).send([make_span()])
        thread.join()
    assert receipt.verdict is verdict


@pytest.mark.parametrize("interim", ["102 Processing", "103 Early Hints"])
def test_an_answer_that_comes_late_is_not_taken_for_that_of_the_next_request(
    sender_to: OpenSender, interim: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_late() -> None:
            first, _ = server.accept()
            with first:
                _read_request(first)
                first.sendall(f"HTTP/1.1 {interim}\r\n\r\n".encode())
                second, _ = server.accept()
                with second:
                    _read_request(second)
                    with contextlib.suppress(OSError):
                        first.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    second.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer_late, daemon=True)
        thread.start()
        sender = sender_to(f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces", timeout_s=1)
        assert sender.send([make_span()]).verdict is Verdict.RETRY
        receipt = sender.send([make_span()])
        thread.join(10)
    assert receipt == Receipt(verdict=Verdict.BAD_REQUEST, reason="HTTP 400 Bad Request")


def _read_request(connection: socket.socket) -> None:
    """All of it: what is left unread makes the close a reset."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields[b"content-length"]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))


def test_headers_that_trickle_for_ever_end_at_the_timeout(sender_to: OpenSender) -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle_headers() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not done.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle_headers)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        receipt = sender_to(url, timeout_s=0.5).send([make_span()])
        done.set()
        thread.join()
    assert receipt == Receipt(
        verdict=Verdict.RETRY, reason="no answer within 0.5 s", timed_out=True, fault=UNREACHABLE
    )


def test_a_server_that_reads_nothing_ends_at_the_timeout(sender_to: OpenSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # its backlog takes the connection
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        span = make_span(attributes={"content": "x" * 20_000_000})
        receipt = sender_to(url, timeout_s=0.5).send([span])
    assert receipt == Receipt(
        verdict=Verdict.RETRY, reason="no answer within 0.5 s", timed_out=True, fault=UNREACHABLE
    )


def test_a_tls_server_that_reads_nothing_ends_at_the_timeout(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    with FaultyCollector(tls=server_context(authority), always=hang(unread=True)) as secure:
        sender = sender_to(
            secure.traces_url, certificate=files(authority.cert_pem, "ca"), timeout_s=0.5
        )
        receipt = sender.send([make_span(attributes={"content": "x" * 20_000_000})])
    assert receipt == Receipt(
        verdict=Verdict.RETRY, reason="no answer within 0.5 s", timed_out=True, fault=UNREACHABLE
    )


def test_a_tls_server_that_reads_slowly_ends_at_the_timeout(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    """Each record is written well before a socket's time-out: only one for the whole ends this."""
    content = "x" * 8_000_000
    sips: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def sip() -> None:
            plain, _ = server.accept()
            with server_context(authority).wrap_socket(plain, server_side=True) as connection:
                while not done.wait(0.01):
                    try:
                        sips.append(connection.recv(16384))
                    except OSError:
                        return

        thread = threading.Thread(target=sip, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        sender = sender_to(url, certificate=files(authority.cert_pem, "ca"), timeout_s=2)
        receipt = sender.send([make_span(attributes={"content": content})])
        done.set()
        thread.join(10)
    assert receipt == Receipt(
        verdict=Verdict.RETRY, reason="no answer within 2 s", timed_out=True, fault=UNREACHABLE
    )
    assert 0 < sum(map(len, sips)) < len(content) / 2


def test_a_tls_handshake_that_hangs_ends_at_the_timeout(sender_to: OpenSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        receipt = sender_to(url, timeout_s=0.5).send([make_span()])
    assert receipt == Receipt(
        verdict=Verdict.RETRY, reason="no answer within 0.5 s", timed_out=True, fault=UNREACHABLE
    )


def test_an_address_that_is_a_black_hole_leaves_time_for_the_next(
    collector: FaultyCollector, sender_to: OpenSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def two_addresses(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "collector.test":
            return resolve(host, port, *args, **kwargs)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    with ExitStack() as opened:
        # Linux drops what comes to a full backlog: like an address where nobody answers.
        hole = opened.enter_context(socket.create_server(("127.0.0.2", collector.port), backlog=0))
        for _ in range(4):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        url = f"http://collector.test:{collector.port}/v1/traces"
        assert sender_to(url, timeout_s=4).send([make_span()]).accepted


def test_a_collector_that_comes_back_is_found_again(
    collector: FaultyCollector, sender_to: OpenSender
) -> None:
    sender = sender_to(collector.traces_url)
    assert sender.send([make_span(1)]).accepted
    collector.stop()
    assert sender.send([make_span(2)]).verdict is Verdict.RETRY
    collector.start()
    assert sender.send([make_span(2)]).accepted
    assert [span["span_id"][-1] for span in collector.spans] == ["1", "2"]


# --- TLS -----------------------------------------------------------------------------------


def server_context(authority: trustme.CA, *names: str, clients: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
    if clients:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        # With TLS 1.3 a client learns only later that its certificate was missing.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_a_certificate_of_an_authority_that_is_given_is_accepted(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    with FaultyCollector(tls=server_context(authority)) as secure:
        sender = sender_to(secure.traces_url, certificate=files(authority.cert_pem, "ca"))
        assert sender.send(make_spans(300)).accepted
    assert len(secure.spans) == 300


def test_an_unknown_certificate_is_not_accepted_and_nothing_is_sent(
    authority: trustme.CA, sender_to: OpenSender
) -> None:
    with FaultyCollector(tls=server_context(authority)) as secure:
        receipt = sender_to(secure.traces_url).send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert receipt.reason.startswith("TLS: the server's certificate was not accepted: ")
    assert secure.requests == 0


def test_a_certificate_for_another_host_is_not_accepted(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    with FaultyCollector(tls=server_context(authority, "other.example")) as secure:
        sender = sender_to(secure.traces_url, certificate=files(authority.cert_pem, "ca"))
        assert "certificate was not accepted" in sender.send([make_span()]).reason
    assert secure.requests == 0


def test_a_client_certificate_is_shown_to_who_asks_for_it(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    client = authority.issue_cert("hermes.example")
    with FaultyCollector(tls=server_context(authority, clients=True)) as secure:
        ca = files(authority.cert_pem, "ca")
        apart = sender_to(
            secure.traces_url,
            certificate=ca,
            client_certificate=files(client.cert_chain_pems[0], "cert"),
            client_key=files(client.private_key_pem, "key"),
        )
        together = sender_to(
            secure.traces_url,
            certificate=ca,
            client_certificate=files(client.private_key_and_cert_chain_pem, "both"),
        )
        without = sender_to(secure.traces_url, certificate=ca)
        assert apart.send([make_span()]).accepted
        assert together.send([make_span()]).accepted
        refused = without.send([make_span()])
        assert refused.verdict is Verdict.RETRY
        assert "Max retries" not in refused.reason
    assert len(secure.spans) == 2


def test_a_certificate_file_that_is_missing_is_for_another_try(
    authority: trustme.CA, sender_to: OpenSender, tmp_path: Path
) -> None:
    with FaultyCollector(tls=server_context(authority)) as secure:
        sender = sender_to(secure.traces_url, certificate=str(tmp_path / "not-yet.pem"))
        receipt = sender.send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert "not-yet.pem" in receipt.reason
    assert secure.requests == 0


def test_http_spoken_to_a_tls_port_and_the_reverse_are_for_another_try(
    authority: trustme.CA, collector: FaultyCollector, sender_to: OpenSender
) -> None:
    receipt = sender_to(collector.traces_url.replace("http:", "https:")).send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert receipt.reason.startswith("TLS: ")
    with FaultyCollector(tls=server_context(authority)) as secure:
        plain = sender_to(secure.traces_url.replace("https:", "http:"))
        assert plain.send([make_span()]).verdict is Verdict.RETRY
