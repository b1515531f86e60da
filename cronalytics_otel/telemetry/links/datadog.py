"""Datadog: the search of the Trace Explorer, which lists spans.

The forms of query and links are those of Datadog's documentation (Query Syntax of the Trace Explorer). Nobody has
tried them with an account yet.
"""

from __future__ import annotations

import json
from typing import Final

from ...config import ExplorerAddress
from ..semconv import (
    HERMES_CRON_COST_TOTAL,
    HERMES_CRON_JOB_SKILLS,
    HERMES_CRON_RUN_ID,
    HERMES_PROFILE_NAME,
)
from .search import Question, Search, TraceRef, with_parameters

CANNOT: Final = {Question.COST_PER_DAY: "add up in a search of spans"}

_NS_PER_MS: Final = 1_000_000


def query(search: Search) -> str:
    name = search.service_name
    terms = [f"service:{name if name.replace('-', '').isalnum() else _text(name)}"]
    if search.job_id is None:
        terms += [f"@{HERMES_PROFILE_NAME}:{_text(search.profile)}", f"@{HERMES_CRON_RUN_ID}:*"]
    terms += [
        f"@{attribute}:{_text(value) if isinstance(value, str) else str(value).lower()}"
        for attribute, value in search.equalities.items()
    ]
    if search.question is Question.SLOWEST:
        terms.append(f"@duration:>={search.least_duration_ns}")
    if search.question is Question.MOST_EXPENSIVE:
        terms.append(f"@{HERMES_CRON_COST_TOTAL}:>={search.least_cost}")
    if search.question is Question.SKILL:
        terms.append(f"@{HERMES_CRON_JOB_SKILLS}:*{search.skill}*")
    return " ".join(terms)


def search_url(address: ExplorerAddress, search: Search) -> str:
    parameters = {
        "query": query(search),
        "start": str(search.since_ns // _NS_PER_MS),
        "end": str(search.until_ns // _NS_PER_MS),
    }
    return with_parameters(f"{address.url}/apm/traces", parameters)


def trace_url(address: ExplorerAddress, trace: TraceRef) -> str:
    """The time is a hint where to look for an old trace."""
    parameters = {"timeHint": str(trace.started_ns // _NS_PER_MS)}
    return with_parameters(f"{address.url}/apm/trace/{trace.trace_id}", parameters)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
