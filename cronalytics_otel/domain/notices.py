"""What the owner of the jobs is told of, and in which words. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from itertools import takewhile

from ..model import FAILED_RUNS, DueJob, Execution, JobPast, Notice, NoticeEvent, Outcome, Run
from ..model.times import to_datetime
from .budgets import BudgetState
from .errors import reason_of

MAX_LINES = 10
"""So many notices have a line each in a message. Of more, only counts by job are shown."""

_FAILED_WORDS = {
    Outcome.FAILURE: "failed",
    Outcome.TIMEOUT: "timed out",
    Outcome.CANCELLED: "was cancelled",
    Outcome.BUDGET_EXCEEDED: "ran out of money",
    Outcome.ABANDONED: "was abandoned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRules:
    """What one target wants to be told."""

    events: frozenset[NoticeEvent]
    jobs: frozenset[str] = frozenset()
    """Ids and names. Empty means all jobs."""
    failing_after: int = 3
    """After so many failures in a row a job counts as failing."""

    def include(self, job_id: str, job_name: str) -> bool:
        return not self.jobs or job_id in self.jobs or job_name.strip() in self.jobs


# --- from what happened to notices --------------------------------------------------------------


def notices_of_run(run: Run, past: JobPast, rules: NoticeRules) -> list[Notice]:
    """Return what this target is told of a run that became final."""
    if not rules.include(run.job_id, run.job_name):
        return []
    found = dict(_events_of_run(run, past, rules))
    if NoticeEvent.FAILING in found and NoticeEvent.FAILING in rules.events:
        found.pop(NoticeEvent.FAILED, None)  # the one says what the other says
    return [
        Notice(
            event=event,
            key=run.run_id,
            job_id=run.job_id,
            job_name=run.job_name,
            at_ns=run.ended_ns,
            text=text,
            occurrences=run.missed_count or 1 if event is NoticeEvent.MISSED else 1,
        )
        for event, text in found.items()
        if event in rules.events
    ]


def _events_of_run(
    run: Run, past: JobPast, rules: NoticeRules
) -> Iterator[tuple[NoticeEvent, str]]:
    failures = len(list(takewhile(FAILED_RUNS.__contains__, past.outcomes)))
    if run.outcome is Outcome.MISSED:
        yield NoticeEvent.MISSED, _missed_text(run)
    elif run.outcome in FAILED_RUNS:
        yield NoticeEvent.FAILED, f"{_FAILED_WORDS[run.outcome]}{_reason(run)}"
        if failures + 1 == rules.failing_after:
            yield NoticeEvent.FAILING, f"failed {failures + 1} times in a row{_reason(run)}"
    else:
        yield NoticeEvent.SUCCEEDED, "succeeded"
    if run.outcome is Outcome.SUCCESS and not past.failed_since:
        if failures >= _reported_after(rules):
            yield NoticeEvent.RECOVERED, "succeeded again after it had failed"
        elif past.was_overdue:
            yield NoticeEvent.RECOVERED, "succeeded again after it was overdue"
    if run.over_budget:
        cost = f" ${run.cost_usd:,.2f}," if run.cost_usd is not None else ""
        yield NoticeEvent.OVER_BUDGET, f"cost{cost} more than the budget of a run"


def _reported_after(rules: NoticeRules) -> int:
    """Return how many failures it takes until this target was told of them."""
    told_late = NoticeEvent.FAILING in rules.events and NoticeEvent.FAILED not in rules.events
    return rules.failing_after if told_late else 1


def _reason(run: Run) -> str:
    """Return the error as the end of a sentence."""
    reason = reason_of(run.error_message) or run.error_type
    return f": {reason}" if reason else ""


def _missed_text(run: Run) -> str:
    count = run.missed_count or 1
    text = "was missed" if count == 1 else f"was missed {count:,} times"
    return f"{text}: the scheduler was down" if run.scheduler_down else text


def notice_of_start(execution: Execution, job_name: str, rules: NoticeRules) -> Notice | None:
    """Return the notice of a run that has begun and has not ended; None if the target wants none."""
    started_ns = execution.started_ns
    if (
        started_ns is None
        or NoticeEvent.STARTED not in rules.events
        or not rules.include(execution.job_id, job_name)
    ):
        return None
    return Notice(
        event=NoticeEvent.STARTED,
        key=execution.execution_id,
        job_id=execution.job_id,
        job_name=job_name,
        at_ns=started_ns,
        text="started",
    )


def notice_of_overdue(job: DueJob, rules: NoticeRules) -> Notice | None:
    """Return the notice of a job that is past its time; None if the target wants none."""
    wanted = NoticeEvent.OVERDUE in rules.events and rules.include(job.job_id, job.job_name)
    if not wanted:
        return None
    return Notice(
        event=NoticeEvent.OVERDUE,
        key=f"{job.job_id}@{job.due_ns}",
        job_id=job.job_id,
        job_name=job.job_name,
        at_ns=job.due_ns,
        text="is overdue: is the scheduler running?",
    )


def notice_of_budget(
    state: BudgetState, start_ns: int, now_ns: int, rules: NoticeRules
) -> Notice | None:
    """Return the notice of an exceeded budget, whose period began at `start_ns`; None if the target wants none.

    A target of some jobs does not hear of the budget of all.
    """
    if NoticeEvent.OVER_BUDGET not in rules.events:
        return None
    wanted = (
        not rules.jobs
        if state.job_id is None
        else rules.include(state.job_id, state.job_name or state.job_id)
    )
    if not wanted:
        return None
    cost = "" if state.used_usd is None else f" ${state.used_usd:,.2f}"
    return Notice(
        event=NoticeEvent.OVER_BUDGET,
        key=f"{state.scope}:{state.job_id or ''}:{state.period}@{start_ns}",
        job_id=state.job_id or "",
        job_name=state.job_name or "all jobs",
        at_ns=now_ns,
        text=f"cost{cost} {state.period.now}, more than the budget of ${state.limit_usd:,.2f}",
    )


# --- messages -----------------------------------------------------------------------------------


class Severity(StrEnum):
    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeMessage:
    """What a person reads."""

    title: str
    body: str
    severity: Severity


_SEVERITY = {NoticeEvent.RECOVERED: Severity.SUCCESS, NoticeEvent.OVER_BUDGET: Severity.WARNING}

_COUNTED = {
    NoticeEvent.FAILED: ("run failed", "runs failed"),
    NoticeEvent.FAILING: ("job keeps failing", "jobs keep failing"),
    NoticeEvent.MISSED: ("run missed", "runs missed"),
    NoticeEvent.OVERDUE: ("job overdue", "jobs overdue"),
    NoticeEvent.OVER_BUDGET: ("budget exceeded", "budgets exceeded"),
    NoticeEvent.RECOVERED: ("job recovered", "jobs recovered"),
}
"""What is counted in a title, for one and for several."""


def message_of(notices: Sequence[Notice], *, profile: str, zone: tzinfo) -> NoticeMessage:
    """Return one message of all these notices, with times in this zone.

    The profile is named unless it is the default one. There must be a notice.
    """
    where = "" if profile == "default" else f" ({profile})"
    severities = {_SEVERITY.get(notice.event, Severity.FAILURE) for notice in notices}
    ordered = sorted(notices, key=lambda notice: notice.at_ns)
    return NoticeMessage(
        title=f"{_title(ordered)}{where}",
        body="\n".join(_lines(ordered, zone) if len(notices) <= MAX_LINES else _counts(ordered)),
        severity=next(severity for severity in Severity if severity in severities),
    )


def _title(notices: Sequence[Notice]) -> str:
    counts = Counter[NoticeEvent]()
    for notice in notices:
        counts[notice.event] += notice.occurrences
    if len(notices) == 1:
        (notice,) = notices
        what = _COUNTED[notice.event][0]
        if notice.occurrences > 1:
            what = _counted(notice.event, notice.occurrences)
        return f"{notice.job_name}: {what}"
    return ", ".join(_counted(event, counts[event]) for event in _COUNTED if counts[event])


def _counted(event: NoticeEvent, count: int) -> str:
    one, several = _COUNTED[event]
    return f"{count:,} {one if count == 1 else several}"


def _lines(notices: Iterable[Notice], zone: tzinfo) -> Iterator[str]:
    for notice in notices:
        yield f"{to_datetime(notice.at_ns, zone):%Y-%m-%d %H:%M} {notice.job_name} {notice.text}"


def _counts(notices: Sequence[Notice]) -> Iterator[str]:
    """Yield a line for each event: how often, and the jobs that it concerns most."""
    for event in _COUNTED:
        names = Counter[str]()
        for notice in notices:
            if notice.event is event:
                names[notice.job_name] += notice.occurrences
        if not names:
            continue
        shown = ", ".join(f"{name} ({n:,})" for name, n in names.most_common(MAX_LINES))
        more = len(names) - MAX_LINES
        rest = f" and {more:,} more" if more > 0 else ""
        yield f"{_counted(event, names.total())}: {shown}{rest}"
