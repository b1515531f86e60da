"""The command as a process: signals, pipes, terminals, encodings, and what it loads."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import PROBLEMS
from tests.support.cli import DIGEST, LOST, NO_KEY, NOW_NS, SCRIPT, fill, new_home
from tests.support.collector import FaultyCollector, hang
from tests.support.homes import HomeBuilder

PROGRAM = "import sys; from cronalytics_otel.cli import main; sys.exit(main())"
CATCHING_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""Python's default. A shell without job control starts what runs in the background (`make test &`)
with SIGINT ignored; Python then leaves it so, and its child processes inherit that."""
TIMEOUT_S = 60


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = new_home(tmp_path / "home")
    fill(home, SCRIPT, DIGEST, NO_KEY)
    return home


def environ(home: Home, more: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HERMES_HOME": str(home.path),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
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
    """Start the command in a process that can be interrupted."""
    return subprocess.Popen(
        [sys.executable, "-c", CATCHING_SIGINT + PROGRAM, *args],
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


COMMANDS = (
    ("status",),
    ("health",),
    ("runs",),
    ("trace", "latest"),
    ("doctor",),
    ("sync",),
    ("runs", "--json"),
)


def through_shell(
    home: Home, redirection: str, *args: str, **env: str
) -> subprocess.CompletedProcess[str]:
    script = f'exec "$@" {redirection}'
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-c", PROGRAM, *args],
        env=environ(home, env), capture_output=True, timeout=TIMEOUT_S, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("args", COMMANDS)
@pytest.mark.parametrize(
    ("redirection", "why"),
    [
        (">&-", "standard output is closed"),
        (">/dev/full", "No space left on device"),
    ],
)
def test_an_answer_that_cannot_be_written_is_told(
    home: Home, redirection: str, why: str, args: tuple[str, ...]
) -> None:
    done = through_shell(home, redirection, *args)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: The answer cannot be written: {why}."
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", COMMANDS)
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_where_no_message_can_be_written_there_is_still_the_answer(
    home: Home, redirection: str, args: tuple[str, ...]
) -> None:
    usual = run(home, *args)

    done = through_shell(home, redirection, *args)

    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (
        usual.returncode, len(usual.stdout.splitlines()), "",
    )  # fmt: skip


def test_with_every_stream_closed_an_error_is_its_exit_status_alone(home: Home) -> None:
    done = through_shell(home, ">&- 2>&- <&-", "trace", "nothing like it")

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize("columns", ["²", "٣", "-3", "many", "9" * 5000])
def test_a_width_that_is_no_number_is_none(home: Home, columns: str) -> None:
    assert run(home, "runs", COLUMNS=columns).stdout == run(home, "runs").stdout


# What this user may not read, or not write.


def without_override(home: Home, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """By a process to which permissions apply, even as root."""
    command = [sys.executable, "-c", PROGRAM, *args]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        assert setpriv, "as root these tests need util-linux"
        caps = "-dac_override,-dac_read_search"
        command = [setpriv, f"--bounding-set={caps}", f"--inh-caps={caps}", *command]
    return subprocess.run(
        command, env=environ(home, env), capture_output=True, timeout=TIMEOUT_S, encoding="utf-8",
    )  # fmt: skip


@contextmanager
def mode(mode: int, *paths: Path) -> Iterator[None]:
    before = [(path, path.stat().st_mode) for path in paths]
    for path in paths:
        path.chmod(mode)
    try:
        yield
    finally:
        for path, old in reversed(before):
            path.chmod(old)


@pytest.mark.parametrize("args", [*COMMANDS, ("status", "--json"), ("sync", "--dry-run")])
@pytest.mark.parametrize("folder", ["", "cronalytics-otel"])
def test_a_home_that_cannot_be_read_is_told_with_its_path(
    home: Home, folder: str, args: tuple[str, ...]
) -> None:
    with mode(0o000, home.path / folder):
        done = without_override(home, *args)

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    shown = done.stdout if args == ("doctor",) else done.stderr
    assert f"{home.path / folder}" in shown
    assert "Permission denied" in shown
    assert "Hermes home" not in shown


@pytest.mark.parametrize("args", [("status", "--json"), ("doctor", "--json")])
def test_a_folder_of_the_host_that_cannot_be_read_is_a_fault_of_its_files(
    home: Home, args: tuple[str, ...]
) -> None:
    cron = home.path / "cron"
    cron.mkdir()
    with mode(0o000, cron):
        synced = without_override(home, "sync")
        done = without_override(home, *args)

    assert done.returncode == 1
    assert f"{cron / 'jobs.json'} cannot be read: Permission denied" in done.stdout
    warning = f"warning: runs that are going on are not known: {home.ledger}: Permission denied\n"
    assert done.stderr == ("" if args[0] == "doctor" else warning)
    assert synced.returncode == 1
    assert synced.stderr.startswith(f"error: {cron}")
    assert "Traceback" not in synced.stderr


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ("~nobody-of-that-name/x", "error: The Hermes home cannot be found: "),
        ("x" * 5000, "error: /"),
    ],
)
def test_a_home_that_cannot_be_is_told(home: Home, named: str, error: str) -> None:
    for args in COMMANDS:
        done = run(home, *args, "--home", named)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        if args != ("doctor",) or "~" in named:
            assert done.stderr.startswith(error)
            assert "--home" in done.stderr


@pytest.mark.parametrize("args", [("runs",), ("trace", "latest"), ("status",), ("runs", "--json")])
@pytest.mark.parametrize("also_the_files", [True, False])
def test_a_journal_that_cannot_be_written_is_still_read(
    home: Home, args: tuple[str, ...], also_the_files: bool
) -> None:
    usual = run(home, *args)
    folder = home.plugin_folder
    files = [path for path in folder.iterdir() if also_the_files]
    with mode(0o400, *files), mode(0o500, folder, home.path):
        before = sorted(folder.iterdir())
        done = without_override(home, *args)
        assert sorted(folder.iterdir()) == before

    assert (done.returncode, done.stdout, done.stderr) == (usual.returncode, usual.stdout, "")


def test_a_journal_that_cannot_be_written_is_read_with_what_stands_in_its_log(home: Home) -> None:
    """Somebody writes to it; who reads it must see that."""
    with Journal.open(home.journal) as journal:
        with journal.atomic():
            journal.runs.add([LOST], NOW_NS)
        folder = home.plugin_folder
        with mode(0o400, *folder.iterdir()), mode(0o500, folder):
            done = without_override(home, "runs")

    assert "a9013d21" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_who_may_not_write_to_the_journal_hears_that_no_finding_is_remembered(home: Home) -> None:
    with Journal.open(home.journal) as journal:
        journal.facts.set(PROBLEMS, ("rows are lost",))
    with mode(0o400, *home.plugin_folder.iterdir()), mode(0o500, home.plugin_folder):
        first, second = (without_override(home, "health", "--since-last") for _ in range(2))

    assert "rows are lost" in first.stdout
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0]
    assert first.stderr.startswith("warning: this user may not write to the journal")
    assert first.returncode == second.returncode == 1


