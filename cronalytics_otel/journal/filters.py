"""Which runs a question is about, and that as conditions of SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from ..model import Mode, Outcome, Trigger

Conditions: TypeAlias = tuple[list[str], list[object]]
"""The conditions of a WHERE clause, and the values of their parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """The filter of a question about runs. None means any."""

    job: str | None = None
    """The job's id, or its name in any case."""
    jobs: frozenset[str] | None = None
    """Ids of jobs."""
    since_ns: int | None = None
    """The earliest end."""
    until_ns: int | None = None
    """The end is before this time."""
    outcomes: frozenset[Outcome] | None = None
    mode: Mode | None = None
    trigger: Trigger | None = None
    models: frozenset[str] | None = None
    """Models that had a part in the run."""
    skills: frozenset[str] | None = None
    """Skills of the job at the time of the run; one of them is enough."""
    limit: int | None = None

    @property
    def needs_runs(self) -> bool:
        """Whether only the runs themselves can answer, because sums by day do not know of this."""
        return self.models is not None or self.skills is not None

    @property
    def asks_how_it_ran(self) -> bool:
        """Whether it asks for what sums of usage do not know of."""
        return self.outcomes is not None or self.mode is not None or self.trigger is not None


def conditions(wanted: RunFilter) -> Conditions:
    """Return the conditions that hold for rows of `run` and of `run_group`: job, outcome, mode, trigger."""
    clauses, values = job_conditions(wanted)
    if wanted.outcomes is not None:
        _any_of("outcome", wanted.outcomes, clauses, values)
    if wanted.mode is not None:
        clauses.append("mode = ?")
        values.append(wanted.mode)
    if wanted.trigger is not None:
        clauses.append("trigger = ?")
        values.append(wanted.trigger)
    return clauses, values


def job_conditions(wanted: RunFilter) -> Conditions:
    """Return the conditions that hold for rows of every table of runs."""
    clauses, values = ["1"], list[object]()
    if wanted.jobs is not None:
        _any_of("job_id", wanted.jobs, clauses, values)
    return clauses, values


def run_conditions(wanted: RunFilter) -> Conditions:
    """Return all conditions, for rows of `run`; `casefold` must be a function of the connection."""
    clauses, values = conditions(wanted)
    if wanted.job is not None:
        clauses.append("(job_id = ? OR casefold(job_name) = ?)")
        values += [wanted.job, wanted.job.casefold()]
    if wanted.since_ns is not None:
        clauses.append("ended_ns >= ?")
        values.append(wanted.since_ns)
    if wanted.until_ns is not None:
        clauses.append("ended_ns < ?")
        values.append(wanted.until_ns)
    if wanted.skills is not None:
        marks = ",".join("?" * len(wanted.skills))
        clauses.append(f"EXISTS (SELECT 1 FROM json_each(skills) WHERE value IN ({marks}))")  # noqa: S608
        values += sorted(wanted.skills)
    if wanted.models is not None:
        marks = ",".join("?" * len(wanted.models))
        clauses.append(
            f"(model IN ({marks}) OR EXISTS (SELECT 1 FROM json_each(model_usage) "  # noqa: S608
            f"WHERE json_extract(value, '$.model') IN ({marks})))"
        )
        values += [*sorted(wanted.models), *sorted(wanted.models)]
    return clauses, values


def _any_of(column: str, wanted: Collection[str], clauses: list[str], values: list[object]) -> None:
    clauses.append(f"{column} IN ({','.join('?' * len(wanted))})")
    values += sorted(wanted)
