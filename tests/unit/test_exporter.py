"""From the outbox to a destination: how much, how often, and what each receipt does.

The journal is real. `Backend` implements the `Sender` protocol in memory, in place of a server and
of the exporter before it; time is what the test says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.export.acknowledgement import MAX_BAD_REQUESTS, Receipt, Verdict
from cronalytics_otel.export.backoff import FULL_TRY_EVERY, PROBE_TIMEOUT_S, backoff_s
from cronalytics_otel.export.batches import MAX_SPANS, MAX_TEXT_CHARS
from cronalytics_otel.export.exporter import BuildTraces, DestinationExporter
from cronalytics_otel.export.otlp.sender import MissingExporterError
from cronalytics_otel.export.report import DestinationReport
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.journal import Journal, JournalError
from cronalytics_otel.journal.outbox import DestinationStatus, Entry
from cronalytics_otel.model import DestinationFault, Span
from cronalytics_otel.model.times import NS
from tests.support.cli import DIGEST
from tests.support.fake_clock import FakeClock
from tests.support.spans import make_span

START_NS = 1_800_000_000 * NS
DAY_NS = 86_400 * NS

OK = Receipt(verdict=Verdict.ACCEPTED)
RETRY = Receipt(verdict=Verdict.RETRY, reason="503")
SILENCE = Receipt(verdict=Verdict.RETRY, reason="no answer within 1.8 s", timed_out=True)
REFUSED = Receipt(verdict=Verdict.BAD_REQUEST, reason="400")
TOO_LARGE = Receipt(verdict=Verdict.TOO_LARGE, reason="413")
DENIED = Receipt(verdict=Verdict.RETRY, reason="401", fault=DestinationFault.CREDENTIALS)
SERVER_ERROR = Receipt(verdict=Verdict.SERVER_ERROR, reason="500", fault=DestinationFault.SERVER)
ODD = Receipt(verdict=Verdict.RETRY, reason="a page", fault=DestinationFault.NOT_OTLP)
PARTIAL = Receipt(verdict=Verdict.PARTIAL, reason="some", rejected=1)

Answers = Callable[[list[int]], Receipt]
"""The runs of a request to what is said of it."""


class Backend:
    """Takes spans as its `answers` say. Each request is kept as the runs and the spans in it."""

    def __init__(self, clock: FakeClock, answers: Answers = lambda _: OK) -> None:
        self.answers = answers
        self.requests: list[list[int]] = []
        self.spans: list[int] = []
        self.texts: list[int] = []
        self.timeouts: list[float | None] = []
        self.taken: Counter[int] = Counter()
        self.seconds_a_request = 0.0
        self._clock = clock

    def send(self, spans: Sequence[Span], *, timeout_s: float | None = None) -> Receipt:
        runs = list(dict.fromkeys(span.trace_id for span in spans))
        self.requests.append(runs)
        self.spans.append(len(spans))
        self.texts.append(
            sum(len(v) for s in spans for v in s.attributes.values() if isinstance(v, str))
        )
        self.timeouts.append(timeout_s)
        self._clock.advance(self.seconds_a_request)
        receipt = self.answers(runs)
        if receipt.accepted:
            self.taken.update(runs)
        return receipt

    def close(self) -> None: ...

    @property
    def sizes(self) -> list[int]:
        return [len(request) for request in self.requests]


def one_span_each(entries: Sequence[Entry]) -> list[list[Span]]:
    return [[make_span(trace_id=entry.run_id)] for entry in entries]


class Desk:
    """A journal with `count` runs of an hour ago, one destination, and what it takes to export."""

    def __init__(self, path: Path | str, count: int) -> None:
        self.journal = Journal.open(Path(path))
        self.clock = FakeClock(now_ns=START_NS)
        self.backend = Backend(self.clock)
        self.build: BuildTraces = one_span_each
        self.jitter = 1.0
        self.count = 0
        with self.journal.atomic():
            self.journal.outbox.set_destinations({"a": "http://a"}, START_NS)
        self.add(count, START_NS - 3600 * NS)

    def add(self, count: int, first_end_ns: int) -> None:
        with self.journal.atomic():
            self.journal.runs.add(
                [
                    replace(
                        DIGEST, execution_id=f"e{n}", session_id=None,
                        started_ns=first_end_ns + n - 1, ended_ns=first_end_ns + n,
                    )
                    for n in range(self.count, self.count + count)
                ],
                self.clock.now_ns(),
            )  # fmt: skip
        self.count += count

    def deliver(self, **changes: object) -> DestinationReport:
        """One sync; it must be due."""
        options = SyncOptions(
            **{
                "clock": self.clock, "jitter": lambda: self.jitter,
                **changes,
            }  # type: ignore[arg-type]
        )  # fmt: skip
        (progress,) = self.journal.outbox.pending_destinations()
        return DestinationExporter(
            self.journal,
            progress,
            lambda: self.backend,
            self.build,
            options,
            max_age_ns=90 * DAY_NS,
        ).run()

    def answer(self, *receipts: Receipt, then: Receipt = OK) -> None:
        """These, one a request, and after them always `then`."""
        script = iter(receipts)
        self.backend.answers = lambda _: next(script, then)

    @property
    def state(self) -> DestinationStatus:
        (state,) = self.journal.outbox.states()
        return state

    @property
    def wait_s(self) -> float:
        """From now to the next attempt."""
        assert self.state.next_try_ns is not None
        return (self.state.next_try_ns - self.clock.now_ns()) / NS


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Callable[[int], Desk]]:
    made: list[Desk] = []

    def make(count: int) -> Desk:
        made.append(Desk(tmp_path / f"journal-{len(made)}.db", count))
        return made[-1]

    yield make
    for desk in made:
        desk.journal.close()


MakeDesk = Callable[[int], Desk]

# All is well.


def test_everything_is_sent_oldest_first_and_done_with_the_receipt(desks: MakeDesk) -> None:
    desk = desks(600)
    result = desk.deliver()
    assert (result.sent, result.error, result.next_try_ns) == (600, None, None)
    assert desk.backend.sizes == [256, 256, 88]
    assert [run for request in desk.backend.requests for run in request] == list(range(1, 601))
    assert (desk.state.delivered, desk.state.pending) == (600, 0)
    assert desk.state.last_receipt_ns == desk.clock.now_ns()
    assert desk.clock.slept == []


def test_a_run_of_this_minute_goes_before_a_backlog(desks: MakeDesk) -> None:
    desk = desks(300)
    desk.add(2, START_NS - 60 * NS)
    desk.deliver()
    assert desk.backend.requests[0][:3] == [301, 302, 1]


def test_a_run_that_ends_while_a_backlog_is_sent_goes_in_the_next_request(desks: MakeDesk) -> None:
    desk = desks(1000)
    late = iter([True])
    desk.deliver(
        between_chunks=lambda: desk.add(1, desk.clock.now_ns()) if next(late, False) else None
    )
    assert desk.backend.requests[1][0] == 1001


def test_since_leaves_earlier_runs_in_the_outbox(desks: MakeDesk) -> None:
    desk = desks(10)
    first_end_ns = START_NS - 3600 * NS
    assert desk.deliver(since_ns=first_end_ns + 7).sent == 3
    assert desk.state.pending == 7


# Back-off.


def test_back_off_doubles_from_a_second_to_five_minutes() -> None:
    assert [backoff_s(n) for n in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert backoff_s(10**6) == 300


def test_each_failure_doubles_the_wait_and_no_sync_tries_before_it_is_over(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(then=RETRY)
    waits = []
    for tries in range(1, 11):
        result = desk.deliver()
        assert len(desk.backend.requests) == tries
        assert result.next_try_ns == desk.state.next_try_ns
        waits.append(desk.wait_s)

        desk.clock.advance(desk.wait_s - 0.001)
        early = desk.deliver()
        assert len(desk.backend.requests) == tries
        assert (early.error, early.next_try_ns) == (None, desk.state.next_try_ns)
        desk.clock.advance(0.001)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert (desk.state.failures, desk.state.pending) == (10, 3)


@pytest.mark.parametrize("jitter", [0.5, 1.5])
def test_jitter_stretches_the_wait_that_the_back_off_says(desks: MakeDesk, jitter: float) -> None:
    desk = desks(1)
    desk.jitter = jitter
    desk.answer(then=RETRY)
    desk.deliver()
    assert desk.wait_s == jitter


def test_the_jitter_of_a_real_export_is_half_to_one_and_a_half() -> None:
    options = SyncOptions()
    drawn = [options.jitter() for _ in range(1000)]
    assert 0.5 <= min(drawn) < 0.6
    assert 1.4 < max(drawn) <= 1.5


def test_a_person_who_asks_is_not_held_up_by_our_own_back_off(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(RETRY)
    desk.deliver()
    assert desk.deliver(eager=True).sent == 3


@pytest.mark.parametrize("eager", [False, True])
def test_what_the_server_asks_for_is_obeyed_to_the_end_even_when_a_person_asks(
    desks: MakeDesk, eager: bool
) -> None:
    desk = desks(3)
    desk.answer(replace(RETRY, retry_after_s=120.0))
    desk.deliver()
    assert desk.wait_s == 120  # no jitter: the server has said when

    desk.clock.advance(119.999)
    desk.deliver(eager=eager)
    assert len(desk.backend.requests) == 1
    desk.clock.advance(0.001)
    assert desk.deliver(eager=eager).sent == 3


def test_a_server_that_asks_for_less_than_our_own_back_off_does_not_switch_it_off(
    desks: MakeDesk,
) -> None:
    """0, or a date that is over by our clock."""
    desk = desks(3)
    desk.answer(then=replace(RETRY, retry_after_s=0.0))
    waits = []
    for _ in range(6):
        desk.deliver()
        waits.append(desk.wait_s)
        desk.clock.advance(desk.wait_s)
    assert waits == [1, 2, 4, 8, 16, 32]
    assert len(desk.backend.requests) == 6

    desk.answer(replace(RETRY, retry_after_s=50.0))
    desk.deliver()
    assert desk.wait_s == 64


def test_a_person_need_not_wait_for_what_is_our_own_part_of_a_wait(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(replace(RETRY, retry_after_s=0.5))
    desk.deliver()
    assert desk.deliver().sent == 0
    assert desk.deliver(eager=True).sent == 3


def test_a_wait_beyond_a_day_is_taken_for_a_day(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(then=replace(RETRY, retry_after_s=1e12))
    desk.deliver()
    assert desk.wait_s == 86_400


def test_a_clock_that_was_set_back_since_makes_nobody_wait(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(replace(RETRY, retry_after_s=60.0))
    desk.deliver()
    desk.clock.advance(-30 * 86_400)
    assert desk.deliver().sent == 3


def test_after_a_receipt_the_back_off_begins_anew(desks: MakeDesk) -> None:
    """Also when the destination fails again within the sync in which it came back."""
    desk = desks(30)
    desk.answer(then=RETRY)
    for _ in range(8):
        desk.deliver(eager=True)
    desk.answer(OK, then=RETRY)
    desk.deliver(eager=True)
    assert (desk.state.delivered, desk.state.failures) == (8, 1)
    assert desk.wait_s == 1


def test_began_failing_and_recovered_are_each_told_once(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(RETRY, RETRY)
    results = [desk.deliver(eager=True) for _ in range(3)]
    assert [d.began_failing for d in results] == [True, False, False]
    assert [d.recovered for d in results] == [False, False, True]
    assert [d.error for d in results] == ["503", "503", None]


# Our own faults.


def raising(error: BaseException) -> Answers:
    def answers(_: list[int]) -> Receipt:
        raise error

    return answers


def test_a_fault_of_ours_is_a_failure_of_this_destination_that_quotes_nothing(
    desks: MakeDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = desks(3)
    desk.backend.answers = raising(ValueError("bad key tok3ntok3n"))
    for failures in (1, 2):
        result = desk.deliver(eager=True)
        assert result.error is not None
        assert result.error.startswith("a fault of cronalytics-otel itself (ValueError in test_")
        assert (desk.state.failures, desk.state.pending) == (failures, 3)
        assert result.next_try_ns == desk.state.next_try_ns
    assert [r.levelname for r in caplog.records] == ["WARNING"], "where it was is told once"
    assert "in answers" in caplog.text
    assert "tok3n" not in caplog.text + (desk.state.last_error or "")

    desk.answer(OK)
    assert desk.deliver(eager=True).recovered


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), JournalError("full"), MissingExporterError("x")]
)
def test_what_is_not_a_destination_s_alone_is_raised(desks: MakeDesk, error: BaseException) -> None:
    desk = desks(3)
    desk.backend.answers = raising(error)
    with pytest.raises(type(error)):
        desk.deliver()
    assert desk.state.failures == 0


# Coming back.


def test_one_that_has_just_come_back_is_sent_little_and_twice_as_much_with_each_receipt(
    desks: MakeDesk,
) -> None:
    desk = desks(800)
    desk.answer(RETRY)
    desk.deliver()
    assert desk.deliver(eager=True).sent == 800
    assert desk.backend.sizes[1:] == [8, 16, 32, 64, 128, 256, 256, 40]
    assert len(desk.clock.slept) == 4, "a pause before each request up to the full size"


def test_one_that_fails_gets_one_request_a_sync(desks: MakeDesk) -> None:
    desk = desks(800)
    desk.answer(then=RETRY)
    for _ in range(4):
        desk.deliver(eager=True)
    assert desk.backend.sizes == [256, 8, 8, 8]


# Not taken for good.


def test_one_bad_run_is_found_by_halves_and_all_others_arrive(desks: MakeDesk) -> None:
    desk = desks(256)
    desk.backend.answers = lambda runs: REFUSED if 77 in runs else OK
    result = desk.deliver()
    assert (result.sent, result.refused, result.error) == (255, 1, "400")
    assert sorted(desk.backend.taken) == [n for n in range(1, 257) if n != 77]
    assert desk.journal.outbox.refusals(1, 9) == [("400", 1)]
    assert len(desk.backend.requests) <= 2 * 8 + 1


def test_a_request_that_is_too_large_is_halved_until_it_fits(desks: MakeDesk) -> None:
    desk = desks(256)
    desk.backend.answers = lambda runs: TOO_LARGE if len(runs) > 50 else OK
    result = desk.deliver()
    assert (result.sent, result.refused) == (256, 0)
    assert max(desk.backend.taken.values()) == 1


def test_a_run_that_is_too_large_alone_is_set_aside(desks: MakeDesk) -> None:
    desk = desks(5)
    desk.backend.answers = lambda runs: TOO_LARGE if 3 in runs else OK
    result = desk.deliver()
    assert (result.sent, result.refused) == (4, 1)
    assert desk.journal.outbox.refusals(1, 9) == [("413", 1)]


def test_a_server_that_refuses_everything_is_not_asked_about_each_run(desks: MakeDesk) -> None:
    desk = desks(2000)
    desk.answer(then=REFUSED)
    result = desk.deliver()
    assert (result.sent, result.refused, desk.state.pending) == (0, 0, 2000)
    assert (result.error, result.began_failing) == ("400", True)
    assert len(desk.backend.requests) == MAX_BAD_REQUESTS


def test_a_server_that_goes_on_refusing_everything_takes_nothing_out_of_the_outbox(
    desks: MakeDesk,
) -> None:
    desk = desks(2000)
    desk.answer(then=REFUSED)
    for _ in range(3):
        desk.deliver(eager=True)
    assert (desk.state.refused, desk.state.pending, desk.state.failures) == (0, 2000, 3)

    desk.answer(then=OK)
    assert desk.deliver(eager=True).sent == 2000


def test_a_wrong_key_sets_nothing_aside_and_all_goes_by_itself_when_it_is_mended(
    desks: MakeDesk,
) -> None:
    desk = desks(1000)
    desk.answer(then=DENIED)
    waits = []
    for _ in range(12):
        result = desk.deliver()
        assert (result.refused, result.error, desk.state.pending) == (0, "401", 1000)
        waits.append(desk.wait_s)
        desk.clock.advance(desk.wait_s)
    assert len(desk.backend.requests) == 12, "one request a sync"
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert desk.state.fault is DestinationFault.CREDENTIALS

    desk.answer(then=OK)
    assert desk.deliver().sent == 1000
    ended = desk.state
    assert (ended.fault, ended.refused) == (None, 0)


def test_a_partly_taken_request_is_never_sent_again_and_the_next_ones_are_small(
    desks: MakeDesk,
) -> None:
    desk = desks(300)
    desk.answer(PARTIAL)
    result = desk.deliver()
    assert (result.sent, result.refused) == (44, 256)
    assert desk.backend.sizes == [256, 1, 2, 4, 8, 16, 13]


def test_what_was_refused_goes_again_when_it_is_put_back(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(PARTIAL)
    desk.deliver()
    desk.journal.outbox.retry_refused(desk.clock.now_ns())
    assert desk.deliver().sent == 3


def test_a_destination_that_answers_with_a_refusal_is_not_failing_any_more(
    desks: MakeDesk,
) -> None:
    """It was down, and the one run that was left is one that it does not like."""
    desk = desks(1)
    desk.deliver()
    desk.add(1, desk.clock.now_ns())
    desk.answer(RETRY, REFUSED)
    desk.deliver()
    result = desk.deliver(eager=True)
    assert (result.refused, result.recovered) == (1, True)
    assert (desk.state.failures, desk.state.failing_since_ns) == (0, None)


# Whose fault is it?


def test_a_lone_refusal_by_a_destination_that_has_never_accepted_anything_is_its_own_fault(
    desks: MakeDesk,
) -> None:
    """A header that it wants is missing, say: it would refuse every run."""
    desk = desks(1)
    desk.answer(then=REFUSED)
    for _ in range(3):
        assert desk.deliver(eager=True).refused == 0
    assert (desk.state.pending, desk.state.failures) == (1, 3)

    desk.add(1, desk.clock.now_ns())
    desk.answer(then=OK)
    assert desk.deliver(eager=True).sent == 2


def test_a_destination_that_has_begun_to_refuse_everything_keeps_all_but_the_first_run(
    desks: MakeDesk,
) -> None:
    """The first refusal after a receipt is taken for the run's own fault, and each further one is not."""
    desk = desks(1)
    desk.deliver()
    desk.answer(then=REFUSED)
    refused = []
    for _ in range(4):
        desk.clock.advance(3600)
        desk.add(1, desk.clock.now_ns())
        refused.append(desk.deliver(eager=True).refused)
    assert refused == [1, 0, 0, 0]
    assert desk.state.pending == 3

    desk.answer(then=OK)
    assert desk.deliver(eager=True).sent == 3


