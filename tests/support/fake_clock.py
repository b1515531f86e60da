"""Clocks of tests, for code that is given a `Clock`."""

from __future__ import annotations

import threading

from cronalytics_otel.clock import SystemClock


class FakeClock:
    """Time passes only when somebody sleeps or waits, and then at once."""

    def __init__(
        self, *, now_ns: int = 1_769_839_204_000_000_000, monotonic_s: float = 0.0
    ) -> None:
        self._now_ns = now_ns
        self._monotonic_s = monotonic_s
        self.slept: list[float] = []
        """The seconds of each sleep."""

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def thread_cpu_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass. With negative seconds the time of day is set back."""
        self._monotonic_s += max(0.0, seconds)
        self._now_ns += round(seconds * 1e9)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return at once: the event stands as it is."""
        if not event.is_set():
            self.advance(timeout_s)
        return event.is_set()


class ShiftedClock:
    """The system's clock, with a time of day that is ahead of it."""

    monotonic_s = staticmethod(SystemClock.monotonic_s)
    thread_cpu_s = staticmethod(SystemClock.thread_cpu_s)
    sleep = staticmethod(SystemClock.sleep)

    def __init__(self, ahead_ns: int) -> None:
        self._ahead_ns = ahead_ns

    def now_ns(self) -> int:
        return SystemClock.now_ns() + self._ahead_ns

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)
