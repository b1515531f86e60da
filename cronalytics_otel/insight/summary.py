"""All jobs at a glance: totals with their changes, the leaders, and the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..domain.job_state import JobState
from ..domain.projections import (
    Horizon,
    Projection,
    adherence,
    horizon_ends,
    observed_s,
    project_all,
)
from ..journal.filters import RunFilter
from ..model import Amounts, Outcome, Trigger
from .jobs import JobFigures, job_figures
from .known_jobs import KnownJob
from .models import ModelFigures, model_figures, share
from .profiles import Profiles, known_since_ns
from .run_figures import (
    Changes,
    Group,
    Groups,
    RunFigures,
    WindowSums,
    changes,
    figures_of,
    samples_of,
    window_sums,
)
from .windows import Window

MAX_LEADERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A job that leads in something."""

    profile: str
    job_id: str
    name: str
    value: float
    is_lower_bound: bool
    """Whether some of its cost is unknown."""
    share: float | None
    """Of the total of all jobs that match; None for a pace, which does not add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaders:
    """The jobs with the most of each, at most five, the first one first."""

    runs: tuple[Leader, ...]
    cost_usd: tuple[Leader, ...]
    tokens: tuple[Leader, ...]
    pace: tuple[Leader, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllJobs:
    """The figures of all jobs together."""

    figures: RunFigures
    prior: RunFigures | None
    changes: Changes
    observed_s: float | None
    """For how much of the window anything was there to run."""
    expected_runs: int | None
    """The sum over the jobs of which it is known; None if it is known of none."""
    scheduled_runs: int
    """Scheduled runs of the jobs of which it is known that some were expected: what adherence is about."""
    projection: Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    window: Window
    together: AllJobs
    states: dict[JobState, int]
    """How many jobs there are in each state. Deleted jobs count only with a run in the window."""
    jobs: tuple[JobFigures, ...]
    leaders: Leaders
    models: tuple[ModelFigures, ...]
    models_are_of_runs: bool = False
    """Whether the models' figures need the runs themselves, so that they are of kept runs alone."""


def summarize(
    profiles: Profiles,
    wanted: RunFilter,
    window: Window,
    now_ns: int,
    *,
    jobs: Sequence[KnownJob] | None = None,
) -> Summary:
    """Return the summary of the runs that match. Its jobs have no percentiles."""
    sums = window_sums(profiles, wanted, window)
    figures = job_figures(profiles, wanted, window, now_ns, jobs=jobs, sums=sums, percentiles=False)
    states: dict[JobState, int] = {}
    for job in figures:
        states[job.state] = states.get(job.state, 0) + 1
    return Summary(
        window=window,
        together=all_jobs(profiles, window, now_ns, figures, sums),
        states=states,
        jobs=tuple(figures),
        leaders=leaders(figures),
        models=tuple(
            model_figures(profiles, wanted, window, known_since_ns=known_since_ns(profiles))
        ),
        models_are_of_runs=window.for_usage(wanted) is not window,
    )


def all_jobs(
    profiles: Profiles,
    window: Window,
    now_ns: int,
    jobs: Sequence[JobFigures],
    sums: WindowSums,
) -> AllJobs:
    """Return the figures of all jobs together, from those of each job and the sums they come from."""
    groups = _together(sums.now)
    figures = figures_of(groups)
    # The prior window also has the runs of jobs that have none in this window.
    before = None if sums.prior is None else figures_of(_together(sums.prior))
    since_ns = known_since_ns(profiles)
    seen_s = observed_s(window.since_ns, window.until_ns, known_since_ns=since_ns)
    expected_runs = [job.expected_runs for job in jobs if job.expected_runs is not None]
    expected = sum(expected_runs) if expected_runs else None
    on_schedule = sum(job.figures.scheduled_runs for job in jobs if job.expected_runs)
    samples = samples_of(groups)
    return AllJobs(
        figures=figures,
        prior=before,
        changes=changes(
            figures, before, is_comparable=window.prior_was_observed(known_since_ns=since_ns)
        ),
        observed_s=seen_s,
        expected_runs=expected,
        scheduled_runs=on_schedule,
        projection=project_all(
            (job.projection for job in jobs),
            ended=samples_of(_without_trend(jobs, sums.now)).spent,
            spent=samples.spent,
            scheduled=samples.scheduled,
            failed=samples.failed,
            observed_s=seen_s,
            adherence=adherence(on_schedule, expected),
            now_ns=now_ns,
            # The horizons that end at midnight do so in the zone of the first home.
            ends_ns=horizon_ends(now_ns, profiles[0].journal.figures.zone),
        ),
    )


def _without_trend(jobs: Sequence[JobFigures], groups: Groups) -> list[Group]:
    """Return the sums of the jobs that have no trend of their own."""
    with_trend = {
        (job.profile, job.job_id)
        for job in jobs
        if job.projection.outlook[Horizon.DAYS_30].trend.usd is not None
    }
    return [group for key, of_job in groups.items() if key not in with_trend for group in of_job]


def _together(groups: Groups) -> list[Group]:
    """Return the sums over the jobs: one group for each outcome and trigger."""
    parts: dict[tuple[Outcome, Trigger | None], list[Amounts]] = {}
    for of_job in groups.values():
        for group in of_job:
            parts.setdefault((group.outcome, group.trigger), []).append(group.amounts)
    return [Group(*key, Amounts.sum(amounts)) for key, amounts in parts.items()]


def leaders(jobs: Sequence[JobFigures]) -> Leaders:
    """Return the jobs with the most runs, cost, tokens and pace; a job with nothing leads in nothing."""

    def top(
        value: Callable[[JobFigures], float | None],
        *,
        is_lower_bound: Callable[[JobFigures], bool] = lambda _: False,
        adds_up: bool = True,
    ) -> tuple[Leader, ...]:
        known = [(job, number) for job in jobs if (number := value(job))]
        total = sum(number for _, number in known)
        known.sort(key=lambda pair: (-pair[1], pair[0].name, pair[0].job_id))
        return tuple(
            Leader(
                profile=job.profile,
                job_id=job.job_id,
                name=job.name,
                value=number,
                is_lower_bound=is_lower_bound(job),
                share=share(number, total) if adds_up else None,
            )
            for job, number in known[:MAX_LEADERS]
        )

    return Leaders(
        runs=top(lambda job: job.figures.runs),
        cost_usd=top(
            lambda job: job.figures.cost_usd,
            is_lower_bound=lambda job: job.figures.cost_is_lower_bound,
        ),
        tokens=top(lambda job: job.figures.tokens),
        pace=top(
            lambda job: job.pace,
            is_lower_bound=lambda job: job.projection.pace_is_lower_bound,
            adds_up=False,
        ),
    )
