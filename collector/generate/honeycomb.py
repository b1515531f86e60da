"""The board, triggers and calculated fields for Honeycomb, in the JSON of its API.

Honeycomb keeps the names of attributes and metrics. The spans of a service are a dataset with the service's
name; metrics are a dataset of their own, named by the header `x-honeycomb-dataset`. A query of the API names
its columns, and Honeycomb refuses a column that it has not seen yet: so the columns are files too, made from the
registry of names.

A trigger's query has one calculation, reaches back at most a day and at most four times its frequency. Honeycomb
sorts a span by its start: a trigger over spans sees a run only if the run began within the trigger's window.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from collector.generate.alerts import runbook_text
from collector.generate.names import otlp_metric
from cronalytics_otel.telemetry import semconv as sc

Json: TypeAlias = dict[str, object]

RUNS_DATASET: Final = "hermes-cron"
"""The spans: named after the service."""
METRICS_DATASET: Final = "hermes-cron-metrics"
"""The name that collector/honeycomb/README.md asks to be set."""

SPAN_NAME: Final = "name"
DURATION_MS: Final = "duration_ms"
HONEYCOMB_COLUMNS: Final = frozenset({SPAN_NAME, DURATION_MS})
"""Honeycomb's own columns of a span."""

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
WEEK: Final = 7 * DAY

FAILED: Final = "cron_failed"
TOKENS_CACHED: Final = "cron_cached_share"
PRICE: Final = "cron_usd_per_1k_tokens"

CALCULATED_FIELDS: Final[tuple[Json, ...]] = (
    {
        "alias": FAILED,
        "expression": f"IF(EXISTS(${sc.HERMES_CRON_RUN_FAILED}), IF(${sc.HERMES_CRON_RUN_FAILED}, 1, 0))",
        "description": "1 for a run that failed or was missed, 0 for one that did not: its AVG is the failure rate.",
    },
    {
        "alias": PRICE,
        "expression": f"DIV(MUL(${sc.HERMES_CRON_COST_TOTAL}, 1000), ${sc.HERMES_CRON_USAGE_TOTAL_TOKENS})",
        "description": "USD per 1,000 tokens of a run; absent where the cost is unknown.",
    },
    {
        "alias": TOKENS_CACHED,
        "expression": f"DIV(${sc.HERMES_CRON_USAGE_CACHE_READ_TOKENS}, ${sc.HERMES_CRON_USAGE_INPUT_TOKENS})",
        "description": "The share of a run's input tokens that came from a cache.",
    },
)

_BY_JOB: Final = (sc.HERMES_PROFILE_NAME, sc.HERMES_CRON_JOB_NAME)
_EACH_JOB: Final = (sc.HERMES_PROFILE_NAME, sc.HERMES_CRON_JOB_ID, sc.HERMES_CRON_JOB_NAME)
"""Two jobs of a profile may have the same name."""
_IS_RUN: Final = (sc.HERMES_CRON_RUN_OUTCOME, "exists")
_TOOK_PLACE: Final = (sc.HERMES_CRON_RUN_OUTCOME, "!=", "missed")

Filter: TypeAlias = tuple[str, str] | tuple[str, str, object]
Calculation: TypeAlias = tuple[str] | tuple[str, str]


def _filter(one: Filter) -> Json:
    column, op, *value = one
    return {"column": column, "op": op, **({"value": value[0]} if value else {})}


def _calculation(one: Calculation) -> Json:
    op, *column = one
    return {"op": op, **({"column": column[0]} if column else {})}


def _query(
    *calculations: Calculation,
    by: tuple[str, ...] = (),
    filters: tuple[Filter, ...] = (),
    time_range_s: int = WEEK,
    compared: bool = False,
) -> Json:
    """Return a query specification. The groups are ordered by the first calculation, the largest first."""
    query: Json = {
        "calculations": [_calculation(one) for one in calculations],
        "filters": [_filter(one) for one in filters],
        "filter_combination": "AND",
        "time_range": time_range_s,
    }
    if by:
        query["breakdowns"] = list(by)
        query["orders"] = [_calculation(calculations[0]) | {"order": "descending"}]
        query["limit"] = 100
    if compared:
        query["compare_time_offset_seconds"] = time_range_s
    return query


