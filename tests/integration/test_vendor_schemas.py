"""The files for Honeycomb and Datadog fit the models of the vendors' APIs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tests.support.vendor_schemas import complaints

FOLDER = Path(__file__).parents[2] / "collector"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_the_files_for_honeycomb_fit_its_api() -> None:
    stored = {"id": "x", "created_at": "x", "updated_at": "x"}
    documents = [
        ("honeycomb Board", "board", load("honeycomb/board.json")),
        *(("honeycomb CreateColumn", c["key_name"], c) for c in load("honeycomb/columns.json")),
        *(
            ("honeycomb CalculatedField", field["alias"], field | stored)
            for field in load("honeycomb/calculated-fields.json")
        ),
    ]
    for one in load("honeycomb/queries.json"):
        documents += [
            ("honeycomb Query", one["key"], one["query"]),
            ("honeycomb QueryAnnotation", one["key"], one["annotation"] | {"query_id": "x"}),
        ]
    for one in load("honeycomb/triggers.json"):
        trigger = one["trigger"]
        documents += [
            ("honeycomb TriggerWithInlineQuery", trigger["name"], trigger),
            ("honeycomb Query", trigger["name"], trigger["query"]),
        ]

    assert complaints(documents) == []


def test_the_files_for_datadog_fit_its_api() -> None:
    monitors = [
        ("datadog Monitor", path.stem, json.loads(path.read_text()))
        for path in (FOLDER / "datadog/monitors").glob("*.json")
    ]

    dashboard = ("datadog Dashboard", "dashboard", load("datadog/dashboard.json"))
    assert complaints([dashboard, *monitors]) == []


def test_what_does_not_fit_is_found() -> None:
    """The check itself: a wrong value, and a key that the API does not know."""
    monitor = load("datadog/monitors/HermesCronJobFailed.json")
    dashboard = load("datadog/dashboard.json")
    graph = copy.deepcopy(dashboard)
    graph["widgets"][1]["definition"]["widgets"][0]["definition"]["requests"][0]["sorted"] = True
    query = load("honeycomb/queries.json")[0]["query"]

    found = complaints(
        [
            ("datadog Monitor", "type", monitor | {"type": "no such type"}),
            ("datadog Monitor", "key", monitor | {"thresholds": {}}),
            ("datadog Dashboard", "layout", dashboard | {"layout_type": "round"}),
            ("datadog Dashboard", "deep key", graph),
            ("honeycomb Query", "operation", query | {"calculations": [{"op": "MEAN"}]}),
            ("honeycomb Query", "unknown key", query | {"timerange": 5}),
        ]
    )

    assert {complaint.partition(":")[0] for complaint in found} == {
        "type", "key", "layout", "deep key", "operation", "unknown key",
    }  # fmt: skip
