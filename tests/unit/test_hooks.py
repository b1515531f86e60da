"""Hooks leave a mark, wake the worker, and never get in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.hooks import HOOKS, Signal

CRON = "cron_6c583f72f2e8_20260131_070004"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)


class Started:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def raises() -> NoReturn:
        raise error

    return raises


def test_the_hooks_are_those_that_the_manifest_announces() -> None:
    """Newer hosts check that the two agree."""
    manifest = yaml.safe_load((Path(__file__).parents[2] / "plugin.yaml").read_text())
    assert list(HOOKS) == manifest["provides_hooks"]


@given(arguments=st.dictionaries(st.text(), anything))
def test_any_arguments_are_taken(arguments: dict[str, object]) -> None:
    assert Signal().hook_for("on_session_end", Started())(**arguments) is None


@given(session_id=anything)
def test_what_is_no_id_of_a_cron_session_leaves_no_mark(session_id: object) -> None:
    signal, started = Signal(), Started()
    signal.hook_for("on_session_start", started)(session_id=session_id)
    assert (started.times, signal.last_s, signal.event.is_set()) == (0, None, False)


@pytest.mark.parametrize("session_id", ["20260131_070004_a1b2c3", "", "CRON_x", " cron_x", None])
def test_chats_and_subagents_leave_no_mark(session_id: str | None) -> None:
    signal, started = Signal(), Started()
    signal.hook_for("on_session_start", started)(session_id=session_id, platform="cli")
    assert (started.times, signal.last_s, signal.event.is_set()) == (0, None, False)


def test_a_hook_without_arguments_is_no_error() -> None:
    Signal().hook_for("on_session_end", Started())()


def test_the_first_hook_of_a_cron_run_starts_and_each_one_wakes() -> None:
    signal, started = Signal(), Started()
    hooks = [signal.hook_for(name, started) for name in HOOKS]
    for hook in hooks:
        signal.event.clear()
        hook(session_id=CRON, telemetry_schema_version="hermes.observer.v1")
        assert signal.event.is_set()
    assert started.times == 1
    assert signal.last_s is not None


def test_the_newest_hook_is_the_one_that_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([5.0, 7.0])
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    signal = Signal()
    hook = signal.hook_for("on_session_end", Started())
    hook(session_id=CRON)
    hook(session_id=CRON)
    assert signal.last_s == 7.0


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), SystemExit(3), GeneratorExit(), MemoryError()]
)
def test_nothing_that_we_raise_reaches_the_host(error: BaseException) -> None:
    """The host catches `Exception` alone: a SystemExit from a hook kills its process."""
    Signal().hook_for("on_session_end", raising(error))(session_id=CRON)


def test_the_user_s_interrupt_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        Signal().hook_for("on_session_end", raising(KeyboardInterrupt()))(session_id=CRON)


def test_a_start_that_failed_is_tried_again_at_the_next_hook() -> None:
    signal, calls = Signal(), Started()

    def fails_once() -> None:
        calls()
        if calls.times == 1:
            raise RuntimeError("can't start new thread")

    hook = signal.hook_for("on_session_end", fails_once)
    for _ in range(3):
        hook(session_id=CRON)
    assert calls.times == 2


def test_hooks_of_many_threads_at_once_lose_no_wake_up() -> None:
    """Cron runs several jobs at once in one process."""
    signal, started = Signal(), Started()
    hook = signal.hook_for("on_session_start", started)
    barrier = threading.Barrier(8)

    def run() -> None:
        barrier.wait()
        for _ in range(100):
            hook(session_id=CRON)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signal.event.is_set()
    assert 1 <= started.times <= 8