def _panel(
    key: str,
    name: str,
    description: str,
    query: Json,
    *,
    style: str = "combo",
    chart: str = "default",
    dataset: str = RUNS_DATASET,
) -> Json:
    return {
        "key": key,
        "dataset": dataset,
        "annotation": {"name": name, "description": description},
        "query": query,
        "style": style,
        "chart": chart,
    }


_WITH_COST: Final = (sc.HERMES_CRON_COST_TOTAL, "exists")
_IS_30D: Final = (sc.HERMES_CRON_WINDOW, "=", "30d")
_BY_DESTINATION: Final = (sc.HERMES_PROFILE_NAME, sc.HERMES_CRON_DESTINATION)
_BY_BUDGET: Final = (
    sc.HERMES_PROFILE_NAME,
    sc.HERMES_CRON_BUDGET_SCOPE,
    sc.HERMES_CRON_BUDGET_PERIOD,
    sc.HERMES_CRON_JOB_NAME,
)

# fmt: off
PANELS: Final = (
    _panel("ran", "What ran", "Runs by outcome. A missed run stands at the last time that was missed.", _query(("COUNT",), by=(sc.HERMES_CRON_RUN_OUTCOME,), filters=(_IS_RUN,)), chart="stacked"),
    _panel("failed", "What failed, and why", "Runs that failed, by the class of their error. Select a group to see its traces.", _query(("COUNT",), by=(*_BY_JOB, sc.HERMES_CRON_RUN_OUTCOME, sc.ERROR_TYPE), filters=((sc.HERMES_CRON_RUN_FAILED, "=", True), _TOOK_PLACE)), style="table"),
    _panel("failure-rate", "Failure rate by job", "The share of runs that failed or were missed, this week and the week before.", _query(("AVG", FAILED), ("COUNT",), by=_BY_JOB, filters=(_IS_RUN,), compared=True)),
    _panel("missed", "What was missed", "Times at which a job should have run and did not.", _query(("SUM", sc.HERMES_CRON_RUN_MISSED_COUNT), by=(*_BY_JOB, sc.HERMES_CRON_RUN_SCHEDULER_DOWN), filters=((sc.HERMES_CRON_RUN_OUTCOME, "=", "missed"),)), style="table"),
    _panel("cost-by-job", "Cost by job", "Known costs in USD. Runs whose cost nobody wrote down are not among them.", _query(("SUM", sc.HERMES_CRON_COST_TOTAL), ("AVG", sc.HERMES_CRON_COST_TOTAL), by=_BY_JOB, filters=(_WITH_COST,))),
    _panel("cost-by-model", "Cost by model", "The whole cost of a run stands under the model that did most of it.", _query(("SUM", sc.HERMES_CRON_COST_TOTAL), ("AVG", PRICE), by=(sc.HERMES_CRON_MODEL_PROVIDER, sc.HERMES_CRON_MODEL_NAME), filters=(_WITH_COST,))),
    _panel("unknown-cost", "Runs without a known cost", "Their tokens are known, their price is not: the sums of costs are lower bounds.", _query(("COUNT",), ("SUM", sc.HERMES_CRON_USAGE_TOTAL_TOKENS), by=(sc.HERMES_CRON_MODEL_NAME, sc.HERMES_CRON_COST_STATUS), filters=((sc.HERMES_CRON_COST_STATUS, "in", ["unknown", "partial"]),)), style="table"),
    _panel("tokens", "Tokens by job", "Input with what came from a cache, and output with reasoning.", _query(("SUM", sc.HERMES_CRON_USAGE_TOTAL_TOKENS), ("AVG", TOKENS_CACHED), by=_BY_JOB, filters=((sc.HERMES_CRON_USAGE_TOTAL_TOKENS, "exists"),))),
    _panel("slow", "What is slow", "Durations in milliseconds, of runs that took place.", _query(("P95", DURATION_MS), ("P50", DURATION_MS), ("MAX", DURATION_MS), by=_BY_JOB, filters=(_IS_RUN, _TOOK_PLACE))),
    _panel("where-time-goes", "Where the time goes", "Mean seconds of a run by what it was doing.", _query(("AVG", sc.HERMES_CRON_RUN_MODEL_TIME), ("AVG", sc.HERMES_CRON_RUN_TOOL_TIME), ("AVG", sc.HERMES_CRON_RUN_STARTUP_TIME), ("AVG", sc.HERMES_CRON_RUN_SCRIPT_TIME), ("AVG", sc.HERMES_CRON_RUN_DELIVERY_TIME), by=_BY_JOB, filters=(_IS_RUN, _TOOK_PLACE)), style="table"),
    _panel("late", "What starts late", "Seconds from when a run was due to its start.", _query(("MAX", sc.HERMES_CRON_RUN_LATENESS), ("P50", sc.HERMES_CRON_RUN_LATENESS), by=_BY_JOB, filters=((sc.HERMES_CRON_RUN_LATENESS, "exists"),)), style="table"),
    _panel("drifting", "What is drifting", "Cost, tokens and duration of a mean run, this week and the week before.", _query(("AVG", sc.HERMES_CRON_COST_TOTAL), ("AVG", sc.HERMES_CRON_USAGE_TOTAL_TOKENS), ("AVG", DURATION_MS), by=_BY_JOB, filters=(_IS_RUN, _TOOK_PLACE), compared=True)),
    _panel("deliveries", "What became of the answers", "Deliveries by outcome and target.", _query(("COUNT",), by=(sc.HERMES_CRON_JOB_NAME, sc.HERMES_CRON_DELIVERY_OUTCOME, sc.HERMES_CRON_DELIVERY_TARGET), filters=((sc.HERMES_CRON_DELIVERY_OUTCOME, "exists"),)), style="table"),
    _panel("forecast", "What the next 30 days will cost", "The last 30 days carried on, by job, in USD.", _query(("MAX", otlp_metric("projection.trend_cost")), by=_BY_JOB, filters=(_IS_30D,), time_range_s=DAY), dataset=METRICS_DATASET),
    _panel("pace", "What costs more than planned", "Trend divided by nominal cost: above 1 a job costs more than its schedule explains.", _query(("MAX", otlp_metric("projection.pace")), by=_BY_JOB, time_range_s=DAY), dataset=METRICS_DATASET),
    _panel("budgets", "Budgets", "What was spent so far in the day or month, in USD.", _query(("MAX", otlp_metric("budget.used")), by=_BY_BUDGET, time_range_s=DAY), style="table", dataset=METRICS_DATASET),
    _panel("budget-limits", "Limits of budgets", "In USD.", _query(("MAX", otlp_metric("budget.limit")), by=_BY_BUDGET, time_range_s=DAY), style="table", dataset=METRICS_DATASET),
    _panel("pending", "Runs not delivered yet", "Runs whose trace a destination has not acknowledged.", _query(("MAX", otlp_metric("outbox.pending")), by=_BY_DESTINATION, time_range_s=DAY), dataset=METRICS_DATASET),
    _panel("refused", "Runs refused", "Runs whose trace a destination refused: `cronalytics-otel status` has the reason.", _query(("MAX", otlp_metric("outbox.refused")), by=_BY_DESTINATION, time_range_s=DAY), dataset=METRICS_DATASET),
)
"""The query panels, in the order in which they are read."""
# fmt: on

