"""`skills`: how the runs with each skill went lately."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_filters, add_rows, asking

if TYPE_CHECKING:
    from ..context import Context

NAME: Final = "skills"
SUMMARY: Final = "each skill with each model: runs and cost, and how its runs went lately"
EXAMPLES: Final = """\
examples:
  %(prog)s --days 7 --sort success
  %(prog)s --skill news --json"""

ORDERS: Final = ("cost", "runs", "success", "name")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    add_rows(parser, limit=0, sort=ORDERS)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from dataclasses import replace

    from ...insight.averages import SkillFigures, skill_figures
    from ..figure_shapes import skill_shape, skills_total_shape
    from ..rows import Rows, show
    from ..views import models as view

    def order(skill: SkillFigures) -> tuple[float, str]:
        rate = skill.average.success_rate
        number = {"cost": -(skill.cost_usd or 0.0), "runs": -skill.runs, "name": 0.0}.get(
            args.sort, 2.0 if rate is None else rate
        )
        return number, skill.skill.casefold()

    with asking(args, context) as question:
        window = question.window.for_runs
        skills = skill_figures(question.profiles, question.wanted, window)
        rows = Rows(
            noun="skill",
            all=sorted(skills, key=order),
            shape=skill_shape,
            table=lambda shown: view.skill_table(shown, context.terminal.width),
            totals=skills_total_shape(skills),
            footer=view.skill_footer(skills, window),
            nothing="No run with a skill matches.",
        )
        show(rows, args, context, replace(question, window=window))
    return ExitStatus.OK
