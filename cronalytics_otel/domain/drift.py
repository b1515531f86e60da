"""How a job changed against its own past: one window of runs against the window before it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from ..model import Job
from .percentiles import percentile

MIN_VALUES = 5
"""Each of the two windows needs as many values, or nothing is said of a measure."""

MIN_VALUES_P95 = 20
"""The same for the 95th percentile: of fewer values, the 95th percentile is the largest one."""

NOTABLE_SCORE = 0.5
"""From this score on a change is worth showing: half as much again, of a large sample."""

CHANCE_BELOW_ERRORS = 1.96
"""Two failure rates that are fewer standard errors apart may differ by chance: in one of twenty comparisons
they would be farther apart if nothing had changed."""

SURE_AT_ERRORS = 2.5
"""Two failure rates that are so many standard errors apart differ by more than chance: in one of eighty
comparisons alone they would be if nothing had changed."""


class Measure(StrEnum):
    """What is compared."""

    DURATION_P50 = "duration_p50"
    DURATION_P95 = "duration_p95"
    TOKENS = "tokens"
    COST = "cost"
    LATENESS = "lateness"
    FAILURE_RATE = "failure_rate"


FLOORS = {
    Measure.DURATION_P50: 1.0,
    Measure.DURATION_P95: 1.0,
    Measure.TOKENS: 100.0,
    Measure.COST: 0.001,
    Measure.LATENESS: 60.0,
}
"""Smaller values count as this one (seconds, tokens, US dollars): a lateness of 2 s instead of 0.5 s is
no change, because the scheduler looks once a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typical:
    """A typical value of a measure in one window, and how many values it comes from."""

    value: float | None
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSummary:
    """The runs of one job in one window. Missed runs are left out."""

    runs: int
    failed_runs: int
    duration_p50_s: float | None = None
    duration_p95_s: float | None = None
    timed_runs: int = 0
    """Runs whose duration is known."""
    mean_tokens: float | None = None
    counted_runs: int = 0
    """Runs whose tokens are known."""
    mean_cost_usd: float | None = None
    priced_runs: int = 0
    lateness_p50_s: float | None = None
    due_runs: int = 0
    """Runs whose due time is known."""

    def of(self, measure: Measure) -> Typical:
        """Return the window's value of a measure."""
        if measure is Measure.DURATION_P50:
            return Typical(value=self.duration_p50_s, values=self.timed_runs)
        if measure is Measure.DURATION_P95:
            return Typical(value=self.duration_p95_s, values=self.timed_runs)
        if measure is Measure.TOKENS:
            return Typical(value=self.mean_tokens, values=self.counted_runs)
        if measure is Measure.COST:
            return Typical(value=self.mean_cost_usd, values=self.priced_runs)
        if measure is Measure.LATENESS:
            return Typical(value=self.lateness_p50_s, values=self.due_runs)
        rate = self.failed_runs / self.runs if self.runs else None
        return Typical(value=rate, values=self.runs)


