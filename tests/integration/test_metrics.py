"""Metrics from a home to a collector: what arrives, when, and what a lost receipt does."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.about import __version__
from cronalytics_otel.config import Settings, load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.model import ModelCall, Usage
from cronalytics_otel.model.times import NS
from cronalytics_otel.sync import Senders, SyncOptions, SyncReport, sync
from tests.support.cli import NOW, Cli
from tests.support.collector import (
    Answer,
    FaultyCollector,
    GrpcCollector,
    Point,
    grpc_status,
    hang,
    ok,
    partial,
    receipt_lost,
    status,
)
from tests.support.fake_clock import FakeClock
from tests.support.homes import HomeBuilder

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RUNS = "hermes.cron.runs"
DURATION = "hermes.cron.run.duration"
OUTCOME = "hermes.cron.run.outcome"


class MetricsHome:
    """A home with one job, a clock, and a collector that its metrics go to."""

    def __init__(self, path: Path, endpoint: str, **environ: str) -> None:
        self.builder = HomeBuilder(path)
        self.job = self.builder.job("digest", cron="0 0 1 1 *", created=NOON - timedelta(days=3))
        self.clock = FakeClock(now_ns=round(NOON.timestamp()) * NS)
        self.environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **environ}
        self.senders = Senders()
        self.options: dict[str, object] = {}
        """The section of the plugin in config.yaml."""
        self._started = NOON - timedelta(days=2)

    @property
    def settings(self) -> Settings:
        return load_settings(self.builder.path, self.environ)

    def run(self, outcome: str = "success", **facts: object) -> None:
        """A run of the job, an hour after the one before."""
        self._started += timedelta(hours=1)
        if outcome != "success":
            facts.setdefault("error", "RuntimeError: HTTP 500: upstream exploded")
        facts.setdefault("cost", 0.25)
        self.builder.agent_run(self.job, self._started, outcome=outcome, **facts)  # type: ignore[arg-type]

    def sync(self, after_s: float = 60.0, **options: object) -> SyncReport:
        self.builder.write()
        config = {"plugins": {"entries": {"cronalytics-otel": self.options}}}
        (self.builder.path / "config.yaml").write_text(json.dumps(config))
        self.clock.advance(after_s)
        return sync(
            Home(self.builder.path),
            self.settings,
            SyncOptions(clock=self.clock, jitter=lambda: 1.0, **options),  # type: ignore[arg-type]
            senders=self.senders,
        )


@pytest.fixture
def home(tmp_path: Path, collector: FaultyCollector) -> MetricsHome:
    return MetricsHome(tmp_path / "home", collector.endpoint)


@pytest.fixture
def delta_home(tmp_path: Path, collector: FaultyCollector) -> MetricsHome:
    return MetricsHome(
        tmp_path / "home",
        collector.endpoint,
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
    )


def of(points: Iterable[Point], metric: str, **attributes: object) -> list[Point]:
    wanted = {name.replace("__", "."): value for name, value in attributes.items()}
    return [p for p in points if p.metric == metric and wanted.items() <= p.attributes.items()]


def by_outcome(points: Iterable[Point]) -> dict[str, float]:
    """The newest value of the runs of each outcome, without those that are 0."""
    return {p.attributes[OUTCOME]: p.value for p in of(points, RUNS) if p.value}


def shown(cli: Cli, *command: str) -> Any:
    """What a command gives as JSON."""
    return cli(*command, "--json").json


# --- what arrives -------------------------------------------------------------------------------


def test_counters_histograms_and_gauges_arrive(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.run("failure")

    report = home.sync()

    (request,) = collector.metric_requests
    assert report.metrics[0].sent == len(request.points)
    assert by_outcome(request.points) == {"success": 1, "failure": 1}
    assert len(of(request.points, RUNS)) == 8
    assert [p.value for p in of(request.points, "hermes.cron.run.errors")] == [1]
    assert sum(p.count for p in of(request.points, DURATION)) == 2
    assert sum(p.value for p in of(request.points, "hermes.cron.run.cost")) == 0.5
    (state,) = of(request.points, "hermes.cron.job.state")
    assert (state.kind, state.attributes["hermes.cron.job.state"]) == ("gauge", "scheduled")


def test_points_name_profile_and_job_and_the_resource_no_version(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.sync()

    points = collector.metric_requests[0].points
    for point in of(points, RUNS):
        assert point.attributes["hermes.profile.name"] == "default"
        assert point.attributes["hermes.cron.job.id"] == home.job
        assert point.attributes["hermes.cron.job.name"] == "digest"
    assert set(points[0].resource) == {"service.name", "service.instance.id", "host.name"}
    assert points[0].scope == (
        "cronalytics_otel", __version__, "https://opentelemetry.io/schemas/1.44.0",
    )  # fmt: skip
    (build,) = of(points, "hermes.cron.build.info")
    assert build.attributes["service.version"] == __version__


def test_an_exemplar_is_the_root_span_of_the_newest_run(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.run()
    home.sync()
    roots = [s for s in collector.spans if s["parent_id"] is None]
    newest = max(roots, key=lambda span: span["end_ns"])

    of_series = [p for p in collector.points if p.value and p.kind != "gauge"]
    names = {point.metric for point in of_series}
    assert {RUNS, DURATION, "hermes.cron.run.cost", "hermes.cron.run.tokens"} <= names
    assert {p.exemplars for p in of_series} == {((newest["trace_id"], newest["span_id"]),)}

    home.sync()
    assert of(collector.metric_requests[1].points, DURATION)[0].exemplars == ()


def test_the_gauges_of_a_window_are_what_the_command_line_says(
    cli: Cli, collector: FaultyCollector
) -> None:
    builder = HomeBuilder(cli.home.path)
    now = datetime.now(UTC)
    job = builder.job("digest", every_minutes=60, created=now - timedelta(days=20))
    once = builder.job("remind me", once_at=now - timedelta(hours=5))
    for hours, outcome in ((2, "success"), (30, "failure"), (100, "success"), (300, "success")):
        error = None if outcome == "success" else "RuntimeError: no"
        builder.agent_run(
            job,
            now - timedelta(hours=hours),
            outcome=outcome,  # type: ignore[arg-type]
            cost=0.5,
            error=error,
        )
    builder.agent_run(once, now - timedelta(hours=5), cost=0.125)
    builder.write()
    cli("sync")

    for window, days in (("24h", 1), ("7d", 7), ("30d", 30)):
        summary = shown(cli, "summary", "--days", str(days))
        points = [
            point
            for point in collector.metric_requests[-1].points
            if point.attributes.get("hermes.cron.window") == window
        ]
        runs = sum(p.value for p in of(points, "hermes.cron.window.runs"))
        missed = sum(p.value for p in of(points, "hermes.cron.window.runs")
                     if p.attributes[OUTCOME] == "missed")  # fmt: skip
        totals = summary["totals"]
        assert runs - missed == totals["runs"]
        assert missed == totals["missed"]
        assert sum(p.value for p in of(points, "hermes.cron.window.cost")) == totals["cost_usd"]
        assert sum(p.value for p in of(points, "hermes.cron.window.tokens")) == totals["tokens"]


@pytest.fixture
def cli(empty: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch) -> Cli:
    for signal in ("TRACES", "METRICS"):
        monkeypatch.delenv(f"OTEL_{signal}_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    return empty


def test_calls_that_were_seen_live_are_counted_only_when_that_is_wanted(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    def seen_live(number: int) -> None:
        home.run()
        home.builder.write()
        session = home.builder.expected[-1].session_id
        assert session is not None
        call = ModelCall(
            started_ns=number * NS, ended_ns=(number + 2) * NS, model="m", provider="p",
            response_model="m-1", usage=Usage(input_tokens=100, output_tokens=7),
        )  # fmt: skip
        with Journal.open(Home(home.builder.path).journal) as journal:
            journal.observations.add([(session, session, call)], 0)

    seen_live(1)
    home.sync()
    assert of(collector.points, "gen_ai.client.token.usage") == []

    home.options = {"genai_metrics": True}
    seen_live(2)
    home.sync()
    points = [
        p for p in collector.metric_requests[1].points
        if p.metric.startswith("gen_ai.") and p.time_ns > p.start_ns
    ]  # fmt: skip
    common = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.provider.name": "p",
        "gen_ai.response.model": "m-1",
    }  # fmt: skip
    assert [(p.metric, p.attributes, p.count, p.value) for p in points] == [
        ("gen_ai.client.token.usage", common | {"gen_ai.token.type": "input"}, 1, 100),
        ("gen_ai.client.token.usage", common | {"gen_ai.token.type": "output"}, 1, 7),
        ("gen_ai.client.operation.duration", common, 1, 2.0),
    ]


# --- series -------------------------------------------------------------------------------------


def test_history_is_in_the_first_values_without_a_0_before(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.sync()

    (success,) = of(collector.points, RUNS, hermes__cron__run__outcome="success")
    assert (success.value, success.start_ns) == (1, success.time_ns)


def test_a_new_series_begins_with_a_0_at_the_request_before(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.sync()
    home.run("failure")
    home.sync()
    home.sync()

    first, second, third = (request.points for request in collector.metric_requests)
    errors = of(second, "hermes.cron.run.errors")
    assert [(p.value, p.time_ns) for p in errors] == [
        (0, first[0].time_ns), (1, of(second, RUNS)[0].time_ns),
    ]  # fmt: skip
    assert {p.start_ns for p in errors} == {first[0].time_ns}
    assert [p.value for p in of(third, "hermes.cron.run.errors")] == [1]


def test_a_0_that_comes_too_late_does_not_keep_the_rest_away(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    """Prometheus refuses a whole request for one point that is out of order."""
    home.sync()
    home.run()
    collector.answer_next_metrics(status(400, "out of order sample"))

    report = home.sync()

    refused, taken = collector.metric_requests[1:]
    assert any(p.value == 0 and p.time_ns == p.start_ns for p in of(refused.points, RUNS))
    assert by_outcome(taken.points) == {"success": 1}
    assert len(of(taken.points, RUNS)) == 8
    assert report.metrics[0].error is None


def test_a_clock_that_is_set_back_sends_no_point_back(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    for after_s in (60, -600, 90, 90):
        home.run()
        home.sync(after_s)

    times = [of(r.points, RUNS)[-1].time_ns for r in collector.metric_requests]
    assert len(times) == 4
    assert times == sorted(set(times))
    assert by_outcome(collector.points) == {"success": 4}


# --- when ---------------------------------------------------------------------------------------


def test_there_is_one_request_in_an_interval(home: MetricsHome, collector: FaultyCollector) -> None:
    for after_s in (0, 20, 39, 1, 59.9, 0.1):
        home.run()
        home.sync(after_s)

    assert len(collector.metric_requests) == 3
    assert by_outcome(collector.points) == {"success": 6}


def test_a_process_of_one_tick_sends_only_what_the_destination_lacks(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.sync(short_lived=True)
    assert collector.metric_requests == []

    home.run()
    home.sync(short_lived=True)
    home.sync(short_lived=True)
    assert len(collector.metric_requests) == 1

    home.run()
    home.sync(10, short_lived=True)
    home.sync(short_lived=True)
    assert by_outcome(collector.metric_requests[-1].points) == {"success": 2}
    assert len(collector.metric_requests) == 2


def test_the_report_says_when_the_next_request_is_due(home: MetricsHome) -> None:
    report = home.sync()

    assert report.next_metrics_ns == home.clock.now_ns() + 60 * NS


def test_a_sync_without_metrics_to_send_does_not_import_what_makes_them(
    home: MetricsHome, tmp_path: Path
) -> None:
    home.sync()
    code = (
        "import sys; from pathlib import Path; from cronalytics_otel.sync import sync, SyncOptions\n"
        "from cronalytics_otel.host.home import Home\n"
        "from cronalytics_otel.config import load_settings\n"
        f"path = Path({str(home.builder.path)!r})\n"
        f"settings = load_settings(path, {home.environ!r})\n"
        "sync(Home(path), settings, SyncOptions(short_lived=True))\n"
        "assert not [m for m in sys.modules if 'cronalytics_otel.telemetry.metrics' in m or 'metrics_encoder' in m]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- answers ------------------------------------------------------------------------------------


def test_a_lost_receipt_of_sums_is_made_good_by_the_next_request(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    collector.answer_next_metrics(receipt_lost())
    assert home.sync().metrics[0].error is not None
    home.run()
    assert home.sync().metrics[0].recovered

    first, second = collector.metric_requests
    assert by_outcome(first.points) == {"success": 1}
    assert by_outcome(second.points) == {"success": 2}


def test_deltas_add_up_to_the_sums(delta_home: MetricsHome, collector: FaultyCollector) -> None:
    home = delta_home
    for outcome in ("success", "failure", "success"):
        home.run(outcome)
        home.sync()
    home.sync()

    assert all(p.delta for p in collector.points if p.kind != "gauge")
    runs = of(collector.points, RUNS)
    assert sum(p.value for p in runs) == 3
    assert sum(p.count for p in of(collector.points, DURATION)) == 3
    # Each begins where the one before ended, and nothing that did not grow is sent.
    times = [(p.start_ns, p.time_ns) for p in runs]
    assert times[1:] == [(times[0][1], times[1][1]), (times[1][1], times[2][1])]


def test_the_first_deltas_begin_with_the_history_also_where_its_runs_were_deleted(
    delta_home: MetricsHome, collector: FaultyCollector
) -> None:
    home = delta_home
    home.environ["OTEL_METRICS_EXPORTER"] = "none"
    home.options["journal_days"] = 1
    home.run()  # two days ago
    home.run()
    home.sync()
    home.sync()
    del home.environ["OTEL_METRICS_EXPORTER"]
    home.sync()

    (runs,) = of(collector.points, RUNS)
    two_days_ago = NOON.replace(hour=0) - timedelta(days=2)
    assert (runs.value, runs.start_ns) == (2, round(two_days_ago.timestamp()) * NS)


@pytest.mark.parametrize("answer", [receipt_lost(), status(503)], ids=["lost", "down"])
def test_deltas_without_a_receipt_are_sent_again_unchanged(
    delta_home: MetricsHome, collector: FaultyCollector, answer: Answer
) -> None:
    home = delta_home
    home.run()
    collector.answer_next_metrics(answer, answer)
    home.sync()
    home.run()
    home.sync()
    home.sync()
    home.sync()

    first, second, third, fourth = collector.metric_requests
    assert first.body == second.body == third.body
    assert by_outcome(fourth.points) == {"success": 1}


def test_deltas_that_were_refused_are_in_the_next_request(
    delta_home: MetricsHome, collector: FaultyCollector
) -> None:
    home = delta_home
    home.run()
    collector.answer_next_metrics(status(400, "too old"))
    report = home.sync()
    assert report.metrics[0].refused == len(collector.metric_requests[0].points)
    home.run()
    home.sync()

    assert by_outcome(collector.metric_requests[1].points) == {"success": 2}


def test_a_change_to_deltas_sends_nothing_twice(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.sync()
    home.environ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "delta"
    home.run()
    home.sync()

    assert by_outcome(collector.metric_requests[1].points) == {"success": 1}


@pytest.mark.parametrize("code", [404, 405, 501])
def test_a_destination_without_metrics_is_left_alone_for_a_day(
    home: MetricsHome, collector: FaultyCollector, code: int
) -> None:
    collector.answer_metrics_with(status(code))
    home.run()

    report = home.sync()
    for _ in range(3):
        home.sync(3_600, eager=True)

    assert report.healthy
    assert report.metrics[0].not_served
    assert len(collector.metric_requests) == 1
    assert sum(s["parent_id"] is None for s in collector.spans) == 1
    collector.answer_metrics_with(ok())
    home.sync(86_400)
    assert by_outcome(collector.points) == {"success": 1}


def test_by_grpc_they_arrive_too_and_unimplemented_is_left_alone(tmp_path: Path) -> None:
    with GrpcCollector() as collector:
        home = MetricsHome(
            tmp_path / "home", collector.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
        )
        home.run()
        collector.answer_metrics_with(grpc_status("UNIMPLEMENTED"))
        assert home.sync().metrics[0].not_served
        assert home.sync().metrics == ()

        collector.answer_metrics_with(ok())
        home.sync(86_400)
        assert by_outcome(collector.points) == {"success": 1}
        home.senders.close()


def test_points_that_were_refused_are_counted_and_not_sent_again(
    delta_home: MetricsHome, collector: FaultyCollector, cli: Cli
) -> None:
    home = delta_home
    home.run()
    collector.answer_next_metrics(partial(3, "too many series"))

    report = home.sync()

    assert (report.metrics[0].refused, report.metrics[0].error) == (3, None)
    home.sync()
    assert of(collector.metric_requests[1].points, RUNS) == []


def test_metrics_that_hang_do_not_hold_up_traces(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    collector.answer_metrics_with(hang())
    home.environ["OTEL_METRIC_EXPORT_TIMEOUT"] = "1000"
    interrupted = False
    home.run()
    home.sync(interrupted=lambda: interrupted)
    interrupted = True
    home.run()
    report = home.sync(interrupted=lambda: interrupted)

    assert report.destinations[0].sent == 1
    assert sum(s["parent_id"] is None for s in collector.spans) == 2
    collector.release()


def test_an_error_of_metrics_is_no_error_of_traces(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    collector.answer_metrics_with(status(401, "no key"))
    home.run()

    report = home.sync()

    assert report.destinations[0].error is None
    assert report.metrics[0].error == "HTTP 401 Unauthorized: no key"
    assert not report.healthy


def test_a_fault_in_the_gauges_costs_no_counter(
    home: MetricsHome, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cronalytics_otel.sync.read_gauges", broken)
    home.run()
    home.sync()

    assert by_outcome(collector.points) == {"success": 1}
    assert [p for p in collector.points if p.kind == "gauge"] == []


# --- what people see ----------------------------------------------------------------------------


def test_status_shows_what_was_sent_and_what_is_left_alone(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_metrics_with(status(404))
    cli("sync")
    (metrics,) = shown(cli, "status")["metrics"]
    assert not metrics["served"]
    assert any("takes no metrics (HTTP 404 Not Found" in line for line in cli("status").lines)

    with sqlite3.connect(cli.home.journal) as journal:
        journal.execute("UPDATE metric_destination SET requested_ns = 0")
    collector.answer_metrics_with(ok())
    cli("sync", "--retry-refused")
    (metrics,) = shown(cli, "status")["metrics"]
    assert metrics["served"]
    assert metrics["delivered_points"] == len(collector.metric_requests[-1].points)
    assert any("points, cumulative, last receipt" in line for line in cli("status").lines)


def test_a_destination_that_has_taken_metrics_has_a_place_for_them(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    """A 404 is a fault of what stands before it just now: it is asked again soon, and it is reported."""
    home.run()
    home.sync()
    collector.answer_metrics_with(status(404))

    for report in (home.sync(), home.sync(0)):
        (metrics,) = report.metrics
        assert (metrics.not_served, metrics.fails, report.healthy) == (False, True, False)
    assert metrics.next_try_ns is not None
    assert len(collector.metric_requests) == 2

    home.run()
    collector.answer_metrics_with(ok())
    assert home.sync(120).healthy
    assert by_outcome(collector.metric_requests[-1].points) == {"success": 2}


def test_another_address_may_have_no_place_for_metrics(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    home.sync()
    with FaultyCollector() as jaeger:
        jaeger.answer_metrics_with(status(404))
        home.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = jaeger.endpoint

        assert home.sync().metrics[0].not_served


def test_a_job_that_has_recovered_and_was_paused_has_a_0_for_what_it_was(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    """A backend keeps the last value of a series: it must not say `failure` for ever."""
    home.run("failure")
    home.sync()
    assert shown_states(collector.metric_requests[-1].points) == {
        ("last_outcome", "failure"): 1, ("state", "scheduled"): 1,
    }  # fmt: skip

    home.run()
    home.builder.jobs[home.job] |= {
        "enabled": False, "paused_at": NOON.isoformat(), "state": "paused",
    }  # fmt: skip
    home.sync()

    assert shown_states(collector.metric_requests[-1].points) == {
        ("last_outcome", "failure"): 0, ("last_outcome", "success"): 1,
        ("state", "scheduled"): 0, ("state", "paused"): 1,
    }  # fmt: skip


def test_a_former_outcome_is_0_however_long_ago_it_was(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    """A weekly job: its failure is no run of the last seven days when it has recovered."""
    home.run("failure")
    home.sync()
    home.clock.advance(8 * 86_400)
    home._started += timedelta(days=8)
    home.run()
    home.sync()

    assert shown_states(collector.metric_requests[-1].points) == {
        ("last_outcome", "failure"): 0, ("last_outcome", "success"): 1, ("state", "scheduled"): 1,
    }  # fmt: skip


def test_a_deleted_job_is_in_no_state(home: MetricsHome, collector: FaultyCollector) -> None:
    home.run()
    home.sync()
    home.builder.remove_job(home.job)
    home.sync()

    assert shown_states(collector.metric_requests[-1].points)["state", "scheduled"] == 0


def test_a_renamed_job_is_in_no_state_under_its_former_name(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    """Whatever a backend still knows under that name, no query that asks for the state takes it."""

    def states() -> dict[str, float]:
        newest = collector.metric_requests[-1].points
        return {
            str(point.attributes["hermes.cron.job.name"]): point.value
            for point in of(newest, "hermes.cron.job.state")
        }

    home.run("failure")
    home.sync()
    home.builder.jobs[home.job]["name"] = "summary"
    home.sync()
    assert states() == {"digest": 0, "summary": 1}

    home.sync(8 * 86_400)
    assert states() == {"summary": 1}


@pytest.mark.parametrize(("runs", "expected"), [(4, []), (5, [20.0])])
def test_the_expected_duration_is_that_of_health(
    home: MetricsHome, collector: FaultyCollector, runs: int, expected: list[float]
) -> None:
    """A job with fewer than five runs has no usual duration; what its gate skipped says nothing of it."""
    for _ in range(runs):
        home.run()
    for minute in range(5):
        home.builder.gated_run(home.job, NOON - timedelta(hours=2, minutes=minute))
    home.sync()
    home.sync()  # the request after the one that has read the percentiles has them

    newest = collector.metric_requests[-1].points
    assert [one.value for one in of(newest, "hermes.cron.job.expected_duration")] == expected


def test_a_destination_that_left_the_settings_has_no_gauges(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    with FaultyCollector() as broken:
        broken.answer_with(status(503))
        home.options = {
            "destinations": {
                "kept": {"endpoint": collector.endpoint},
                "left": {"endpoint": broken.endpoint, "metrics": False},
            }
        }
        home.run()
        home.sync()
        both = pending(collector.metric_requests[-1].points)
    del home.options["destinations"]["left"]  # type: ignore[attr-defined]
    home.sync()

    assert both == {"kept": 0, "left": 1}
    assert pending(collector.metric_requests[-1].points) == {"kept": 0}


def pending(points: Iterable[Point]) -> dict[str, float]:
    return {
        str(point.attributes["hermes.cron.destination"]): point.value
        for point in of(points, "hermes.cron.outbox.pending")
    }


def test_the_last_success_is_the_reading_that_the_request_follows(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    home.run()
    for _ in range(2):
        home.sync(86_400)
        newest = collector.metric_requests[-1].points
        (read,) = of(newest, "hermes.cron.sync.last_success_timestamp")
        assert read.value == home.clock.now_ns() / NS


def shown_states(points: Iterable[Point]) -> dict[tuple[str, str], float]:
    values = {"last_outcome": OUTCOME, "state": "hermes.cron.job.state"}
    return {
        (short, point.attributes[attribute]): point.value
        for short, attribute in values.items()
        for point in of(points, f"hermes.cron.job.{short}")
    }


def test_a_destination_that_fails_for_metrics_is_a_finding(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_metrics_with(status(503, "try later"))

    result = cli("sync")

    assert result.status == 1
    assert any("the metrics were not taken" in line for line in result.lines)
    findings = shown(cli, "health")["findings"]
    assert any("does not take metrics" in finding["text"] for finding in findings)


def found(cli: Cli) -> list[tuple[str, str]]:
    """What `health` finds: kinds and texts."""
    return [(each["kind"], each["text"]) for each in shown(cli, "health")["findings"]]


def ask_again(cli: Cli) -> None:
    """Lets the next sync send metrics, although the interval is not over."""
    with sqlite3.connect(cli.home.journal) as journal:
        journal.execute("UPDATE metric_destination SET requested_ns = 0")


def test_points_that_a_destination_refuses_are_a_finding_until_it_takes_all(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_next_metrics(partial(1, "too many series"))

    cli("sync")

    assert found(cli) == [
        ("refused", "refused points of metrics: 1 of 4 points were rejected: too many series")
    ]
    assert any("1 point, now: 1 of 4 points" in line for line in cli("status").lines)
    ask_again(cli)
    cli("sync")
    assert found(cli) == []
    assert any("1 point before" in line for line in cli("status").lines)


def test_a_destination_that_never_took_metrics_is_no_finding_and_one_that_did_is(
    cli: Cli, collector: FaultyCollector
) -> None:
    collector.answer_next_metrics(status(404))
    cli("sync")
    assert found(cli) == []

    with Journal.open(cli.home.journal) as journal:
        journal.metric_destinations.ask_again()
    ask_again(cli)
    cli("sync")
    collector.answer_next_metrics(status(404))
    ask_again(cli)
    cli("sync")

    ((kind, text),) = found(cli)
    assert kind == "pending"
    assert text.startswith("does not take metrics: HTTP 404")


def test_metrics_that_lack_a_run_for_an_hour_are_a_finding(cli: Cli) -> None:
    builder = HomeBuilder(cli.home.path)
    builder.agent_run(builder.job("digest", every_minutes=60 * 24), NOW - timedelta(hours=2))
    builder.write()
    cli("sync")
    hour_ns = 3_600 * NS
    assert found(cli) == []
    with sqlite3.connect(cli.home.journal) as journal:
        journal.execute(
            "UPDATE metric_destination SET received_run_id = 0, last_receipt_ns = last_receipt_ns - ?",
            (hour_ns + 60 * NS,),
        )

    ((kind, text),) = found(cli)

    assert (kind, text) == ("pending", "lacks the metrics of 1 run, and has waited for 1 h 01 m")
    ask_again(cli)
    cli("sync")
    assert found(cli) == []


def test_the_settings_of_one_destination_do_not_reach_another(
    home: MetricsHome, collector: FaultyCollector
) -> None:
    with FaultyCollector() as other:
        named = {
            "a": {"endpoint": collector.endpoint, "headers": {"x-key": "one"}, "traces": False},
            "b": {"endpoint": other.endpoint, "temporality": "delta", "compression": "gzip"},
        }
        home.options = {"destinations": named}
        home.run()
        home.sync()
        home.senders.close()

        assert collector.received == []
        assert collector.metric_requests[0].headers["x-key"] == "one"
        assert "x-key" not in other.metric_requests[0].headers
        assert other.metric_requests[0].headers["content-encoding"] == "gzip"
        assert {p.delta for p in of(other.points, RUNS)} == {True}
        assert {p.delta for p in of(collector.points, RUNS)} == {False}
