"""One run, one trace: the root from the run's facts, the steps from the times of its messages.

Pure functions of what they are given: the same run gives the same spans, ids included, wherever
and however often it is built. Whatever the clocks did, every span lies within its parent, siblings
are ordered by start, and no duration is negative: a time outside is moved to the nearest one inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...domain.errors import without_stdout
from ...model import (
    Conversation,
    Observations,
    Run,
    RunKey,
    Span,
    SpanKind,
    SpanLink,
)
from .. import ids
from .. import semconv as sc
from ..content import ContentPolicy, error_text, name_text, value_text
from .agent import build_agent
from .run_attributes import run_attributes
from .script_and_delivery import delivery_step, script_step
from .steps import Step, TraceContext, named, tokens_on, within

MAX_SPANS = 2_000
"""The most spans of one trace. Later steps are left out, and the root says `truncated`."""

_LAST_NS = 2**63 - 1


def build_trace(
    run: Run,
    conversation: Conversation | None,
    *,
    partial: sc.Partial | None = None,
    previous: Run | RunKey | None = None,
    sources: Sequence[Run | RunKey] = (),
    content: ContentPolicy | None = None,
    observations: Mapping[str, Observations] | None = None,
) -> list[Span]:
    """Return the spans of a finished run: the root first, parents before children, at most `MAX_SPANS`.

    `conversation` is the run's session with everything below it; None when there is none (a
    script, a gate) or when it cannot be shown: `partial` then says why. `previous` is the job's
    run before this one and `sources` are those whose outputs it was given, for the links. Without a
    content policy no content goes along. `observations` are those of the run's sessions, by session
    id.
    """
    content = _content_of(run, conversation, content)
    root = _root(run, content)
    script = script_step(run, root, content)
    if script is not None:
        root.children.append(script)
    context = TraceContext(content, observations or {})
    tokens = 0
    if conversation is not None:
        _add_agent(run, conversation, root, context, is_whole=partial is None)
        tokens = _tokens_on_chats(run, context)
    if script is not None:
        script_s = (script.end_ns - script.start_ns) / 1e9
        root.attributes[sc.HERMES_CRON_RUN_SCRIPT_TIME] = script_s
    if partial is not None:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(partial)
    spans = _to_spans(root, run, _links(previous, sources))
    _put_unattributed(run, root, tokens_on(spans) if len(spans) == MAX_SPANS else tokens)
    if run.skills or context.skills:
        _put_skills(run, root, context.skills)
    return spans


def _content_of(
    run: Run, conversation: Conversation | None, content: ContentPolicy | None
) -> ContentPolicy | None:
    """Return the policy for this run's content, with a limit that fits; None when none goes along."""
    if content is None or not content.includes(run):
        return None
    return content if conversation is None else content.limited_to(conversation)


# --- the root -----------------------------------------------------------------------------------


def _root(run: Run, content: ContentPolicy | None) -> Step:
    start_ns = within(0, _LAST_NS, run.started_ns)
    return Step(
        path=(),
        name=named(sc.SPAN_CRON, name_text(run.job_name) or name_text(run.job_id)),
        kind=SpanKind.SERVER,
        start_ns=start_ns,
        end_ns=within(start_ns, _LAST_NS, run.ended_ns),
        attributes=run_attributes(run),
        error=_error_description(run, content) if run.failed else None,
    )


def _error_description(run: Run, content: ContentPolicy | None) -> str:
    """Return the status description of a failed run, masked and cut."""
    text = run.error_message if content is not None else without_stdout(run.error_message)
    return error_text(text) or sc.OUTCOME_MEANING[run.outcome]


def _put_unattributed(run: Run, root: Step, tokens: int) -> None:
    """Add how many of the run's tokens stand on no chat."""
    if run.usage is not None and run.usage.total_tokens > tokens:
        unattributed = run.usage.total_tokens - tokens
        root.attributes[sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS] = unattributed


def _put_skills(run: Run, root: Step, loaded: list[str]) -> None:
    """Add the job's skills, and those that agents loaded."""
    skills = dict.fromkeys(filter(None, (*map(value_text, run.skills), *loaded)))
    if skills:
        root.attributes[sc.HERMES_CRON_RUN_SKILLS] = tuple(skills)


