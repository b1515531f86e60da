"""Every way in which a collector can fail: nothing is lost, nothing is doubled without need."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.collector import (
    Answer,
    FaultyCollector,
    SpanDict,
    drop,
    half_an_answer,
    hang,
    html,
    ok,
    partial,
    redirect,
    status,
    trickle,
)
from tests.support.fault_checks import (
    assert_all_there,
    assert_all_there_once,
    copies,
    destinations_of,
    outcomes,
    roots,
    trace_id_of,
)
from tests.support.fault_collector import JudgingCollector
from tests.support.fault_process import SyncProcesses
from tests.support.fault_worker import HostProcess
from tests.support.homes import BuiltRun, HomeBuilder
from tests.support.waiting import wait_for

HOUR_S = 3600.0


def script_runs(home: HomeBuilder, first: datetime, count: int) -> list[BuiltRun]:
    """Write runs of one script, five minutes apart."""
    job = home.job("digest", every_minutes=5, no_agent=True)
    runs = [home.script_run(job, first + timedelta(minutes=5 * n)) for n in range(count)]
    home.write()
    return runs


def test_a_collector_that_is_down_gets_everything_when_it_is_back(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.stop()
    for hours in range(3):
        done = processes.sync(mixed_home.path, environ, clock_ahead_s=hours * HOUR_S)
        assert done.report.destinations[0].began_failing == (hours == 0)
        assert "refused" in done.report.destinations[0].error
        assert done.report.destinations[0].pending == len(mixed_home.expected)
    collector.start()

    done = processes.sync(mixed_home.path, environ, clock_ahead_s=3 * HOUR_S)

    assert done.report.destinations[0].recovered
    assert_all_there_once(collector, mixed_home.expected)


RETRYABLE = {
    "503": status(503),
    "502": status(502),
    "504": status(504),
    "408": status(408),
    "429": status(429),
    "html": html(),
    "redirect": redirect("http://127.0.0.1:9/login"),
    "dropped after reading": drop(),
    "dropped before reading": drop(unread=True),
    "no OTLP": status(200, "fine", content_type="text/plain"),
}


@pytest.mark.parametrize("answer", RETRYABLE.values(), ids=RETRYABLE.keys())
def test_what_was_not_taken_is_kept_and_sent_again(
    answer: Answer,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_with(answer)
    for hours in range(2):
        done = processes.sync(mixed_home.path, environ, clock_ahead_s=hours * HOUR_S)
        assert done.report.destinations[0].pending == len(mixed_home.expected)
        assert done.report.destinations[0].refused == 0
        assert collector.requests == hours + 1, "one request a sync, while it fails"
    assert collector.spans == []
    collector.answer_with(ok())

    done = processes.sync(mixed_home.path, environ, clock_ahead_s=2 * HOUR_S)

    assert done.report.healthy
    assert_all_there_once(collector, mixed_home.expected)


UNCERTAIN = {"half a body": half_an_answer(), "a body without end": trickle()}


@pytest.mark.parametrize("answer", UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_a_receipt_that_cannot_be_read_has_the_same_spans_sent_again(
    answer: Answer,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_next(answer)
    short = {**environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"}
    assert processes.sync(mixed_home.path, short).report.destinations[0].error

    assert processes.sync(mixed_home.path, environ, eager=True).report.healthy

    assert_all_there(collector, mixed_home.expected)
    assert {len(found) for found in copies(collector.spans).values()} == {2}


@pytest.mark.parametrize("body", [b"", b"{}"], ids=["204", "200 and {}"])
def test_an_answer_without_content_counts_as_taken(
    body: bytes,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    if body:
        collector.answer_with(
            Answer(status=200, body=body, headers={"Content-Type": "application/json"})
        )
    else:
        collector.answer_with(Answer(status=204))

    for _ in range(2):
        assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)


@pytest.mark.parametrize("answer", [hang(), hang(unread=True)], ids=["after reading", "before"])
def test_a_server_that_hangs_is_left_after_the_timeout(
    answer: Answer,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """That the sync ends at all is the test: the server says nothing before it is released."""
    collector.answer_with(answer)
    environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "0.3"

    done = processes.sync(mixed_home.path, environ)

    assert done.report.destinations[0].error == "no answer within 0.3 s"
    assert done.report.destinations[0].pending == len(mixed_home.expected)
    assert collector.requests == 1


def test_a_listener_that_never_accepts_is_left_after_the_timeout(
    mixed_home: HomeBuilder, processes: SyncProcesses
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3",
        }
        done = processes.sync(mixed_home.path, environ)
    assert done.report.destinations[0].error == "no answer within 0.3 s"


def test_retry_after_is_obeyed_even_by_an_eager_sync(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_next(status(429, retry_after="120"))
    processes.sync(mixed_home.path, environ)

    for ahead_s in (0.0, 110.0):
        done = processes.sync(mixed_home.path, environ, eager=True, clock_ahead_s=ahead_s)
        assert done.report.destinations[0].next_try_ns
    assert collector.requests == 1

    processes.sync(mixed_home.path, environ, clock_ahead_s=121.0)
    assert_all_there_once(collector, mixed_home.expected)


def test_a_long_retry_after_is_obeyed_to_its_end(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A quota that is used up says an hour."""
    collector.answer_next(status(429, retry_after="3600"))
    processes.sync(mixed_home.path, environ)

    processes.sync(mixed_home.path, environ, clock_ahead_s=3000.0)

    assert collector.requests == 1


