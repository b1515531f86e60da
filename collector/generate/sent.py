"""What homes send, minute by minute, as the unit tests of promtool take it.

Every request has all gauges of a home and the present totals of its counters, as those of the plugin do. Time
begins at 0, so a point in time is so many seconds after the begin of the test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from collector.generate.names import label, metric
from collector.generate.promql import JOB_ID, JOB_NAME, PROFILE
from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_BUDGET_PERIOD,
    HERMES_CRON_BUDGET_SCOPE,
    HERMES_CRON_DELIVERY_OUTCOME,
    HERMES_CRON_DESTINATION,
    HERMES_CRON_JOB_STATE,
    HERMES_CRON_RUN_OUTCOME,
    HERMES_CRON_WINDOW,
)

SERVICE: Final = "hermes-cron"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentJob:
    """A job as one request shows it. What is None is not sent."""

    name: str = "digest"
    job_id: str = "9f3c2a"
    states: Mapping[str, int] = field(default_factory=lambda: {"scheduled": 1})
    """By state 1 for the present one and 0 for former ones; `once` and `other` have none."""
    succeeded: int | None = 0
    failed: int | None = 0
    missed: int | None = 0
    """Totals of the counter of runs."""
    failures_in_a_row: int | None = 0
    delivered: int | None = None
    undelivered: int | None = None
    next_min: float | None = None
    """The minute in which it is due next."""
    ended_min: float | None = None
    """The minute in which its last run ended."""
    took_s: float | None = None
    running_since_min: float | None = None
    usual_s: float | None = None
    last_usd: float | None = None
    scheduled_runs: int | None = None
    """In the 30 days to come; the next two are of the same time."""
    nominal_usd: float | None = None
    trend_usd: float | None = None
    pace: float | None = None
    week_usd: float | None = None
    """What the last 7 days cost."""
    runs_30d: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDestination:
    name: str = "tempo"
    pending: int = 0
    refused: int = 0
    oldest_min: float | None = None
    """The minute in which the oldest pending run ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBudget:
    limit_usd: float
    used_usd: float
    period: str = "day"
    job: SentJob | None = None
    """Without one it is the budget of all jobs."""


