"""The background thread in the host's process: when to sync, how gently, and the flush at exit."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .hooks import Signal
from .host.home import Home

if TYPE_CHECKING:
    from .config import Settings
    from .harvest.job_history import JobsSnapshot
    from .sync import Senders, SyncReport

log = logging.getLogger(__name__)

POLL_S = 5.0
"""Between looks at the host's files: runs that fire no hook are found so."""

POLL_AFTER_HOOK_S = 0.5
AFTER_HOOK_S = 15.0
"""How long after a hook to look often: its run ends, or its answer is being delivered."""

SETTLE_S = 3.0
"""In a process of one tick, from the end of a run to the sync: its other runs are left in peace, and
most such processes end before, and sync as they leave."""

LONG_SETTLE_S = 10.0
"""The same from any other change: a run has begun, or a script has ended."""

NOTES_PAUSE_S = 0.2
"""Between two writings of what hooks told."""

FIRST_SYNC_S = 2.0
"""A gateway starts first."""

BUSY_PAUSE_S = 0.1
"""At exit, before we ask again for what another process holds."""

BEAT_S = 60.0
"""At the latest, a gateway syncs this often: retries, sessions that wait, runs whose process died."""

GENTLE = 20.0
"""Seconds of rest for each second of work while runs are going on."""


class _StopSyncError(BaseException):
    """The host leaves: what has been done stays, the rest waits for the next process."""


