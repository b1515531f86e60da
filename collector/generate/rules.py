"""The recording rules: what alerts, and queries that want to be short, are made of.

A rule stands on gauges that are points in time, on last values, and on counts; on no rate, because samples can
be hours apart. Each number that also decides what `cronalytics-otel health` shows is imported from there.

A series of level `home` is one Hermes home: `service.name`, `service.instance.id` and the profile. One of level
`job` also has the job's id and name. No other label is kept, so that an upgrade of anything, or a resource attribute
that is promoted to a label, begins no other series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from collector.generate.names import label, metric
from collector.generate.promql import (
    FAILED,
    JOB_ID,
    JOB_NAME,
    LATE_S,
    NOW,
    OUTCOME,
    PROFILE,
    instant,
    last,
    present,
)
from collector.generate.yaml_text import yaml_text
from cronalytics_otel.domain.job_state import JobState
from cronalytics_otel.insight.health import DEAD_AFTER_NS, STALE_WHEN_DUE_NS
from cronalytics_otel.insight.usual import (
    HUNG_FACTOR,
    HUNG_LEAST_S,
    HUNG_UNKNOWN_S,
    USUAL_LEAST_RUNS,
)
from cronalytics_otel.model import DeliveryOutcome, Outcome
from cronalytics_otel.model.series import ONCE, OTHER
from cronalytics_otel.model.times import NS
from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_BUDGET_PERIOD,
    HERMES_CRON_BUDGET_SCOPE,
    HERMES_CRON_DELIVERY_OUTCOME,
    HERMES_CRON_DESTINATION,
    HERMES_CRON_JOB_STATE,
    HERMES_CRON_WINDOW,
)

INTERVAL: Final = "30s"
"""How often rules and alerts are evaluated."""

GROUP: Final = "cronalytics"

HOME: Final = f"job, instance, {PROFILE}"
"""The labels of one Hermes home; `job` and `instance` are service.name and service.instance.id."""
JOB: Final = f"{HOME}, {JOB_ID}, {JOB_NAME}"
"""The labels of one job of a home."""

DEAD_S: Final = DEAD_AFTER_NS // NS
REPORT_S: Final = STALE_WHEN_DUE_NS // NS

_WINDOW: Final = label(HERMES_CRON_WINDOW)
_SCHEDULED: Final = f'{label(HERMES_CRON_JOB_STATE)}="{JobState.SCHEDULED}"'
_DELIVERY: Final = label(HERMES_CRON_DELIVERY_OUTCOME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRule:
    name: str
    """level:metric:operation, the name of the series."""
    expression: str
    meaning: str


# --- parts of expressions ----------------------------------------------------------------------------


def of_job(short_name: str, selector: str = "") -> str:
    """Return the present value of a gauge, one for each job."""
    return f"max by ({JOB}) ({present(short_name, selector)})"


_DOWN: Final = "6h"
"""For how long Prometheus may have been down, and still compares with the time before."""


SHARED: Final = f'last_over_time({metric("runs")}{{{JOB_ID}=~"{ONCE}|{OTHER}"}}[{NOW}])'
"""Something for each of the jobs `once` and `other`, which stand for many jobs and have no state."""


def added(total: RecordingRule, window: str) -> str:
    """Return by job what was added to a recorded total in the window that ends now, by what has arrived.

    The total is that of the last values. So a home may be silent for hours, what it sends then counts from its
    arrival on, and the history in the first values of a home is not an addition. A series begins with a 0, which
    Prometheus refuses when it is old. So a series that is new in a home that was known before counts as a
    whole: if it is that of a job which is scheduled, or of all jobs that have none of their own.
    """
    before = f"last_over_time({total.name}[{_DOWN}] offset {window})"
    known = f"last_over_time({SYNCED.name}[{_DOWN}] offset {window})"
    return (
        f"(\n"
        f"  {total.name} - on ({JOB}) (\n"
        f"    {before}\n"
        f"    or (\n"
        f"      {total.name} * 0\n"
        f"      and on ({HOME}) {known}\n"
        f"      and on ({JOB}) ({SCHEDULED.name} or {SHARED})\n"
        f"    )\n"
        f"    or min_over_time({total.name}[{window}])\n"
        f"  )\n"
        f")"
    )


def _remembered(name: str, short_name: str, labels: str, meaning: str) -> RecordingRule:
    """Return the rule that holds a gauge as the newest request of its home has it, or does not have it.

    A home may be silent for days after that request, and Prometheus does not know which of the last values are of
    it. So the rule remembers: while nothing comes, what it had a minute ago is still there, with the last value, which
    may have arrived late. If it was not evaluated then, as when Prometheus was down, all last values are.
    """
    held = f"max by ({labels}) ({last(short_name)})"
    return RecordingRule(
        name=name,
        expression=(
            f"max by ({labels}) ({instant(short_name)})\n"
            f"or (\n"
            f"  (\n"
            f"    ({held} and on ({labels}) {name} offset 1m)\n"
            f"    or ({held} unless on ({HOME}) {EVALUATED})\n"
            f"  )\n"
            f"  unless on ({HOME}) {instant('build.info')}\n"
            f")"
        ),
        meaning=meaning,
    )


def _total(name: str, short_name: str, selector: str, meaning: str) -> RecordingRule:
    series = f"last_over_time({metric(short_name)}{{{selector}}}[{NOW}])"
    return RecordingRule(name=name, expression=f"sum by ({JOB}) ({series})", meaning=meaning)


# --- the rules, in the order in which they stand on each other ----------------------------------------

SYNCED: Final = RecordingRule(
    name="hermes_cron_home:sync_timestamp_seconds:last",
    expression=f"max by ({HOME}) ({last('sync.last_success_timestamp')})",
    meaning="When Hermes's files were last read without a fault, as far as Prometheus knows.",
)

EVALUATED: Final = f"last_over_time({SYNCED.name}[5m] offset 1m)"
"""Something for each home that the rules knew some minutes ago."""

_STATE_OF_EACH: Final = (
    f"max by ({HOME}, {JOB_ID}) ({last('job.state')}) * 0 + on ({HOME}) group_left ()"
)
REPLACED: Final = RecordingRule(
    name="hermes_cron_home:replaced:count",
    expression=(
        f"count by ({HOME}) (\n"
        f"  {_STATE_OF_EACH} {SYNCED.name}\n"
        f"  < on ({PROFILE}, {JOB_ID}) group_left ()\n"
        f"  max by ({PROFILE}, {JOB_ID}) (\n"
        f"    {_STATE_OF_EACH}\n"
        f"    max by ({HOME}) (min_over_time({metric('sync.last_success_timestamp')}[{NOW}]))\n"
        f"  )\n"
        f")"
    ),
    meaning="Homes that have sent nothing since the same jobs appeared under another instance: they were moved,"
    " and what is known of them there is over. A copy beside which the first one goes on replaces nothing.",
)

_NOT_REPLACED: Final = f"unless on ({HOME}) {REPLACED.name}"

SCHEDULED: Final = RecordingRule(
    name="hermes_cron_job:scheduled:last",
    expression=f"{of_job('job.state', _SCHEDULED)} == 1\n{_NOT_REPLACED}",
    meaning="1 for each job that is scheduled: not paused, completed, deleted, or known under another name now.",
)

_IS_SCHEDULED: Final = f"and on ({JOB}) {SCHEDULED.name}"
_FAILURES: Final = f"{of_job('job.consecutive_failures')} > 0"

FAILURES: Final = RecordingRule(
    name="hermes_cron_job:failures_in_a_row:last",
    expression=f"{_FAILURES}\n{_IS_SCHEDULED}",
    meaning="Runs that failed since the last success, of the scheduled jobs whose last run failed.",
)

FAILED_RUNS_TOTAL: Final = _total(
    "hermes_cron_job:failed_runs:sum", "runs", FAILED, "Failed runs, as the last request had them."
)

FAILED_RUNS_1H: Final = RecordingRule(
    name="hermes_cron_job:failed_runs:added1h",
    expression=added(FAILED_RUNS_TOTAL, "1h"),
    meaning="Failed runs that became known in the last hour.",
)

MISSED_RUNS_TOTAL: Final = _total(
    "hermes_cron_job:missed_runs:sum",
    "runs",
    f'{OUTCOME}="{Outcome.MISSED}"',
    "Runs that did not happen, as the last request had them.",
)

MISSED_RUNS_1D: Final = RecordingRule(
    name="hermes_cron_job:missed_runs:added1d",
    expression=added(MISSED_RUNS_TOTAL, "1d"),
    meaning="Runs that did not happen, and became known in the last day.",
)

FAILED_DELIVERIES_TOTAL: Final = _total(
    "hermes_cron_job:failed_deliveries:sum",
    "deliveries",
    f'{_DELIVERY}="{DeliveryOutcome.FAILED}"',
    "Answers that could not be delivered, as the last request had them.",
)

OTHER_DELIVERIES_TOTAL: Final = _total(
    "hermes_cron_job:other_deliveries:sum",
    "deliveries",
    f'{_DELIVERY}!="{DeliveryOutcome.FAILED}"',
    "All other answers, as the last request had them.",
)
UNDELIVERED_WINDOWS: Final = ("1h", "6h", "1d")


def _undelivered(window: str) -> str:
    """Return the failed deliveries of jobs of which no later answer can have been delivered."""
    failed = f"{added(FAILED_DELIVERIES_TOTAL, window)} > 0"
    if window == UNDELIVERED_WINDOWS[0]:
        return failed
    return f"({failed}\nunless on ({JOB}) {added(OTHER_DELIVERIES_TOTAL, window)} > 0)"


UNDELIVERED: Final = RecordingRule(
    name="hermes_cron_job:failed_deliveries:added1d",
    expression="\nor\n".join(_undelivered(window) for window in UNDELIVERED_WINDOWS),
    meaning="Answers that could not be delivered: all of the last hour, and those of the last six hours and of the"
    " last day where no answer of the job was delivered in that time.",
)

_NEXT: Final = of_job("job.next_run_timestamp")
_RUNNING_SINCE: Final = f"max by ({JOB}) ({instant('job.running_since_timestamp')})"
RUNNING: Final = RecordingRule(
    name="hermes_cron_job:running_seconds:now",
    expression=f"time() - {_RUNNING_SINCE}",
    meaning="For how long a run has been going on.",
)

OVERDUE: Final = RecordingRule(
    name="hermes_cron_job:overdue_seconds:now",
    expression=(
        f"(time() - {_NEXT})\n"
        f"and on ({JOB}) (\n"
        f"  {_NEXT} < on ({HOME}) group_left () ({SYNCED.name} - {LATE_S})\n"
        f")\n"
        f"{_IS_SCHEDULED}\n"
        f"unless on ({JOB}) {RUNNING.name}"
    ),
    meaning=f"For how long a job is past its time that was due {LATE_S} s or more before its home was read, and"
    " that does not run.",
)

_STARTED: Final = (
    f"max by ({HOME}) (\n"
    f"    {of_job('job.last_run_timestamp')} - on ({JOB}) {of_job('job.last_duration')}\n"
    f"    or {of_job('job.last_run_timestamp')}\n"
    f"  )"
)
DEAD: Final = RecordingRule(
    name="hermes_cron_home:scheduler_idle_seconds:now",
    expression=(
        f"max by ({HOME}) ({OVERDUE.name})\n"
        # The time at which the job was due, seen from the last reading.
        f"and on ({HOME}) (\n"
        f"  {SYNCED.name} - on ({HOME}) (time() - max by ({HOME}) ({OVERDUE.name})) >= {DEAD_S}\n"
        f")\n"
        f"unless on ({HOME}) (\n"
        f"  {_STARTED}\n"
        f"  > on ({HOME}) (time() - max by ({HOME}) ({OVERDUE.name}) + {LATE_S})\n"
        f")\n"
        f"unless on ({HOME}) (\n"
        f"  max by ({HOME}) ({_RUNNING_SINCE})\n"
        f"  > on ({HOME}) (time() - max by ({HOME}) ({OVERDUE.name}) + {LATE_S})\n"
        f")"
    ),
    meaning=f"For how long no job has been started although one was due, where that is {DEAD_S} s or more.",
)

USUAL_DURATION: Final = RecordingRule(
    name="hermes_cron_job:usual_duration_seconds:p95",
    expression=of_job("job.expected_duration"),
    meaning="How long a job usually takes: the 95th percentile of 30 days, absent where too few runs are known.",
)

HUNG: Final = RecordingRule(
    name="hermes_cron_job:hung_seconds:now",
    expression=(
        f"(\n"
        f"  {RUNNING.name}\n"
        f"  > on ({JOB}) clamp_min({HUNG_FACTOR} * {USUAL_DURATION.name}, {HUNG_LEAST_S:g})\n"
        f")\n"
        f"or (({RUNNING.name} unless on ({JOB}) {USUAL_DURATION.name}) > {HUNG_UNKNOWN_S:g})"
    ),
    meaning=f"For how long a run has been going on that hangs: {HUNG_FACTOR} times its job's usual duration and at least"
    f" {HUNG_LEAST_S:g} s, or {HUNG_UNKNOWN_S:g} s where that is not known.",
)

LAST_COST: Final = _remembered(
    "hermes_cron_job:last_cost_usd:last",
    "job.last_cost",
    JOB,
    "What a job's last run cost, where that is known.",
)

PACE_KNOWN: Final = _remembered(
    "hermes_cron_job:pace_ratio:last",
    "projection.pace",
    JOB,
    "What a job costs as a multiple of what its schedule explains, where that is known.",
)

BUDGET: Final = f"{JOB}, {label(HERMES_CRON_BUDGET_SCOPE)}, {label(HERMES_CRON_BUDGET_PERIOD)}"
"""The labels of one budget; those of a job are empty in a budget of all jobs."""

BUDGET_USED: Final = _remembered(
    "hermes_cron_budget:used_usd:last",
    "budget.used",
    BUDGET,
    "What was spent of each budget in the day or month of the last request.",
)

AT_DESTINATION: Final = f"{HOME}, {label(HERMES_CRON_DESTINATION)}"
"""The labels of one destination of a home."""

REFUSED_RUNS: Final = _remembered(
    "hermes_cron_destination:refused_runs:last",
    "outbox.refused",
    AT_DESTINATION,
    "Runs that a destination in the settings refused.",
)

PENDING_RUNS: Final = _remembered(
    "hermes_cron_destination:pending_runs:last",
    "outbox.pending",
    AT_DESTINATION,
    "Runs that a destination in the settings lacks.",
)

_MONTH: Final = f'{_WINDOW}="30d"'
_RUNS_THAT_TOOK_PLACE: Final = (
    f'{_MONTH}, {OUTCOME}!~"{"|".join(sorted((Outcome.MISSED, Outcome.SKIPPED)))}"'
)
USUAL_COST: Final = RecordingRule(
    name="hermes_cron_job:usual_cost_usd:mean30d",
    expression=(
        f"{of_job('projection.nominal_cost', _MONTH)}\n"
        f"/ on ({JOB}) ({of_job('projection.scheduled_runs', _MONTH)} > 0)\n"
        f"and on ({JOB}) (\n"
        f"  sum by ({JOB}) ({present('window.runs', _RUNS_THAT_TOOK_PLACE)}) >= {USUAL_LEAST_RUNS}\n"
        f")"
    ),
    meaning="What a scheduled run of a job usually costs: the mean of 30 days, absent where too few runs are known.",
)

_EXPECTED: Final = (
    f"({_NEXT} >= on ({HOME}) group_left () ({SYNCED.name} - {LATE_S}) {_IS_SCHEDULED})"
)
REPORT_DUE: Final = RecordingRule(
    name="hermes_cron_home:report_due_timestamp_seconds:min",
    expression=(
        f"min by ({HOME}) (\n"
        f"  {_EXPECTED} + on ({JOB}) clamp_min({HUNG_FACTOR} * {USUAL_DURATION.name}, {HUNG_LEAST_S:g})\n"
        f"  or ({_EXPECTED} unless on ({JOB}) {USUAL_DURATION.name}) + {HUNG_UNKNOWN_S:g}\n"
        f") + {REPORT_S}"
    ),
    meaning="When a home should have sent something: after its next run, had it hung, and"
    f" {REPORT_S} s. A home that is served by single ticks sends only when a run has ended.",
)

RULES: Final = (
    SYNCED, REPLACED, SCHEDULED, FAILURES, FAILED_RUNS_TOTAL, FAILED_RUNS_1H, MISSED_RUNS_TOTAL, MISSED_RUNS_1D,
    FAILED_DELIVERIES_TOTAL, OTHER_DELIVERIES_TOTAL, UNDELIVERED, RUNNING, OVERDUE, DEAD,
    USUAL_DURATION, HUNG, LAST_COST, PACE_KNOWN, BUDGET_USED, REFUSED_RUNS, PENDING_RUNS, USUAL_COST, REPORT_DUE,
)  # fmt: skip


def files() -> Mapping[str, str]:
    """Return the file of the recording rules."""
    group = {
        "name": GROUP,
        "interval": INTERVAL,
        "rules": [{"record": rule.name, "expr": rule.expression} for rule in RULES],
    }
    meanings = [f"{rule.name}\n  {rule.meaning}" for rule in RULES]
    header = [
        "Recording rules for the metrics of cron runs. The alerts stand on them: load both files.",
        "Generated by `make views` from collector/generate/rules.py: edit there.",
        "",
        *meanings,
    ]
    return {"rules/cronalytics.rules.yml": yaml_text("\n".join(header), {"groups": [group]})}
