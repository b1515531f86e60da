"""A table as aligned lines. Cells are cut with an ellipsis, and columns left out, until it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Span, Text

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
    """The width to which it may be cut; None if it must never be cut."""
    rank: int = 0
    """Columns get their room in the order of their ranks, and the first one without room ends it: a wider
    terminal shows more columns and never others. A column of rank 0 is always shown, and one in which
    nothing is known comes last."""


@dataclass(frozen=True, slots=True)
class _Content:
    """A column with the cells of all rows."""

    column: Column
    cells: Sequence[Cell]
    width: int
    """The width of the title or of the widest cell."""

    @property
    def least(self) -> int:
        """The width to which it may be cut."""
        return self.width if self.column.least is None else min(self.width, self.column.least)

    @property
    def is_unknown(self) -> bool:
        return all(cell.text == UNKNOWN for cell in self.cells)


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None
) -> list[Text]:
    """Return the heading and a line for each row, at most `width` wide if the ranks allow it."""
    layout = Layout(columns, rows, width)
    return [layout.heading, *map(layout.line, rows)]


class Layout:
    """Which columns there is room for, and how wide each is: by the rows that it is made from."""

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None
    ) -> None:
        contents = [_content(column, [row[n] for row in rows]) for n, column in enumerate(columns)]
        shown = contents if width is None else _with_room(contents, width)
        widths = [content.width for content in shown] if width is None else _cut(shown, width)
        kept = set(map(id, shown))
        self._numbers = [n for n, content in enumerate(contents) if id(content) in kept]
        rights = [content.column.right for content in shown]
        self._shown = [*zip(self._numbers, widths, rights, strict=True)]
        self._may_cut = width is not None
        self.heading = self.line([Cell(column.title, "muted") for column in columns])

    def line(self, cells: Sequence[Cell]) -> Text:
        """Return the line of a row. With a width, cells that are wider than their column are cut."""
        parts, spans, at = self._parts(cells), [], 0
        for number, part in zip(self._numbers, parts, strict=True):
            style = cells[number].style
            if style != "none":
                spans.append(Span(at, at + len(part), style))
            at += len(part) + GAP
        return Text((" " * GAP).join(parts), spans=spans)

    def plain(self, cells: Sequence[Cell]) -> str:
        """Return the line without styles, which is quicker."""
        return (" " * GAP).join(self._parts(cells))

    def _parts(self, cells: Sequence[Cell]) -> list[str]:
        return [
            fit(cells[number].text, width, right=right, may_cut=self._may_cut)
            for number, width, right in self._shown
        ]


def fit(text: str, width: int, *, right: bool = False, may_cut: bool = True) -> str:
    """Return the text exactly `width` wide: cut with an ellipsis, or filled with blanks."""
    if text.isascii() and (len(text) <= width or not may_cut):  # nearly all texts
        return text.rjust(width) if right else text.ljust(width)
    length = _width_of(text)
    if length > width:
        if not may_cut:
            return text
        return f"{set_cell_size(text, width - 1)}…"
    blanks = " " * (width - length)
    return blanks + text if right else text + blanks


def _width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _content(column: Column, cells: Sequence[Cell]) -> _Content:
    return _Content(column, cells, max([len(column.title), *(_width_of(c.text) for c in cells)]))


def _with_room(contents: Sequence[_Content], width: int) -> list[_Content]:
    """Return the columns that have room if they are cut as far as they may be, in their order."""
    shown = {n for n, content in enumerate(contents) if not content.column.rank}
    others = (n for n, content in enumerate(contents) if content.column.rank)
    for n in sorted(others, key=lambda n: (contents[n].is_unknown, contents[n].column.rank)):
        if _line_width([contents[m].least for m in (*shown, n)]) > width:
            break
        shown.add(n)
    return [contents[n] for n in sorted(shown)]


def _cut(contents: Sequence[_Content], width: int) -> list[int]:
    """Return the widths after the columns were cut to fit, the widest one first."""
    widths = [content.width for content in contents]
    while _line_width(widths) > width:
        able = [n for n, content in enumerate(contents) if widths[n] > content.least]
        if not able:
            break
        widths[max(able, key=lambda n: widths[n])] -= 1
    return widths


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