def test_our_own_back_off_is_kept_but_by_an_eager_sync(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_with(status(503))
    for hours in range(4):  # the fourth failure in a row is backed off from for 4 s at least
        processes.sync(mixed_home.path, environ, clock_ahead_s=hours * HOUR_S)
    assert collector.requests == 4

    processes.sync(mixed_home.path, environ, clock_ahead_s=3 * HOUR_S)
    assert collector.requests == 4
    processes.sync(mixed_home.path, environ, clock_ahead_s=3 * HOUR_S, eager=True)
    assert collector.requests == 5


def test_spans_rejected_in_part_are_set_aside_and_sent_again_only_when_asked(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.answer_next(partial(1, "span too old"))
    done = processes.sync(mixed_home.path, environ)
    assert done.report.destinations[0].refused == len(mixed_home.expected)
    assert "span too old" in done.report.destinations[0].error
    assert destinations_of(mixed_home.path)["default"].refused == len(mixed_home.expected)

    for how in ({}, {"eager": True}, {"full": True}):
        processes.sync(mixed_home.path, environ, **how)
    assert collector.requests == 1

    done = processes.sync(mixed_home.path, environ, retry_refused=True)
    assert done.report.healthy
    assert destinations_of(mixed_home.path)["default"].refused == 0
    assert_all_there(collector, mixed_home.expected)


def test_only_the_poisoned_run_among_many_is_set_aside(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A collector that refuses each request in which one particular run is."""
    runs = script_runs(home, noon, 40)
    poisoned = trace_id_of(runs[17].expected)

    def refuses_one(spans: list[SpanDict], _size: int) -> Answer:
        return status(400, "bad") if any(s["trace_id"] == poisoned for s in spans) else ok()

    with JudgingCollector(refuses_one) as picky:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = picky.endpoint
        done = processes.sync(home.path, environ)
        assert done.report.destinations[0].refused == 1
        assert done.report.destinations[0].sent == 39
        assert done.report.destinations[0].pending == 0
        sent = outcomes(picky.spans)
        assert poisoned not in sent
        assert len(sent) == len(roots(picky.spans)) == 39

        picky.judge = lambda _spans, _size: ok()
        processes.sync(home.path, environ, retry_refused=True)
        assert_all_there_once(picky, home.expected)


@pytest.mark.parametrize("code", [401, 402, 403, 404, 405, 407, 415, 501])
def test_a_wrong_key_address_or_proxy_is_shown_makes_no_flood_and_costs_nothing(
    code: int,
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A key that expires overnight: every run of the night goes by itself when it is mended."""
    script_runs(home, noon, 60)
    collector.answer_with(status(code, "who are you?"))

    for hours in range(3):
        done = processes.sync(home.path, environ, clock_ahead_s=hours * HOUR_S)
        assert collector.requests == hours + 1
        destination = destinations_of(home.path)["default"]
        assert f"HTTP {code}" in str(destination.last_error)
        assert destination.fault is not None
        assert (destination.refused, destination.pending) == (0, 60)

    collector.answer_with(ok())
    done = processes.sync(home.path, environ, clock_ahead_s=3 * HOUR_S)
    assert done.report.healthy
    assert_all_there_once(collector, home.expected)


def test_a_lone_server_error_costs_no_run(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    script_runs(home, noon, 1)
    collector.answer_next(status(500))
    done = processes.sync(home.path, environ)
    assert (done.report.destinations[0].refused, done.report.destinations[0].pending) == (0, 1)

    assert processes.sync(home.path, environ, clock_ahead_s=60).report.healthy
    assert_all_there_once(collector, home.expected)


def test_a_server_that_errs_for_a_night_costs_no_run(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    script_runs(home, noon, 60)
    collector.answer_with(status(500))
    for hours in range(9):
        done = processes.sync(home.path, environ, clock_ahead_s=hours * HOUR_S)
        assert done.report.destinations[0].refused == 0
    collector.answer_with(ok())

    assert processes.sync(home.path, environ, clock_ahead_s=9 * HOUR_S).report.healthy
    assert_all_there_once(collector, home.expected)


def test_a_run_at_which_the_server_always_errs_delays_no_other_and_is_set_aside_at_last(
    home: HomeBuilder,
    noon: datetime,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    runs = script_runs(home, noon, 40)
    poisoned = trace_id_of(runs[17].expected)

    def errs_at_one(spans: list[SpanDict], _size: int) -> Answer:
        return status(500) if any(s["trace_id"] == poisoned for s in spans) else ok()

    with JudgingCollector(errs_at_one) as picky:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = picky.endpoint
        done = processes.sync(home.path, environ)
        assert (done.report.destinations[0].sent, done.report.destinations[0].pending) == (39, 1)
        refused = []
        for hours in (1, 3):
            home.script_run(
                home.job("other", every_minutes=5, no_agent=True), noon + timedelta(hours=hours)
            )
            home.write()
            done = processes.sync(home.path, environ, clock_ahead_s=hours * HOUR_S)
            refused.append(done.report.destinations[0].refused)
        assert refused == [0, 1]
        assert len(roots(picky.spans)) == 41


def test_an_odd_success_is_not_sent_the_same_for_ever(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """It keeps what it gets, and answers with a text: each further request would be another copy."""
    script_runs(home, noon, 5)
    collector.answer_with(Answer(status=200, body=b"OK", headers={"Content-Type": "text/plain"}))
    for hours in range(12):
        done = processes.sync(home.path, environ, clock_ahead_s=hours * HOUR_S)
        assert "text/plain: is this an OTLP endpoint?" in str(done.report.destinations[0].error)
    assert max(len(found) for found in copies(collector.spans).values()) == 3
    assert destinations_of(home.path)["default"].pending == 5
    collector.answer_with(ok())

    assert processes.sync(home.path, environ, clock_ahead_s=12 * HOUR_S).report.healthy
    assert_all_there(collector, home.expected)


def test_a_request_that_is_too_large_is_split(
    home: HomeBuilder,
    noon: datetime,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    script_runs(home, noon, 50)

    def takes_seven(spans: list[SpanDict], _size: int) -> Answer:
        return ok() if len(roots(spans)) <= 7 else status(413)

    with JudgingCollector(takes_seven) as small:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = small.endpoint
        done = processes.sync(home.path, environ)
        assert done.report.healthy
        assert_all_there_once(small, home.expected)


def test_a_destination_added_later_gets_the_whole_history(
    mixed_home: HomeBuilder, collector: FaultyCollector, processes: SyncProcesses
) -> None:
    with FaultyCollector() as later:
        configure(mixed_home, first=collector)
        processes.sync(mixed_home.path, {})
        configure(mixed_home, first=collector, later=later)

        processes.sync(mixed_home.path, {})

        assert_all_there_once(collector, mixed_home.expected)
        assert_all_there_once(later, mixed_home.expected)


def test_of_two_destinations_one_that_is_down_does_not_keep_the_other_waiting(
    mixed_home: HomeBuilder, collector: FaultyCollector, processes: SyncProcesses
) -> None:
    with FaultyCollector() as other:
        configure(mixed_home, a_down=collector, b_up=other)
        collector.stop()
        processes.sync(mixed_home.path, {})
        assert_all_there_once(other, mixed_home.expected)
        assert destinations_of(mixed_home.path)["a_down"].pending == len(mixed_home.expected)
        collector.start()

        processes.sync(mixed_home.path, {}, eager=True)

        assert_all_there_once(collector, mixed_home.expected)
        assert_all_there_once(other, mixed_home.expected)


def test_where_grpc_cannot_be_imported_only_its_destination_says_so(
    mixed_home: HomeBuilder, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a small board, for which grpcio has no wheel."""
    monkeypatch.delitem(sys.modules, "cronalytics_otel.export.otlp.grpc", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    destinations = {
        "a_grpc": {"endpoint": "http://127.0.0.1:4317", "protocol": "grpc"},
        "b_http": {"endpoint": collector.endpoint},
    }
    ours = {"entries": {"cronalytics-otel": {"destinations": destinations}}}
    (mixed_home.path / "config.yaml").write_text(yaml.safe_dump({"plugins": ours}))
    home = Home(mixed_home.path)

    report = sync(home, load_settings(home.path, {}))

    grpc, http = report.destinations
    assert grpc.error is not None
    assert "set its protocol to http/protobuf" in grpc.error
    assert grpc.pending == len(mixed_home.expected)
    assert (http.error, http.sent) == (None, len(mixed_home.expected))
    assert_all_there_once(collector, mixed_home.expected)


class SlowCollector(JudgingCollector):
    """Answers with `answer` when `go` is set."""

    answer = ok()

    def __init__(self) -> None:
        super().__init__(self._wait_and_take)
        self.begun, self.go = threading.Event(), threading.Event()

    def _wait_and_take(self, _spans: list[SpanDict], _size: int) -> Answer:
        self.begun.set()
        self.go.wait()
        return self.answer


@pytest.fixture
def slow() -> Iterator[SlowCollector]:
    with SlowCollector() as slow:
        yield slow
        slow.go.set()


@pytest.fixture
def hanging() -> Iterator[FaultyCollector]:
    with FaultyCollector(always=hang()) as hanging:
        yield hanging


def test_no_destination_waits_for_one_that_is_slow_or_hangs(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    slow: SlowCollector,
    hanging: FaultyCollector,
    processes: SyncProcesses,
) -> None:
    configure(mixed_home, timeout=60.0, a_hangs=hanging, b_slow=slow, c_well=collector)
    asked = processes.start(mixed_home.path, {}, eager=True)
    collector.wait_until(lambda one: len(roots(one.spans)) == len(mixed_home.expected))
    assert slow.begun.wait(30)
    hanging.wait_for_requests(1)
    hanging.stop()
    slow.go.set()
    done = asked.wait()

    hangs, _, _ = done.report.destinations
    assert (hangs.sent, hangs.began_failing) == (0, True)
    assert hangs.next_try_ns is not None
    assert [d.error is None for d in done.report.destinations] == [False, True, True]
    assert_all_there_once(slow, mixed_home.expected)
    assert_all_there_once(collector, mixed_home.expected)
    assert destinations_of(mixed_home.path)["a_hangs"].pending == len(mixed_home.expected)


def test_a_gateway_reads_and_sends_new_runs_while_a_request_to_another_is_under_way(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    slow: SlowCollector,
    hanging: FaultyCollector,
    processes: SyncProcesses,
) -> None:
    """Both go on when it is over: what has come in the meantime is sent, and nothing twice."""
    configure(mixed_home, timeout=600.0, a_hangs=hanging, b_slow=slow, c_well=collector)
    backup = next(key for key, job in mixed_home.jobs.items() if job["name"] == "backup")
    with HostProcess(mixed_home.path, {}) as host:
        for minutes_ago in (3, 2, 1):
            collector.wait_until(lambda one: len(roots(one.spans)) == len(mixed_home.expected))
            assert slow.begun.wait(30)
            mixed_home.script_run(backup, datetime.now(UTC) - timedelta(minutes=minutes_ago))
            mixed_home.write()
            configure(mixed_home, timeout=600.0, a_hangs=hanging, b_slow=slow, c_well=collector)
            host.command("hook")
        collector.wait_until(lambda one: len(roots(one.spans)) == len(mixed_home.expected))
        assert (slow.spans, len(slow.sizes), hanging.requests) == ([], 1, 1)

        # A lock of its own: another process leaves alone what this one is at.
        other = processes.sync(mixed_home.path, {}, eager=True)
        if other.report is not None:  # the gateway was between two syncs
            busy = [d.error for d in other.report.destinations]
            assert busy[:2] == ["another sync is sending to it just now"] * 2
        assert (len(slow.sizes), hanging.requests) == (1, 1)

        slow.go.set()
        wait_for(lambda: len(roots(slow.spans)) == len(mixed_home.expected), what="the slow one")
        assert host.leave() == 0  # although a request hangs: no thread of ours holds it
    assert_all_there_once(slow, mixed_home.expected)
    assert_all_there_once(collector, mixed_home.expected)
    states = destinations_of(mixed_home.path)
    assert {name: state.pending for name, state in states.items()} == {
        "a_hangs": len(mixed_home.expected), "b_slow": 0, "c_well": 0,
    }  # fmt: skip
    assert states["b_slow"].failures == 0


def test_a_tick_that_leaves_sends_to_each_destination_before(
    mixed_home: HomeBuilder, collector: FaultyCollector, hanging: FaultyCollector
) -> None:
    with FaultyCollector() as other:
        configure(mixed_home, timeout=600.0, a=collector, b_hangs=hanging, c=other)
        with HostProcess(mixed_home.path, {}, long_running=False) as host:
            host.command("hook")
            assert host.leave() == 0
        assert_all_there_once(collector, mixed_home.expected)
        assert_all_there_once(other, mixed_home.expected)
        states = destinations_of(mixed_home.path)
        assert states["b_hangs"].failures == hanging.requests == 1


def test_what_came_of_a_request_that_no_sync_waited_for_is_told_and_backed_off_from(
    mixed_home: HomeBuilder, collector: FaultyCollector, slow: SlowCollector
) -> None:
    slow.answer = status(503)
    configure(mixed_home, timeout=600.0, b_slow=slow, c_well=collector)
    backup = next(key for key, job in mixed_home.jobs.items() if job["name"] == "backup")
    with HostProcess(mixed_home.path, {}) as host:
        assert slow.begun.wait(30)
        mixed_home.script_run(backup, datetime.now(UTC) - timedelta(minutes=1))
        mixed_home.write()
        configure(mixed_home, timeout=600.0, b_slow=slow, c_well=collector)
        collector.wait_until(lambda one: len(roots(one.spans)) == len(mixed_home.expected))
        assert "does not take traces" not in host.log
        slow.go.set()
        wait_for(lambda: "b_slow" in host.log, what="the failure in the log")
        wait_for(
            lambda: destinations_of(mixed_home.path)["b_slow"].failures > 1, what="the next try"
        )
        assert host.log.count("does not take traces") == 1


def test_a_destination_that_is_taken_out_of_the_settings_gets_nothing_more(
    mixed_home: HomeBuilder, collector: FaultyCollector, slow: SlowCollector
) -> None:
    """But for the receipt of the request that is under way."""
    configure(mixed_home, timeout=600.0, b_slow=slow, c_well=collector)
    backup = next(key for key, job in mixed_home.jobs.items() if job["name"] == "backup")
    with HostProcess(mixed_home.path, {}):
        assert slow.begun.wait(30)
        mixed_home.script_run(backup, datetime.now(UTC) - timedelta(minutes=1))
        mixed_home.write()
        configure(mixed_home, c_well=collector)
        collector.wait_until(lambda one: len(roots(one.spans)) == len(mixed_home.expected))
        slow.go.set()
        mixed_home.script_run(backup, datetime.now(UTC))
        mixed_home.write()
        configure(mixed_home, c_well=collector)
        collector.wait_until(lambda one: len(roots(one.spans)) == len(mixed_home.expected))
        assert len(slow.sizes) == 1


def configure(
    home: HomeBuilder, timeout: float = 10.0, **collectors: FaultyCollector | JudgingCollector
) -> None:
    destinations = {
        name: {"endpoint": c.endpoint, "timeout": timeout} for name, c in collectors.items()
    }
    ours = {"entries": {"cronalytics-otel": {"destinations": destinations}}}
    (home.path / "config.yaml").write_text(yaml.safe_dump({"timezone": "UTC", "plugins": ours}))


def test_when_the_configuration_cannot_be_read_nothing_goes_elsewhere(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """An editor has half of config.yaml on disk: that is no wish to send all history to the
    default endpoint instead."""
    with FaultyCollector() as configured:
        configure(mixed_home, backend=configured)
        processes.sync(mixed_home.path, environ)
        config = mixed_home.path / "config.yaml"
        whole = config.read_text()
        config.write_text("plugins: {entries: {cronalytics-otel: {dest")

        done = processes.sync(mixed_home.path, environ)

        assert done.report.problems
        assert collector.requests == 0
        config.write_text(whole)
        processes.sync(mixed_home.path, environ)
        assert_all_there_once(configured, mixed_home.expected)
        assert destinations_of(mixed_home.path).keys() == {"backend"}


def test_what_one_endpoint_asked_for_does_not_bind_the_next_one(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """Its owner gave up on the first backend and named another."""
    collector.answer_with(status(429, retry_after="500"))
    processes.sync(mixed_home.path, environ)
    with FaultyCollector() as other:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = other.endpoint

        assert processes.sync(mixed_home.path, environ).report.healthy

        assert_all_there_once(other, mixed_home.expected)
