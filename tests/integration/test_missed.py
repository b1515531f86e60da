"""An outage from the host's files to the span: told once, whole, and the same when built anew."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.config import Settings
from cronalytics_otel.export.traces import preview_trace
from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.harvest.job_history import JobsSnapshot
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import OVERDUE_SEEN
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome, Run, Span, Trigger
from cronalytics_otel.model.times import Zone
from cronalytics_otel.telemetry import ids
from cronalytics_otel.telemetry import semconv as sc
from tests.support.homes import HomeBuilder, Stage, epoch_ns

NINE = datetime(2026, 11, 2, 9, 0, 0, 200000, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BACK = NINE + 6 * DAY + timedelta(hours=3, minutes=11)
"""The scheduler was up until the fourth at noon, and again from here."""


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


class Place:
    def __init__(self, path: Path) -> None:
        self.host = HomeBuilder(path)
        self.home = Home(path)
        self.digest = self.host.job("digest", cron="0 9 * * *", created=NINE - DAY, skills=["news"])
        self.hourly = self.host.job("hourly", cron="30 * * * *", no_agent=True, created=NINE - DAY)
        for day in range(3):
            self.host.agent_run(self.digest, NINE + day * DAY)
        for hour in range(-12, 51):
            self.host.script_run(self.hourly, NINE + hour * HOUR + HOUR / 2)
        self.host.write()

    def comes_back(self) -> JobsSnapshot:
        """Gives back jobs.json as it was before the late runs."""
        before = JobsSnapshot(epoch_ns(BACK) - 10**9, self.home.jobs.read_text())
        self.host.agent_run(self.digest, BACK)
        self.host.script_run(self.hourly, BACK)
        self.host.write()
        return before

    def harvest(self, at: datetime, *snapshots: JobsSnapshot, full: bool = False) -> list[Run]:
        """Gives back the missed runs that are known, the oldest outage first."""
        with Journal.open(self.home.journal) as journal:
            found = harvest(
                self.home, journal, Zone(info=ZoneInfo("UTC"), name="UTC"), now_ns=epoch_ns(at),
                snapshots=snapshots, full=full,
            )  # fmt: skip
            assert found.problems == []
            runs = journal.queries.runs(RunFilter(outcomes=frozenset({Outcome.MISSED})))
        return sorted(runs, key=lambda run: run.started_ns)

    def change_jobs(self, **fields: object) -> None:
        """As a person changes the first job."""
        document = json.loads(self.home.jobs.read_text())
        document["jobs"][0] |= fields
        self.home.jobs.write_text(json.dumps(document))

    def spans(self, run: Run) -> list[Span]:
        with Journal.open(self.home.journal) as journal:
            return preview_trace(self.home, Settings(destinations=()), journal, run)

    def latest(self, job_id: str) -> Run:
        with Journal.open(self.home.journal) as journal:
            return next(
                r
                for r in journal.queries.runs(RunFilter(job=job_id))
                if r.outcome is not Outcome.MISSED
            )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


def summary(run: Run) -> tuple[str, str, str, int | None, bool | None]:
    def shown(ns: int) -> str:
        return f"{datetime.fromtimestamp(ns / 1e9, UTC):%d %H:%M:%S}"

    return (
        run.job_name,
        shown(run.started_ns),
        shown(run.ended_ns),
        run.missed_count,
        run.scheduler_down,
    )


OUTAGES = [
    ("hourly", "04 13:30:00", "08 11:30:00", 95, True),
    ("digest", "06 09:00:00", "08 09:00:00", 3, True),
]


def test_an_outage_is_told_when_the_late_run_has_ended(place: Place) -> None:
    assert place.harvest(NINE + 2 * DAY + 4 * HOUR) == []

    missed = place.harvest(BACK + HOUR, place.comes_back())

    assert [summary(run) for run in missed] == OUTAGES


def test_it_is_told_once_however_often_all_is_read(place: Place) -> None:
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    first = place.harvest(BACK + HOUR, place.comes_back())

    assert place.harvest(BACK + 2 * HOUR) == first
    assert place.harvest(BACK + 3 * HOUR, full=True) == first


def test_a_journal_built_anew_finds_the_same_ids_in_the_ledger(place: Place) -> None:
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    first = place.harvest(BACK + HOUR, place.comes_back())
    place.home.journal.unlink()

    assert place.harvest(BACK + 2 * HOUR) == first


@pytest.mark.parametrize("followed", [True, False])
def test_the_run_that_came_after_is_as_late_as_the_first_time_it_was_due(
    place: Place, followed: bool
) -> None:
    if followed:
        place.harvest(NINE + 2 * DAY + 4 * HOUR)
    before = place.comes_back()
    place.harvest(BACK + HOUR, *[before] * followed)

    late = place.latest(place.digest)

    assert late.trigger is Trigger.CATCH_UP
    assert late.lateness_s == pytest.approx((BACK - NINE - 3 * DAY).total_seconds(), abs=1)


def test_it_goes_out_as_one_span_linked_to_the_run_before(place: Place) -> None:
    _, run = place.harvest(BACK + HOUR, place.comes_back())

    (span,) = place.spans(run)

    assert span.name == "missed digest"
    last = (NINE + 6 * DAY).replace(microsecond=0)
    assert span.start_ns == span.end_ns == run.ended_ns == epoch_ns(last)
    assert span.error == (
        "Should have run 3 times from 2026-11-06 09:00 to 2026-11-08 09:00 UTC; "
        "the scheduler was down"
    )
    shown = span.attributes
    assert shown[sc.HERMES_CRON_RUN_OUTCOME] == "missed"
    assert shown[sc.HERMES_CRON_RUN_OUTCOME_SOURCE] == "inferred"
    assert shown[sc.HERMES_CRON_RUN_MISSED_COUNT] == 3
    assert shown[sc.HERMES_CRON_RUN_MISSED_SINCE] == "2026-11-06T09:00:00Z"
    assert shown[sc.HERMES_CRON_RUN_SCHEDULER_DOWN] is True
    assert shown[sc.ERROR_TYPE] == "scheduler_down"
    assert not {sc.HERMES_CRON_RUN_LATENESS, sc.HERMES_CRON_COST_TOTAL, sc.SESSION_ID} & set(shown)
    (link,) = span.links
    third = next(r for r in place.host.expected[:3] if r.started_ns == epoch_ns(NINE + 2 * DAY))
    assert link.trace_id == ids.trace_id(run.profile, third.session_id or "")


def test_a_missed_run_is_no_run_before_another(place: Place) -> None:
    place.harvest(BACK + HOUR, place.comes_back())

    (root, *_) = place.spans(place.latest(place.digest))

    third = place.host.expected[2]
    assert root.links[0].trace_id == ids.trace_id("default", third.session_id or "")


def test_a_pause_ends_the_outage_and_no_run_need_come(place: Place) -> None:
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    paused = NINE + 4 * DAY + 2 * HOUR
    place.change_jobs(enabled=False, state="paused", paused_at=paused.isoformat())

    assert place.harvest(paused + timedelta(seconds=10)) == []
    missed = place.harvest(paused + HOUR)

    assert [summary(run) for run in missed] == [("digest", "05 09:00:00", "06 09:00:00", 2, True)]
    assert place.harvest(paused + 9 * DAY, full=True) == missed


def test_a_removal_ends_it_at_the_last_look_before(place: Place) -> None:
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    place.harvest(NINE + 3 * DAY + 2 * HOUR, full=True)
    document = json.loads(place.home.jobs.read_text())
    del document["jobs"][0]
    place.home.jobs.write_text(json.dumps(document))

    place.harvest(NINE + 5 * DAY)
    missed = place.harvest(NINE + 5 * DAY + HOUR)

    assert [summary(run) for run in missed] == [("digest", "05 09:00:00", "05 09:00:00", 1, True)]


def test_a_job_that_was_paused_all_the_time_was_not_missed(place: Place) -> None:
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    place.change_jobs(
        enabled=False, state="paused", paused_at=(NINE + 2 * DAY + 5 * HOUR).isoformat()
    )
    before = JobsSnapshot(epoch_ns(BACK) - 10**9, place.home.jobs.read_text())

    assert place.harvest(BACK + HOUR, before) == []


def test_a_second_outage_is_told_when_nobody_looked_between_the_two(place: Place) -> None:
    """Each was seen before the scheduler's first tick, and the first late run with the second look."""
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    before = JobsSnapshot(epoch_ns(BACK) - 10**9, place.home.jobs.read_text())
    place.host.agent_run(place.digest, BACK)
    place.host.write()
    again = BACK + 4 * DAY + HOUR
    second = JobsSnapshot(epoch_ns(again) - 10**9, place.home.jobs.read_text())
    first = place.harvest(again, before, second)
    place.host.agent_run(place.digest, again)
    place.host.write()

    missed = place.harvest(again + HOUR)

    assert [summary(run) for run in first if run.job_name == "digest"] == [OUTAGES[1]]
    assert [summary(run) for run in missed if run.job_name == "digest"] == [
        OUTAGES[1],
        ("digest", "10 09:00:00", "12 09:00:00", 3, True),
    ]
    assert place.harvest(again + DAY, full=True) == missed