def test_two_runs_that_are_refused_by_a_destination_that_accepts_nothing_stay(
    desks: MakeDesk,
) -> None:
    desk = desks(2)
    desk.answer(then=REFUSED)
    assert desk.deliver().refused == 0
    assert (desk.state.pending, desk.state.failures) == (2, 1)


def test_runs_that_were_refused_do_not_stand_in_the_way_of_others(desks: MakeDesk) -> None:
    """The ten oldest are bad, and the destination was down: the first requests hold no good one."""
    desk = desks(30)
    desk.answer(RETRY)
    desk.deliver()
    desk.backend.answers = lambda runs: REFUSED if min(runs) <= 10 else OK
    while desk.state.pending:
        desk.deliver(eager=True)
    assert sorted(desk.backend.taken) == list(range(11, 31))
    assert (desk.state.refused, desk.state.pending) == (10, 0)


def test_a_lone_server_error_sets_nothing_aside(desks: MakeDesk) -> None:
    desk = desks(1)
    desk.answer(SERVER_ERROR)
    result = desk.deliver()
    assert (result.refused, result.error, result.began_failing) == (0, "500", True)
    assert desk.wait_s == 1
    desk.clock.advance(60)
    assert desk.deliver().sent == 1


def test_a_server_error_for_many_runs_is_one_more_request_and_no_more(desks: MakeDesk) -> None:
    desk = desks(1000)
    desk.answer(SERVER_ERROR)
    assert desk.deliver().sent == 1000
    assert desk.backend.sizes[:5] == [256, 1, 2, 4, 8]


