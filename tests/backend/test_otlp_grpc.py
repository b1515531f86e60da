"""Receipts of OTLP over gRPC, against a real gRPC server."""

from __future__ import annotations

import json
import logging
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from cronalytics_otel.config.endpoints import OtlpProtocol
from cronalytics_otel.export.acknowledgement import Receipt, Verdict
from cronalytics_otel.export.otlp.sender import MissingExporterError, Sender
from cronalytics_otel.model import DestinationFault
from tests.support.collector import Answer, GrpcCollector, grpc_status, hang, ok, partial
from tests.support.spans import TRACE_ID, make_span, make_spans
from tests.support.venvs import CHECKOUT

OpenSender = Callable[..., Sender]
ReceiptFor = Callable[..., Receipt]


@pytest.fixture
def collector() -> Iterator[GrpcCollector]:
    with GrpcCollector() as running:
        yield running


@pytest.fixture
def protocol() -> OtlpProtocol:
    return "grpc"


@pytest.fixture
def receipt_for(collector: GrpcCollector, sender_to: OpenSender) -> ReceiptFor:
    """What three spans get for an answer."""

    def send(reply: Answer, **fields: Any) -> Receipt:
        collector.answer_with(reply)
        return sender_to(collector.endpoint, **fields).send(make_spans(3))

    return send


def retry_info(seconds: int, nanos: int = 0) -> Any:
    return RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))


def details(*parts: Any) -> tuple[str, bytes]:
    """The trailer that carries google.rpc.Status."""
    packed = []
    for part in parts:
        detail = AnyMessage()
        detail.Pack(part)
        packed.append(detail)
    return "grpc-status-details-bin", Status(details=packed).SerializeToString()


