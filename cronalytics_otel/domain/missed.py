"""Runs that never happened, by the rules of the host (0.19). Pure functions.

The host counts on from the end of each run: `next_run_at` is the occurrence that follows it, and
what falls due while the job itself runs is skipped by design. A scheduler that finds a job past its
time runs it once, late, for the first time that it was due, and lets the others go: those are missed.
A scheduler that is up misses nothing, so an outage is told by one of two things:

- jobs.json as it was read: the job was past its time, and had not run (`Overdue`). That is proof;
- the ledger: nothing at all was started meanwhile, and what came next came late, or another job fell
  silent at the same time (`by_silence`). That is a conclusion.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from hashlib import blake2b
from itertools import islice

from ..model import Execution, Job, Outcome, OutcomeSource, Run, Schedule, ScheduleKind, Trigger
from ..model.times import NS, to_datetime
from . import schedule as schedules
from .errors import ErrorType
from .schedule import SAME_NS, UP_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A job that was past its time when its definition was read, and had not run."""

    due_ns: int
    """`next_run_at`."""
    until_ns: int
    """The newest time at which it had not run and should have: a look, or the pause."""
    runs_left: int | None
    changed_ns: int | None = None
    """When it was seen to be due for another time, paused or gone; 0 once that has been told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What one outage cost one job. `served_ns` is the time that the late run stands for."""

    first_ns: int
    last_ns: int
    count: int
    served_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """All of it, each job's executions and everyone's in order of their claims."""

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
        """The job's executions claimed last before this one, the newest last."""
        siblings = self.of_job.get(execution.job_id, [])
        at = bisect_left(siblings, execution.claimed_ns, key=_claim)
        return siblings[max(0, at - count) : at]

    def covers(self, at_ns: int) -> bool:
        return self.begins_ns is not None and self.begins_ns <= at_ns

    def scheduler_was_down(self, first_ns: int, last_ns: int) -> bool | None:
        """Whether the scheduler started nothing in this time; None when that is not known any more."""
        if not self.covers(first_ns):
            return None
        return not any(_alive_between(e, first_ns, last_ns) for e in self.executions)


def counted_from_ns(execution: Execution) -> int:
    """Return the time that the host counted on from: the run's end, or its claim if it has none."""
    ended_ns = execution.finished_ns if execution.status in ("completed", "failed") else None
    return execution.claimed_ns if ended_ns is None else ended_ns


def was_overdue(seen: Sequence[Overdue], execution: Execution, due_ns: int) -> bool:
    """Return whether the job was seen past this time, with nothing changed until this run."""
    return any(
        _same(overdue.due_ns, due_ns)
        and (overdue.changed_ns is None or execution.claimed_ns <= overdue.changed_ns + SAME_NS)
        for overdue in seen
    )


def look(known: Sequence[Overdue], job: Job | None, seen_ns: int) -> list[Overdue]:
    """What is known of a job's overdue times, the oldest first, after one more look at its definition
    (None: it is gone). Only the last may still be what it is due for."""
    *before, last = known or (None,)
    if last is not None and job is not None and _same(job.next_run_ns, last.due_ns):
        return [*before, _seen_again(last, job, seen_ns)]
    if last is not None and last.changed_ns is None:
        last = replace(last, changed_ns=seen_ns)
    ended = [last] if last is not None and last.changed_ns != 0 else []
    found = _past_its_time(job, seen_ns)
    return [*before, *ended, *([found] if found is not None else [])]


def _seen_again(known: Overdue, job: Job, seen_ns: int) -> Overdue:
    if known.changed_ns is not None:
        return known
    if job.enabled:
        return replace(known, until_ns=max(known.until_ns, seen_ns), runs_left=job.runs_left)
    paused_ns = seen_ns if job.paused_ns is None else min(job.paused_ns, seen_ns)
    return replace(known, until_ns=max(known.until_ns, paused_ns), changed_ns=seen_ns)


