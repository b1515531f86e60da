"""When a job was due: occurrences, lateness, what started a run. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache

from .host.times import NS, ns_of, to_datetime
from .model import Schedule, ScheduleKind, Trigger

GRACE_MIN_S, GRACE_MAX_S = 120.0, 7200.0
"""The host's bounds on how late a job may be before a run counts as catching up."""

_MINUTE_NS = 60 * NS
_STEPS_BACK = 10
"""Minutes to look back for an occurrence before the calendar is asked: ticks come each minute."""


@dataclass(frozen=True, slots=True)
class _Fields:
    """A plain cron expression as sets; `None` means every value."""

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None

    def match(self, moment: datetime) -> bool:
        if not (
            _in(moment.minute, self.minutes)
            and _in(moment.hour, self.hours)
            and _in(moment.month, self.months)
        ):
            return False
        by_day = _in(moment.day, self.days)
        by_weekday = _in(moment.isoweekday() % 7, self.weekdays)
        # Cron's own rule: both given means either.
        both = self.days is not None and self.weekdays is not None
        return (by_day or by_weekday) if both else (by_day and by_weekday)


def _in(value: int, allowed: frozenset[int] | None) -> bool:
    return allowed is None or value in allowed


@lru_cache(maxsize=512)
def _plain_fields(expression: str) -> _Fields | None:
    """None for what sets cannot say (seconds, `L`, `#`) and for what is no expression."""
    from croniter import croniter
    from croniter.croniter import CroniterError

    try:
        expanded, nth_weekday = croniter.expand(expression)
    except (CroniterError, ValueError, KeyError, AttributeError):
        return None
    if len(expanded) != 5 or nth_weekday or any("l" in field for field in expanded):
        return None
    sets = [None if "*" in f else frozenset(v for v in f if isinstance(v, int)) for f in expanded]
    return _Fields(*sets)


def previous_occurrence_ns(expression: str, at_ns: int, zone: tzinfo) -> int | None:
    """The newest occurrence at or before `at_ns`; None when the expression means nothing.

    A run is claimed within a minute or two of its occurrence, so a look at the minutes just past
    mostly finds it, a hundred times faster than the calendar does.
    """
    from croniter import croniter
    from croniter.croniter import CroniterError

    fields = _plain_fields(expression)
    if fields is not None:
        # By the clock that never jumps: local time repeats an hour in autumn.
        minute_ns = at_ns - at_ns % _MINUTE_NS
        for candidate_ns in range(minute_ns, minute_ns - _STEPS_BACK * _MINUTE_NS, -_MINUTE_NS):
            if fields.match(to_datetime(candidate_ns, zone)):
                return candidate_ns
    try:
        # get_prev is strictly before its start.
        start = to_datetime(at_ns, zone) + timedelta(microseconds=1)
        found = croniter(expression, start).get_prev(datetime)
    except (CroniterError, ValueError, KeyError, AttributeError):
        return None
    return ns_of(found) if isinstance(found, datetime) else None


@lru_cache(maxsize=512)
def grace_s(schedule: Schedule) -> float:
    """How late a run may start and still be on time, by the host's rule: half a period, bounded.

    A cron expression's period is that of two occurrences in a row; the host takes those after
    now, we those of a fixed day, so that a run's trigger does not depend on when it is read.
    """
    if schedule.kind is ScheduleKind.INTERVAL and schedule.interval_s is not None:
        return min(max(schedule.interval_s / 2, GRACE_MIN_S), GRACE_MAX_S)
    if schedule.kind is ScheduleKind.CRON and schedule.cron is not None:
        from croniter import croniter
        from croniter.croniter import CroniterError

        try:
            times = croniter(schedule.cron, datetime(2026, 1, 5))  # noqa: DTZ001 - a wall clock
            first, second = times.get_next(float), times.get_next(float)
        except (CroniterError, ValueError, KeyError, AttributeError):
            return GRACE_MIN_S
        return min(max((second - first) / 2, GRACE_MIN_S), GRACE_MAX_S)
    return GRACE_MIN_S


def scheduled_ns(
    schedule: Schedule | None,
    *,
    claimed_ns: int,
    known_due_ns: int | None,
    previous_end_ns: int | None,
    created_ns: int | None,
    zone: tzinfo,
) -> int | None:
    """When the run claimed at `claimed_ns` was due; None when nothing tells.

    The host's own `next_run_at` (`known_due_ns`) if it was seen; else a cron expression's newest
    occurrence, an interval after the previous run's end (or the job's creation), a one-shot's time.
    """
    if known_due_ns is not None:
        return known_due_ns
    if schedule is None:
        return None
    if schedule.kind is ScheduleKind.CRON and schedule.cron is not None:
        due = previous_occurrence_ns(schedule.cron, claimed_ns, zone)
        # The host counts on from the last end: an occurrence before it, or before the job was
        # made, is not what started this run.
        served = max(previous_end_ns or 0, created_ns or 0)
        return due if due is not None and due > served else None
    if schedule.kind is ScheduleKind.ONCE:
        due = schedule.once_at_ns
    else:
        base = previous_end_ns if previous_end_ns is not None else created_ns
        if base is None or schedule.interval_s is None:
            return None
        due = base + round(schedule.interval_s * NS)
    return due if due is not None and due <= claimed_ns + NS else None


def trigger(
    source: str, schedule: Schedule | None, *, claimed_ns: int, due_ns: int | None
) -> Trigger:
    """What started a run of the ledger: `direct` is a person's `hermes cron run`."""
    if source == "direct":
        return Trigger.MANUAL
    if schedule is not None and due_ns is not None:
        late_s = (claimed_ns - due_ns) / NS
        if late_s > grace_s(schedule):
            return Trigger.CATCH_UP
    return Trigger.SCHEDULE
