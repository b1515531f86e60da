"""Senders, and certificates for TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from cronalytics_otel.config import Destination
from cronalytics_otel.config.endpoints import OtlpProtocol
from cronalytics_otel.export.otlp.sender import Sender, open_sender


@pytest.fixture
def protocol() -> OtlpProtocol:
    """The protocol of the senders."""
    return "http/protobuf"


@pytest.fixture
def sender_to(protocol: OtlpProtocol) -> Iterator[Callable[..., Sender]]:
    """Opens senders to an endpoint and closes them; keywords are fields of the destination."""
    with ExitStack() as opened:

        def open_to(endpoint: str, **fields: Any) -> Sender:
            destination = Destination(name="test", endpoint=endpoint, protocol=protocol, **fields)
            sender = open_sender(
                destination, {"service.name": "hermes-cron"}, scope_version="9.8.7"
            )
            opened.callback(sender.close)
            return sender

        yield open_to


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that issues certificates."""
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path) -> Callable[[trustme.Blob, str], str]:
    """Writes a certificate or a key to a file of the given name, and returns its path."""

    def write(blob: trustme.Blob, name: str) -> str:
        path = tmp_path / f"{name}.pem"
        path.write_bytes(blob.bytes())
        return str(path)

    return write
