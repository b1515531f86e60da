"""Harvesting homes that are damaged, locked, half-written or odd: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import HarvestReport, harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import Home
from cronalytics_otel.host.state_db import StateReader
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome, Run
from cronalytics_otel.model.times import Zone
from tests.support.home_facts import Row
from tests.support.homes import HomeBuilder, Stage, epoch_ns

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


@pytest.fixture
def host(tmp_path: Path) -> HomeBuilder:
    return HomeBuilder(tmp_path / "home")


def look(
    host: HomeBuilder, *, after: timedelta = timedelta(days=1), full: bool = False
) -> HarvestReport:
    home = Home(host.path)
    with Journal.open(home.journal) as journal:
        return harvest(
            home, journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(NINE + after), full=full
        )


def runs(host: HomeBuilder) -> list[Run]:
    with Journal.open(Home(host.path).journal) as journal:
        return journal.queries.runs(RunFilter())


def sql(path: Path, script: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(script, values)


def nightly(host: HomeBuilder, count: int = 1, **how: object) -> str:
    job = host.job("digest", every_minutes=30, **how)  # type: ignore[arg-type]
    for n in range(count):
        host.agent_run(job, NINE + timedelta(minutes=31 * n))
    host.write()
    return job


# state.db.


def damage(path: Path) -> bytes:
    """Overwrites the file with what is no database; gives back what it was."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"\x00garbage" * 1000)
    return whole


def test_with_a_damaged_state_db_the_ledger_s_word_goes_out_and_the_damage_is_told(
    host: HomeBuilder,
) -> None:
    nightly(host, 2)
    damage(host.disk.state_db)
    result = look(host)

    assert result.new_runs == 2
    (problem,) = result.problems
    assert str(host.disk.state_db) in problem
    assert "damaged" in problem
    assert {run.session_id for run in runs(host)} == {None}


def test_a_restored_state_db_does_not_double_the_runs_that_went_out_without_it(
    host: HomeBuilder,
) -> None:
    nightly(host, 2)
    whole = damage(host.disk.state_db)
    look(host)
    host.disk.state_db.write_bytes(whole)
    look(host)
    look(host, full=True)

    assert len(runs(host)) == 2


