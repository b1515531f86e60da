"""Tempo in Grafana: TraceQL, which Explore runs against the data source of Tempo.

TraceQL's numbers have types, so a cost is written with a point. A search lists runs without an order; to sort them,
click on a column of Grafana's table.
"""

from __future__ import annotations

import json
from typing import Final

from ...config import ExplorerAddress
from ...model.times import NS
from ..semconv import (
    HERMES_CRON_COST_TOTAL,
    HERMES_CRON_JOB_NAME,
    HERMES_CRON_JOB_SKILLS,
    HERMES_CRON_RUN_ID,
    HERMES_CRON_RUN_OUTCOME,
    HERMES_PROFILE_NAME,
)
from .search import Question, Search, TraceRef, with_parameters

_LIMIT: Final = 500
_AROUND_NS: Final = 3600 * NS
"""Tempo may be told to look for a trace in the time range of the page only, so it is wider than the run."""


def query(search: Search) -> str:
    """Return the TraceQL."""
    selected = f"{{ {' && '.join(_conditions(search))} }}"
    cost = _span(HERMES_CRON_COST_TOTAL)
    if search.question is Question.COST_PER_DAY:
        return f"{selected} | sum_over_time({cost}) by ({_span(HERMES_CRON_JOB_NAME)})"
    return f"{selected} | select({_span(HERMES_CRON_RUN_OUTCOME)}, {cost})"


def search_url(address: ExplorerAddress, search: Search) -> str:
    asked: dict[str, object] = {"query": query(search), "limit": _LIMIT, "tableType": "traces"}
    if search.question is Question.COST_PER_DAY:
        asked = {"query": query(search), "step": "24h"}
    return _explore(address, asked, f"now-{search.days}d", "now")


def trace_url(address: ExplorerAddress, trace: TraceRef) -> str:
    since_ns, until_ns = trace.started_ns - _AROUND_NS, trace.ended_ns + _AROUND_NS
    times = (str(ns // 1_000_000) for ns in (since_ns, until_ns))
    return _explore(address, {"query": trace.trace_id}, *times)


def _explore(address: ExplorerAddress, asked: dict[str, object], since: str, until: str) -> str:
    source = {"type": "tempo", "uid": address.tempo_datasource}
    pane = {
        "datasource": address.tempo_datasource,
        "queries": [{"refId": "A", "datasource": source, "queryType": "traceql", **asked}],
        "range": {"from": since, "to": until},
    }
    parameters = {"schemaVersion": "1", "panes": json.dumps({"a": pane}, separators=(",", ":"))}
    return with_parameters(f"{address.url}/explore", parameters)


def _conditions(search: Search) -> list[str]:
    found = [f"{_span(name)} = {_literal(value)}" for name, value in search.equalities.items()]
    if search.job_id is None:
        found.insert(0, f"resource.{HERMES_PROFILE_NAME} = {_literal(search.profile)}")
        found.insert(1, f"{_span(HERMES_CRON_RUN_ID)} != nil")
    if search.question is Question.SLOWEST:
        found.append(f"duration >= {_duration(search.least_duration_ns)}")
    if search.question is Question.MOST_EXPENSIVE:
        found.append(f"{_span(HERMES_CRON_COST_TOTAL)} >= {search.least_cost}")
    if search.question is Question.SKILL:
        found.append(f"{_span(HERMES_CRON_JOB_SKILLS)} = {_literal(search.skill)}")
    if search.question is Question.COST_PER_DAY:
        found.append(f"{_span(HERMES_CRON_COST_TOTAL)} != nil")
    return found


def _span(name: str) -> str:
    return f"span.{name}"


def _literal(value: str | bool) -> str:
    return json.dumps(value, ensure_ascii=False)


def _duration(ns: int) -> str:
    for unit, unit_ns in (("s", NS), ("ms", NS // 1000), ("us", 1000)):
        if ns % unit_ns == 0:
            return f"{ns // unit_ns}{unit}"
    return f"{ns}ns"
