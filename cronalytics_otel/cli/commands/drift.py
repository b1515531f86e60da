"""`drift`: which jobs changed against their own past."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..errors import CommandError, ExitStatus
from ..filters import add_filters, add_rows, asking

if TYPE_CHECKING:
    from ...insight.drifts import JobDrift
    from ..context import Context
    from ..shapes import Shape

NAME: Final = "drift"
SUMMARY: Final = "which jobs changed against their own past, the greatest change first"
EXAMPLES: Final = """\
examples:
  %(prog)s --days 7
  %(prog)s --json | jq '.drifts[] | select(.grew) | .name'"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    add_rows(parser, limit=0)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.drifts import job_drifts
    from ..figure_shapes import job_drift_shape
    from ..formats import counted
    from ..rows import Rows, show
    from ..views import drift as view
    from ..views.figures import prior_note, window_text

    with asking(args, context) as asked:
        if asked.window.prior is None:
            raise CommandError(
                "All that is known has no window before it.",
                "Give --days or --since.",
                status=ExitStatus.USAGE,
            )
        question = replace(asked, window=asked.window.for_percentiles)
        unknown = prior_note(question.window)
        found = job_drifts(question.profiles, question.jobs, question.wanted, question.window)
        jobs = len({(one.profile, one.job_id) for one in found})
        rows = Rows(
            noun="drift",
            all=found,
            shape=_csv_row if args.csv else job_drift_shape,
            table=lambda shown: view.lines(
                shown, context.terminal.width, with_profile=question.several_profiles
            ),
            totals={"jobs": jobs},
            footer=[
                f"{window_text(question.window)}, against the window before: {counted(jobs, 'job')} changed",
                *unknown,
            ],
            nothing=f"No change can be seen. {unknown[0].capitalize()}."
            if unknown
            else "No job changed notably against the window before.",
        )
        show(rows, args, context, question)
    return ExitStatus.OK


def _csv_row(one: JobDrift) -> Shape:
    """Return the row of a CSV: the changes of the definition are one cell of text."""
    from ..figure_shapes import job_drift_shape
    from ..views.drift import change_of_part

    changes = "; ".join(map(change_of_part, one.definition_changes))
    return job_drift_shape(one) | {"definition_changes": changes}
