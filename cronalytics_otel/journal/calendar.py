"""The days of the home's calendar, as days since 1970-01-01, and how its zone is written down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from ..model.times import NS, Zone, ns_of, to_datetime

EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
"""The ordinal of the day 0."""

_DAY_NS: Final = 86_400 * NS


def local_day_in(zone: tzinfo) -> Callable[[int], int]:
    """Return the function `local_day` of SQL.

    It remembers the zone's offset for each UTC day on which the clocks were not changed.
    """
    known: dict[int, int] = {}

    def offset_ns_at(at_ns: int) -> int:
        offset = to_datetime(at_ns, zone).utcoffset() or timedelta()
        return offset // timedelta(microseconds=1) * 1_000

    def local_day(at_ns: int) -> int:
        utc_day = at_ns // _DAY_NS
        offset_ns = known.get(utc_day)
        if offset_ns is None:
            offset_ns = offset_ns_at(at_ns)
            if offset_ns_at(utc_day * _DAY_NS) == offset_ns_at((utc_day + 1) * _DAY_NS):
                known[utc_day] = offset_ns
        return (at_ns + offset_ns) // _DAY_NS

    return local_day


def day_of(at_ns: int, zone: tzinfo) -> int:
    """Return the day of a time."""
    return to_datetime(at_ns, zone).date().toordinal() - EPOCH_DAY


def midnight_ns(day: int, zone: tzinfo, *, fold: int = 0) -> int:
    """Return when a day begins; the later time of two (`fold` 1) where the clocks go back over it."""
    midnight = datetime.combine(date.fromordinal(day + EPOCH_DAY), time(fold=fold), tzinfo=zone)
    return ns_of(midnight.astimezone(UTC))


def first_whole_day(since_ns: int, zone: tzinfo) -> int:
    """Return the first day that does not begin before a time."""
    day = day_of(since_ns, zone)
    return day + 1 if midnight_ns(day, zone) < since_ns else day


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
