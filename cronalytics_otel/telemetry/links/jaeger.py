"""Jaeger's search: a service, tags that must be equal, and a shortest duration.

Jaeger compares no other numbers, knows no member of a list, and adds nothing up.
"""

from __future__ import annotations

import json
import re
from typing import Final

from ...config import ExplorerAddress
from ..semconv import HERMES_PROFILE_NAME
from .search import MOST_FOUND, Question, Search, TraceRef, with_parameters

CANNOT: Final = {
    Question.MOST_EXPENSIVE: "compare numbers other than durations",
    Question.SKILL: "search for a member of a list",
    Question.COST_PER_DAY: "add up",
}

_NEEDS_QUOTES: Final = re.compile(r'[\s"=\\]')


def query(search: Search) -> str:
    """Return what is typed into the fields of the search form, a line for each field."""
    lines = [f"Service: {search.service_name}", f"Tags: {_logfmt(_tags(search))}"]
    if search.question is Question.SLOWEST:
        lines.append(f"Min Duration: {_duration(search.least_duration_ns)}")
    return "\n".join(lines)


def search_url(address: ExplorerAddress, search: Search) -> str:
    parameters = {
        "service": search.service_name,
        "tags": json.dumps(_tags(search), separators=(",", ":")),
        "lookback": "custom",
        "start": str(search.since_ns // 1000),
        "end": str(search.until_ns // 1000),
        "limit": str(MOST_FOUND),
    }
    if search.question is Question.SLOWEST:
        parameters["minDuration"] = _duration(search.least_duration_ns)
    return with_parameters(f"{address.url}/search", parameters)


def trace_url(address: ExplorerAddress, trace: TraceRef) -> str:
    return f"{address.url}/trace/{trace.trace_id}"


def _tags(search: Search) -> dict[str, str]:
    """Return the tags, whose values are always texts."""
    tags = {
        name: value if isinstance(value, str) else str(value).lower()
        for name, value in search.equalities.items()
    }
    if search.job_id is None:
        tags = {HERMES_PROFILE_NAME: search.profile} | tags
    return tags


def _logfmt(tags: dict[str, str]) -> str:
    return " ".join(
        f"{name}={json.dumps(value, ensure_ascii=False) if _NEEDS_QUOTES.search(value) else value}"
        for name, value in tags.items()
    )


def _duration(ns: int) -> str:
    """Return a duration as Go reads it. Jaeger knows microseconds, so it is rounded down to them."""
    us = ns // 1000
    if us % 1_000_000 == 0:
        return f"{us // 1_000_000}s"
    return f"{us // 1000}ms" if us % 1000 == 0 else f"{us}us"
