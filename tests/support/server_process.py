"""A real server program in a process of its own: started, killed, started again, stopped.

It stays in the process group of who starts it, so that one signal to the group ends all of them.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
        """It gets `environment` and a PATH, and nothing else of ours. A log of before is deleted."""
        self.name = Path(command[0]).name
        self.log_path = log_path
        log_path.unlink(missing_ok=True)
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
        """Start it, and return when it is ready.

        AssertionError with its log if it ends before, or is not ready after a minute, which kills it.
        """
        if self.is_running:
            raise AssertionError(f"{self.name} is running already")
        with self.log_path.open("ab") as log:
            self._process = process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        def is_settled() -> bool:
            return process.poll() is not None or self.is_ready()

        try:
            wait_for(is_settled, what=f"{self.name} to be ready", timeout_s=_STARTS_WITHIN_S)
            if process.poll() is not None:
                raise AssertionError(f"it exited with {process.returncode}")
        except BaseException as error:  # Ctrl-C, too
            self.kill()
            if not isinstance(error, AssertionError):
                raise
            raise AssertionError(f"{self.name}: {error}; its log:\n{self.log}") from None

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
        """End it by SIGKILL. Do nothing if it does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None


PortChoice = Callable[[int], int]
"""Given the port where a server usually listens (0 for none), returns the one where it shall."""


def free_port(_usual: int = 0) -> int:
    """A loopback port on which nothing listens now."""
    for port in random.sample(_PORTS, len(_PORTS)):
        if is_free(port):
            return port
    raise AssertionError("no port is free")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket() as listener:
        # Connections of a server that has ended take nothing from the next one.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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
            if attempt + 1 < _ATTEMPTS and "address already in use" in server.log:
                continue
            raise
        try:
            yield server
        finally:
            server.kill()
        return