_ABOUT: Final = (
    "# Hermes cron\n"
    "Every run of a job is one trace. Its root span has the outcome, the cost, the tokens and the times of the run, "
    "so each panel counts runs. Select a group and then **Traces** to see why a run failed.\n\n"
    "Runs are of 7 days. The last panels are of the metrics: a job's forecast, budgets, and the delivery of the "
    "telemetry itself."
)


def board() -> Json:
    """Return the board. In place of a query's id there is the query's key, for `apply.py` to replace."""
    width, height, top = 6, 4, 3
    panels: list[Json] = [
        {
            "type": "text",
            "text_panel": {"content": _ABOUT},
            "position": {"x_coordinate": 0, "y_coordinate": 0, "height": top, "width": 2 * width},
        }
    ]
    for index, panel in enumerate(PANELS):
        panels.append(
            {
                "type": "query",
                "query_panel": {
                    "query_id": panel["key"],
                    "query_annotation_id": panel["key"],
                    "query_style": panel["style"],
                    "visualization_settings": {
                        "charts": [{"chart_index": 0, "chart_type": panel["chart"]}]
                    },
                },
                "position": {
                    "x_coordinate": index % 2 * width,
                    "y_coordinate": top + index // 2 * height,
                    "height": height,
                    "width": width,
                },
            }
        )
    return {
        "name": "Hermes cron",
        "description": "What ran, what failed, what was missed, what it cost, what is slow or drifting.",
        "type": "flexible",
        "layout_generation": "manual",
        "panels": panels,
        "preset_filters": [
            {"column": sc.HERMES_PROFILE_NAME, "alias": "Profile"},
            {"column": sc.HERMES_CRON_JOB_NAME, "alias": "Job"},
            {"column": sc.HERMES_CRON_MODEL_NAME, "alias": "Model"},
        ],
    }


