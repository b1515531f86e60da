"""What the worker does next, and when. No thread, no clock, no file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.worker.plan import (
    AFTER_HOOK_S,
    FIRST_SYNC_S,
    LONG_SYNC_DELAY_S,
    NEVER,
    POLL_AFTER_HOOK_S,
    POLL_S,
    REST_PER_WORK,
    RESYNC_S,
    RETRY_AT_EXIT_S,
    RETRY_S,
    SYNC_DELAY_S,
    WRITE_PAUSE_S,
    Action,
    FileTimes,
    Situation,
    SyncPlan,
    SyncResult,
    Wait,
    rest_s,
)

START_S = 1000.0


def files(version: int) -> FileTimes:
    return ((version, version),)


def seen(now_s: float, version: int = 0, **changes: Any) -> Situation:
    return Situation(now_s=now_s, files=files(version), **changes)


def at_start(*, long_running: bool) -> SyncPlan:
    return SyncPlan.at_start(START_S, files(0), long_running=long_running)


def synced(
    long_running: bool, result: SyncResult = SyncResult.DONE, next_try_s: float = NEVER
) -> SyncPlan:
    """The plan of a process whose first sync ended this way, at `START_S`."""
    plan = SyncPlan.at_start(START_S - 10, files(0), long_running=long_running)
    return plan.after_sync(seen(START_S - 1), result, START_S, next_try_s)


def action(plan: SyncPlan, situation: Situation) -> Action | Wait:
    return plan.next_action(situation)[1]


# A gateway.


def test_a_gateway_waits_for_its_own_start_and_then_syncs() -> None:
    plan, first = at_start(long_running=True).next_action(seen(START_S))
    assert first == Wait(until_s=START_S + FIRST_SYNC_S)
    assert action(plan, seen(START_S + FIRST_SYNC_S)) == Action.SYNC


def test_no_signal_brings_the_first_sync_of_a_gateway_forward() -> None:
    signals = {"woken": True, "last_hook_s": START_S + 1, "destination_finished": True}
    early = seen(START_S + 1, version=1, **signals)
    assert action(at_start(long_running=True), early) == Wait(
        until_s=START_S + POLL_AFTER_HOOK_S + 1
    )


def test_a_gateway_syncs_a_change_at_its_next_look() -> None:
    plan = synced(long_running=True)
    changed_s = START_S + 1
    assert action(plan, seen(changed_s, version=1)) == Wait(until_s=START_S + POLL_S)
    assert action(plan, seen(START_S + POLL_S, version=1)) == Action.SYNC


def test_a_hook_makes_it_look_at_once() -> None:
    plan = synced(long_running=True)
    assert action(plan, seen(START_S + 1, version=1, woken=True)) == Action.SYNC


def test_without_a_change_it_goes_on_waiting() -> None:
    _, next_action = synced(long_running=True).next_action(seen(START_S + POLL_S))
    assert next_action == Wait(until_s=START_S + 2 * POLL_S)


@pytest.mark.parametrize(
    ("hook_ago_s", "pause_s"),
    [(0.0, POLL_AFTER_HOOK_S), (AFTER_HOOK_S - 1, POLL_AFTER_HOOK_S), (AFTER_HOOK_S, POLL_S)],
)
def test_it_looks_often_for_a_while_after_a_hook(hook_ago_s: float, pause_s: float) -> None:
    now_s = START_S + POLL_S
    situation = seen(now_s, last_hook_s=now_s - hook_ago_s)
    assert action(synced(long_running=True), situation) == Wait(until_s=now_s + pause_s)


def test_a_gateway_in_which_nothing_happens_syncs_at_each_beat() -> None:
    plan = synced(long_running=True)
    now_s = START_S
    while action(plan, seen(now_s)) != Action.SYNC:
        plan, wait = plan.next_action(seen(now_s))
        assert isinstance(wait, Wait)
        now_s = wait.until_s
    assert now_s == START_S + RESYNC_S


# A tick.


def test_a_tick_in_which_nothing_happens_never_syncs() -> None:
    plan = at_start(long_running=False)
    for now_s in (START_S, START_S + RESYNC_S, START_S + 10 * RESYNC_S):
        plan, wait = plan.next_action(seen(now_s))
        assert wait == Wait(until_s=now_s + POLL_S)


def test_a_tick_does_not_disturb_a_run_that_has_begun() -> None:
    plan, _ = at_start(long_running=False).next_action(seen(START_S, version=1))
    assert plan.due_s == START_S + LONG_SYNC_DELAY_S
    assert action(plan, seen(START_S + LONG_SYNC_DELAY_S, version=1)) == Action.SYNC


def test_a_run_that_has_ended_settles_for_less_time() -> None:
    ended = seen(START_S + 1, version=1, last_end_s=START_S, last_hook_s=START_S, woken=True)
    plan = at_start(long_running=False).after_writing(START_S + 0.5)
    plan, _ = plan.next_action(ended)
    assert plan.due_s == START_S + SYNC_DELAY_S


def test_what_happens_later_does_not_put_the_sync_of_a_tick_off() -> None:
    plan, _ = at_start(long_running=False).next_action(seen(START_S, version=1))
    plan, _ = plan.next_action(seen(START_S + 9, version=2, woken=True))
    assert plan.due_s == START_S + LONG_SYNC_DELAY_S


def test_a_run_that_ended_before_the_last_sync_brings_nothing_forward() -> None:
    plan = synced(long_running=False)
    before_s = plan.synced_s - 0.5
    situation = seen(START_S + 1, version=1, last_end_s=before_s, last_hook_s=before_s, woken=True)
    plan, _ = plan.next_action(situation)
    assert plan.due_s == START_S + 1 + LONG_SYNC_DELAY_S


# Observations.


def test_observations_are_written_when_a_run_has_ended() -> None:
    plan = at_start(long_running=False)
    ended = seen(START_S, last_end_s=START_S, last_hook_s=START_S, woken=True)
    assert action(plan, ended) == Action.WRITE_OBSERVATIONS
    assert isinstance(action(plan.after_writing(START_S), ended), Wait)


def test_observations_are_written_when_there_are_many() -> None:
    assert action(at_start(long_running=False), seen(START_S, many_observations=True)) == (
        Action.WRITE_OBSERVATIONS
    )


def test_between_two_writings_there_is_a_pause() -> None:
    plan = at_start(long_running=False).after_writing(START_S)
    next_s = START_S + WRITE_PAUSE_S
    soon = seen(START_S + 0.1, many_observations=True, woken=True)
    assert action(plan, soon) == Wait(until_s=next_s)
    assert action(plan, seen(next_s, many_observations=True)) == Action.WRITE_OBSERVATIONS


def test_a_run_that_began_is_no_reason_to_write() -> None:
    assert isinstance(
        action(at_start(long_running=False), seen(START_S, last_hook_s=START_S)), Wait
    )


# After a sync.


@pytest.mark.parametrize("long_running", [True, False])
def test_a_change_during_a_sync_is_synced_at_the_next_look(long_running: bool) -> None:
    plan, _ = synced(long_running).next_action(seen(START_S + POLL_S, version=1))
    assert plan.due_s == START_S + POLL_S + (0 if long_running else LONG_SYNC_DELAY_S)


@pytest.mark.parametrize("long_running", [True, False])
def test_a_failing_destination_is_tried_again_when_it_is_due(long_running: bool) -> None:
    plan = synced(long_running, next_try_s=START_S + 4)
    assert action(plan, seen(START_S)) == Wait(until_s=START_S + 4)
    assert action(plan, seen(START_S + 4)) == Action.SYNC


@pytest.mark.parametrize("long_running", [True, False])
def test_a_destination_that_is_due_already_is_not_tried_again_at_once(long_running: bool) -> None:
    plan = synced(long_running, next_try_s=START_S - 9)
    assert action(plan, seen(START_S)) == Wait(until_s=START_S + RETRY_S)


def test_a_destination_that_fails_for_long_does_not_delay_the_beat() -> None:
    assert synced(long_running=True, next_try_s=START_S + 300).due_s == START_S + RESYNC_S


def test_a_destination_that_finished_after_its_sync_is_a_reason_to_sync() -> None:
    plan = synced(long_running=False)
    assert action(plan, seen(START_S + POLL_S, destination_finished=True)) == Action.SYNC


@pytest.mark.parametrize("long_running", [True, False])
def test_a_home_that_another_process_syncs_is_tried_again_soon(long_running: bool) -> None:
    plan = synced(long_running, SyncResult.BUSY)
    storm = seen(START_S + 0.1, version=1, woken=True, destination_finished=True)
    assert isinstance(action(plan, storm), Wait)
    assert action(plan, seen(START_S + RETRY_S)) == Action.SYNC


def test_what_another_process_may_not_have_seen_stays_a_reason_to_sync() -> None:
    plan = at_start(long_running=True)
    began = seen(START_S + FIRST_SYNC_S, version=1)
    assert plan.after_sync(began, SyncResult.BUSY, began.now_s).files == files(0)
    assert plan.after_sync(began, SyncResult.DONE, began.now_s).files == files(1)


@pytest.mark.parametrize(("long_running", "due_s"), [(True, START_S + RESYNC_S), (False, NEVER)])
def test_after_a_fault_of_ours_nothing_is_tried_before_a_change_or_the_beat(
    long_running: bool, due_s: float
) -> None:
    plan = synced(long_running, SyncResult.FAILED)
    assert plan.due_s == due_s
    assert plan.files == files(0)


# At exit.


@pytest.mark.parametrize("long_running", [True, False])
def test_when_the_host_exits_there_is_one_more_sync(long_running: bool) -> None:
    exiting = seen(START_S + 1, exit_deadline_s=START_S + 3)
    plan = synced(long_running)
    assert action(plan, exiting) == Action.SYNC
    for result in (SyncResult.DONE, SyncResult.FAILED, SyncResult.STOPPED):
        after = plan.after_sync(exiting, result, START_S + 2)
        assert (
            action(after, seen(START_S + 2, version=1, exit_deadline_s=START_S + 3)) == Action.STOP
        )


def test_a_sync_that_was_stopped_by_the_exit_is_the_last_one() -> None:
    plan = synced(long_running=True).after_sync(seen(START_S), SyncResult.STOPPED, START_S + 5)
    assert action(plan, seen(START_S + 5, version=1, exit_deadline_s=START_S + 5)) == Action.STOP


def test_a_sync_that_began_before_the_host_left_is_not_the_last_one() -> None:
    plan = synced(long_running=True).after_sync(seen(START_S), SyncResult.DONE, START_S + 1)
    assert action(plan, seen(START_S + 1, exit_deadline_s=START_S + 3)) == Action.SYNC


def test_the_sync_at_exit_is_begun_although_no_time_is_left() -> None:
    assert (
        action(synced(long_running=False), seen(START_S + 1, exit_deadline_s=START_S))
        == Action.SYNC
    )


def test_at_exit_a_home_that_is_busy_is_tried_again_until_the_host_waits_no_longer() -> None:
    deadline_s = START_S + 200.0
    plan, now_s, attempts = synced(long_running=False), START_S, 0
    while True:
        exiting = seen(now_s, exit_deadline_s=deadline_s)
        match action(plan, exiting):
            case Action.SYNC:
                attempts += 1
                plan = plan.after_sync(exiting, SyncResult.BUSY, now_s)
            case Wait(until_s=until_s):
                assert until_s == now_s + RETRY_AT_EXIT_S
                now_s = until_s
            case other:
                assert other == Action.STOP
                break
    assert attempts == pytest.approx(200.0 / RETRY_AT_EXIT_S, abs=2)
    assert now_s < deadline_s


def test_a_process_that_saw_nothing_has_no_work_at_exit() -> None:
    plan = at_start(long_running=False)
    assert not plan.has_work_at_exit(files(0), None)
    assert plan.has_work_at_exit(files(1), None)
    assert plan.has_work_at_exit(files(0), START_S)


# How gently.


def test_rest_is_in_proportion_to_work_and_longer_while_runs_are_going_on() -> None:
    assert rest_s(0.05, runs_going_on=True) == 0.05 * REST_PER_WORK
    assert rest_s(0.05, runs_going_on=False) == 0.05


# Whatever the signals.


class Kind(StrEnum):
    BEGIN = "a hook at the beginning of a run"
    END = "a hook at the end of a run"
    CHANGE = "the host writes"
    MANY = "many observations"
    FINISHED = "a destination finishes"


WAKING = (Kind.BEGIN, Kind.END, Kind.MANY)

signals = st.lists(
    st.tuples(st.integers(0, 1200).map(lambda tenth: tenth / 10), st.sampled_from(Kind)),
    max_size=30,
).map(sorted)
ends = st.lists(
    st.tuples(
        st.sampled_from([SyncResult.DONE, SyncResult.BUSY, SyncResult.FAILED]),
        st.sampled_from([0.0, 0.01, 0.7, 12.0]),  # seconds that the sync took
        st.sampled_from([NEVER, -3.0, 0.0, 1.0, 300.0]),  # seconds until the next attempt
    ),
    max_size=30,
)
HORIZON_S = 200.0


@dataclass
class Life:
    """A process whose worker follows its plan, in simulated time."""

    long_running: bool
    signals: list[tuple[float, Kind]]
    ends: list[tuple[SyncResult, float, float]]
    exits_s: float = NEVER
    exit_limit_s: float = 2.0
    now_s: float = 0.0
    actions: int = 0
    syncs: list[tuple[float, float, SyncResult]] = field(default_factory=list)
    """Start, end and result of each."""
    writes: list[float] = field(default_factory=list)
    stopped: bool = False
    _written_at: int = 0
    _collected_at: int = 0
    _woken_at: int = 0

    def run(self) -> Life:
        plan = SyncPlan.at_start(0.0, files(0), long_running=self.long_running)
        woken = False
        while self.now_s < HORIZON_S:
            self.actions += 1
            situation = self._situation(woken)
            plan, action = plan.next_action(situation)
            match action:
                case Wait(until_s=until_s):
                    assert until_s > self.now_s, "it would wait for nothing"
                    woken = self._wait(until_s)
                case Action.WRITE_OBSERVATIONS:
                    self._written_at = len(self._past())
                    self.writes.append(self.now_s)
                    plan = plan.after_writing(self.now_s)
                case Action.SYNC:
                    woken = False
                    result, took_s, retry_in_s = (
                        self.ends.pop(0) if self.ends else (SyncResult.DONE, 0.1, NEVER)
                    )
                    if result is not SyncResult.BUSY:
                        self._collected_at = len(self._past())
                    self._written_at = len(self._past())
                    began_s, self.now_s = self.now_s, self.now_s + took_s
                    self.syncs.append((began_s, self.now_s, result))
                    plan = plan.after_sync(situation, result, self.now_s, self.now_s + retry_in_s)
                case Action.STOP:
                    self.stopped = True
                    break
        return self

    def _past(self) -> list[tuple[float, Kind]]:
        return [signal for signal in self.signals if signal[0] <= self.now_s]

    def _wait(self, until_s: float) -> bool:
        waking = [at_s for at_s, kind in self.signals[self._woken_at :] if kind in WAKING]
        if self.exits_s > self.now_s:
            waking.append(self.exits_s)
        woken = bool(waking) and min(waking) <= until_s
        self.now_s = max(self.now_s, min(waking)) if woken else until_s
        self._woken_at = len(self._past())
        return woken

    def _situation(self, woken: bool) -> Situation:
        past = self._past()

        def newest(*kinds: Kind) -> float | None:
            return max((at_s for at_s, kind in past if kind in kinds), default=None)

        exiting = self.now_s >= self.exits_s
        return Situation(
            now_s=self.now_s,
            files=files(sum(kind is Kind.CHANGE for _, kind in past)),
            last_hook_s=newest(Kind.BEGIN, Kind.END),
            last_end_s=newest(Kind.END),
            many_observations=any(k is Kind.MANY for _, k in past[self._written_at :]),
            destination_finished=any(k is Kind.FINISHED for _, k in past[self._collected_at :]),
            woken=woken,
            exit_deadline_s=self.exits_s + self.exit_limit_s if exiting else None,
        )


def times_of(signals: Iterable[tuple[float, Kind]], *kinds: Kind) -> list[float]:
    return [at_s for at_s, kind in signals if kind in kinds]


@given(long_running=st.booleans(), signals=signals, ends=ends)
def test_every_change_is_synced_within_a_bounded_time(
    long_running: bool,
    signals: list[tuple[float, Kind]],
    ends: list[tuple[SyncResult, float, float]],
) -> None:
    life = Life(long_running, signals, ends).run()
    settle_s = FIRST_SYNC_S if long_running else LONG_SYNC_DELAY_S
    for changed_s in times_of(signals, Kind.CHANGE):
        under_way = [end_s for start_s, end_s, _ in life.syncs if start_s < changed_s < end_s]
        free_s = max([changed_s, *under_way])
        synced_s = min(start_s for start_s, _, _ in life.syncs if start_s >= changed_s)
        assert synced_s <= free_s + RETRY_S + POLL_S + settle_s


@given(long_running=st.booleans(), signals=signals, ends=ends)
def test_it_never_syncs_while_it_rests(
    long_running: bool,
    signals: list[tuple[float, Kind]],
    ends: list[tuple[SyncResult, float, float]],
) -> None:
    life = Life(long_running, signals, ends).run()
    for (_, end_s, result), (start_s, _, _) in zip(life.syncs, life.syncs[1:], strict=False):
        if result is not SyncResult.DONE:
            assert start_s >= end_s + RETRY_S
    if long_running:
        assert all(start_s >= FIRST_SYNC_S for start_s, _, _ in life.syncs)


@given(signals=signals)
def test_a_tick_does_not_disturb_its_runs(signals: list[tuple[float, Kind]]) -> None:
    signals = [signal for signal in signals if signal[1] is not Kind.FINISHED]
    last_s = -1.0
    for start_s, _, _ in Life(False, signals, []).run().syncs:
        new = [signal for signal in signals if last_s < signal[0] <= start_s]
        settled_s = [at_s + LONG_SYNC_DELAY_S for at_s in times_of(new, Kind.CHANGE)]
        settled_s += [at_s + SYNC_DELAY_S for at_s in times_of(new, Kind.END)]
        assert start_s >= min(settled_s)
        last_s = start_s


@given(long_running=st.booleans(), signals=signals, ends=ends)
def test_it_is_never_busy_for_nothing(
    long_running: bool,
    signals: list[tuple[float, Kind]],
    ends: list[tuple[SyncResult, float, float]],
) -> None:
    life = Life(long_running, signals, ends).run()
    # Differences of floats are rounded: 1.2 - 1.0 is less than 0.2.
    waking = times_of(signals, *WAKING)
    for (earlier_s, _, _), (later_s, _, _) in zip(life.syncs, life.syncs[1:], strict=False):
        assert round(later_s - earlier_s, 9) >= RETRY_S or any(
            earlier_s <= s <= later_s for s in waking
        )
    for earlier_s, later_s in zip(life.writes, life.writes[1:], strict=False):
        assert round(later_s - earlier_s, 9) >= WRITE_PAUSE_S
    looks = HORIZON_S / POLL_S + len(waking) * AFTER_HOOK_S / POLL_AFTER_HOOK_S
    assert life.actions <= 3 * (looks + len(waking) + len(life.syncs) + len(life.writes)) + 10


@given(
    long_running=st.booleans(), signals=signals, ends=ends,
    exits_s=st.integers(0, 1500).map(lambda tenth: tenth / 10), limit_s=st.sampled_from([0.0, 2.0]),
)  # fmt: skip
def test_it_stops_when_the_host_exits_and_syncs_before_that(
    long_running: bool,
    signals: list[tuple[float, Kind]],
    ends: list[tuple[SyncResult, float, float]],
    exits_s: float,
    limit_s: float,
) -> None:
    life = Life(long_running, signals, ends, exits_s=exits_s, exit_limit_s=limit_s).run()
    assert life.stopped
    start_s, end_s, result = life.syncs[-1]
    assert start_s >= exits_s
    if result is SyncResult.BUSY:
        assert end_s + RETRY_AT_EXIT_S >= exits_s + limit_s
