"""Answers from the journal: which runs, which one is meant, what they sum up to, what is overdue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.insight.overview import pending_runs, read_overview
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.insight.runs import (
    AmbiguousRunError,
    NoRunError,
    count_runs,
    find_run,
    in_order,
    neighbours,
    short_id,
)
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.queries import RunOrder
from cronalytics_otel.model import Job, Mode, Run, Schedule, ScheduleKind
from tests.support.cli import DIGEST, HOUR, LOST, MINUTE, NO_KEY, NOW_NS, OLD_HOST, RUNS, SCRIPT


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        with journal.atomic():
            journal.runs.add(RUNS, 0)
        yield journal


def test_a_count_is_over_all_that_match_and_says_what_is_unknown(journal: Journal) -> None:
    counted = count_runs([Profile("default", journal)], RunFilter(limit=2))

    assert (counted.rows, counted.figures.failed) == (5, 3)
    assert counted.figures.cost_usd == pytest.approx(0.0432 + 1.5)
    assert (counted.figures.unpriced_runs, counted.figures.partial_runs) == (1, 1)


def test_runs_of_several_homes_are_in_one_order(journal: Journal, tmp_path: Path) -> None:
    later = replace(SCRIPT, profile="work", execution_id="aa", ended_ns=NOW_NS, cost_usd=None)
    with Journal.open(tmp_path / "other.db") as other:
        with other.atomic():
            other.runs.add([later], 0)
        homes = [Profile("default", journal), Profile("work", other)]
        newest = list(in_order(homes, RunFilter(limit=2)))
        dearest = list(in_order(homes, RunFilter(limit=2), RunOrder.COST))

    assert newest == [("work", later), ("default", DIGEST)]
    assert dearest == [("default", OLD_HOST), ("default", DIGEST)]


@pytest.mark.parametrize(
    ("reference", "run"),
    [
        ("latest", DIGEST),
        ("nightly digest", DIGEST),
        (NO_KEY.job_id, NO_KEY),
        ("d6ba", SCRIPT),
        (LOST.session_id, LOST),
    ],
)
def test_a_reference_is_an_id_its_beginning_a_job_or_latest(
    journal: Journal, reference: str, run: Run
) -> None:
    assert find_run(journal, reference) == run


def test_an_exact_id_wins_over_a_job_and_a_job_over_the_beginning_of_an_id(
    journal: Journal,
) -> None:
    exact = replace(SCRIPT, execution_id="digest")
    begins = replace(DIGEST, execution_id="certificate check 2", session_id=None)
    with journal.atomic():
        journal.runs.add([replace(exact, job_name="digest"), begins], 0)

    assert find_run(journal, "digest").execution_id == "digest"
    assert find_run(journal, "certificate check").execution_id == SCRIPT.execution_id


def test_several_candidates_are_named_newest_first(journal: Journal) -> None:
    with pytest.raises(AmbiguousRunError) as raised:
        find_run(journal, "cron_6c583f72f2e8")

    assert raised.value.candidates == [DIGEST, LOST]
    assert not raised.value.may_have_more


def test_an_unknown_reference_is_an_error_of_its_own(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(NoRunError):
        find_run(journal, "nobody")
    with Journal.open(tmp_path / "empty.db") as empty, pytest.raises(NoRunError):
        find_run(empty, "latest")


def test_a_short_id_is_as_long_as_it_must_be(journal: Journal) -> None:
    twin = replace(DIGEST, execution_id="3f9a61c0ff" + 22 * "0", session_id=None)
    with journal.atomic():
        journal.runs.add([twin], 0)

    assert short_id(journal, SCRIPT) == "d6ba2e91"
    assert short_id(journal, twin) == "3f9a61c0f"
    assert short_id(journal, OLD_HOST) == OLD_HOST.session_id


def test_neighbours_are_the_runs_of_the_job_before_and_after(journal: Journal) -> None:
    assert neighbours(journal, DIGEST).previous == LOST
    assert neighbours(journal, LOST).following == DIGEST


def job_due(age_ns: int) -> Job:
    return Job(
        job_id="j",
        name="backup",
        mode=Mode.AGENT,
        schedule=Schedule(kind=ScheduleKind.CRON, expression="0 * * * *", cron="0 * * * *"),
        next_run_ns=NOW_NS - age_ns,
    )


@pytest.mark.parametrize(
    ("age_ns", "overdue"), [(-HOUR, False), (2 * MINUTE, False), (2 * MINUTE + 1, True)]
)
def test_a_job_is_overdue_when_a_scheduler_at_work_would_have_started_it(
    journal: Journal, age_ns: int, overdue: bool
) -> None:
    journal.facts.set(CURRENT_JOBS, (job_due(age_ns),))

    assert bool(read_overview(journal, now_ns=NOW_NS).overdue) is overdue


@pytest.mark.parametrize(
    ("last_sync_ns", "is_current"),
    [(None, False), (NOW_NS - 2 * HOUR, False), (NOW_NS - MINUTE, True)],
)
def test_an_overdue_job_is_current_if_a_sync_has_read_it_since(
    journal: Journal, last_sync_ns: int | None, is_current: bool
) -> None:
    journal.facts.set(CURRENT_JOBS, (job_due(HOUR),))
    journal.facts.set(LAST_SYNC_NS, last_sync_ns)

    (overdue,) = read_overview(journal, now_ns=NOW_NS).overdue

    assert overdue.is_current is is_current


def test_what_a_destination_lacks_is_counted_by_its_name(journal: Journal) -> None:
    with journal.atomic():
        journal.outbox.set_destinations({"default": "https://c.example"}, 0)

    assert (pending_runs(journal, "default"), pending_runs(journal, "other")) == (5, 0)
