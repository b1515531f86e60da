"""Records as plain data for `--json`, which docs/cli.md describes. Unknown is null.

Keys are the names of the records' fields, so that a new field of a run is in the JSON by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from operator import attrgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from ..insight.findings import Finding
from ..model import AttributeValue, Run, Span, Usage
from ..model.times import NS
from ..telemetry import ids
from . import formats

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Shape: TypeAlias = dict[str, object]


def record_shape(record: DataclassInstance, *, without: str | None = None) -> Shape:
    """Return every field by its name, but for one. A time `x_ns` becomes `x_at`, in ISO 8601."""
    shape: Shape = {}
    get, keys = _fields_of(type(record), without)
    for (name, time_key), value in zip(keys, get(record), strict=True):
        if time_key:
            shape[time_key] = formats.iso(value if isinstance(value, int) else None)
        elif value is None or isinstance(value, (str, int, float)):
            shape[name] = value
        else:
            shape[name] = _plain(value)
    return shape


@cache
def _fields_of(
    cls: type[DataclassInstance], without: str | None
) -> tuple[Callable[[DataclassInstance], tuple[object, ...]], tuple[tuple[str, str], ...]]:
    """Return how the values of a record are read, and the name of each with its key if it is a time."""
    names = [field.name for field in fields(cls) if field.name != without]
    keys = tuple(
        (name, f"{name.removesuffix('_ns')}_at" if name.endswith("_ns") else "") for name in names
    )
    return _values_of(names), keys


def _values_of(names: Sequence[str]) -> Callable[[object], tuple[object, ...]]:
    get = attrgetter(*names)
    return (lambda record: (get(record),)) if len(names) == 1 else get


def _plain(value: object) -> object:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return record_shape(value)
    return str(value) if isinstance(value, PurePath) else value


_USAGE_NAMES = tuple(field.name for field in fields(Usage))


def run_shape(run: Run) -> Shape:
    """Return a run's fields and derived values, with the fields of its usage among them."""
    shape = {"run_id": run.run_id, "trace_id": trace_id(run)} | record_shape(run, without="usage")
    shape |= {
        **{name: run.usage and getattr(run.usage, name) for name in _USAGE_NAMES},
        "total_tokens": run.total_tokens,
        "cost_usd": run.known_cost_usd,
        "failed": run.failed,
        "time_source": run.time_source,
        "duration_s": run.duration_s,
        "lateness_s": run.lateness_s,
        "queue_s": run.queue_s,
    }
    if run.left_output_only:
        shape |= {"execution_id": None, "started_at": None}
    return shape


def finding_shape(profile: str, finding: Finding) -> Shape:
    """Return a finding of `health`. Its id stays the same as long as the same thing is wrong."""
    head = {"profile": profile, "id": finding.finding_id}
    return head | record_shape(finding, without="episode")


def span_shape(span: Span) -> Shape:
    return {
        "trace_id": f"{span.trace_id:032x}",
        "span_id": f"{span.span_id:016x}",
        "parent_id": None if span.parent_id is None else f"{span.parent_id:016x}",
        "name": span.name,
        "kind": span.kind,
        "started_at": formats.iso(span.start_ns),
        "ended_at": formats.iso(span.end_ns),
        "duration_s": (span.end_ns - span.start_ns) / NS,
        "error": span.error,
        "attributes": _attributes(span.attributes),
        "links": [
            {
                "trace_id": f"{link.trace_id:032x}",
                "span_id": f"{link.span_id:016x}",
                "attributes": _attributes(link.attributes),
            }
            for link in span.links
        ],
        "events": [
            {
                "name": event.name,
                "time": formats.iso(event.time_ns),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
    }


def trace_id(run: Run) -> str:
    """Return the trace id as backends show it: 32 hex digits."""
    return f"{ids.trace_id(run.profile, run.identity):032x}"


def _attributes(attributes: Mapping[str, AttributeValue]) -> Shape:
    return {name: _plain(value) for name, value in attributes.items()}
