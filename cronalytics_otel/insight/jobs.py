"""Each job with its figures: what was expected of it, what it did and took, and where it is heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import takewhile

from ..domain.job_state import JobState, state_of
from ..domain.occurrences import goes_on, scheduled_runs
from ..domain.percentiles import rank_of
from ..domain.projections import (
    Horizon,
    Projection,
    horizon_ends,
    observed_s,
    project,
)
from ..journal import Journal
from ..journal.filters import RunFilter
from ..journal.job_runs import FailureRow, RecentRun
from ..model import FAILED_RUNS, Mode, Outcome
from ..model.times import NS
from .expectations import expected_runs, known_since_ns, usual_due_to_end_s
from .known_jobs import KnownJob, known_jobs
from .profiles import Profiles
from .run_figures import (
    TOOK_PLACE,
    Changes,
    Group,
    JobKey,
    RunFigures,
    WindowSums,
    changes,
    figures_of,
    samples_of,
    window_sums,
)
from .windows import Window

STRIP_RUNS = 20
"""The last outcomes of a job that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Percentiles of the runs' durations in seconds, by nearest rank, over at most 90 days."""

    runs: int
    """How many durations are known."""
    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    max_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """How the job stands now, whatever window was asked for."""

    outcomes: tuple[Outcome, ...] = ()
    """The last ones, the newest last, missed runs included."""
    last_outcome: Outcome | None = None
    """Of the last run that took place."""
    last_started_ns: int | None = None
    last_ended_ns: int | None = None
    last_success_ns: int | None = None
    """When the last run that succeeded began."""
    consecutive_failures: int = 0
    """Failed runs since the last success. Skipped and missed runs neither count nor end the row."""
    consecutive_failures_is_lower_bound: bool = False
    """Whether runs were deleted that may have been failures of this row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFigures:
    """One job. Figures are of the window and of the runs that match; state and `recent` are as of now."""

    profile: str
    job_id: str
    name: str
    mode: Mode | None
    state: JobState
    schedule: str | None
    """As its owner wrote it."""
    model: str | None
    """That its owner asked for; None for the host's default."""
    skills: tuple[str, ...]
    next_run_ns: int | None
    """When it runs next. It may be in the past: then the job is overdue, or runs now."""
    runs_left: int | None
    """Of a job that ends after a number of runs."""
    recent: Recent
    figures: RunFigures
    prior: RunFigures | None
    changes: Changes
    durations: Durations
    expected_runs: int | None
    """How often it was due in the window; None if unknown, or if the filter leaves some of its runs out."""
    observed_s: float | None
    """For how much of the window it was there."""
    known_since_ns: int | None
    """Since when it can have been observed."""
    projection: Projection
    groups: tuple[Group, ...]
    """The sums that the figures are made of."""

    @property
    def pace(self) -> float | None:
        return self.projection.pace

    @property
    def adherence(self) -> float | None:
        return self.projection.adherence


def job_figures(
    profiles: Profiles,
    wanted: RunFilter,
    window: Window,
    now_ns: int,
    *,
    jobs: Sequence[KnownJob] | None = None,
    sums: WindowSums | None = None,
    all_jobs: bool = False,
    percentiles: bool = True,
) -> list[JobFigures]:
    """Return the figures of each job, in the order of their names.

    These are the jobs that the host has now and those with a matching run in the window. A filter for
    runs (outcome, mode, trigger, model, skill) leaves only jobs with a matching run; with `all_jobs` these
    are all jobs that are known. `jobs` are the known
    jobs and `sums` the sums of the same filter and window, if they were read before. Without `percentiles` there are no `durations`: they alone need the
    runs themselves.
    """
    known = known_jobs(profiles) if jobs is None else jobs
    now, prior = window_sums(profiles, wanted, window) if sums is None else sums
    selected = [job for job in known if all_jobs or _is_selected(job, wanted, now)]
    recent = _recent(profiles, selected)
    durations = _durations(profiles, wanted, window) if percentiles else {}
    time = _Time(profiles, now_ns)
    return [
        _one_job(
            job,
            wanted,
            window,
            time,
            now=now.get(_key(job), []),
            prior=None if prior is None else prior.get(_key(job), []),
            recent=recent.get(_key(job), _NOTHING_YET),
            durations_ns=durations.get(_key(job), []),
        )
        for job in selected
    ]


_NOTHING_YET: tuple[Recent, list[RecentRun]] = (Recent(), [])


class _Time:
    """Now, the zones of the homes, and the ends of the horizons in each."""

    def __init__(self, profiles: Profiles, now_ns: int) -> None:
        self.now_ns = now_ns
        self.zones: dict[str, tzinfo] = {name: journal.figures.zone for name, journal in profiles}
        self.ends_ns: dict[str, dict[Horizon, int]] = {
            name: horizon_ends(now_ns, zone) for name, zone in self.zones.items()
        }
        self.known_since_ns: dict[str, int | None] = {
            name: journal.job_runs.known_since_ns() for name, journal in profiles
        }


def _key(job: KnownJob) -> JobKey:
    return job.profile, job.job_id


def _is_selected(job: KnownJob, wanted: RunFilter, now: Mapping[JobKey, object]) -> bool:
    if wanted.jobs is not None and job.job_id not in wanted.jobs:
        return False
    return _key(job) in now or (job.current is not None and not _asks_for_some_runs(wanted))


def _asks_for_some_runs(wanted: RunFilter) -> bool:
    return wanted.needs_runs or wanted.asks_how_it_ran


