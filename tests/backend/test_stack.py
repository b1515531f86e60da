"""`make stack`: the backends of this machine take what the plugin sends, keep it, and stop together."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import requests
import yaml

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.collector_configs import send_to
from tests.support.go_programs import found_programs
from tests.support.homes import HomeBuilder
from tests.support.venvs import CHECKOUT
from tests.support.waiting import wait_for
from tools.stack import PROGRAMS, UsualPorts

BACKENDS = pytest.mark.usefixtures(
    "otelcol_programs", "jaeger_programs", "prometheus_programs", "alertmanager_programs"
)
ON_FREE_PORTS = "import sys, tools.stack as s; s.is_free = lambda port: False; sys.exit(s.main())"
"""A Hermes of this machine may send to the usual ports, and must not find a test there."""


def stack_process(
    folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ON_FREE_PORTS, "--data", folder],
        cwd=CHECKOUT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def a_stack(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, in a group of its own, and what it printed until it was ready."""
    with stack_process(folder) as process:
        assert process.stdout is not None
        try:
            printed = ""
            for line in process.stdout:
                printed += line
                if line.startswith("Ctrl-C stops"):
                    break
            assert process.poll() is None, printed
            yield process, printed
        finally:
            for member in group_of(process):
                member.kill()


def group_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Those that live in the process group that a process leads."""
    found = []
    for one in psutil.process_iter():
        try:
            if os.getpgid(one.pid) == process.pid and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def matched(pattern: str, printed: str) -> str:
    found = re.search(pattern, printed)
    assert found, printed
    return found[1]


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """Two runs of one job."""
    home = HomeBuilder(tmp_path / "home")
    job = home.job("digest", every_minutes=30)
    home.agent_run(job, datetime.now(UTC) - timedelta(hours=2), cost=0.25)
    home.agent_run(job, datetime.now(UTC) - timedelta(hours=1), cost=0.5)
    home.write()
    return home


@BACKENDS
def test_the_stack_takes_runs_and_the_printed_addresses_show_them(
    home: HomeBuilder, tmp_path: Path
) -> None:
    with a_stack(tmp_path / "data") as (_, printed):
        send_to(home.path, stack={"endpoint": matched(r"endpoint: (\S+)", printed)})
        assert sync(Home(home.path), load_settings(home.path, {}), SyncOptions(eager=True)).healthy

        _, _, curl = matched(r"(cronalytics-otel sync .*)", printed).partition("&& ")
        answer = subprocess.run(
            shlex.split(curl), capture_output=True, text=True, check=True, env={"PATH": os.defpath}
        )
        assert '"2"]' in answer.stdout
        cost = requests.get(matched(r"cost +(\S+)", printed), timeout=30).json()
        assert cost["data"]["result"][0]["value"][1] == "0.75"
        traces = requests.get(matched(r"traces +(http\S+)", printed), timeout=30).json()
        assert len(traces["data"]) == 2
        prometheus = matched(r"Prometheus +(\S+)", printed)
        rules = requests.get(f"{prometheus}/api/v1/rules", timeout=30)
        files = {Path(group["file"]).parent.name for group in rules.json()["data"]["groups"]}
        assert files == {
            folder.name
            for folder in (CHECKOUT / "collector" / "rules", CHECKOUT / "collector" / "alerts")
            if any(folder.glob("*.yml"))
        }


@BACKENDS
def test_prometheus_sends_its_alerts_to_the_alertmanager_of_the_stack(tmp_path: Path) -> None:
    with a_stack(tmp_path / "data") as (_, printed):
        url = f"{matched(r'Prometheus +([^ ]+)', printed)}/api/v1/alertmanagers"

        def active() -> list[str]:
            answer = requests.get(url, timeout=30).json()
            return [one["url"] for one in answer["data"]["activeAlertmanagers"]]

        (address,) = wait_for(active, what="Prometheus to know an Alertmanager")
        assert address.startswith(matched(r"Alertmanager +(\S+)", printed))


@BACKENDS
def test_the_links_of_its_alerts_lead_to_the_programs_of_the_stack(tmp_path: Path) -> None:
    with a_stack(tmp_path / "data") as (_, printed):
        prometheus = matched(r"Prometheus +([^ ]+)", printed)
        loaded = requests.get(f"{prometheus}/api/v1/status/config", timeout=30).json()
        labels = yaml.safe_load(loaded["data"]["yaml"])["global"]["external_labels"]

        assert labels["jaeger_url"] == matched(r"Jaeger +([^ ]+)", printed)
        assert requests.get(f"{labels['runbooks_url']}/HermesCronJobFailed.md", timeout=30).ok


@BACKENDS
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_all_of_it(signal_number: int, tmp_path: Path) -> None:
    with a_stack(tmp_path / "data") as (process, _):
        assert len(group_of(process)) == 1 + len(PROGRAMS)

        process.send_signal(signal_number)

        assert process.wait(60) == 0
        assert group_of(process) == []


@BACKENDS
def test_ctrl_c_in_a_terminal_which_reaches_all_of_them_stops_the_stack(tmp_path: Path) -> None:
    with a_stack(tmp_path / "data") as (process, _):
        os.killpg(process.pid, signal.SIGINT)

        assert process.wait(60) == 0
        assert group_of(process) == []


@BACKENDS
def test_what_it_has_is_there_the_next_time(home: HomeBuilder, tmp_path: Path) -> None:
    with a_stack(tmp_path / "data") as (process, printed):
        send_to(home.path, stack={"endpoint": matched(r"endpoint: (\S+)", printed)})
        assert sync(Home(home.path), load_settings(home.path, {}), SyncOptions(eager=True)).healthy
        process.terminate()
        process.wait(60)

    with a_stack(tmp_path / "data") as (_, printed):
        traces = requests.get(matched(r"traces +(http\S+)", printed), timeout=30).json()
        assert len(traces["data"]) == 2
        cost = requests.get(matched(r"cost +(\S+)", printed), timeout=30).json()
        assert cost["data"]["result"][0]["value"][1] == "0.75"


@BACKENDS
def test_a_server_that_dies_ends_the_stack_and_is_named(tmp_path: Path) -> None:
    with a_stack(tmp_path / "data") as (process, _):
        (jaeger,) = (one for one in group_of(process) if one.name() == "jaeger")
        jaeger.kill()

        assert process.wait(60) == 1
        assert process.stdout is not None
        assert "jaeger has ended" in process.stdout.read()
        assert group_of(process) == []


@BACKENDS
def test_a_second_stack_with_the_same_data_is_refused(tmp_path: Path) -> None:
    with a_stack(tmp_path / "data"), stack_process(tmp_path / "data") as second:
        printed, _ = second.communicate(timeout=60)

        assert second.returncode == 1
        assert "is running" in printed


def test_without_the_programs_it_says_how_to_get_them(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with stack_process(tmp_path / "data", environment) as process:
        printed, _ = process.communicate(timeout=60)

        assert process.returncode == 1
        assert all(name in printed for name in PROGRAMS)
        assert "make backends" in printed
        assert not (tmp_path / "data").exists()


def test_a_program_that_is_not_built_is_taken_from_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("otelcol", "otelcol-contrib", "jaeger"):
        (tmp_path / name).touch(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))

    found = found_programs()

    assert {name: program.path.name for name, program in found.items()} == {
        "otelcol": "otelcol-contrib",
        "jaeger": "jaeger",
    }
    assert not any(program.is_ours for program in found.values())


def test_a_usual_port_is_replaced_only_if_it_is_taken() -> None:
    ports = UsualPorts()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        other = ports(port)

    assert other != port
    assert ports.replaced == {port: other}
    assert ports(port) == port
