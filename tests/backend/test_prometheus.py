"""What a real Prometheus makes of OTLP metrics: the facts that our metrics, queries and alerts rely on.

The points are made and sent by the official SDK. Nothing here tests the plugin; if a newer Prometheus
fails a test, then the rule that stands on the fact has to change.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import requests
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tests.support.collector import PROTOBUF
from tests.support.go_programs import promtool_program
from tests.support.prometheus import Prometheus, prometheus

NOW_S = time.time() // 60 * 60
"""The last full minute. The age of a point is measured from the newest one that Prometheus has."""
START_S = NOW_S - 30 * 86_400
JOB = {"hermes.cron.job.id": "9f3c2a", "hermes.cron.run.outcome": "failure"}
TRACE_ID = 0x5B8AA5A2D2C872E8321CF37308D69DF2
SPAN_ID = 0x051581BF3CB55C13


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def number(
    value: float,
    time_s: float = NOW_S,
    attributes: Mapping[str, str] = JOB,
    exemplars: Sequence[Exemplar] = (),
) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=dict(attributes),
        start_time_unix_nano=ns(START_S),
        time_unix_nano=ns(time_s),
        value=value,
        exemplars=exemplars,
    )


def counter(
    *points: NumberDataPoint,
    name: str = "hermes.cron.runs",
    unit: str = "{run}",
    temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE,
) -> Metric:
    data = Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=True)
    return Metric(name=name, description="", unit=unit, data=data)


def gauge(name: str, unit: str, value: float = 1.0) -> Metric:
    return Metric(name=name, description="", unit=unit, data=Gauge(data_points=[number(value)]))


def histogram(name: str = "hermes.cron.run.duration", exemplars: Sequence[Exemplar] = ()) -> Metric:
    """Three runs of 4, 40 and 400 s."""
    point = HistogramDataPoint(
        attributes=JOB,
        start_time_unix_nano=ns(START_S),
        time_unix_nano=ns(NOW_S),
        count=3,
        sum=444.0,
        bucket_counts=[1, 1, 1],
        explicit_bounds=[5.0, 60.0],
        min=4.0,
        max=400.0,
        exemplars=exemplars,
    )
    data = Histogram(data_points=[point], aggregation_temporality=AggregationTemporality.CUMULATIVE)
    return Metric(name=name, description="", unit="s", data=data)


def exemplar(value: float) -> Exemplar:
    return Exemplar(
        filtered_attributes={"hermes.cron.run.id": "e1"},
        value=value,
        time_unix_nano=ns(NOW_S),
        span_id=SPAN_ID,
        trace_id=TRACE_ID,
    )


def data_of(*metrics: Metric, instance: str = "home-1") -> MetricsData:
    resource = Resource(
        {"service.name": "hermes-cron", "service.instance.id": instance, "host.name": "pi"}
    )
    scope = ScopeMetrics(
        scope=InstrumentationScope("cronalytics-otel"), metrics=metrics, schema_url=""
    )
    return MetricsData(
        resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scope], schema_url="")]
    )


def export(server: Prometheus, *metrics: Metric) -> None:
    """One request by the official exporter, which has to be accepted."""
    exporter = OTLPMetricExporter(endpoint=server.metrics_url)
    try:
        assert exporter.export(data_of(*metrics)) is MetricExportResult.SUCCESS
    finally:
        exporter.shutdown()


def post(url: str, *metrics: Metric) -> requests.Response:
    body = encode_metrics(data_of(*metrics)).SerializeToString()
    return requests.post(url, body, headers={"Content-Type": PROTOBUF}, timeout=30)


def status_of(url: str, *metrics: Metric) -> int:
    """The HTTP status that one request is answered with."""
    return post(url, *metrics).status_code


def points(server: Prometheus, selector: str) -> list[tuple[float, float]]:
    """Time and value of each stored point."""
    return [(point.time_s, point.value) for point in server.points(selector, NOW_S)]


def increase(server: Prometheus, selector: str = "hermes_cron_runs_total") -> float:
    (found,) = server.query(f"increase({selector}[10m])", NOW_S)
    return found.value


# --- names and labels ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (counter(number(1)), "hermes_cron_runs_total"),
        (
            counter(number(0.25), name="hermes.cron.run.cost", unit="USD"),
            "hermes_cron_run_cost_USD_total",
        ),
        (
            counter(number(9), name="hermes.cron.run.tokens", unit="{token}"),
            "hermes_cron_run_tokens_total",
        ),
        (
            counter(number(9), name="hermes.cron.deliveries", unit="{delivery}"),
            "hermes_cron_deliveries_total",
        ),
        (gauge("hermes.cron.window.runs", "{run}"), "hermes_cron_window_runs"),
        (gauge("hermes.cron.window.cost", "USD"), "hermes_cron_window_cost_USD"),
        (gauge("hermes.cron.projection.pace", "1"), "hermes_cron_projection_pace_ratio"),
        (gauge("hermes.cron.job.info", "{job}"), "hermes_cron_job_info"),
        (
            gauge("hermes.cron.job.next_run_timestamp", "s", NOW_S + 3_600),
            "hermes_cron_job_next_run_timestamp_seconds",
        ),
        (histogram(), "hermes_cron_run_duration_seconds_bucket"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_dots_become_underscores_and_only_units_without_braces_become_suffixes(
    prometheus_server: Prometheus, metric: Metric, name: str
) -> None:
    export(prometheus_server, metric)

    names = {series["__name__"] for series in prometheus_server.series('{__name__=~"hermes.*"}')}
    assert name in names
    assert len(names) == (3 if name.endswith("_bucket") else 1)


def test_service_and_instance_become_job_and_instance_and_the_rest_of_the_resource_is_target_info(
    prometheus_server: Prometheus,
) -> None:
    export(prometheus_server, counter(number(1)))

    (sample,) = prometheus_server.query("hermes_cron_runs_total", NOW_S)
    assert sample.labels == {
        "__name__": "hermes_cron_runs_total",
        "job": "hermes-cron",
        "instance": "home-1",
        "hermes_cron_job_id": "9f3c2a",
        "hermes_cron_run_outcome": "failure",
    }
    (target,) = prometheus_server.query("target_info", NOW_S)
    assert target.labels["host_name"] == "pi"


def test_a_histogram_keeps_its_buckets_its_sum_and_its_count(prometheus_server: Prometheus) -> None:
    export(prometheus_server, histogram())

    name = "hermes_cron_run_duration_seconds"
    buckets = prometheus_server.query(f"{name}_bucket", NOW_S)
    assert {one.labels["le"]: one.value for one in buckets} == {"5": 1, "60": 2, "+Inf": 3}
    assert [one.value for one in prometheus_server.query(f"{name}_sum", NOW_S)] == [444.0]
    assert [one.value for one in prometheus_server.query(f"{name}_count", NOW_S)] == [3.0]


# --- points --------------------------------------------------------------------------------


def test_several_points_of_a_series_in_one_request_are_all_kept_in_order_of_time(
    prometheus_server: Prometheus,
) -> None:
    export(prometheus_server, counter(number(5), number(2, NOW_S - 60), number(3, NOW_S - 30)))

    assert points(prometheus_server, "hermes_cron_runs_total") == [
        (NOW_S - 60, 2.0),
        (NOW_S - 30, 3.0),
        (NOW_S, 5.0),
    ]


def test_increase_sees_a_first_failure_if_a_zero_was_sent_before_it_in_the_same_request(
    prometheus_server: Prometheus,
) -> None:
    export(prometheus_server, counter(number(0, NOW_S - 60), number(1)))

    assert points(prometheus_server, "hermes_cron_runs_total") == [(NOW_S - 60, 0.0), (NOW_S, 1.0)]
    assert increase(prometheus_server) == pytest.approx(1.0)


def test_increase_misses_a_first_failure_without_that_zero(prometheus_server: Prometheus) -> None:
    """A start time 30 days ago does not help: Prometheus ignores it."""
    export(prometheus_server, counter(number(1, NOW_S - 60)))
    export(prometheus_server, counter(number(1)))

    assert increase(prometheus_server) == 0.0


def test_a_value_is_stale_five_minutes_after_its_last_point_but_last_over_time_still_finds_it(
    prometheus_server: Prometheus,
) -> None:
    export(prometheus_server, gauge("hermes.cron.job.next_run_timestamp", "s", NOW_S + 3_600))

    later = NOW_S + 301
    name = "hermes_cron_job_next_run_timestamp_seconds"
    assert prometheus_server.query(name, later) == []
    (left,) = prometheus_server.query(f"last_over_time({name}[2d]) - time()", later)
    assert left.value == 3_600 - 301


def test_the_same_request_sent_again_changes_nothing(prometheus_server: Prometheus) -> None:
    for _ in range(2):
        export(prometheus_server, counter(number(0, NOW_S - 60), number(1)))

    assert points(prometheus_server, "hermes_cron_runs_total") == [(NOW_S - 60, 0.0), (NOW_S, 1.0)]


def test_a_request_that_is_older_than_the_one_before_is_kept_within_the_window(
    prometheus_server: Prometheus,
) -> None:
    """So two processes of one home do not collide, although both send the home's `target_info`."""
    export(prometheus_server, counter(number(7)))
    export(prometheus_server, counter(number(4, NOW_S - 1_200)))

    assert points(prometheus_server, "hermes_cron_runs_total") == [
        (NOW_S - 1_200, 4.0),
        (NOW_S, 7.0),
    ]


