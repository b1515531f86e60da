"""The days of a span of years on which a cron expression is due, as one mask: bit n is the nth day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from .cron import Cron

EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class DueDays:
    """The days on which an expression is due. A day is counted from 1970-01-01, which is 0."""

    first: int
    """The day of bit 0."""
    mask: int

    def has(self, day: int) -> bool:
        return day >= self.first and bool(self.mask >> (day - self.first) & 1)

    def count(self, from_day: int, to_day: int) -> int:
        """Return how many of the days in [from, to) it is due on."""
        if to_day <= from_day:
            return 0
        return (self.mask >> (from_day - self.first) & (1 << (to_day - from_day)) - 1).bit_count()

    def after(self, day: int) -> int | None:
        """Return the first such day after a day; None if there is none in the span."""
        later = self.mask >> (day + 1 - self.first)
        return day + (later & -later).bit_length() if later else None

    def before(self, day: int) -> int | None:
        """Return the last such day before a day; None if there is none in the span."""
        earlier = self.mask & (1 << max(0, day - self.first)) - 1
        return self.first + earlier.bit_length() - 1 if earlier else None


def due_days(cron: Cron, first_day: int, last_day: int) -> DueDays:
    """Return the days in [first, last], and perhaps more, on which the expression is due."""
    if cron.days_expression is not None:
        return DueDays(first_day, _asked_days(cron.days_expression, first_day, last_day))
    calendar = _calendar(_year(first_day), _year(last_day))
    mask = calendar.every
    if cron.months is not None:
        mask = _union(calendar.months, cron.months)
    if cron.days is not None and cron.weekdays is not None:
        # Cron's own rule: both given means either.
        mask &= _union(calendar.days, cron.days) | _union(calendar.weekdays, cron.weekdays)
    elif cron.days is not None:
        mask &= _union(calendar.days, cron.days)
    elif cron.weekdays is not None:
        mask &= _union(calendar.weekdays, cron.weekdays)
    return DueDays(calendar.first, mask)


def _year(day: int) -> int:
    return date.fromordinal(day + EPOCH_DAY).year


def _union(masks: tuple[int, ...], allowed: int) -> int:
    union = 0
    for value, mask in enumerate(masks):
        if allowed >> value & 1:
            union |= mask
    return union


@dataclass(frozen=True, slots=True)
class _Calendar:
    """The days of some years as masks: by day of the month, by month and by weekday (Sunday is 0)."""

    first: int
    every: int
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]


@lru_cache(maxsize=8)
def _calendar(first_year: int, last_year: int) -> _Calendar:
    start = date(first_year, 1, 1)
    days, months, weekdays = [0] * 32, [0] * 13, [0] * 7
    count = (date(last_year, 12, 31) - start).days + 1
    for place in range(count):
        day = start + timedelta(place)
        bit = 1 << place
        days[day.day] |= bit
        months[day.month] |= bit
        weekdays[day.isoweekday() % 7] |= bit
    return _Calendar(
        first=start.toordinal() - EPOCH_DAY,
        every=(1 << count) - 1,
        days=tuple(days),
        months=tuple(months),
        weekdays=tuple(weekdays),
    )


@lru_cache(maxsize=256)
def _asked_days(days_expression: str, first_day: int, last_day: int) -> int:
    """Ask croniter for one due time of each day, on a wall clock without a zone."""
    from croniter import croniter
    from croniter.croniter import CroniterError

    first = datetime.fromordinal(first_day + EPOCH_DAY)
    mask = 0
    try:
        times = croniter(days_expression, first - timedelta(seconds=1))
        while True:
            found: datetime = times.get_next(datetime)
            place = found.toordinal() - first.toordinal()
            if place > last_day - first_day:
                return mask
            mask |= 1 << place
    except (CroniterError, ValueError, KeyError, AttributeError, OverflowError):
        return mask