def test_an_outage_that_a_person_ended_is_told_beside_the_next_one(place: Place) -> None:
    """Moved to another time while it was overdue, and overdue for that one too before it ran."""
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    overdue = JobsSnapshot(epoch_ns(NINE + 3 * DAY + HOUR), place.home.jobs.read_text())
    place.change_jobs(next_run_at=(NINE + 3 * DAY + 2 * HOUR).isoformat())
    moved = JobsSnapshot(epoch_ns(NINE + 3 * DAY + 4 * HOUR), place.home.jobs.read_text())
    missed = place.harvest(NINE + 3 * DAY + 5 * HOUR, overdue, moved)
    place.host.agent_run(place.digest, NINE + 3 * DAY + 6 * HOUR)
    place.host.write()

    assert place.harvest(NINE + 3 * DAY + 7 * HOUR) == missed
    assert [summary(run) for run in missed] == [("digest", "05 09:00:00", "05 09:00:00", 1, True)]
    assert place.latest(place.digest).lateness_s == pytest.approx(4 * 3600, abs=1)


def test_an_outage_that_goes_on_is_not_told_yet(place: Place) -> None:
    for day in range(3, 9):
        assert place.harvest(NINE + day * DAY, full=True) == []


def test_a_run_that_is_still_going_on_may_yet_be_the_late_one(place: Place) -> None:
    place.harvest(NINE + 2 * DAY + 4 * HOUR)
    before = JobsSnapshot(epoch_ns(BACK) - 10**9, place.home.jobs.read_text())
    late = place.host.agent_run(place.digest, BACK, stop_after=Stage.RUNNING)
    # As `advance_next_run`, before the run begins.
    place.host.jobs[place.digest]["next_run_at"] = (BACK + DAY).isoformat()
    place.host.write()
    assert place.harvest(BACK + HOUR, before) == []

    place.host.advance(late)
    place.host.write()

    (run,) = place.harvest(BACK + 2 * HOUR)
    assert summary(run) == OUTAGES[1]


def test_without_a_ledger_nothing_is_remembered_as_overdue(tmp_path: Path) -> None:
    """A host before 0.19: a sync with nothing new stays one that reads nothing."""
    host = HomeBuilder(tmp_path, with_ledger=False)
    digest = host.job("digest", cron="0 9 * * *", created=NINE - DAY)
    host.agent_run(digest, NINE)
    host.write()
    home = Home(tmp_path)

    with Journal.open(home.journal) as journal:
        for day in (3, 4):
            harvest(
                home, journal, Zone(info=ZoneInfo("UTC"), name="UTC"),
                now_ns=epoch_ns(NINE + day * DAY), full=True,
            )  # fmt: skip
        assert not journal.facts.get(OVERDUE_SEEN)
