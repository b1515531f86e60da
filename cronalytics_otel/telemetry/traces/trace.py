"""One run, one trace: the root from the run's facts, the steps from the times of its messages.

Pure functions: the same arguments give the same spans, ids included, wherever and however often a trace
is built. Whatever the clocks did, every span lies within its parent, siblings
are ordered by start, and no duration is negative: a time outside is moved to the nearest one inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...domain.errors import without_stdout
from ...model import (
    Conversation,
    Observations,
    Outcome,
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
from .run_attributes import missed_attributes, run_attributes
from .script_and_delivery import delivery_step, script_step
from .steps import Step, TraceContext, named, tokens_on, within

MAX_SPANS = 2_000
"""The most spans of one trace. Later steps are left out, and the root is marked `truncated`."""

_LAST_NS = 2**63 - 1
_ROUNDING = 1 + 1e-9
"""The same amounts added in another order may differ by so much."""


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
    content policy no content is sent. `observations` are those of the run's sessions, by session
    id.
    """
    content = _policy_for(run, conversation, content)
    if run.outcome is Outcome.MISSED:
        return _to_spans([(_missed(run, content), 0)], run, _links(previous, ()))
    root = _root(run, content)
    script = script_step(run, root, content)
    if script is not None:
        root.children.append(script)
    context = TraceContext(content, observations or {})
    tokens = 0
    if conversation is not None:
        _add_agent(run, conversation, root, context, is_whole=partial is None)
        tokens = _drop_excess_tokens(run, context)
        _drop_excess_cost(run, context)
    if script is not None:
        root.attributes[sc.HERMES_CRON_RUN_SCRIPT_TIME] = script.duration_s
    if partial is not None:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(partial)
    steps, is_cut = _first_steps(root)
    if is_cut:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Partial.TRUNCATED)
        tokens = tokens_on(step for step, _ in steps)
    _put_unattributed(run, root, tokens)
    if run.skills or context.skills:
        _put_skills(run, root, context.skills)
    return _to_spans(steps, run, _links(previous, sources))


def _policy_for(
    run: Run, conversation: Conversation | None, content: ContentPolicy | None
) -> ContentPolicy | None:
    """Return the policy for this run's content, with a limit that fits; None when no content is sent."""
    if content is None or not content.includes(run):
        return None
    return content if conversation is None else content.limited_to(conversation)


# --- the root -----------------------------------------------------------------------------------


def _root(run: Run, content: ContentPolicy | None) -> Step:
    start_ns = within(0, _LAST_NS, run.started_ns)
    return Step(
        path=(),
        name=named(sc.SPAN_CRON, _job_name(run)),
        kind=SpanKind.SERVER,
        start_ns=start_ns,
        end_ns=within(start_ns, _LAST_NS, run.ended_ns),
        attributes=run_attributes(run),
        error=_error_description(run, content) if run.failed else None,
    )


def _missed(run: Run, content: ContentPolicy | None) -> Step:
    """Return the only step of a missed run: without length, at the last time that was missed."""
    at_ns = within(0, _LAST_NS, run.ended_ns)
    return Step(
        path=(),
        name=named(sc.SPAN_MISSED, _job_name(run)),
        kind=SpanKind.SERVER,
        start_ns=at_ns,
        end_ns=at_ns,
        attributes=missed_attributes(run),
        error=_error_description(run, content),
    )


def _job_name(run: Run) -> str | None:
    return name_text(run.job_name) or name_text(run.job_id)


def _error_description(run: Run, content: ContentPolicy | None) -> str:
    """Return the status description of a failed run, masked and cut."""
    text = run.error_message if content is not None else without_stdout(run.error_message)
    return error_text(text) or sc.OUTCOME_MEANING[run.outcome]


