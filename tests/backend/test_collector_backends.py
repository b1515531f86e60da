"""The backends' own configurations in the real Jaeger, Prometheus and Alertmanager; for Tempo there is none to be had."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import yaml

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.alertmanager import alertmanager
from tests.support.collector_configs import BACKENDS, FOLDER, send_to
from tests.support.fault_checks import trace_id_of
from tests.support.go_programs import jaeger_program, otelcol_program, promtool_program
from tests.support.homes import HomeBuilder
from tests.support.jaeger import Jaeger, jaeger
from tests.support.prometheus import prometheus

pytestmark = pytest.mark.usefixtures(
    "otelcol_programs", "jaeger_programs", "prometheus_programs", "alertmanager_programs"
)
JAEGER = BACKENDS / "jaeger.yaml"
PROMETHEUS = BACKENDS / "prometheus.yml"


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """Runs of the last month; the newest of them has failed."""
    home = HomeBuilder(tmp_path / "home")
    job = home.job("digest", every_minutes=30)
    now = datetime.now(UTC)
    home.agent_run(job, now - timedelta(days=29), cost=0.25)
    home.agent_run(job, now - timedelta(hours=1), outcome="failure")
    home.write()
    return home


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Jaeger]:
    """Jaeger as it is shipped, with its store in a folder."""
    environment = {"JAEGER_DIRECTORY": str(tmp_path / "data")}
    with jaeger(tmp_path / "jaeger", JAEGER, environment=environment) as server:
        yield server


def deliver(home: HomeBuilder, endpoint: str, signal: str) -> None:
    other = {"traces": "metrics", "metrics": "traces"}[signal]
    send_to(home.path, backend={"endpoint": endpoint, other: False})
    assert sync(Home(home.path), load_settings(home.path, {}), SyncOptions(eager=True)).healthy


def test_jaeger_has_each_run_that_it_acknowledged_also_after_it_was_killed(
    home: HomeBuilder, kept: Jaeger
) -> None:
    deliver(home, kept.http_endpoint, "traces")

    kept.restart()

    for run in home.expected:
        assert kept.trace(trace_id_of(run))
    assert len(kept.traces("hermes-cron")) == 2
    assert len(kept.traces("hermes-cron", tags={"error": "true"})) == 1


def test_jaeger_without_a_store_of_its_own_forgets(home: HomeBuilder, tmp_path: Path) -> None:
    environment = {"JAEGER_EPHEMERAL": "true", "TMPDIR": str(tmp_path)}
    with jaeger(tmp_path / "jaeger", JAEGER, environment=environment) as server:
        deliver(home, server.http_endpoint, "traces")
        assert len(server.traces("hermes-cron")) == 2
        server.restart()
        assert server.services() == []


def test_prometheus_takes_metrics_with_exemplars_and_keeps_them_for_400_days(
    home: HomeBuilder, tmp_path: Path
) -> None:
    with prometheus(tmp_path, PROMETHEUS) as server:
        deliver(home, server.otlp_endpoint, "metrics")

        assert server.query("sum(hermes_cron_runs_total)")[0].value == 2
        assert server.exemplars("hermes_cron_runs_total")
        told = requests.get(f"{server.url}/api/v1/status/runtimeinfo", timeout=30).json()["data"]
        assert told["storageRetention"] == "400d"


def test_prometheus_has_nothing_to_say_against_its_configuration() -> None:
    command: list[str | Path] = [promtool_program(), "check", "config", "--lint=all", PROMETHEUS]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_alertmanager_starts_with_its_configuration_unedited(tmp_path: Path) -> None:
    with alertmanager(tmp_path, BACKENDS / "alertmanager.yml") as server:
        assert server.alerts() == []


@pytest.mark.parametrize("service", ["collector", "jaeger"])
def test_what_compose_starts_is_valid(service: str) -> None:
    """With its own options and variables, and the files that it mounts."""
    found = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"][service]
    sources = {
        target: FOLDER / source
        for source, target, *_ in (volume.split(":") for volume in found["volumes"])
        if source.startswith("./")
    }
    options = list(found["command"])
    for target, source in sources.items():
        options = [
            option.replace(f"={target}", f"={source}", 1) if f"={target}" in option else option
            for option in options
        ]
    program = otelcol_program() if service == "collector" else jaeger_program()
    done = subprocess.run(
        [program, "validate", *options],
        env={"PATH": os.defpath, **found["environment"]},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
