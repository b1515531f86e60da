"""Notices in `status`, `sync` and `doctor`: what waits, what fails, and a test that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
import yaml

from cronalytics_otel.config.settings import PLUGIN_KEY
from cronalytics_otel.export.notices import messages
from tests.support.cli import DIGEST, NOW, Cli, fill
from tests.support.homes import HomeBuilder
from tests.support.webhook import Webhook


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


@pytest.fixture
def cli(empty: Cli) -> Cli:
    return empty


def notify(cli: Cli, targets: dict[str, Any]) -> None:
    """The settings have these targets, and the home has the job `nightly digest`."""
    config = {"plugins": {"enabled": [PLUGIN_KEY], "entries": {PLUGIN_KEY: {"notify": targets}}}}
    builder = HomeBuilder(cli.home.path)
    builder.job("nightly digest", every_minutes=1440)
    builder.write()
    (cli.home.path / "config.yaml").write_text(yaml.safe_dump(config))
    fill(cli.home, DIGEST)


def fail_since(cli: Cli, name: str = "backup") -> None:
    """A job fails after the targets were set up, an hour ago."""
    with time_machine.travel(NOW.timestamp() - 3600, tick=False):
        cli("sync")
    builder = HomeBuilder(cli.home.path)
    job = builder.job(name, every_minutes=1440, no_agent=True)
    builder.script_run(job, NOW.replace(hour=7, minute=30), outcome="failure")
    config = (cli.home.path / "config.yaml").read_text()
    builder.write()
    (cli.home.path / "config.yaml").write_text(config)


def checks(cli: Cli, *options: str) -> dict[str, tuple[str, str]]:
    """State and detail of the checks of targets."""
    found = cli("doctor", "--json", *options).json["checks"]
    return {c["name"]: (c["state"], c["detail"]) for c in found if c["name"].startswith("to ")}


# --- sync and status ----------------------------------------------------------------------------


def test_sync_says_how_many_notices_it_sent(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)

    result = cli("sync")

    assert result.status == 0
    assert "✓ phone: 1 notice sent, 0 notices pending" in result.lines


def test_sync_says_why_a_target_took_nothing_and_ends_with_1(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    webhook.status = 500

    result = cli("sync")

    assert result.status == 1
    assert "✗ phone: 0 notices sent, 1 notice pending" in result.lines
    assert any("error=500" in line and "(json://***)" in line for line in result.lines)


def test_status_shows_what_waits_since_when_and_why(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    webhook.status = 500
    cli("sync")

    result = cli("status")

    assert result.status == 1
    lines = result.lines[result.lines.index("Notices") :]
    assert lines[1] == "✗ phone      json://***"
    assert "  delivered  0, last receipt never" in lines
    assert any(line.startswith("  pending    1, the oldest from 29 m") for line in lines)
    assert any("error=500" in line for line in lines)
    assert any(line.startswith("  next try   ") for line in lines)


def test_status_shows_a_target_that_takes_everything(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    cli("sync")

    (target,) = cli("status", "--json").json["notices"]

    assert (target["name"], target["address"]) == ("phone", "json://***")
    assert (target["delivered"], target["pending"], target["last_error"]) == (1, 0, None)


def test_status_shows_what_a_check_refused(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"hc": {"ping": f"{webhook.url}/{{job}}"}})
    fail_since(cli)
    webhook.status = 404
    cli("sync")

    assert "  refused    1, for good" in cli("status").lines


def test_status_shows_what_was_given_up(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"hc": {"ping": f"{webhook.url}/{{job}}"}})
    fail_since(cli)
    webhook.status = 503
    cli("sync")
    with time_machine.travel(NOW.timestamp() + 2 * 86_400, tick=False):
        cli("sync")
        lines = cli("status").lines

    assert "  given up   1, which had waited too long" in lines


def test_status_shows_what_was_found_too_late(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    with time_machine.travel(NOW.timestamp() + 2 * 86_400, tick=False):
        cli("sync")
        lines = cli("status").lines

    assert "  not sent   1, found more than a day after they ended" in lines


def test_a_target_that_no_sync_has_seen_yet_is_new(cli: Cli) -> None:
    notify(cli, {"phone": {"url": "json://localhost/"}})

    assert any("is told of what ends after the next sync" in line for line in cli("status").lines)


def test_one_that_was_taken_out_is_shown_while_something_waits(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    webhook.status = 500
    cli("sync")
    (cli.home.path / "config.yaml").write_text("{}")
    cli("sync")

    assert "  no longer in the settings; what is pending waits" in [
        line.replace("             ", "  ") for line in cli("status").lines
    ]


def test_without_notify_status_does_not_speak_of_notices(cli: Cli) -> None:
    fill(cli.home, DIGEST)

    assert "Notices" not in cli("status").lines


# --- health -------------------------------------------------------------------------------------


def found_wrong(cli: Cli) -> list[tuple[str, str, str]]:
    """Kind, subject and text of what `health` says of targets."""
    findings = cli("health", "--json").json["findings"]
    return [(f["kind"], f["subject"], f["text"]) for f in findings if "notice" in f["text"]]


def test_health_names_a_target_that_fails(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    webhook.status = 500
    cli("sync")

    ((kind, subject, text),) = found_wrong(cli)

    assert (kind, subject) == ("pending", "phone")
    assert text.startswith("does not take notices: ")
    assert text.endswith("; 1 notice pending")


def test_health_names_a_check_that_refuses_its_pings(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"hc": {"ping": f"{webhook.url}/{{job}}"}})
    fail_since(cli)
    webhook.status = 404
    cli("sync")

    assert found_wrong(cli) == [("refused", "hc", "refused 1 notice: HTTP 404")]


def test_health_names_notices_that_wait_for_apprise(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(cli, {"phone": {"url": "json://localhost/"}})
    fail_since(cli)
    monkeypatch.setattr(messages, "find_spec", lambda _name: None)
    with time_machine.travel(NOW.timestamp() + 3600, tick=False):
        cli("sync")
        ((kind, subject, text),) = found_wrong(cli)

    assert (kind, subject) == ("pending", "phone")
    assert text.startswith("was not sent 1 notice for 1 h")


def test_health_is_silent_about_a_target_that_takes_everything(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}})
    fail_since(cli)
    cli("sync")

    assert found_wrong(cli) == []


# --- doctor -------------------------------------------------------------------------------------


def test_doctor_sends_no_notice_unless_it_is_asked_to(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}, "hc": {"ping": f"{webhook.url}/{{job}}"}})

    found = checks(cli)

    assert webhook.requests == []
    assert {state for state, _ in found.values()} == {"ok"}
    assert "doctor --notify` sends a test notice" in found["to phone"][1]


def test_doctor_sends_a_test_to_each_target(cli: Cli, webhook: Webhook) -> None:
    """To a check it is `/log`, which leaves its state as it is."""
    notify(cli, {"phone": {"url": webhook.apprise_url}, "hc": {"ping": f"{webhook.url}/{{job}}"}})

    found = checks(cli, "--notify")

    assert found == {
        "to phone": ("ok", "json://*** took a test notice"),
        "to hc": ("ok", f"{webhook.url}/*** took a test ping"),
    }
    check, phone = webhook.requests
    assert check.path == "/nightly-digest/log"
    assert phone.json["title"] == "Test notice"


def test_a_test_that_is_not_taken_is_a_failure(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"phone": {"url": webhook.apprise_url}, "hc": {"ping": f"{webhook.url}/{{job}}"}})
    webhook.status = 403

    found = checks(cli, "--notify")

    assert {state for state, _ in found.values()} == {"failed"}
    assert "HTTP 403" in found["to hc"][1]


def test_a_job_that_nobody_knows_is_a_warning(cli: Cli) -> None:
    notify(cli, {"phone": {"url": "json://localhost/", "jobs": ["nightly digest", "bakup"]}})

    states = [
        (check["state"], check["detail"])
        for check in cli("doctor", "--json").json["checks"]
        if check["name"] == "to phone"
    ]

    assert states[1] == ("warning", "no job is called bakup")


def test_a_check_for_jobs_that_do_not_exist_cannot_be_tried_out(cli: Cli, webhook: Webhook) -> None:
    notify(cli, {"hc": {"ping": f"{webhook.url}/x", "jobs": "bakup"}})

    first = next(
        check
        for check in cli("doctor", "--json", "--notify").json["checks"]
        if check["name"] == "to hc"
    )

    assert first["state"] == "warning"
    assert webhook.requests == []


def test_without_apprise_doctor_says_what_to_install(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(cli, {"phone": {"url": "json://localhost/"}})
    monkeypatch.setattr(messages, "find_spec", lambda _name: None)

    assert checks(cli)["to phone"][0] == "failed"
    assert "pip install 'apprise" in checks(cli)["to phone"][1]
