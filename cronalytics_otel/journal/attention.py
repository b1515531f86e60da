"""What of the runs may need attention: each job's latest run, failures in a row, missed and costly runs."""

from __future__ import annotations

from typing import NamedTuple

from ..model import FAILED_OUTCOMES, Outcome, Run
from . import run_rows
from .database import Connection

_COLUMNS = ", ".join(run_rows.COLUMN_NAMES)
_FAILED = ", ".join(f"'{outcome}'" for outcome in sorted(FAILED_OUTCOMES - {Outcome.MISSED}))


class MissedTimes(NamedTuple):
    """The missed runs of a job in some time."""

    occurrences: int
    first_ns: int
    """The oldest occurrence."""
    last_ns: int


class OverBudgetRuns(NamedTuple):
    """The runs of a job in some time that cost more than a run may."""

    runs: int
    first_ended_ns: int
    last_ended_ns: int
    highest_cost_usd: float


class Attention:
    """Questions to the table of runs, by job. They take the index on the job or on the end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def latest(self, job_id: str, *, skipped: bool = True) -> Run | None:
        """Return the job's run that began last. A missed run never began; `skipped` is False to pass over
        runs that the job's gate skipped."""
        passed_over = (Outcome.MISSED,) if skipped else (Outcome.MISSED, Outcome.SKIPPED)
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE job_id = ? "  # noqa: S608 - our own names
            f"AND outcome NOT IN ({', '.join('?' * len(passed_over))}) "
            "ORDER BY started_ns DESC LIMIT 1",
            (job_id, *passed_over),
        ).fetchone()
        return None if row is None else run_rows.run_from_row(row)

    def first_failure_end(self, job_id: str, after_ns: int | None) -> int | None:
        """Return when the job's first failed run that began after this time ended."""
        row = self._connection.execute(
            "SELECT ended_ns FROM run WHERE job_id = ? AND started_ns > coalesce(?, -9e18) "  # noqa: S608
            f"AND outcome IN ({_FAILED}) ORDER BY started_ns LIMIT 1",
            (job_id, after_ns),
        ).fetchone()
        return None if row is None else int(row[0])

    def missed(self, since_ns: int) -> dict[str, MissedTimes]:
        """Return by job id what was missed since then."""
        rows = self._connection.execute(
            "SELECT job_id, sum(coalesce(missed_count, 1)), min(started_ns), max(ended_ns) FROM run "
            "WHERE ended_ns >= ? AND outcome = 'missed' GROUP BY +job_id",
            (since_ns,),
        )
        return {row[0]: MissedTimes(*row[1:]) for row in rows}

    def over_budget(self, since_ns: int) -> dict[str, OverBudgetRuns]:
        """Return by job id the runs that ended since then and cost more than a run may."""
        rows = self._connection.execute(
            "SELECT job_id, count(*), min(ended_ns), max(ended_ns), max(cost_usd) FROM run "
            "WHERE ended_ns >= ? AND over_budget = 1 GROUP BY +job_id",
            (since_ns,),
        )
        return {row[0]: OverBudgetRuns(*row[1:]) for row in rows}
