"""The command line: `cronalytics-otel …`, and the same commands as `hermes cronalytics-otel …`.

Modules that are needed only to run a command are imported when it runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ..about import __version__
from ..clock import SYSTEM_CLOCK
from .arguments import Parser, add_common, add_common_to_command
from .commands import (
    doctor,
    drift,
    export,
    forecast,
    health,
    job,
    jobs,
    links,
    models,
    output,
    runs,
    skills,
    status,
    summary,
    sync,
    trace,
    trends,
    watch,
)
from .errors import CommandError, ExitStatus

if TYPE_CHECKING:
    from ..host.home import Home
    from .context import Context

__all__ = ["COMMANDS", "add_arguments", "main", "run"]


class Command(Protocol):
    """The interface of each module of `commands/`. Importing one must load nothing heavy."""

    NAME: str
    SUMMARY: str
    """One line for `--help`, in lower case and without a full stop."""
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Add the command's own options."""

    def run(self, args: argparse.Namespace, context: Context, /) -> ExitStatus:
        """Do the work and print the answer. Raises `CommandError`."""
        ...


COMMANDS: Final[tuple[Command, ...]] = (
    summary,
    jobs,
    job,
    runs,
    trace,
    links,
    output,
    watch,
    models,
    skills,
    trends,
    drift,
    forecast,
    export,
    status,
    health,
    doctor,
    sync,
)
"""All commands, in the order of `--help`."""

_OBJECTS_PER_COLLECTION = 100_000
"""Python looks for cycles of garbage after so many new objects: 700 is much too often for a long answer."""

_COMMAND_DEST = "cronalytics_command"
"""The attribute in which argparse puts the command's name. The host's parser uses `command` itself."""

_DESCRIPTION = """\
Every cron run of Hermes Agent: what became of it, what it cost, what comes next, and whether its
trace has reached your OpenTelemetry backends. Only `sync` and `doctor` send anything."""

_EXAMPLES = """\
examples:
  %(prog)s sync                        read what is new and send it
  %(prog)s summary --days 7            what all jobs did and cost last week
  %(prog)s health                      what is wrong now
  %(prog)s runs --outcome failed       the latest failures
  %(prog)s trace latest                the newest run as a waterfall
  %(prog)s doctor                      find out why nothing arrives

exit status: 0 well, 1 something is wrong, 2 wrong usage, 130 interrupted.
environment: HERMES_HOME, OTEL_*, NO_COLOR, COLUMNS."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all commands to `parser`, which is our own or the subparser that the host hands over."""
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    version = f"cronalytics-otel {__version__}"
    parser.add_argument("--version", action="version", version=version)
    add_common(parser)
    subparsers = parser.add_subparsers(
        dest=_COMMAND_DEST,
        metavar="COMMAND",
        required=True,
        title="commands",
        parser_class=Parser,
    )
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.NAME,
            help=command.SUMMARY,
            description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_common_to_command(subparser)
        command.add_arguments(subparser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script and return its exit status. `argv` is without the program's name."""
    parser = Parser(prog="cronalytics-otel", formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    try:
        args = parser.parse_args(argv)
    except SystemExit as leaving:  # --help, --version, and wrong usage
        return leaving.code if isinstance(leaving.code, int) else ExitStatus.USAGE
    return run(args)


def run(args: argparse.Namespace) -> int:
    """Run the parsed command and return its exit status; every expected fault goes to stderr.

    A stream that was closed at the start is None, and messages for it go nowhere. The host ignores
    the return value of a command's handler: the caller has to `sys.exit()` with it.
    """
    try:
        return int(_run(args))
    except KeyboardInterrupt:
        _print_error("\ninterrupted")
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        from .terminal import discard

        discard(sys.stdout)
        return ExitStatus.BROKEN_PIPE
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __name__.partition(".")[0]:
            raise
        _print_error(
            f"error: the Python package {error.name} is missing\n"
            f"  run: {sys.executable} -m pip install cronalytics-otel"
        )
        return ExitStatus.FAILED


def _print_error(text: str) -> None:
    if sys.stderr is not None:  # otherwise `print` would write to stdout
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr)


def _run(args: argparse.Namespace) -> ExitStatus:
    from ..host.sqlite import HostDataError
    from ..journal import JournalError
    from ..lock import SyncBusyError
    from .context import Context, file_fault, journal_fault
    from .terminal import Terminal

    (command,) = (c for c in COMMANDS if getattr(args, _COMMAND_DEST) == c.NAME)
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
            status = command.run(args, context)
        except JournalError as error:
            raise journal_fault(context.home, error) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise file_fault(error) from error
    except CommandError as error:
        terminal.error(str(error), error.remedy)
        return error.status
    except (HostDataError, SyncBusyError) as error:
        terminal.error(str(error))
    else:
        return ExitStatus.FAILED if terminal.left_out and not status else status
    return ExitStatus.FAILED


def _home(explicit: str | None) -> Home:
    from ..host.home import find_home

    try:
        return find_home(explicit, os.environ)
    except RuntimeError as error:  # `~nobody`, or links that lead in a circle
        raise CommandError(
            f"The Hermes home cannot be found: {error}", "Name it with --home or HERMES_HOME."
        ) from error
