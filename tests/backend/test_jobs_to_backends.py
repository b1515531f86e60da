"""Thirteen real jobs and a home of 30 days, through a real Collector into a real Jaeger and a real Prometheus.

The plugin sends its traces to two destinations: to the Collector, and to a sink beside it. What Jaeger returns
is held against what the sink received, span by span; other tests hold that against the host's own files. The
metrics in Prometheus are held against the command line.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.cli import main
from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.collector import FaultyCollector, SpanDict
from tests.support.fake_llm import FakeModel
from tests.support.hermes import PLUGIN, HermesHome, hermes_with_plugin
from tests.support.jaeger import Jaeger, jaeger
from tests.support.observed import roots
from tests.support.otelcol import otelcol
from tests.support.prometheus import Prometheus, Sample, prometheus
from tests.support.thirteen import KEYS, Thirteen
from tests.support.thirty_days import write_thirty_days

pytestmark = pytest.mark.host

EVERY_SECOND = {"OTEL_METRIC_EXPORT_INTERVAL": "1000"}
ONE_SHOTS = "once"
"""The job id that all one-shots have in metrics."""
SERVICE = "hermes-cron"
COLLECTOR = Path(__file__).parents[2] / "collector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """What arrived of both homes."""

    jaeger: Jaeger
    prometheus: Prometheus
    spans: list[SpanDict]
    """As the sink beside the Collector received them."""
    thirteen: HermesHome
    thirty_days: Path


@pytest.fixture(scope="module")
def backends(
    model: FakeModel,
    jaeger_programs: None,
    otelcol_programs: None,
    prometheus_programs: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Backends]:
    folder = tmp_path_factory.mktemp("backends")
    with ExitStack() as running:
        traces = running.enter_context(jaeger(folder / "jaeger"))
        metrics = running.enter_context(prometheus(folder))
        collector = running.enter_context(
            otelcol(
                folder / "otelcol",
                COLLECTOR / "agent.yaml",
                COLLECTOR / "destinations" / "jaeger.yaml",
                COLLECTOR / "destinations" / "prometheus.yaml",
                environment={
                    "JAEGER_OTLP_ENDPOINT": traces.http_endpoint,
                    "PROMETHEUS_OTLP_ENDPOINT": metrics.otlp_endpoint,
                },
            )
        )
        sink = running.enter_context(FaultyCollector())
        destinations = {
            "collector": {"endpoint": collector.http_endpoint},
            "sink": {"endpoint": sink.endpoint, "metrics": False},
        }
        config = {"plugins": {"entries": {PLUGIN: {"destinations": destinations}}}}
        home = HermesHome.make(
            folder / "thirteen", hermes_with_plugin(), model_url=model.url, environment=EVERY_SECOND
        )
        home.configure(config)
        Thirteen.create(home).run()
        time.sleep(1.1)  # an interval of metrics
        home.plugin("sync")
        builder = write_thirty_days(
            folder / "thirty-days", datetime.now(UTC).replace(microsecond=0), config=config
        )
        settings = load_settings(builder.path, {})
        assert sync(Home(builder.path), settings, SyncOptions()).healthy
        yield Backends(
            jaeger=traces,
            prometheus=metrics,
            spans=sink.spans,
            thirteen=home,
            thirty_days=builder.path,
        )


# --- traces in Jaeger ----------------------------------------------------------------------


def test_each_trace_is_in_jaeger_with_its_tree_status_links_events_and_attributes(
    backends: Backends,
) -> None:
    sent = by_trace(list(map(as_jaeger_keeps_it, backends.spans)))
    assert len([trace_id for trace_id in sent if len(sent[trace_id]) > 1]) > len(KEYS)

    kept = by_trace([span for trace_id in sent for span in backends.jaeger.trace(trace_id)])
    for span in (span for spans in kept.values() for span in spans):
        warned = span["attributes"].pop("@jaeger@warnings", None) is not None
        assert warned is (span["end_ns"] == span["start_ns"] + 1)

    assert kept.keys() == sent.keys()
    for trace_id, spans in sent.items():
        for kept_span, sent_span in zip(kept[trace_id], spans, strict=True):
            assert kept_span == sent_span


def test_a_search_by_one_tag_finds_all_failed_runs_and_no_other(backends: Backends) -> None:
    failed = {
        root["trace_id"]
        for root in roots(backends.spans)
        if root["attributes"]["hermes.cron.run.failed"]
    }
    assert failed

    assert found_ids(backends.jaeger, {"hermes.cron.run.failed": "true"}) == failed


def test_a_search_by_the_job_finds_its_runs(backends: Backends) -> None:
    by_job = defaultdict(set)
    for root in roots(backends.spans):
        by_job[root["attributes"]["hermes.cron.job.id"]].add(root["trace_id"])

    for job_id, runs in by_job.items():
        assert found_ids(backends.jaeger, {"hermes.cron.job.id": job_id}) == runs


def found_ids(server: Jaeger, tags: dict[str, str]) -> set[str]:
    traces = server.traces(SERVICE, tags=tags)
    return {trace[0]["trace_id"] for trace in traces}


def as_jaeger_keeps_it(span: SpanDict) -> SpanDict:
    """It gives a span of no length one nanosecond, and a warning."""
    return {**span, "end_ns": max(span["end_ns"], span["start_ns"] + 1)}


def by_trace(spans: list[SpanDict]) -> dict[str, list[SpanDict]]:
    """The spans of each trace, in the order of their ids, without what Jaeger does not return."""
    found = defaultdict(list)
    for span in sorted(spans, key=lambda span: span["span_id"]):
        found[span["trace_id"]].append({**span, "schema_urls": None})
    return found


# --- metrics in Prometheus -----------------------------------------------------------------


@pytest.mark.parametrize("which", ["thirteen", "thirty_days"])
def test_each_job_has_the_figures_of_the_command_line(
    backends: Backends, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = backends.thirteen.path if which == "thirteen" else backends.thirty_days
    series = Series(prometheus=backends.prometheus)

    for job in asked("jobs", home, capsys)["jobs"]:
        job_id = id_in_metrics(job)
        runs = {**job["outcomes"], "missed": job["missed"]}
        month = 'hermes_cron_window="30d"'
        assert series.outcomes("hermes_cron_runs_total", job_id) == runs
        assert series.outcomes("hermes_cron_window_runs", job_id, month) == runs
        for metric, selector in (
            ("hermes_cron_run_cost_USD_total", ""),
            ("hermes_cron_window_cost_USD", month),
        ):
            assert series.total(metric, job_id, selector) == pytest.approx(job["cost_usd"] or 0)
        for metric, selector in (
            ("hermes_cron_run_tokens_total", ""),
            ("hermes_cron_window_tokens", month),
        ):
            assert series.total(metric, job_id, selector) == job["tokens"]
        for window in ("30d", "90d", "365d"):
            projected = job["projection"][window]
            selector = f'hermes_cron_window="{window}"'
            for short_name, value in (
                ("scheduled_runs", projected["scheduled_runs"]),
                ("nominal_cost_USD", projected["nominal_usd"]),
                ("trend_cost_USD", projected["trend_usd"]),
            ):
                metric = f"hermes_cron_projection_{short_name}"
                # The windows begin now, and the command line's now is some seconds later.
                found = series.total(metric, job_id, selector)
                assert found == pytest.approx(value or 0, rel=1e-3, abs=1), (job["name"], metric)
        if job_id == ONE_SHOTS:
            continue  # they have counters and windows, and no state
        failures = series.total("hermes_cron_job_consecutive_failures", job_id)
        assert failures == job["consecutive_failures"]
        last = 'hermes_cron_run_outcome="{}"'.format(job["last_outcome"])
        assert series.total("hermes_cron_job_last_outcome", job_id, last) == 1


@pytest.mark.parametrize("which", ["thirteen", "thirty_days"])
def test_each_model_has_the_cost_and_the_tokens_of_the_command_line(
    backends: Backends, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = backends.thirteen.path if which == "thirteen" else backends.thirty_days
    jobs = "|".join(id_in_metrics(job) for job in asked("jobs", home, capsys)["jobs"])
    series = Series(prometheus=backends.prometheus)

    for model in asked("models", home, capsys)["models"]:
        selector = 'hermes_cron_model_name="{}"'.format(model["model"])
        cost = series.total("hermes_cron_run_cost_USD_total", jobs, selector)
        assert cost == pytest.approx(model["cost_usd"] or 0)
        assert series.total("hermes_cron_run_tokens_total", jobs, selector) == model["tokens"]


def test_an_exemplar_of_a_duration_is_a_run_that_jaeger_has(backends: Backends) -> None:
    exemplars = backends.prometheus.exemplars("hermes_cron_run_duration_seconds_bucket")

    assert exemplars
    for exemplar in exemplars:
        (root,) = roots(backends.jaeger.trace(exemplar.labels["trace_id"]))
        assert root["span_id"] == exemplar.labels["span_id"]


def id_in_metrics(job: dict[str, Any]) -> str:
    return ONE_SHOTS if job["name"] == "one-off migration" else str(job["job_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The present values of a job's series."""

    prometheus: Prometheus

    def outcomes(self, metric: str, job_id: str, selector: str = "") -> dict[str, float]:
        return {
            sample.labels["hermes_cron_run_outcome"]: sample.value
            for sample in self._samples(metric, job_id, selector)
        }

    def total(self, metric: str, job_id: str, selector: str = "") -> float:
        return sum(sample.value for sample in self._samples(metric, job_id, selector))

    def _samples(self, metric: str, job_id: str, selector: str) -> list[Sample]:
        query = f'{metric}{{hermes_cron_job_id=~"{job_id}",{selector}}}'
        return self.prometheus.query(query, time.time() + 1)


def asked(command: str, home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints of 30 days, as JSON."""
    capsys.readouterr()
    assert main([command, "--home", str(home), "--days", "30", "--json"]) == 0
    return json.loads(capsys.readouterr().out)
