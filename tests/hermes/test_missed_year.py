"""What was missed in a year, held against the host's own functions: no more, no less."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.harvest.job_history import JobsSnapshot
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome, Run
from cronalytics_otel.model.times import NS, Zone
from tests.support.host_schema import LEDGER
from tests.support.venvs import hermes_venv

SCRIPT = Path(__file__).parents[1] / "support" / "host_year.py"

SEEDS = range(int(os.environ.get("MISSED_YEARS", "1")))
"""More than one sweeps for what a single year does not hold: `make missed-years`."""

JOBS: list[dict[str, Any]] = [
    {"name": "daily", "schedule": "30 2 * * *"},
    {"name": "office", "schedule": "15 9-17/4 * * 1-5"},
    {"name": "every four hours", "schedule": "0 */4 * * *", "run_s": 1800, "sweep": True},
    {"name": "weekly", "schedule": "0 7 * * 1"},
    {"name": "interval", "schedule": "every 5h"},
    {"name": "long", "schedule": "every 7h", "run_s": 30_000},
    {"name": "overlong", "schedule": "20 */6 * * *", "run_s": 25_000, "sweep": True},
    {"name": "minute", "schedule": "* * * * *", "from_day": 87, "to_day": 88, "sweep": True},
    {"name": "seconds", "schedule": "*/5 * * * * 30", "from_day": 94, "to_day": 95},
    {"name": "autumn", "schedule": "*/10 * * * *", "from_day": 297, "to_day": 299},
    {"name": "short", "schedule": "every 3m", "from_day": 276, "to_day": 278},
    {"name": "seven times", "schedule": "0 12 * * *", "repeat": 7, "from_day": 100},
    {"name": "once", "schedule": None, "once_after_s": 40_000, "from_day": 30},
    {"name": "once more", "schedule": None, "once_after_s": 90_000, "from_day": 200},
]
JOBS = [job for job in JOBS if len(SEEDS) > 1 or not job.pop("sweep", False)]
"""The most frequent ones only in a sweep."""

RESTARTS = [{"at": day + 0.37, "hours": 0.02} for day in range(3, 365, 9)]
"""Of a minute or so, every ninth day; at other times of the day than the longer ones."""

OUTAGES = [
    {"at": 12.1, "hours": 11}, {"at": 40.6, "hours": 60}, {"at": 86.9, "hours": 20},
    {"at": 94.2, "hours": 2.2}, {"at": 103.3, "hours": 100}, {"at": 150.5, "hours": 9},
    {"at": 200.8, "hours": 30}, {"at": 276.5, "hours": 1}, {"at": 297.6, "hours": 14},
    {"at": 330.0, "hours": 500},
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Year:
    looks: Sequence[Mapping[str, Any]]
    missed: set[tuple[str, int, int, int]]
    runs: int


def simulated(folder: Path, **plan: object) -> Year:
    plan_file, out = folder / "plan.json", folder / "year.jsonl"
    plan_file.write_text(
        json.dumps({"seed": 0, "start": "2026-01-01T00:00:00+00:00", "days": 365, "owner": True,
                    "jobs": JOBS, "outages": RESTARTS, **plan})
    )  # fmt: skip
    python = hermes_venv() / "bin" / "python"
    subprocess.run([python, SCRIPT, plan_file, out], check=True, timeout=600)
    *looks, last = (json.loads(line) for line in out.read_text().splitlines())
    missed = {(job, first, end, count) for job, first, end, count, _ in last["missed"]}
    return Year(looks=looks, missed=missed, runs=last["runs"])


class Follower:
    """The plugin's harvest in a home that becomes what each look found."""

    def __init__(self, path: Path) -> None:
        self.is_up = True
        self.home = Home(path)
        self.home.jobs.parent.mkdir(parents=True)
        self.snapshots: list[JobsSnapshot] = []
        self.ledger = sqlite3.connect(self.home.ledger)
        self.ledger.execute("PRAGMA synchronous=OFF")
        self.ledger.executescript(LEDGER)
        self.journal = Journal.open(self.home.journal)

    def __enter__(self) -> Self:
        # Stands in for the machine: the host's pids are of no process here.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(waiting, "process_is_gone", lambda *_: not self.is_up)
        self.patch.setattr(waiting, "booted_since", lambda _: False)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()
        self.ledger.close()
        self.journal.close()

    def become(self, look: Mapping[str, Any]) -> None:
        if not self.home.jobs.exists() or self.home.jobs.read_text() != look["jobs"]:
            self.home.jobs.write_text(look["jobs"])
        if not look["rows"] and not look["gone"]:
            return
        with self.ledger:
            self.ledger.executemany(
                "DELETE FROM executions WHERE id = ?", ((i,) for i in look["gone"])
            )
            marks = ",".join("?" * 11)
            self.ledger.executemany(
                f"INSERT INTO executions VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET "
                "status = excluded.status, started_at = excluded.started_at, "
                "finished_at = excluded.finished_at, error = excluded.error",
                look["rows"],
            )

    def sync(self, look: Mapping[str, Any]) -> None:
        """As the plugin in a gateway: at its start it only reads jobs.json, and syncs soon after."""
        if look["start"]:
            self.snapshots.append(JobsSnapshot(look["ns"], look["jobs"]))
            return
        self.is_up = look["up"]
        zone = Zone(info=ZoneInfo(look["zone"]), name=look["zone"])
        found = harvest(self.home, self.journal, zone, now_ns=look["ns"], snapshots=self.snapshots)
        assert found.problems == []
        self.snapshots = []

    def follow(self, year: Year) -> None:
        for look in year.looks:
            self.become(look)
            self.sync(look)

    def runs(self) -> list[Run]:
        return self.journal.queries.runs(RunFilter())

    def missed(self) -> set[tuple[str, int, int, int]]:
        return {
            (run.job_id, run.started_ns, run.ended_ns, run.missed_count or 0)
            for run in self.runs()
            if run.outcome is Outcome.MISSED
        }


