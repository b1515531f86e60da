"""A thread for each destination: no destination waits for another, and the next sync waits for none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Generic, Protocol, Self, TypeAlias, TypeVar

CHECK_S: Final = 0.1
"""How often a wait for destinations checks whether it should end."""


class Report(Protocol):
    """What a task did for its destination."""

    def followed_by(self, later: Self) -> Self:
        """Return one report of two."""


R = TypeVar("R", bound=Report)

SendTask: TypeAlias = Callable[[Callable[[], bool]], R]
"""Sends a destination what is pending. Its argument returns whether the task should stop; the task
asks it between requests."""


@dataclass(slots=True)
class _DestinationWork(Generic[R]):
    queued_task: SendTask[R] | None
    """Begins as soon as the current task has stopped, because it knows of newer runs and settings."""
    cancelled: bool = False

    def should_stop(self) -> bool:
        return self.queued_task is not None or self.cancelled


class DestinationThreads(Generic[R]):
    """The threads of one process, kept between its syncs.

    Their reports are collected by the sync that started them, or by a later one. The threads are
    daemons, so none of them keeps the process from exiting. Not for use across a fork.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy: dict[str, _DestinationWork[R]] = {}
        """By destination, what its thread is doing."""
        self._ended: list[tuple[str, R | BaseException]] = []

    def start(self, name: str, task: SendTask[R]) -> None:
        """Run a task for a destination. A busy thread stops after the request at hand, and then
        continues with this task."""
        with self._changed:
            known = self._busy.get(name)
            if known is not None:
                known.queued_task = task
                return
            work = self._busy[name] = _DestinationWork(task)
        thread = threading.Thread(
            target=self._run, args=(name, work), name=f"cronalytics-otel {name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # Some versions of Python start no thread while the interpreter exits: run the task here.
            self._run(name, work)

    def is_busy(self, name: str) -> bool:
        with self._changed:
            return name in self._busy

    def keep_only(self, names: Collection[str]) -> None:
        """Stop the other threads after the request at hand: they are not in the settings any more."""
        with self._changed:
            for name, work in self._busy.items():
                work.cancelled = name not in names

    def wait(self, names: Collection[str], must_stop: Callable[[], bool]) -> None:
        """Wait until these threads have ended, or `must_stop` returns True."""
        with self._changed:
            while not self._busy.keys().isdisjoint(names) and not must_stop():
                self._changed.wait(CHECK_S)

    @property
    def has_reports(self) -> bool:
        """Whether there are reports to collect."""
        return bool(self._ended)

    def collect(self) -> dict[str, R]:
        """Return the reports of the tasks that have ended since the last call, by destination.

        Raises the first error of a task. What came after it is collected by the next call.
        """
        reports: dict[str, R] = {}
        with self._changed:
            while self._ended:
                name, end = self._ended[0]
                if isinstance(end, BaseException):
                    if reports:
                        break  # these first: the next call raises it
                    del self._ended[0]
                    raise end
                del self._ended[0]
                reports[name] = reports[name].followed_by(end) if name in reports else end
        return reports

    def _run(self, name: str, work: _DestinationWork[R]) -> None:
        while True:
            with self._changed:
                task, work.queued_task = work.queued_task, None
                if task is None or work.cancelled:
                    del self._busy[name]
                    self._changed.notify_all()
                    return
            end: R | BaseException
            try:
                end = task(work.should_stop)
            except BaseException as error:  # noqa: BLE001 - raised where it is collected
                end = error
            with self._changed:
                self._ended.append((name, end))