def test_a_server_that_errs_for_days_gets_two_requests_a_sync_and_loses_no_run(
    desks: MakeDesk,
) -> None:
    desk = desks(100)
    desk.answer(then=SERVER_ERROR)
    for _ in range(200):
        before = len(desk.backend.requests)
        result = desk.deliver()
        assert len(desk.backend.requests) - before <= 2
        assert (result.refused, desk.state.pending) == (0, 100)
        desk.clock.advance(3600)
    desk.answer(then=OK)
    assert desk.deliver().sent == 100
    assert (desk.state.refused, desk.state.pending) == (0, 0)


def test_a_run_at_which_the_server_always_errs_delays_no_other_and_is_refused_at_last(
    desks: MakeDesk,
) -> None:
    desk = desks(20)
    desk.backend.answers = lambda runs: SERVER_ERROR if 7 in runs else OK
    result = desk.deliver()
    assert (result.sent, result.refused, desk.state.pending) == (19, 0, 1)
    tried = []
    while desk.state.pending:
        desk.clock.advance(600)
        desk.add(1, desk.clock.now_ns())
        before = desk.backend.requests.count([7])
        desk.deliver()
        tried.append(desk.backend.requests.count([7]) - before)
    assert tried == [1, 0, 0, 0, 0, 0, 1], "after a minute, and then after an hour"
    assert desk.journal.outbox.refusals(1, 9) == [("500", 1)]
    assert set(desk.backend.taken.values()) == {1}


