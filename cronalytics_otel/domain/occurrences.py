"""When and how often a job is due, in the past and to come. Pure functions.

The times are those that the host would compute one after the other, with runs that take no time. They
are not searched one by one: while the clocks do not change, every time that the expression allows on the
wall clock is an occurrence, so that a stretch of months is counted at once. Only the one step across a
change of the clocks is computed as croniter 6 does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise

from ..model import Job, Schedule, ScheduleKind
from ..model.times import NS
from .calendar_days import DueDays, due_days
from .clock_changes import Clocks, clocks_of
from .cron import Cron, read_cron

_DAY_S = 86_400
_MARGIN_S = 4 * _DAY_S
"""The tables reach so far beyond a span: no change of the clocks moves a time further."""


def occurrences(schedule: Schedule, after_ns: int, up_to_ns: int, zone: tzinfo) -> Iterator[int]:
    """Yield the due times in (after, up_to], assuming that runs take no time.

    An interval counts from `after`, as the host counts from a run's end.
    """
    if schedule.kind is ScheduleKind.CRON and schedule.cron is not None:
        cron = read_cron(schedule.cron)
        if cron is not None and after_ns < up_to_ns:
            for stretch in _Steps(cron, after_ns, up_to_ns, zone).stretches():
                yield from stretch.times_ns(cron)
    elif schedule.kind is ScheduleKind.INTERVAL and schedule.interval_s:
        step_ns = max(1, round(schedule.interval_s * NS))
        yield from range(after_ns + step_ns, up_to_ns + 1, step_ns)
    elif schedule.once_at_ns is not None and after_ns < schedule.once_at_ns <= up_to_ns:
        yield schedule.once_at_ns


def count_occurrences(schedule: Schedule, after_ns: int, up_to_ns: int, zone: tzinfo) -> int:
    """Return how many times `occurrences()` yields, without going through them."""
    return counts_until(schedule, after_ns, (up_to_ns,), zone)[0]


def counts_until(
    schedule: Schedule, after_ns: int, ends_ns: Sequence[int], zone: tzinfo
) -> tuple[int, ...]:
    """Return the number of occurrences in (after, end] for each of several ends, in one pass."""
    if schedule.kind is ScheduleKind.CRON and schedule.cron is not None:
        cron = read_cron(schedule.cron)
        up_to_ns = max(ends_ns, default=after_ns)
        if cron is None or up_to_ns <= after_ns:
            return (0,) * len(ends_ns)
        counts = [0] * len(ends_ns)
        for stretch in _Steps(cron, after_ns, up_to_ns, zone).stretches():
            for place, end_ns in enumerate(ends_ns):
                counts[place] += stretch.count(cron, end_ns // NS)
        return tuple(counts)
    if schedule.kind is ScheduleKind.INTERVAL and schedule.interval_s:
        step_ns = max(1, round(schedule.interval_s * NS))
        return tuple(max(0, end_ns - after_ns) // step_ns for end_ns in ends_ns)
    once_ns = schedule.once_at_ns
    return tuple(int(once_ns is not None and after_ns < once_ns <= end) for end in ends_ns)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """All that the expression allows from `low` to before `high` on the wall clock, at one offset."""

    days: DueDays
    low_s: int
    high_s: int
    offset_s: int

    def count(self, cron: Cron, up_to_s: int) -> int:
        low_s, high_s = self.low_s, min(self.high_s, up_to_s + self.offset_s + 1)
        if high_s <= low_s:
            return 0
        first_day, first_second = divmod(low_s, _DAY_S)
        last_day, last_second = divmod(high_s, _DAY_S)
        count = self.days.count(first_day, last_day) * cron.times_a_day
        if first_second and self.days.has(first_day):
            count -= cron.times_before(first_second)
        if last_second and self.days.has(last_day):
            count += cron.times_before(last_second)
        return count

    def times_ns(self, cron: Cron) -> Iterator[int]:
        seconds = _times_of_day(cron)
        last_day, last_second = divmod(self.high_s, _DAY_S)
        day, second = divmod(self.low_s, _DAY_S)
        found = day if self.days.has(day) else self.days.after(day)
        while found is not None and found <= last_day:
            first = cron.times_before(second) if found == day else 0
            last = cron.times_before(last_second) if found == last_day else None
            midnight_s = found * _DAY_S - self.offset_s
            yield from ((midnight_s + time_s) * NS for time_s in seconds[first:last])
            found = self.days.after(found)


@lru_cache(maxsize=64)
def _times_of_day(cron: Cron) -> tuple[int, ...]:
    """Return the seconds after midnight at which it is due."""
    hours, minutes, seconds = map(_values, (cron.hours, cron.minutes, cron.seconds))
    return tuple((h * 60 + m) * 60 + s for h in hours for m in minutes for s in seconds)


def _values(mask: int) -> list[int]:
    return [value for value in range(mask.bit_length()) if mask >> value & 1]


class _Steps:
    """The steps from one due time to the next in (after, up_to]."""

    def __init__(self, cron: Cron, after_ns: int, up_to_ns: int, zone: tzinfo) -> None:
        self._cron = cron
        self._after_ns = after_ns
        self._up_to_s = up_to_ns // NS
        first_s, last_s = after_ns // NS - _MARGIN_S, self._up_to_s + _MARGIN_S
        first_year, last_year = (datetime.fromtimestamp(s, UTC).year for s in (first_s, last_s))
        self._clocks: Clocks = clocks_of(zone, first_year, last_year)
        first_wall_s = self._wall_after(after_ns // NS)
        self._days = due_days(cron, first_wall_s // _DAY_S, last_s // _DAY_S)

    def stretches(self) -> Iterator[_Stretch]:
        clocks = self._clocks
        at_ns = self._after_ns
        while True:
            at_s = at_ns // NS
            place = clocks.at(at_s)
            offset_s, end_s = clocks.offsets[place], clocks.end(place)
            is_last = end_s is None or end_s > self._up_to_s
            stop_s = self._up_to_s + 1 if end_s is None or is_last else end_s
            low_s, high_s = self._floor(at_s + self._cron.step_s + offset_s), stop_s + offset_s
            if low_s < high_s:
                yield _Stretch(self._days, low_s, high_s, offset_s)
                last_s = self._last_before(high_s)
                if last_s is not None and last_s >= low_s:
                    at_ns = (last_s - offset_s) * NS
            if is_last:
                return
            step = self._across_a_change(at_ns)
            if step is None or step[1] > self._up_to_s:
                return
            wall_s, found_s = step
            yield _Stretch(self._days, wall_s, wall_s + 1, wall_s - found_s)
            at_ns = found_s * NS

    def _across_a_change(self, at_ns: int) -> tuple[int, int] | None:
        """Return the next time after a due time as croniter 6 finds it (`_get_next`): what it looks for
        on the wall clock, and when that is. None if there is none in the span."""
        clocks = self._clocks
        at_s = at_ns // NS
        wall_s = self._first_from(self._wall_after(at_s))
        if wall_s is None:
            return None
        found_s = clocks.read(wall_s)
        offset_s, before_s = clocks.offsets[clocks.at(found_s)], clocks.offsets[clocks.at(at_s)]
        lag_s = offset_s - before_s
        if lag_s:
            # A time on a later day is moved by the change, so that it is as many hours away as without it.
            from_ns = at_ns + before_s * NS
            away_ns = abs((found_s + offset_s) * NS - from_ns)
            hour = from_ns // NS % _DAY_S // 3600
            if away_ns + max(0, -lag_s) * NS >= (24 - hour) * 3600 * NS:
                found_s = clocks.read(found_s + before_s)
        if found_s <= at_s:
            # croniter reads an hour that comes twice as its first pass, which is over. The host waits
            # until the clock shows the time once more.
            found_s = wall_s - clocks.offsets[clocks.at(at_s + self._cron.step_s)]
        return (wall_s, found_s) if found_s > at_s else None

    def _wall_after(self, at_s: int) -> int:
        """Return from where on the wall clock croniter looks for the next time."""
        from_s = at_s + self._cron.step_s
        return self._floor(from_s + self._clocks.offsets[self._clocks.at(from_s)])

    def _floor(self, wall_s: int) -> int:
        return wall_s - wall_s % self._cron.step_s

    def _first_from(self, wall_s: int) -> int | None:
        day, second = divmod(wall_s, _DAY_S)
        if self._days.has(day) and (later := self._cron.first_from(second)) is not None:
            return day * _DAY_S + later
        found = self._days.after(day)
        first = self._cron.first_from(0)
        return None if found is None or first is None else found * _DAY_S + first

    def _last_before(self, wall_s: int) -> int | None:
        day, second = divmod(wall_s, _DAY_S)
        if self._days.has(day) and (earlier := self._cron.last_before(second)) is not None:
            return day * _DAY_S + earlier
        found = self._days.before(day)
        last = self._cron.last_before(_DAY_S)
        return None if found is None or last is None else found * _DAY_S + last


def scheduled_runs(
    job: Job,
    now_ns: int,
    ends_ns: Sequence[int],
    zone: tzinfo,
    *,
    due_to_end_s: float = 0.0,
) -> tuple[int, ...]:
    """Return how many runs of a job are scheduled in (now, end], for each of several ends.

    0 for a job that is paused, disabled, completed or at the end of its repeats; never more than the
    repeats that are left. An interval's next run is the host's next due time while that is to come, else
    an interval from now. Each further one is due an interval after the end of the run before:
    `due_to_end_s` is the usual time from a run's due time to its end, lateness and duration together.
    """
    if not job.enabled or job.schedule is None or job.runs_left == 0:
        return (0,) * len(ends_ns)
    interval_s = job.schedule.interval_s
    counts: tuple[int, ...]
    if job.schedule.kind is ScheduleKind.INTERVAL and interval_s:
        next_ns = job.next_run_ns
        if next_ns is None or next_ns <= now_ns:
            next_ns = now_ns + round(interval_s * NS)
        period_ns = _period_ns(interval_s, due_to_end_s)
        counts = tuple(max(0, (end_ns - next_ns) // period_ns + 1) for end_ns in ends_ns)
    else:
        counts = counts_until(job.schedule, now_ns, ends_ns, zone)
    left = job.runs_left
    return counts if left is None else tuple(min(count, left) for count in counts)


def goes_on(job: Job | None) -> bool:
    """Return whether a job will run on and on: it is scheduled, recurs, and has no number of repeats."""
    if job is None or not job.enabled or job.schedule is None or job.runs_left is not None:
        return False
    return job.schedule.kind is not ScheduleKind.ONCE


def expected_occurrences(
    history: Sequence[tuple[int, Job]],
    after_ns: int,
    up_to_ns: int,
    zone: tzinfo,
    *,
    due_to_end_s: float = 0.0,
    run_end_ns: int | None = None,
    run_was_due: bool = True,
    last_run_ns: int | None = None,
) -> int | None:
    """Return how many times a job was due in (after, up_to], by each definition while it held.

    `history` is the job's definitions with the time at which each was first seen, oldest first; the
    first holds from the job's creation, if that is known. A job that was paused or disabled was not due
    from `paused_ns` on, else since it was first seen so. One that was never seen otherwise, and has no
    `paused_ns`, was due until the end of its last run (`last_run_ns`).
    An interval counts as often as a run of it would have ended: a period (interval and `due_to_end_s`)
    apart, one of them at `run_end_ns`, the end of a run that is known. That one is left out if the run
    was not due (`run_was_due`): the host counts an interval from the end of a manual run, too.
    None if no definition with a schedule is known.
    """
    if not any(job.schedule for _, job in history):
        return None
    first = history[0][1]
    begin_ns = after_ns if first.created_ns is None else max(after_ns, first.created_ns)
    changes_ns = [seen_ns for seen_ns, _ in history[1:]]
    if not first.enabled:
        paused_ns = last_run_ns if first.paused_ns is None else first.paused_ns
        changes_ns.insert(0, begin_ns if paused_ns is None else paused_ns)
        history = [(history[0][0], replace(first, enabled=True)), *history]
    definitions = [job for _, job in history]
    for place, (job, following) in enumerate(pairwise(definitions)):
        if job.enabled and not following.enabled and following.paused_ns is not None:
            changes_ns[place] = min(changes_ns[place], following.paused_ns)
    count = 0
    for (from_ns, to_ns), job in zip(
        pairwise((begin_ns, *changes_ns, up_to_ns)), definitions, strict=True
    ):
        low_ns, high_ns = max(from_ns, begin_ns), min(to_ns, up_to_ns)
        if job.enabled and job.schedule is not None and low_ns < high_ns:
            count += _held(job.schedule, low_ns, high_ns, zone, due_to_end_s, run_end_ns)
            if job.schedule.kind is ScheduleKind.INTERVAL and not run_was_due:
                count -= run_end_ns is not None and low_ns < run_end_ns <= high_ns
    return count


def _held(
    schedule: Schedule,
    after_ns: int,
    up_to_ns: int,
    zone: tzinfo,
    due_to_end_s: float,
    run_end_ns: int | None,
) -> int:
    if schedule.kind is ScheduleKind.INTERVAL and schedule.interval_s:
        period_ns = _period_ns(schedule.interval_s, due_to_end_s)
        known_ns = after_ns if run_end_ns is None else run_end_ns
        return (up_to_ns - known_ns) // period_ns - (after_ns - known_ns) // period_ns
    return count_occurrences(schedule, after_ns, up_to_ns, zone)


def _period_ns(interval_s: float, due_to_end_s: float) -> int:
    """Return the time from one start to the next: the host counts the interval from a run's end."""
    return max(1, round((interval_s + due_to_end_s) * NS))