def test_the_receipt_is_an_empty_answer_without_a_content_type(
    prometheus_server: Prometheus,
) -> None:
    answer = post(prometheus_server.metrics_url, counter(number(1)))

    assert (answer.status_code, answer.content) == (requests.codes.ok, b"")
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(number(4, NOW_S - 1_801), id="older than the window"),
        pytest.param(number(9, NOW_S), id="another value at a time that has one"),
        pytest.param(number(9, NOW_S + 86_400), id="in the future"),
    ],
)
def test_one_point_that_cannot_be_kept_makes_prometheus_refuse_the_whole_request(
    prometheus_server: Prometheus, point: NumberDataPoint
) -> None:
    export(prometheus_server, counter(number(7)))
    fresh = counter(number(1), name="hermes.cron.deliveries", unit="{delivery}")

    answer = status_of(prometheus_server.metrics_url, fresh, counter(point))

    assert answer == requests.codes.bad_request
    assert points(prometheus_server, "hermes_cron_runs_total") == [(NOW_S, 7.0)]
    assert prometheus_server.series("hermes_cron_deliveries_total") == []


def test_one_delta_sum_makes_prometheus_refuse_the_whole_request(
    prometheus_server: Prometheus,
) -> None:
    delta = counter(number(1), temporality=AggregationTemporality.DELTA)
    fresh = counter(number(1), name="hermes.cron.deliveries", unit="{delivery}")

    assert status_of(prometheus_server.metrics_url, delta, fresh) == requests.codes.server_error
    assert prometheus_server.series('{__name__=~"hermes.*"}') == []


