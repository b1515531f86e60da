"""The overview: what is known, from which files, what is late, and the status of each destination."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from ..domain.schedule import is_overdue
from ..journal import Journal
from ..journal.facts import (
    CURRENT_JOBS,
    FIRST_DAY_WITH_RUNS,
    HERMES_VERSION,
    LAST_SYNC_NS,
    LEDGER_LOST,
    OBSERVATIONS_LOST,
    PROBLEMS,
    RUNS_PASSED_OVER,
    SOURCES,
    FactValues,
)
from ..journal.metric_destinations import MetricDestination
from ..journal.notices import NoticeTargetStatus
from ..journal.outbox import DestinationStatus
from ..journal.queries import Totals
from ..model import DueJob, Source

EPOCH_DAY = date(1970, 1, 1)

_MAX_REASONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason for which a destination refused runs."""

    reason: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationOverview:
    """A destination's status, and why it refused runs: the most frequent reasons first."""

    status: DestinationStatus
    refusals: tuple[Refusal, ...]

    @property
    def fails(self) -> bool:
        """Whether it is in use, and its last request failed."""
        return self.status.active and self.status.failures > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueJob:
    """A job that is further past its time than a scheduler at work would let it be."""

    job: DueJob
    is_current: bool
    """Whether a sync has read the job since it became overdue. Without one, it may have run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    sources: tuple[Source, ...]
    """The host's files as the last harvest found them; none before the first harvest."""
    totals: Totals
    open_runs: int
    """Executions of the host that are not final yet."""
    lost_rows: int
    """Rows of the ledger that the host deleted before they were read."""
    lost_observations: int
    """Observations of hooks that could not be written down."""
    complete_since: date | None
    """The first day whose runs are all there; None while no run was ever deleted."""
    passed_over: int
    """Runs from before that day that the last harvest met and did not read again."""
    last_sync_ns: int | None
    problems: tuple[str, ...]
    """The faults that kept the last harvest from reading something."""
    hermes_version: str | None
    """The version of the Hermes in which the plugin last ran."""
    destinations: tuple[DestinationOverview, ...]
    overdue: tuple[OverdueJob, ...]
    metrics: tuple[MetricDestination, ...] = ()
    """The destinations of metrics that are in the settings."""
    notices: tuple[NoticeTargetStatus, ...] = ()
    """The targets of `notify`."""


def read_overview(
    journal: Journal, *, now_ns: int, job_ids: Collection[str] | None = None
) -> Overview:
    facts = journal.facts.read()
    first_day = facts.get(FIRST_DAY_WITH_RUNS)
    return Overview(
        sources=facts.get(SOURCES),
        totals=journal.queries.totals(),
        open_runs=journal.queries.open_count(),
        lost_rows=facts.get(LEDGER_LOST),
        lost_observations=facts.get(OBSERVATIONS_LOST),
        complete_since=None if first_day is None else EPOCH_DAY + timedelta(first_day),
        passed_over=facts.get(RUNS_PASSED_OVER),
        last_sync_ns=facts.get(LAST_SYNC_NS),
        problems=facts.get(PROBLEMS),
        hermes_version=facts.get(HERMES_VERSION),
        destinations=tuple(_destinations(journal)),
        overdue=tuple(
            overdue
            for overdue in overdue_jobs(facts, now_ns)
            if job_ids is None or overdue.job.job_id in job_ids
        ),
        metrics=tuple(journal.metric_destinations.active()),
        notices=tuple(journal.notices.states()),
    )


def overdue_jobs(facts: FactValues, now_ns: int) -> Iterator[OverdueJob]:
    """Yield the jobs that a scheduler at work would have started by now."""
    last_sync_ns = facts.get(LAST_SYNC_NS) or 0
    for job in facts.get(CURRENT_JOBS):
        due = job.due
        if due is not None and is_overdue(due.due_ns, now_ns):
            yield OverdueJob(job=due, is_current=is_overdue(due.due_ns, last_sync_ns))


def pending_runs(journal: Journal, destination: str) -> int:
    """Return how many runs the destination of this name lacks."""
    return sum(d.pending for d in journal.outbox.states() if d.name == destination)


def _destinations(journal: Journal) -> list[DestinationOverview]:
    return [
        DestinationOverview(
            status=status,
            refusals=tuple(
                Refusal(reason=reason, runs=runs)
                for reason, runs in journal.outbox.refusals(status.id, _MAX_REASONS)
            ),
        )
        for status in journal.outbox.states()
    ]
