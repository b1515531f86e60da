"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(probe: Callable[[], T], *, what: str, timeout_s: float = 30.0) -> T:
    """Call `probe` until what it returns is true, and return that; AssertionError after a while.

    The limit is there so that a broken program fails a test instead of hanging it: it measures
    nothing.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.02)
