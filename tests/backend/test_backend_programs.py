"""The backends that we build do what the tests of the views rely on: receive, answer, die, come back."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.alertmanager import alertmanager
from tests.support.collector import PROTOBUF, SpanDict, decode_spans
from tests.support.collector_configs import AGENT, ANY_BACKEND
from tests.support.go_programs import amtool_program
from tests.support.jaeger import jaeger
from tests.support.otelcol import otelcol
from tests.support.waiting import wait_for
from tests.support.webhook import Webhook

SERVICE = "hermes-cron"
TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")


def attribute(name: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=name, value=value)


def a_trace() -> ExportTraceServiceRequest:
    """A failed run of two spans, with an attribute of each type and a link."""
    now_ns = time.time_ns()
    texts = ArrayValue(values=[AnyValue(string_value="a"), AnyValue(string_value="b")])
    root = Span(
        trace_id=TRACE_ID,
        span_id=bytes.fromhex("00000000000000a1"),
        name="cron digest",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=now_ns - 2_000_000_001,
        end_time_unix_nano=now_ns,
        status=Status(code=Status.STATUS_CODE_ERROR, message="the model refused"),
        attributes=[
            attribute("text", AnyValue(string_value="9f3c2a")),
            attribute("failed", AnyValue(bool_value=True)),
            attribute("tokens", AnyValue(int_value=2**53 + 1)),
            attribute("cost", AnyValue(double_value=0.1)),
            attribute("skills", AnyValue(array_value=texts)),
        ],
        links=[Span.Link(trace_id=TRACE_ID[::-1], span_id=bytes(range(8)))],
    )
    child = Span(
        trace_id=TRACE_ID,
        span_id=bytes.fromhex("00000000000000a2"),
        parent_span_id=root.span_id,
        name="chat",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=root.start_time_unix_nano,
        end_time_unix_nano=now_ns,
    )
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(attribute("service.name", AnyValue(string_value=SERVICE)))
    group.scope_spans.add().spans.extend([root, child])
    return request


def send(request: ExportTraceServiceRequest, endpoint: str) -> None:
    requests.post(
        f"{endpoint}/v1/traces",
        request.SerializeToString(),
        headers={"content-type": PROTOBUF},
        timeout=30,
    ).raise_for_status()


def by_id(spans: list[SpanDict]) -> list[SpanDict]:
    return sorted(spans, key=lambda span: str(span["span_id"]))


def test_jaeger_returns_a_trace_as_it_was_sent_through_the_collector(
    otelcol_programs: None, jaeger_programs: None, tmp_path: Path
) -> None:
    trace = a_trace()
    with jaeger(tmp_path) as backend:
        environment = {"BACKEND_OTLP_ENDPOINT": backend.http_endpoint, "BACKEND_AUTHORIZATION": ""}
        with otelcol(tmp_path, AGENT, ANY_BACKEND, environment=environment) as collector:
            send(trace, collector.http_endpoint)
            assert collector.own_metric("otelcol_receiver_accepted_spans") == 2

        assert by_id(backend.trace(TRACE_ID.hex())) == decode_spans(trace)
        assert backend.trace("1" * 32) == []


def test_jaeger_with_badger_returns_lists_as_text_and_gives_links_a_type(
    jaeger_programs: None, tmp_path: Path
) -> None:
    trace = a_trace()
    root, child = decode_spans(trace)
    root["attributes"]["skills"] = '["a","b"]'
    root["links"][0]["attributes"] = {"opentracing.ref_type": "follows_from"}
    with jaeger(tmp_path, badger=True) as backend:
        send(trace, backend.http_endpoint)

        assert by_id(backend.trace(TRACE_ID.hex())) == [root, child]


@pytest.mark.parametrize("badger", [False, True])
def test_jaeger_finds_traces_by_service_span_name_and_attributes(
    jaeger_programs: None, tmp_path: Path, badger: bool
) -> None:
    with jaeger(tmp_path, badger=badger) as backend:
        send(a_trace(), backend.http_endpoint)

        assert backend.services() == [SERVICE]
        assert backend.operations(SERVICE) == ["chat", "cron digest"]
        (found,) = backend.traces(SERVICE, tags={"failed": "true", "text": "9f3c2a"})
        assert sorted(span["name"] for span in found) == ["chat", "cron digest"]
        assert len(backend.traces(SERVICE, operation="chat")) == 1
        # With badger, the attribute may be one of another span of the trace.
        of_both = backend.traces(SERVICE, operation="chat", tags={"failed": "true"})
        assert len(of_both) == (1 if badger else 0)
        assert backend.traces(SERVICE, tags={"failed": "false"}) == []


def test_a_jaeger_with_badger_has_its_traces_after_it_was_killed(
    jaeger_programs: None, tmp_path: Path
) -> None:
    with jaeger(tmp_path, badger=True) as backend:
        send(a_trace(), backend.http_endpoint)
        backend.kill()
        backend.start()

        assert len(backend.trace(TRACE_ID.hex())) == 2


def test_a_collector_can_be_killed_stopped_and_started_again_on_the_same_ports(
    otelcol_programs: None, tmp_path: Path
) -> None:
    environment = {"BACKEND_OTLP_ENDPOINT": "http://127.0.0.1:1", "BACKEND_AUTHORIZATION": ""}
    with otelcol(tmp_path, AGENT, ANY_BACKEND, environment=environment) as collector:
        endpoint = collector.http_endpoint
        collector.kill()
        with pytest.raises(requests.ConnectionError):
            requests.get(endpoint, timeout=30)
        collector.start()
        collector.restart()

        assert requests.get(endpoint, timeout=30).status_code == 404
        collector.stop()
        assert not collector.is_running
        assert collector.log.count("Everything is ready. Begin running and processing data.") == 3


def test_a_collector_that_cannot_start_says_why(otelcol_programs: None, tmp_path: Path) -> None:
    overrides = {"exporters": {"otlp_http": {"no_such_setting": 1}}}

    with (
        pytest.raises(AssertionError, match="no_such_setting"),
        otelcol(tmp_path, AGENT, ANY_BACKEND, overrides=overrides),
    ):
        pass


def test_alertmanager_sends_an_alert_to_a_webhook(
    alertmanager_programs: None, tmp_path: Path
) -> None:
    with Webhook() as webhook:
        configuration = tmp_path / "alertmanager.yml"
        receiver = {"name": "owner", "webhook_configs": [{"url": f"{webhook.url}/alert"}]}
        route = {"receiver": "owner", "group_wait": "0s"}
        configuration.write_text(yaml.safe_dump({"route": route, "receivers": [receiver]}))
        labels = {"alertname": "HermesCronJobFailed", "job_id": "9f3c2a"}
        with alertmanager(tmp_path, configuration) as alerting:
            alert = {"labels": labels, "startsAt": datetime.now(UTC).isoformat()}
            requests.post(
                f"{alerting.url}/api/v2/alerts", json=[alert], timeout=30
            ).raise_for_status()
            wait_for(lambda: webhook.requests, what="the alert")

            assert [alert.labels for alert in alerting.alerts()] == [labels]
            listed = subprocess.run(
                [amtool_program(), f"--alertmanager.url={alerting.url}", "alert", "--output=json"],
                check=True,
                capture_output=True,
            )
            assert [alert["labels"] for alert in json.loads(listed.stdout)] == [labels]
        (sent,) = webhook.requests[0].json["alerts"]
        assert sent["labels"] == labels
