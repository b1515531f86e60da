"""What the harvest writes down: jobs as they were, what is still open, and runs, once each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.journal import Journal, JournalError, OpenKind
from cronalytics_otel.journal.facts import Fact
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Job, Mode, Run, Schedule, ScheduleKind
from tests.support.cli import DIGEST

JOB = Job(
    job_id="a1",
    name="digest",
    mode=Mode.AGENT,
    schedule=Schedule(kind=ScheduleKind.INTERVAL, expression="every 30m", interval_s=1800.0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path) as journal:
        yield journal


def a_fact(name: str) -> Fact[str]:
    return Fact(name, "", str)


def written(journal: Journal) -> dict[str, object]:
    return {name: json.loads(text) for name, text in journal.facts.read().texts.items()}


def a_run(number: int, **changes: object) -> Run:
    """Runs of one job, one a second, all different."""
    return replace(
        DIGEST,
        **{
            "execution_id": f"e{number}",
            "session_id": f"s{number}",
            "started_ns": 1000 * number,
            "ended_ns": 1000 * number + 500,
            **changes,
        },  # type: ignore[arg-type]
    )


def ids(journal: Journal) -> list[str]:
    return [run.run_id for run in reversed(journal.queries.runs(RunFilter()))]


def pending(path: Path) -> list[tuple[str, str]]:
    """Destination and execution of each entry, as another connection sees them."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT d.name, r.execution_id FROM outbox o JOIN run r ON r.id = o.run_id "
            "JOIN destination d ON d.id = o.destination_id ORDER BY 1, o.ended_ns"
        ).fetchall()


# Transactions.


def test_an_error_in_a_transaction_leaves_nothing_of_it(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError), journal.atomic():
        journal.facts.set(a_fact("a"), "1")
        raise ZeroDivisionError
    assert written(journal) == {}


def test_an_error_in_an_inner_block_undoes_that_block_alone(journal: Journal) -> None:
    with journal.atomic():
        journal.facts.set(a_fact("before"), "1")
        with pytest.raises(ZeroDivisionError), journal.atomic():
            journal.facts.set(a_fact("inner"), "1")
            raise ZeroDivisionError
        with journal.atomic():
            journal.facts.set(a_fact("after"), "1")
    assert written(journal) == {"before": "1", "after": "1"}


def test_a_dry_run_sees_what_it_writes_and_leaves_nothing(journal: Journal) -> None:
    with journal.rolled_back():
        with journal.atomic():
            journal.facts.set(a_fact("a"), "1")
        assert written(journal) == {"a": "1"}
    assert written(journal) == {}


def test_after_a_transaction_that_failed_the_next_one_works(journal: Journal) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), journal.atomic(), journal.atomic():
            raise ZeroDivisionError
    with journal.atomic():
        journal.facts.set(a_fact("a"), "1")
    assert written(journal) == {"a": "1"}


def test_the_first_error_is_told_when_the_disk_is_full(journal: Journal) -> None:
    """SQLite may have ended the transaction by itself: our ROLLBACK must not hide why."""
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(JournalError, match=r"full.*make room") as caught, journal.atomic():
        for n in range(50):
            journal.facts.set(a_fact(str(n)), "x" * 3000)
    assert not caught.value.damaged
    assert written(journal) == {}


# Jobs.


def test_a_definition_is_kept_once_however_often_it_is_seen(journal: Journal) -> None:
    for seen_ns in (1, 2, 3):
        journal.jobs.observe([replace(JOB, last_status="ok", last_run_ns=seen_ns)], seen_ns)
    assert journal.jobs.history() == {"a1": [(1, JOB)]}


def test_each_definition_that_a_job_has_had_is_kept_with_its_time(journal: Journal) -> None:
    renamed, back = replace(JOB, name="morning digest"), JOB
    for seen_ns, job in ((1, JOB), (2, renamed), (3, renamed), (4, back)):
        journal.jobs.observe([job], seen_ns)
    assert journal.jobs.history() == {"a1": [(1, JOB), (2, renamed), (4, back)]}


def test_a_job_that_the_host_deletes_keeps_its_definition(journal: Journal) -> None:
    other = replace(JOB, job_id="b2")
    journal.jobs.observe([JOB, other], 1)
    journal.jobs.observe([other], 2)
    assert journal.jobs.history() == {"a1": [(1, JOB)], "b2": [(1, other)]}


def test_an_earlier_look_that_comes_late_takes_its_place_in_time(journal: Journal) -> None:
    """A snapshot of before the run, read after it."""
    earlier = replace(JOB, name="as it was")
    journal.jobs.observe([JOB], 5)
    journal.jobs.observe([earlier], 2)
    assert journal.jobs.history() == {"a1": [(2, earlier), (5, JOB)]}


def test_a_job_is_due_at_each_time_that_the_host_ever_had_for_it(journal: Journal) -> None:
    for due_ns in (100, 200, 200, 300):
        journal.jobs.observe([replace(JOB, next_run_ns=due_ns)], 1)
    journal.jobs.observe([JOB], 1)

    assert journal.jobs.due_between("a1", 0, 250) == 200
    assert journal.jobs.due_between("a1", 100, 200) == 200
    assert journal.jobs.due_between("a1", 200, 299) is None
    assert journal.jobs.due_between("b2", 0, 1000) is None


