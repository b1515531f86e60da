"""Keys and passwords of destinations: on the wire, and nowhere else."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from cronalytics_otel.host.home import Home
from tests.support.collector import Answer, FaultyCollector, drop, html, partial, redirect, status
from tests.support.fault_process import Done, SyncProcesses
from tests.support.homes import HomeBuilder
from tests.support.venvs import CHECKOUT

KEY = "sk-live-5f8a1c0ffee"
PASSWORD = "pa55-w0rd-of-mine"
QUERY = "q-token-77aa"
SECRETS = (KEY, PASSWORD, QUERY)


@pytest.fixture
def secretive(collector: FaultyCollector) -> dict[str, str]:
    """Every way to give a destination a secret."""
    endpoint = collector.endpoint.replace("http://", f"http://someone:{PASSWORD}@")
    return {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces?token={QUERY}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={KEY}",
    }


ECHO = f"denied: x-api-key {KEY}, someone:{PASSWORD}, token={QUERY}"

ANSWERS = {
    "taken": None,
    "401 that quotes them": status(401, ECHO),
    "400 that quotes them": status(400, ECHO),
    "503 that quotes them": status(503, ECHO),
    "a page": html(body=ECHO),
    "partial success that quotes them": partial(1, ECHO),
    "a redirect that quotes them": redirect(f"http://someone:{PASSWORD}@127.0.0.1:9/?t={QUERY}"),
    "dropped": drop(),
}


def everything_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()


def traces_of_secrets(home: Path, done: Done, shown: str) -> list[tuple[str, str]]:
    """Where a secret stands: (place, secret)."""
    places = [
        *everything_in(Home(home).plugin_folder),
        ("report", repr(done.report).encode()),
        ("error", f"{done.error} {done.trace}".encode()),
        ("log", done.log.encode()),
        ("command line", shown.encode()),
    ]
    encoded = base64.b64encode(f"someone:{PASSWORD}".encode()).decode()
    return [
        (place, secret)
        for place, content in places
        for secret in (*SECRETS, encoded)
        if secret.encode() in content
    ]


_MAIN = "import sys; from cronalytics_otel.cli import main; sys.exit(main())"


def command_line(home: Path, environ: Mapping[str, str]) -> str:
    """What all the commands print, of every kind, on both streams."""
    text = ""
    for arguments in (["status"], ["status", "--json"], ["doctor"], ["sync", "--json"], ["sync"]):
        done = subprocess.run(
            [sys.executable, "-c", _MAIN, *arguments, "--home", str(home)],
            cwd=CHECKOUT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home.parent), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), f"{arguments}: {done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        text += done.stdout + done.stderr
    return text


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_no_secret_of_the_environment_stays_anywhere(
    answer: Answer | None,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    secretive: dict[str, str],
    processes: SyncProcesses,
) -> None:
    if answer is not None:
        collector.answer_with(answer)

    done = processes.sync(mixed_home.path, secretive)

    assert done.report is not None, done.trace
    assert traces_of_secrets(mixed_home.path, done, "") == []
    headers = collector.received[0].headers
    assert headers["x-api-key"] == KEY
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == (
        f"someone:{PASSWORD}"
    )


def test_no_command_shows_a_secret(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    secretive: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_with(status(401, ECHO))
    done = processes.sync(mixed_home.path, secretive)

    shown = command_line(mixed_home.path, secretive)

    assert "127.0.0.1" in shown
    assert traces_of_secrets(mixed_home.path, done, shown) == []


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_lines_that_were_swapped_show_no_secret(
    protocol: str, mixed_home: HomeBuilder, processes: SyncProcesses
) -> None:
    """The header in the place of the endpoint, and the other way round."""
    swapped = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"x-honeycomb-team={KEY}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"https://someone:{PASSWORD}@nowhere/?token={QUERY}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": QUERY,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": PASSWORD,
    }
    done = processes.sync(mixed_home.path, swapped)

    shown = command_line(mixed_home.path, swapped)

    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in shown
    assert traces_of_secrets(mixed_home.path, done, shown) == []


def test_no_secret_of_the_configuration_stays_anywhere(
    mixed_home: HomeBuilder, collector: FaultyCollector, processes: SyncProcesses
) -> None:
    """Some of it wrong, so that problems are told; and one behind `${…}` in .env."""
    destinations = {
        "right": {
            "endpoint": collector.endpoint,
            "headers": {"x-api-key": "${MY_KEY}", "bad header": PASSWORD, "x-tab": f"a\n{QUERY}"},
        },
        "wrong": {"endpoint": f"ftp://someone:{PASSWORD}@nowhere/?token={QUERY}"},
        "no url": {"endpoint": f"http://someone:{PASSWORD}@[broken"},
        "no mapping": {"endpoint": collector.endpoint, "headers": [KEY]},
    }
    ours = {"entries": {"cronalytics-otel": {"destinations": destinations}}}
    (mixed_home.path / "config.yaml").write_text(yaml.safe_dump({"plugins": ours}))
    (mixed_home.path / ".env").write_text(f"MY_KEY={KEY}\n")
    collector.answer_with(status(401, f"denied: x-api-key {KEY}"))

    done = processes.sync(mixed_home.path, {})

    assert len(done.report.problems) >= 4
    assert collector.received[0].headers["x-api-key"] == KEY
    shown = command_line(mixed_home.path, {})
    assert traces_of_secrets(mixed_home.path, done, shown) == []
