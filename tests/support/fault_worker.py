"""A process that hosts our worker, as Hermes does, and follows commands of a test.

    with HostProcess(home, environ) as host:
        host.command("hook")                 # a hook of a cron run is called
        host.command("fork")                 # fork; the child reports what it sees, and exits
        host.command("leave")                # the interpreter exits, atexit and all

`faults` names calls that fail once: with `{"Journal.open": "SystemExit"}` the first call raises that,
and later calls do what they always do.
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
    """A context manager. At its end the process is killed if it has not left."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        long_running: bool = True,
        faults: Mapping[str, str] | None = None,
    ) -> None:
        self._log = home.with_name(f"{home.name}.host.log")
        arguments = {"home": str(home), "long_running": long_running, "faults": dict(faults or {})}
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
        """The process's log (level INFO and above), and all else that it wrote to stderr."""
        return self._log.read_text()

    def command(self, command: str) -> Any:
        """Send a command, and return the answer when it was carried out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise AssertionError(f"it died of {command!r}:\n{self.log}")
        return json.loads(answer)

    def leave(self) -> int:
        """Have the interpreter exit, and return its exit status."""
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
    worker = Worker(home, hooks, long_running=arguments["long_running"])
    hook = hooks.callback("on_session_end", worker.start)
    if arguments["long_running"]:
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
    """Call the hook, and return the name of the exception that it raised."""
    try:
        hook(session_id="cron_0123456789ab_20260101_000000", platform="cron")
    except BaseException as error:
        return type(error).__name__
    return "nothing"


def _fork(home: Any) -> Any:
    """Return what the child saw, in the parent; return None in the child, which leaves by itself."""
    from cronalytics_otel import lock

    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        # Only the parent may read the commands of the test.
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
        report = json.loads(pipe.read())
    _, status = os.waitpid(pid, 0)
    return report | {"status": os.waitstatus_to_exitcode(status)}


def _raise_once(name: str, error: str) -> None:
    """Have the next call of `owner.method` raise; later calls are real."""
    import builtins

    from cronalytics_otel import sync as sync_module
    from cronalytics_otel.export.otlp.http import HttpSender
    from cronalytics_otel.journal import Journal

    owners = {"Journal": Journal, "HttpSender": HttpSender, "sync": sync_module}
    owner_name, method = name.split(".")
    owner: Any = owners[owner_name]
    original = owner.__dict__[method]

    def failing(*_args: object, **_kwargs: object) -> object:
        setattr(owner, method, original)
        raise getattr(builtins, error)("raised by a test")

    setattr(owner, method, staticmethod(failing))


if __name__ == "__main__":
    main()
