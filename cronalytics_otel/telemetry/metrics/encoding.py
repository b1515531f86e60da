"""A collection as the OpenTelemetry SDK's types, and those by the official encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Gauge as SdkGauge
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from ...model.series import Gauge, SeriesKey, SeriesValue
from ...model.temporality import Temporality
from .. import ids
from ..content import value_text, well_formed, well_formed_attributes
from ..semconv import (
    BOOLEAN_ATTRIBUTES,
    GAUGE_METRICS,
    GEN_AI_CALL,
    HERMES_CRON_JOB_ID,
    HERMES_CRON_JOB_NAME,
    HERMES_CRON_RUN_ID,
    HERMES_PROFILE_NAME,
    SCHEMA_URL,
    SERIES_METRICS,
    About,
    Instrument,
    MetricForm,
)
from .collection import Collection, SeriesPoint

if TYPE_CHECKING:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.util.types import Attributes

SCOPE_NAME: Final = "cronalytics_otel"

_TEMPORALITY: Final = {
    Temporality.CUMULATIVE: AggregationTemporality.CUMULATIVE,
    Temporality.DELTA: AggregationTemporality.DELTA,
}
_GAUGES: Final = {form.short_name: form for form in GAUGE_METRICS}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedMetrics:
    """A request, and how many points are in it."""

    request: ExportMetricsServiceRequest
    points: int


def encoded(collection: Collection) -> EncodedMetrics:
    """Return the request of a collection.

    Raises KeyError for a gauge that the catalog lacks, and ValueError for one with other attributes.
    """
    collection = replace(collection, profile=well_formed(collection.profile))
    metrics = [*_series_metrics(_masked(collection)), *_gauge_metrics(collection)]
    scope = InstrumentationScope(SCOPE_NAME, collection.resource.scope_version, SCHEMA_URL)
    data = MetricsData(
        resource_metrics=[
            ResourceMetrics(
                resource=SdkResource(
                    dict(well_formed_attributes(dict(collection.resource.attributes))), SCHEMA_URL
                ),
                scope_metrics=[ScopeMetrics(scope=scope, metrics=metrics, schema_url=SCHEMA_URL)],
                schema_url=SCHEMA_URL,
            )
        ]
    )
    points = sum(len(metric.data.data_points) for metric in metrics)
    return EncodedMetrics(request=encode_metrics(data), points=points)


def _series_metrics(collection: Collection) -> Iterator[Metric]:
    temporality = _TEMPORALITY[collection.temporality]
    by_form: dict[str, list[SeriesPoint]] = {}
    for point in collection.series:
        by_form.setdefault(point.key.kind, []).append(point)
    for kind, form in SERIES_METRICS.items():
        points = by_form.get(kind)
        if not points:
            continue
        data: Histogram | Sum
        if form.instrument is Instrument.HISTOGRAM:
            histograms = [h for point in points for h in _histogram_points(point, form, collection)]
            data = Histogram(data_points=histograms, aggregation_temporality=temporality)
        else:
            numbers = [n for point in points for n in _number_points(point, form, collection)]
            data = Sum(data_points=numbers, aggregation_temporality=temporality, is_monotonic=True)
        yield _metric(form, data)


def _metric(form: MetricForm, data: Histogram | Sum | SdkGauge) -> Metric:
    return Metric(name=form.name, description=form.meaning, unit=form.unit, data=data)


def _number_points(
    point: SeriesPoint, form: MetricForm, collection: Collection
) -> Iterator[NumberDataPoint]:
    attributes = _attributes(form, collection.profile, *point.key[1:])
    if point.begins:
        yield NumberDataPoint(
            attributes=attributes,
            start_time_unix_nano=point.start_ns,
            time_unix_nano=point.start_ns,
            value=0 if form.is_whole else 0.0,
        )
    yield NumberDataPoint(
        attributes=attributes,
        start_time_unix_nano=point.start_ns,
        time_unix_nano=collection.time_ns,
        value=round(point.value.value) if form.is_whole else point.value.value,
        exemplars=_exemplars(point.key, collection),
    )


def _histogram_points(
    point: SeriesPoint, form: MetricForm, collection: Collection
) -> Iterator[HistogramDataPoint]:
    attributes = _attributes(form, collection.profile, *point.key[1:])
    if point.begins:
        empty = SeriesValue(value=0.0, buckets=(0,) * (len(form.bounds) + 1))
        yield _histogram_point(attributes, form, point.start_ns, point.start_ns, empty, [])
    exemplars = _exemplars(point.key, collection)
    yield _histogram_point(
        attributes, form, point.start_ns, collection.time_ns, point.value, exemplars
    )


def _histogram_point(
    attributes: Attributes,
    form: MetricForm,
    start_ns: int,
    time_ns: int,
    value: SeriesValue,
    exemplars: Sequence[Exemplar],
) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=start_ns,
        time_unix_nano=time_ns,
        count=value.count,
        sum=value.value,
        bucket_counts=value.buckets,
        explicit_bounds=form.bounds,
        min=None,  # type: ignore[arg-type]  # optional on the wire, and not known of a sum
        max=None,  # type: ignore[arg-type]
        exemplars=exemplars,
    )


def _exemplars(key: SeriesKey, collection: Collection) -> list[Exemplar]:
    """Return the exemplar of a series: the root span of the run that added to it last."""
    found = collection.exemplars.get(key)
    if found is None:
        return []
    run, value = found
    return [
        Exemplar(
            filtered_attributes={HERMES_CRON_RUN_ID: run.run_id},
            value=value,
            time_unix_nano=run.ended_ns,
            span_id=ids.span_id(run.profile, run.identity),
            trace_id=ids.trace_id(run.profile, run.identity),
        )
    ]


def _gauge_metrics(collection: Collection) -> Iterator[Metric]:
    by_metric: dict[str, list[Gauge]] = {}
    for gauge in collection.gauges:
        by_metric.setdefault(gauge.metric, []).append(gauge)
    texts = _Texts()
    for metric, gauges in by_metric.items():
        form = _GAUGES[metric]
        convert = round if form.is_whole else float
        points = [
            NumberDataPoint(
                attributes=_attributes(
                    form,
                    collection.profile,
                    texts[gauge.job_id],
                    texts[gauge.job_name],
                    [texts[label] for label in gauge.labels],
                ),
                start_time_unix_nano=0,
                time_unix_nano=collection.time_ns,
                value=convert(gauge.value),
            )
            for gauge in gauges
        ]
        yield _metric(form, SdkGauge(data_points=points))


def _attributes(
    form: MetricForm, profile: str, job_id: str, job_name: str, labels: Sequence[str]
) -> Mapping[str, str | bool]:
    """Return the attributes of a point. What is unknown is absent."""
    attributes: dict[str, str | bool] = {}
    if form.about is About.CALL:
        attributes.update([GEN_AI_CALL])
    else:
        attributes[HERMES_PROFILE_NAME] = profile
    if job_id:
        attributes[HERMES_CRON_JOB_ID] = job_id
        attributes[HERMES_CRON_JOB_NAME] = job_name or job_id
    for name, value in zip(form.attributes, labels, strict=True):
        if value:
            attributes[name] = value == "true" if name in BOOLEAN_ATTRIBUTES else value
    return attributes


def _masked(collection: Collection) -> Collection:
    """Return the collection with the names of its series as they are sent."""
    texts = _Texts()
    exemplars = {texts.key(key): found for key, found in collection.exemplars.items()}
    return replace(collection, series=_masked_points(collection.series, texts), exemplars=exemplars)


def _masked_points(points: Iterable[SeriesPoint], texts: _Texts) -> list[SeriesPoint]:
    """Return the points with all names as they are sent: masked, cut and well-formed.

    Names that differed only in what is not sent become one series: backends refuse a request with two
    points of one series.
    """
    found: dict[SeriesKey, SeriesPoint] = {}
    for point in points:
        key = texts.key(point.key)
        known = found.get(key)
        if known is not None:
            buckets = tuple(map(sum, zip(known.value.buckets, point.value.buckets, strict=True)))
            value = SeriesValue(value=known.value.value + point.value.value, buckets=buckets)
            start_ns = min(known.start_ns, point.start_ns)
            found[key] = replace(known, value=value, start_ns=start_ns, begins=False)
        else:
            found[key] = point if key == point.key else replace(point, key=key)
    return list(found.values())


class _Texts(dict[str, str]):
    """By text, the text as it is sent. Each is computed once."""

    def key(self, key: SeriesKey) -> SeriesKey:
        kind, job_id, job_name, labels = key
        return SeriesKey(kind, self[job_id], self[job_name], tuple(map(self.__getitem__, labels)))

    def __missing__(self, text: str) -> str:
        shown = self[text] = value_text(text) or ""
        return shown
