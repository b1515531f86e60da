"""What counts as missed, from what jobs.json showed and from the ledger alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.errors import ErrorType
from cronalytics_otel.domain.ledger import Ledger
from cronalytics_otel.domain.missed import (
    Outage,
    Overdue,
    before_run,
    look,
    run_of,
    without_run,
)
from cronalytics_otel.domain.schedule import UP_NS
from cronalytics_otel.domain.silence import by_silence
from cronalytics_otel.model import (
    Execution,
    Job,
    Mode,
    Outcome,
    OutcomeSource,
    Schedule,
    ScheduleKind,
)
from cronalytics_otel.model.times import NS, ns_of

DAY, HOUR, MINUTE = 86_400 * NS, 3_600 * NS, 60 * NS
MONDAY = ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC))
HOURLY = Schedule(kind=ScheduleKind.CRON, expression="0 * * * *", cron="0 * * * *")
DAILY = Schedule(kind=ScheduleKind.CRON, expression="0 9 * * *", cron="0 9 * * *")
HALF_HOURLY = Schedule(kind=ScheduleKind.INTERVAL, expression="every 30m", interval_s=1800.0)
ONCE = Schedule(kind=ScheduleKind.ONCE, expression="once", once_at_ns=MONDAY)


def job(schedule: Schedule = DAILY, **facts: object) -> Job:
    made = Job(job_id="a", name="digest", mode=Mode.AGENT, schedule=schedule)
    return replace(made, **facts)  # type: ignore[arg-type]


def run(
    claimed_ns: int, job_id: str = "a", source: str = "builtin", lasts_ns: int = 20 * NS,
    status: str = "completed",
) -> Execution:  # fmt: skip
    return Execution(
        execution_id=f"{job_id}-{claimed_ns}", job_id=job_id, source=source, status=status,
        claimed_ns=claimed_ns, started_ns=claimed_ns, finished_ns=claimed_ns + lasts_ns, error=None,
        pid=1, process_started_at=1, delivery_outcome=None, scheduled_ns=None,
    )  # fmt: skip


def overdue(due_ns: int, until_ns: int, runs_left: int | None = None, changed_ns: int | None = None) -> Overdue:  # fmt: skip
    return Overdue(due_ns=due_ns, until_ns=until_ns, runs_left=runs_left, changed_ns=changed_ns)


# --- what jobs.json showed ----------------------------------------------------------------------


def test_a_job_past_its_time_by_more_than_a_tick_is_overdue() -> None:
    due = job(next_run_ns=MONDAY)

    assert look([], due, MONDAY + UP_NS) == []
    assert look([], due, MONDAY + UP_NS + 1) == [overdue(MONDAY, MONDAY + UP_NS + 1)]


def test_each_further_look_extends_it_until_the_host_has_another_time() -> None:
    known = look([], job(next_run_ns=MONDAY), MONDAY + HOUR)
    known = look(known, job(next_run_ns=MONDAY), MONDAY + DAY)
    assert known == [overdue(MONDAY, MONDAY + DAY)]

    known = look(known, job(next_run_ns=MONDAY + 2 * DAY), MONDAY + DAY + HOUR)
    assert known == [overdue(MONDAY, MONDAY + DAY, changed_ns=MONDAY + DAY + HOUR)]
    assert look(known, job(next_run_ns=MONDAY + 3 * DAY), MONDAY + 2 * DAY) == known


def test_a_pause_ends_it_when_it_was_made_not_when_it_was_seen() -> None:
    paused = job(next_run_ns=MONDAY, enabled=False, paused_ns=MONDAY + 2 * HOUR)
    seen = overdue(MONDAY, MONDAY + 2 * HOUR, changed_ns=MONDAY + DAY)

    assert look([], paused, MONDAY + DAY) == [seen]
    assert look([overdue(MONDAY, MONDAY + HOUR)], paused, MONDAY + DAY) == [seen]


def test_a_job_that_was_paused_before_it_was_due_is_not_overdue() -> None:
    assert look([], job(next_run_ns=MONDAY, enabled=False, paused_ns=MONDAY - HOUR), MONDAY + DAY) == []  # fmt: skip
    assert look([], job(next_run_ns=MONDAY, enabled=False), MONDAY + DAY) == []


def test_a_job_that_is_gone_was_overdue_until_it_was_last_seen() -> None:
    known = look([overdue(MONDAY, MONDAY + HOUR)], None, MONDAY + DAY)

    assert known == [overdue(MONDAY, MONDAY + HOUR, changed_ns=MONDAY + DAY)]


def test_a_second_outage_is_seen_although_the_first_is_not_told_yet() -> None:
    first = overdue(MONDAY, MONDAY + HOUR)
    again = job(next_run_ns=MONDAY + DAY)

    known = look([first], again, MONDAY + DAY + HOUR)
    known = look(known, again, MONDAY + DAY + 2 * HOUR)

    assert known == [
        replace(first, changed_ns=MONDAY + DAY + HOUR),
        overdue(MONDAY + DAY, MONDAY + DAY + 2 * HOUR),
    ]


def test_what_was_told_is_forgotten_when_the_job_is_due_for_another_time() -> None:
    known = overdue(MONDAY, MONDAY + HOUR, changed_ns=0)

    assert look([known], job(next_run_ns=MONDAY), MONDAY + DAY) == [known]
    assert look([known], job(next_run_ns=MONDAY + 2 * DAY), MONDAY + DAY) == []


# --- until the run that came late ---------------------------------------------------------------


def missed_before(schedule: Schedule, known: Overdue, execution: Execution, anchor: int | None = None) -> Outage | None:  # fmt: skip
    return before_run(known, schedule, execution, anchor_ns=anchor, zone=UTC)


def test_the_late_run_stands_for_the_first_time_and_the_others_are_missed() -> None:
    up = MONDAY + 4 * DAY + 3 * HOUR

    assert missed_before(DAILY, overdue(MONDAY, up), run(up + NS)) == Outage(
        first_ns=MONDAY + DAY, last_ns=MONDAY + 4 * DAY, count=4, served_ns=MONDAY
    )


def test_one_time_alone_is_late_and_not_missed() -> None:
    up = MONDAY + 20 * HOUR

    assert missed_before(DAILY, overdue(MONDAY, up), run(up + NS)) is None


def test_the_host_s_own_word_says_which_time_the_run_stands_for() -> None:
    up = MONDAY + 2 * DAY + HOUR
    named = replace(run(up + NS), scheduled_ns=MONDAY + 2 * DAY)

    assert missed_before(DAILY, overdue(MONDAY, up), named) == Outage(
        first_ns=MONDAY, last_ns=MONDAY + DAY, count=2, served_ns=MONDAY + 2 * DAY
    )


def test_what_was_due_just_before_the_late_run_is_not_missed() -> None:
    up = MONDAY + 3 * HOUR + MINUTE

    found = missed_before(HOURLY, overdue(MONDAY, up), run(up + NS))

    assert found == Outage(
        first_ns=MONDAY + HOUR, last_ns=MONDAY + 2 * HOUR, count=2, served_ns=MONDAY
    )


def test_an_interval_counts_from_the_end_of_the_run_before() -> None:
    end = MONDAY + 7 * NS
    known = overdue(end + 30 * MINUTE - 3_000_000, end + 2 * HOUR)

    found = missed_before(HALF_HOURLY, known, run(end + 2 * HOUR + 10 * MINUTE), end)

    assert found == Outage(
        first_ns=end + HOUR, last_ns=end + 2 * HOUR, count=3, served_ns=end + 30 * MINUTE
    )


def test_no_more_is_missed_than_the_job_had_runs_left() -> None:
    up = MONDAY + 9 * DAY

    found = missed_before(DAILY, overdue(MONDAY, up, runs_left=3), run(up + HOUR))

    assert found is not None
    assert (found.first_ns, found.last_ns, found.count) == (MONDAY + DAY, MONDAY + 2 * DAY, 2)


def test_a_one_shot_that_runs_late_is_not_missed() -> None:
    assert missed_before(ONCE, overdue(MONDAY, MONDAY + DAY), run(MONDAY + DAY)) is None


def test_a_run_by_hand_serves_what_was_just_due_and_nothing_older() -> None:
    up = MONDAY + 2 * DAY + HOUR
    by_hand = run(up, source="direct")

    found = missed_before(DAILY, overdue(MONDAY, up), by_hand)

    assert found == Outage(first_ns=MONDAY, last_ns=MONDAY + DAY, count=2)


def test_a_run_that_came_after_an_edit_stands_for_none_of_what_was_due_before() -> None:
    known = overdue(MONDAY, MONDAY + DAY + HOUR, changed_ns=MONDAY + 2 * DAY)

    found = missed_before(DAILY, known, run(MONDAY + 3 * DAY))

    assert found == Outage(first_ns=MONDAY, last_ns=MONDAY + DAY, count=2)


def test_clocks_that_disagree_prove_nothing() -> None:
    assert missed_before(HOURLY, overdue(MONDAY, MONDAY + DAY), run(MONDAY + 5 * HOUR)) is None


def test_a_one_shot_that_was_removed_past_its_time_is_missed() -> None:
    found = without_run(overdue(MONDAY, MONDAY + HOUR, 1), ONCE, anchor_ns=None, zone=UTC)

    assert found == Outage(first_ns=MONDAY, last_ns=MONDAY, count=1)


@given(
    st.sampled_from([HOURLY, DAILY, HALF_HOURLY]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    st.integers(0, 40 * 86_400),
    st.integers(0, 365),
)
def test_what_is_missed_lies_between_the_first_time_and_the_late_run(
    schedule: Schedule, zone: str, down_s: int, day: int
) -> None:
    due = MONDAY + day * DAY
    late = run(due + down_s * NS)

    found = before_run(
        overdue(due, late.claimed_ns), schedule, late, anchor_ns=None, zone=ZoneInfo(zone)
    )

    if found is None:
        return
    assert found.served_ns == due
    assert due < found.first_ns <= found.last_ns <= late.claimed_ns - UP_NS
    assert (found.count == 1) == (found.first_ns == found.last_ns)


# --- by the ledger alone ------------------------------------------------------------------------


def silence(
    late: Execution,
    *others: Execution,
    known: Job | None = None,
    jobs: dict[str, Job] | None = None,
    known_due_ns: int | None = None,
) -> Outage | None:
    """After runs at 7, 8 and 9 o'clock that were right on an hourly schedule."""
    known = known or job(HOURLY)
    before = [run(MONDAY + n * HOUR + 3 * NS) for n in (-2, -1, 0)]
    ledger = Ledger.of([*before, late, *others], MONDAY - 9 * HOUR)
    return by_silence(
        known, late, ledger, {"a": known, **(jobs or {})}, known_due_ns=known_due_ns, zone=UTC
    )


