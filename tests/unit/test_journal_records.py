"""What is written to the journal is what is read from it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.journal import Journal, JournalError
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.jobs import definition_from_json, definition_to_json
from cronalytics_otel.journal.run_rows import COLUMN_NAMES, run_from_row, run_to_row
from cronalytics_otel.model import Job, Mode, Run, Schedule, ScheduleKind, Usage
from tests.strategies import names, runs, texts
from tests.support.cli import DIGEST, RUNS

LARGEST = 2**63 - 1

schedules = st.builds(
    Schedule,
    kind=st.sampled_from(ScheduleKind),
    expression=texts,
    cron=st.none() | texts,
    interval_s=st.none() | st.floats(0, 1e12),
    once_at_ns=st.none() | st.integers(-(2**70), 2**70),
)
jobs = st.builds(
    Job,
    job_id=names,
    name=names,
    mode=st.sampled_from(Mode),
    schedule=st.none() | schedules,
    skills=st.lists(names, max_size=3).map(tuple),
    deliver=st.none() | texts,
    has_script=st.booleans(),
    context_from=st.lists(names, max_size=3).map(tuple),
    created_ns=st.none() | st.integers(),
)
happenings = st.fixed_dictionaries(
    {
        "next_run_ns": st.none() | st.integers(),
        "last_run_ns": st.none() | st.integers(),
        "last_status": st.none() | texts,
        "last_error": st.none() | texts,
        "last_delivery_error": st.none() | texts,
    }
)


def _storable(run: Run) -> Run:
    """What SQLite has a type for: 64 bits, and text that is UTF-8."""
    return run_from_row([_storable_value(value) for value in run_to_row(run)])


def _storable_value(value: object) -> object:
    if isinstance(value, int):
        return max(-LARGEST - 1, min(value, LARGEST))
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


storable = runs.map(_storable)
UNSTORABLE: list[dict[str, Any]] = [
    {"started_ns": LARGEST + 1},
    {"ended_ns": -LARGEST - 2},
    {"job_name": "\ud800"},
    {"error_message": "half a pair: \udc00"},
]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal.open(tmp_path_factory.mktemp("journal") / "journal.db")


@given(run=runs)
def test_a_run_is_the_same_after_a_row(run: Run) -> None:
    row = run_to_row(run)
    assert len(row) == len(COLUMN_NAMES)
    assert run_from_row(row) == run


@given(run=storable)
def test_a_run_is_the_same_after_a_stay_in_the_journal(journal: Journal, run: Run) -> None:
    with journal.rolled_back():
        journal.runs.add([run], 0)
        assert journal.queries.runs(RunFilter()) == [run]


@given(run=storable, what=st.sampled_from(UNSTORABLE))
def test_a_run_that_no_file_can_hold_is_refused_and_nothing_of_it_is_written(
    journal: Journal, run: Run, what: dict[str, Any]
) -> None:
    run = replace(run, **what)
    with pytest.raises(JournalError), journal.atomic():
        journal.runs.add([DIGEST, run], 0)
    assert journal.queries.runs(RunFilter()) == []


def test_runs_of_every_kind_are_the_same_after_the_file_was_closed(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as written, written.atomic():
        written.runs.add(RUNS, 0)
    with Journal.open(tmp_path / "j.db") as read:
        assert read.queries.runs(RunFilter()) == sorted(RUNS, key=lambda r: -r.ended_ns)


@given(job=jobs)
def test_a_definition_is_the_same_after_its_json(job: Job) -> None:
    assert definition_from_json(definition_to_json(job)) == job


@given(job=jobs)
def test_keys_of_another_version_are_passed_over(job: Job) -> None:
    record = json.loads(definition_to_json(job))
    record |= {"colour": "blue", "size": None, "enabled": True}
    if "schedule" in record:
        record["schedule"]["surprise"] = 1
    assert definition_from_json(json.dumps(record)) == job


@given(job=jobs, happened=happenings)
def test_what_changes_with_every_run_is_no_part_of_a_definition(
    job: Job, happened: dict[str, object]
) -> None:
    changed = replace(job, **happened)  # type: ignore[arg-type]
    assert definition_to_json(changed) == definition_to_json(job)


@given(job=jobs, other=jobs)
def test_definitions_that_differ_have_different_json(job: Job, other: Job) -> None:
    assert (definition_to_json(job) == definition_to_json(other)) == (job == other)


@pytest.mark.parametrize("column", ["outcome", "outcome_source"])
def test_a_word_that_is_unknown_is_an_error_that_shows_it(column: str) -> None:
    row = list(run_to_row(DIGEST))
    row[COLUMN_NAMES.index(column)] = "surprise"
    with pytest.raises(JournalError, match="surprise"):
        run_from_row(row)


def test_the_table_of_runs_has_just_the_columns_that_the_record_has(tmp_path: Path) -> None:
    """In any order; `id` and `resource_id` are the journal's own."""
    Journal.open(tmp_path / "j.db").close()
    with closing(sqlite3.connect(tmp_path / "j.db")) as connection:
        table = {
            (name, kind, bool(required))
            for _, name, kind, required, *_ in connection.execute("PRAGMA table_info(run)")
        }

    assert len(table) == len(COLUMN_NAMES) + 2
    assert table == set(map(_column, COLUMN_NAMES)) | {
        ("id", "INTEGER", False),
        ("resource_id", "INTEGER", False),
    }


def _column(name: str) -> tuple[str, str, bool]:
    """The name, SQLite's type and NOT NULL, as the type of the record's field asks for it."""
    hint = get_type_hints(Run).get(name)
    if hint is None:
        return name, "INTEGER", False  # a count of `Usage`, which may be unknown as a whole
    known = set(get_args(hint)) - {type(None)} if isinstance(hint, UnionType) else {hint}
    kinds = {int: "INTEGER", bool: "INTEGER", float: "REAL"}
    is_list = get_origin(hint) is tuple
    return name, kinds.get(known.pop(), "TEXT"), not isinstance(hint, UnionType) and not is_list


def test_every_fact_of_a_run_has_its_column() -> None:
    names = {field.name for field in fields(Run)} - {"usage"} | {f.name for f in fields(Usage)}

    assert sorted(COLUMN_NAMES) == sorted(names)


def test_text_that_sqlite_takes_is_plain_text() -> None:
    """For an enum sqlite3 asks its adapters, which takes three times as long."""
    assert {type(value) for run in RUNS for value in run_to_row(run)} <= {
        str, int, float, bool, type(None),
    }  # fmt: skip
