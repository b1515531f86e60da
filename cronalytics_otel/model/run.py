"""A finished run with all its facts, and the closed sets of how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .job import Mode, ScheduleKind
from .usage import CostStatus, ModelUsage, Usage, known_cost_usd


class Outcome(StrEnum):
    """How a run ended (`hermes.cron.run.outcome`)."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    BUDGET_EXCEEDED = "budget_exceeded"
    ABANDONED = "abandoned"
    """Its process died. What it had done by then is not known."""
    SKIPPED = "skipped"
    """Its gate script said that there was nothing to do."""
    MISSED = "missed"
    """It was due and never ran."""


FAILED_OUTCOMES = frozenset(
    {Outcome.FAILURE, Outcome.TIMEOUT, Outcome.CANCELLED, Outcome.BUDGET_EXCEEDED,
     Outcome.ABANDONED, Outcome.MISSED}
)  # fmt: skip
"""The outcomes that a span shows as errors: all but `success` and `skipped`."""

FAILED_RUNS = FAILED_OUTCOMES - {Outcome.MISSED}
"""The outcomes of runs that took place and failed. A missed run is counted apart."""


class OutcomeSource(StrEnum):
    """Where an outcome was read (`hermes.cron.run.outcome_source`)."""

    LEDGER = "ledger"
    """The host's ledger."""
    JOB = "job"
    """What the host noted of the job: `last_status` in jobs.json, or the run's output file."""
    SESSION = "session"
    """The agent's session and its last message."""
    INFERRED = "inferred"
    """We concluded it: for instance, the process that owned the run is gone."""


class TimeSource(StrEnum):
    """Where a run's times were read (`hermes.cron.run.time_source`)."""

    LEDGER = "ledger"
    """The host's ledger, which is exact."""
    SESSION = "session"
    """The agent's session, which begins some seconds after the run and ends before the delivery."""
    OUTPUT = "output"
    """The time at which the output file was saved, in whole seconds. The start is not known."""


OUTPUT_ID = "output_"
"""The prefix of the execution ids that we make for runs that left only an output file. The
ledger's own ids are hexadecimal."""


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    MANUAL = "manual"
    CATCH_UP = "catch_up"


class SkipReason(StrEnum):
    """How a gate said no (`hermes.cron.run.skip_reason`). The host keeps nothing else of its output."""

    WAKE_AGENT_FALSE = "wake_agent_false"
    """Its last line was `{"wakeAgent": false}`."""
    NO_OUTPUT = "no_output"
    """It printed nothing, and without data there is no agent."""


class DeliveryOutcome(StrEnum):
    """What became of the answer, in the host's own words."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    SUPPRESSED_ACKED = "suppressed_acked"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An output of another job that a run was given in its prompt."""

    job_id: str
    saved_ns: int
    """In whole seconds, rounded down."""


