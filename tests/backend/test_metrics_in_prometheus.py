"""Our metrics in a real Prometheus: it shows what the command line shows, and it sees the first failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.cli import main
from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.homes import HomeBuilder
from tests.support.prometheus import Prometheus

EVERY_SECOND = {"OTEL_METRIC_EXPORT_INTERVAL": "1000"}


@pytest.fixture
def home(tmp_path: Path, prometheus_server: Prometheus) -> HomeBuilder:
    """Two jobs with a history of five hours, whose metrics go to Prometheus."""
    home = HomeBuilder(tmp_path / "home")
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    digest = home.job("digest", every_minutes=30)
    backup = home.job("backup", every_minutes=30, no_agent=True)
    for n in range(4):
        home.agent_run(digest, began + timedelta(hours=n), cost=0.25)
        home.script_run(backup, began + timedelta(hours=n, minutes=5))
    write(home, prometheus_server)
    return home


def write(home: HomeBuilder, server: Prometheus) -> None:
    home.write()
    destination = {"prometheus": {"endpoint": server.otlp_endpoint, "traces": False}}
    plugins = {"entries": {"cronalytics-otel": {"destinations": destination}}}
    (home.path / "config.yaml").write_text(json.dumps({"plugins": plugins}))


def send(home: HomeBuilder) -> None:
    settings = load_settings(home.path, EVERY_SECOND)
    assert settings.problems == ()
    assert sync(Home(home.path), settings, SyncOptions(eager=True)).healthy


def test_a_first_failure_is_seen_by_increase(
    home: HomeBuilder, prometheus_server: Prometheus
) -> None:
    send(home)
    time.sleep(1.1)
    (failing,) = (job_id for job_id, job in home.jobs.items() if job["name"] == "backup")
    home.script_run(failing, datetime.now(UTC) - timedelta(seconds=30), outcome="failure")
    write(home, prometheus_server)
    send(home)

    failures = 'increase(hermes_cron_runs_total{hermes_cron_run_outcome="failure"}[1h])'
    by_job = prometheus_server.query(
        f"sum by (hermes_cron_job_name) ({failures}) > 0", time.time() + 1
    )

    assert [sample.labels["hermes_cron_job_name"] for sample in by_job] == ["backup"]


def test_it_shows_what_the_command_line_shows(
    home: HomeBuilder, prometheus_server: Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    send(home)
    capsys.readouterr()
    assert main(["summary", "--home", str(home.path), "--days", "30", "--json"]) == 0
    totals = json.loads(capsys.readouterr().out)["totals"]
    now_s = time.time() + 1

    def total(selector: str) -> float:
        (sample,) = prometheus_server.query(f"sum({selector})", now_s)
        return sample.value

    runs = Counter[str]()
    for sample in prometheus_server.query(
        'hermes_cron_window_runs{hermes_cron_window="30d"} > 0', now_s
    ):
        runs[sample.labels["hermes_cron_run_outcome"]] += int(sample.value)
    assert runs - Counter(missed=runs["missed"]) == Counter(totals["outcomes"])
    assert runs["missed"] == totals["missed"]
    assert total('hermes_cron_window_cost_USD{hermes_cron_window="30d"}') == pytest.approx(
        totals["cost_usd"]
    )
    assert total('hermes_cron_window_tokens{hermes_cron_window="30d"}') == totals["tokens"]
    # All that is known is in the window, so the counters show the same.
    assert total("hermes_cron_runs_total") == totals["runs"] + totals["missed"]
    assert total("hermes_cron_run_cost_USD_total") == pytest.approx(totals["cost_usd"])
    assert total("hermes_cron_run_tokens_total") == totals["tokens"]
    assert total("hermes_cron_run_duration_seconds_count") == totals["runs"]


def test_two_processes_of_a_home_do_not_collide_and_make_no_second_series(
    home: HomeBuilder, prometheus_server: Prometheus
) -> None:
    send(home)
    first = prometheus_server.series('{__name__="hermes_cron_runs_total"}')
    time.sleep(1.1)
    code = "import sys; from cronalytics_otel.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "sync", "--home", str(home.path)]
    done = subprocess.run(command, env=os.environ | EVERY_SECOND, capture_output=True, check=False)

    assert done.returncode == 0, done
    points = prometheus_server.points(
        'hermes_cron_runs_total{hermes_cron_run_outcome="success"}', time.time() + 1
    )
    assert len(points) > len({str(point.labels) for point in points})  # both have sent
    assert prometheus_server.series('{__name__="hermes_cron_runs_total"}') == first
