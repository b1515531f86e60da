"""A real server program in a process of its own: started, killed, started again, stopped.

It is the leader of a process group, so that Ctrl-C in the terminal does not reach it, and whatever it
may have started ends with it.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.support.waiting import wait_for

_STARTS_WITHIN_S = 60.0
_STOPS_WITHIN_S = 30.0
_ATTEMPTS = 3
_PORTS = range(20_000, 32_768)
"""Below those that the system gives to clients: the port of a server that was killed stays free."""


class ServerProcess(ABC):
    """A program that can be started again with the same command."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """It gets `environment` and a PATH, and nothing else of ours."""
        self.name = Path(command[0]).name
        self.log_path = log_path
        self._command = command
        self._environment = {"PATH": os.defpath, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has written to its standard output and error, since its first start."""
        return self.log_path.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AssertionError(f"{self.name} is not running")
        return self._process.pid

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves: asked again and again after its start."""

    def start(self) -> None:
        """Start it, and return when it is ready; AssertionError with its log if it ends before."""
        if self.is_running:
            raise AssertionError(f"{self.name} is running already")
        with self.log_path.open("ab") as log:
            self._process = process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def is_settled() -> bool:
            return process.poll() is not None or self.is_ready()

        try:
            wait_for(is_settled, what=f"{self.name} to be ready", timeout_s=_STARTS_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log:\n{self.log}") from None
        if process.poll() is not None:
            raise AssertionError(f"{self.name} exited with {process.returncode}:\n{self.log}")

    def stop(self) -> int:
        """End it as a service manager does, by SIGTERM; its exit status.

        AssertionError if it is still there after 30 s, which kills it.
        """
        if self._process is None:
            raise AssertionError(f"{self.name} is not running")
        self._process.terminate()
        try:
            return self._process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop; its log:\n{self.log}") from None
        finally:
            self.kill()

    def restart(self) -> None:
        """Kill it if it runs, and start it again, on the same ports."""
        self.kill()
        self.start()

    def kill(self) -> None:
        """End it and its group by SIGKILL. Do nothing if it does not run."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


def free_port() -> int:
    """A loopback port on which nothing listens now."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def accepts_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


Server = TypeVar("Server", bound=ServerProcess)


@contextmanager
def running(make: Callable[[], Server]) -> Iterator[Server]:
    """What `make` returns, started; killed at the end if it still runs.

    It is made again, with other ports, if one of its ports was taken in the meantime.
    """
    for attempt in range(_ATTEMPTS):
        server = make()
        try:
            server.start()
        except AssertionError:
            server.kill()
            if attempt + 1 < _ATTEMPTS and "address already in use" in server.log:
                continue
            raise
        try:
            yield server
        finally:
            server.kill()
        return
