"""What a harvest leaves for the views: the state of the host's files, and when jobs are due next."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import harvest
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, GONE_JOBS, LAST_SYNC_NS, SOURCES
from cronalytics_otel.model import Source
from cronalytics_otel.model.times import Zone
from tests.support.homes import HomeBuilder

CREATED = datetime(2026, 1, 31, 6, tzinfo=UTC)
NOW_NS = int((CREATED + timedelta(hours=1)).timestamp()) * 10**9


class Place:
    """A home with a job and a run of it, and its journal."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.builder = HomeBuilder(path)
        self.job_id = self.builder.job("digest", every_minutes=60, created=CREATED)
        self.builder.agent_run(self.job_id, CREATED)
        self.builder.write()
        for file in (self.home.jobs, self.home.ledger, self.home.state_db):
            os.utime(file, ns=(NOW_NS, NOW_NS))  # a file that has just changed is always read again
        self.journal = Journal.open(self.home.journal)

    def harvest(self) -> dict[str, Source]:
        harvest(self.home, self.journal, Zone(info=UTC, name="UTC"), now_ns=NOW_NS)
        return {source.name: source for source in self.journal.facts.get(SOURCES)}

    def due(self) -> list[str]:
        return [job.name for job in self.journal.facts.get(CURRENT_JOBS) if job.due is not None]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "home")
    with place.journal:
        yield place


def test_each_file_is_recorded_with_its_path_and_the_time_of_its_last_change(place: Place) -> None:
    home = place.home

    assert place.harvest() == {
        name: Source(
            name=name,
            path=str(path),
            exists=True,
            fault=None,
            changed_ns=path.stat().st_mtime_ns,
        )
        for name, path in (
            ("jobs", home.jobs),
            ("ledger", home.ledger),
            ("sessions", home.state_db),
            ("output", home.outputs),
        )
    }


def test_a_harvest_with_nothing_new_opens_no_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.harvest()
    monkeypatch.setattr("cronalytics_otel.harvest.sources.inspect_sources", None)

    assert place.harvest() == before


def test_a_fault_is_looked_at_again_by_every_harvest(place: Place) -> None:
    """A lock is gone in a moment, and leaves no trace in the file."""
    place.harvest()
    with contextlib.closing(sqlite3.connect(place.home.ledger, isolation_level=None)) as ledger:
        ledger.execute("PRAGMA journal_mode = DELETE")
        ledger.execute("BEGIN EXCLUSIVE")
        locked = place.harvest()["ledger"]
        ledger.execute("ROLLBACK")

    assert locked.fault is not None
    assert "is locked by another program" in locked.fault
    assert place.harvest()["ledger"] == replace(locked, fault=None)


def test_a_file_that_stops_the_harvest_is_recorded_with_its_fault(place: Place) -> None:
    """A ledger without the columns that we need: nothing after it is read."""
    place.harvest()
    place.home.ledger.unlink()
    with sqlite3.connect(place.home.ledger) as ledger:
        ledger.execute("CREATE TABLE executions (id TEXT, status TEXT)")
    ledger.close()

    fault = place.harvest()["ledger"].fault

    assert fault is not None
    assert "lacks columns job_id, claimed_at" in fault


def test_a_file_that_vanished_is_recorded_as_absent(place: Place) -> None:
    place.harvest()
    place.home.ledger.unlink()

    assert not place.harvest()["ledger"].exists


def test_enabled_jobs_that_recur_are_due_and_no_others(place: Place) -> None:
    builder = place.builder
    builder.job("paused", every_minutes=60, created=CREATED, enabled=False, state="paused")
    builder.job("once", once_at=CREATED + timedelta(minutes=30), created=CREATED)
    builder.write()
    place.harvest()

    assert place.due() == ["digest"]


def test_what_is_known_of_due_jobs_stays_while_the_definitions_cannot_be_read(place: Place) -> None:
    place.harvest()
    place.home.jobs.write_text('{"jobs": [')
    faulty = place.harvest()["jobs"]

    assert faulty.fault is not None
    assert "is no valid JSON" in faulty.fault
    assert place.due() == ["digest"]


def test_a_job_is_gone_since_the_last_sync_that_saw_it_until_it_is_back(place: Place) -> None:
    place.harvest()
    place.journal.facts.set(LAST_SYNC_NS, NOW_NS - 5)
    text = place.home.jobs.read_text()
    place.home.jobs.write_text('{"jobs": []}')
    place.harvest()
    gone = place.journal.facts.get(GONE_JOBS)
    place.home.jobs.write_text(text)
    place.harvest()

    assert gone == {place.job_id: NOW_NS - 5}
    assert place.journal.facts.get(GONE_JOBS) == {}
