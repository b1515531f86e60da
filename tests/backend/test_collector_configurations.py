"""The Collector configurations in a real Collector: they are valid, and they send what each destination wants."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import SyncReport, sync
from tests.support.collector import FaultyCollector, status
from tests.support.collector_configs import (
    AGENT,
    ANY_BACKEND,
    BASES,
    DESTINATIONS,
    FOLDER,
    send_to,
    surroundings,
)
from tests.support.go_programs import otelcol_program
from tests.support.homes import HomeBuilder
from tests.support.otelcol import Otelcol, otelcol

pytestmark = pytest.mark.usefixtures("otelcol_programs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a destination's file reads, and what its backend wants of each request."""

    environment: Mapping[str, str]
    """`{}` stands for the base URL of the backend."""
    path: str = ""
    """Before `/v1/traces`."""
    traces: Mapping[str, str] | None = field(default_factory=dict)
    """The headers; None when it takes none."""
    metrics: Mapping[str, str] | None = field(default_factory=dict)


WANTED = {
    "otlp": Wanted(
        environment={"BACKEND_OTLP_ENDPOINT": "{}/base", "BACKEND_AUTHORIZATION": "Bearer key"},
        path="/base",
        traces={"authorization": "Bearer key"},
        metrics={"authorization": "Bearer key"},
    ),
    "jaeger": Wanted(environment={"JAEGER_OTLP_ENDPOINT": "{}"}, metrics=None),
    "tempo": Wanted(
        environment={"TEMPO_OTLP_ENDPOINT": "{}", "TEMPO_TENANT": "team"},
        traces={"x-scope-orgid": "team"},
        metrics=None,
    ),
    "prometheus": Wanted(
        environment={"PROMETHEUS_OTLP_ENDPOINT": "{}/otlp", "PROMETHEUS_TENANT": "team"},
        path="/otlp",
        traces=None,
        metrics={"x-scope-orgid": "team"},
    ),
    "honeycomb": Wanted(
        environment={"HONEYCOMB_OTLP_ENDPOINT": "{}", "HONEYCOMB_API_KEY": "key"},
        traces={"x-honeycomb-team": "key"},
        metrics={"x-honeycomb-team": "key", "x-honeycomb-dataset": "hermes-cron-metrics"},
    ),
    "grafana-cloud": Wanted(
        environment={
            "GRAFANA_CLOUD_OTLP_ENDPOINT": "{}/otlp",
            "GRAFANA_CLOUD_BASIC": "aWQ6dG9rZW4=",
        },
        path="/otlp",
        traces={"authorization": "Basic aWQ6dG9rZW4="},
        metrics={"authorization": "Basic aWQ6dG9rZW4="},
    ),
    "datadog": Wanted(
        environment={"DATADOG_OTLP_ENDPOINT": "{}", "DATADOG_API_KEY": "key"},
        traces={"dd-api-key": "key", "dd-otlp-source": "llmobs"},
        metrics={"dd-api-key": "key"},
    ),
    "langfuse": Wanted(
        environment={"LANGFUSE_OTLP_ENDPOINT": "{}/api/public/otel", "LANGFUSE_BASIC": "cGs6c2s="},
        path="/api/public/otel",
        traces={"authorization": "Basic cGs6c2s="},
        metrics=None,
    ),
    "clickhouse": Wanted(
        environment={"CLICKHOUSE_OTLP_ENDPOINT": "{}", "SIGNOZ_INGESTION_KEY": "key"},
        traces={"signoz-ingestion-key": "key"},
        metrics={"signoz-ingestion-key": "key"},
    ),
}