LATE = run(MONDAY + 7 * HOUR + 11 * MINUTE)
FOUND = Outage(
    first_ns=MONDAY + 2 * HOUR, last_ns=MONDAY + 7 * HOUR, count=6, served_ns=MONDAY + HOUR
)


def test_silence_and_a_run_too_late_for_a_scheduler_that_was_up_are_an_outage() -> None:
    assert silence(LATE) == FOUND


def test_a_run_by_hand_meanwhile_breaks_no_silence() -> None:
    assert silence(LATE, run(MONDAY + 4 * HOUR, "b", "direct")) == FOUND


def test_a_job_that_alone_did_not_run_was_paused() -> None:
    assert silence(LATE, run(MONDAY + 4 * HOUR, "b")) is None
    assert silence(LATE, run(MONDAY - HOUR, "b", lasts_ns=5 * HOUR)) is None


def test_what_a_killed_run_says_of_its_end_is_no_sign_of_life() -> None:
    killed = run(MONDAY + MINUTE, "b", lasts_ns=7 * HOUR, status="unknown")

    assert silence(LATE, killed) == FOUND


def test_a_run_on_time_after_a_silence_may_follow_a_pause() -> None:
    assert silence(run(MONDAY + 7 * HOUR + 30 * NS)) is None


def test_another_job_s_late_run_proves_the_outage_for_one_that_came_with_it_on_time() -> None:
    on_time = run(MONDAY + 7 * HOUR + 30 * NS)
    quarter = Schedule(kind=ScheduleKind.CRON, expression="27 * * * *", cron="27 * * * *")
    witness = job(quarter, job_id="b")
    runs = [run(MONDAY + n * HOUR + 27 * MINUTE + NS, "b") for n in (-2, -1)]
    late = run(on_time.claimed_ns, "b")

    assert silence(on_time, *runs, late, jobs={"b": witness}) is not None