def _put_unattributed(run: Run, root: Step, tokens: int) -> None:
    """Add the number of the run's tokens that are on no chat."""
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
    """Add the run's agent and its delivery, and to the root the times and counts that follow from them."""
    agent = build_agent(conversation, root, context)
    ready_ns = root.start_ns
    for script in root.children:
        script.end_ns = min(script.end_ns, agent.step.start_ns)
        ready_ns = max(ready_ns, script.end_ns)
    if run.execution_id is not None:  # without the ledger the run begins with its agent
        startup = _startup(ready_ns, agent.step)
        root.children.append(startup)
        root.attributes[sc.HERMES_CRON_RUN_STARTUP_TIME] = startup.duration_s
    root.children.append(agent.step)
    if run.failed and not agent.answered:
        agent.step.error = root.error
        agent.step.attributes[sc.ERROR_TYPE] = root.attributes[sc.ERROR_TYPE]
    if agent.ended and (delivery := delivery_step(run, agent.step, root)) is not None:
        root.children.append(delivery)
        if run.execution_id is not None:  # without the ledger the run ends with its agent
            root.attributes[sc.HERMES_CRON_RUN_DELIVERY_TIME] = delivery.duration_s
    if is_whole:
        root.attributes[sc.HERMES_CRON_RUN_TURNS] = agent.turns
        root.attributes[sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED] = agent.at_turn_limit
        _put_times(root, context)


def _startup(ready_ns: int, agent: Step) -> Step:
    """Return the step in which Hermes makes the agent ready."""
    return Step(
        path=(sc.SPAN_STARTUP,),
        name=sc.SPAN_STARTUP,
        kind=SpanKind.INTERNAL,
        start_ns=ready_ns,
        end_ns=agent.start_ns,
        attributes={},
    )


def _put_times(root: Step, context: TraceContext) -> None:
    """Add the time in models and in tools, where the steps have times."""
    if not context.times_are_known:
        root.attributes[sc.HERMES_CRON_TRACE_PARTIAL] = str(sc.Partial.UNTIMED)
        return
    model_s, tool_s = context.model_and_tool_s()
    root.attributes[sc.HERMES_CRON_RUN_TOOL_TIME] = tool_s
    if model_s is not None:
        root.attributes[sc.HERMES_CRON_RUN_MODEL_TIME] = model_s


def _drop_excess_tokens(run: Run, context: TraceContext) -> int:
    """Return how many tokens are on chats, after removing them all if they exceed the run's total.

    The total is the host's own count: parts that exceed it are not parts of it.
    """
    tokens = tokens_on(context.chats)
    if run.usage is None or tokens <= run.usage.total_tokens:
        return tokens
    for chat in context.chats:
        for name in sc.GEN_AI_USAGE:
            chat.attributes.pop(name, None)
    return 0


def _drop_excess_cost(run: Run, context: TraceContext) -> None:
    """Remove the cost of all chats if it exceeds the run's: then it is not a part of that."""
    costs = [chat.attributes.get(sc.HERMES_CRON_STEP_COST) for chat in context.chats]
    known = [cost for cost in costs if isinstance(cost, float)]
    if known and sum(known) > (run.known_cost_usd or 0.0) * _ROUNDING:
        for chat in context.chats:
            chat.attributes.pop(sc.HERMES_CRON_STEP_COST, None)


# --- spans --------------------------------------------------------------------------------------


def _first_steps(root: Step) -> tuple[list[tuple[Step, int]], bool]:
    """Return the first `MAX_SPANS` steps, each with its parent's place in the list, and whether more follow.

    They are in depth-first order, so that no step is without its parent. The root's own place is 0.
    """
    steps: list[tuple[Step, int]] = []
    stack = [(root, 0)]
    while stack and len(steps) < MAX_SPANS:
        step, _ = placed = stack.pop()
        if step.children:
            place = len(steps)
            stack.extend([(child, place) for child in reversed(step.children)])
        steps.append(placed)
    return steps, bool(stack)


def _to_spans(steps: list[tuple[Step, int]], run: Run, links: tuple[SpanLink, ...]) -> list[Span]:
    """Return a span for each step, given with its parent's place in the list. The links are the root's."""
    trace_id = ids.trace_id(run.profile, run.identity)
    id_of = ids.span_ids(run.profile, run.identity)
    span_ids = [id_of(step.path) for step, _ in steps]
    return [
        Span(
            trace_id,
            span_id,
            span_ids[parent] if step.path else None,
            step.name,
            step.kind,
            step.start_ns,
            step.end_ns,
            step.attributes,
            step.error,
            () if step.path else links,
            step.events,
        )
        for span_id, (step, parent) in zip(span_ids, steps, strict=True)
    ]


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
