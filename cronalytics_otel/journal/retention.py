"""How long runs are kept: old ones are deleted in small steps, and what they came to stays in the day tables.

A deleted run must never be read and sent again, so the time from which on runs are kept is a fact that the
harvest obeys. SQLite uses the freed pages for new rows: the file stops growing, and does not shrink.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from ..model import FAILED_RUNS, Outcome
from ..model.notice import MAX_FAILING_AFTER
from .calendar import first_whole_day
from .database import Connection
from .facts import DELETED_BEFORE_NS, FIRST_DAY_WITH_RUNS, KEPT_SINCE_NS, Facts
from .figures import Figures

DELETED_AT_ONCE: Final = 1000
"""Runs that one sync deletes at most: it takes some hundredths of a second."""

NAMED_BY: Final = {
    "outbox": "named.destination_id = d.id AND named.ended_ns = run.ended_ns AND named.run_id = run.id",
    "refused": "named.destination_id = d.id AND named.run_id = run.id",
}
"""The tables that name runs, each with the condition by its primary key. A run that one of them names is
still to be sent, and stays."""

_NAMED: Final = " ".join(
    f"AND NOT EXISTS (SELECT 1 FROM destination d JOIN {table} named ON {condition})"  # noqa: S608
    for table, condition in NAMED_BY.items()
)
_DELETE: Final = (
    "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE ended_ns < ? "  # noqa: S608 - our own names
    # Ids must go on from the newest: destinations have marks among them.
    "AND id < (SELECT max(id) FROM run) AND id NOT IN (SELECT value FROM json_each(?)) "
    f"{_NAMED} ORDER BY ended_ns LIMIT ?)"
)

_OF_JOB: Final = "SELECT id, started_ns FROM run WHERE job_id = ?"
_NEWEST: Final = "ORDER BY started_ns DESC LIMIT"
_FAILED: Final = ", ".join(f"'{outcome}'" for outcome in sorted(FAILED_RUNS))


class Retention:
    """Deletes old runs."""

    def __init__(self, connection: Connection, facts: Facts, figures: Figures) -> None:
        self._connection = connection
        self._facts = facts
        self._figures = figures

    @property
    def kept_since_ns(self) -> int:
        """The earliest end of a run that may be added."""
        kept_since_ns = self._facts.get(KEPT_SINCE_NS)
        return -(2**63) if kept_since_ns is None else kept_since_ns

    def deleted_day(self, at_ns: int) -> tuple[int, int] | None:
        """Return when the day of a time begins and ends, if its runs were deleted: of such a day only sums are
        kept. None for any other day."""
        first_day, day = self._facts.get(FIRST_DAY_WITH_RUNS), self._figures.day_of(at_ns)
        if first_day is None or day >= first_day:
            return None
        return self._figures.midnight_ns(day), self._figures.midnight_ns(day + 1)

    def delete_old(self, days: int, now_ns: int, limit: int = DELETED_AT_ONCE) -> int:
        """Delete some of the runs that ended before the start of the day `days` days ago; return how many.

        What a destination lacks or has refused stays, and so does what says how each job stands. The day
        tables stay as they are.
        """
        border_ns = self._figures.midnight_ns(self._figures.day_of(now_ns) - days)
        border_ns = max(border_ns, self.kept_since_ns)
        if self._facts.get(DELETED_BEFORE_NS) == border_ns:
            return 0
        with self._connection.atomic():
            self._facts.set(KEPT_SINCE_NS, border_ns)
            first_day = first_whole_day(border_ns, self._figures.zone)
            # Never an earlier day: what is kept as a sum alone is not computed anew.
            known = self._facts.get(FIRST_DAY_WITH_RUNS)
            first_day = first_day if known is None else max(first_day, known)
            self._facts.set(FIRST_DAY_WITH_RUNS, first_day)
            kept = json.dumps(self._standing_of_each_job())
            deleted = self._connection.execute(_DELETE, (border_ns, kept, limit)).rowcount
            if deleted < limit:
                self._facts.set(DELETED_BEFORE_NS, border_ns)
        return deleted

    def _standing_of_each_job(self) -> list[int]:
        """Return the ids of the runs that say how each job stands: its newest run, its newest success, and
        of the failures after that the first one and the newest ones."""
        job_ids = self._connection.execute("SELECT DISTINCT job_id FROM run_group").fetchall()
        return [run_id for (job_id,) in job_ids for run_id in self._standing_of(job_id)]

    def _standing_of(self, job_id: str) -> Iterator[int]:
        rows = self._connection.execute(
            f"SELECT id, NULL FROM ({_OF_JOB} AND outcome <> '{Outcome.MISSED}' {_NEWEST} 1) "  # noqa: S608
            "UNION ALL "
            f"SELECT id, started_ns FROM ({_OF_JOB} AND outcome = '{Outcome.SUCCESS}' {_NEWEST} 1)",
            (job_id, job_id),
        ).fetchall()
        success_ns = next((started_ns for _, started_ns in rows if started_ns is not None), None)
        failures = f"{_OF_JOB} AND started_ns > coalesce(?, -9e18) AND outcome IN ({_FAILED})"
        rows += self._connection.execute(
            f"SELECT id FROM ({failures} ORDER BY started_ns LIMIT 1) "  # noqa: S608 - our own names
            f"UNION SELECT id FROM ({failures} {_NEWEST} {MAX_FAILING_AFTER})",
            (job_id, success_ns) * 2,
        ).fetchall()
        yield from (row[0] for row in rows)
