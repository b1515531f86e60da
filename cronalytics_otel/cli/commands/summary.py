"""`summary`: all jobs at a glance."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_csv, add_filters, asking

if TYPE_CHECKING:
    from ...insight.findings import Finding
    from ..context import Context
    from ..filters import Question

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
        findings = _findings(context, question)
        if context.as_json:
            attention = [
                {"profile": profile, **finding_shape(finding)} for profile, finding in findings
            ]
            context.terminal.json({**summary_shape(summary), "attention": attention})
        else:
            context.terminal.data(
                *view.lines(
                    summary, findings, context.terminal.width, context.now_ns,
                    with_profile=question.several_profiles,
                )
            )  # fmt: skip
    return ExitStatus.OK


def _findings(context: Context, question: Question) -> list[tuple[str, Finding]]:
    """Return what is wrong in each home now, as `health` shows it."""
    from dataclasses import replace

    from ...insight.health import read_health

    found = []
    for profile, journal in question.profiles:
        there = replace(context, home=question.homes[profile])
        given = there.health_input(there.settings())
        found += [(profile, finding) for finding in read_health(journal, given)]
    return found
