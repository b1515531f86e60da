"""Sends the metrics of a home to one destination: collects, sends, and records the receipt.

A cumulative request that has no receipt is forgotten, since the next one has all of it. A request of
deltas is kept, and sent again unchanged until there is a receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from ...domain.series import measurements
from ...faults import report_own_fault
from ...journal import Journal
from ...journal.facts import SLOW_GAUGES, SlowGauges
from ...journal.metric_destinations import MetricDestination, additions
from ...model import Resource, Run
from ...model.series import Gauge, SeriesKey
from ...model.temporality import Temporality
from ...model.times import NS
from ..acknowledgement import Receipt, Verdict
from ..backoff import gets_empty_request, is_probe, next_wait_s, request_timeout_s
from ..otlp.metrics_sender import MetricsSender, MissingExporterError
from ..sync_options import SyncOptions
from .report import MetricsReport
from .schedule import NOT_SERVED_S

if TYPE_CHECKING:
    from ...telemetry.metrics.collection import Collection, SeriesPoint

MAX_EXEMPLAR_RUNS: Final = 256
"""The newest runs that exemplars are taken from."""

SLOW_GAUGES_NS: Final = 3_600 * NS
"""How long percentiles and averages count as current: they need the runs of weeks, and change slowly."""

_NOT_AS_IT_IS: Final = frozenset({Verdict.BAD_REQUEST, Verdict.SERVER_ERROR, Verdict.TOO_LARGE})
"""What the same request may meet again. The next one has all of its points in another form."""

ReadGauges: TypeAlias = Callable[[Journal, int], Sequence[Gauge]]
"""Returns the gauges of a home at a time (epoch ns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSource:
    """What the metrics of a home are made of, beside its journal."""

    profile: str
    resource: Resource
    read_gauges: ReadGauges
    read_slow_gauges: ReadGauges
    """Those that are read only every `SLOW_GAUGES_NS`."""


class MetricsExporter:
    """Sends to one destination."""

    def __init__(
        self,
        journal: Journal,
        destination: MetricDestination,
        source: MetricsSource,
        open_sender: Callable[[], MetricsSender],
        options: SyncOptions,
        *,
        timeout_s: float,
    ) -> None:
        self._journal = journal
        self._table = journal.metric_destinations
        self._destination = destination
        self._source = source
        self._open_sender = open_sender
        self._options = options
        self._timeout_s = timeout_s
        self._report = MetricsReport(name=destination.name, endpoint=destination.endpoint)

    def run(self) -> MetricsReport:
        """Make one request; a second one at once where the first was refused for the points that begin
        series.

        Raises `JournalError`. Any other fault of ours counts as a failure of this destination.
        """
        kept = self._table.kept_request(self._destination.id)
        try:
            if gets_empty_request(self._destination) and not self._send_nothing():
                pass
            elif kept is not None:
                self._send_kept(kept)
            else:
                self._send_collected()
        except MissingExporterError as error:
            self._report = replace(self._report, error=str(error))
        self._refresh_slow_gauges()
        return self._report

    def _send_nothing(self) -> bool:
        """Make a request without points. Return whether the destination gives OTLP's answers again."""
        receipt = self._send(b"", 0)
        if receipt.verdict is Verdict.RETRY:
            self._failed(receipt)
        return receipt.verdict is not Verdict.RETRY

    def _send_kept(self, request: bytes) -> None:
        """Send the deltas that have no receipt yet again, unchanged."""
        self._table.requested_again(self._destination.id, self._options.clock.now_ns())
        self._record(self._send(request, self._destination.request_points))

    def _send_collected(self) -> None:
        collected = self._collect()
        request, points = self._store(collected)
        receipt = self._send(request, points)
        if receipt.verdict in _NOT_AS_IT_IS and any(one.begins for one in collected.series):
            # A copy of it may have arrived before: then the points that begin series are out of order.
            series = [replace(one, begins=False) for one in collected.series]
            request, points = self._store(replace(collected, series=series))
            receipt = self._send(request, points)
        self._record(receipt)

    # Collecting.

    def _collect(self) -> Collection:
        from ...telemetry.metrics.collection import Collection

        journal, known = self._journal, self._destination
        now_ns = self._options.clock.now_ns()
        with journal.atomic():
            time_ns = journal.series.begin_collection(now_ns)
            self._series = journal.series.all()
            self._run_id = self._table.newest_run_id()
        return Collection(
            time_ns=time_ns,
            profile=self._source.profile,
            resource=self._source.resource,
            temporality=known.temporality,
            series=self._points(time_ns),
            gauges=self._gauges(now_ns),
            exemplars=_exemplars(
                journal.queries.newest_after(known.received_run_id, MAX_EXEMPLAR_RUNS)
            ),
        )

    def _points(self, time_ns: int) -> list[SeriesPoint]:
        from ...telemetry.metrics.collection import cumulative_points, delta_points

        known = self._destination
        if known.temporality is Temporality.CUMULATIVE:
            return cumulative_points(
                self._series, time_ns=time_ns, received_series_id=known.received_series_id
            )
        oldest_ns = self._journal.job_runs.known_since_ns()
        return delta_points(
            additions(self._series, self._table.received(known.id)),
            time_ns=time_ns,
            received_ns=known.received_ns,
            history_began_ns=time_ns if oldest_ns is None else oldest_ns,
        )

    def _gauges(self, now_ns: int) -> Sequence[Gauge]:
        """Return the gauges. A fault of ours costs the gauges, and not the counters."""
        try:
            slow = self._journal.facts.get(SLOW_GAUGES).gauges
            return [*self._source.read_gauges(self._journal, now_ns), *slow]
        except Exception as error:  # noqa: BLE001 - our own fault
            report_own_fault(error)
            return ()

    def _refresh_slow_gauges(self) -> None:
        """Read the gauges that take long for the next request, so that no request waits for them."""
        now_ns = self._options.clock.now_ns()
        if 0 <= now_ns - self._journal.facts.get(SLOW_GAUGES).read_ns < SLOW_GAUGES_NS:
            return
        self._options.between_chunks()
        try:
            gauges = tuple(self._source.read_slow_gauges(self._journal, now_ns))
        except Exception as error:  # noqa: BLE001 - our own fault
            report_own_fault(error)
            return
        self._journal.facts.set(SLOW_GAUGES, SlowGauges(now_ns, gauges))

    def _store(self, collected: Collection) -> tuple[bytes, int]:
        """Encode a collection, record that it is about to be sent, and keep it if it holds deltas."""
        from ...telemetry.metrics.encoding import encoded

        metrics = encoded(collected)
        request = metrics.request.SerializeToString()
        with self._journal.atomic():
            self._table.requested(
                self._destination.id,
                now_ns=self._options.clock.now_ns(),
                time_ns=collected.time_ns,
                points=metrics.points,
                series_id=max((one.id for one in self._series), default=0),
                run_id=self._run_id,
            )
            if collected.temporality is Temporality.DELTA:
                self._table.keep_request(self._destination.id, request, self._series)
        return request, metrics.points

    # Sending.

    def _send(self, request: bytes, points: int) -> Receipt:
        options = self._options
        host_limit_s = request_timeout_s(
            (options.remaining_s(), options.request_limit_s),
            probe=is_probe(self._destination, hurried=options.hurried),
        )
        limits_s = [self._timeout_s, *([] if host_limit_s is None else [host_limit_s])]
        try:
            return self._open_sender().send(request, points=points, timeout_s=min(limits_s))
        except MissingExporterError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours or of a library
            return Receipt(verdict=Verdict.RETRY, reason=report_own_fault(error))

    def _record(self, receipt: Receipt) -> None:
        """Record what became of the newest request."""
        points = self._newest_points()
        refused = {Verdict.PARTIAL: receipt.rejected, Verdict.ACCEPTED: 0}
        if receipt.verdict in refused:
            self._accepted(points, refused[receipt.verdict], receipt.reason)
            return
        if receipt.verdict in _NOT_AS_IT_IS:
            self._table.refused(self._destination.id, points, receipt.reason)
            self._report = replace(self._report, refused=points)
        self._failed(receipt)

    def _newest_points(self) -> int:
        return self._table.get(self._destination.id).request_points

    def _accepted(self, points: int, refused: int, reason: str) -> None:
        with self._journal.atomic():
            self._table.accepted(
                self._destination.id,
                now_ns=self._options.clock.now_ns(),
                refused_points=refused,
                reason=reason,
            )
        self._report = replace(
            self._report,
            sent=points - refused,
            refused=refused,
            recovered=self._destination.failures > 0,
        )

    def _failed(self, receipt: Receipt) -> None:
        """Record a failed request, and begin the back-off."""
        now_ns = self._options.clock.now_ns()
        wait_s, asked = next_wait_s(
            self._destination.failures, receipt.retry_after_s, self._options.jitter()
        )
        # One that has taken metrics has an endpoint for them: something stands before it just now.
        not_served = receipt.not_served and self._destination.last_receipt_ns is None
        if not_served:
            wait_s, asked = NOT_SERVED_S, True
        next_ns = now_ns + round(wait_s * NS)
        with self._journal.atomic():
            self._table.failed(
                self._destination.id,
                receipt.reason,
                now_ns=now_ns,
                next_try_ns=next_ns,
                asked_to_wait=asked,
                timed_out=receipt.timed_out,
                not_served=not_served,
                fault=receipt.fault,
            )
        self._report = replace(
            self._report,
            error=receipt.reason,
            not_served=not_served,
            next_try_ns=next_ns,
            began_failing=self._destination.failures == 0,
        )


def _exemplars(runs: Iterable[Run]) -> dict[SeriesKey, tuple[Run, float]]:
    """Return by series the newest run that added to it, with what it added. `runs`: newest first."""
    found: dict[SeriesKey, tuple[Run, float]] = {}
    for run in runs:
        for key, value in measurements(run):
            found.setdefault(SeriesKey(*key), (run, value))
    return found
