"""An answer that is a table: the rows that match, with the totals over all of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from . import formats
from .figure_shapes import csv_rows, window_shape
from .shapes import Shape

if TYPE_CHECKING:
    from rich.text import Text

    from .context import Context
    from .filters import Question

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Generic[T]):
    """The rows of a table in their order, and how they look."""

    noun: str
    """What one row is, in the singular; the key of the list in the JSON is its plural."""
    all: Sequence[T]
    """All that match."""
    shape: Callable[[T], Shape]
    table: Callable[[Sequence[T]], Iterable[Text]]
    totals: Shape
    """Over all that match."""
    footer: Sequence[str | Text]
    """The totals as people read them: lines below the table."""
    nothing: str
    """The message for no rows."""
    limit_keeps_last: bool = False
    """Whether `--limit` leaves the last rows, not the first ones."""

    def shown(self, limit: int) -> Sequence[T]:
        """Return at most `limit` rows, in their order; 0 is all."""
        if not limit:
            return self.all
        return self.all[-limit:] if self.limit_keeps_last else self.all[:limit]


def show(rows: Rows[T], args: argparse.Namespace, context: Context, question: Question) -> None:
    """Print the rows as JSON, as CSV or as a table. Not more than `--limit` of them."""
    from .views.figures import window_note

    shown = rows.shown(args.limit)
    terminal = context.terminal
    if context.as_json:
        terminal.json(
            {
                "window": window_shape(question.window),
                "matched": len(rows.all),
                "shown": len(shown),
                "totals": rows.totals,
                f"{rows.noun}s": [rows.shape(row) for row in shown],
            }
        )
    elif args.csv:
        terminal.csv(csv_rows(map(rows.shape, shown)))
    elif not rows.all:
        terminal.note(rows.nothing)
    else:
        terminal.data(*rows.table(shown))
        terminal.data("", *how_many(len(shown), len(rows.all), rows.noun), *rows.footer)
        terminal.data(*window_note(question.window))


def how_many(shown: int, matched: int, noun: str) -> list[str]:
    """`20 of 1,125 runs shown`; nothing if all are."""
    if shown == matched:
        return []
    return [f"{shown:,} of {formats.counted(matched, noun)} shown; --limit 0 shows all"]
