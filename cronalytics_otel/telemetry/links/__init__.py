"""Links to trace explorers: how each of them is asked about our runs, as a query and as a URL.

The command line shows the links, and `collector/queries.md` the same queries for people who type them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...config import ExplorerName
from . import datadog, grafana, honeycomb, jaeger
from .search import METRICS, MOST_LISTED, Explorer, Question, Search, TraceRef, trace_of

__all__ = [
    "EXPLORERS",
    "METRICS",
    "MOST_LISTED",
    "Explorer",
    "Question",
    "Search",
    "TraceRef",
    "trace_of",
]

EXPLORERS: Final[Mapping[ExplorerName, Explorer]] = {
    ExplorerName.JAEGER: Explorer(
        title="Jaeger",
        query=jaeger.query,
        search_url=jaeger.search_url,
        trace_url=jaeger.trace_url,
        cannot=jaeger.CANNOT,
    ),
    ExplorerName.GRAFANA: Explorer(
        title="Tempo in Grafana",
        query=grafana.query,
        search_url=grafana.search_url,
        trace_url=grafana.trace_url,
    ),
    ExplorerName.HONEYCOMB: Explorer(
        title="Honeycomb",
        query=honeycomb.query,
        search_url=honeycomb.search_url,
        trace_url=honeycomb.trace_url,
    ),
    ExplorerName.DATADOG: Explorer(
        title="Datadog",
        query=datadog.query,
        search_url=datadog.search_url,
        trace_url=datadog.trace_url,
        cannot=datadog.CANNOT,
    ),
}
