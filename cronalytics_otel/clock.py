"""The clock of the process: what time it is, and how to wait.

Whoever needs a time or a pause is given a `Clock`, so that a test can hand over one of its own. Only
this module reads the system's clock; the linter forbids it everywhere else.

Hooks, worker and plugin import this module at the host's start-up, so nothing heavy may be imported
here.
"""

from __future__ import annotations

import threading
import time
from typing import Final, Protocol


class Clock(Protocol):
    """Time and waiting, as the worker, a sync and the command line use them."""

    def now_ns(self) -> int:
        """Return the time of day, in nanoseconds since the epoch. It may jump."""

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary start. They never go back."""

    def thread_cpu_s(self) -> float:
        """Return the processor time of the calling thread, in seconds."""

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return when the event is set, or after the time-out: whether it is set."""


class SystemClock:
    """The clock of the operating system.

    The first four are the functions of the standard library themselves, since hooks call them in the
    host's threads.
    """

    now_ns = staticmethod(time.time_ns)
    monotonic_s = staticmethod(time.monotonic)
    thread_cpu_s = staticmethod(time.thread_time)
    sleep = staticmethod(time.sleep)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


SYSTEM_CLOCK: Final[Clock] = SystemClock()