def test_damage_in_the_midst_of_state_db_does_not_hold_the_ledger_s_runs_back(
    host: HomeBuilder,
) -> None:
    """The first pages are whole, so it opens: the fault shows when rows are read."""
    nightly(host, 30)
    host.script_run(host.job("disk", no_agent=True), NINE + timedelta(hours=20))
    host.write()
    with closing(sqlite3.connect(host.disk.state_db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sessions'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with host.disk.state_db.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    result = look(host)

    assert any("damaged" in problem for problem in result.problems)
    assert len(runs(host)) == 31


def test_damage_that_shows_while_a_session_is_read_does_not_lose_its_run(
    host: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is matched with its execution by then, and the ledger is not read again."""
    nightly(host, 3)

    def damaged(*_: object) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(StateReader, "usage_rows", damaged)
        result = look(host)
    assert result.new_runs == 3
    assert {run.session_id for run in runs(host)} == {None}
    assert all(run.execution_id for run in runs(host))

    assert look(host, full=True).new_runs == 0


def test_a_locked_state_db_makes_everything_wait_and_nothing_is_lost(host: HomeBuilder) -> None:
    nightly(host, 2)
    with closing(sqlite3.connect(host.disk.state_db, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        result = look(host)
        assert result.new_runs == 0
        assert any("next sync" in problem for problem in result.problems)
    assert look(host).new_runs == 2
    assert all(run.session_id for run in runs(host))


# The ledger.


def test_with_a_damaged_ledger_the_sessions_go_out_and_the_damage_is_told(
    host: HomeBuilder,
) -> None:
    nightly(host, 2)
    damage(host.disk.ledger_db)
    result = look(host)

    assert result.new_runs == 2
    assert "executions.db is damaged" in result.problems[0]


def test_a_restored_ledger_does_not_double_the_runs_that_went_out_without_it(
    host: HomeBuilder,
) -> None:
    nightly(host, 2)
    whole = damage(host.disk.ledger_db)
    look(host)
    host.disk.ledger_db.write_bytes(whole)
    look(host)
    look(host, full=True)

    assert len(runs(host)) == 2


def test_a_row_with_a_status_of_a_newer_host_is_met_again_when_it_has_ended(
    host: HomeBuilder,
) -> None:
    built = host.agent_run(host.job("digest"), NINE, stop_after=Stage.ENDED)
    host.write()
    sql(host.disk.ledger_db, "PRAGMA ignore_check_constraints = 1")
    with closing(sqlite3.connect(host.disk.ledger_db)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE executions SET status = 'handed_off'")
    look(host, after=timedelta(seconds=30))
    host.advance(built)
    host.write()
    look(host, after=timedelta(minutes=30))

    (run,) = runs(host)
    assert run.execution_id == built.expected.execution_id
    assert run.outcome is Outcome.SUCCESS


def test_a_row_with_an_unreadable_claim_is_told_and_does_not_stop_the_others(
    host: HomeBuilder,
) -> None:
    nightly(host, 3)
    sql(host.disk.ledger_db, "UPDATE executions SET claimed_at = 'soon' WHERE rowid = 2")
    result = look(host)

    assert any("1 rows have no time" in problem for problem in result.problems)
    assert len(runs(host)) == 3  # its session goes out alone


# jobs.json.


def write_jobs(host: HomeBuilder, text: str) -> None:
    Home(host.path).jobs.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("text", ["", "{", '{"jobs": [{"id": "abc"'])
def test_a_half_written_jobs_file_is_told_and_runs_still_arrive(
    host: HomeBuilder, text: str
) -> None:
    nightly(host)
    write_jobs(host, text)
    result = look(host)

    assert result.new_runs == 1
    if text:
        assert any("jobs.json is no valid JSON" in problem for problem in result.problems)


def test_a_missing_jobs_file_is_no_problem(host: HomeBuilder) -> None:
    nightly(host)
    Home(host.path).jobs.unlink()
    result = look(host)
    assert (result.new_runs, result.problems) == (1, [])


def edited(host: HomeBuilder, **columns: object) -> None:
    document = json.loads(Home(host.path).jobs.read_text())
    records: list[Row] = document["jobs"]
    records[0].update(columns)
    write_jobs(host, json.dumps(document))


@pytest.mark.parametrize(
    "columns",
    [
        {"next_run_at": "9999-12-31T23:59:59+00:00"},
        {"created_at": "0001-01-01T00:00:00+00:00"},
        {"schedule": {"kind": "once", "run_at": "3000-01-01T00:00:00+00:00", "display": "far away"}},
        {"schedule": {"kind": "interval", "minutes": 10**400}},
        {"schedule": {"kind": "interval", "minutes": float("inf")}},
        {"schedule": {"kind": "interval", "minutes": -5}},
        {"schedule": {"kind": "cron", "expr": "no expression"}},
        {"schedule": {"kind": "cron", "expr": "0 0 30 2 *"}},
        {"name": "caf\ud800"},
        {"name": "nul\x00"},
        {"skills": ["\udfff"]},
        {"deliver": "\ud800:1"},
        {"last_run_at": "9999-12-31T23:59:59+00:00", "last_status": "error", "last_error": "\ud800"},
    ],
)  # fmt: skip
def test_an_odd_value_in_one_job_stops_nothing(
    host: HomeBuilder, columns: dict[str, object]
) -> None:
    """jobs.json is written by models and by hand: JSON can hold what SQLite cannot."""
    nightly(host)
    host.script_run(host.job("disk", no_agent=True), NINE + timedelta(hours=2))
    host.write()
    edited(host, **columns)
    look(host)

    assert len(runs(host)) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("started_at", float("inf")), ("ended_at", float("inf")), ("ended_at", 1e300),
        ("input_tokens", 2**62), ("title", "x" * 10_000), ("estimated_cost_usd", float("inf")),
        ("model", b"\xff\xfe"), ("tool_call_count", "many"),
    ],
)  # fmt: skip
def test_an_odd_value_in_one_session_stops_nothing(
    host: HomeBuilder, column: str, value: object
) -> None:
    nightly(host, 3)
    sql(host.disk.state_db, f"UPDATE sessions SET {column} = ? WHERE rowid = 2", value)
    look(host)

    assert len(runs(host)) == 3


@pytest.mark.parametrize("content", ["Done." + " \n" * 300, " " * 300 + "Done.", "\x00json:[]", ""])
def test_an_answer_with_much_white_space_or_in_parts_stops_nothing(
    host: HomeBuilder, content: str
) -> None:
    nightly(host, 2)
    sql(
        host.disk.state_db,
        "UPDATE messages SET content = ? WHERE id = (SELECT max(id) FROM messages)", content,
    )  # fmt: skip
    look(host)

    assert [run.outcome for run in runs(host)] == [Outcome.SUCCESS] * 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("claimed_at", "9999-12-31T23:59:59+00:00"), ("finished_at", "9999-12-31T23:59:59+00:00"),
        ("started_at", "0001-01-01T00:00:00+14:00"), ("error", b"\xff"), ("pid", "seven"),
        ("job_id", ""),
    ],
)  # fmt: skip
def test_an_odd_value_in_one_execution_stops_nothing(
    host: HomeBuilder, column: str, value: object
) -> None:
    nightly(host, 3)
    sql(host.disk.ledger_db, f"UPDATE executions SET {column} = ? WHERE rowid = 2", value)
    look(host)

    found = runs(host)
    assert len(found) in (3, 4)  # where the pair cannot be told, each goes alone
    assert sum(run.execution_id is not None and run.session_id is not None for run in found) >= 2


def test_a_loop_of_sessions_does_not_hang_the_harvest(host: HomeBuilder) -> None:
    nightly(host, 2)
    sql(
        host.disk.state_db,
        "UPDATE sessions SET parent_session_id = (SELECT id FROM sessions s WHERE s.rowid != sessions.rowid)",
    )
    look(host)
    assert len(runs(host)) == 2
