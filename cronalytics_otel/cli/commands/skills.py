"""`skills`: how the runs with each skill went lately."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_filters, add_rows, asking

if TYPE_CHECKING:
    from ..context import Context

NAME: Final = "skills"
SUMMARY: Final = "each skill with each model: success, time and cost of the last 14 days"
EXAMPLES: Final = """\
examples:
  %(prog)s --sort success
  %(prog)s --skill news --json"""

ORDERS: Final = ("cost", "runs", "success", "name")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser, window=False)
    add_rows(parser, limit=0, sort=ORDERS)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from dataclasses import replace

    from ...insight.averages import SkillFigures, recent_window, skill_figures
    from ..figure_shapes import skill_shape, skills_total_shape
    from ..rows import Rows, show
    from ..views import models as view

    def order(skill: SkillFigures) -> tuple[float, str]:
        rate = skill.average.success_rate
        number = {"cost": -(skill.cost_usd or 0.0), "runs": -skill.average.runs, "name": 0.0}.get(
            args.sort, 2.0 if rate is None else rate
        )
        return number, skill.skill.casefold()

    with asking(args, context) as question:
        skills = skill_figures(question.profiles, question.wanted, context.now_ns)
        rows = Rows(
            noun="skill",
            all=sorted(skills, key=order),
            shape=skill_shape,
            table=lambda shown: view.skill_table(shown, context.terminal.width),
            totals=skills_total_shape(skills),
            footer=view.skill_footer(skills),
            nothing="No run with a skill matches in the last 14 days.",
        )
        window = recent_window(question.profiles, context.now_ns)
        show(rows, args, context, replace(question, window=window))
    return ExitStatus.OK
