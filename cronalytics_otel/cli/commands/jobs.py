"""`jobs`: a table of jobs with their figures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_filters, add_rows, asking

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...insight.jobs import JobFigures
    from ..context import Context

NAME: Final = "jobs"
SUMMARY: Final = "each job: what it did, what it took, and where it is heading"
EXAMPLES: Final = """\
examples:
  %(prog)s --sort cost
  %(prog)s --days 7 --sort failed
  %(prog)s --json | jq '.jobs[] | select(.pace > 2) | .name'"""

ORDERS: Final = (
    "name", "runs", "cost", "tokens", "pace", "success", "failed", "missed", "p95", "last", "next",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    add_rows(parser, limit=0, sort=ORDERS)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.jobs import job_figures
    from ...insight.run_figures import window_sums
    from ...insight.summary import all_jobs
    from ..figure_shapes import job_shape, together_shape
    from ..rows import Rows, show
    from ..views import jobs as view
    from ..views.figures import percentile_note, totals_line, window_text

    with asking(args, context) as question:
        sums = window_sums(question.profiles, question.wanted, question.window)
        jobs = job_figures(
            question.profiles, question.wanted, question.window, context.now_ns,
            jobs=question.jobs, sums=sums,
        )  # fmt: skip
        together = all_jobs(question.profiles, question.window, context.now_ns, jobs, sums)
        rows = Rows(
            noun="job",
            all=ordered(jobs, args.sort),
            shape=job_shape,
            table=lambda shown: view.table(
                shown, context.now_ns, context.terminal.width,
                with_profile=question.several_profiles,
            ),
            totals=together_shape(together),
            footer=[
                f"{window_text(question.window)}: {totals_line(together.figures)}",
                *percentile_note(question.window),
            ],
            nothing="No job matches.",
        )  # fmt: skip
        show(rows, args, context, question)
    return ExitStatus.OK


def ordered(jobs: list[JobFigures], order: str) -> list[JobFigures]:
    """Return the jobs in an order: the most first; the soonest run, and the lowest rate of success."""
    if order == "name":
        return jobs
    key = _KEYS[order]

    def rank(job: JobFigures) -> tuple[bool, float]:
        value = key(job)
        return value is None, 0.0 if value is None else value

    return sorted(jobs, key=rank)


def _most(value: Callable[[JobFigures], float | None]) -> Callable[[JobFigures], float | None]:
    def negative(job: JobFigures) -> float | None:
        number = value(job)
        return None if number is None else -number

    return negative


_KEYS: Final[dict[str, Callable[[JobFigures], float | None]]] = {
    "runs": _most(lambda job: job.figures.runs),
    "cost": _most(lambda job: job.figures.cost_usd),
    "tokens": _most(lambda job: job.figures.tokens),
    "pace": _most(lambda job: job.pace),
    "success": lambda job: job.figures.success_rate,
    "failed": _most(lambda job: job.figures.failed),
    "missed": _most(lambda job: job.figures.missed),
    "p95": _most(lambda job: job.durations.p95_s),
    "last": _most(lambda job: job.recent.last_ended_ns),
    "next": lambda job: job.next_run_ns,
}
