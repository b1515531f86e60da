"""The names of all attributes, and the registry that describes each of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ...domain.budgets import Period, Scope
from ...domain.errors import ErrorType
from ...domain.job_state import JobState
from ...model import (
    CostStatus,
    DeliveryOutcome,
    Mode,
    Outcome,
    OutcomeSource,
    ScheduleKind,
    SkipReason,
    TimeSource,
    Trigger,
)
from ...model.series import TokenType
from .spans import SPAN_CHAT, SPAN_EXECUTE_TOOL, SPAN_INVOKE_AGENT, Where
from .values import (
    AGENT_HERMES,
    AGENT_SUBAGENT,
    RELATION_CONTEXT_FROM,
    RELATION_PREVIOUS_RUN,
    Partial,
)

# Points of metrics alone
HERMES_CRON_WINDOW: Final = "hermes.cron.window"
HERMES_CRON_JOB_STATE: Final = "hermes.cron.job.state"
HERMES_CRON_BUDGET_SCOPE: Final = "hermes.cron.budget.scope"
HERMES_CRON_BUDGET_PERIOD: Final = "hermes.cron.budget.period"
HERMES_CRON_DESTINATION: Final = "hermes.cron.destination"
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no secret

# Resource
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
HOST_NAME: Final = "host.name"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"
HERMES_PROFILE_NAME: Final = "hermes.profile.name"
HERMES_VERSION: Final = "hermes.version"

# A run, on its root span
HERMES_CRON_JOB_ID: Final = "hermes.cron.job.id"
HERMES_CRON_JOB_NAME: Final = "hermes.cron.job.name"
HERMES_CRON_JOB_MODE: Final = "hermes.cron.job.mode"
HERMES_CRON_JOB_SKILLS: Final = "hermes.cron.job.skills"
HERMES_CRON_SCHEDULE_KIND: Final = "hermes.cron.schedule.kind"
HERMES_CRON_SCHEDULE_EXPRESSION: Final = "hermes.cron.schedule.expression"
HERMES_CRON_SCHEDULE_TIMEZONE: Final = "hermes.cron.schedule.timezone"
HERMES_CRON_RUN_ID: Final = "hermes.cron.run.id"
HERMES_CRON_RUN_OUTCOME: Final = "hermes.cron.run.outcome"
HERMES_CRON_RUN_OUTCOME_SOURCE: Final = "hermes.cron.run.outcome_source"
HERMES_CRON_RUN_FAILED: Final = "hermes.cron.run.failed"
HERMES_CRON_RUN_TIME_SOURCE: Final = "hermes.cron.run.time_source"
HERMES_CRON_RUN_TRIGGER: Final = "hermes.cron.run.trigger"
HERMES_CRON_RUN_SCHEDULED_TIME: Final = "hermes.cron.run.scheduled_time"
HERMES_CRON_RUN_LATENESS: Final = "hermes.cron.run.lateness"
HERMES_CRON_RUN_QUEUE_TIME: Final = "hermes.cron.run.queue_time"
HERMES_CRON_RUN_STARTUP_TIME: Final = "hermes.cron.run.startup_time"
HERMES_CRON_RUN_MODEL_TIME: Final = "hermes.cron.run.model_time"
HERMES_CRON_RUN_TOOL_TIME: Final = "hermes.cron.run.tool_time"
HERMES_CRON_RUN_SCRIPT_TIME: Final = "hermes.cron.run.script_time"
HERMES_CRON_RUN_DELIVERY_TIME: Final = "hermes.cron.run.delivery_time"
HERMES_CRON_RUN_API_CALLS: Final = "hermes.cron.run.api_calls"
HERMES_CRON_RUN_TOOL_CALLS: Final = "hermes.cron.run.tool_calls"
HERMES_CRON_RUN_SUBAGENTS: Final = "hermes.cron.run.subagents"
HERMES_CRON_RUN_TURNS: Final = "hermes.cron.run.turns"
HERMES_CRON_RUN_TURN_LIMIT_REACHED: Final = "hermes.cron.run.turn_limit_reached"
HERMES_CRON_RUN_SILENT: Final = "hermes.cron.run.silent"
HERMES_CRON_RUN_SKIP_REASON: Final = "hermes.cron.run.skip_reason"
HERMES_CRON_RUN_OVER_BUDGET: Final = "hermes.cron.run.over_budget"
HERMES_CRON_RUN_MISSED_SINCE: Final = "hermes.cron.run.missed_since"
HERMES_CRON_RUN_MISSED_COUNT: Final = "hermes.cron.run.missed_count"
HERMES_CRON_RUN_SCHEDULER_DOWN: Final = "hermes.cron.run.scheduler_down"
HERMES_CRON_USAGE_INPUT_TOKENS: Final = "hermes.cron.usage.input_tokens"
HERMES_CRON_USAGE_OUTPUT_TOKENS: Final = "hermes.cron.usage.output_tokens"
HERMES_CRON_USAGE_CACHE_READ_TOKENS: Final = "hermes.cron.usage.cache_read_tokens"
HERMES_CRON_USAGE_CACHE_WRITE_TOKENS: Final = "hermes.cron.usage.cache_write_tokens"
HERMES_CRON_USAGE_REASONING_TOKENS: Final = "hermes.cron.usage.reasoning_tokens"
HERMES_CRON_USAGE_TOTAL_TOKENS: Final = "hermes.cron.usage.total_tokens"
HERMES_CRON_COST_TOTAL: Final = "hermes.cron.cost.total"
HERMES_CRON_COST_STATUS: Final = "hermes.cron.cost.status"
HERMES_CRON_MODEL_NAME: Final = "hermes.cron.model.name"
HERMES_CRON_MODEL_PROVIDER: Final = "hermes.cron.model.provider"
HERMES_CRON_MODEL_DECLARED: Final = "hermes.cron.model.declared"
HERMES_CRON_DELIVERY_OUTCOME: Final = "hermes.cron.delivery.outcome"
HERMES_CRON_DELIVERY_TARGET: Final = "hermes.cron.delivery.target"
HERMES_CRON_DELIVERY_ERROR: Final = "hermes.cron.delivery.error"
HERMES_CRON_TRACE_PARTIAL: Final = "hermes.cron.trace.partial"
HERMES_CRON_SCRIPT_STDERR: Final = "hermes.cron.script.stderr"
HERMES_CRON_STEP_UNFINISHED: Final = "hermes.cron.step.unfinished"
HERMES_CRON_STEP_API_CALLS: Final = "hermes.cron.step.api_calls"
HERMES_CRON_STEP_COST: Final = "hermes.cron.step.cost"
HERMES_CRON_LINK_RELATION: Final = "hermes.cron.link.relation"
HERMES_CRON_TEST: Final = "hermes.cron.test"
HERMES_CRON_RUN_SKILLS: Final = "hermes.cron.run.skills"
HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS: Final = "hermes.cron.usage.unattributed_tokens"
HERMES_CRON_SKILL_NAME: Final = "hermes.cron.skill.name"

# What happened in a step
HERMES_CRON_RETRY_ATTEMPT: Final = "hermes.cron.retry.attempt"
HERMES_CRON_RETRY_LIMIT: Final = "hermes.cron.retry.limit"
HERMES_CRON_RETRY_TIME: Final = "hermes.cron.retry.time"
HERMES_CRON_RETRY_RETRYABLE: Final = "hermes.cron.retry.retryable"
HERMES_CRON_FALLBACK_FROM_MODEL: Final = "hermes.cron.fallback.from_model"
HERMES_CRON_FALLBACK_FROM_PROVIDER: Final = "hermes.cron.fallback.from_provider"
HERMES_CRON_FALLBACK_TO_MODEL: Final = "hermes.cron.fallback.to_model"
HERMES_CRON_FALLBACK_TO_PROVIDER: Final = "hermes.cron.fallback.to_provider"
HERMES_CRON_APPROVAL_CHOICE: Final = "hermes.cron.approval.choice"
HERMES_CRON_APPROVAL_SURFACE: Final = "hermes.cron.approval.surface"
HERMES_CRON_APPROVAL_WAIT_TIME: Final = "hermes.cron.approval.wait_time"

# The same facts under names of OpenTelemetry
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SESSION_ID: Final = "session.id"
PROCESS_EXIT_CODE: Final = "process.exit.code"

# Steps of an agent
GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
GEN_AI_TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

GEN_AI_USAGE: Final = (
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
)


class ValueType(StrEnum):
    """The OTLP type of a value; an int is no double."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRINGS = "string[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute. `source` is where the value comes from; absent means unknown everywhere."""

    name: str
    type: ValueType
    unit: str
    """UCUM, or empty where there is none."""
    meaning: str
    source: str
    where: tuple[Where, ...]
    values: tuple[str, ...] = ()
    """All that it can be, if that is a closed list."""


_STRING, _INT, _DOUBLE = ValueType.STRING, ValueType.INT, ValueType.DOUBLE
_ROOT = (Where.ROOT,)
_MISSED = (Where.MISSED,)
_ROOT_AND_MISSED = (Where.ROOT, Where.MISSED)
_GEN_AI = (Where.AGENT, Where.CHAT, Where.TOOL)
_CONTENT = "Only when content is switched on; cut to the limit, secrets masked."


def _row(
    name: str,
    type_: ValueType,
    unit: str,
    meaning: str,
    source: str,
    where: tuple[Where, ...] = _ROOT,
    values: type[StrEnum] | tuple[str, ...] = (),
) -> Attribute:
    return Attribute(
        name=name, type=type_, unit=unit, meaning=meaning, source=source, where=where,
        values=tuple(str(value) for value in values),
    )  # fmt: skip


# fmt: off
ATTRIBUTES: Final = (
    # Resource
    _row(SERVICE_NAME, _STRING, "", "`hermes-cron` unless named otherwise.", "`OTEL_SERVICE_NAME`, configuration", (Where.RESOURCE,)),
    _row(SERVICE_VERSION, _STRING, "", "Version of this plugin.", "the package", (Where.RESOURCE,)),
    _row(SERVICE_INSTANCE_ID, _STRING, "", "Random; stable for one Hermes home on one machine.", "`instance.json` beside the journal", (Where.RESOURCE,)),
    _row(HOST_NAME, _STRING, "", "Name of the machine.", "the operating system", (Where.RESOURCE,)),
    _row(HERMES_PROFILE_NAME, _STRING, "", "The Hermes profile.", "the Hermes home", (Where.RESOURCE,)),
    _row(HERMES_VERSION, _STRING, "", "Version of Hermes Agent.", "the installed host", (Where.RESOURCE,)),
    _row(TELEMETRY_SDK_NAME, _STRING, "", "`opentelemetry`.", "the SDK", (Where.RESOURCE,)),
    _row(TELEMETRY_SDK_LANGUAGE, _STRING, "", "`python`.", "the SDK", (Where.RESOURCE,)),
    _row(TELEMETRY_SDK_VERSION, _STRING, "", "Version of the OpenTelemetry SDK.", "the SDK", (Where.RESOURCE,)),

    # The job
    _row(HERMES_CRON_JOB_ID, _STRING, "", "The job.", "ledger `job_id`, else the session id", _ROOT_AND_MISSED),
    _row(HERMES_CRON_JOB_NAME, _STRING, "", "Its name as it was at the run; the id if it has none, or only the beginning of its prompt, which Hermes puts there then.", "jobs.json `name`; of a run before the first sync the session's title, or the head of the output file", _ROOT_AND_MISSED),
    _row(HERMES_CRON_JOB_MODE, _STRING, "", "Whether an agent or only a script runs.", "jobs.json `no_agent`", values=Mode),
    _row(HERMES_CRON_JOB_SKILLS, ValueType.STRINGS, "", "The skills that it loads.", "jobs.json `skills`"),
    _row(HERMES_CRON_SCHEDULE_KIND, _STRING, "", "The kind of schedule.", "jobs.json `schedule.kind`", _ROOT_AND_MISSED, ScheduleKind),
    _row(HERMES_CRON_SCHEDULE_EXPRESSION, _STRING, "", "The schedule as its owner wrote it.", "jobs.json `schedule`", _ROOT_AND_MISSED),
    _row(HERMES_CRON_SCHEDULE_TIMEZONE, _STRING, "", "IANA name of the zone that the schedule is in. Absent where the home was in another zone at the run, of which only the offset is known.", "`HERMES_TIMEZONE`, config.yaml, else the machine's", _ROOT_AND_MISSED),

    # The run
    _row(HERMES_CRON_RUN_ID, _STRING, "", "The ledger's execution id, else the session id, else one made of the output file's name; of a missed run, one made of the job and the first time that was missed.", "ledger `id`, session `id`, cron/output", _ROOT_AND_MISSED),
    _row(HERMES_CRON_RUN_OUTCOME, _STRING, "", "How it ended; see Outcomes.", "see `hermes.cron.run.outcome_source`", _ROOT_AND_MISSED, Outcome),
    _row(HERMES_CRON_RUN_OUTCOME_SOURCE, _STRING, "", "Where the outcome was read; `inferred` is our conclusion.", "decided by the plugin", _ROOT_AND_MISSED, OutcomeSource),
    _row(HERMES_CRON_RUN_FAILED, ValueType.BOOLEAN, "", "Whether the outcome is a failure; false for `success` and `skipped`.", "`hermes.cron.run.outcome`", _ROOT_AND_MISSED),
    _row(HERMES_CRON_RUN_TIME_SOURCE, _STRING, "", "Where its times were read. `ledger` is exact; `session` begins some seconds after the run and ends before the delivery; `output` is when the output file was saved, to the second: when the run began is not known, and the span has no length.", "decided by the plugin", values=TimeSource),
    _row(HERMES_CRON_RUN_TRIGGER, _STRING, "", 'What started it. `manual`: a person, by `hermes cron run`, or by "run now" of the dashboard: then the job was not due between the run before and this one.', "ledger `source` and the schedule", values=Trigger),
    _row(HERMES_CRON_RUN_SCHEDULED_TIME, _STRING, "", "When it was due, ISO 8601 in UTC.", "the schedule"),
    _row(HERMES_CRON_RUN_LATENESS, _DOUBLE, "s", "From when it was due to its start.", "the schedule, ledger `started_at`"),
    _row(HERMES_CRON_RUN_QUEUE_TIME, _DOUBLE, "s", "From the scheduler's claim to the start.", "ledger `claimed_at`, `started_at`"),
    _row(HERMES_CRON_RUN_STARTUP_TIME, _DOUBLE, "s", "From the start of the run, or the end of its script, to that of the agent's session: Hermes makes the agent ready; the length of `startup`. Only where a ledger has the start.", "ledger `started_at`, session `started_at`"),
    _row(HERMES_CRON_RUN_MODEL_TIME, _DOUBLE, "s", "Time in which at least one `chat` was under way, a failed one included: parallel ones count once. Absent when no model was asked or steps are missing.", "times of the messages, hooks"),
    _row(HERMES_CRON_RUN_TOOL_TIME, _DOUBLE, "s", "Time in which at least one `execute_tool` and no `chat` was under way: a subagent's model time is not counted again. Absent when steps are missing.", "times of the messages"),
    _row(HERMES_CRON_RUN_SCRIPT_TIME, _DOUBLE, "s", "How long its script ran: of a script job and of a gate that skipped the run the whole run, delivery included; of a script before the agent to a second. Absent when there was none, or its start is not known.", "ledger `started_at`, the time in the session's id"),
    _row(HERMES_CRON_RUN_DELIVERY_TIME, _DOUBLE, "s", "From the end of the session to the end of the run, when the answer was delivered or failed to be.", "session `ended_at`, ledger `finished_at`"),
    _row(HERMES_CRON_RUN_API_CALLS, _INT, "{call}", "Answered model calls, subagents' included; auxiliary ones (vision, compression) are in tokens and cost alone.", "session `api_call_count`"),
    _row(HERMES_CRON_RUN_TOOL_CALLS, _INT, "{call}", "Tool calls, subagents' included.", "session `tool_call_count`; messages, of a session that was compressed"),
    _row(HERMES_CRON_RUN_SUBAGENTS, _INT, "{agent}", "Subagents at any depth.", "sessions below the run's"),
    _row(HERMES_CRON_RUN_TURNS, _INT, "{turn}", "Answers in the run's own conversation, subagents' not included.", "messages"),
    _row(HERMES_CRON_RUN_TURN_LIMIT_REACHED, ValueType.BOOLEAN, "", "Whether the agent had no turn left, and was asked for its summary; the run is a success all the same. Absent when there are no messages to tell.", "the host's request among the messages"),
    _row(HERMES_CRON_RUN_SILENT, ValueType.BOOLEAN, "", "It answered, and asked not to be delivered.", "the last message"),
    _row(HERMES_CRON_RUN_SKIP_REASON, _STRING, "", 'Which no the gate gave: `{"wakeAgent": false}`, or nothing printed at all. The host keeps nothing else that a gate prints. Absent when the output file is gone.', "output file", values=SkipReason),
    _row(HERMES_CRON_RUN_OVER_BUDGET, ValueType.BOOLEAN, "", "Whether it cost more than the budget of a run. Absent without a budget, or where the cost is not known.", "the cost, configuration"),
    _row(HERMES_CRON_RUN_MISSED_SINCE, _STRING, "", "The first time that was missed, ISO 8601 in UTC; the span stands at the last.", "the schedule", _MISSED),
    _row(HERMES_CRON_RUN_MISSED_COUNT, _INT, "{run}", "How many runs one outage cost this job.", "the schedule", _MISSED),
    _row(HERMES_CRON_RUN_SCHEDULER_DOWN, ValueType.BOOLEAN, "", "Whether the scheduler started no job at all in that time.", "ledger `claimed_at`, `source`", _MISSED),

    # What it took
    _row(HERMES_CRON_USAGE_INPUT_TOKENS, _INT, "{token}", "Input with what came from a cache; subagents and auxiliary calls included. Absent where nobody counted: a provider may report no usage.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_USAGE_OUTPUT_TOKENS, _INT, "{token}", "Output with reasoning; the same scope.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_USAGE_CACHE_READ_TOKENS, _INT, "{token}", "The part of the input that was read from a cache.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_USAGE_CACHE_WRITE_TOKENS, _INT, "{token}", "The part of the input that was written to a cache.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_USAGE_REASONING_TOKENS, _INT, "{token}", "The part of the output that was reasoning.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_USAGE_TOTAL_TOKENS, _INT, "{token}", "Input and output.", "computed"),
    _row(HERMES_CRON_COST_TOTAL, _DOUBLE, "USD", "Cost with subagents and auxiliary calls. Absent when unknown, never 0 for it.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_COST_STATUS, _STRING, "", "What is known of the cost; `partial`: some of it is unknown, the total is a lower bound. (Hermes does not count the summary that it asks for at the turn limit.)", "session `cost_status`", values=CostStatus),
    _row(HERMES_CRON_MODEL_NAME, _STRING, "", "The model that did most of the run, by tokens.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_MODEL_PROVIDER, _STRING, "", "That model's provider.", "`sessions`, `session_model_usage`"),
    _row(HERMES_CRON_MODEL_DECLARED, _STRING, "", "The model that the job asks for, where another one did most of the run.", "jobs.json `model`"),

    _row(HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS, _INT, "{token}", "The part of the total that stands on no `chat` span: auxiliary calls, sessions of several calls that were not seen live, steps that are gone. Absent when there is none.", "computed"),

    # Delivery
    _row(HERMES_CRON_DELIVERY_OUTCOME, _STRING, "", "What became of the answer, or of the notice of a failure; `failed` when one of several places failed. Absent when the host does not tell: it keeps that of the latest run only.", "ledger `delivery_outcome`, jobs.json `last_delivery_error`", (Where.ROOT, Where.DELIVER), DeliveryOutcome),
    _row(HERMES_CRON_DELIVERY_TARGET, _STRING, "", "Where it goes; e-mail addresses and secrets masked.", "jobs.json `deliver`", (Where.ROOT, Where.DELIVER)),
    _row(HERMES_CRON_DELIVERY_ERROR, _STRING, "", "Why it failed; cut, secrets masked.", "jobs.json `last_delivery_error`"),

    _row(HERMES_CRON_RUN_SKILLS, ValueType.STRINGS, "", "The skills that it used: the job's, and those that an agent loaded on its way.", "jobs.json `skills`, calls of `skill_view`"),

    # The trace itself
    _row(HERMES_CRON_TRACE_PARTIAL, _STRING, "", "Why the steps are not all there, or not at their times; absent when they are. `untimed`: Hermes before 0.18 writes them down when the run is over, so they are in order and without length.", "state of the host's history", values=Partial),
    _row(HERMES_CRON_SCRIPT_STDERR, _STRING, "", f"What a script that failed wrote there. {_CONTENT}", "the host's error text", (Where.SCRIPT,)),
    _row(HERMES_CRON_STEP_UNFINISHED, ValueType.BOOLEAN, "", "True when no result was ever written: the span ends at the next time that is known.", "messages", (Where.TOOL,)),
    _row(HERMES_CRON_STEP_API_CALLS, _INT, "{call}", "How many answers there were: the last was taken, those before it were rejected. Absent when there was one, and of runs that were not seen live.", "hook `post_api_request`", (Where.CHAT,)),
    _row(HERMES_CRON_LINK_RELATION, _STRING, "", "What the linked run is to this one: the job's run before it, or the run of another job whose output its prompt was given.", "the job's history; the prompt", (Where.LINK,), (RELATION_PREVIOUS_RUN, RELATION_CONTEXT_FROM)),
    _row(HERMES_CRON_TEST, ValueType.BOOLEAN, "", "True: sent to test the way, to be left out of every count.", "`cronalytics-otel doctor`", (Where.DOCTOR,)),

    # OpenTelemetry's names
    _row(ERROR_TYPE, _STRING, "", "The class of the error; absent on success. The text is the status description.", "the host's error text", (Where.ROOT, Where.MISSED, Where.AGENT, Where.CHAT, Where.TOOL, Where.SCRIPT, Where.DELIVER, Where.EXCEPTION), ErrorType),
    _row(PROCESS_EXIT_CODE, _INT, "", "Of the script; negative is the number of the signal that ended it. Absent when it was never started, or was stopped at its limit of time.", "the host's error text; 0 where the host goes on only after that", (Where.SCRIPT,)),
    _row(SESSION_ID, _STRING, "", "The host's session.", "session `id`"),

    # Steps
    _row(GEN_AI_OPERATION_NAME, _STRING, "", "The kind of step.", "constant", _GEN_AI, (SPAN_INVOKE_AGENT, SPAN_CHAT, SPAN_EXECUTE_TOOL)),
    _row(GEN_AI_CONVERSATION_ID, _STRING, "", "The session; a subagent has its own, a continued one keeps its first.", "session `id`", (Where.ROOT, *_GEN_AI)),
    _row(GEN_AI_AGENT_NAME, _STRING, "", "The agent that does this step: the job's own, or one that it started.", "session `parent_session_id`, `source`", _GEN_AI, (AGENT_HERMES, AGENT_SUBAGENT)),
    _row(GEN_AI_PROVIDER_NAME, _STRING, "", "As the host names it.", "hook `post_api_request`, session `billing_provider`", (Where.CHAT,)),
    _row(GEN_AI_REQUEST_MODEL, _STRING, "", "The call's model; the session's where the run was not seen live, and absent there when several models had a part in the session.", "hook `post_api_request`, session `model`", (Where.CHAT,)),
    _row(GEN_AI_RESPONSE_MODEL, _STRING, "", "The model that answered, as it names itself. Only of runs seen live.", "hook `post_api_request`", (Where.CHAT,)),
    _row(GEN_AI_RESPONSE_FINISH_REASONS, ValueType.STRINGS, "", "Why the model stopped. Absent on an answer that the host wrote for it, and on a failed call.", "message `finish_reason`", (Where.CHAT,)),
    _row(GEN_AI_USAGE_INPUT_TOKENS, _INT, "{token}", "Input with what came from a cache. Only where the calls' own usage is known: of a run seen live, with rejected answers and all; else of a session of one call. Never divided. None on an answer that was cut (`length`): Hermes neither reports nor counts it.", "hook `post_api_request`, `sessions`", (Where.CHAT,)),
    _row(GEN_AI_USAGE_OUTPUT_TOKENS, _INT, "{token}", "Output with reasoning; the same condition.", "`sessions`", (Where.CHAT,)),
    _row(GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, _INT, "{token}", "Read from a cache; the same condition.", "`sessions`", (Where.CHAT,)),
    _row(GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS, _INT, "{token}", "Written to a cache; the same condition.", "`sessions`", (Where.CHAT,)),
    _row(GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, _INT, "{token}", "Reasoning; the same condition.", "`sessions`", (Where.CHAT,)),
    _row(HERMES_CRON_STEP_COST, _DOUBLE, "USD", "What this call cost, where that is known of the call itself: of a session of one call. Never divided.", "session `estimated_cost_usd`, `actual_cost_usd`", (Where.CHAT,)),
    _row(SERVER_ADDRESS, _STRING, "", "The host of the provider's base URL.", "hooks, session `billing_base_url`", (Where.CHAT,)),
    _row(GEN_AI_TOOL_NAME, _STRING, "", "The tool.", "message `tool_calls`", (Where.TOOL,)),
    _row(GEN_AI_TOOL_CALL_ID, _STRING, "", "The model's id of the call.", "message `tool_calls`", (Where.TOOL,)),
    _row(HERMES_CRON_SKILL_NAME, _STRING, "", "The skill that this call loaded.", "argument of `skill_view`", (Where.TOOL,)),
    _row(GEN_AI_INPUT_MESSAGES, _STRING, "", f"JSON. `chat`: what was new to the model since its last answer (the whole history would repeat every text in every call). `invoke_agent`: the prompt. {_CONTENT}", "messages", (Where.AGENT, Where.CHAT)),
    _row(GEN_AI_OUTPUT_MESSAGES, _STRING, "", f"JSON. `chat`: the answer. `invoke_agent`: the last answer, if the agent came to one. {_CONTENT}", "messages", (Where.AGENT, Where.CHAT)),
    _row(GEN_AI_TOOL_CALL_ARGUMENTS, _STRING, "", f"What the tool was called with. {_CONTENT}", "message `tool_calls`", (Where.TOOL,)),
    _row(GEN_AI_TOOL_CALL_RESULT, _STRING, "", f"What it answered. {_CONTENT}", "message of the tool", (Where.TOOL,)),

    # Events
    _row(HTTP_RESPONSE_STATUS_CODE, _INT, "", "What the server answered.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(EXCEPTION_TYPE, _STRING, "", "The class of the error in the host.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(EXCEPTION_MESSAGE, _STRING, "", "Its text; cut, secrets masked.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(HERMES_CRON_RETRY_TIME, _DOUBLE, "s", "How long the attempt took. Only for the first attempt of an answer: it is not known when later ones began, those of a fall-back included.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(HERMES_CRON_RETRY_ATTEMPT, _INT, "{attempt}", "How many attempts had failed before this one.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(HERMES_CRON_RETRY_LIMIT, _INT, "{attempt}", "How many attempts Hermes makes.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(HERMES_CRON_RETRY_RETRYABLE, ValueType.BOOLEAN, "", "Whether another attempt can help.", "hook `api_request_error`", (Where.EXCEPTION,)),
    _row(HERMES_CRON_FALLBACK_FROM_MODEL, _STRING, "", "The model before.", "hooks", (Where.MODEL_FALLBACK,)),
    _row(HERMES_CRON_FALLBACK_FROM_PROVIDER, _STRING, "", "Its provider.", "hooks", (Where.MODEL_FALLBACK,)),
    _row(HERMES_CRON_FALLBACK_TO_MODEL, _STRING, "", "The model after.", "hooks", (Where.MODEL_FALLBACK,)),
    _row(HERMES_CRON_FALLBACK_TO_PROVIDER, _STRING, "", "Its provider.", "hooks", (Where.MODEL_FALLBACK,)),
    _row(HERMES_CRON_APPROVAL_CHOICE, _STRING, "", "What was decided: `once`, `session`, `always`, `deny`, `timeout`, `smart_approve`, `smart_deny`.", "hook `post_approval_response`", (Where.TOOL_APPROVAL,)),
    _row(HERMES_CRON_APPROVAL_SURFACE, _STRING, "", "Who was asked: `cli`, `gateway`, `smart` (a model).", "hook `pre_approval_request`", (Where.TOOL_APPROVAL,)),
    _row(HERMES_CRON_APPROVAL_WAIT_TIME, _DOUBLE, "s", "How long the answer took.", "hooks", (Where.TOOL_APPROVAL,)),

    # Points of metrics alone
    _row(HERMES_CRON_WINDOW, _STRING, "", "`24h`, `7d`, `30d` up to now; in projections `30d`, `90d`, `365d` from now on.", "constant", (Where.METRIC,)),
    _row(HERMES_CRON_JOB_STATE, _STRING, "", "Whether the job will run again, and if not, why.", "jobs.json", (Where.METRIC,), tuple(state for state in JobState if state is not JobState.DELETED)),
    _row(HERMES_CRON_BUDGET_SCOPE, _STRING, "", "Whose spending is limited.", "settings `budgets`", (Where.METRIC,), tuple(Scope)),
    _row(HERMES_CRON_BUDGET_PERIOD, _STRING, "", "The time in which it is.", "settings `budgets`", (Where.METRIC,), tuple(Period)),
    _row(HERMES_CRON_DESTINATION, _STRING, "", "The name of a destination in the settings.", "settings `destinations`", (Where.METRIC,)),
    _row(GEN_AI_TOKEN_TYPE, _STRING, "", "Which tokens: the two add up to the total.", "as `hermes.cron.usage.*`", (Where.METRIC,), tuple(TokenType)),
)
# fmt: on
