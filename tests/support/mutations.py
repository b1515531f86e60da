"""Homes that are damaged at random: one record, one value of jobs.json, one file, or one table."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from cronalytics_otel.host.home import Home

ODD_VALUES: tuple[object, ...] = (
    None, "", " ", "x" * 100_000, "\x00", "a\x00b", "\ud7ff\uffff", b"\xff\xfe\x00", b"", -1, 0, 2**62, -(2**62),
    1e300, -1e300, float("inf"), "NaN", "1970-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "soon",
    "0001-01-01T00:00:00+14:00", "../../etc/passwd", "[" * 5_000, '{"a": [1, {}]}', "running", "cron_x",
)  # fmt: skip

ODD_JSON: tuple[object, ...] = (
    None, True, "", "\ud800", "a\x00b", -1, 10**400, float("inf"), float("nan"), [], {}, [[[]]], {"kind": 7},
    "every 0m", "* * * * * * * *", "9999-12-31T23:59:59+00:00", "x" * 100_000, [None, {"id": None}],
)  # fmt: skip

TABLES = {
    "state.db": ("sessions", "messages", "session_model_usage"),
    "cron/executions.db": ("executions",),
}


def _databases(home: Path) -> list[str]:
    return [name for name in TABLES if (home / name).exists()]


def _tables(home: Path, database: str) -> list[str]:
    with closing(sqlite3.connect(home / database)) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return [table for table in TABLES[database] if table in found]


def settle(home: Path) -> None:
    """Put all that is in write-ahead logs into the databases."""
    for name in _databases(home):
        with closing(sqlite3.connect(home / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode=DELETE")


def mutate(home: Path, seed: int) -> tuple[str, bool]:
    """Damage the home at random. Return what was done, and whether it is one record alone."""
    chance = random.Random(seed)
    kind: Callable[[Path, random.Random], str] = chance.choice(
        [_row, _row, _row, _row, _job, _job, _job, _file, _page, _table, _output, _outputs]
    )
    return kind(home, chance), kind in (_row, _job, _output)


def _row(home: Path, chance: random.Random) -> str:
    name = chance.choice(_databases(home))
    table = chance.choice(_tables(home, name))
    with closing(sqlite3.connect(home / name)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        for (trigger,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
        column, rowid, value = (
            chance.choice(columns),
            chance.choice(rows),
            chance.choice(ODD_VALUES),
        )
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, rowid))
        except sqlite3.IntegrityError:  # a column that cannot be NULL, or stands in a key
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
    return f"{table}.{column} of row {rowid}: {str(value)[:30]!r}"


def _job(home: Path, chance: random.Random) -> str:
    path = home / "cron" / "jobs.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    record: dict[str, Any] = chance.choice(document["jobs"])
    key = chance.choice(list(record))
    if isinstance(record[key], dict) and chance.random() < 0.7:
        record = record[key]
        key = chance.choice(list(record))
    record[key] = value = chance.choice(ODD_JSON)
    path.write_text(json.dumps(document), encoding="utf-8")
    return f"jobs.json {key}: {str(value)[:30]!r}"


def _file(home: Path, chance: random.Random) -> str:
    name = chance.choice([*_databases(home), "cron/jobs.json"])
    path, content = home / name, (home / name).read_bytes()
    how = chance.choice(["emptied", "removed", "cut", "a folder", "garbage", "a mark before it"])
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "removed":
        path.write_bytes(
            {
                "emptied": b"",
                "cut": content[: chance.randrange(len(content))],
                "garbage": chance.randbytes(len(content)),
                "a mark before it": b"\xef\xbb\xbf" + content,
            }[how]
        )
    return f"{name} {how}"


def _page(home: Path, chance: random.Random) -> str:
    name = chance.choice(_databases(home))
    content = bytearray((home / name).read_bytes())
    begin, length = chance.randrange(len(content)), chance.choice([1, 16, 4_096])
    fill = chance.choice([bytes(length), b"\xff" * length, chance.randbytes(length)])
    content[begin : begin + length] = fill
    (home / name).write_bytes(content)
    return f"{name}: {length} bytes from {begin}"


def _table(home: Path, chance: random.Random) -> str:
    name = chance.choice(_databases(home))
    table = chance.choice(_tables(home, name))
    with closing(sqlite3.connect(home / name)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        without = chance.choice([None, *columns])
        kept = ", ".join(column for column in columns if column != without)
        connection.execute(f"CREATE TABLE copy AS SELECT {kept} FROM {table}")
        if without is None:
            connection.execute(f"INSERT INTO copy SELECT * FROM {table} LIMIT 3")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE copy RENAME TO {table}")
    return (
        f"{table} with rows that stand twice" if without is None else f"{table} without {without}"
    )


def _output(home: Path, chance: random.Random) -> str:
    files = sorted(Home(home).outputs.rglob("*.md"))
    path = chance.choice(files)
    how = chance.choice(["emptied", "removed", "a folder", "garbage", "another name"])
    if how == "another name":
        path.rename(path.with_name("2026-13-45_99-99-99.md"))
    else:
        path.unlink()
        if how == "a folder":
            path.mkdir()
        elif how != "removed":
            path.write_bytes(chance.randbytes(5_000) if how == "garbage" else b"")
    return f"{path.relative_to(home)} {how}"


def _outputs(home: Path, chance: random.Random) -> str:
    folder = chance.choice(sorted(Home(home).outputs.iterdir()))
    shutil.rmtree(folder)
    folder.write_bytes(b"no folder")
    return f"{folder.relative_to(home)} is a file"
