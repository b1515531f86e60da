"""The records as plain data for `--json`; docs/cli.md describes them. Unknown is null."""

from __future__ import annotations

from ..model import AttributeValue, Run, Span, TimeSource
from ..model.times import NS
from ..telemetry import ids
from . import formats

Shape = dict[str, object]


def run_shape(run: Run) -> Shape:
    usage = run.usage
    alone = run.time_source is TimeSource.OUTPUT
    return {
        "run_id": run.run_id,
        "execution_id": None if alone else run.execution_id,
        "session_id": run.session_id,
        "trace_id": trace_id(run),
        "profile": run.profile,
        "job_id": run.job_id,
        "job_name": run.job_name,
        "mode": run.mode,
        "trigger": run.trigger,
        "schedule_kind": run.schedule_kind,
        "schedule_expression": run.schedule_expression,
        "schedule_timezone": run.schedule_timezone,
        "skills": list(run.skills),
        "scheduled_at": formats.iso(run.scheduled_ns),
        "claimed_at": formats.iso(run.claimed_ns),
        "started_at": None if alone else formats.iso(run.started_ns),
        "ended_at": formats.iso(run.ended_ns),
        "time_source": run.time_source,
        "duration_s": run.duration_s,
        "lateness_s": run.lateness_s,
        "queue_s": run.queue_s,
        "outcome": run.outcome,
        "outcome_source": run.outcome_source,
        "failed": run.failed,
        "error_type": run.error_type,
        "error_message": run.error_message,
        "model": run.model,
        "provider": run.provider,
        "input_tokens": usage and usage.input_tokens,
        "output_tokens": usage and usage.output_tokens,
        "cache_read_tokens": usage and usage.cache_read_tokens,
        "cache_write_tokens": usage and usage.cache_write_tokens,
        "reasoning_tokens": usage and usage.reasoning_tokens,
        "total_tokens": usage and usage.total_tokens,
        "cost_usd": run.cost_usd,
        "cost_status": run.cost_status,
        "api_calls": run.api_calls,
        "tool_calls": run.tool_calls,
        "subagents": run.subagents,
        "silent": run.silent,
        "delivery_outcome": run.delivery_outcome,
        "delivery_target": run.delivery_target,
        "delivery_error": run.delivery_error,
        "script_exit_code": run.script_exit_code,
        "script_ended_at": formats.iso(run.script_ended_ns),
        "skip_reason": run.skip_reason,
        "fed_by": [
            {"job_id": feed.job_id, "saved_at": formats.iso(feed.saved_ns)} for feed in run.fed_by
        ],
        "missed_count": run.missed_count,
        "scheduler_down": run.scheduler_down,
    }


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
    """As backends show it: 32 hex digits."""
    return f"{ids.trace_id(run.profile, run.identity):032x}"


def _attributes(attributes: dict[str, AttributeValue]) -> Shape:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
    }
