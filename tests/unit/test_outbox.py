"""What each destination lacks, and the four ways out of it: receipt, refusal, age, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.outbox import (
    MAX_DOUBT_WAIT_NS,
    DestinationProgress,
    DestinationStatus,
    Entry,
)
from tests.support.cli import DIGEST

A, B = "http://a/v1/traces", "http://b/v1/traces"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        yield journal


def add(journal: Journal, *ends_ns: int, now_ns: int = 0) -> None:
    """A run for each of these ends; its execution id is its end."""
    with journal.atomic():
        journal.runs.add(
            [
                replace(DIGEST, execution_id=f"{n}", session_id=None, ended_ns=n, started_ns=n - 1)
                for n in ends_ns
            ],
            now_ns,
        )


def state(journal: Journal, name: str = "a") -> DestinationStatus:
    (found,) = (s for s in journal.outbox.states() if s.name == name)
    return found


def progress_of(journal: Journal, name: str = "a") -> DestinationProgress:
    (found,) = (s for s in journal.outbox.pending_destinations() if s.name == name)
    return found


def lacks(journal: Journal, name: str = "a") -> list[int]:
    """Ends of the runs that the destination lacks, as they would be sent without any fresh one."""
    entries = journal.outbox.take(state(journal, name).id, 1000, fresh_since_ns=2**62)
    return ends(entries)


def ends(entries: list[Entry]) -> list[int]:
    return [entry.run.ended_ns for entry in entries]


def counts(journal: Journal, name: str = "a") -> tuple[int, int, int, int]:
    s = state(journal, name)
    return s.delivered, s.pending, s.refused, s.given_up


# Destinations come and go.


def test_a_new_destination_gets_the_whole_history(journal: Journal) -> None:
    add(journal, 1, 2, 3)
    journal.outbox.set_destinations({"a": A}, 0)
    assert lacks(journal) == [1, 2, 3]


def test_one_more_destination_changes_nothing_for_the_first(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2)
    journal.outbox.accepted(1, journal.outbox.take(1, 1, fresh_since_ns=0), 0)
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    assert (lacks(journal, "a"), lacks(journal, "b")) == ([2], [1, 2])


def test_one_that_has_gone_keeps_what_it_lacked_and_is_sent_nothing(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    add(journal, 1)
    journal.outbox.set_destinations({"b": B}, 0)
    add(journal, 2)
    assert [s.name for s in journal.outbox.pending_destinations()] == ["b"]
    assert not state(journal, "a").active
    assert (lacks(journal, "a"), lacks(journal, "b")) == ([1], [1, 2])


def test_one_that_comes_back_gets_what_it_missed_and_nothing_twice(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2)
    journal.outbox.accepted(1, journal.outbox.take(1, 1, fresh_since_ns=0), 0)
    journal.outbox.set_destinations({}, 0)
    add(journal, 3)
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 4)
    assert lacks(journal) == [2, 3, 4]
    assert counts(journal) == (1, 3, 0, 0)


def test_one_that_has_gone_and_lacks_nothing_is_not_shown(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    journal.outbox.set_destinations({}, 0)
    assert journal.outbox.states() == []


def test_a_new_endpoint_under_the_same_name_is_not_sent_again_what_the_old_one_took(
    journal: Journal,
) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2)
    journal.outbox.accepted(1, journal.outbox.take(1, 1, fresh_since_ns=0), 0)
    journal.outbox.set_destinations({"a": B}, 0)
    assert state(journal).endpoint == B
    assert lacks(journal) == [2]


def test_what_one_server_asked_for_does_not_bind_another_under_the_same_name(
    journal: Journal,
) -> None:
    """A Retry-After of a day, and its owner has moved the destination to a server that answers."""
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1)
    journal.outbox.failed(
        1, "429", now_ns=10, next_try_ns=10**15, asked_to_wait=True, timed_out=False
    )
    journal.outbox.set_destinations({"a": B}, 20)
    found = progress_of(journal)
    assert (found.failures, found.next_try_ns, found.asked_to_wait) == (0, None, False)


def test_settings_that_stay_the_same_write_nothing(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    before = journal._connection.total_changes
    journal.outbox.set_destinations({"b": B, "a": A}, 0)
    assert journal._connection.total_changes == before


def test_only_who_is_in_the_settings_and_lacks_something_is_to_be_sent_to(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    assert journal.outbox.pending_destinations() == []
    add(journal, 1)
    journal.outbox.accepted(1, journal.outbox.take(1, 1, fresh_since_ns=0), 0)
    assert [s.name for s in journal.outbox.pending_destinations()] == ["b"]


# The order.


def test_runs_that_ended_lately_go_before_any_backlog_each_oldest_first(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 30, 10, 110, 100, 20)
    assert ends(journal.outbox.take(1, 10, fresh_since_ns=100)) == [100, 110, 10, 20, 30]
    assert ends(journal.outbox.take(1, 3, fresh_since_ns=100)) == [100, 110, 10]
    assert ends(journal.outbox.take(1, 2, fresh_since_ns=100)) == [100, 110]
    assert ends(journal.outbox.take(1, 1, fresh_since_ns=100)) == [100]


def test_since_leaves_earlier_runs_alone(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 10, 20, 30, 110)
    assert ends(journal.outbox.take(1, 9, fresh_since_ns=100, since_ns=20)) == [110, 20, 30]
    assert ends(journal.outbox.take(1, 9, fresh_since_ns=100, since_ns=100)) == [110]
    assert ends(journal.outbox.take(1, 9, fresh_since_ns=100, since_ns=111)) == []
    assert counts(journal) == (0, 4, 0, 0)


def test_runs_that_end_at_the_same_time_are_all_taken(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    with journal.atomic():
        journal.runs.add(
            [replace(DIGEST, execution_id=f"e{n}", session_id=None) for n in range(5)], 0
        )
    assert len(journal.outbox.take(1, 10, fresh_since_ns=0)) == 5


# The ways out.


def test_a_receipt_removes_just_what_it_is_for(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    add(journal, 1, 2, 3)
    journal.outbox.accepted(1, journal.outbox.take(1, 2, fresh_since_ns=0), 30)

    assert lacks(journal) == [3]
    assert lacks(journal, "b") == [1, 2, 3]
    found = state(journal)
    assert (found.delivered, found.last_receipt_ns) == (2, 30)


def test_an_answer_ends_a_failure(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    journal.outbox.failed(
        1, "no answer", now_ns=10, next_try_ns=20, asked_to_wait=True, timed_out=False
    )
    journal.outbox.answers(1)

    found = state(journal)
    assert found.failures == 0
    assert (found.failing_since_ns, found.next_try_ns, found.last_error) == (None, None, None)
    assert not found.asked_to_wait


def test_failures_in_a_row_are_counted_from_the_first(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1)
    for now_ns in (10, 20):
        journal.outbox.failed(
            1,
            f"at {now_ns}",
            now_ns=now_ns,
            next_try_ns=now_ns + 5,
            asked_to_wait=False,
            timed_out=False,
        )
    found = state(journal)
    assert (found.failures, found.failing_since_ns, found.next_try_ns) == (2, 10, 25)
    assert found.last_error == "at 20"
    assert lacks(journal) == [1]


# In doubt.


def doubt(journal: Journal, *next_tries_ns: int) -> None:
    """Put one run after the other in doubt, at 5, with these times of the next try."""
    for next_ns in next_tries_ns:
        (entry,) = journal.outbox.take(1, 1, fresh_since_ns=0)
        journal.outbox.doubt(1, entry, doubted_ns=5, tries=0, next_try_ns=next_ns)


def doubted(journal: Journal, due_ns: int | None) -> list[int]:
    return ends(journal.outbox.take_doubted(1, 9, due_ns=due_ns))


def test_runs_in_doubt_are_pending_and_taken_apart_when_they_are_due(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2, 3)
    doubt(journal, 30, 20)
    assert (lacks(journal), counts(journal)) == ([3], (0, 3, 0, 0))
    assert [doubted(journal, at) for at in (19, 20, 30, None)] == [[], [2], [2, 1], [2, 1]]
    assert ends(journal.outbox.take_doubted(1, 9, due_ns=30, since_ns=2)) == [2]
    (entry, _) = journal.outbox.take_doubted(1, 9, due_ns=None)
    assert (entry.doubted_ns, entry.doubted_tries) == (5, 0)


def test_a_next_try_far_ahead_was_set_before_the_clock_was_set_back(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1)
    doubt(journal, 10**18)
    assert doubted(journal, 10**18 - MAX_DOUBT_WAIT_NS) == []
    assert doubted(journal, 1) == [1]


def test_another_server_under_the_same_name_gets_what_was_in_doubt(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    add(journal, 1)
    doubt(journal, 30)
    journal.outbox.set_destinations({"a": A}, 0)
    assert lacks(journal, "a") == []
    journal.outbox.set_destinations({"a": B}, 0)
    assert lacks(journal, "a") == [1]


def test_what_a_destination_has_not_taken_alone_counts_as_refused_lately(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2)
    assert not journal.outbox.has_refused_since(1, 0)
    doubt(journal, 30)
    assert [journal.outbox.has_refused_since(1, at) for at in (4, 5)] == [True, False]
    journal.outbox.refuse(1, journal.outbox.take(1, 1, fresh_since_ns=0), "400", 9)
    assert [journal.outbox.has_refused_since(1, at) for at in (8, 9)] == [True, False]


def test_what_is_refused_is_set_aside_with_its_reason(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2, 3)
    journal.outbox.refuse(1, journal.outbox.take(1, 2, fresh_since_ns=0), "400 bad", 9)
    journal.outbox.refuse(1, journal.outbox.take(1, 1, fresh_since_ns=0), "413", 9)
    assert counts(journal) == (0, 0, 3, 0)
    assert journal.outbox.refusals(1, 9) == [("400 bad", 2), ("413", 1)]
    assert journal.outbox.refusals(1, 1) == [("400 bad", 2)]


def test_what_was_refused_can_be_sent_again(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, 2, 3)
    journal.outbox.refuse(1, journal.outbox.take(1, 2, fresh_since_ns=0), "400", 0)
    assert journal.outbox.retry_refused(0) == 2
    assert lacks(journal) == [1, 2, 3]
    assert counts(journal) == (0, 3, 0, 0)
    assert journal.outbox.retry_refused(0) == 0


def test_what_a_gone_destination_refused_stays_set_aside(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    add(journal, 1)
    for destination in (1, 2):
        entries = journal.outbox.take(destination, 1, fresh_since_ns=0)
        journal.outbox.refuse(destination, entries, "400", 0)
    journal.outbox.set_destinations({"b": B}, 0)
    assert journal.outbox.retry_refused(0) == 1
    assert counts(journal, "a") == (0, 0, 1, 0)
    assert counts(journal, "b") == (0, 1, 0, 0)


def test_what_has_waited_too_long_is_given_up_and_counted(journal: Journal) -> None:
    """By how long it has waited, not by when it ran: a long history is no reason to drop it."""
    journal.outbox.set_destinations({"a": A, "b": B}, 0)
    add(journal, 3, now_ns=100)
    add(journal, 1, 2, now_ns=200)
    assert journal.outbox.give_up(1, 200) == 1
    assert journal.outbox.give_up(1, 200) == 0
    assert lacks(journal) == [1, 2]
    assert counts(journal) == (0, 2, 0, 1)
    assert counts(journal, "b") == (0, 3, 0, 0)


def test_no_run_has_waited_since_before_its_end(journal: Journal) -> None:
    """A clock that was a year behind when it was put here."""
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 900, now_ns=100)
    assert journal.outbox.give_up(1, 900) == 0
    assert journal.outbox.give_up(1, 901) == 1


def test_sent_again_it_has_its_whole_time_before_it(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    add(journal, 1, now_ns=100)
    journal.outbox.refuse(1, journal.outbox.take(1, 1, fresh_since_ns=0), "400", 150)
    journal.outbox.retry_refused(1000)
    assert journal.outbox.give_up(1, 1000) == 0
    assert lacks(journal) == [1]


def test_the_oldest_pending_is_the_one_that_ended_first(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": A}, 0)
    assert state(journal).oldest_pending_ns is None
    add(journal, 30, 10, 20)
    assert state(journal).oldest_pending_ns == 10