def test_spans_arrive_with_resource_scope_and_headers(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    sender = sender_to(collector.endpoint, headers=(("authorization", "Bearer s3cret"),))
    assert sender.send(make_spans(2)) == Receipt(verdict=Verdict.ACCEPTED)
    first, second = collector.spans
    assert (first["trace_id"], first["span_id"]) == (f"{TRACE_ID:032x}", "0000000000000001")
    assert second["name"] == "cron job-2"
    assert first["resource"] == {"service.name": "hermes-cron"}
    assert first["scope"] == {"name": "cronalytics_otel", "version": "9.8.7"}
    assert first["schema_urls"] == ["https://opentelemetry.io/schemas/1.44.0"] * 2
    (request,) = collector.received
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["user-agent"].startswith("OTel-OTLP-Exporter-Python/")


def test_gzip_is_understood_by_the_server(collector: GrpcCollector, sender_to: OpenSender) -> None:
    assert sender_to(collector.endpoint, compression="gzip").send(make_spans(50)).accepted
    assert len(collector.spans) == 50


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_target_may_have_a_scheme_or_none(
    collector: GrpcCollector, sender_to: OpenSender, scheme: str
) -> None:
    sender = sender_to(f"{scheme}127.0.0.1:{collector.port}", insecure=True)
    assert sender.send([make_span()]).accepted


def test_a_bare_target_means_tls_unless_told_otherwise(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    receipt = sender_to(f"127.0.0.1:{collector.port}").send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert collector.requests == 0


def test_no_otel_variable_reaches_a_configured_destination(
    collector: GrpcCollector, sender_to: OpenSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for prefix in ("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"):
        monkeypatch.setenv(prefix + "HEADERS", "authorization=Bearer-of-another")
        monkeypatch.setenv(prefix + "INSECURE", "false")
        monkeypatch.setenv(prefix + "TIMEOUT", "0.001")
        monkeypatch.setenv(prefix + "COMPRESSION", "nonsense")
    assert sender_to(collector.endpoint).send([make_span()]).accepted
    assert "authorization" not in collector.received[0].headers


def test_rejected_spans_are_a_partial_receipt(receipt_for: ReceiptFor) -> None:
    assert receipt_for(partial(2, "too old")) == Receipt(
        verdict=Verdict.PARTIAL, reason="2 of 3 spans were rejected: too old", rejected=2
    )


def test_when_all_spans_are_rejected_nothing_was_taken(receipt_for: ReceiptFor) -> None:
    assert receipt_for(partial(3)) == Receipt(
        verdict=Verdict.BAD_REQUEST, reason="all 3 spans were rejected"
    )


def test_a_message_without_rejected_spans_is_a_warning(receipt_for: ReceiptFor) -> None:
    assert receipt_for(partial(0, "be careful")) == Receipt(
        verdict=Verdict.ACCEPTED, reason="be careful"
    )


@pytest.mark.parametrize(
    "code",
    ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"],
)
def test_a_passing_trouble_is_for_another_try(receipt_for: ReceiptFor, code: str) -> None:
    receipt = receipt_for(grpc_status(code, "busy"))
    assert receipt.verdict is Verdict.RETRY
    assert receipt.reason.startswith(f"gRPC {code}: ")
    assert receipt.retry_after_s is None


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("NOT_FOUND", DestinationFault.ADDRESS),
        ("PERMISSION_DENIED", DestinationFault.CREDENTIALS),
        ("RESOURCE_EXHAUSTED", DestinationFault.ACCOUNT),
        ("UNAUTHENTICATED", DestinationFault.CREDENTIALS),
        ("UNIMPLEMENTED", DestinationFault.ADDRESS),
    ],
)
def test_what_concerns_the_destination_is_for_another_try_and_says_what_is_wrong(
    receipt_for: ReceiptFor, code: str, fault: DestinationFault
) -> None:
    assert receipt_for(grpc_status(code, "no")) == Receipt(
        verdict=Verdict.RETRY,
        reason=f"gRPC {code}: no",
        fault=fault,
        not_served=code == "UNIMPLEMENTED",
    )


@pytest.mark.parametrize("code", ["INTERNAL", "UNKNOWN"])
def test_a_server_error_may_be_the_fault_of_either(receipt_for: ReceiptFor, code: str) -> None:
    assert receipt_for(grpc_status(code, "no")) == Receipt(
        verdict=Verdict.SERVER_ERROR, reason=f"gRPC {code}: no", fault=DestinationFault.SERVER
    )


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION"])
def test_a_refusal_of_the_content_is_for_good(receipt_for: ReceiptFor, code: str) -> None:
    assert receipt_for(grpc_status(code, "no")) == Receipt(
        verdict=Verdict.BAD_REQUEST, reason=f"gRPC {code}: no"
    )


@pytest.mark.parametrize(
    "trailer",
    [
        details(Status(message="another detail"), retry_info(2, 500_000_000)),
        ("google.rpc.retryinfo-bin", retry_info(2, 500_000_000).SerializeToString()),
    ],
    ids=["status details", "trailer"],
)
@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_retry_info_says_when_and_makes_a_full_server_worth_another_try(
    receipt_for: ReceiptFor, code: str, trailer: tuple[str, bytes]
) -> None:
    receipt = receipt_for(grpc_status(code, "slow down", [trailer]))
    assert receipt == Receipt(
        verdict=Verdict.RETRY,
        reason=f"gRPC {code}: slow down",
        fault=DestinationFault.SERVER,
        retry_after_s=2.5,
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Of HTTP/2."""
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def headers_frame(status: int, *fields: tuple[str, str], last: bool = True) -> bytes:
    """A HEADERS frame: the status as the server's own, the fields as they are."""
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in ((":status", str(status)), *fields)
    )
    return frame(1, 5 if last else 4, 1, block)


@pytest.fixture
def receipt_for_frames(sender_to: OpenSender) -> Iterator[Callable[[bytes], Receipt]]:
    """What a span gets from a server that says just these frames to a request."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as ends:

        def receipt_for(frames: bytes) -> Receipt:
            def answer() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(frame(4, 0, 0, b"") + frame(4, 1, 0, b""))
                    received = b""
                    while b"hermes-cron" not in received:
                        received += connection.recv(65536)
                    connection.sendall(frames)
                    while connection.recv(65536):  # until the sender leaves
                        pass

            thread = threading.Thread(target=answer)
            thread.start()
            sender = sender_to(f"http://127.0.0.1:{server.getsockname()[1]}")
            receipt = sender.send([make_span()])
            sender.close()
            ends.callback(thread.join)
            return receipt

        yield receipt_for


GRPC_TYPE = ("content-type", "application/grpc")


def test_a_status_of_success_without_an_answer_is_no_receipt(
    receipt_for_frames: Callable[[bytes], Receipt],
) -> None:
    receipt = receipt_for_frames(headers_frame(200, GRPC_TYPE, ("grpc-status", "0")))
    assert receipt.verdict is Verdict.RETRY
    assert "is this an OTLP endpoint?" in receipt.reason


@pytest.mark.parametrize("http_status", [204, 302, 408, 429, 502, 503, 504])
def test_what_a_proxy_says_in_place_of_the_server_is_for_another_try(
    receipt_for_frames: Callable[[bytes], Receipt], http_status: int
) -> None:
    page = ("content-type", "text/html")
    receipt = receipt_for_frames(headers_frame(http_status, page))
    assert receipt.verdict is Verdict.RETRY
    assert str(http_status) in receipt.reason


@pytest.mark.parametrize(
    ("http_status", "verdict"),
    [
        (400, Verdict.BAD_REQUEST),
        (401, Verdict.RETRY),
        (403, Verdict.RETRY),
        (404, Verdict.RETRY),
        (405, Verdict.RETRY),
        (413, Verdict.TOO_LARGE),
        (500, Verdict.SERVER_ERROR),
    ],
)
def test_an_http_status_means_over_grpc_what_it_means_over_http(
    receipt_for_frames: Callable[[bytes], Receipt], http_status: int, verdict: Verdict
) -> None:
    assert receipt_for_frames(headers_frame(http_status)).verdict is verdict


OPEN = headers_frame(200, GRPC_TYPE, last=False)
NO_RECEIPT = {
    "a web page": headers_frame(200, ("content-type", "text/html"), last=False)
    + frame(0, 1, 1, b"<html>Log in</html>"),
    "no status": headers_frame(200, GRPC_TYPE),
    "no status after the answer": OPEN + frame(0, 1, 1, bytes(5)),
    "an answer that is no OTLP": OPEN
    + frame(0, 0, 1, b"\0\0\0\0\x03\xff\xff\xff")
    + headers_frame(200, ("grpc-status", "0")),
    "an answer without end": OPEN + frame(0, 0, 1, b"\0\x7f\xff\xff\xffxx"),
    "an answer that breaks off": OPEN + frame(3, 0, 1, struct.pack(">I", 2)),
    "a reset": frame(3, 0, 1, struct.pack(">I", 11)),
}


@pytest.mark.parametrize("frames", NO_RECEIPT.values(), ids=NO_RECEIPT.keys())
def test_an_answer_that_is_none_of_otlp_is_for_another_try(
    receipt_for_frames: Callable[[bytes], Receipt], frames: bytes
) -> None:
    assert receipt_for_frames(frames).verdict is Verdict.RETRY


def test_a_target_that_is_none_is_for_another_try(sender_to: OpenSender) -> None:
    receipt = sender_to("ipv4:127.0.0.1:99999", insecure=True).send([make_span()])
    assert receipt.verdict is Verdict.RETRY


def test_details_that_cannot_be_read_are_as_none(receipt_for: ReceiptFor) -> None:
    trailer = ("grpc-status-details-bin", b"\xff\xff")
    receipt = receipt_for(grpc_status("RESOURCE_EXHAUSTED", "full", [trailer]))
    assert (receipt.verdict, receipt.retry_after_s) == (Verdict.RETRY, None)
    assert receipt.reason == "gRPC RESOURCE_EXHAUSTED: full"


def test_a_message_that_the_server_finds_too_large_is_told_apart(sender_to: OpenSender) -> None:
    with GrpcCollector(max_message_bytes=1000) as small:
        receipt = sender_to(small.endpoint).send(make_spans(100))
    assert receipt.verdict is Verdict.TOO_LARGE


def test_too_large_is_told_apart_in_the_words_of_rust_servers(receipt_for: ReceiptFor) -> None:
    message = "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304"
    assert receipt_for(grpc_status("OUT_OF_RANGE", message)).verdict is Verdict.TOO_LARGE


def test_a_span_that_cannot_be_encoded_is_refused_with_the_reason(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    receipt = sender_to(collector.endpoint).send([make_span(start_ns=-1)])
    assert receipt.verdict is Verdict.BAD_REQUEST
    assert receipt.reason.startswith("cannot be encoded: ")
    assert collector.requests == 0


def test_a_server_that_hangs_costs_the_timeout_and_no_more(receipt_for: ReceiptFor) -> None:
    assert receipt_for(hang(), timeout_s=0.3) == Receipt(
        verdict=Verdict.RETRY,
        reason="gRPC DEADLINE_EXCEEDED: no answer within 0.3 s",
        fault=DestinationFault.UNREACHABLE,
        timed_out=True,
    )


def test_the_timeout_of_a_call_is_used_in_place_of_the_destinations(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    collector.answer_with(hang())
    sender = sender_to(collector.endpoint, timeout_s=3600)
    assert "within 0.2 s" in sender.send([make_span()], timeout_s=0.2).reason


def test_a_collector_that_comes_back_is_found_at_the_next_send(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    """A channel alone would wait a second and more before it connects again."""
    sender = sender_to(collector.endpoint)
    assert sender.send([make_span(1)]).accepted
    collector.stop()
    for _ in range(3):
        assert sender.send([make_span(2)]).verdict is Verdict.RETRY
    collector.start()
    assert sender.send([make_span(2)]).accepted
    assert [span["span_id"][-1] for span in collector.spans] == ["1", "2"]


def test_a_sender_works_again_after_an_error(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    collector.answer_next(grpc_status("UNAVAILABLE"), grpc_status("INTERNAL"), ok())
    sender = sender_to(collector.endpoint)
    verdicts = [sender.send([make_span()]).verdict for _ in range(3)]
    assert verdicts == [Verdict.RETRY, Verdict.SERVER_ERROR, Verdict.ACCEPTED]
    assert collector.requests == 3


def test_no_secret_that_a_server_repeats_is_in_a_reason(
    collector: GrpcCollector, sender_to: OpenSender
) -> None:
    collector.answer_with(grpc_status("UNAUTHENTICATED", "bad key tok3ntok3n\n"))
    headers = (("authorization", "Bearer tok3ntok3n"),)
    receipt = sender_to(collector.endpoint, headers=headers).send([make_span()])
    assert receipt.reason == "gRPC UNAUTHENTICATED: bad key ***"


def test_nothing_is_logged_whatever_comes_back(
    collector: GrpcCollector, sender_to: OpenSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for code in ("UNAVAILABLE", "INTERNAL"):
        collector.answer_with(grpc_status(code))
        sender_to(collector.endpoint).send([make_span()])
    assert caplog.text == ""


def test_where_grpc_cannot_be_imported_the_error_says_what_to_do(
    sender_to: OpenSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The import fails as it does where gRPC is not installed."""
    monkeypatch.delitem(sys.modules, "cronalytics_otel.export.otlp.grpc", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(
        MissingExporterError,
        match=r"'test' uses gRPC, which needs `pip install 'opentelemetry-exporter-otlp-proto-grpc>"
        r"=1.30,<2'` \(.*grpc.*\); where that is no help, set its protocol to http/protobuf",
    ):
        sender_to("http://127.0.0.1:4317")


# --- TLS -----------------------------------------------------------------------------------


def server_identity(authority: trustme.CA) -> tuple[bytes, bytes]:
    server = authority.issue_cert("localhost", "127.0.0.1")
    chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
    return server.private_key_pem.bytes(), chain


def test_a_certificate_of_an_authority_that_is_given_is_accepted(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    with GrpcCollector(tls=server_identity(authority)) as secure:
        sender = sender_to(secure.endpoint, certificate=files(authority.cert_pem, "ca"))
        assert sender.send([make_span()]).accepted


def test_an_unknown_certificate_is_not_accepted_even_with_insecure_set(
    authority: trustme.CA, sender_to: OpenSender
) -> None:
    """`insecure` is for bare targets: https stays TLS, and verified."""
    with GrpcCollector(tls=server_identity(authority)) as secure:
        receipt = sender_to(secure.endpoint, insecure=True).send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert secure.requests == 0


def test_a_client_certificate_is_shown_to_who_asks_for_it(
    authority: trustme.CA, files: Callable[[trustme.Blob, str], str], sender_to: OpenSender
) -> None:
    client = authority.issue_cert("hermes.example")
    clients = authority.cert_pem.bytes()
    with GrpcCollector(tls=(*server_identity(authority), clients)) as secure:
        ca = files(authority.cert_pem, "ca")
        with_key = sender_to(
            secure.endpoint,
            certificate=ca,
            client_certificate=files(client.cert_chain_pems[0], "cert"),
            client_key=files(client.private_key_pem, "key"),
        )
        assert with_key.send([make_span()]).accepted
        both = files(client.private_key_and_cert_chain_pem, "both")
        in_one = {"certificate": ca, "client_certificate": both, "client_key": both}
        assert sender_to(secure.endpoint, **in_one).send([make_span()]).accepted
        assert sender_to(secure.endpoint, certificate=ca).send([make_span()]).verdict is (
            Verdict.RETRY
        )
    assert len(secure.spans) == 2


def test_a_certificate_file_that_is_missing_is_for_another_try(
    authority: trustme.CA, sender_to: OpenSender, tmp_path: Path
) -> None:
    with GrpcCollector(tls=server_identity(authority)) as secure:
        missing = str(tmp_path / "not-yet.pem")
        receipt = sender_to(secure.endpoint, certificate=missing).send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert "not-yet.pem" in receipt.reason


SEND_ONCE = """
import json, sys
from cronalytics_otel.config import Destination
from cronalytics_otel.export.otlp.sender import open_sender
from tests.support.spans import make_span

for fields in json.loads(sys.argv[1]):
    destination = Destination(name="test", protocol="grpc", timeout_s=5, **fields)
    sender = open_sender(destination, {"service.name": "hermes-cron"}, scope_version="1")
    receipt = sender.send([make_span()])
    sender.close()
    print(json.dumps([receipt.verdict, receipt.reason]), flush=True)
"""


def test_no_content_of_the_certificate_files_kills_the_process(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """gRPC's C core ends the process that hands it half a pair, and an empty file is none to it: in
    a process of its own, each content of each file beside good ones, and each half alone."""
    client = authority.issue_cert("hermes.example")
    good = {
        "certificate": authority.cert_pem.bytes(),
        "client_certificate": client.cert_chain_pems[0].bytes(),
        "client_key": client.private_key_pem.bytes(),
    }
    broken = {
        "empty": b"",
        "blank": b"\n",
        "junk": b"junk",
        "binary": bytes(range(256)),
        "cut": good["client_certificate"][:200],
        "no base64": b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        "no DER": b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        "zero first": b"\0" + good["client_certificate"],
        "of another": authority.issue_cert("another.example").private_key_pem.bytes(),
    }
    paths = {name: str(tmp_path / name) for name in (*good, *broken)}
    for name, content in (good | broken).items():
        Path(paths[name]).write_bytes(content)
    whole = {name: paths[name] for name in good}
    cases = [whole]
    for field in good:
        cases.append({name: path for name, path in whole.items() if name != field})
        cases += [{**whole, field: paths[name]} for name in broken]
    for half in ("client_certificate", "client_key"):
        cases += [{"certificate": whole["certificate"], half: paths[name]} for name in broken]
    with GrpcCollector(tls=(*server_identity(authority), authority.cert_pem.bytes())) as secure:
        child = subprocess.run(
            [
                sys.executable,
                "-c",
                SEND_ONCE,
                json.dumps([{"endpoint": secure.endpoint, **case} for case in cases]),
            ],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert child.returncode == 0, child.stderr[-2000:]
    first, *others = map(json.loads, child.stdout.splitlines())
    assert first == ["accepted", ""]
    assert len(others) == len(cases) - 1
    assert {verdict for verdict, _ in others} == {"retry"}
    assert len(secure.spans) == 1


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ("client_key", "cert.pem has no key: set client_key too"),
        ("client_certificate", "key.pem has no certificate: set client_certificate too"),
    ],
)
def test_half_a_pair_is_for_another_try_and_says_what_is_missing(
    authority: trustme.CA,
    files: Callable[[trustme.Blob, str], str],
    sender_to: OpenSender,
    missing: str,
    problem: str,
) -> None:
    client = authority.issue_cert("hermes.example")
    pair = {
        "client_certificate": files(client.cert_chain_pems[0], "cert"),
        "client_key": files(client.private_key_pem, "key"),
    }
    del pair[missing]
    receipt = sender_to("https://127.0.0.1:9", **pair).send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert problem in receipt.reason


def test_a_file_without_pem_is_for_another_try_and_named(
    sender_to: OpenSender, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    receipt = sender_to("https://127.0.0.1:9", certificate=str(empty)).send([make_span()])
    assert receipt.verdict is Verdict.RETRY
    assert "empty.pem holds no PEM" in receipt.reason