PAUSED: Final = {"scheduled": 0, "paused": 1}
DELETED: Final = {"scheduled": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one home sends at a time."""

    jobs: tuple[SentJob, ...] = ()
    instance: str = "a"
    profile: str = "default"
    is_readable: bool = True
    """A home whose files cannot be read sends no time of its last reading."""
    destinations: tuple[SentDestination, ...] = ()
    budgets: tuple[SentBudget, ...] = ()


_Labels: TypeAlias = tuple[tuple[str, str], ...]
_Found: TypeAlias = list[tuple[str, _Labels, float]]


class Sent:
    """All that was sent in one test."""

    def __init__(self) -> None:
        self._points: dict[str, dict[int, float]] = defaultdict(dict)
        """By series the values by minute."""

    def jobs(self, first: int, last: int, *jobs: SentJob, instance: str = "a") -> None:
        """Add a request with these jobs for each minute from `first` to `last`, as a gateway sends them."""
        self.requests(first, last, Request(jobs=jobs, instance=instance))

    def requests(self, first: int, last: int, request: Request) -> None:
        """Add the same request for each minute from `first` to `last`."""
        for minute in range(first, last + 1):
            self.request(minute, request)

    def request(self, minute: int, request: Request) -> None:
        """Add one request."""
        home = (("instance", request.instance), ("job", SERVICE), (PROFILE, request.profile))
        found: _Found = [("build.info", (("service_version", "1.0.0"), *home), 1.0)]
        if request.is_readable:
            found.append(("sync.last_success_timestamp", home, minute * 60.0))
        for job in request.jobs:
            found += _of_job(job, (*home, (JOB_ID, job.job_id), (JOB_NAME, job.name)))
        for destination in request.destinations:
            found += _of_destination(destination, home)
        for budget in request.budgets:
            found += _of_budget(budget, home)
        for short_name, labels, value in found:
            text = ", ".join(f'{name}="{of}"' for name, of in sorted(labels))
            self._points[f"{metric(short_name)}{{{text}}}"][minute] = value

    def input_series(self) -> list[dict[str, str]]:
        """Return the series as promtool reads them, a value for each minute."""
        return [
            {"series": series, "values": " ".join(_values(points))}
            for series, points in sorted(self._points.items())
        ]


def _of_job(job: SentJob, labels: _Labels) -> _Found:
    values: list[tuple[str, float | None, tuple[str, str] | None]] = [
        ("runs", job.succeeded, (HERMES_CRON_RUN_OUTCOME, "success")),
        ("runs", job.failed, (HERMES_CRON_RUN_OUTCOME, "failure")),
        ("runs", job.missed, (HERMES_CRON_RUN_OUTCOME, "missed")),
        ("deliveries", job.delivered, (HERMES_CRON_DELIVERY_OUTCOME, "delivered")),
        ("deliveries", job.undelivered, (HERMES_CRON_DELIVERY_OUTCOME, "failed")),
        ("job.consecutive_failures", job.failures_in_a_row, None),
        ("job.next_run_timestamp", _seconds(job.next_min), None),
        ("job.last_run_timestamp", _seconds(job.ended_min), None),
        ("job.last_duration", job.took_s, None),
        ("job.running_since_timestamp", _seconds(job.running_since_min), None),
        ("job.expected_duration", job.usual_s, None),
        ("job.last_cost", job.last_usd, None),
        ("projection.scheduled_runs", job.scheduled_runs, (HERMES_CRON_WINDOW, "30d")),
        ("projection.nominal_cost", job.nominal_usd, (HERMES_CRON_WINDOW, "30d")),
        ("projection.trend_cost", job.trend_usd, (HERMES_CRON_WINDOW, "30d")),
        ("projection.pace", job.pace, None),
        ("window.cost", job.week_usd, (HERMES_CRON_WINDOW, "7d")),
    ]
    values += [
        ("job.state", value, (HERMES_CRON_JOB_STATE, state)) for state, value in job.states.items()
    ]
    found = [
        (short_name, labels if own is None else (*labels, (label(own[0]), own[1])), float(value))
        for short_name, value, own in values
        if value is not None
    ]
    if job.runs_30d is not None:
        window = (label(HERMES_CRON_WINDOW), "30d")
        outcome = (label(HERMES_CRON_RUN_OUTCOME), "success")
        found.append(("window.runs", (*labels, window, outcome), float(job.runs_30d)))
    return found


def _of_destination(destination: SentDestination, home: _Labels) -> _Found:
    labels = (*home, (label(HERMES_CRON_DESTINATION), destination.name))
    found = [
        ("outbox.pending", labels, float(destination.pending)),
        ("outbox.refused", labels, float(destination.refused)),
    ]
    if destination.oldest_min is not None:
        found.append(("outbox.oldest_timestamp", labels, destination.oldest_min * 60.0))
    return found


def _of_budget(budget: SentBudget, home: _Labels) -> _Found:
    scope, of_job = "all", list[tuple[str, str]]()
    if budget.job is not None:
        scope, of_job = "job", [(JOB_ID, budget.job.job_id), (JOB_NAME, budget.job.name)]
    labels = (
        *home,
        *of_job,
        (label(HERMES_CRON_BUDGET_SCOPE), scope),
        (label(HERMES_CRON_BUDGET_PERIOD), budget.period),
    )
    return [("budget.limit", labels, budget.limit_usd), ("budget.used", labels, budget.used_usd)]


def _seconds(minute: float | None) -> float | None:
    return None if minute is None else minute * 60


def _values(points: Mapping[int, float]) -> Iterator[str]:
    """Yield promtool's notation of a series: gaps, and runs of values that grow by the same step."""
    minutes = sorted(points)
    next_minute, place = 0, 0
    while place < len(minutes):
        minute = minutes[place]
        if minute > next_minute:
            yield f"_x{minute - next_minute}"
        length, step = _run_from(minutes, points, place)
        value = points[minute]
        if length == 1:
            yield _number(value)
        else:
            yield f"{_number(value)}{'+' if step >= 0 else '-'}{_number(abs(step))}x{length - 1}"
        next_minute, place = minute + length, place + length


def _run_from(minutes: list[int], points: Mapping[int, float], place: int) -> tuple[int, float]:
    """Return how many values from a place on follow each other by one step, and the step."""
    step, length = 0.0, 1
    while place + length < len(minutes):
        before, minute = minutes[place + length - 1], minutes[place + length]
        grown = points[minute] - points[before]
        if minute != before + 1 or (length > 1 and grown != step):
            break
        step, length = grown, length + 1
    return length, step


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
