"""The OTEL_* variables: those that are read, and those that are misspelt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

_PREFIX: Final = "OTEL_"

_OTLP: Final = (
    "ENDPOINT",
    "PROTOCOL",
    "HEADERS",
    "COMPRESSION",
    "TIMEOUT",
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
    "INSECURE",
)

READ: Final = (
    *(f"OTEL_EXPORTER_OTLP_{of}{key}" for key in _OTLP for of in ("", "TRACES_", "METRICS_")),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_METRICS_EXPORTER",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_EXPORTER",
)
"""All that are read."""

_OF_OTHERS: Final = re.compile(
    r"OTEL_(?:EXPORTER_OTLP_(?:LOGS|PROFILES|SPAN|METRIC)_|EXPORTER_(?:JAEGER|ZIPKIN|PROMETHEUS)_|LOGS_|BLRP_|"
    r"BSP_|PYTHON_|TRACES_SAMPLER|METRICS_EXEMPLAR|EXPORTER_OTLP_METRICS_DEFAULT_)"
)
"""Names of the specification, and of SDKs, that are like those that are read, and mean something else."""

_LIKENESS: Final = 0.85
"""`OTEL_EXPORTER_ENDPOINT` is like `OTEL_EXPORTER_OTLP_ENDPOINT` to 0.90."""


def report_misspelt(env: Mapping[str, str], problems: list[str]) -> None:
    """Report the variables whose names are nearly those of variables that are read."""
    for name in sorted(env):
        upper = name.upper()
        if name in READ or not upper.startswith(_PREFIX) or _OF_OTHERS.match(upper):
            continue
        if near := get_close_matches(upper, READ, n=1, cutoff=_LIKENESS):
            problems.append(f"{name}: unknown variable, not used; did you mean {near[0]}?")
