"""One run, one trace: the root from the run's facts, the steps from the times of its messages.

Pure functions of what they are given: the same run gives the same spans, ids included, wherever
and however often it is built. Whatever the clocks did, every span lies within its parent, siblings
are ordered by start, and no duration is negative; what that takes is that a time outside is moved
to the nearest one inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ...domain.errors import ErrorType, classify, is_of_script, stderr_of, without_stdout
from ...model import (
    AttributeValue,
    Conversation,
    CostStatus,
    DeliveryOutcome,
    Mode,
    Observations,
    Outcome,
    Run,
    ScheduleKind,
    SkipReason,
    Span,
    SpanKind,
    SpanLink,
    TimeSource,
    Trigger,
    Usage,
)
from .. import ids
from .. import semconv as sc
from ..content import ContentPolicy, error_text, masked_and_cut, name_text, value_text
from .agent import build_agent
from .observed import Attributes
from .steps import Book, Step, named, tokens_on, within

MAX_SPANS = 2_000
"""Of one trace. Later steps are left out, and the root says `truncated`."""

_LAST_NS = 2**63 - 1


def build_trace(
    run: Run,
    conversation: Conversation | None,
    *,
    steps: sc.Steps = sc.Steps.COMPLETE,
    previous: Run | None = None,
    sources: Sequence[Run] = (),
    content: ContentPolicy | None = None,
    details: Mapping[str, Observations] | None = None,
) -> list[Span]:
    """The spans of a finished run: the root first, parents before children, at most `MAX_SPANS`.

    `conversation` is the run's session with everything below it; None when there is none (a
    script, a gate) or, as `steps` then says, when the host has deleted it. `previous` is the job's
    run before this one and `sources` are those whose outputs it was given, for the links. Without a
    content policy no content goes along. `details` is what hooks told of the run's sessions, by
    session id.
    """
    show = _shown(run, conversation, content)
    start = within(0, _LAST_NS, run.started_ns)
    root = Step(
        path=(),
        name=named(sc.SPAN_CRON, name_text(run.job_name) or name_text(run.job_id)),
        kind=SpanKind.SERVER,
        start=start,
        end=within(start, _LAST_NS, run.ended_ns),
        attributes=_root_attributes(run),
        error=_error_description(run, show),
    )
    if (script := _script(run, root, show)) is not None:
        root.children.append(script)
    tokens, loaded = 0, list[str]()
    if conversation is not None:
        book = Book(show, details or {}, in_ledger=run.execution_id is not None)
        _add_conversation(run, conversation, root, book, steps)
        tokens, loaded = _tokens_on_chats(run, book), book.skills
    if script is not None:
        root.attributes[sc.HERMES_CRON_RUN_SCRIPT_TIME] = (script.end - script.start) / 1e9
    if steps is not sc.Steps.COMPLETE:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(steps)
    links = [(source, sc.RELATION_CONTEXT_FROM) for source in sources]
    if previous is not None:
        links.insert(0, (previous, sc.RELATION_PREVIOUS_RUN))
    spans = _to_spans(root, run, tuple(_link(*link) for link in links))
    is_whole = len(spans) < MAX_SPANS
    _add_rest(run, root, tokens if is_whole else tokens_on(spans), loaded)
    return spans


def _shown(
    run: Run, conversation: Conversation | None, content: ContentPolicy | None
) -> ContentPolicy | None:
    """Under which limit its content goes along; None when it stays at home."""
    if content is None or not content.includes(run):
        return None
    return content if conversation is None else content.fitted(conversation)


def _add_conversation(
    run: Run, conversation: Conversation, root: Step, book: Book, steps: sc.Steps
) -> None:
    agent = build_agent(conversation, root, book)
    for script in root.children:
        script.end = min(script.end, agent.step.start)
    if run.execution_id is not None:  # without the ledger the run begins with its agent
        ready = max((script.end for script in root.children), default=root.start)
        root.attributes[sc.HERMES_CRON_RUN_STARTUP_TIME] = (agent.step.start - ready) / 1e9
    root.children.append(agent.step)
    if run.failed and not agent.answered:
        agent.step.error = root.error
        agent.step.attributes[sc.ERROR_TYPE] = root.attributes[sc.ERROR_TYPE]
    if agent.ended and (deliver := _deliver(run, agent.step, root)) is not None:
        root.children.append(deliver)
        if run.execution_id is not None:  # else the run ends with its agent, as far as is known
            root.attributes[sc.HERMES_CRON_RUN_DELIVERY_TIME] = (deliver.end - deliver.start) / 1e9
    if steps is not sc.Steps.COMPLETE:
        return
    root.attributes[sc.HERMES_CRON_RUN_TURNS] = agent.turns
    root.attributes[sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED] = agent.at_turn_limit
    if book.untimed:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Steps.UNTIMED)
    else:
        root.attributes[sc.HERMES_CRON_RUN_TOOL_TIME] = book.tool_s()
        if (model_s := book.model_s()) is not None:
            root.attributes[sc.HERMES_CRON_RUN_MODEL_TIME] = model_s


def _tokens_on_chats(run: Run, book: Book) -> int:
    """How many stand there. When hooks told of more than the host counted, none do: the run's sum is
    the host's, and parts that exceed it are no parts of it."""
    tokens = tokens_on(book.chats)
    if run.usage is None or tokens <= run.usage.total_tokens:
        return tokens
    for chat in book.chats:
        for name in sc.GEN_AI_USAGE:
            chat.attributes.pop(name, None)
    return 0


