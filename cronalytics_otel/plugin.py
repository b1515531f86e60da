"""`register(ctx)`: hooks, the command, the skill, and the worker where the host's scheduler runs."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .about import missing_packages
from .hooks import HOOKS, Hooks
from .host.home import Home, find_home
from .worker import Worker

log = logging.getLogger(__name__)

LONG_RUNNING_COMMANDS: Final = frozenset({"gateway", "dashboard", "desktop", "serve"})
"""Commands of the host that run until they are stopped, and may run its scheduler."""

SCHEDULER_COMMANDS: Final = LONG_RUNNING_COMMANDS | {"cron"}
"""Commands of the host that may run jobs."""

SKILL: Final = "cronalytics"
"""The name of our skill: the host calls it `cronalytics-otel:cronalytics`."""

_workers: Final[dict[Path, Worker]] = {}
"""The worker of each home. The host calls `register` again when it reloads plugins."""


def register(ctx: Any) -> None:
    """Register hooks, command and skill with the host, at its start-up.

    Never raises. Logs one warning and registers nothing when packages are missing.
    """
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
        _register_hooks(ctx)
        _register_skill(ctx)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the host goes on without us
        log.warning("cronalytics-otel is off: %s: %s", type(error).__name__, error)


def _register_hooks(ctx: Any) -> None:
    """Register the hooks, and start the worker if this process runs jobs."""
    commands = _command_words(sys.argv)
    worker = _worker_of(_host_home(), long_running=bool(commands & LONG_RUNNING_COMMANDS))
    for name in HOOKS:
        if _is_host_hook(name):
            ctx.register_hook(name, worker.hooks.callback(name, worker.start))
    if commands & SCHEDULER_COMMANDS:
        worker.start()


def _register_skill(ctx: Any) -> None:
    """Register the skill with which the agent answers questions about cron jobs, if the host has skills of
    plugins. The host reads the file when somebody asks for it."""
    try:
        register_skill = getattr(ctx, "register_skill", None)
        if register_skill is not None:
            register_skill(SKILL, Path(__file__).parent / "skills" / SKILL / "SKILL.md")
    except Exception as error:  # noqa: BLE001 - all the rest works without it
        log.warning("cronalytics-otel: its skill is not there: %s", error)


def _worker_of(home: Home, *, long_running: bool) -> Worker:
    worker = _workers.get(home.path)
    if worker is None:
        worker = _workers[home.path] = Worker(home, Hooks(), long_running=long_running)
    return worker


def _command_words(argv: Sequence[str]) -> frozenset[str]:
    """Return the words of the host's command line; none for our own command, which syncs by itself.

    `python -m gateway.run` has its command in the path of the program.
    """
    if "cronalytics-otel" in argv[1:]:
        return frozenset()
    program = Path(argv[0]) if argv else Path()
    module = {"gateway"} if program.parts[-2:] == ("gateway", "run.py") else set[str]()
    return frozenset(module | set(argv[1:]))


def _host_home() -> Home:
    """Return the home that the host names, since it knows its profiles.

    The module that names it is loaded before any plugin is.
    """
    constants = sys.modules.get("hermes_constants")
    if constants is not None:
        return find_home(str(constants.get_hermes_home()), os.environ)
    return find_home(None, os.environ)


def _is_host_hook(hook: str) -> bool:
    """Return whether this host calls the hook. Older hosts lack some, and warn about unknown names."""
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
