"""What the worker does next, decided from times and signals alone: without a clock, file or thread.

`SyncPlan.next_action` is asked again after each action. All times are monotonic seconds. The records
are named tuples, because the host imports this module at its start-up: a frozen dataclass takes half a
millisecond to make.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple, Self

POLL_S = 5.0
"""The time between two looks at the host's files. Runs that call no hook are found this way."""

POLL_AFTER_HOOK_S = 0.5
AFTER_HOOK_S = 15.0
"""How long after a hook the worker looks more often: a run ends, or its answer is being delivered."""

SYNC_DELAY_S = 3.0
"""In the process of one tick, from the end of a run to the sync. The tick's other runs are not
disturbed, and most such processes end before that and sync when they exit."""

LONG_SYNC_DELAY_S = 10.0
"""The same after any other change: a run has begun, or a script has ended."""

WRITE_PAUSE_S = 0.2
"""The shortest time between two writings of observations."""

FIRST_SYNC_S = 2.0
"""A gateway's first sync waits this long, so that its own start comes first."""

RETRY_S = 0.5
"""The wait after a sync that could not be made, and before a destination is tried again."""

RETRY_AT_EXIT_S = 0.1
"""The same while the host exits and waits for us."""

RESYNC_S = 60.0
"""A gateway syncs at least this often: for retries, sessions that wait, runs whose process died."""

REST_PER_WORK = 20.0
"""Seconds of rest for each second of work while runs are going on."""

NEVER: Final = math.inf

FileTimes = tuple[tuple[int, int], ...]
"""Size and time of change, in nanoseconds, of each file that changes when a run begins or ends."""


class SyncResult(StrEnum):
    DONE = "done"
    BUSY = "busy"
    """Another process, or another thread, is syncing this home."""
    FAILED = "failed"
    """A fault of our own; it was logged."""
    STOPPED = "stopped"
    """The host stopped waiting for us."""


class Situation(NamedTuple):
    """What the worker sees at one moment."""

    now_s: float
    files: FileTimes
    last_hook_s: float | None = None
    """When a hook last saw a cron run."""
    last_end_s: float | None = None
    """When a hook was last called that may be the last one of its run."""
    many_observations: bool = False
    destination_finished: bool = False
    """A destination that the last sync did not wait for has accepted its runs, or failed."""
    woken: bool = False
    """A hook ended the last wait."""
    exit_deadline_s: float | None = None
    """When the host stops waiting for us; None while it is not exiting."""


class Wait(NamedTuple):
    """Wait until then, or until a hook wakes the worker."""

    until_s: float


class Action(StrEnum):
    WRITE_OBSERVATIONS = "write what hooks observed into the journal"
    SYNC = "write what hooks observed, and sync"
    STOP = "end the thread"


