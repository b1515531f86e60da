"""Runs that never happened, as the harvest meets them: `missed.py` decides, this remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, replace
from datetime import tzinfo
from itertools import chain
from typing import TypeAlias

from ..domain import missed
from ..domain import schedule as schedules
from ..domain.missed import Ledger, Outage, Overdue
from ..domain.schedule import SAME_NS
from ..host import ledger as ledger_file
from ..host.home import Home
from ..host.sqlite import reading
from ..journal import Journal
from ..journal.facts import OVERDUE_SEEN, FactValues, OverdueRow
from ..model import Execution, Job, Run
from ..model.times import NS
from .job_history import JobHistory

PreviousTimes: TypeAlias = Callable[[Execution], tuple[int, int | None] | None]
"""Of an execution, the start of the job's run before it and the time the host counted on from."""

TELL_AFTER_NS = 120 * NS
"""After an overdue job was seen to be due for another time: a run that did it is in the ledger by
then, because the host moves the time before it writes the row."""


class OverdueJobs:
    """What one harvest knows of jobs that are, or were, past their time."""

    def __init__(
        self,
        home: Home,
        journal: Journal,
        definitions: JobHistory,
        zone: tzinfo,
        zone_name: str | None,
        now_ns: int,
    ) -> None:
        self._home = home
        self._journal = journal
        self._job_history = definitions
        self._zone = zone
        self._zone_name = zone_name
        self._now_ns = now_ns
        self._overdue: dict[str, list[Overdue]] = {}
        """By job id, the oldest first: a second one may begin before the first is told."""
        self._kept: Mapping[str, tuple[OverdueRow, ...]] = {}
        self._ledger: Ledger | None = None

    def recall(self, facts: FactValues) -> bool:
        """Takes what earlier harvests saw; whether one of them may be told now."""
        self._kept = facts.get(OVERDUE_SEEN)
        for job_id, seen in self._kept.items():
            self._overdue[job_id] = [
                Overdue(due_ns=due_ns, until_ns=until_ns, runs_left=left, changed_ns=changed_ns)
                for due_ns, until_ns, left, changed_ns in seen
            ]
        has_ledger = self._home.ledger.exists()
        return has_ledger and any(map(self._is_settled, chain(*self._overdue.values())))

    def look(self, seen_ns: int) -> None:
        """Sees what the definitions, as they were read at this time, say to be past its time.

        Without a ledger (hosts before 0.19) nothing would tell which of them has run since.
        """
        if not self._home.ledger.exists():
            return
        jobs = self._job_history.now
        for job_id in [*self._overdue, *(j for j in jobs if j not in self._overdue)]:
            seen = missed.look(self._overdue.get(job_id, ()), jobs.get(job_id), seen_ns)
            if seen:
                self._overdue[job_id] = seen
            else:
                self._overdue.pop(job_id, None)

    def saw(self, execution: Execution, due_ns: int) -> bool:
        """Whether the job was seen past this time, with nothing changed until this run."""
        return any(
            abs(overdue.due_ns - due_ns) <= SAME_NS
            and (overdue.changed_ns is None or execution.claimed_ns <= overdue.changed_ns + SAME_NS)
            for overdue in self._overdue.get(execution.job_id, ())
        )

    def keep(self) -> None:
        """Writes down what was seen, for the next harvest."""
        kept = {
            job: tuple(OverdueRow(*astuple(overdue)) for overdue in seen)
            for job, seen in self._overdue.items()
            if seen
        }
        if kept != self._kept:
            self._journal.facts.set(OVERDUE_SEEN, kept)
            self._kept = kept

    def with_missed(
        self, runs: Sequence[Run], executions: Mapping[str, Execution], previous: PreviousTimes
    ) -> list[Run]:
        """These runs, each with what was missed before it; one that came for an outage is late."""
        told: dict[str, Run] = {}
        found: list[Run] = []
        for run in runs:
            execution = executions.get(run.execution_id or "")
            outage = self._before(execution, previous(execution)) if execution else None
            if execution is None or outage is None:
                found.append(run)
                continue
            found.append(_served(run, outage, self._job(run.job_id, execution.claimed_ns)))
            never = self._run_of(outage, run.job_id)
            told[never.run_id] = never
        return found + self._new(told)

    def settle(self) -> list[Run]:
        """What was missed by jobs that were paused, edited or removed before they could run late."""
        told: dict[str, Run] = {}
        for job_id, seen in list(self._overdue.items()):
            for overdue in filter(self._is_settled, list(seen)):
                ledger = self._whole_ledger()
                siblings = ledger.of_job.get(job_id, [])
                if self._runs_still(siblings):
                    break  # what it ran for is known when it has ended
                outage = self._without_run(job_id, overdue, siblings)
                if outage is not None:
                    never = self._run_of(outage, job_id)
                    told[never.run_id] = never
                seen.remove(overdue)
                if not seen and job_id in self._job_history.now:
                    seen.append(replace(overdue, changed_ns=0))
        return self._new(told)

    def _without_run(
        self, job_id: str, overdue: Overdue, siblings: Sequence[Execution]
    ) -> Outage | None:
        """What was missed if it never ran for the time that it was overdue for."""
        told_ns = (overdue.changed_ns or 0) + TELL_AFTER_NS
        times = (e.claimed_ns for e in siblings)
        job = self._job(job_id, overdue.until_ns)
        if any(overdue.due_ns - NS <= claimed_ns <= told_ns for claimed_ns in times):
            return None
        if job is None or job.schedule is None or not self._whole_ledger().covers(overdue.due_ns):
            return None
        before = [e for e in siblings if e.claimed_ns < overdue.due_ns]
        return missed.without_run(
            overdue,
            job.schedule,
            anchor_ns=counted_from(before[-1]) if before else None,
            zone=self._zone,
        )

    # One run.

    def _before(
        self, execution: Execution, previous: tuple[int, int | None] | None
    ) -> Outage | None:
        job = self._job(execution.job_id, execution.claimed_ns)
        if job is None or job.schedule is None:
            return None
        anchor_ns = previous[1] if previous else None
        seen = self._overdue.get(execution.job_id, [])
        first_of = [o for o in seen if _is_first(execution, previous, o)]
        if first_of:
            overdue = first_of[-1]
            if overdue.changed_ns == 0:
                return None  # told already
            seen.remove(overdue)
            then = self._job(execution.job_id, overdue.until_ns) or job  # it may have been edited
            return missed.before_run(
                overdue,
                then.schedule or job.schedule,
                execution,
                anchor_ns=anchor_ns,
                zone=self._zone,
            )
        if anchor_ns is None or not self._could_be_missed(job, anchor_ns, execution):
            return None
        definitions = self._job_history.between(job.job_id, anchor_ns, execution.claimed_ns)
        now = self._job_history.now.get(job.job_id)
        if now is None or any(
            not other.enabled or other.schedule != now.schedule for other in definitions
        ):
            return None
        return missed.by_silence(
            now,
            execution,
            self._whole_ledger(),
            self._job_history.now,
            known_due_ns=self._job_history.known_due(execution, previous),
            zone=self._zone,
        )

    def _could_be_missed(self, job: Job, anchor_ns: int, execution: Execution) -> bool:
        """Asked of every run, so that the ledger is read for few."""
        if job.schedule is None or execution.source == "direct":
            return False
        limit_ns = execution.claimed_ns - schedules.UP_NS
        times = schedules.occurrences(job.schedule, anchor_ns, limit_ns, self._zone)
        return next(times, None) is not None

    def _job(self, job_id: str, at_ns: int) -> Job | None:
        return self._job_history.at(job_id, at_ns)

    def _run_of(self, outage: Outage, job_id: str) -> Run:
        last_ns = outage.last_ns + schedules.UP_NS
        return missed.run_of(
            outage,
            job_id,
            self._job(job_id, outage.first_ns),
            profile=self._home.profile,
            scheduler_down=self._whole_ledger().scheduler_was_down(outage.first_ns, last_ns),
            zone_name=self._zone_name,
        )

    def _new(self, told: Mapping[str, Run]) -> list[Run]:
        known = self._journal.runs.known_executions(list(told))
        return [run for run_id, run in told.items() if run_id not in known]

    def _runs_still(self, siblings: Sequence[Execution]) -> bool:
        """A row that is open for ever may be known to be abandoned."""
        is_open = [e.execution_id for e in siblings if e.known_open]
        return len(self._journal.runs.known_executions(is_open)) < len(is_open)

    def _is_settled(self, overdue: Overdue) -> bool:
        return (
            bool(overdue.changed_ns) and self._now_ns - (overdue.changed_ns or 0) >= TELL_AFTER_NS
        )

    def _whole_ledger(self) -> Ledger:
        """Read once a harvest, and only when there is something to ask it: a thousand rows."""
        if self._ledger is None:
            with reading(self._home.ledger) as connection:
                page = ledger_file.read(
                    connection, self._home.ledger, after_rowid=0, after_id="", open_ids=()
                )
            self._ledger = Ledger.of(page.executions, page.begins_ns)
        return self._ledger


def _is_first(
    execution: Execution, previous: tuple[int, int | None] | None, overdue: Overdue
) -> bool:
    """Whether it is the job's first run since it was due for that time."""
    is_after = execution.claimed_ns >= overdue.due_ns - NS
    return is_after and (previous is None or previous[0] < overdue.due_ns)


def counted_from(execution: Execution) -> int:
    """From where the host counted on: the run's end, or its claim if it never came to an end."""
    ended = execution.finished_ns if execution.status in ("completed", "failed") else None
    return execution.claimed_ns if ended is None else ended


def _served(run: Run, outage: Outage, job: Job | None) -> Run:
    """The run that came after an outage, for the first time that it was due: as late as that."""
    if outage.served_ns is None or run.claimed_ns is None or job is None or job.schedule is None:
        return run
    trigger = schedules.trigger(
        "", job.schedule, claimed_ns=run.claimed_ns, due_ns=outage.served_ns
    )
    return replace(run, scheduled_ns=outage.served_ns, trigger=trigger)
