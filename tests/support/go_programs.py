"""OpenTelemetry Collector, Jaeger, Prometheus and Alertmanager, built from source once per machine.

`tools/go_programs/` has a folder for each: `go.mod` names the version of every module that goes into
the program, and `go.sum` its checksum. Go builds from exactly these or not at all (`-mod=readonly`).
The programs lie in the cache of this machine, under their version and a digest of what they are
built from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cache import build_folder, cached, finished, prune
from tests.support.venvs import CHECKOUT

_SOURCES = CHECKOUT / "tools" / "go_programs"
_OPTIONS = ("-trimpath", "-ldflags", "-s -w")
"""No path of this machine and no symbols for a debugger in the program."""
_READ_BY_GO = (".go", ".mod", ".sum")
_LIMIT_S = 3600.0
_GO_FOLDER = "go"
"""In the cache of this machine: what Go downloads and compiles, until all builds are finished."""
_KEPT_BUILDS = 2
"""Another checkout on this machine may use an older build."""

_NO_GO = """\
The tests need a real Collector, Jaeger, Prometheus and Alertmanager. They are built with Go, and there is
no `go` on the PATH.
Install Go 1.21 or newer (https://go.dev/doc/install), which fetches a newer one by itself where a
program needs that. Then run `make backends`."""

_PAGE = """\
<!doctype html>
<title>{title}</title>
<p>{title} was built from its Go module, which does not contain the web page. The API works:
<a href="api/v2/status">status</a>, <a href="api/v2/alerts">alerts</a>.
"""


class GoMissingError(RuntimeError):
    """There is no `go` to build with; the text says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProgram:
    """A backend that is on this machine."""

    path: Path
    is_ours: bool
    """Whether we have built it, without its web page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _GoProgram:
    """A backend: its main program, and what is built along with it."""

    name: str
    """Of the main program, and of its folder in `tools/go_programs/`."""
    version: str
    """As the project's releases are numbered. The version of the Go module is in `go.mod`."""
    packages: tuple[str, ...]
    """What to build: import paths, or `.` for the folder itself."""
    names_elsewhere: tuple[str, ...] = field(default=(), repr=False)
    """What it is called where others have built it, beside `name`. The build does not depend on it."""
    tags: str = ""
    missing_pages: tuple[str, ...] = ()
    """Paths in the module of `packages`. It embeds web pages that its archive lacks, because npm
    makes them. A page that says so takes the place of each."""

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    def path(self, program: str = "") -> Path:
        """The main program, or the named one. It is built first if that has not been done."""
        folder = cached(self._folder_name(), program=f"bin/{self.name}", build=self._build)
        return folder / "bin" / (program or self.name)

    def found(self) -> FoundProgram | None:
        """The main program, if it has been built, or else one on the PATH. Nothing is built."""
        folder = finished(self._folder_name(), program=f"bin/{self.name}")
        if folder is not None:
            return FoundProgram(path=folder / "bin" / self.name, is_ours=True)
        on_path = filter(None, map(shutil.which, (*self.names_elsewhere, self.name)))
        return next((FoundProgram(path=Path(path), is_ours=False) for path in on_path), None)

    def _folder_name(self) -> str:
        digest = hashlib.sha256(repr((self, _OPTIONS)).encode())
        for file in sorted((_SOURCES / self.name).iterdir()):
            if file.suffix in _READ_BY_GO:
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    def _build(self, folder: Path) -> None:
        if shutil.which("go") is None:
            raise GoMissingError(_NO_GO)
        begun = time.monotonic()
        with build_folder(_GO_FOLDER) as go:
            sources = go / folder.name
            shutil.copytree(_SOURCES / self.name, sources, dirs_exist_ok=True)
            if self.missing_pages:
                self._fill_in_pages(sources)
            tags = ("-tags", self.tags) if self.tags else ()
            _go(sources, "build", *_OPTIONS, *tags, "-o", f"{folder / 'bin'}/", *self.packages)
        print(f"made {self.title} in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        prune(f"{self.name}-", kept=_KEPT_BUILDS)

    def _fill_in_pages(self, sources: Path) -> None:
        """Let the build take the module from a copy of its archive that has the missing pages."""
        module = self.packages[0].partition("/cmd/")[0]
        copy = sources / "module"
        archive = json.loads(_go(sources, "mod", "download", "-json", module))["Dir"]
        shutil.copytree(archive, copy, dirs_exist_ok=True)
        for page in self.missing_pages:
            (copy / page).parent.mkdir(parents=True, exist_ok=True)
            (copy / page).write_text(_PAGE.format(title=self.title))
        _go(sources, "mod", "edit", f"-replace={module}=./module")


_OTELCOL = _GoProgram(
    name="otelcol", version="0.155.0", packages=(".",), names_elsewhere=("otelcol-contrib",)
)
_JAEGER = _GoProgram(
    name="jaeger", version="2.13.0", packages=("github.com/jaegertracing/jaeger/cmd/jaeger",)
)
_PROMETHEUS = _GoProgram(
    name="prometheus",
    version="3.16.0",
    packages=(
        "github.com/prometheus/prometheus/cmd/prometheus",
        "github.com/prometheus/prometheus/cmd/promtool",
    ),
    tags="netgo,remove_all_sd",  # none of the thirty ways to find targets in a cloud
)
_ALERTMANAGER = _GoProgram(
    name="alertmanager",
    version="0.35.0",
    packages=(
        "github.com/prometheus/alertmanager/cmd/alertmanager",
        "github.com/prometheus/alertmanager/cmd/amtool",
    ),
    missing_pages=("ui/app/dist/elm/index.html", "ui/app/dist/mantine/index.html"),
)
_ALL = (_PROMETHEUS, _ALERTMANAGER, _OTELCOL, _JAEGER)


def found_programs() -> dict[str, FoundProgram]:
    """The backends that are on this machine, by the name of their folder in `tools/go_programs/`."""
    found = {program.name: program.found() for program in _ALL}
    return {name: program for name, program in found.items() if program is not None}


def otelcol_program() -> Path:
    return _OTELCOL.path()


def jaeger_program() -> Path:
    return _JAEGER.path()


def prometheus_program() -> Path:
    return _PROMETHEUS.path()


def promtool_program() -> Path:
    return _PROMETHEUS.path("promtool")


def alertmanager_program() -> Path:
    return _ALERTMANAGER.path()


def amtool_program() -> Path:
    return _ALERTMANAGER.path("amtool")


def _go(sources: Path, *arguments: str) -> str:
    """Run `go` in a folder of the build folder, with caches that lie there; what it printed."""
    environment = {
        **os.environ,
        "GOMODCACHE": str(sources.parent / "modules"),
        "GOCACHE": str(sources.parent / "compiled"),
        "GOFLAGS": "-mod=readonly -modcacherw",  # writable, so that the modules can be deleted
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    done = subprocess.run(
        ["go", *arguments],
        cwd=sources,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=_LIMIT_S,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"go {' '.join(arguments)}\nexited with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def _build_all() -> None:
    # The folder is held until the end, so that each build finds what those before it downloaded and compiled.
    with build_folder(_GO_FOLDER):
        for program in _ALL:
            program.path()


if __name__ == "__main__":
    try:
        _build_all()
    except GoMissingError as error:
        sys.exit(str(error))
