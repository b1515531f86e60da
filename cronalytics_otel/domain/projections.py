"""What a job costs and will cost: projections from its schedule and from sums over its runs.

Every formula is explained in docs/projections.md. The functions take sums, not runs: over a million
runs the sums come from SQL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum

from ..model import Amounts
from ..model.times import NS, ns_of, to_datetime

DAY_S = 86_400.0

MIN_OBSERVED_S = DAY_S
"""A job younger than a day is taken for a day old: a first run a minute ago is no thousand runs a day."""

RANGE_Z = 1.96
"""Standard deviations on each side of an estimate: 95 % of a normal distribution."""


class Horizon(StrEnum):
    """How far a projection looks ahead."""

    DAYS_30 = "30d"
    DAYS_90 = "90d"
    DAYS_365 = "365d"
    DAY = "day"
    """The rest of today in the home's time zone."""
    MONTH = "month"
    """The rest of this calendar month in the home's time zone."""


_DAYS = {Horizon.DAYS_30: 30, Horizon.DAYS_90: 90, Horizon.DAYS_365: 365}


def horizon_ends(now_ns: int, zone: tzinfo) -> dict[Horizon, int]:
    """Return the end of each horizon in epoch ns. A day is 86,400 s; today and this month end at midnight."""
    today = to_datetime(now_ns, zone).date()
    next_month = (today.replace(day=1) + timedelta(32)).replace(day=1)
    midnights = {Horizon.DAY: today + timedelta(1), Horizon.MONTH: next_month}
    ends = {horizon: now_ns + round(days * DAY_S) * NS for horizon, days in _DAYS.items()}
    for horizon, day in midnights.items():
        ends[horizon] = ns_of(datetime.combine(day, time(), zone))
    return ends


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """A projected cost with its range; each is None where the sample is too small to give it."""

    usd: float | None
    low_usd: float | None = None
    high_usd: float | None = None
    is_lower_bound: bool = False
    """Whether costs that are not known, or known in part, are missing from it."""


NOTHING = CostEstimate(usd=0.0, low_usd=0.0, high_usd=0.0)


def expected_cost(sample: Amounts, runs: float, *, is_lower_bound: bool) -> CostEstimate:
    """Return what `runs` further runs like those of the sample cost, with a 95 % range.

    The mean times the runs, ± 1.96 · sd · √(n + n² ÷ k): the spread of a sum of n runs, and the
    uncertainty of a mean of k runs. The range is never below 0; there is none with fewer than two
    priced runs. No runs cost nothing, whatever is known.
    """
    if not runs:
        return NOTHING
    mean_usd, deviation_usd = sample.mean_cost_usd, sample.cost_deviation_usd
    if mean_usd is None:
        return CostEstimate(usd=None, is_lower_bound=is_lower_bound)
    usd = mean_usd * runs
    if deviation_usd is None:
        return CostEstimate(usd=usd, is_lower_bound=is_lower_bound)
    margin = RANGE_Z * deviation_usd * math.sqrt(runs + runs**2 / sample.priced_runs)
    return CostEstimate(
        usd=usd,
        low_usd=max(0.0, usd - margin),
        high_usd=usd + margin,
        is_lower_bound=is_lower_bound,
    )


def sum_of_estimates(parts: Iterable[CostEstimate]) -> CostEstimate:
    """Return the estimate for several jobs together, whose costs vary independently.

    A part without a known cost is left out, and makes the sum a lower bound. There is a range only if
    every part that is counted has one: its margin is the root of the sum of the squared margins.
    """
    parts = tuple(parts)
    known = [(part, part.usd) for part in parts if part.usd is not None]
    if parts and not known:
        return CostEstimate(usd=None, is_lower_bound=True)
    usd = sum(cost_usd for _, cost_usd in known)
    is_lower_bound = len(known) < len(parts) or any(part.is_lower_bound for part in parts)
    margins = [part.high_usd - usd for part, usd in known if part.high_usd is not None]
    if len(margins) < len(known):
        return CostEstimate(usd=usd, is_lower_bound=is_lower_bound)
    margin = math.hypot(*margins)
    return CostEstimate(
        usd=usd,
        low_usd=max(0.0, usd - margin),
        high_usd=usd + margin,
        is_lower_bound=is_lower_bound,
    )


