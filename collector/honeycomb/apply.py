#!/usr/bin/env python3
"""Put the board, the triggers and the calculated fields of this folder into a Honeycomb environment.

    HONEYCOMB_API_KEY=… python3 apply.py            # show what would change
    HONEYCOMB_API_KEY=… python3 apply.py --write    # change it

It needs Python 3.11 and nothing else. It creates what is not there, updates what has the same name, and deletes
nothing. The key is a configuration key that may manage queries and columns, public boards, and triggers.
"""

# ruff: noqa: T201 -- a program that stands alone and prints

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER = Path(__file__).parent
RUNS_DATASET = "hermes-cron"
METRICS_DATASET = "hermes-cron-metrics"
Json = dict[str, Any]


class ApiError(Exception):
    """Honeycomb refused a request."""


class Honeycomb:
    """The API of one environment. Without `write` only reading requests are sent."""

    def __init__(self, url: str, key: str, *, write: bool) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self.write = write

    def get(self, path: str) -> list[Json]:
        """Return the objects of a list."""
        answer = self._send("GET", path, None)
        return answer if isinstance(answer, list) else []

    def put(self, path: str, existing_id: str | None, body: Json, what: str) -> Json:
        """Create an object, or update the one that has an id. Return it as Honeycomb has it."""
        print(f"{'update' if existing_id else 'create'} {what}")
        if not self.write:
            return {"id": existing_id or "not created"}
        if existing_id:
            answer = self._send("PUT", f"{path}/{quote(existing_id)}", body)
        else:
            answer = self._send("POST", path, body)
        return answer if isinstance(answer, dict) else {}

    def _send(self, method: str, path: str, body: Json | None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the user's own URL
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Honeycomb-Team": self._key, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")[:500]
            raise ApiError(f"{method} {path}: {error.code} {text}") from error
        except urllib.error.URLError as error:
            raise ApiError(f"{method} {path}: {error.reason}") from error


def load(name: str) -> Any:
    """Return the content of a file of this folder."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def ids_by(name: str, objects: list[Json]) -> dict[str, str]:
    """Return the ids of objects by a field that names them."""
    return {str(one[name]): str(one["id"]) for one in objects if name in one}


def apply_columns(api: Honeycomb, dataset: str) -> None:
    """Create the columns that no span has had yet: a query may name only columns that exist."""
    path = f"/1/columns/{quote(dataset)}"
    existing = ids_by("key_name", api.get(path))
    for column in load("columns.json"):
        if column["key_name"] not in existing:
            api.put(path, None, column, f"column {column['key_name']}")


def apply_fields(api: Honeycomb, dataset: str) -> None:
    """Create or update the calculated fields."""
    path = f"/1/derived_columns/{quote(dataset)}"
    existing = ids_by("alias", api.get(path))
    for field in load("calculated-fields.json"):
        api.put(path, existing.get(field["alias"]), field, f"calculated field {field['alias']}")


def apply_board(api: Honeycomb, datasets: dict[str, str]) -> None:
    """Create the queries of the board, then create or update the board.

    A query cannot be changed once it is made, so each time there are new ones. Panels of datasets that are
    not in `datasets` are left out.
    """
    board = load("board.json")
    ids: dict[str, tuple[str, str]] = {}
    for query in load("queries.json"):
        if query["dataset"] not in datasets:
            continue
        dataset = quote(datasets[query["dataset"]])
        name = query["annotation"]["name"]
        made = api.put(f"/1/queries/{dataset}", None, query["query"], f"query {name}")
        note = query["annotation"] | {"query_id": made["id"]}
        annotated = api.put(f"/1/query_annotations/{dataset}", None, note, f"annotation {name}")
        ids[query["key"]] = (made["id"], annotated["id"])
    panels = []
    for panel in board["panels"]:
        if panel["type"] == "query":
            if (key := panel["query_panel"]["query_id"]) not in ids:
                continue
            query_id, annotation_id = ids[key]
            panel["query_panel"] |= {"query_id": query_id, "query_annotation_id": annotation_id}
        panels.append(panel)
    existing = ids_by("name", api.get("/1/boards")).get(board["name"])
    shown = api.put("/1/boards", existing, board | {"panels": panels}, f"board {board['name']}")
    if url := shown.get("links", {}).get("board_url"):
        print(url)


def apply_triggers(api: Honeycomb, datasets: dict[str, str], recipients: list[str]) -> None:
    """Create or update the triggers. An update keeps the recipients that a trigger has, if none are given."""
    for dataset, dataset_slug in datasets.items():
        path = f"/1/triggers/{quote(dataset_slug)}"
        existing = {str(one.get("name")): one for one in api.get(path)}
        for entry in load("triggers.json"):
            if entry["dataset"] != dataset:
                continue
            body = entry["trigger"]
            present = existing.get(body["name"], {})
            body["recipients"] = [{"id": one} for one in recipients] or [
                {"id": one["id"]} for one in present.get("recipients", [])
            ]
            if "disabled" in present:
                body["disabled"] = present["disabled"]
            api.put(path, present.get("id"), body, f"trigger {body['name']}")


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 1 if Honeycomb refused something, 2 without a key."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="change Honeycomb; else only show")
    parser.add_argument(
        "--url", default="https://api.honeycomb.io", help="EU: https://api.eu1.honeycomb.io"
    )
    parser.add_argument("--runs-dataset", default=RUNS_DATASET, help="where the spans are")
    parser.add_argument("--metrics-dataset", default=METRICS_DATASET, help="where the metrics are")
    parser.add_argument("--without-metrics", action="store_true", help="only what stands on spans")
    parser.add_argument(
        "--recipient", action="append", default=[], help="id of a recipient of all triggers"
    )
    options = parser.parse_args(arguments)
    key = os.environ.get("HONEYCOMB_API_KEY", "")
    if not key:
        print("Set HONEYCOMB_API_KEY to a configuration key of the environment.", file=sys.stderr)
        return 2
    datasets = {RUNS_DATASET: options.runs_dataset}
    if not options.without_metrics:
        datasets[METRICS_DATASET] = options.metrics_dataset
    api = Honeycomb(options.url, key, write=options.write)
    try:
        apply_columns(api, options.runs_dataset)
        apply_fields(api, options.runs_dataset)
        apply_board(api, datasets)
        apply_triggers(api, datasets, options.recipient)
    except ApiError as error:
        print(error, file=sys.stderr)
        print("A 404 means that the dataset has no data yet: send a run first.", file=sys.stderr)
        return 1
    if not options.write:
        print("Nothing was changed. Add --write to do it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
