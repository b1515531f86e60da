"""When a run was due, how late it was, and what started it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache, partial

from ..model import Schedule, ScheduleKind, Trigger
from ..model.times import NS, ns_of, stamp_ns, to_datetime
from .cron import read_cron

GRACE_MIN_S, GRACE_MAX_S = 120.0, 7200.0
"""The host's bounds on how late a job may be before a run counts as catching up."""

MAX_LATE_WHEN_UP_NS = round(GRACE_MIN_S * NS)
"""A scheduler that is up starts a run at most this late: the host's smallest grace."""

SAME_TIME_NS = 5 * NS
"""Times closer than this are the same: the ledger's end of a run and the end the host counts from
differ by less."""

_MINUTE_NS = 60 * NS
_MINUTES_SEARCHED = 10
"""How many minutes are searched for an occurrence before the calendar is asked: most runs start within a
minute or two."""


def is_overdue(due_ns: int, now_ns: int) -> bool:
    """Return whether a job that is due for this time is further past it than a scheduler at work would
    let it be."""
    return now_ns - due_ns > MAX_LATE_WHEN_UP_NS


def previous_occurrence_ns(expression: str, at_ns: int, zone: tzinfo) -> int | None:
    """Return the newest occurrence at or before `at_ns`; None for an invalid expression.

    A run is claimed within a minute or two of its occurrence, so a search of the minutes just past
    mostly finds it, a hundred times faster than the calendar does.
    """
    from croniter import croniter
    from croniter.croniter import CroniterError

    cron = read_cron(expression)
    if cron is not None and cron.days_expression is None and cron.seconds == 1:
        # This counts in epoch time, because local time repeats an hour in autumn.
        minute_ns = at_ns - at_ns % _MINUTE_NS
        for candidate_ns in range(
            minute_ns, minute_ns - _MINUTES_SEARCHED * _MINUTE_NS, -_MINUTE_NS
        ):
            if cron.match(to_datetime(candidate_ns, zone)):
                return candidate_ns
    try:
        # This counts in wall clock time: with a zone, the host's croniter (6) is an hour off where a change
        # of the clocks lies between. get_prev is strictly before its start.
        start = to_datetime(at_ns, zone).replace(tzinfo=None) + timedelta(microseconds=1)
        found = croniter(expression, start).get_prev(datetime)
        moments = stamp_ns(found, zone) if isinstance(found, datetime) else ()
    except (CroniterError, ValueError, KeyError, AttributeError, OverflowError):
        return None
    return max((ns for ns in moments if ns <= at_ns), default=None)


def _due_across_a_change_ns(
    expression: str, counted_from_ns: int, claimed_ns: int, zone: tzinfo
) -> int | None:
    """Return the host's next due time after the previous run, if the clocks changed in between and the
    run started right then. croniter may be an hour off there."""
    clocks = {to_datetime(ns, zone).utcoffset() for ns in (counted_from_ns, claimed_ns)}
    if len(clocks) == 1:
        return None
    due_ns = _next_occurrence_ns(expression, counted_from_ns, zone)
    if due_ns is None or not 0 <= claimed_ns - due_ns <= MAX_LATE_WHEN_UP_NS:
        return None
    return due_ns


def _next_occurrence_ns(expression: str, after_ns: int, zone: tzinfo) -> int | None:
    """Return what the host's `compute_next_run` would; None when there is no such time."""
    from croniter import croniter
    from croniter.croniter import CroniterError

    try:
        found = croniter(expression, to_datetime(after_ns, zone)).get_next(datetime)
    except (CroniterError, ValueError, KeyError, AttributeError, OverflowError):
        return None
    # croniter may stand still, or go back, where a local time comes twice.
    return ns if isinstance(found, datetime) and (ns := ns_of(found)) > after_ns else None


