"""With `journal_days`, a run that was deleted is neither read nor sent again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from cronalytics_otel.cli import main
from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import RUNS_PASSED_OVER
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.sync import SyncOptions, SyncReport, sync
from tests.support.collector import FaultyCollector, ok, status
from tests.support.fake_clock import FakeClock
from tests.support.homes import HomeBuilder

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
"""When all is over; the clock of each sync says so."""


def settings_of(home: HomeBuilder, collector: FaultyCollector, **options: object) -> Home:
    home.write()
    document = {
        "timezone": "UTC",
        "plugins": {
            "entries": {
                "cronalytics-otel": {
                    "destinations": {"default": {"endpoint": collector.endpoint}},
                    **options,
                }
            }
        },
    }
    (home.path / "config.yaml").write_text(json.dumps(document))
    return Home(home.path)


def synced(home: Home, *, full: bool = False, at: datetime = NOON) -> SyncReport:
    clock = FakeClock(now_ns=int(at.timestamp()) * 10**9)
    return sync(home, load_settings(home.path, {}), SyncOptions(full=full, clock=clock))


def days_of_runs(home: Home) -> list[int]:
    with Journal.open(home.journal) as journal:
        found = journal.queries.runs(RunFilter())
    return [(NOON - datetime.fromtimestamp(r.ended_ns / 1e9, UTC)).days for r in found]


@pytest.fixture
def with_history(home: HomeBuilder) -> HomeBuilder:
    """A run at noon of each of twenty days; the ledger knows the last five, as it forgets old ones."""
    daily = home.job("digest", cron="0 12 * * *", created=NOON - timedelta(days=30))
    for day in range(20, -1, -1):
        home.agent_run(daily, NOON - timedelta(days=day, minutes=5), ledger=day < 5)
    return home


def test_old_runs_are_sent_first_then_deleted_and_never_sent_again(
    with_history: HomeBuilder, collector: FaultyCollector
) -> None:
    home = settings_of(with_history, collector, journal_days=10)
    synced(home)
    sent = {span["trace_id"] for span in collector.spans}
    kept = days_of_runs(home)
    collector.clear()

    again = synced(home, full=True)

    assert len(sent) == 21
    assert kept == list(range(11))
    assert (again.new_runs, collector.spans) == (0, [])
    assert days_of_runs(home) == kept
    with Journal.open(home.journal) as journal:
        assert journal.facts.get(RUNS_PASSED_OVER) == 10


def test_neither_are_they_after_the_host_has_renumbered_its_rows(
    with_history: HomeBuilder, collector: FaultyCollector
) -> None:
    home = settings_of(with_history, collector, journal_days=10)
    synced(home)
    collector.clear()
    with closing(sqlite3.connect(home.state_db)) as connection:
        connection.execute("DELETE FROM sessions WHERE rowid % 7 = 3")
        connection.commit()
        connection.execute("VACUUM")

    assert (synced(home).new_runs, collector.spans) == (0, [])


def test_a_run_that_is_still_to_be_sent_waits_for_that(
    with_history: HomeBuilder, collector: FaultyCollector
) -> None:
    collector.answer_with(status(503))
    home = settings_of(with_history, collector, journal_days=10)
    synced(home)
    kept = days_of_runs(home)
    collector.answer_with(ok())
    synced(home, at=NOON + timedelta(hours=13))

    assert len(kept) == 21
    assert len(days_of_runs(home)) == 10


def test_status_says_how_many_were_passed_over_and_since_when_runs_are_complete(
    with_history: HomeBuilder, collector: FaultyCollector, capsys: pytest.CaptureFixture[str]
) -> None:
    home = settings_of(with_history, collector, journal_days=10)
    synced(home)
    synced(home, full=True)

    main(["status", "--home", str(home.path)])
    shown = capsys.readouterr().out
    main(["status", "--home", str(home.path), "--json"])
    facts = json.loads(capsys.readouterr().out)["journal"]

    assert "complete since 2026-04-24; 10 runs from before were not read again" in shown
    assert (facts["complete_since"], facts["passed_over"]) == ("2026-04-24", 10)


@pytest.mark.parametrize("command", ["summary", "jobs", "models", "trends", "runs", "forecast"])
def test_answers_say_that_the_window_takes_whole_days(
    with_history: HomeBuilder,
    collector: FaultyCollector,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    asked = [command, "--home", str(with_history.path), "--since", "2026-04-20T12:30:00Z"]
    texts = []
    for options in ({}, {"journal_days": 10}):
        home = settings_of(with_history, collector, **options)
        synced(home)
        main(asked)
        texts.append(capsys.readouterr().out)

    note = "the window takes whole days where runs were deleted"
    assert [note in text for text in texts] == [False, True]
    if command != "forecast":
        main([*asked, "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert answer["window"] == {
            "since_at": "2026-04-20T00:00:00.000000Z",
            "until_at": None,
            "is_as_asked": False,
            "runs_since_at": "2026-04-24T00:00:00.000000Z",
            "prior_is_known": False,
        }


def test_runs_says_how_many_of_them_are_there(
    with_history: HomeBuilder, collector: FaultyCollector, capsys: pytest.CaptureFixture[str]
) -> None:
    synced(settings_of(with_history, collector, journal_days=10))
    command = ["runs", "--home", str(with_history.path)]

    main([*command, "--limit", "0", "--json"])
    found = json.loads(capsys.readouterr().out)
    deleted = found["matched"] - len(found["runs"])
    main([*command, "--limit", "2"])
    some = capsys.readouterr().out

    assert found["shown"] == len(found["runs"])
    assert deleted > 0
    assert (
        f"2 of {found['matched']} runs shown; {deleted} were deleted (`journal_days`);"
        " --limit 0 shows more\n"
    ) in some


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ("2026-04-26", "runs before 2026-04-24 00:00 were deleted"),
        ("2026-04-16", "runs before 2026-04-24 00:00 were deleted"),
    ],
)
def test_drift_says_that_the_window_before_is_not_known(
    with_history: HomeBuilder,
    collector: FaultyCollector,
    capsys: pytest.CaptureFixture[str],
    since: str,
    why: str,
) -> None:
    synced(settings_of(with_history, collector, journal_days=10))
    asked = ["drift", "--home", str(with_history.path), "--since", f"{since}T00:00:00Z"]
    asked += ["--until", "2026-05-02T00:00:00Z"]

    main(asked)
    shown = capsys.readouterr()
    main([*asked, "--json"])

    unknown = f"No change can be seen. The window before is not known as a whole: {why}."
    assert unknown in " ".join((shown.out + shown.err).split())
    assert not json.loads(capsys.readouterr().out)["window"]["prior_is_known"]


def test_a_filter_for_models_begins_where_all_runs_are_kept(
    with_history: HomeBuilder, collector: FaultyCollector, capsys: pytest.CaptureFixture[str]
) -> None:
    synced(settings_of(with_history, collector, journal_days=10))
    asked = ["jobs", "--home", str(with_history.path), "--model", "fake-model"]
    asked += ["--since", "2026-04-20T12:30:00Z"]

    main(asked)
    shown = capsys.readouterr().out
    main([*asked, "--json"])
    window = json.loads(capsys.readouterr().out)["window"]

    assert "the window begins where all runs are kept: earlier ones were deleted" in shown
    assert window == {
        "since_at": "2026-04-24T00:00:00.000000Z",
        "until_at": None,
        "is_as_asked": False,
        "runs_since_at": "2026-04-24T00:00:00.000000Z",
        "prior_is_known": False,
    }
