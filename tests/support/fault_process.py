"""Syncs in processes of their own, which can be killed, starved and moved in time.

    with SyncProcesses(tmp_path) as processes:
        done = processes.sync(home, env)                        # a process from start to end
        assert done.report.healthy
        running = processes.start(home, env)                    # one to do something to
        collector.wait_for_requests(1)
        running.kill()
        assert processes.sync(home, env, die_before_statement=7).killed

A process that has imported the program, and done nothing else, forks one for each sync: so each
takes some 30 ms. Nothing of the sync is replaced. It kills itself where it is told to: just before
the n-th statement on the journal (COMMIT is one), or just before its first request.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.support.venvs import CHECKOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCall:
    """What one process is to do; plain data, for it goes through a pipe."""

    home: str
    environ: dict[str, str]
    outcome_file: str
    full: bool = False
    retry_refused: bool = False
    dry_run: bool = False
    eager: bool = False
    since_ns: int | None = None
    clock_ahead_s: float = 0.0
    """Its clock is this much ahead of ours."""
    die_before_statement: int | None = None
    """The journal's n-th statement, from 1, is not executed any more. Of a transaction only the
    BEGIN, the first statement and the COMMIT count: SQLite makes all that is between them one."""
    die_before_request: bool = False
    largest_file_bytes: int | None = None
    """RLIMIT_FSIZE: a write beyond it fails, as on a full disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a process. `report` is the sync's own, None when it raised or was killed."""

    signal: int | None
    report: Any
    """A `SyncReport`."""
    error: str | None
    """`JournalError: …`, for what the sync raised."""
    trace: str
    log: str
    """All that was logged, of every level."""
    grown_bytes: int = 0
    """By how much its memory was larger at its peak than at its start."""

    @property
    def killed(self) -> bool:
        return self.signal == signal.SIGKILL


