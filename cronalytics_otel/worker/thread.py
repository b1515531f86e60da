"""The background thread in the host's process, which does what the schedule says."""

from __future__ import annotations

import atexit
import os
import threading

from ..clock import SYSTEM_CLOCK, Clock
from ..hooks import Hooks
from ..host.home import Home
from .files import file_times
from .pace import Pace
from .runner import SyncEnd, SyncRunner
from .schedule import Schedule, Situation, Task, Wait


class Worker:
    """Syncs one home from within the host's process; there is one for each home.

    Nothing is imported or opened before there is something to do, and nothing that goes wrong here
    reaches the host.
    """

    def __init__(
        self, home: Home, hooks: Hooks, *, resident: bool, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """`resident`: the process stays, as a gateway does; others run one tick or one job."""
        self.hooks = hooks
        self._home = home
        self._resident = resident
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._finished = threading.Event()
        self._pace = Pace(self.hooks.activity, self._clock)
        self._runner = SyncRunner(
            self._home,
            self.hooks.observations,
            self._pace,
            resident=self._resident,
            clock=self._clock,
        )
        self._schedule = Schedule.at_start(
            self._clock.monotonic_s(), file_times(self._home), resident=self._resident
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
        """Sync once more if anything happened, within the limit of the settings: the host leaves."""
        try:
            if self._thread is None or not self._thread.is_alive() or not self._has_work():
                return
            limit_s = self._runner.settings().flush_timeout_s
            self._leave(limit_s)
            self._clock.wait(self._finished, limit_s)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the host leaves whatever happens here
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
            self._schedule, action = self._schedule.next_action(seen)
            match action:
                case Wait(until_s=until_s):
                    woken = self._wait_until(until_s)
                case Task.WRITE_OBSERVATIONS:
                    self._runner.write_observations()
                    self._schedule = self._schedule.after_writing(seen.now_s)
                case Task.SYNC:
                    woken = False
                    end = self._sync(seen)
                    self._schedule = self._schedule.after_sync(
                        seen, end.result, self._clock.monotonic_s(), end.next_attempt_s
                    )
                case Task.STOP:
                    return

    def _situation(self, *, woken: bool) -> Situation:
        activity = self.hooks.activity
        exit_deadline_s = self._pace.exit_deadline_s
        # The files come first: whatever changes after that is seen at the next look.
        files = file_times(self._home)
        return Situation(
            now_s=self._clock.monotonic_s(),
            files=files,
            last_hook_s=activity.last_s,
            last_end_s=activity.last_end_s,
            many_observations=self.hooks.observations.is_large,
            destination_finished=self._runner.destination_finished,
            woken=woken,
            exit_deadline_s=exit_deadline_s,
        )

    def _wait_until(self, until_s: float) -> bool:
        """Return whether a hook, or the host's leaving, ended the wait before its time."""
        event = self.hooks.activity.event
        woken = self._clock.wait(event, max(0.0, until_s - self._clock.monotonic_s()))
        event.clear()
        return woken

    def _sync(self, began: Situation) -> SyncEnd:
        return self._runner.sync(began)

    def _has_work(self) -> bool:
        return self._schedule.has_work_at_exit(file_times(self._home), self.hooks.activity.last_s)

    def _leave(self, limit_s: float) -> None:
        self._pace.leave(limit_s)
        self.hooks.activity.event.set()

    def _forget_after_fork(self) -> None:
        """Start afresh: the child has no thread, and its parent's work is its parent's."""
        self.hooks.forget()
        self._reset()
