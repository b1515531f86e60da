"""`job NAME`: one job in full."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from .. import arguments
from ..errors import ExitStatus
from ..filters import add_csv, add_filters, asking
from ..scope import one_job

if TYPE_CHECKING:
    from ..context import Context

NAME: Final = "job"
SUMMARY: Final = "one job in full: its days, its projections, what drifts, why it fails"
EXAMPLES: Final = """\
examples:
  %(prog)s 'nightly digest'
  %(prog)s night --days 90     a part of the name or of the id is enough
  %(prog)s 6c58 --json | jq .drift"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference",
        metavar="JOB",
        type=arguments.some_text,
        help="its name or its id, or a part of one, in any case",
    )
    add_filters(parser, jobs=False)
    add_csv(parser)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.job_detail import job_detail
    from ..figure_shapes import csv_rows, day_shape, detail_shape
    from ..views import job as view

    with asking(args, context) as question:
        job = one_job(question.jobs, args.reference)
        (profile,) = (p for p in question.profiles if p.name == job.profile)
        detail = job_detail(profile, job, question.wanted, question.window, context.now_ns)
    if context.as_json:
        context.terminal.json(detail_shape(detail))
    elif args.csv:
        context.terminal.csv(csv_rows(map(day_shape, detail.days)))
    else:
        context.terminal.data(*view.lines(detail, context.terminal.width, context.now_ns))
    return ExitStatus.OK
