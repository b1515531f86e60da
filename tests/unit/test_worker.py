"""When the background thread syncs, what it logs, and how it exits.

The thread is real, unless a test has a `FakeClock`. `Syncs` stands in for `sync.sync`: it records its
calls and returns what the test chose; the sync itself has tests of its own. Nothing waits for time to
pass: the tests wait for events.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel import hooks
from cronalytics_otel import sync as sync_module
from cronalytics_otel.clock import SYSTEM_CLOCK, Clock
from cronalytics_otel.hooks import Hooks
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal, Repair
from cronalytics_otel.lock import SyncBusyError
from cronalytics_otel.sync import DestinationReport, SyncOptions, SyncReport
from cronalytics_otel.worker import Worker, plan
from cronalytics_otel.worker import thread as worker_thread
from cronalytics_otel.worker.files import file_times
from tests.support.fake_clock import FakeClock
from tests.support.waiting import wait_for

CRON = "cron_6c583f72f2e8_20260131_070004"
GUARD_S = 60.0
"""A broken worker fails a test after this time instead of hanging it."""
NEVER_S = 1e6


def report(*destinations: DestinationReport, **changes: Any) -> SyncReport:
    return SyncReport(
        **{
            "new_runs": 0, "open_runs": 0, "problems": (), "destinations": destinations,
            "repair": None, **changes,
        }
    )  # fmt: skip


def backend(**changes: Any) -> DestinationReport:
    return DestinationReport(name="tempo", endpoint="http://tempo:4318/v1/traces", **changes)


class Syncs:
    """In place of `sync.sync`."""

    def __init__(self) -> None:
        self.options: list[SyncOptions] = []
        self.snapshots: list[Any] = []
        self.answers: list[SyncReport | BaseException] = []
        self.inside: Callable[[SyncOptions], None] = lambda _: None
        self._begun = threading.Semaphore(0)

    def __call__(self, home: Home, settings: object, **how: Any) -> SyncReport:
        self.options.append(how["options"])
        self.snapshots.append(how["snapshots"])
        self._begun.release()
        self.inside(how["options"])
        answer = self.answers.pop(0) if self.answers else report()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self._begun.acquire(timeout=GUARD_S), "no sync was begun"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "cron").mkdir()
    return Home(tmp_path)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    syncs = Syncs()
    monkeypatch.setattr(sync_module, "sync", syncs)
    return syncs


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What would be called when the process exits, or in its forked children."""
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)
    return registered


@pytest.fixture
def make(
    home: Home, syncs: Syncs, at_exit: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Worker]]:
    """Makes workers that sync a change at once and do nothing when time passes."""
    monkeypatch.setattr(plan, "FIRST_SYNC_S", 0.0)
    monkeypatch.setattr(plan, "SYNC_DELAY_S", NEVER_S)
    monkeypatch.setattr(plan, "LONG_SYNC_DELAY_S", NEVER_S)
    monkeypatch.setattr(plan, "RESYNC_S", NEVER_S)
    monkeypatch.setattr(plan, "POLL_S", GUARD_S)
    monkeypatch.setattr(plan, "POLL_AFTER_HOOK_S", GUARD_S)
    monkeypatch.setattr(plan, "RETRY_S", 0.0)
    made: list[Worker] = []

    def worker(*, long_running: bool = False, clock: Clock = SYSTEM_CLOCK) -> Worker:
        made.append(Worker(home, Hooks(clock), long_running=long_running, clock=clock))
        return made[-1]

    yield worker
    for one in made:
        stop(one)


def stop(worker: Worker) -> None:
    thread = worker._thread
    worker._begin_exit(GUARD_S)
    if thread is not None and thread.is_alive():
        thread.join(GUARD_S)
        assert not thread.is_alive()


def syncs_again(worker: Worker, syncs: Syncs, home: Home, *, times: int) -> None:
    """Let the worker sync once for each of so many changes after its first sync; then stop it."""
    for _ in range(times):
        syncs.wait()
        something_runs(home)
        worker.hooks.activity.wake.set()
    syncs.wait()
    stop(worker)


