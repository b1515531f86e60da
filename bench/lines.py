"""A line of the table, and the table."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure with its floor (the same work, bare, in the same run) and its bar.

    `met` is None for a figure that has no bar.
    """

    name: str
    measured: str
    floor: str = "-"
    ratio: str = "-"
    bar: str = "-"
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a group of lines gets: how large to be, and a folder of its own."""

    quick: bool
    folder: Path

    @property
    def runs(self) -> int:
        """The long history of most lines."""
        return 10_000 if self.quick else 300_000

    @property
    def most_runs(self) -> int:
        return 30_000 if self.quick else 1_000_000

    def once(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder that several groups need and that takes long to make."""
        path = self.folder / name
        if not path.exists():
            make(path)
        return path

    def say(self, text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)


@contextmanager
def bench(*, quick: bool) -> Iterator[Bench]:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cronalytics-otel-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Bench(quick=quick, folder=folder)


COLUMNS = ("line", "measured", "floor", "ratio", "bar", "")


def table(lines: Iterable[Line]) -> str:
    """Plain text, columns as wide as they need be."""
    rows = [COLUMNS]
    rows += [(x.name, x.measured, x.floor, x.ratio, x.bar, x.verdict) for x in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
