"""From the outbox to a destination, request by request; an entry leaves only by a receipt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..faults import report_own_fault
from ..host.sqlite import HostDataError
from ..journal import Journal, JournalError
from ..journal.outbox import DestinationProgress, Entry
from ..model import Span
from ..model.times import NS
from .acknowledgement import Receipt, Verdict
from .otlp.sender import MissingExporterError, Sender

MAX_SPANS = 512
"""A request: the SDK's own batch size. One trace is never split, so a long one may exceed it."""

MAX_TEXT_CHARS = 2_000_000
"""A request's attribute texts: with content on, 512 spans could exceed a collector's 4 MiB."""

MAX_RUNS = 256
FIRST_RUNS = 8
"""Runs a request: few to a destination that has just come back, doubled by each receipt."""

MAX_REFUSED = 20
"""Requests refused in a row after which it is the server's fault, and not that of one run."""

RAMP_PAUSE_S = 0.1
"""Between requests until the full size is reached: who has just come back is not flooded."""

FRESH_NS = 600 * NS
"""Runs that ended this lately go before any backlog."""

BACKOFF_FIRST_S, BACKOFF_MAX_S = 1.0, 300.0
ASKED_MAX_S = 86_400.0
"""A Retry-After beyond a day is taken for a day."""

PROBE_TIMEOUT_S = 0.25
"""For a destination that was silent the last time, where the host waits for us (exit)."""

FULL_TRY_EVERY = 8
"""Of so many such tries one has all the time there is: it may be well again, and slower than that."""

WRITE_DOWN_S = 0.2
"""Of the time that is left at exit, what a request leaves to the journal."""

BuildTraces = Callable[[Sequence[Entry]], Iterable[list[Span] | None]]
"""The traces of these entries, in their order, one by one; None for one whose steps cannot be read
just now: it waits."""


_Pair = tuple[Entry, list[Span]]


