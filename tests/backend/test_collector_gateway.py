"""The gateway: who may send to it, and what it masks and leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import SyncReport, sync
from tests.support.collector import PROTOBUF, FaultyCollector, Point, SpanDict
from tests.support.collector_configs import (
    AGENT,
    ANY_BACKEND,
    GATEWAY,
    TOKEN,
    Surroundings,
    send_to,
    surroundings,
)
from tests.support.homes import HomeBuilder, Subagent
from tests.support.otelcol import Otelcol, otelcol
from tests.support.waiting import wait_for

SECRETS: Final = (
    "sk-proj-" + "a1B2c3D4" * 4,
    "ghp_" + "a1B2c3D4" * 4,
    "xoxb-" + "123456789012-" + "a1B2c3D4" * 2,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "hf_" + "a1B2c3D4" * 4,
    "Bearer " + "a1B2c3D4" * 3,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "somebody@example.com",
)
HARMLESS: Final = (
    "cron_6c583f72f2e8_20260131_070004",
    "task-runner: disk-check of the weekly backup (4111111111111111 bytes)",
    "0 7 * * 1-5",
    "https://api.example.com:8443/v1/chat/completions",
    "anthropic/claude-sonnet-4.5",
    "HTTP 500: upstream exploded at 2026-01-31T07:00:04.123456789Z",
    "3f9a61c000000000000000000000000f",
    "hf_hub_download_with_retries, npm_package_dependencies_typescript",
    "Basic Weekly2024Report, risk-assessment-of-the-quarter",
)

pytestmark = pytest.mark.usefixtures("otelcol_programs")


@pytest.fixture
def needs(tmp_path: Path, collector: FaultyCollector) -> Surroundings:
    return surroundings(GATEWAY, tmp_path / "gateway", backend=collector.endpoint)


@pytest.fixture
def gateway(needs: Surroundings, tmp_path: Path) -> Iterator[Otelcol]:
    with otelcol(
        tmp_path / "gateway", GATEWAY, ANY_BACKEND, environment=needs.environment
    ) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """Runs of every kind: agent, subagent, tools, script, gate, failures."""
    home = HomeBuilder(tmp_path / "home")
    began = datetime.now(UTC) - timedelta(hours=5)
    digest = home.job("digest", every_minutes=30)
    backup = home.job("backup", every_minutes=30, no_agent=True)
    inbox = home.job("inbox", every_minutes=30, script="any_mail.py")
    home.agent_run(digest, began, tools=["terminal"], subagents=[Subagent()], cost=0.01)
    home.script_run(backup, began + timedelta(minutes=1))
    home.gated_run(inbox, began + timedelta(minutes=2))
    home.agent_run(digest, began + timedelta(minutes=30), outcome="failure")
    home.script_run(backup, began + timedelta(minutes=31), outcome="failure")
    home.write()
    return home


def send(home: HomeBuilder, **destinations: Any) -> SyncReport:
    send_to(home.path, **destinations)
    return sync(Home(home.path), load_settings(home.path, {}), SyncOptions(eager=True))


# --- who may send ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_with_the_token_and_by_tls_it_takes_everything(
    home: HomeBuilder,
    gateway: Otelcol,
    needs: Surroundings,
    collector: FaultyCollector,
    protocol: str,
) -> None:
    endpoint = gateway.grpc_endpoint if protocol == "grpc" else gateway.http_endpoint
    report = send(home, gateway={"endpoint": endpoint, "protocol": protocol, **needs.destination})

    assert report.healthy
    assert {span["trace_id"] for span in collector.spans}
    assert collector.points
    headers = [one.headers for one in collector.received]
    headers += [one.headers for one in collector.metric_requests]
    assert {one["authorization"] for one in headers} == {"Bearer of-the-backend"}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("token", [None, "wrong", f"{TOKEN}x"])
def test_without_it_runs_are_refused_and_kept(
    home: HomeBuilder,
    gateway: Otelcol,
    needs: Surroundings,
    collector: FaultyCollector,
    protocol: str,
    token: str | None,
) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    endpoint = gateway.grpc_endpoint if protocol == "grpc" else gateway.http_endpoint
    destination = {"endpoint": endpoint, "protocol": protocol, **needs.destination}
    report = send(home, gateway={**destination, "headers": headers})

    assert report.destinations[0].refused == len(home.expected)
    assert collector.requests == 0
    assert collector.metric_requests == []

    send_to(home.path, gateway=destination)
    settings = load_settings(home.path, {})
    sync(Home(home.path), settings, SyncOptions(eager=True, retry_refused=True))
    assert len({span["trace_id"] for span in collector.spans}) == len(home.expected)


def test_without_tls_it_says_nothing_to_the_home(
    home: HomeBuilder, gateway: Otelcol, needs: Surroundings, collector: FaultyCollector
) -> None:
    endpoint = gateway.http_endpoint.replace("https", "http")
    report = send(home, gateway={"endpoint": endpoint, "headers": needs.destination["headers"]})

    assert report.destinations[0].sent == 0
    assert collector.requests == 0


def test_a_token_that_is_deleted_is_refused_without_a_restart(
    gateway: Otelcol, needs: Surroundings
) -> None:
    Path(needs.environment["GATEWAY_TOKENS"]).write_text("another-token\n")

    def is_refused() -> bool:
        return post(ExportTraceServiceRequest(), gateway, needs, "traces").status_code == 401

    wait_for(is_refused, what="the gateway to read the tokens again")


def test_an_agent_can_send_to_it(
    home: HomeBuilder,
    gateway: Otelcol,
    needs: Surroundings,
    collector: FaultyCollector,
    tmp_path: Path,
) -> None:
    environment = {
        "BACKEND_OTLP_ENDPOINT": gateway.http_endpoint,
        "BACKEND_AUTHORIZATION": f"Bearer {TOKEN}",
        "SSL_CERT_FILE": needs.destination["certificate"],
    }
    with otelcol(tmp_path / "agent", AGENT, ANY_BACKEND, environment=environment) as agent:
        assert send(home, agent={"endpoint": agent.http_endpoint}).healthy
        gateway.kill()
        home.script_run(next(iter(home.jobs)), datetime.now(UTC) - timedelta(minutes=5))
        home.write()
        assert send(home, agent={"endpoint": agent.http_endpoint}).destinations[0].pending == 1

    assert len({span["trace_id"] for span in collector.spans}) == len(home.expected) - 1


# --- what it masks ---------------------------------------------------------------------------------


def test_it_changes_nothing_of_what_a_real_home_sends(
    home: HomeBuilder, gateway: Otelcol, needs: Surroundings, collector: FaultyCollector
) -> None:
    with FaultyCollector() as direct:
        report = send(
            home,
            gateway={"endpoint": gateway.http_endpoint, **needs.destination},
            direct={"endpoint": direct.endpoint},
        )

        assert report.healthy
        assert spans(collector) == spans(direct)
        assert series(collector) == series(direct)


def spans(collector: FaultyCollector) -> list[SpanDict]:
    return sorted(collector.spans, key=lambda span: (span["trace_id"], span["span_id"]))


def series(collector: FaultyCollector) -> list[tuple[object, ...]]:
    """All of each point but its times, and the values that depend on them."""

    def facts(point: Point) -> tuple[object, ...]:
        value = None if "timestamp" in point.metric or "cost" in point.metric else point.value
        resource = tuple(sorted(point.resource.items()))
        return (
            *point.series, point.unit, point.kind, value, point.buckets, point.exemplars, resource,
            point.scope,
        )  # fmt: skip

    return sorted(
        (facts(point) for point in collector.points if "destination" not in str(point.series)),
        key=repr,
    )


def test_it_masks_a_secret_in_every_text(
    gateway: Otelcol, needs: Surroundings, collector: FaultyCollector
) -> None:
    for secret in SECRETS:
        text = f"before {secret} after"
        assert post(a_trace_with(text), gateway, needs, "traces").ok
        assert post(a_metric_with(text), gateway, needs, "metrics").ok

    for secret, span, point in zip(SECRETS, collector.spans, collector.points, strict=True):
        (event,) = span["events"]
        assert {
            span["name"],
            span["status_message"],
            span["attributes"]["text"],
            span["resource"]["text"],
            event["attributes"]["text"],
            point.attributes["text"],
            point.resource["text"],
        } == {"before **** after"}, secret


def test_it_leaves_a_text_without_a_secret_alone(
    gateway: Otelcol, needs: Surroundings, collector: FaultyCollector
) -> None:
    for text in HARMLESS:
        assert post(a_trace_with(text), gateway, needs, "traces").ok
        assert post(a_metric_with(text), gateway, needs, "metrics").ok

    for text, span, point in zip(HARMLESS, collector.spans, collector.points, strict=True):
        assert span["name"] == span["status_message"] == text
        assert span["attributes"] == {"text": text, "list": [text], "number": 4111111111111111}
        assert span["resource"] == point.attributes == point.resource == {"text": text}


def test_a_password_in_an_address_is_masked_with_the_name_before_it(
    gateway: Otelcol, needs: Surroundings, collector: FaultyCollector
) -> None:
    post(a_trace_with("fetch https://me:a-password@example.com/x"), gateway, needs, "traces")

    (span,) = collector.spans
    assert span["name"] == "fetch https****example.com/x"


def a_trace_with(text: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(attribute("text", text))
    span = group.scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\1" * 16, b"\2" * 8, text
    span.status.message = text
    span.events.add().attributes.append(attribute("text", text))
    span.attributes.extend(
        [
            attribute("text", text),
            KeyValue(
                key="list",
                value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=text)])),
            ),
            KeyValue(key="number", value=AnyValue(int_value=4111111111111111)),
        ]
    )
    return request


def a_metric_with(text: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.append(attribute("text", text))
    metric = group.scope_metrics.add().metrics.add(name="hermes.cron.job.info")
    point = metric.gauge.data_points.add(as_int=1, time_unix_nano=1)
    point.attributes.append(attribute("text", text))
    return request


def attribute(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))


def post(request: Message, gateway: Otelcol, needs: Surroundings, signal: str) -> requests.Response:
    return requests.post(
        f"{gateway.http_endpoint}/v1/{signal}",
        data=request.SerializeToString(),
        headers={"content-type": PROTOBUF, **needs.destination["headers"]},
        verify=needs.destination["certificate"],
        timeout=30,
    )
