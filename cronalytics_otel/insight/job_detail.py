"""One job in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.drift import DefinitionChange, Drift, WindowSummary, definition_changes, drift
from ..domain.drift import summarize as summarize_window
from ..journal.filters import RunFilter
from ..journal.job_runs import ErrorClass
from ..model import FAILED_OUTCOMES
from ..model.times import NS
from .averages import SkillFigures, skill_figures
from .jobs import JobFigures, job_figures
from .known_jobs import KnownJob
from .models import ModelFigures, model_figures
from .profiles import Profile
from .trends import DayFigures, daily_figures
from .windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetail:
    """All that is known of one job. Drift and errors are of the window's last 90 days at most."""

    figures: JobFigures
    known: KnownJob
    window: Window
    days: tuple[DayFigures, ...]
    """The figures of each day, oldest first."""
    drift: tuple[Drift, ...]
    """Against the window before, the greatest change first."""
    definition_changes: tuple[DefinitionChange, ...]
    """In both windows, oldest first."""
    errors: tuple[ErrorClass, ...]
    models: tuple[ModelFigures, ...]
    skills: tuple[SkillFigures, ...]
    """Of the last 14 days."""


def job_detail(
    profile: Profile, job: KnownJob, wanted: RunFilter, window: Window, now_ns: int
) -> JobDetail:
    """Return all that is known of the job. The jobs of the filter are not looked at."""
    profiles, own = [profile], replace(wanted, jobs=frozenset((job.job_id,)))
    (figures,) = job_figures(profiles, own, window, now_ns, jobs=[job], all_jobs=True)
    recent = window.for_percentiles
    changed_since_ns = recent.since_ns if recent.prior is None else recent.prior.since_ns
    return JobDetail(
        figures=figures,
        known=job,
        window=window,
        days=tuple(daily_figures(profiles, own, window)),
        drift=tuple(_drift(profile, own, recent)),
        definition_changes=tuple(
            definition_changes(job.definitions, changed_since_ns or 0, window.until_ns)
        ),
        errors=tuple(profile.journal.job_runs.errors(recent.of_runs(own))),
        models=tuple(model_figures(profiles, own, window)),
        skills=tuple(skill_figures(profiles, own, now_ns)),
    )


def _drift(profile: Profile, own: RunFilter, window: Window) -> Sequence[Drift]:
    prior = window.prior
    if prior is None:
        return ()
    return drift(_summary(profile, own, window), _summary(profile, own, prior))


def _summary(profile: Profile, own: RunFilter, window: Window) -> WindowSummary:
    runs = profile.journal.job_runs.values(window.of_runs(own))
    return summarize_window(
        runs=len(runs),
        failed_runs=sum(run.outcome in FAILED_OUTCOMES for run in runs),
        durations_s=[run.duration_ns / NS for run in runs if run.duration_ns is not None],
        tokens=[run.tokens for run in runs if run.tokens is not None],
        costs_usd=[run.cost_usd for run in runs if run.cost_usd is not None],
        latenesses_s=[run.lateness_ns / NS for run in runs if run.lateness_ns is not None],
    )
