"""Jobs that were seen overdue, from one harvest to the next: evidence for missed runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..domain import missed
from ..domain.missed import OverdueSighting
from ..journal.facts import OVERDUE_SEEN, FactValues, OverdueRow
from ..model.times import NS
from .context import HarvestContext
from .job_history import JobHistory

REPORT_AFTER_NS = 120 * NS
"""After an overdue job was seen to be due for another time, until it counts as missed: a run for it is in
the ledger by then, because the host moves the time before it writes the row."""


class OverdueJobs:
    """What one harvest knows of jobs that are, or were, past their time."""

    def __init__(self, context: HarvestContext, history: JobHistory) -> None:
        self._context = context
        self._history = history
        self._overdue: dict[str, list[OverdueSighting]] = {}
        """By job id, the oldest first: a second one may begin before the first is reported."""
        self._saved: Mapping[str, tuple[OverdueRow, ...]] = {}

    def load(self, facts: FactValues) -> None:
        """Load what earlier harvests saw."""
        self._saved = facts.get(OVERDUE_SEEN)
        for job_id, seen in self._saved.items():
            self._overdue[job_id] = [
                OverdueSighting(
                    due_ns=row.due_ns,
                    until_ns=row.until_ns,
                    runs_left=row.runs_left,
                    changed_ns=row.changed_ns or None,
                    reported=row.changed_ns == 0,
                )
                for row in seen
            ]

    @property
    def any_ready_to_report(self) -> bool:
        """Whether something may be reported as missed now, although no file has changed."""
        has_ledger = self._context.home.ledger.exists()
        return has_ledger and any(map(self._is_ready_to_report, chain(*self._overdue.values())))

    def update(self, seen_ns: int) -> None:
        """Update the sightings with the definitions as they were read at `seen_ns`.

        Without a ledger nothing would show which of them has run since.
        """
        if not self._context.home.ledger.exists():
            return
        jobs = self._history.now
        for job_id in [*self._overdue, *(j for j in jobs if j not in self._overdue)]:
            seen = missed.updated_sightings(
                self._overdue.get(job_id, ()), jobs.get(job_id), seen_ns
            )
            if seen:
                self._overdue[job_id] = seen
            else:
                self._overdue.pop(job_id, None)

    def of_job(self, job_id: str) -> Sequence[OverdueSighting]:
        """Return the times at which the job was seen overdue, the oldest first."""
        return self._overdue.get(job_id, ())

    def save(self) -> None:
        """Save what was seen, for the next harvest."""
        rows = {
            job: tuple(_row_of(overdue) for overdue in seen)
            for job, seen in self._overdue.items()
            if seen
        }
        if rows != self._saved:
            self._context.journal.facts.set(OVERDUE_SEEN, rows)
            self._saved = rows

    def forget(self, job_id: str, overdue: OverdueSighting) -> None:
        """Forget a sighting: the job has run since."""
        self._overdue[job_id].remove(overdue)

    def ready_to_report(self) -> Iterator[tuple[str, OverdueSighting]]:
        """Yield (job id, sighting) for sightings that no later run can explain any more."""
        for job_id, seen in list(self._overdue.items()):
            for overdue in filter(self._is_ready_to_report, list(seen)):
                yield job_id, overdue

    def mark_reported(self, job_id: str, overdue: OverdueSighting) -> None:
        """Drop a reported sighting. If the job still exists and has no other, keep it marked as
        reported, so that it is not reported twice."""
        seen = self._overdue[job_id]
        seen.remove(overdue)
        if not seen and job_id in self._history.now:
            seen.append(replace(overdue, reported=True))

    def _is_ready_to_report(self, overdue: OverdueSighting) -> bool:
        changed_ns = overdue.changed_ns
        if changed_ns is None or overdue.reported:
            return False
        return self._context.now_ns - changed_ns >= REPORT_AFTER_NS


def _row_of(overdue: OverdueSighting) -> OverdueRow:
    """Return the sighting as the journal keeps it: a reported one changed at 0."""
    changed_ns = 0 if overdue.reported else overdue.changed_ns
    return OverdueRow(overdue.due_ns, overdue.until_ns, overdue.runs_left, changed_ns)
