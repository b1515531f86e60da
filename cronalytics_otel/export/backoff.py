"""When a destination is tried, and for how long. Pure functions of its progress and the time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from ..model import DestinationFault
from ..model.times import NS

BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 300.0
_MAX_DOUBLINGS: Final = 16

ASKED_MAX_S: Final = 86_400.0
"""A server's Retry-After beyond a day counts as a day."""

PROBE_TIMEOUT_S: Final = 0.25
"""The time-out of a probe: the last request to the destination timed out, and the host waits for us."""

FULL_TRY_EVERY: Final = 8
"""Every eighth probe gets the full time-out: the destination may be back, but slow."""

WRITE_DOWN_S: Final = 0.2
"""The part of the host's waiting time that stays free for writing the request's end to the journal."""


ODD_ANSWERS: Final = 3
"""After so many failures in a row, a destination that gives no OTLP answers gets an empty request first. It may
have taken what it answered so oddly, and would take it again each time."""


class Progress(Protocol):
    """How a destination answered last, for traces or for metrics."""

    @property
    def failures(self) -> int:
        """How many requests have failed in a row."""

    @property
    def next_try_ns(self) -> int | None: ...

    @property
    def asked_to_wait(self) -> bool:
        """Whether `next_try_ns` is the server's own Retry-After."""

    @property
    def timed_out(self) -> bool: ...

    @property
    def fault(self) -> DestinationFault | None:
        """What the last request shows to be wrong."""


def backoff_s(failures: int) -> float:
    """Return the wait after so many failures before this one, without jitter. It doubles each time."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(failures, _MAX_DOUBLINGS), BACKOFF_MAX_S)


def next_wait_s(failures: int, retry_after_s: float | None, jitter: float) -> tuple[float, bool]:
    """Return the wait until the next attempt, and whether the server asked for it.

    The wait is the longer one of our back-off and the server's Retry-After. A server that asks for
    no wait, or for one that is over by our clock, would otherwise be tried at every sync.
    """
    own_s = backoff_s(failures) * jitter
    asked_s = retry_after_s or 0.0
    return min(max(asked_s, own_s), ASKED_MAX_S), asked_s >= own_s


def next_try_ns(progress: Progress, *, now_ns: int, eager: bool) -> int | None:
    """Return when the destination may be tried next; None when it may be tried now.

    `eager` ignores our own back-off. A wait beyond the longest that we would ever set is ignored
    too: the clock has been set back since.
    """
    next_ns = progress.next_try_ns
    if next_ns is None or (eager and not progress.asked_to_wait):
        return None
    return next_ns if 0 < next_ns - now_ns <= round(ASKED_MAX_S * NS) else None


def is_probe(progress: Progress, *, hurried: bool) -> bool:
    """Return whether the next request is only a short probe with one run."""
    return hurried and progress.timed_out and progress.failures % FULL_TRY_EVERY > 0


def gets_empty_request(progress: Progress) -> bool:
    """Return whether an empty request has to get OTLP's answer before anything is sent."""
    return progress.fault is DestinationFault.NOT_OTLP and progress.failures >= ODD_ANSWERS


def request_timeout_s(limits_s: Iterable[float | None], *, probe: bool) -> float | None:
    """Return the time-out of a request; None when only the destination's own applies.

    `limits_s` are the times that the host would wait, where it would. Each is shortened by the time
    that it takes to write down the request's end.
    """
    timeouts = [max(s - WRITE_DOWN_S, s / 2) for s in limits_s if s is not None]
    if probe:
        timeouts.append(PROBE_TIMEOUT_S)
    return min(timeouts, default=None)
