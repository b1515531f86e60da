"""A finished run with all its facts, and the words for how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .job import Mode, ScheduleKind
from .usage import CostStatus, Usage


class Outcome(StrEnum):
    """How a run ended (`hermes.cron.run.outcome`)."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BUDGET_EXCEEDED = "budget_exceeded"
    ABANDONED = "abandoned"
    """Its process died: what it had done by then is not known."""
    SKIPPED = "skipped"
    """The gate script said that there is nothing to do."""
    MISSED = "missed"
    """It was due and never ran."""


FAILED_OUTCOMES = frozenset(
    {Outcome.FAILURE, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.BUDGET_EXCEEDED,
     Outcome.ABANDONED, Outcome.MISSED}
)  # fmt: skip
"""The outcomes that are errors on a span; `success` and `skipped` are not."""


class OutcomeSource(StrEnum):
    """Where an outcome was read (`hermes.cron.run.outcome_source`)."""

    LEDGER = "ledger"
    """The host's execution ledger."""
    JOB = "job"
    """The job's own record: jobs.json `last_status`, or the output file of the run."""
    SESSION = "session"
    """The session and its last message."""
    INFERRED = "inferred"
    """Concluded by us: for instance, the process that owned the run is gone."""


class TimeSource(StrEnum):
    """Where a run's times were read (`hermes.cron.run.time_source`)."""

    LEDGER = "ledger"
    """The host's execution ledger: exact."""
    SESSION = "session"
    """The agent's session: it begins some seconds after the run, and ends before the delivery."""
    OUTPUT = "output"
    """The output file: when it was saved, to the second. When the run began is not known."""


OUTPUT_ID = "output_"
"""The ids of runs that left an output file alone begin with it; the ledger's are hexadecimal."""


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    MANUAL = "manual"
    CATCH_UP = "catch_up"


class SkipReason(StrEnum):
    """Which "no" a gate gave (`hermes.cron.run.skip_reason`); what else it said, the host keeps not."""

    WAKE_AGENT_FALSE = "wake_agent_false"
    """Its last line was `{"wakeAgent": false}`."""
    NO_OUTPUT = "no_output"
    """It printed nothing: no data, no agent."""


class DeliveryOutcome(StrEnum):
    """What became of the answer; the host's own words."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    SUPPRESSED_ACKED = "suppressed_acked"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An output that another job had saved, as it stood in a run's prompt."""

    job_id: str
    saved_ns: int
    """To a second, rounded down."""


class RunKey(NamedTuple):
    """As much of a run as a link to its trace needs; a `Run` has the same two attributes."""

    profile: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished run of a job with all its facts: what the root span and every view show."""

    profile: str
    job_id: str
    job_name: str
    mode: Mode | None
    """None when neither a definition nor a trace of the run tells."""
    started_ns: int
    """Ledger `started_at`, else `claimed_at`, else the session's `started_at`, else `ended_ns`: when a
    run that left an output file alone began is not known (see `time_source`)."""
    ended_ns: int
    """Ledger `finished_at`, else the session's `ended_at`, else when its output file was saved; never
    before `started_ns`."""
    outcome: Outcome
    outcome_source: OutcomeSource
    execution_id: str | None = None
    """The ledger's; of a run that left an output file alone one made of the file's name."""
    session_id: str | None = None
    trigger: Trigger | None = None
    schedule_kind: ScheduleKind | None = None
    schedule_expression: str | None = None
    schedule_timezone: str | None = None
    skills: tuple[str, ...] = ()
    scheduled_ns: int | None = None
    claimed_ns: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    cost_status: CostStatus | None = None
    api_calls: int | None = None
    tool_calls: int | None = None
    subagents: int | None = None
    silent: bool | None = None
    delivery_outcome: DeliveryOutcome | None = None
    delivery_target: str | None = None
    delivery_error: str | None = None
    script_exit_code: int | None = None
    """Of a script job, of a gate, or of the script before the agent; None where there was none."""
    script_ended_ns: int | None = None
    """Of the script before the agent, to a second: the host names the session right after it."""
    skip_reason: SkipReason | None = None
    fed_by: tuple[Feed, ...] = ()
    """The outputs of other jobs that it was given."""
    missed_count: int | None = None
    """Of a missed run: how many times in a row the job should have run."""
    scheduler_down: bool | None = None
    """Of a missed run: whether nothing at all was started meanwhile."""

    @property
    def run_id(self) -> str:
        """`hermes.cron.run.id`: the ledger's execution id, else the session id, else one made of the
        output file's name."""
        return self.execution_id or self.session_id or ""

    @property
    def identity(self) -> str:
        """What ids are derived from: the session id, else the execution id."""
        return self.session_id or self.execution_id or ""

    @property
    def failed(self) -> bool:
        return self.outcome in FAILED_OUTCOMES

    @property
    def time_source(self) -> TimeSource | None:
        """None for a run that never was."""
        if self.outcome is Outcome.MISSED:
            return None
        if self.execution_id is None:
            return TimeSource.SESSION
        alone = self.session_id is None and self.execution_id.startswith(OUTPUT_ID)
        return TimeSource.OUTPUT if alone else TimeSource.LEDGER

    @property
    def duration_s(self) -> float | None:
        """None where the start is not known, or nothing ran."""
        if self.time_source is TimeSource.OUTPUT or self.outcome is Outcome.MISSED:
            return None
        return (self.ended_ns - self.started_ns) / 1e9

    @property
    def lateness_s(self) -> float | None:
        """From when it was due to its start; never negative. What never began is not late."""
        if self.outcome is Outcome.MISSED or self.time_source is TimeSource.OUTPUT:
            return None
        if self.scheduled_ns is None:
            return None
        return max(0, self.started_ns - self.scheduled_ns) / 1e9

    @property
    def queue_s(self) -> float | None:
        """From the scheduler's claim to the start."""
        if self.claimed_ns is None:
            return None
        return max(0, self.started_ns - self.claimed_ns) / 1e9
