"""`collector/honeycomb/apply.py` against a stand-in for Honeycomb's API that keeps what it is given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.loopback import LoopbackHttpServer, QuietHandler, ThreadedHttpServer

FOLDER = Path(__file__).parents[2] / "collector/honeycomb"
KEY = "a-configuration-key"
NAMED_BY = {"columns": "key_name", "derived_columns": "alias", "boards": "name", "triggers": "name"}
MAY_CHANGE = {"derived_columns", "boards", "triggers"}


class Honeycomb(LoopbackHttpServer):
    """Objects by the path of their list. A second object of one name is refused, as is a wrong key."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.writes: list[str] = []
        self.missing_dataset = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self) -> ThreadedHttpServer:
        return _Server(self)

    def answer(self, method: str, path: str, key: str, body: Any) -> tuple[int, Any]:
        if key != KEY:
            return 401, {"error": "unknown API key"}
        if self.missing_dataset and path.endswith(f"/{self.missing_dataset}"):
            return 404, {"error": "dataset not found"}
        if method == "GET":
            return 200, self.objects.get(path, [])
        self.writes.append(f"{method} {path}")
        kind = path.split("/")[2]
        if method == "POST":
            objects = self.objects.setdefault(path, [])
            name = NAMED_BY.get(kind)
            if name and any(one[name] == body[name] for one in objects):
                return 409, {"error": "exists"}
            objects.append(body | {"id": f"{kind}-{len(self.writes)}"})
            return 201, objects[-1]
        assert kind in MAY_CHANGE
        path, _, identity = path.rpartition("/")
        (found,) = [one for one in self.objects[path] if one["id"] == identity]
        found.update(body)
        return 200, found


class _Server(ThreadedHttpServer):
    def __init__(self, api: Honeycomb) -> None:
        super().__init__(api.port, _Handler)
        self.api = api


class _Handler(QuietHandler):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802 the base's name
        self._answer()

    def do_POST(self) -> None:  # noqa: N802 the base's name
        self._answer()

    def do_PUT(self) -> None:  # noqa: N802 the base's name
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        key = self.headers.get("X-Honeycomb-Team", "")
        status, answer = self.server.api.answer(self.command, self.path, key, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def honeycomb() -> Iterator[Honeycomb]:
    with Honeycomb() as api:
        yield api


def apply(
    honeycomb: Honeycomb, *arguments: str, key: str = KEY
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FOLDER / "apply.py", "--url", honeycomb.url, *arguments],
        env={"HONEYCOMB_API_KEY": key, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_without_write_nothing_is_changed(honeycomb: Honeycomb) -> None:
    done = apply(honeycomb)

    assert done.returncode == 0
    assert "create board Hermes cron" in done.stdout
    assert done.stdout.endswith("Nothing was changed. Add --write to do it.\n")
    assert honeycomb.writes == []


def test_everything_is_created_and_the_board_shows_the_queries_that_were_made(
    honeycomb: Honeycomb,
) -> None:
    done = apply(honeycomb, "--write", "--recipient", "r1")

    assert (done.returncode, done.stderr) == (0, "")
    (board,) = honeycomb.objects["/1/boards"]
    datasets = ("hermes-cron", "hermes-cron-metrics")
    queries = [one["id"] for name in datasets for one in honeycomb.objects[f"/1/queries/{name}"]]
    notes = [one for name in datasets for one in honeycomb.objects[f"/1/query_annotations/{name}"]]
    shown = [panel["query_panel"] for panel in board["panels"] if panel["type"] == "query"]
    assert [panel["query_id"] for panel in shown] == queries
    assert {panel["query_annotation_id"]: panel["query_id"] for panel in shown} == {
        note["id"]: note["query_id"] for note in notes
    }
    triggers = [one for name in datasets for one in honeycomb.objects[f"/1/triggers/{name}"]]
    assert [one["name"] for one in triggers] == [
        one["trigger"]["name"] for one in load("triggers.json")
    ]
    assert all(one["recipients"] == [{"id": "r1"}] for one in triggers)


def test_a_second_time_what_is_there_is_updated_and_a_person_s_choices_stay(
    honeycomb: Honeycomb,
) -> None:
    apply(honeycomb, "--write")
    trigger = honeycomb.objects["/1/triggers/hermes-cron"][0]
    trigger |= {"disabled": True, "recipients": [{"id": "mine", "type": "email"}]}
    trigger["threshold"] = {"op": ">", "value": 99}
    before = {path: len(objects) for path, objects in honeycomb.objects.items()}

    done = apply(honeycomb, "--write")

    assert done.returncode == 0
    after = {path: len(objects) for path, objects in honeycomb.objects.items()}
    grown = {path.split("/")[2] for path, count in after.items() if count != before[path]}
    assert grown == {"queries", "query_annotations"}
    assert trigger["disabled"] is True
    assert trigger["recipients"] == [{"id": "mine"}]
    assert trigger["threshold"] == {"op": ">", "value": 0}


def test_without_metrics_only_the_spans_dataset_is_touched(honeycomb: Honeycomb) -> None:
    honeycomb.missing_dataset = "hermes-cron-metrics"

    done = apply(honeycomb, "--write", "--without-metrics")

    assert done.returncode == 0
    assert not [path for path in honeycomb.objects if path.endswith("metrics")]
    (board,) = honeycomb.objects["/1/boards"]
    assert len(board["panels"]) == 1 + len(honeycomb.objects["/1/queries/hermes-cron"])


def test_a_refusal_is_one_line_and_an_exit_status_and_never_shows_the_key(
    honeycomb: Honeycomb,
) -> None:
    done = apply(honeycomb, key="a-wrong-key")

    assert done.returncode == 1
    assert "GET /1/columns/hermes-cron: 401" in done.stderr
    assert "a-wrong-key" not in done.stdout + done.stderr
