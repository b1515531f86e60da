"""A process that is host to our worker, as Hermes is, told step by step what to do.

    with HostProcess(home, environ) as host:
        host.tell("hook")                 # a cron run begins, as Hermes says it
        host.tell("fork")                 # fork; the child says what it sees, and exits
        host.tell("leave")                # the interpreter exits, atexit and all

`faults` are calls of the program that fail once: `{"Journal.open": "SystemExit"}` has the first
one raise that, and later ones do what they always do.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.venvs import CHECKOUT


class HostProcess:
    """As a context manager; killed at its end if it has not left."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        resident: bool = True,
        faults: Mapping[str, str] | None = None,
    ) -> None:
        self._log = home.with_name(f"{home.name}.host.log")
        arguments = {"home": str(home), "resident": resident, "faults": dict(faults or {})}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fault_worker", json.dumps(arguments)],
                cwd=CHECKOUT,
                env={"PATH": os.defpath, "HOME": str(home.parent), "LANG": "C.UTF-8", **environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()

    @property
    def log(self) -> str:
        """What it logged (warnings and more), and all that came to stderr."""
        return self._log.read_text()

    def tell(self, command: str) -> Any:
        """Its answer, when it has done so."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise AssertionError(f"it died of {command!r}:\n{self.log}")
        return json.loads(answer)

    def leave(self) -> int:
        """Have the interpreter exit; its status, when the process is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait()


# --- in the process ------------------------------------------------------------------------------


def main() -> None:
    from cronalytics_otel.hooks import Hooks
    from cronalytics_otel.host.home import Home
    from cronalytics_otel.worker import Worker

    arguments = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO)
    for name, error in arguments["faults"].items():
        _raise_once(name, error)
    home = Home(Path(arguments["home"]).resolve())
    hooks = Hooks()
    worker = Worker(home, hooks, resident=arguments["resident"])
    hook = hooks.callback("on_session_end", worker.start)
    if arguments["resident"]:
        worker.start()
    for line in sys.stdin:
        answer: Any = None
        if line.strip() == "hook":
            answer = _call(hook)
        elif line.strip() == "fork":
            answer = _fork(home)
            if answer is None:  # the child
                return
        print(json.dumps(answer), flush=True)


def _call(hook: Any) -> str:
    """What came out of the hook."""
    try:
        hook(session_id="cron_0123456789ab_20260101_000000", platform="cron")
    except BaseException as error:
        return type(error).__name__
    return "nothing"


def _fork(home: Any) -> Any:
    """In the parent: what the child saw. In the child None: it leaves as any process does."""
    from cronalytics_otel import lock

    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        # Nothing of its parent's pipe to the test: only the parent reads commands.
        sys.stdin = open(os.devnull)  # noqa: SIM115 - for the rest of the child's life
        try:
            with lock.sync_lock(home.lock):
                seen = "free"
        except lock.SyncBusyError as error:
            seen = str(error)
        os.write(write_end, json.dumps({"lock": seen}).encode())
        os.close(write_end)
        return None
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = json.loads(pipe.read())
    _, status = os.waitpid(pid, 0)
    return said | {"status": os.waitstatus_to_exitcode(status)}


def _raise_once(name: str, error: str) -> None:
    """Have the next call of `owner.method` raise; the one after it is the real one."""
    import builtins

    from cronalytics_otel import sync as sync_module
    from cronalytics_otel.export.otlp.http import HttpSender
    from cronalytics_otel.journal import Journal

    owners = {"Journal": Journal, "HttpSender": HttpSender, "sync": sync_module}
    owner_name, method = name.split(".")
    owner: Any = owners[owner_name]
    kept = owner.__dict__[method]

    def failing(*_args: object, **_kwargs: object) -> object:
        setattr(owner, method, kept)
        raise getattr(builtins, error)("raised by a test")

    setattr(owner, method, staticmethod(failing))


if __name__ == "__main__":
    main()