# --- exemplars -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "series"),
    [
        (counter(number(1, exemplars=[exemplar(1)])), "hermes_cron_runs_total"),
        (histogram(exemplars=[exemplar(40)]), "hermes_cron_run_duration_seconds_bucket"),
    ],
    ids=["counter", "histogram"],
)
def test_an_exemplar_leads_from_a_point_to_its_trace(
    prometheus_server: Prometheus, metric: Metric, series: str
) -> None:
    export(prometheus_server, metric)

    (found,) = prometheus_server.exemplars(series)
    assert found.labels == {
        "trace_id": f"{TRACE_ID:032x}",
        "span_id": f"{SPAN_ID:016x}",
        "hermes.cron.run.id": "e1",  # a label of a series would have underscores
    }
    assert found.time_s == NOW_S
    if series.endswith("_bucket"):
        assert (found.value, found.series["le"]) == (40.0, "60")


# --- servers that take no metrics ----------------------------------------------------------


@pytest.mark.usefixtures("prometheus_programs")
def test_a_server_that_takes_no_metrics_answers_404(tmp_path: Path) -> None:
    with prometheus(tmp_path, receives_otlp=False) as server:
        assert status_of(server.metrics_url, counter(number(1))) == requests.codes.not_found


def test_a_path_that_only_answers_get_answers_405(prometheus_server: Prometheus) -> None:
    url = f"{prometheus_server.url}/api/v1/targets"

    assert status_of(url, counter(number(1))) == requests.codes.method_not_allowed


# --- promtool ------------------------------------------------------------------------------


@pytest.mark.usefixtures("prometheus_programs")
def test_promtool_checks_rules(tmp_path: Path) -> None:
    good, wrong = tmp_path / "good.yml", tmp_path / "wrong.yml"
    rule = (
        "groups: [{name: g, rules: [{alert: A, expr: 'increase(hermes_cron_runs_total[%s]) > 0'}]}]"
    )
    good.write_text(rule % "10m")
    wrong.write_text(rule % "10q")

    checks = [
        subprocess.run([promtool_program(), "check", "rules", path], capture_output=True)
        for path in (good, wrong)
    ]

    assert [check.returncode for check in checks] == [0, 1]
