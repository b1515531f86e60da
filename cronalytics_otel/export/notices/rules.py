"""What each target is told of, with masked texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ...config import NotifyTarget
from ...domain.budgets import BudgetState, period_start_ns
from ...domain.notices import (
    NoticeRules,
    notice_of_budget,
    notice_of_overdue,
    notice_of_start,
    notices_of_run,
)
from ...domain.schedule import is_overdue
from ...journal import Journal
from ...journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from ...journal.notices import NoticesOfRun
from ...model import Execution, JobPast, Notice, NoticeEvent, Run
from ...telemetry.content import masked_and_cut, name_text

TEXT_CHARS: Final = 300
"""Length limit of a notice's text: it is read on a phone."""


def use_targets(journal: Journal, targets: Sequence[NotifyTarget], now_ns: int) -> None:
    """Give the journal the settings' targets, and what each is told of the runs that become final; call it in
    `atomic()`."""
    journal.notices.rules = {target.name: _rule(target) for target in targets}
    journal.notices.set_targets({t.name: t.safe_address for t in targets}, now_ns)


def write_lasting(
    journal: Journal,
    targets: Sequence[NotifyTarget],
    running: Sequence[Execution],
    now_ns: int,
) -> None:
    """Write the notices of the runs that are going on, and of the jobs that are overdue.

    A job is overdue if it was so at the last sync too: after a night without power, the scheduler has had
    no time yet to start what it finds late.
    """
    if not targets:
        return
    facts = journal.facts.read()
    names = {job.job_id: job.name for job in facts.get(CURRENT_JOBS)}
    seen_ns = min(now_ns, facts.get(LAST_SYNC_NS) or 0)
    overdue = [
        due
        for job in facts.get(CURRENT_JOBS)
        if (due := job.due) is not None and is_overdue(due.due_ns, seen_ns)
    ]
    with journal.atomic():
        for target in targets:
            rules = _rules(target)
            started = [
                notice_of_start(run, names.get(run.job_id, run.job_id), rules) for run in running
            ]
            late = [notice_of_overdue(due, rules) for due in overdue]
            for event, found in ((NoticeEvent.STARTED, started), (NoticeEvent.OVERDUE, late)):
                notices = [_masked(notice) for notice in found if notice is not None]
                journal.notices.add_lasting(target.name, event, notices, now_ns)


def write_exceeded_budgets(
    journal: Journal,
    targets: Sequence[NotifyTarget],
    exceeded: Sequence[BudgetState],
    now_ns: int,
) -> None:
    """Write the notices of the budgets of this day and month that are exceeded now, each once a period."""
    zone = journal.figures.zone
    with journal.atomic():
        for target in targets:
            found = (
                notice_of_budget(
                    state, period_start_ns(state.period, now_ns, zone), now_ns, _rules(target)
                )
                for state in exceeded
            )
            notices = [_masked(notice) for notice in found if notice is not None]
            journal.notices.add_lasting(target.name, NoticeEvent.OVER_BUDGET, notices, now_ns)


def _rule(target: NotifyTarget) -> NoticesOfRun:
    rules = _rules(target)

    def of_run(run: Run, past: JobPast) -> Sequence[Notice]:
        return [_masked(notice) for notice in notices_of_run(run, past, rules)]

    return of_run


def _rules(target: NotifyTarget) -> NoticeRules:
    return NoticeRules(events=target.events, jobs=target.jobs, failing_after=target.failing_after)


def _masked(notice: Notice) -> Notice:
    return replace(
        notice,
        job_name=name_text(notice.job_name) or notice.job_id,
        text=masked_and_cut(" ".join(notice.text.split()), TEXT_CHARS),
    )
