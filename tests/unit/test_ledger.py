"""The execution ledger, with odd values and on newer hosts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.host import ledger
from cronalytics_otel.host.ledger import LedgerPage
from cronalytics_otel.host.sqlite import HostSchemaError, reading
from cronalytics_otel.model import DeliveryOutcome, Execution
from cronalytics_otel.model.times import ns_of
from tests.support.host_schema import LEDGER

NINE = "2026-05-04T09:00:00.000001+00:00"
NINE_NS = ns_of(datetime(2026, 5, 4, 9, 0, 0, 1, tzinfo=UTC))


def row(execution_id: str, **columns: Any) -> dict[str, Any]:
    return {
        "id": execution_id, "job_id": "j1", "source": "builtin", "process_id": "p", "pid": 7,
        "process_started_at": 40127, "status": "completed", "claimed_at": NINE, "started_at": NINE,
        "finished_at": "2026-05-04T09:00:20+00:00", "error": None, **columns,
    }  # fmt: skip


def write(path: Path, rows: Sequence[dict[str, Any]], script: str = "") -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(LEDGER.replace("CHECK(status IN", "CHECK(1 OR status IN"))
        connection.executescript(script)
        for columns in rows:
            connection.execute(
                f"INSERT INTO executions ({', '.join(columns)}) "
                f"VALUES ({', '.join('?' * len(columns))})",
                list(columns.values()),
            )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "executions.db"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with reading(path) as connection:
        yield connection


def read(
    path: Path, *, after: tuple[int, str] = (0, ""), open_ids: Sequence[str] = ()
) -> LedgerPage:
    with opened(path) as connection:
        return ledger.read(
            connection, path, after_rowid=after[0], after_id=after[1], open_ids=open_ids
        )


def ids(executions: Sequence[Execution]) -> list[str]:
    return [e.execution_id for e in executions]


def test_a_row_becomes_an_execution(path: Path) -> None:
    write(path, [row("e1", status="failed", error="boom")])

    (found,) = read(path).executions
    assert found == Execution(
        execution_id="e1", job_id="j1", source="builtin", status="failed", claimed_ns=NINE_NS,
        started_ns=NINE_NS, finished_ns=ns_of(datetime(2026, 5, 4, 9, 0, 20, tzinfo=UTC)),
        error="boom", pid=7, process_started_at=40127, delivery_outcome=None, scheduled_ns=None,
        utc_offset_s=0,
    )  # fmt: skip
    assert found.is_terminal


def test_a_run_that_was_claimed_and_never_began_begins_with_its_claim(path: Path) -> None:
    write(path, [row("e1", status="claimed", started_at=None, finished_at=None)])

    (found,) = read(path).executions
    assert (found.is_terminal, found.started_ns, found.finished_ns) == (False, None, None)
    assert found.began_ns == NINE_NS


def test_times_with_different_offsets_are_the_same_times(path: Path) -> None:
    """A home whose time zone was changed, or a summer that ended."""
    write(
        path,
        [row("e1"), row("e2", claimed_at="2026-05-04T11:00:00.000001+02:00"),
         row("e3", claimed_at="2026-05-03T23:30:00.000001-09:30")],
    )  # fmt: skip

    assert {e.claimed_ns for e in read(path).executions} == {NINE_NS}


def test_a_newer_host_tells_delivery_and_due_time(path: Path) -> None:
    script = "ALTER TABLE executions ADD COLUMN delivery_outcome TEXT; ALTER TABLE executions ADD COLUMN scheduled_instant TEXT; ALTER TABLE executions ADD COLUMN handoff_id TEXT;"  # fmt: skip
    write(
        path,
        [row("e1", delivery_outcome="suppressed", scheduled_instant=NINE, handoff_id="h"),
         row("e2", delivery_outcome="a new word", scheduled_instant="soon")],
        script,
    )  # fmt: skip

    first, second = read(path).executions
    assert (first.delivery_outcome, first.scheduled_ns) == (DeliveryOutcome.SUPPRESSED, NINE_NS)
    assert (second.delivery_outcome, second.scheduled_ns) == (None, None)


def test_an_older_or_other_ledger_without_optional_columns_is_read(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE executions (status, claimed_at, job_id, id TEXT)")
        connection.execute("INSERT INTO executions VALUES ('completed', ?, 'j1', 'e1')", (NINE,))

    (found,) = read(path).executions
    assert (found.execution_id, found.source, found.pid) == ("e1", "", None)


@pytest.mark.parametrize("lost", ["claimed_at", "status", "job_id", "id"])
def test_a_ledger_without_a_column_that_is_needed_names_it(path: Path, lost: str) -> None:
    columns = [c for c in ("id", "job_id", "status", "claimed_at") if c != lost]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE executions ({', '.join(columns)})")

    with pytest.raises(HostSchemaError, match=f"{path}.*executions lacks columns {lost}"):
        read(path)


def test_a_file_without_the_table_is_said_to_lack_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (id)")

    with pytest.raises(HostSchemaError, match="has no table executions"):
        read(path)


def test_a_row_that_cannot_be_understood_is_counted_and_does_not_stop_the_others(
    path: Path,
) -> None:
    write(
        path,
        [row("e1", claimed_at="soon"), row("e3"),
         row("e4", pid="seven", process_started_at="then", error="")],
    )  # fmt: skip

    page = read(path)
    assert ids(page.executions) == ["e3", "e4"]
    assert page.unread == ("e1",)
    assert (page.executions[1].pid, page.executions[1].error) == (None, None)


def test_a_status_that_we_do_not_know_is_neither_final_nor_open_by_our_own_rules(
    path: Path,
) -> None:
    """A newer host's: the row waits for a status that we know, and nobody calls it abandoned."""
    write(path, [row("e1", status="dreaming")])

    (execution,) = read(path).executions
    assert not execution.is_terminal
    assert not execution.is_open


