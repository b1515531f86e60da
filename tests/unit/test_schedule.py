"""When a job was due, held against croniter, and against what the host did with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from cronalytics_otel.domain.schedule import (
    grace_s,
    previous_occurrence_ns,
    scheduled_ns,
    trigger_of,
)
from cronalytics_otel.model import Schedule, ScheduleKind, Trigger
from cronalytics_otel.model.times import NS, ns_of, to_datetime

ZONES = [ZoneInfo(n) for n in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")]
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE_NS = 60 * NS


# Expressions: each field as `*`, a step, a value, a range, a list, and names where cron has them.


def field(low: int, high: int, names: list[str] | None = None) -> SearchStrategy[str]:
    value = st.integers(low, high).map(str)
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    span = pair.map(lambda p: f"{p[0]}-{p[1]}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, high)).map(
        lambda p: f"{p[0]}/{p[1]}"
    )
    plain = st.one_of(value, span, *([st.sampled_from(names)] if names else []))
    many = st.lists(plain, min_size=2, max_size=4).map(",".join)
    return st.one_of(st.just("*"), st.just("*"), plain, stepped, many)


MONTHS = ["jan", "mar", "OCT", "dec"]
DAYS = ["sun", "mon", "WED", "fri", "mon-fri"]
expressions = st.tuples(
    field(0, 59), field(0, 23), field(1, 28), field(1, 12, MONTHS), field(0, 6, DAYS)
).map(" ".join)
"""To the 28th only: an expression that is due once in four years takes croniter seconds."""

moments = st.integers(
    ns_of(datetime(2025, 1, 1, tzinfo=UTC)) // 1_000,
    ns_of(datetime(2028, 1, 1, tzinfo=UTC)) // 1_000,
).map(lambda us: us * 1_000)


@given(expressions, moments)
def test_the_newest_occurrence_is_croniter_s(expression: str, at_ns: int) -> None:
    at = to_datetime(at_ns)
    expected = croniter(expression, at + timedelta(microseconds=1)).get_prev(datetime)

    assert previous_occurrence_ns(expression, at_ns, UTC) == ns_of(expected)


@given(expressions, moments, st.sampled_from(ZONES))
def test_an_occurrence_is_one_by_the_clock_on_the_wall_and_not_in_the_future(
    expression: str, at_ns: int, zone: ZoneInfo
) -> None:
    found = previous_occurrence_ns(expression, at_ns, zone)

    assert found is not None
    assert found <= at_ns
    local = to_datetime(found, zone).replace(tzinfo=None)
    if _shifts_near(zone, found):
        return  # an occurrence in the hour that is skipped falls on another time of day
    assert croniter.match(expression, local)


@given(expressions, moments, st.sampled_from(ZONES))
def test_a_run_right_on_its_occurrence_finds_it(
    expression: str, at_ns: int, zone: ZoneInfo
) -> None:
    """Away from a change of the clocks croniter is the oracle in every zone."""
    if _shifts_near(zone, at_ns):
        return
    at = to_datetime(at_ns, zone)
    due = croniter(expression, at).get_next(datetime)
    if _shifts_near(zone, ns_of(due)) or due.utcoffset() != at.utcoffset():
        return  # with a change between the two, the host's croniter is an hour off

    assert previous_occurrence_ns(expression, ns_of(due), zone) == ns_of(due)
    assert previous_occurrence_ns(expression, ns_of(due) + 59 * NS, zone) == ns_of(due)
    later = previous_occurrence_ns(expression, ns_of(due) + 20 * MINUTE_NS, zone)
    assert later is not None
    assert later >= ns_of(due)


def _shifts_near(zone: ZoneInfo, ns: int) -> bool:
    hours = (to_datetime(ns + h * 3600 * NS, zone).utcoffset() for h in (-30, -3, 0, 3, 30))
    return len(set(hours)) > 1


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", ["2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03"])  # fmt: skip
def test_every_five_minutes_is_never_more_than_five_minutes_ago_when_clocks_change(
    zone: ZoneInfo, start: str
) -> None:
    begin = ns_of(datetime.fromisoformat(start).replace(tzinfo=UTC))
    for minute in range(0, 36 * 60, 7):
        at_ns = begin + minute * MINUTE_NS + 11 * NS
        found = previous_occurrence_ns("*/5 * * * *", at_ns, zone)
        assert found is not None
        late = (at_ns - found) // NS
        assert 0 <= late < 300, (to_datetime(at_ns, zone).isoformat(), late)


def test_the_second_pass_of_a_repeated_hour_is_not_the_first() -> None:
    """25 October 2026 in Berlin: 02:30 comes at 00:30Z and again at 01:30Z."""
    second = ns_of(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))

    assert previous_occurrence_ns("*/10 * * * *", second + 5 * NS, BERLIN) == second


def test_what_the_host_had_due_next_is_found_again_around_a_change_of_the_clocks() -> None:
    """The host asks croniter for what follows the last run: that is when the next one starts."""
    for day in (datetime(2026, 3, 29), datetime(2026, 10, 25)):
        last = (day - timedelta(hours=3)).replace(tzinfo=BERLIN)
        for _ in range(60):
            due = croniter("*/15 * * * *", last).get_next(datetime)
            found = previous_occurrence_ns("*/15 * * * *", ns_of(due) + 30 * NS, BERLIN)
            assert found == ns_of(due), due
            last = to_datetime(ns_of(due) + 45 * NS, BERLIN)


def test_an_occurrence_hours_ago_is_found_by_the_calendar() -> None:
    at = datetime(2026, 5, 4, 17, 3, tzinfo=BERLIN)
    due = datetime(2026, 5, 4, 9, tzinfo=BERLIN)

    assert previous_occurrence_ns("0 9 * * 1-5", ns_of(at), BERLIN) == ns_of(due)


def test_either_day_field_is_enough_when_both_are_given() -> None:
    """4 May 2026 is a Monday, and not the 13th."""
    monday = ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC))
    thirteenth = ns_of(datetime(2026, 5, 13, 9, tzinfo=UTC))
    for due in (monday, thirteenth):
        assert previous_occurrence_ns("0 9 13 * 1", due + 30 * NS, UTC) == due


@pytest.mark.parametrize(
    ("expression", "hour"), [("0 9 * * L5", 9), ("0 9 * * 5#1", 9), ("0 9 l * *", 9)]
)
def test_expressions_beyond_plain_sets_are_croniter_s_business(expression: str, hour: int) -> None:
    at = datetime(2026, 5, 4, 9, 3, tzinfo=UTC)
    expected = croniter(expression, at).get_prev(datetime)

    assert previous_occurrence_ns(expression, ns_of(at), UTC) == ns_of(expected)
    assert expected.hour == hour


@given(st.one_of(st.text(max_size=30), st.sampled_from(["", "* * *", "61 * * * *", "0 9 * * mo"])))
def test_what_is_no_expression_has_no_occurrence_and_raises_nothing(text: str) -> None:
    at_ns = ns_of(datetime(2026, 5, 4, tzinfo=UTC))
    found = previous_occurrence_ns(text, at_ns, UTC)
    assert found is None or found <= at_ns


def test_an_expression_that_never_comes_has_no_occurrence() -> None:
    assert (
        previous_occurrence_ns("0 0 30 2 *", ns_of(datetime(2026, 5, 4, tzinfo=UTC)), UTC) is None
    )


def cron(expression: str) -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, expression=expression, cron=expression)


def every(minutes: float) -> Schedule:
    return Schedule(
        kind=ScheduleKind.INTERVAL, expression=f"every {minutes}m", interval_s=minutes * 60.0
    )


def once(at_ns: int) -> Schedule:
    return Schedule(kind=ScheduleKind.ONCE, expression="once", once_at_ns=at_ns)


# Grace: cron/jobs.py `_compute_grace_seconds`: half a period, at least 120 s, at most 2 h.


@given(st.integers(1, 100_000))
def test_the_grace_of_an_interval_is_half_of_it_within_the_host_s_bounds(minutes: int) -> None:
    assert grace_s(every(minutes)) == max(120, min(minutes * 60 // 2, 7200))


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("* * * * *", 120),
        ("*/5 * * * *", 150),
        ("0 * * * *", 1800),
        ("0 */2 * * *", 3600),
        ("0 9 * * *", 7200),
        ("0 9 * * 1-5", 7200),
        ("0 0 1 1 *", 7200),
    ],
)
def test_the_grace_of_a_cron_expression_is_half_its_period(expression: str, seconds: float) -> None:
    assert grace_s(cron(expression)) == seconds


def test_the_grace_of_a_one_shot_and_of_what_cannot_be_read_is_the_least() -> None:
    assert grace_s(once(0)) == 120
    assert grace_s(cron("no expression at all")) == 120
    assert grace_s(Schedule(kind=ScheduleKind.INTERVAL, expression="every ?")) == 120


# When a run was due.

NINE_NS = ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC))


def due(
    schedule: Schedule | None,
    claimed_ns: int = NINE_NS + 20 * NS,
    *,
    known: int | None = None,
    previous_end: int | None = None,
    created: int | None = None,
    zone: tzinfo = UTC,
) -> int | None:
    return scheduled_ns(
        schedule,
        claimed_ns=claimed_ns,
        host_due_ns=known,
        counted_from_ns=previous_end,
        created_ns=created,
        zone=zone,
    )


def test_the_host_s_own_next_run_wins_over_every_computation() -> None:
    assert due(cron("0 9 * * *"), known=17) == 17
    assert due(None, known=17) == 17


def test_a_cron_run_was_due_at_the_newest_occurrence() -> None:
    assert due(cron("0 9 * * *")) == NINE_NS


def test_an_occurrence_that_an_earlier_run_has_served_did_not_start_this_one() -> None:
    assert due(cron("0 9 * * *"), previous_end=NINE_NS + NS) is None
    assert due(cron("0 9 * * *"), previous_end=NINE_NS - 3600 * NS) == NINE_NS


def test_an_occurrence_before_the_job_was_made_did_not_start_it() -> None:
    assert due(cron("0 9 * * *"), created=NINE_NS + NS) is None


@pytest.mark.parametrize(
    ("last", "hour"), [(datetime(2026, 3, 23, 7), 6), (datetime(2026, 10, 19, 7), 8)]
)
def test_a_run_that_the_host_has_an_hour_beside_its_time_when_clocks_change_is_on_time(
    last: datetime, hour: int
) -> None:
    """Each Monday at seven, by croniter 6 as every supported host has it."""
    end = last.replace(tzinfo=BERLIN, second=20)
    host = croniter("0 7 * * 1", end).get_next(datetime)
    assert host.hour == hour

    found = due(cron("0 7 * * 1"), ns_of(host) + 5 * NS, previous_end=ns_of(end), zone=BERLIN)

    assert found == ns_of(host)


def test_an_interval_counts_from_the_end_of_the_run_before() -> None:
    end = NINE_NS - 30 * MINUTE_NS
    assert due(every(30), previous_end=end) == NINE_NS
    assert due(every(30), previous_end=end, created=0) == NINE_NS


def test_the_first_run_of_an_interval_counts_from_the_job_s_creation() -> None:
    assert due(every(30), created=NINE_NS - 30 * MINUTE_NS) == NINE_NS
    assert due(every(30)) is None


def test_a_run_before_its_interval_is_over_has_no_due_time() -> None:
    """Somebody set next_run_at by hand: nothing tells for when."""
    assert due(every(30), previous_end=NINE_NS) is None


def test_a_run_long_after_its_interval_may_follow_a_pause_and_has_no_due_time() -> None:
    """The host counts on from when the job was resumed."""
    assert due(every(30), previous_end=NINE_NS - 46 * 60 * NS) is None
    assert due(every(30), previous_end=NINE_NS - 44 * 60 * NS) == NINE_NS - 14 * 60 * NS


def test_a_one_shot_was_due_at_its_time_unless_that_is_still_to_come() -> None:
    assert due(once(NINE_NS)) == NINE_NS
    assert due(once(NINE_NS + 3600 * NS)) is None


def test_a_job_without_a_schedule_was_never_due() -> None:
    assert due(None) is None


# What started a run.


def test_hermes_cron_run_is_a_person_s_doing() -> None:
    assert (
        trigger_of("direct", cron("0 9 * * *"), claimed_ns=NINE_NS, due_ns=NINE_NS)
        is Trigger.MANUAL
    )


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [
        (0, Trigger.SCHEDULE),
        (60, Trigger.SCHEDULE),
        (7200, Trigger.SCHEDULE),
        (7201, Trigger.CATCH_UP),
        (90_000, Trigger.CATCH_UP),
    ],
)
def test_a_run_later_than_the_grace_catches_up(late_s: int, expected: Trigger) -> None:
    """The host's rule is `>` (cron/jobs.py): late by just the grace is still on time."""
    found = trigger_of(
        "builtin", cron("0 9 * * *"), claimed_ns=NINE_NS + late_s * NS, due_ns=NINE_NS
    )
    assert found is expected


def test_a_run_that_nothing_tells_a_due_time_of_is_the_schedule_s() -> None:
    assert trigger_of("chronos", every(30), claimed_ns=NINE_NS, due_ns=None) is Trigger.SCHEDULE
    assert trigger_of("builtin", None, claimed_ns=NINE_NS, due_ns=None) is Trigger.SCHEDULE