def _add_rest(run: Run, root: Step, tokens: int, loaded: list[str]) -> None:
    """What the root says beside its steps: the tokens that stand on no chat, all skills."""
    if run.usage is not None and run.usage.total_tokens > tokens:
        root.attributes[sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS] = run.usage.total_tokens - tokens
    skills = dict.fromkeys(filter(None, (*map(value_text, run.skills), *loaded)))
    if skills:
        root.attributes[sc.HERMES_CRON_RUN_SKILLS] = tuple(skills)


def error_type(run: Run) -> str | None:
    """`error.type` of a run, on its span and its metrics: from the closed list, None on success."""
    if not run.failed:
        return None
    # str(): whoever fills a run may hand over the enumeration, and the wire knows only text.
    return str(run.error_type if run.error_type in _ERROR_TYPES else ErrorType.OTHER)


_ERROR_TYPES = frozenset(map(str, ErrorType))


def job_label(run: Run) -> str:
    """`hermes.cron.job.name`: the name as it was at the run, the id of a nameless job."""
    return value_text(run.job_name) or value_text(run.job_id) or "unknown"


# --- the root -----------------------------------------------------------------------------------


def _root_attributes(run: Run) -> Attributes:
    job_name, run_id = job_label(run), value_text(run.run_id)
    session_id = value_text(run.session_id)
    values: dict[str, AttributeValue | None] = {
        sc.HERMES_CRON_JOB_ID: value_text(run.job_id),
        sc.HERMES_CRON_JOB_NAME: job_name,
        sc.HERMES_CRON_JOB_MODE: _plain(run.mode),
        sc.HERMES_CRON_JOB_SKILLS: tuple(filter(None, map(value_text, run.skills))) or None,
        sc.HERMES_CRON_SCHEDULE_KIND: _plain(run.schedule_kind),
        sc.HERMES_CRON_SCHEDULE_EXPRESSION: value_text(run.schedule_expression),
        sc.HERMES_CRON_SCHEDULE_TIMEZONE: value_text(run.schedule_timezone),
        sc.HERMES_CRON_RUN_ID: run_id,
        sc.HERMES_CRON_RUN_OUTCOME: str(run.outcome),
        sc.HERMES_CRON_RUN_OUTCOME_SOURCE: str(run.outcome_source),
        sc.HERMES_CRON_RUN_TIME_SOURCE: None
        if run.outcome is Outcome.MISSED
        else _plain(run.time_source),
        sc.HERMES_CRON_RUN_TRIGGER: _plain(run.trigger),
        sc.HERMES_CRON_RUN_SCHEDULED_TIME: _iso(run.scheduled_ns),
        sc.HERMES_CRON_RUN_LATENESS: run.lateness_s,
        sc.HERMES_CRON_RUN_QUEUE_TIME: run.queue_s,
        sc.HERMES_CRON_RUN_API_CALLS: run.api_calls,
        sc.HERMES_CRON_RUN_TOOL_CALLS: run.tool_calls,
        sc.HERMES_CRON_RUN_SUBAGENTS: run.subagents,
        sc.HERMES_CRON_RUN_SILENT: run.silent,
        sc.HERMES_CRON_RUN_SKIP_REASON: _plain(run.skip_reason),
        sc.HERMES_CRON_RUN_MISSED_COUNT: run.missed_count,
        sc.HERMES_CRON_RUN_SCHEDULER_DOWN: run.scheduler_down,
        sc.HERMES_CRON_COST_TOTAL: run.known_cost_usd,
        sc.HERMES_CRON_COST_STATUS: _plain(run.cost_status),
        sc.HERMES_CRON_MODEL_NAME: value_text(run.model),
        sc.HERMES_CRON_MODEL_PROVIDER: value_text(run.provider),
        sc.HERMES_CRON_DELIVERY_OUTCOME: _plain(run.delivery_outcome),
        sc.HERMES_CRON_DELIVERY_TARGET: error_text(run.delivery_target),
        sc.HERMES_CRON_DELIVERY_ERROR: error_text(run.delivery_error),
        sc.ERROR_TYPE: error_type(run),
        sc.SESSION_ID: session_id,
        sc.GEN_AI_CONVERSATION_ID: session_id,
        sc.FAAS_INVOCATION_ID: run_id,
        sc.CICD_PIPELINE_NAME: job_name,
        sc.CICD_PIPELINE_ACTION_NAME: sc.ACTION_RUN,
        sc.CICD_PIPELINE_RUN_ID: run_id,
        sc.CICD_PIPELINE_RESULT: sc.CICD_RESULT[run.outcome],
    }  # fmt: skip
    if run.trigger in (Trigger.SCHEDULE, Trigger.CATCH_UP):
        values[sc.FAAS_TRIGGER] = sc.TRIGGER_TIMER
        values[sc.FAAS_TIME] = values[sc.HERMES_CRON_RUN_SCHEDULED_TIME]
        values[sc.FAAS_CRON] = _cron_expression(run)
    if run.usage is not None:
        values |= _run_usage(run.usage)
    return {name: value for name, value in values.items() if value is not None}


