"""The table of what needs attention now: a row for each job, destination or home, and what is wrong with it."""

from __future__ import annotations

from typing import Final

from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_DELIVERY_OUTCOME,
    HERMES_CRON_DESTINATION,
    HERMES_CRON_WINDOW,
)

from ..names import label
from ..promql import (
    JOB_ID,
    JOB_NAME,
    OUTCOME,
    PROFILE,
    added,
    gauges,
    overdue_s,
    running_long_s,
    scheduled,
    silent_s,
)
from . import style
from .board import IN_PROFILE
from .panels import COUNT, Column, Panel, job_link, rows

_DESTINATION: Final = label(HERMES_CRON_DESTINATION)
_JOB: Final = f"on ({PROFILE}, {JOB_ID})"


def attention() -> Panel:
    return rows(
        "What is wrong",
        "Jobs that fail, are overdue, run far longer than usual, were missed, cost twice what their schedule gives, or"
        " are over their budget; answers that were not delivered; traces that do not arrive; homes that are silent."
        " A job's name opens the job's board. Paused and deleted jobs are here only with what was missed or not"
        " delivered in the last day, and with their pace. Homes of one profile share a row. The alerts see more, and"
        " sooner: a home that is silent or cannot be read is here after a day.",
        Column(title="Job", label=JOB_NAME, link=job_link(of_row=True), width=140),
        Column(title="How much", expr=problems(), unit=COUNT, decimals=1, width=85),
        Column(title="What", label="problem"),
        Column(title="Destination", label=_DESTINATION, width=95),
        Column(title="Profile", label=PROFILE, width=85),
        Column(title="How bad", label="severity", mappings=style.mapped(style.SEVERITY_COLOURS), is_filled=True, width=110),
        hidden=[JOB_ID],
        sort=("How bad", False),
        no_value="none of these was found",
    )  # fmt: skip


def problems() -> str:
    """Return all that is wrong, with the labels `problem` and `severity`."""
    serious, minor = style.SEVERITY_COLOURS
    found = [
        (serious, "failed runs in a row", f"({_consecutive_failures()} > 0 and {_JOB} ({scheduled(IN_PROFILE)}))"),
        (serious, "minutes overdue", f"{overdue_s(IN_PROFILE)} / 60"),
        (serious, "minutes running, far longer than usual", f"{running_long_s(IN_PROFILE)} / 60"),
        (minor, "runs missed in 24 hours", _in_a_day("window.runs", "missed")),
        (minor, "answers not delivered in 24 hours", _not_delivered()),
        (minor, "times the cost that the schedule gives", f"({gauges('projection.pace', JOB_NAME, selector=IN_PROFILE)} > 2)"),
        (minor, "percent of its budget spent", _over_budget()),
        (serious, "traces refused by a destination", _outbox("outbox.refused")),
        (minor, "hours that the oldest trace has been waiting", f"(time() - {_waiting_since()} > 3600) / 3600"),
        (serious, "hours since its files were read", f"{silent_s(IN_PROFILE)} / 3600"),
    ]  # fmt: skip
    labels = f"{PROFILE}, {JOB_ID}, {JOB_NAME}, {_DESTINATION}, problem, severity"
    union = " or ".join(
        f'label_replace(label_replace({expr}, "problem", "{problem}", "", ""), "severity", "{severity}", "", "")'
        for severity, problem, expr in found
    )
    return f"max by ({labels}) ({union})"


def _consecutive_failures() -> str:
    return gauges("job.consecutive_failures", JOB_NAME, selector=IN_PROFILE)


def _in_a_day(metric: str, outcome: str) -> str:
    selector = f'{IN_PROFILE}, {label(HERMES_CRON_WINDOW)}="24h", {OUTCOME}="{outcome}"'
    return f"({gauges(metric, JOB_NAME, selector=selector)} > 0)"


def _not_delivered() -> str:
    selector = f'{IN_PROFILE}, {label(HERMES_CRON_DELIVERY_OUTCOME)}="failed"'
    return f"({added('deliveries', selector=selector, window='1d')} > 0)"


def _over_budget() -> str:
    used, limit = (
        gauges(f"budget.{one}", JOB_NAME, selector=IN_PROFILE) for one in ("used", "limit")
    )
    return f"(100 * {used} / {limit} > 100)"


def _outbox(metric: str) -> str:
    return f"({gauges(metric, selector=IN_PROFILE)} > 0)"


def _waiting_since() -> str:
    return gauges("outbox.oldest_timestamp", selector=IN_PROFILE)
