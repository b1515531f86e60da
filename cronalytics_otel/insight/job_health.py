"""What is wrong with jobs: with their latest runs, with runs that are going on, and with missed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..domain.errors import reason_of
from ..journal import Journal
from ..journal.attention import MissedTimes, OverBudgetRuns
from ..journal.facts import CURRENT_JOBS, FactValues
from ..model import DeliveryOutcome, Job, Mode, Outcome, Run, RunningRun, Trigger
from ..model.times import NS
from .findings import Finding, FindingKind
from .runs import short_id
from .usual import is_hung, usual_duration_s
from .wording import counted, duration, one_line, usd

FAILURES_IN_A_ROW: Final = 3
"""So many failures without a success between them are worse than one: it will not mend itself."""

LATE_S: Final = 600.0
"""A run that began so long after its due time was late. A scheduler that is up takes two minutes at most."""

RECENT_NS: Final = 86_400 * NS
"""How long a missed run, or a run over its budget, stays a finding."""


class JobHealth:
    """One look at all jobs that Hermes has."""

    def __init__(
        self, journal: Journal, facts: FactValues, running: Sequence[RunningRun], now_ns: int
    ) -> None:
        """`running` are the open rows of the ledger."""
        self._journal = journal
        self._now_ns = now_ns
        self._jobs = {job.job_id: job for job in facts.get(CURRENT_JOBS)}
        self._enabled = {job_id: job for job_id, job in self._jobs.items() if job.enabled}
        self.latest = {
            job_id: run
            for job_id in self._enabled
            if (run := journal.attention.latest(job_id)) is not None
        }
        """By id of a job that is switched on, its run that began last."""
        final = journal.runs.known_executions([each.execution.execution_id for each in running])
        self.running = [r for r in running if r.execution.execution_id not in final]
        """The runs that are going on; a row stays open for a while after its process has died."""

    def findings(self) -> Iterator[Finding]:
        yield from self._of_runs()
        yield from self._hung()
        yield from self._missed()
        yield from self._over_budget()

    def _of_runs(self) -> Iterator[Finding]:
        for job_id, run in self.latest.items():
            job = self._enabled[job_id]
            yield from self._failing(job, run)
            yield from self._late(job, run)
            yield from self._script_error(job, run)
            yield from self._undelivered(job, run)

    def _failing(self, job: Job, latest: Run) -> Iterator[Finding]:
        run: Run | None = latest
        if latest.outcome is Outcome.SKIPPED:  # its gate said no: that says nothing of the agent
            run = self._journal.attention.latest(job.job_id, skipped=False)
        if run is None or not run.failed:
            return
        success = self._journal.job_runs.last(job.job_id, {Outcome.SUCCESS})
        after_ns = None if success is None else success.started_ns
        failures = self._journal.job_runs.failures_after(job.job_id, success)
        since_ns = self._journal.attention.first_failure_end(job.job_id, after_ns)
        is_row = failures.runs >= FAILURES_IN_A_ROW
        at_least = "at least " if failures.is_lower_bound else ""
        times = "failed"
        if failures.runs > 1 or at_least:
            times = f"failed {at_least}{counted(failures.runs, 'time')} in a row"
        yield Finding(
            kind=FindingKind.FAILING_IN_A_ROW if is_row else FindingKind.FAILING,
            job_id=job.job_id,
            subject=job.name,
            since_ns=since_ns,
            episode=str(since_ns),
            text=f"{times}: {_reason(run)}",
            advice=self._trace(run, "shows where"),
        )

    def _late(self, job: Job, run: Run) -> Iterator[Finding]:
        lateness_s = run.lateness_s
        if lateness_s is None or lateness_s < LATE_S or run.trigger is Trigger.MANUAL:
            return
        yield Finding(
            kind=FindingKind.LATE,
            job_id=job.job_id,
            subject=job.name,
            since_ns=run.started_ns,
            episode=run.run_id,
            text=f"its last run began {duration(lateness_s)} after it was due",
            advice="see whether the machine slept, or other jobs held the scheduler up",
        )

    def _script_error(self, job: Job, run: Run) -> Iterator[Finding]:
        if run.failed or run.mode is Mode.SCRIPT or not run.script_exit_code:
            return
        yield Finding(
            kind=FindingKind.SCRIPT_ERROR,
            job_id=job.job_id,
            subject=job.name,
            since_ns=run.ended_ns,
            episode=run.run_id,
            text=f"its script exited with code {run.script_exit_code}, and the run went on without"
            " its data",
            advice=f"mend the script; {self._trace(run, 'shows the run')}",
        )

    def _undelivered(self, job: Job, run: Run) -> Iterator[Finding]:
        if run.delivery_outcome is not DeliveryOutcome.FAILED:
            return
        target = f" to {one_line(run.delivery_target)}" if run.delivery_target else ""
        why = f": {one_line(run.delivery_error)}" if run.delivery_error else ""
        yield Finding(
            kind=FindingKind.UNDELIVERED,
            job_id=job.job_id,
            subject=job.name,
            since_ns=run.ended_ns,
            episode=run.run_id,
            text=f"its last answer could not be delivered{target}{why}",
            advice="see the job's `deliver` setting and the platform's credentials",
        )

    def _hung(self) -> Iterator[Finding]:
        for each in self.running:
            execution = each.execution
            job = self._jobs.get(execution.job_id)
            elapsed_s = (self._now_ns - execution.began_ns) / NS
            text = None
            if each.process_is_gone:
                text = "its process has died, and the run was never ended"
            else:
                usual_s = usual_duration_s(self._journal, execution.job_id, self._now_ns)
                if is_hung(elapsed_s, usual_s):
                    usually = "" if usual_s is None else f", and usually takes {duration(usual_s)}"
                    text = f"has been running for {duration(elapsed_s)}{usually}"
            if text is not None:
                yield Finding(
                    kind=FindingKind.HUNG,
                    job_id=execution.job_id,
                    subject=execution.job_id if job is None else job.name,
                    since_ns=execution.began_ns,
                    episode=execution.execution_id,
                    text=text,
                    advice=f"see whether process {execution.pid} still does something"
                    if execution.pid is not None and not each.process_is_gone
                    else "the next sync counts it as abandoned; see why the process ended",
                )

    def _missed(self) -> Iterator[Finding]:
        for job_id, missed in self._journal.attention.missed(self._now_ns - RECENT_NS).items():
            job = self._enabled.get(job_id)
            if job is not None:
                yield _missed_finding(job, missed)

    def _over_budget(self) -> Iterator[Finding]:
        costly = self._journal.attention.over_budget(self._now_ns - RECENT_NS)
        for job_id, runs in costly.items():
            job = self._jobs.get(job_id)
            if job is not None:
                yield _over_budget_finding(job, runs)

    def _trace(self, run: Run, what: str) -> str:
        return f"`trace {short_id(self._journal, run)}` {what}"


def _missed_finding(job: Job, missed: MissedTimes) -> Finding:
    return Finding(
        kind=FindingKind.MISSED,
        job_id=job.job_id,
        subject=job.name,
        since_ns=missed.first_ns,
        episode=str(missed.last_ns),
        text=f"did not run {'once' if missed.occurrences == 1 else f'{missed.occurrences:,} times'}"
        " when it was due",
        advice="see whether the machine or Hermes's gateway was down then",
    )


def _over_budget_finding(job: Job, runs: OverBudgetRuns) -> Finding:
    return Finding(
        kind=FindingKind.OVER_BUDGET,
        job_id=job.job_id,
        subject=job.name,
        since_ns=runs.first_ended_ns,
        episode=f"run {runs.last_ended_ns}",
        text=f"{counted(runs.runs, 'run')} of the last 24 hours cost more than the budget of a run,"
        f" up to {usd(runs.highest_cost_usd)}",
        advice="see what the runs did, or raise `budgets`",
    )


def _reason(run: Run) -> str:
    """Return why a run failed, in one line."""
    return one_line(reason_of(run.error_message) or run.error_type or run.outcome)
