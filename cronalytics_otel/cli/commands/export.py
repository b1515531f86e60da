"""`export`: every run as a row, for spreadsheets, notebooks and databases."""

from __future__ import annotations

import argparse
from itertools import chain
from typing import TYPE_CHECKING, Final

from ..errors import CommandError, ExitStatus
from ..filters import add_filters, asking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...model import Run
    from ..context import Context
    from ..filters import Question

NAME: Final = "export"
SUMMARY: Final = "every run as a row of CSV or JSON, for other programs"
EXAMPLES: Final = """\
examples:
  %(prog)s > runs.csv
  %(prog)s --format jsonl --days 7 --outcome failed | jq .error_message
  duckdb -c "SELECT job_name, sum(cost_usd) FROM 'runs.csv' GROUP BY 1\""""

_FORMATS: Final = ("csv", "jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser, days=None)
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="csv (the default) or jsonl: a JSON object on each line; docs/cli.md lists the columns",
    )
    parser.set_defaults(csv=False)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ..export_columns import COLUMNS, csv_row, row

    if context.as_json and args.format == "csv":
        raise CommandError("--json and --format csv exclude each other.", status=ExitStatus.USAGE)
    with asking(args, context) as question:
        runs = _runs(question)
        if context.as_json or args.format == "jsonl":
            context.terminal.json_lines(map(row, runs))
            return ExitStatus.OK
        # Also for no run: a program that reads it wants its columns.
        context.terminal.csv(chain([list(COLUMNS)], map(csv_row, runs)))
    return ExitStatus.OK


def _runs(question: Question) -> Iterator[Run]:
    for _, journal in question.profiles:
        yield from journal.queries.each(question.in_window)
