"""How gently a sync works in the host's process, and how it ends when the host leaves."""

from __future__ import annotations

import threading

from ..clock import Clock
from ..hooks import Activity
from .schedule import is_after_hook, rest_s


class StopSyncError(BaseException):
    """The host waits no longer. What is done stays done, and the next process does the rest."""


class Pace:
    """The clock of a sync in the host's process. The sync rests between chunks, until the host leaves."""

    def __init__(self, activity: Activity, clock: Clock) -> None:
        self._activity = activity
        self.now_ns = clock.now_ns
        self.monotonic_s = clock.monotonic_s
        self.thread_s = clock.thread_s
        self.wait = clock.wait
        self._leaving = threading.Event()
        self._deadline_s: float | None = None
        self._thread = threading.local()
        self.has_open_runs = False
        """Whether the last sync saw runs that were going on."""

    @property
    def exit_deadline_s(self) -> float | None:
        """Until when the host waits for us; None as long as it does not leave."""
        return self._deadline_s if self._leaving.is_set() else None

    def leave(self, limit_s: float) -> None:
        """Hurry from now on, because the host leaves and waits so long for us."""
        self._deadline_s = self.monotonic_s() + limit_s
        self._leaving.set()

    def remaining_s(self) -> float | None:
        """Return how long the host still waits; None as long as it does not leave."""
        deadline_s = self.exit_deadline_s
        return None if deadline_s is None else deadline_s - self.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as the host begins to leave."""
        self.wait(self._leaving, seconds)

    def begin(self) -> None:
        """Count the work of this thread from here."""
        self._thread.rested_s = self.thread_s()

    def between_chunks(self) -> None:
        """Rest in proportion to the work since the last rest, or not at all while the host waits.

        Each thread rests for its own work: several destinations have a thread each. Raises
        `StopSyncError` when the host waits no longer.
        """
        remaining_s = self.remaining_s()
        if remaining_s is not None:
            if remaining_s <= 0:
                raise StopSyncError
            return
        worked_s = self.thread_s() - getattr(self._thread, "rested_s", 0.0)
        hooked = is_after_hook(self._activity.last_s, self.monotonic_s())
        self.sleep(rest_s(worked_s, runs_going_on=hooked or self.has_open_runs))
        self.begin()
