"""`forecast`: what the schedules will cost, against the budgets, and what they would cost if they changed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from .. import arguments
from ..errors import CommandError, ExitStatus
from ..filters import add_filters, add_rows, asking
from ..scope import matching_jobs, one_job

if TYPE_CHECKING:
    from ...insight.forecast import Forecast, WhatIf
    from ...model import Budgets, Schedule
    from ..context import Context
    from ..filters import Question

NAME: Final = "forecast"
SUMMARY: Final = "what the schedules will cost, against the budgets"
EXAMPLES: Final = """\
examples:
  %(prog)s                                            the next 30, 90 and 365 days, and this month
  %(prog)s --job digest --schedule '0 */2 * * *'      what if it ran every two hours
  %(prog)s --skip digest                              what if it did not run
  %(prog)s --fail-over                                status 1 if a budget will not be kept
  %(prog)s --fail-over 50                             status 1 if 30 days will cost more than $50"""

_BY_BUDGETS: Final = -1.0
"""The value of `--fail-over` without an amount."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    group = parser.add_argument_group("what if")
    group.add_argument(
        "--schedule",
        metavar="SCHEDULE",
        type=arguments.some_text,
        help="the job of --job had this schedule: a cron expression, or 'every 2h'",
    )
    group.add_argument(
        "--skip",
        metavar="JOB",
        action="append",
        type=arguments.some_text,
        help="this job did not run; may be given more than once",
    )
    parser.add_argument(
        "--fail-over",
        metavar="USD",
        nargs="?",
        type=arguments.usd,
        const=_BY_BUDGETS,
        help="end with status 1 if a budget is exceeded or will be;"
        " with an amount, if the next 30 days will cost more",
    )
    add_rows(parser, limit=20)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.budgets import has_limit_of_a_period
    from ...insight.forecast import WhatIf, read_forecast
    from ..figure_shapes import csv_rows
    from ..views import forecast as view

    with asking(args, context) as question:
        what_if = _what_if(args, question)
        budgets = _budgets(context, question)
        if args.fail_over == _BY_BUDGETS and not any(map(has_limit_of_a_period, budgets.values())):
            raise CommandError(
                "There is no budget to hold the forecast against.",
                "Set `budgets` (docs/configuration.md), or name an amount: --fail-over 50",
                status=ExitStatus.USAGE,
            )

        def read(changes: WhatIf) -> Forecast:
            return read_forecast(
                question.profiles,
                question.jobs,
                question.wanted,
                question.window,
                question.now_ns,
                budgets=budgets,
                what_if=changes,
            )

        forecast = read(what_if)
        before = None if what_if.changes_nothing else read(WhatIf())
    shown = view.Shown(
        forecast=forecast,
        before=before,
        window=question.window,
        several_profiles=question.several_profiles,
        limit=args.limit or None,
    )
    if context.as_json:
        context.terminal.json(view.to_json(shown))
    elif args.csv:
        context.terminal.csv(csv_rows(view.csv_shapes(shown)))
    elif forecast.jobs:
        context.terminal.data(*view.lines(shown, context.terminal.width))
    else:
        context.terminal.note("No job that matches is scheduled to run.")
    return ExitStatus.FAILED if _is_over(args.fail_over, forecast) else ExitStatus.OK


def _budgets(context: Context, question: Question) -> dict[str, Budgets]:
    found = {}
    for profile, there in question.contexts.items():
        settings = there.settings()
        found[profile] = settings.budgets
        for problem in settings.problems:
            if ".budgets" in problem:
                context.terminal.warn(problem)
    return found


def _is_over(limit_usd: float | None, forecast: Forecast) -> bool:
    from ...domain.projections import Horizon

    if limit_usd is None:
        return False
    if limit_usd == _BY_BUDGETS:
        return forecast.is_over_budget
    usd = forecast.together.outlook[Horizon.DAYS_30].nominal.usd
    return usd is not None and usd > limit_usd


def _what_if(args: argparse.Namespace, question: Question) -> WhatIf:
    from ...insight.forecast import WhatIf

    schedules = {}
    if args.schedule is not None:
        if len(args.job or ()) != 1:
            raise CommandError(
                "--schedule needs one --job, whose schedule it is.", status=ExitStatus.USAGE
            )
        job = one_job(question.jobs, args.job[0])
        if job.current is None:
            raise CommandError(f"Hermes has no job {job.name!r} any more.", status=ExitStatus.USAGE)
        schedules[job.profile, job.job_id] = _schedule(args.schedule)
    skipped = frozenset(
        (job.profile, job.job_id)
        for name in args.skip or ()
        for job in matching_jobs(question.jobs, name)
        if job.current is not None
    )
    if both := skipped & schedules.keys():
        raise CommandError(
            f"A job cannot have another schedule and be skipped: {min(both)[1]}.",
            status=ExitStatus.USAGE,
        )
    return WhatIf(schedules=schedules, skipped=skipped)


def _schedule(text: str) -> Schedule:
    from ...domain.cron import read_cron
    from ...host.jobs import read_schedule

    schedule = read_schedule(text, None)
    if schedule is None or (schedule.cron is not None and read_cron(schedule.cron) is None):
        raise CommandError(
            f"{text!r} is no schedule.",
            "Try '0 */2 * * *', 'every 30m', 'every 2h' or 'every 1d'.",
            status=ExitStatus.USAGE,
        )
    return schedule
