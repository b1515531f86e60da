"""When and how often a job is due, held against croniter stepping from one time to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from croniter.croniter import CroniterError
from hypothesis import example, given
from hypothesis import strategies as st

from cronalytics_otel.domain.cron import Cron, _read_with_croniter, read_cron
from cronalytics_otel.domain.occurrences import (
    count_occurrences,
    counts_until,
    expected_occurrences,
    goes_on,
    occurrences,
    scheduled_runs,
)
from cronalytics_otel.model import Job, Mode, Schedule
from cronalytics_otel.model.times import NS, ns_of, to_datetime
from tests.unit.test_schedule import DAYS, MONTHS, cron, every, field, moments, once

MINUTE_NS = 60 * NS
DAY_NS = 86_400 * NS
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago",
        "Africa/Casablanca", "America/St_Johns", "America/Havana", "Africa/Cairo", "Asia/Beirut",
        "Antarctica/Troll", "Europe/Dublin", "Pacific/Chatham",
    )
]  # fmt: skip

usual = st.tuples(
    field(0, 59), field(0, 23), field(1, 31), field(1, 12, MONTHS), field(0, 7, DAYS)
).map(" ".join)
sparse = st.tuples(
    st.sampled_from(["0", "30", "59"]),
    st.sampled_from(["0", "2", "7", "1-3", "23"]),
    st.sampled_from(["*", "*", "1", "31", "1,31", "1,30,15", "29", "L", "l,1", "*/1"]),
    st.sampled_from(["*", "*", "2", "jan-mar"]),
    st.sampled_from(["*", "*", "1", "1-5", "5#1", "0#5", "L5", "*/2"]),
).map(" ".join)
seconds = st.tuples(sparse, st.sampled_from(["0", "30", "*/20", "0 2026", "59 2026-2027"])).map(
    " ".join
)
expressions = st.one_of(usual, sparse, seconds)


def host_steps(expression: str, after_ns: int, zone: tzinfo) -> Iterator[int]:
    """The next due time, the next after that, and so on, as the host asks croniter for each.

    In an hour that comes twice, croniter gives a time of the first pass, which is over. The host
    waits until the clock on the wall shows it again (cron/jobs.py 0.19, `_stored_wall_clock_is_future`).
    """
    while True:
        try:
            found = croniter(expression, to_datetime(after_ns, zone)).get_next(datetime)
        except CroniterError:
            return
        next_ns = ns_of(found)
        if next_ns <= after_ns:
            next_ns = ns_of(found.replace(fold=1))
        assert next_ns > after_ns
        yield next_ns
        after_ns = next_ns


@given(expressions, moments, st.sampled_from([2, 40, 800]), st.sampled_from(ZONES))
@example("0 0 29 2 *", ns_of(datetime(2025, 1, 1, tzinfo=UTC)), 1500, BERLIN)
@example("0 7 1 7 *", ns_of(datetime(2025, 1, 1, tzinfo=UTC)), 1500, BERLIN)
@example("0 0 1,31 * *", ns_of(datetime(2026, 2, 1, tzinfo=UTC)), 90, BERLIN)
@example("59 23 1,31 * 6", ns_of(datetime(2026, 2, 1, tzinfo=UTC)), 90, BERLIN)
@example("0 9 30 2 1", ns_of(datetime(2026, 1, 1, tzinfo=UTC)), 90, BERLIN)
@example("59 * * * *", ns_of(datetime(2026, 10, 24, 22, tzinfo=UTC)), 2, BERLIN)
@example("* * * * *", ns_of(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)), 2, BERLIN)
def test_they_are_what_the_host_would_ask_croniter_for_one_by_one(
    expression: str, after_ns: int, days: int, zone: ZoneInfo
) -> None:
    up_to_ns = after_ns + days * DAY_NS
    expected: list[int] = []
    for due_ns in host_steps(expression, after_ns, zone):
        if due_ns > up_to_ns:
            break
        expected.append(due_ns)
        if len(expected) == 50:
            up_to_ns = due_ns
            break

    assert list(occurrences(cron(expression), after_ns, up_to_ns, zone)) == expected


@given(
    st.one_of(expressions, st.sampled_from(["* * * * *", "*/5 * * * *", "* * * * * *"])),
    moments,
    st.lists(st.integers(-DAY_NS, 5 * DAY_NS), max_size=4),
    st.sampled_from(ZONES),
)
def test_a_count_is_the_number_of_times(
    expression: str, after_ns: int, ends: list[int], zone: ZoneInfo
) -> None:
    ends_ns = [after_ns + end for end in ends]

    expected = [
        sum(1 for _ in occurrences(cron(expression), after_ns, end_ns, zone)) for end_ns in ends_ns
    ]

    assert list(counts_until(cron(expression), after_ns, ends_ns, zone)) == expected


@given(st.one_of(usual, st.tuples(usual, field(0, 59)).map(" ".join)))
@example("0 9 */1 * 1")
@example("0 9 1-31 * */2")
@example("0 0 * 1-12 0-6")
@example("*/0 * * * *")
@example("0 9 0 * *")
@example("60 9 * * *")
@example("5-5 9 * * *")
@example("0 9 * * 7")
def test_the_common_forms_are_read_as_croniter_reads_them(expression: str) -> None:
    assert _as_sets(read_cron(expression)) == _as_sets(_read_with_croniter(expression))


def _as_sets(read: Cron | None) -> Cron | None:
    """A month's mask of all twelve is the same as none."""
    return read and replace(read, months=None if read.months == (1 << 13) - 2 else read.months)


