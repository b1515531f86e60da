"""The delivery of notices in one sync: each target in a thread of its own, beside the destinations.

A notice that was accepted is never sent again. One whose receipt was lost, because the process was killed
between the two, is sent once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from ...config import NotifyTarget, Settings
from ...faults import report_own_fault
from ...host.home import Home
from ...host.zone import home_zone
from ...journal import Journal, JournalError
from ...journal.folder_lock import folder_lock
from ...journal.outbox import DestinationProgress
from ...lock import SyncBusyError
from ...model.times import NS
from ..acknowledgement import Receipt, Verdict
from ..backoff import is_probe, next_try_ns, next_wait_s, request_timeout_s
from ..report import DestinationReport, merged
from ..sync_options import SyncOptions
from ..threads import DestinationThreads
from .messages import Messages
from .pings import MAX_PING_AGE_NS, Pings
from .post import REQUEST_TIMEOUT_S, MissingAppriseError, Parcel, Post

MAX_NOTICES: Final = 1000
"""The most notices that go into one message."""

WAIT_S: Final = 15.0
"""The longest that a sync waits for its notices. The thread goes on, and the next sync has its report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesExport:
    """The notices of one sync. `start` begins to send them, `finish` waits and returns the reports."""

    home: Home
    settings: Settings
    options: SyncOptions
    threads: DestinationThreads[DestinationReport]

    def start(self, journal: Journal) -> dict[str, DestinationReport]:
        """Start the threads of the targets that have pending notices and may be tried; return the reports of
        those that may not be tried yet."""
        targets = {target.name: target for target in self.settings.notify}
        self.threads.keep_only(targets)
        if not targets:
            return {}
        waiting = {}
        for progress in journal.notices.pending_targets():
            next_ns = next_try_ns(
                progress, now_ns=self.options.clock.now_ns(), eager=self.options.eager
            )
            if next_ns is not None and not self.threads.is_busy(progress.name):
                waiting[progress.name] = replace(_idle_report(progress), next_try_ns=next_ns)
            else:
                self.threads.start(progress.name, partial(self._task, targets[progress.name]))
        return waiting

    def finish(self) -> dict[str, DestinationReport]:
        """Wait for the threads, but not for long, and return the reports by target."""
        clock = self.options.clock
        until_s = clock.monotonic_s() + WAIT_S

        def must_stop() -> bool:
            remaining_s = self.options.remaining_s()
            return (
                clock.monotonic_s() >= until_s
                or self.options.interrupted()
                or (remaining_s is not None and remaining_s <= 0)
            )

        self.threads.wait([target.name for target in self.settings.notify], must_stop)
        return self.threads.collect()

    def _task(self, target: NotifyTarget, should_stop: Callable[[], bool]) -> DestinationReport:
        """Send to one target, in a thread of its own, with its own connection to the journal."""
        with Journal.open(self.home.journal, replace_damaged=False) as journal:
            for progress in journal.notices.pending_targets():
                if progress.name == target.name:
                    return self._send(journal, progress, target, should_stop)
        return DestinationReport(name=target.name, endpoint=target.safe_address)

    def _send(
        self,
        journal: Journal,
        progress: DestinationProgress,
        target: NotifyTarget,
        should_stop: Callable[[], bool],
    ) -> DestinationReport:
        try:
            post = _post(target, self.home, self.settings, self.options.clock.now_ns())
            with folder_lock(self.home.lock.with_name(f"notices-{progress.id}.lock")):
                delivery = _TargetDelivery(
                    journal,
                    progress,
                    post,
                    replace(self.options, interrupted=should_stop),
                    max_age_ns=MAX_PING_AGE_NS
                    if target.is_ping
                    else round(self.settings.max_age_days * 86_400 * NS),
                )
                return delivery.run()
        except SyncBusyError:
            error = "another sync is sending to it just now"
        except MissingAppriseError as missing:
            error = str(missing)
        return replace(_idle_report(progress), error=error)


def _post(target: NotifyTarget, home: Home, settings: Settings, now_ns: int) -> Post:
    if target.is_ping:
        return Pings(target)
    zone = home_zone(settings.timezone, now_ns).info
    return Messages(target, profile=home.profile, zone=zone)