def _one_job(
    job: KnownJob,
    wanted: RunFilter,
    window: Window,
    time: _Time,
    *,
    now: Sequence[Group],
    prior: Sequence[Group] | None,
    recent: tuple[Recent, list[RecentRun]],
    durations_ns: Sequence[int],
) -> JobFigures:
    latest = job.latest
    figures = figures_of(now)
    before = None if prior is None else figures_of(prior)
    since_ns = known_since_ns(job, time.known_since_ns[job.profile])
    seen_s = observed_s(window.since_ns, window.until_ns, known_since_ns=since_ns)
    expected = None
    if not _asks_for_some_runs(wanted):
        expected = expected_runs(
            job,
            window,
            time.zones[job.profile],
            recent[1],
            last_ended_ns=recent[0].last_ended_ns,
            known_since_ns=since_ns,
        )
    ends_ns = time.ends_ns[job.profile]
    counts = (
        (0,) * len(ends_ns)
        if job.current is None
        else scheduled_runs(
            job.current,
            time.now_ns,
            _last_due_times(ends_ns),
            time.zones[job.profile],
            due_to_end_s=usual_due_to_end_s(recent[1]),
        )
    )
    samples = samples_of(now)
    return JobFigures(
        profile=job.profile,
        job_id=job.job_id,
        name=job.name,
        mode=None if latest is None else latest.mode,
        state=state_of(job.current),
        schedule=None if latest is None or latest.schedule is None else latest.schedule.expression,
        model=None if latest is None else latest.model,
        skills=() if latest is None else latest.skills,
        next_run_ns=_next_run_ns(job),
        runs_left=None if job.current is None else job.current.runs_left,
        recent=recent[0],
        figures=figures,
        prior=before,
        changes=changes(
            figures, before, is_comparable=window.prior_was_observed(known_since_ns=since_ns)
        ),
        durations=durations_of(durations_ns),
        expected_runs=expected,
        observed_s=seen_s,
        known_since_ns=since_ns,
        projection=project(
            spent=samples.spent,
            scheduled=samples.scheduled,
            failed=samples.failed,
            observed_s=seen_s,
            expected_runs=expected,
            upcoming=dict(zip(ends_ns, counts, strict=True)),
            goes_on=goes_on(job.current),
            calls_model=latest is None or latest.mode is not Mode.SCRIPT,
            now_ns=time.now_ns,
            ends_ns=ends_ns,
        ),
        groups=tuple(now),
    )


def _last_due_times(ends_ns: Mapping[Horizon, int]) -> tuple[int, ...]:
    """Return up to when runs that are due count. One that is due at midnight ends on the next day."""
    until_midnight = (Horizon.DAY, Horizon.MONTH)
    return tuple(
        end_ns - 1 if horizon in until_midnight else end_ns for horizon, end_ns in ends_ns.items()
    )


def _next_run_ns(job: KnownJob) -> int | None:
    if state_of(job.current) is not JobState.SCHEDULED or job.current is None:
        return None
    return job.current.next_run_ns


def _recent(
    profiles: Profiles, jobs: Sequence[KnownJob]
) -> dict[JobKey, tuple[Recent, list[RecentRun]]]:
    found = {}
    for profile, journal in profiles:
        ids = [job.job_id for job in jobs if job.profile == profile]
        for job_id, runs in journal.job_runs.recent(ids, STRIP_RUNS).items():
            found[profile, job_id] = (_recent_of(journal, job_id, runs), runs)
    return found


def _recent_of(journal: Journal, job_id: str, runs: Sequence[RecentRun]) -> Recent:
    """Return how a job stands, by its last runs, newest first; and by older ones where those say nothing."""
    may_have_more = len(runs) == STRIP_RUNS
    last = next((run for run in runs if run.outcome is not Outcome.MISSED), None)
    if last is None and may_have_more:
        last = journal.job_runs.last(job_id, TOOK_PLACE)
    success = next((run for run in runs if run.outcome is Outcome.SUCCESS), None)
    if success is None and may_have_more:
        success = journal.job_runs.last(job_id, {Outcome.SUCCESS})
        failures = journal.job_runs.failures_after(job_id, success)
    else:
        later = takewhile(lambda run: run is not success, runs)
        failures = FailureRow(
            sum(run.outcome in FAILED_RUNS for run in later), is_lower_bound=False
        )
    return Recent(
        outcomes=tuple(run.outcome for run in reversed(runs)),
        last_outcome=None if last is None else last.outcome,
        last_started_ns=None if last is None else last.started_ns,
        last_ended_ns=None if last is None else last.ended_ns,
        last_success_ns=None if success is None else success.started_ns,
        consecutive_failures=failures.runs,
        consecutive_failures_is_lower_bound=failures.is_lower_bound,
    )


def _durations(profiles: Profiles, wanted: RunFilter, window: Window) -> dict[JobKey, list[int]]:
    filter_ = window.for_percentiles.of_runs(wanted)
    return {
        (profile, job_id): durations_ns
        for profile, journal in profiles
        for job_id, durations_ns in journal.job_runs.durations_ns(filter_).items()
    }


def durations_of(ascending_ns: Sequence[int]) -> Durations:
    """Return the percentiles of durations that are in ascending order."""
    count = len(ascending_ns)
    if not count:
        return Durations(runs=0)
    p50, p90, p95, p99, most = (ascending_ns[rank_of(count, n) - 1] / NS for n in _PERCENTS)
    return Durations(runs=count, p50_s=p50, p90_s=p90, p95_s=p95, p99_s=p99, max_s=most)


_PERCENTS = (50, 90, 95, 99, 100)
