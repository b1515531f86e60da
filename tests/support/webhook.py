"""A web server that takes notices: Apprise's `json://`, and the pings of a check."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.loopback import LoopbackHttpServer, QuietHandler, ThreadedHttpServer

HANG = 0
"""Instead of a status: say nothing until the server is released."""
DROP = -1
"""Instead of a status: take the request, and reset the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    path: str
    body: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Webhook(LoopbackHttpServer):
    """An HTTP server on a free loopback port that remembers what it was sent."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.requests: list[Request] = []
        self.status: Callable[[str], int] | int = 200
        """What it answers, or a function from the path to it."""
        self.next_statuses: deque[int] = deque()
        """What it answers before that."""
        self.headers: dict[str, str] = {}
        self.released = threading.Event()
        self.arrived = threading.Semaphore(0)
        """Is raised with each request."""

    @property
    def apprise_url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Title and text of each message."""
        return [(r.json["title"], r.json["message"]) for r in self.requests]

    def close(self) -> None:
        self.released.set()
        self.stop()

    def _listen(self) -> ThreadedHttpServer:
        return _Server(self, self.port)

    def take(self, request: Request) -> int:
        self.requests.append(request)
        self.arrived.release()
        if self.next_statuses:
            return self.next_statuses.popleft()
        return self.status if isinstance(self.status, int) else self.status(request.path)


class _Server(ThreadedHttpServer):
    def __init__(self, webhook: Webhook, port: int) -> None:
        self.webhook = webhook
        super().__init__(port, _Handler)


class _Handler(QuietHandler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802 the base's name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        webhook = self.server.webhook
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = webhook.take(Request(path=self.path, body=body, headers=headers))
        if status == HANG:
            webhook.released.wait()
        if status in (HANG, DROP):
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in webhook.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
