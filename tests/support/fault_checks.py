"""What must hold after any fault: every run there, once and whole, and the journal sound."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.outbox import DestinationStatus
from cronalytics_otel.model import Run
from cronalytics_otel.telemetry import ids
from tests.support.collector import SpanDict
from tests.support.homes import Expected

PROFILE = "default"


class Holder(Protocol):
    """A collector of any kind."""

    @property
    def spans(self) -> list[SpanDict]: ...


Copies = dict[tuple[str, str], list[SpanDict]]


def trace_id_of(run: Expected | Run) -> str:
    """As the collector shows it."""
    identity = run.session_id or run.execution_id or ""
    return f"{ids.trace_id(PROFILE, identity):032x}"


def copies(spans: Iterable[SpanDict]) -> Copies:
    """The copies of each span that a destination was given, by trace and span id."""
    found: Copies = {}
    for span in spans:
        found.setdefault((span["trace_id"], span["span_id"]), []).append(span)
    return found


def roots(spans: Iterable[SpanDict]) -> list[SpanDict]:
    return [span for span in spans if span["parent_id"] is None]


def outcomes(spans: Iterable[SpanDict]) -> dict[str, str]:
    """By trace id, the outcome on the root."""
    return {
        span["trace_id"]: span["attributes"]["hermes.cron.run.outcome"] for span in roots(spans)
    }


def assert_all_there(collector: Holder, expected: Sequence[Expected]) -> None:
    """Every run has its trace, there is no other trace, and copies of a span are all the same."""
    spans = collector.spans
    assert outcomes(spans) == {trace_id_of(run): str(run.outcome) for run in expected}
    for found in copies(spans).values():
        assert all(copy == found[0] for copy in found)


def assert_all_there_once(collector: Holder, expected: Sequence[Expected]) -> None:
    assert_all_there(collector, expected)
    doubled = [key for key, found in copies(collector.spans).items() if len(found) > 1]
    assert doubled == []


def runs_of(home: Path) -> list[Run]:
    """What the journal holds, in the order of the runs' ends."""
    with Journal.open(Home(home).journal) as journal:
        return journal.queries.runs(RunFilter())[::-1]


def assert_journal_tells_the_truth(
    home: Path, expected: Sequence[Expected], *, ignore: Sequence[str] = ()
) -> None:
    """Each run once, each fact as the host wrote it, and the file itself sound."""
    with closing(sqlite3.connect(Home(home).journal)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = {trace_id_of(run): run for run in runs_of(home)}
    wanted = {trace_id_of(run): run for run in expected}
    assert len(runs_of(home)) == len(found)
    assert found.keys() == wanted.keys()
    differences = {key: wanted[key].differences(run, ignore=ignore) for key, run in found.items()}
    assert {key: value for key, value in differences.items() if value} == {}


def destinations_of(home: Path) -> dict[str, DestinationStatus]:
    with Journal.open(Home(home).journal) as journal:
        return {state.name: state for state in journal.outbox.states()}


def open_rows(home: Path) -> int:
    """Rows of the host that the journal waits for, executions and sessions."""
    with closing(sqlite3.connect(Home(home).journal)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM open_row").fetchone()
        return int(count)


def host_files(home: Path) -> dict[str, str]:
    """Hash of each file of the host: all but our own folder, and what SQLite keeps beside a
    database while it is open (-shm; a -wal without content)."""
    ours = Home(home).plugin_folder
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
        and ours not in path.parents
        and not path.name.endswith("-shm")
        and not (path.name.endswith("-wal") and path.stat().st_size == 0)
    }
