"""Which authorities are trusted: the destination's own, else those of the environment, else the system's."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from cronalytics_otel.config import Destination, NotifyTarget, load_settings
from cronalytics_otel.export.acknowledgement import Receipt
from cronalytics_otel.export.notices.pings import ping
from cronalytics_otel.export.otlp import trust
from cronalytics_otel.export.otlp.sender import open_sender
from cronalytics_otel.model import DestinationFault
from tests.support.collector import FaultyCollector, GrpcCollector
from tests.support.spans import make_span

VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)

Send = Callable[..., Receipt]
"""Sends a span with these variables in the settings."""


@pytest.fixture(params=["http/protobuf", "grpc"])
def send(
    request: pytest.FixtureRequest,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Send]:
    """To a server whose certificate `authority` has issued."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    server = authority.issue_cert("127.0.0.1")
    with ExitStack() as opened:
        if request.param == "grpc":
            chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
            grpc = GrpcCollector(tls=(server.private_key_pem.bytes(), chain))
            endpoint = opened.enter_context(grpc).endpoint
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.configure_cert(context)
            endpoint = opened.enter_context(FaultyCollector(tls=context)).endpoint

        def send(**variables: str) -> Receipt:
            environ = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
                **variables,
            }
            (destination,) = load_settings(tmp_path, environ).destinations
            return send_to(destination)

        yield send


def send_to(destination: Destination) -> Receipt:
    sender = open_sender(destination, {}, scope_version="1")
    try:
        return sender.send([make_span()])
    finally:
        sender.close()


@pytest.fixture
def trusted(authority: trustme.CA, files: Callable[[trustme.Blob, str], str]) -> str:
    return files(authority.cert_pem, "authority")


@pytest.fixture
def other(files: Callable[[trustme.Blob, str], str]) -> str:
    return files(trustme.CA().cert_pem, "other")


def is_untrusted(receipt: Receipt) -> bool:
    return receipt.fault is DestinationFault.UNTRUSTED_CERTIFICATE


def test_an_unknown_authority_is_not_trusted(send: Send) -> None:
    assert is_untrusted(send())


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_authorities_of_a_variable_are_trusted_and_no_others(
    send: Send, trusted: str, other: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(**{variable: trusted}).accepted
    monkeypatch.setenv("SSL_CERT_FILE", trusted)  # as if the system knew it
    assert is_untrusted(send(**{variable: other}))


def test_the_destinations_own_certificate_goes_before_every_variable(
    send: Send, trusted: str, other: str
) -> None:
    own = "OTEL_EXPORTER_OTLP_CERTIFICATE"
    assert send(REQUESTS_CA_BUNDLE=other, SSL_CERT_FILE=other, **{own: trusted}).accepted
    assert is_untrusted(send(REQUESTS_CA_BUNDLE=trusted, SSL_CERT_FILE=trusted, **{own: other}))


def test_the_variable_of_requests_goes_before_that_of_openssl(
    send: Send, trusted: str, other: str
) -> None:
    assert send(REQUESTS_CA_BUNDLE=trusted, SSL_CERT_FILE=other).accepted


def test_a_variable_of_the_env_file_counts_too(send: Send, trusted: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"SSL_CERT_FILE={trusted}\n")
    assert send().accepted


def test_what_the_system_knows_is_trusted(
    send: Send, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL takes this variable of the process for the system's file; the settings do not have it."""
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    assert send().accepted


def test_a_python_that_knows_no_place_of_authorities_looks_where_systems_keep_them(
    send: Send, trusted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(trust, "_BUNDLES", (str(tmp_path / "none"), trusted))
    assert send().accepted


def test_a_variable_that_names_no_file_is_reported_and_passed_over(
    trusted: str, tmp_path: Path
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:4318",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "none.pem"),
        "SSL_CERT_FILE": trusted,
    }
    settings = load_settings(tmp_path, environ)
    assert settings.destinations[0].certificate == trusted
    assert settings.problems == (
        f"REQUESTS_CA_BUNDLE: there is no file {tmp_path / 'none.pem'}; it is not used",
    )
    plain = {**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert load_settings(tmp_path, plain).problems == (), "nothing is sent by TLS"


def test_pings_trust_what_the_system_knows(
    authority: trustme.CA, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FaultyCollector(tls=context) as check:
        target = NotifyTarget(name="check", url=check.endpoint, is_ping=True)
        assert not ping(target, check.traces_url, "", timeout_s=5).accepted
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        assert "certificate" not in ping(target, check.traces_url, "", timeout_s=5).reason
