"""Processes, threads, forks and profiles at once: one syncs, the others lose nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel import plugin
from cronalytics_otel.config import load_settings
from cronalytics_otel.hooks import HOOKS, Hooks
from cronalytics_otel.host.home import Home
from cronalytics_otel.lock import SyncBusyError, sync_lock
from cronalytics_otel.sync import SyncReport, sync
from tests.support.collector import Answer, FaultyCollector, SpanDict, hang, ok, status
from tests.support.fault_checks import (
    assert_all_there,
    assert_all_there_once,
    assert_journal_tells_the_truth,
    outcomes,
    roots,
    runs_of,
    trace_id_of,
)
from tests.support.fault_collector import JudgingCollector
from tests.support.fault_process import SyncProcesses
from tests.support.fault_worker import HostProcess
from tests.support.homes import HomeBuilder
from tests.support.waiting import wait_for

RUNS = 12


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    return built(tmp_path / "home")


def built(path: Path) -> HomeBuilder:
    home = HomeBuilder(path, system_prompt_bytes=64)
    job = home.job("digest", every_minutes=30)
    began = datetime.now(UTC) - timedelta(hours=12)
    for number in range(RUNS):
        home.agent_run(job, began + timedelta(minutes=30 * number))
    home.write()
    return home


# --- processes and threads -----------------------------------------------------------------------


def test_while_one_process_syncs_the_others_are_told_so_and_leave_it_alone(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_next(hang())
    first = processes.start(home.path, environ)
    collector.wait_for_requests(1)

    for _ in range(3):
        done = processes.sync(home.path, environ)
        assert done.error is not None
        assert done.error.startswith("SyncBusyError: ")

    assert first.kill().killed
    assert processes.sync(home.path, environ).report.healthy, "the lock died with its owner"
    assert_all_there_once(collector, home.expected)


def test_processes_that_sync_at_once_send_each_run_once(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """From the very first sync on, which makes the journal."""
    for _ in range(4):
        running = [processes.start(home.path, environ) for _ in range(5)]
        finished = [one.wait() for one in running]
        errors = [done.error for done in finished if done.error is not None]
        assert all(error.startswith("SyncBusyError: ") for error in errors), errors
        assert len(errors) < len(finished), "one of them has done it"
    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


def test_threads_that_sync_at_once_send_each_run_once(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    at_once = threading.Barrier(6)

    def one() -> SyncReport | None:
        at_once.wait()
        try:
            return sync(Home(home.path), load_settings(home.path, environ))
        except SyncBusyError:
            return None

    with ThreadPoolExecutor(6) as pool:
        reports = [future.result() for future in [pool.submit(one) for _ in range(6)]]

    assert any(reports)
    assert sum(report.new_runs for report in reports if report) == RUNS
    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


def test_a_thread_that_was_told_to_wait_does_not_let_go_of_the_other_ones_lock(
    home: HomeBuilder, environ: dict[str, str], processes: SyncProcesses
) -> None:
    """A POSIX lock is gone when any descriptor of its file is closed, by whichever thread."""
    lock = Home(home.path).lock
    with sync_lock(lock):
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(lambda: sync_lock(lock).__enter__())
            assert isinstance(refused.exception(), SyncBusyError)
        done = processes.sync(home.path, environ)
        assert done.error is not None
        assert done.error.startswith("SyncBusyError: ")


def test_reading_the_journal_disturbs_no_sync(
    home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """As `runs` and `status` do, while another process writes."""
    collector.answer_next(hang())
    running = processes.start(home.path, environ)
    collector.wait_for_requests(1)

    assert len(runs_of(home.path)) == RUNS

    collector.release()
    assert running.wait().error is None
    assert processes.sync(home.path, environ, eager=True).report.healthy
    assert_all_there(collector, home.expected)


def test_profiles_of_one_process_do_not_get_mixed_up(
    tmp_path: Path, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    names = [f"profile-{number}" for number in range(4)]
    homes = {name: built(tmp_path / "profiles" / name) for name in names}

    def one(name: str) -> SyncReport:
        home = homes[name].path
        return sync(Home(home), load_settings(home, environ))

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(one, names))

    assert [report.new_runs for report in reports] == [RUNS] * 4
    arrived = roots(collector.spans)
    by_profile = {
        name: {s["trace_id"] for s in arrived if s["resource"]["hermes.profile.name"] == name}
        for name in names
    }
    assert {name: len(ids) for name, ids in by_profile.items()} == dict.fromkeys(names, RUNS)
    assert len(set().union(*by_profile.values())) == 4 * RUNS, "the same job in each: other ids"


# --- the worker in a host ------------------------------------------------------------------------


def test_two_gateways_of_one_home_send_each_run_once(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    with HostProcess(home.path, environ) as one, HostProcess(home.path, environ) as other:
        for host in (one, other):
            assert host.command("hook") == "nothing"
        collector.wait_until(lambda seen: len(roots(seen.spans)) >= RUNS)
        assert one.leave() == other.leave() == 0
    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


def test_a_fork_in_the_midst_of_a_sync_neither_has_the_lock_nor_syncs(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    collector.answer_next(hang())
    with HostProcess(home.path, environ) as host:
        host.command("hook")
        collector.wait_for_requests(1)

        child = host.command("fork")

        assert child == {
            "lock": "another process is syncing this home: try again later",
            "status": 0,
        }
        assert collector.requests == 1, "the child left without a sync"
        collector.release()
        host.command("hook")
        collector.wait_until(lambda seen: len(roots(seen.spans)) >= RUNS)
        assert host.leave() == 0
    assert_all_there_once(collector, home.expected)
    assert_journal_tells_the_truth(home.path, home.expected)


def test_a_fork_after_a_sync_leaves_the_lock_free(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    with HostProcess(home.path, environ) as host:
        host.command("hook")
        collector.wait_until(lambda seen: len(roots(seen.spans)) >= RUNS)
        wait_for(lambda: host.command("fork")["lock"] == "free", what="the end of the sync")
        assert host.leave() == 0
    assert_all_there_once(collector, home.expected)


def test_a_run_that_ends_while_a_backlog_is_sent_goes_before_the_rest_of_it(tmp_path: Path) -> None:
    home = HomeBuilder(tmp_path / "home", system_prompt_bytes=64)
    job = home.job("digest", every_minutes=30)
    old = datetime.now(UTC) - timedelta(days=30)
    for number in range(2_500):
        home.agent_run(job, old + timedelta(minutes=5 * number))
    home.write()

    def slowly(_spans: list[SpanDict], _size: int) -> Answer:
        time.sleep(0.3)
        return ok()

    with JudgingCollector(slowly) as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with HostProcess(home.path, environ) as host:
            wait_for(lambda: len(collector.sizes) > 2, what="the begin of the backlog")
            new = home.script_run(
                home.job("backup", every_minutes=5, no_agent=True),
                datetime.now(UTC) - timedelta(seconds=2),
            )
            home.write()
            wait_for(
                lambda: trace_id_of(new.expected) in outcomes(collector.spans), what="the new run"
            )
            assert len(roots(collector.spans)) < 2_501
            wait_for(lambda: len(roots(collector.spans)) == 2_501, what="the whole backlog")
            assert host.leave() == 0
        assert_all_there_once(collector, home.expected)


def test_a_gateway_sends_with_the_settings_that_hold_now(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    with HostProcess(home.path, environ) as host:
        collector.wait_until(lambda seen: len(roots(seen.spans)) == RUNS)
        (home.path / ".env").write_text("OTEL_SERVICE_NAME=renamed\n")
        home.script_run(home.job("backup", every_minutes=5, no_agent=True),
                        datetime.now(UTC) - timedelta(seconds=2))  # fmt: skip
        home.write()
        host.command("hook")
        collector.wait_until(lambda seen: len(roots(seen.spans)) == RUNS + 1)
        assert host.leave() == 0
    assert roots(collector.spans)[-1]["resource"]["service.name"] == "renamed"


def test_a_process_leaves_although_the_collector_hangs_for_ever(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str], processes: SyncProcesses
) -> None:
    """The destination's own time-out is a quarter of an hour: only the limit of the flush ends it."""
    collector.answer_with(hang())
    patient = {**environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "900"}
    with HostProcess(home.path, patient, long_running=False) as host:
        host.command("hook")
        assert host.leave() == 0
        assert "Traceback" not in host.log
    collector.answer_with(ok())
    assert processes.sync(home.path, environ, eager=True).report.healthy
    assert_all_there_once(collector, home.expected)


