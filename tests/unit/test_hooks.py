"""Hooks mark the time, wake the worker, leave observations, and never get in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel import hooks as module
from cronalytics_otel.hooks import HOOKS, Hooks, RawObservation
from tests.support.fake_clock import FakeClock

CRON = "cron_6c583f72f2e8_20260131_070004"
CHILD = "20260131_070104_a1b2c3"

MARKS = ("on_session_start", "on_session_end", "api_request_error")
"""The hooks after which the host's files are looked at."""

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
    assert Hooks().callback("on_session_end", Started())(**arguments) is None


@given(session_id=anything)
def test_other_values_than_the_id_of_a_cron_session_leave_no_mark(session_id: object) -> None:
    hooks, started = Hooks(), Started()
    hooks.callback("on_session_start", started)(session_id=session_id)
    assert (started.times, hooks.activity.last_hook_s, hooks.activity.wake.is_set()) == (
        0,
        None,
        False,
    )


@pytest.mark.parametrize("session_id", ["20260131_070004_a1b2c3", "", "CRON_x", " cron_x", None])
def test_chats_and_subagents_leave_no_mark(session_id: str | None) -> None:
    hooks, started = Hooks(), Started()
    hooks.callback("on_session_start", started)(session_id=session_id, platform="cli")
    assert (started.times, hooks.activity.last_hook_s, hooks.activity.wake.is_set()) == (
        0,
        None,
        False,
    )


def test_a_hook_without_arguments_is_no_error() -> None:
    Hooks().callback("on_session_end", Started())()


def test_the_first_hook_of_a_cron_run_starts_and_each_one_wakes() -> None:
    hooks, started = Hooks(), Started()
    callbacks = [hooks.callback(name, started) for name in MARKS]
    for hook in callbacks:
        hooks.activity.wake.clear()
        hook(session_id=CRON, telemetry_schema_version="hermes.observer.v1")
        assert hooks.activity.wake.is_set()
    assert started.times == 1
    assert hooks.activity.last_hook_s is not None


def test_the_time_of_the_newest_hook_is_remembered() -> None:
    clock = FakeClock(monotonic_s=5.0)
    hooks = Hooks(clock)
    hook = hooks.callback("on_session_end", Started())
    hook(session_id=CRON)
    clock.sleep(2.0)
    hook(session_id=CRON)
    assert hooks.activity.last_hook_s == 7.0


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), SystemExit(3), GeneratorExit(), MemoryError()]
)
def test_nothing_that_we_raise_reaches_the_host(error: BaseException) -> None:
    """The host catches `Exception` alone: a SystemExit from a hook kills its process."""
    Hooks().callback("on_session_end", raising(error))(session_id=CRON)


def test_the_user_s_interrupt_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        Hooks().callback("on_session_end", raising(KeyboardInterrupt()))(session_id=CRON)


def test_a_start_that_failed_is_tried_again_at_the_next_hook() -> None:
    hooks, calls = Hooks(), Started()

    def fails_once() -> None:
        calls()
        if calls.times == 1:
            raise RuntimeError("can't start new thread")

    hook = hooks.callback("on_session_end", fails_once)
    for _ in range(3):
        hook(session_id=CRON)
    assert calls.times == 2


def test_hooks_of_many_threads_at_once_lose_no_wake_up() -> None:
    """Cron runs several jobs at once in one process."""
    hooks, started = Hooks(), Started()
    hook = hooks.callback("on_session_start", started)
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
    assert hooks.activity.wake.is_set()
    assert 1 <= started.times <= 8


# Observations.


def known(raw: RawObservation) -> dict[str, object]:
    return {key: value for key, value in raw.arguments.items() if value is not None}


class Run:
    """The hooks of one process, by name."""

    def __init__(self) -> None:
        self.hooks = Hooks()
        self._callbacks = {name: self.hooks.callback(name, Started()) for name in HOOKS}

    def fires(self, hook: str, session_id: str | None = CRON, **arguments: object) -> None:
        self._callbacks[hook](session_id=session_id, **arguments)

    def observations(self) -> list[RawObservation]:
        observations, _ = self.hooks.observations.take()
        return observations