@dataclass(slots=True, kw_only=True)
class Delivery:
    """What one sync did for one destination."""

    sent: int = 0
    refused: int = 0
    given_up: int = 0
    error: str | None = None
    began_failing: bool = False
    recovered: bool = False
    waits_until_ns: int | None = None

    @property
    def tried(self) -> bool:
        """Whether anything was asked of the destination."""
        return bool(self.sent or self.refused or self.error)

    def then(self, later: Delivery) -> Delivery:
        """This one and what was done after it, as one."""
        newest = later if later.tried else self
        return Delivery(
            sent=self.sent + later.sent,
            refused=self.refused + later.refused,
            given_up=self.given_up + later.given_up,
            error=newest.error,
            began_failing=self.began_failing or later.began_failing,
            recovered=self.recovered or later.recovered,
            waits_until_ns=later.waits_until_ns or newest.waits_until_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How an export goes about it.

    `eager` tries at once although our own back-off says later (a person asked); a server's
    Retry-After is obeyed all the same. `remaining_s` bounds everything together (None: no bound).
    """

    clock_ns: Callable[[], int]
    sleep: Callable[[float], None]
    max_age_ns: int
    since_ns: int = 0
    eager: bool = False
    hurried: bool = False
    """The host waits, or may leave at any time: a destination that was silent the last time gets a
    short try with one run, as a rule."""
    request_limit_s: float | None = None
    """In a process that leaves by itself: a request must be over, and its end written down, within
    the time that the host waits for us."""
    remaining_s: Callable[[], float | None] = lambda: None
    between_requests: Callable[[], None] = lambda: None
    interrupted: Callable[[], bool] = lambda: False
    """Whether there is something newer to do: a backlog goes on later."""
    progress: Callable[[str, int], None] = lambda _name, _sent: None
    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def waits_until_ns(standing: DestinationProgress, terms: Terms) -> int | None:
    """When the destination may be asked next; None when that is now."""
    if standing.next_attempt_ns is None or (terms.eager and not standing.asked_to_wait):
        return None
    # Further off than we would ever set it: the clock was set back since.
    wait_ns = standing.next_attempt_ns - terms.clock_ns()
    return standing.next_attempt_ns if 0 < wait_ns <= round(ASKED_MAX_S * NS) else None


def deliver(
    journal: Journal,
    standing: DestinationProgress,
    open_sender: Callable[[], Sender],
    build: BuildTraces,
    terms: Terms,
    *,
    build_slim: BuildTraces | None = None,
) -> Delivery:
    """Sends what the destination lacks until it is done, fails, or the time is over.

    `build_slim` builds without content, for a trace that is too large with it. Raises `JournalError`
    and `MissingExporterError`; any other fault of ours is this destination's failure, and holds up
    no other.
    """
    return _Exporter(journal, standing, open_sender, build, terms, build_slim).run()


class _Exporter:
    def __init__(
        self,
        journal: Journal,
        standing: DestinationProgress,
        open_sender: Callable[[], Sender],
        build: BuildTraces,
        terms: Terms,
        build_slim: BuildTraces | None,
    ) -> None:
        self._journal = journal
        self._standing = standing
        self._open_sender = open_sender
        self._build = build
        self._build_slim = build_slim
        self._terms = terms
        self._failures = standing.failures
        self._failing = standing.failures > 0
        self._probes = standing.silent and terms.hurried and standing.failures % FULL_TRY_EVERY > 0
        self._runs_a_request = FIRST_RUNS if self._failing else MAX_RUNS
        if self._probes:
            self._runs_a_request = 1  # an answer that comes too late leaves a copy
        self._refused_in_a_row = 0
        self._in_doubt: list[tuple[Entry, Receipt]] = []
        self._result = Delivery()

    def run(self) -> Delivery:
        self._result.waits_until_ns = waits_until_ns(self._standing, self._terms)
        if self._result.waits_until_ns is not None:
            return self._result
        while self._has_time() and (entries := self._next()):
            try:
                if not self._send(entries):
                    break
            except HostDataError as error:
                self._result.error = str(error)  # the steps cannot be read: the traces wait
                break
            except (JournalError, MissingExporterError):
                raise
            except Exception as error:  # noqa: BLE001 - ours or a library's, and of this one alone
                self._failed(Receipt(verdict=Verdict.RETRY, reason=report_own_fault(error)))
                break
            self._terms.progress(self._standing.name, self._result.sent)
            if self._runs_a_request < MAX_RUNS:
                self._terms.sleep(RAMP_PAUSE_S)
            self._terms.between_requests()
            if self._terms.interrupted():
                break
        if self._failing:
            self._give_up_old()
        return self._result

    def _has_time(self) -> bool:
        remaining_s = self._terms.remaining_s()
        return remaining_s is None or remaining_s > 0

    def _next(self) -> list[Entry]:
        return self._journal.outbox.take(
            self._standing.id,
            self._runs_a_request,
            fresh_since_ns=self._terms.clock_ns() - FRESH_NS,
            since_ns=self._terms.since_ns,
        )

    def _send(self, entries: list[Entry]) -> bool:
        """Sends these in requests of bounded size; False when there is no point in going on."""
        built = 0

        def pairs() -> Iterator[_Pair]:
            nonlocal built
            for entry, trace in zip(entries, self._build(entries), strict=True):
                if trace is None:
                    self._result.error = "what Hermes has of some runs cannot be read: they wait"
                else:
                    built += 1
                    yield entry, trace

        requests = _in_requests(pairs())
        done = all(self._has_time() and self._request(request) for request in requests)
        return done and self._settle() and built > 0

    def _request(self, pairs: list[_Pair], *, slim: bool = False) -> bool:
        spans = [span for _, trace in pairs for span in trace]
        receipt = self._open_sender().send(spans, timeout_s=self._timeout_s())
        entries = [entry for entry, _ in pairs]
        if receipt.accepted:
            return self._accepted(entries)
        if receipt.verdict is Verdict.RETRY:
            return self._failed(receipt)
        if receipt.verdict is Verdict.REFUSED:
            self._refused_in_a_row += 1
            if self._refused_in_a_row >= MAX_REFUSED:
                return self._failed(receipt)
        if len(pairs) > 1 and receipt.verdict in (Verdict.TOO_LARGE, Verdict.REFUSED):
            # Nothing was taken, and it may be the fault of one: the halves tell which.
            half = len(pairs) // 2
            return all(
                self._has_time() and self._request(part) for part in (pairs[:half], pairs[half:])
            )
        if receipt.verdict is Verdict.TOO_LARGE and self._build_slim is not None and not slim:
            (trace,) = self._build_slim(entries)
            return trace is None or self._request([(entries[0], trace)], slim=True)
        if receipt.verdict is Verdict.REFUSED:
            self._in_doubt.append((entries[0], receipt))
            return True
        self._set_aside(entries, receipt)
        if receipt.verdict is Verdict.DENIED:
            return self._failed(receipt)
        if receipt.verdict is Verdict.PARTIAL:
            # What was rejected is not told: smaller requests leave fewer in doubt.
            self._runs_a_request = 1
        return True

    def _settle(self) -> bool:
        """Those in doubt were refused for what they are, unless the server was failing before and
        has still taken nothing."""
        if self._failing and len(self._in_doubt) > 1:
            return self._failed(self._in_doubt[-1][1])
        for entry, receipt in self._in_doubt:
            self._set_aside([entry], receipt)
        self._in_doubt.clear()
        return True

    def _accepted(self, entries: list[Entry]) -> bool:
        with self._journal.atomic():
            self._answers()
            self._settle()
            self._journal.outbox.accepted(self._standing.id, entries, self._terms.clock_ns())
        self._result.sent += len(entries)
        self._refused_in_a_row = 0
        self._runs_a_request = min(self._runs_a_request * 2, MAX_RUNS)
        return True

    def _answers(self) -> None:
        self._failures = 0
        if self._failing:
            self._failing = False
            self._result.recovered = True
            self._journal.outbox.answers(self._standing.id)

    def _failed(self, receipt: Receipt) -> bool:
        now_ns = self._terms.clock_ns()
        # The longer of the two: a server that asks for no wait, or for one that is over by our clock,
        # would be asked again at every sync.
        own_s = backoff_s(self._failures) * self._terms.jitter()
        asked_s = receipt.retry_after_s or 0.0
        next_ns = now_ns + round(min(max(asked_s, own_s), ASKED_MAX_S) * NS)
        with self._journal.atomic():
            self._journal.outbox.failed(
                self._standing.id,
                receipt.reason,
                now_ns=now_ns,
                next_attempt_ns=next_ns,
                asked_to_wait=asked_s >= own_s,
                silent=receipt.silent,
            )
        self._result.began_failing = not self._failing
        self._result.error = receipt.reason
        self._result.waits_until_ns = next_ns
        self._failing = True
        self._in_doubt.clear()
        return False

    def _set_aside(self, entries: list[Entry], receipt: Receipt) -> None:
        """Set aside with the reason: only `sync --retry-refused` sends them again."""
        with self._journal.atomic():
            if receipt.verdict is not Verdict.DENIED:
                self._answers()
            self._journal.outbox.refuse(
                self._standing.id, entries, receipt.reason, self._terms.clock_ns()
            )
        self._result.refused += len(entries)
        self._result.error = receipt.reason

    def _timeout_s(self) -> float | None:
        host_waits_s = (self._terms.remaining_s(), self._terms.request_limit_s)
        limits = [max(s - WRITE_DOWN_S, s / 2) for s in host_waits_s if s is not None]
        if self._failing and self._probes:
            limits.append(PROBE_TIMEOUT_S)
        return min(limits, default=None)

    def _give_up_old(self) -> None:
        with self._journal.atomic():
            self._result.given_up = self._journal.outbox.give_up(
                self._standing.id, self._terms.clock_ns() - self._terms.max_age_ns
            )


def backoff_s(failures: int) -> float:
    """Doubling from the first failure on, up to five minutes; jitter is the caller's."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(failures, 16), BACKOFF_MAX_S)


def _in_requests(
    pairs: Iterable[_Pair],
) -> Iterator[list[_Pair]]:
    """Whole traces, up to the bounds of a request."""
    request: list[_Pair] = []
    spans, chars = 0, 0
    for entry, trace in pairs:
        size = _text_chars(trace)
        if request and (spans + len(trace) > MAX_SPANS or chars + size > MAX_TEXT_CHARS):
            yield request
            request, spans, chars = [], 0, 0
        request.append((entry, trace))
        spans += len(trace)
        chars += size
    if request:
        yield request


def _text_chars(trace: Sequence[Span]) -> int:
    return sum(_chars(span.attributes) for span in trace)


def _chars(attributes: Mapping[str, object]) -> int:
    return sum(len(v) for v in attributes.values() if isinstance(v, str))