def _idle_report(progress: DestinationProgress) -> DestinationReport:
    return DestinationReport(name=progress.name, endpoint=progress.endpoint)


class _TargetDelivery:
    """Sends to one target what it has not acknowledged."""

    def __init__(
        self,
        journal: Journal,
        progress: DestinationProgress,
        post: Post,
        options: SyncOptions,
        *,
        max_age_ns: int,
    ) -> None:
        self._journal = journal
        self._progress = progress
        self._post = post
        self._options = options
        self._max_age_ns = max_age_ns
        self._report = _idle_report(progress)
        self._failures = progress.failures

    def run(self) -> DestinationReport:
        """Send until nothing is pending, a request fails, or the time is up. Raises `JournalError`."""
        notices, id_ = self._journal.notices, self._progress.id
        with self._journal.atomic():
            before_ns = self._options.clock.now_ns() - self._max_age_ns
            given_up = notices.give_up(id_, before_ns)
        self._report = replace(self._report, given_up=given_up)
        going_on = True
        while going_on and (pending := notices.take(id_, MAX_NOTICES)):
            going_on = all(map(self._deliver, self._post.parcels(pending)))
        return replace(self._report, pending=notices.pending(id_))

    def _deliver(self, parcel: Parcel) -> bool:
        """Make one request and record its result. Return whether to go on."""
        remaining_s = self._options.remaining_s()
        if self._options.interrupted() or (remaining_s is not None and remaining_s <= 0):
            return False
        receipt = self._receipt(parcel, remaining_s)
        match receipt.verdict:
            case Verdict.ACCEPTED:
                self._accepted(parcel)
            case Verdict.BAD_REQUEST:
                self._refused(parcel, receipt)
            case _:
                self._failed(receipt)
                return False
        return True

    def _receipt(self, parcel: Parcel, remaining_s: float | None) -> Receipt:
        limits_s = (remaining_s, self._options.request_limit_s)
        limit_s = request_timeout_s(
            limits_s, probe=is_probe(self._progress, hurried=self._options.hurried)
        )
        timeout_s = REQUEST_TIMEOUT_S if limit_s is None else min(limit_s, REQUEST_TIMEOUT_S)
        try:
            return self._post.send(parcel, timeout_s=timeout_s)
        except (JournalError, MissingAppriseError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours or of a library
            return Receipt(verdict=Verdict.RETRY, reason=report_own_fault(error))

    def _accepted(self, parcel: Parcel) -> None:
        with self._journal.atomic():
            self._journal.notices.accepted(
                self._progress.id, parcel.notices, self._options.clock.now_ns()
            )
        self._answered()
        self._report = replace(self._report, sent=self._report.sent + len(parcel.notices))

    def _refused(self, parcel: Parcel, receipt: Receipt) -> None:
        with self._journal.atomic():
            self._journal.notices.refused(
                self._progress.id,
                parcel.notices,
                receipt.reason,
                self._options.clock.now_ns(),
            )
        self._answered()
        self._report = replace(
            self._report,
            refused=self._report.refused + len(parcel.notices),
            error=receipt.reason,
        )

    def _answered(self) -> None:
        if self._failures:
            self._failures = 0
            self._report = replace(self._report, recovered=True)

    def _failed(self, receipt: Receipt) -> None:
        """Record a failed request, and begin the back-off."""
        now_ns = self._options.clock.now_ns()
        wait_s, asked = next_wait_s(self._failures, receipt.retry_after_s, self._options.jitter())
        next_ns = now_ns + round(wait_s * NS)
        with self._journal.atomic():
            self._journal.notices.failed(
                self._progress.id,
                receipt.reason,
                now_ns=now_ns,
                next_try_ns=next_ns,
                asked_to_wait=asked,
                timed_out=receipt.timed_out,
            )
        self._report = replace(
            self._report,
            error=receipt.reason,
            next_try_ns=next_ns,
            began_failing=self._failures == 0,
        )


def reports_of(
    settings: Settings, *parts: Mapping[str, DestinationReport]
) -> tuple[DestinationReport, ...]:
    """Return one report for each target in the settings, out of reports that followed each other."""
    reports = merged(*parts)
    return tuple(
        reports.get(t.name) or DestinationReport(name=t.name, endpoint=t.safe_address)
        for t in settings.notify
    )