def queries() -> list[Json]:
    """Return the queries of the board, each with its key, its dataset and its annotation."""
    return [
        {name: panel[name] for name in ("key", "dataset", "annotation", "query")}
        for panel in PANELS
    ]


def _trigger(
    name: str,
    description: str,
    calculation: Calculation,
    threshold: tuple[str, float],
    *,
    by: tuple[str, ...] = (),
    filters: tuple[Filter, ...] = (),
    within_s: int,
    dataset: str = RUNS_DATASET,
) -> Json:
    """Return a trigger that asks four times in the time it looks back, and at least every hour or so."""
    op, value = threshold
    query: Json = {"calculations": [_calculation(calculation)], "time_range": within_s}
    if by:
        query["breakdowns"] = list(by)
    if filters:
        query["filters"] = [_filter(one) for one in filters]
        query["filter_combination"] = "AND"
    return {
        "dataset": dataset,
        "trigger": {
            "name": name,
            "description": description + runbook_text(name),
            "query": query,
            "threshold": {"op": op, "value": value},
            "frequency": within_s // 4,
            "alert_type": "on_change",
            "recipients": [],
        },
    }


# fmt: off
TRIGGERS: Final = (
    _trigger("HermesCronJobFailed", "A run failed. Sees runs that began within four hours, so one that ran for longer is seen by HermesCronJobFailing alone. Look at its trace: the root span has the error.", ("COUNT",), (">", 0), by=_EACH_JOB, filters=((sc.HERMES_CRON_RUN_FAILED, "=", True), _TOOK_PLACE), within_s=4 * HOUR),
    _trigger("HermesCronJobMissed", "A job was due and did not run. It is reported when the outage is over. `cronalytics-otel status` shows jobs that are overdue now.", ("SUM", sc.HERMES_CRON_RUN_MISSED_COUNT), (">", 0), by=_EACH_JOB, filters=((sc.HERMES_CRON_RUN_OUTCOME, "=", "missed"),), within_s=DAY),
    _trigger("HermesCronSchedulerDown", "Hermes's scheduler started no job at all while some were due: the gateway was down. That is known only when the outage is over: Prometheus's HermesCronSchedulerDead fires during it.", ("COUNT",), (">", 0), by=(sc.HERMES_PROFILE_NAME, sc.HOST_NAME), filters=((sc.HERMES_CRON_RUN_SCHEDULER_DOWN, "=", True),), within_s=DAY),
    _trigger("HermesCronRunOverBudget", "A run cost more than the budget of a run in the plugin's settings.", ("COUNT",), (">", 0), by=_EACH_JOB, filters=((sc.HERMES_CRON_RUN_OVER_BUDGET, "=", True),), within_s=4 * HOUR),
    _trigger("HermesCronDeliveryFailed", "An answer was not delivered. `hermes.cron.delivery.error` on the run's root span says why.", ("COUNT",), (">", 0), by=(*_EACH_JOB, sc.HERMES_CRON_DELIVERY_TARGET), filters=((sc.HERMES_CRON_DELIVERY_OUTCOME, "=", "failed"),), within_s=4 * HOUR),
    _trigger("HermesCronNobodyExports", "No run arrived in a day: no job ran, or the plugin or the way to Honeycomb is broken. Ask `cronalytics-otel status` on the machine. Disable this trigger where no job runs daily.", ("COUNT",), ("<", 1), filters=(_IS_RUN,), within_s=DAY),
    _trigger("HermesCronJobFailing", "The last run of this job failed. Prometheus has one alert for it and for runs that failed before another one succeeded, HermesCronJobFailed.", ("MAX", otlp_metric("job.consecutive_failures")), (">=", 1), by=_EACH_JOB, within_s=20 * MINUTE, dataset=METRICS_DATASET),
    _trigger("HermesCronJobFailingInARow", "Three or more runs of this job in a row have failed.", ("MAX", otlp_metric("job.consecutive_failures")), (">=", 3), by=_EACH_JOB, within_s=20 * MINUTE, dataset=METRICS_DATASET),
    _trigger("HermesCronPaceHigh", "The last 30 days, carried on, come to more than twice of what the schedule explains.", ("MAX", otlp_metric("projection.pace")), (">", 2), by=_EACH_JOB, within_s=4 * HOUR, dataset=METRICS_DATASET),
    _trigger("HermesCronTelemetryRefused", "A destination refused traces. `cronalytics-otel status` has the reason, `sync --retry-refused` sends them again.", ("MAX", otlp_metric("outbox.refused")), (">", 0), by=_BY_DESTINATION, within_s=HOUR, dataset=METRICS_DATASET),
    _trigger("HermesCronTelemetryPending", "A destination had pending runs at each sample of four hours. Where that is Honeycomb itself, only another destination or `cronalytics-otel status` can tell.", ("MIN", otlp_metric("outbox.pending")), (">", 0), by=_BY_DESTINATION, within_s=4 * HOUR, dataset=METRICS_DATASET),
)
"""The triggers. The windows over spans are long, since a span stands at its start."""
# fmt: on

