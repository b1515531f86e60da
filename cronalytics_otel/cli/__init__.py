"""The command line: `cronalytics-otel …`, and the same commands as `hermes cronalytics-otel …`.

What a command needs is imported when it runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..clock import SYSTEM_CLOCK
from .arguments import COMMAND_DEST, add_arguments
from .errors import CommandError, ExitStatus

if TYPE_CHECKING:
    from ..host.home import Home
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

    A stream that was closed at the start is None: messages for it go nowhere.

    The host throws a handler's return value away: there the caller has to `sys.exit()` with it.
    """
    try:
        return int(_run(args))
    except KeyboardInterrupt:
        _say("\ninterrupted")
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        from .terminal import discard

        discard(sys.stdout)
        return ExitStatus.BROKEN_PIPE
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        _say(
            f"error: the Python package {error.name} is missing\n"
            f"  run: {sys.executable} -m pip install cronalytics-otel"
        )
        return ExitStatus.FAILED


def _say(text: str) -> None:
    if sys.stderr is not None:  # else `print` would take stdout
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr)


def _run(args: argparse.Namespace) -> ExitStatus:
    from ..host.sqlite import HostDataError
    from ..journal import JournalError
    from ..lock import SyncBusyError
    from .context import Context, file_fault, journal_fault
    from .terminal import Terminal

    terminal = Terminal(os.environ)
    try:
        context = Context(
            home=_home(args.home),
            environ=os.environ,
            terminal=terminal,
            as_json=args.json,
            now_ns=SYSTEM_CLOCK.now_ns(),
        )
        try:
            return _dispatch(args, context)
        except JournalError as error:
            raise journal_fault(context.home, error) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise file_fault(error) from error
    except CommandError as error:
        terminal.error(str(error), error.remedy)
    except (HostDataError, SyncBusyError) as error:
        terminal.error(str(error))
    return ExitStatus.FAILED


def _home(explicit: str | None) -> Home:
    from ..host.home import find_home

    try:
        return find_home(explicit, os.environ)
    except RuntimeError as error:  # `~nobody`, or links that lead in a circle
        raise CommandError(
            f"The Hermes home cannot be found: {error}", "Name it with --home or HERMES_HOME."
        ) from error


def _dispatch(args: argparse.Namespace, context: Context) -> ExitStatus:
    match getattr(args, COMMAND_DEST):
        case "status":
            from .commands.status import run as status

            return status(context)
        case "doctor":
            from .commands.doctor import run as doctor

            return doctor(context)
        case "sync":
            from .commands.sync import run as sync

            return sync(args, context)
        case "runs":
            from .commands.runs import run as runs

            return runs(args, context)
        case "trace":
            from .commands.trace import run as trace

            return trace(args, context)
        case unknown:
            raise AssertionError(f"argparse let {unknown!r} through")
