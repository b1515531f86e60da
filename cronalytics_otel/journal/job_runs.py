"""Questions about the runs of many jobs at once: one query for all jobs, each over an index."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ..model import (
    FAILED_OUTCOMES,
    FAILED_RUNS,
    OUTPUT_ID,
    CostStatus,
    Mode,
    Outcome,
    Trigger,
    known_cost_usd,
)
from .database import Connection
from .facts import FIRST_DAY_WITH_RUNS, Facts
from .figures import COST_OF_RUN, DURATION_OF_RUN, Figures
from .filters import RunFilter, run_conditions
from .runs import MAX_RUN_NS


class Lifetime(NamedTuple):
    """What the runs of a job say of it."""

    job_name: str
    """As it was at the newest run."""
    first_run_ns: int
    """When the oldest known run was due, else was claimed, else began; the midnight of its day if that run
    was deleted since."""
    first_was_manual: bool
    """Whether a person started that run: it was not due."""


class RecentRun(NamedTuple):
    """A run in the strip of a job's last outcomes."""

    outcome: Outcome
    trigger: Trigger | None
    started_ns: int
    ended_ns: int
    scheduled_ns: int | None


class FailureRow(NamedTuple):
    """The failed runs since the last success."""

    runs: int
    is_lower_bound: bool
    """Whether there may have been more, on the day of the success: its runs were deleted since."""


class Taken(NamedTuple):
    """What a run took. None is unknown."""

    duration_s: float | None
    cost_usd: float | None


class RunValues(NamedTuple):
    """What one run came to. None is unknown."""

    outcome: Outcome
    duration_ns: int | None
    tokens: int | None
    cost_usd: float | None
    """0 for a run that called no model."""
    lateness_ns: int | None


class ErrorClass(NamedTuple):
    """The failed runs with the same class of error."""

    error_type: str | None
    runs: int
    last_ended_ns: int
    last_message: str | None
    """Of the newest of them."""


class AgentRunRow(NamedTuple):
    """What averages per skill and per model need of a run."""

    ended_ns: int
    skills: tuple[str, ...]
    model: str | None
    provider: str | None
    outcome: Outcome
    duration_ns: int | None
    cost_usd: float | None
    cost_is_partial: bool


_FIRST_KNOWN: Final = "min(started_ns, coalesce(scheduled_ns, claimed_ns, started_ns))"
"""From when on a run is known: when it was due, else was claimed, else began."""

_RECENT: Final = "outcome, trigger, started_ns, ended_ns, scheduled_ns"


def _recent_run(row: Sequence[Any]) -> RecentRun:
    """Return the run of a row with the columns `_RECENT`."""
    outcome, trigger, *times = row
    return RecentRun(Outcome(outcome), Trigger(trigger) if trigger else None, *times)