def test_an_older_journal_that_cannot_be_written_says_who_brings_it_up_to_date(home: Home) -> None:
    with closing(sqlite3.connect(home.journal)) as connection, connection:
        connection.execute("DELETE FROM migration WHERE name LIKE 'm0001%'")
    with mode(0o400, *home.plugin_folder.iterdir()), mode(0o500, home.plugin_folder):
        done = without_override(home, "runs")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {home.journal}: the journal was written by an older")
    assert "run `cronalytics-otel sync` as that user" in done.stderr


def test_a_sync_into_a_folder_that_cannot_be_written_says_where_and_offers_no_sync(
    home: Home,
) -> None:
    with mode(0o500, home.plugin_folder):
        done = without_override(home, "sync")

    assert done.returncode == 1
    assert str(home.plugin_folder) in done.stderr
    assert "writable" in done.stderr
    assert "Run `" not in done.stderr


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
    assert re.search(r"sending to default .* 300/300 \d:\d\d:\d\d left: 0:00:00", plain)
    assert plain.endswith("300 new runs, 0 still open\n✓ default: 300 sent, 0 pending\n")


def test_a_stream_without_unicode_gets_ascii(home: Home) -> None:
    traced = run(home, "trace", "3f9a", PYTHONIOENCODING="ascii")
    listed = run(home, "runs", PYTHONIOENCODING="ascii")

    assert traced.stdout.isascii()
    assert "cron nightly digest  ####" in traced.stdout
    assert "170 ms      -  manual         -       $0  -" in listed.stdout
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


VIEWS = (["status"], ["health"], ["runs"], ["status", "--json"], ["runs", "--json", "--limit", "0"])

OPENED = """
import sys
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event in ("open", "sqlite3.connect") else None)
from cronalytics_otel.cli import main
assert main() in (0, 1)
print("\\n".join(opened), file=sys.stderr)
"""


@pytest.mark.parametrize("args", VIEWS)
def test_views_read_the_journal_and_open_no_file_of_the_host_without_need(
    home: Home, args: list[str]
) -> None:
    builder = HomeBuilder(home.path)
    builder.agent_run(builder.job("digest", every_minutes=60), datetime(2026, 1, 31, 6, tzinfo=UTC))
    builder.write()
    assert run(home, "sync").returncode == 0

    opened = run(home, *args, code=OPENED).stderr.splitlines()

    files = {path.removeprefix("file:").partition("?")[0] for path in opened}
    in_home = {path for path in files if path.startswith(str(home.path))}
    assert str(home.journal) in in_home
    # `active_profile` says whether this home is meant.
    settings = ("config.yaml", ".env", "active_profile")
    ours = {str(home.journal), *(str(home.path / name) for name in settings)}
    # Whether a run hangs stands in the ledger alone.
    assert in_home <= ours | ({str(home.ledger)} if args[0] in ("status", "health") else set())


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


# Links.


def test_on_a_terminal_the_ids_of_runs_and_addresses_are_links(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    fill(home, DIGEST)
    (home.path / "config.yaml").write_text(
        "plugins: {entries: {cronalytics-otel: {links: {jaeger: 'http://localhost:16686'}}}}\n"
    )

    _, runs = in_terminal(home, "runs")
    _, trace = in_terminal(home, "trace", "latest")
    _, links = in_terminal(home, "links", "latest")
    address = r"http://localhost:16686/trace/[0-9a-f]{32}"

    assert re.search(rf"\x1b]8;id=\d+;{address}\x1b\\3f9a61c0\x1b]8;;\x1b\\", runs)
    assert "the id of a run is a link to Jaeger" in runs
    for shown in (trace, links):
        assert re.search(rf"\x1b]8;id=\d+;({address})\x1b\\\1\x1b]8;;\x1b\\", shown)


def test_without_a_terminal_nothing_is_a_link_even_with_colours(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    fill(home, DIGEST)
    (home.path / "config.yaml").write_text(
        "plugins: {entries: {cronalytics-otel: {links: {jaeger: 'http://localhost:16686'}}}}\n"
    )

    for command in (["runs"], ["trace", "latest"], ["links"]):
        assert "\x1b]8" not in run(home, *command, FORCE_COLOR="1").stdout
