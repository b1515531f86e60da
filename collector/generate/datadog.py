"""The dashboard and monitors for Datadog, in the JSON of its API.

Datadog keeps the names of metrics; attributes of a point become tags of the same names with their values in
lower case, `service.name` is `service` and `host.name` is `host`. Sums are counts, histograms are
distributions. Attributes of spans are searched as `@hermes.cron.run.outcome`.

A monitor's query knows no present time, so it cannot compare a timestamp with now. What the monitors ask
are gauges that the plugin computes: their last value, which a monitor keeps while no newer one comes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

from collector.generate.alerts import runbook_text
from collector.generate.names import otlp_metric
from cronalytics_otel.telemetry import semconv as sc

Json: TypeAlias = dict[str, object]

SERVICE: Final = "hermes-cron"
TAGS_OF_RESOURCE: Final = {"service": sc.SERVICE_NAME, "host": sc.HOST_NAME}
"""Datadog's names for attributes of the resource."""
VARIABLES: Final = {"profile": sc.HERMES_PROFILE_NAME, "job": sc.HERMES_CRON_JOB_NAME}
"""The dashboard's variables and their tags."""

_JOB: Final = (sc.HERMES_PROFILE_NAME, sc.HERMES_CRON_JOB_ID, sc.HERMES_CRON_JOB_NAME)
_NAME: Final = (sc.HERMES_CRON_JOB_NAME,)
_HOME: Final = ("host", sc.HERMES_PROFILE_NAME)


def series(
    aggregation: str,
    short_name: str,
    *,
    where: tuple[str, ...] = (),
    by: tuple[str, ...] = (),
    scope: tuple[str, ...] = ("$profile", "$job"),
    suffix: str = "",
) -> str:
    """Return a metric query. `where` are tags with their values."""
    tags = ",".join((*scope, *where)) or "*"
    groups = f" by {{{','.join(by)}}}" if by else ""
    return f"{aggregation}:{otlp_metric(short_name)}{{{tags}}}{groups}{suffix}"


def tag(name: str, value: str) -> str:
    """Return the filter for a tag's value."""
    return f"{name}:{value}"


def window(name: str, *outcomes: str) -> tuple[str, ...]:
    """Return the filter for one window, and for outcomes; one that begins with `!` is left out."""
    return (
        tag(sc.HERMES_CRON_WINDOW, name),
        *(
            ("!" if outcome.startswith("!") else "")
            + tag(sc.HERMES_CRON_RUN_OUTCOME, outcome.removeprefix("!"))
            for outcome in outcomes
        ),
    )


def _request(
    queries: Mapping[str, str],
    formulas: Mapping[str, str],
    *,
    response: str = "scalar",
    aggregator: str = "last",
) -> Json:
    """Return a request. `formulas` maps what is computed of the queries to its label."""
    return {
        "response_format": response,
        "queries": [
            {
                "data_source": "metrics",
                "name": name,
                "query": query,
                **({"aggregator": aggregator} if response == "scalar" else {}),
            }
            for name, query in queries.items()
        ],
        "formulas": [
            {"formula": formula, **({"alias": label} if label else {})}
            for formula, label in formulas.items()
        ],
    }


def _value(title: str, query: str, *, unit: str = "") -> Json:
    return {
        "type": "query_value",
        "title": title,
        "autoscale": True,
        "precision": 2,
        **({"custom_unit": unit} if unit else {}),
        "requests": [_request({"a": query}, {"a": ""})],
    }


def _top(
    title: str,
    query: str,
    *,
    aggregator: str = "last",
    others: Mapping[str, str] | None = None,
    formula: str = "a",
) -> Json:
    request = _request({"a": query, **(others or {})}, {formula: ""}, aggregator=aggregator)
    request["sort"] = {
        "count": 25,
        "order_by": [{"type": "formula", "index": 0, "order": "desc"}],
    }
    return {"type": "toplist", "title": title, "requests": [request]}


