"""What the command line asks: runs by any filter, one by its id, the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.journal import Journal, OpenKind
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Feed, Mode, Outcome, Run, RunKey
from tests.support.cli import (
    DAY,
    DIGEST,
    HOUR,
    LOST,
    NO_KEY,
    NOW_NS,
    OLD_HOST,
    RUNS,
    SCRIPT,
    SECOND,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Written in no order of time."""
    with Journal.open(tmp_path / "journal.db") as journal:
        with journal.atomic():
            journal.runs.add([SCRIPT, OLD_HOST, DIGEST, LOST, NO_KEY], 0)
        yield journal


NEWEST_FIRST = sorted(RUNS, key=lambda run: -run.ended_ns)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RunFilter(), NEWEST_FIRST),
        (RunFilter(limit=2), NEWEST_FIRST[:2]),
        (RunFilter(limit=0), []),
        (RunFilter(job=DIGEST.job_id), [DIGEST, LOST]),
        (RunFilter(job="Nightly DIGEST"), [DIGEST, LOST]),
        (RunFilter(job="nightly"), []),
        (RunFilter(job="%"), []),
        (RunFilter(since_ns=SCRIPT.ended_ns), [DIGEST, NO_KEY, SCRIPT]),
        (RunFilter(outcomes=frozenset({Outcome.FAILURE})), [NO_KEY, SCRIPT]),
        (RunFilter(outcomes=frozenset({Outcome.FAILURE, Outcome.ABANDONED})),
         [NO_KEY, SCRIPT, LOST]),
        (RunFilter(outcomes=frozenset()), []),
        (RunFilter(mode=Mode.SCRIPT), [SCRIPT]),
        (RunFilter(job=DIGEST.job_id, since_ns=NOW_NS - DAY, outcomes=frozenset(Outcome),
                   mode=Mode.AGENT, limit=5), [DIGEST]),
    ],
)  # fmt: skip
def test_runs_are_those_that_every_filter_lets_through_newest_end_first(
    journal: Journal, wanted: RunFilter, found: list[Run]
) -> None:
    assert journal.queries.runs(wanted) == found


def test_of_runs_that_end_at_once_the_later_written_is_first(tmp_path: Path) -> None:
    twins = [replace(DIGEST, execution_id=f"e{n}", session_id=None) for n in range(3)]
    with Journal.open(tmp_path / "j.db") as journal:
        with journal.atomic():
            journal.runs.add(twins, 0)
        assert journal.queries.runs(RunFilter()) == twins[::-1]


@pytest.mark.parametrize("length", [1, 4, 32])
def test_a_run_is_found_by_the_beginning_of_its_execution_id(journal: Journal, length: int) -> None:
    assert journal.queries.find((DIGEST.execution_id or "")[:length]) == [DIGEST]


def test_a_run_is_found_by_the_beginning_of_its_session_id(journal: Journal) -> None:
    assert journal.queries.find("cron_71314c23fdcb") == [OLD_HOST]
    assert len(journal.queries.find("cron_6c583f72f2e8")) == 2


def test_a_run_whose_both_ids_fit_is_found_once(tmp_path: Path) -> None:
    run = replace(DIGEST, execution_id="same", session_id="same")
    with Journal.open(tmp_path / "j.db") as journal:
        with journal.atomic():
            journal.runs.add([run], 0)
        assert journal.queries.find("same") == [run]


@pytest.mark.parametrize("reference", ["nobody", "%", "_", "cron_%", "'"])
def test_what_is_no_beginning_of_an_id_finds_nothing(journal: Journal, reference: str) -> None:
    assert journal.queries.find(reference) == []


def test_at_most_ten_runs_are_meant(tmp_path: Path) -> None:
    many = [replace(DIGEST, execution_id=f"e{n:02}", session_id=None) for n in range(30)]
    with Journal.open(tmp_path / "j.db") as journal:
        with journal.atomic():
            journal.runs.add(many, 0)
        assert len(journal.queries.find("e")) == 10


def test_the_runs_that_are_meant_are_the_newest(tmp_path: Path) -> None:
    ages = [7, 3, 11, 1, 5, 0, 9, 2, 10, 4, 8, 6]
    many = [
        replace(DIGEST, execution_id=f"e{n:02}", session_id=None, ended_ns=NOW_NS - age * HOUR)
        for n, age in enumerate(ages)
    ]
    with Journal.open(tmp_path / "j.db") as journal:
        with journal.atomic():
            journal.runs.add(many, 0)
        found = journal.queries.find("e")

    assert [run.ended_ns for run in found] == [NOW_NS - age * HOUR for age in range(10)]