def observed_since_ns(from_ns: int | None, to_ns: int, *, known_since_ns: int | None) -> int | None:
    """Return from when on a job, or all of them together, was observed in the window [from, to); None if
    it never was. `from_ns` None is a window without a beginning."""
    starts = [ns for ns in (from_ns, known_since_ns) if ns is not None]
    return None if not starts or max(starts) > to_ns else max(starts)


def observed_s(from_ns: int | None, to_ns: int, *, known_since_ns: int | None) -> float | None:
    """Return for how long that was, from `observed_since_ns()` on; None if it never was.

    It is at least `MIN_OBSERVED_S`, or all of a shorter window.
    """
    since_ns = observed_since_ns(from_ns, to_ns, known_since_ns=known_since_ns)
    if since_ns is None:
        return None
    shortest = MIN_OBSERVED_S if from_ns is None else min(MIN_OBSERVED_S, (to_ns - from_ns) / NS)
    return max((to_ns - since_ns) / NS, shortest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is projected for one horizon."""

    scheduled_runs: int
    nominal: CostEstimate
    """The mean cost of a scheduled run, times the runs that are scheduled."""
    trend: CostEstimate
    """What the window cost, carried on over the horizon, manual runs included."""

    @property
    def pace(self) -> float | None:
        """Trend ÷ nominal; None if either is unknown or nothing is scheduled."""
        if self.trend.usd is None or not self.nominal.usd:
            return None
        return self.trend.usd / self.nominal.usd

    @property
    def pace_is_lower_bound(self) -> bool:
        """Whether the pace is at least so high: the trend is a lower bound, and the nominal cost is not."""
        known = self.pace is not None
        return known and self.trend.is_lower_bound and not self.nominal.is_lower_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Where a job, or all of them together, is heading. None is unknown, or has no meaning."""

    outlook: Mapping[Horizon, Outlook]
    adherence: float | None
    """Scheduled runs ÷ expected occurrences in the observed window; manual runs do not count."""
    cost_usd: float | None
    """Of all runs in the window, as far as it is known."""
    mean_cost_usd: float | None
    """Of a scheduled run."""
    wasted_usd: float | None
    """The known cost of the runs that did not succeed."""
    runs: int
    unpriced_runs: int
    partial_runs: int

    @property
    def pace(self) -> float | None:
        """For the next 30 days: at 1 the cost is as planned, at 2 it is twice what the schedule explains."""
        return self.outlook[Horizon.DAYS_30].pace

    @property
    def pace_is_lower_bound(self) -> bool:
        """Whether it costs at least so much more than the schedule explains."""
        return self.outlook[Horizon.DAYS_30].pace_is_lower_bound


def project(
    *,
    spent: Amounts,
    scheduled: Amounts,
    failed: Amounts,
    observed_s: float | None,
    expected_runs: int | None,
    upcoming: Mapping[Horizon, int],
    goes_on: bool,
    calls_model: bool,
    now_ns: int,
    ends_ns: Mapping[Horizon, int],
) -> Projection:
    """Project one job.

    Args:
        spent: all runs of the window, manual ones included. A missed run does not count as a run.
        scheduled: those that the schedule started (triggers `schedule` and `catch_up`).
        failed: those that did not succeed (`Run.failed`).
        observed_s: `observed_s()` of the window.
        expected_runs: `expected_occurrences()` in the window; None if unknown.
        upcoming: `scheduled_runs()` by horizon.
        goes_on: `goes_on()` of the job; what was spent on one that ends is no trend.
        calls_model: whether its runs can cost anything; a script's cannot, also before its first run.
        now_ns: from when the horizons count.
        ends_ns: `horizon_ends()`.
    """
    outlook = {
        horizon: Outlook(
            scheduled_runs=runs,
            nominal=expected_cost(scheduled, runs, is_lower_bound=scheduled.partial_runs > 0)
            if calls_model
            else NOTHING,
            trend=_trend(
                spent, observed_s, (ends_ns[horizon] - now_ns) / NS, calls_model=calls_model
            )
            if goes_on
            else CostEstimate(usd=None),
        )
        for horizon, runs in upcoming.items()
    }
    kept = adherence(scheduled.runs, expected_runs)
    return _projection(outlook, spent, scheduled, failed, kept)


def project_all(
    jobs: Iterable[Projection],
    *,
    ended: Amounts,
    spent: Amounts,
    scheduled: Amounts,
    failed: Amounts,
    observed_s: float | None,
    adherence: float | None,
    now_ns: int,
    ends_ns: Mapping[Horizon, int],
) -> Projection:
    """Project jobs together, from the projection of each and the sums over the runs of all.

    Both costs are the sums of the jobs'. The trend includes what jobs without a trend cost, which are
    those that have ended: one-shots come and go, and others will follow. `ended` is what their runs took
    in the window, and `observed_s` is how much of it the home was observed.
    """
    parts = [job.outlook for job in jobs]
    outlook = {}
    for horizon, end_ns in ends_ns.items():
        of_jobs = [part[horizon] for part in parts if horizon in part]
        outlook[horizon] = Outlook(
            scheduled_runs=sum(part.scheduled_runs for part in of_jobs),
            nominal=sum_of_estimates(part.nominal for part in of_jobs),
            trend=_trend_of_all(
                [part.trend for part in of_jobs],
                trend_cost(ended, observed_s, (end_ns - now_ns) / NS),
            ),
        )
    return _projection(outlook, spent, scheduled, failed, adherence)


def _trend_of_all(of_jobs: Iterable[CostEstimate], of_ended: CostEstimate) -> CostEstimate:
    unknown = CostEstimate(usd=None)
    parts = [part for part in (*of_jobs, of_ended) if part != unknown]
    return sum_of_estimates(parts) if parts else unknown


def _projection(
    outlook: Mapping[Horizon, Outlook],
    spent: Amounts,
    scheduled: Amounts,
    failed: Amounts,
    adherence: float | None,
) -> Projection:
    return Projection(
        outlook=outlook,
        adherence=adherence,
        cost_usd=spent.known_cost_usd,
        mean_cost_usd=scheduled.mean_cost_usd,
        wasted_usd=failed.known_cost_usd,
        runs=spent.runs,
        unpriced_runs=spent.unpriced_runs,
        partial_runs=spent.partial_runs,
    )


def adherence(scheduled_runs: int, expected_runs: int | None) -> float | None:
    """Return scheduled ÷ expected runs; None if none was expected, or that is unknown."""
    return scheduled_runs / expected_runs if expected_runs else None


def trend_cost(spent: Amounts, observed_s: float | None, horizon_s: float) -> CostEstimate:
    """Return the cost of the window, divided by its observed length, times the horizon's.

    None without runs in the window: nothing is known of how it goes on.
    """
    if not observed_s or not spent.runs:
        return CostEstimate(usd=None)
    runs = spent.priced_runs / observed_s * horizon_s
    if not spent.priced_runs:
        return CostEstimate(usd=None, is_lower_bound=True)
    return expected_cost(spent, runs, is_lower_bound=spent.cost_is_lower_bound)


def _trend(
    spent: Amounts, observed_s: float | None, horizon_s: float, *, calls_model: bool
) -> CostEstimate:
    """Return the trend of one job. A script that has not run goes on to cost nothing."""
    return trend_cost(spent, observed_s, horizon_s) if calls_model or spent.runs else NOTHING


def change_against(
    value: float | None, prior: float | None, *, is_comparable: bool = True
) -> float | None:
    """Return by which part a figure changed against the window before: 0.5 is half as much again.

    None if either is unknown, the prior is 0, or the two windows cannot be compared (see
    `is_comparable`).
    """
    if value is None or not prior or not is_comparable:
        return None
    return (value - prior) / prior


def is_comparable(prior_from_ns: int, known_since_ns: int | None) -> bool:
    """Return whether the prior window was observed as wholly as this one: the job, or for all jobs
    together the history, was there when it began."""
    return known_since_ns is not None and known_since_ns <= prior_from_ns
