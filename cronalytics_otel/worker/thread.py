"""The background thread in the host's process. It follows the plan."""

from __future__ import annotations

import atexit
import os
import threading

from ..clock import SYSTEM_CLOCK, Clock
from ..hooks import Hooks
from ..host.home import Home
from .files import file_times
from .pace import HostPace
from .plan import Action, Situation, SyncPlan, Wait
from .runner import SyncEnd, SyncRunner


class Worker:
    """Syncs one home from within the host's process; there is one for each home.

    Nothing is imported or opened before there is something to do, and nothing that goes wrong here
    reaches the host.
    """

    def __init__(
        self, home: Home, hooks: Hooks, *, long_running: bool, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """`long_running`: the process stays, as a gateway does; other processes run one tick or one job."""
        self.hooks = hooks
        self._home = home
        self._long_running = long_running
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._finished = threading.Event()
        self._pace = HostPace(self.hooks.activity, self._clock)
        self._runner = SyncRunner(
            self._home,
            self.hooks.observations,
            self._pace,
            long_running=self._long_running,
            clock=self._clock,
        )
        self._plan = SyncPlan.at_start(
            self._clock.monotonic_s(), file_times(self._home), long_running=self._long_running
        )

    def start(self) -> None:
        """Start the thread, once; later calls do nothing. Raises `RuntimeError` when it cannot."""
        with self._start_lock:
            if self._thread is not None:
                return
            self._runner.remember_jobs()
            thread = threading.Thread(target=self._main, name="cronalytics-otel", daemon=True)
            thread.start()
            self._thread = thread
            atexit.register(self.flush)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget_after_fork)

    def flush(self) -> None:
        """At the host's exit: sync once more if there is work, for at most flush_timeout_s."""
        try:
            if self._thread is None or not self._thread.is_alive() or not self._has_work():
                return
            limit_s = self._runner.settings().flush_timeout_s
            self._begin_exit(limit_s)
            self._clock.wait(self._finished, limit_s)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the host exits whatever happens here
            self._runner.log_fault(error)

    def _main(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - a thread of ours must not end loudly
            self._runner.log_fault(error)
        finally:
            self._finished.set()

    def _run(self) -> None:
        woken = False
        while True:
            seen = self._situation(woken=woken)
            self._plan, action = self._plan.next_action(seen)
            match action:
                case Wait(until_s=until_s):
                    woken = self._wait_until(until_s)
                case Action.WRITE_OBSERVATIONS:
                    self._runner.write_observations()
                    self._plan = self._plan.after_writing(seen.now_s)
                case Action.SYNC:
                    woken = False
                    end = self._sync(seen)
                    self._plan = self._plan.after_sync(
                        seen, end.result, self._clock.monotonic_s(), end.next_try_s
                    )
                case Action.STOP:
                    return

    def _situation(self, *, woken: bool) -> Situation:
        activity = self.hooks.activity
        exit_deadline_s = self._pace.exit_deadline_s
        # The files come first: whatever changes after that is seen at the next look.
        files = file_times(self._home)
        return Situation(
            now_s=self._clock.monotonic_s(),
            files=files,
            last_hook_s=activity.last_hook_s,
            last_end_s=activity.last_end_s,
            many_observations=self.hooks.observations.is_large,
            destination_finished=self._runner.destination_finished,
            woken=woken,
            exit_deadline_s=exit_deadline_s,
        )

    def _wait_until(self, until_s: float) -> bool:
        """Wait, and return whether a hook or the host's exit ended the wait early."""
        wake = self.hooks.activity.wake
        woken = self._clock.wait(wake, max(0.0, until_s - self._clock.monotonic_s()))
        wake.clear()
        return woken

    def _sync(self, at_start: Situation) -> SyncEnd:
        return self._runner.sync(at_start)

    def _has_work(self) -> bool:
        return self._plan.has_work_at_exit(file_times(self._home), self.hooks.activity.last_hook_s)

    def _begin_exit(self, limit_s: float) -> None:
        self._pace.begin_exit(limit_s)
        self.hooks.activity.wake.set()

    def _forget_after_fork(self) -> None:
        """Start afresh: the child has no thread, and the parent goes on with its own work."""
        self.hooks.forget()
        self._reset()