Start = Callable[..., Otelcol]


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """A run of an agent, with a cost of its one call, and a run of a script."""
    home = HomeBuilder(tmp_path / "home")
    began = datetime.now(UTC) - timedelta(hours=2)
    home.agent_run(home.job("digest", every_minutes=30), began, cost=0.25)
    home.script_run(home.job("backup", every_minutes=30, no_agent=True), began)
    home.write()
    return home


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Collector with these files; keywords are those of `otelcol`."""
    with ExitStack() as running:

        def start(*files: Path, **how: Any) -> Otelcol:
            return running.enter_context(otelcol(tmp_path / "collector", *files, **how))

        yield start


def environment_of(destination: Path, backend: str) -> dict[str, str]:
    return {
        name: value.replace("{}", backend)
        for name, value in WANTED[destination.stem].environment.items()
    }


def send(home: HomeBuilder, collector: Otelcol, **of_destination: Any) -> SyncReport:
    send_to(home.path, collector={"endpoint": collector.http_endpoint, **of_destination})
    settings = load_settings(home.path, {"OTEL_METRIC_EXPORT_INTERVAL": "1"})
    return sync(Home(home.path), settings, SyncOptions(eager=True))


def test_a_base_alone_has_no_pipeline_and_says_so(tmp_path: Path) -> None:
    for base in BASES:
        needs = surroundings(base, tmp_path, backend="http://127.0.0.1:1").environment
        done = validate(needs, base)

        assert done.returncode != 0
        assert "service must have at least one pipeline" in done.stderr


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("base", BASES, ids=lambda path: path.stem)
def test_each_base_is_valid_with_each_destination(
    base: Path, destination: Path, tmp_path: Path
) -> None:
    needs = surroundings(base, tmp_path, backend="http://127.0.0.1:1").environment
    done = validate(
        {**needs, **environment_of(destination, "http://127.0.0.1:1")}, base, destination
    )

    assert done.returncode == 0, done.stderr


def validate(environment: Mapping[str, str], *files: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        otelcol_program(),
        "validate",
        *(f"--config={file}" for file in files),
    ]
    return subprocess.run(
        command, env={"PATH": os.defpath, **environment}, capture_output=True, text=True
    )


def test_every_destination_is_tried() -> None:
    assert {path.stem for path in DESTINATIONS} == set(WANTED)


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda path: path.stem)
def test_a_backend_gets_what_it_wants_and_only_the_signals_that_it_takes(
    destination: Path, home: HomeBuilder, collector: FaultyCollector, start: Start
) -> None:
    wanted = WANTED[destination.stem]
    running = start(AGENT, destination, environment=environment_of(destination, collector.endpoint))

    report = send(home, running)

    (metrics,) = report.metrics
    if wanted.traces is None:
        assert "404" in str(report.destinations[0].error)
        assert collector.received == []
    else:
        assert report.destinations[0].sent == 2
        (request,) = collector.received
        assert request.path == f"{wanted.path}/v1/traces"
        assert wanted.traces.items() <= request.headers.items()
    if wanted.metrics is None:
        assert metrics.not_served
        assert collector.metric_requests == []
    else:
        assert metrics.sent > 0
        (points,) = collector.metric_requests
        assert points.path == f"{wanted.path}/v1/metrics"
        assert wanted.metrics.items() <= points.headers.items()


def test_of_two_files_for_one_signal_the_last_one_counts_and_no_key_goes_astray(
    home: HomeBuilder, collector: FaultyCollector, start: Start
) -> None:
    honeycomb, tempo = (FOLDER / "destinations" / f"{name}.yaml" for name in ("honeycomb", "tempo"))
    environment = {
        **environment_of(honeycomb, "http://127.0.0.1:1"),
        **environment_of(tempo, collector.endpoint),
    }

    send(home, start(AGENT, honeycomb, tempo, environment=environment))

    (request,) = collector.received
    assert "x-honeycomb-team" not in request.headers


def test_langfuse_gets_the_cost_of_a_call_where_it_looks_for_it(
    home: HomeBuilder, collector: FaultyCollector, start: Start
) -> None:
    langfuse = FOLDER / "destinations" / "langfuse.yaml"
    send(home, start(AGENT, langfuse, environment=environment_of(langfuse, collector.endpoint)))

    costs = [
        (span["name"].split()[0], span["attributes"].get("gen_ai.usage.cost"))
        for span in collector.spans
        if "gen_ai.usage.cost" in span["attributes"]
    ]
    assert costs == [("chat", 0.25)]
    assert all(
        span["attributes"].get("hermes.cron.step.cost")
        == span["attributes"].get("gen_ai.usage.cost")
        for span in collector.spans
    )


def test_deltas_that_the_plugin_sends_reach_datadog_as_deltas(
    home: HomeBuilder, collector: FaultyCollector, start: Start
) -> None:
    datadog = FOLDER / "destinations" / "datadog.yaml"
    running = start(AGENT, datadog, environment=environment_of(datadog, collector.endpoint))

    send(home, running, temporality="delta")

    counted = [point for point in collector.points if point.kind != "gauge"]
    assert counted
    assert all(point.delta for point in counted)


def test_deltas_made_by_the_collector_lose_what_was_counted_before_its_start(
    tmp_path: Path, collector: FaultyCollector, start: Start
) -> None:
    """Why the plugin makes them: its journal has the last values, and the Collector forgets them."""
    home = HomeBuilder(tmp_path / "home")
    job = home.job("backup", every_minutes=30, no_agent=True)
    processors = ["memory_limiter", "cumulativetodelta"]
    running = start(
        AGENT,
        ANY_BACKEND,
        environment=environment_of(ANY_BACKEND, collector.endpoint),
        overrides={
            "processors": {"cumulativetodelta": {}},
            "service": {"pipelines": {"metrics": {"processors": processors}}},
        },
    )
    for restarts, ago in ((False, 60), (False, 50), (True, 40), (False, 30)):
        home.script_run(job, datetime.now(UTC) - timedelta(minutes=ago))
        home.write()
        if restarts:
            running.restart()
        send(home, running)

    assert sum(point.value for point in collector.points if point.metric == "hermes.cron.runs") == 2


# --- one backend for each signal -------------------------------------------------------------------


def test_a_backend_of_metrics_that_fails_neither_holds_up_nor_doubles_the_traces(
    home: HomeBuilder, collector: FaultyCollector, start: Start
) -> None:
    with FaultyCollector() as prometheus:
        prometheus.answer_metrics_with(status(503))
        jaeger, metrics = (
            FOLDER / "destinations" / f"{name}.yaml" for name in ("jaeger", "prometheus")
        )
        environment = {
            **environment_of(jaeger, collector.endpoint),
            **environment_of(metrics, prometheus.endpoint),
        }
        running = start(AGENT, jaeger, metrics, environment=environment)

        first = send(home, running)
        prometheus.answer_metrics_with(status(400))
        second = send(home, running)

    assert [one.error for one in first.destinations] == [None]
    assert all(report.metrics[0].error for report in (first, second))
    assert len(collector.received) == 1


def test_two_backends_of_one_signal_in_one_pipeline_double_what_one_of_them_refuses(
    home: HomeBuilder, collector: FaultyCollector, start: Start
) -> None:
    """Why no file of ours has two: README.md says so."""
    with FaultyCollector() as second:
        overrides = {
            "exporters": {
                "otlp_http/second": {
                    "endpoint": second.endpoint,
                    "sending_queue": {"enabled": False},
                    "retry_on_failure": {"enabled": False},
                }
            },
            "service": {
                "pipelines": {"traces": {"exporters": ["otlp_http/traces", "otlp_http/second"]}}
            },
        }
        environment = environment_of(ANY_BACKEND, collector.endpoint)
        running = start(AGENT, ANY_BACKEND, environment=environment, overrides=overrides)
        second.answer_next(status(503))

        first_try = send(home, running)
        second_try = send(home, running)

        assert (first_try.destinations[0].pending, second_try.destinations[0].pending) == (2, 0)
        assert len(second.spans) * 2 == len(collector.spans)