def exiting(worker: Worker) -> threading.Event:
    return worker._pace._exiting


def something_runs(home: Home) -> None:
    """The host writes to its ledger."""
    with home.ledger.open("ab") as file:
        file.write(b"a row")


def hook(worker: Worker, name: str = "on_session_end") -> None:
    worker.hooks.callback(name, worker.start)(session_id=CRON)


Make = Callable[..., Worker]


# Start.


def test_the_thread_is_started_once_however_often_start_is_called(
    make: Make, syncs: Syncs, at_exit: list[Callable[[], None]]
) -> None:
    worker = make()
    threads = set()
    for _ in range(3):
        worker.start()
        threads.add(worker._thread)
    assert len(threads) == 1
    assert at_exit == [worker.flush]


def test_the_thread_does_not_keep_the_process_alive(make: Make) -> None:
    worker = make()
    worker.start()
    assert worker._thread is not None
    assert worker._thread.daemon


def test_a_new_worker_starts_and_opens_nothing(make: Make, syncs: Syncs, home: Home) -> None:
    worker = make()
    assert worker._thread is None
    assert not home.plugin_folder.exists()


def test_a_thread_that_could_not_be_started_is_started_at_the_next_hook(
    make: Make, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make()
    with monkeypatch.context() as patch:

        def no_room(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", no_room)
        hook(worker)
    hook(worker)
    worker.flush()
    syncs.wait()


# Gateway and single tick.


def test_a_gateway_syncs_by_itself_after_its_start(make: Make, syncs: Syncs) -> None:
    make(long_running=True).start()
    syncs.wait()
    assert (syncs.options[0].hurried, syncs.options[0].request_limit_s) == (False, None)


def test_a_gateway_syncs_when_the_host_has_written_without_any_hook(
    make: Make, syncs: Syncs, home: Home
) -> None:
    """Scripts, gates and runs that meet a 401 fire none."""
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    something_runs(home)
    worker.hooks.activity.wake.set()  # the next look, now
    syncs.wait()


def test_a_gateway_in_which_nothing_happens_looks_and_does_nothing(
    make: Make, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make(long_running=True)
    looks = threading.Semaphore(0)
    worker.start()
    syncs.wait()

    def counted(home: Home) -> plan.FileTimes:
        looks.release()
        return file_times(home)

    monkeypatch.setattr(worker_thread, "file_times", counted)
    for _ in range(3):
        worker.hooks.activity.wake.set()
        assert looks.acquire(timeout=GUARD_S)
    stop(worker)
    assert [o.hurried for o in syncs.options] == [False, True]


def test_a_gateway_syncs_at_each_beat(
    make: Make, syncs: Syncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "RESYNC_S", 0.0)
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    worker.hooks.activity.wake.set()
    syncs.wait()


def test_a_tick_does_not_disturb_its_runs_and_syncs_when_it_exits(
    make: Make, syncs: Syncs, home: Home
) -> None:
    worker = make()
    worker.start()
    hook(worker)
    something_runs(home)
    worker.flush()
    assert [o.hurried for o in syncs.options] == [True]


def test_a_tick_that_lasts_syncs_when_its_runs_have_settled(
    make: Make, syncs: Syncs, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LONG_SYNC_DELAY_S", 0.0)
    worker = make()
    worker.start()
    something_runs(home)
    worker.hooks.activity.wake.set()
    syncs.wait()


def test_a_tick_syncs_sooner_after_the_end_of_a_run_than_after_its_beginning(
    make: Make, syncs: Syncs, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SYNC_DELAY_S", 0.0)
    worker = make()
    worker.start()
    something_runs(home)
    hook(worker, "on_session_start")
    time.sleep(0.1)
    assert syncs.options == []
    hook(worker, "on_session_end")
    syncs.wait()


def test_a_request_of_a_tick_takes_no_longer_than_its_exit_may(
    make: Make, syncs: Syncs, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick may exit while a collector hangs, and the next tick has to know that."""
    monkeypatch.setattr(plan, "LONG_SYNC_DELAY_S", 0.0)
    worker = make()
    worker.start()
    something_runs(home)
    worker.hooks.activity.wake.set()
    syncs.wait()
    assert (syncs.options[0].hurried, syncs.options[0].request_limit_s) == (True, 2.0)


def test_a_host_that_never_stops_writing_is_synced_at_each_look_and_not_more_often(
    make: Make, syncs: Syncs, home: Home
) -> None:
    clock = FakeClock()
    worker = make(long_running=True, clock=clock)
    times_s: list[float] = []

    def writes(_: SyncOptions) -> None:
        times_s.append(clock.monotonic_s())
        something_runs(home)
        if len(times_s) == 5:
            worker._begin_exit(0.0)

    syncs.inside = writes
    worker.hooks.activity.wake.set()  # a hook wakes it once
    worker._main()
    by_the_hook, at_exit = times_s.pop(1), times_s.pop()
    assert times_s == [0.0, GUARD_S, 2 * GUARD_S, 3 * GUARD_S]
    assert (by_the_hook, at_exit) == (0.0, 3 * GUARD_S)


# Leaving.


def test_a_process_in_which_nothing_happened_exits_at_once(make: Make, syncs: Syncs) -> None:
    worker = make()
    worker.start()
    worker.flush()
    assert worker._pace.exit_deadline_s is None
    assert syncs.options == []


def test_a_process_that_never_started_the_thread_exits_at_once(
    make: Make, syncs: Syncs, home: Home
) -> None:
    worker = make()
    something_runs(home)
    worker.flush()
    assert syncs.options == []


@pytest.mark.parametrize("sign", ["a hook", "the ledger", "jobs.json"])
def test_one_sign_of_a_run_is_enough_for_a_sync_at_exit(
    make: Make, syncs: Syncs, home: Home, sign: str
) -> None:
    worker = make()
    worker.start()
    if sign == "a hook":
        hook(worker)
    elif sign == "the ledger":
        something_runs(home)
    else:
        home.jobs.write_text("{}")
    worker.flush()
    assert len(syncs.options) == 1


def test_what_a_gateway_has_seen_already_is_not_work_at_exit(
    make: Make, syncs: Syncs, home: Home
) -> None:
    something_runs(home)
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    worker.flush()
    assert worker._pace.exit_deadline_s is None


class RecordedEvent(threading.Event):
    """Records the time-outs of its waits. A wait ends with the event, or after `GUARD_S`."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.limits.append(timeout)
        return super().wait(GUARD_S)


@pytest.mark.parametrize(("config", "limit_s"), [("", 2.0), ("flush_timeout: 0.25", 0.25)])
def test_the_exit_waits_no_longer_than_the_settings_allow_in_a_first_sync_too(
    make: Make, syncs: Syncs, home: Home, config: str, limit_s: float
) -> None:
    (home.path / "config.yaml").write_text(
        f"plugins: {{entries: {{cronalytics-otel: {{{config}}}}}}}"
    )
    worker = make()
    worker._finished = flushed = RecordedEvent()
    worker.start()
    hook(worker)
    worker.flush()
    assert flushed.limits == [limit_s]


def test_a_sync_at_exit_knows_how_much_time_is_left(make: Make, syncs: Syncs) -> None:
    left: list[float | None] = []
    syncs.inside = lambda options: left.append(options.remaining_s())
    worker = make()
    worker.start()
    hook(worker)
    worker.flush()
    assert left[0] is not None
    assert left[0] <= 2.0


def test_a_sync_that_is_under_way_at_exit_stops_between_two_chunks_when_the_time_is_over(
    make: Make, syncs: Syncs, home: Home
) -> None:
    (home.path / "config.yaml").write_text(
        "plugins: {entries: {cronalytics-otel: {flush_timeout: 0}}}"
    )
    going_on, stopped = threading.Event(), threading.Event()
    worker = make(long_running=True)

    def works(options: SyncOptions) -> None:
        going_on.set()
        assert exiting(worker).wait(GUARD_S)
        try:
            options.between_chunks()
        except BaseException:
            stopped.set()
            raise

    syncs.inside = works
    worker.start()
    assert going_on.wait(GUARD_S)
    something_runs(home)
    worker.flush()
    assert stopped.wait(GUARD_S)
    stop(worker)
    assert len(syncs.options) == 1


def test_a_sync_that_waits_for_a_destination_ends_when_the_host_exits_and_one_more_follows(
    make: Make, syncs: Syncs
) -> None:
    """The last one reads the runs that have ended since, and waits for the time that is left."""
    interrupted: list[bool] = []
    going_on = threading.Event()
    worker = make(long_running=True)

    def waits(options: SyncOptions) -> None:
        interrupted.append(options.interrupted())
        if not going_on.is_set():
            going_on.set()
            assert exiting(worker).wait(GUARD_S)
            interrupted.append(options.interrupted())

    syncs.inside = waits
    worker.start()
    assert going_on.wait(GUARD_S)
    hook(worker)
    worker.flush()
    stop(worker)
    assert interrupted == [False, True, False]


def test_a_destination_that_finishes_after_its_sync_causes_another_sync(
    make: Make, syncs: Syncs
) -> None:
    came_back = threading.Event()

    def sends(_: SyncOptions) -> None:
        assert worker._runner._senders is not None
        if len(syncs.options) == 1:
            worker._runner._senders.threads.start("slow", lambda _: delivery())

    def delivery() -> DestinationReport:
        assert came_back.wait(GUARD_S)
        return backend(sent=1)

    syncs.inside = sends
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    came_back.set()
    assert worker._runner._senders is not None
    wait_for(lambda: worker._runner._senders.threads.has_reports, what="the destination's thread")  # type: ignore[union-attr]
    worker.hooks.activity.wake.set()
    syncs.wait()


def test_a_rest_between_two_chunks_ends_when_the_host_exits(make: Make, syncs: Syncs) -> None:
    rested = threading.Event()

    def rests(options: SyncOptions) -> None:
        options.clock.sleep(NEVER_S)
        rested.set()

    syncs.inside = rests
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    hook(worker)
    worker.flush()
    assert rested.wait(GUARD_S)


def test_a_home_that_is_busy_for_long_at_exit_is_tried_until_the_host_waits_no_longer(
    make: Make, syncs: Syncs, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    syncs.answers = [SyncBusyError("another process")] * 3000
    worker = make(clock=FakeClock())
    something_runs(home)
    worker._begin_exit(200.0)
    worker._main()
    assert len(syncs.options) > 1000
    assert caplog.records == []


def test_a_home_that_becomes_free_at_exit_is_synced_then(
    make: Make, syncs: Syncs, home: Home
) -> None:
    syncs.answers = [SyncBusyError("another process")] * 3
    worker = make(clock=FakeClock())
    worker._begin_exit(2.0)
    worker._main()
    assert len(syncs.options) == 4


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), OSError("disk")])
def test_nothing_that_goes_wrong_at_exit_reaches_the_host(
    make: Make, syncs: Syncs, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    syncs.answers = [error]
    worker = make()
    worker.start()
    hook(worker)
    worker.flush()
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert type(error).__name__ in caplog.text


def test_the_user_s_interrupt_ends_the_wait_at_exit(make: Make, syncs: Syncs) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    worker = make()
    worker._finished = Interrupted()
    worker.start()
    hook(worker)
    with pytest.raises(KeyboardInterrupt):
        worker.flush()


# Trouble.


def test_a_fault_is_logged_once_and_the_thread_goes_on(
    make: Make, syncs: Syncs, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    syncs.answers = [OSError("disk"), OSError("disk"), OSError("other")]
    worker = make(long_running=True)
    worker.start()
    syncs_again(worker, syncs, home, times=3)
    logged = [r.getMessage() for r in caplog.records]
    assert logged == ["cronalytics-otel: OSError: disk", "cronalytics-otel: OSError: other"]


def test_files_that_cannot_be_seen_for_a_while_do_not_end_the_thread(
    make: Make, syncs: Syncs, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a network disk is gone; `Path.exists()` raises for most of such errors."""
    worker = make(long_running=True)
    worker.start()
    syncs.wait()

    def gone(*_: object, **__: object) -> None:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", gone)
        worker.hooks.activity.wake.set()
        wait_for(lambda: not worker.hooks.activity.wake.is_set(), what="the worker to look")
    something_runs(home)
    worker.hooks.activity.wake.set()
    syncs.wait()
    stop(worker)


def test_refusals_whose_words_differ_are_logged_once(
    make: Make, syncs: Syncs, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(3):
        syncs.answers.append(report(backend(refused=1, error=f"400: request {n}")))
    worker = make(long_running=True)
    worker.start()
    syncs_again(worker, syncs, home, times=3)
    assert ["request 0" in record.getMessage() for record in caplog.records] == [True]


def a_call(worker: Worker) -> None:
    worker.hooks.callback("post_api_request", worker.start)(session_id=CRON, model="m")


def test_observations_are_in_the_journal_before_the_sync_that_sends_their_run(
    make: Make, syncs: Syncs, home: Home
) -> None:
    worker = make()
    found: list[int] = []

    def count(_: SyncOptions) -> None:
        with Journal.open(home.journal) as journal:
            found.append(len(journal.observations.of([CRON])[CRON].calls))

    syncs.inside = count
    hook(worker, "on_session_start")
    a_call(worker)
    a_call(worker)
    hook(worker)
    worker.flush()
    assert found == [2]


def test_what_hooks_observe_during_a_sync_is_in_the_journal_before_traces_are_built(
    make: Make, syncs: Syncs, home: Home
) -> None:
    worker = make()
    found: list[int] = []

    def reads_then_exports(options: SyncOptions) -> None:
        a_call(worker)
        options.before_export()
        with Journal.open(home.journal) as journal:
            found.append(len(journal.observations.of([CRON])[CRON].calls))

    syncs.inside = reads_then_exports
    hook(worker, "on_session_start")
    a_call(worker)
    hook(worker)
    worker.flush()
    assert found == [2]


def test_observations_are_written_while_another_process_syncs(
    make: Make, syncs: Syncs, home: Home
) -> None:
    syncs.answers = [SyncBusyError("another process")]
    worker = make(long_running=True)
    a_call(worker)
    worker.start()
    syncs.wait()
    stop(worker)
    with Journal.open(home.journal) as journal:
        assert len(journal.observations.of([CRON])[CRON].calls) == 1


def test_many_observations_of_a_long_run_are_written_before_it_ends(
    make: Make, syncs: Syncs, home: Home
) -> None:
    worker = make()
    hook(worker, "on_session_start")
    for _ in range(hooks.MANY_OBSERVATIONS):
        a_call(worker)
    wait_for(home.journal.exists, what="the observations to be taken")
    stop(worker)
    with Journal.open(home.journal) as journal:
        assert len(journal.observations.of([CRON])[CRON].calls) == hooks.MANY_OBSERVATIONS


def test_a_tick_writes_observations_at_the_end_of_each_run_for_whoever_syncs_next(
    make: Make, syncs: Syncs, home: Home
) -> None:
    """Another process, such as a timer's sync, may sync before this one does."""
    worker = make()
    hook(worker, "on_session_start")
    a_call(worker)
    hook(worker)
    wait_for(home.journal.exists, what="the observations to be written")
    stop(worker)
    with Journal.open(home.journal) as journal:
        assert len(journal.observations.of([CRON])[CRON].calls) == 1


def test_observations_that_could_not_be_written_are_written_the_next_time(
    make: Make, syncs: Syncs, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.journal.parent.mkdir()
    home.journal.write_bytes(b"this is no database, whoever wrote it" * 100)
    worker = make(long_running=True)
    a_call(worker)
    syncs.inside = lambda _: home.journal.unlink(missing_ok=True)  # the sync that mends it
    worker.start()
    syncs.wait()
    something_runs(home)
    worker.hooks.activity.wake.set()
    syncs.inside = lambda _: None
    syncs.wait()
    stop(worker)
    with Journal.open(home.journal) as journal:
        assert len(journal.observations.of([CRON])[CRON].calls) == 1
    assert caplog.records == []


def test_a_home_that_another_process_syncs_is_no_fault_and_is_tried_again(
    make: Make, syncs: Syncs, caplog: pytest.LogCaptureFixture
) -> None:
    syncs.answers = [SyncBusyError("another process")]
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    worker.hooks.activity.wake.set()
    syncs.wait()
    assert caplog.records == []


def test_a_failing_destination_is_logged_when_it_begins_to_fail_and_when_it_recovers(
    make: Make, syncs: Syncs, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    syncs.answers = [
        report(backend(began_failing=True, error="503", pending=7)),
        report(backend(error="503", pending=8)),
        report(backend(recovered=True, sent=8)),
        report(backend(sent=1)),
    ]
    worker = make(long_running=True)
    worker.start()
    for _ in range(4):
        syncs.wait()
        something_runs(home)
        worker.hooks.activity.wake.set()
    syncs.wait()
    stop(worker)
    began, over = (record.getMessage() for record in caplog.records)
    assert "tempo (http://tempo:4318/v1/traces) does not take traces: 503; 7 runs wait" in began
    assert "takes traces again; sent 8 runs, 0 still wait" in over


def test_a_destination_that_recovered_and_failed_again_in_one_sync_is_logged_as_failing(
    make: Make, syncs: Syncs, caplog: pytest.LogCaptureFixture
) -> None:
    syncs.answers = [report(backend(began_failing=True, recovered=True, error="503"))]
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    stop(worker)
    assert "does not take traces" in caplog.text


def test_a_gateway_tries_a_failing_destination_again_when_it_is_due(
    make: Make, syncs: Syncs
) -> None:
    syncs.answers = [report(backend(error="503", next_try_ns=1))]
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    worker.hooks.activity.wake.set()
    syncs.wait()


def test_problems_and_repairs_are_logged(
    make: Make, syncs: Syncs, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    syncs.answers = [
        report(problems=("jobs.json: half",), repair=Repair(tmp_path / "aside", "malformed"))
    ]
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    stop(worker)
    assert "jobs.json: half" in caplog.text
    assert str(tmp_path / "aside") in caplog.text


# What it knew before.


def test_the_first_sync_that_succeeds_gets_the_jobs_as_they_were_before_any_run(
    make: Make, syncs: Syncs, home: Home
) -> None:
    """A one-shot is deleted when it has run: only then is its definition gone."""
    home.jobs.write_text('{"jobs": ["before"]}')
    syncs.answers = [OSError("disk"), SyncBusyError("busy")]
    worker = make(long_running=True)
    worker.start()
    home.jobs.write_text('{"jobs": ["later"]}')
    syncs_again(worker, syncs, home, times=3)
    texts = [[snapshot.text for snapshot in seen] for seen in syncs.snapshots]
    assert texts[:4] == [['{"jobs": ["before"]}']] * 3 + [[]]


def test_a_missing_or_unreadable_jobs_file_is_no_snapshot(
    make: Make, syncs: Syncs, home: Home
) -> None:
    home.jobs.write_bytes(b"\xff\xfe")
    worker = make(long_running=True)
    worker.start()
    syncs.wait()
    assert syncs.snapshots == [[]]


# Fork.


def forked(worker: Worker, syncs: Syncs) -> None:
    """Bring the worker into the state of a forked child whose parent had work to do."""
    worker.start()
    hook(worker)
    worker.flush()
    assert worker._thread is not None
    worker._thread.join(GUARD_S)
    syncs.options.clear()
    worker.hooks.activity.last_hook_s = time.monotonic()
    worker._forget_after_fork()


def test_a_forked_child_has_no_thread_and_nothing_of_its_parent_to_flush(
    make: Make, syncs: Syncs
) -> None:
    worker = make()
    forked(worker, syncs)
    worker.flush()
    assert worker._thread is None
    assert syncs.options == []


def test_a_forked_child_that_runs_jobs_itself_syncs_them(make: Make, syncs: Syncs) -> None:
    worker = make()
    forked(worker, syncs)
    hook(worker)
    worker.flush()
    assert len(syncs.options) == 1
