"""The catalog of metrics: name, kind, unit, buckets and attributes of each, once.

What is sent, docs/telemetry.md, and the checks of dashboards and alerts read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ...domain.series import BOUNDS
from ...model.series import SeriesKind
from .attributes import (
    ERROR_TYPE,
    GEN_AI_OPERATION_NAME,
    GEN_AI_PROVIDER_NAME,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_RESPONSE_MODEL,
    GEN_AI_TOKEN_TYPE,
    HERMES_CRON_BUDGET_PERIOD,
    HERMES_CRON_BUDGET_SCOPE,
    HERMES_CRON_COST_STATUS,
    HERMES_CRON_DELIVERY_OUTCOME,
    HERMES_CRON_DESTINATION,
    HERMES_CRON_JOB_MODE,
    HERMES_CRON_JOB_STATE,
    HERMES_CRON_MODEL_DECLARED,
    HERMES_CRON_MODEL_NAME,
    HERMES_CRON_MODEL_PROVIDER,
    HERMES_CRON_RUN_FAILED,
    HERMES_CRON_RUN_OUTCOME,
    HERMES_CRON_SCHEDULE_EXPRESSION,
    HERMES_CRON_SCHEDULE_KIND,
    HERMES_CRON_SKILL_NAME,
    HERMES_CRON_WINDOW,
    HERMES_VERSION,
    SERVICE_VERSION,
)

_PREFIX: Final = "hermes.cron."

BOOLEAN_ATTRIBUTES: Final = frozenset({HERMES_CRON_RUN_FAILED})
"""The attributes whose values `true` and `false` are sent as booleans."""


class Instrument(StrEnum):
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


class About(StrEnum):
    """What the points of a metric are about: the attributes that they have beside their own."""

    JOB = "profile, job"
    """The profile's name, the job's id and its name."""
    PROFILE = "profile"
    """The profile's name."""
    CALL = "none"
    """Nothing of ours: the metrics of the GenAI conventions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricForm:
    """One metric."""

    name: str
    instrument: Instrument
    unit: str
    """UCUM. `{…}` is a count of such things: its values are whole numbers."""
    meaning: str
    attributes: tuple[str, ...] = ()
    """The attributes beside those of `about`, in the order in which series and gauges have their values."""
    about: About = About.JOB
    bounds: tuple[float, ...] = ()
    """The upper bounds of a histogram's buckets."""

    @property
    def short_name(self) -> str:
        """The name without the prefix that all metrics of ours have."""
        return self.name.removeprefix(_PREFIX)

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.unit.startswith("{")


def _counter(name: str, unit: str, meaning: str, *attributes: str) -> MetricForm:
    return MetricForm(
        name=_PREFIX + name,
        instrument=Instrument.COUNTER,
        unit=unit,
        meaning=meaning,
        attributes=attributes,
    )


def _gauge(
    name: str, unit: str, meaning: str, *attributes: str, about: About = About.JOB
) -> MetricForm:
    return MetricForm(
        name=_PREFIX + name,
        instrument=Instrument.GAUGE,
        unit=unit,
        meaning=meaning,
        attributes=attributes,
        about=about,
    )


def _histogram(
    kind: SeriesKind,
    name: str,
    unit: str,
    meaning: str,
    *attributes: str,
    about: About = About.JOB,
) -> MetricForm:
    return MetricForm(
        name=name,
        instrument=Instrument.HISTOGRAM,
        unit=unit,
        meaning=meaning,
        attributes=attributes,
        about=about,
        bounds=BOUNDS[kind],
    )


_CALL = (GEN_AI_REQUEST_MODEL, GEN_AI_PROVIDER_NAME, GEN_AI_RESPONSE_MODEL)
_MODEL = (HERMES_CRON_MODEL_NAME, HERMES_CRON_MODEL_PROVIDER)
_SKILL = (HERMES_CRON_SKILL_NAME, *_MODEL)
_BUDGET = (HERMES_CRON_BUDGET_SCOPE, HERMES_CRON_BUDGET_PERIOD)

# fmt: off
SERIES_METRICS: Final[Mapping[SeriesKind, MetricForm]] = {
    SeriesKind.RUNS: _counter("runs", "{run}", "Runs that ended. A job has all eight outcomes from its first run on; `missed` counts the times at which it should have run.", HERMES_CRON_RUN_OUTCOME),
    SeriesKind.ERRORS: _counter("run.errors", "{run}", "Runs with an error, by its type.", ERROR_TYPE),
    SeriesKind.DURATION: _histogram(SeriesKind.DURATION, "hermes.cron.run.duration", "s", "From the start of a run to its end, where both are known.", HERMES_CRON_RUN_FAILED),
    SeriesKind.LATENESS: _histogram(SeriesKind.LATENESS, "hermes.cron.run.lateness", "s", "How late runs started, where their due time is known."),
    SeriesKind.COST: _counter("run.cost", "USD", "Known costs. A `partial` cost is a lower bound.", *_MODEL, HERMES_CRON_COST_STATUS),
    SeriesKind.TOKENS: _counter("run.tokens", "{token}", "Tokens: `input` with those from a cache, `output` with reasoning. Together they are the total.", *_MODEL, GEN_AI_TOKEN_TYPE),
    SeriesKind.UNPRICED_RUNS: _counter("unpriced_runs", "{run}", "Runs whose cost nobody wrote down: they are in no sum of costs.", HERMES_CRON_MODEL_NAME),
    SeriesKind.DELIVERIES: _counter("deliveries", "{delivery}", "What became of the answers.", HERMES_CRON_DELIVERY_OUTCOME),
    SeriesKind.CALL_TOKENS: _histogram(SeriesKind.CALL_TOKENS, "gen_ai.client.token.usage", "{token}", "Tokens of each model call that was observed live. Only with `genai_metrics`.", *_CALL, GEN_AI_TOKEN_TYPE, about=About.CALL),
    SeriesKind.CALL_DURATION: _histogram(SeriesKind.CALL_DURATION, "gen_ai.client.operation.duration", "s", "Duration of each model call that was observed live. Only with `genai_metrics`.", *_CALL, ERROR_TYPE, about=About.CALL),
}
"""The metrics of the series."""

