"""The host's ways of writing a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.model.times import epoch_to_ns, iso_to_ns, ns_of, to_datetime, wall_clock_ns

BERLIN = ZoneInfo("Europe/Berlin")
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=offsets)


@given(moments)
def test_a_moment_survives_iso_text_and_back_to_the_microsecond(moment: datetime) -> None:
    ns = iso_to_ns(moment.isoformat())

    assert ns is not None
    assert ns == ns_of(moment)
    assert to_datetime(ns) == moment


@given(moments)
def test_a_real_column_holds_a_time_to_the_microsecond(moment: datetime) -> None:
    ns = epoch_to_ns(moment.timestamp())

    assert ns is not None
    assert abs(ns - ns_of(moment)) <= 1_000


def test_the_offset_of_an_iso_text_counts() -> None:
    assert iso_to_ns("1970-01-01T01:00:00.000001+01:00") == 1_000
    assert iso_to_ns("1969-12-31T19:00:00-05:00") == 0
    assert iso_to_ns("1970-01-01T00:00:01Z") == 1_000_000_000


def test_a_naive_time_of_an_old_home_is_taken_in_the_home_s_zone() -> None:
    assert iso_to_ns("2026-07-01T12:00:00", BERLIN) == ns_of(datetime(2026, 7, 1, 10, tzinfo=UTC))


@time_machine.travel(datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("America/New_York")))
def test_a_naive_time_without_a_known_zone_is_the_server_s_own() -> None:
    assert iso_to_ns("2026-07-01T12:00:00") == ns_of(datetime(2026, 7, 1, 16, tzinfo=UTC))


@pytest.mark.parametrize("odd", [None, "", "soon", 17, 1.5, b"2026-01-01", ["2026-01-01"], True])
def test_what_is_no_iso_text_is_no_time(odd: object) -> None:
    assert iso_to_ns(odd) is None


@pytest.mark.parametrize(
    "odd", [None, "1700000000", b"1", True, float("nan"), float("inf"), float("-inf")]
)
def test_what_is_no_number_of_seconds_is_no_time(odd: object) -> None:
    """SQLite keeps whatever was put into a REAL column, infinity included."""
    assert epoch_to_ns(odd) is None


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59+00:00", "2263-01-01T00:00:00Z"])
def test_a_time_beyond_64_bits_of_nanoseconds_is_no_time(text: str) -> None:
    """Our own file cannot hold it, and one such job must not stop the others."""
    assert iso_to_ns(text) is None


def test_a_number_of_seconds_beyond_64_bits_of_nanoseconds_is_no_time() -> None:
    assert epoch_to_ns(1e12) is None
    assert epoch_to_ns(1.7e308) is None


def test_a_time_before_the_epoch_is_shown_as_it_was() -> None:
    assert to_datetime(-1_000) == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


FORM = "%Y-%m-%d %H:%M:%S"


def test_a_wall_clock_s_stamp_is_one_time_or_in_autumn_two() -> None:
    assert wall_clock_ns("2026-05-04 11:00:00", FORM, BERLIN) == (
        ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC)),
    )
    assert wall_clock_ns("2026-10-25 02:30:00", FORM, BERLIN) == (
        ns_of(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ns_of(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-04 11:00:00", "0001-01-01 00:00"])
def test_what_is_no_stamp_is_no_time(text: str) -> None:
    assert wall_clock_ns(text, FORM, BERLIN) == ()
