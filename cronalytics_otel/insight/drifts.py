"""Which jobs changed against their own past: the window against the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.drift import (
    NOTABLE_SCORE,
    DefinitionChange,
    Drift,
    WindowSummary,
    definition_changes,
    drift,
)
from ..domain.drift import summarize as summarize_window
from ..journal.filters import RunFilter
from ..model import FAILED_OUTCOMES
from ..model.times import NS
from .known_jobs import KnownJob
from .profiles import Profile, Profiles
from .windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDrift:
    """A job that changed, in one measure."""

    profile: str
    job_id: str
    name: str
    drift: Drift
    definition_changes: tuple[DefinitionChange, ...]
    """What changed in its definition in both windows, oldest first."""


def job_drifts(
    profiles: Profiles, jobs: Sequence[KnownJob], wanted: RunFilter, window: Window
) -> list[JobDrift]:
    """Return what changed notably, the greatest change first. Only jobs that the host has are looked at.

    The windows are of 90 days at most, and of kept runs alone. There is nothing for a window without a
    beginning, nor where the window before is not known.
    """
    found = []
    by_name = {profile.name: profile for profile in profiles}
    for job in jobs:
        if job.current is None or (wanted.jobs is not None and job.job_id not in wanted.jobs):
            continue
        notable = [
            one
            for one in drift_of(by_name[job.profile], job, wanted, window)
            if one.score >= NOTABLE_SCORE
        ]
        changes = definition_changes_of(job, window) if notable else ()
        found += [
            JobDrift(
                profile=job.profile,
                job_id=job.job_id,
                name=job.name,
                drift=one,
                definition_changes=changes,
            )
            for one in notable
        ]
    return sorted(found, key=lambda one: -one.drift.score)


def drift_of(profile: Profile, job: KnownJob, wanted: RunFilter, window: Window) -> list[Drift]:
    """Return how each measure of a job changed, the greatest change first."""
    recent = window.for_percentiles
    if recent.prior is None:
        return []
    own = replace(wanted, jobs=frozenset((job.job_id,)))
    return drift(_summary(profile, own, recent), _summary(profile, own, recent.prior.for_runs))


def definition_changes_of(job: KnownJob, window: Window) -> tuple[DefinitionChange, ...]:
    """Return what changed in a job's definition in the window and the one before, oldest first."""
    recent = window.for_percentiles
    since_ns = recent.since_ns if recent.prior is None else recent.prior.since_ns
    return tuple(definition_changes(job.definitions, since_ns or 0, window.until_ns))


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
