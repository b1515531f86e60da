"""What the host's hooks tell: that a cron run has begun, gone wrong or ended.

Hooks run inline in the host's threads, so a callback only leaves a mark and wakes the worker. What
became of the run is read from the host's files: a hook's arguments are not the outcome.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

HOOKS = ("on_session_start", "on_session_end", "api_request_error")
"""As listed in plugin.yaml. A run whose model answers 401 fires the first and the last only."""


class Signal:
    """Set by hooks, waited for by the worker."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.last_s: float | None = None
        """`time.monotonic()` of the newest hook of a cron run; None before the first."""
        self.ended_s: float | None = None
        """The same of the newest that may be the last of its run."""
        self._started = False

    def forget(self) -> None:
        """In a forked child: its parent's hooks are not its own."""
        self.event = threading.Event()
        self.last_s = None
        self.ended_s = None
        self._started = False

    def hook_for(self, name: str, started: Callable[[], None]) -> Callable[..., None]:
        """A callback that never raises; `started` is called at the first hook of a cron run."""
        ends = name != "on_session_start"

        def hook(session_id: object = None, **_: object) -> None:
            try:
                if isinstance(session_id, str) and session_id.startswith("cron_"):
                    self.last_s = time.monotonic()
                    if ends:
                        self.ended_s = self.last_s
                    if not self._started:
                        started()  # again at the next hook if the machine is out of threads
                        self._started = True
                    self.event.set()
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001, S110 - the host's run comes first
                pass

        return hook
