"""Another process that holds a lock or a database for itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLD_DATABASE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # in WAL mode readers get by anything less
connection.execute("BEGIN EXCLUSIVE")
connection.execute("CREATE TABLE held (x)")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
"""


@contextmanager
def another_process(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `code`, which holds `path` (its argument), prints `held`, and lets go when its standard
    input ends: at the end of the block, unless the block has killed it."""
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


@contextmanager
def held_exclusively(database: Path) -> Iterator[None]:
    """Hold a SQLite database so that nobody else can even read it."""
    with another_process(_HOLD_DATABASE, database) as process:
        yield
    assert process.returncode == 0
