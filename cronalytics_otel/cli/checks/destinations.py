"""Checks of the destinations: a test span is sent to each, and its receipt is read."""

from __future__ import annotations

import secrets
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from ...about import GRPC_PACKAGE, __version__
from ...clock import SYSTEM_CLOCK
from ...config import Destination, Settings
from ...export.acknowledgement import Receipt, Verdict
from ...export.resource import current_resource, resource_as_sent
from ...host.home import Home
from ...insight.remedies import KEPT, remedy_for
from ...journal import JournalError
from ...journal.instance import read_instance
from ...model import DestinationFault, Resource, Span, SpanKind
from ...telemetry import semconv
from .. import formats
from ..errors import command
from ..sources import no_destination
from .check import Check, failed, ok, warning

_HANDSHAKE_TIMEOUT_S: Final = 2.0


def check_destinations(home: Home, settings: Settings, version: str | None) -> Iterator[Check]:
    """Send a test span to each destination. `version` is that of Hermes, for the resource."""
    if settings.disabled:
        yield warning("destinations", "OTEL_SDK_DISABLED is true: nothing is sent", "unset it")
        return
    if not settings.destinations:
        yield warning(
            "destinations",
            no_destination(settings),
            "set OTEL_EXPORTER_OTLP_ENDPOINT, or destinations in config.yaml",
        )
    try:
        instance = read_instance(home.plugin_folder)
    except JournalError:
        instance = None  # `check_instance` reports the fault
    resource = resource_as_sent(settings)(
        current_resource(home, hermes_version=version, instance=instance)
    )
    for destination in settings.destinations:
        yield _check_destination(destination, resource)


def _check_destination(destination: Destination, resource: Resource) -> Check:
    from ...export.otlp.sender import MissingExporterError, open_sender

    name, where = f"to {destination.name}", destination.safe_endpoint
    try:
        sender = open_sender(destination, dict(resource.attributes), scope_version=__version__)
    except MissingExporterError as error:
        return failed(name, str(error), f"{sys.executable} -m pip install '{GRPC_PACKAGE}'")
    started_s = SYSTEM_CLOCK.monotonic_s()
    try:
        receipt = sender.send([probe_span(SYSTEM_CLOCK.now_ns())])
    finally:
        sender.close()
    took = formats.duration(SYSTEM_CLOCK.monotonic_s() - started_s)
    if receipt.accepted:
        reason = f"; it said: {receipt.reason}" if receipt.reason else ""
        return ok(name, f"{where} took a test span in {took}{reason}")
    return failed(name, f"{where}: {receipt.reason} (after {took})", _fix(destination, receipt))


def probe_span(now_ns: int) -> Span:
    """Return a span in a trace of its own whose attributes say that it is a test."""
    return Span(
        trace_id=secrets.randbits(128) | 1,
        span_id=secrets.randbits(64) | 1,
        parent_id=None,
        name=semconv.SPAN_DOCTOR,
        kind=SpanKind.INTERNAL,
        start_ns=now_ns,
        end_ns=now_ns + 1_000_000,
        attributes={semconv.HERMES_CRON_TEST: True},
    )


def _fix(destination: Destination, receipt: Receipt) -> str:
    if receipt.verdict in (Verdict.BAD_REQUEST, Verdict.PARTIAL):
        return f"{remedy_for(receipt.fault)}; then `{command('sync --retry-refused')}`"
    fault = receipt.fault
    if fault is DestinationFault.CLOSED and _speaks_tls(destination.endpoint):
        fault = DestinationFault.TLS_REQUIRED
    return f"{remedy_for(fault)}; {KEPT}"


def _speaks_tls(endpoint: str) -> bool:
    """Return whether the port of an endpoint without TLS speaks TLS. Nothing is sent but the handshake."""
    parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    if parts.scheme == "https" or not parts.hostname or not parts.port:
        return False
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname, parts.port), _HANDSHAKE_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except (OSError, ValueError):
        return False
