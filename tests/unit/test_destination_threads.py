"""Threads that bring destinations what they lack. They are real; waits are for events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cronalytics_otel.export.report import DestinationReport
from cronalytics_otel.export.threads import DestinationThreads

GUARD_S = 60.0
"""So that a broken thread fails a test instead of hanging it."""


def report(name: str = "slow", **changes: Any) -> DestinationReport:
    return DestinationReport(name=name, endpoint=f"http://{name}", **changes)


class Step:
    """A task that goes on from `begun` until `end` is set."""

    def __init__(self, report: DestinationReport | BaseException) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.told_to_stop: bool | None = None
        self._report = report

    def __call__(self, to_stop: Callable[[], bool]) -> DestinationReport:
        self.begun.set()
        assert self.end.wait(GUARD_S)
        self.told_to_stop = to_stop()
        if isinstance(self._report, BaseException):
            raise self._report
        return self._report


def never() -> bool:
    return False


@pytest.fixture
def threads() -> Iterator[DestinationThreads[DestinationReport]]:
    made: DestinationThreads[DestinationReport] = DestinationThreads()
    yield made
    made.wait(["slow", "quick"], never)


def test_none_waits_for_another(threads: DestinationThreads[DestinationReport]) -> None:
    slow, quick = Step(report(sent=1)), Step(report("quick", sent=2))
    threads.start("slow", slow)
    threads.start("quick", quick)
    assert slow.begun.wait(GUARD_S)
    quick.end.set()
    threads.wait(["quick"], never)
    assert threads.collect() == {"quick": report("quick", sent=2)}
    assert threads.is_busy("slow")
    slow.end.set()


def test_a_wait_ends_when_there_is_something_better_to_do_and_the_rest_is_collected_later(
    threads: DestinationThreads[DestinationReport],
) -> None:
    slow = Step(report(error="503", began_failing=True))
    threads.start("slow", slow)
    threads.wait(["slow"], lambda: True)
    assert threads.collect() == {}
    assert not threads.has_reports

    slow.end.set()
    threads.wait(["slow"], never)
    assert threads.has_reports
    assert threads.collect() == {"slow": report(error="503", began_failing=True)}
    assert not threads.has_reports


def test_who_is_sent_again_while_under_way_stops_there_and_goes_on_with_the_newest_task(
    threads: DestinationThreads[DestinationReport],
) -> None:
    first, passed_over, last = (Step(report(sent=n)) for n in (1, 10, 100))
    threads.start("slow", first)
    assert first.begun.wait(GUARD_S)
    threads.start("slow", passed_over)
    threads.start("slow", last)
    for step in (first, passed_over, last):
        step.end.set()
    threads.wait(["slow"], never)
    assert (first.told_to_stop, last.told_to_stop) == (True, False)
    assert not passed_over.begun.is_set()
    assert threads.collect() == {"slow": report(sent=101)}


def test_one_that_is_not_in_the_settings_any_more_ends_after_what_it_is_at(
    threads: DestinationThreads[DestinationReport],
) -> None:
    slow, next_one = Step(report(sent=1)), Step(report("quick", sent=2))
    threads.start("slow", slow)
    assert slow.begun.wait(GUARD_S)
    threads.start("slow", next_one)
    threads.keep_only(["quick"])
    slow.end.set()
    threads.wait(["slow"], never)
    assert slow.told_to_stop
    assert not next_one.begun.is_set()


def test_an_error_takes_no_report_of_another_destination_with_it(
    threads: DestinationThreads[DestinationReport],
) -> None:
    for name, end in (
        ("a", report("a", sent=1)),
        ("b", RuntimeError("journal")),
        ("c", report("c", sent=2)),
    ):
        step = Step(end)
        step.end.set()
        threads.start(name, step)
        threads.wait([name], never)

    assert threads.collect() == {"a": report("a", sent=1)}
    with pytest.raises(RuntimeError):
        threads.collect()
    assert threads.collect() == {"c": report("c", sent=2)}


@pytest.mark.parametrize("error", [RuntimeError("journal"), SystemExit(3)])
def test_what_a_task_raises_is_raised_where_it_is_collected(
    threads: DestinationThreads[DestinationReport], error: BaseException
) -> None:
    slow = Step(error)
    slow.end.set()
    threads.start("slow", slow)
    threads.wait(["slow"], never)
    with pytest.raises(type(error)):
        threads.collect()
    assert threads.collect() == {}


def test_where_no_thread_can_be_started_it_is_done_at_once(
    threads: DestinationThreads[DestinationReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in some versions of Python while the interpreter leaves."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    quick = Step(report("quick", sent=1))
    quick.end.set()
    threads.start("quick", quick)
    assert threads.collect() == {"quick": report("quick", sent=1)}


def test_no_thread_holds_the_process(threads: DestinationThreads[DestinationReport]) -> None:
    slow = Step(report())
    threads.start("slow", slow)
    assert slow.begun.wait(GUARD_S)
    (thread,) = (t for t in threading.enumerate() if t.name == "cronalytics-otel slow")
    assert thread.daemon
    slow.end.set()


def test_two_reports_are_one_with_the_newest_state() -> None:
    failed = report(sent=3, error="503", began_failing=True, next_try_ns=5)
    back = report(sent=2, recovered=True)
    assert failed.followed_by(back) == report(sent=5, began_failing=True, recovered=True)
    assert failed.followed_by(report(next_try_ns=5)) == failed
    assert report(sent=1).followed_by(failed) == report(
        sent=4, error="503", began_failing=True, next_try_ns=5
    )
