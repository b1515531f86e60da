"""Notices from Hermes's files to a web server: what a person reads, and what a check is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.clock import Clock
from cronalytics_otel.config import load_settings
from cronalytics_otel.config.settings import PLUGIN_KEY
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import SyncOptions, SyncReport, sync
from tests.support.fake_clock import ShiftedClock
from tests.support.fault_owner import this_process
from tests.support.homes import HomeBuilder, Stage
from tests.support.webhook import Webhook

HOUR_S = 3600.0
SECRET = "sk-proj-Zk3J9vQ2mX7bL5nR8tY1wC4dF6gH0aSe"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


@pytest.fixture
def noon() -> datetime:
    """A whole minute, an hour ago: after the targets were set up, and all that ran then has ended."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)


class NotifiedHome:
    """A home whose targets were set up two hours ago."""

    def __init__(self, path: Path, notify: dict[str, Any], **settings: Any) -> None:
        # All runs of a test are of one day there, at whatever hour it is run.
        timezone = "Asia/Tokyo" if datetime.now(UTC).hour < 3 else "UTC"
        entry = {"notify": notify, **settings}
        config = {"timezone": timezone, "plugins": {"entries": {PLUGIN_KEY: entry}}}
        self.builder = HomeBuilder(path, system_prompt_bytes=64, config=config)
        self.builder.write()
        assert self.sync(ahead_s=-2 * HOUR_S).healthy

    def sync(self, *, ahead_s: float = 0.0, **options: Any) -> SyncReport:
        clock: Clock = ShiftedClock(round(ahead_s * 1e9))
        home = Home(self.builder.path)
        settings = load_settings(
            home.path, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        )
        assert settings.problems == ()
        return sync(home, settings, SyncOptions(clock=clock, **options))

    def write_and_sync(self) -> SyncReport:
        self.builder.write()
        return self.sync()


@pytest.fixture
def phone(tmp_path: Path, webhook: Webhook) -> NotifiedHome:
    return NotifiedHome(tmp_path / "home", {"phone": {"url": webhook.apprise_url}})


@pytest.fixture
def checked(tmp_path: Path, webhook: Webhook) -> NotifiedHome:
    """Each job has a check of its own."""
    return NotifiedHome(tmp_path / "home", {"hc": {"ping": f"{webhook.url}/key/{{job}}"}})


# --- messages -----------------------------------------------------------------------------------


def test_a_failed_run_is_told_once(phone: NotifiedHome, webhook: Webhook, noon: datetime) -> None:
    job = phone.builder.job("digest", every_minutes=360)
    phone.builder.agent_run(job, noon, outcome="failure", error="RuntimeError: HTTP 429: slow")

    (report,) = phone.write_and_sync().notices
    phone.sync(eager=True)

    ((title, text),) = webhook.messages
    assert title == "digest: run failed"
    assert text.endswith("digest failed: RuntimeError: HTTP 429: slow")
    assert (report.sent, report.pending, report.error) == (1, 0, None)


