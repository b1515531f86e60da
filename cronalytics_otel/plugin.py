"""`register(ctx)`: hooks, the command, and the worker where the scheduler runs."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .hooks import HOOKS, Signal
from .host.home import Home, find_home
from .worker import Worker

log = logging.getLogger(__name__)

PACKAGES = {
    "croniter": "croniter",
    "dotenv": "python-dotenv",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "psutil": "psutil",
    "requests": "requests",
    "rich": "rich",
    "yaml": "pyyaml",
}
"""Module to distribution, as in pyproject.toml: the host installs nothing for a plugin."""

RESIDENT_WORDS = frozenset({"gateway", "dashboard", "desktop", "serve", "web"})
"""Commands of the host that stay and may run its scheduler."""

SCHEDULER_WORDS = RESIDENT_WORDS | {"cron"}

_started = False


def register(ctx: Any) -> None:
    """Called by the host at its start-up. Never raises; with packages missing, says so and leaves."""
    global _started  # noqa: PLW0603 - once per process, whichever way we were installed
    try:
        missing = missing_packages()
        if missing:
            log.warning(
                "cronalytics-otel is off: it needs %s. Run: %s -m pip install %s",
                ", ".join(missing), shlex.quote(sys.executable), " ".join(missing),
            )  # fmt: skip
            return
        ctx.register_cli_command(
            name="cronalytics-otel",
            help="cron runs as OpenTelemetry traces: status, doctor, sync, runs, trace",
            setup_fn=_set_up_command,
            handler_fn=_run_command,
        )
        if _started:
            return
        _started = True
        _watch(ctx)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the host goes on without us
        log.warning("cronalytics-otel is off: %s: %s", type(error).__name__, error)


def missing_packages() -> list[str]:
    """The distributions that this interpreter lacks; looked up, not imported."""
    return [name for module, name in PACKAGES.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _watch(ctx: Any) -> None:
    signal = Signal()
    words = _words(sys.argv)
    worker = Worker(_host_home(), signal, resident=bool(words & RESIDENT_WORDS))
    for name in HOOKS:
        if _host_knows(name):
            ctx.register_hook(name, signal.hook_for(worker.start))
    if words & SCHEDULER_WORDS:
        worker.start()


def _words(argv: Sequence[str]) -> frozenset[str]:
    """The command's words; `python -m gateway.run` has its own in the program's path."""
    program = Path(argv[0]) if argv else Path()
    module = {"gateway"} if program.parts[-2:] == ("gateway", "run.py") else set[str]()
    return frozenset(module | set(argv[1:]))


def _host_home() -> Home:
    try:
        from hermes_constants import get_hermes_home

        return find_home(str(get_hermes_home()), os.environ)
    except ImportError:
        return find_home(None, os.environ)


def _host_knows(hook: str) -> bool:
    """Older hosts lack some hooks, and warn about a name they do not know."""
    try:
        from hermes_cli.plugins import VALID_HOOKS
    except ImportError:
        return True
    return hook in VALID_HOOKS


def _set_up_command(parser: Any) -> None:
    from .cli import add_arguments

    add_arguments(parser)


def _run_command(args: Any) -> None:
    from .cli import run

    code = run(args)
    if code:
        raise SystemExit(code)
