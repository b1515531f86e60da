"""Days on the calendar of a zone, for the sums by day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from ..model.times import NS, Zone, to_datetime

EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_QUARTER_NS: Final = 900 * NS


def local_day(zone: tzinfo) -> Callable[[int], int]:
    """Return the function `local_day` of SQL. It remembers the day of each quarter of an hour."""
    known: dict[int, int] = {}

    def day_at(at_ns: int) -> int:
        return to_datetime(at_ns, zone).date().toordinal() - EPOCH_DAY

    def local_day(at_ns: int) -> int:
        quarter = at_ns // _QUARTER_NS
        day = known.get(quarter)
        if day is None:
            day = day_at(at_ns)
            if day_at(quarter * _QUARTER_NS) == day_at((quarter + 1) * _QUARTER_NS - 1000):
                known[quarter] = day
        return day

    return local_day


def zone_text(zone: Zone, now_ns: int) -> str:
    """Return a zone's IANA name; the offset in seconds of a zone that has none."""
    if zone.name is not None:
        return zone.name
    offset = to_datetime(now_ns, zone.info).utcoffset() or timedelta()
    return f"{round(offset.total_seconds()):+d}"


def zone_of(text: str) -> tzinfo:
    """Return the zone of `zone_text`."""
    if text[:1] in ("+", "-"):
        return timezone(timedelta(seconds=int(text)))
    return ZoneInfo(text)