def _past_its_time(job: Job | None, seen_ns: int) -> Overdue | None:
    if job is None or job.next_run_ns is None:
        return None
    until_ns = seen_ns if job.enabled else job.paused_ns
    if until_ns is None or until_ns - job.next_run_ns <= UP_NS:
        return None
    return Overdue(
        due_ns=job.next_run_ns,
        until_ns=until_ns,
        runs_left=job.runs_left,
        changed_ns=None if job.enabled else seen_ns,
    )


def before_run(
    overdue: Overdue,
    schedule: Schedule,
    execution: Execution,
    *,
    anchor_ns: int | None,
    zone: tzinfo,
) -> Outage | None:
    """What was missed until this run, the first since the job was seen overdue.

    `anchor_ns` is the end of the run before, from where the host counted on.
    """
    if execution.claimed_ns < overdue.until_ns - SAME_NS:
        return None  # it was seen not to have run after it had: the clocks disagree
    if overdue.changed_ns is not None and execution.claimed_ns > overdue.changed_ns + SAME_NS:
        return without_run(overdue, schedule, anchor_ns=anchor_ns, zone=zone)
    seen = min(overdue.until_ns + UP_NS, execution.claimed_ns)
    if execution.source == "direct":
        # A person was faster than the scheduler: what was just due, that run has served.
        late_ns = round(schedules.grace_s(schedule) * NS)
        limit_ns = min(seen, execution.claimed_ns - late_ns)
        return _outage(_due_times(overdue, schedule, anchor_ns, limit_ns, zone), overdue.runs_left)
    due = list(_due_times(overdue, schedule, anchor_ns, seen, zone))
    return _served_by(execution, due, overdue.runs_left)


def without_run(
    overdue: Overdue, schedule: Schedule, *, anchor_ns: int | None, zone: tzinfo
) -> Outage | None:
    """What was missed until the job was paused, edited or removed before it could run late."""
    limit_ns = overdue.until_ns - UP_NS
    due = _due_times(overdue, schedule, anchor_ns, limit_ns, zone)
    return _outage(due, overdue.runs_left)


def by_silence(
    job: Job,
    execution: Execution,
    ledger: Ledger,
    jobs: Mapping[str, Job],
    *,
    known_due_ns: int | None,
    zone: tzinfo,
) -> Outage | None:
    """What was missed before this run, by the ledger alone: nobody looked at the job meanwhile.

    Its definition may have been another then, or it was paused. So the two runs before must have
    been right on its schedule, nothing at all may have been started in between, and this run (or
    one of another job at the same time) must be too late for a scheduler that was up.
    """
    if job.schedule is None or job.runs_left is not None or execution.source == "direct":
        return None
    previous = _on_schedule(job.schedule, execution, ledger, zone)
    if previous is None or previous.finished_ns is None or not ledger.covers(previous.claimed_ns):
        return None
    due = list(
        schedules.occurrences(job.schedule, previous.finished_ns, execution.claimed_ns, zone)
    )
    if len(due) < 2 or (known_due_ns is not None and not _same(known_due_ns, due[0])):
        return None
    up_ns = execution.claimed_ns - UP_NS
    if any(_alive_between(e, due[0] + UP_NS, up_ns) for e in ledger.executions):
        return None
    together = (e for e in ledger.executions if abs(e.claimed_ns - execution.claimed_ns) <= UP_NS)
    if any(_is_late(jobs.get(e.job_id), e, ledger, zone) for e in together):
        return _served_by(execution, due, None)
    if not _is_on_time(job.schedule, execution, zone):
        return None
    # It came right on time. One job alone may have been paused until then, but not two at once.
    span = (due[0], up_ns)
    others = (j for j in jobs.values() if j.job_id != job.job_id)
    if not any(_was_silent(j, execution, ledger, span, zone) for j in others):
        return None
    if known_due_ns is not None:
        return _served_by(execution, due, None)
    return _outage(due[:-1], None)


