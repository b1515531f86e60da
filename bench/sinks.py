"""Collectors in a process of their own, so that what they cost is not measured with us.

`python -m bench.sinks up` prints its port and serves until its standard input is closed. It reads
each request and answers at once: it neither decodes nor keeps anything.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Behaviour = Literal["up", "refusing", "hanging", "503"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: with two, delayed acknowledgements cost 40 ms
    status = 200
    never = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.status == 0:
            self.never.wait()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base's name
        pass


@contextmanager
def sink(behaviour: Behaviour = "up") -> Iterator[str]:
    """Its base URL, for OTEL_EXPORTER_OTLP_ENDPOINT."""
    if behaviour == "refusing":
        yield f"http://127.0.0.1:{_free_port()}"
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sinks", behaviour],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


def _free_port() -> int:
    """Nobody listens there: a collector that is down."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    _Handler.status = {"up": 200, "hanging": 0, "503": 503}[sys.argv[1]]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
