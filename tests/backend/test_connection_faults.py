"""`doctor` finds out what is wrong with a connection, by both protocols, and each fault has a fix of its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from cronalytics_otel.cli.checks.check import State
from cronalytics_otel.cli.checks.destinations import check_destinations
from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from tests.support.collector import FaultyCollector, GrpcCollector, status

PAST = datetime(2020, 1, 1, tzinfo=UTC)

Advice = Callable[..., tuple[str, str]]
"""Takes an endpoint, and gives what the check found, and its fix."""


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def advice(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Advice:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)

    def check(endpoint: str, **variables: str) -> tuple[str, str]:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
            **{f"OTEL_EXPORTER_OTLP_{name.upper()}": value for name, value in variables.items()},
        }
        (found,) = check_destinations(Home(tmp_path), load_settings(tmp_path, environ), None)
        assert found.state is State.FAILED
        assert found.fix is not None
        return found.detail, found.fix

    return check


@pytest.fixture
def trusted(authority: trustme.CA, files: Callable[[trustme.Blob, str], str]) -> str:
    return files(authority.cert_pem, "authority")


def serve(
    opened: ExitStack,
    protocol: str,
    authority: trustme.CA | None = None,
    *names: str,
    **validity: datetime,
) -> str:
    """Start a server, with TLS if there is an authority, and return its address without the scheme."""
    if authority is not None:
        server = authority.issue_cert(*(names or ("127.0.0.1",)), **validity)  # type: ignore[arg-type]
    if protocol == "grpc":
        chain = authority and b"".join(blob.bytes() for blob in server.cert_chain_pems)
        tls = (server.private_key_pem.bytes(), chain) if chain else None
        endpoint = opened.enter_context(GrpcCollector(tls=tls)).endpoint
    else:
        context = None
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.configure_cert(context)
        endpoint = opened.enter_context(FaultyCollector(tls=context)).endpoint
    return endpoint.partition("://")[2]


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_nobody_listens(advice: Advice, opened: ExitStack) -> None:
    taken = opened.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    detail, fix = advice(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "Connection refused" in detail
    assert fix.startswith("start the collector, or correct the host and the port of the endpoint")


def test_the_host_is_unknown(advice: Advice) -> None:
    _, fix = advice("http://collector.invalid:4318")
    assert fix.startswith("correct the host name in the endpoint")


def test_tls_to_a_port_without(advice: Advice, protocol: str, opened: ExitStack) -> None:
    _, fix = advice(f"https://{serve(opened, protocol)}")
    assert fix.startswith("begin the endpoint with http://")


def test_no_tls_to_a_port_with_it(
    advice: Advice, protocol: str, opened: ExitStack, authority: trustme.CA
) -> None:
    _, fix = advice(f"http://{serve(opened, protocol, authority)}")
    assert fix.startswith("begin the endpoint with https://")


@pytest.mark.parametrize(
    "answer",
    [
        "Client sent an HTTP request to an HTTPS server.\n",
        "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    ],
    ids=["Go", "nginx", "Apache"],
)
def test_a_server_that_says_that_it_wants_tls(
    answer: str, tmp_path: Path, collector: FaultyCollector
) -> None:
    collector.answer_with(status(400, answer, content_type="text/html"))
    settings = load_settings(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    (found,) = check_destinations(Home(tmp_path), settings, None)
    assert found.fix is not None
    assert found.fix.startswith("begin the endpoint with https://")


def test_the_certificate_is_self_signed(
    advice: Advice, protocol: str, opened: ExitStack, authority: trustme.CA
) -> None:
    detail, fix = advice(f"https://{serve(opened, protocol, authority)}")
    assert "the server's certificate was not accepted" in detail
    assert fix.startswith("name a PEM file with the authority that issued the server's certificate")


def test_the_certificate_has_expired(
    advice: Advice, protocol: str, opened: ExitStack, authority: trustme.CA, trusted: str
) -> None:
    server = serve(opened, protocol, authority, not_before=PAST, not_after=PAST + timedelta(days=1))
    _, fix = advice(f"https://{server}", certificate=trusted)
    assert fix.startswith("renew the server's certificate")


def test_the_certificate_is_for_another_host(
    advice: Advice, protocol: str, opened: ExitStack, authority: trustme.CA, trusted: str
) -> None:
    server = serve(opened, protocol, authority, "other.example")
    _, fix = advice(f"https://{server}", certificate=trusted)
    assert fix.startswith("use a host name in the endpoint")


def test_our_certificate_file_is_not_there(
    advice: Advice, protocol: str, opened: ExitStack, authority: trustme.CA, tmp_path: Path
) -> None:
    server = serve(opened, protocol, authority)
    detail, fix = advice(f"https://{server}", certificate=str(tmp_path / "none.pem"))
    assert "none.pem" in detail
    assert fix.startswith("correct the path of the certificate or key")


def test_the_port_speaks_the_other_protocol(
    advice: Advice, protocol: str, opened: ExitStack
) -> None:
    other = "http/protobuf" if protocol == "grpc" else "grpc"
    _, fix = advice(f"http://{serve(opened, other)}")
    assert fix.startswith("set `protocol` (OTEL_EXPORTER_OTLP_PROTOCOL)")


def test_a_proxy_that_is_down_is_named(advice: Advice, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://me:s3cret@127.0.0.1:9")
    detail, fix = advice("http://otel.example:4318")
    assert "by way of the proxy http://127.0.0.1:9)" in detail
    assert fix.startswith("correct the proxy")


def test_a_proxy_that_refuses_is_named(
    advice: Advice, monkeypatch: pytest.MonkeyPatch, collector: FaultyCollector
) -> None:
    collector.answer_with(status(403, "not allowed here"))
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, collector.endpoint)
    detail, fix = advice("http://otel.example:4318")
    assert f"by way of the proxy {collector.endpoint})" in detail
    assert fix.startswith("correct the proxy")


def test_a_proxy_of_tls_that_refuses_is_named(
    advice: Advice, monkeypatch: pytest.MonkeyPatch, collector: FaultyCollector
) -> None:
    for name in ("https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, collector.endpoint)
    detail, fix = advice("https://otel.example:4318")
    assert "501" in detail, "this proxy knows no CONNECT"
    assert f"by way of the proxy {collector.endpoint})" in detail
    assert fix.startswith("correct the proxy")