def test_a_model_call_is_observed_without_its_texts() -> None:
    run = Run()
    run.fires(
        "post_api_request", model="m", usage={"input_tokens": 3}, finish_reason="stop",
        response={"content": "secret"}, assistant_message="secret",
    )  # fmt: skip
    (raw,) = run.observations()
    assert (raw.hook, raw.run_session_id, raw.session_id) == ("post_api_request", CRON, CRON)
    assert known(raw) == {"model": "m", "usage": {"input_tokens": 3}, "finish_reason": "stop"}
    assert run.observations() == []


def test_a_tool_call_is_observed_without_its_arguments_and_its_result() -> None:
    run = Run()
    run.fires("post_tool_call", tool_name="terminal", tool_call_id="c", args={"a": 1}, result="r")
    assert known(run.observations()[0]) == {"tool_name": "terminal", "tool_call_id": "c"}


def test_calls_of_chats_are_not_observed() -> None:
    run = Run()
    run.fires("post_api_request", session_id=CHILD, task_id="t9", model="m")
    run.fires("post_tool_call", session_id=CHILD, tool_call_id="c")
    run.fires("post_tool_call", session_id=None, tool_call_id="c")
    assert run.observations() == []


def test_calls_of_a_subagent_at_any_depth_belong_to_the_run() -> None:
    run = Run()
    run.fires("subagent_start", None, parent_session_id=CRON, child_session_id=CHILD)
    run.fires("subagent_start", None, parent_session_id=CHILD, child_session_id="grandchild")
    run.fires("post_api_request", CHILD, model="m")
    run.fires("post_api_request", "grandchild", model="m")
    assert [(n.run_session_id, n.session_id) for n in run.observations()] == [
        (CRON, CHILD),
        (CRON, "grandchild"),
    ]


def test_subagents_of_chats_belong_to_nothing() -> None:
    run = Run()
    run.fires("subagent_start", None, parent_session_id="chat", child_session_id=CHILD)
    run.fires("post_api_request", CHILD, model="m")
    assert run.observations() == []


def test_a_session_that_continues_a_run_is_known_by_its_task() -> None:
    run = Run()
    run.fires("post_api_request", CRON, task_id="t1", model="m")
    run.fires("post_api_request", "20260131_080000_ffffff", task_id="t1", model="m")
    assert [n.run_session_id for n in run.observations()] == [CRON, CRON]


def test_an_approval_is_part_of_the_observation_of_its_tool_call() -> None:
    run = Run()
    run.fires("pre_approval_request", None, tool_call_id="c1", surface="smart", command="rm -rf /")
    run.fires("post_approval_response", None, tool_call_id="c1", choice="smart_deny")
    run.fires("post_tool_call", tool_call_id="c2")
    run.fires("post_tool_call", tool_call_id="c1")
    other, asked = run.observations()
    assert "approval" not in known(other)
    approval = known(asked)["approval"]
    assert isinstance(approval, dict)
    assert approval.keys() == {"surface", "asked_ns", "choice", "answered_ns"}
    assert (approval["surface"], approval["choice"]) == ("smart", "smart_deny")


def test_an_answer_without_a_request_is_ignored() -> None:
    run = Run()
    run.fires("post_approval_response", None, tool_call_id="c1", choice="once")
    run.fires("post_tool_call", tool_call_id="c1")
    assert known(run.observations()[0]) == {"tool_call_id": "c1"}


def test_a_full_buffer_drops_the_oldest_observations_and_counts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run()
    for number in range(module.MAX_OBSERVATIONS + 3):
        run.fires("post_tool_call", tool_call_id=str(number))
    taken, lost = run.hooks.observations.take()
    assert (len(taken), lost) == (module.MAX_OBSERVATIONS, 3)
    assert known(taken[0]) == {"tool_call_id": "3"}
    assert run.hooks.observations.take() == ([], 0)


def test_many_calls_wake_the_worker_and_few_do_not() -> None:
    run = Run()
    for _ in range(module.MANY_OBSERVATIONS - 1):
        run.fires("post_tool_call", tool_call_id="c")
    assert not run.hooks.activity.wake.is_set()
    run.fires("post_tool_call", tool_call_id="c")
    assert run.hooks.activity.wake.is_set()


