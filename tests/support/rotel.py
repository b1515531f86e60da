"""A real OpenTelemetry collector, rotel, on free loopback ports.

It receives OTLP by gRPC and HTTP, as a user's collector does, and hands all of it on to an OTLP
sink of the tests, where it can be read back: plugin → rotel → sink.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.server_process import accepts_connections, free_port
from tests.support.venvs import rotel_venv
from tests.support.waiting import wait_for

_ATTEMPTS = 3
"""A port that was free may be taken before rotel binds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotel:
    http_url: str
    """The base endpoint, without `/v1/traces`."""
    grpc_url: str
    process: subprocess.Popen[bytes]

    def drain(self) -> None:
        """Stop it in good order: it first hands on all that it holds."""
        self.process.terminate()
        if self.process.wait(30) != 0:
            raise AssertionError(f"rotel exited with {self.process.returncode}")


@contextlib.contextmanager
def running_rotel(sink_url: str, log_path: Path) -> Iterator[Rotel]:
    """Rotel, ready to receive; `sink_url` is the OTLP/HTTP base endpoint that it exports to."""
    (program,) = rotel_venv().glob("lib/python*/site-packages/rotel/rotel-agent")
    with log_path.open("ab") as log:
        rotel = _start(program, sink_url, log.fileno())
        try:
            yield rotel
        finally:
            rotel.process.kill()
            rotel.process.wait()


def _start(program: Path, sink_url: str, log: int) -> Rotel:
    for _ in range(_ATTEMPTS):
        http, grpc = free_port(), free_port()
        process = subprocess.Popen(
            [
                program, "start",
                "--otlp-http-endpoint", f"127.0.0.1:{http}",
                "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}",
                "--exporter", "otlp",
                "--otlp-exporter-protocol", "http",
                "--otlp-exporter-endpoint", sink_url,
                "--batch-timeout", "100ms",
            ],
            # Nothing of ours: rotel reads ROTEL_* and proxies.
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        wait_for(
            lambda: (
                process.poll() is not None  # noqa: B023
                or all(map(accepts_connections, (http, grpc)))  # noqa: B023
            ),
            what="rotel to listen",
        )
        if process.poll() is None:
            return Rotel(
                http_url=f"http://127.0.0.1:{http}",
                grpc_url=f"http://127.0.0.1:{grpc}",
                process=process,
            )
    raise AssertionError("rotel did not start; its log says why")
