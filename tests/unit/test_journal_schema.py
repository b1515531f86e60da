"""The journal's file: made once, migrated by name, private, and each hot query on its index."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import time_machine

from cronalytics_otel.journal import Journal, JournalError, OpenKind, move_aside, schema
from cronalytics_otel.journal.facts import Fact
from cronalytics_otel.journal.figures import Dimension
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.schema import m0001_first, migrate
from cronalytics_otel.model import Outcome
from tests.support.cli import DAY, DIGEST, HOUR, NOW_NS

PAGE = 4096
A_FACT = Fact("a", "", str)
TABLES = {
    "day_runs", "day_usage", "destination", "due", "fact", "job", "metric_delta", "metric_destination", "metric_series", "migration", "notice", "notice_target", "observation", "open_row", "outbox", "refused",
    "resource", "run", "run_group", "usage_group",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronalytics-otel" / "journal.db"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows}


def migrations(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM migration ORDER BY rowid")]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


# Making and migrating.


def test_a_fresh_journal_has_every_table_and_says_which_migrations_made_it(path: Path) -> None:
    Journal.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert tables(connection) == TABLES
        assert migrations(connection) == [m.__name__ for m in schema.MIGRATIONS]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_opening_it_again_changes_nothing(path: Path) -> None:
    Journal.open(path).close()
    before = dump(path)
    Journal.open(path).close()
    assert dump(path) == before


def m9998_adds(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE later (x)")
    connection.execute("INSERT INTO fact VALUES ('added', 'yes')")


def m9999_fails(connection: sqlite3.Connection) -> None:
    m9998_adds(connection)
    raise ZeroDivisionError


def test_a_later_migration_is_applied_once_to_what_is_there(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(connection)
    connection.execute("INSERT INTO fact VALUES ('kept', 'yes')")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, m9998_adds))
    migrate(connection)
    migrate(connection)

    assert migrations(connection) == [m.__name__ for m in schema.MIGRATIONS]
    assert tables(connection) == TABLES | {"later"}
    assert dict(connection.execute("SELECT * FROM fact").fetchall()) == {
        "kept": "yes",
        "added": "yes",
    }


OLD_MIGRATIONS = {
    "the first alone": ["m0001_first"],
    "all": ["m0001_first", "m0002_whole_trace", "m0003_silent_destinations"],
}


@pytest.fixture(params=OLD_MIGRATIONS)
def of_development(path: Path, request: pytest.FixtureRequest) -> Path:
    """A journal as versions before the first release made it."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
        )
        connection.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, execution_id TEXT)")
        connection.execute("INSERT INTO run VALUES (1, 'e1')")
        connection.executemany(
            "INSERT INTO migration VALUES (?, '2026-11-01T00:00:00Z')",
            [(name,) for name in OLD_MIGRATIONS[request.param]],
        )
    return path


