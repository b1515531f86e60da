"""From the outbox to one destination, request by request. An entry leaves only by a receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from ..faults import report_own_fault
from ..host.sqlite import HostDataError
from ..journal import Journal, JournalError
from ..journal.outbox import DestinationProgress, Entry
from ..model import Resource, Span
from ..model.times import NS
from .acknowledgement import Consequence, Receipt, Verdict, consequence_of
from .backoff import is_probe, next_wait_s, request_timeout_s, waits_until_ns
from .batches import Batch, BuiltTrace, batches
from .options import SyncOptions
from .otlp.sender import MissingExporterError, Sender
from .report import DestinationReport

MAX_RUNS: Final = 256
FIRST_RUNS: Final = 8
"""Runs in a request. A destination that has just come back begins with few, and each receipt
doubles them."""

RAMP_PAUSE_S: Final = 0.1
"""The pause between requests until the full size is reached, so that a destination that has just
come back is not flooded."""

FRESH_NS: Final = 600 * NS
"""Runs that ended this lately go before any backlog."""

BuildTraces: TypeAlias = Callable[[Sequence[Entry]], Iterable[list[Span] | None]]
"""Builds the traces of these entries, one by one, in their order. None stands for a run that must
wait, because its steps cannot be read just now."""


class DestinationExporter:
    """Sends one destination what it has not acknowledged."""

    def __init__(
        self,
        journal: Journal,
        progress: DestinationProgress,
        open_sender: Callable[[], Sender],
        build: BuildTraces,
        options: SyncOptions,
        *,
        max_age_ns: int,
        build_slim: BuildTraces | None = None,
        on_sent: Callable[[str, int], None] = lambda _name, _sent: None,
    ) -> None:
        """`build_slim` builds traces without content, for those that are too large with it.

        `max_age_ns` is the age from which a failing destination's entries are given up.
        """
        self._journal = journal
        self._outbox = journal.outbox
        self._progress = progress
        self._open_sender = open_sender
        self._build = build
        self._build_slim = build_slim
        self._options = options
        self._max_age_ns = max_age_ns
        self._on_sent = on_sent
        self._report = DestinationReport(name=progress.name, endpoint=progress.endpoint)
        self._failures = progress.failures
        self._failing = progress.failures > 0
        self._probing = is_probe(progress, hurried=options.hurried)
        self._runs_a_request = self._first_runs()
        self._refused_in_a_row = 0
        self._suspects: list[tuple[Entry, Receipt]] = []

    def run(self) -> DestinationReport:
        """Send until the outbox is empty, the destination fails, or the time is over.

        Raises `JournalError` and `MissingExporterError`. Any other fault of ours counts as a failure
        of this destination, so that it holds up no other.
        """
        next_ns = waits_until_ns(
            self._progress, now_ns=self._options.clock.now_ns(), eager=self._options.eager
        )
        if next_ns is not None:
            return replace(self._report, next_attempt_ns=next_ns)
        while self._has_time() and (entries := self._take()):
            if not self._try_to_send(entries) or not self._may_go_on():
                break
        if self._failing:
            self._give_up_old()
        return self._report

    def _first_runs(self) -> int:
        if self._probing:
            return 1  # an answer that comes too late leaves a copy of each run
        return FIRST_RUNS if self._failing else MAX_RUNS

    def _has_time(self) -> bool:
        remaining_s = self._options.remaining_s()
        return remaining_s is None or remaining_s > 0

    def _take(self) -> list[Entry]:
        return self._outbox.take(
            self._progress.id,
            self._runs_a_request,
            fresh_since_ns=self._options.clock.now_ns() - FRESH_NS,
            since_ns=self._options.since_ns or 0,
        )

    def _may_go_on(self) -> bool:
        """Report what was sent, rest, and return whether the next request may begin."""
        self._on_sent(self._progress.name, self._report.sent)
        if self._runs_a_request < MAX_RUNS:
            self._options.clock.sleep(RAMP_PAUSE_S)
        self._options.between_chunks()
        return not self._options.interrupted()

    # Sending. Each function returns whether it makes sense to go on.

    def _try_to_send(self, entries: list[Entry]) -> bool:
        try:
            return self._send(entries)
        except HostDataError as error:
            self._report = replace(self._report, error=str(error))  # the runs wait
            return False
        except (JournalError, MissingExporterError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours or of a library
            return self._failed(Receipt(verdict=Verdict.RETRY, reason=report_own_fault(error)))

    def _send(self, entries: list[Entry]) -> bool:
        built = 0

        def traces() -> Iterator[BuiltTrace]:
            nonlocal built
            for entry, trace in zip(entries, self._build(entries), strict=True):
                if trace is None:
                    reason = "what Hermes has of some runs cannot be read: they wait"
                    self._report = replace(self._report, error=reason)
                else:
                    built += 1
                    yield entry, trace

        done = all(self._has_time() and self._request(batch) for batch in batches(traces()))
        return done and self._settle_suspects() and built > 0

    def _request(self, batch: Batch, *, slim: bool = False) -> bool:
        spans = [span for entry, trace in batch for span in _with_resource(trace, entry.resource)]
        receipt = self._open_sender().send(spans, timeout_s=self._timeout_s())
        if receipt.verdict is Verdict.REFUSED:
            self._refused_in_a_row += 1
        consequence = consequence_of(
            receipt.verdict,
            runs=len(batch),
            refused_in_a_row=self._refused_in_a_row,
            can_slim=self._build_slim is not None and not slim,
        )
        if consequence is Consequence.HALVE:
            return self._send_halves(batch)
        if consequence is Consequence.SLIM:
            return self._send_slim(batch)
        return self._record([entry for entry, _ in batch], receipt, consequence)

    def _send_halves(self, batch: Batch) -> bool:
        half = len(batch) // 2
        return all(
            self._has_time() and self._request(part) for part in (batch[:half], batch[half:])
        )

    def _send_slim(self, batch: Batch) -> bool:
        ((entry, _),) = batch
        assert self._build_slim is not None  # noqa: S101 - or it could not be the consequence
        (trace,) = self._build_slim([entry])
        return trace is None or self._request([(entry, trace)], slim=True)

    def _timeout_s(self) -> float | None:
        limits_s = (self._options.remaining_s(), self._options.request_limit_s)
        return request_timeout_s(limits_s, probe=self._failing and self._probing)

    # Recording what came of it.

    def _record(self, entries: list[Entry], receipt: Receipt, consequence: Consequence) -> bool:
        match consequence:
            case Consequence.DONE:
                self._accepted(entries)
            case Consequence.SUSPECT:
                self._suspects.append((entries[0], receipt))
            case Consequence.BACK_OFF:
                return self._failed(receipt)
            case Consequence.SET_ASIDE_AND_BACK_OFF:
                self._set_aside(entries, receipt)
                return self._failed(receipt)
            case Consequence.SET_ASIDE_AND_SHRINK:
                self._answered_and_set_aside(entries, receipt)
                self._runs_a_request = 1
            case _:
                self._answered_and_set_aside(entries, receipt)
        return True

    def _accepted(self, entries: list[Entry]) -> None:
        with self._journal.atomic():
            self._answered()
            self._settle_suspects()
            self._outbox.accepted(self._progress.id, entries, self._options.clock.now_ns())
        self._report = replace(self._report, sent=self._report.sent + len(entries))
        self._refused_in_a_row = 0
        self._runs_a_request = min(self._runs_a_request * 2, MAX_RUNS)

    def _answered(self) -> None:
        """Record that the destination answers: it is not failing, or not any more."""
        self._failures = 0
        if self._failing:
            self._failing = False
            self._report = replace(self._report, recovered=True)
            self._outbox.answers(self._progress.id)

    def _failed(self, receipt: Receipt) -> bool:
        now_ns = self._options.clock.now_ns()
        wait_s, asked = next_wait_s(self._failures, receipt.retry_after_s, self._options.jitter())
        next_ns = now_ns + round(wait_s * NS)
        with self._journal.atomic():
            self._outbox.failed(
                self._progress.id,
                receipt.reason,
                now_ns=now_ns,
                next_attempt_ns=next_ns,
                asked_to_wait=asked,
                silent=receipt.silent,
            )
        self._report = replace(
            self._report,
            began_failing=not self._failing,
            error=receipt.reason,
            next_attempt_ns=next_ns,
        )
        self._failing = True
        self._suspects.clear()
        return False

    def _settle_suspects(self) -> bool:
        """Set aside the runs that were refused one by one; return whether to go on.

        Two or more refusals of a destination that was failing, and has taken nothing since, are the
        server's fault: those runs stay.
        """
        if self._failing and len(self._suspects) > 1:
            return self._failed(self._suspects[-1][1])
        for entry, receipt in self._suspects:
            self._answered_and_set_aside([entry], receipt)
        self._suspects.clear()
        return True

    def _answered_and_set_aside(self, entries: list[Entry], receipt: Receipt) -> None:
        with self._journal.atomic():
            self._answered()
            self._set_aside(entries, receipt)

    def _set_aside(self, entries: list[Entry], receipt: Receipt) -> None:
        """Set entries aside with the reason: only `sync --retry-refused` sends them again."""
        with self._journal.atomic():
            self._outbox.refuse(
                self._progress.id, entries, receipt.reason, self._options.clock.now_ns()
            )
        self._report = replace(
            self._report, refused=self._report.refused + len(entries), error=receipt.reason
        )

    def _give_up_old(self) -> None:
        with self._journal.atomic():
            given_up = self._outbox.give_up(
                self._progress.id, self._options.clock.now_ns() - self._max_age_ns
            )
        self._report = replace(self._report, given_up=given_up)


def _with_resource(trace: list[Span], resource: Resource | None) -> list[Span]:
    """Return a trace whose root says with what resource its run became final."""
    return [trace[0]._replace(resource=resource), *trace[1:]]
