"""The command line: `cronalytics-otel …`, and the same commands as `hermes cronalytics-otel …`.

What a command needs is imported when it runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import COMMAND_DEST, add_arguments
from .errors import CommandError, ExitStatus

if TYPE_CHECKING:
    from .context import Context

__all__ = ["add_arguments", "main", "run"]


def main(argv: Sequence[str] | None = None) -> int:
    """The console script; `argv` without the program's name. Gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="cronalytics-otel", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    try:
        args = parser.parse_args(argv)
    except SystemExit as leaving:  # --help, --version, and wrong usage
        return leaving.code if isinstance(leaving.code, int) else ExitStatus.USAGE
    return run(args)


def run(args: argparse.Namespace) -> int:
    """Runs the parsed command and gives its exit status; every expected fault is told on stderr.

    The host throws a handler's return value away: there the caller has to `sys.exit()` with it.
    """
    try:
        return int(_run(args))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        from .terminal import discard_stdout

        discard_stdout()
        return ExitStatus.BROKEN_PIPE
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        print(
            f"error: the Python package {error.name} is missing\n"
            f"  run: {sys.executable} -m pip install cronalytics-otel",
            file=sys.stderr,
        )
        return ExitStatus.FAILED


def _run(args: argparse.Namespace) -> ExitStatus:
    from ..host.home import find_home
    from ..host.sqlite import HostDataError
    from ..journal import JournalError
    from ..lock import SyncBusyError
    from .context import Context
    from .terminal import Terminal

    terminal = Terminal(os.environ)
    context = Context(
        home=find_home(args.home, os.environ),
        environ=os.environ,
        terminal=terminal,
        as_json=args.json,
        now_ns=time.time_ns(),
    )
    try:
        return _dispatch(args, context)
    except CommandError as error:
        terminal.error(str(error), error.remedy)
    except (HostDataError, JournalError, SyncBusyError) as error:
        terminal.error(str(error))
    return ExitStatus.FAILED


def _dispatch(args: argparse.Namespace, context: Context) -> ExitStatus:
    match getattr(args, COMMAND_DEST):
        case "status":
            from .status import run as status

            return status(context)
        case "doctor":
            from .doctor import run as doctor

            return doctor(context)
        case "sync":
            from .sync import run as sync

            return sync(args, context)
        case "runs":
            from .runs import run as runs

            return runs(args, context)
        case "trace":
            from .trace import run as trace

            return trace(args, context)
        case unknown:
            raise AssertionError(f"argparse let {unknown!r} through")
