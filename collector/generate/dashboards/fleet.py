"""The fleet: did everything run, what needs attention, and what does it cost?"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import dashboard as models

from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_BUDGET_PERIOD,
    HERMES_CRON_BUDGET_SCOPE,
    HERMES_CRON_JOB_STATE,
    HERMES_CRON_WINDOW,
)

from ..names import label
from ..promql import (
    FAILED,
    HOST,
    JOB_ID,
    JOB_NAME,
    OUTCOME,
    PROFILE,
    attributes,
    by_job,
    comparable,
    counters,
    gauges,
    known,
    present,
    total,
    with_host,
)
from . import style
from .attention import attention
from .board import (
    FLEET,
    IN_PROFILE,
    MODEL,
    Line,
    Section,
    make_board,
    profile_variable,
    window_variable,
)
from .panels import (
    AGO,
    COUNT,
    FACTOR,
    SHARE,
    USD,
    Column,
    Look,
    Panel,
    Series,
    bars,
    job_link,
    lines,
    named,
    number,
    rows,
)

WINDOW: Final = label(HERMES_CRON_WINDOW)
STATE: Final = label(HERMES_CRON_JOB_STATE)
SCOPE: Final = label(HERMES_CRON_BUDGET_SCOPE)
PERIOD: Final = label(HERMES_CRON_BUDGET_PERIOD)

IN_WINDOW: Final = f'{IN_PROFILE}, {WINDOW}="$window"'
RAN: Final = f'{IN_WINDOW}, {OUTCOME}!="missed"'
FAILED_RUNS: Final = f"{IN_WINDOW}, {FAILED}"
MISSED: Final = f'{IN_WINDOW}, {OUTCOME}="missed"'

_JOB: Final = (PROFILE, JOB_ID)
_COMPARED: Final = (
    " The small figure is the change against the window before. It is there once the figures of that time are"
    " in Prometheus, and counts only homes that sent figures then and now."
)


def board() -> models.Dashboard:
    return make_board(
        FLEET,
        "Cronalytics: fleet",
        "Did everything run, what needs attention now, and what does it cost?",
        [profile_variable(), window_variable()],
        [
            Section(
                title="Did everything run? The last $window",
                lines=[Line(height=3, panels=[(4, panel) for panel in _verdict()])],
            ),
            Section(
                title="What needs attention now?",
                lines=[Line(height=9, panels=[(16, attention()), (8, _budgets())])],
            ),
            Section(title="How do the jobs do?", lines=[Line(height=12, panels=[(24, _jobs())])]),
            Section(
                title="Where did it go well?",
                lines=[Line(height=8, panels=[(12, _homes()), (12, _outcomes())])],
            ),
            Section(
                title="Which jobs take the most? The last $window",
                lines=[Line(height=8, panels=[(8, panel) for panel in _leaders()])],
            ),
            Section(
                title="What does it cost, and what will it cost?",
                lines=[Line(height=8, panels=[(10, _models()), (14, _forecast())])],
            ),
        ],
    )


def _verdict() -> list[Panel]:
    bad = style.thresholds(style.GREEN, (1, style.VERMILLION))
    missed = style.thresholds(style.GREEN, (1, style.PURPLE))
    return [
        _count("Due", "Runs that took place, and times at which a job was due and did not run. Runs that were started by hand are among them.", "window.runs", IN_WINDOW),
        _count("Ran", "Runs that took place, whatever came of them.", "window.runs", RAN),
        _count("Failed", "Runs that took place and did not succeed: failure, timeout, cancelled, over their budget, or abandoned.", "window.runs", FAILED_RUNS, limits=bad),
        _count("Missed", "Times at which a job was due and did not run.", "window.runs", MISSED, limits=missed),
        _count("Cost", "The known cost of these runs, so a lower bound: runs whose cost nobody wrote down add nothing. The board of models counts them.", "window.cost", IN_WINDOW, unit=USD),
        _count("Tokens", "Input and output tokens of these runs.", "window.tokens", IN_WINDOW),
    ]  # fmt: skip


def _count(
    title: str,
    description: str,
    metric: str,
    selector: str,
    *,
    unit: str = COUNT,
    limits: ThresholdsConfig | None = None,
) -> Panel:
    now, then = present(metric, selector), present(metric, selector, "$window")
    own = attributes(metric)
    compared = [total(by_job(comparable(one, "$window"), *own)) for one in (now, then)]
    return number(
        title,
        description + _COMPARED,
        Series(expr=total(by_job(now, *own)), name="last $window"),
        Series(expr=" - ".join(compared), name="change"),
        look=Look(
            unit=unit,
            decimals=2 if unit == USD else None,
            colour=style.by_threshold(),
            thresholds=limits,
            no_value="no figures",
            overrides=named({"change": {"color": {"mode": "fixed", "fixedColor": style.GREY}}}),
        ),
    )


def _budgets() -> Panel:
    used, limit = (
        gauges(f"budget.{one}", JOB_NAME, selector=IN_PROFILE) for one in ("used", "limit")
    )
    return bars(
        "Budgets: how much is spent?",
        "What was spent of each budget in its day or month so far, as a share of its limit. Empty where no budget"
        " is set.",
        Series(
            expr=f"sort_desc({used} / {limit})",
            name=f"{{{{{PROFILE}}}}}, {{{{{PERIOD}}}}}: {{{{{SCOPE}}}}} {{{{{JOB_NAME}}}}}",
        ),
        look=Look(
            unit=SHARE,
            decimals=0,
            minimum=0,
            maximum=1,
            colour=style.by_threshold(),
            thresholds=style.thresholds(style.GREEN, (0.8, style.ORANGE), (1, style.VERMILLION)),
            no_value="no budget is set",
        ),
    )


def _jobs() -> Panel:
    def of_job(metric: str, selector: str = IN_PROFILE) -> str:
        return total(gauges(metric, selector=selector), *_JOB)

    def of_label(metric: str, name: str) -> str:
        return f"max by ({PROFILE}, {JOB_ID}, {name}) ({present(metric, IN_PROFILE)})"

    in_30d = f'{IN_PROFILE}, {WINDOW}="30d"'
    real = f'{JOB_ID}!~"once|other"'
    return rows(
        "Jobs",
        "Each job that recurs: its state, its last run, the figures of the window, and its cost of the next 30 days as"
        " its schedule gives it and as it went lately. A pace above 1 says that it costs more than its schedule"
        " gives. The name opens the job's board. Without a state, a job was deleted.",
        Column(title="Job", label=JOB_NAME, link=job_link(of_row=True)),
        Column(title="Last outcome", label=OUTCOME, mappings=style.mapped(style.OUTCOME_COLOURS), is_filled=True, width=120),
        Column(title="Last run", unit=AGO, expr=f"1000 * {of_job('job.last_run_timestamp')}", width=125),
        Column(title="State", label=STATE, mappings=style.mapped(style.STATE_COLOURS), width=90),
        Column(title="Runs", unit=COUNT, expr=of_job("window.runs", f"{RAN}, {real}"), width=70),
        Column(title="Failed", unit=COUNT, expr=of_job("window.runs", f"{FAILED_RUNS}, {real}"), width=70, thresholds=style.thresholds(style.GREY, (1, style.VERMILLION))),
        Column(title="Missed", unit=COUNT, expr=of_job("window.runs", f"{MISSED}, {real}"), width=75, thresholds=style.thresholds(style.GREY, (1, style.PURPLE))),
        Column(title="Cost", unit=USD, decimals=2, expr=of_job("window.cost", f"{IN_WINDOW}, {real}"), width=80),
        Column(title="30d scheduled", unit=USD, decimals=2, expr=of_job("projection.nominal_cost", in_30d), width=120),
        Column(title="30d trend", unit=USD, decimals=2, expr=of_job("projection.trend_cost", in_30d), width=110),
        Column(title="Pace", unit=FACTOR, decimals=2, expr=of_job("projection.pace"), width=75, thresholds=style.thresholds(style.GREY, (1.5, style.ORANGE), (2, style.VERMILLION))),
        Column(title="Profile", label=PROFILE, width=90),
        labels_of=[of_label("job.info", JOB_NAME), f"{of_label('job.state', STATE)} == 1", f"{of_label('job.last_outcome', OUTCOME)} == 1"],
        hidden=[JOB_ID],
        sort=("Cost", True),
        no_value="no job has sent figures",
    )  # fmt: skip


def _homes() -> Panel:
    home = (PROFILE, "instance")

    def of_home(metric: str, selector: str) -> str:
        return total(present(metric, selector), *home)

    host = f"max by ({', '.join((*home, HOST))}) ({with_host(present('build.info', IN_PROFILE))})"
    return rows(
        "Profiles and hosts",
        "The figures of the window by Hermes home: a profile on a host. A home that was moved shows on both hosts for four"
        " days, and one that has sent nothing for four days is not here: see the board of the pipeline. Costs that nobody"
        " wrote down add nothing.",
        Column(title="Profile", label=PROFILE),
        Column(title="Host", label=HOST),
        Column(title="Ran", unit=COUNT, expr=of_home("window.runs", RAN), width=70),
        Column(title="Failed", unit=COUNT, expr=of_home("window.runs", FAILED_RUNS), width=70, thresholds=style.thresholds(style.GREY, (1, style.VERMILLION))),
        Column(title="Missed", unit=COUNT, expr=of_home("window.runs", MISSED), width=75, thresholds=style.thresholds(style.GREY, (1, style.PURPLE))),
        Column(title="Cost", unit=USD, decimals=2, expr=of_home("window.cost", IN_WINDOW), width=90),
        labels_of=[host],
        hidden=["instance"],
        sort=("Cost", True),
        no_value="no home has sent figures",
    )  # fmt: skip


def _outcomes() -> Panel:
    of_a_day = f'{IN_PROFILE}, {WINDOW}="24h"'
    return lines(
        "Outcomes: the 24 hours before each time",
        "At each time, how the runs of the 24 hours before it ended. An outcome without a run in the time range is not"
        " drawn.",
        Series(
            expr=f"{total(gauges('window.runs', selector=of_a_day), OUTCOME)} > 0",
            name=f"{{{{{OUTCOME}}}}}",
        ),
        look=Look(
            unit=COUNT,
            overrides=style.coloured_series(style.OUTCOME_COLOURS),
            no_value="no run in 24 hours",
        ),
        stacked=True,
    )


def _leaders() -> list[Panel]:
    def leader(title: str, description: str, metric: str, selector: str, look: Look) -> Panel:
        by_name = total(gauges(metric, JOB_NAME, selector=selector), *_JOB, JOB_NAME)
        return bars(
            title,
            description,
            Series(expr=f"topk(5, {by_name} > 0)", name=f"{{{{{JOB_NAME}}}}} · {{{{{PROFILE}}}}}"),
            look=look,
            link=job_link(of_row=False),
        )

    more = " At most five; a bar opens the job's board. `once` is all jobs that run only once."
    return [
        leader("Most expensive jobs", "The jobs with the highest known cost." + more, "window.cost", IN_WINDOW, Look(unit=USD, decimals=2, minimum=0, no_value="no known cost")),
        leader("Most tokens", "The jobs with the most tokens." + more, "window.tokens", IN_WINDOW, Look(minimum=0, colour=style.fixed(style.BLUE), no_value="no tokens")),
        leader("Most failures", "The jobs with the most failed runs. Empty when no run failed." + more, "window.runs", FAILED_RUNS, Look(minimum=0, colour=style.fixed(style.VERMILLION), no_value="no run failed")),
    ]  # fmt: skip


def _models() -> Panel:
    cost = known(total(counters("run.cost", IN_PROFILE), MODEL), MODEL)
    return bars(
        "Cost by model, of all time",
        "The known cost of each model since the first run that is known, whatever the window. Jobs that were deleted more"
        " than a week ago are not in it.",
        Series(expr=f"sort_desc({cost})", name=f"{{{{{MODEL}}}}}"),
        look=Look(unit=USD, decimals=2, minimum=0, no_value="no known cost"),
    )


def _forecast() -> Panel:
    def of_horizon(metric: str) -> str:
        return total(gauges(metric, selector=IN_PROFILE), WINDOW)

    return rows(
        "Forecast of the jobs that recur",
        "The time to come: the runs that are scheduled, their cost at the mean cost of a scheduled run, and what the last"
        " 30 days cost, carried on. Jobs whose cost is not known are not in the sums.",
        Column(title="Next", label=WINDOW, width=80),
        Column(title="Scheduled runs", unit=COUNT, expr=of_horizon("projection.scheduled_runs")),
        Column(title="Cost by schedule", unit=USD, decimals=2, expr=of_horizon("projection.nominal_cost")),
        Column(title="Cost by trend", unit=USD, decimals=2, expr=of_horizon("projection.trend_cost")),
        sort=("Scheduled runs", False),
        no_value="no forecast yet",
    )  # fmt: skip
