"""How each budget stands: what is used, and what the forecast adds. Views, notices and gauges ask here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..domain.budgets import (
    BudgetState,
    JobSpending,
    Period,
    Spending,
    budget_states,
    period_start_ns,
)
from ..domain.projections import CostEstimate, sum_of_estimates
from ..journal.facts import CURRENT_JOBS
from ..journal.filters import RunFilter
from ..model import Amounts, Budgets
from .jobs import JobFigures, job_figures
from .known_jobs import KnownJob
from .profiles import Profile, Profiles
from .run_figures import WindowSums, groups_by_job, samples_of
from .windows import Window, in_whole_days

FORECAST_DAYS = 30
"""What a run costs is the mean of so many days, unless a view asks for others."""

_NO_RUNS = Amounts()


def spent_in(
    profile: Profile, period: Period, now_ns: int, wanted: RunFilter | None = None
) -> dict[str, Amounts]:
    """Return by job id what the runs cost that match and ended in the current day or month."""
    start_ns = period_start_ns(period, now_ns, profile.journal.figures.zone)
    groups = groups_by_job([profile], wanted or RunFilter(), Window.of(now_ns, since_ns=start_ns))
    return {job_id: samples_of(of_job).spent for (_, job_id), of_job in groups.items()}


def read_budget_states(
    profile: Profile, budgets: Budgets, now_ns: int, *, jobs: Sequence[JobFigures] | None = None
) -> list[BudgetState]:
    """Return the state of each limit per day or month: the home's, then each job's that has its own.

    `jobs` are the figures of all jobs of the profile, if they were read before. Without a limit nothing
    is read.
    """
    periods = _limited_periods(budgets)
    if not periods:
        return []
    if jobs is None:
        jobs = figures_for_forecast([profile], RunFilter(), now_ns)
    spent = {period: spent_in(profile, period, now_ns) for period in periods}
    return budget_states(
        budgets,
        home={
            period: Spending(
                so_far=Amounts.sum(by_job.values()),
                rest=sum_of_estimates(
                    job.projection.outlook[period.horizon].nominal for job in jobs
                ),
            )
            for period, by_job in spent.items()
        },
        jobs=[_of_job(job, spent) for job in jobs],
    )


def exceeded_budgets(profile: Profile, budgets: Budgets, now_ns: int) -> list[BudgetState]:
    """Return the limits per day or month that are exceeded already, of the home and of the jobs that it has
    now. Their forecasts are not computed, and unknown."""
    spent = {period: spent_in(profile, period, now_ns) for period in _limited_periods(budgets)}
    states = budget_states(
        budgets,
        home={period: _so_far(Amounts.sum(of.values())) for period, of in spent.items()},
        jobs=[
            JobSpending(
                job_id=job.job_id,
                job_name=job.name,
                by_period={
                    period: _so_far(of.get(job.job_id, _NO_RUNS)) for period, of in spent.items()
                },
            )
            for job in profile.journal.facts.get(CURRENT_JOBS)
        ],
    )
    return [state for state in states if state.over]


def _so_far(spent: Amounts) -> Spending:
    return Spending(so_far=spent, rest=CostEstimate(usd=None))


def figures_for_forecast(
    profiles: Profiles,
    wanted: RunFilter,
    now_ns: int,
    *,
    window: Window | None = None,
    jobs: Sequence[KnownJob] | None = None,
) -> list[JobFigures]:
    """Return the figures of each job without percentiles and without the window before."""
    window = window or in_whole_days(Window.of_days(FORECAST_DAYS, now_ns), profiles)
    sums = WindowSums(now=groups_by_job(profiles, wanted, window), prior=None)
    return job_figures(profiles, wanted, window, now_ns, jobs=jobs, sums=sums, percentiles=False)


def _of_job(job: JobFigures, spent: Mapping[Period, Mapping[str, Amounts]]) -> JobSpending:
    return JobSpending(
        job_id=job.job_id,
        job_name=job.name,
        by_period={
            period: Spending(
                so_far=by_job.get(job.job_id, _NO_RUNS),
                rest=job.projection.outlook[period.horizon].nominal,
            )
            for period, by_job in spent.items()
        },
    )


def has_limit_of_a_period(budgets: Budgets) -> bool:
    """Return whether there is any limit per day or month."""
    return bool(_limited_periods(budgets))


def _limited_periods(budgets: Budgets) -> list[Period]:
    limits = [budgets.home, *budgets.jobs.values()]
    found = []
    if any(budget.day is not None for budget in limits):
        found.append(Period.DAY)
    if any(budget.month is not None for budget in limits):
        found.append(Period.MONTH)
    return found
