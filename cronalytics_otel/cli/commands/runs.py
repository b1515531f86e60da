"""`runs`: a table of runs, newest first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ...model import FAILED_OUTCOMES, Mode, Outcome
from ...model.times import NS
from .. import arguments
from ..errors import ExitStatus

if TYPE_CHECKING:
    from ...journal.filters import RunFilter
    from ..context import Context

NAME: Final = "runs"
SUMMARY: Final = "a table of runs, newest first"
EXAMPLES: Final = """\
examples:
  %(prog)s --job 'nightly digest' --days 30
  %(prog)s --outcome failed --outcome skipped --limit 0
  %(prog)s --json | jq '.[] | select(.cost_usd > 1)'"""

FAILED = "failed"
"""The value of `--outcome` that means every outcome that is a failure."""

DEFAULT_LIMIT = 20

_DAY_NS = 86_400 * NS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--job", metavar="JOB", type=arguments.name, help="of this job alone: its name or its id"
    )
    parser.add_argument(
        "--days",
        metavar="N",
        type=arguments.days,
        help="that ended within the last N days (0: any time)",
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
        type=arguments.whole_number,
        default=DEFAULT_LIMIT,
        help="at most so many (default: %(default)s; 0: all)",
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.runs import list_runs, short_id, totals_of
    from ..shapes import run_shape
    from ..views import runs as view

    with context.journal() as journal:
        page = list_runs(journal, _wanted(args, context.now_ns))
        if context.as_json:
            context.terminal.json([run_shape(found) for found in page.runs])
        elif page.runs:
            ids = [short_id(journal, found) for found in page.runs]
            context.terminal.data(*view.table(page.runs, ids, context.terminal.width))
            context.terminal.data("", *view.summary(page, totals_of(page.runs)))
        else:
            context.terminal.note(view.nothing(journal.queries.totals()))
    return ExitStatus.OK


def _wanted(args: argparse.Namespace, now_ns: int) -> RunFilter:
    from ...journal.filters import RunFilter

    names: list[str] | None = args.outcome
    outcomes: set[Outcome] = set()
    for name in names or ():
        outcomes |= FAILED_OUTCOMES if name == FAILED else {Outcome(name)}
    return RunFilter(
        job=args.job,
        since_ns=now_ns - round(args.days * _DAY_NS) if args.days else None,
        outcomes=frozenset(outcomes) if names else None,
        mode=Mode(args.mode) if args.mode else None,
        limit=args.limit or None,
    )
