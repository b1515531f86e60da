"""`doctor`: each check, with its fix, on real files and real collectors."""

from __future__ import annotations

import importlib.metadata
import re
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from cronalytics_otel.journal.facts import HERMES_VERSION
from cronalytics_otel.journal.instance import FILE_NAME, instance_of
from tests.support.cli import DIGEST, HOUR, NOW_NS, Cli, fill
from tests.support.collector import (
    Answer,
    FaultyCollector,
    hang,
    html,
    partial,
    redirect,
    status,
)
from tests.support.homes import HomeBuilder

ENABLED = {"plugins": {"enabled": ["cronalytics-otel"]}}


@pytest.fixture
def cli(empty: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A home in which all is well, and a collector."""
    builder = HomeBuilder(empty.home.path, config=ENABLED)
    job_id = builder.job("nightly digest", every_minutes=1440)
    builder.agent_run(job_id, datetime(2026, 1, 30, 6, 0, tzinfo=UTC))
    builder.write()
    install_into(empty.home)
    fill(empty.home, DIGEST, facts={HERMES_VERSION: "0.19.0"})
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    return empty


def install_into(home: Home) -> None:
    """As `hermes plugins install` does."""
    (home.path / "plugins" / "cronalytics-otel").mkdir(parents=True)
    (home.path / "plugins" / "cronalytics-otel" / "plugin.yaml").write_text("{}")


def checks(cli: Cli) -> dict[str, tuple[str, str, str | None]]:
    """By name, (state, detail, fix)."""
    return {
        check["name"]: (check["state"], check["detail"], check["fix"])
        for check in cli("doctor", "--json").json["checks"]
    }


def test_when_all_is_well(cli: Cli, collector: FaultyCollector) -> None:
    result = cli("doctor")

    home = cli.home
    steady = [re.sub(r"in \d+ ms|(?<= )\d+\.\d+\.\d+", "…", line) for line in result.lines]
    assert steady == [
        f"✓ home         {home.path} (profile default)",
        "✓ packages     cronalytics-otel …, opentelemetry-sdk …",
        "✓ config       valid; content off",
        "✓ plugin       enabled in config.yaml",
        f"✓ jobs         {home.jobs} can be read",
        f"✓ ledger       {home.ledger} can be read",
        f"✓ sessions     {home.state_db} can be read",
        f"✓ output       {home.outputs} can be read",
        f"✓ journal      {home.journal}, 1 run",
        "✓ clock        2026-01-31 09:00:00, after the newest run",
        "✓ permissions  only you can read the journal",
        "✓ lock         no other process is syncing",
        "✓ hermes       …, as the plugin found it",
        f"✓ to default   {collector.traces_url} took a test span …",
        "",
        "14 checks: all is well",
    ]
    assert (result.status, result.err) == (0, "")


def test_the_test_span_says_that_it_is_one(cli: Cli, collector: FaultyCollector) -> None:
    cli("doctor")
    cli("doctor")

    first, second = collector.spans
    assert (first["name"], first["kind"]) == ("cronalytics-otel doctor", "internal")
    assert first["attributes"] == {"hermes.cron.test": True}
    assert first["resource"]["service.name"] == "hermes-cron"
    assert first["parent_id"] is None
    assert first["trace_id"] != second["trace_id"]


def test_checks_that_fail_have_a_fix_below_and_count(cli: Cli, collector: FaultyCollector) -> None:
    collector.answer_with(status(401, "no key"))
    (cli.home.path / "config.yaml").write_text("{}")

    result = cli("doctor")

    assert (
        "✗ plugin       not enabled: runs are sent only by `cronalytics-otel sync`" in result.lines
    )
    assert "               fix: hermes plugins enable cronalytics-otel" in result.lines
    assert result.lines[-1] == "14 checks: 2 failed, 0 warnings"
    assert result.status == 1


# The host.


def test_a_folder_that_is_no_hermes_home_ends_it(cli: Cli, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    result = cli("doctor", "--home", str(elsewhere))

    assert result.lines == [
        f"✗ home         {elsewhere} is no Hermes home: there is no config.yaml, state.db or cron/",
        "               fix: Name it with --home or HERMES_HOME.",
        "",
        "1 check: 1 failed, 0 warnings",
    ]
    assert result.status == 1
    assert list(elsewhere.iterdir()) == []


def test_a_home_without_a_run_is_no_failure(empty: Cli) -> None:
    install_into(empty.home)

    found = checks(empty)

    assert found["jobs"][0] == found["sessions"][0] == found["journal"][0] == "warning"
    assert found["journal"][2] == "cronalytics-otel sync"
    assert found["destinations"][0] == "warning"
    result = empty("doctor")
    assert result.status == 0
    assert result.lines[-1].endswith("checks: 0 failed, 7 warnings")
    assert not empty.home.plugin_folder.exists()


def test_a_hermes_in_another_environment_is_a_warning(empty: Cli) -> None:
    if "hermes-agent" in {d.name for d in importlib.metadata.distributions()}:
        pytest.fail("these tests run without Hermes in their own environment")

    state, detail, _ = checks(empty)["hermes"]

    assert state == "warning"
    assert "not in the Python of this command" in detail


@pytest.mark.parametrize(
    ("config", "state"),
    [
        ("plugins: {enabled: [cronalytics-otel]}", "ok"),
        ("plugins: {enabled: [probe]}", "failed"),
        ("plugins: {enabled: [cronalytics-otel], disabled: [cronalytics-otel]}", "failed"),
        ("plugins: [cronalytics-otel]", "failed"),
        ("plugins: {enabled", "failed"),
        ("", "failed"),
    ],
)
def test_the_plugin_is_enabled_as_the_host_decides_it(cli: Cli, config: str, state: str) -> None:
    (cli.home.path / "config.yaml").write_text(config)

    assert checks(cli)["plugin"][0] == state


def test_an_enabled_plugin_that_nobody_can_find_is_a_warning(
    empty: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one stub: what is installed beside these tests differs from place to place."""
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: ())

    state, detail, _ = checks(empty)["plugin"]

    assert state == "warning"
    assert f"neither in {empty.home.path / 'plugins'} nor installed" in detail


