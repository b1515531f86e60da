"""A real job fails, and a real Alertmanager posts to a webhook: who is paged knows where to look."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml

from tests.support.alertmanager import alertmanager
from tests.support.fake_llm import FakeModel
from tests.support.hermes import PLUGIN, HermesHome, JobSpec, hermes_with_plugin
from tests.support.jaeger import jaeger
from tests.support.otelcol import otelcol, read_yaml
from tests.support.prometheus import Prometheus, prometheus
from tests.support.waiting import wait_for
from tests.support.webhook import Webhook

pytestmark = pytest.mark.host

COLLECTOR = Path(__file__).parents[2] / "collector"
BACKENDS = COLLECTOR / "backends"
WITHIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The shipped configurations, with other ports."""

    otlp_endpoint: str
    webhook: Webhook
    prometheus: Prometheus
    jaeger_url: str


def alertmanager_configuration(folder: Path, webhook_url: str) -> Path:
    configuration = dict(read_yaml(BACKENDS / "alertmanager.yml"))
    for receiver in configuration["receivers"]:
        for one in receiver["webhook_configs"]:
            one["url"] = webhook_url
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def prometheus_configuration(folder: Path, address: str, jaeger_url: str) -> Path:
    configuration = dict(read_yaml(BACKENDS / "prometheus.yml"))
    configuration["global"]["external_labels"] = {"jaeger_url": jaeger_url}
    configuration["rule_files"] = [
        str((BACKENDS / pattern).resolve()) for pattern in configuration["rule_files"]
    ]
    (alerting,) = configuration["alerting"]["alertmanagers"]
    alerting["static_configs"] = [{"targets": [address]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


@pytest.fixture
def stack(
    jaeger_programs: None,
    otelcol_programs: None,
    prometheus_programs: None,
    alertmanager_programs: None,
    tmp_path: Path,
) -> Iterator[Stack]:
    with ExitStack() as running:
        webhook = running.enter_context(Webhook())
        alerting = running.enter_context(
            alertmanager(
                tmp_path / "alertmanager", alertmanager_configuration(tmp_path, webhook.url)
            )
        )
        traces = running.enter_context(jaeger(tmp_path / "jaeger"))
        metrics = running.enter_context(
            prometheus(tmp_path, prometheus_configuration(tmp_path, alerting.address, traces.url))
        )
        collector = running.enter_context(
            otelcol(
                tmp_path / "otelcol",
                COLLECTOR / "agent.yaml",
                COLLECTOR / "destinations" / "jaeger.yaml",
                COLLECTOR / "destinations" / "prometheus.yaml",
                environment={
                    "JAEGER_OTLP_ENDPOINT": traces.http_endpoint,
                    "PROMETHEUS_OTLP_ENDPOINT": metrics.otlp_endpoint,
                },
            )
        )
        yield Stack(
            otlp_endpoint=collector.http_endpoint,
            webhook=webhook,
            prometheus=metrics,
            jaeger_url=traces.url,
        )


@pytest.mark.usefixtures("alertmanager_programs")
def test_jobs_that_fail_all_at_once_are_one_message(tmp_path: Path) -> None:
    """Beside it stands a job of another home: its alert is sent."""
    home = {"instance": "a", "hermes_profile_name": "default"}
    alerts = [{"alertname": "HermesCronManyJobsFailing", **home}]
    for n in range(6):
        job = {**home, "hermes_cron_job_id": f"{n:04x}"}
        alerts += [
            {"alertname": "HermesCronJobFailed", **job},
            {"alertname": "HermesCronJobFailingInARow", **job},
        ]
    other = {**home, "instance": "b", "hermes_cron_job_id": "0000"}
    alerts.append({"alertname": "HermesCronJobFailed", **other})
    with Webhook() as webhook:
        configuration = alertmanager_configuration(tmp_path, webhook.url)
        with alertmanager(tmp_path / "alertmanager", configuration) as alerting:
            answer = requests.post(
                f"{alerting.url}/api/v2/alerts",
                json=[{"labels": one} for one in alerts],
                timeout=30,
            )
            answer.raise_for_status()
            wait_for(lambda: len(webhook.requests) >= 2, what="two messages")
            sent = [alert for alert in alerting.alerts() if alert.state == "active"]

        assert {(one.labels["alertname"], one.labels["instance"]) for one in sent} == {
            ("HermesCronManyJobsFailing", "a"),
            ("HermesCronJobFailed", "b"),
        }
        assert len(webhook.requests) == 2


def alerts_of(webhook: Webhook, name: str) -> list[dict[str, Any]]:
    return [
        alert
        for request in webhook.requests
        for alert in request.json["alerts"]
        if alert["labels"]["alertname"] == name
    ]


def test_a_failed_job_is_reported_within_two_minutes_with_a_way_to_its_trace(
    stack: Stack, model: FakeModel, tmp_path: Path
) -> None:
    home = HermesHome.make(tmp_path / "home", hermes_with_plugin(), model_url=model.url)
    destinations = {"collector": {"endpoint": stack.otlp_endpoint}}
    home.configure({"plugins": {"entries": {PLUGIN: {"destinations": destinations}}}})
    home.add_script("backup.sh", "echo 'no space left on device' >&2; exit 3\n")
    spec = JobSpec(name="nightly backup", schedule="every 5m", script="backup.sh", no_agent=True)
    job_id = home.create_job(spec)
    home.make_due()

    home.tick()

    (alert,) = wait_for(
        lambda: alerts_of(stack.webhook, "HermesCronJobFailed"),
        what="Alertmanager to post the alert",
        timeout_s=WITHIN_S,
    )
    assert alert["status"] == "firing"
    labels, texts = alert["labels"], alert["annotations"]
    assert (labels["severity"], labels["owner"]) == ("warning", "jobs")
    assert (labels["hermes_cron_job_id"], labels["hermes_cron_job_name"]) == (job_id, spec.name)
    profile = labels["hermes_profile_name"]
    assert texts["host"] == socket.gethostname()
    assert texts["summary"] == f"The job nightly backup of profile {profile} failed"
    assert texts["description"].startswith(
        "Failed runs since its last success, or in the last hour: 1."
    )
    assert f"`cronalytics-otel trace {job_id} --profile {profile}`" in texts["description"]
    assert texts["dashboard_url"] == (
        f"http://127.0.0.1:3000/d/cronalytics-job?var-profile={profile}&var-job={job_id}"
    )
    assert texts["runbook_url"] == "http://127.0.0.1:9090/user/HermesCronJobFailed.md"
    assert texts["tempo_url"].startswith("http://127.0.0.1:3000/explore?schemaVersion=1&panes=")
    (failed,) = found_by(texts["traces_url"], stack.jaeger_url)
    assert failed["operationName"] == "cron nightly backup"


def found_by(search_url: str, jaeger_url: str) -> list[dict[str, Any]]:
    """The root spans that Jaeger's search page at this address would list."""
    url = urlsplit(search_url)
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{jaeger_url}/search"
    answer = requests.get(f"{jaeger_url}/api/traces", parse_qs(url.query), timeout=30)
    answer.raise_for_status()
    return [
        span for trace in answer.json()["data"] for span in trace["spans"] if not span["references"]
    ]
