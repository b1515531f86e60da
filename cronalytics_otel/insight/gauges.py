"""What the gauges of the metrics show: the same answers as the command line's, at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ..domain.averages import Average
from ..domain.budgets import BudgetState
from ..domain.job_state import JobState, state_of
from ..domain.projections import Horizon
from ..journal import Journal
from ..journal.facts import HERMES_VERSION, LAST_SYNC_NS, PROBLEMS
from ..journal.filters import RunFilter
from ..journal.job_runs import Taken
from ..model import Budgets, Outcome
from ..model.series import ONCE, OTHER, Gauge
from ..model.times import NS
from .averages import model_averages, recent_window, skill_figures
from .budgets import read_budget_states
from .jobs import JobFigures, job_figures
from .known_jobs import KnownJob, known_jobs
from .profiles import Profile
from .run_figures import Group, Groups, RunFigures, WindowSums, figures_of, groups_by_job
from .usual import usual_durations_s
from .windows import Window, in_whole_days

WINDOWS: Final = {"24h": 1, "7d": 7, "30d": 30}
"""The windows of the gauges, in days: those of the command line."""

MAX_JOBS: Final = 200
"""Jobs with gauges of their own; the runs of the others are summed under `other`."""

MAX_SKILLS: Final = 100
"""Skills with gauges, each with one model: the most expensive ones."""

MAX_MODELS: Final = 50
"""Models with gauges: those with the most runs."""

GONE_JOBS_SHOWN_NS: Final = 7 * 86_400 * NS
"""How long a deleted job still has gauges. Its runs are in those of the windows for longer."""

_PROJECTED: Final = "30d"
"""The window that projections are made from."""

_HORIZONS: Final = (Horizon.DAYS_30, Horizon.DAYS_90, Horizon.DAYS_365)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeState:
    """What the journal does not know of a home."""

    profile: str
    version: str
    """Of this package."""
    budgets: Budgets
    running: Mapping[str, int]
    """By job id, since when it has been running (epoch ns)."""


def read_gauges(journal: Journal, now_ns: int, home: HomeState) -> list[Gauge]:
    """Return the gauges that can be read in no time."""
    profile = Profile(home.profile, journal)
    jobs = known_jobs([profile])
    shown = _shown(jobs, now_ns)
    windows = {
        label: in_whole_days(Window.of_days(days, now_ns), [profile])
        for label, days in WINDOWS.items()
    }
    sums = {
        label: groups_by_job([profile], RunFilter(), window) for label, window in windows.items()
    }
    figures = job_figures(
        [profile],
        RunFilter(),
        windows[_PROJECTED],
        now_ns,
        jobs=jobs,
        sums=WindowSums(now=sums[_PROJECTED], prior=None),
        percentiles=False,
    )
    own = [job for job in figures if job.job_id in shown]
    taken = journal.job_runs.last_taken(shown)
    outcomes = journal.job_runs.outcomes()
    gauges = list(_windows(sums, jobs, shown))
    for job in own:
        known = shown[job.job_id]
        gauges += _of_job(job, known, taken.get(job.job_id), home.running)
        gauges += _of_what_changes(job, known, outcomes.get(job.job_id, frozenset()))
        gauges += _of_former_names(known, now_ns)
    states = read_budget_states(profile, home.budgets, now_ns, jobs=figures)
    gauges += _of_budgets([s for s in states if s.job_id is None or s.job_id in shown])
    gauges += _of_home(journal, home.version)
    return gauges


def read_slow_gauges(journal: Journal, now_ns: int, profile: str) -> list[Gauge]:
    """Return the gauges that need the runs of some weeks one by one: percentiles and averages."""
    home = [Profile(profile, journal)]
    shown = _shown(known_jobs(home), now_ns)
    found = [
        _job_gauge("job.expected_duration", usual_s, job_id, shown[job_id].name)
        for job_id, usual_s in usual_durations_s(journal, now_ns, shown).items()
    ]
    recent = recent_window(home, now_ns)
    for skill in skill_figures(home, RunFilter(), recent)[:MAX_SKILLS]:
        labels = (skill.skill, skill.model or "", skill.provider or "")
        found += _averages("skill", skill.average, labels)
    models = model_averages(home, RunFilter(), now_ns)
    for key, average in sorted(models.items(), key=lambda one: -one[1].runs)[:MAX_MODELS]:
        found += _averages("model", average, (key.model or "", key.provider or ""))
    return found


def _shown(jobs: Sequence[KnownJob], now_ns: int) -> dict[str, KnownJob]:
    """Return the jobs that have gauges of their own: those that recur, and are there or were there lately.

    A one-shot is over once it has run, and all of them are counted together.
    """
    # In the order in which they were first known: a new job takes no other's place.
    recurring = sorted((job for job in jobs if not _is_one_shot(job)), key=_first_known)
    current = [job for job in recurring if job.current is not None]
    gone = [
        job
        for job in recurring
        if job.gone_since_ns is not None and now_ns - job.gone_since_ns < GONE_JOBS_SHOWN_NS
    ]
    return {job.job_id: job for job in (*current, *gone)[:MAX_JOBS]}


def _first_known(job: KnownJob) -> tuple[int, str]:
    times = [seen_ns for seen_ns, _ in job.definitions[:1]]
    if job.first_run_ns is not None:
        times.append(job.first_run_ns)
    return min(times, default=0), job.job_id


def _is_one_shot(job: KnownJob) -> bool:
    return job.latest is not None and job.latest.is_one_shot


def _windows(
    sums: Mapping[str, Groups],
    jobs: Sequence[KnownJob],
    shown: Mapping[str, KnownJob],
) -> Iterator[Gauge]:
    """Yield the gauges of the windows. They add up to the runs of all jobs, whichever have their own."""
    one_shots = {job.job_id for job in jobs if _is_one_shot(job)}
    for label, by_job in sums.items():
        groups: dict[tuple[str, str], list[Group]] = {
            (job_id, job.name): [] for job_id, job in shown.items()
        }
        for (_, job_id), of_job in by_job.items():
            if job_id in shown:
                key = (job_id, shown[job_id].name)
            else:
                key = (ONCE, ONCE) if job_id in one_shots else (OTHER, OTHER)
            groups.setdefault(key, []).extend(of_job)
        for (job_id, name), of_key in groups.items():
            yield from _window(label, job_id, name, figures_of(of_key))


def _window(label: str, job_id: str, name: str, figures: RunFigures) -> Iterator[Gauge]:
    for outcome in Outcome:
        runs = figures.outcomes.get(outcome, 0)
        if outcome is Outcome.MISSED:
            runs = figures.missed
        yield _job_gauge("window.runs", runs, job_id, name, label, outcome.value)
    if figures.cost_usd is not None:
        yield _job_gauge("window.cost", figures.cost_usd, job_id, name, label)
    yield _job_gauge("window.tokens", figures.tokens, job_id, name, label)


def _of_job(
    job: JobFigures, known: KnownJob, taken: Taken | None, running: Mapping[str, int]
) -> Iterator[Gauge]:
    recent, latest = job.recent, known.latest
    values: list[tuple[str, float | None, tuple[str, ...]]] = [
        ("projection.pace", job.pace, ()),
        ("projection.adherence", job.adherence, ()),
        ("job.next_run_timestamp", _seconds(job.next_run_ns), ()),
        ("job.last_run_timestamp", _seconds(recent.last_ended_ns), ()),
        ("job.last_success_timestamp", _seconds(recent.last_success_ns), ()),
        ("job.running_since_timestamp", _seconds(running.get(job.job_id)), ()),
        ("job.last_duration", None if taken is None else taken.duration_s, ()),
        ("job.last_cost", None if taken is None else taken.cost_usd, ()),
        ("job.consecutive_failures", recent.consecutive_failures, ()),
    ]
    for horizon in _HORIZONS:
        outlook = job.projection.outlook[horizon]
        values += [
            ("projection.nominal_cost", outlook.nominal.usd, (horizon.value,)),
            ("projection.trend_cost", outlook.trend.usd, (horizon.value,)),
            ("projection.scheduled_runs", outlook.scheduled_runs, (horizon.value,)),
        ]
    schedule = None if latest is None else latest.schedule
    description = (
        "" if job.mode is None else job.mode.value,
        "" if schedule is None else schedule.kind.value,
        "" if schedule is None else schedule.expression,
        job.model or "",
    )
    values.append(("job.info", 1, description))
    for metric, value, labels in values:
        if value is not None:
            yield _job_gauge(metric, value, job.job_id, job.name, *labels)


def _of_what_changes(
    job: JobFigures, known: KnownJob, outcomes: frozenset[Outcome]
) -> Iterator[Gauge]:
    """Yield 1 for the job's last outcome and its state, and 0 for those that it had before.

    A backend keeps the last value of a series that is sent no more: without the 0, a job that has recovered
    would look failed too. A deleted job has 0 for every state.
    """
    states = {state_of(definition) for _, definition in known.definitions}
    for metric, current, former in (
        ("job.last_outcome", job.recent.last_outcome, outcomes - {Outcome.MISSED}),
        ("job.state", job.state, states),
    ):
        if current is not None and current is not JobState.DELETED:
            yield _job_gauge(metric, 1, job.job_id, job.name, current.value)
        for value in sorted(former - {current}):
            yield _job_gauge(metric, 0, job.job_id, job.name, value)


def _of_former_names(known: KnownJob, now_ns: int) -> Iterator[Gauge]:
    """Yield 0 for every state of a job under the names that it lately had: nothing of them holds any more."""
    former: set[tuple[str, JobState]] = set()
    for (_, old), (replaced_ns, _) in pairwise(known.definitions):
        if now_ns - replaced_ns < GONE_JOBS_SHOWN_NS and old.name != known.name:
            former.add((old.name, state_of(old)))
    for name, state in sorted(former):
        yield _job_gauge("job.state", 0, known.job_id, name, state.value)


def _of_budgets(states: Sequence[BudgetState]) -> Iterator[Gauge]:
    for state in states:
        for metric, value in (
            ("budget.limit", state.limit_usd),
            ("budget.used", state.used_usd),
            ("budget.forecast", state.forecast_usd),
        ):
            if value is not None:
                labels = (state.scope.value, state.period.value)
                yield _job_gauge(metric, value, state.job_id or "", state.job_name or "", *labels)


def _averages(of: str, average: Average, labels: tuple[str, ...]) -> Iterator[Gauge]:
    for metric, value in (
        (f"{of}.success", average.success_rate),
        (f"{of}.duration", average.duration_s),
        (f"{of}.cost", average.cost_usd),
    ):
        if value is not None:
            yield Gauge(metric=metric, value=value, labels=labels)


def _of_home(journal: Journal, version: str) -> Iterator[Gauge]:
    facts = journal.facts.read()
    for destination in journal.outbox.states():
        if not destination.active:  # it is not in the settings any more
            continue
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


def _job_gauge(metric: str, value: float, job_id: str, name: str, *labels: str) -> Gauge:
    return Gauge(metric=metric, value=value, job_id=job_id, job_name=name, labels=labels)


def _seconds(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / NS