def _run_usage(usage: Usage) -> Attributes:
    return {
        sc.HERMES_CRON_USAGE_INPUT_TOKENS: usage.input_tokens,
        sc.HERMES_CRON_USAGE_OUTPUT_TOKENS: usage.output_tokens,
        sc.HERMES_CRON_USAGE_CACHE_READ_TOKENS: usage.cache_read_tokens,
        sc.HERMES_CRON_USAGE_CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        sc.HERMES_CRON_USAGE_REASONING_TOKENS: usage.reasoning_tokens,
        sc.HERMES_CRON_USAGE_TOTAL_TOKENS: usage.total_tokens,
    }


def _plain(
    value: Mode
    | ScheduleKind
    | SkipReason
    | TimeSource
    | Trigger
    | CostStatus
    | DeliveryOutcome
    | None,
) -> str | None:
    """Of an enumeration, the text itself: the wire knows no subclass of `str`."""
    return None if value is None else str(value)


def _error_description(run: Run, show: ContentPolicy | None) -> str | None:
    """The status description of a failed run, masked and cut; None for status UNSET."""
    if not run.failed:
        return None
    said = run.error_message if show is not None else without_stdout(run.error_message)
    return error_text(said) or sc.OUTCOME_MEANING[run.outcome]


_CRON_FIELD = r"(?:[\d*?/,#LW-]|(?:MON|TUE|WED|THU|FRI|SAT|SUN|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC))+"
_CRON = re.compile(rf"@\w+|{_CRON_FIELD}(?:\s+{_CRON_FIELD}){{4,5}}", re.IGNORECASE)


def _cron_expression(run: Run) -> str | None:
    """The schedule if it is written as a cron expression: its owner may have written words."""
    text = (value_text(run.schedule_expression) or "").strip()
    is_cron = run.schedule_kind is ScheduleKind.CRON and _CRON.fullmatch(text) is not None
    return text if is_cron else None


def _iso(time_ns: int | None) -> str | None:
    """ISO 8601 in UTC; None also for a time beyond the calendar."""
    if time_ns is None:
        return None
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.replace(tzinfo=None).isoformat() + "Z"