def _graph(title: str, *queries: str, display: str = "line", formula: str = "") -> Json:
    """Return a graph of the queries, or of a formula of them: `a` is the first, `b` the second."""
    named = dict(zip("ab", queries, strict=False))
    formulas = {formula: ""} if formula else dict.fromkeys(named, "")
    request = _request(named, formulas, response="timeseries")
    request["display_type"] = display
    return {"type": "timeseries", "title": title, "show_legend": True, "requests": [request]}


def _table(title: str, columns: Mapping[str, str]) -> Json:
    """Return a table. `columns` maps labels to queries; all are grouped alike."""
    named = {f"c{index}": query for index, query in enumerate(columns.values())}
    return {
        "type": "query_table",
        "title": title,
        "has_search_bar": "auto",
        "requests": [_request(named, dict(zip(named, columns, strict=True)))],
    }


_FAILED_RUNS: Final[Json] = {
    "type": "list_stream",
    "title": "Runs that failed or were missed (select one to see its trace)",
    "requests": [
        {
            "response_format": "event_list",
            "query": {
                "data_source": "trace_stream",
                "query_string": f"service:{SERVICE} @{sc.HERMES_CRON_RUN_FAILED}:true",
                "indexes": [],
            },
            "columns": [
                {"field": field, "width": "auto"}
                for field in (
                    "timestamp",
                    f"@{sc.HERMES_CRON_JOB_NAME}",
                    f"@{sc.HERMES_CRON_RUN_OUTCOME}",
                    f"@{sc.ERROR_TYPE}",
                    "duration",
                )
            ],
        }
    ],
}


def _group(title: str, *widgets: Json) -> Json:
    return {
        "type": "group",
        "layout_type": "ordered",
        "title": title,
        "widgets": [{"definition": widget} for widget in widgets],
    }


_ABOUT: Final = (
    "Every run of a Hermes cron job is one trace and counts in these metrics. Windows (24h, 7d, 30d) are what "
    "`cronalytics-otel` says of the same window. Graphs over time count a run when it was found final.\n\n"
    f"Traces: `service:{SERVICE}`, and for example `@{sc.HERMES_CRON_RUN_OUTCOME}:timeout`."
)
_RATIO: Final = "a / b"
_BUDGET_TAGS: Final = (
    sc.HERMES_PROFILE_NAME,
    sc.HERMES_CRON_BUDGET_SCOPE,
    sc.HERMES_CRON_BUDGET_PERIOD,
)

