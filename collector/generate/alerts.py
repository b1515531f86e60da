"""The alerts. Each is one record, and Prometheus and Grafana get the same expression from it.

An alert says what `cronalytics-otel health` says, from the same numbers. It waits only where waiting makes it
surer. Severity `critical` means that it does not mend itself and that figures or runs are being lost: look now.
`warning` can wait for the morning. The owner is who can do something: `jobs` are the people whose job it
is, `platform` are those who run Hermes and the telemetry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from collector.generate.alert_links import IS_SHARED, Runs
from collector.generate.names import label, metric
from collector.generate.promql import JOB_ID, JOB_NAME, NOW, PROFILE, instant, present
from collector.generate.rules import (
    AT_DESTINATION,
    BUDGET,
    BUDGET_USED,
    DEAD,
    FAILED_RUNS_1H,
    FAILURES,
    HOME,
    HUNG,
    JOB,
    LAST_COST,
    MISSED_RUNS_1D,
    OVERDUE,
    PACE_KNOWN,
    PENDING_RUNS,
    REFUSED_RUNS,
    REPLACED,
    REPORT_DUE,
    SCHEDULED,
    SHARED,
    SYNCED,
    UNDELIVERED,
    USUAL_COST,
    of_job,
)
from cronalytics_otel.insight.health import PENDING_NS
from cronalytics_otel.insight.job_health import FAILURES_IN_A_ROW
from cronalytics_otel.insight.usual import HUNG_UNKNOWN_S
from cronalytics_otel.model.times import NS
from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_BUDGET_PERIOD,
    HERMES_CRON_DESTINATION,
    HERMES_CRON_WINDOW,
)

MANY_JOBS: Final = 5
MANY_SHARE: Final = 0.5
"""So many failing jobs, and such a share of a home's jobs, have one cause: a provider, a key, the network."""

SPIKE_FACTOR: Final = 5
"""A run is a spike when it costs so many times what the job's runs usually cost: of agents' runs, one in some
hundreds costs three times as much."""

SPIKE_LEAST_USD: Final = 0.5
"""And so much more than usual: nobody looks for cents."""

PACE: Final = 2
"""Twice what the schedule explains: the command line shows a pace from there on in red."""

PACE_LEAST_USD: Final = 1
"""The trend of 30 days is so much above what the schedule explains."""

DESTINATION: Final = label(HERMES_CRON_DESTINATION)
_WINDOW: Final = label(HERMES_CRON_WINDOW)
_PERIOD: Final = label(HERMES_CRON_BUDGET_PERIOD)


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


class Owner(StrEnum):
    JOBS = "jobs"
    PLATFORM = "platform"


class About(StrEnum):
    """What one alert is about: it decides which labels it has, and where it leads."""

    JOB = "job"
    BUDGET = "budget"
    HOME = "home"
    ALL = "all"
    """No home: nobody sends anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. In texts, `<value>` is its value, and `<value:f>` its value by the template function f."""

    name: str
    about: About
    expression: str
    severity: Severity
    owner: Owner
    summary: str
    description: str
    waits: str | None = None
    """For how long the expression holds before it fires."""
    stays: str | None = None
    """For how long it fires after the expression has ceased to hold."""
    runs: Runs = Runs.ALL
    """Which runs its links to traces show."""
    dashboard: str
    """The uid of the dashboard that shows more."""


_JOB_BOARD: Final = "cronalytics-job"
_FLEET_BOARD: Final = "cronalytics-fleet"
_PIPELINE_BOARD: Final = "cronalytics-pipeline"

_NAME: Final = f"{{{{ .Labels.{JOB_NAME} }}}}"
_IN_PROFILE: Final = f"of profile {{{{ .Labels.{PROFILE} }}}}"
_HOME_TEXT: Final = f"profile {{{{ .Labels.{PROFILE} }}}} (instance {{{{ .Labels.instance }}}})"
_IN_PERIOD: Final = f"in one {{{{ .Labels.{_PERIOD} }}}}"
"""Not `today`: the last request of a silent home may be of an earlier day."""
_DESTINATION_TEXT: Final = f"{{{{ .Labels.{DESTINATION} }}}}"
_OF_JOB: Final = f"{{{{ .Labels.{JOB_ID} }}}} --profile {{{{ .Labels.{PROFILE} }}}}"
"""The job, as an argument of our commands."""
_TRACE: Final = (
    f"`cronalytics-otel {{{{ if {IS_SHARED} }}}}runs --outcome failed --profile {{{{ .Labels.{PROFILE} }}}}"
    f"{{{{ else }}}}trace {_OF_JOB}{{{{ end }}}}` shows what happened."
)

