"""What the schedules will cost, job by job and model by model, and what they would cost if they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..domain.budgets import BudgetState, Period
from ..domain.projections import CostEstimate, Horizon, Projection, sum_of_estimates
from ..journal.figures import Dimension
from ..journal.filters import RunFilter
from ..model import Amounts, Budgets, Schedule
from .budgets import (
    figures_for_forecast,
    has_limit_of_a_period,
    read_budget_states,
    spent_in,
)
from .jobs import JobFigures, job_figures
from .known_jobs import KnownJob
from .profiles import Profiles
from .run_figures import JobKey, WindowSums, groups_by_job
from .summary import all_jobs
from .windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Changes that were not made."""

    schedules: Mapping[JobKey, Schedule] = field(default_factory=dict)
    """Another schedule for these jobs; one that is paused would run again."""
    skipped: frozenset[JobKey] = frozenset()
    """Jobs that would not run."""

    @property
    def changes_nothing(self) -> bool:
        return not self.schedules and not self.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForecast:
    """One job that will run again, or that would be skipped."""

    job: JobFigures
    month_usd: CostEstimate
    """This calendar month: what its runs cost so far, and what the rest of its schedule will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelForecast:
    """A model's part in what the jobs will cost, as it was in what they did cost. None is an unknown name."""

    model: str | None
    provider: str | None
    outlook: Mapping[Horizon, CostEstimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    jobs: tuple[JobForecast, ...]
    """The most expensive first."""
    together: Projection
    """Of all jobs that match."""
    month_usd: CostEstimate
    models: tuple[ModelForecast, ...]
    budgets: tuple[tuple[str, BudgetState], ...]
    """Each with its profile. Of all jobs, whatever the filter."""

    @property
    def is_over_budget(self) -> bool:
        """Whether a budget is exceeded, or is expected to be."""
        return any(state.over or state.forecast_over for _, state in self.budgets)


def read_forecast(
    profiles: Profiles,
    known: Sequence[KnownJob],
    wanted: RunFilter,
    window: Window,
    now_ns: int,
    *,
    budgets: Mapping[str, Budgets],
    what_if: WhatIf | None = None,
) -> Forecast:
    """Return the forecast for the jobs that match, from what their runs in the window cost.

    `known` are all jobs of the profiles, and `budgets` are the limits by profile.
    """
    what_if = what_if or WhatIf()
    jobs = [_changed(job, what_if) for job in known]
    sums = WindowSums(now=groups_by_job(profiles, wanted, window), prior=None)
    figures = job_figures(profiles, wanted, window, now_ns, jobs=jobs, sums=sums, percentiles=False)
    everything = figures
    if wanted != RunFilter() and any(map(has_limit_of_a_period, budgets.values())):
        everything = figures_for_forecast(profiles, RunFilter(), now_ns, window=window, jobs=jobs)
    spent = {
        (profile.name, job_id): amounts
        for profile in profiles
        for job_id, amounts in spent_in(profile, Period.MONTH, now_ns, wanted).items()
    }
    shown = [_job_forecast(job, spent) for job in figures if _is_shown(job, what_if)]
    return Forecast(
        jobs=tuple(sorted(shown, key=_by_cost)),
        together=all_jobs(
            profiles, window, now_ns, figures, _without(sums, what_if.skipped)
        ).projection,
        # Also of jobs that ran in this month and not in the window, or are gone.
        month_usd=_month(Amounts.sum(spent.values()), figures),
        models=tuple(_models(profiles, figures, window, wanted)),
        budgets=tuple(
            (profile.name, state)
            for profile in profiles
            for state in read_budget_states(
                profile,
                budgets.get(profile.name, Budgets()),
                now_ns,
                jobs=[job for job in everything if job.profile == profile.name],
            )
        ),
    )


def _changed(job: KnownJob, what_if: WhatIf) -> KnownJob:
    key = (job.profile, job.job_id)
    if job.current is None:
        return job
    if key in what_if.skipped:
        return replace(job, current=replace(job.current, enabled=False))
    schedule = what_if.schedules.get(key)
    if schedule is None:
        return job
    changed = replace(job.current, schedule=schedule, enabled=True, next_run_ns=None)
    return replace(job, current=changed)


def _without(sums: WindowSums, skipped: frozenset[JobKey]) -> WindowSums:
    return sums._replace(now={key: of for key, of in sums.now.items() if key not in skipped})


def _is_shown(job: JobFigures, what_if: WhatIf) -> bool:
    is_scheduled = any(part.scheduled_runs for part in job.projection.outlook.values())
    return is_scheduled or (job.profile, job.job_id) in what_if.skipped


def _by_cost(job: JobForecast) -> tuple[float, str]:
    usd = job.job.projection.outlook[Horizon.DAYS_30].nominal.usd
    return (-1.0 if usd is None else -usd, job.job.name.casefold())


def _job_forecast(job: JobFigures, spent: Mapping[JobKey, Amounts]) -> JobForecast:
    so_far = spent.get((job.profile, job.job_id), Amounts())
    return JobForecast(job=job, month_usd=_month(so_far, [job]))


def _month(so_far: Amounts, jobs: Sequence[JobFigures]) -> CostEstimate:
    """Return what was spent in this month and what the rest of the jobs' schedules will cost."""
    usd = so_far.known_cost_usd
    spent = CostEstimate(
        usd=usd, low_usd=usd, high_usd=usd, is_lower_bound=so_far.cost_is_lower_bound
    )
    rest = (job.projection.outlook[Horizon.MONTH].nominal for job in jobs)
    return sum_of_estimates([spent, *rest])


def _models(
    profiles: Profiles, jobs: Sequence[JobFigures], window: Window, wanted: RunFilter
) -> list[ModelForecast]:
    """Return what each model's part will be: a job's cost is split as its known cost was in the window."""
    shares = _shares(profiles, window, wanted)
    parts: dict[tuple[str, str], dict[Horizon, list[CostEstimate]]] = {}
    for job in jobs:
        for model, share in shares.get((job.profile, job.job_id), {}).items():
            for horizon, outlook in job.projection.outlook.items():
                of_model = parts.setdefault(model, {}).setdefault(horizon, [])
                of_model.append(_part(outlook.nominal, share))
    found = [
        ModelForecast(
            model=model or None,
            provider=provider or None,
            outlook={horizon: sum_of_estimates(each) for horizon, each in by_horizon.items()},
        )
        for (model, provider), by_horizon in parts.items()
    ]
    return sorted(found, key=lambda each: -(each.outlook[Horizon.DAYS_30].usd or 0.0))


def _shares(
    profiles: Profiles, window: Window, wanted: RunFilter
) -> dict[JobKey, dict[tuple[str, str], float]]:
    """Return by job which part of its known cost each model and provider had."""
    costs: dict[JobKey, dict[tuple[str, str], float]] = {}
    for profile, journal in profiles:
        usage = journal.figures.usage(
            window.for_usage(wanted).of_runs(wanted),
            by=[Dimension.JOB, Dimension.MODEL, Dimension.PROVIDER],
        )
        for (job_id, model, provider), amounts in usage.items():
            if amounts.cost_usd:
                costs.setdefault((profile, job_id), {})[model, provider] = amounts.cost_usd
    return {job: _normalized(of_models) for job, of_models in costs.items()}


def _normalized(costs: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    total = sum(costs.values())
    return {model: cost_usd / total for model, cost_usd in costs.items()}


def _part(estimate: CostEstimate, share: float) -> CostEstimate:
    low, usd, high = (
        None if part is None else part * share
        for part in (estimate.low_usd, estimate.usd, estimate.high_usd)
    )
    return replace(estimate, low_usd=low, usd=usd, high_usd=high)
