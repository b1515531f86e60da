"""A cron expression as the host's croniter reads it: on which days, and at which times of a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

_EVERY_MINUTE: Final = (1 << 60) - 1
_EVERY_HOUR: Final = (1 << 24) - 1
_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59))
_MOST_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIELD_COUNTS: Final = (5, 6, 7)
_EARLY_MARCH: Final = 1 << 1 | 1 << 2
_DAY_29: Final = 1 << 29
_NOT_IN_FEBRUARY: Final = 1 << 30 | 1 << 31

_PART: Final = re.compile(r"(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression as masks: bit n is set where the value n is allowed."""

    minutes: int
    hours: int
    days: int | None
    """Of the month; None for every day."""
    months: int | None
    weekdays: int | None
    """Sunday is 0; None for every day."""
    seconds: int
    step_s: int
    """croniter looks for the next time from so much later on: a minute, or a second with six fields."""
    days_expression: str | None = None
    """Set where masks do not tell the days (`L`, `#`, a year): the expression with only the last time of
    each day, with which croniter can be asked for the days."""

    @property
    def times_a_day(self) -> int:
        return self.hours.bit_count() * self.minutes.bit_count() * self.seconds.bit_count()

    def times_before(self, second: int) -> int:
        """Return how many of the times of a day come before a second of the day."""
        hour, rest = divmod(second, 3600)
        minute, second = divmod(rest, 60)
        per_minute = self.seconds.bit_count()
        count = (self.hours & (1 << hour) - 1).bit_count() * self.minutes.bit_count() * per_minute
        if self.hours >> hour & 1:
            count += (self.minutes & (1 << minute) - 1).bit_count() * per_minute
            if self.minutes >> minute & 1:
                count += (self.seconds & (1 << second) - 1).bit_count()
        return count

    def first_from(self, second: int) -> int | None:
        """Return the first time of a day at or after a second of the day; None if there is none."""
        hour, rest = divmod(second, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1 and (seconds := self.seconds >> second):
                return (hour * 60 + minute) * 60 + second + _lowest(seconds)
            if minutes := self.minutes >> minute + 1:
                return (hour * 60 + minute + 1 + _lowest(minutes)) * 60 + _lowest(self.seconds)
        hours = self.hours >> hour + 1
        if not hours:
            return None
        hour += 1 + _lowest(hours)
        return (hour * 60 + _lowest(self.minutes)) * 60 + _lowest(self.seconds)

    def last_before(self, second: int) -> int | None:
        """Return the last time of a day before a second of the day; None if there is none."""
        hour, rest = divmod(second, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            seconds, minutes = self.seconds & (1 << second) - 1, self.minutes & (1 << minute) - 1
            if self.minutes >> minute & 1 and seconds:
                return (hour * 60 + minute) * 60 + _highest(seconds)
            if minutes:
                return (hour * 60 + _highest(minutes)) * 60 + _highest(self.seconds)
        hours = self.hours & (1 << hour) - 1
        if not hours:
            return None
        return (_highest(hours) * 60 + _highest(self.minutes)) * 60 + _highest(self.seconds)

    def match(self, moment: datetime) -> bool:
        """Return whether it is due at a minute of the wall clock, if masks tell its days."""
        return bool(
            self.hours >> moment.hour & 1
            and self.minutes >> moment.minute & 1
            and self._match_day(moment)
        )

    def _match_day(self, moment: datetime) -> bool:
        if self.months is not None and not self.months >> moment.month & 1:
            return False
        by_day = self.days is None or bool(self.days >> moment.day & 1)
        by_weekday = self.weekdays is None or bool(self.weekdays >> moment.isoweekday() % 7 & 1)
        # Cron's own rule: both given means either.
        both = self.days is not None and self.weekdays is not None
        return (by_day or by_weekday) if both else (by_day and by_weekday)


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _highest(mask: int) -> int:
    return mask.bit_length() - 1


@lru_cache(maxsize=1024)
def read_cron(expression: str) -> Cron | None:
    """Return the expression; None for one that is invalid or never due.

    The common forms are read here, because croniter needs 0.1 to 0.7 ms for one.
    """
    texts = expression.split()
    if len(texts) in (5, 6):
        masks = [_simple_field(text, *_RANGES[place]) for place, text in enumerate(texts)]
        if all(masks):
            days, weekdays = texts[2], texts[4]
            return _cron(
                expression,
                minutes=masks[0],
                hours=masks[1],
                days=None if _is_every(days, masks[2], 31, weekdays) else masks[2],
                months=None if masks[3].bit_count() == 12 else masks[3],
                weekdays=None if _is_every(weekdays, masks[4], 7, days) else masks[4],
                seconds=masks[5] if len(masks) == 6 else None,
                is_special=False,
            )
    return _read_with_croniter(expression)


@lru_cache(maxsize=1024)
def _simple_field(text: str, low: int, high: int) -> int:
    """Return the mask of a field of numbers, ranges and steps; 0 for anything else."""
    mask = 0
    parts = text.split(",")
    for part in parts:
        found = _PART.fullmatch(part)
        if found is None:
            return 0
        star, first, last, step = found.groups()
        if star:
            if len(parts) > 1:
                return 0
            values = range(low, high + 1, int(step or 1) or high + 1)
            if step == "0":
                return 0
        elif last is None:
            if step is not None:
                return 0
            values = range(int(first), int(first) + 1)
        else:
            values = range(int(first), int(last) + 1, int(step or 1) or 1)
            if int(first) >= int(last) or step == "0":
                return 0
        if values.start < low or values.stop > high + 1:
            return 0
        for value in values:
            mask |= 1 << value
    return mask


def _is_every(text: str, mask: int, count: int, other_text: str) -> bool:
    """Return whether a field of days puts no limit, by croniter's rule: a list of all days is none
    beside a field with a star."""
    return text == "*" or (mask.bit_count() == count and "*" in other_text)


def _read_with_croniter(expression: str) -> Cron | None:
    from croniter import croniter
    from croniter.croniter import CroniterError

    try:
        fields, nth_weekday = croniter.expand(expression)
    except (CroniterError, ValueError, KeyError, AttributeError):
        return None
    if len(fields) not in _FIELD_COUNTS:
        return None
    masks = [
        None if "*" in values else sum(1 << value for value in values if isinstance(value, int))
        for values in fields[:6]
    ]
    minutes, hours, days, months, weekdays = masks[:5]
    return _cron(
        expression,
        minutes=_EVERY_MINUTE if minutes is None else minutes,
        hours=_EVERY_HOUR if hours is None else hours,
        days=days,
        months=months,
        weekdays=weekdays,
        seconds=None if len(fields) == 5 else _EVERY_MINUTE if masks[5] is None else masks[5],
        is_special=bool(nth_weekday) or len(fields) == 7 or any("l" in field for field in fields),
    )


def _cron(
    expression: str,
    *,
    minutes: int,
    hours: int,
    days: int | None,
    months: int | None,
    weekdays: int | None,
    seconds: int | None,
    is_special: bool,
) -> Cron | None:
    if days is not None and not is_special and _never_comes(days, months):
        return None
    every_second = 1 if seconds is None else seconds
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=weekdays,
        seconds=every_second,
        step_s=60 if seconds is None else 1,
        days_expression=_last_times(expression, minutes, hours, every_second)
        if is_special or _skips_early_march(days)
        else None,
    )


def _never_comes(days: int, months: int | None) -> bool:
    """Return whether no month has such a day (30 February). croniter then gives up, even where a weekday
    is named beside the day."""
    longest = max(
        most for month, most in enumerate(_MOST_DAYS, 1) if months is None or months >> month & 1
    )
    return _lowest(days) > longest


def _skips_early_march(days: int | None) -> bool:
    """Return whether croniter may pass over the 1st or 2nd of March: from a day in February it looks for
    a 30th or 31st, and goes on from as many days later."""
    return (
        days is not None
        and bool(days & _EARLY_MARCH and days & _NOT_IN_FEBRUARY)
        and not days & _DAY_29
    )


def _last_times(expression: str, minutes: int, hours: int, seconds: int) -> str:
    """Return the expression with only the last time of each day."""
    fields = expression.split()
    fields[:2] = str(_highest(minutes)), str(_highest(hours))
    if len(fields) > 5:
        fields[5] = str(_highest(seconds))
    return " ".join(fields)