def test_files_that_cannot_be_read_are_failures(cli: Cli) -> None:
    cli.home.jobs.write_text("[")
    cli.home.state_db.write_bytes(b"this is no database\n" * 500)

    found = checks(cli)

    assert found["jobs"][0] == found["sessions"][0] == "failed"
    assert found["ledger"][0] == "ok"
    assert "is no valid JSON" in found["jobs"][1]
    assert "is damaged" in found["sessions"][1]


def test_a_file_that_has_vanished_is_a_failure_also_before_the_next_sync(cli: Cli) -> None:
    assert cli("sync").status == 0
    cli.home.state_db.unlink()

    before = checks(cli)["sessions"]
    cli("sync")
    after = checks(cli)["sessions"]

    assert before[0] == after[0] == "failed"
    assert "is gone, and it was there before" in before[1]
    assert "is gone, and it was there before" in cli("status").out


# Our own files.


def test_a_wrong_setting_is_a_failure(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")

    state, detail, fix = checks(cli)["config"]

    assert state == "failed"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in detail
    assert fix is not None


def test_a_journal_that_others_can_read_is_a_failure_with_the_command(cli: Cli) -> None:
    cli.home.journal.chmod(0o644)

    state, detail, fix = checks(cli)["permissions"]

    assert (state, detail) == ("failed", f"others may read {cli.home.journal}")
    assert fix == f"chmod go= {cli.home.journal}"


HOLD_THE_LOCK = """
import sys
from pathlib import Path
from cronalytics_otel.lock import sync_lock
with sync_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_syncs_is_told(cli: Cli) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(cli.home.lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        state, detail, _ = checks(cli)["lock"]

        other.communicate()

    assert state == "warning"
    assert detail == "another process is syncing this home: try again later"


def test_a_clock_that_was_set_back_is_a_failure(cli: Cli) -> None:
    later = replace(DIGEST, execution_id="later", session_id=None, ended_ns=NOW_NS + HOUR)
    fill(cli.home, later)

    state, detail, _ = checks(cli)["clock"]

    assert state == "failed"
    assert detail == "the newest run ended 2026-01-31 10:00:00, which is still to come"


# Destinations.


@pytest.mark.parametrize(
    ("answer", "reason", "fix"),
    [
        (status(503), "503", "look at the log of the server"),
        (html(), "text/html", "correct the endpoint"),
        (redirect("http://127.0.0.1:9/login"), "redirected", "correct the endpoint"),
        (status(401, "no key"), "no key", "correct the API key or its header"),
        (status(402), "402", "look at the quota and the bill"),
        (status(404), "404", "correct the path"),
        (status(407), "407", "correct the proxy"),
        (status(415), "415", "set `protocol`"),
        (status(429), "429", "look at the log of the server"),
        (status(500), "500", "look at the log of the server"),
        (status(400, "no data set"), "no data set", "correct what its answer names"),
        (partial(1, "too old"), "too old", "correct what its answer names"),
        (hang(), "no answer within 0.5 s", "start the collector"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_only_a_receipt_counts(
    cli: Cli,
    collector: FaultyCollector,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    reason: str,
    fix: str,
) -> None:
    collector.answer_with(answer)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")

    state, detail, advice = checks(cli)["to default"]

    assert state == "failed"
    assert detail.startswith(f"{collector.traces_url}: ")
    assert reason in detail
    assert advice is not None
    assert advice.startswith(fix)


def test_a_port_that_nobody_listens_on_is_a_failure(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")

        state, detail, _ = checks(cli)["to default"]

    assert state == "failed"
    assert "refused" in detail.lower()


def test_every_destination_is_asked_and_no_secret_shown(
    cli: Cli, collector: FaultyCollector
) -> None:
    (cli.home.path / "config.yaml").write_text(
        f"""
plugins:
  enabled: [cronalytics-otel]
  entries:
    cronalytics-otel:
      destinations:
        one: {{endpoint: "{collector.endpoint}", headers: {{x-api-key: hunter2}}}}
        two: {{endpoint: "{collector.endpoint.replace("//", "//me:hunter3@")}"}}
"""
    )

    result = cli("doctor")

    assert [line.split()[1:3] for line in result.lines if "to " in line][:2] == [
        ["to", "one"],
        ["to", "two"],
    ]
    assert collector.requests == 2
    assert "hunter" not in result.out + result.err


def test_the_switch_that_turns_everything_off_is_respected(
    cli: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    assert checks(cli)["destinations"][0] == "warning"
    assert collector.requests == 0


def test_json(cli: Cli) -> None:
    shape = cli("doctor", "--json").json

    assert shape["healthy"] is True
    assert shape["checks"][0] == {
        "name": "home",
        "state": "ok",
        "detail": f"{cli.home.path} (profile default)",
        "fix": None,
    }


def test_a_home_from_another_machine_is_told_until_it_has_an_instance_of_its_own(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("journal.instance", "cli.checks.files"):
        monkeypatch.setattr(f"cronalytics_otel.{module}.machine_hash", lambda: "here")
    instance_of(cli.home.plugin_folder, now_ns=NOW_NS - HOUR)
    assert "instance" not in checks(cli)

    (cli.home.plugin_folder / FILE_NAME).unlink()
    instance_of(cli.home.plugin_folder, now_ns=NOW_NS - HOUR, machine="another")
    assert checks(cli)["instance"][:2] == (
        "warning",
        "this home was moved or cloned from another machine",
    )

    instance_of(cli.home.plugin_folder, now_ns=NOW_NS)
    state, detail = checks(cli)["instance"][:2]
    assert (state, "moved or cloned" in detail) == ("ok", True)
