"""`trends`: the figures of each day as bars."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_filters, add_rows, asking

if TYPE_CHECKING:
    from ..context import Context

NAME: Final = "trends"
SUMMARY: Final = "each day: runs, failures, time and cost, as bars"
EXAMPLES: Final = """\
examples:
  %(prog)s --days 90 --bars failed
  %(prog)s --job 'nightly digest' --skill news"""

BARS: Final = ("cost", "runs", "failed", "tokens", "duration")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    add_rows(parser, limit=0)
    parser.add_argument(
        "--bars", choices=BARS, default=BARS[0], help="what the bars show (default: %(default)s)"
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.trends import daily_figures, total_of
    from ..figure_shapes import day_shape, run_figures_shape
    from ..rows import Rows, show
    from ..views import trends as view
    from ..views.figures import totals_line, window_text

    with asking(args, context) as question:
        days = daily_figures(question.profiles, question.wanted, question.window)
        total = total_of(days)
        rows = Rows(
            noun="day",
            all=days,
            limit_keeps_last=True,
            shape=day_shape,
            table=lambda shown: view.table(shown, args.bars, context.terminal.width),
            totals=run_figures_shape(total),
            footer=[f"{window_text(question.window)}: {totals_line(total)}"],
            nothing="No run matches.",
        )
        show(rows, args, context, question)
    return ExitStatus.OK