NO_EXPRESSIONS = [
    "",
    "* * *",
    "61 * * * *",
    "0 9 * * mo",
    "0 9 * * 1#9",
    "H * * * *",
    "* * * * * * * *",
]


@given(st.one_of(st.text(max_size=20), st.sampled_from(NO_EXPRESSIONS)))
def test_what_is_no_expression_is_never_due_and_raises_nothing(text: str) -> None:
    at_ns = ns_of(datetime(2026, 5, 4, tzinfo=UTC))
    counted = count_occurrences(cron(text), at_ns, at_ns + DAY_NS, UTC)

    assert counted == len(list(occurrences(cron(text), at_ns, at_ns + DAY_NS, UTC)))
    assert text not in NO_EXPRESSIONS or counted == 0


def year_of(expression: str, year: int = 2026, zone: tzinfo = UTC) -> int:
    begin, end = (ns_of(datetime(y, 1, 1, tzinfo=zone)) - 1 for y in (year, year + 1))
    return count_occurrences(cron(expression), begin, end, zone)


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("* * * * *", 525_600),
        ("* * * * * *", 31_536_000),
        ("0 9 * * *", 365),
        ("0 9 * * 1-5", 261),
        ("0 0 L * *", 12),
        ("0 12 * * 5#1", 12),
        ("0 0 29 2 *", 0),
        ("0 0 30 2 *", 0),
        ("0 0 30 2 5", 0),
        ("0 0 31 * *", 7),
    ],
)
def test_the_times_of_a_year(expression: str, count: int) -> None:
    assert year_of(expression) == count


def test_croniter_has_a_time_twice_after_the_clocks_went_forward() -> None:
    """29 March 2026 in Berlin: the host runs a job of nine o'clock at eight, and again at nine."""
    begin_ns, end_ns = (ns_of(datetime(2026, 3, day, tzinfo=BERLIN)) for day in (29, 30))
    found = occurrences(cron("0 9 * * *"), begin_ns - 12 * 60 * MINUTE_NS, end_ns, BERLIN)

    assert [to_datetime(due_ns, BERLIN).hour for due_ns in found] == [8, 9]
    assert year_of("0 9 * * *", zone=BERLIN) == 366


def test_29_february_comes_in_leap_years() -> None:
    assert [year_of("0 0 29 2 *", year) for year in (2026, 2027, 2028)] == [0, 0, 1]


def test_a_job_of_every_minute_runs_in_both_passes_of_a_repeated_hour() -> None:
    """25 October 2026 has 25 hours in Berlin, 29 March has 23."""
    for month, day, hours in ((10, 25, 25), (3, 29, 23)):
        begin_ns = ns_of(datetime(2026, month, day, tzinfo=BERLIN)) - 1
        found = occurrences(cron("* * * * *"), begin_ns, begin_ns + hours * 60 * MINUTE_NS, BERLIN)
        assert len(list(found)) == hours * 60


def test_an_interval_s_occurrences_count_from_where_one_begins() -> None:
    assert list(occurrences(every(2), 7, 7 + 5 * MINUTE_NS, BERLIN)) == [
        7 + 2 * MINUTE_NS, 7 + 4 * MINUTE_NS
    ]  # fmt: skip
    assert counts_until(every(2), 7, (7 + 5 * MINUTE_NS, 7 + 4 * MINUTE_NS, 7, 0), UTC) == (2, 2, 0, 0)  # fmt: skip


def test_a_one_shot_occurs_once() -> None:
    assert list(occurrences(once(50), 49, 50, BERLIN)) == [50]
    assert list(occurrences(once(50), 50, 90, BERLIN)) == []
    assert counts_until(once(50), 49, (49, 50, 90), BERLIN) == (0, 1, 1)
    assert counts_until(once(50), 50, (90,), BERLIN) == (0,)


# Runs to come.

NOW_NS = ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC))
MONTH = (NOW_NS + 30 * DAY_NS,)


