"""Honeycomb: a query specification as JSON, which a link to a data set runs.

The forms of query and links are those of Honeycomb's documentation (Query Specification, Share a Query, Share a
Trace). Nobody has tried them with an account yet.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote

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
from .search import DAY_S, MOST_LISTED, Question, Search, TraceRef, with_parameters

_DURATION: Final = "duration_ms"
_TRACE_ID: Final = "trace.trace_id"
_LEAST_STEPS: Final = 10
"""The step of a graph may be a tenth of its time range at most, so steps of a day need ten days."""


def query(search: Search) -> str:
    """Return the specification with a line for each of its parts."""
    parts = _specification(search).items()
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in parts
    ]
    return "{\n" + ",\n".join(lines) + "\n}"


def search_url(address: ExplorerAddress, search: Search) -> str:
    parameters = {"query": json.dumps(_specification(search), separators=(",", ":"))}
    dataset = quote(search.service_name, safe="")
    return with_parameters(f"{address.url}/datasets/{dataset}", parameters)


def trace_url(address: ExplorerAddress, trace: TraceRef) -> str:
    parameters = {
        "trace_id": trace.trace_id,
        "trace_start_ts": str(trace.started_ns // NS),
        "trace_end_ts": str(trace.ended_ns // NS + 1),
    }
    return with_parameters(f"{address.url}/trace", parameters)


def _specification(search: Search) -> dict[str, object]:
    found: dict[str, object] = {
        "time_range": search.days * DAY_S,
        "filters": _filters(search),
        "calculations": [{"op": "COUNT"}],
        "breakdowns": [HERMES_CRON_JOB_NAME, HERMES_CRON_RUN_OUTCOME],
    }
    if search.question is Question.SLOWEST:
        found |= _greatest(_DURATION)
    if search.question is Question.MOST_EXPENSIVE:
        found |= _greatest(HERMES_CRON_COST_TOTAL)
    if search.question is Question.COST_PER_DAY:
        found |= {
            "time_range": max(search.days, _LEAST_STEPS) * DAY_S,
            "granularity": DAY_S,
            "calculations": [{"op": "SUM", "column": HERMES_CRON_COST_TOTAL}],
            "breakdowns": [HERMES_CRON_JOB_NAME],
        }
    return found


def _greatest(column: str) -> dict[str, object]:
    """Return what lists the runs with the greatest values of a column, the greatest first."""
    calculation = {"op": "MAX", "column": column}
    return {
        "calculations": [calculation],
        "breakdowns": [_TRACE_ID, HERMES_CRON_JOB_NAME, HERMES_CRON_RUN_OUTCOME],
        "orders": [{**calculation, "order": "descending"}],
        "limit": MOST_LISTED,
    }


def _filters(search: Search) -> list[dict[str, object]]:
    equal: dict[str, object] = {**search.equalities}
    found: list[dict[str, object]] = []
    if search.job_id is None:
        equal = {HERMES_PROFILE_NAME: search.profile, **equal}
        found = [{"column": HERMES_CRON_RUN_ID, "op": "exists"}]
    found += [{"column": name, "op": "=", "value": value} for name, value in equal.items()]
    if search.question is Question.SKILL:
        # Honeycomb keeps a list as its JSON.
        value = json.dumps(search.skill, ensure_ascii=False)
        found.append({"column": HERMES_CRON_JOB_SKILLS, "op": "contains", "value": value})
    return found