_IS_SCHEDULED: Final = f"and on ({JOB}) {SCHEDULED.name}"
_NOT_REPLACED: Final = f"unless on ({HOME}) {REPLACED.name}"
_FAILING_NOW: Final = f"({of_job('job.consecutive_failures')} > 0)"
_MONTH: Final = f'{_WINDOW}="30d"'
_WEEK: Final = f'{_WINDOW}="7d"'


def _of_destination(short_name: str) -> str:
    return f"max by ({AT_DESTINATION}) ({present(short_name)})"


def _earlier(short_name: str, ago: str) -> str:
    """Return a destination's last value as it was some time ago."""
    series = f"last_over_time({metric(short_name)}[{NOW}] offset {ago})"
    return f"max by ({AT_DESTINATION}) ({series})"


_DELETED: Final = f"(max by ({JOB}) ({present('job.state')}) == 0)"

ALERTS: Final = (
    Alert(
        name="HermesCronJobFailed",
        about=About.JOB,
        # The first part is written out, because it should not wait for another rule. The second one is a failure
        # that the gauge never showed: the job succeeded before the home sent again, or it runs once.
        expression=(
            f"{_FAILING_NOW}\n"
            f"{_IS_SCHEDULED}\n"
            f"or (\n"
            f"  {FAILED_RUNS_1H.name} > 0\n"
            f"  unless on ({JOB}) present_over_time({FAILURES.name}[1h])\n"
            f")"
        ),
        stays="10m",
        severity=Severity.WARNING,
        owner=Owner.JOBS,
        summary=f"The job {_NAME} {_IN_PROFILE} failed",
        description=f"Failed runs since its last success, or in the last hour: <value>. {_TRACE}",
        runs=Runs.FAILED,
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronJobFailingInARow",
        about=About.JOB,
        expression=f"{FAILURES.name} >= {FAILURES_IN_A_ROW}",
        severity=Severity.CRITICAL,
        owner=Owner.JOBS,
        summary=f"The job {_NAME} {_IN_PROFILE} failed <value> times in a row",
        description="It has not succeeded in between, so it will not mend itself. " + _TRACE,
        runs=Runs.FAILED,
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronManyJobsFailing",
        about=About.HOME,
        expression=(
            f"count by ({HOME}) ({FAILURES.name}) >= {MANY_JOBS}\n"
            f"and on ({HOME}) (\n"
            f"  count by ({HOME}) ({FAILURES.name})\n"
            f"  >= on ({HOME}) {MANY_SHARE} * count by ({HOME}) ({SCHEDULED.name})\n"
            f")"
        ),
        severity=Severity.CRITICAL,
        owner=Owner.PLATFORM,
        summary=f"<value> jobs fail in {_HOME_TEXT}",
        description="At least half of the scheduled jobs of this home failed at their last run. That has one cause: look at"
        " the model's provider, its key, the network and the disk before you look at a job."
        " `cronalytics-otel health` shows the reason of each.",
        dashboard=_FLEET_BOARD,
    ),
    Alert(
        name="HermesCronJobMissed",
        about=About.JOB,
        expression=(
            f"{MISSED_RUNS_1D.name} > 0\n"
            f"and on ({JOB}) ({SCHEDULED.name} or {SHARED})\n"
            f"{_NOT_REPLACED}"
        ),
        severity=Severity.WARNING,
        owner=Owner.PLATFORM,
        summary=f"The job {_NAME} {_IN_PROFILE} did not run when it was due",
        description="Runs that did not happen, and became known in the last 24 hours: <value>. The machine or Hermes's"
        " gateway was down, or the scheduler passed the job over.",
        runs=Runs.FAILED,
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronJobOverdue",
        about=About.JOB,
        # After ten minutes it is clear whether only this job was not started, or the scheduler is dead.
        expression=f"{OVERDUE.name}\nunless on ({HOME}) {DEAD.name}",
        waits="10m",
        severity=Severity.WARNING,
        owner=Owner.PLATFORM,
        summary=f"The job {_NAME} {_IN_PROFILE} is overdue by <value:humanizeDuration>",
        description="It is due and was not started, although something else was, by the scheduler or by hand."
        " `cronalytics-otel health` shows whether the scheduler itself has started anything since.",
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronJobHung",
        about=About.JOB,
        expression=HUNG.name,
        waits="1m",
        severity=Severity.WARNING,
        owner=Owner.JOBS,
        summary=f"The job {_NAME} {_IN_PROFILE} has been running for <value:humanizeDuration>",
        description="That is far longer than its runs of the last 30 days took, or, where too few of them are known,"
        f" more than {HUNG_UNKNOWN_S / 3600:g} hours. `cronalytics-otel health` shows the process.",
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronCostSpike",
        about=About.JOB,
        expression=(
            f"{LAST_COST.name}\n"
            f"> on ({JOB}) {SPIKE_FACTOR} * {USUAL_COST.name}\n"
            f"and on ({JOB}) (\n"
            f"  {LAST_COST.name} - on ({JOB}) {USUAL_COST.name} > {SPIKE_LEAST_USD}\n"
            f")\n"
            f"{_IS_SCHEDULED}"
        ),
        severity=Severity.WARNING,
        owner=Owner.JOBS,
        summary=f'A run of the job {_NAME} {_IN_PROFILE} cost <value:printf "%.2f"> USD',
        description=f"That is more than {SPIKE_FACTOR} times what its runs of the last 30 days cost on average. {_TRACE}",
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronOverBudget",
        about=About.BUDGET,
        expression=(
            f"{BUDGET_USED.name}\n"
            f"> on ({BUDGET}) max by ({BUDGET}) ({present('budget.limit')})\n"
            f"unless on ({JOB}) {_DELETED}\n"
            f"{_NOT_REPLACED}"
        ),
        severity=Severity.WARNING,
        owner=Owner.JOBS,
        summary=f"{{{{ if .Labels.{JOB_NAME} }}}}The job {_NAME}{{{{ else }}}}All jobs together{{{{ end }}}}"
        f' {_IN_PROFILE} cost <value:printf "%.2f"> USD {_IN_PERIOD}, more than the budget',
        description="`cronalytics-otel forecast` shows what is still to come, and what each job costs.",
        dashboard=_FLEET_BOARD,
    ),
    Alert(
        name="HermesCronPaceHigh",
        about=About.JOB,
        expression=(
            f"{PACE_KNOWN.name} > {PACE}\n"
            f"and on ({JOB}) (\n"
            f"  {of_job('projection.trend_cost', _MONTH)}\n"
            f"  - on ({JOB}) {of_job('projection.nominal_cost', _MONTH)} > {PACE_LEAST_USD}\n"
            f")\n"
            # The last week too: else a schedule that was made rarer would fire for a month.
            f"and on ({JOB}) (\n"
            f"  {of_job('window.cost', _WEEK)} * 30 / 7\n"
            f"  > on ({JOB}) {PACE} * {of_job('projection.nominal_cost', _MONTH)}\n"
            f")\n"
            f"and on ({JOB}) {USUAL_COST.name}\n"
            f"{_IS_SCHEDULED}"
        ),
        waits="1h",
        severity=Severity.WARNING,
        owner=Owner.JOBS,
        summary=f'The job {_NAME} {_IN_PROFILE} costs <value:printf "%.1f"> times what its schedule explains',
        description="Somebody runs it by hand, it runs more often than planned, or its runs by hand are dearer."
        f" `cronalytics-otel job {_OF_JOB}` shows its runs by what started them.",
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronDeliveryFailed",
        about=About.JOB,
        expression=f"{UNDELIVERED.name} > 0",
        severity=Severity.WARNING,
        owner=Owner.JOBS,
        summary=f"An answer of the job {_NAME} {_IN_PROFILE} could not be delivered",
        description=f"The run itself may have succeeded: `cronalytics-otel output {_OF_JOB}` shows what it answered."
        " Answers that were not delivered: <value>.",
        dashboard=_JOB_BOARD,
    ),
    Alert(
        name="HermesCronSchedulerDead",
        about=About.HOME,
        expression=DEAD.name,
        waits="1m",
        severity=Severity.CRITICAL,
        owner=Owner.PLATFORM,
        summary=f"The scheduler of {_HOME_TEXT} starts no jobs",
        description="A job has been due for <value:humanizeDuration>, and no job has been started since. This stands for"
        " all jobs that are overdue there.",
        dashboard=_PIPELINE_BOARD,
    ),
    Alert(
        name="HermesCronTelemetryStale",
        about=About.HOME,
        expression=f"time() - {REPORT_DUE.name} > 0",
        waits="1m",
        severity=Severity.CRITICAL,
        owner=Owner.PLATFORM,
        summary=f"Nothing is heard of {_HOME_TEXT}, although a job was due",
        description="Its next run should have been reported <value:humanizeDuration> ago. Hermes's gateway is down, the machine is"
        " off, or nothing that it sends arrives. No other alert on this home can be trusted until it sends again.",
        dashboard=_PIPELINE_BOARD,
    ),
    Alert(
        name="HermesCronHomeUnreadable",
        about=About.HOME,
        expression=(
            f"(\n"
            f"  max by ({HOME}) ({instant('build.info')})\n"
            f"  unless on ({HOME}) max by ({HOME}) ({instant('sync.last_success_timestamp')})\n"
            f")\n"
            f"* on ({HOME}) (time() - {SYNCED.name})"
        ),
        waits="3m",
        stays="15m",
        severity=Severity.CRITICAL,
        owner=Owner.PLATFORM,
        summary=f"The files of {_HOME_TEXT} cannot be read",
        description="The plugin sends, but for <value:humanizeDuration> it could not read Hermes's files without a fault. Runs"
        " wait until it can; `cronalytics-otel doctor` looks at each file.",
        dashboard=_PIPELINE_BOARD,
    ),
    Alert(
        name="HermesCronTelemetryRefused",
        about=About.HOME,
        expression=f"{REFUSED_RUNS.name} > 0\n{_NOT_REPLACED}",
        severity=Severity.WARNING,
        owner=Owner.PLATFORM,
        summary=f"The destination {_DESTINATION_TEXT} refused <value> runs of {_HOME_TEXT}",
        description="Their traces are set aside with the reason: `cronalytics-otel status` shows it. Mend the cause, then"
        " `cronalytics-otel sync --retry-refused` sends them again.",
        dashboard=_PIPELINE_BOARD,
    ),
    Alert(
        name="HermesCronTelemetryPending",
        about=About.HOME,
        # A destination that is new gets all history, and works it off: then the oldest run changes.
        expression=(
            f"time() - {_of_destination('outbox.oldest_timestamp')} > {PENDING_NS // NS}\n"
            f"and on ({AT_DESTINATION}) (\n"
            f"  {_of_destination('outbox.oldest_timestamp')}\n"
            f"  <= on ({AT_DESTINATION}) {_earlier('outbox.oldest_timestamp', '1h')}\n"
            f")\n"
            f"and on ({AT_DESTINATION}) ({PENDING_RUNS.name} > 0)\n"
            f"{_NOT_REPLACED}"
        ),
        severity=Severity.WARNING,
        owner=Owner.PLATFORM,
        summary=f"The destination {_DESTINATION_TEXT} does not take the runs of {_HOME_TEXT}",
        description="The oldest run that it lacks ended <value:humanizeDuration> ago. Nothing is lost meanwhile."
        " `cronalytics-otel doctor` sends a test, and says what the destination answers.",
        dashboard=_PIPELINE_BOARD,
    ),
    Alert(
        name="HermesCronNobodyExports",
        about=About.ALL,
        expression=(
            f"absent_over_time({metric('build.info')}[{NOW}])\n"
            f"or absent_over_time({SYNCED.name}[1h])"
        ),
        waits="1h",
        severity=Severity.CRITICAL,
        owner=Owner.PLATFORM,
        summary="Nobody sends metrics of cron runs",
        description=f"No Hermes home has sent anything for {NOW}, or the recording rules are not loaded. Until that is"
        " mended, no other alert on cron runs can fire.",
        dashboard=_PIPELINE_BOARD,
    ),
)
"""In the order of the files."""

_RUNBOOKS: Final = {alert.name: alert.name for alert in ALERTS} | {
    "HermesCronJobFailing": "HermesCronJobFailed",
    "HermesCronJobOverBudget": "HermesCronOverBudget",
    "HermesCronRunOverBudget": "HermesCronCostSpike",
    "HermesCronSchedulerDown": "HermesCronSchedulerDead",
}
"""By the name of an alert, here or at a vendor, the page that helps."""


def runbook_text(name: str) -> str:
    """Return the sentence that leads from a vendor's alert to its runbook, if there is one."""
    page = _RUNBOOKS.get(name)
    return "" if page is None else f" What to do: `collector/runbooks/{page}.md`."