_COLUMN_TYPES: Final = {
    sc.ValueType.STRING: "string",
    sc.ValueType.STRINGS: "string",
    sc.ValueType.INT: "integer",
    sc.ValueType.DOUBLE: "float",
    sc.ValueType.BOOLEAN: "boolean",
}


def columns_in(value: object) -> Iterator[str]:
    """Yield the columns that queries name."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            if name == "column" and isinstance(part, str):
                yield part
            elif name == "breakdowns" and isinstance(part, list):
                yield from part
            else:
                yield from columns_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from columns_in(part)


def _variables(expression: object) -> Iterator[str]:
    for part in str(expression).split("$")[1:]:
        end = next(i for i, letter in enumerate(part) if not (letter.isalnum() or letter in "._"))
        yield part[:end]


def columns() -> list[Json]:
    """Return the columns of spans that the board, the triggers and the fields name, with their types."""
    aliases = {field["alias"] for field in CALCULATED_FIELDS}
    named = {
        name
        for one in (*PANELS, *TRIGGERS)
        if one["dataset"] == RUNS_DATASET
        for name in columns_in(one)
    }
    named |= {name for field in CALCULATED_FIELDS for name in _variables(field["expression"])}
    types = {attribute.name: attribute.type for attribute in sc.ATTRIBUTES}
    return [
        {"key_name": name, "type": _COLUMN_TYPES[types[name]]}
        for name in sorted(named - aliases - HONEYCOMB_COLUMNS)
    ]


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def generate() -> Mapping[str, str]:
    """Return the files by their path in `collector/`."""
    return {
        "honeycomb/columns.json": _text(columns()),
        "honeycomb/calculated-fields.json": _text(CALCULATED_FIELDS),
        "honeycomb/queries.json": _text(queries()),
        "honeycomb/board.json": _text(board()),
        "honeycomb/triggers.json": _text(TRIGGERS),
    }
