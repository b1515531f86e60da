"""The day of a time on the home's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.journal.calendar import local_day_in, zone_of, zone_text
from cronalytics_otel.model.times import NS, Zone

ZONES = [
    UTC,
    timezone(timedelta(hours=-9, minutes=-30)),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/Havana"),  # its clocks change at midnight
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Pacific/Apia"),  # it left out 2011-12-30
    ZoneInfo("Africa/Casablanca"),  # four changes a year
]
seconds = st.integers(
    int(datetime(2005, 1, 1, tzinfo=UTC).timestamp()),
    int(datetime(2035, 1, 1, tzinfo=UTC).timestamp()),
)


@given(times=st.lists(seconds, min_size=1, max_size=20), zone=st.sampled_from(ZONES))
def test_a_time_has_the_day_that_the_zone_s_calendar_shows(
    times: list[int], zone: ZoneInfo
) -> None:
    local_day = local_day_in(zone)
    for time_s in times:
        shown = datetime.fromtimestamp(time_s, zone).date()
        assert local_day(time_s * NS) == (shown - date(1970, 1, 1)).days


@pytest.mark.parametrize("zone", ZONES[2:], ids=str)
def test_so_it_has_in_every_hour_of_the_days_on_which_clocks_change(zone: ZoneInfo) -> None:
    local_day = local_day_in(zone)
    first = int(datetime(2011, 1, 1, tzinfo=UTC).timestamp())
    for hour in range(2 * 366 * 24):
        time_s = first + hour * 3600 + 1
        shown = datetime.fromtimestamp(time_s, zone).date()
        assert local_day(time_s * NS) == (shown - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (Zone(info=ZoneInfo("Asia/Kathmandu"), name="Asia/Kathmandu"), "Asia/Kathmandu"),
        (Zone(info=timezone(timedelta(hours=-3, minutes=-30)), name=None), "-12600"),
    ],
)
def test_a_zone_is_written_down_by_its_name_or_else_by_its_offset(zone: Zone, text: str) -> None:
    assert zone_text(zone, 0) == text
    assert zone_of(text) == zone.info
