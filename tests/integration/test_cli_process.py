"""The command as a process: signals, pipes, terminals, encodings, and what it loads."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from tests.support.cli import DIGEST, NO_KEY, SCRIPT, fill, new_home
from tests.support.collector import FaultyCollector, hang
from tests.support.homes import HomeBuilder

PROGRAM = "import sys; from cronalytics_otel.cli import main; sys.exit(main())"
TIMEOUT_S = 60


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = new_home(tmp_path / "home")
    fill(home, SCRIPT, DIGEST, NO_KEY)
    return home


@pytest.fixture
def collector() -> Iterator[FaultyCollector]:
    with FaultyCollector() as collector:
        yield collector


def environ(home: Home, more: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HERMES_HOME": str(home.path),
        "OTEL_TRACES_EXPORTER": "none",
        "NO_PROXY": "127.0.0.1",
        "TERM": "xterm-256color",
        **more,
    }


def run(
    home: Home, *args: str, code: str = PROGRAM, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env=environ(home, env), capture_output=True, timeout=TIMEOUT_S, encoding="utf-8",
    )  # fmt: skip


def start(home: Home, *args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args],
        env=environ(home, env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def in_terminal(home: Home, *args: str, columns: int = 80, **env: str) -> tuple[int, str]:
    """On a pseudo-terminal: the exit status, and everything that was shown."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args],
        env=environ(home, env), stdin=slave, stdout=slave, stderr=slave, close_fds=True,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while select.select([master], [], [], TIMEOUT_S)[0]:
            try:
                piece = os.read(master, 65_536)
            except OSError:  # Linux: the other side has closed
                break
            if not piece:
                break
            shown += piece
    finally:
        os.close(master)
        if process.poll() is None:
            process.wait(TIMEOUT_S)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def home_with_runs(tmp_path: Path, count: int) -> Home:
    builder = HomeBuilder(tmp_path / "host", system_prompt_bytes=10)
    job_id = builder.job("nightly digest", every_minutes=60)
    for hour in range(count):
        builder.agent_run(job_id, datetime(2026, 1, 1 + hour // 24, hour % 24, tzinfo=UTC))
    builder.write()
    return Home(builder.path)


# Signals and pipes.


def test_ctrl_c_is_130_with_one_line_and_no_traceback(
    tmp_path: Path, collector: FaultyCollector
) -> None:
    collector.answer_with(hang())
    home = home_with_runs(tmp_path, 1)
    process = start(
        home, "sync", OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint
    )
    collector.wait_for_requests(1)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)

    assert (process.returncode, out, err) == (130, "", "\ninterrupted\n")


def test_after_ctrl_c_the_next_sync_goes_on(tmp_path: Path, collector: FaultyCollector) -> None:
    collector.answer_next(hang())
    home = home_with_runs(tmp_path, 3)
    to_collector = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    process = start(home, "sync", **to_collector)
    collector.wait_for_requests(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT_S)

    done = run(home, "sync", **to_collector)

    assert done.stdout == "0 new runs, 0 still open\n✓ default: 3 sent, 0 pending\n"


@pytest.mark.parametrize("args", [("runs",), ("runs", "--json"), ("trace", "latest"), ("status",)])
def test_a_reader_who_has_left_ends_it_without_a_word(home: Home, args: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *args],
        env=environ(home, {}), stdout=writing, stderr=subprocess.PIPE, timeout=TIMEOUT_S, text=True,
    )  # fmt: skip
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, "")


# Terminals.


def test_a_terminal_gets_colours_and_its_own_width(home: Home) -> None:
    status, shown = in_terminal(home, "runs", columns=60)

    assert status == 0
    assert "\x1b[31mfailure\x1b[0m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, plain)) <= 60


def test_no_color_is_respected_and_pipes_are_plain(home: Home) -> None:
    _, shown = in_terminal(home, "runs", NO_COLOR="1")
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9]")

    assert not colours.search(shown)
    assert "\x1b" not in run(home, "runs").stdout
    assert colours.search(run(home, "runs", FORCE_COLOR="1").stdout)


def test_sync_draws_a_bar_on_a_terminal_and_wipes_it(
    tmp_path: Path, collector: FaultyCollector
) -> None:
    status, shown = in_terminal(
        home_with_runs(tmp_path, 300), "sync",
        OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
    )  # fmt: skip

    assert status == 0
    assert "reading runs" in shown
    assert "sending to default" in shown
    assert "300/300" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert plain.endswith("300 new runs, 0 still open\n✓ default: 300 sent, 0 pending\n")


def test_a_stream_without_unicode_gets_ascii(home: Home) -> None:
    traced = run(home, "trace", "3f9a", PYTHONIOENCODING="ascii")
    listed = run(home, "runs", PYTHONIOENCODING="ascii")

    assert traced.stdout.isascii()
    assert "cron nightly digest  ####" in traced.stdout
    assert "170 ms      -  manual         -        -  -" in listed.stdout
    assert "?" not in traced.stdout + listed.stdout


# What it loads, and what it needs.


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["runs", "--help"]])
def test_help_loads_nothing_heavy(home: Home, args: list[str]) -> None:
    code = f"""
import sys
from cronalytics_otel.cli import main
assert main({args!r}) == 0
heavy = {{"croniter", "google", "grpc", "opentelemetry", "psutil", "requests", "rich", "sqlite3", "yaml"}}
print(sorted(heavy & {{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""

    assert run(home, code=code).stderr == "[]\n"


def test_reading_the_journal_needs_no_opentelemetry(home: Home) -> None:
    code = f"import sys; sys.modules['opentelemetry'] = None; {PROGRAM}"

    for args in (["runs"], ["status"], ["runs", "--json"]):
        assert run(home, *args, code=code).stderr == ""


def test_a_missing_package_is_named_with_the_command_that_helps(home: Home) -> None:
    code = f"import sys; sys.modules['opentelemetry'] = None; {PROGRAM}"

    traced = run(home, "trace", "latest", code=code)
    checked = run(home, "doctor", "--json", code=code)

    assert (traced.returncode, traced.stdout) == (1, "")
    assert traced.stderr.startswith("error: the Python package opentelemetry")
    assert f"run: {sys.executable} -m pip install cronalytics-otel" in traced.stderr
    (packages,) = [c for c in json.loads(checked.stdout)["checks"] if c["name"] == "packages"]
    assert packages["state"] == "failed"
    assert "opentelemetry-sdk" in packages["fix"]
    assert checked.returncode == 1