class RunKey(NamedTuple):
    """As much of a run as a link to its trace needs; a `Run` has the same two attributes."""

    profile: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished run of a job with all its facts. The root span and every view show these."""

    profile: str
    job_id: str
    job_name: str
    mode: Mode | None
    """None if neither a job definition nor the run's evidence shows it."""
    started_ns: int
    """The ledger's `started_at`, else its `claimed_at`, else the session's `started_at`. A run that
    left only an output file has `ended_ns` here, because its start is not known (`time_source`)."""
    ended_ns: int
    """The ledger's `finished_at`, else the session's `ended_at`, else the time at which the output
    file was saved. It is never before `started_ns`."""
    outcome: Outcome
    outcome_source: OutcomeSource
    execution_id: str | None = None
    """The ledger's id. A run that left only an output file has one made of the file's name."""
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
    declared_model: str | None = None
    """The model that the job asked for (`Job.model`)."""
    usage: Usage | None = None
    cost_usd: float | None = None
    cost_status: CostStatus | None = None
    model_usage: tuple[ModelUsage, ...] = ()
    """What each model, provider and cost status had a part in. Empty where the totals say all of it; see
    `usage_by_model`."""
    api_calls: int | None = None
    tool_calls: int | None = None
    subagents: int | None = None
    silent: bool | None = None
    delivery_outcome: DeliveryOutcome | None = None
    delivery_target: str | None = None
    delivery_error: str | None = None
    script_exit_code: int | None = None
    """The exit code of a script job, of a gate, or of the script before the agent; None without one."""
    script_ended_ns: int | None = None
    """When the script before the agent ended, in whole seconds: the host names the session right
    after it."""
    skip_reason: SkipReason | None = None
    fed_by: tuple[Feed, ...] = ()
    """The outputs of other jobs that the run was given."""
    missed_count: int | None = None
    """For a missed run: how many times in a row the job should have run."""
    scheduler_down: bool | None = None
    """For a missed run: whether the scheduler started nothing at all in that time."""
    over_budget: bool | None = None
    """Whether it cost more than the budget of a run. None without a budget, or where the cost is not known."""

    @property
    def run_id(self) -> str:
        """`hermes.cron.run.id`: the execution id, else the session id.

        The execution id of a run that left only an output file is made of the file's name.
        """
        return self.execution_id or self.session_id or ""

    @property
    def identity(self) -> str:
        """The text that trace and span ids are derived from: the session id, else the execution id."""
        return self.session_id or self.execution_id or ""

    @property
    def failed(self) -> bool:
        return self.outcome in FAILED_OUTCOMES

    @property
    def left_output_only(self) -> bool:
        """Whether an output file is all that the run left: its start and its ids are not known."""
        return self.time_source is TimeSource.OUTPUT

    @property
    def time_source(self) -> TimeSource | None:
        """Where the run's times were read; None for a missed run."""
        if self.outcome is Outcome.MISSED:
            return None
        if self.execution_id is None:
            return TimeSource.SESSION
        alone = self.session_id is None and self.execution_id.startswith(OUTPUT_ID)
        return TimeSource.OUTPUT if alone else TimeSource.LEDGER

    @property
    def duration_s(self) -> float | None:
        """End minus start; None if the start is not known, or nothing ran."""
        if self.left_output_only or self.outcome is Outcome.MISSED:
            return None
        return (self.ended_ns - self.started_ns) / 1e9

    @property
    def lateness_s(self) -> float | None:
        """Start minus due time, at least 0; None if either is not known, or nothing ran."""
        if self.outcome is Outcome.MISSED or self.left_output_only:
            return None
        if self.scheduled_ns is None:
            return None
        return max(0, self.started_ns - self.scheduled_ns) / 1e9

    @property
    def queue_s(self) -> float | None:
        """Start minus the scheduler's claim, at least 0; None if the claim is not known."""
        if self.claimed_ns is None:
            return None
        return max(0, self.started_ns - self.claimed_ns) / 1e9

    # What it took. Every view and every signal asks these, and decides nothing itself.

    @property
    def total_tokens(self) -> int | None:
        """Input plus output tokens; None if nobody counted them."""
        return None if self.usage is None else self.usage.total_tokens

    @property
    def called_no_model(self) -> bool:
        """Whether it is certain that no model was called, so that nothing was spent."""
        return (
            self.mode is Mode.SCRIPT
            or self.outcome in (Outcome.SKIPPED, Outcome.MISSED)
            or self.api_calls == 0
        )

    @property
    def usage_by_model(self) -> tuple[ModelUsage, ...]:
        """Each model's part in the run; empty where no usage is known, or where no model was called."""
        if self.model_usage or self.usage is None:
            return self.model_usage
        if self.called_no_model and not self.usage.total_tokens and self.known_cost_usd is None:
            return ()
        whole = ModelUsage(
            model=self.model,
            provider=self.provider,
            usage=self.usage,
            api_calls=self.api_calls,
            cost_usd=self.cost_usd,
            cost_status=self.cost_status,
        )
        return (whole,)

    @property
    def known_cost_usd(self) -> float | None:
        """The cost, or the known part of it; None if nobody wrote it down."""
        return known_cost_usd(self.cost_usd, self.cost_status)

    @property
    def cost_is_partial(self) -> bool:
        """Whether `known_cost_usd` is a lower bound, because some calls have no known price."""
        return self.cost_status is CostStatus.PARTIAL and self.cost_usd is not None

    @property
    def cost_is_unknown(self) -> bool:
        """Whether the run may have cost something of which nothing is known.

        A run that called no model cost nothing, and a subscription covers what it includes.
        """
        if self.known_cost_usd is not None:
            return False
        if self.cost_status in (CostStatus.UNKNOWN, CostStatus.PARTIAL):
            return True
        return self.cost_status is not CostStatus.INCLUDED and not self.called_no_model