# --- the agent ----------------------------------------------------------------------------------


def _add_agent(
    run: Run, conversation: Conversation, root: Step, context: TraceContext, *, is_whole: bool
) -> None:
    """Add the run's agent, its delivery, and to the root what they show of the run's time."""
    agent = build_agent(conversation, root, context)
    ready_ns = root.start_ns
    for script in root.children:
        script.end_ns = min(script.end_ns, agent.step.start_ns)
        ready_ns = max(ready_ns, script.end_ns)
    root.children.append(agent.step)
    if run.failed and not agent.answered:
        agent.step.error = root.error
        agent.step.attributes[sc.ERROR_TYPE] = root.attributes[sc.ERROR_TYPE]
    if run.execution_id is not None:  # without the ledger the run begins with its agent
        startup_s = (agent.step.start_ns - ready_ns) / 1e9
        root.attributes[sc.HERMES_CRON_RUN_STARTUP_TIME] = startup_s
    if agent.ended and (delivery := delivery_step(run, agent.step, root)) is not None:
        root.children.append(delivery)
        if run.execution_id is not None:  # without the ledger the run ends with its agent
            delivery_s = (delivery.end_ns - delivery.start_ns) / 1e9
            root.attributes[sc.HERMES_CRON_RUN_DELIVERY_TIME] = delivery_s
    if is_whole:
        root.attributes[sc.HERMES_CRON_RUN_TURNS] = agent.turns
        root.attributes[sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED] = agent.at_turn_limit
        _put_times(root, context)


def _put_times(root: Step, context: TraceContext) -> None:
    """Add the time in models and in tools, where the steps have times."""
    if context.has_untimed_steps:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Partial.UNTIMED)
        return
    model_s, tool_s = context.model_and_tool_s()
    root.attributes[sc.HERMES_CRON_RUN_TOOL_TIME] = tool_s
    if model_s is not None:
        root.attributes[sc.HERMES_CRON_RUN_MODEL_TIME] = model_s


def _tokens_on_chats(run: Run, context: TraceContext) -> int:
    """Return how many tokens stand on chats; take them all off when the host counted fewer.

    The run's sum is the host's, and parts that exceed it are no parts of it.
    """
    tokens = tokens_on(context.chats)
    if run.usage is None or tokens <= run.usage.total_tokens:
        return tokens
    for chat in context.chats:
        for name in sc.GEN_AI_USAGE:
            chat.attributes.pop(name, None)
    return 0


# --- spans --------------------------------------------------------------------------------------


def _to_spans(root: Step, run: Run, links: tuple[SpanLink, ...]) -> list[Span]:
    """Return the spans depth first, so that a cut at `MAX_SPANS` leaves no span without its parent."""
    trace_id = ids.trace_id(run.profile, run.identity)
    id_of = ids.span_ids(run.profile, run.identity)
    spans: list[Span] = []
    ahead: list[tuple[Step, int | None]] = [(root, None)]
    while ahead and len(spans) < MAX_SPANS:
        step, parent_id = ahead.pop()
        span_id = id_of(step.path)
        spans.append(
            Span(
                trace_id,
                span_id,
                parent_id,
                step.name,
                step.kind,
                step.start_ns,
                step.end_ns,
                step.attributes,
                step.error,
                links if parent_id is None else (),
                step.events,
            )
        )
        if step.children:
            ahead.extend((child, span_id) for child in reversed(step.children))
    if ahead:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Partial.TRUNCATED)
    return spans


def _links(previous: Run | RunKey | None, sources: Sequence[Run | RunKey]) -> tuple[SpanLink, ...]:
    links = [_link(source, sc.RELATION_CONTEXT_FROM) for source in sources]
    if previous is not None:
        links.insert(0, _link(previous, sc.RELATION_PREVIOUS_RUN))
    return tuple(links)


def _link(to: Run | RunKey, relation: str) -> SpanLink:
    return SpanLink(
        trace_id=ids.trace_id(to.profile, to.identity),
        span_id=ids.span_id(to.profile, to.identity),
        attributes={sc.HERMES_CRON_LINK_RELATION: relation},
    )
