"""What of the runs may need attention: each job's latest run, failures in a row, missed and costly runs."""

from __future__ import annotations

from typing import NamedTuple

from ..model import FAILED_OUTCOMES, Outcome, Run
from . import run_rows
from .database import Connection

_COLUMNS = ", ".join(run_rows.COLUMN_NAMES)
_FAILED = ", ".join(f"'{outcome}'" for outcome in sorted(FAILED_OUTCOMES - {Outcome.MISSED}))


class FailureStreak(NamedTuple):
    """The failed runs of a job since its last success. Skipped and missed runs neither count nor end it."""

    runs: int
    first_ended_ns: int | None
    """When the first of them ended; None without a failure."""


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

    def failure_streak(self, job_id: str) -> FailureStreak:
        """Return the job's failures since its last success, or since its first run."""
        runs, first_ns = self._connection.execute(
            "SELECT count(*), min(ended_ns) FROM run WHERE job_id = ?1 AND started_ns > coalesce("  # noqa: S608
            "(SELECT started_ns FROM run WHERE job_id = ?1 AND outcome = 'success' "
            "ORDER BY started_ns DESC LIMIT 1), -9e18) "
            f"AND outcome IN ({_FAILED})",
            (job_id,),
        ).fetchone()
        return FailureStreak(runs, first_ns)

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
