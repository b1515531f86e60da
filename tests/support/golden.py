"""A trace as text that a person reviews: all that it tells, but for what differs in every run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cronalytics_otel.telemetry import semconv
from tests.support.collector import SpanDict

_SECONDS = {attribute.name for attribute in semconv.ATTRIBUTES if attribute.unit == "s"}
_TIMES = {semconv.HERMES_CRON_RUN_SCHEDULED_TIME, semconv.HERMES_CRON_RUN_MISSED_SINCE}
_DAILY = re.compile(r"\d{1,2} \d{1,2} \* \* \*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")


def golden(trace: list[SpanDict], ids: Mapping[str, str]) -> str:
    """The spans of one trace, children below their parents by time; `ids` are told by their names
    (job, run, session, …) instead of by themselves."""
    (root,) = (span for span in trace if span["parent_id"] is None)
    names = dict(ids)
    for span in trace:
        tool_call = span["attributes"].get(semconv.GEN_AI_TOOL_CALL_ID)
        if tool_call is not None:
            names.setdefault(
                tool_call, f"call {len([n for n in names.values() if n[:4] == 'call'])}"
            )
    return "\n".join(_span(root, trace, names, depth=0)) + "\n"


def _span(
    span: SpanDict, trace: list[SpanDict], names: Mapping[str, str], depth: int
) -> Iterator[str]:
    margin = "    " * depth
    failed = f" ERROR: {span['status_message']!r}" if span["status"] == "error" else ""
    yield f"{margin}{span['name']} ({span['kind']}){failed}"
    for name, value in sorted(span["attributes"].items()):
        yield f"{margin}  {name} = {_value(name, value, names)}"
    for link in span["links"]:
        yield f"{margin}  -> {link['attributes'][semconv.HERMES_CRON_LINK_RELATION]}"
    for event in span["events"]:
        yield f"{margin}  * {event['name']}"
        for name, value in sorted(event["attributes"].items()):
            yield f"{margin}      {name} = {_value(name, value, names)}"
    children = [child for child in trace if child["parent_id"] == span["span_id"]]
    for child in sorted(children, key=lambda child: (child["start_ns"], child["end_ns"])):
        yield from _span(child, trace, names, depth + 1)


def _value(name: str, value: Any, names: Mapping[str, str]) -> str:
    if name in _SECONDS:
        return "<s>"
    if name in _TIMES:
        return "<time>"
    if isinstance(value, str):
        if value in names:
            return f"<{names[value]}>"
        value = _MOMENT.sub("<time>", _DAILY.sub("<minute> <hour> * * *", value))
    return f"{value:.12g}" if isinstance(value, float) else repr(value)
