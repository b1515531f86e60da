"""Rows of the journal to records and back: the one place that knows both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, cast

from ..model import (
    ApiError,
    Approval,
    CostStatus,
    DeliveryOutcome,
    Feed,
    Job,
    Mode,
    ModelCall,
    Observation,
    Outcome,
    OutcomeSource,
    Run,
    Schedule,
    ScheduleKind,
    SkipReason,
    ToolResult,
    Trigger,
    Usage,
)
from .database import JournalError

RUN_COLUMNS = (
    "execution_id", "session_id", "profile", "job_id", "job_name", "mode", "trigger",
    "schedule_kind", "schedule_expression", "schedule_timezone", "skills", "scheduled_ns",
    "claimed_ns", "started_ns", "ended_ns", "outcome", "outcome_source", "error_type",
    "error_message", "model", "provider", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "cost_usd", "cost_status", "api_calls", "tool_calls",
    "subagents", "silent", "delivery_outcome", "delivery_target", "delivery_error",
    "script_exit_code", "script_ended_ns", "skip_reason", "fed_by", "missed_count",
    "scheduler_down",
)  # fmt: skip
"""In the order of `run_to_row` and `run_from_row`."""


def run_to_row(run: Run) -> tuple[object, ...]:
    usage = run.usage
    return (
        run.execution_id, run.session_id, run.profile, run.job_id, run.job_name, run.mode,
        run.trigger, run.schedule_kind, run.schedule_expression, run.schedule_timezone,
        json.dumps(run.skills) if run.skills else None,
        run.scheduled_ns, run.claimed_ns, run.started_ns, run.ended_ns, run.outcome,
        run.outcome_source, run.error_type, run.error_message, run.model, run.provider,
        usage.input_tokens if usage else None, usage.output_tokens if usage else None,
        usage.cache_read_tokens if usage else None, usage.cache_write_tokens if usage else None,
        usage.reasoning_tokens if usage else None,
        run.cost_usd, run.cost_status, run.api_calls, run.tool_calls, run.subagents, run.silent,
        run.delivery_outcome, run.delivery_target, run.delivery_error,
        run.script_exit_code, run.script_ended_ns, run.skip_reason,
        json.dumps([(feed.job_id, feed.saved_ns) for feed in run.fed_by]) if run.fed_by else None,
        run.missed_count, run.scheduler_down,
    )  # fmt: skip


def run_from_row(row: Sequence[Any]) -> Run:
    """Raises `JournalError` for a word that no enum knows."""
    try:
        return _run(row)
    except ValueError as error:
        raise JournalError(
            f"the journal holds a run that this version cannot read ({error}): update it, or move "
            "the file away and sync"
        ) from error


def _run(row: Sequence[Any]) -> Run:
    (
        execution_id, session_id, profile, job_id, job_name, mode, trigger, schedule_kind,
        schedule_expression, schedule_timezone, skills, scheduled_ns, claimed_ns, started_ns,
        ended_ns, outcome, outcome_source, error_type, error_message, model, provider,
        input_tokens, output_tokens, cache_read, cache_write, reasoning, cost_usd, cost_status,
        api_calls, tool_calls, subagents, silent, delivery_outcome, delivery_target,
        delivery_error, script_exit_code, script_ended_ns, skip_reason, fed_by, missed_count,
        scheduler_down,
    ) = row  # fmt: skip
    return Run(
        execution_id=execution_id,
        session_id=session_id,
        profile=profile,
        job_id=job_id,
        job_name=job_name,
        mode=Mode(mode) if mode else None,
        trigger=Trigger(trigger) if trigger else None,
        schedule_kind=ScheduleKind(schedule_kind) if schedule_kind else None,
        schedule_expression=schedule_expression,
        schedule_timezone=schedule_timezone,
        skills=tuple(json.loads(skills)) if skills else (),
        scheduled_ns=scheduled_ns,
        claimed_ns=claimed_ns,
        started_ns=started_ns,
        ended_ns=ended_ns,
        outcome=Outcome(outcome),
        outcome_source=OutcomeSource(outcome_source),
        error_type=error_type,
        error_message=error_message,
        model=model,
        provider=provider,
        usage=None
        if input_tokens is None
        else Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read,
            cache_write_tokens=cache_write,
            reasoning_tokens=reasoning,
        ),
        cost_usd=cost_usd,
        cost_status=CostStatus(cost_status) if cost_status else None,
        api_calls=api_calls,
        tool_calls=tool_calls,
        subagents=subagents,
        silent=None if silent is None else bool(silent),
        delivery_outcome=DeliveryOutcome(delivery_outcome) if delivery_outcome else None,
        delivery_target=delivery_target,
        delivery_error=delivery_error,
        script_exit_code=script_exit_code,
        script_ended_ns=script_ended_ns,
        skip_reason=SkipReason(skip_reason) if skip_reason else None,
        fed_by=tuple(Feed(job_id=job, saved_ns=at) for job, at in json.loads(fed_by or "[]")),
        missed_count=missed_count,
        scheduler_down=None if scheduler_down is None else bool(scheduler_down),
    )


_FLEETING = frozenset(
    (
        "next_run_ns", "last_run_ns", "last_status", "last_error", "last_delivery_error",
        "runs_left",
    )
)  # fmt: skip
"""What changes with every run and is no part of a job's definition."""

_LASTING = tuple(field.name for field in fields(Job) if field.name not in _FLEETING)
_OF_SCHEDULE = tuple(field.name for field in fields(Schedule))


def job_to_json(job: Job) -> str:
    """The definition alone, so that two looks at an unchanged job give the same text."""
    record = {name: getattr(job, name) for name in _LASTING}
    if job.schedule is not None:
        record["schedule"] = {name: getattr(job.schedule, name) for name in _OF_SCHEDULE}
    return json.dumps(record, sort_keys=True)


def job_from_json(text: str) -> Job:
    """Keys that are not ours are passed over: an older or a newer version wrote them."""
    record = cast("dict[str, Any]", json.loads(text))
    return Job(
        **{
            **_only(_LASTING, record),
            "mode": Mode(record["mode"]),
            "skills": tuple(record["skills"]),
            "context_from": tuple(record.get("context_from", ())),
            "schedule": _schedule_from(record["schedule"]) if record["schedule"] else None,
        }
    )


def _schedule_from(record: dict[str, Any]) -> Schedule:
    return Schedule(**{**_only(_OF_SCHEDULE, record), "kind": ScheduleKind(record["kind"])})


def _only(names: Iterable[str], record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in names if name in record}


_DETAILS: dict[str, type[ModelCall | ApiError | ToolResult]] = {
    "call": ModelCall, "error": ApiError, "tool": ToolResult,
}  # fmt: skip
_KIND_OF = {cls: kind for kind, cls in _DETAILS.items()}
_NESTED = {"usage": Usage, "approval": Approval}


def observation_to_json(detail: Observation) -> str:
    """What is unknown is left out."""
    return json.dumps({"kind": _KIND_OF[type(detail)], **_known(detail)})


def _known(record: Observation | Usage | Approval) -> dict[str, object]:
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {
        name: _known(value) if isinstance(value, (Usage, Approval)) else value
        for name, value in values
        if value is not None
    }


def observation_from_json(text: str) -> Observation | None:
    """None for what another version wrote and this one does not know."""
    record = cast("dict[str, Any]", json.loads(text))
    cls = _DETAILS.get(record.pop("kind"))
    if cls is None:
        return None
    for name, nested in _NESTED.items():
        if name in record:
            record[name] = nested(**_only((f.name for f in fields(nested)), record[name]))
    return cls(**_only((f.name for f in fields(cls)), record))