def test_the_only_run_of_a_home_is_retried_until_another_one_was_accepted(desks: MakeDesk) -> None:
    desk = desks(1)
    desk.backend.answers = lambda runs: SERVER_ERROR if 1 in runs else OK
    for _ in range(50):
        assert desk.deliver().refused == 0
        desk.clock.advance(3600)
    assert desk.state.failures == 50
    for _ in range(2):
        desk.add(1, desk.clock.now_ns())
        result = desk.deliver()
        desk.clock.advance(3601)
    assert (result.refused, desk.state.delivered, desk.state.pending) == (1, 2, 0)


def test_a_run_is_not_refused_for_a_second_outage(desks: MakeDesk) -> None:
    """It met a server error in both, and others were accepted in between."""
    desk = desks(1)
    desk.answer(then=SERVER_ERROR)
    desk.deliver()
    desk.clock.advance(3600)
    desk.add(1, desk.clock.now_ns())
    desk.backend.answers = lambda runs: OK if runs == [2] else SERVER_ERROR
    desk.deliver()
    desk.answer(then=SERVER_ERROR)
    for _ in range(30):
        desk.clock.advance(3601)
        assert desk.deliver().refused == 0
    desk.answer(then=OK)
    desk.clock.advance(3601)
    assert desk.deliver().sent == 1