def job(schedule: Schedule | None, **fields: object) -> Job:
    made = Job(job_id="j", name="j", mode=Mode.AGENT, schedule=schedule)
    return replace(made, **fields)  # type: ignore[arg-type]


def runs(of: Job, *, due_to_end_s: float = 0.0) -> int:
    (count,) = scheduled_runs(of, NOW_NS, MONTH, UTC, due_to_end_s=due_to_end_s)
    return count


def test_a_job_that_is_due_daily_has_thirty_runs_in_thirty_days() -> None:
    assert runs(job(cron("0 9 * * *"))) == 30


def test_a_job_that_cannot_run_has_no_runs() -> None:
    assert runs(job(cron("0 9 * * *"), enabled=False)) == 0
    assert runs(job(cron("0 9 * * *"), runs_left=0)) == 0
    assert runs(job(once(NOW_NS + 1), enabled=False)) == 0
    assert runs(job(None)) == 0
    assert runs(job(cron("no expression"))) == 0


def test_the_repeats_that_are_left_are_the_most_runs() -> None:
    assert runs(job(cron("0 9 * * *"), runs_left=5)) == 5
    assert runs(job(cron("0 9 * * *"), runs_left=500)) == 30
    assert runs(job(every(60), runs_left=7)) == 7


def test_a_one_shot_to_come_is_one_run_and_a_past_one_none() -> None:
    assert runs(job(once(NOW_NS + DAY_NS), runs_left=1)) == 1
    assert runs(job(once(NOW_NS + 31 * DAY_NS), runs_left=1)) == 0
    assert runs(job(once(NOW_NS - 1), runs_left=1)) == 0


def test_an_interval_counts_from_its_next_due_time() -> None:
    """Every 10 days: on days 1, 11 and 21, or on 10, 20 and 30 where the next time is unknown or past."""
    ten_days = every(10 * 1440)
    assert runs(job(ten_days, next_run_ns=NOW_NS + DAY_NS)) == 3
    assert runs(job(ten_days, next_run_ns=NOW_NS + 10 * DAY_NS)) == 3
    assert runs(job(ten_days, next_run_ns=NOW_NS + 11 * DAY_NS)) == 2
    assert runs(job(ten_days, next_run_ns=NOW_NS + 31 * DAY_NS)) == 0
    assert runs(job(ten_days)) == 3
    assert runs(job(ten_days, next_run_ns=NOW_NS - DAY_NS)) == 3


def test_an_interval_counts_from_the_end_of_a_run() -> None:
    """Every hour, and a run ends half an hour after it is due: 30 days hold 480 runs, not 720."""
    hourly = job(every(60), next_run_ns=NOW_NS + 1)
    assert runs(hourly) == 720
    assert runs(hourly, due_to_end_s=1800) == 480


def test_a_job_goes_on_if_it_is_scheduled_recurs_and_has_no_number_of_repeats() -> None:
    assert goes_on(job(cron("0 9 * * *")))
    assert goes_on(job(every(60)))
    for ends in (
        None,
        job(None),
        job(cron("0 9 * * *"), enabled=False),
        job(cron("0 9 * * *"), runs_left=7),
        job(once(NOW_NS + DAY_NS)),
    ):
        assert not goes_on(ends)


# What was expected in the past.


def expected(*history: tuple[int, Job], days: int = 10, due_to_end_s: float = 0.0) -> int | None:
    return expected_occurrences(
        history, NOW_NS, NOW_NS + days * DAY_NS, UTC, due_to_end_s=due_to_end_s
    )


def at(day: float) -> int:
    return NOW_NS + round(day * DAY_NS)


NOON = cron("0 12 * * *")


def test_a_job_is_expected_by_its_schedule() -> None:
    assert expected((0, job(NOON))) == 10
    assert expected((0, job(every(120)))) == 120
    assert expected((0, job(every(60))), due_to_end_s=3600) == 120


def test_each_definition_counts_while_it_held() -> None:
    """Daily for four days, then twice a day for six."""
    assert expected((0, job(NOON)), (at(4), job(cron("0 0,12 * * *")))) == 4 + 12


def test_a_paused_job_is_not_expected() -> None:
    paused = job(NOON, enabled=False)
    assert expected((0, job(NOON)), (at(3), paused), (at(8), job(NOON))) == 3 + 2


def test_a_job_is_not_expected_before_it_was_made() -> None:
    assert expected((at(5), job(NOON, created_ns=at(4)))) == 6


def test_the_first_definition_that_was_seen_holds_from_the_beginning() -> None:
    assert expected((at(5), job(NOON))) == 10


def test_definitions_from_after_the_window_do_not_matter() -> None:
    assert expected((0, job(NOON)), (at(12), job(None)), (at(13), job(NOON))) == 10


def test_without_a_schedule_nothing_is_known() -> None:
    assert expected() is None
    assert expected((0, job(None))) is None
