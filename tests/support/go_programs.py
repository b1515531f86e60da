"""Prometheus and promtool, built from their source once per machine, in the cache of this machine.

No Python package has a Prometheus that receives OTLP, and Debian's is too old, so it is compiled. Its
version pins the build: Prometheus's own `go.mod` names the version of every module that it needs, and
Go compares each download with the public checksum database. The same bytes come out every time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.cache import cached

PROMETHEUS_VERSION = "3.16.0"
_MODULE = "github.com/prometheus/prometheus"
_PACKAGES = (f"{_MODULE}/cmd/prometheus", f"{_MODULE}/cmd/promtool")
_GO_MOD = f"""\
module tests

go 1.26.7

require {_MODULE} v0.316.0
"""
"""The version of Go is the one that this Prometheus asks for."""
_OPTIONS = ("-mod=mod", "-trimpath", "-tags", "netgo,remove_all_sd", "-ldflags", "-s -w")
"""No C library, none of the thirty ways to find targets in a cloud, no symbols for a debugger."""
_LIMIT_S = 3600.0

_NO_GO = f"""\
The tests need a real Prometheus {PROMETHEUS_VERSION}. It is built with Go, and there is no `go` on the PATH.
Install Go 1.21 or newer (https://go.dev/doc/install), which fetches a newer one by itself where
Prometheus needs that. Then run `make backends`."""


class GoMissingError(RuntimeError):
    """There is no `go` to build with; the text says what to install."""


def prometheus_program() -> Path:
    return _prometheus() / "bin" / "prometheus"


def promtool_program() -> Path:
    return _prometheus() / "bin" / "promtool"


def _prometheus() -> Path:
    return cached(
        f"prometheus-{PROMETHEUS_VERSION}", program="bin/prometheus", build=_build_prometheus
    )


def _build_prometheus(folder: Path) -> None:
    """Compile both programs into `folder`/bin: four minutes on two idle cores, and 2.3 GB meanwhile.

    What Go downloads and compiles lies in the folder until the end, so that an interrupted build goes
    on where it was, and nothing stays in the user's own Go caches.
    """
    if shutil.which("go") is None:
        raise GoMissingError(_NO_GO)
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "go.mod").write_text(_GO_MOD)
    command = ["go", "build", *_OPTIONS, "-o", f"{folder / 'bin'}/", *_PACKAGES]
    environment = {
        **os.environ,
        "GOMODCACHE": str(work / "modules"),
        "GOCACHE": str(work / "compiled"),
        "GOFLAGS": "-modcacherw",  # so that the modules can be deleted
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    done = subprocess.run(
        command,
        cwd=work,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=_LIMIT_S,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)}\nexited with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    shutil.rmtree(work)


if __name__ == "__main__":
    try:
        _prometheus()
    except GoMissingError as error:
        sys.exit(str(error))
