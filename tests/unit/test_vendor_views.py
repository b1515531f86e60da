"""The files for Honeycomb and Datadog: names of ours, and the limits that the vendors document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from collector.generate.alerts import ALERTS
from collector.generate.datadog import TAGS_OF_RESOURCE, VARIABLES
from collector.generate.honeycomb import (
    HONEYCOMB_COLUMNS,
    METRICS_DATASET,
    RUNS_DATASET,
    columns_in,
)
from cronalytics_otel.telemetry import semconv as sc

FOLDER = Path(__file__).parents[2] / "collector"
METRICS = {form.name: form for form in sc.METRICS}
ON_RUNS = {
    attribute.name
    for attribute in sc.ATTRIBUTES
    if {sc.Where.ROOT, sc.Where.MISSED, sc.Where.RESOURCE} & set(attribute.where)
}


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def attributes_of(metric: str) -> set[str]:
    """What stands on the points of a metric, with what of the resource Datadog and Honeycomb put there."""
    form = METRICS[metric]
    names = {*form.attributes, sc.SERVICE_NAME, sc.HOST_NAME}
    if form.about is not sc.About.CALL:
        names.add(sc.HERMES_PROFILE_NAME)
    if form.about is sc.About.JOB:
        names |= {sc.HERMES_CRON_JOB_ID, sc.HERMES_CRON_JOB_NAME}
    return names


# --- Honeycomb -----------------------------------------------------------------------------

QUERIES = load("honeycomb/queries.json")
TRIGGERS = load("honeycomb/triggers.json")
FIELDS = load("honeycomb/calculated-fields.json")
BOARD = load("honeycomb/board.json")
HONEYCOMB_QUERIES = [(one["key"], one["dataset"], one["query"]) for one in QUERIES] + [
    (one["trigger"]["name"], one["dataset"], one["trigger"]["query"]) for one in TRIGGERS
]

FUNCTIONS = {
    "AND", "BUCKET", "COALESCE", "CONCAT", "CONTAINS", "DIV", "ENDS_WITH", "EQUALS", "EXISTS", "FLOAT", "GT", "GTE",
    "IF", "IN", "INT", "LT", "LTE", "MAX", "MIN", "MOD", "MUL", "NOT", "OR", "STARTS_WITH", "STRING", "SUB", "SUM",
    "SWITCH",
}  # fmt: skip
"""Of https://docs.honeycomb.io/reference/derived-column-formula/, those that take expressions alone."""
TOKEN = re.compile(
    r'\s*(?:([A-Z_]+)\(|(\$[\w.]+)|("[^"]*"|-?\d+(?:\.\d+)?|true|false|null)|([,)]))'
)


def variables_of(expression: str) -> Iterator[str]:
    """Parse an expression by the grammar of calculated fields, and yield its columns."""
    depth, position, expects_value = 0, 0, True
    while position < len(expression):
        token = TOKEN.match(expression, position)
        assert token, f"cannot be read: {expression[position:]}"
        function, variable, literal, mark = token.groups()
        assert (mark is None) == expects_value, f"not here: {expression[position:]}"
        if function:
            assert function in FUNCTIONS
            depth += 1
        elif mark == ")":
            depth -= 1
            assert depth >= 0
        elif variable:
            yield variable[1:]
        expects_value = bool(function) or mark == ","
        assert literal is None or depth
        position = token.end()
    assert depth == 0
    assert not expects_value


@pytest.mark.parametrize(
    ("what", "dataset", "query"), HONEYCOMB_QUERIES, ids=lambda one: str(one)[:40]
)
def test_a_honeycomb_query_names_columns_that_its_dataset_has(
    what: str, dataset: str, query: Mapping[str, Any]
) -> None:
    named = set(columns_in(query))
    if dataset == RUNS_DATASET:
        fields = {field["alias"] for field in FIELDS}
        assert named - ON_RUNS - fields - HONEYCOMB_COLUMNS == set()
        return
    assert dataset == METRICS_DATASET
    (metric,) = named & METRICS.keys()
    assert named - {metric} <= attributes_of(metric)