def rounded(found: set[tuple[str, int, int, int]]) -> set[tuple[str, int, int, int]]:
    """To the second: an interval counts from an end that jobs.json and the ledger have each."""
    return {(job, round(a / NS), round(b / NS), count) for job, a, b, count in found}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_year_without_an_outage_has_no_missed_run(tmp_path: Path, seed: int) -> None:
    """Every kind of schedule, both changes of the clocks, edits, pauses, restarts, long runs."""
    year = simulated(tmp_path, seed=seed, zone="Australia/Lord_Howe")
    with Follower(tmp_path / "home") as follower:
        follower.follow(year)

        assert year.missed == set()
        assert follower.missed() == set()
        assert len(follower.runs()) == year.runs


@pytest.mark.parametrize("seed", SEEDS)
def test_each_outage_of_a_year_is_told_exactly(tmp_path: Path, seed: int) -> None:
    year = simulated(tmp_path, seed=seed, zone="America/New_York", outages=[*RESTARTS, *OUTAGES])
    with Follower(tmp_path / "home") as follower:
        follower.follow(year)

        found = follower.missed()
        assert rounded(year.missed) == rounded(found)
        assert len(found) >= len(OUTAGES)
        assert len(follower.runs()) == year.runs + len(found)


def test_the_time_zone_may_be_changed(tmp_path: Path) -> None:
    year = simulated(tmp_path, days=30, zone="America/New_York", new_zone="Asia/Kolkata")
    with Follower(tmp_path / "home") as follower:
        follower.follow(year)

        assert follower.missed() == set()
        assert len(follower.runs()) == year.runs


@pytest.mark.parametrize("seed", SEEDS)
def test_a_history_that_nobody_followed_has_no_missed_run_that_was_none(
    tmp_path: Path, seed: int
) -> None:
    """Read once, at the end: of pauses and edits nothing is known but what the ledger shows."""
    jobs = [job for job in JOBS if not job.get("from_day")]
    outages = [{"at": 30.3, "hours": 9}, {"at": 44.6, "hours": 30}]
    year = simulated(tmp_path, seed=seed, zone="Europe/Berlin", days=60, jobs=jobs, outages=outages)
    with Follower(tmp_path / "home") as follower:
        for look in year.looks:
            follower.become(look)
        follower.sync(year.looks[-1])

        found = rounded(follower.missed())
        assert found <= rounded(year.missed)


def test_a_history_that_nobody_followed_shows_its_outages(tmp_path: Path) -> None:
    """Of every job, the interval's too: the cron jobs that came late with it prove them."""
    jobs = [
        {"name": "daily", "schedule": "30 2 * * *"},
        {"name": "hourly", "schedule": "5 * * * *"},
        {"name": "interval", "schedule": "every 3h"},
    ]
    outages = [{"at": 10.3, "hours": 9}, {"at": 20.6, "hours": 50}]
    year = simulated(
        tmp_path, zone="Europe/Berlin", days=28, jobs=jobs, outages=outages, owner=False
    )
    with Follower(tmp_path / "home") as follower:
        for look in year.looks:
            follower.become(look)
        follower.sync(year.looks[-1])

        assert rounded(follower.missed()) == rounded(year.missed)
        assert len(year.missed) == 5


def test_a_job_alone_that_was_paused_was_not_missed(tmp_path: Path) -> None:
    """Nothing else ran, and nobody looked: the ledger of a pause is that of an outage, but for the
    run after it, which is on time."""
    jobs = [{"name": "hourly", "schedule": "0 * * * *"}]
    year = simulated(tmp_path, zone="UTC", days=25, jobs=jobs, outages=[], owner=True)
    with Follower(tmp_path / "home") as follower:
        for look in year.looks:
            follower.become(look)
        follower.sync(year.looks[-1])

        assert follower.missed() == set()
        assert len(follower.runs()) == year.runs
