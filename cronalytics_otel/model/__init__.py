"""The records everything else speaks of: frozen data, nothing with a side effect.

Units: `*_ns` is epoch nanoseconds, `*_s` seconds, `*_usd` US dollars. `None` means unknown, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...]
"""What a span or resource attribute may hold (OTLP's scalar types, and lists of strings)."""


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


class Mode(StrEnum):
    AGENT = "agent"
    SCRIPT = "script"


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    MANUAL = "manual"
    CATCH_UP = "catch_up"


class ScheduleKind(StrEnum):
    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


class SkipReason(StrEnum):
    """Which "no" a gate gave (`hermes.cron.run.skip_reason`); what else it said, the host keeps not."""

    WAKE_AGENT_FALSE = "wake_agent_false"
    """Its last line was `{"wakeAgent": false}`."""
    NO_OUTPUT = "no_output"
    """It printed nothing: no data, no agent."""


class CostStatus(StrEnum):
    """What is known of a run's cost (`hermes.cron.cost.status`)."""

    ACTUAL = "actual"
    ESTIMATED = "estimated"
    INCLUDED = "included"
    """Covered by a subscription."""
    UNKNOWN = "unknown"
    PARTIAL = "partial"
    """Some of its calls have no known price: the sum is a lower bound."""


class DeliveryOutcome(StrEnum):
    """What became of the answer; the host's own words."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    SUPPRESSED_ACKED = "suppressed_acked"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job is due. Just one of `cron`, `interval_s`, `once_at_ns` is set, by kind."""

    kind: ScheduleKind
    expression: str
    """As the owner wrote it (host `schedule.display` or `expr`)."""
    cron: str | None = None
    interval_s: float | None = None
    once_at_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the host's jobs.json had it when we looked."""

    job_id: str
    name: str
    mode: Mode
    schedule: Schedule | None
    skills: tuple[str, ...] = ()
    deliver: str | None = None
    """jobs.json `deliver`: `local`, or platforms with an optional chat; `origin` for a job that was
    made on no platform."""
    has_script: bool = False
    context_from: tuple[str, ...] = ()
    """Ids of the jobs whose newest output the agent is given."""
    enabled: bool = True
    """False while it is paused or switched off."""
    paused_ns: int | None = None
    created_ns: int | None = None
    next_run_ns: int | None = None
    last_run_ns: int | None = None
    """jobs.json `last_run_at`: when the latest run *finished*."""
    last_status: str | None = None
    last_error: str | None = None
    last_delivery_error: str | None = None
    runs_left: int | None = None
    """Of a job that ends after a number of runs (host `repeat`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a run or of a part of it; `input_tokens` includes what came from a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output; reasoning is a part of output already."""
        return self.input_tokens + self.output_tokens

    @classmethod
    def sum(cls, usages: Sequence[Usage]) -> Usage:
        if len(usages) == 1:
            return usages[0]
        return cls(
            input_tokens=sum(u.input_tokens for u in usages),
            output_tokens=sum(u.output_tokens for u in usages),
            cache_read_tokens=sum(u.cache_read_tokens for u in usages),
            cache_write_tokens=sum(u.cache_write_tokens for u in usages),
            reasoning_tokens=sum(u.reasoning_tokens for u in usages),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """An output that another job had saved, as it stood in a run's prompt."""

    job_id: str
    saved_ns: int
    """To a second, rounded down."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A row of the host's `messages`: real time, `role` user, assistant, tool or system."""

    role: str
    timestamp_ns: int
    content: str | None = None
    at_turn_limit: bool = False
    """The host's own request to come to an end: the agent had no turn left."""
    tool_call_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str | None = None
    finish_reason: str | None = None
    is_copy: bool = False
    """An answer that the host only wrote again, after it had compressed the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    call_id: str
    name: str
    arguments: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A session of the host with its messages and the sessions that it started."""

    session_id: str
    started_ns: int
    ended_ns: int | None
    model: str | None = None
    """None also where several had a part in it: which gave which answer, only hooks tell."""
    provider: str | None = None
    usage: Usage | None = None
    """Of this session alone, as the host's row has it."""
    cost_usd: float | None = None
    api_calls: int | None = 0
    is_subagent: bool = False
    messages: tuple[Message, ...] = ()
    children: tuple[Conversation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """A call of a model that was answered, as a hook told of it."""

    started_ns: int
    ended_ns: int
    model: str | None = None
    provider: str | None = None
    response_model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiError:
    """A call of a model that failed, as a hook told of it."""

    started_ns: int
    ended_ns: int
    model: str | None = None
    provider: str | None = None
    status_code: int | None = None
    """HTTP."""
    attempt: int | None = None
    """How many had failed before it."""
    max_attempts: int | None = None
    retryable: bool | None = None
    reason: str | None = None
    """The host's class: `auth`, `server_error`, …"""
    exception_type: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What was decided of a tool call that needed somebody's consent."""

    at_ns: int
    choice: str | None = None
    """The host's word: `once`, `deny`, `timeout`, `smart_approve`, …; None when nobody answered."""
    surface: str | None = None
    """Who was asked: `cli`, `gateway`, `smart` (a model)."""
    waited_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """A tool call that came to its end, as a hook told of it."""

    call_id: str
    name: str
    started_ns: int
    ended_ns: int
    failed: bool
    error_type: str | None = None
    message: str | None = None
    approval: Approval | None = None


Detail: TypeAlias = ModelCall | ApiError | ToolRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What hooks told of one session, in the order in which they came: clocks may go back."""

    attempts: tuple[ModelCall | ApiError, ...] = ()
    tools: tuple[ToolRun, ...] = ()

    @property
    def calls(self) -> tuple[ModelCall, ...]:
        return tuple(attempt for attempt in self.attempts if isinstance(attempt, ModelCall))


class SpanKind(StrEnum):
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLink:
    trace_id: int
    span_id: int
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    name: str
    time_ns: int
    attributes: dict[str, AttributeValue]


class Span(NamedTuple):
    """A span as it will be sent; the exporter gives it the SDK's type.

    `error` is the status description of a failed span, None for status UNSET. (A tuple: a frozen
    dataclass takes four times as long to make, and traces are built as they are sent.)
    """

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: dict[str, AttributeValue]
    error: str | None = None
    links: tuple[SpanLink, ...] = ()
    events: tuple[SpanEvent, ...] = ()
