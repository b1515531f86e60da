"""Recent averages of success, duration and cost per skill and per model.

An exponentially weighted mean over 14 calendar days. A day's weight is (1 - 0.3) ^ (days ago), so that
yesterday counts 0.7 of today and the half-life is 1.94 days; a day without runs lets time pass all the
same. A day counts by its volume: the sum of w · total ÷ the sum of w · count, and no mean of means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ALPHA = 0.3
DAYS = 14


class AverageKey(NamedTuple):
    """What is averaged: a skill with a model, or a model alone (`skill` is None)."""

    skill: str | None
    model: str | None
    provider: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotals:
    """The runs of one key that ended on one day, as sums."""

    day: int
    """The date in the home's time zone, as `date.toordinal()`."""
    runs: int
    succeeded: int
    timed_runs: int
    """Runs whose duration is known; `duration_s` is their sum."""
    duration_s: float
    priced_runs: int
    """Runs whose cost is known, in part at least; `cost_usd` is the sum of their shares."""
    cost_usd: float
    inexact_runs: int
    """Runs whose cost is not known, wholly or in part."""

    def __add__(self, other: DayTotals) -> DayTotals:
        return DayTotals(
            day=self.day,
            runs=self.runs + other.runs,
            succeeded=self.succeeded + other.succeeded,
            timed_runs=self.timed_runs + other.timed_runs,
            duration_s=self.duration_s + other.duration_s,
            priced_runs=self.priced_runs + other.priced_runs,
            cost_usd=self.cost_usd + other.cost_usd,
            inexact_runs=self.inexact_runs + other.inexact_runs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """The averages of one key. None where no run in the 14 days has the figure."""

    runs: int
    """In the 14 days, unweighted."""
    success_rate: float | None
    duration_s: float | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRun:
    """What the averages need of one agent run that took place (neither skipped nor missed)."""

    day: int
    """The date of its end in the home's time zone, as `date.toordinal()`."""
    skills: tuple[str, ...]
    model: str | None
    provider: str | None
    succeeded: bool
    duration_s: float | None
    cost_usd: float | None
    """None if it is unknown; 0 for a run that cost nothing."""
    cost_is_partial: bool = False
    """Whether `cost_usd` is a lower bound."""


def average(days: Iterable[DayTotals], today: int) -> Average:
    """Return the weighted averages of one key as of `today` (`date.toordinal()`)."""
    runs = 0
    counts = succeeded = timed = duration_s = priced = cost_usd = 0.0
    for day in days:
        age = today - day.day
        if not 0 <= age < DAYS:
            continue
        weight = (1 - ALPHA) ** age
        runs += day.runs
        counts += weight * day.runs
        succeeded += weight * day.succeeded
        timed += weight * day.timed_runs
        duration_s += weight * day.duration_s
        priced += weight * day.priced_runs
        cost_usd += weight * day.cost_usd
    return Average(
        runs=runs,
        success_rate=succeeded / counts if counts else None,
        duration_s=duration_s / timed if timed else None,
        cost_usd=cost_usd / priced if priced else None,
    )


def totals_by_skill(runs: Iterable[AgentRun]) -> dict[AverageKey, dict[int, DayTotals]]:
    """Return by (skill, model, provider) and by day the totals of the runs with skills.

    A run counts fully for each of its skills, in runs, success and duration; its cost is split evenly
    between them, so that the costs of all skills add up to the cost of the runs.
    """
    totals: dict[AverageKey, dict[int, DayTotals]] = {}
    for run in runs:
        for skill in run.skills:
            key = AverageKey(skill, run.model, run.provider)
            _add(totals, key, run, cost_share=1 / len(run.skills))
    return totals


def totals_by_model(runs: Iterable[AgentRun]) -> dict[AverageKey, dict[int, DayTotals]]:
    """Return by (model, provider) and by day the totals of the runs whose main model is known."""
    totals: dict[AverageKey, dict[int, DayTotals]] = {}
    for run in runs:
        if run.model is not None:
            _add(totals, AverageKey(None, run.model, run.provider), run, cost_share=1.0)
    return totals


def averages(
    totals: dict[AverageKey, dict[int, DayTotals]], today: int
) -> dict[AverageKey, Average]:
    """Return the averages of each key that had a run in the 14 days."""
    found = {key: average(days.values(), today) for key, days in totals.items()}
    return {key: value for key, value in found.items() if value.runs}


def _add(
    totals: dict[AverageKey, dict[int, DayTotals]],
    key: AverageKey,
    run: AgentRun,
    cost_share: float,
) -> None:
    days = totals.setdefault(key, {})
    one = DayTotals(
        day=run.day,
        runs=1,
        succeeded=int(run.succeeded),
        timed_runs=int(run.duration_s is not None),
        duration_s=run.duration_s or 0.0,
        priced_runs=int(run.cost_usd is not None),
        cost_usd=(run.cost_usd or 0.0) * cost_share,
        inexact_runs=int(run.cost_usd is None or run.cost_is_partial),
    )
    days[run.day] = days[run.day] + one if run.day in days else one