def test_of_many_due_times_the_newest_are_kept_job_by_job(journal: Journal) -> None:
    other = replace(JOB, job_id="b2", next_run_ns=1)
    journal.jobs.observe([other], 1)
    for due_ns in range(1000):
        journal.jobs.observe([replace(JOB, next_run_ns=due_ns)], 1)

    kept = [n for n in range(1000) if journal.jobs.due_between("a1", n - 1, n) == n]
    assert kept[-100:] == list(range(900, 1000))
    assert len(kept) <= 101
    assert journal.jobs.due_between("b2", 0, 1) == 1


# Open rows.


def test_an_open_row_keeps_the_time_it_was_first_seen_so(journal: Journal) -> None:
    journal.open_rows.add(OpenKind.SESSION, ["s1", "s2"], 1)
    journal.open_rows.add(OpenKind.SESSION, ["s1"], 2)
    journal.open_rows.add(OpenKind.EXECUTION, ["s1"], 3)
    assert journal.open_rows.first_seen_ns(OpenKind.SESSION) == {"s1": 1, "s2": 1}
    assert journal.open_rows.first_seen_ns(OpenKind.EXECUTION) == {"s1": 3}


def test_a_row_that_is_closed_is_closed_of_its_own_kind_alone(journal: Journal) -> None:
    journal.open_rows.add(OpenKind.SESSION, ["x"], 1)
    journal.open_rows.add(OpenKind.EXECUTION, ["x"], 1)
    journal.open_rows.close(OpenKind.SESSION, ["x", "never seen"])
    assert (
        journal.open_rows.first_seen_ns(OpenKind.SESSION),
        journal.open_rows.first_seen_ns(OpenKind.EXECUTION),
    ) == ({}, {"x": 1})


# Final runs.


@pytest.mark.parametrize(
    "again",
    [
        a_run(9, execution_id="e1"),
        a_run(9, session_id="s1"),
        a_run(9, execution_id="e1", session_id=None),
        a_run(9, execution_id=None, session_id="s1"),
        a_run(1),
    ],
    ids=["execution", "session", "execution alone", "session alone", "both"],
)
def test_a_run_becomes_final_once(journal: Journal, path: Path, again: Run) -> None:
    """And whatever stood in the transaction of the second is gone with it."""
    journal.outbox.set_destinations({"backend": "http://h"}, 0)
    with journal.atomic():
        journal.runs.add([a_run(1)], 0)
    with pytest.raises(JournalError, match="UNIQUE"), journal.atomic():
        journal.facts.set(a_fact("mark"), "moved")
        journal.runs.add([a_run(2), again], 0)

    assert journal.queries.runs(RunFilter()) == [a_run(1)]
    assert pending(path) == [("backend", "e1")]
    assert written(journal) == {}


def test_many_runs_may_lack_the_same_id(journal: Journal) -> None:
    """Scripts have no session, runs of older hosts no execution."""
    scripts = [a_run(n, session_id=None) for n in range(3)]
    sessions = [a_run(n, execution_id=None) for n in range(3, 6)]
    with journal.atomic():
        journal.runs.add([*scripts, *sessions], 0)
    assert ids(journal) == ["e0", "e1", "e2", "s3", "s4", "s5"]


def test_the_transaction_that_makes_a_run_final_puts_it_in_every_outbox(
    journal: Journal, path: Path
) -> None:
    journal.outbox.set_destinations({"one": "http://1", "two": "http://2"}, 0)
    with journal.atomic():
        journal.runs.add([a_run(1), a_run(2)], 0)
        assert pending(path) == []
    both = [("one", "e1"), ("one", "e2"), ("two", "e1"), ("two", "e2")]
    assert pending(path) == both

    with pytest.raises(ZeroDivisionError), journal.atomic():
        journal.runs.add([a_run(3)], 0)
        raise ZeroDivisionError
    assert (ids(journal), pending(path)) == (["e1", "e2"], both)


def test_known_tells_which_of_many_are_final(journal: Journal) -> None:
    with journal.atomic():
        journal.runs.add([a_run(n) for n in range(1200)], 0)
    asked = [f"e{n}" for n in range(1100, 2500)]
    assert journal.runs.known_executions(asked) == {f"e{n}" for n in range(1100, 1200)}
    assert journal.runs.known_sessions(["s3", "e3"]) == {"s3"}
    assert journal.runs.known_sessions([]) == set()


def test_a_run_known_by_its_session_alone_is_found_by_its_time(journal: Journal) -> None:
    with journal.atomic():
        journal.runs.add([a_run(1, execution_id=None), a_run(3)], 0)
    job = DIGEST.job_id
    assert journal.runs.session_run_between(job, 1000, 1000)
    assert not journal.runs.session_run_between(job, 1001, 9000)
    assert not journal.runs.session_run_between("other", 0, 9000)


def test_facts_are_the_last_that_were_said(journal: Journal) -> None:
    journal.facts.set(a_fact("a"), "1")
    journal.facts.set(a_fact("b"), "1")
    journal.facts.set(a_fact("b"), "2")
    assert written(journal) == {"a": "1", "b": "2"}
