"""Targets that are down, that hang or refuse, and processes that die: told late perhaps, never twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.config.settings import PLUGIN_KEY
from tests.support.fault_process import Done, SyncProcesses
from tests.support.homes import HomeBuilder
from tests.support.webhook import DROP, HANG, Webhook

DAY_S = 86_400.0
ENVIRON = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


@pytest.fixture(params=["message", "ping"])
def notified(
    request: pytest.FixtureRequest, tmp_path: Path, webhook: Webhook, processes: SyncProcesses
) -> HomeBuilder:
    """A home that tells one target, which was set up two hours ago, of a failure since."""
    target = {
        "message": {"url": f"{webhook.apprise_url}?rto=0.5"},
        "ping": {"ping": f"{webhook.url}/{{job}}"},
    }[request.param]
    config = {"plugins": {"entries": {PLUGIN_KEY: {"notify": {"target": target}}}}}
    home = HomeBuilder(tmp_path / "home", system_prompt_bytes=64, config=config)
    home.write()
    assert processes.sync(home.path, ENVIRON, clock_ahead_s=-7200).report.healthy
    fail(home, "backup")
    return home


def fail(home: HomeBuilder, name: str) -> None:
    job = home.job(name, every_minutes=20_000, no_agent=True)
    noon = datetime.now(UTC) - timedelta(minutes=20)
    home.script_run(job, noon, outcome="failure")
    home.write()


def counts(done: Done) -> tuple[int, int]:
    (report,) = done.report.notices
    return report.sent, report.pending


@pytest.mark.parametrize("status", [500, 503, 429, 302, DROP])
def test_what_is_not_taken_is_sent_until_it_is_and_then_never_again(
    status: int, notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    webhook.status = status
    failed = processes.sync(notified.path, ENVIRON, eager=True)
    assert failed.error is None, failed.trace
    assert counts(failed) == (0, 1)
    assert not failed.report.healthy
    webhook.status = 200

    assert counts(processes.sync(notified.path, ENVIRON, eager=True)) == (1, 0)
    assert len(webhook.requests) == 2
    processes.sync(notified.path, ENVIRON, eager=True)

    assert len(webhook.requests) == 2


def test_a_target_that_is_not_there_is_left_alone_for_a_while(
    notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    webhook.stop()
    (report,) = processes.sync(notified.path, ENVIRON).report.notices
    assert report.began_failing
    webhook.start()

    (waiting,) = processes.sync(notified.path, ENVIRON, clock_ahead_s=-1).report.notices
    assert waiting.next_try_ns is not None
    assert webhook.requests == []
    (later,) = processes.sync(notified.path, ENVIRON, clock_ahead_s=600).report.notices

    assert later.recovered
    assert len(webhook.requests) == 1


def test_a_message_waits_while_its_server_is_down_for_days(
    tmp_path: Path, webhook: Webhook, processes: SyncProcesses
) -> None:
    config = {
        "plugins": {"entries": {PLUGIN_KEY: {"notify": {"phone": {"url": webhook.apprise_url}}}}}
    }
    home = HomeBuilder(tmp_path / "home", system_prompt_bytes=64, config=config)
    home.write()
    processes.sync(home.path, ENVIRON, clock_ahead_s=-7200)
    webhook.stop()
    for day, name in enumerate(["backup", "digest", "inbox"]):
        fail(home, name)
        done = processes.sync(home.path, ENVIRON, clock_ahead_s=day * 0.3 * DAY_S)
        assert counts(done) == (0, day + 1)
    webhook.start()

    done = processes.sync(home.path, ENVIRON, clock_ahead_s=7 * DAY_S)

    assert counts(done) == (3, 0)
    ((title, _),) = webhook.messages
    assert title == "3 runs failed"


def test_a_retry_after_is_obeyed(
    notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    """Apprise does not pass it on; a ping does."""
    webhook.status, webhook.headers = 503, {"Retry-After": "3600"}
    (report,) = processes.sync(notified.path, ENVIRON).report.notices
    webhook.status = 200
    processes.sync(notified.path, ENVIRON, eager=True)

    is_ping = not report.endpoint.startswith("json")
    assert len(webhook.requests) == (1 if is_ping else 2)


def test_a_target_that_hangs_is_a_failure_like_any_other(
    notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    webhook.status = HANG
    done = processes.sync(notified.path, ENVIRON)
    (report,) = done.report.notices
    assert report.error is not None
    webhook.status = 200

    assert counts(processes.sync(notified.path, ENVIRON, eager=True)) == (1, 0)


def test_killed_before_any_statement_of_the_journal(
    tmp_path: Path,
    notified: HomeBuilder,
    webhook: Webhook,
    processes: SyncProcesses,
) -> None:
    """Each in turn: nothing is lost, and only a receipt that was lost lets it be sent once more."""
    sent_twice = statement = 0
    while True:
        statement += 1
        path = Path(shutil.copytree(notified.path, tmp_path / "copy"))
        webhook.requests.clear()
        if not processes.sync(path, ENVIRON, die_before_statement=statement).killed:
            break
        done = processes.sync(path, ENVIRON)
        assert done.error is None, (statement, done.trace)
        assert 1 <= len(webhook.requests) <= 2, statement
        sent_twice += len(webhook.requests) == 2
        processes.sync(path, ENVIRON, eager=True)
        assert len(webhook.requests) <= 2, statement
        shutil.rmtree(path)

    assert statement > 20
    assert 1 <= sent_twice <= 3, "only between the receipt and its COMMIT"


def test_killed_while_the_server_has_the_request_and_says_nothing(
    notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    webhook.next_statuses.append(HANG)
    running = processes.start(notified.path, ENVIRON)
    webhook.arrived.acquire()
    assert running.kill().killed

    assert counts(processes.sync(notified.path, ENVIRON)) == (1, 0)
    processes.sync(notified.path, ENVIRON, eager=True)

    assert len(webhook.requests) == 2


def test_two_processes_do_not_send_the_same_notice(
    notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    running = [processes.start(notified.path, ENVIRON) for _ in range(2)]
    for process in running:
        process.wait()

    assert len(webhook.requests) == 1


def test_no_log_line_shows_the_url_or_what_was_sent(
    notified: HomeBuilder, webhook: Webhook, processes: SyncProcesses
) -> None:
    """The libraries log both, at some level."""
    webhook.status = 500
    done = processes.sync(notified.path, ENVIRON)

    assert len(webhook.requests) == 1
    assert "boom" not in done.log
    assert str(webhook.port) not in done.log
