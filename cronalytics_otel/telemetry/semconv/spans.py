"""The kinds of spans and of span events, and the carriers of attributes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ...model import SpanKind

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions that the names outside of `hermes.*` are of."""

# Span names: `{name}` or `{name} {what}`
SPAN_CRON: Final = "cron"
SPAN_MISSED: Final = "missed"
SPAN_STARTUP: Final = "startup"
SPAN_INVOKE_AGENT: Final = "invoke_agent"
SPAN_CHAT: Final = "chat"
SPAN_EXECUTE_TOOL: Final = "execute_tool"
SPAN_SCRIPT: Final = "script"
SPAN_DELIVER: Final = "deliver"
SPAN_DOCTOR: Final = "cronalytics-otel doctor"

# Event names
EVENT_EXCEPTION: Final = "exception"
EVENT_MODEL_FALLBACK: Final = "hermes.cron.model_fallback"
EVENT_TOOL_APPROVAL: Final = "hermes.cron.tool_approval"


class Where(StrEnum):
    """A carrier of attributes: the resource, one of the spans, a link, an event, or
    a metric."""

    RESOURCE = "resource"
    ROOT = SPAN_CRON
    MISSED = SPAN_MISSED
    STARTUP = SPAN_STARTUP
    AGENT = SPAN_INVOKE_AGENT
    CHAT = SPAN_CHAT
    TOOL = SPAN_EXECUTE_TOOL
    SCRIPT = SPAN_SCRIPT
    DELIVER = SPAN_DELIVER
    DOCTOR = SPAN_DOCTOR
    LINK = "link"
    EXCEPTION = EVENT_EXCEPTION
    MODEL_FALLBACK = EVENT_MODEL_FALLBACK
    TOOL_APPROVAL = EVENT_TOOL_APPROVAL
    METRIC = "metric"
    """The points of metrics, where an attribute is on nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanForm:
    """One kind of span: its name, OTLP kind, parent and time."""

    where: Where
    name: str
    kind: SpanKind
    parent: str
    meaning: str


SPANS: Final = (
    SpanForm(
        where=Where.ROOT,
        name="cron {job name}",
        kind=SpanKind.SERVER,
        parent="none: the root, linked to the job's previous run, and to the runs of other jobs "
        "whose outputs it was given",
        meaning="One run of a job, from its true start to its true end as the ledger has them. "
        "Status ERROR, with the error text as description, for the outcomes that are failures.",
    ),
    SpanForm(
        where=Where.MISSED,
        name="missed {job name}",
        kind=SpanKind.SERVER,
        parent="none: a trace of its own, linked to the job's previous run",
        meaning="Runs of a job that never happened, in one outage. A span without length at the last "
        "time that was missed, always with status ERROR. It has a name of its own so that the "
        "durations of `cron {job name}` are those of runs.",
    ),
    SpanForm(
        where=Where.STARTUP,
        name=SPAN_STARTUP,
        kind=SpanKind.INTERNAL,
        parent="the root",
        meaning="From the start of the run, or the end of its script, to the agent's session, while "
        "Hermes makes the agent ready. Only where a ledger has the start.",
    ),
    SpanForm(
        where=Where.AGENT,
        name="invoke_agent {agent}",
        kind=SpanKind.INTERNAL,
        parent="the root; for a subagent the `execute_tool` that started it, else its agent",
        meaning="The agent's session from start to end. A session that the host continued under a "
        "new id after compressing it is the same agent.",
    ),
    SpanForm(
        where=Where.CHAT,
        name="chat {model}",
        kind=SpanKind.CLIENT,
        parent="its agent",
        meaning="From the prompt or the last tool result to the model's answer. Retries and "
        "rejected answers are inside. An answer that was cut (`length`) ends, if seen live, where the call "
        "that goes on begins; of several in a row the first has the time of all. A call that failed for "
        "good has status ERROR, from its first attempt to its last; it is there only if seen live. The "
        "only span that looks like a model call.",
    ),
    SpanForm(
        where=Where.TOOL,
        name="execute_tool {tool}",
        kind=SpanKind.INTERNAL,
        parent="its agent",
        meaning="From the answer that asked for it to its result.",
    ),
    SpanForm(
        where=Where.SCRIPT,
        name="script",
        kind=SpanKind.INTERNAL,
        parent="the root",
        meaning="The script of a script job, the gate script of a run that it skipped, or the script "
        "that ran before the agent.",
    ),
    SpanForm(
        where=Where.DELIVER,
        name="deliver {platform}",
        kind=SpanKind.PRODUCER,
        parent="the root",
        meaning="From the end of the session to the end of the run, when the answer was delivered "
        "or failed to be.",
    ),
    SpanForm(
        where=Where.DOCTOR,
        name=SPAN_DOCTOR,
        kind=SpanKind.INTERNAL,
        parent="none: a trace of its own",
        meaning="A test that a person sent: it is no run.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventForm:
    """One kind of span event: its name, and and its meaning, which includes its spans and its time."""

    where: Where
    meaning: str


EVENTS: Final = (
    EventForm(
        where=Where.EXCEPTION,
        meaning="An attempt to call the model failed, at its end. On the `chat` that it was an attempt "
        "for; on the agent if the call was made again only after the conversation was compressed. "
        "Only of runs that the plugin saw live.",
    ),
    EventForm(
        where=Where.MODEL_FALLBACK,
        meaning="Hermes went on with another model: when the last call of the one before had failed, else "
        "at the begin of its first call. Only of runs seen live.",
    ),
    EventForm(
        where=Where.TOOL_APPROVAL,
        meaning="The call needed consent, at its answer. Only of runs seen live.",
    ),
)
