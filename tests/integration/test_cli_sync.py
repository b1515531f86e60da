"""`sync`: what it says, and what it exits with, against real collectors."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cronalytics_otel.cli.terminal import Terminal
from cronalytics_otel.cli.views.progress import ProgressLines
from cronalytics_otel.journal import Journal
from cronalytics_otel.lock import sync_lock
from tests.support.cli import DIGEST, SCRIPT, Cli, fill
from tests.support.collector import FaultyCollector, ok, partial, status
from tests.support.homes import HomeBuilder


@pytest.fixture
def silent(empty: Cli) -> Cli:
    """A home with three runs, days apart, and no destination."""
    builder = HomeBuilder(empty.home.path)
    job_id = builder.job("nightly digest", every_minutes=1440)
    for day in (10, 20, 30):
        builder.agent_run(job_id, datetime(2026, 1, day, 6, 0, tzinfo=UTC), cost=0.01)
    builder.write()
    return empty


@pytest.fixture
def cli(silent: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """With the collector as its destination."""
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    return silent


def roots(collector: FaultyCollector) -> int:
    return sum(span["parent_id"] is None for span in collector.spans)


def test_it_reads_and_sends_and_sums_up(cli: Cli, collector: FaultyCollector) -> None:
    result = cli("sync")

    assert result.lines == ["3 new runs, 0 still open", "✓ default: 3 sent, 0 pending"]
    assert (result.status, result.err) == (0, "")
    assert roots(collector) == 3


def test_a_second_one_has_nothing_to_do(cli: Cli, collector: FaultyCollector) -> None:
    cli("sync")

    result = cli("sync")

    assert result.lines == ["0 new runs, 0 still open", "✓ default: 0 sent, 0 pending"]
    assert result.status == 0
    assert roots(collector) == 3


def test_without_a_destination_the_journal_is_filled_all_the_same(silent: Cli) -> None:
    result = silent("sync")

    assert (result.status, result.lines) == (0, ["3 new runs, 0 still open"])
    assert result.err == (
        "There is no destination: runs are kept in the journal and sent nowhere.\n"
    )
    assert silent("runs", "--json").json["matched"] == 3


def test_it_says_that_a_destination_takes_no_metrics(
    cli: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_METRICS_EXPORTER")
    collector.answer_metrics_with(status(404))

    result = cli("sync")

    assert result.status == 0
    assert result.lines[-1].startswith("– default: takes no metrics (HTTP 404 Not Found")  # noqa: RUF001


def test_it_says_when_metrics_are_tried_again(
    cli: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_METRICS_EXPORTER")
    collector.answer_metrics_with(status(503, "later", retry_after="60"))

    for _ in range(2):  # it is not asked a second time, and still is not well
        result = cli("sync")
        assert result.status == 1
        assert "✗ default: the metrics were not taken" in result.lines
        assert result.lines[-1].startswith("  next try in ")
    assert len(collector.metric_requests) == 1
    (metrics,) = cli("sync", "--json").json["metrics"]
    assert metrics["next_attempt_at"] > "2026"


def test_with_a_destination_for_metrics_alone_it_says_what_is_sent(
    silent: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_METRICS_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)

    assert silent("sync").err == (
        "There is no destination for traces: runs are kept in the journal, and only their metrics are sent.\n"
    )


def test_the_switch_that_turns_everything_off_is_told(
    cli: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    result = cli("sync")

    assert result.err == "OTEL_SDK_DISABLED is true: nothing was sent.\n"
    assert collector.requests == 0


def test_a_failing_destination_is_told_and_is_a_failure(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_with(status(503))

    result = cli("sync")

    assert result.lines[:2] == ["3 new runs, 0 still open", "✗ default: 0 sent, 3 pending"]
    assert "503" in result.lines[2]
    assert collector.traces_url in result.lines[2]
    assert result.lines[3].startswith("  next try in ")
    assert result.status == 1


def test_a_person_who_asks_is_not_put_off_by_our_own_back_off(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_next(status(503))
    cli("sync")

    assert cli("sync").lines[-1] == "✓ default: 3 sent, 0 pending"


def test_a_wait_that_the_server_asked_for_is_kept_and_is_a_failure(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_next(status(429, retry_after="60"))
    cli("sync")

    result = cli("sync")

    assert result.lines[1:] == ["✗ default: 0 sent, 3 pending", "  next try in 1 m 00 s"]
    assert result.status == 1
    assert collector.requests == 1


def test_what_was_refused_is_told_with_the_servers_words(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_with(partial(1, "span too old"))

    refused = cli("sync")

    assert refused.lines[1] == "✗ default: 0 sent, 0 pending, 3 refused"
    assert "span too old" in refused.lines[2]
    assert refused.status == 1


def test_a_destination_that_refuses_every_run_gets_them_when_it_is_mended(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_with(status(400, "no such tenant"))

    waiting = cli("sync")

    assert waiting.lines[1] == "✗ default: 0 sent, 3 pending"
    assert "no such tenant" in waiting.lines[2]
    assert waiting.status == 1
    collector.answer_with(ok())
    assert cli("sync").lines[-1] == "✓ default: 3 sent, 0 pending"


def test_retry_refused_sends_it(cli: Cli, collector: FaultyCollector) -> None:
    collector.answer_next(status(400), ok(), status(400), status(400), ok())
    assert "1 refused" in cli("sync").lines[1]

    result = cli("sync", "--retry-refused")

    assert result.lines[-1] == "✓ default: 1 sent, 0 pending"
    assert roots(collector) == 3


def test_since_leaves_older_runs_pending(cli: Cli, collector: FaultyCollector) -> None:
    result = cli("sync", "--since", "15d")

    assert result.lines[-1] == "✓ default: 2 sent, 1 pending"
    assert roots(collector) == 2


@pytest.mark.parametrize("days", ["999999", "1.0e+300"])
def test_runs_may_wait_for_as_long_as_can_be_said(cli: Cli, days: str) -> None:
    options = f"{{max_age_days: {days}, flush_timeout: {days}}}"
    (cli.home.path / "config.yaml").write_text(
        f"plugins: {{entries: {{cronalytics-otel: {options}}}}}"
    )

    result = cli("sync")

    assert (result.status, result.err) == (0, "")


def test_a_dry_run_changes_nothing(cli: Cli, collector: FaultyCollector) -> None:
    result = cli("sync", "--dry-run")

    assert result.lines == [
        "3 new runs found, 0 still open",
        "✓ default: 3 to send",
        "Dry run: nothing was written, nothing was sent.",
    ]
    assert result.status == 0
    assert collector.requests == 0
    assert not cli.home.journal.exists()


def test_full_reads_everything_again_and_adds_what_is_missing(cli: Cli) -> None:
    cli("sync")
    with sqlite3.connect(cli.home.journal) as journal:
        journal.execute("DELETE FROM run WHERE id = 2")
    journal.close()

    assert cli("sync").lines[0] == "0 new runs, 0 still open"
    assert cli("sync", "--full").lines[0] == "1 new run, 0 still open"


def test_a_damaged_journal_is_moved_aside_and_told(cli: Cli) -> None:
    cli("sync")
    for file in cli.home.plugin_folder.glob("journal.db*"):
        file.write_bytes(b"this is no database\n" * 500)

    result = cli("sync")

    assert result.lines[0].startswith("The journal was damaged (")
    assert result.lines[1] == "3 new runs, 0 still open"


@pytest.mark.parametrize("damage", ["all of it", "a page of it"])
def test_a_dry_run_leaves_a_damaged_journal_where_it_is(
    cli: Cli, collector: FaultyCollector, damage: str
) -> None:
    cli("sync", "--since", "1m")
    content = cli.home.journal.read_bytes()
    noise = b"no database\n" * (len(content) // 12)
    cli.home.journal.write_bytes(noise if damage == "all of it" else content[:4096] + noise)
    before = {path: path.read_bytes() for path in cli.home.plugin_folder.iterdir()}

    result = cli("sync", "--dry-run")

    assert {path: path.read_bytes() for path in cli.home.plugin_folder.iterdir()} == before
    assert result.lines == [
        "3 new runs found, 0 still open",
        "✓ default: 3 to send",
        "Dry run: nothing was written, nothing was sent.",
    ]
    assert result.err.startswith(f"warning: {cli.home.journal}: the journal cannot be used: ")
    assert result.err.endswith("the next sync moves it aside and makes a new one\n")
    assert result.status == 1
    assert collector.requests == 0


@pytest.mark.parametrize("when", ["200000d", "1600-01-01", "1969-12-31T00:00Z"])
def test_since_before_any_run_is_everything(cli: Cli, when: str) -> None:
    result = cli("sync", "--since", when)

    assert (result.status, result.lines[-1]) == (0, "✓ default: 3 sent, 0 pending")


def test_a_file_of_the_host_that_cannot_be_read_is_a_failure(cli: Cli) -> None:
    cli.home.jobs.write_text('{"jobs": [')

    result = cli("sync")

    assert result.status == 1
    assert result.err.startswith(f"warning: {cli.home.jobs} is no valid JSON")


def test_another_process_that_syncs_is_told(cli: Cli) -> None:
    with sync_lock(cli.home.lock):
        result = cli("sync")

    assert (result.status, result.out) == (1, "")
    assert result.err == "error: this process is syncing this home already\n"


def test_a_folder_that_is_no_hermes_home_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()

    result = cli("sync", "--home", str(tmp_path / "elsewhere"))

    assert (result.status, result.out) == (1, "")
    assert "is no Hermes home" in result.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_without_a_terminal_a_long_sync_says_a_line_now_and_then(
    empty: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(empty.home, DIGEST, SCRIPT)
    with Journal.open(empty.home.journal) as journal:
        journal.outbox.set_destinations({"default": "https://c.example"}, 0)

    with ProgressLines(Terminal({}), empty.home) as progress:
        for runs in range(500, 25_001, 500):
            progress.harvested(runs)
        for runs in range(10_200, 20_500, 256):
            progress.sent("default", runs)

    assert capsys.readouterr() == (
        "",
        (
            "read 10,000 new runs\nread 20,000 new runs\nsent 10,200 of 10,202 runs to default\n"
            # More have come meanwhile.
            "sent 20,440 of 20,440 runs to default\n"
        ),
    )


def test_json(cli: Cli, collector: FaultyCollector) -> None:
    collector.answer_next(status(429, "slow down", retry_after="60"))

    failed = cli("sync", "--json").json
    assert cli("sync", "--json", "--dry-run").json["dry_run"] is True

    (destination,) = failed.pop("destinations")
    assert failed == {
        "dry_run": False,
        "new_runs": 3,
        "open_runs": 0,
        "problems": [],
        "repair": None,
        "metrics": [],
        "notices": [],
    }
    assert "429" in destination.pop("error")
    assert destination == {
        "name": "default",
        "endpoint": collector.traces_url,
        "sent": 0,
        "pending": 3,
        "refused": 0,
        "given_up": 0,
        "next_attempt_at": "2026-01-31T08:01:00.000000Z",
    }
