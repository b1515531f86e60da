"""Harvesting homes that are damaged, locked, half-written or odd: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import HarvestReport, harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import Home
from cronalytics_otel.host.usage_table import UsageTable
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, GONE_JOBS, SOURCES
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Mode, Outcome, Run
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


def test_while_state_db_is_damaged_runs_of_agents_wait_and_scripts_do_not(
    host: HomeBuilder,
) -> None:
    nightly(host, 2)
    script = host.script_run(host.job("disk", no_agent=True), NINE + timedelta(hours=2))
    host.write()
    whole = damage(host.disk.state_db)
    result = look(host)

    assert (result.new_runs, result.open_runs) == (1, 2)
    (problem,) = result.problems
    assert str(host.disk.state_db) in problem
    assert "damaged" in problem
    assert "runs of agents wait" in problem
    assert [run.execution_id for run in runs(host)] == [script.expected.execution_id]

    host.disk.state_db.write_bytes(whole)
    assert look(host).problems == []
    assert [run.session_id for run in runs(host) if run.mode is Mode.AGENT] == [
        built.expected.session_id for built in reversed(host.runs[:2])
    ]


def test_after_a_week_runs_go_out_without_their_sessions_and_once(host: HomeBuilder) -> None:
    nightly(host, 2)
    whole = damage(host.disk.state_db)
    look(host)
    assert look(host, after=timedelta(days=8)).new_runs == 2
    host.disk.state_db.write_bytes(whole)
    look(host, after=timedelta(days=8))
    look(host, after=timedelta(days=8), full=True)

    assert [(run.session_id, run.outcome, run.usage) for run in runs(host)] == [
        (None, Outcome.SUCCESS, None)
    ] * 2


def without_outputs(host: HomeBuilder) -> None:
    shutil.rmtree(Home(host.path).outputs)


def test_a_run_whose_session_cannot_be_read_is_not_skipped_by_its_gate(host: HomeBuilder) -> None:
    """It has a script, no session that we can see, and its output file is gone."""
    nightly(host, 1, script="gate.sh")
    without_outputs(host)
    damage(host.disk.state_db)
    look(host, after=timedelta(days=8))

    (run,) = runs(host)
    assert (run.outcome, run.skip_reason, run.cost_is_unknown) == (Outcome.SUCCESS, None, True)


def test_a_run_whose_session_the_host_has_deleted_is_not_skipped_by_its_gate(
    host: HomeBuilder,
) -> None:
    job = nightly(host, 1, script="gate.sh")
    without_outputs(host)
    host.prune_sessions(NINE + timedelta(minutes=10))
    host.agent_run(job, NINE + timedelta(hours=1))
    gated = host.gated_run(job, NINE + timedelta(hours=2))
    host.write()
    without_outputs(host)
    look(host)

    outcomes = {run.execution_id: run.outcome for run in runs(host)}
    assert outcomes[host.runs[0].expected.execution_id] is Outcome.SUCCESS
    assert outcomes[gated.expected.execution_id] is Outcome.SKIPPED


def test_a_state_db_that_vanished_is_a_fault_and_none_that_was_never_there(
    host: HomeBuilder,
) -> None:
    job = nightly(host)
    look(host)
    whole = host.disk.state_db.read_bytes()
    host.agent_run(job, NINE + timedelta(hours=1))
    host.write()
    with closing(sqlite3.connect(host.disk.state_db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = host.disk.state_db.read_bytes()
    for left in (None, b""):
        host.disk.state_db.unlink(missing_ok=True)
        if left is not None:
            host.disk.state_db.write_bytes(left)
        (problem,) = look(host).problems
        assert "runs of agents wait" in problem
    assert len(runs(host)) == 1

    host.disk.state_db.write_bytes(whole)
    assert (look(host).problems, len(runs(host))) == ([], 2)


@pytest.mark.parametrize(
    "tables", ["", "CREATE TABLE state_meta (key TEXT PRIMARY KEY, value TEXT)"]
)
def test_a_state_db_that_never_had_a_session_is_no_fault(host: HomeBuilder, tables: str) -> None:
    """As `hermes doctor` leaves it in a home in which no agent has run."""
    host.script_run(host.job("disk", no_agent=True), NINE)
    host.write()
    host.disk.state_db.unlink()
    with closing(sqlite3.connect(host.disk.state_db)) as connection:
        connection.executescript(tables)

    assert (look(host).new_runs, look(host).problems) == (1, [])
    with Journal.open(Home(host.path).journal) as journal:
        assert all(source.fault is None for source in journal.facts.get(SOURCES))


def test_a_session_that_stands_twice_in_a_damaged_table_is_one_run(host: HomeBuilder) -> None:
    nightly(host, 3)
    with closing(sqlite3.connect(host.disk.state_db)) as connection, connection:
        connection.executescript(
            "PRAGMA foreign_keys=OFF; CREATE TABLE copy AS SELECT * FROM sessions;"
            "INSERT INTO copy SELECT * FROM sessions LIMIT 2; DROP TABLE sessions;"
            "ALTER TABLE copy RENAME TO sessions;"
        )
    look(host)

    assert len(runs(host)) == 3


def test_damage_in_the_midst_of_state_db_lets_runs_of_agents_wait(
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
    assert (len(runs(host)), result.open_runs) == (1, 30)


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
        patch.setattr(UsageTable, "rows", damaged)
        assert look(host).new_runs == 0

    assert look(host).new_runs == 3
    assert all(run.execution_id and run.session_id for run in runs(host))


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


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def without_columns(path: Path) -> None:
    sql(path, "ALTER TABLE executions RENAME COLUMN claimed_at TO renamed")


def replaced_by_a_folder(path: Path) -> None:
    """Stands in for a file that this user may not read."""
    path.unlink()
    path.mkdir()


def removed(path: Path) -> None:
    path.unlink()


UNREADABLE = pytest.mark.parametrize(
    "spoil", [damage, emptied, without_columns, replaced_by_a_folder, removed]
)


@contextmanager
def spoilt(path: Path, spoil: Callable[[Path], object]) -> Iterator[None]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    spoil(path)
    yield
    if path.is_dir():
        path.rmdir()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(whole)


@UNREADABLE
def test_while_the_ledger_cannot_be_read_runs_wait_for_it(
    host: HomeBuilder, spoil: Callable[[Path], object]
) -> None:
    job = nightly(host, 1)
    look(host)
    host.agent_run(job, NINE + timedelta(hours=1))
    host.write()
    with spoilt(host.disk.ledger_db, spoil):
        result = look(host)
        assert (result.new_runs, result.open_runs) == (0, 1)
        assert any("executions.db" in p and "runs wait for it" in p for p in result.problems)

    assert look(host).problems == []
    assert {run.execution_id for run in runs(host)} == {
        built.expected.execution_id for built in host.runs
    }


@UNREADABLE
def test_after_a_week_runs_go_out_by_their_sessions_and_once(
    host: HomeBuilder, spoil: Callable[[Path], object]
) -> None:
    job = nightly(host, 1)
    look(host)
    host.agent_run(job, NINE + timedelta(hours=1))
    host.write()
    with spoilt(host.disk.ledger_db, spoil):
        assert look(host, after=timedelta(days=8)).new_runs == 1
    look(host, after=timedelta(days=8))
    look(host, after=timedelta(days=8), full=True)

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


def with_byte_order_mark(text: str) -> str:
    return "\ufeff" + text


def with_control_characters(text: str) -> str:
    return text.replace("Report the news", "Report\tthe\x01news\n")


@pytest.mark.parametrize("change", [with_byte_order_mark, with_control_characters])
def test_a_jobs_file_that_hermes_reads_is_read(
    host: HomeBuilder, change: Callable[[str], str]
) -> None:
    nightly(host)
    write_jobs(host, change(Home(host.path).jobs.read_text()))

    assert look(host).problems == []
    assert [run.job_name for run in runs(host)] == ["digest"]


def test_a_jobs_file_of_a_thousand_levels_is_told_and_runs_still_arrive(host: HomeBuilder) -> None:
    nightly(host)
    write_jobs(host, "[" * 100_000 + "]" * 100_000)
    result = look(host)

    assert result.new_runs == 1
    assert any("nested too deeply" in problem for problem in result.problems)


@pytest.mark.parametrize("job_id", ["a\ud800b", "a\x00b", "../a", "a/b", " ", "\udfff"])
def test_an_odd_id_of_a_job_stops_nothing(host: HomeBuilder, job_id: str) -> None:
    nightly(host)
    script = host.script_run(host.job("disk", no_agent=True), NINE + timedelta(hours=2))
    host.write()
    edited(host, id=job_id)
    if job_id.isprintable() or "\x00" in job_id:
        with closing(sqlite3.connect(host.disk.ledger_db)) as connection, connection:
            connection.execute("UPDATE executions SET job_id = ? WHERE rowid = 1", (job_id,))
    look(host)

    assert script.expected.execution_id in {run.execution_id for run in runs(host)}


def test_a_jobs_file_that_vanished_takes_no_job_away(host: HomeBuilder) -> None:
    nightly(host)
    look(host)
    Home(host.path).jobs.unlink()
    (problem,) = look(host).problems

    assert "jobs.json is gone" in problem
    with Journal.open(Home(host.path).journal) as journal:
        assert [job.name for job in journal.facts.get(CURRENT_JOBS)] == ["digest"]
        assert journal.facts.get(GONE_JOBS) == {}


def test_a_home_whose_path_is_no_utf_8_is_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/profiles/caf\xe9"))
    host = HomeBuilder(path)
    nightly(host, 2)

    assert look(host).new_runs == 2
    assert {run.profile for run in runs(host)} == {"caf\ufffd"}


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
