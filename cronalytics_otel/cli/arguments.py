"""The commands and their options. Light: what runs them is imported elsewhere."""

from __future__ import annotations

import argparse
import math
import re
from datetime import datetime, timedelta
from typing import TypeAlias

from ..about import __version__
from ..clock import SYSTEM_CLOCK
from ..model import Mode, Outcome
from ..model.times import ns_of

COMMAND_DEST = "cronalytics_command"
"""Not `command`: in the host's parser that is its own."""

FAILED = "failed"
"""Every outcome that is a failure, for `--outcome`."""

DEFAULT_LIMIT = 20

_ALL = 10**12
"""No journal holds so many runs, and SQLite can count so far."""

_DESCRIPTION = """\
Every cron run of Hermes Agent: what became of it, what it took, and whether its trace has
reached your OpenTelemetry backends. `runs` and `trace` need no backend."""

_EXAMPLES = """\
examples:
  %(prog)s sync                        read what is new and send it
  %(prog)s runs --outcome failed       the latest failures
  %(prog)s trace latest                the newest run as a waterfall
  %(prog)s doctor                      find out why nothing arrives

exit status: 0 well, 1 something is wrong, 2 wrong usage, 130 interrupted.
environment: HERMES_HOME, OTEL_*, NO_COLOR, COLUMNS."""

_SYNC_EXAMPLES = """\
examples:
  %(prog)s --dry-run           what is new, and what is still to be sent
  %(prog)s --since 7d          send only runs that ended within the last week
  %(prog)s --retry-refused     send again what a destination had refused for good
  %(prog)s --full              read all of the host's history once more"""

_RUNS_EXAMPLES = """\
examples:
  %(prog)s --job 'nightly digest' --days 30
  %(prog)s --outcome failed --outcome skipped --limit 0
  %(prog)s --json | jq '.[] | select(.cost_usd > 1)'"""

_TRACE_EXAMPLES = """\
examples:
  %(prog)s latest
  %(prog)s 3f9a61c0            a run, by the beginning of its id (first column of `runs`)
  %(prog)s 'nightly digest'    the latest run of a job"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Puts all commands into `parser`: our own, or the subparser that the host hands over."""
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    version = f"cronalytics-otel {__version__}"
    parser.add_argument("--version", action="version", version=version)
    _add_common(parser, home=None, as_json=False)
    commands = parser.add_subparsers(
        dest=COMMAND_DEST, metavar="COMMAND", required=True, title="commands"
    )
    _add(commands, "status", "what is known, and where each destination stands")
    _add(commands, "doctor", "check everything from the host's files to a receipt, with fixes")
    _add_sync(commands)
    _add_runs(commands)
    _add_trace(commands)


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def _add(
    commands: _Commands, name: str, summary: str, examples: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Suppressed, so that one given before the command is not overwritten.
    _add_common(parser, home=argparse.SUPPRESS, as_json=argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, home: str | None, as_json: str | bool) -> None:
    parser.add_argument(
        "--home",
        metavar="DIR",
        default=home,
        help="the Hermes home (default: HERMES_HOME, else ~/.hermes)",
    )
    parser.add_argument(
        "--json", action="store_true", default=as_json, help="print JSON; see docs/cli.md"
    )


def _add_sync(commands: _Commands) -> None:
    parser = _add(commands, "sync", "read what is new and send what is pending", _SYNC_EXAMPLES)
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=_since,
        help="send only runs that ended since then: 7d, 24h, 2026-01-31, or ISO 8601;"
        " the others stay pending",
    )
    parser.add_argument(
        "--full", action="store_true", help="read everything of the host again, add what is missing"
    )
    parser.add_argument(
        "--retry-refused", action="store_true", help="send again what was refused for good"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would be done; write and send nothing"
    )


def _add_runs(commands: _Commands) -> None:
    parser = _add(commands, "runs", "a table of runs, newest first", _RUNS_EXAMPLES)
    parser.add_argument(
        "--job", metavar="JOB", type=_name, help="of this job alone: its name or its id"
    )
    parser.add_argument(
        "--days", metavar="N", type=_days, help="that ended within the last N days (0: any time)"
    )
    parser.add_argument(
        "--outcome",
        action="append",
        choices=[*(str(outcome) for outcome in Outcome), FAILED],
        metavar="OUTCOME",
        help=f"with this outcome: {', '.join(Outcome)}; or {FAILED} for every failure;"
        " may be given more than once",
    )
    parser.add_argument(
        "--mode", choices=[str(mode) for mode in Mode], help="of agent jobs, or of script jobs"
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_whole,
        default=DEFAULT_LIMIT,
        help="at most so many (default: %(default)s; 0: all)",
    )


def _add_trace(commands: _Commands) -> None:
    parser = _add(commands, "trace", "one run as a waterfall of its steps", _TRACE_EXAMPLES)
    parser.add_argument(
        "reference",
        metavar="RUN",
        type=_name,
        help="an execution or session id or the beginning of one, a job's name or id (its latest"
        " run), or `latest`",
    )


# --- values -------------------------------------------------------------------------------------

_SPAN = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_since(text: str, now_ns: int) -> int:
    """`90m`, `24h`, `7d`, `2w` back from now; a day (its local midnight) or a time of ISO 8601
    (local without an offset). Epoch ns, not before 1970: no run is. Raises ValueError with what is wrong."""
    match = _SPAN.fullmatch(text.strip())
    try:
        if match is not None:
            ago = timedelta(seconds=float(match["number"]) * _UNIT_S[match["unit"]])
            since_ns = now_ns - round(ago / timedelta(microseconds=1)) * 1000
        else:
            since_ns = ns_of(_moment(text.strip()))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: try 7d, 24h, 2026-01-31, 2026-01-31T09:00"
        ) from None
    if since_ns > now_ns:
        raise ValueError(f"{text!r} lies in the future")
    return max(0, since_ns)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.astimezone()


def _since(text: str) -> int:
    try:
        return parse_since(text, SYSTEM_CLOCK.now_ns())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 <= days < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return days


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return min(int(text), _ALL)


def _name(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no text in UTF-8") from None
    return text
