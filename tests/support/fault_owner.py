"""Owners of runs: real processes, as the host's ledger names them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Columns = dict[str, Any]
"""Columns of a ledger row: `pid`, `process_started_at`."""


def ledger_columns(pid: int) -> Columns:
    """As `gateway.status.get_process_start_time` reads it: field 22 of /proc/<pid>/stat."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return {"pid": pid, "process_started_at": int(fields[19])}


def this_process() -> Columns:
    """An owner that lives as long as the test."""
    return ledger_columns(os.getpid())


@contextmanager
def owner() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits to be killed."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()
