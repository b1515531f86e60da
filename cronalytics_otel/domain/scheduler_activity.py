"""What the whole ledger shows of the scheduler: whether it was up, and whether a run was on time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import islice

from ..model import Execution, Schedule, ScheduleKind
from .occurrences import occurrences
from .schedule import MAX_LATE_WHEN_UP_NS, SAME_TIME_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerActivity:
    """All executions of the ledger in the order of their claims, together and by job."""

    executions: Sequence[Execution]
    by_job: Mapping[str, Sequence[Execution]]
    oldest_claim_ns: int | None
    """The oldest claim of an ended run that the ledger still holds; None when it holds none."""

    @classmethod
    def of(cls, executions: Iterable[Execution], oldest_claim_ns: int | None) -> SchedulerActivity:
        ordered = sorted(executions, key=_claim)
        by_job: dict[str, list[Execution]] = {}
        for execution in ordered:
            by_job.setdefault(execution.job_id, []).append(execution)
        return cls(executions=ordered, by_job=by_job, oldest_claim_ns=oldest_claim_ns)

    def before(self, execution: Execution, count: int) -> Sequence[Execution]:
        """Return the job's executions that were claimed last before this one, the newest last."""
        siblings = self.by_job.get(execution.job_id, ())
        at = bisect_left(siblings, execution.claimed_ns, key=_claim)
        return siblings[max(0, at - count) : at]

    def claimed_with(self, execution: Execution) -> Iterable[Execution]:
        """Give the executions that were claimed at the same time, this one among them."""
        return (
            e
            for e in self.executions
            if abs(e.claimed_ns - execution.claimed_ns) <= MAX_LATE_WHEN_UP_NS
        )

    def covers(self, at_ns: int) -> bool:
        """Return whether the ledger reaches back to this time."""
        return self.oldest_claim_ns is not None and self.oldest_claim_ns <= at_ns

    def nothing_started(self, first_ns: int, last_ns: int) -> bool:
        """Return whether no execution shows a scheduler at work in this time."""
        return not any(_is_sign_of_life(e, first_ns, last_ns) for e in self.executions)

    def scheduler_was_down(self, first_ns: int, last_ns: int) -> bool | None:
        """Return whether the scheduler started nothing in this time; None when the ledger does not reach back
        that far."""
        return self.nothing_started(first_ns, last_ns) if self.covers(first_ns) else None


def _is_sign_of_life(execution: Execution, from_ns: int, to_ns: int) -> bool:
    """Return whether an execution shows a scheduler at work in this time.

    The end of an `unknown` run is when Hermes noticed it, so it proves nothing.
    """
    if execution.source == "direct" or execution.claimed_ns > to_ns:
        return False
    if execution.claimed_ns >= from_ns:
        return True
    finished_ns = execution.finished_ns if execution.ended_itself else None
    return finished_ns is not None and finished_ns >= from_ns


def on_schedule_before(
    schedule: Schedule, execution: Execution, activity: SchedulerActivity, zone: tzinfo
) -> Execution | None:
    """Return the job's run before this one, if it and the one before it came right on this schedule."""
    previous = activity.before(execution, 3)
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
    return execution.source != "direct" and execution.ended_itself


def _follows(schedule: Schedule, earlier: Execution, later: Execution, zone: tzinfo) -> bool:
    """Return whether the later run is the one that was due next after the earlier, and on time."""
    if earlier.finished_ns is None:
        return False
    up_to_ns = later.claimed_ns + SAME_TIME_NS
    times = occurrences(schedule, earlier.finished_ns, up_to_ns, zone)
    due = list(islice(times, 2))
    return len(due) == 1 and later.claimed_ns - due[0] <= MAX_LATE_WHEN_UP_NS


def is_on_time(schedule: Schedule, execution: Execution, zone: tzinfo) -> bool:
    """Return whether a scheduler that was up would have started the run then."""
    after_ns = execution.claimed_ns - MAX_LATE_WHEN_UP_NS
    return any(True for _ in occurrences(schedule, after_ns, execution.claimed_ns, zone))


def _claim(execution: Execution) -> int:
    return execution.claimed_ns
