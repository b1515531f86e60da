"""What hooks told stays in the journal for as long as somebody lacks the run, and a while longer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal import observations as store
from cronalytics_otel.journal.facts import OBSERVATIONS_LOST
from cronalytics_otel.journal.observations import observation_from_json, observation_to_json
from cronalytics_otel.model import ApiError, ModelCall, Observation, Observations, ToolResult, Usage
from tests import strategies
from tests.support.cli import DIGEST

ROOT = "cron_6c583f72f2e8_20260131_070004"
CALL = ModelCall(started_ns=1, ended_ns=5, model="m", usage=Usage(input_tokens=3))
ERROR = ApiError(started_ns=1, ended_ns=2, status_code=500)
TOOL = ToolResult(call_id="c", name="t", started_ns=3, ended_ns=4, failed=True)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        yield journal


@given(detail=strategies.model_calls | strategies.api_errors | strategies.tool_runs)
def test_what_is_written_is_what_is_read(detail: Observation) -> None:
    assert observation_from_json(observation_to_json(detail)) == detail


def test_what_another_version_wrote_is_read_as_far_as_it_is_known() -> None:
    record = json.loads(observation_to_json(CALL))
    record |= {"colour": "red"}
    record["usage"] |= {"image_tokens": 7}
    assert observation_from_json(json.dumps(record)) == CALL
    assert observation_from_json('{"kind": "surprise"}') is None


def test_details_are_found_by_run_in_the_order_in_which_they_came(journal: Journal) -> None:
    second = replace(CALL, ended_ns=9)
    journal.observations.add(
        [(ROOT, ROOT, second), (ROOT, ROOT, CALL), (ROOT, "child", TOOL), (ROOT, ROOT, ERROR),
         ("cron_other_20260131_070004", "cron_other_20260131_070004", CALL)],
        lost=0,
    )  # fmt: skip
    assert journal.observations.of([ROOT]) == {
        ROOT: Observations(attempts=(second, CALL, ERROR)),
        "child": Observations(tools=(TOOL,)),
    }
    assert journal.observations.of([]) == {}
    assert journal.observations.of(["unheard of"]) == {}


def test_what_was_lost_is_added_up(journal: Journal) -> None:
    journal.observations.add([], lost=2)
    journal.observations.add([(ROOT, ROOT, CALL)], lost=0)
    journal.observations.add([], lost=3)
    assert journal.facts.get(OBSERVATIONS_LOST) == 5


def test_the_oldest_go_but_for_those_of_runs_that_somebody_lacks(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "OBSERVATIONS_KEPT", 2)
    pending, sent = DIGEST, replace(DIGEST, execution_id="e2", session_id="cron_sent_1")
    journal.outbox.set_destinations({"default": "http://x"}, 1)
    with journal.atomic():
        journal.runs.add([pending, sent], 1)
    (destination,) = journal.outbox.pending_destinations()
    entries = journal.outbox.take(destination.id, 10, fresh_since_ns=0)
    journal.outbox.accepted(destination.id, [e for e in entries if e.run == sent], 2)
    assert pending.session_id is not None
    for root in (pending.session_id, "cron_sent_1", "cron_unknown_1", "cron_new_1", "cron_new_2"):
        journal.observations.add([(root, root, CALL)], lost=0)

    kept = [pending.session_id, "cron_new_1", "cron_new_2"]
    assert set(journal.observations.of([*kept, "cron_sent_1", "cron_unknown_1"])) == set(kept)


def test_they_are_found_on_an_index(tmp_path: Path) -> None:
    Journal.open(tmp_path / "journal.db").close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT session_id, data FROM observation WHERE root_id IN (?, ?)",
            "ab",
        ).fetchall()
    assert "observation_by_root" in str(plan)
