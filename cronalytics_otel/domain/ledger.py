"""What the whole ledger shows of the scheduler: whether it was up, and whether a run was on time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import islice

from ..model import Execution, Schedule, ScheduleKind
from . import schedule as schedules
from .schedule import SAME_NS, UP_NS


@dataclass(frozen=True, slots=True)
class Ledger:
    """All executions of the ledger, each job's and everyone's in order of their claims."""

    executions: Sequence[Execution]
    begins_ns: int | None
    of_job: dict[str, list[Execution]] = field(default_factory=dict)

    @classmethod
    def of(cls, executions: Iterable[Execution], begins_ns: int | None) -> Ledger:
        ordered = sorted(executions, key=_claim)
        ledger = cls(ordered, begins_ns)
        for execution in ordered:
            ledger.of_job.setdefault(execution.job_id, []).append(execution)
        return ledger

    def before(self, execution: Execution, count: int) -> list[Execution]:
        """Return the job's executions that were claimed last before this one, the newest last."""
        siblings = self.of_job.get(execution.job_id, [])
        at = bisect_left(siblings, execution.claimed_ns, key=_claim)
        return siblings[max(0, at - count) : at]

    def claimed_with(self, execution: Execution) -> Iterable[Execution]:
        """Give the executions that were claimed at the same time, this one among them."""
        return (e for e in self.executions if abs(e.claimed_ns - execution.claimed_ns) <= UP_NS)

    def covers(self, at_ns: int) -> bool:
        return self.begins_ns is not None and self.begins_ns <= at_ns

    def is_silent(self, first_ns: int, last_ns: int) -> bool:
        """Return whether nothing in it shows a scheduler at work in this time."""
        return not any(_is_sign_of_life(e, first_ns, last_ns) for e in self.executions)

    def scheduler_was_down(self, first_ns: int, last_ns: int) -> bool | None:
        """Return whether the scheduler started nothing in this time; None when that is unknown by now."""
        return self.is_silent(first_ns, last_ns) if self.covers(first_ns) else None


def _is_sign_of_life(execution: Execution, from_ns: int, to_ns: int) -> bool:
    """Return whether it shows a scheduler at work in this time.

    The end of a run that was never finished shows only when that was found.
    """
    if execution.source == "direct" or execution.claimed_ns > to_ns:
        return False
    if execution.claimed_ns >= from_ns:
        return True
    finished_ns = execution.finished_ns if _has_finished(execution) else None
    return finished_ns is not None and finished_ns >= from_ns


def on_schedule_before(
    schedule: Schedule, execution: Execution, ledger: Ledger, zone: tzinfo
) -> Execution | None:
    """Return the job's run before this one, if it and the one before it came right on this schedule."""
    previous = ledger.before(execution, 3)
    if len(previous) < 2 or not all(map(_is_scheduled, previous[-2:])):
        return None
    earlier, latest = previous[-2:]
    if not _follows(schedule, earlier, latest, zone):
        return None
    if schedule.kind is ScheduleKind.CRON:
        return latest if is_on_time(schedule, earlier, zone) else None
    # An interval that fits once may do so by chance.
    return latest if len(previous) == 3 and _follows(schedule, previous[0], earlier, zone) else None


def _is_scheduled(execution: Execution) -> bool:
    return execution.source != "direct" and _has_finished(execution)


def _has_finished(execution: Execution) -> bool:
    return execution.status in ("completed", "failed")


def _follows(schedule: Schedule, earlier: Execution, later: Execution, zone: tzinfo) -> bool:
    """Return whether the later run is the one that was due next after the earlier, and on time."""
    if earlier.finished_ns is None:
        return False
    up_to_ns = later.claimed_ns + SAME_NS
    times = schedules.occurrences(schedule, earlier.finished_ns, up_to_ns, zone)
    due = list(islice(times, 2))
    return len(due) == 1 and later.claimed_ns - due[0] <= UP_NS


def is_on_time(schedule: Schedule, execution: Execution, zone: tzinfo) -> bool:
    """Return whether a scheduler that was up would have started it then."""
    after_ns = execution.claimed_ns - UP_NS
    return any(True for _ in schedules.occurrences(schedule, after_ns, execution.claimed_ns, zone))


def _claim(execution: Execution) -> int:
    return execution.claimed_ns