def test_an_eager_sync_tries_a_run_in_doubt_once(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.backend.answers = lambda runs: SERVER_ERROR if 2 in runs else OK
    desk.deliver()
    desk.deliver(eager=True)
    assert desk.backend.requests.count([2]) == 2
    assert desk.state.pending == 1


# Answers that are not OTLP.


def test_odd_answers_get_empty_requests_until_they_are_otlp(desks: MakeDesk) -> None:
    """Whoever gives them may have taken the runs each time."""
    desk = desks(50)
    desk.answer(then=ODD)
    for _ in range(20):
        assert desk.deliver(eager=True).error == "a page"
    assert desk.backend.sizes == [50, 8, 8, *[0] * 17]
    assert (desk.state.pending, desk.state.failures) == (50, 20)

    desk.answer(then=OK)
    result = desk.deliver(eager=True)
    assert (result.sent, result.recovered) == (50, True)
    assert desk.backend.sizes[20:22] == [0, 8]


def test_what_refuses_an_empty_request_is_sent_the_runs(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(ODD, ODD, ODD, REFUSED)
    for _ in range(4):
        desk.deliver(eager=True)
    assert desk.state.delivered == 3


# Bounds.


def test_a_request_holds_no_more_spans_than_its_bound_and_no_trace_is_split(
    desks: MakeDesk,
) -> None:
    desk = desks(30)
    desk.build = lambda entries: [[make_span(trace_id=e.run_id)] * 100 for e in entries]
    desk.deliver()
    assert desk.backend.spans == [500] * 6


def test_one_trace_above_the_bound_goes_alone(desks: MakeDesk) -> None:
    desk = desks(3)
    sizes = {1: 1, 2: MAX_SPANS + 1, 3: 1}
    desk.build = lambda entries: [[make_span(trace_id=e.run_id)] * sizes[e.run_id] for e in entries]
    desk.deliver()
    assert desk.backend.requests == [[1], [2], [3]]


def test_a_request_holds_no_more_text_than_its_bound(desks: MakeDesk) -> None:
    desk = desks(10)
    text = "x" * (MAX_TEXT_CHARS // 4)
    desk.build = lambda entries: [
        [make_span(trace_id=e.run_id, attributes={"gen_ai.prompt": text})] for e in entries
    ]
    desk.deliver()
    assert max(desk.backend.texts) <= MAX_TEXT_CHARS
    assert desk.backend.sizes == [4, 4, 2]


def test_when_the_time_is_over_nothing_more_is_begun(desks: MakeDesk) -> None:
    desk = desks(2000)
    desk.backend.seconds_a_request = 1.0
    end_ns = desk.clock.now_ns() + round(2.5 * NS)
    result = desk.deliver(remaining_s=lambda: (end_ns - desk.clock.now_ns()) / NS)
    assert desk.backend.timeouts == pytest.approx([2.3, 1.3, 0.3])
    assert (result.sent, result.error) == (768, None)
    assert desk.state.pending == 2000 - 768


def test_when_the_time_is_over_no_half_of_a_refused_request_is_begun_either(
    desks: MakeDesk,
) -> None:
    desk = desks(256)
    desk.answer(then=REFUSED)
    desk.backend.seconds_a_request = 1.0
    end_ns = desk.clock.now_ns() + round(2.5 * NS)
    desk.deliver(remaining_s=lambda: (end_ns - desk.clock.now_ns()) / NS)
    assert desk.backend.timeouts == pytest.approx([2.3, 1.3, 0.3])
    assert desk.state.pending + desk.state.refused == 256


def test_in_a_hurry_one_that_was_silent_gets_one_run_and_a_short_try(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(then=SILENCE)
    desk.deliver(hurried=True, remaining_s=lambda: 2.0)
    desk.deliver(hurried=True, remaining_s=lambda: 2.0, eager=True)
    desk.deliver(hurried=True, remaining_s=lambda: 0.1, eager=True)
    desk.deliver(hurried=True, eager=True)
    assert desk.backend.timeouts == [1.8, PROBE_TIMEOUT_S, 0.05, PROBE_TIMEOUT_S]
    assert [len(request) for request in desk.backend.requests[1:]] == [1, 1, 1]


def test_in_a_hurry_one_that_said_no_gets_all_the_time_there_is(desks: MakeDesk) -> None:
    """It answers; and when it is well again, it may need longer than a short try."""
    desk = desks(3)
    desk.answer(RETRY)
    desk.deliver(hurried=True, remaining_s=lambda: 2.0)
    desk.deliver(hurried=True, remaining_s=lambda: 2.0, eager=True)
    assert desk.backend.timeouts == [1.8, 1.8]


def test_in_a_hurry_one_that_stays_silent_gets_all_the_time_now_and_then(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.answer(then=SILENCE)
    for _ in range(2 * FULL_TRY_EVERY):
        desk.deliver(hurried=True, remaining_s=lambda: 2.0, eager=True)
    full = [n for n, limit in enumerate(desk.backend.timeouts) if limit == 1.8]
    assert full == [0, FULL_TRY_EVERY]


def test_a_request_leaves_time_to_write_down_its_end(desks: MakeDesk) -> None:
    desk = desks(1)
    desk.deliver(request_limit_s=2.0)
    assert desk.backend.timeouts == [1.8]


def test_in_a_hurry_one_that_answers_again_gets_all_the_time_that_is_left(desks: MakeDesk) -> None:
    desk = desks(20)
    desk.answer(SILENCE)
    desk.deliver()
    desk.deliver(hurried=True, remaining_s=lambda: 2.0, eager=True)
    assert desk.backend.timeouts[1] == PROBE_TIMEOUT_S
    assert set(desk.backend.timeouts[2:]) == {1.8}
    assert desk.state.pending == 0


# Age.


def test_what_a_failing_destination_has_lacked_too_long_is_given_up_and_counted(
    desks: MakeDesk,
) -> None:
    desk = desks(3)
    desk.clock.advance(91 * 86_400)
    desk.add(2, desk.clock.now_ns() - 3600 * NS)
    desk.answer(then=RETRY)
    assert desk.deliver().given_up == 3
    assert (desk.state.pending, desk.state.given_up) == (2, 3)


def test_what_is_old_and_can_be_sent_is_sent(desks: MakeDesk) -> None:
    desk = desks(3)
    desk.clock.advance(91 * 86_400)
    result = desk.deliver()
    assert (result.sent, result.given_up) == (3, 0)


# Whatever is said.

receipts = st.sampled_from(
    [OK, OK, RETRY, REFUSED, TOO_LARGE, DENIED, PARTIAL, SERVER_ERROR, ODD, replace(RETRY, retry_after_s=3.0)]
)  # fmt: skip


@given(
    count=st.integers(1, 40),
    script=st.lists(receipts, max_size=30),
    spans=st.lists(st.sampled_from([1, 1, 100, 300, 600]), min_size=1, max_size=5),
)
def test_whatever_a_destination_says_each_run_has_one_end(
    tmp_path_factory: pytest.TempPathFactory, count: int, script: list[Receipt], spans: list[int]
) -> None:
    """Accepted once or set aside once; sent again only while nothing of it was taken."""
    desk = Desk(tmp_path_factory.mktemp("journal") / "journal.db", count)
    with closing(desk.journal):
        desk.build = lambda entries: [
            [make_span(trace_id=e.run_id)] * spans[e.run_id % len(spans)] for e in entries
        ]
        left = iter(script)
        done: set[int] = set()

        def answers(runs: list[int]) -> Receipt:
            assert not done.intersection(runs), "sent again after it was taken"
            receipt = next(left, OK)
            if receipt.verdict in (Verdict.ACCEPTED, Verdict.PARTIAL):
                done.update(runs)
            return receipt

        desk.backend.answers = answers
        reported: Counter[str] = Counter()
        while desk.state.pending:
            result = desk.deliver()
            reported.update(sent=result.sent, refused=result.refused)
            desk.clock.advance(600)
            state = desk.state
            assert state.delivered + state.pending + state.refused == count
            assert (reported["sent"], reported["refused"]) == (state.delivered, state.refused)

        refused = {
            e for (e,) in desk.journal._connection.execute("SELECT run_id FROM refused").fetchall()
        }
        assert set(desk.backend.taken.values()) <= {1}
        assert set(desk.backend.taken).isdisjoint(refused)
        assert set(desk.backend.taken) | refused == set(range(1, count + 1))
