"""The progress of a sync: a spinner, and a bar with what is left for each destination; lines in a log."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from ...host.home import Home
from ...insight.overview import pending_runs
from ...journal import Journal
from ...sync import ProgressDisplay
from ..terminal import Terminal

_LINE_EVERY = 10_000
"""Runs between two lines of progress, where lines cannot be redrawn."""


class ShownProgress(ProgressDisplay, AbstractContextManager["ShownProgress"], Protocol):
    """Progress that is shown while a block runs."""


def show_progress(terminal: Terminal, home: Home) -> ShownProgress:
    return DrawnProgress(terminal, home) if terminal.interactive else ProgressLines(terminal, home)


class ProgressLines:
    """Prints a line now and then, for logs and pipes."""

    def __init__(self, terminal: Terminal, home: Home) -> None:
        self._terminal = terminal
        self._home = home
        self._printed: dict[str, int] = {}
        self._totals: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def harvested(self, runs: int) -> None:
        self._print("", runs, f"read {runs:,} new runs")

    def sent(self, destination: str, runs: int) -> None:
        if destination not in self._totals:
            self._totals[destination] = _total(self._home, destination, runs)
        of_all = f"{runs:,} of {max(runs, self._totals[destination]):,} runs"
        self._print(destination, runs, f"sent {of_all} to {destination}")

    def _print(self, key: str, runs: int, line: str) -> None:
        if runs - self._printed.get(key, 0) >= _LINE_EVERY:
            self._printed[key] = runs
            self._terminal.note(line)


def _total(home: Home, destination: str, sent: int) -> int:
    """Return how many runs there are to send, those that were sent included."""
    with Journal.open_for_reading(home.journal) as journal:
        return sent + pending_runs(journal, destination)


class DrawnProgress:
    """Draws a spinner while the host is read, and a bar for each destination."""

    def __init__(self, terminal: Terminal, home: Home) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=terminal.messages,
            transient=True,
        )
        self._home = home
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def harvested(self, runs: int) -> None:
        if "" not in self._tasks:
            self._tasks[""] = self._bars.add_task("reading runs", total=None)
        self._bars.update(self._tasks[""], completed=runs)

    def sent(self, destination: str, runs: int) -> None:
        if destination not in self._tasks:
            total = _total(self._home, destination, runs)
            self._tasks[destination] = self._bars.add_task(f"sending to {destination}", total=total)
        self._bars.update(self._tasks[destination], completed=runs)
