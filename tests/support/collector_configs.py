"""The Collector configurations of `collector/`, and what a test needs to run each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trustme

from tests.support.venvs import CHECKOUT

FOLDER: Final = CHECKOUT / "collector"
AGENT: Final = FOLDER / "agent.yaml"
AGENT_QUEUE: Final = FOLDER / "agent-queue.yaml"
GATEWAY: Final = FOLDER / "gateway.yaml"
BASES: Final = (AGENT, AGENT_QUEUE, GATEWAY)
"""What a Collector is started with, together with the file of a destination."""
DESTINATIONS: Final = tuple(sorted((FOLDER / "destinations").glob("*.yaml")))
ANY_BACKEND: Final = FOLDER / "destinations" / "otlp.yaml"
BACKENDS: Final = FOLDER / "backends"

TOKEN: Final = "a-token-of-the-gateway"
RETRIES_AT_ONCE: Final = {
    "exporters": {
        f"otlp_http/{signal}": {
            "retry_on_failure": {"initial_interval": "20ms", "max_interval": "50ms"}
        }
        for signal in ("traces", "metrics")
    }
}
"""For agent-queue.yaml: by default the first retry comes after five seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a configuration needs, and how a home reaches the Collector."""

    environment: Mapping[str, str]
    destination: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the plugin's destination beside the endpoint."""


def surroundings(base: Path, folder: Path, *, backend: str) -> Surroundings:
    """Make the files that a configuration reads. `backend` is the base URL for `ANY_BACKEND`."""
    environment = {
        "BACKEND_OTLP_ENDPOINT": backend,
        "BACKEND_AUTHORIZATION": "Bearer of-the-backend",
    }
    folder.mkdir(exist_ok=True)
    if base == AGENT_QUEUE:
        return Surroundings(environment=environment | {"QUEUE_DIRECTORY": str(folder / "queue")})
    if base != GATEWAY:
        return Surroundings(environment=environment)
    authority, certificate = _certificates()
    paths = {name: folder / name for name in ("tokens", "certificate.pem", "key.pem", "ca.pem")}
    paths["tokens"].write_text(f"another-token\n{TOKEN} # home one\n")
    paths["ca.pem"].write_bytes(authority.cert_pem.bytes())
    paths["key.pem"].write_bytes(certificate.private_key_pem.bytes())
    paths["certificate.pem"].write_bytes(
        b"".join(one.bytes() for one in certificate.cert_chain_pems)
    )
    return Surroundings(
        environment=environment
        | {
            "GATEWAY_TOKENS": str(paths["tokens"]),
            "GATEWAY_CERTIFICATE": str(paths["certificate.pem"]),
            "GATEWAY_KEY": str(paths["key.pem"]),
        },
        destination={
            "headers": {"authorization": f"Bearer {TOKEN}"},
            "certificate": str(paths["ca.pem"]),
        },
    )


def _certificates() -> tuple[trustme.CA, trustme.LeafCert]:
    authority = trustme.CA()
    return authority, authority.issue_cert("127.0.0.1")


def send_to(home: Path, **destinations: Mapping[str, Any]) -> None:
    """Let the plugin send what happens in a home to these destinations, by name."""
    entry = {"destinations": {name: dict(settings) for name, settings in destinations.items()}}
    config = {"plugins": {"entries": {"cronalytics-otel": entry}}}
    (home / "config.yaml").write_text(json.dumps(config))