def test_a_run_without_a_fault_is_no_news(
    phone: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    phone.builder.agent_run(phone.builder.job("digest", every_minutes=360), noon)

    assert phone.write_and_sync().new_runs == 1
    assert webhook.requests == []


def test_many_failures_of_one_sync_are_one_message(
    phone: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    for name in ("digest", "backup"):
        job = phone.builder.job(name, every_minutes=1, no_agent=True)
        for minute in range(6):
            phone.builder.script_run(job, noon + timedelta(minutes=minute), outcome="failure")

    phone.write_and_sync()

    ((title, _),) = webhook.messages
    assert title == "10 runs failed, 2 jobs keep failing"


def test_the_budget_of_the_month_is_reported_once_although_more_is_spent(
    tmp_path: Path, webhook: Webhook, noon: datetime
) -> None:
    home = NotifiedHome(
        tmp_path / "home",
        {"phone": {"url": webhook.apprise_url}, "other": {"url": webhook.apprise_url, "jobs": "x"}},
        budgets={"month": 1.0},
    )
    job = home.builder.job("digest", every_minutes=360)
    for minute in range(4):  # within the budget, then three runs beyond it
        home.builder.agent_run(
            job, noon + timedelta(minutes=minute), cost=0.75, cost_status="estimated"
        )
        home.write_and_sync()

    ((title, text),) = webhook.messages
    assert title == "all jobs: budget exceeded"
    assert text.endswith("all jobs cost $1.50 this month, more than the budget of $1.00")


def test_secrets_and_stdout_stay_at_home(
    phone: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    job = phone.builder.job(f"digest {SECRET}", every_minutes=360, no_agent=True)
    error = f"Script exited with code 3\nstderr:\nkey {SECRET} refused\nstdout:\nmy diary"
    phone.builder.script_run(job, noon, outcome="failure", error=error)

    phone.write_and_sync()

    ((_, text),) = webhook.messages
    assert "Script exited with code 3" in text
    assert SECRET not in webhook.requests[0].body
    assert "diary" not in text


def test_a_long_error_is_cut(phone: NotifiedHome, webhook: Webhook, noon: datetime) -> None:
    job = phone.builder.job("digest", every_minutes=360)
    phone.builder.agent_run(job, noon, outcome="failure", error="RuntimeError: " + "no " * 5000)

    phone.write_and_sync()

    ((_, text),) = webhook.messages
    assert len(text) < 400


def test_history_is_not_told_at_the_first_sync(
    tmp_path: Path, webhook: Webhook, noon: datetime
) -> None:
    notify = {"phone": {"url": webhook.apprise_url}, "hc": {"ping": f"{webhook.url}/{{job}}"}}
    config = {"plugins": {"entries": {PLUGIN_KEY: {"notify": notify}}}}
    builder = HomeBuilder(tmp_path / "home", system_prompt_bytes=64, config=config)
    job = builder.job("backup", every_minutes=1, no_agent=True)
    for minute in range(20):
        builder.script_run(job, noon + timedelta(minutes=minute), outcome="failure")
    builder.write()
    home = Home(builder.path)

    report = sync(
        home,
        load_settings(home.path, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}),
    )

    assert report.new_runs == 20
    assert webhook.requests == []


def test_a_run_that_is_found_late_is_counted_and_not_told(
    phone: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    job = phone.builder.job("backup", every_minutes=360, no_agent=True)
    phone.builder.script_run(job, noon, outcome="failure")
    phone.builder.write()

    phone.sync(ahead_s=25 * HOUR_S)

    assert webhook.requests == []


def test_a_job_that_stays_overdue_is_told_once_and_so_is_its_recovery(
    phone: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    """The scheduler hangs: at the first sync that sees it, it may still be about to start the job."""
    job = phone.builder.job("backup", every_minutes=30, no_agent=True)
    phone.builder.script_run(job, noon - timedelta(minutes=20))
    phone.write_and_sync()
    assert webhook.messages == []

    for minute in range(1, 5):
        phone.sync(ahead_s=minute * 61.0)

    ((title, text),) = webhook.messages
    assert title == "backup: job overdue"
    assert text.endswith("backup is overdue: is the scheduler running?")

    phone.builder.script_run(job, noon + timedelta(minutes=50))
    phone.builder.write()
    phone.sync(ahead_s=6 * 61.0)

    assert [title for title, _ in webhook.messages[1:]] == ["backup: job recovered"]


def test_notices_go_out_although_traces_are_switched_off(
    tmp_path: Path, webhook: Webhook, noon: datetime
) -> None:
    phone = NotifiedHome(tmp_path / "home", {"phone": {"url": webhook.apprise_url}})
    job = phone.builder.job("backup", every_minutes=360, no_agent=True)
    phone.builder.script_run(job, noon, outcome="failure")
    phone.builder.write()
    home = Home(phone.builder.path)

    sync(home, load_settings(home.path, {"OTEL_SDK_DISABLED": "true"}))

    assert len(webhook.messages) == 1


def test_a_dry_run_tells_nobody(phone: NotifiedHome, webhook: Webhook, noon: datetime) -> None:
    job = phone.builder.job("backup", every_minutes=360, no_agent=True)
    phone.builder.script_run(job, noon, outcome="failure")
    phone.builder.write()

    phone.sync(dry_run=True)
    assert webhook.requests == []

    phone.sync()
    assert len(webhook.requests) == 1


def test_a_url_that_apprise_does_not_know_is_an_error_with_what_to_do(
    tmp_path: Path, noon: datetime
) -> None:
    phone = NotifiedHome(tmp_path / "home", {"phone": {"url": "nosuch://token12345"}})
    job = phone.builder.job("backup", every_minutes=360, no_agent=True)
    phone.builder.script_run(job, noon, outcome="failure")

    (report,) = phone.write_and_sync().notices

    assert report.error is not None
    assert "Apprise does not know this URL" in report.error
    assert "token12345" not in report.error
    assert report.pending == 1


def test_without_apprise_the_notices_wait_and_the_message_says_what_to_install(
    phone: NotifiedHome, webhook: Webhook, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = phone.builder.job("backup", every_minutes=360, no_agent=True)
    phone.builder.script_run(job, noon, outcome="failure")
    with monkeypatch.context() as patch:
        patch.setattr("cronalytics_otel.export.notices.messages.find_spec", lambda _name: None)
        (report,) = phone.write_and_sync().notices
    assert report.error is not None
    assert "pip install 'apprise" in report.error

    phone.sync()

    assert len(webhook.messages) == 1


# --- pings --------------------------------------------------------------------------------------


def test_a_check_is_pinged_at_the_start_and_at_the_end(
    checked: NotifiedHome, webhook: Webhook
) -> None:
    job = checked.builder.job("Nightly backup", every_minutes=360, no_agent=True)
    began = datetime.now(UTC) - timedelta(seconds=30)
    run = checked.builder.script_run(
        job, began, stop_after=Stage.RUNNING, ledger_columns=this_process()
    )
    checked.write_and_sync()
    checked.sync()
    assert webhook.paths == ["/key/nightly-backup/start"]

    checked.builder.advance(run)
    checked.write_and_sync()

    assert webhook.paths == ["/key/nightly-backup/start", "/key/nightly-backup"]


def test_a_run_that_was_never_seen_running_is_one_ping(
    checked: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    """A start that is sent with the end would say that the run took no time."""
    job = checked.builder.job("backup", every_minutes=360, no_agent=True)
    checked.builder.script_run(job, noon, outcome="failure")

    checked.write_and_sync()

    (request,) = webhook.requests
    assert request.path == "/key/backup/fail"
    assert request.body == "backup failed: Script exited with code 3: boom"


def test_of_many_runs_only_the_newest_end_is_sent(
    checked: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    for name in ("backup", "digest"):
        job = checked.builder.job(name, every_minutes=1, no_agent=True)
        for minute in range(5):
            checked.builder.script_run(
                job,
                noon + timedelta(minutes=minute),
                outcome="failure" if minute < 4 else "success",
            )

    (report,) = checked.write_and_sync().notices

    assert sorted(webhook.paths) == ["/key/backup", "/key/digest"]
    assert (report.sent, report.pending) == (10, 0)


def test_a_run_that_goes_on_does_not_hide_the_end_of_the_one_before(
    checked: NotifiedHome, webhook: Webhook
) -> None:
    job = checked.builder.job("backup", every_minutes=1, no_agent=True)
    began = datetime.now(UTC) - timedelta(seconds=30)
    checked.builder.script_run(job, began - timedelta(minutes=1))
    checked.builder.script_run(job, began, stop_after=Stage.RUNNING, ledger_columns=this_process())

    checked.write_and_sync()

    assert webhook.paths == ["/key/backup", "/key/backup/start"]


def test_a_gate_that_finds_nothing_to_do_is_a_success(
    checked: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    job = checked.builder.job("inbox", every_minutes=360, script="any_mail.py")
    checked.builder.gated_run(job, noon)

    checked.write_and_sync()

    assert webhook.paths == ["/key/inbox"]


def test_a_check_that_does_not_exist_does_not_hold_up_another(
    checked: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    webhook.status = lambda path: 404 if "backup" in path else 200
    for name in ("backup", "digest"):
        job = checked.builder.job(name, every_minutes=360, no_agent=True)
        checked.builder.script_run(job, noon)

    (report,) = checked.write_and_sync().notices

    assert sorted(webhook.paths) == ["/key/backup", "/key/digest"]
    assert (report.sent, report.refused, report.pending, report.error) == (1, 1, 0, "HTTP 404")


def test_a_ping_that_has_waited_for_a_day_is_given_up(
    checked: NotifiedHome, webhook: Webhook, noon: datetime
) -> None:
    """Sent now, it would say that the job ran now."""
    webhook.status = 503
    job = checked.builder.job("backup", every_minutes=360, no_agent=True)
    checked.builder.script_run(job, noon)
    checked.write_and_sync()
    webhook.status = 200

    (report,) = checked.sync(ahead_s=25 * HOUR_S).notices

    assert len(webhook.requests) == 1
    assert (report.given_up, report.pending) == (1, 0)
