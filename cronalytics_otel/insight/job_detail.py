"""One job in full."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..domain.drift import DefinitionChange, Drift
from ..journal.filters import RunFilter
from ..journal.job_runs import ErrorClass
from .averages import SkillFigures, recent_window, skill_figures
from .drifts import definition_changes_of, drift_of
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
    return JobDetail(
        figures=figures,
        known=job,
        window=window,
        days=tuple(daily_figures(profiles, own, window)),
        drift=tuple(drift_of(profile, job, wanted, window)),
        definition_changes=definition_changes_of(job, window),
        errors=tuple(profile.journal.job_runs.errors(recent.of_runs(own))),
        models=tuple(model_figures(profiles, own, window, known_since_ns=figures.known_since_ns)),
        skills=tuple(skill_figures(profiles, own, recent_window(profiles, now_ns))),
    )
