"""`models`: what each model took."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..filters import add_filters, add_rows, asking

if TYPE_CHECKING:
    from ...insight.models import ModelFigures
    from ..context import Context

NAME: Final = "models"
SUMMARY: Final = "each model: runs, tokens and cost, and how its runs went lately"
EXAMPLES: Final = """\
examples:
  %(prog)s --days 90
  %(prog)s --job 'nightly digest' --sort tokens"""

ORDERS: Final = ("cost", "runs", "tokens", "name")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser)
    add_rows(parser, limit=0, sort=ORDERS)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...domain.averages import Average, AverageKey
    from ...insight.averages import model_averages
    from ...insight.models import model_figures
    from ...insight.profiles import known_since_ns
    from ..figure_shapes import model_shape, models_total_shape
    from ..rows import Rows, show
    from ..views import models as view

    with asking(args, context) as asked:
        question = replace(asked, window=asked.window.for_usage(asked.wanted))
        models = model_figures(
            question.profiles,
            question.wanted,
            question.window,
            known_since_ns=known_since_ns(question.profiles),
        )
        recent = model_averages(question.profiles, question.wanted, context.now_ns)
        if wanted := question.wanted.models:
            models = [model for model in models if model.model in wanted]

        def average(model: ModelFigures) -> Average | None:
            return recent.get(AverageKey(None, model.model, model.provider))

        rows = Rows(
            noun="model",
            all=_ordered(models, args.sort),
            shape=lambda model: model_shape(model, average(model)),
            table=lambda shown: view.table(
                [(model, average(model)) for model in shown], context.terminal.width
            ),
            totals=models_total_shape(models),
            footer=view.footer(models, question.window),
            nothing="No model was called by a run that matches.",
        )
        show(rows, args, context, question)
    return ExitStatus.OK


def _ordered(models: list[ModelFigures], order: str) -> list[ModelFigures]:
    """Return the models in an order; they come in that of their cost."""
    if order == "runs":
        return sorted(models, key=lambda model: -model.runs)
    if order == "tokens":
        return sorted(models, key=lambda model: -model.tokens)
    if order == "name":
        return sorted(models, key=lambda model: (model.model or "").casefold())
    return models
