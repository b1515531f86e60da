"""`sync`: reads what is new, sends what is pending, and says what became of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
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
)
from rich.progress import Progress as Bars
from rich.text import Text

from ...host.home import Home
from ...journal import Journal
from ...sync import DestinationReport, Progress, SyncOptions, SyncReport, sync
from .. import formats
from ..context import Context
from ..errors import ExitStatus
from ..shapes import Shape
from ..terminal import Terminal

_LINE_EVERY = 10_000
"""Runs between two lines of progress, where nothing can be drawn over."""


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    context.require_home()
    settings = context.settings()
    options = SyncOptions(
        full=args.full,
        retry_refused=args.retry_refused,
        dry_run=args.dry_run,
        since_ns=args.since,
        eager=True,
    )
    with _progress(context) as progress:
        report = sync(context.home, settings, options, progress=progress)
    if context.as_json:
        context.terminal.json(_shape(report, dry_run=args.dry_run))
    else:
        context.terminal.data(*_lines(report, context.now_ns, dry_run=args.dry_run))
        if settings.disabled:
            context.terminal.note("OTEL_SDK_DISABLED is true: nothing was sent.")
        elif not report.destinations:
            context.terminal.note("There is no destination: runs are kept in the journal alone.")
    for problem in report.problems:
        context.terminal.warn(problem)
    return ExitStatus.OK if _is_well(report) else ExitStatus.FAILED


def _is_well(report: SyncReport) -> bool:
    """Also a destination that we wait for, because its server asked to, is not well."""
    waiting = any(d.pending and d.next_attempt_ns is not None for d in report.destinations)
    return report.healthy and not waiting


# --- progress -----------------------------------------------------------------------------------


class _Shown(Progress, AbstractContextManager["_Shown"], Protocol):
    """Progress that is shown for the time of a block."""


def _progress(context: Context) -> _Shown:
    if context.terminal.interactive:
        return _Drawn(context.terminal, context.home)
    return _Lines(context.terminal)


class _Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def harvested(self, runs: int) -> None:
        self._tell("", runs, f"read {runs:,} new runs")

    def sent(self, destination: str, runs: int) -> None:
        self._tell(destination, runs, f"sent {runs:,} runs to {destination}")

    def _tell(self, key: str, runs: int, line: str) -> None:
        if runs - self._told.get(key, 0) >= _LINE_EVERY:
            self._told[key] = runs
            self._terminal.note(line)


class _Drawn:
    """A spinner while the host is read, a bar for each destination."""

    def __init__(self, terminal: Terminal, home: Home) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
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
            total = runs + self._pending(destination)
            self._tasks[destination] = self._bars.add_task(f"sending to {destination}", total=total)
        self._bars.update(self._tasks[destination], completed=runs)

    def _pending(self, destination: str) -> int:
        with Journal.open_for_reading(self._home.journal) as journal:
            return sum(d.pending for d in journal.outbox.states() if d.name == destination)


# --- the summary --------------------------------------------------------------------------------


def _lines(report: SyncReport, now_ns: int, *, dry_run: bool) -> Iterator[Text]:
    if report.repair is not None:
        yield Text(
            f"The journal was damaged ({report.repair.fault}) and is now {report.repair.moved_to};"
            " a new one was filled from the host.",
            style="warning",
        )
    new = formats.counted(report.new_runs, "new run")
    found = f"{new} found" if dry_run else new
    yield Text(f"{found}, {report.open_runs:,} still open")
    for destination in report.destinations:
        yield from _destination_lines(destination, now_ns, dry_run=dry_run)
    if dry_run:
        yield Text("Dry run: nothing was written, nothing was sent.")


def _destination_lines(
    destination: DestinationReport, now_ns: int, *, dry_run: bool
) -> Iterator[Text]:
    counts = [f"{destination.pending:,} {'to send' if dry_run else 'pending'}"]
    if not dry_run:
        counts.insert(0, f"{destination.sent:,} sent")
    if destination.refused:
        counts.append(f"{destination.refused:,} refused")
    if destination.given_up:
        counts.append(f"{destination.given_up:,} given up")
    well = destination.error is None and destination.next_attempt_ns is None
    mark = ("✓", "good") if well else ("✗", "bad")
    yield Text.assemble(mark, f" {destination.name}: {', '.join(counts)}")
    if destination.error is not None:
        yield Text(f"  {formats.one_line(destination.error)} ({destination.endpoint})", style="bad")
    if destination.next_attempt_ns is not None:
        yield Text(f"  next try {formats.ago(destination.next_attempt_ns, now_ns)}")


def _shape(report: SyncReport, *, dry_run: bool) -> Shape:
    repair = report.repair
    return {
        "dry_run": dry_run,
        "new_runs": report.new_runs,
        "open_runs": report.open_runs,
        "problems": list(report.problems),
        "repair": None
        if repair is None
        else {"moved_to": str(repair.moved_to), "fault": repair.fault},
        "destinations": [
            {
                "name": destination.name,
                "endpoint": destination.endpoint,
                "sent": destination.sent,
                "pending": destination.pending,
                "refused": destination.refused,
                "given_up": destination.given_up,
                "error": destination.error,
                "next_attempt_at": formats.iso(destination.next_attempt_ns),
            }
            for destination in report.destinations
        ],
    }