def run_of(
    outage: Outage,
    job_id: str,
    job: Job | None,
    *,
    profile: str,
    scheduler_down: bool | None,
    zone_name: str | None,
) -> Run:
    """The outage as a run that never was; its id stays the same in a journal built anew."""
    key = f"{job_id}\0{outage.first_ns // NS}".encode("utf-8", "surrogatepass")
    schedule = job.schedule if job else None
    return Run(
        profile=profile,
        execution_id=f"missed_{blake2b(key, digest_size=8).hexdigest()}",
        job_id=job_id,
        job_name=job.name if job else job_id,
        mode=job.mode if job else None,
        skills=job.skills if job else (),
        trigger=Trigger.SCHEDULE,
        schedule_kind=schedule.kind if schedule else None,
        schedule_expression=schedule.expression if schedule else None,
        schedule_timezone=zone_name if schedule else None,
        scheduled_ns=outage.first_ns,
        started_ns=outage.first_ns,
        ended_ns=outage.last_ns,
        outcome=Outcome.MISSED,
        outcome_source=OutcomeSource.INFERRED,
        error_type=ErrorType.SCHEDULER_DOWN if scheduler_down else ErrorType.NOT_STARTED,
        error_message=_words(outage, scheduler_down=scheduler_down),
        missed_count=outage.count,
        scheduler_down=scheduler_down,
    )


def _words(outage: Outage, *, scheduler_down: bool | None) -> str:
    first, last = (f"{to_datetime(ns):%Y-%m-%d %H:%M}" for ns in (outage.first_ns, outage.last_ns))
    when = (
        f"Should have run at {first} UTC"
        if outage.count == 1
        else f"Should have run {outage.count:,} times from {first} to {last} UTC"
    )
    return (
        when
        + {True: "; the scheduler was down", False: "; other jobs were started", None: ""}[
            scheduler_down
        ]
    )


# --- times --------------------------------------------------------------------------------------


def _due_times(
    overdue: Overdue, schedule: Schedule, anchor_ns: int | None, limit_ns: int, zone: tzinfo
) -> Iterator[int]:
    """When the job was due, from the time that the host had for it."""
    if schedule.kind is ScheduleKind.ONCE:
        yield from (ns for ns in (overdue.due_ns,) if ns <= limit_ns)
        return
    base_ns = overdue.due_ns - 1
    if schedule.kind is ScheduleKind.INTERVAL and schedule.interval_s:
        step_ns = round(schedule.interval_s * NS)
        base_ns = overdue.due_ns - step_ns
        # By the ledger's end if it can be, so that a journal built anew finds the same times.
        if anchor_ns is not None and abs(anchor_ns - base_ns) <= SAME_NS:
            base_ns = anchor_ns
    elif overdue.due_ns <= limit_ns:
        # Whatever the schedule says: a person can make a job due at once.
        yield overdue.due_ns
        base_ns = overdue.due_ns
    yield from schedules.occurrences(schedule, base_ns, limit_ns, zone)


def _served_by(execution: Execution, due: list[int], runs_left: int | None) -> Outage | None:
    """All but the time that this run stands for (the host's word for it, else the first), and
    those just before it, which a scheduler that is up may still have taken together."""
    if not due:
        return None
    served_ns = execution.scheduled_ns if execution.scheduled_ns in due else due[0]
    limit_ns = execution.claimed_ns - UP_NS
    missed = (ns for ns in due if ns != served_ns and ns <= limit_ns)
    left = None if runs_left is None else runs_left - 1
    outage = _outage(missed, left)
    return replace(outage, served_ns=served_ns) if outage is not None else None


def _outage(due: Iterable[int], runs_left: int | None) -> Outage | None:
    missed = list(due)[:runs_left]
    if not missed:
        return None
    return Outage(first_ns=missed[0], last_ns=missed[-1], count=len(missed))