def test_the_latest_of_a_job_by_its_name_or_its_id(journal: Journal) -> None:
    assert journal.queries.latest_of("NIGHTLY digest") == DIGEST
    assert journal.queries.latest_of(SCRIPT.job_id) == SCRIPT
    assert journal.queries.latest_of("nobody") is None


def test_the_previous_run_is_that_of_the_same_job_that_began_last_before(journal: Journal) -> None:
    assert journal.queries.previous(DIGEST) == LOST
    assert journal.queries.previous(LOST) is None
    between = replace(DIGEST, started_ns=DIGEST.started_ns - HOUR, execution_id="b", session_id="b")
    with journal.atomic():
        journal.runs.add([between], 0)
    assert journal.queries.previous(DIGEST) == between


def test_the_keys_of_previous_runs_are_those_of_the_runs_that_each_would_find(
    journal: Journal,
) -> None:
    runs = journal.queries.runs(RunFilter())
    expected = {
        (run.job_id, run.started_ns): RunKey(previous.profile, previous.identity)
        for run in runs
        if (previous := journal.queries.previous(run)) is not None
    }
    assert expected
    assert journal.queries.previous_keys(runs) == expected
    assert journal.queries.previous_keys(runs * 300) == expected
    assert journal.queries.previous_keys([]) == {}


def test_the_sources_of_a_run_are_those_that_saved_the_outputs_it_was_given(
    journal: Journal,
) -> None:
    """An output is saved before its run ends, and its time has whole seconds."""
    saved_ns = DIGEST.ended_ns // SECOND * SECOND
    feeds = (
        Feed(job_id=DIGEST.job_id, saved_ns=saved_ns),
        Feed(job_id=SCRIPT.job_id, saved_ns=SCRIPT.started_ns // SECOND * SECOND),
        Feed(job_id=LOST.job_id, saved_ns=LOST.ended_ns - HOUR // 2),
    )
    run = replace(NO_KEY, execution_id="n", session_id="n", fed_by=feeds)
    assert journal.queries.context_runs(run) == [DIGEST, SCRIPT, LOST]


def test_an_output_of_a_run_that_is_not_known_has_no_source(journal: Journal) -> None:
    feeds = (
        Feed(job_id="gone", saved_ns=DIGEST.ended_ns),
        Feed(job_id=DIGEST.job_id, saved_ns=DIGEST.ended_ns + SECOND),
        Feed(job_id=DIGEST.job_id, saved_ns=DIGEST.started_ns - 2 * SECOND),
        Feed(job_id=DIGEST.job_id, saved_ns=LOST.started_ns - 2 * SECOND),
    )
    run = replace(NO_KEY, execution_id="n", session_id="n", fed_by=feeds)
    assert journal.queries.context_runs(run) == []
    assert journal.queries.context_runs(DIGEST) == []


def test_of_a_job_s_runs_that_overlap_the_one_that_ended_first_after_it_saved_the_output(
    journal: Journal,
) -> None:
    short = replace(
        DIGEST, execution_id="b", session_id="b", started_ns=DIGEST.started_ns + SECOND,
        ended_ns=DIGEST.started_ns + 9 * SECOND,
    )  # fmt: skip
    with journal.atomic():
        journal.runs.add([short], 0)
    for saved_s, source in ((8, short), (20, DIGEST)):
        feed = Feed(job_id=DIGEST.job_id, saved_ns=DIGEST.started_ns + saved_s * SECOND)
        assert journal.queries.context_runs(replace(NO_KEY, fed_by=(feed,))) == [source]


def test_totals_are_the_count_and_the_outermost_ends(journal: Journal, tmp_path: Path) -> None:
    assert journal.queries.totals() == (5, OLD_HOST.ended_ns, DIGEST.ended_ns)
    with Journal.open(tmp_path / "empty.db") as empty:
        assert empty.queries.totals() == (0, None, None)


def test_open_are_the_executions_that_we_wait_for(journal: Journal) -> None:
    journal.open_rows.add(OpenKind.EXECUTION, ["e1", "e2"], 0)
    journal.open_rows.add(OpenKind.SESSION, ["s1"], 0)
    assert journal.queries.open_count() == 2
