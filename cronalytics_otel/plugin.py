"""`register(ctx)`: hooks, the command, and the worker where the scheduler runs."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .about import missing_packages
from .hooks import HOOKS, Signal
from .host.home import Home, find_home
from .worker import Worker

log = logging.getLogger(__name__)

RESIDENT_WORDS = frozenset({"gateway", "dashboard", "desktop", "serve"})
"""Commands of the host that stay and may run its scheduler."""

SCHEDULER_WORDS = RESIDENT_WORDS | {"cron"}

_worker: Worker | None = None
"""One per process: the host may register us again, when it loads its plugins anew."""


def register(ctx: Any) -> None:
    """Called by the host at its start-up. Never raises; with packages missing, says so and leaves."""
    try:
        missing = missing_packages()
        if missing:
            log.warning(
                "cronalytics-otel is off: Python packages are missing. Run: %s",
                shlex.join([sys.executable, "-m", "pip", "install", *missing]),
            )
            return
        ctx.register_cli_command(
            name="cronalytics-otel",
            help="cron runs as OpenTelemetry traces: status, doctor, sync, runs, trace",
            setup_fn=_set_up_command,
            handler_fn=_run_command,
        )
        _watch(ctx)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the host goes on without us
        log.warning("cronalytics-otel is off: %s: %s", type(error).__name__, error)


def _watch(ctx: Any) -> None:
    global _worker  # noqa: PLW0603
    words = _words(sys.argv)
    if _worker is None:
        _worker = Worker(_host_home(), Signal(), resident=bool(words & RESIDENT_WORDS))
    for name in HOOKS:
        if _host_knows(name):
            ctx.register_hook(name, _worker.signal.hook_for(name, _worker.start))
    if words & SCHEDULER_WORDS:
        _worker.start()


def _words(argv: Sequence[str]) -> frozenset[str]:
    """The command's words; `python -m gateway.run` has its own in the program's path."""
    if "cronalytics-otel" in argv[1:]:
        return frozenset()  # our own command syncs by itself
    program = Path(argv[0]) if argv else Path()
    module = {"gateway"} if program.parts[-2:] == ("gateway", "run.py") else set[str]()
    return frozenset(module | set(argv[1:]))


def _host_home() -> Home:
    """The host's own answer (it knows profiles); its module is loaded when it loads us."""
    constants = sys.modules.get("hermes_constants")
    if constants is not None:
        return find_home(str(constants.get_hermes_home()), os.environ)
    return find_home(None, os.environ)


def _host_knows(hook: str) -> bool:
    """Older hosts lack some hooks, and warn about a name they do not know."""
    plugins = sys.modules.get("hermes_cli.plugins")
    return hook in getattr(plugins, "VALID_HOOKS", HOOKS)


def _set_up_command(parser: Any) -> None:
    from .cli import add_arguments

    add_arguments(parser)


def _run_command(args: Any) -> None:
    from .cli import run

    code = run(args)
    if code:
        raise SystemExit(code)
