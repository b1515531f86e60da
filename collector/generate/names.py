"""How Prometheus calls our metrics and attributes when it receives them by OTLP, with its default translation.

Dots become underscores, the unit becomes a suffix, and a counter gets `_total`. The names themselves come from
the catalog of the plugin, so that a query cannot ask for a metric that is not sent.
"""

from __future__ import annotations

from typing import Final

from cronalytics_otel.telemetry.semconv.metrics import METRICS, Instrument, MetricForm

PROMETHEUS_DATASOURCE: Final = "cronalytics-prometheus"
"""The uid of the Prometheus data source that `collector/` sets up in Grafana."""

_UNIT_SUFFIXES: Final = {"s": "_seconds", "USD": "_USD", "1": "_ratio"}
"""Units in braces, such as `{run}`, add nothing."""


def label(attribute: str) -> str:
    """Return the label of an attribute: `hermes.cron.job.id` is `hermes_cron_job_id`."""
    return attribute.replace(".", "_")


def series_name(form: MetricForm) -> str:
    """Return the name of a metric's series; a histogram's have `_bucket`, `_sum` or `_count` after it."""
    suffix = _UNIT_SUFFIXES.get(form.unit, "")
    total = "_total" if form.instrument is Instrument.COUNTER else ""
    return label(form.name) + suffix + total


def metric(short_name: str) -> str:
    """Return the name of the series of `hermes.cron.SHORT_NAME`. Raises `KeyError` if no such metric is sent."""
    return SERIES_NAMES[short_name]


FORMS: Final = {form.short_name: form for form in METRICS}
"""The metrics by their name without `hermes.cron.`."""

SERIES_NAMES: Final = {form.short_name: series_name(form) for form in METRICS}
"""By the metric's name without `hermes.cron.`: `run.cost` is `hermes_cron_run_cost_USD_total`."""

_OTLP_NAMES: Final = {form.short_name: form.name for form in METRICS}


def otlp_metric(short_name: str) -> str:
    """Return the name that is sent, for backends that keep it: `run.cost` is `hermes.cron.run.cost`.
    Raises `KeyError` if no such metric is sent."""
    return _OTLP_NAMES[short_name]
