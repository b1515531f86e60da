"""A clock that a test sets, for code that is given a `Clock`."""

from __future__ import annotations

import threading


class FakeClock:
    """Time passes only when somebody sleeps or waits, and then at once."""

    def __init__(
        self, *, now_ns: int = 1_769_839_204_000_000_000, monotonic_s: float = 0.0
    ) -> None:
        self._now_ns = now_ns
        self._monotonic_s = monotonic_s

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def thread_s(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self._monotonic_s += seconds
        self._now_ns += round(seconds * 1e9)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return at once: the event stands as it is."""
        if not event.is_set():
            self.sleep(timeout_s)
        return event.is_set()
