"""The days as bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.text import Text

from ...insight.run_figures import RunFigures
from ...insight.trends import DayFigures
from .. import formats
from ..table import Cell, Column, lay_out
from .figures import bar, cost_cell, rate_cell

_BAR_WIDTH = 24

_VALUES: Final[dict[str, Callable[[RunFigures], float]]] = {
    "cost": lambda figures: figures.cost_usd or 0.0,
    "runs": lambda figures: figures.runs,
    "failed": lambda figures: figures.failed,
    "tokens": lambda figures: figures.tokens,
    "duration": lambda figures: figures.duration_s,
}


def table(days: Sequence[DayFigures], bars: str, width: int | None) -> list[Text]:
    """Return a line for each day, oldest first; `~` marks a day that the window cuts."""
    value = _VALUES[bars]
    total_time = bars == "duration"
    most = max((value(day.figures) for day in days), default=0.0)
    columns = [
        Column(title="DAY"),
        Column(title=bars.upper()),
        Column(title="RUNS", right=True, rank=1),
        Column(title="FAILED", right=True, rank=2),
        Column(title="COST", right=True, rank=1),
        Column(title="OK", right=True, rank=3),
        Column(
            title="TIME" if total_time else "MEAN TIME", right=True, rank=1 if total_time else 4
        ),
        Column(title="TOKENS", right=True, rank=1 if bars == "tokens" else 5),
        Column(title="MISSED", right=True, rank=6),
    ]
    rows = [
        [
            Cell(f"{day.day:%a %Y-%m-%d}{' ' if day.is_whole else '~'}", "muted"),
            Cell(bar(value(day.figures), most, _BAR_WIDTH), "bar"),
            Cell(formats.count(day.figures.runs)),
            Cell(formats.count(day.figures.failed), "bad" if day.figures.failed else "muted"),
            cost_cell(day.figures),
            rate_cell(day.figures.success_rate),
            Cell(formats.duration(_time_s(day.figures, total=total_time))),
            Cell(formats.count(day.figures.tokens)),
            Cell(formats.count(day.figures.missed), "bad" if day.figures.missed else "muted"),
        ]
        for day in days
    ]
    return lay_out(columns, rows, width)


def _time_s(figures: RunFigures, *, total: bool) -> float | None:
    return figures.duration_s if total else figures.mean_duration_s