# --- beside the agent ---------------------------------------------------------------------------


def _script(run: Run, root: Step, show: ContentPolicy | None) -> Step | None:
    """A script job's script, or the gate that skipped an agent's run: all of the run's time. The
    script before an agent: until it was done."""
    is_all = run.mode is Mode.SCRIPT or run.outcome is Outcome.SKIPPED
    if run.outcome is Outcome.MISSED or not (is_all or run.script_ended_ns is not None):
        return None
    attributes: Attributes = {}
    if run.script_exit_code is not None:
        attributes[sc.PROCESS_EXIT_CODE] = run.script_exit_code
    error = None
    if is_all or is_of_script(run.error_message):
        error = root.error
        if (failure := error_type(run)) is not None:
            attributes[sc.ERROR_TYPE] = failure
    elif run.script_exit_code:  # and then something else failed too
        error = f"Script exited with code {run.script_exit_code}"
        attributes[sc.ERROR_TYPE] = str(ErrorType.SCRIPT_FAILED)
    if show is not None and (stderr := stderr_of(run.error_message)) is not None:
        attributes[sc.HERMES_CRON_SCRIPT_STDERR] = masked_and_cut(stderr, show.max_chars)
    ended_ns = run.script_ended_ns
    return Step(
        path=(sc.SPAN_SCRIPT,),
        name=sc.SPAN_SCRIPT,
        kind=SpanKind.INTERNAL,
        start=root.start,
        end=root.end if is_all or ended_ns is None else root.clamp(ended_ns),
        attributes=attributes,
        error=error,
    )


def _deliver(run: Run, after: Step, root: Step) -> Step | None:
    """The host delivers after the session's end and before the run's: no closer time is written."""
    outcome = run.delivery_outcome
    if outcome not in (DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED):
        return None
    attributes: Attributes = {sc.HERMES_CRON_DELIVERY_OUTCOME: str(outcome)}
    if target := error_text(run.delivery_target):
        attributes[sc.HERMES_CRON_DELIVERY_TARGET] = target
    error = None
    if outcome is DeliveryOutcome.FAILED:
        attributes[sc.ERROR_TYPE] = str(classify(run.delivery_error or ""))
        error = error_text(run.delivery_error) or "The host gave no reason."
    return Step(
        path=(sc.SPAN_DELIVER,),
        name=named(sc.SPAN_DELIVER, _platforms(target)),
        kind=SpanKind.PRODUCER,
        start=after.end,
        end=root.end,
        attributes=attributes,
        error=error,
    )


def _platforms(target: str | None) -> str | None:
    """`telegram` of `telegram:-100123`; several are joined. A chat's id belongs in no span name."""
    names = (part.partition(":")[0].strip() for part in (target or "").split(","))
    plain = dict.fromkeys(name for name in names if _PLATFORM.fullmatch(name))
    return name_text(",".join(plain))


_PLATFORM = re.compile(r"[\w.-]{1,32}", re.ASCII)


# --- spans --------------------------------------------------------------------------------------


def _to_spans(root: Step, run: Run, links: tuple[SpanLink, ...]) -> list[Span]:
    """Depth first, so that what is cut at `MAX_SPANS` leaves no span without its parent."""
    trace = ids.trace_id(run.profile, run.identity)
    id_of = ids.span_ids(run.profile, run.identity)
    spans: list[Span] = []
    ahead: list[tuple[Step, int | None]] = [(root, None)]
    while ahead and len(spans) < MAX_SPANS:
        step, parent_id = ahead.pop()
        span_id = id_of(step.path)
        spans.append(
            Span(
                trace,
                span_id,
                parent_id,
                step.name,
                step.kind,
                step.start,
                step.end,
                step.attributes,
                step.error,
                links if parent_id is None else (),
                step.events,
            )
        )
        if step.children:
            ahead.extend((child, span_id) for child in reversed(step.children))
    if ahead:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Steps.TRUNCATED)
    return spans


def _link(to: Run, relation: str) -> SpanLink:
    return SpanLink(
        trace_id=ids.trace_id(to.profile, to.identity),
        span_id=ids.span_id(to.profile, to.identity),
        attributes={sc.HERMES_CRON_LINK_RELATION: relation},
    )
