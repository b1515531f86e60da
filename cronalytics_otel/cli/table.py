"""Rows into aligned lines: cells are cut with `…`, and columns left out, until the width is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from .formats import UNKNOWN

GAP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    right: bool = False
    least: int | None = None
    """May be cut down to so many cells; None: is never cut."""
    rank: int = 0
    """The column of the highest rank is left out first, but one with nothing known before it;
    0 stays whatever the width."""


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int | None
) -> list[Text]:
    """The heading and a line for each row, at most `width` cells wide as far as ranks allow."""
    natural = [
        max([len(column.title), *(row[n].cell_len for row in rows)])
        for n, column in enumerate(columns)
    ]
    kept, widths = list(range(len(columns))), natural
    while width is not None:
        widths = _cut_to(width, [natural[n] for n in kept], [columns[n].least for n in kept])
        droppable = [n for n in kept if columns[n].rank]
        if line_width(widths) <= width or not droppable:
            break
        kept.remove(max(droppable, key=lambda n: (_says_nothing(rows, n), columns[n].rank)))
    heading = [Text(columns[n].title, style="muted") for n in kept]
    table = [heading, *([row[n] for n in kept] for row in rows)]
    return [_line(cells, widths, [columns[n].right for n in kept]) for cells in table]


def _says_nothing(rows: Sequence[Sequence[Text]], n: int) -> bool:
    return all(row[n].plain == UNKNOWN for row in rows)


def line_width(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def fit(text: Text, width: int, *, right: bool = False) -> Text:
    """Exactly `width` cells: cut with `…`, or filled with blanks."""
    fitted = text.copy()
    fitted.truncate(width, overflow="ellipsis")
    blanks = " " * (width - fitted.cell_len)
    return Text.assemble(blanks, fitted) if right else fitted.append(blanks)


def _cut_to(width: int, natural: Sequence[int], least: Sequence[int | None]) -> list[int]:
    """Takes what is too much from the columns that may be cut, the widest first."""
    widths = list(natural)
    cuttable = [n for n, low in enumerate(least) if low is not None]
    while line_width(widths) > width:
        able = [n for n in cuttable if widths[n] > (least[n] or 0)]
        if not able:
            break
        widths[max(able, key=lambda n: widths[n])] -= 1
    return widths


def _line(cells: Sequence[Text], widths: Sequence[int], rights: Sequence[bool]) -> Text:
    fitted = (
        fit(cell, width, right=right)
        for cell, width, right in zip(cells, widths, rights, strict=True)
    )
    return Text(" " * GAP).join(fitted)
