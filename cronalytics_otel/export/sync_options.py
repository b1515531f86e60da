"""The options of one sync: what is asked of it, and how it treats the process that it runs in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ..clock import SYSTEM_CLOCK, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """The options of one sync. The defaults suit a process that does nothing else."""

    full: bool = False
    """Read all of the host's files again, and add what is missing."""
    retry_refused: bool = False
    """Send again what destinations have refused."""
    dry_run: bool = False
    """Report what would be done, and leave no trace of it."""
    since_ns: int | None = None
    """Send only runs that ended since then (epoch ns). The others stay in the outbox."""
    eager: bool = False
    """Ignore our own back-off, because a person asks. A server's Retry-After is still obeyed."""

    clock: Clock = SYSTEM_CLOCK
    between_chunks: Callable[[], None] = lambda: None
    """Is called between pieces of work of some 50 ms. It may sleep, or raise to stop the sync."""
    before_export: Callable[[], None] = lambda: None
    """Is called when the host's files have been read, and before traces are built."""
    remaining_s: Callable[[], float | None] = lambda: None
    """Returns the seconds that are left for the whole sync; None while nothing limits it."""
    short_lived: bool = False
    """The process ends after one tick: it sends metrics only to destinations that lack a run."""
    hurried: bool = False
    """The host waits for us, or may exit at any time. So a destination whose last request timed out
    usually gets a short probe with one run."""
    interrupted: Callable[[], bool] = lambda: False
    """Returns whether the sync should end early, because there are newer runs to read. It is asked
    between requests, and while the sync waits for destinations."""
    request_limit_s: float | None = None
    """The longest that the host would wait for a request when it exits. In a process that may exit
    at any time, each request must end, and be written down, within that."""
    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    """Returns the factor that stretches a back-off, so that clients do not come back all at once."""