@lru_cache(maxsize=512)
def grace_s(schedule: Schedule) -> float:
    """Return how late a run may start and still be on time, by the host's rule: half a period, bounded.

    A cron expression's period lies between two occurrences in a row. The host takes those after now; we
    take those of a fixed day, so that a run's trigger does not depend on when it is read.
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
    host_due_ns: int | None,
    counted_from_ns: int | None,
    created_ns: int | None,
    zone: tzinfo,
    zone_before: tzinfo | None = None,
) -> int | None:
    """Return when the run claimed at `claimed_ns` was due; None when that is unknown.

    The host's own `next_run_at` (`host_due_ns`) goes first, if it was seen. Else it is a cron
    expression's newest occurrence, an interval after the end of the run before (or the job's creation),
    or a one-shot's time. After the host has moved from one zone to another (`zone_before`), a cron
    expression's time is known only if the run started right then, in either zone.
    """
    if host_due_ns is not None or schedule is None:
        return host_due_ns
    if schedule.kind is ScheduleKind.CRON and schedule.cron is not None:
        due_in = partial(_cron_due_ns, schedule.cron, claimed_ns, counted_from_ns, created_ns)
        if zone_before is None:
            return due_in(zone)
        times = filter(None, map(due_in, (zone, zone_before)))
        return max((at for at in times if claimed_ns - at <= MAX_LATE_WHEN_UP_NS), default=None)
    if schedule.kind is ScheduleKind.ONCE:
        due_ns = schedule.once_at_ns
    else:
        if counted_from_ns is None:
            counted_from_ns = created_ns
        due_ns = _interval_due_ns(schedule, claimed_ns, counted_from_ns)
    return due_ns if due_ns is not None and due_ns <= claimed_ns + NS else None


def _cron_due_ns(
    expression: str,
    claimed_ns: int,
    counted_from_ns: int | None,
    created_ns: int | None,
    zone: tzinfo,
) -> int | None:
    due_ns = previous_occurrence_ns(expression, claimed_ns, zone)
    for from_ns in _counted_from(expression, due_ns, counted_from_ns, created_ns, zone):
        shifted_ns = _due_across_a_change_ns(expression, from_ns, claimed_ns, zone)
        if shifted_ns is not None:
            return shifted_ns
    # The host counts on from the last end: an occurrence before it, or before the job was made, did
    # not start this run.
    not_before_ns = max(counted_from_ns or 0, created_ns or 0)
    return due_ns if due_ns is not None and due_ns > not_before_ns else None


def _counted_from(
    expression: str,
    newest_ns: int | None,
    counted_from_ns: int | None,
    created_ns: int | None,
    zone: tzinfo,
) -> Iterator[int]:
    """Yield the times that the host may have counted the next due time from.

    Of a job's first known run nobody knows: it is the job's creation, or right after the newest
    occurrence (`newest_ns`) or the one before.
    """
    if counted_from_ns is not None:
        yield counted_from_ns
        return
    if created_ns is not None:
        yield created_ns
    if newest_ns is not None:
        yield newest_ns
        before_ns = previous_occurrence_ns(expression, newest_ns - NS, zone)
        if before_ns is not None:
            yield before_ns


def _interval_due_ns(
    schedule: Schedule, claimed_ns: int, counted_from_ns: int | None
) -> int | None:
    """Return the time one interval after `counted_from_ns`.

    A job that was paused counts its interval anew from when it is resumed, and that time is unknown: a
    run that would be too late was due for another time.
    """
    if counted_from_ns is None or schedule.interval_s is None:
        return None
    due_ns = counted_from_ns + round(schedule.interval_s * NS)
    return due_ns if claimed_ns - due_ns <= round(grace_s(schedule) * NS) else None


def was_superseded(
    schedule: Schedule | None, due_ns: int, *, claimed_ns: int, counted_from_ns: int
) -> bool:
    """Return whether due_ns is outdated: it was seen before the previous run ended, and the host has
    counted again from that end. A time that a person made due sooner is not outdated."""
    if schedule is None or schedule.kind is not ScheduleKind.INTERVAL or not schedule.interval_s:
        return False
    recounted_ns = counted_from_ns + round(schedule.interval_s * NS) - SAME_TIME_NS
    return due_ns < recounted_ns <= claimed_ns


def fits_later_occurrence(
    schedule: Schedule | None, due_ns: int, *, claimed_ns: int, zone: tzinfo
) -> bool:
    """Return whether the run started right after a later occurrence than `due_ns`, so soon that only
    one in ten late runs would start there by chance."""
    if schedule is None or schedule.cron is None or claimed_ns - due_ns <= MAX_LATE_WHEN_UP_NS:
        return False
    later_ns = previous_occurrence_ns(schedule.cron, claimed_ns, zone)
    if later_ns is None or later_ns <= due_ns:
        return False
    next_ns = _next_occurrence_ns(schedule.cron, later_ns, zone)
    if next_ns is None:
        return False
    return claimed_ns - later_ns <= min(MAX_LATE_WHEN_UP_NS, (next_ns - later_ns) // 10)


def is_out_of_turn(schedule: Schedule, *, after_ns: int, claimed_ns: int, zone: tzinfo) -> bool:
    """Return whether the job was not due between the start of its run before (`after_ns`) and this claim:
    then somebody asked for the run."""
    latest_ns = claimed_ns + SAME_TIME_NS
    if schedule.kind is ScheduleKind.CRON and schedule.cron is not None:
        due_ns = previous_occurrence_ns(schedule.cron, latest_ns, zone)
        if due_ns is None or due_ns > after_ns:
            return False
        return _due_across_a_change_ns(schedule.cron, after_ns, latest_ns, zone) is None
    if schedule.kind is ScheduleKind.ONCE:
        return schedule.once_at_ns is not None and schedule.once_at_ns > latest_ns
    return schedule.interval_s is not None and latest_ns < after_ns + round(
        schedule.interval_s * NS
    )


def is_on_time(schedule: Schedule, began_ns: int, zone: tzinfo) -> bool:
    """Return whether a cron expression has an occurrence right before a run began."""
    if schedule.cron is None:
        return False
    due_ns = previous_occurrence_ns(schedule.cron, began_ns, zone)
    return due_ns is not None and began_ns - due_ns <= MAX_LATE_WHEN_UP_NS


def trigger_of(
    source: str, schedule: Schedule | None, *, claimed_ns: int, due_ns: int | None
) -> Trigger:
    """Return what started an execution: the source `direct` is a person's `hermes cron run`."""
    if source == "direct":
        return Trigger.MANUAL
    if schedule is not None and due_ns is not None:
        late_s = (claimed_ns - due_ns) / NS
        if late_s > grace_s(schedule):
            return Trigger.CATCH_UP
    return Trigger.SCHEDULE
