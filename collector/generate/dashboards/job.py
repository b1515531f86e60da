"""One job: how is it doing, how has it been, and where are its runs?"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as models

from cronalytics_otel.telemetry.semconv import (
    ERROR_TYPE,
    HERMES_CRON_DELIVERY_OUTCOME,
    HERMES_CRON_JOB_MODE,
    HERMES_CRON_JOB_STATE,
    HERMES_CRON_MODEL_DECLARED,
    HERMES_CRON_SCHEDULE_EXPRESSION,
    HERMES_CRON_SCHEDULE_KIND,
    HERMES_CRON_WINDOW,
)

from ..names import label
from ..promql import (
    FAILED,
    JOB_ID,
    JOB_NAME,
    OUTCOME,
    PROFILE,
    added,
    added_or_all,
    counters,
    gauges,
    known,
    mean,
    present,
    total,
)
from . import style, traceql
from .board import (
    IN_PROFILE,
    JOB,
    MODEL,
    Line,
    Section,
    job_variable,
    make_board,
    profile_variable,
    window_variable,
)
from .panels import (
    AGO,
    COUNT,
    FACTOR,
    SECONDS,
    SHARE,
    USD,
    Column,
    Look,
    Panel,
    Series,
    bars,
    lines,
    named,
    number,
    rows,
    strip,
    traces,
)

WINDOW: Final = label(HERMES_CRON_WINDOW)
STATE: Final = label(HERMES_CRON_JOB_STATE)
ERROR: Final = label(ERROR_TYPE)
DELIVERY: Final = label(HERMES_CRON_DELIVERY_OUTCOME)

OF_JOB: Final = f'{IN_PROFILE}, {JOB_ID}="$job"'
IN_WINDOW: Final = f'{OF_JOB}, {WINDOW}="$window"'
RAN: Final = f'{IN_WINDOW}, {OUTCOME}!="missed"'
FAILED_RUNS: Final = f"{IN_WINDOW}, {FAILED}"
MISSED: Final = f'{IN_WINDOW}, {OUTCOME}="missed"'


def board() -> models.Dashboard:
    return make_board(
        JOB,
        "Cronalytics: job",
        "One job: how is it doing, how has it been, and where are its runs?",
        [profile_variable(), job_variable(), window_variable()],
        [
            Section(
                title="How is it doing?",
                lines=[
                    Line(height=3, panels=[(4, panel) for panel in _now()]),
                    Line(height=3, panels=[(4, panel) for panel in _in_window()]),
                ],
            ),
            Section(
                title="How has it been?",
                lines=[
                    Line(height=6, panels=[(24, _history())]),
                    Line(height=9, panels=[(12, _duration()), (12, _lateness())]),
                ],
            ),
            Section(
                title="What does it cost?",
                lines=[
                    Line(height=8, panels=[(8, _run_costs()), (8, _day_costs()), (8, _forecast())])
                ],
            ),
            Section(
                title="What goes wrong, and what is it made of?",
                lines=[Line(height=7, panels=[(8, _errors()), (8, _deliveries()), (8, _models())])],
            ),
            Section(
                title="Its runs",
                lines=[
                    Line(height=12, panels=[(24, _runs())]),
                    Line(height=4, panels=[(24, _definition())]),
                ],
            ),
        ],
    )


def _gauge(metric: str, selector: str = OF_JOB) -> str:
    return total(gauges(metric, selector=selector))


def _one(title: str, description: str, expr: str, look: Look) -> Panel:
    return number(title, description, Series(expr=expr, name=title), look=look)


def _now() -> list[Panel]:
    def word(
        title: str, description: str, metric: str, of: str, colours: dict[str, str], no_value: str
    ) -> Panel:
        return number(
            title,
            description,
            Series(expr=f"{gauges(metric, selector=OF_JOB)} == 1", name=f"{{{{{of}}}}}"),
            look=Look(unit="none", overrides=style.coloured_series(colours), no_value=no_value),
            only_name=True,
        )  # fmt: skip

    failing = style.thresholds(style.GREEN, (1, style.ORANGE), (3, style.VERMILLION))
    pace = style.thresholds(style.GREEN, (1.5, style.ORANGE), (2, style.VERMILLION))
    return [
        word("State", "Whether the job will run again: scheduled, paused, completed or disabled. Empty when the job was deleted.", "job.state", STATE, dict(style.STATE_COLOURS), "deleted"),
        word("Last outcome", "How its last run ended. Empty when it never ran.", "job.last_outcome", OUTCOME, dict(style.OUTCOME_COLOURS), "no run yet"),
        _one("Last run", "When its last run ended.", f"1000 * max({gauges('job.last_run_timestamp', selector=OF_JOB)})", Look(unit=AGO, no_value="no run yet")),
        _one("Next run", "When it is due next. A time in the past says that it is overdue. Empty when it is paused, over or deleted.", f"1000 * max({gauges('job.next_run_timestamp', selector=OF_JOB)} and on ({JOB_ID}) ({gauges('job.state', selector=_scheduled())} == 1))", Look(unit=AGO, no_value="none")),
        _one("Failures in a row", "How many of its runs have failed since the last success.", _gauge("job.consecutive_failures"), Look(colour=style.by_threshold(), thresholds=failing, no_value="no run yet")),
        _one("Pace", "What it will cost in the next 30 days as it went lately, divided by the cost that its schedule gives. Empty when the cost of its runs is not known.", _gauge("projection.pace"), Look(unit=FACTOR, decimals=2, colour=style.by_threshold(), thresholds=pace, no_value="not known")),
    ]  # fmt: skip


def _scheduled() -> str:
    return f'{OF_JOB}, {STATE}="scheduled"'


def _in_window() -> list[Panel]:
    bad = style.thresholds(style.GREEN, (1, style.VERMILLION))
    missed = style.thresholds(style.GREEN, (1, style.PURPLE))
    kept = style.thresholds(style.VERMILLION, (0.9, style.ORANGE), (0.99, style.GREEN))
    blue = Look(no_value="none")
    return [
        _one("Runs, last $window", "Runs that took place.", _gauge("window.runs", RAN), blue),
        _one("Failed, last $window", "Runs that took place and did not succeed.", _gauge("window.runs", FAILED_RUNS), Look(colour=style.by_threshold(), thresholds=bad, no_value="none")),
        _one("Missed, last $window", "Times at which it was due and did not run.", _gauge("window.runs", MISSED), Look(colour=style.by_threshold(), thresholds=missed, no_value="none")),
        _one("Cost, last $window", "The known cost of these runs. Empty when it is known of none.", _gauge("window.cost", IN_WINDOW), Look(unit=USD, decimals=2, no_value="not known")),
        _one("Tokens, last $window", "Input and output tokens of these runs.", _gauge("window.tokens", IN_WINDOW), blue),
        _one("Schedule kept", "Scheduled runs of the last 30 days, divided by the times at which it was due. Empty when it was not due.", _gauge("projection.adherence"), Look(unit=SHARE, decimals=0, colour=style.by_threshold(), thresholds=kept, no_value="not due")),
    ]  # fmt: skip


def _history() -> Panel:
    ended = added("runs", window="$__interval", selector=OF_JOB)
    return strip(
        "Outcomes of its runs",
        "How many runs ended in each hour or more, by outcome. Runs from before the first figures that it sent are not"
        " drawn: the table of its runs has them. Empty while no run has ended since.",
        Series(expr=f"{total(ended, OUTCOME)} > 0", name=f"{{{{{OUTCOME}}}}}"),
        interval="1h",
        look=Look(
            unit=COUNT,
            overrides=style.coloured_series(style.OUTCOME_COLOURS),
            no_value="no run has ended since the first figures were sent",
        ),
    )


def _duration() -> Panel:
    return lines(
        "How long do its runs take?",
        "How long the newest run had taken at each time; a diamond opens the trace of a run. The dashed lines are the mean"
        " and the 95th percentile of 30 days.",
        Series(expr=_gauge("job.last_duration"), name="last run"),
        Series(expr=mean("run.duration", "30d", OF_JOB), name="mean", exemplars=True),
        Series(expr=_gauge("job.expected_duration"), name="95th percentile"),
        look=Look(unit=SECONDS, overrides=_run_and_lines(), no_value="no duration is known"),
    )  # fmt: skip


def _lateness() -> Panel:
    late = total(added_or_all("run.lateness", "30d", OF_JOB, "_bucket"), "le")
    return lines(
        "How late do its runs start?",
        "From the due time of its runs to their start, of 30 days: the mean, and the 95th percentile, which is estimated from"
        " buckets. A diamond opens the trace of a run. Empty where the due times are not known: Hermes before 0.18.",
        Series(expr=mean("run.lateness", "30d", OF_JOB), name="mean", exemplars=True),
        Series(expr=f"histogram_quantile(0.95, {late})", name="95th percentile"),
        look=Look(unit=SECONDS, overrides=_run_and_lines(), no_value="no due time is known"),
    )  # fmt: skip


def _run_and_lines() -> list[tuple[str, list[models.DynamicConfigValue]]]:
    dashed = {"fill": "dash", "dash": [8, 6]}
    return list(
        named(
            {
                "last run": {"color": {"mode": "fixed", "fixedColor": style.SKY}},
                "mean": {
                    "color": {"mode": "fixed", "fixedColor": style.GREEN},
                    "custom.lineStyle": dashed,
                },
                "95th percentile": {
                    "color": {"mode": "fixed", "fixedColor": style.ORANGE},
                    "custom.lineStyle": dashed,
                },
            }
        )
    )


def _run_costs() -> Panel:
    return lines(
        "Cost of each run",
        "What the newest run had cost at each time. Empty when the cost is not known, or the job runs only a script.",
        Series(expr=_gauge("job.last_cost"), name="last run"),
        look=Look(unit=USD, no_value="not known"),
    )


def _day_costs() -> Panel:
    return lines(
        "Cost per day",
        "At each time, the known cost of the 24 hours before it.",
        Series(expr=_gauge("window.cost", f'{OF_JOB}, {WINDOW}="24h"'), name="24 hours"),
        look=Look(unit=USD, no_value="not known"),
    )


def _forecast() -> Panel:
    def of_horizon(metric: str) -> str:
        return total(gauges(metric, selector=OF_JOB), WINDOW)

    return rows(
        "What will it cost?",
        "The time to come: the scheduled runs at the mean cost of one, and what the last 30 days cost, carried on. Empty when"
        " no cost is known.",
        Column(title="Next", label=WINDOW, width=65),
        Column(title="Runs", unit=COUNT, expr=of_horizon("projection.scheduled_runs"), width=70),
        Column(title="Scheduled", unit=USD, decimals=2, width=110, expr=of_horizon("projection.nominal_cost")),
        Column(title="Trend", unit=USD, decimals=2, width=110, expr=of_horizon("projection.trend_cost")),
        sort=("Runs", False),
        no_value="not known",
    )  # fmt: skip


def _errors() -> Panel:
    errors = total(counters("run.errors", OF_JOB), ERROR)
    return bars(
        "Errors by class, of all time",
        "Runs with an error since the first run that is known, missed ones included, by the class of the error. Empty when no run"
        " failed.",
        Series(expr=f"sort_desc({errors} > 0)", name=f"{{{{{ERROR}}}}}"),
        look=Look(minimum=0, colour=style.fixed(style.VERMILLION), no_value="no run failed"),
    )


def _deliveries() -> Panel:
    deliveries = total(counters("deliveries", OF_JOB), DELIVERY)
    return bars(
        "Deliveries, of all time",
        "What became of its answers since the first run that is known. Empty where Hermes does not record it.",
        Series(expr=f"sort_desc({deliveries} > 0)", name=f"{{{{{DELIVERY}}}}}"),
        look=Look(minimum=0, colour=style.fixed(style.SKY), no_value="not recorded"),
    )


def _models() -> Panel:
    tokens = known(total(counters("run.tokens", OF_JOB), MODEL), MODEL)
    return bars(
        "Tokens by model, of all time",
        "Input and output tokens of each model since the first run that is known. Empty for a job that runs only a script.",
        Series(expr=f"sort_desc({tokens} > 0)", name=f"{{{{{MODEL}}}}}"),
        look=Look(minimum=0, no_value="no model was asked"),
    )


def _runs() -> Panel:
    return traces(
        "Runs and their traces",
        "Its newest runs in the time range, missed ones included: a trace id opens the trace. Empty when Tempo holds no run"
        " of the time range, or Tempo is not used: then open a trace from Jaeger, or by `cronalytics-otel trace`.",
        traceql.runs_of_job(),
        limit=100,
        no_value="no run in this time range",
    )


def _definition() -> Panel:
    described = {
        "Mode": HERMES_CRON_JOB_MODE,
        "Schedule": HERMES_CRON_SCHEDULE_EXPRESSION,
        "Kind": HERMES_CRON_SCHEDULE_KIND,
        "Model that it asks for": HERMES_CRON_MODEL_DECLARED,
    }
    by = ", ".join((PROFILE, JOB_ID, JOB_NAME, *map(label, described.values())))
    return rows(
        "Definition",
        "The job as it is now. Its id is what the command line and the traces call it.",
        Column(title="Job", label=JOB_NAME),
        Column(title="Id", label=JOB_ID, width=140),
        Column(title="Profile", label=PROFILE),
        *(Column(title=title, label=label(name)) for title, name in described.items()),
        labels_of=[f"max by ({by}) ({present('job.info', OF_JOB)})"],
        sort=("Job", False),
        no_value="the job is not known",
    )
