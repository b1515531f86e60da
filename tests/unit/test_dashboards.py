"""The Grafana dashboards as JSON: laid out, described, in our colours, and with links that lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from collector.generate.dashboards import style
from collector.generate.names import SERIES_NAMES, label
from cronalytics_otel.model import Outcome
from cronalytics_otel.telemetry.semconv import ATTRIBUTES
from tests.support.boards import GRAFANA, NAMES, panels, questions, read_board, variables_in

SOURCES = {
    "prometheus": "cronalytics-prometheus",
    "tempo": "cronalytics-tempo",
    "jaeger": "cronalytics-jaeger",
    "alertmanager": "cronalytics-alertmanager",
}
COLOUR = re.compile(r"#[0-9A-Fa-f]{3,8}\b")
EVERY_BOARD = pytest.mark.parametrize("name", NAMES)


def everywhere(value: object) -> list[tuple[str, object]]:
    """All keys with their values, at any depth."""
    if isinstance(value, list):
        return [pair for one in value for pair in everywhere(one)]
    if not isinstance(value, dict):
        return []
    return [(str(k), v) for k, v in value.items()] + [
        p for v in value.values() for p in everywhere(v)
    ]


def settings(panel: dict[str, Any], name: str) -> list[Any]:
    """The values of a setting in the overrides of a panel."""
    return [
        prop["value"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == name
    ]


@EVERY_BOARD
def test_panels_have_ids_of_their_own(name: str) -> None:
    ids = Counter(panel["id"] for panel in read_board(name)["panels"])

    assert max(ids.values()) == 1


@EVERY_BOARD
def test_panels_fill_the_grid_without_overlap_and_in_the_order_of_the_list(name: str) -> None:
    """In one column, on a phone, they stand in the order of the list."""
    cells = Counter[tuple[int, int]]()
    places = [panel["gridPos"] for panel in read_board(name)["panels"]]
    for at in places:
        cells.update(
            (x, y)
            for x in range(at.get("x", 0), at.get("x", 0) + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        )
    height = max(at["y"] + at["h"] for at in places)

    assert cells == dict.fromkeys(((x, y) for x in range(24) for y in range(height)), 1)
    assert places == sorted(places, key=lambda at: (at["y"], at["x"]))


@EVERY_BOARD
def test_the_wide_panels_can_be_read_at_1280_pixels(name: str) -> None:
    """A column of the grid has some 52 pixels there: a number needs four, a chart, bars or a table eight."""
    for panel in panels(read_board(name)):
        least = {"stat": (4, 3)}.get(panel["type"], (8, 4))
        assert (panel["gridPos"]["w"], panel["gridPos"]["h"]) >= least, panel["title"]


@EVERY_BOARD
def test_each_panel_is_described_and_says_what_it_means_that_it_is_empty(name: str) -> None:
    for panel in panels(read_board(name)):
        assert panel["description"].endswith((".", "`.")), panel["title"]
        assert len(panel["description"].split()) >= 3, panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


@EVERY_BOARD
def test_each_number_has_a_unit(name: str) -> None:
    for panel in panels(read_board(name)):
        if panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            continue
        if panel["targets"][0]["datasource"]["type"] == "tempo":
            continue  # Grafana knows the units of a trace
        (organize,) = (t["options"] for t in panel["transformations"] if t["id"] == "organize")
        numbers = {
            title for field, title in organize["renameByName"].items() if field.startswith("Value")
        }
        units = {
            override["matcher"]["options"]: prop["value"]
            for override in panel["fieldConfig"]["overrides"]
            for prop in override["properties"]
            if prop["id"] == "unit"
        }
        assert {units[title] for title in numbers} <= {
            "short", "currencyUSD", "s", "percentunit", "suffix:x", "dateTimeFromNow",
        }  # fmt: skip


@EVERY_BOARD
def test_data_comes_from_our_sources_only(name: str) -> None:
    sources = [v for k, v in everywhere(read_board(name)) if k == "datasource"]

    assert sources
    assert all(isinstance(s, dict) and SOURCES[s["type"]] == s["uid"] for s in sources)


@EVERY_BOARD
def test_colours_are_those_of_the_palette(name: str) -> None:
    board = read_board(name)
    colours = [
        v for k, v in everywhere(board) if k in ("color", "fixedColor") and isinstance(v, str)
    ]
    modes = {str(v["mode"]) for k, v in everywhere(board) if k == "color" and isinstance(v, dict)}

    assert colours
    assert set(colours) <= style.PALETTE
    assert set(COLOUR.findall(str(board))) <= style.PALETTE
    assert modes <= {"fixed", "thresholds", "shades"}


def test_each_outcome_has_a_colour_of_its_own() -> None:
    assert set(style.OUTCOME_COLOURS) == set(Outcome)
    assert len(set(style.OUTCOME_COLOURS.values())) == len(Outcome)


@EVERY_BOARD
def test_queries_use_the_variables_of_their_board_and_metrics_that_are_sent(name: str) -> None:
    board = read_board(name)
    known = {variable["name"] for variable in board["templating"]["list"]}

    assert variables_in(str(board)) <= known | {"1"}
    series = {name + suffix for name in SERIES_NAMES.values() for suffix in ("", "_bucket", "_sum")}
    labels = {label(attribute.name) for attribute in ATTRIBUTES}
    for question in questions(name):
        names = set(re.findall(r"\bhermes_cron_\w+", question.expr))
        assert names & series, question
        assert names <= series | labels, question


@EVERY_BOARD
def test_links_lead_to_boards_and_set_variables_that_they_have(name: str) -> None:
    boards = {read_board(each)["uid"]: read_board(each) for each in NAMES}
    links = [v for k, v in everywhere(read_board(name)) if k == "url" and isinstance(v, str)]

    for link in links:
        address = urlsplit(link)
        _, d, uid = address.path.split("/")
        assert d == "d"
        variables = {variable["name"] for variable in boards[uid]["templating"]["list"]}
        given = {key for key in parse_qs(address.query) if key.startswith("var-")}
        assert given <= {f"var-{variable}" for variable in variables}, link


@EVERY_BOARD
def test_links_of_tables_take_fields_that_the_table_has(name: str) -> None:
    for panel in panels(read_board(name)):
        if panel["type"] != "table" or panel["targets"][0]["datasource"]["type"] == "tempo":
            continue
        (organize,) = (t["options"] for t in panel["transformations"] if t["id"] == "organize")
        for links in settings(panel, "links"):
            for link in links:
                fields = re.findall(r"__data\.fields\.(\w+)", link["url"])
                assert set(fields) <= set(organize["indexByName"]), panel["title"]


def test_the_variable_of_the_job_has_its_id_as_value_and_its_name_as_text() -> None:
    """Grafana writes the labels of a result as here, and does not escape what is in them."""
    (job,) = (one for one in read_board("job")["templating"]["list"] if one["name"] == "job")
    regex = job["regex"].strip("/").replace("(?<", "(?P<")
    result = (
        '{hermes_cron_job_id="d16e57",hermes_cron_job_name="the "big" digest, {daily}"} 1 17000'
    )

    found = re.search(regex, result)

    assert found is not None
    assert found.groupdict() == {"value": "d16e57", "text": 'the "big" digest, {daily}'}


def test_every_board_but_that_of_the_job_leads_to_it() -> None:
    for name in ("fleet", "pipeline"):
        assert "/d/cronalytics-job?var-profile=" in str(read_board(name))


def test_titles_and_uids_are_unique_and_boards_find_each_other_by_their_tag() -> None:
    boards = [read_board(name) for name in NAMES]

    assert {board["uid"] for board in boards} == {
        "cronalytics-fleet", "cronalytics-job", "cronalytics-models", "cronalytics-pipeline",
    }  # fmt: skip
    assert len({board["title"] for board in boards}) == len(boards)
    for board in boards:
        (link,) = board["links"]
        assert link["tags"] == board["tags"] == ["cronalytics"]


def test_the_data_sources_link_metrics_and_traces_both_ways() -> None:
    provisioned = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/cronalytics.yaml").read_text()
    )
    sources = {source["uid"]: source for source in provisioned["datasources"]}

    assert {source["type"]: uid for uid, source in sources.items()} == SOURCES
    exemplars = sources["cronalytics-prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert [one["name"] for one in exemplars] == ["trace_id", "trace_id"]
    assert [one["datasourceUid"] for one in exemplars] == [
        "cronalytics-tempo",
        "cronalytics-jaeger",
    ]
    for uid in ("cronalytics-tempo", "cronalytics-jaeger"):
        to_metrics = sources[uid]["jsonData"]["tracesToMetrics"]
        assert to_metrics["datasourceUid"] == "cronalytics-prometheus"
        for query in to_metrics["queries"]:
            # Grafana replaces $NAME in this file by a variable of its environment; $$ is a $.
            assert "$$__tags" in query["query"]
            assert set(re.findall(r"hermes_cron_\w+", query["query"])) & set(SERIES_NAMES.values())
