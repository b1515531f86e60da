"""The metrics of one sync: which destinations get a request, each in a thread of its own.

A destination's metrics never wait for its traces, nor the traces for the metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ...config import Destination, Settings
from ...host.home import Home
from ...journal import Journal
from ...journal.folder_lock import folder_lock
from ...journal.metric_destinations import MetricDestination
from ...lock import SyncBusyError
from ...model.times import NS
from ..kept_senders import KeptSenders
from ..otlp.metrics_sender import MetricsSender, open_metrics_sender
from ..sync_options import SyncOptions
from ..threads import DestinationThreads
from .exporter import MetricsExporter, MetricsSource
from .report import MetricsReport
from .schedule import due

WAIT_S: Final = 2.0
"""How long a sync waits for metrics, unless a person waits for it or the process ends: their reports come with
the next sync."""


@dataclass(slots=True)
class MetricsSenders:
    """The open connections to destinations of metrics, and the threads that use them, kept between the
    syncs of one process."""

    threads: DestinationThreads[MetricsReport] = field(default_factory=DestinationThreads)
    _senders: KeptSenders[MetricsSender] = field(
        default_factory=lambda: KeptSenders(open_metrics_sender)
    )

    def get(self, destination: Destination) -> MetricsSender:
        """Return the destination's sender: a new one when its settings have changed.

        Raises `MissingExporterError` when gRPC cannot be imported.
        """
        return self._senders.get(destination)

    def close(self) -> None:
        """Close all but those that are in use: these end with the process."""
        self._senders.close(self.threads.is_busy)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsExport:
    """The metrics of one sync."""

    home: Home
    settings: Settings
    options: SyncOptions
    senders: MetricsSenders
    make_source: Callable[[], MetricsSource]
    """Is called only when a destination gets a request."""

    def run(self, journal: Journal) -> dict[str, MetricsReport]:
        """Send what is due; return the reports by destination, also those of an earlier sync's threads.

        Raises what a thread raised.
        """
        threads, targets = self.senders.threads, self._targets
        threads.keep_only(targets)
        active = self._active(journal)
        names = [one.name for one in self._due(journal, active) if not threads.is_busy(one.name)]
        if names:
            source = self.make_source()
            for name in names:
                threads.start(name, partial(self._task, targets[name], source))
            threads.wait(names, self._must_stop_waiting())
        waiting = {one.name: _waiting_report(one) for one in active if one.fails}
        return waiting | threads.collect()

    @property
    def _targets(self) -> dict[str, Destination]:
        return {destination.name: destination for destination in self.settings.metric_destinations}

    def _active(self, journal: Journal) -> list[MetricDestination]:
        targets = self._targets
        if not targets:
            return []
        return [one for one in journal.metric_destinations.active() if one.name in targets]

    def _due(
        self, journal: Journal, active: Sequence[MetricDestination]
    ) -> list[MetricDestination]:
        table = journal.metric_destinations
        return due(
            active,
            now_ns=self.options.clock.now_ns(),
            interval_ns=round(self.settings.metric_interval_s * NS),
            eager=self.options.eager,
            only_after_run_id=table.newest_run_id() if self.options.short_lived else None,
        )

    def _must_stop_waiting(self) -> Callable[[], bool]:
        options, since_s = self.options, self.options.clock.monotonic_s()

        def must_stop() -> bool:
            remaining_s = options.remaining_s()
            if options.interrupted() or (remaining_s is not None and remaining_s <= 0):
                return True
            is_awaited = options.eager or options.hurried
            return not is_awaited and options.clock.monotonic_s() - since_s > WAIT_S

        return must_stop

    def _task(
        self, target: Destination, source: MetricsSource, _should_stop: Callable[[], bool]
    ) -> MetricsReport:
        """Send to one destination, with a connection to the journal of its own."""
        report = MetricsReport(name=target.name, endpoint=target.safe_endpoint)
        with Journal.open(self.home.journal, replace_damaged=False) as journal:
            known = journal.metric_destinations.named(target.name)
            if known is None:
                return report
            try:
                # A request may last longer than the sync that made it: another process may be sending.
                with folder_lock(self.home.lock.with_name(f"metrics-{known.id}.lock")):
                    due_now = {one.name: one for one in self._due(journal, self._active(journal))}
                    if target.name not in due_now:
                        return report
                    return MetricsExporter(
                        journal,
                        due_now[target.name],
                        source,
                        partial(self.senders.get, target),
                        self.options,
                        timeout_s=min(target.timeout_s, self.settings.metric_timeout_s),
                    ).run()
            except SyncBusyError:
                return report


def _waiting_report(one: MetricDestination) -> MetricsReport:
    return MetricsReport(
        name=one.name, endpoint=one.endpoint, error=one.last_error, next_try_ns=one.next_try_ns
    )
