"""How a sync rests in the host's process, and how it ends when the host exits."""

from __future__ import annotations

import threading

from ..clock import Clock
from ..hooks import Activity
from .plan import is_after_hook, rest_s


class StopSyncError(BaseException):
    """The host has stopped waiting. What is done stays done, and the next process does the rest."""


class HostPace:
    """The clock of a sync in the host's process: it makes the sync rest until the host exits."""

    def __init__(self, activity: Activity, clock: Clock) -> None:
        self._activity = activity
        self.now_ns = clock.now_ns
        self.monotonic_s = clock.monotonic_s
        self.thread_cpu_s = clock.thread_cpu_s
        self.wait = clock.wait
        self._exiting = threading.Event()
        self._deadline_s: float | None = None
        self._thread = threading.local()
        self.has_open_runs = False
        """Whether the last sync saw runs that were going on."""

    @property
    def exit_deadline_s(self) -> float | None:
        """When the host stops waiting for us; None while it is not exiting."""
        return self._deadline_s if self._exiting.is_set() else None

    def begin_exit(self, limit_s: float) -> None:
        """Begin the exit: the host waits `limit_s` for us."""
        self._deadline_s = self.monotonic_s() + limit_s
        self._exiting.set()

    def remaining_s(self) -> float | None:
        """Return how long the host still waits; None while it is not exiting."""
        deadline_s = self.exit_deadline_s
        return None if deadline_s is None else deadline_s - self.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Return after this many seconds, or as soon as the exit begins."""
        self.wait(self._exiting, seconds)

    def start_counting(self) -> None:
        """Start to count the work of this thread."""
        self._thread.rested_s = self.thread_cpu_s()

    def rest(self) -> None:
        """Rest in proportion to the work since the last rest, or not at all while the host waits.

        Each thread rests for its own work: several destinations have a thread each. Raises
        `StopSyncError` when the host has stopped waiting.
        """
        remaining_s = self.remaining_s()
        if remaining_s is not None:
            if remaining_s <= 0:
                raise StopSyncError
            return
        worked_s = self.thread_cpu_s() - getattr(self._thread, "rested_s", 0.0)
        hooked = is_after_hook(self._activity.last_hook_s, self.monotonic_s())
        self.sleep(rest_s(worked_s, runs_going_on=hooked or self.has_open_runs))
        self.start_counting()