class Worker:
    """One per process and home. Nothing is imported or opened before there is something to do."""

    def __init__(self, home: Home, signal: Signal, *, resident: bool) -> None:
        """`resident`: a gateway, as against the process of one tick or one run."""
        self._home = home
        self.signal = signal
        self._resident = resident
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._leaving = threading.Event()
        self._flushed = threading.Event()
        self._deadline_s: float | None = None
        self._seen = self._look()
        self._jobs_before: tuple[int, str] | None = None
        self._settings: tuple[str, Settings] | None = None
        self._senders: Senders | None = None
        self._report: SyncReport | None = None
        self._next_attempt_s: float | None = None
        self._said: set[str] = set()
        self._pace = threading.local()
        self._synced_s = 0.0
        self._noted_s = 0.0

    def start(self) -> None:
        """Starts the thread, once; called again it does nothing."""
        with self._start_lock:
            if self._thread is not None:
                return
            self._jobs_before = self._read_jobs()
            thread = threading.Thread(target=self._main, name="cronalytics-otel", daemon=True)
            thread.start()
            self._thread = thread
            atexit.register(self.flush)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget_after_fork)

    def flush(self) -> None:
        """At exit: one more sync if anything happened, within the limit of the settings."""
        try:
            if self._thread is None or not self._thread.is_alive() or not self._has_work():
                return
            limit_s = self._current_settings().flush_timeout_s
            self._deadline_s = time.monotonic() + limit_s
            self._leaving.set()
            self.signal.event.set()
            self._flushed.wait(limit_s)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - never in the way of the host's leaving
            self._say(error)

    # The thread.

    def _main(self) -> None:
        try:
            due_s = time.monotonic() + FIRST_SYNC_S if self._resident else None
            beat_s = time.monotonic() + BEAT_S
            while not self._leaving.is_set():
                self.signal.event.wait(self._pause_s(due_s))
                self.signal.event.clear()
                now_s = time.monotonic()
                notes_s = self._notes_due_s()
                if notes_s is not None and now_s >= notes_s:
                    self._write_notes()
                wanted_s = self._wanted_s(now_s)
                if wanted_s is not None:
                    due_s = wanted_s if due_s is None else min(due_s, wanted_s)
                if self._resident and now_s >= beat_s:
                    due_s = now_s
                if due_s is not None and now_s >= due_s and not self._leaving.is_set():
                    due_s = None
                    self._sync()
                    beat_s = time.monotonic() + BEAT_S
            self._sync()
        except _StopSyncError:
            pass
        except BaseException as error:  # noqa: BLE001 - a thread of ours must not end loudly
            self._say(error)
        finally:
            self._flushed.set()

    def _pause_s(self, due_s: float | None) -> float:
        now_s = time.monotonic()
        hooked_s = self.signal.last_s
        lately = hooked_s is not None and now_s - hooked_s < AFTER_HOOK_S
        pause_s = POLL_AFTER_HOOK_S if lately else POLL_S
        waits_s = [at_s - now_s for at_s in (due_s, self._notes_due_s()) if at_s is not None]
        return max(0.0, min(pause_s, *waits_s)) if waits_s else pause_s

    def _notes_due_s(self) -> float | None:
        """When to write down what hooks told: as a run has ended or is in trouble, since whoever syncs
        next needs it, and that may be another process (the host writes the end of the run after the
        hook); and when there is much of it. None while neither is so."""
        ended_s = self.signal.ended_s
        has_ended = ended_s is not None and ended_s > self._noted_s
        return self._noted_s + NOTES_PAUSE_S if has_ended or self.signal.has_many_notes else None

    def _wanted_s(self, now_s: float) -> float | None:
        """When to sync for what has happened since the last one; None when nothing has."""
        if self._next_attempt_s is not None and now_s >= self._next_attempt_s:
            return now_s
        if self._senders is not None and self._senders.threads.has_reports:
            return now_s  # of a destination that the last sync did not wait for
        if self._look() == self._seen:
            return None
        if self._resident:
            return now_s
        ended_s = self.signal.ended_s
        if ended_s is not None and ended_s > self._synced_s:
            return ended_s + SETTLE_S
        return now_s + LONG_SETTLE_S

    def _has_work(self) -> bool:
        """Whether this process saw anything happen, or is in the middle of something."""
        return self.signal.last_s is not None or self._look() != self._seen

    def _look(self) -> tuple[tuple[int, int], ...]:
        """Size and time of the files that change when a run begins or ends.

        Sessions change with every message: they are looked at only where no ledger is.
        """
        ledger = self._home.ledger
        watched = ledger if _stat(ledger) != _NOT_THERE else self._home.state_db
        return tuple(
            _stat(path)
            for path in (watched, watched.with_name(watched.name + "-wal"), self._home.jobs)
        )

    def _read_jobs(self) -> tuple[int, str] | None:
        """jobs.json before this process runs anything: what each job is due for, and one-shots
        whose definition will be gone when their run is read."""
        try:
            return time.time_ns(), self._home.jobs.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _snapshots(self) -> list[JobsSnapshot]:
        from .harvest.job_history import JobsSnapshot

        return [JobsSnapshot(*self._jobs_before)] if self._jobs_before else []

    def _write_notes(self) -> None:
        self._noted_s = time.monotonic()
        notes, lost = self.signal.take_notes()
        if not notes and not lost:
            return
        try:
            from .harvest.observations import keep

            keep(self._home, notes, lost)
        except Exception:  # noqa: BLE001 - the sync that follows mends it, or meets it too and says it
            self.signal.give_back(notes, lost)

    def _sync(self) -> None:
        try:
            from .sync import Senders, SyncBusyError, SyncOptions, sync
        except ImportError as error:  # a package that is being replaced just now: at the next beat
            self._say(error)
            return
        seen = self._look()
        self._synced_s = time.monotonic()
        try:
            self._write_notes()
            settings = self._current_settings()
            if self._senders is None:
                self._senders = Senders()
            self._pace.worked_s = time.thread_time()
            leaving = self._leaving.is_set()
            report = sync(
                self._home,
                settings,
                options=SyncOptions(
                    sleep=self._rest,
                    between_chunks=self._between_chunks,
                    remaining_s=self._remaining_s,
                    hurried=not self._resident or self._leaving.is_set(),
                    interrupted=lambda: (
                        not leaving and (self._leaving.is_set() or self._look() != seen)
                    ),
                    request_limit_s=None if self._resident else settings.flush_timeout_s or None,
                ),
                senders=self._senders,
                snapshots=self._snapshots(),
            )
        except SyncBusyError:
            self._next_attempt_s = time.monotonic() + POLL_AFTER_HOOK_S
            remaining_s = self._remaining_s()
            if remaining_s is not None and remaining_s > BUSY_PAUSE_S:
                time.sleep(BUSY_PAUSE_S)  # the other may have looked before our run had ended
                self._sync()
            return
        except (_StopSyncError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - said once, tried again at the next beat
            self._say(error)
            self._seen = seen
            return
        self._jobs_before = None
        self._seen = seen
        self._after(report)

    def _after(self, report: SyncReport) -> None:
        self._report = report
        attempts = [d.next_attempt_ns for d in report.destinations if d.next_attempt_ns]
        now_s, now_ns = time.monotonic(), time.time_ns()
        self._next_attempt_s = (
            now_s + max(0.0, (min(attempts) - now_ns) / 1e9) if attempts else None
        )
        for destination in report.destinations:
            if destination.began_failing:
                log.warning(
                    "cronalytics-otel: %s (%s) does not take traces: %s; %d runs wait in the journal",
                    destination.name, destination.endpoint, destination.error, destination.pending,
                )  # fmt: skip
            elif destination.recovered:
                log.info(
                    "cronalytics-otel: %s (%s) takes traces again; sent %d runs, %d still wait",
                    destination.name, destination.endpoint, destination.sent, destination.pending,
                )  # fmt: skip
            if destination.refused:
                self._say_once(
                    f"{destination.name} ({destination.endpoint}) refused runs: {destination.error};"
                    " `sync --retry-refused` sends them again",
                    kind=f"refused by {destination.name}",  # the server's words may be others each time
                )
        for problem in report.problems:
            self._say_once(problem)
        if report.repair is not None:
            log.warning(
                "cronalytics-otel: the journal was damaged (%s); it was kept as %s and rebuilt",
                report.repair.fault, report.repair.moved_to,
            )  # fmt: skip

    def _current_settings(self) -> Settings:
        from .config import load_settings

        files = (self._home.path / "config.yaml", self._home.path / ".env")
        version = repr([_stat(path) for path in files])
        if self._settings is None or self._settings[0] != version:
            self._settings = (version, load_settings(self._home.path, os.environ))
        return self._settings[1]

    # Being gentle.

    def _between_chunks(self) -> None:
        """Rests in proportion to the work done, unless the host leaves and waits for us."""
        remaining_s = self._remaining_s()
        if remaining_s is not None:
            if remaining_s <= 0:
                raise _StopSyncError
            return
        # Each thread by its own work: where there are several destinations, each has one.
        worked_s = time.thread_time() - getattr(self._pace, "worked_s", 0.0)
        going_on = self._report is not None and self._report.open_runs > 0
        busy = going_on or self._hooked_lately()
        self._rest(worked_s * (GENTLE if busy else 1.0))
        self._pace.worked_s = time.thread_time()

    def _hooked_lately(self) -> bool:
        last_s = self.signal.last_s
        return last_s is not None and time.monotonic() - last_s < AFTER_HOOK_S

    def _rest(self, seconds: float) -> None:
        self._leaving.wait(seconds)

    def _remaining_s(self) -> float | None:
        deadline_s = self._deadline_s
        return None if deadline_s is None else deadline_s - time.monotonic()

    # Saying things once.

    def _say(self, error: BaseException) -> None:
        self._say_once(f"{type(error).__name__}: {error}")

    def _say_once(self, text: str, *, kind: str | None = None) -> None:
        """A fault stays a while: once per process is enough in the host's log."""
        key = kind or text
        if key not in self._said and len(self._said) < 100:
            self._said.add(key)
            log.warning("cronalytics-otel: %s", text)

    def _forget_after_fork(self) -> None:
        """The child has no thread, and its parent's work is its parent's."""
        self._thread = None
        self._start_lock = threading.Lock()
        self._leaving = threading.Event()
        self._flushed = threading.Event()
        self._senders = None
        self.signal.forget()
        self._seen = self._look()


_NOT_THERE = (0, 0)


def _stat(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # gone, or not to be seen just now: a disk of the network, a folder's mode
        return _NOT_THERE
    return (stat.st_size, stat.st_mtime_ns)