def summarize(
    *,
    runs: int,
    failed_runs: int,
    durations_s: Collection[float],
    tokens: Collection[int],
    costs_usd: Collection[float],
    latenesses_s: Collection[float],
) -> WindowSummary:
    """Return the summary of a window from the known values of its runs."""
    return WindowSummary(
        runs=runs,
        failed_runs=failed_runs,
        duration_p50_s=percentile(durations_s, 50),
        duration_p95_s=percentile(durations_s, 95),
        timed_runs=len(durations_s),
        mean_tokens=sum(tokens) / len(tokens) if tokens else None,
        counted_runs=len(tokens),
        mean_cost_usd=math.fsum(costs_usd) / len(costs_usd) if costs_usd else None,
        priced_runs=len(costs_usd),
        lateness_p50_s=percentile(latenesses_s, 50),
        due_runs=len(latenesses_s),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A measure that changed."""

    measure: Measure
    before: float
    now: float
    values_before: int
    values_now: int
    score: float
    """How much it changed: doublings or halvings, less for a small sample. Never negative."""

    @property
    def grew(self) -> bool:
        """Whether it grew, which is worse in every measure."""
        return self.now > self.before


def drift(now: WindowSummary, before: WindowSummary) -> list[Drift]:
    """Return each measure that can be compared, the greatest change first.

    The score is |log2(now ÷ before)| · n ÷ (n + 5), with n the smaller of the two samples. Values below
    a measure's floor count as the floor. Failure rates are compared as (failed + ½) ÷ (runs + 1), so that
    none against some has a ratio. Their score is 0 below `CHANCE_BELOW_ERRORS`, and less than that of another
    measure below `SURE_AT_ERRORS`.
    """
    found = [one for measure in Measure if (one := _drift(measure, now, before)) is not None]
    return sorted(found, key=lambda one: one.score, reverse=True)


def _drift(measure: Measure, now: WindowSummary, before: WindowSummary) -> Drift | None:
    new, old = now.of(measure), before.of(measure)
    values = min(new.values, old.values)
    least = MIN_VALUES_P95 if measure is Measure.DURATION_P95 else MIN_VALUES
    if values < least or new.value is None or old.value is None:
        return None
    certainty = 1.0
    if measure is Measure.FAILURE_RATE:
        certainty = _certainty(_squared_errors(now, before))
        ratio = _smoothed_rate(now) / _smoothed_rate(before)
    else:
        ratio = max(new.value, FLOORS[measure]) / max(old.value, FLOORS[measure])
    return Drift(
        measure=measure,
        before=old.value,
        now=new.value,
        values_before=old.values,
        values_now=new.values,
        score=abs(math.log2(ratio)) * values / (values + MIN_VALUES) * certainty,
    )


def _smoothed_rate(window: WindowSummary) -> float:
    return (window.failed_runs + 0.5) / (window.runs + 1)


def _certainty(squared_errors: float) -> float:
    """Return how much of a failure rate's score counts, from 0 to 1."""
    if squared_errors < CHANCE_BELOW_ERRORS**2:
        return 0.0
    return min(1.0, squared_errors / SURE_AT_ERRORS**2)


def _squared_errors(now: WindowSummary, before: WindowSummary) -> float:
    """Return the square of how many standard errors two failure rates are apart: the test of two proportions."""
    rate = (now.failed_runs + before.failed_runs) / (now.runs + before.runs)
    variance = rate * (1 - rate) * (1 / now.runs + 1 / before.runs)
    if not variance:  # all runs failed, or none did
        return 0.0
    return (now.failed_runs / now.runs - before.failed_runs / before.runs) ** 2 / variance


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionChange:
    """A part of a job's definition that was changed. `before` and `now` are texts to show."""

    at_ns: int
    """When the new definition was first seen."""
    part: str
    """`schedule`, `model`, `provider`, `prompt`, `skills` or `mode`."""
    before: str | None
    now: str | None
    """Of a prompt these are the hashes: its text is never kept."""


def definition_changes(
    history: Sequence[tuple[int, Job]], from_ns: int, to_ns: int
) -> list[DefinitionChange]:
    """Return what changed in a job's definition in (from, to], oldest first.

    `history` is the job's definitions with the time at which each was first seen, oldest first.
    """
    changes = []
    for (_, old), (at_ns, new) in pairwise(history):
        if not from_ns < at_ns <= to_ns:
            continue
        before, now = _parts(old), _parts(new)
        changes += [
            DefinitionChange(at_ns=at_ns, part=part, before=before[part], now=now[part])
            for part in before
            if before[part] != now[part]
        ]
    return changes


def _parts(job: Job) -> dict[str, str | None]:
    return {
        "schedule": None if job.schedule is None else job.schedule.expression,
        "model": job.model,
        "provider": job.provider,
        "prompt": job.prompt_hash,
        "skills": ", ".join(job.skills) or None,
        "mode": job.mode.value,
    }