ON_TIME = run(MONDAY + 7 * HOUR + 30 * NS)
AT_HALF = Schedule(kind=ScheduleKind.CRON, expression="27 * * * *", cron="27 * * * *")
BEFORE = [run(MONDAY + n * HOUR + 27 * MINUTE + NS, "b") for n in (-2, -1)]


def test_two_jobs_that_fell_silent_together_were_not_both_paused() -> None:
    """Although the one that comes back first comes right on time."""
    found = silence(ON_TIME, *BEFORE, jobs={"b": job(AT_HALF, job_id="b")})
    assert found == Outage(first_ns=MONDAY + HOUR, last_ns=MONDAY + 6 * HOUR, count=6)


def test_the_last_of_those_that_come_back_in_one_tick_fell_silent_with_the_others() -> None:
    """The others' late runs are in the ledger before its own."""
    before = [run(MONDAY + n * HOUR + 3 * NS, "b") for n in (-2, -1, 0)]
    late = run(ON_TIME.claimed_ns - NS // 100, "b")

    found = silence(ON_TIME, *before, late, jobs={"b": job(HOURLY, job_id="b")})

    assert found == Outage(first_ns=MONDAY + HOUR, last_ns=MONDAY + 6 * HOUR, count=6)


def test_one_that_comes_right_on_time_stands_for_the_first_time_if_the_host_had_it_due_for_that() -> None:  # fmt: skip
    found = silence(
        ON_TIME, *BEFORE, jobs={"b": job(AT_HALF, job_id="b")}, known_due_ns=MONDAY + HOUR
    )

    assert found == Outage(
        first_ns=MONDAY + 2 * HOUR, last_ns=MONDAY + 6 * HOUR, count=5, served_ns=MONDAY + HOUR
    )


@pytest.mark.parametrize(
    "other",
    [
        job(AT_HALF, job_id="b", enabled=False),
        job(AT_HALF, job_id="b", runs_left=3),
        job(DAILY, job_id="b"),
        job(replace(AT_HALF, cron="30 8 * * 2"), job_id="b"),
        job(Schedule(kind=ScheduleKind.INTERVAL, expression="x", interval_s=3600.0), job_id="b"),
    ],
)
def test_a_job_that_was_not_due_or_may_not_have_been_says_nothing_of_another(other: Job) -> None:
    assert silence(ON_TIME, *BEFORE, jobs={"b": other}) is None


def test_a_schedule_that_does_not_fit_the_runs_before_was_another_one() -> None:
    assert silence(LATE, known=job(replace(HOURLY, cron="30 * * * *"))) is None
    assert silence(LATE, known=job(replace(HOURLY, cron="*/10 * * * *"))) is None


def test_a_ledger_that_has_forgotten_the_run_before_proves_nothing() -> None:
    ledger = Ledger.of([run(MONDAY), LATE], MONDAY)

    assert by_silence(job(HOURLY), LATE, ledger, {}, known_due_ns=None, zone=UTC) is None


def test_a_time_that_the_host_had_for_it_meanwhile_is_believed() -> None:
    known = job(HOURLY)
    before = [run(MONDAY + n * HOUR + 3 * NS) for n in (-1, 0)]
    ledger = Ledger.of([*before, LATE], MONDAY - DAY)

    resumed_for = MONDAY + 6 * HOUR

    assert by_silence(known, LATE, ledger, {"a": known}, known_due_ns=resumed_for, zone=UTC) is None


# --- the run that never was ---------------------------------------------------------------------


def test_an_outage_is_one_run_with_a_derived_id() -> None:
    found = run_of(FOUND, "a", job(HOURLY), profile="p", scheduler_down=True, zone_name="UTC")

    assert found == run_of(
        FOUND, "a", job(HOURLY), profile="p", scheduler_down=True, zone_name="UTC"
    )
    assert found.execution_id != run_of(
        replace(FOUND, first_ns=MONDAY), "a", None, profile="p", scheduler_down=True, zone_name=None
    ).execution_id  # fmt: skip
    assert (found.outcome, found.outcome_source) == (Outcome.MISSED, OutcomeSource.INFERRED)
    assert (found.started_ns, found.ended_ns) == (FOUND.first_ns, FOUND.last_ns)
    assert (found.missed_count, found.scheduler_down, found.lateness_s) == (6, True, None)
    assert found.error_message == (
        "Should have run 6 times from 2026-05-04 11:00 to 2026-05-04 16:00 UTC; "
        "the scheduler was down"
    )


def test_whether_the_scheduler_was_down_is_said_only_where_it_is_known() -> None:
    ledger = Ledger.of([run(MONDAY), run(MONDAY + 5 * HOUR, "b")], MONDAY)

    assert ledger.scheduler_was_down(MONDAY + HOUR, MONDAY + 2 * HOUR) is True
    assert ledger.scheduler_was_down(MONDAY + HOUR, MONDAY + 5 * HOUR) is False
    assert ledger.scheduler_was_down(MONDAY - HOUR, MONDAY - MINUTE) is None
    unknown = run_of(FOUND, "a", None, profile="p", scheduler_down=None, zone_name=None)
    assert unknown.error_type is ErrorType.NOT_STARTED
    assert (unknown.error_message or "").endswith("16:00 UTC")


def test_an_outage_of_a_month_costs_few_steps() -> None:
    """43,200 minutes by arithmetic: croniter, asked for each, takes seconds."""
    every_minute = replace(HOURLY, cron="* * * * *")
    up = MONDAY + round(timedelta(days=30).total_seconds()) * NS

    found = before_run(overdue(MONDAY, up), every_minute, run(up), anchor_ns=None, zone=UTC)

    assert found is not None
    assert found.count == 30 * 24 * 60 - 2
