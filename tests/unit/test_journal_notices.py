"""What each target of `notify` has not acknowledged: once per event, and nothing of history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.domain.notices import NoticeRules, notices_of_run
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.notices import FOUND_LATE_NS, NoticeTargetStatus
from cronalytics_otel.model import (
    MESSAGE_EVENTS,
    PING_EVENTS,
    JobPast,
    Notice,
    NoticeEvent,
    Outcome,
    Run,
)
from tests.support.cli import DAY, DIGEST, HOUR, NOW_NS

SINCE = NOW_NS - HOUR
OK, BAD = Outcome.SUCCESS, Outcome.FAILURE
PHONE = {"phone": "tgram://***"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        yield journal


def use(
    journal: Journal,
    *names: str,
    now_ns: int = SINCE,
    events: Sequence[NoticeEvent] = MESSAGE_EVENTS,
) -> None:
    """The settings have just these targets."""
    rules = NoticeRules(events=frozenset(events))

    def of_run(run: Run, past: JobPast) -> Sequence[Notice]:
        return notices_of_run(run, past, rules)

    journal.notices.rules = dict.fromkeys(names, of_run)
    with journal.atomic():
        journal.notices.set_targets(dict.fromkeys(names, "tgram://***"), now_ns)


def add(journal: Journal, *runs: tuple[Outcome, int], now_ns: int = NOW_NS, job: str = "a") -> None:
    """Runs with these outcomes become final; each began a second before its end."""
    with journal.atomic():
        journal.runs.add(
            [
                replace(
                    DIGEST, job_id=job, outcome=outcome, session_id=None,
                    execution_id=f"{job}{ended_ns}", ended_ns=ended_ns, started_ns=ended_ns - 10**9,
                )
                for outcome, ended_ns in runs
            ],
            now_ns,
        )  # fmt: skip


def status(journal: Journal, name: str = "phone") -> NoticeTargetStatus:
    (found,) = (state for state in journal.notices.states() if state.name == name)
    return found


def pending(journal: Journal, name: str = "phone") -> list[str]:
    """The events that are pending, the oldest first."""
    return [
        notice.notice.event.value
        for progress in journal.notices.pending_targets()
        if progress.name == name
        for notice in journal.notices.take(progress.id, 1000)
    ]


def acknowledge(journal: Journal, name: str = "phone") -> None:
    (progress,) = (p for p in journal.notices.pending_targets() if p.name == name)
    journal.notices.accepted(progress.id, journal.notices.take(progress.id, 1000), NOW_NS)


def minutes(count: int) -> int:
    return SINCE + count * 60 * 10**9


# --- what is written ----------------------------------------------------------------------------


def test_a_run_that_becomes_final_is_told_to_each_target(journal: Journal) -> None:
    use(journal, "phone", "mail")
    add(journal, (BAD, minutes(1)))

    assert pending(journal) == pending(journal, "mail") == ["failed"]


def test_nothing_is_told_of_what_was_known_before(journal: Journal) -> None:
    add(journal, (BAD, minutes(-1)), (BAD, minutes(1)))
    use(journal, "phone")

    assert pending(journal) == []


def test_nothing_is_told_of_history_that_is_read_later(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, *[(BAD, minutes(-n)) for n in range(1, 50)])

    assert pending(journal) == []
    assert status(journal).found_late == 0


def test_a_run_that_is_found_late_is_counted_and_not_told(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)), now_ns=minutes(2) + FOUND_LATE_NS)

    assert pending(journal) == []
    assert status(journal).found_late == 1


def test_history_before_it_counts_for_failures_in_a_row(journal: Journal) -> None:
    add(journal, (BAD, minutes(-2)), (BAD, minutes(-1)))
    use(journal, "phone")
    add(journal, (BAD, minutes(1)))

    assert pending(journal) == ["failing"]


@pytest.mark.parametrize("between", [Outcome.SKIPPED, Outcome.MISSED])
def test_what_neither_failed_nor_succeeded_breaks_no_row(
    journal: Journal, between: Outcome
) -> None:
    use(journal, "phone", events=[NoticeEvent.FAILING, NoticeEvent.RECOVERED])
    add(journal, (BAD, minutes(1)), (BAD, minutes(2)), (between, minutes(3)), (BAD, minutes(4)))
    add(journal, (between, minutes(5)), (OK, minutes(6)))

    assert pending(journal) == ["failing", "recovered"]


def test_another_jobs_runs_break_no_row(journal: Journal) -> None:
    use(journal, "phone", events=[NoticeEvent.FAILING])
    for minute in range(1, 7):
        add(journal, (BAD, minutes(minute)), job="a")
        add(journal, (OK, minutes(minute)), job="b")

    assert pending(journal) == ["failing"]


def test_a_whole_row_in_one_chunk_is_told_as_if_it_came_run_by_run(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)), (BAD, minutes(2)), (BAD, minutes(3)), (OK, minutes(4)))

    assert pending(journal) == ["failed", "failed", "failing", "recovered"]


def test_a_success_that_is_found_after_a_later_failure_is_no_recovery(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)), (BAD, minutes(3)))
    add(journal, (OK, minutes(2)))

    assert pending(journal) == ["failed", "failed"]


def test_what_is_rolled_back_with_its_run_is_told_when_the_run_is_final(journal: Journal) -> None:
    use(journal, "phone")
    with journal.rolled_back():
        add(journal, (BAD, minutes(1)))
    assert pending(journal) == []

    add(journal, (BAD, minutes(1)))

    assert pending(journal) == ["failed"]


# --- targets come and go ------------------------------------------------------------------------


def test_runs_wait_while_the_settings_cannot_be_read(journal: Journal) -> None:
    use(journal, "phone")
    use(journal)
    add(journal, (BAD, minutes(1)))

    use(journal, "phone", now_ns=minutes(2))

    assert pending(journal) == ["failed"]


def test_one_that_was_taken_out_is_not_sent_what_it_lacks(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)))
    use(journal)

    assert journal.notices.pending_targets() == []
    assert (status(journal).active, status(journal).pending) == (False, 1)


def test_one_that_was_taken_out_and_lacks_nothing_is_not_shown(journal: Journal) -> None:
    use(journal, "phone")
    use(journal)

    assert journal.notices.states() == []


def test_a_new_address_under_the_same_name_is_tried_at_once(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)))
    journal.notices.failed(
        1, "429", now_ns=1, next_try_ns=10**18, asked_to_wait=True, timed_out=False
    )
    with journal.atomic():
        journal.notices.set_targets({"phone": "slack://***"}, NOW_NS)

    (progress,) = journal.notices.pending_targets()
    assert (progress.endpoint, progress.failures, progress.next_try_ns) == ("slack://***", 0, None)


# --- what leaves --------------------------------------------------------------------------------


def test_what_was_acknowledged_is_never_pending_again(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)))
    acknowledge(journal)
    use(journal, "phone", now_ns=NOW_NS)
    add(journal, (OK, minutes(2)))

    assert pending(journal) == ["recovered"]
    assert status(journal).delivered == 1


def test_what_waits_too_long_is_given_up_and_counted(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)), now_ns=NOW_NS)
    add(journal, (BAD, minutes(2)), now_ns=NOW_NS + HOUR)

    assert journal.notices.give_up(1, NOW_NS + 1) == 1
    assert (status(journal).given_up, status(journal).pending) == (1, 1)


def test_what_is_refused_is_counted_and_its_reason_is_shown(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)))
    journal.notices.refused(1, journal.notices.take(1, 10), "HTTP 404", NOW_NS)

    found = status(journal)
    assert (found.refused, found.pending, found.last_error, found.fails) == (1, 0, "HTTP 404", True)


def test_a_receipt_ends_the_failures(journal: Journal) -> None:
    use(journal, "phone")
    add(journal, (BAD, minutes(1)))
    for _ in range(3):
        journal.notices.failed(
            1, "down", now_ns=5, next_try_ns=9, asked_to_wait=False, timed_out=True
        )
    assert (status(journal).failures, status(journal).failing_since_ns) == (3, 5)

    acknowledge(journal)

    assert (status(journal).failures, status(journal).last_error) == (0, None)


# --- what lasts ---------------------------------------------------------------------------------


def lasting(event: NoticeEvent, key: str, at_ns: int) -> Notice:
    return Notice(event=event, key=key, job_id="a", job_name="digest", at_ns=at_ns, text="…")


def write(journal: Journal, *notices: Notice, event: NoticeEvent, now_ns: int = NOW_NS) -> None:
    with journal.atomic():
        journal.notices.add_lasting("phone", event, notices, now_ns)


def test_a_job_that_stays_overdue_is_told_once(journal: Journal) -> None:
    use(journal, "phone")
    overdue = lasting(NoticeEvent.OVERDUE, "a@1", minutes(1))
    for day in range(40):
        write(journal, overdue, event=NoticeEvent.OVERDUE, now_ns=NOW_NS + day * DAY)
        if day == 0:
            acknowledge(journal)

    assert pending(journal) == []
    assert status(journal).delivered == 1


def test_the_next_time_that_it_is_overdue_is_told_too(journal: Journal) -> None:
    use(journal, "phone")
    write(journal, lasting(NoticeEvent.OVERDUE, "a@1", minutes(1)), event=NoticeEvent.OVERDUE)
    acknowledge(journal)
    write(journal, lasting(NoticeEvent.OVERDUE, "a@2", minutes(5)), event=NoticeEvent.OVERDUE)

    assert pending(journal) == ["overdue"]


def test_the_first_success_after_it_was_overdue_is_a_recovery_and_the_next_is_none(
    journal: Journal,
) -> None:
    use(journal, "phone")
    write(journal, lasting(NoticeEvent.OVERDUE, "a@1", minutes(1)), event=NoticeEvent.OVERDUE)
    acknowledge(journal)
    add(journal, (OK, minutes(5)))
    add(journal, (OK, minutes(6)))

    assert pending(journal) == ["recovered"]


def test_what_was_overdue_is_forgotten_when_its_job_runs_on(journal: Journal) -> None:
    use(journal, "phone")
    write(journal, lasting(NoticeEvent.OVERDUE, "a@1", minutes(1)), event=NoticeEvent.OVERDUE)
    acknowledge(journal)
    add(journal, (OK, minutes(5)), (OK, minutes(6)))
    acknowledge(journal)

    assert kept(journal) == 0


def kept(journal: Journal) -> int:
    (rows,) = journal._connection.execute("SELECT count(*) FROM notice").fetchone()
    return int(rows)


def test_a_job_that_was_overdue_before_the_target_was_made_is_history(journal: Journal) -> None:
    use(journal, "phone")
    write(journal, lasting(NoticeEvent.OVERDUE, "a@1", minutes(-1)), event=NoticeEvent.OVERDUE)

    assert pending(journal) == []


def test_a_start_is_told_once_and_forgotten_when_the_run_has_ended(journal: Journal) -> None:
    use(journal, "phone", events=PING_EVENTS)
    start = lasting(NoticeEvent.STARTED, f"a{minutes(2)}", minutes(1))
    for _ in range(3):
        write(journal, start, event=NoticeEvent.STARTED)
    assert pending(journal) == ["started"]
    acknowledge(journal)
    write(journal, start, event=NoticeEvent.STARTED)
    assert pending(journal) == []

    add(journal, (OK, minutes(2)))

    assert pending(journal) == ["succeeded"]
    assert kept(journal) == 1


def test_a_start_that_was_not_sent_before_the_end_is_not_sent_any_more(journal: Journal) -> None:
    use(journal, "phone", events=PING_EVENTS)
    start = lasting(NoticeEvent.STARTED, f"a{minutes(2)}", minutes(1))
    write(journal, start, event=NoticeEvent.STARTED)
    add(journal, (BAD, minutes(2)))

    assert pending(journal) == ["failed"]


def test_starts_of_runs_that_never_end_are_not_kept_for_ever(journal: Journal) -> None:
    use(journal, "phone", events=PING_EVENTS)
    write(journal, lasting(NoticeEvent.STARTED, "gone", minutes(1)), event=NoticeEvent.STARTED)
    acknowledge(journal)

    write(journal, event=NoticeEvent.STARTED, now_ns=NOW_NS + 31 * DAY)

    assert kept(journal) == 0