def test_a_collector_that_fails_is_logged_once_when_it_begins(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    collector.answer_with(status(503))
    with HostProcess(home.path, environ) as host:
        host.command("hook")
        collector.wait_for_requests(2)
        assert host.leave() == 0
        assert host.log.count("does not take traces") == 1


# --- whatever we raise ---------------------------------------------------------------------------


OURS = [SystemExit, MemoryError, GeneratorExit, asyncio.CancelledError, RecursionError, OSError]


@pytest.mark.parametrize("error", OURS)
def test_nothing_that_we_raise_comes_out_of_a_hook(error: type[BaseException]) -> None:
    def start() -> None:
        raise error

    Hooks().callback("on_session_end", start)(
        session_id="cron_0123456789ab_20260101_000000", platform="cron"
    )


def test_a_keyboard_interrupt_does_come_out_of_a_hook() -> None:
    def start() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hooks().callback("on_session_end", start)(session_id="cron_0123456789ab_20260101_000000")


@pytest.mark.parametrize("arguments", [{}, {"session_id": None}, {"session_id": 7, "x": object()}])
def test_a_hook_takes_whatever_arguments_a_host_may_give(arguments: dict[str, object]) -> None:
    Hooks().callback("on_session_end", lambda: None)(**arguments)


def test_a_worker_that_could_not_be_started_is_started_by_the_next_hook() -> None:
    """The machine was out of threads for a moment."""
    calls = 0

    def start() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("can't start new thread")

    hook = Hooks().callback("on_session_end", start)
    for _ in range(2):
        hook(session_id="cron_0123456789ab_20260101_000000")

    assert calls == 2


@pytest.mark.parametrize("error", OURS)
def test_nothing_that_we_raise_comes_out_of_register(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    class Context:
        """The host's, of which a method fails."""

        def register_cli_command(self, **_: object) -> None:
            raise error

        def register_hook(self, name: str, _hook: object) -> None:
            assert name in HOOKS

    plugin.register(Context())

    assert "is off" in caplog.text


@pytest.mark.parametrize("place", ["Journal.open", "HttpSender.send"])
@pytest.mark.parametrize("error", ["SystemExit", "MemoryError"])
def test_an_error_of_ours_in_a_gateway_is_logged_and_the_next_sync_goes_on(
    error: str, place: str, home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    with HostProcess(home.path, environ, faults={place: error}) as host:
        assert host.command("hook") == "nothing"
        wait_for(lambda: error in host.log, what="the line in the log")
        home.script_run(home.job("backup", every_minutes=5, no_agent=True),
                        datetime.now(UTC) - timedelta(seconds=2))  # fmt: skip
        home.write()
        assert host.command("hook") == "nothing"
        collector.wait_until(lambda seen: len(roots(seen.spans)) > RUNS)
        assert host.leave() == 0
        assert "Traceback" not in host.log
    assert_all_there_once(collector, home.expected)
