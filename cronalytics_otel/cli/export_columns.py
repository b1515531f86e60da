"""The columns of `export`: one row for each run. docs/cli.md explains them; programs rely on them.

A column may be added at the end. None is renamed, and none changes its meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from ..model import Run
from . import formats
from .shapes import Shape, trace_id

COLUMNS: Final[Mapping[str, Callable[[Run], object]]] = {
    "run_id": lambda run: run.run_id,
    "trace_id": trace_id,
    "profile": lambda run: run.profile,
    "job_id": lambda run: run.job_id,
    "job_name": lambda run: run.job_name,
    "mode": lambda run: run.mode,
    "outcome": lambda run: run.outcome,
    "outcome_source": lambda run: run.outcome_source,
    "failed": lambda run: run.failed,
    "trigger": lambda run: run.trigger,
    "schedule_kind": lambda run: run.schedule_kind,
    "schedule_expression": lambda run: run.schedule_expression,
    "schedule_timezone": lambda run: run.schedule_timezone,
    "skills": lambda run: list(run.skills),
    "scheduled_at": lambda run: formats.iso(run.scheduled_ns),
    "claimed_at": lambda run: formats.iso(run.claimed_ns),
    "started_at": lambda run: None if run.left_output_only else formats.iso(run.started_ns),
    "ended_at": lambda run: formats.iso(run.ended_ns),
    "duration_s": lambda run: run.duration_s,
    "lateness_s": lambda run: run.lateness_s,
    "queue_s": lambda run: run.queue_s,
    "model": lambda run: run.model,
    "provider": lambda run: run.provider,
    "models": lambda run: sorted({u.model for u in run.usage_by_model if u.model}),
    "declared_model": lambda run: run.declared_model,
    "input_tokens": lambda run: run.usage and run.usage.input_tokens,
    "output_tokens": lambda run: run.usage and run.usage.output_tokens,
    "cache_read_tokens": lambda run: run.usage and run.usage.cache_read_tokens,
    "cache_write_tokens": lambda run: run.usage and run.usage.cache_write_tokens,
    "reasoning_tokens": lambda run: run.usage and run.usage.reasoning_tokens,
    "total_tokens": lambda run: run.total_tokens,
    "cost_usd": lambda run: run.known_cost_usd,
    "cost_status": lambda run: run.cost_status,
    "over_budget": lambda run: run.over_budget,
    "api_calls": lambda run: run.api_calls,
    "tool_calls": lambda run: run.tool_calls,
    "subagents": lambda run: run.subagents,
    "silent": lambda run: run.silent,
    "delivery_outcome": lambda run: run.delivery_outcome,
    "delivery_target": lambda run: run.delivery_target,
    "delivery_error": lambda run: run.delivery_error,
    "script_exit_code": lambda run: run.script_exit_code,
    "skip_reason": lambda run: run.skip_reason,
    "error_type": lambda run: run.error_type,
    "error_message": lambda run: run.error_message,
    "missed_count": lambda run: run.missed_count,
    "scheduler_down": lambda run: run.scheduler_down,
    "execution_id": lambda run: None if run.left_output_only else run.execution_id,
    "session_id": lambda run: run.session_id,
}
"""By name, its value: unknown is None."""


_VALUES: Final = tuple(COLUMNS.values())
_LISTS_AT: Final = tuple(list(COLUMNS).index(name) for name in ("skills", "models"))


def row(run: Run) -> Shape:
    """Return the row for JSON."""
    return {name: value(run) for name, value in COLUMNS.items()}


def csv_row(run: Run) -> list[object]:
    """Return the values for CSV: a list is joined by commas."""
    values = [value(run) for value in _VALUES]
    for at in _LISTS_AT:
        values[at] = ",".join(cast("list[str]", values[at]))
    return values
