"""Rows into aligned lines: cells are cut with an ellipsis, and columns left out, until they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from .formats import UNKNOWN

GAP = 2


class Cell(NamedTuple):
    text: str
    style: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    right: bool = False
    least: int | None = None
    """May be cut down to so many cells of the terminal; None: is never cut."""
    rank: int = 0
    """The lower, the sooner it gets its room; 0 is there whatever the width. A column in which
    nothing is known comes last."""


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None
) -> list[Text]:
    """The heading and a line for each row, at most `width` wide as far as ranks allow."""
    natural = [
        max([len(column.title), *(cell_len(row[n].text) for row in rows)])
        for n, column in enumerate(columns)
    ]
    kept = _kept(columns, natural, [_says_nothing(rows, n) for n in range(len(columns))], width)
    widths = _cut_to(width, [natural[n] for n in kept], [columns[n].least for n in kept])
    rights = [columns[n].right for n in kept]
    heading = [Cell(columns[n].title, "muted") for n in kept]
    return [
        _line(cells, widths, rights)
        for cells in (heading, *([row[n] for n in kept] for row in rows))
    ]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` wide on the terminal: cut with an ellipsis, or filled with blanks."""
    length = cell_len(text)
    if length > width:
        return f"{set_cell_size(text, width - 1)}…"
    blanks = " " * (width - length)
    return blanks + text if right else text + blanks


def _says_nothing(rows: Sequence[Sequence[Cell]], n: int) -> bool:
    return all(row[n].text == UNKNOWN for row in rows)


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _kept(
    columns: Sequence[Column], natural: Sequence[int], empty: Sequence[bool], width: int | None
) -> list[int]:
    """The columns that have room, some of them cut."""
    smallest = [
        wide if column.least is None else min(wide, column.least)
        for column, wide in zip(columns, natural, strict=True)
    ]
    kept = [n for n, column in enumerate(columns) if not column.rank]
    others = (n for n, column in enumerate(columns) if column.rank)
    for n in sorted(others, key=lambda n: (empty[n], columns[n].rank)):
        if width is None or _line_width([smallest[m] for m in (*kept, n)]) <= width:
            kept.append(n)
    return sorted(kept)


def _cut_to(width: int | None, natural: Sequence[int], least: Sequence[int | None]) -> list[int]:
    """Takes what is too much from the columns that may be cut, the widest first."""
    widths = list(natural)
    while width is not None and _line_width(widths) > width:
        able = [n for n, low in enumerate(least) if low is not None and widths[n] > low]
        if not able:
            break
        widths[max(able, key=lambda n: widths[n])] -= 1
    return widths


def _line(cells: Sequence[Cell], widths: Sequence[int], rights: Sequence[bool]) -> Text:
    line = Text()
    for n, (cell, width, right) in enumerate(zip(cells, widths, rights, strict=True)):
        line.append(" " * GAP if n else "").append(fit(cell.text, width, right=right), cell.style)
    return line
