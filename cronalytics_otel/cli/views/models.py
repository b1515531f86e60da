"""The tables of models and of skills."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from ...domain.averages import DAYS, Average
from ...insight.averages import SkillFigures
from ...insight.models import ModelFigures
from ...insight.windows import Window
from .. import formats
from ..table import Cell, Column, lay_out
from .figures import rate_cell, window_text

_RECENT = f"OK, A RUN and TOOK: the last {DAYS} days, where yesterday counts 0.7 of today"


def table(models: Sequence[tuple[ModelFigures, Average | None]], width: int | None) -> list[Text]:
    columns = [
        Column(title="MODEL", least=10),
        Column(title="PROVIDER", rank=7),
        Column(title="RUNS", right=True, rank=2),
        Column(title="CALLS", right=True, rank=9),
        Column(title="TOKENS", right=True, rank=3),
        Column(title="COST", right=True),
        Column(title="SHARE", right=True, rank=1),
        Column(title="CHANGE", right=True, rank=8),
        Column(title="OK", right=True, rank=4),
        Column(title="A RUN", right=True, rank=5),
        Column(title="TOOK", right=True, rank=6),
    ]
    rows = [
        [
            Cell(formats.one_line(model.model or "") or formats.UNKNOWN, "heading"),
            Cell(formats.one_line(model.provider or "") or formats.UNKNOWN, "muted"),
            Cell(f"{model.runs:,}"),
            Cell(f"{model.api_calls:,}"),
            Cell(f"{model.tokens:,}"),
            Cell(formats.bounded_usd(model.cost_usd, is_lower_bound=model.cost_is_lower_bound)),
            Cell(formats.percent(model.cost_share), "muted"),
            Cell(formats.change(model.cost_change)),
            *_recent(recent),
        ]
        for model, recent in models
    ]
    return lay_out(columns, rows, width)


def footer(models: Sequence[ModelFigures], window: Window) -> list[str]:
    tokens = sum(model.tokens for model in models)
    return [f"{window_text(window)}: {_sum_text(models)}, {tokens:,} tokens", _RECENT]


def skill_table(skills: Sequence[SkillFigures], width: int | None) -> list[Text]:
    columns = [
        Column(title="SKILL", least=10),
        Column(title="MODEL", least=8, rank=3),
        Column(title="PROVIDER", rank=6),
        Column(title="RUNS", right=True, rank=1),
        Column(title="OK", right=True, rank=2),
        Column(title="A RUN", right=True, rank=4),
        Column(title="TOOK", right=True, rank=5),
        Column(title="COST", right=True),
    ]
    rows = [
        [
            Cell(formats.one_line(skill.skill), "heading"),
            Cell(formats.one_line(skill.model or "") or formats.UNKNOWN),
            Cell(formats.one_line(skill.provider or "") or formats.UNKNOWN, "muted"),
            Cell(f"{skill.average.runs:,}"),
            *_recent(skill.average),
            Cell(formats.bounded_usd(skill.cost_usd, is_lower_bound=skill.cost_is_lower_bound)),
        ]
        for skill in skills
    ]
    return lay_out(columns, rows, width)


def skill_footer(skills: Sequence[SkillFigures]) -> list[str]:
    return [f"the last {DAYS} days: {_sum_text(skills)}", _RECENT]


def _sum_text(rows: Sequence[ModelFigures] | Sequence[SkillFigures]) -> str:
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    return formats.bounded_usd(
        sum(known) if known else None,
        is_lower_bound=any(row.cost_is_lower_bound for row in rows),
    )


def _recent(average: Average | None) -> list[Cell]:
    if average is None:
        return [Cell(formats.UNKNOWN)] * 3
    return [
        rate_cell(average.success_rate),
        Cell(formats.usd(average.cost_usd)),
        Cell(formats.duration(average.duration_s)),
    ]
