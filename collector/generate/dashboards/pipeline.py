"""The scheduler and the pipeline: does Hermes start its jobs, and do traces and figures arrive?"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as models

from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_DELIVERY_OUTCOME,
    HERMES_CRON_DESTINATION,
    HERMES_CRON_WINDOW,
    HERMES_VERSION,
    SERVICE_VERSION,
)

from ..names import label
from ..promql import (
    HOST,
    JOB_ID,
    JOB_NAME,
    OUTCOME,
    PROFILE,
    counters,
    gauges,
    instant,
    last,
    mean,
    overdue_s,
    present,
    running_long_s,
    running_s,
    silent_s,
    total,
    with_host,
)
from . import style
from .board import (
    IN_PROFILE,
    PIPELINE,
    Line,
    Section,
    make_board,
    profile_variable,
    window_variable,
)
from .panels import (
    AGO,
    COUNT,
    SECONDS,
    SHARE,
    Column,
    Look,
    Panel,
    Series,
    bars,
    job_link,
    lines,
    number,
    rows,
)

WINDOW: Final = label(HERMES_CRON_WINDOW)
DESTINATION: Final = label(HERMES_CRON_DESTINATION)
DELIVERY: Final = label(HERMES_CRON_DELIVERY_OUTCOME)

MISSED: Final = f'{IN_PROFILE}, {WINDOW}="$window", {OUTCOME}="missed"'
_JOB: Final = (PROFILE, JOB_ID, JOB_NAME)
_NAMED_JOB: Final = f"{{{{{JOB_NAME}}}}} · {{{{{PROFILE}}}}}"


def board() -> models.Dashboard:
    return make_board(
        PIPELINE,
        "Cronalytics: scheduler and pipeline",
        "Does Hermes start its jobs, and do traces and figures arrive?",
        [profile_variable(), window_variable()],
        [
            Section(
                title="Is all well now?",
                lines=[Line(height=3, panels=[(4, panel) for panel in _now()])],
            ),
            Section(
                title="Does the scheduler start its jobs?",
                lines=[
                    Line(height=7, panels=[(12, _overdue()), (12, _running())]),
                    Line(height=8, panels=[(8, _missed()), (8, _adherence()), (8, _lateness())]),
                ],
            ),
            Section(
                title="Do traces arrive?",
                lines=[
                    Line(height=7, panels=[(12, _outboxes()), (12, _waiting())]),
                ],
            ),
            Section(
                title="Do figures arrive, and are the answers delivered?",
                lines=[Line(height=9, panels=[(16, _homes()), (8, _deliveries())])],
            ),
        ],
    )


def _now() -> list[Panel]:
    def count(title: str, description: str, expr: str, colour: str) -> Panel:
        # A 0 only where figures arrive: without any, nothing is known.
        known = f"0 * count({last('build.info', IN_PROFILE)})"
        return number(
            title,
            description,
            Series(expr=f"{expr} or {known}", name=title),
            look=Look(
                colour=style.by_threshold(),
                thresholds=style.thresholds(style.GREEN, (1, colour)),
                no_value="no figures",
            ),
        )

    return [
        count("Overdue jobs", "Scheduled jobs that are more than five minutes past their time.", f"count({overdue_s(IN_PROFILE)})", style.VERMILLION),
        count("Hung runs", "Runs that go on for more than three times the 95th percentile of their job, and at least ten minutes.", f"count({running_long_s(IN_PROFILE)})", style.ORANGE),
        count("Missed, last $window", "Times at which a job was due and did not run.", total(gauges("window.runs", selector=MISSED)), style.PURPLE),
        count("Traces that wait", "Runs whose trace a destination has not acknowledged yet. A few are normal while runs end.", total(gauges("outbox.pending", selector=IN_PROFILE)), style.ORANGE),
        count("Traces refused", "Runs whose trace a destination has refused: `cronalytics-otel status` has the reason.", total(gauges("outbox.refused", selector=IN_PROFILE)), style.VERMILLION),
        count("Silent homes", "Homes of the last week that have not been read without a fault for a day. A home that was moved counts here for a week.", f"count({silent_s(IN_PROFILE)})", style.VERMILLION),
    ]  # fmt: skip


def _overdue() -> Panel:
    return rows(
        "Overdue jobs",
        "Scheduled jobs that are past their time. A home without a gateway sends its next times only after a run, so a job of"
        " it may show while it runs. Empty when no job is overdue.",
        Column(title="Job", label=JOB_NAME, link=job_link(of_row=True)),
        Column(title="Profile", label=PROFILE),
        Column(title="Overdue for", expr=total(overdue_s(IN_PROFILE), *_JOB), unit=SECONDS, decimals=0, width=140, thresholds=style.thresholds(style.ORANGE, (3600, style.VERMILLION))),
        hidden=[JOB_ID],
        sort=("Overdue for", True),
        no_value="no job is overdue",
    )  # fmt: skip


def _running() -> Panel:
    return rows(
        "What is running now?",
        "Runs that are going on, for how long, and how long the job's runs usually take: the 95th percentile of 30 days. Empty when"
        " nothing runs.",
        Column(title="Job", label=JOB_NAME, link=job_link(of_row=True)),
        Column(title="Profile", label=PROFILE),
        Column(title="Running for", unit=SECONDS, decimals=0, expr=total(running_s(IN_PROFILE), *_JOB), width=130),
        Column(title="Usually up to", unit=SECONDS, decimals=0, expr=_usual_of_running(), width=130),
        hidden=[JOB_ID],
        sort=("Running for", True),
        no_value="nothing is running",
    )  # fmt: skip


def _usual_of_running() -> str:
    usual = total(gauges("job.expected_duration", JOB_NAME, selector=IN_PROFILE), *_JOB)
    running = instant("job.running_since_timestamp", IN_PROFILE)
    return f"({usual} and on ({PROFILE}, {JOB_ID}) {running})"


def _missed() -> Panel:
    missed = total(gauges("window.runs", JOB_NAME, selector=MISSED), *_JOB)
    return bars(
        "Missed runs by job, last $window",
        "The jobs that were missed most often: at most six. Empty when nothing was missed.",
        Series(expr=f"topk(6, {missed} > 0)", name=_NAMED_JOB),
        look=Look(minimum=0, colour=style.fixed(style.PURPLE), no_value="nothing was missed"),
        link=job_link(of_row=False),
    )


def _adherence() -> Panel:
    kept = total(gauges("projection.adherence", JOB_NAME, selector=IN_PROFILE), *_JOB)
    return bars(
        "Schedule kept least, 30 days",
        "Scheduled runs of the last 30 days, divided by the times at which the job was due: the six lowest.",
        Series(expr=f"sort(bottomk(6, {kept}))", name=_NAMED_JOB),
        look=Look(
            unit=SHARE,
            decimals=0,
            minimum=0,
            maximum=1,
            colour=style.by_threshold(),
            thresholds=style.thresholds(style.VERMILLION, (0.9, style.ORANGE), (0.99, style.GREEN)),
            no_value="no job was due",
        ),
        link=job_link(of_row=False),
    )


def _lateness() -> Panel:
    late = mean("run.lateness", "30d", IN_PROFILE, *_JOB)
    return bars(
        "Latest starters, 30 days",
        "The mean time from when a job's runs were due to their start: the six highest. Empty where no due time is known.",
        Series(expr=f"topk(6, {late})", name=_NAMED_JOB),
        look=Look(
            unit=SECONDS,
            minimum=0,
            colour=style.by_threshold(),
            thresholds=style.thresholds(style.GREEN, (120, style.ORANGE), (600, style.VERMILLION)),
            no_value="no due time is known",
        ),
        link=job_link(of_row=False),
    )  # fmt: skip


def _outboxes() -> Panel:
    key = (PROFILE, "home", DESTINATION)

    def of_outbox(metric: str) -> str:
        return total(gauges(metric, selector=IN_PROFILE), *key)

    return rows(
        "Outbox of each destination",
        "Runs whose trace has no receipt yet, how old the oldest of them is, and runs that the destination refused for good.",
        Column(title="Destination", label=DESTINATION),
        Column(title="Profile", label=PROFILE, width=110),
        Column(title="Waiting", unit=COUNT, expr=of_outbox("outbox.pending"), width=90),
        Column(title="Refused", unit=COUNT, expr=of_outbox("outbox.refused"), width=90, thresholds=style.thresholds(style.GREY, (1, style.VERMILLION))),
        Column(title="Oldest", unit=AGO, expr=f"1000 * {of_outbox('outbox.oldest_timestamp')}", width=120),
        hidden=["home"],
        sort=("Waiting", True),
        no_value="no destination gets traces",
    )  # fmt: skip


def _waiting() -> Panel:
    pending = gauges("outbox.pending", selector=IN_PROFILE)
    return lines(
        "Traces without a receipt, over time",
        "Runs whose trace each destination had not acknowledged at that time. A line that only rises says that it takes none.",
        Series(expr=total(pending, DESTINATION), name=f"{{{{{DESTINATION}}}}}"),
        look=Look(colour=style.shades(style.ORANGE), no_value="no destination gets traces"),
    )


def _homes() -> Panel:
    home = (PROFILE, "instance")
    versions = {"Plugin": label(SERVICE_VERSION), "Hermes": label(HERMES_VERSION)}
    info = with_host(present("build.info", IN_PROFILE))
    seen = last("sync.last_success_timestamp", IN_PROFILE, within="7d")
    return rows(
        "Homes: last read, and versions",
        "Each home that has sent figures in a week: when its files were last read without a fault, and what runs there. Host and"
        " versions are empty when it has sent nothing for four days.",
        Column(title="Profile", label=PROFILE),
        Column(title="Host", label=HOST),
        Column(title="Last read", unit=AGO, expr=f"1000 * max by ({', '.join(home)}) ({seen})", width=140),
        *(Column(title=title, label=name, width=100) for title, name in versions.items()),
        labels_of=[f"max by ({', '.join((*home, HOST, *versions.values()))}) ({info})"],
        hidden=["instance"],
        sort=("Last read", False),
        no_value="no home has sent figures",
    )  # fmt: skip


def _deliveries() -> Panel:
    deliveries = total(counters("deliveries", IN_PROFILE), DELIVERY)
    return bars(
        "Deliveries, of all time",
        "What became of the answers since the first run that is known. Empty where Hermes does not record it.",
        Series(expr=f"sort_desc({deliveries} > 0)", name=f"{{{{{DELIVERY}}}}}"),
        look=Look(minimum=0, colour=style.fixed(style.SKY), no_value="not recorded"),
    )