# --- what the ledger tells ----------------------------------------------------------------------


def _alive_between(execution: Execution, from_ns: int, to_ns: int) -> bool:
    """Whether it shows a scheduler at work in this time. (Of a run that was never finished, the
    end says only when that was found.)"""
    if execution.source == "direct" or execution.claimed_ns > to_ns:
        return False
    if execution.claimed_ns >= from_ns:
        return True
    finished = execution.finished_ns if execution.status in ("completed", "failed") else None
    return finished is not None and finished >= from_ns


def _on_schedule(
    schedule: Schedule, execution: Execution, ledger: Ledger, zone: tzinfo
) -> Execution | None:
    """The job's run before this one, if it and the one before it came right on this schedule."""
    previous = ledger.before(execution, 3)
    if len(previous) < 2 or any(e.source == "direct" for e in previous[-2:]):
        return None
    if not all(e.status in ("completed", "failed") for e in previous[-2:]):
        return None
    earlier, latest = previous[-2:]
    if not _follows(schedule, earlier, latest, zone):
        return None
    is_cron = schedule.kind is ScheduleKind.CRON
    if is_cron and not _is_on_time(schedule, earlier, zone):
        return None
    # An interval that fits once may do so by chance.
    if not is_cron and not (len(previous) == 3 and _follows(schedule, previous[0], earlier, zone)):
        return None
    return latest


def _follows(schedule: Schedule, earlier: Execution, later: Execution, zone: tzinfo) -> bool:
    """Whether the later run is the one that was due next after the earlier, and on time."""
    if earlier.finished_ns is None:
        return False
    up_to_ns = later.claimed_ns + SAME_NS
    times = schedules.occurrences(schedule, earlier.finished_ns, up_to_ns, zone)
    due = list(islice(times, 2))
    return len(due) == 1 and later.claimed_ns - due[0] <= UP_NS


def _is_on_time(schedule: Schedule, execution: Execution, zone: tzinfo) -> bool:
    after_ns = execution.claimed_ns - UP_NS
    return any(True for _ in schedules.occurrences(schedule, after_ns, execution.claimed_ns, zone))


def _was_silent(
    job: Job, execution: Execution, ledger: Ledger, span: tuple[int, int], zone: tzinfo
) -> bool:
    """Whether this cron job, too, came right on its schedule before and was due in that time."""
    schedule = job.schedule
    if schedule is None or schedule.kind is not ScheduleKind.CRON or not job.enabled:
        return False
    if job.runs_left is not None:
        return False
    # As it was before anything came back: its own late run may have been claimed just before.
    before = replace(execution, job_id=job.job_id, claimed_ns=execution.claimed_ns - UP_NS)
    previous = _on_schedule(schedule, before, ledger, zone)
    if previous is None or previous.finished_ns is None or previous.finished_ns > span[1]:
        return False
    due = schedules.occurrences(schedule, max(previous.finished_ns, span[0] - 1), span[1], zone)
    return next(due, None) is not None


def _is_late(job: Job | None, execution: Execution, ledger: Ledger, zone: tzinfo) -> bool:
    """Whether a cron job's run came when a scheduler that was up would not have started it."""
    if job is None or job.schedule is None or job.schedule.kind is not ScheduleKind.CRON:
        return False
    if execution.source == "direct" or _is_on_time(job.schedule, execution, zone):
        return False
    previous = _on_schedule(job.schedule, execution, ledger, zone)
    if previous is None or previous.finished_ns is None:
        return False
    due = schedules.occurrences(job.schedule, previous.finished_ns, execution.claimed_ns, zone)
    return next(due, None) is not None


def _claim(execution: Execution) -> int:
    return execution.claimed_ns


def _same(a_ns: int | None, b_ns: int) -> bool:
    return a_ns is not None and abs(a_ns - b_ns) <= SAME_NS
