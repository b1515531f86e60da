"""`make stack`: a Collector, Jaeger, Prometheus and Alertmanager on loopback, until Ctrl-C.

They run with the configurations, rules and alerts of `collector/`, on the ports that these name. Where a port
is taken, another one takes its place, and the output says so.
"""

# ruff: noqa: INP001, T201 -- a program that prints, not a package

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlencode

import yaml

from collector.generate.promql import last
from tests.support.alertmanager import Alertmanager
from tests.support.collector_configs import AGENT, BACKENDS, FOLDER
from tests.support.go_programs import FoundProgram, found_programs
from tests.support.jaeger import Jaeger
from tests.support.otelcol import Otelcol, read_yaml
from tests.support.prometheus import USUAL_PORT, Prometheus
from tests.support.server_process import PortChoice, ServerProcess, free_port, is_free, running

PROGRAMS: Final = ("otelcol", "jaeger", "prometheus", "alertmanager")
SERVICE: Final = "hermes-cron"
DEFAULT_PORT: Final = 4318
"""Where the plugin sends to if nothing is set."""
_LOOK_EVERY_S = 0.5

Server = TypeVar("Server", bound=ServerProcess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The servers, which are ready."""

    collector: Otelcol
    jaeger: Jaeger
    prometheus: Prometheus
    alertmanager: Alertmanager | None

    @property
    def servers(self) -> tuple[ServerProcess, ...]:
        """In the order in which they are stopped: who sends before who receives."""
        alerting = () if self.alertmanager is None else (self.alertmanager,)
        return (self.collector, self.jaeger, self.prometheus, *alerting)

    def trace_url(self, trace_id: str) -> str:
        return f"{self.jaeger.url}/api/traces/{trace_id}"

    def runs_url(self) -> str:
        """The traces of some runs, as Jaeger's API has them; without times it goes back two days."""
        return f"{self.jaeger.url}/api/traces?{urlencode({'service': SERVICE, 'limit': 20})}"

    def query_url(self, promql: str) -> str:
        return f"{self.prometheus.url}/api/v1/query?{urlencode({'query': promql})}"


@contextmanager
def running_stack(
    folder: Path, programs: Mapping[str, Path], choose_port: PortChoice = free_port
) -> Iterator[Stack]:
    """Start what `programs` names, stop it at the end; data and logs lie in `folder`.

    Alertmanager may be missing: alerts are then sent nowhere. AssertionError with a log if a server does not start.
    """
    with ExitStack() as servers:

        def started(make: Callable[..., Server], *arguments: object, **options: object) -> Server:
            make_it = partial(make, *arguments, **options, choose_port=choose_port)
            return servers.enter_context(running(make_it))

        jaeger = started(
            Jaeger,
            programs["jaeger"],
            folder,
            (BACKENDS / "jaeger.yaml",),
            environment={"JAEGER_DIRECTORY": str(folder / "jaeger")},
        )
        alertmanager = None
        if "alertmanager" in programs:
            alertmanager = started(
                Alertmanager,
                folder,
                BACKENDS / "alertmanager.yml",
                program=programs["alertmanager"],
            )
        port = choose_port(USUAL_PORT)
        configuration = _prometheus_configuration(folder, port, jaeger, alertmanager)
        make_prometheus = partial(
            Prometheus,
            folder,
            configuration,
            program=programs["prometheus"],
            choose_port=lambda _: port,
        )
        prometheus = servers.enter_context(running(make_prometheus))
        collector = started(
            Otelcol,
            folder,
            (AGENT, *(FOLDER / "destinations" / f"{n}.yaml" for n in ("jaeger", "prometheus"))),
            environment={
                "JAEGER_OTLP_ENDPOINT": jaeger.http_endpoint,
                "PROMETHEUS_OTLP_ENDPOINT": prometheus.otlp_endpoint,
            },
            program=programs["otelcol"],
        )
        stack = Stack(
            collector=collector, jaeger=jaeger, prometheus=prometheus, alertmanager=alertmanager
        )
        yield stack
        for server in stack.servers:
            if server.is_running:
                server.stop()


def _prometheus_configuration(
    folder: Path, port: int, jaeger: Jaeger, alertmanager: Alertmanager | None
) -> Path:
    """The shipped one, with the addresses of this stack, to which the alerts link; it is written into `folder`."""
    tree = dict(read_yaml(BACKENDS / "prometheus.yml"))
    tree["rule_files"] = [str((BACKENDS / files).resolve()) for files in tree["rule_files"]]
    addresses = [] if alertmanager is None else [alertmanager.address]
    tree["global"] |= {
        "external_labels": {
            "jaeger_url": jaeger.url,
            "runbooks_url": f"http://127.0.0.1:{port}/user",
        }
    }
    tree["alerting"] = {
        "alert_relabel_configs": [{"action": "labeldrop", "regex": "(jaeger|runbooks)_url"}],
        "alertmanagers": [{"static_configs": [{"targets": addresses}]}],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


class UsualPorts:
    """A server's usual port while it is free, and any free one otherwise."""

    def __init__(self) -> None:
        self.replaced: dict[int, int] = {}
        """Ports that were taken, and what was chosen in their place."""

    def __call__(self, usual: int) -> int:
        if usual and is_free(usual):
            return usual
        port = free_port()
        if usual:
            self.replaced[usual] = port
        return port


def main() -> int:
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _STOP)
    arguments = _arguments()
    programs = found_programs() | {
        name: FoundProgram(path=path, is_ours=False)
        for name in PROGRAMS
        if (path := getattr(arguments, name)) is not None
    }
    if missing := [name for name in PROGRAMS if name not in programs]:
        print(_MISSING.format(names=", ".join(missing)), file=sys.stderr)
        return 1
    folder: Path = arguments.data
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        print(_NO_FOLDER.format(folder=folder, reason=error.strerror), file=sys.stderr)
        return 1
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(_IN_USE.format(folder=folder), file=sys.stderr)
            return 1
        return _run(folder, programs)


def _run(folder: Path, programs: Mapping[str, FoundProgram]) -> int:
    """Start, print what there is, and wait; the exit status."""
    ports = UsualPorts()
    paths = {name: program.path for name, program in programs.items()}
    stopped: ServerProcess | None = None
    try:
        with running_stack(folder, paths, ports) as stack:
            try:
                with _STOP.awaited():
                    print(described(stack, programs, ports, folder), flush=True)
                    stopped = _first_that_ends(stack)
            except _StopError:
                print("\nStopping. The data stays.", flush=True)
    except _StopError:  # while they were starting, or while they were stopping
        print("\nStopped.", flush=True)
    except AssertionError as error:
        print(f"{error}\nThe servers that had started were stopped.", file=sys.stderr)
        return 1
    if stopped is not None:
        print(f"{stopped.name} has ended, and so the others were stopped.", file=sys.stderr)
        print(f"Its log: {stopped.log_path}", file=sys.stderr)
        return 1
    return 0


def described(
    stack: Stack, programs: Mapping[str, FoundProgram], ports: UsualPorts, folder: Path
) -> str:
    """What the user reads: links, what to set, a command that shows that it works."""
    return "".join(
        [
            "The backends are ready. Everything listens on this machine only.\n\n",
            *(f"  {name:<14} {url:<26} {use}\n" for name, url, use in _links(stack)),
            f"\n  data and logs  {folder}\n                 They stay there for the next time.\n",
            *(
                f"\nPort {usual} is taken: {port} is used in its place."
                for usual, port in sorted(ports.replaced.items())
            ),
            "\n" if ports.replaced else "",
            _pages(programs),
            _SETTINGS.format(
                action=_IF_IT_SENDS_ELSEWHERE
                if stack.collector.http_endpoint.endswith(f":{DEFAULT_PORT}")
                else "Add",
                endpoint=stack.collector.http_endpoint,
            ),
            _COMMANDS.format(
                runs=f"sum({last('runs')})",
                prometheus=stack.prometheus.url,
                traces=stack.runs_url(),
                cost=stack.query_url(f"sum({last('run.cost')})"),
                alerts=f"{stack.prometheus.url}/api/v1/alerts",
            ),
            "\nCtrl-C stops all of it.",
        ]
    )


def _links(stack: Stack) -> Iterator[tuple[str, str, str]]:
    yield "Collector", stack.collector.http_endpoint, "takes what the plugin sends"
    yield "Jaeger", stack.jaeger.url, "the traces"
    yield "Prometheus", stack.prometheus.url, "the metrics, the rules and the alerts"
    if stack.alertmanager is not None:
        yield "Alertmanager", stack.alertmanager.url, "the alerts that are firing"


def _pages(programs: Mapping[str, FoundProgram]) -> str:
    """Which of the programs have no web page, and how to get one."""
    without = [name for name in ("jaeger", "prometheus", "alertmanager") if programs[name].is_ours]
    if not without:
        return ""
    options = " ".join(f"--{name} FILE" for name in without)
    return _NO_PAGES.format(names=", ".join(map(str.capitalize, without)), options=options)


def _first_that_ends(stack: Stack) -> ServerProcess | None:
    """Wait until a server ends by itself, and return it; None if somebody wants the stack to stop."""
    while not _STOP.is_wanted:
        for server in stack.servers:
            if not server.is_running:
                return server
        time.sleep(_LOOK_EVERY_S)
    return None


class _StopError(Exception):
    """Somebody wants the stack to stop."""


class _Stop:
    """The handler of signals. It interrupts whatever goes on, except where somebody waits for it."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._is_awaited = False

    def __call__(self, *_: object) -> None:
        self.is_wanted = True
        if not self._is_awaited:
            raise _StopError

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """In the block, a signal only sets `is_wanted`; its end raises `_StopError` if one came.

        An exception in the midst of `Popen.poll` could leave its lock held, and the end of that process would be
        waited for in vain.
        """
        self._is_awaited = True
        try:
            yield
        finally:
            self._is_awaited = False
        if self.is_wanted:
            raise _StopError


_STOP: Final = _Stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make stack", description="Backends on this machine.")
    parser.add_argument(
        "--data",
        type=lambda text: Path(text).expanduser().absolute(),
        default=_default_folder(),
        metavar="FOLDER",
        help="where data and logs lie (default: %(default)s)",
    )
    for name in PROGRAMS:
        parser.add_argument(
            f"--{name}", type=_program, metavar="FILE", help=f"the {name} to run (default: ours)"
        )
    return parser.parse_args()


def _program(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise argparse.ArgumentTypeError(f"{text} is not a program that can be run")
    return path


def _default_folder() -> Path:
    """A folder that stays: the plugin does not send again what was acknowledged."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "cronalytics-otel" / "stack"


_MISSING = """\
These programs are neither built nor on the PATH (where otelcol may be called otelcol-contrib, too): {names}.
`make backends` builds all of them, once per machine; it needs Go (https://go.dev/doc/install).
A program that is elsewhere can be named: make stack ARGS='--jaeger FILE' (make stack ARGS=--help)."""

_IN_USE = """\
A stack with the data in {folder} is running, or is still stopping. Stop it first, or take another folder:
make stack ARGS='--data FOLDER'"""

_NO_FOLDER = """\
{folder} cannot hold the data ({reason}). Take another folder: make stack ARGS='--data FOLDER'"""

_NO_PAGES = """
{names}: built from Go modules, which do not contain the web page. The APIs work; see the
links below. To have the pages, name the programs of the official releases:
  make stack ARGS='{options}'
"""

_IF_IT_SENDS_ELSEWHERE = """\
Nothing, if the plugin sends nowhere else: this Collector is at its default endpoint. Otherwise, add"""

_SETTINGS = """
== What to set in the plugin
{action} a destination to ~/.hermes/config.yaml. A new one gets all the history, too.

plugins:
  enabled: [cronalytics-otel]
  entries:
    cronalytics-otel:
      destinations:
        stack:
          endpoint: {endpoint}

== See that it works
"""

_COMMANDS = """\
  cronalytics-otel sync && curl -G {prometheus}/api/v1/query --data-urlencode 'query={runs}'

It answers with the number of runs that arrived, those that were missed included. In a browser:
  traces  {traces}
  cost    {cost}
  alerts  {alerts}
"""


if __name__ == "__main__":
    sys.exit(main())