# fmt: off
WIDGETS: Final[tuple[Json, ...]] = (
    {"type": "note", "content": _ABOUT, "background_color": "white", "font_size": "14", "text_align": "left", "show_tick": False, "tick_pos": "50%", "tick_edge": "left", "has_padding": True},
    _group("Did last night's runs happen, and did they work?",
        _value("Succeeded, 24 h", series("sum", "window.runs", where=window("24h", "success"))),
        _value("Failed, 24 h", series("sum", "window.runs", where=window("24h", "!success", "!skipped", "!missed"))),
        _value("Missed, 24 h", series("sum", "window.runs", where=window("24h", "missed"))),
        _value("Cost, 24 h", series("sum", "window.cost", where=window("24h")), unit="USD"),
        _graph("Runs by outcome", series("sum", "runs", by=(sc.HERMES_CRON_RUN_OUTCOME,), suffix=".as_count()"), display="bars"),
        _graph("Errors by type", series("sum", "run.errors", by=(sc.ERROR_TYPE,), suffix=".as_count()"), display="bars"),
        _FAILED_RUNS,
    ),
    _group("Jobs",
        _table("How each job stands", {
            "failures in a row": series("max", "job.consecutive_failures", by=_JOB),
            "last run, s": series("max", "job.last_duration", by=_JOB),
            "expected at most, s": series("max", "job.expected_duration", by=_JOB),
            "last run, USD": series("max", "job.last_cost", by=_JOB),
            "7 days, USD": series("sum", "window.cost", where=window("7d"), by=_JOB),
            "pace": series("max", "projection.pace", by=_JOB),
            "adherence": series("min", "projection.adherence", by=_JOB),
        }),
        _top("Missed, 7 days", series("sum", "window.runs", where=window("7d", "missed"), by=_JOB)),
        _graph("What became of the answers", series("sum", "deliveries", by=(sc.HERMES_CRON_DELIVERY_OUTCOME,), suffix=".as_count()"), display="bars"),
    ),
    _group("What did they cost?",
        _top("Cost by job, 7 days, USD", series("sum", "window.cost", where=window("7d"), by=_JOB)),
        _top("Cost by model over the time shown, USD", series("sum", "run.cost", by=(sc.HERMES_CRON_MODEL_PROVIDER, sc.HERMES_CRON_MODEL_NAME), suffix=".as_count()"), aggregator="sum"),
        _graph("Cost per day, USD", series("sum", "run.cost", by=_NAME, suffix=".as_count().rollup(sum, 86400)"), display="bars"),
        _graph("Tokens per day", series("sum", "run.tokens", by=(sc.GEN_AI_TOKEN_TYPE,), suffix=".as_count().rollup(sum, 86400)"), display="bars"),
        _graph("Runs whose cost nobody wrote down", series("sum", "unpriced_runs", by=(sc.HERMES_CRON_MODEL_NAME,), suffix=".as_count()"), display="bars"),
        _graph("Budgets: share used", series("max", "budget.used", by=_BUDGET_TAGS, scope=("$profile",)), series("max", "budget.limit", by=_BUDGET_TAGS, scope=("$profile",)), formula=_RATIO),
    ),
    _group("What will the next months cost?",
        *(_value(f"Trend, {days} days", series("sum", "projection.trend_cost", where=window(f"{days}d")), unit="USD") for days in (30, 90, 365)),
        *(_value(f"By the schedules, {days} days", series("sum", "projection.nominal_cost", where=window(f"{days}d")), unit="USD") for days in (30, 90, 365)),
        _top("Pace: above 1 a job costs more than its schedule explains", series("max", "projection.pace", by=_JOB)),
    ),
    _group("What is slow, late or drifting?",
        _top("Last run against the 95th percentile of 30 days", series("max", "job.last_duration", by=_JOB), others={"b": series("max", "job.expected_duration", by=_JOB)}, formula=_RATIO),
        _graph("Duration, s: mean and longest", series("avg", "run.duration", by=_NAME), series("max", "run.duration", by=_NAME)),
        _graph("Lateness, s: longest", series("max", "run.lateness", by=_NAME)),
        _top("Skills: share of successes (weighted, 14 days)", series("min", "skill.success", by=(sc.HERMES_CRON_SKILL_NAME, sc.HERMES_CRON_MODEL_NAME), scope=("$profile",))),
        _top("Models: share of successes (weighted, 14 days)", series("min", "model.success", by=(sc.HERMES_CRON_MODEL_PROVIDER, sc.HERMES_CRON_MODEL_NAME), scope=("$profile",))),
    ),
    _group("Does the telemetry itself arrive?",
        _graph("Runs not acknowledged, by destination", series("max", "outbox.pending", by=(*_HOME, sc.HERMES_CRON_DESTINATION), scope=("$profile",))),
        _graph("Runs refused, by destination", series("max", "outbox.refused", by=(*_HOME, sc.HERMES_CRON_DESTINATION), scope=("$profile",))),
        _top("Homes and versions", series("max", "build.info", by=(*_HOME, sc.SERVICE_VERSION, sc.HERMES_VERSION), scope=("$profile",))),
    ),
)
# fmt: on