@dataclass(slots=True)
class Running:
    """A sync that goes on in a process of its own."""

    pid: int
    _processes: SyncProcesses
    _outcome_file: Path

    def kill(self) -> Done:
        """kill -9, and gone when this returns."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> Done:
        return self._processes._wait(self.pid, self._outcome_file)


@dataclass(slots=True)
class SyncProcesses:
    """As a context manager; what still runs at its end is killed."""

    folder: Path
    within: tuple[str, ...] = ()
    """A command that runs another one, such as `unshare`; then the pids are not ours."""
    _parent: subprocess.Popen[str] | None = None
    _count: int = 0
    _running: set[int] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [*self.within, sys.executable, "-m", "tests.support.fault_process"],
            cwd=CHECKOUT,
            # Nothing of the user's: no proxy, no OTEL_*.
            env={"PATH": os.defpath, "HOME": str(self.folder), "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        parent = self._started()
        if parent.stdin is not None:
            parent.stdin.close()
        if parent.stdout is not None:
            parent.stdout.close()
        parent.wait()

    def start(self, home: Path, environ: Mapping[str, str], **how: Any) -> Running:
        """`how` are the fields of `SyncCall`."""
        self._count += 1
        outcome_file = self.folder / f"outcome-{self._count}"
        call = SyncCall(
            home=str(home), environ=dict(environ), outcome_file=str(outcome_file), **how
        )
        pid = int(self._ask({"sync": asdict(call)}))
        self._running.add(pid)
        return Running(pid, self, outcome_file)

    def sync(self, home: Path, environ: Mapping[str, str], **how: Any) -> Done:
        return self.start(home, environ, **how).wait()

    def _wait(self, pid: int, outcome_file: Path) -> Done:
        status = int(self._ask({"wait": pid}))
        self._running.discard(pid)
        died_of = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if not outcome_file.exists():
            return Done(signal=died_of, report=None, error=None, trace="", log="")
        with outcome_file.open("rb") as file:
            return Done(signal=died_of, **pickle.load(file))

    def _ask(self, question: dict[str, Any]) -> str:
        parent = self._started()
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps(question) + "\n")
        parent.stdin.flush()
        answer = parent.stdout.readline()
        if not answer:
            raise AssertionError("the process that starts the syncs has died")
        return answer

    def _started(self) -> subprocess.Popen[str]:
        if self._parent is None:
            raise AssertionError("use it as a context manager")
        return self._parent


# --- the child -----------------------------------------------------------------------------------


def main() -> None:
    # Imported once here: otherwise each sync would import them after its fork.
    import apprise

    import cronalytics_otel.export.otlp.http
    import cronalytics_otel.sync  # noqa: F401

    apprise.Apprise.instantiate("json://localhost")  # it imports its services late
    if threading.active_count() != 1:
        raise AssertionError("a process with threads must not be forked for a clean start")
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, answer = os.waitpid(question["wait"], 0)
        else:
            answer = os.fork()
            if answer == 0:
                _child(SyncCall(**question["sync"]))
        print(answer, flush=True)


def _child(call: SyncCall) -> None:
    """Never returns."""
    try:
        os.close(0)
        with _logged() as log:
            at_start = _peak_bytes()
            outcome = _outcome(call)
            outcome["grown_bytes"] = _peak_bytes() - at_start
            outcome["log"] = log.text
        # Put in place whole: a process that is killed leaves none.
        half_written = Path(f"{call.outcome_file}.tmp")
        half_written.write_bytes(pickle.dumps(outcome))
        half_written.rename(call.outcome_file)
    finally:
        os._exit(0)


def _peak_bytes() -> int:
    """VmHWM: a fork begins with the memory of its parent, not with its peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _outcome(call: SyncCall) -> dict[str, Any]:
    from cronalytics_otel.config import load_settings
    from cronalytics_otel.host.home import Home
    from cronalytics_otel.sync import SyncOptions, sync
    from tests.support.fake_clock import ShiftedClock

    _prepare_death(call)
    if call.largest_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (call.largest_file_bytes,) * 2)
    home = Home(Path(call.home).resolve())
    try:
        report = sync(
            home,
            load_settings(home.path, call.environ),
            SyncOptions(
                full=call.full,
                retry_refused=call.retry_refused,
                dry_run=call.dry_run,
                eager=call.eager,
                since_ns=call.since_ns,
                clock=ShiftedClock(round(call.clock_ahead_s * 1e9)),
            ),
        )
    except BaseException as error:
        return {
            "report": None,
            "error": f"{type(error).__name__}: {error}",
            "trace": traceback.format_exc(limit=-5),
        }
    return {"report": report, "error": None, "trace": ""}


def _prepare_death(call: SyncCall) -> None:
    import sqlite3

    from cronalytics_otel.export.otlp.http import HttpSender
    from cronalytics_otel.host.home import Home

    if call.die_before_statement is not None:
        journal = str(Home(Path(call.home).resolve()).journal)
        real_connect = sqlite3.connect
        left = call.die_before_statement

        since_begin: int | None = None

        def count(statement: str) -> None:
            nonlocal left, since_begin
            word = statement.split(maxsplit=1)[0]
            if word in ("BEGIN", "COMMIT"):
                since_begin = 0 if word == "BEGIN" else None
            elif since_begin is not None:
                since_begin += 1
            left -= since_begin is None or since_begin <= 1
            if left == 0:
                _die()

        def connect(database: Any, *args: Any, **kwargs: Any) -> Any:
            connection = real_connect(database, *args, **kwargs)
            if str(database) == journal:
                connection.set_trace_callback(count)
            return connection

        sqlite3.connect = connect
    if call.die_before_request:
        HttpSender.send = lambda *_args, **_kwargs: _die()  # type: ignore[method-assign,assignment]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Log:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @property
    def text(self) -> str:
        self._file.seek(0)
        return self._file.read()


@contextmanager
def _logged() -> Iterator[_Log]:
    import logging
    import tempfile

    with tempfile.TemporaryFile("w+") as file:
        logging.basicConfig(stream=file, level=logging.DEBUG, force=True)
        yield _Log(file)


if __name__ == "__main__":
    main()
