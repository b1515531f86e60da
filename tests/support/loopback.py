"""Servers on a loopback port, in threads of this process, as context managers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class LoopbackServer(ABC):
    """A server that listens between `start()` and `stop()`. It can be started again."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        """0 before the first `start()`, which takes a free port; later ones take the same port."""

    @abstractmethod
    def start(self) -> None:
        """Listen on `port`; if that is 0, take a free one and write its number there."""

    @abstractmethod
    def stop(self) -> None:
        """Free the port and end the threads. Do nothing if the server is stopped already."""

    def close(self) -> None:
        """End for good, which is what leaving the context manager does."""
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class LoopbackHttpServer(LoopbackServer):
    """An HTTP server, with a thread for each connection."""

    _server: ThreadedHttpServer | None = None
    _thread: threading.Thread | None = None

    @abstractmethod
    def _listen(self) -> ThreadedHttpServer:
        """Return a server that is bound to `port`."""

    def start(self) -> None:
        self._server = self._listen()
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def wait_until_stopped(self) -> None:
        if self._thread is not None:
            self._thread.join()


class ThreadedHttpServer(ThreadingHTTPServer):
    """The standard library's server on loopback; its threads hold up no exit."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler)


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that keeps connections open and writes no log."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: with two, delayed acknowledgements cost 40 ms

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base's name
        pass