def dashboard() -> Json:
    """Return the dashboard."""
    return {
        "title": "Hermes cron",
        "description": "What ran, failed, was missed, what it cost, what is slow or drifting.",
        "layout_type": "ordered",
        "reflow_type": "auto",
        "template_variables": [
            {"name": name, "prefix": tag, "available_values": [], "defaults": ["*"]}
            for name, tag in VARIABLES.items()
        ],
        "widgets": [{"definition": widget} for widget in WIDGETS],
    }


def _monitor(
    name: str,
    query: str,
    critical: float,
    message: str,
    *,
    op: str = ">",
    priority: int = 3,
    no_data_minutes: int = 0,
) -> Json:
    """Return a monitor. Each group of the query alerts by itself."""
    options: Json = {
        "thresholds": {"critical": critical},
        "include_tags": True,
        "require_full_window": False,
        "notify_audit": False,
        "new_group_delay": 60,
        "notify_no_data": bool(no_data_minutes),
    }
    if no_data_minutes:
        options["no_data_timeframe"] = no_data_minutes
    return {
        "name": name,
        "type": "query alert",
        "query": f"{query} {op} {critical:g}",
        "message": message + runbook_text(name),
        "tags": [f"service:{SERVICE}", "team:hermes-cron"],
        "priority": priority,
        "options": options,
    }


def _now(
    aggregation: str, short_name: str, by: tuple[str, ...], where: tuple[str, ...] = ()
) -> str:
    return series(aggregation, short_name, by=by, where=where, scope=())


_JOB_TEXT: Final = (
    f"{{{{[{sc.HERMES_CRON_JOB_NAME}].name}}}} of profile {{{{[{sc.HERMES_PROFILE_NAME}].name}}}}"
)
_LOOK: Final = f"Look at its traces: `service:{SERVICE} @{sc.HERMES_CRON_JOB_ID}:{{{{[{sc.HERMES_CRON_JOB_ID}].name}}}}`, or run `cronalytics-otel job {{{{[{sc.HERMES_CRON_JOB_ID}].name}}}} --profile {{{{[{sc.HERMES_PROFILE_NAME}].name}}}}`."
_HOME_TEXT: Final = f"profile {{{{[{sc.HERMES_PROFILE_NAME}].name}}}} on {{{{host.name}}}}"
_STATUS: Final = "Run `cronalytics-otel status` there."
_RUNS_30D: Final = window("30d", "!missed", "!skipped")
_BUDGET: Final = (sc.HERMES_PROFILE_NAME, sc.HERMES_CRON_BUDGET_PERIOD)

