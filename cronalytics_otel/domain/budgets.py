"""What was spent of each budget, what the forecast says of it, and which run exceeds its limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from enum import StrEnum

from ..model import Amounts, Budget, Budgets, Run
from ..model.times import ns_of, to_datetime
from .projections import CostEstimate, Horizon


class Scope(StrEnum):
    """Whose spending is limited (`hermes.cron.budget.scope`)."""

    ALL = "all"
    """All jobs of the home."""
    JOB = "job"


class Period(StrEnum):
    """The time in which it is limited (`hermes.cron.budget.period`)."""

    DAY = "day"
    MONTH = "month"

    @property
    def horizon(self) -> Horizon:
        """The rest of the period: what a forecast has to add to what is spent."""
        return Horizon.DAY if self is Period.DAY else Horizon.MONTH

    @property
    def now(self) -> str:
        """The current one, in a sentence."""
        return "today" if self is Period.DAY else "this month"


def period_start_ns(period: Period, now_ns: int, zone: tzinfo) -> int:
    """Return the midnight at which the day or the month of `now` began, in epoch ns."""
    today = to_datetime(now_ns, zone).date()
    first = today if period is Period.DAY else today.replace(day=1)
    return ns_of(datetime.combine(first, time(), zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What was spent in the current period so far, and what is expected in the rest of it."""

    so_far: Amounts
    rest: CostEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpending:
    """The spending of one job, by period."""

    job_id: str
    job_name: str
    by_period: dict[Period, Spending]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How one budget stands. None is unknown."""

    scope: Scope
    period: Period
    limit_usd: float
    job_id: str | None
    """None for the scope `all`."""
    job_name: str | None
    used_usd: float | None
    """The known cost of the period's runs so far."""
    forecast_usd: float | None
    """That, and what the rest of the period is expected to cost."""
    over: bool | None
    """Whether more than the limit is spent; None if the known cost is not more, but some is unknown."""
    forecast_over: bool | None
    """The same of the forecast."""

    @property
    def used_share(self) -> float | None:
        return None if self.used_usd is None else self.used_usd / self.limit_usd

    @property
    def forecast_share(self) -> float | None:
        return None if self.forecast_usd is None else self.forecast_usd / self.limit_usd


def budget_states(
    budgets: Budgets, *, home: dict[Period, Spending], jobs: Iterable[JobSpending]
) -> list[BudgetState]:
    """Return the state of each limit per day or month: the home's, then each job's that has its own."""
    states = list(_states(Scope.ALL, budgets.home, home, None, None))
    for job in jobs:
        own = budgets.of_job(job.job_id, job.job_name)
        states += _states(Scope.JOB, own, job.by_period, job.job_id, job.job_name)
    return states


def _states(
    scope: Scope,
    budget: Budget,
    spending: dict[Period, Spending],
    job_id: str | None,
    job_name: str | None,
) -> Iterable[BudgetState]:
    for period, limit_usd in ((Period.DAY, budget.day), (Period.MONTH, budget.month)):
        if limit_usd is None or period not in spending:
            continue
        so_far, rest = spending[period].so_far, spending[period].rest
        used_usd = so_far.known_cost_usd
        known = [usd for usd in (used_usd, rest.usd) if usd is not None]
        forecast_usd = sum(known) if known else None
        is_incomplete = so_far.cost_is_lower_bound or rest.is_lower_bound or len(known) < 2
        yield BudgetState(
            scope=scope,
            period=period,
            limit_usd=limit_usd,
            job_id=job_id,
            job_name=job_name,
            used_usd=used_usd,
            forecast_usd=forecast_usd,
            over=is_over(used_usd, limit_usd, is_lower_bound=so_far.cost_is_lower_bound),
            forecast_over=is_over(forecast_usd, limit_usd, is_lower_bound=is_incomplete),
        )


def is_over(cost_usd: float | None, limit_usd: float, *, is_lower_bound: bool) -> bool | None:
    """Return whether a cost exceeds a limit. A lower bound that does not exceed it leaves that unknown."""
    if cost_usd is not None and cost_usd > limit_usd:
        return True
    return None if cost_usd is None or is_lower_bound else False


def is_over_run_budget(run: Run, limit_usd: float | None) -> bool | None:
    """Return whether a run cost more than a run may; None without a limit, or if that is unknown.

    `limit_usd` is `Budgets.run_limit_usd()`. A run that called no model cost nothing, and is not over.
    """
    if limit_usd is None or run.cost_is_unknown:
        return None
    return is_over(run.known_cost_usd or 0.0, limit_usd, is_lower_bound=run.cost_is_partial)
