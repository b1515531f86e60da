"""The TraceQL of the dashboards."""

from __future__ import annotations

from cronalytics_otel.telemetry.semconv import (
    ERROR_TYPE,
    HERMES_CRON_COST_TOTAL,
    HERMES_CRON_JOB_ID,
    HERMES_CRON_MODEL_NAME,
    HERMES_CRON_RUN_OUTCOME,
    HERMES_CRON_USAGE_TOTAL_TOKENS,
    HERMES_PROFILE_NAME,
)


def runs_of_job() -> str:
    """Return the query for the runs of the board's job, missed ones included: only their root spans have its id."""
    shown = (
        HERMES_CRON_RUN_OUTCOME,
        ERROR_TYPE,
        HERMES_CRON_COST_TOTAL,
        HERMES_CRON_USAGE_TOTAL_TOKENS,
        HERMES_CRON_MODEL_NAME,
    )
    return (
        f'{{ resource.{HERMES_PROFILE_NAME} =~ "$profile" && span.{HERMES_CRON_JOB_ID} = "$job" }}'
        f" | select({', '.join(f'span.{name}' for name in shown)})"
    )
