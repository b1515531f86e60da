"""A thread for each destination: no destination waits for another, and the next sync waits for none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

from .report import DestinationReport, merged

CHECK_S: Final = 0.1
"""The time between two checks, while destinations are awaited, whether the wait should end."""

Task: TypeAlias = Callable[[Callable[[], bool]], DestinationReport]
"""Sends a destination what is pending. Its argument returns whether the task should stop; the task
asks it between requests."""


@dataclass(slots=True)
class _Assignment:
    next_task: Task | None
    """Begins as soon as the current task has stopped, because it knows of newer runs and settings."""
    cancelled: bool = False

    def should_stop(self) -> bool:
        return self.next_task is not None or self.cancelled


class DestinationThreads:
    """The threads of one process, kept between its syncs.

    Their reports are collected by the sync that started them, or by a later one. The threads are
    daemons, so none of them keeps the process from leaving. Not for use across a fork.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._assignments: dict[str, _Assignment] = {}
        self._ended: list[tuple[str, DestinationReport | BaseException]] = []

    def start(self, name: str, task: Task) -> None:
        """Run a task for a destination. A thread that is busy stops after the request at hand, and
        then goes on with this task."""
        with self._changed:
            known = self._assignments.get(name)
            if known is not None:
                known.next_task = task
                return
            assignment = self._assignments[name] = _Assignment(task)
        thread = threading.Thread(
            target=self._work, args=(name, assignment), name=f"cronalytics-otel {name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # some versions of Python start no thread while the interpreter leaves
            self._work(name, assignment)

    def is_busy(self, name: str) -> bool:
        with self._changed:
            return name in self._assignments

    def stop_all_but(self, names: Collection[str]) -> None:
        """Stop the other threads after the request at hand: they are not in the settings any more."""
        with self._changed:
            for name, assignment in self._assignments.items():
                assignment.cancelled = name not in names

    def wait(self, names: Collection[str], enough: Callable[[], bool]) -> None:
        """Wait until these threads have ended, or `enough` returns True."""
        with self._changed:
            while not self._assignments.keys().isdisjoint(names) and not enough():
                self._changed.wait(CHECK_S)

    @property
    def has_reports(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._ended)

    def collect(self) -> dict[str, DestinationReport]:
        """Return the reports of the tasks that have ended since the last call, by destination.

        Raises what one of them raised.
        """
        with self._changed:
            ended, self._ended = self._ended, []
        reports: dict[str, DestinationReport] = {}
        for name, end in ended:
            if isinstance(end, BaseException):
                raise end
            reports = merged(reports, {name: end})
        return reports

    def _work(self, name: str, assignment: _Assignment) -> None:
        while True:
            with self._changed:
                task, assignment.next_task = assignment.next_task, None
                if task is None or assignment.cancelled:
                    del self._assignments[name]
                    self._changed.notify_all()
                    return
            end: DestinationReport | BaseException
            try:
                end = task(assignment.should_stop)
            except BaseException as error:  # noqa: BLE001 - raised where it is collected
                end = error
            with self._changed:
                self._ended.append((name, end))
