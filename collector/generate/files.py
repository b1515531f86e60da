"""The generated files, from all generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from collector.generate import alert_cases, alert_files, dashboards, datadog, honeycomb, rules
from collector.generate.queries import queries_file

GENERATORS: Final[tuple[Callable[[], Mapping[str, str]], ...]] = (
    rules.files,
    alert_files.files,
    alert_cases.files,
    dashboards.generate,
    datadog.generate,
    honeycomb.generate,
    queries_file,
)
"""Each returns texts by their path in `collector/`."""


def generated_files() -> dict[str, str]:
    """Return all texts by their path in `collector/`."""
    return {name: text for generate in GENERATORS for name, text in generate().items()}
