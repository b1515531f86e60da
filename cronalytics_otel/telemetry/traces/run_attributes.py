"""The attributes of a run, on the root of its trace."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from ...domain.errors import ErrorType
from ...model import AttributeValue, Run, ScheduleKind, Usage
from .. import semconv as sc
from ..content import error_text, value_text
from .observed import Attributes


def run_attributes(run: Run) -> Attributes:
    """Return the attributes of all that is known of a run. Unknown values are absent.

    How it ended and what it took come first: some backends show them in this order.
    """
    session_id = value_text(run.session_id)
    values: dict[str, AttributeValue | None] = {
        **_outcome(run),
        sc.HERMES_CRON_RUN_OVER_BUDGET: run.over_budget,
        sc.HERMES_CRON_COST_TOTAL: run.known_cost_usd,
        sc.HERMES_CRON_COST_STATUS: _plain(run.cost_status),
        **(_run_usage(run.usage) if run.usage is not None else _NOTHING),
        sc.HERMES_CRON_MODEL_NAME: value_text(run.model),
        sc.HERMES_CRON_MODEL_PROVIDER: value_text(run.provider),
        sc.HERMES_CRON_MODEL_DECLARED: _other_model_declared(run),
        sc.HERMES_CRON_RUN_API_CALLS: run.api_calls,
        sc.HERMES_CRON_RUN_TOOL_CALLS: run.tool_calls,
        sc.HERMES_CRON_RUN_SUBAGENTS: run.subagents,
        sc.HERMES_CRON_RUN_LATENESS: run.lateness_s,
        sc.HERMES_CRON_RUN_QUEUE_TIME: run.queue_s,
        sc.HERMES_CRON_RUN_SILENT: run.silent,
        sc.HERMES_CRON_RUN_SKIP_REASON: _plain(run.skip_reason),
        sc.HERMES_CRON_DELIVERY_OUTCOME: _plain(run.delivery_outcome),
        sc.HERMES_CRON_DELIVERY_TARGET: error_text(run.delivery_target),
        sc.HERMES_CRON_DELIVERY_ERROR: error_text(run.delivery_error),
        sc.HERMES_CRON_RUN_TRIGGER: _plain(run.trigger),
        sc.HERMES_CRON_RUN_SCHEDULED_TIME: _iso(run.scheduled_ns),
        sc.HERMES_CRON_RUN_TIME_SOURCE: _plain(run.time_source),
        sc.HERMES_CRON_JOB_MODE: _plain(run.mode),
        sc.HERMES_CRON_JOB_SKILLS: tuple(filter(None, map(value_text, run.skills))) or None,
        sc.SESSION_ID: session_id,
        sc.GEN_AI_CONVERSATION_ID: session_id,
    }
    return _known(values) | _job_attributes_of(run)


def missed_attributes(run: Run) -> Attributes:
    """Return the attributes of a missed run. Unknown values are absent."""
    values: dict[str, AttributeValue | None] = {
        **_outcome(run),
        sc.HERMES_CRON_RUN_MISSED_COUNT: run.missed_count,
        sc.HERMES_CRON_RUN_MISSED_SINCE: _iso(run.started_ns),
        sc.HERMES_CRON_RUN_SCHEDULER_DOWN: run.scheduler_down,
    }
    return _known(values) | _job_attributes_of(run)


def _outcome(run: Run) -> dict[str, AttributeValue | None]:
    """Return how a run ended, and which run it is."""
    return {
        sc.HERMES_CRON_RUN_OUTCOME: str(run.outcome),
        sc.HERMES_CRON_RUN_FAILED: run.failed,
        sc.ERROR_TYPE: error_type(run),
        sc.HERMES_CRON_RUN_OUTCOME_SOURCE: str(run.outcome_source),
        sc.HERMES_CRON_RUN_ID: value_text(run.run_id),
    }


def _other_model_declared(run: Run) -> str | None:
    """Return the model that the job asks for, if another one did most of the run."""
    is_other = run.model is not None and run.declared_model != run.model
    return value_text(run.declared_model) if is_other else None


_NOTHING: Attributes = {}


def _known(values: dict[str, AttributeValue | None]) -> Attributes:
    return {name: value for name, value in values.items() if value is not None}


def _job_attributes_of(run: Run) -> Attributes:
    return _job_attributes(
        run.job_id,
        job_label(run),
        run.schedule_kind,
        run.schedule_expression,
        run.schedule_timezone,
    )


@lru_cache(maxsize=1_024)
def _job_attributes(
    job_id: str,
    job_name: str,
    schedule_kind: ScheduleKind | None,
    expression: str | None,
    timezone: str | None,
) -> Attributes:
    """Return what every span of a job's runs says of the job.

    (Cached, since most runs of a job have the same: nobody may change it.)
    """
    values: dict[str, AttributeValue | None] = {
        sc.HERMES_CRON_JOB_ID: value_text(job_id),
        sc.HERMES_CRON_JOB_NAME: job_name,
        sc.HERMES_CRON_SCHEDULE_KIND: _plain(schedule_kind),
        sc.HERMES_CRON_SCHEDULE_EXPRESSION: value_text(expression),
        sc.HERMES_CRON_SCHEDULE_TIMEZONE: value_text(timezone),
    }
    return _known(values)


def error_type(run: Run) -> str | None:
    """Return the `error.type` of a run, from the closed list; None on success."""
    if not run.failed:
        return None
    # str(): whoever fills a run may hand over the enumeration, and the wire knows only text.
    return str(run.error_type if run.error_type in _ERROR_TYPES else ErrorType.OTHER)


_ERROR_TYPES = frozenset(map(str, ErrorType))


def job_label(run: Run) -> str:
    """Return `hermes.cron.job.name`: the name as it was at the run, the id of a nameless job."""
    return value_text(run.job_name) or value_text(run.job_id) or "unknown"


def _run_usage(usage: Usage) -> Attributes:
    return {
        sc.HERMES_CRON_USAGE_INPUT_TOKENS: usage.input_tokens,
        sc.HERMES_CRON_USAGE_OUTPUT_TOKENS: usage.output_tokens,
        sc.HERMES_CRON_USAGE_CACHE_READ_TOKENS: usage.cache_read_tokens,
        sc.HERMES_CRON_USAGE_CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        sc.HERMES_CRON_USAGE_REASONING_TOKENS: usage.reasoning_tokens,
        sc.HERMES_CRON_USAGE_TOTAL_TOKENS: usage.total_tokens,
    }


def _plain(value: StrEnum | None) -> str | None:
    """Return the text of an enumeration: the wire knows no subclass of `str`."""
    return None if value is None else str(value)


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, written with its own sign


def _iso(time_ns: int | None) -> str | None:
    """Return ISO 8601 in UTC; None also for a time beyond the calendar."""
    if time_ns is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=time_ns // 1_000)).isoformat() + "Z"
    except OverflowError:
        return None