def test_the_values_that_honeycomb_filters_by_are_values_of_their_attributes() -> None:
    values = {attribute.name: attribute.values for attribute in sc.ATTRIBUTES}
    for _, _, query in HONEYCOMB_QUERIES:
        for one in query.get("filters", []):
            allowed = values.get(one["column"])
            given = one.get("value", [])
            for value in given if isinstance(given, list) else [given]:
                assert not allowed or value in allowed, one


def test_calculated_fields_follow_the_grammar_and_name_attributes_of_runs() -> None:
    for field in FIELDS:
        assert set(variables_of(field["expression"])) <= ON_RUNS


@pytest.mark.parametrize(
    "expression", ["IF($a", "IF(,1)", "NOPE($a)", "$a $b", "DIV($a, 1))", "IF($a,)"]
)
def test_a_broken_expression_does_not_pass(expression: str) -> None:
    with pytest.raises(AssertionError):
        list(variables_of(expression))


@pytest.mark.parametrize(
    "trigger", [one["trigger"] for one in TRIGGERS], ids=lambda one: one["name"]
)
def test_a_trigger_keeps_the_limits_that_honeycomb_documents(trigger: Mapping[str, Any]) -> None:
    """https://docs.honeycomb.io/api/triggers/: a strict subset of a query, with one calculation; at most a
    day, and at most four times the frequency, which is 60 to 86,400 and a multiple of 60."""
    query = trigger["query"]
    (calculation,) = query["calculations"]
    assert calculation["op"] not in {"HEATMAP", "CONCURRENCY", "RATE_AVG", "RATE_SUM", "RATE_MAX"}
    assert query.keys() <= {
        "calculations",
        "breakdowns",
        "filters",
        "filter_combination",
        "time_range",
    }
    assert 60 <= trigger["frequency"] <= 86_400
    assert trigger["frequency"] % 60 == 0
    assert query["time_range"] <= min(86_400, 4 * trigger["frequency"])


def test_a_query_over_metrics_never_counts_points() -> None:
    """Honeycomb refuses COUNT on a dataset of metrics."""
    operations = {
        calculation["op"]
        for _, dataset, query in HONEYCOMB_QUERIES
        if dataset == METRICS_DATASET
        for calculation in query["calculations"]
    }
    assert operations <= {"MAX", "MIN"}


def test_queries_are_ordered_by_what_they_calculate_and_compare_with_a_time_that_is_offered() -> (
    None
):
    """compare_time_offset_seconds: one of a list, and not below the query's own time."""
    offered = {1800, 3600, 7200, 28_800, 86_400, 604_800, 2_419_200, 15_724_800}
    for one in QUERIES:
        query = one["query"]
        for order in query.get("orders", []):
            rest = {name: value for name, value in order.items() if name != "order"}
            assert rest in query["calculations"]
        if (offset := query.get("compare_time_offset_seconds")) is not None:
            assert offset in offered
            assert offset >= query["time_range"]


def test_the_board_shows_each_query_once_and_its_panels_do_not_overlap() -> None:
    shown = [p["query_panel"]["query_id"] for p in BOARD["panels"] if p["type"] == "query"]
    assert shown == [one["key"] for one in QUERIES]
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(
            panel["position"]["x_coordinate"],
            panel["position"]["x_coordinate"] + panel["position"]["width"],
        )
        for y in range(
            panel["position"]["y_coordinate"],
            panel["position"]["y_coordinate"] + panel["position"]["height"],
        )
    ]
    assert len(cells) == len(set(cells))


# --- Datadog -------------------------------------------------------------------------------

DASHBOARD = load("datadog/dashboard.json")
MONITORS = [
    json.loads(path.read_text()) for path in sorted((FOLDER / "datadog/monitors").glob("*.json"))
]
SERIES = re.compile(
    r"(avg|max|min|sum):([a-z_.]+)\{([^{}]*)\}(?: by \{([^{}]*)\})?((?:\.[a-z_]+\([a-z0-9, ]*\))*)"
)
COMPARISON = re.compile(r" (>=|<=|>|<) (\d+)$")
EVALUATION = re.compile(
    r"^(?:(?:max|min|sum)\(last_(\d+[mhd])\)|change\(max\(last_5m\),last_1h\)):"
)


