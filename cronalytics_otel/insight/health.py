"""What is wrong now: one list of findings, which every view, and every check of another program, asks.

A finding is about a job that Hermes still has and that is switched on, about a destination, about a file
of Hermes, or about our own settings. Findings come from what the last sync wrote down and from the open
rows of the ledger; nothing else of the host is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..domain.budgets import period_start_ns
from ..domain.schedule import MAX_LATE_WHEN_UP_NS
from ..journal import Journal
from ..journal.facts import LAST_SYNC_NS, PROBLEMS, SOURCES, FactValues
from ..journal.filters import RunFilter
from ..journal.metric_destinations import MetricDestination
from ..journal.outbox import DestinationStatus
from ..model import Budgets, Outcome, RunningRun, Trigger
from ..model.temporality import Temporality
from ..model.times import NS
from .budgets import exceeded_budgets
from .findings import Finding, FindingKind, in_order
from .job_health import JobHealth
from .overview import OverdueJob, overdue_jobs
from .profiles import Profile
from .remedies import KEPT, remedy_for
from .wording import counted, duration, one_line, usd

DEAD_AFTER_NS: Final = 600 * NS
"""If for so long no job has started although one was due, the scheduler is down."""

STALE_NS: Final = 86_400 * NS
"""A journal that no sync has brought up to date for so long may miss anything."""

STALE_WHEN_DUE_NS: Final = 600 * NS
"""The same, once a job was due meanwhile."""

PENDING_NS: Final = 3600 * NS
"""A run that a destination has not taken for so long is stuck. Normally it takes seconds."""


NO_BUDGETS: Final = Budgets()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthInput:
    """What is known beside the journal."""

    now_ns: int
    running: Sequence[RunningRun] = ()
    """The open rows of the ledger."""
    config_problems: Sequence[str] = ()
    budgets: Budgets = NO_BUDGETS
    ledger_fault: str | None = None
    """What is wrong with the ledger, if it is damaged."""


def read_health(journal: Journal, given: HealthInput) -> tuple[Finding, ...]:
    """Return everything that is wrong, the worst first; nothing if all is well."""
    return in_order(_Check(journal, given).findings())


class _Check:
    """One look at everything."""

    def __init__(self, journal: Journal, given: HealthInput) -> None:
        self._journal = journal
        self._given = given
        self._now_ns = given.now_ns
        self._facts: FactValues = journal.facts.read()
        self._jobs = JobHealth(journal, self._facts, given.running, given.now_ns)

    def findings(self) -> Iterator[Finding]:
        yield from self._of_scheduler()
        yield from self._of_sources()
        yield from self._jobs.findings()
        yield from self._over_budget()
        yield from self._of_destinations()
        yield from self._of_metrics()
        yield from self._of_notices()
        for problem in self._given.config_problems:
            yield Finding(
                kind=FindingKind.SETTINGS,
                text=problem,
                advice="correct it; docs/configuration.md lists every setting",
                episode=problem,
            )

    # --- the scheduler, and how fresh all of it is --------------------------------------------------

    def _of_scheduler(self) -> Iterator[Finding]:
        overdue = list(overdue_jobs(self._facts, self._now_ns))
        current = [each for each in overdue if each.is_current]
        stale = self._stale(overdue)
        if stale is not None:
            yield stale
        if dead := self._scheduler_dead(current):
            yield dead
            return
        for each in current:
            yield Finding(
                kind=FindingKind.OVERDUE,
                job_id=each.job.job_id,
                subject=each.job.job_name,
                since_ns=each.job.due_ns,
                episode=str(each.job.due_ns),
                text="was due and has not run, although a scheduler at work would have started it",
                advice="see whether Hermes's gateway is running, and what its log says of the job",
            )

    def _stale(self, overdue: Sequence[OverdueJob]) -> Finding | None:
        last_ns = self._facts.get(LAST_SYNC_NS)
        advice = "run `sync`, and see that the plugin is enabled where Hermes's gateway runs"
        if last_ns is None:
            text = "no sync has finished yet: nothing is known"
        elif self._now_ns - last_ns > STALE_NS:
            text = f"nothing was read for {duration((self._now_ns - last_ns) / NS)}"
        else:
            unread = [
                each.job.job_name
                for each in overdue
                if not each.is_current and self._now_ns - each.job.due_ns > STALE_WHEN_DUE_NS
            ]
            if not unread:
                return None
            others = f" and {len(unread) - 1:,} more" if len(unread) > 1 else ""
            text = f"nothing was read although {one_line(unread[0])}{others} should have run since"
        return Finding(
            kind=FindingKind.STALE_DATA, text=text, advice=advice, since_ns=last_ns, episode=""
        )

    def _scheduler_dead(self, overdue: Sequence[OverdueJob]) -> Finding | None:
        """Return the finding that stands for all overdue jobs if nothing at all has started since."""
        due_ns = min((each.job.due_ns for each in overdue), default=None)
        last_sync_ns = self._facts.get(LAST_SYNC_NS)
        if due_ns is None or last_sync_ns is None or last_sync_ns - due_ns < DEAD_AFTER_NS:
            return None
        newest = [*self._jobs.latest.values(), *self._journal.queries.runs(RunFilter(limit=20))]
        started = [
            run.started_ns
            for run in newest
            if run.outcome is not Outcome.MISSED and run.trigger is not Trigger.MANUAL
        ]
        started += [running.execution.began_ns for running in self._jobs.running]
        last_ns = max(started, default=None)
        if last_ns is not None and last_ns > due_ns + MAX_LATE_WHEN_UP_NS:
            return None
        return Finding(
            kind=FindingKind.SCHEDULER_DEAD,
            since_ns=due_ns,
            episode=str(due_ns),
            text=f"no job was started, although {counted(len(overdue), 'job')}"
            f" {'was' if len(overdue) == 1 else 'were'} due",
            advice="start Hermes's gateway, or see why its scheduler does not tick",
        )

    def _of_sources(self) -> Iterator[Finding]:
        faulty = [source for source in self._facts.get(SOURCES) if source.fault is not None]
        for source in faulty:
            yield Finding(
                kind=FindingKind.UNREADABLE,
                subject=source.name,
                text=one_line(source.fault or ""),
                advice="`doctor` looks at each file; runs wait until it can be read",
            )
        lines = [p for p in self._facts.get(PROBLEMS) if not any(s.path in p for s in faulty)]
        if self._given.ledger_fault is not None and not faulty:
            lines.append(self._given.ledger_fault)
        for line in dict.fromkeys(lines):
            yield Finding(
                kind=FindingKind.UNREADABLE,
                text=one_line(line),
                advice="`doctor` looks at each file",
                episode=line,
            )

    def _over_budget(self) -> Iterator[Finding]:
        profile = Profile("", self._journal)
        zone = self._journal.figures.zone
        for state in exceeded_budgets(profile, self._given.budgets, self._now_ns):
            start_ns = period_start_ns(state.period, self._now_ns, zone)
            yield Finding(
                kind=FindingKind.OVER_BUDGET,
                job_id=state.job_id,
                subject="all jobs" if state.job_name is None else state.job_name,
                episode=f"{state.period} {start_ns}",
                text=f"cost {usd(state.used_usd)} {state.period.now}, more than the budget of"
                f" {usd(state.limit_usd)}",
                advice="`forecast` shows what is still to come; pause a job, or raise `budgets`",
            )

    # --- destinations -------------------------------------------------------------------------------

    def _of_destinations(self) -> Iterator[Finding]:
        for status in self._journal.outbox.states():
            if not status.active:
                continue
            if status.refused:
                yield self._refused(status)
            if status.failures:
                yield Finding(
                    kind=FindingKind.PENDING,
                    subject=status.name,
                    since_ns=status.failing_since_ns,
                    episode=str(status.failing_since_ns),
                    text=f"cannot be sent to: {one_line(status.last_error or 'it does not answer')}"
                    f"; {counted(status.pending, 'run')} pending",
                    advice=f"{remedy_for(status.fault)}; {KEPT}. `doctor` sends a test",
                )
            elif self._is_stuck(status):
                yield Finding(
                    kind=FindingKind.PENDING,
                    subject=status.name,
                    since_ns=status.waiting_since_ns,
                    text=f"lacks {counted(status.pending, 'run')}, and has waited for"
                    f" {duration((self._now_ns - (status.waiting_since_ns or 0)) / NS)}",
                    advice="run `sync`",
                )

    def _is_stuck(self, status: DestinationStatus) -> bool:
        waiting_ns = status.waiting_since_ns
        return waiting_ns is not None and self._now_ns - waiting_ns > PENDING_NS

    def _refused(self, status: DestinationStatus) -> Finding:
        reasons = self._journal.outbox.refusals(status.id, 1)
        why = f": {one_line(reasons[0][0])}" if reasons else ""
        return Finding(
            kind=FindingKind.REFUSED,
            subject=status.name,
            episode=str(status.refused),
            text=f"refused {counted(status.refused, 'run')}{why}",
            advice="mend the cause, then `sync --retry-refused` sends them again",
        )

    def _of_metrics(self) -> Iterator[Finding]:
        for one in self._journal.metric_destinations.active():
            error = one_line(one.last_error or "it does not answer")
            if one.fails:
                yield Finding(
                    kind=FindingKind.PENDING,
                    subject=one.name,
                    since_ns=one.failing_since_ns,
                    episode=f"metrics {one.failing_since_ns}",
                    text=f"does not take metrics: {error}",
                    advice=f"{remedy_for(one.fault)}; the next request has all that it lacks, and"
                    " `metrics: false` leaves it alone",
                )
            elif one.refused_reason is not None:
                lost = one.temporality is Temporality.DELTA
                yield Finding(
                    kind=FindingKind.REFUSED,
                    subject=one.name,
                    since_ns=one.last_receipt_ns,
                    episode="metrics",
                    text=f"refused points of metrics: {one_line(one.refused_reason)}",
                    advice=f"mend the cause; {'these deltas are lost' if lost else 'the next request has them again'}",
                )
            elif not one.not_served:
                yield from self._metrics_behind(one)

    def _metrics_behind(self, one: MetricDestination) -> Iterator[Finding]:
        runs, first_ended_ns = self._journal.metric_destinations.lacking(one)
        waiting_ns = max(first_ended_ns or 0, one.last_receipt_ns or 0)
        if runs and self._now_ns - waiting_ns > PENDING_NS:
            yield Finding(
                kind=FindingKind.PENDING,
                subject=one.name,
                since_ns=waiting_ns,
                episode="metrics",
                text=f"lacks the metrics of {counted(runs, 'run')}, and has waited for"
                f" {duration((self._now_ns - waiting_ns) / NS)}",
                advice="run `sync`",
            )

    # --- notices ------------------------------------------------------------------------------------

    def _of_notices(self) -> Iterator[Finding]:
        for target in self._journal.notices.states():
            if not target.active:
                continue
            waiting = counted(target.pending, "notice")
            oldest_ns = target.oldest_pending_ns
            if target.failures:
                yield Finding(
                    kind=FindingKind.PENDING,
                    subject=target.name,
                    since_ns=target.failing_since_ns,
                    episode=str(target.failing_since_ns),
                    text=f"does not take notices: {one_line(target.last_error or '')}; {waiting} pending",
                    advice="`doctor --notify` sends a test; nothing is lost meanwhile",
                )
            elif target.last_error is not None:
                yield Finding(
                    kind=FindingKind.REFUSED,
                    subject=target.name,
                    episode=str(target.refused),
                    text=f"refused {counted(target.refused, 'notice')}: {one_line(target.last_error)}",
                    advice="correct its URL in `notify`; `doctor --notify` sends a test",
                )
            elif oldest_ns is not None and self._now_ns - oldest_ns > PENDING_NS:
                yield Finding(
                    kind=FindingKind.PENDING,
                    subject=target.name,
                    since_ns=oldest_ns,
                    text=f"was not sent {waiting} for {duration((self._now_ns - oldest_ns) / NS)}",
                    advice="run `sync`: it says why",
                )
