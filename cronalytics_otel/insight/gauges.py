"""What the gauges of the metrics show: the same answers as the command line's, at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..domain.job_state import JobState
from ..domain.projections import Horizon
from ..journal import Journal
from ..journal.facts import HERMES_VERSION, LAST_SYNC_NS, PROBLEMS
from ..journal.filters import RunFilter
from ..journal.job_runs import Taken
from ..model import Outcome
from ..model.series import Gauge
from ..model.times import NS
from .jobs import JobFigures, job_figures
from .known_jobs import KnownJob, known_jobs
from .profiles import Profile
from .run_figures import RunFigures, figures_of, groups_by_job
from .windows import Window

WINDOWS: Final = {"24h": 1, "7d": 7, "30d": 30}
"""The windows of the gauges, in days: those of the command line."""

_PROJECTED_DAYS: Final = 30
"""The window that projections and percentiles are made from."""

GONE_JOBS_SHOWN_NS: Final = 7 * 86_400 * NS
"""How long a deleted job still has gauges."""

_HORIZONS: Final = (Horizon.DAYS_30, Horizon.DAYS_90, Horizon.DAYS_365)


def read_gauges(journal: Journal, now_ns: int, *, profile: str, version: str) -> list[Gauge]:
    """Return the gauges of a home at a time."""
    profiles = [Profile(profile, journal)]
    jobs = [job for job in known_jobs(profiles) if _is_shown(job, now_ns)]
    ids = frozenset(job.job_id for job in jobs)
    names = {job.job_id: job.name for job in jobs}
    wanted = RunFilter()
    found: list[Gauge] = []
    for label, days in WINDOWS.items():
        groups = groups_by_job(profiles, wanted, Window.of_days(days, now_ns))
        for job_id, name in names.items():
            figures = figures_of(groups.get((profile, job_id), []))
            found += _window(label, job_id, name, figures)
    window = Window.of_days(_PROJECTED_DAYS, now_ns)
    by_id = {job.job_id: job for job in jobs}
    for one in job_figures(profiles, wanted, window, now_ns, jobs=jobs):
        found += _of_job(one, by_id[one.job_id])
    for job_id, taken in journal.job_runs.last_taken(ids).items():
        found += _last(job_id, names[job_id], taken)
    found += _of_home(journal, version)
    return found


def _is_shown(job: KnownJob, now_ns: int) -> bool:
    """Return whether a job has gauges: it recurs, and is there or was there lately.

    A one-shot is over once it has run: the counters have all one-shots together.
    """
    if job.latest is not None and job.latest.is_one_shot:
        return False
    if job.current is not None:
        return True
    return job.gone_since_ns is not None and now_ns - job.gone_since_ns < GONE_JOBS_SHOWN_NS


def _window(label: str, job_id: str, name: str, figures: RunFigures) -> Iterator[Gauge]:
    def gauge(metric: str, value: float, *labels: str) -> Gauge:
        return Gauge(
            metric=metric, value=value, job_id=job_id, job_name=name, labels=(label, *labels)
        )

    for outcome in Outcome:
        runs = figures.outcomes.get(outcome, 0)
        yield gauge(
            "window.runs", figures.missed if outcome is Outcome.MISSED else runs, outcome.value
        )
    if figures.cost_usd is not None:
        yield gauge("window.cost", figures.cost_usd)
    yield gauge("window.tokens", figures.tokens)


def _of_job(job: JobFigures, known: KnownJob) -> Iterator[Gauge]:
    def gauge(metric: str, value: float | None, *labels: str) -> Iterable[Gauge]:
        if value is None:
            return ()
        one = Gauge(metric=metric, value=value, job_id=job.job_id, job_name=job.name, labels=labels)
        return (one,)

    for horizon in _HORIZONS:
        outlook = job.projection.outlook[horizon]
        yield from gauge("projection.nominal_cost", outlook.nominal.usd, horizon.value)
        yield from gauge("projection.trend_cost", outlook.trend.usd, horizon.value)
        yield from gauge("projection.scheduled_runs", outlook.scheduled_runs, horizon.value)
    yield from gauge("projection.pace", job.pace)
    yield from gauge("projection.adherence", job.adherence)
    recent = job.recent
    yield from gauge("job.next_run_timestamp", _seconds(job.next_run_ns))
    yield from gauge("job.last_run_timestamp", _seconds(recent.last_ended_ns))
    yield from gauge("job.last_success_timestamp", _seconds(recent.last_success_ns))
    yield from gauge("job.expected_duration", job.durations.p95_s)
    yield from gauge("job.consecutive_failures", recent.consecutive_failures)
    if recent.last_outcome is not None:
        yield from gauge("job.last_outcome", 1, recent.last_outcome.value)
    if job.state is not JobState.DELETED:
        yield from gauge("job.state", 1, job.state.value)
    latest = known.latest
    schedule = None if latest is None else latest.schedule
    yield from gauge(
        "job.info",
        1,
        "" if job.mode is None else job.mode.value,
        "" if schedule is None else schedule.kind.value,
        "" if schedule is None else schedule.expression,
        job.model or "",
    )


def _last(job_id: str, name: str, taken: Taken) -> Iterator[Gauge]:
    for metric, value in (
        ("job.last_duration", taken.duration_s),
        ("job.last_cost", taken.cost_usd),
    ):
        if value is not None:
            yield Gauge(metric=metric, value=value, job_id=job_id, job_name=name)


def _of_home(journal: Journal, version: str) -> Iterator[Gauge]:
    facts = journal.facts.read()
    for destination in journal.outbox.states():
        labels = (destination.name,)
        yield Gauge(metric="outbox.pending", value=destination.pending, labels=labels)
        yield Gauge(metric="outbox.refused", value=destination.refused, labels=labels)
        oldest_s = _seconds(destination.oldest_pending_ns)
        if oldest_s is not None:
            yield Gauge(metric="outbox.oldest_timestamp", value=oldest_s, labels=labels)
    last_s = _seconds(facts.get(LAST_SYNC_NS))
    if last_s is not None and not facts.get(PROBLEMS):
        yield Gauge(metric="sync.last_success_timestamp", value=last_s)
    yield Gauge(metric="build.info", value=1, labels=(version, facts.get(HERMES_VERSION) or ""))


def _seconds(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / NS
