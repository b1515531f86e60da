"""Damage of the journal that SQLite does not name: the next sync replaces the file, as after any other."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.config import Settings, load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal, JournalError
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.sync import SyncOptions, SyncReport, sync
from tests.support.homes import HomeBuilder

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PAGE = 4096
RUNS = 12


class Place:
    """A home whose runs are in the journal."""

    def __init__(self, path: Path) -> None:
        builder = HomeBuilder(path, system_prompt_bytes=64)
        script, digest = builder.job("backup", no_agent=True), builder.job("digest")
        for number in range(RUNS // 2):
            at = NOON + timedelta(minutes=number)
            builder.script_run(script, at, outcome="failure", error="e" * 900)
            builder.agent_run(digest, at)
        builder.write()
        self.home = Home(path)
        self.sync()
        self.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self.sound = self.home.journal.read_bytes()

    @property
    def settings(self) -> Settings:
        off = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        return load_settings(self.home.path, off)

    def sync(self) -> SyncReport:
        return sync(self.home, self.settings, SyncOptions(full=True))

    def sql(self, statement: str) -> None:
        with closing(sqlite3.connect(self.home.journal)) as connection, connection:
            connection.execute(statement)

    def replace(self, content: bytes) -> None:
        for file in self.home.plugin_folder.glob("journal.db*"):
            file.unlink()
        self.home.journal.write_bytes(content)

    def runs(self) -> int:
        with Journal.open(self.home.journal) as journal:
            return len(journal.queries.runs(RunFilter()))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


def test_a_page_of_zeros_anywhere_is_healed_by_the_sync_after_whoever_meets_it(
    place: Place,
) -> None:
    failures = {}
    for page in range(1, len(place.sound) // PAGE):
        before, after = place.sound[: page * PAGE], place.sound[(page + 1) * PAGE :]
        place.replace(before + bytes(PAGE) + after)
        place.sync()
        with contextlib.suppress(JournalError):
            place.runs()
        place.sync()
        if place.runs() != RUNS:
            failures[page] = place.runs()
    assert failures == {}


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE run",
        "DROP TABLE fact",
        "DROP TABLE migration",
        "DROP TABLE usage_group",
        "DELETE FROM migration",
        "UPDATE fact SET value = substr(value, 1, 1) WHERE name = 'jobs.now'",
    ],
)
def test_a_journal_that_lacks_a_part_is_replaced(place: Place, statement: str) -> None:
    place.sql(statement)

    report = place.sync()

    assert report.repair is not None
    assert report.repair.moved_to.exists()
    assert place.runs() == RUNS
    assert place.sync().repair is None


def test_an_index_that_is_gone_would_let_runs_be_counted_twice(place: Place) -> None:
    with closing(sqlite3.connect(place.home.journal)) as connection, connection:
        (name,) = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'run' "
            "AND sql LIKE '%UNIQUE%' LIMIT 1"
        ).fetchone()
        connection.execute(f"DROP INDEX {name}")

    assert place.sync().repair is not None


def test_an_error_on_a_sound_journal_is_nobody_s_damage(place: Place) -> None:
    with pytest.raises(TypeError), Journal.open(place.home.journal):
        raise TypeError
    assert place.sync().repair is None


def test_a_command_that_meets_damage_says_that_the_next_sync_heals_it(place: Place) -> None:
    place.sql("DROP TABLE job")

    with pytest.raises(JournalError, match=r"has no .*job.*next sync moves it aside"):
        Journal.open_for_reading(place.home.journal)