GAUGE_METRICS: Final = (
    _gauge("window.runs", "{run}", "Runs in the window up to now: what the command line says of the same window.", HERMES_CRON_WINDOW, HERMES_CRON_RUN_OUTCOME),
    _gauge("window.cost", "USD", "Their known cost.", HERMES_CRON_WINDOW),
    _gauge("window.tokens", "{token}", "Their tokens.", HERMES_CRON_WINDOW),
    _gauge("projection.nominal_cost", "USD", "The mean cost of a scheduled run, times the runs that are scheduled in the window from now on.", HERMES_CRON_WINDOW),
    _gauge("projection.trend_cost", "USD", "What the last 30 days cost, carried on over the window from now on.", HERMES_CRON_WINDOW),
    _gauge("projection.scheduled_runs", "{run}", "Runs that are scheduled in the window from now on.", HERMES_CRON_WINDOW),
    _gauge("projection.pace", "1", "Trend cost divided by nominal cost, of the next 30 days."),
    _gauge("projection.adherence", "1", "Scheduled runs of the last 30 days, divided by the times at which the job was due."),
    _gauge("job.next_run_timestamp", "s", "When the job is due next, as time since the epoch."),
    _gauge("job.last_run_timestamp", "s", "When its last run ended."),
    _gauge("job.last_success_timestamp", "s", "When its last successful run began."),
    _gauge("job.running_since_timestamp", "s", "Since when it has been running; absent while it is idle."),
    _gauge("job.last_duration", "s", "How long its last run took."),
    _gauge("job.expected_duration", "s", "The 95th percentile of the durations of 30 days, as `health` takes it: absent with fewer than five runs; skipped and abandoned ones are left out."),
    _gauge("job.last_cost", "USD", "What its last run cost, where that is known."),
    _gauge("job.consecutive_failures", "{run}", "How many runs in a row have failed up to now."),
    _gauge("job.last_outcome", "{job}", "1 for the outcome of its last run, 0 for the others that it ever had.", HERMES_CRON_RUN_OUTCOME),
    _gauge("job.state", "{job}", "1 for its state, 0 for those it had before. A deleted job has 0 for all, and a renamed one under its former name, for seven days: `scheduled`, `paused`, `completed`, `disabled`.", HERMES_CRON_JOB_STATE),
    _gauge("job.info", "{job}", "1, with what describes the job.", HERMES_CRON_JOB_MODE, HERMES_CRON_SCHEDULE_KIND, HERMES_CRON_SCHEDULE_EXPRESSION, HERMES_CRON_MODEL_DECLARED),
    _gauge("budget.limit", "USD", "The limit of a budget. The job's id and name are there for the scope `job`.", *_BUDGET),
    _gauge("budget.used", "USD", "What was spent of it so far in its day or month.", *_BUDGET),
    _gauge("budget.forecast", "USD", "What will have been spent of it at the end of its day or month.", *_BUDGET),
    _gauge("skill.success", "1", "The share of successes of the runs with a skill: a weighted mean of 14 days, as the next two.", *_SKILL, about=About.PROFILE),
    _gauge("skill.duration", "s", "The duration of such a run.", *_SKILL, about=About.PROFILE),
    _gauge("skill.cost", "USD", "The skill's share of the cost of such a run.", *_SKILL, about=About.PROFILE),
    _gauge("model.success", "1", "The share of successes of a model's runs: a weighted mean of 14 days, as the next two.", *_MODEL, about=About.PROFILE),
    _gauge("model.duration", "s", "The duration of such a run.", *_MODEL, about=About.PROFILE),
    _gauge("model.cost", "USD", "The cost of such a run.", *_MODEL, about=About.PROFILE),
    _gauge("outbox.pending", "{run}", "Runs whose trace a destination of the settings has not acknowledged.", HERMES_CRON_DESTINATION, about=About.PROFILE),
    _gauge("outbox.refused", "{run}", "Runs whose trace it refused.", HERMES_CRON_DESTINATION, about=About.PROFILE),
    _gauge("outbox.oldest_timestamp", "s", "When the oldest pending run ended; absent without one.", HERMES_CRON_DESTINATION, about=About.PROFILE),
    _gauge("sync.last_success_timestamp", "s", "When Hermes's files were last read without a fault.", about=About.PROFILE),
    _gauge("build.info", "{build}", "1, with the versions.", SERVICE_VERSION, HERMES_VERSION, about=About.PROFILE),
)
"""The metrics of the state at the time of a collection. Their values are answers of `insight`."""
# fmt: on

METRICS: Final = (*SERIES_METRICS.values(), *GAUGE_METRICS)
"""All metrics, in the order of docs/telemetry.md."""

GEN_AI_CALL: Final = (GEN_AI_OPERATION_NAME, "chat")
"""The attribute that all points of the GenAI metrics have."""
