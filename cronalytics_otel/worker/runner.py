"""Runs syncs for the worker, and keeps settings, senders and jobs.json between them.

Heavy modules are imported when they are first needed."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from ..clock import Clock
from ..faults import OncePerKind
from ..hooks import ObservationBuffer
from ..host.home import Home
from ..lock import SyncBusyError
from .files import file_times, settings_times
from .pace import HostPace, StopSyncError
from .plan import NEVER, FileTimes, Situation, SyncResult
from .report_log import log_report

if TYPE_CHECKING:
    from ..config import Settings
    from ..harvest.job_history import JobsSnapshot
    from ..sync import Senders, SyncReport

log = logging.getLogger(__name__)


class SyncEnd(NamedTuple):
    result: SyncResult
    next_try_s: float = NEVER
    """When the first of the destinations that failed may be tried again, in monotonic seconds."""


class SyncRunner:
    """Runs syncs, and keeps what lasts from one to the next. The first one imports and opens things."""

    def __init__(
        self,
        home: Home,
        observations: ObservationBuffer,
        pace: HostPace,
        *,
        long_running: bool,
        clock: Clock,
    ) -> None:
        self._home = home
        self._observations = observations
        self._pace = pace
        self._long_running = long_running
        self._clock = clock
        self._once = OncePerKind(log)
        self._jobs_before: tuple[int, str] | None = None
        self._settings: tuple[FileTimes, Settings] | None = None
        self._senders: Senders | None = None

    @property
    def destination_finished(self) -> bool:
        """Whether a destination that the last sync did not wait for has accepted its runs, or failed."""
        return self._senders is not None and self._senders.has_reports

    def remember_jobs(self) -> None:
        """Keep jobs.json as it is before this process runs anything.

        The file has each job's due time, and one-shots that the host deletes once they have run.
        """
        try:
            text = self._home.jobs.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            self._jobs_before = None
        else:
            self._jobs_before = (self._clock.now_ns(), text)

    def settings(self) -> Settings:
        """Return the settings, read again when one of their files has changed."""
        from ..config import load_settings

        times = settings_times(self._home)
        if self._settings is None or self._settings[0] != times:
            self._settings = (times, load_settings(self._home.path, os.environ))
        return self._settings[1]

    def log_fault(self, error: BaseException) -> None:
        self._once.warning(f"{type(error).__name__}: {error}")

    def write_observations(self) -> None:
        """Write what hooks observed into the journal, or keep it in memory when that fails."""
        observations, lost = self._observations.take()
        if not observations and not lost:
            return
        try:
            from ..harvest.observations import write_observations

            write_observations(self._home, observations, lost)
        except Exception:  # noqa: BLE001 - the next sync mends the journal, or logs the fault
            self._observations.put_back(observations, lost)

    def sync(self, at_start: Situation) -> SyncEnd:
        """Sync once. A fault is logged once per kind, and the sync is tried again later."""
        try:
            self.write_observations()
            report = self._sync(at_start)
        except SyncBusyError:
            return SyncEnd(SyncResult.BUSY)
        except StopSyncError:
            return SyncEnd(SyncResult.STOPPED)
        except BaseException as error:  # noqa: BLE001 - also a package that is being replaced
            self.log_fault(error)
            return SyncEnd(SyncResult.FAILED)
        self._jobs_before = None
        self._pace.has_open_runs = report.open_runs > 0
        log_report(report, log, self._once)
        return SyncEnd(SyncResult.DONE, self._next_try_s(report))

    def _sync(self, at_start: Situation) -> SyncReport:
        from ..sync import Senders, SyncOptions, sync

        settings = self.settings()
        if self._senders is None:
            self._senders = Senders()
        self._pace.start_counting()
        return sync(
            self._home,
            settings,
            options=SyncOptions(
                clock=self._pace,
                between_chunks=self._pace.rest,
                # A run may have ended while files were read: what hooks observed until then is in its trace.
                before_export=self.write_observations,
                remaining_s=self._pace.remaining_s,
                short_lived=not self._long_running,
                hurried=not self._long_running or at_start.exit_deadline_s is not None,
                interrupted=lambda: self._has_newer_work(at_start),
                request_limit_s=None if self._long_running else settings.flush_timeout_s or None,
            ),
            senders=self._senders,
            snapshots=self._snapshots(),
        )

    def _has_newer_work(self, at_start: Situation) -> bool:
        """Return whether a sync that waits for a destination should end so that the next can begin."""
        if at_start.exit_deadline_s is not None:
            return False
        return self._pace.exit_deadline_s is not None or file_times(self._home) != at_start.files

    def _snapshots(self) -> list[JobsSnapshot]:
        from ..harvest.job_history import JobsSnapshot

        return [JobsSnapshot(*self._jobs_before)] if self._jobs_before else []

    def _next_try_s(self, report: SyncReport) -> float:
        places = (*report.destinations, *report.notices)
        attempts_ns = [place.next_try_ns for place in places if place.next_try_ns]
        if self._long_running and report.next_metrics_ns is not None:
            attempts_ns.append(report.next_metrics_ns)
        if not attempts_ns:
            return NEVER
        wait_s = (min(attempts_ns) - self._clock.now_ns()) / 1e9
        return self._clock.monotonic_s() + wait_s
