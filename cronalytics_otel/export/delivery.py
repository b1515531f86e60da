"""The destinations of a sync: which ones are sent to, by which sender, and in which thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from ..about import __version__
from ..config import Destination, Settings
from ..host.home import Home
from ..journal import Journal
from ..journal.folder_lock import folder_lock
from ..journal.outbox import DestinationProgress
from ..lock import SyncBusyError
from ..model.times import NS
from .backoff import next_try_ns
from .exporter import DestinationExporter
from .kept_senders import KeptSenders
from .metrics.delivery import MetricsSenders
from .otlp.sender import MissingExporterError, Sender, open_sender
from .report import DestinationReport, merged
from .resource import resource_as_sent
from .sync_options import SyncOptions
from .threads import DestinationThreads
from .traces import trace_builder


def _open(destination: Destination) -> Sender:
    """Open a sender. Its resource is empty: each run carries its own."""
    return open_sender(destination, {}, scope_version=__version__)


@dataclass(slots=True)
class Senders:
    """The open connections to destinations, and the threads that use them, kept between the syncs of
    one process."""

    threads: DestinationThreads[DestinationReport] = field(default_factory=DestinationThreads)
    notice_threads: DestinationThreads[DestinationReport] = field(
        default_factory=DestinationThreads
    )
    metrics: MetricsSenders = field(default_factory=MetricsSenders)
    _senders: KeptSenders[Sender] = field(default_factory=lambda: KeptSenders(_open))

    def get(self, destination: Destination) -> Sender:
        """Return the destination's sender: a new one when its settings have changed.

        Raises `MissingExporterError` when gRPC cannot be imported.
        """
        return self._senders.get(destination)

    @property
    def has_reports(self) -> bool:
        """Whether a thread that no sync has waited for has a report."""
        return self.threads.has_reports or self.notice_threads.has_reports

    def close(self) -> None:
        """Close all but those that are in use: these end with the process."""
        self._senders.close(self.threads.is_busy)
        self.metrics.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationsExport:
    """The export of one sync: each destination gets what it has not acknowledged."""

    home: Home
    settings: Settings
    options: SyncOptions
    senders: Senders
    on_sent: Callable[[str, int], None]
    """Called with the destination's name and the number of runs that this sync has sent to it."""

    def run(self, journal: Journal) -> dict[str, DestinationReport]:
        """Send what is pending; return the reports by destination.

        One destination alone is sent to here; where there are several, each has a thread. Reports of
        threads that an earlier sync has started are returned too. Raises what a thread raised.
        """
        threads, names = self.senders.threads, self._destinations
        threads.keep_only(names)
        earlier = threads.collect()
        # A failing destination goes last, so that it delays no other if threads cannot be started.
        pending = sorted(journal.outbox.pending_destinations(), key=lambda p: p.failures > 0)
        if len(names) == 1 and not any(map(threads.is_busy, names)):
            sent = {p.name: self._export(journal, p, self.options) for p in pending}
            return merged(earlier, sent)
        backing_off = self._backing_off(pending)
        awaited = self._start([p for p in pending if p.name not in backing_off])
        threads.wait(awaited, self._must_stop_waiting)
        return merged(earlier, backing_off, threads.collect())

    @property
    def _destinations(self) -> dict[str, Destination]:
        return {destination.name: destination for destination in self.settings.destinations}

    def _backing_off(self, pending: Sequence[DestinationProgress]) -> dict[str, DestinationReport]:
        """Return the reports of the destinations that may not be tried yet."""
        now_ns = self.options.clock.now_ns()
        next_ns = {
            p.name: next_try_ns(p, now_ns=now_ns, eager=self.options.eager)
            for p in pending
            if not self.senders.threads.is_busy(p.name)
        }
        return {
            p.name: replace(_idle_report(p), next_try_ns=next_ns[p.name])
            for p in pending
            if next_ns.get(p.name) is not None
        }

    def _start(self, due: Sequence[DestinationProgress]) -> list[str]:
        """Give each thread its task; return the destinations to wait for."""
        awaited = []
        for progress in due:
            name = progress.name
            # A request that started before the host began to exit may run into its full timeout, so
            # do not wait for it.
            is_stuck = (
                self.options.hurried
                and progress.failures > 0
                and self.senders.threads.is_busy(name)
            )
            self.senders.threads.start(name, partial(self._task, name))
            if not is_stuck:
                awaited.append(name)
        return awaited

    def _must_stop_waiting(self) -> bool:
        remaining_s = self.options.remaining_s()
        return self.options.interrupted() or (remaining_s is not None and remaining_s <= 0)

    def _task(self, name: str, should_stop: Callable[[], bool]) -> DestinationReport:
        """Send to one destination, in a thread of its own, with its own connection to the journal."""
        options = replace(self.options, interrupted=should_stop)
        with Journal.open(self.home.journal, replace_damaged=False) as journal:
            for progress in journal.outbox.pending_destinations():
                if progress.name == name:
                    return self._export(journal, progress, options)
        return DestinationReport(name=name, endpoint=self._destinations[name].safe_endpoint)

    def _export(
        self, journal: Journal, progress: DestinationProgress, options: SyncOptions
    ) -> DestinationReport:
        settings_without_content = replace(self.settings, content="off", content_jobs={})
        destination = self._destinations[progress.name]
        exporter = DestinationExporter(
            journal,
            progress,
            lambda: self.senders.get(destination),
            trace_builder(self.home, self.settings, journal),
            options,
            max_age_ns=round(self.settings.max_age_days * 86_400 * NS),
            build_without_content=trace_builder(self.home, settings_without_content, journal),
            resource_of=resource_as_sent(self.settings),
            on_sent=self.on_sent,
        )
        try:
            # Each destination has its own lock, which may be held for longer than that of the home.
            with folder_lock(self.home.lock.with_name(f"destination-{progress.id}.lock")):
                return exporter.run()
        except SyncBusyError:
            error = "another sync is sending to it just now"
        except MissingExporterError as missing:
            error = str(missing)
        return replace(_idle_report(progress), error=error)


def _idle_report(progress: DestinationProgress) -> DestinationReport:
    return DestinationReport(name=progress.name, endpoint=progress.endpoint)
