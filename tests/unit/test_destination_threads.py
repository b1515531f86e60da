"""Threads that bring destinations what they lack. They are real; waits are for events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from cronalytics_otel.export.exporter import Delivery
from cronalytics_otel.export.threads import DestinationThreads

GUARD_S = 60.0
"""So that a broken courier fails a test instead of hanging it."""


class Step:
    """An errand that is under way from `begun` until `end` is set, or it is to stop."""

    def __init__(self, delivery: Delivery | BaseException) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.told_to_stop: bool | None = None
        self._delivery = delivery

    def __call__(self, to_stop: Callable[[], bool]) -> Delivery:
        self.begun.set()
        assert self.end.wait(GUARD_S)
        self.told_to_stop = to_stop()
        if isinstance(self._delivery, BaseException):
            raise self._delivery
        return self._delivery


def never() -> bool:
    return False


@pytest.fixture
def couriers() -> Iterator[DestinationThreads]:
    made = DestinationThreads()
    yield made
    made.wait(["slow", "quick"], never)


def test_none_waits_for_another(couriers: DestinationThreads) -> None:
    slow, quick = Step(Delivery(sent=1)), Step(Delivery(sent=2))
    couriers.send("slow", slow)
    couriers.send("quick", quick)
    assert slow.begun.wait(GUARD_S)
    quick.end.set()
    couriers.wait(["quick"], never)
    assert couriers.collect() == {"quick": Delivery(sent=2)}
    assert couriers.is_under_way("slow")
    slow.end.set()


def test_a_wait_ends_when_there_is_something_better_to_do_and_the_rest_is_collected_later(
    couriers: DestinationThreads,
) -> None:
    slow = Step(Delivery(error="503", began_failing=True))
    couriers.send("slow", slow)
    couriers.wait(["slow"], lambda: True)
    assert couriers.collect() == {}
    assert not couriers.have_news

    slow.end.set()
    couriers.wait(["slow"], never)
    assert couriers.have_news
    assert couriers.collect() == {"slow": Delivery(error="503", began_failing=True)}
    assert not couriers.have_news


def test_who_is_sent_again_while_under_way_stops_there_and_goes_on_with_the_newest_errand(
    couriers: DestinationThreads,
) -> None:
    first, passed_over, last = (Step(Delivery(sent=n)) for n in (1, 10, 100))
    couriers.send("slow", first)
    assert first.begun.wait(GUARD_S)
    couriers.send("slow", passed_over)
    couriers.send("slow", last)
    for step in (first, passed_over, last):
        step.end.set()
    couriers.wait(["slow"], never)
    assert (first.told_to_stop, last.told_to_stop) == (True, False)
    assert not passed_over.begun.is_set()
    assert couriers.collect() == {"slow": Delivery(sent=101)}


def test_one_that_is_not_in_the_settings_any_more_ends_after_what_it_is_at(
    couriers: DestinationThreads,
) -> None:
    slow, next_one = Step(Delivery(sent=1)), Step(Delivery(sent=2))
    couriers.send("slow", slow)
    assert slow.begun.wait(GUARD_S)
    couriers.send("slow", next_one)
    couriers.dismiss_all_but(["quick"])
    slow.end.set()
    couriers.wait(["slow"], never)
    assert slow.told_to_stop
    assert not next_one.begun.is_set()


@pytest.mark.parametrize("error", [RuntimeError("journal"), SystemExit(3)])
def test_what_an_errand_raises_is_raised_where_it_is_collected(
    couriers: DestinationThreads, error: BaseException
) -> None:
    slow = Step(error)
    slow.end.set()
    couriers.send("slow", slow)
    couriers.wait(["slow"], never)
    with pytest.raises(type(error)):
        couriers.collect()
    assert couriers.collect() == {}


def test_where_no_thread_can_be_started_it_is_done_at_once(
    couriers: DestinationThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in some versions of Python while the interpreter leaves."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    quick = Step(Delivery(sent=1))
    quick.end.set()
    couriers.send("quick", quick)
    assert couriers.collect() == {"quick": Delivery(sent=1)}


def test_no_courier_holds_the_process(couriers: DestinationThreads) -> None:
    slow = Step(Delivery())
    couriers.send("slow", slow)
    assert slow.begun.wait(GUARD_S)
    (thread,) = (t for t in threading.enumerate() if t.name == "cronalytics-otel slow")
    assert thread.daemon
    slow.end.set()


def test_two_deliveries_are_one_with_the_newest_state() -> None:
    failed = Delivery(sent=3, error="503", began_failing=True, waits_until_ns=5)
    back = Delivery(sent=2, recovered=True)
    assert failed.then(back) == Delivery(sent=5, began_failing=True, recovered=True)
    assert failed.then(Delivery(waits_until_ns=5)) == failed
    assert Delivery(sent=1).then(failed) == Delivery(
        sent=4, error="503", began_failing=True, waits_until_ns=5
    )
