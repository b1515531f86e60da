"""Sends the outbox of one destination, request by request.

An entry leaves the outbox when the destination accepts it, when it is set aside, or when it is too old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from ..faults import report_own_fault
from ..host.sqlite import HostDataError
from ..journal import Journal, JournalError
from ..journal.outbox import DestinationProgress, Entry
from ..model import Resource, Span
from ..model.times import NS
from .acknowledgement import (
    DOUBT_TRIES,
    Consequence,
    Receipt,
    Verdict,
    consequence_of,
    doubt_wait_ns,
)
from .backoff import (
    gets_empty_request,
    is_probe,
    next_try_ns,
    next_wait_s,
    request_timeout_s,
)
from .batches import Batch, BuiltTrace, batches
from .otlp.sender import MissingExporterError, Sender
from .report import DestinationReport
from .sync_options import SyncOptions

MAX_BATCH_RUNS: Final = 256
FIRST_BATCH_RUNS: Final = 8
"""The most runs in a request, and the most in the first one after a failure. Each accepted request
doubles the number."""

RAMP_PAUSE_S: Final = 0.1
"""The pause between requests until the full size is reached, so that a destination that has just
come back is not flooded."""

FRESH_NS: Final = 600 * NS
"""Runs that ended less than this long ago are sent before any backlog."""

BuildTraces: TypeAlias = Callable[[Sequence[Entry]], Iterable[list[Span] | None]]
"""Builds the traces of these entries, one by one, in their order. None stands for a run that must
wait, because its steps cannot be read just now."""


class DestinationExporter:
    """Sends to one destination the runs that it has not acknowledged."""

    def __init__(
        self,
        journal: Journal,
        progress: DestinationProgress,
        open_sender: Callable[[], Sender],
        build: BuildTraces,
        options: SyncOptions,
        *,
        max_age_ns: int,
        build_without_content: BuildTraces | None = None,
        resource_of: Callable[[Resource | None], Resource | None] = lambda resource: resource,
        on_sent: Callable[[str, int], None] = lambda _name, _sent: None,
    ) -> None:
        """`build_without_content` builds traces without content, for those that are too large with it.

        `resource_of` gives the resource that is sent for the one that a run became final with.
        `max_age_ns` is the age at which the entries of a failing destination are given up.
        """
        self._journal = journal
        self._outbox = journal.outbox
        self._progress = progress
        self._open_sender = open_sender
        self._build = build
        self._build_without_content = build_without_content
        self._resource_of = resource_of
        self._options = options
        self._max_age_ns = max_age_ns
        self._on_sent = on_sent
        self._report = DestinationReport(name=progress.name, endpoint=progress.endpoint)
        self._failures = progress.failures
        self._failing = progress.failures > 0
        self._probing = is_probe(progress, hurried=options.hurried)
        self._runs_per_request = self._first_runs()
        self._last_receipt_ns = progress.last_receipt_ns
        self._bad_requests_in_a_row = 0
        self._suspects: list[tuple[Entry, Receipt]] = []
        self._doubted: set[int] = set()
        """The runs that were put in doubt by this export."""

    def run(self) -> DestinationReport:
        """Send until the outbox is empty, the destination fails, or the time is up.

        Raises `JournalError` and `MissingExporterError`. Any other fault of ours counts as a failure
        of this destination, so that it holds up no other.
        """
        next_ns = next_try_ns(
            self._progress, now_ns=self._options.clock.now_ns(), eager=self._options.eager
        )
        if next_ns is not None:
            return replace(self._report, next_try_ns=next_ns)
        if not gets_empty_request(self._progress) or self._try(self._send_nothing):
            while self._has_time() and (entries := self._take()):
                if not self._try(partial(self._send, entries)) or not self._may_go_on():
                    break
        if self._failing:
            self._give_up_old()
        return self._report

    def _first_runs(self) -> int:
        if self._probing:
            return 1  # an answer that comes too late leaves a copy of each run
        return FIRST_BATCH_RUNS if self._failing else MAX_BATCH_RUNS

    def _has_time(self) -> bool:
        remaining_s = self._options.remaining_s()
        return remaining_s is None or remaining_s > 0

    def _take(self) -> list[Entry]:
        """Return the next entries: those in doubt when there are no others."""
        now_ns, since_ns = self._options.clock.now_ns(), self._options.since_ns or 0
        entries = self._outbox.take(
            self._progress.id,
            self._runs_per_request,
            fresh_since_ns=now_ns - FRESH_NS,
            since_ns=since_ns,
        )
        if entries:
            return entries
        doubted = self._outbox.take_doubted(
            self._progress.id,
            self._runs_per_request,
            due_ns=None if self._options.eager else now_ns,
            since_ns=since_ns,
        )
        return [entry for entry in doubted if entry.run_id not in self._doubted]

    def _may_go_on(self) -> bool:
        """Report what was sent, rest, and return whether the next request may begin."""
        self._on_sent(self._progress.name, self._report.sent)
        if self._runs_per_request < MAX_BATCH_RUNS:
            self._options.clock.sleep(RAMP_PAUSE_S)
        self._options.between_chunks()
        return not self._options.interrupted()

    # Sending.

    def _try(self, send: Callable[[], bool]) -> bool:
        """Send, and handle what is raised. Return whether to go on."""
        try:
            return send()
        except HostDataError as error:
            self._report = replace(self._report, error=str(error))  # the runs wait
            return False
        except (JournalError, MissingExporterError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours or of a library
            return self._failed(Receipt(verdict=Verdict.RETRY, reason=report_own_fault(error)))

    def _send_nothing(self) -> bool:
        """Make a request without runs. Return whether the destination gives OTLP's answers again."""
        receipt = self._open_sender().send([], timeout_s=self._timeout_s())
        return receipt.verdict is not Verdict.RETRY or self._failed(receipt)

    def _send(self, entries: list[Entry]) -> bool:
        """Build and send the traces of the entries. Return whether to go on."""
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
        return done and self._judge_suspects() and built > 0

    def _request(self, batch: Batch, *, without_content: bool = False) -> bool:
        """Make one request, and others if it must be divided. Return whether to go on."""
        spans = [
            span
            for entry, trace in batch
            for span in _with_resource(trace, self._resource_of(entry.resource))
        ]
        receipt = self._open_sender().send(spans, timeout_s=self._timeout_s())
        if receipt.verdict is Verdict.BAD_REQUEST:
            self._bad_requests_in_a_row += 1
        consequence = consequence_of(
            receipt.verdict,
            runs=len(batch),
            bad_requests_in_a_row=self._bad_requests_in_a_row,
            can_omit_content=self._build_without_content is not None and not without_content,
        )
        if consequence is Consequence.HALVE:
            return self._send_halves(batch)
        if consequence is Consequence.FIRST_ALONE:
            self._runs_per_request = 1
            return self._request(batch[:1])
        if consequence is Consequence.WITHOUT_CONTENT:
            return self._send_without_content(batch)
        return self._record([entry for entry, _ in batch], receipt, consequence)

    def _send_halves(self, batch: Batch) -> bool:
        """Send a batch in two requests. Return whether to go on."""
        half = len(batch) // 2
        return all(
            self._has_time() and self._request(part) for part in (batch[:half], batch[half:])
        )

    def _send_without_content(self, batch: Batch) -> bool:
        """Send a batch of one run without its content. Return whether to go on."""
        ((entry, _),) = batch
        assert self._build_without_content is not None  # noqa: S101 - or it could not be the consequence
        (trace,) = self._build_without_content([entry])
        return trace is None or self._request([(entry, trace)], without_content=True)

    def _timeout_s(self) -> float | None:
        limits_s = (self._options.remaining_s(), self._options.request_limit_s)
        return request_timeout_s(limits_s, probe=self._failing and self._probing)

    # Recording the results.

    def _record(self, entries: list[Entry], receipt: Receipt, consequence: Consequence) -> bool:
        """Record what becomes of the runs in a request. Return whether to go on."""
        match consequence:
            case Consequence.DONE:
                self._accepted(entries)
            case Consequence.SUSPECT:
                self._suspects.append((entries[0], receipt))
                if self._failing and len(self._suspects) > 1:
                    return self._failed(receipt)
            case Consequence.DOUBT:
                return self._met_server_error(entries[0], receipt)
            case Consequence.BACK_OFF:
                return self._failed(receipt)
            case Consequence.SET_ASIDE_AND_SHRINK:
                self._answered_and_set_aside(entries, receipt)
                self._runs_per_request = 1
            case Consequence.SET_ASIDE:
                self._answered_and_set_aside(entries, receipt)
            case Consequence.HALVE | Consequence.FIRST_ALONE | Consequence.WITHOUT_CONTENT:
                raise AssertionError(consequence)  # `_request` sends these runs again
        return True

    def _accepted(self, entries: list[Entry]) -> None:
        with self._journal.atomic():
            self._answered()
            self._set_aside_suspects()
            self._last_receipt_ns = self._options.clock.now_ns()
            self._outbox.accepted(self._progress.id, entries, self._last_receipt_ns)
        self._report = replace(self._report, sent=self._report.sent + len(entries))
        self._bad_requests_in_a_row = 0
        self._runs_per_request = min(self._runs_per_request * 2, MAX_BATCH_RUNS)

    def _answered(self) -> None:
        """Record that the destination answers: it is not failing, or not any more."""
        self._failures = 0
        if self._failing:
            self._failing = False
            self._report = replace(self._report, recovered=True)
            self._outbox.answers(self._progress.id)

    def _failed(self, receipt: Receipt) -> bool:
        """Record a failed request, and begin the back-off. Return False: do not go on."""
        now_ns = self._options.clock.now_ns()
        wait_s, asked = next_wait_s(self._failures, receipt.retry_after_s, self._options.jitter())
        next_ns = now_ns + round(wait_s * NS)
        with self._journal.atomic():
            for entry, _ in self._suspects:
                self._put_in_doubt(entry, entry.doubted_tries)
            self._outbox.failed(
                self._progress.id,
                receipt.reason,
                now_ns=now_ns,
                next_try_ns=next_ns,
                asked_to_wait=asked,
                timed_out=receipt.timed_out,
                fault=receipt.fault,
            )
        self._report = replace(
            self._report,
            began_failing=not self._failing,
            error=receipt.reason,
            next_try_ns=next_ns,
        )
        self._failing = True
        self._suspects.clear()
        return False

    def _met_server_error(self, entry: Entry, receipt: Receipt) -> bool:
        """Decide about a run that alone met a server error. Return whether to go on."""
        tries = entry.doubted_tries
        if counts := self._has_accepted_since_doubt(entry):
            tries += 1
        if tries >= DOUBT_TRIES:
            self._answered_and_set_aside([entry], receipt)
            return True
        with self._journal.atomic():
            self._put_in_doubt(entry, tries)
        if not counts and not self._report.sent:
            return self._failed(receipt)
        self._report = replace(self._report, error=receipt.reason)
        return True

    def _put_in_doubt(self, entry: Entry, tries: int) -> None:
        now_ns, since_ns = self._options.clock.now_ns(), entry.doubted_ns
        if since_ns is None or tries > entry.doubted_tries:
            since_ns = now_ns
        self._outbox.doubt(
            self._progress.id,
            entry,
            doubted_ns=since_ns,
            tries=tries,
            next_try_ns=now_ns + doubt_wait_ns(tries),
        )
        self._doubted.add(entry.run_id)

    def _has_accepted_since_doubt(self, entry: Entry) -> bool:
        """Return whether the destination has accepted another run since this one was put in doubt."""
        last_ns = self._last_receipt_ns
        return last_ns is not None and entry.doubted_ns is not None and last_ns >= entry.doubted_ns

    def _judge_suspects(self) -> bool:
        """Decide about the runs that were refused one by one. Return whether to go on.

        They are at fault if the destination has shown that it accepts others. If not, it is at fault itself,
        and they stay.
        """
        if not self._suspects:
            return True
        (entry, receipt), *others = self._suspects
        if self._report.sent or (not others and self._is_at_fault(entry)):
            self._set_aside_suspects()
            return True
        return self._failed(receipt)

    def _is_at_fault(self, entry: Entry) -> bool:
        """Return whether a run that was refused alone is at fault: the last that the destination did before
        was to accept another one."""
        if entry.doubted_ns is not None:
            return self._has_accepted_since_doubt(entry)
        last_ns = self._last_receipt_ns
        return last_ns is not None and not self._outbox.has_refused_since(
            self._progress.id, last_ns
        )

    def _set_aside_suspects(self) -> None:
        for entry, receipt in self._suspects:
            self._answered_and_set_aside([entry], receipt)
        self._suspects.clear()

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
    """Return the trace with the resource of its run on the root."""
    return [trace[0]._replace(resource=resource), *trace[1:]]
