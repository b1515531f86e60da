"""`summary`: all jobs at a glance."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_csv, add_filters, asking

if TYPE_CHECKING:
    from ..context import Context

NAME: Final = "summary"
SUMMARY: Final = "all jobs at a glance: totals, leaders, models, and what needs attention"
EXAMPLES: Final = """\
examples:
  %(prog)s                     the last 30 days, against the 30 days before
  %(prog)s --days 7 --skill news
  %(prog)s --all-profiles --json | jq .totals.cost_usd"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    add_csv(parser)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.findings import concerns
    from ...insight.summary import summarize
    from ..figure_shapes import csv_rows, summary_shape, together_shape, window_shape
    from ..shapes import finding_shape
    from ..views import summary as view

    with asking(args, context) as question:
        summary = summarize(
            question.profiles, question.wanted, question.window, context.now_ns, jobs=question.jobs
        )
        if args.csv:
            row = {**window_shape(question.window), **together_shape(summary.together)}
            context.terminal.csv(csv_rows([row]))
            return ExitStatus.OK
        findings = [pair for pair in question.findings() if concerns(pair[1], question.wanted.jobs)]
        if context.as_json:
            attention = [finding_shape(*pair) for pair in findings]
            context.terminal.json({**summary_shape(summary), "attention": attention})
        else:
            context.terminal.data(
                *view.lines(
                    summary, findings, context.terminal.width, context.now_ns,
                    with_profile=question.several_profiles,
                )
            )  # fmt: skip
    return ExitStatus.OK