@pytest.mark.parametrize(
    ("arguments", "wakes"),
    [
        ({"retryable": True, "retry_count": 0, "max_retries": 2}, False),
        ({"retryable": True, "retry_count": 1, "max_retries": 2}, True),
        ({"retryable": False, "retry_count": 0, "max_retries": 2}, True),
        ({"retryable": True, "retry_count": None, "max_retries": 2}, True),
        ({}, True),
    ],
)
def test_an_error_after_which_another_attempt_follows_wakes_nobody(
    arguments: dict[str, Any], wakes: bool
) -> None:
    run = Run()
    run.fires("api_request_error", **arguments)
    assert run.hooks.activity.wake.is_set() == wakes
    assert len(run.observations()) == 1


def test_a_long_error_text_is_cut() -> None:
    run = Run()
    page = {"type": "APIError", "message": "x" * 100_000, "body": "y" * 100_000}
    run.fires("api_request_error", error=page)
    assert known(run.observations()[0]) == {
        "exception_type": "APIError",
        "message": "x" * module.ERROR_CHARS,
    }


def test_the_text_of_a_model_s_own_refusal_is_not_observed() -> None:
    """The answer was successful, and the host quotes it as the text of the error."""
    run = Run()
    refusal = {"type": "ContentPolicyBlocked", "message": "I would rather not, Ann."}
    run.fires("api_request_error", error=refusal, reason="content_policy_blocked")
    assert known(run.observations()[0]) == {
        "exception_type": "ContentPolicyBlocked",
        "reason": "content_policy_blocked",
    }


def test_an_error_of_another_shape_is_observed_without_its_text() -> None:
    run = Run()
    run.fires("api_request_error", status_code=500, error="boom")
    run.fires("api_request_error", status_code=500, error={"message": 7})
    first, second = run.observations()
    assert known(first) == {"status_code": 500}
    assert known(second) == {"status_code": 500, "message": 7}


def test_a_fault_in_a_hook_counts_as_a_lost_observation() -> None:
    hooks = Hooks()
    hooks.callback("on_session_end", raising(RuntimeError("x")))(session_id=CRON)
    assert hooks.observations.take() == ([], 1)


def test_hooks_of_many_threads_lose_nothing_when_old_ids_are_dropped() -> None:
    run = Run()

    def fire(thread: int) -> None:
        for number in range(module.MAX_KNOWN_IDS):
            run.fires("subagent_start", None, parent_session_id=CRON, child_session_id=f"{thread}.{number}")  # fmt: skip

    threads = [threading.Thread(target=fire, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.hooks.observations.take() == ([], 0)


def test_observations_that_were_put_back_come_first_the_next_time() -> None:
    run = Run()
    run.fires("post_tool_call", tool_call_id="1")
    taken, lost = run.hooks.observations.take()
    run.fires("post_tool_call", tool_call_id="2")
    run.hooks.observations.put_back(taken, lost + 1)
    again, lost = run.hooks.observations.take()
    assert ([known(n)["tool_call_id"] for n in again], lost) == (["1", "2"], 1)


def test_observations_that_were_put_back_without_room_are_counted() -> None:
    run = Run()
    for number in range(module.MAX_OBSERVATIONS):
        run.fires("post_tool_call", tool_call_id=str(number))
    taken, _ = run.hooks.observations.take()
    run.fires("post_tool_call", tool_call_id="new")
    run.hooks.observations.put_back(taken, 0)
    again, lost = run.hooks.observations.take()
    assert (len(again), lost) == (module.MAX_OBSERVATIONS, 1)
    assert (known(again[0]), known(again[-1])) == ({"tool_call_id": "1"}, {"tool_call_id": "new"})


def test_known_sessions_and_approvals_are_bounded() -> None:
    run = Run()
    for number in range(module.MAX_KNOWN_IDS + 5):
        run.fires("subagent_start", None, parent_session_id=CRON, child_session_id=f"s{number}")
        run.fires("pre_approval_request", None, tool_call_id=f"c{number}")
    run.fires("post_api_request", "s0", model="m")
    assert run.observations() == []
    run.fires("post_api_request", f"s{module.MAX_KNOWN_IDS + 4}", model="m")
    assert len(run.observations()) == 1


@given(
    hook=st.sampled_from(HOOKS),
    arguments=st.dictionaries(
        st.sampled_from(
            ["session_id", "task_id", "tool_call_id", "parent_session_id", "child_session_id",
             "usage", "error", "started_at", "choice"]
        ),
        anything | st.just(CRON),
    ),
)  # fmt: skip
def test_no_arguments_of_any_hook_raise(hook: str, arguments: dict[str, object]) -> None:
    Hooks().callback(hook, Started())(**arguments)