def datadog_queries() -> list[str]:
    def inside(value: object) -> Iterator[str]:
        if isinstance(value, Mapping):
            for name, part in value.items():
                if name == "query" and isinstance(part, str):
                    yield part
                yield from inside(part)
        elif isinstance(value, list):
            for part in value:
                yield from inside(part)

    return [*inside(DASHBOARD), *(monitor["query"] for monitor in MONITORS)]


@pytest.mark.parametrize("query", datadog_queries())
def test_a_datadog_query_names_metrics_and_tags_that_are_sent(query: str) -> None:
    found = list(SERIES.finditer(query))
    assert found
    values = {attribute.name: attribute.values for attribute in sc.ATTRIBUTES}
    for match in found:
        _, metric, scope, groups, functions = match.groups()
        known = attributes_of(metric)
        for part in filter(lambda part: part != "*", scope.split(",")):
            if part.startswith("$"):
                assert VARIABLES[part[1:]] in known
                continue
            tag, value = part.removeprefix("!").split(":")
            assert tag in known
            assert not values.get(tag) or value in values[tag]
        assert {TAGS_OF_RESOURCE.get(tag, tag) for tag in (groups or "").split(",") if tag} <= known
        is_counter = METRICS[metric].instrument is sc.Instrument.COUNTER
        assert functions.startswith(".as_count()") == is_counter


@pytest.mark.parametrize("monitor", MONITORS, ids=lambda one: one["name"])
def test_a_monitor_s_query_is_evaluation_series_and_its_own_threshold(
    monitor: Mapping[str, Any],
) -> None:
    query = monitor["query"]
    comparison = COMPARISON.search(query)
    assert EVALUATION.match(query)
    assert comparison
    assert float(comparison[2]) == monitor["options"]["thresholds"]["critical"]
    between = SERIES.sub("S", COMPARISON.sub("", EVALUATION.sub("", query)))
    assert between in {"S", "S / S", "S / ( S / S )"}
    groups = {match[4] for match in SERIES.finditer(query)}
    assert len(groups) == 1, "a formula needs the same groups on both sides"


@pytest.mark.parametrize("monitor", MONITORS, ids=lambda one: one["name"])
def test_a_monitor_s_message_names_groups_of_its_query(monitor: Mapping[str, Any]) -> None:
    match = SERIES.search(monitor["query"])
    assert match
    named = set(re.findall(r"\{\{\[?([\w.]+?)\]?\.name\}\}", monitor["message"]))
    assert named <= set(match[4].split(","))


VENDORS = [(one["name"], one["message"]) for one in MONITORS] + [
    (one["trigger"]["name"], one["trigger"]["description"]) for one in TRIGGERS
]


def test_two_jobs_of_one_name_are_two_groups_of_a_trigger() -> None:
    groups = [one["trigger"]["query"].get("breakdowns", []) for one in TRIGGERS]
    of_jobs = [each for each in groups if sc.HERMES_CRON_JOB_NAME in each]
    assert of_jobs
    assert all(sc.HERMES_CRON_JOB_ID in each for each in of_jobs)


@pytest.mark.parametrize(("name", "text"), VENDORS)
def test_an_alert_leads_to_a_runbook(name: str, text: str) -> None:
    pages = re.findall(r"`collector/(runbooks/\w+\.md)`", text)
    assert len(pages) == (name != "HermesCronJobSlow")
    assert all((FOLDER / page).is_file() for page in pages)


@pytest.mark.parametrize(("name", "text"), VENDORS)
def test_an_alert_of_another_name_than_prometheus_s_says_how_it_differs(
    name: str, text: str
) -> None:
    others = {"HermesCronJobSlow", "HermesCronRunOverBudget"}
    names = {alert.name for alert in ALERTS}
    assert name in names | others or any(one in text.partition("`collector")[0] for one in names)


def test_the_monitors_are_files_of_their_names() -> None:
    names = [path.stem for path in sorted((FOLDER / "datadog/monitors").glob("*.json"))]
    assert names == [monitor["name"] for monitor in MONITORS]
