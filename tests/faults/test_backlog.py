"""A long backlog: fresh runs first, small steps for who has just come back, bounded requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import yaml

from cronalytics_otel.export.batches import MAX_SPANS
from tests.support.collector import Answer, FaultyCollector, SpanDict, ok, status
from tests.support.fault_checks import (
    assert_all_there,
    assert_all_there_once,
    destinations_of,
    roots,
    trace_id_of,
)
from tests.support.fault_collector import JudgingCollector
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder, ToolUse

HOUR_S = 3600.0


def with_scripts(home: HomeBuilder, noon: datetime, count: int) -> None:
    job = home.job("backup", every_minutes=1, no_agent=True)
    for number in range(count):
        home.script_run(job, noon + timedelta(seconds=10 * number))
    home.write()


def test_a_collector_that_has_just_come_back_is_given_little_at_first(
    home: HomeBuilder, noon: datetime, processes: SyncProcesses
) -> None:
    with_scripts(home, noon, 200)
    with JudgingCollector(lambda _spans, _size: status(503)) as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        processes.sync(home.path, environ)
        collector.sizes.clear()
        collector.judge = lambda _spans, _size: ok()

        processes.sync(home.path, environ, clock_ahead_s=HOUR_S)

        assert_all_there_once(collector, home.expected)
        assert collector.sizes[0] <= 10
        assert all(after <= 2 * before for before, after in pairwise(collector.sizes))


def test_a_backlog_goes_oldest_first_and_after_what_is_fresh(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    with_scripts(home, noon, 30)
    collector.answer_next(status(503))
    processes.sync(home.path, environ)
    fresh = home.script_run(
        home.job("mail", every_minutes=5, no_agent=True),
        datetime.now(UTC) - timedelta(seconds=20),
    )
    home.write()

    processes.sync(home.path, environ, eager=True)

    arrived = [root["trace_id"] for root in roots(collector.spans)]
    assert arrived[0] == trace_id_of(fresh.expected)
    by_end = sorted(home.expected, key=lambda run: run.ended_ns)
    assert arrived[1:] == [trace_id_of(run) for run in by_end if run is not fresh.expected]


def test_requests_are_of_bounded_size_and_no_trace_is_torn(
    home: HomeBuilder, noon: datetime, processes: SyncProcesses
) -> None:
    """With content on, to a collector that takes 4 MiB as gRPC ones do."""
    job = home.job("digest", every_minutes=5)
    tools = [ToolUse(name="web", result="x" * 5_000)] * 30
    for number in range(60):
        home.agent_run(job, noon + timedelta(minutes=5 * number), tools=tools)
    home.write()
    content_on(home.path)
    largest, most = 0, 0

    def judge(spans: list[SpanDict], size: int) -> Answer:
        nonlocal largest, most
        largest, most = max(largest, size), max(most, len(spans))
        ids = {span["span_id"] for span in spans}
        assert all(span["parent_id"] in {None, *ids} for span in spans)
        return ok()

    with JudgingCollector(judge) as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        assert processes.sync(home.path, environ).report.healthy
        assert_all_there_once(collector, home.expected)
    assert largest < 4 * 2**20
    assert most <= MAX_SPANS
    assert most > MAX_SPANS // 2


def content_on(home: Path) -> None:
    ours = {"entries": {"cronalytics-otel": {"content": "full"}}}
    (home / "config.yaml").write_text(yaml.safe_dump({"timezone": "UTC", "plugins": ours}))


def test_what_has_waited_longer_than_allowed_is_given_up_and_counted(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    collector.stop()
    days_s = 24 * HOUR_S
    processes.sync(mixed_home.path, environ)
    processes.sync(mixed_home.path, environ, clock_ahead_s=89 * days_s)
    assert destinations_of(mixed_home.path)["default"].given_up == 0

    done = processes.sync(mixed_home.path, environ, clock_ahead_s=91 * days_s)

    assert done.report.destinations[0].given_up == len(mixed_home.expected)
    state = destinations_of(mixed_home.path)["default"]
    assert (state.given_up, state.pending) == (len(mixed_home.expected), 0)


def test_a_destination_that_is_back_after_too_long_still_gets_what_it_can(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """Our machine slept for half a year: the age counts only where nobody answers."""
    collector.answer_next(status(503))
    processes.sync(mixed_home.path, environ)

    processes.sync(mixed_home.path, environ, clock_ahead_s=180 * 24 * HOUR_S)

    assert_all_there(collector, mixed_home.expected)


def test_of_the_runs_before_a_given_time_none_is_sent_and_none_is_lost(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    with_scripts(home, noon, 20)
    middle = home.expected[10].ended_ns

    processes.sync(home.path, environ, since_ns=middle)
    assert {root["trace_id"] for root in roots(collector.spans)} == {
        trace_id_of(run) for run in home.expected if run.ended_ns >= middle
    }

    processes.sync(home.path, environ)
    assert_all_there_once(collector, home.expected)


def test_a_trace_too_large_for_the_collector_goes_without_its_content(
    home: HomeBuilder, noon: datetime, processes: SyncProcesses
) -> None:
    """A long session with content on, and a collector that takes 1 MiB: it is not lost for that."""
    job = home.job("digest", every_minutes=30)
    tools = [ToolUse(name="web", result="x" * 5_000)] * 700
    home.agent_run(job, noon, 600, tools=tools)
    home.agent_run(job, noon + timedelta(minutes=30))
    home.write()
    content_on(home.path)

    with JudgingCollector(lambda _s, size: ok() if size < 2**20 else status(413)) as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        processes.sync(home.path, environ)
        assert_all_there_once(collector, home.expected)


def test_memory_does_not_grow_with_what_the_messages_hold(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """40 MB of tool results, none of which is to be sent: content is off."""
    job = home.job("digest", every_minutes=5)
    tools = [ToolUse(name="web", result="x" * 20_000)] * 20
    for number in range(100):
        home.agent_run(job, noon - timedelta(days=2) + timedelta(minutes=5 * number), tools=tools)
    home.write()

    done = processes.sync(home.path, environ)

    assert done.report.healthy
    assert_all_there_once(collector, home.expected)
    assert done.grown_bytes < 20 * 2**20