def test_a_journal_from_before_the_first_release_is_moved_aside_with_one_line(
    of_development: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = dump(of_development)
    with Journal.open(of_development) as journal:
        assert journal.repair is None
        assert journal.queries.totals() == (0, None, None)
    (aside,) = of_development.parent.glob("journal.db.development-*")

    assert dump(aside) == before
    assert aside.stat().st_mode & 0o777 == 0o600
    assert [record.message for record in caplog.records] == [
        (
            "cronalytics-otel: the journal was written by a version from before the first release; it is"
            f" now {aside}, and a new one is filled from Hermes's files"
        )
    ]


@pytest.mark.parametrize(
    "open_it",
    [partial(Journal.open, replace_damaged=False), Journal.open_for_reading],
    ids=["sync", "view"],
)
def test_who_does_not_sync_leaves_it_where_it_is(
    of_development: Path, open_it: Callable[[Path], Journal]
) -> None:
    before = dump(of_development)
    with pytest.raises(JournalError, match="before the first release") as caught:
        open_it(of_development)

    assert caught.value.damaged
    assert dump(of_development) == before


def test_a_failing_migration_leaves_no_trace_and_those_before_it_stay(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (m0001_first, m9999_fails))
    with pytest.raises(ZeroDivisionError):
        migrate(connection)

    assert not connection.in_transaction
    assert tables(connection) == TABLES
    assert migrations(connection) == ["m0001_first"]
    assert connection.execute("SELECT * FROM fact").fetchall() == []


def test_a_migration_that_another_process_applies_meanwhile_is_not_applied_twice(
    tmp_path: Path,
) -> None:
    """The other is faster between our look and our lock: at our BEGIN it does it all."""
    with (
        closing(sqlite3.connect(tmp_path / "j.db", isolation_level=None)) as ours,
        closing(sqlite3.connect(tmp_path / "j.db", isolation_level=None)) as theirs,
    ):
        begun: list[str] = []

        def at_our_begin(statement: str) -> None:
            if statement.startswith("BEGIN"):
                begun.append(statement)
                migrate(theirs)

        ours.set_trace_callback(at_our_begin)
        migrate(ours)
        assert begun
        assert migrations(ours) == [m.__name__ for m in schema.MIGRATIONS]


def test_a_disk_that_fills_up_during_a_migration_is_told_as_that(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    """SQLite has ended the transaction by itself then: a ROLLBACK of ours must not hide why."""
    connection.execute("PRAGMA max_page_count=4")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        migrate(connection)
    assert tables(connection) <= {"migration"}


def test_a_journal_of_a_newer_version_is_refused_by_name_and_left_as_it_is(path: Path) -> None:
    Journal.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO migration VALUES ('m9999_of_the_future', '2030-01-01')")
    before = dump(path)

    with pytest.raises(JournalError, match="m9999_of_the_future") as caught:
        Journal.open(path)

    assert "update" in str(caught.value)
    assert not caught.value.damaged
    assert dump(path) == before


# Whose it is.


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_folder_and_files_are_their_owner_s_alone_whatever_the_umask(
    path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with Journal.open(path) as journal, journal.atomic():
            journal.facts.set(A_FACT, "b")
            modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}


def test_a_folder_that_is_a_file_is_told_with_its_name(path: Path) -> None:
    path.parent.write_text("in the way")
    with pytest.raises(JournalError, match="cronalytics-otel") as caught:
        Journal.open(path)
    assert not caught.value.damaged


# Damage.


def filled(path: Path, runs: int = 400) -> None:
    with Journal.open(path) as journal, journal.atomic():
        journal.runs.add(
            [
                replace(DIGEST, execution_id=f"e{n:06}", session_id=f"s{n:06}", ended_ns=n)
                for n in range(runs)
            ],
            0,
        )


def overwrite_the_middle_of_the_runs(path: Path) -> None:
    """A leaf page of `run`: the file opens, and the fault shows when its rows are read."""
    with closing(sqlite3.connect(path)) as connection:
        (leaf,) = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'run' AND pagetype = 'leaf' "
            "ORDER BY path LIMIT 1 OFFSET 5"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((leaf - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def test_what_is_no_database_is_moved_aside_and_a_new_one_made(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage!" * 1000)
    with Journal.open(path) as journal:
        assert journal.repair is not None
        assert journal.repair.moved_to.read_bytes() == b"garbage!" * 1000
        assert "not a database" in journal.repair.fault
        assert journal.queries.totals() == (0, None, None)
    with Journal.open(path) as journal:
        assert journal.repair is None


def test_two_damaged_journals_of_one_second_are_both_kept(path: Path) -> None:
    path.parent.mkdir()
    with time_machine.travel(0, tick=False):
        for content in ("first", "second"):
            path.write_text(content)
            move_aside(path, "broken")
    assert {p.read_text() for p in path.parent.iterdir()} == {"first", "second"}


READS: dict[str, Callable[[Journal], object]] = {
    "runs": lambda journal: journal.queries.runs(RunFilter()),
    "take": lambda journal: journal.outbox.take(1, 400, fresh_since_ns=10**6),
}


@pytest.mark.parametrize("name", READS)
def test_damage_that_is_met_while_rows_are_read_is_the_journal_s_and_says_so(
    path: Path, name: str
) -> None:
    """An sqlite3.Error of ours would be taken for a fault of the host's database."""
    with Journal.open(path) as journal, journal.atomic():
        journal.outbox.set_destinations({"backend": "http://localhost:4318"}, 0)
    filled(path)
    overwrite_the_middle_of_the_runs(path)
    with Journal.open(path) as journal, pytest.raises(JournalError) as caught:
        READS[name](journal)
    assert caught.value.damaged


@pytest.mark.parametrize("name", READS)
def test_a_word_in_a_row_that_no_enum_knows_is_told_as_the_journal_s_fault(
    path: Path, name: str
) -> None:
    """A flipped byte that SQLite cannot see: no error but `JournalError` leaves a sync."""
    with Journal.open(path) as journal, journal.atomic():
        journal.outbox.set_destinations({"backend": "http://localhost:4318"}, 0)
    filled(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE run SET outcome = 'succesz'")
    with Journal.open(path) as journal, pytest.raises(JournalError, match="succesz"):
        READS[name](journal)


def test_a_locked_journal_is_not_taken_for_a_damaged_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronalytics_otel.journal.database.BUSY_TIMEOUT_S", 0)
    Journal.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other, Journal.open(path) as ours:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="try again") as caught, ours.atomic():
            ours.facts.set(A_FACT, "b")
        assert not caught.value.damaged
        other.execute("ROLLBACK")
        with ours.atomic():
            ours.facts.set(A_FACT, "b")


# Hot queries: the index by name, no sort. The statements are those that the calls really make.


def plan_of(journal: Journal, call: Callable[[Journal], object]) -> list[str]:
    statements: list[str] = []
    journal._connection.set_trace_callback(statements.append)
    call(journal)
    journal._connection.set_trace_callback(None)
    return [
        detail
        for statement in statements
        for *_, detail in journal._connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    filled(path, 3)
    with Journal.open(path) as journal:
        with journal.atomic():
            journal.outbox.set_destinations({"backend": "http://localhost:4318"}, 0)
        yield journal


KEY = "PRIMARY KEY"
HOT: dict[str, tuple[Callable[[Journal], object], set[str]]] = {
    "which executions are known": (
        lambda j: j.runs.known_executions(["e000001", "x"]), {"run_by_execution"}),
    "which sessions are known": (
        lambda j: j.runs.known_sessions(["s000001", "x"]), {"run_by_session"}),
    "when a job was due": (lambda j: j.jobs.due_between("a", 0, 1), {KEY}),
    "the run of a session in a time": (
        lambda j: j.runs.session_run_between("a", 0, 1), {"run_by_job"}),
    "open rows": (lambda j: j.open_rows.first_seen_ns(OpenKind.SESSION), {KEY}),
    "facts to write": (lambda j: j.facts.set(A_FACT, "b"), set()),
    "what to send": (
        lambda j: j.outbox.take(1, 8, fresh_since_ns=2), {KEY, "INTEGER PRIMARY KEY"}),
    "what to send again alone": (
        lambda j: j.outbox.take_doubted(1, 8, due_ns=2), {"outbox_in_doubt", "INTEGER PRIMARY KEY"}),
    "what was refused lately": (lambda j: j.outbox.has_refused_since(1, 2), {"outbox_in_doubt"}),
    "who lacks something": (lambda j: j.outbox.pending_destinations(), {KEY}),
    "how much is pending": (lambda j: j.outbox.pending(1), {KEY}),
    "a receipt": (
        lambda j: j.outbox.accepted(1, j.outbox.take(1, 1, fresh_since_ns=0), 0),
        {KEY, "INTEGER PRIMARY KEY"}),
    "the newest runs": (lambda j: j.queries.runs(RunFilter(limit=9)), {"run_by_end"}),
    "the newest runs of a kind": (
        lambda j: j.queries.runs(
            RunFilter(job="a", since_ns=1, outcomes=frozenset(Outcome), limit=9)), {"run_by_end"}),
    "the run before one": (lambda j: j.queries.previous(DIGEST), {"run_by_job"}),
    "a run by its id": (lambda j: j.queries.find("e00"), {"run_by_execution", "run_by_session"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_a_hot_query_goes_by_its_index(journal: Journal, name: str) -> None:
    call, indexes = HOT[name]
    plan = plan_of(journal, call)
    whole = "\n".join(plan)

    for index in indexes:
        assert index in whole
    # `destination` has a handful of rows: it may be read whole.
    scans = [step for step in plan if step.startswith("SCAN") and "run_by_end" not in step]
    assert [step for step in scans if step.split()[1] not in ("d", "destination")] == []
    if name != "a run by its id":  # at most ten rows of two indexes, each once
        assert "TEMP B-TREE" not in whole


def test_new_runs_go_to_the_outbox_and_to_the_figures_without_a_look_at_others(
    journal: Journal,
) -> None:
    plan = plan_of(journal, lambda j: j.runs.add([replace(DIGEST, ended_ns=5)], 0))

    assert plan.count("SEARCH run USING INTEGER PRIMARY KEY (rowid>?)") >= 3
    assert not any(step.startswith("SCAN run") for step in plan)


def test_sums_of_a_month_read_its_days_and_the_runs_of_its_edges(journal: Journal) -> None:
    month = RunFilter(since_ns=NOW_NS - 30 * DAY - HOUR, until_ns=NOW_NS)
    plan = plan_of(journal, lambda j: j.figures.runs(month, by=[Dimension.JOB]))

    # Each group's days follow one another, so that nothing is sorted but a row for each group.
    assert any(step.startswith("SCAN run_group") for step in plan)
    assert "SEARCH day_runs USING PRIMARY KEY (group_id=? AND day>? AND day<?)" in plan
    assert sum("TEMP B-TREE" in step for step in plan) == 1
    of_runs = {step for step in plan if step.split()[1:2] == ["run"]}
    assert of_runs == {
        "SEARCH run USING COVERING INDEX run_by_end",  # the newest end alone
        "SEARCH run USING INDEX run_by_end (ended_ns>? AND ended_ns<?)",
    }


def test_sums_of_one_job_read_the_days_of_that_job_alone(journal: Journal) -> None:
    month = RunFilter(since_ns=NOW_NS - 30 * DAY, until_ns=NOW_NS, jobs=frozenset({"a"}))
    plan = plan_of(journal, lambda j: j.figures.runs(month))

    assert any(step.startswith("SEARCH run_group") and "(job_id=?)" in step for step in plan)
    assert any(step.startswith("SEARCH day_runs USING PRIMARY KEY (group_id=?") for step in plan)


def test_the_runs_before_a_batch_of_runs_are_found_by_their_job(journal: Journal) -> None:
    """Only the batch itself, which the statement holds, is read from end to end."""
    plan = plan_of(journal, lambda j: j.queries.previous_keys([DIGEST, DIGEST]))

    assert any("run_by_job" in step and step.startswith("SEARCH run") for step in plan)
    assert not any(step.startswith("SCAN run") for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan)


def test_durations_come_from_the_index_of_jobs(journal: Journal) -> None:
    plan = plan_of(journal, lambda j: j.job_runs.durations_ns(RunFilter(since_ns=1)))

    (step,) = [step for step in plan if "started_ns>" in step]
    assert step == "SEARCH run USING INDEX run_by_job (job_id=? AND started_ns>?)"