class JobRuns:
    """Questions to the table of runs, by job."""

    def __init__(self, connection: Connection, facts: Facts, figures: Figures) -> None:
        self._connection = connection
        self._facts = facts
        self._figures = figures

    def lifetimes(self) -> dict[str, Lifetime]:
        """Return by id every job that ever had a run. It steps from job to job, not from run to run."""
        rows = self._connection.execute(
            "WITH RECURSIVE known(job_id) AS (SELECT min(job_id) FROM run UNION ALL "  # noqa: S608
            "SELECT (SELECT min(job_id) FROM run WHERE job_id > known.job_id) FROM known "
            "WHERE known.job_id IS NOT NULL) "
            "SELECT job_id, (SELECT job_name FROM run WHERE job_id = known.job_id "
            "ORDER BY started_ns DESC LIMIT 1), "
            f"(SELECT {_FIRST_KNOWN} FROM run WHERE job_id = known.job_id "
            "ORDER BY started_ns LIMIT 1), "
            f"(SELECT trigger IS '{Trigger.MANUAL}' FROM run WHERE job_id = known.job_id "
            "ORDER BY started_ns LIMIT 1) FROM known WHERE job_id IS NOT NULL"
        )
        found = {
            job_id: Lifetime(name, first_ns, bool(was_manual))
            for job_id, name, first_ns, was_manual in rows.fetchall()
        }
        first_day = self._facts.get(FIRST_DAY_WITH_RUNS)
        if first_day is not None:
            self._add_deleted_runs(found, first_day)
        return found

    def _add_deleted_runs(self, found: dict[str, Lifetime], first_day: int) -> None:
        days = self._connection.execute(
            "SELECT job_id, min(2 * day + (trigger = ?)) "  # on its first day, did only people start it?
            "FROM run_group JOIN day_runs ON group_id = run_group.id WHERE day < ? GROUP BY job_id",
            (Trigger.MANUAL, first_day),
        )
        for job_id, first in days.fetchall():
            day, was_manual = divmod(first, 2)
            name = found[job_id].job_name if job_id in found else job_id
            found[job_id] = Lifetime(name, self._figures.midnight_ns(day), bool(was_manual))

    def known_since_ns(self) -> int | None:
        """Return since when any run is known: when the one that ended first was due, else was claimed, else
        began; the midnight of its day if it was deleted since. None without runs."""
        first_day = self._facts.get(FIRST_DAY_WITH_RUNS)
        if first_day is not None:
            (day,) = self._connection.execute(
                "SELECT min((SELECT min(day) FROM day_runs WHERE group_id = run_group.id)) "
                "FROM run_group"
            ).fetchone()
            if day is not None and day < first_day:
                return self._figures.midnight_ns(day)
        row = self._connection.execute(
            f"SELECT {_FIRST_KNOWN} FROM run ORDER BY ended_ns LIMIT 1"  # noqa: S608
        ).fetchone()
        return None if row is None else int(row[0])

    def complete_since_ns(self) -> int | None:
        """Return since when all runs are kept; None if none was deleted."""
        first_day, known_ns = self._facts.get(FIRST_DAY_WITH_RUNS), self.known_since_ns()
        if first_day is None or known_ns is None:
            return None
        since_ns = self._figures.midnight_ns(first_day)
        return since_ns if known_ns < since_ns else None

    def outcomes(self) -> dict[str, frozenset[Outcome]]:
        """Return by job every outcome that a run of it ever had."""
        rows = self._connection.execute(
            "SELECT job_id, group_concat(DISTINCT outcome) FROM run_group GROUP BY job_id"
        )
        return {
            job_id: frozenset(map(Outcome, text.split(","))) for job_id, text in rows.fetchall()
        }

    def recent(self, job_ids: Collection[str], limit: int) -> dict[str, list[RecentRun]]:
        """Return by job its last runs, missed ones included: the newest start first."""
        rows = self._connection.execute(
            f"SELECT run.job_id, {_RECENT} FROM json_each(?) AS job "  # noqa: S608
            "JOIN run ON run.id IN (SELECT id FROM run WHERE job_id = job.value "
            "ORDER BY started_ns DESC LIMIT ?) ORDER BY started_ns DESC",
            (json.dumps(sorted(job_ids)), limit),
        )
        found: dict[str, list[RecentRun]] = {}
        for job_id, *row in rows.fetchall():
            found.setdefault(job_id, []).append(_recent_run(row))
        return found

    def last_taken(self, job_ids: Collection[str]) -> dict[str, Taken]:
        """Return by job what its newest run took, among those that took place."""
        rows = self._connection.execute(
            f"SELECT job.value, {DURATION_OF_RUN}, cost_usd, cost_status "  # noqa: S608
            "FROM json_each(?) AS job JOIN run ON run.id = (SELECT id FROM run "
            f"WHERE job_id = job.value AND outcome <> '{Outcome.MISSED}' "
            "ORDER BY started_ns DESC LIMIT 1)",
            (json.dumps(sorted(job_ids)),),
        )
        return {
            job_id: Taken(
                duration_s=None if duration_ns is None else duration_ns / 1e9,
                cost_usd=known_cost_usd(cost_usd, cost_status),
            )
            for job_id, duration_ns, cost_usd, cost_status in rows.fetchall()
        }

    def last(self, job_id: str, outcomes: Collection[Outcome]) -> RecentRun | None:
        """Return the job's newest run with one of these outcomes."""
        marks = ",".join("?" * len(outcomes))
        row = self._connection.execute(
            f"SELECT {_RECENT} FROM run "  # noqa: S608
            f"WHERE job_id = ? AND outcome IN ({marks}) ORDER BY started_ns DESC LIMIT 1",
            (job_id, *outcomes),
        ).fetchone()
        return None if row is None else _recent_run(row)

    def failures_after(self, job_id: str, success: RecentRun | None) -> FailureRow:
        """Return how many runs of the job failed since its newest success, or ever if it has none."""
        marks = ",".join("?" * len(FAILED_RUNS))
        (count,) = self._connection.execute(
            "SELECT count(*) FROM run WHERE job_id = ? AND started_ns > coalesce(?, -9e18) "  # noqa: S608
            f"AND outcome IN ({marks})",
            (job_id, None if success is None else success.started_ns, *FAILED_RUNS),
        ).fetchone()
        first_day = self._facts.get(FIRST_DAY_WITH_RUNS)
        day = -(2**63) if success is None else self._figures.day_of(success.ended_ns)
        if first_day is None or day >= first_day:
            return FailureRow(count, is_lower_bound=False)
        # Most of these runs may be deleted. The sums of the days still count them.
        later, all_days = self._connection.execute(
            "SELECT coalesce(sum(CASE WHEN day > ? THEN runs END), 0), coalesce(sum(runs), 0) "  # noqa: S608
            "FROM run_group JOIN day_runs ON group_id = run_group.id "
            f"WHERE job_id = ? AND day >= ? AND outcome IN ({marks})",
            (day, job_id, day, *FAILED_RUNS),
        ).fetchone()
        known = max(count, later)
        return FailureRow(known, is_lower_bound=known < all_days)

    def durations_ns(self, wanted: RunFilter) -> dict[str, list[int]]:
        """Return by job the known durations of the runs that match, in ascending order."""
        clauses, values = run_conditions(wanted)
        if wanted.since_ns is not None:
            clauses.append("started_ns >= ?")  # the index on jobs has the start before the end
            values.append(wanted.since_ns - MAX_RUN_NS)
        ids = self.lifetimes() if wanted.jobs is None else wanted.jobs
        # One text per job comes out of SQLite twice as fast as a row per run.
        rows = self._connection.execute(
            "SELECT value, (SELECT group_concat(ended_ns - started_ns) FROM run "  # noqa: S608
            f"WHERE job_id = value AND {' AND '.join(clauses)} AND outcome <> '{Outcome.MISSED}' "
            # A run that left an output file alone has no known start: the file's time stands for both.
            "AND NOT (started_ns = ended_ns AND session_id IS NULL "
            f"AND substr(execution_id, 1, {len(OUTPUT_ID)}) IS '{OUTPUT_ID}')) FROM json_each(?)",
            [*values, json.dumps(sorted(ids))],
        )
        return {job_id: sorted(map(int, text.split(","))) for job_id, text in rows if text}

    def values(self, wanted: RunFilter) -> list[RunValues]:
        """Return what each run that matches came to, in no order. Missed runs are left out."""
        clauses, values = run_conditions(wanted)
        rows = self._connection.execute(
            f"SELECT outcome, {DURATION_OF_RUN}, input_tokens + output_tokens, {COST_OF_RUN}, "  # noqa: S608
            f"CASE WHEN {DURATION_OF_RUN} IS NOT NULL THEN max(0, started_ns - scheduled_ns) END "
            f"FROM run WHERE {' AND '.join(clauses)} "
            f"AND outcome <> '{Outcome.MISSED}'",
            values,
        )
        return [RunValues(Outcome(outcome), *rest) for outcome, *rest in rows.fetchall()]

    def errors(self, wanted: RunFilter) -> list[ErrorClass]:
        """Return the failed runs that match by the class of their error: the most frequent first."""
        clauses, values = run_conditions(wanted)
        failed = ", ".join(f"'{outcome}'" for outcome in sorted(FAILED_OUTCOMES - {Outcome.MISSED}))
        rows = self._connection.execute(
            # The message is that of the row with the maximum: so SQLite defines it.
            "SELECT error_type, count(*) AS runs, max(ended_ns) AS last_ns, error_message FROM run "  # noqa: S608
            f"WHERE {' AND '.join(clauses)} AND outcome IN ({failed}) "
            "GROUP BY error_type ORDER BY runs DESC, last_ns DESC",
            values,
        )
        return [ErrorClass(*row) for row in rows.fetchall()]

    def agent_runs(self, wanted: RunFilter) -> list[AgentRunRow]:
        """Return the runs of agents that match and took place: neither skipped nor missed ones."""
        clauses, values = run_conditions(wanted)
        rows = self._connection.execute(
            f"SELECT ended_ns, skills, model, provider, outcome, {DURATION_OF_RUN}, {COST_OF_RUN}, "  # noqa: S608
            f"cost_status IS '{CostStatus.PARTIAL}' "
            f"FROM run WHERE {' AND '.join(clauses)} AND mode IS '{Mode.AGENT}' "
            f"AND outcome NOT IN ('{Outcome.SKIPPED}', '{Outcome.MISSED}')",
            values,
        )
        return [
            AgentRunRow(ended_ns, _skills(skills), model, provider, Outcome(outcome), *rest)
            for ended_ns, skills, model, provider, outcome, *rest in rows.fetchall()
        ]


@lru_cache(maxsize=256)
def _skills(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()