# fmt: off
MONITORS: Final = (
    _monitor("HermesCronJobFailed", "max(last_5m):" + _now("max", "job.consecutive_failures", _JOB), 1, f"The last run of {_JOB_TEXT} failed. {_LOOK}", op=">="),
    _monitor("HermesCronJobFailingInARow", "max(last_5m):" + _now("max", "job.consecutive_failures", _JOB), 3, f"{{{{value}}}} runs in a row of {_JOB_TEXT} failed. {_LOOK}", op=">=", priority=2),
    _monitor("HermesCronJobMissed", "max(last_5m):" + _now("max", "window.runs", _JOB, window("24h", "missed")), 0, f"{_JOB_TEXT} missed {{{{value}}}} runs in 24 hours. {_STATUS}"),
    _monitor("HermesCronSchedulerDown", "sum(last_1d):" + _now("sum", "run.errors", _HOME, (tag(sc.ERROR_TYPE, "scheduler_down"),)) + ".as_count()", 0, f"Hermes's scheduler of {_HOME_TEXT} started nothing while jobs were due. That is known only when the outage is over: Prometheus's HermesCronSchedulerDead fires during it. {_STATUS}", priority=2),
    _monitor("HermesCronJobSlow", "max(last_5m):" + _now("max", "job.last_duration", _JOB) + " / " + _now("max", "job.expected_duration", _JOB), 2, f"The last run of {_JOB_TEXT} took {{{{value}}}} times as long as 95 of 100 runs of the last 30 days. {_LOOK}"),
    _monitor("HermesCronCostSpike", "max(last_5m):" + _now("max", "job.last_cost", _JOB) + " / ( " + _now("max", "window.cost", _JOB, window("30d")) + " / " + _now("sum", "window.runs", _JOB, _RUNS_30D) + " )", 5, f"The last run of {_JOB_TEXT} cost {{{{value}}}} times as much as the mean run of 30 days. {_LOOK}"),
    _monitor("HermesCronOverBudget", "max(last_5m):" + _now("max", "budget.used", _BUDGET, (tag(sc.HERMES_CRON_BUDGET_SCOPE, "all"),)) + " / " + _now("max", "budget.limit", _BUDGET, (tag(sc.HERMES_CRON_BUDGET_SCOPE, "all"),)), 1, f"The budget of all jobs of profile {{{{[{sc.HERMES_PROFILE_NAME}].name}}}} for the {{{{[{sc.HERMES_CRON_BUDGET_PERIOD}].name}}}} is spent. Run `cronalytics-otel forecast` there.", priority=2),
    _monitor("HermesCronJobOverBudget", "max(last_5m):" + _now("max", "budget.used", (*_JOB, sc.HERMES_CRON_BUDGET_PERIOD), (tag(sc.HERMES_CRON_BUDGET_SCOPE, "job"),)) + " / " + _now("max", "budget.limit", (*_JOB, sc.HERMES_CRON_BUDGET_PERIOD), (tag(sc.HERMES_CRON_BUDGET_SCOPE, "job"),)), 1, f"The budget of {_JOB_TEXT} for the {{{{[{sc.HERMES_CRON_BUDGET_PERIOD}].name}}}} is spent. Prometheus has one alert for it and for the budget of all jobs, HermesCronOverBudget."),
    _monitor("HermesCronPaceHigh", "max(last_5m):" + _now("max", "projection.pace", _JOB), 2, f"The last 30 days of {_JOB_TEXT}, carried on, come to {{{{value}}}} times what its schedule explains."),
    _monitor("HermesCronDeliveryFailed", "sum(last_15m):" + _now("sum", "deliveries", _JOB, (tag(sc.HERMES_CRON_DELIVERY_OUTCOME, "failed"),)) + ".as_count()", 0, f"An answer of {_JOB_TEXT} was not delivered: `{sc.HERMES_CRON_DELIVERY_ERROR}` of its trace says why."),
    _monitor("HermesCronTelemetryRefused", "max(last_5m):" + _now("max", "outbox.refused", (*_HOME, sc.HERMES_CRON_DESTINATION)), 0, f"Destination {{{{[{sc.HERMES_CRON_DESTINATION}].name}}}} refused traces of {_HOME_TEXT}. {_STATUS} Then `cronalytics-otel sync --retry-refused`."),
    _monitor("HermesCronTelemetryPending", "min(last_1h):" + _now("max", "outbox.pending", (*_HOME, sc.HERMES_CRON_DESTINATION)), 0, f"Destination {{{{[{sc.HERMES_CRON_DESTINATION}].name}}}} has had runs pending for an hour, of {_HOME_TEXT}. {_STATUS}"),
    _monitor("HermesCronNobodyExports", "max(last_1h):" + _now("max", "build.info", _HOME), 1, f"Nothing has come from {_HOME_TEXT} for a day: Hermes, the plugin or the way to Datadog is down. Prometheus's alert of this name is about all homes together. {_STATUS}", op="<", priority=2, no_data_minutes=1440),
)
# fmt: on


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def generate() -> Mapping[str, str]:
    """Return the files by their path in `collector/`."""
    monitors = {f"datadog/monitors/{one['name']}.json": _text(one) for one in MONITORS}
    return {"datadog/dashboard.json": _text(dashboard()), **monitors}
