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
from ..domain.projections import CostSample, sum_of_estimates
from ..journal.filters import RunFilter
from ..model import Budgets
from .jobs import JobFigures, job_figures
from .profiles import Profile
from .run_figures import groups_by_job, samples_of
from .windows import Window

FORECAST_DAYS = 30
"""What a run costs is the mean of so many days, unless a view asks for others."""

_NO_RUNS = CostSample()


def spent_in(profile: Profile, period: Period, now_ns: int) -> dict[str, CostSample]:
    """Return by job id what the runs cost that ended in the current day or month."""
    start_ns = period_start_ns(period, now_ns, profile.journal.figures.zone)
    groups = groups_by_job([profile], RunFilter(), Window.of(now_ns, since_ns=start_ns))
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
        window = Window.of_days(FORECAST_DAYS, now_ns)
        jobs = job_figures([profile], RunFilter(), window, now_ns, percentiles=False)
    spent = {period: spent_in(profile, period, now_ns) for period in periods}
    return budget_states(
        budgets,
        home={
            period: Spending(
                so_far=sum(by_job.values(), _NO_RUNS),
                rest=sum_of_estimates(
                    job.projection.outlook[period.horizon].nominal for job in jobs
                ),
            )
            for period, by_job in spent.items()
        },
        jobs=[_of_job(job, spent) for job in jobs],
    )


def _of_job(job: JobFigures, spent: Mapping[Period, Mapping[str, CostSample]]) -> JobSpending:
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


def _limited_periods(budgets: Budgets) -> list[Period]:
    limits = [budgets.home, *budgets.jobs.values()]
    found = []
    if any(budget.day is not None for budget in limits):
        found.append(Period.DAY)
    if any(budget.month is not None for budget in limits):
        found.append(Period.MONTH)
    return found