# The watermark.


def test_only_rows_after_the_watermark_are_read_and_open_ones_again(path: Path) -> None:
    write(path, [row("e1", status="running", finished_at=None), row("e2")])
    first = read(path)
    write(path, [row("e3")], "UPDATE executions SET status = 'completed' WHERE id = 'e1'")

    page = read(path, after=(first.last_rowid, first.last_id), open_ids=["e1", "gone"])

    assert {e.execution_id: e.status for e in page.executions} == {
        "e3": "completed", "e1": "completed",
    }  # fmt: skip
    assert page.last_id == "e3"
    assert ids(read(path, after=(page.last_rowid, page.last_id)).executions) == []


def test_an_open_row_that_is_new_as_well_comes_once(path: Path) -> None:
    write(path, [row("e1", status="running")])

    assert ids(read(path, open_ids=["e1"]).executions) == ["e1"]


def test_a_watermark_that_no_longer_holds_its_id_reads_everything(path: Path) -> None:
    """VACUUM may renumber rows, and a pruned row's number may be given again."""
    write(path, [row("e1"), row("e2")])
    mark = read(path)
    write(path, [row("e3")], "DELETE FROM executions WHERE id = 'e2'")

    assert ids(read(path, after=(mark.last_rowid, mark.last_id)).executions) == ["e1", "e3"]


def test_an_emptied_ledger_is_read_from_its_beginning_again(path: Path) -> None:
    write(path, [row("e1")])
    mark = read(path)
    write(path, [], "DELETE FROM executions")

    page = read(path, after=(mark.last_rowid, mark.last_id))
    assert (page.executions, page.oldest_claim_ns) == ([], None)
    assert (page.last_rowid, page.last_id) == (0, "")


def test_more_open_rows_than_sqlite_takes_parameters_are_all_read(path: Path) -> None:
    write(path, [row(f"e{n}", status="running") for n in range(1_200)])
    mark = read(path)

    again = read(
        path, after=(mark.last_rowid, mark.last_id), open_ids=[f"e{n}" for n in range(1_200)]
    )
    assert len(again.executions) == 1_200


def test_the_ledger_begins_with_its_oldest_claim(path: Path) -> None:
    write(path, [row("e1"), row("e2", claimed_at="2026-05-05T09:00:00+00:00")])

    page = read(path, after=(2, "e2"))
    assert page.oldest_claim_ns == NINE_NS


def test_a_row_that_was_left_open_is_no_sign_of_how_far_back_the_ledger_goes(path: Path) -> None:
    """The host deletes ended rows only: that of a process that died may be years old."""
    write(path, [row("e1", status="running", claimed_at="2020-01-01T00:00:00+00:00"), row("e2")])
    assert read(path).oldest_claim_ns == NINE_NS


def test_rows_that_came_and_went_since_the_last_look_are_counted(path: Path) -> None:
    write(path, [row("e1"), row("e2")])
    mark = read(path)
    write(path, [row(f"e{n}") for n in range(3, 10)])
    write(path, [], "DELETE FROM executions WHERE id < 'e7'")

    page = read(path, after=(mark.last_rowid, mark.last_id))
    assert (ids(page.executions), page.pruned_unread) == (["e7", "e8", "e9"], 4)


def test_rows_are_looked_up_again_by_id(path: Path) -> None:
    write(path, [row("e1"), row("e2"), row("e3")])

    with opened(path) as connection:
        assert ids(list(ledger.reread(connection, path, ["e3", "e1", "gone"]))) == ["e1", "e3"]