class SyncPlan(NamedTuple):
    """What is planned, and what was done."""

    long_running: bool
    """Whether the process stays, as a gateway does, or ends after one tick or one run."""
    files: FileTimes
    """The files as the last sync found them."""
    due_s: float = NEVER
    """When the next sync is due. Signals may bring it forward, but not put it off."""
    rest_until_s: float = -NEVER
    """No sync before that, whatever the signals."""
    next_poll_s: float = -NEVER
    """When to look at the files again, unless a hook wakes the worker earlier."""
    synced_s: float = -NEVER
    """When the last sync began."""
    written_s: float = -NEVER
    """When observations were last written."""
    exit_sync_s: float = -NEVER
    """When the sync at exit is due; `NEVER` once it was made."""

    @classmethod
    def at_start(cls, now_s: float, files: FileTimes, *, long_running: bool) -> Self:
        """`files`: as they were when the process began."""
        if not long_running:
            return cls(long_running=False, files=files)
        first_s = now_s + FIRST_SYNC_S
        return cls(long_running=True, files=files, due_s=first_s, rest_until_s=first_s)

    def next_action(self, seen: Situation) -> tuple[SyncPlan, Action | Wait]:
        """Return what to do now, and the plan that goes on from there."""
        if seen.exit_deadline_s is not None:
            return self, self._action_at_exit(seen.now_s, seen.exit_deadline_s)
        write_s = self._write_due_s(seen)
        if write_s <= seen.now_s:
            return self, Action.WRITE_OBSERVATIONS
        plan = self
        if seen.woken or seen.now_s >= min(self.next_poll_s, self.due_s):
            plan = self._replace(
                due_s=max(min(self.due_s, self._sync_due_s(seen)), self.rest_until_s),
                next_poll_s=_next_poll_s(seen.last_hook_s, seen.now_s),
            )
            if plan.due_s <= seen.now_s:
                return plan, Action.SYNC
        return plan, Wait(until_s=min(plan.due_s, plan.next_poll_s, write_s))

    def after_writing(self, now_s: float) -> SyncPlan:
        return self._replace(written_s=now_s)

    def after_sync(
        self, at_start: Situation, result: SyncResult, now_s: float, next_try_s: float = NEVER
    ) -> SyncPlan:
        """`at_start`: the situation at the start of the sync. `next_try_s`: when the first of the
        destinations that failed may be tried again."""
        exiting = at_start.exit_deadline_s is not None
        busy = result is SyncResult.BUSY
        resync_s = now_s + RESYNC_S if self.long_running else NEVER
        retry_s = now_s + RETRY_S
        return self._replace(
            files=self.files if busy else at_start.files,
            due_s=retry_s if busy else min(resync_s, max(next_try_s, retry_s)),
            rest_until_s=self.rest_until_s if result is SyncResult.DONE else retry_s,
            next_poll_s=_next_poll_s(at_start.last_hook_s, now_s),
            synced_s=at_start.now_s,
            written_s=at_start.now_s,
            exit_sync_s=self._exit_sync_after(result, now_s, exiting=exiting),
        )

    def has_work_at_exit(self, files: FileTimes, last_hook_s: float | None) -> bool:
        """Return whether a hook saw a run, or the host's files have changed since the last sync."""
        return last_hook_s is not None or files != self.files

    def _action_at_exit(self, now_s: float, deadline_s: float) -> Action | Wait:
        if self.exit_sync_s <= now_s:
            return Action.SYNC
        if self.exit_sync_s < deadline_s:
            return Wait(until_s=self.exit_sync_s)
        return Action.STOP

    def _exit_sync_after(self, result: SyncResult, now_s: float, *, exiting: bool) -> float:
        if result is SyncResult.BUSY and exiting:
            return now_s + RETRY_AT_EXIT_S  # the other may have looked before our run had ended
        return NEVER if exiting or result is SyncResult.STOPPED else self.exit_sync_s

    def _write_due_s(self, seen: Situation) -> float:
        """Return when to write observations, apart from syncs.

        They are written when a run has ended or is in trouble: whoever syncs next needs them, and that
        may be another process, since the host writes the end of the run after the hook. They are also
        written when there are many.
        """
        has_ended = seen.last_end_s is not None and seen.last_end_s > self.written_s
        return self.written_s + WRITE_PAUSE_S if has_ended or seen.many_observations else NEVER

    def _sync_due_s(self, seen: Situation) -> float:
        """Return when a sync is due because of what happened since the last one; `NEVER` if nothing did."""
        if seen.destination_finished:
            return seen.now_s
        if seen.files == self.files:
            return NEVER
        if self.long_running:
            return seen.now_s
        if seen.last_end_s is not None and seen.last_end_s > self.synced_s:
            return seen.last_end_s + SYNC_DELAY_S
        return seen.now_s + LONG_SYNC_DELAY_S


def _next_poll_s(last_hook_s: float | None, now_s: float) -> float:
    return now_s + (POLL_AFTER_HOOK_S if is_after_hook(last_hook_s, now_s) else POLL_S)


def is_after_hook(last_hook_s: float | None, now_s: float) -> bool:
    """Return whether a hook saw a cron run so lately that runs may be going on."""
    return last_hook_s is not None and now_s - last_hook_s < AFTER_HOOK_S


def rest_s(worked_s: float, *, runs_going_on: bool) -> float:
    """Return how long to rest after `worked_s` seconds of work, in seconds."""
    return worked_s * (REST_PER_WORK if runs_going_on else 1.0)
