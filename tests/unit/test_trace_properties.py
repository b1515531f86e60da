"""What holds for the trace of any run whatever, with clocks that do what they want."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.model import (
    AttributeValue,
    Conversation,
    Observations,
    Outcome,
    Run,
    Span,
    SpanEvent,
)
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import ContentMode, ContentPolicy
from cronalytics_otel.telemetry.traces.trace import build_trace
from tests import strategies
from tests.support.semconv import EVENT_IS_ON, fits
from tests.support.traces import (
    FULL,
    SECOND,
    check_shape,
)

any_trace = st.builds(
    build_trace,
    run=strategies.runs,
    conversation=st.one_of(st.none(), strategies.conversations),
    previous=st.one_of(st.none(), strategies.runs),
    sources=st.lists(strategies.runs, max_size=2),
    partial=st.sampled_from([None, *sc.Partial]),
    observations=strategies.observations,
    content=st.sampled_from([None, FULL, ContentPolicy(mode=ContentMode.ERRORS, max_chars=9)]),
)


_REGISTERED = {attribute.name: attribute for attribute in sc.ATTRIBUTES}


def _check_names(attributes: dict[str, AttributeValue], where: sc.Where) -> None:
    for name, value in attributes.items():
        attribute = _REGISTERED[name]
        assert where in attribute.where, (where, name)
        assert fits(attribute.type, value), (name, value)
        assert value not in ("", ()), name
        if isinstance(value, str):
            value.encode("utf-8")
            assert not attribute.values or value in attribute.values, (name, value)


@given(any_trace)
def test_any_trace_is_a_tree_in_time(spans: list[Span]) -> None:
    check_shape(spans)


@given(any_trace)
def test_any_trace_has_registered_names_of_the_registered_types(spans: list[Span]) -> None:
    kinds = {form.where: form.kind for form in sc.SPANS}
    for span in spans:
        where = sc.Where(span.name.split(" ")[0])
        assert span.kind is kinds[where]
        _check_names(span.attributes, where)
        span.name.encode("utf-8")
        assert "\n" not in span.name
        assert (span.error is None) == (sc.ERROR_TYPE not in span.attributes)
        (span.error or "").encode("utf-8")
        for link in span.links:
            _check_names(link.attributes, sc.Where.LINK)
        for event in span.events:
            _check_event(event, span, where)


def _check_event(event: SpanEvent, span: Span, where: sc.Where) -> None:
    _check_names(event.attributes, sc.Where(event.name))
    (form,) = [form for form in sc.EVENTS if form.where == event.name]
    assert where in EVENT_IS_ON[form.where]
    assert span.start_ns <= event.time_ns <= span.end_ns


@given(
    run=strategies.runs, conversation=strategies.conversations, observations=strategies.observations
)
def test_a_run_seen_live_has_the_same_tree_as_one_read_afterwards(
    run: Run, conversation: Conversation, observations: dict[str, Observations]
) -> None:
    """Hooks make times, usage and errors exact. They take no span away, and add none but the calls that
    failed for good: messages do not show these."""

    def ids(spans: list[Span]) -> dict[int, tuple[int | None, str]]:
        return {s.span_id: (s.parent_id, s.name.split(" ")[0]) for s in spans}

    live = build_trace(run, conversation, observations=observations)
    afterwards = ids(build_trace(run, conversation))
    failed = [s for s in live if s.span_id not in afterwards]
    assert {k: v for k, v in ids(live).items() if k in afterwards} == afterwards
    assert all(s.name.startswith("chat") and s.error is not None for s in failed)
    assert len({s.parent_id for s in failed}) == len(failed)  # an agent ends with it
    assert not {s.span_id for s in failed} & {s.parent_id for s in live}


@given(
    run=strategies.runs,
    conversation=st.one_of(st.none(), strategies.conversations),
    observations=strategies.observations,
)
def test_the_root_says_how_many_of_its_tokens_stand_on_no_call(
    run: Run, conversation: Conversation | None, observations: dict[str, Observations]
) -> None:
    root, *steps = build_trace(run, conversation, observations=observations)
    on_calls = sum(
        value
        for span in steps
        for name in (sc.GEN_AI_USAGE_INPUT_TOKENS, sc.GEN_AI_USAGE_OUTPUT_TOKENS)
        if isinstance(value := span.attributes.get(name), int)
    )
    total = run.usage.total_tokens if run.usage else 0
    rest = root.attributes.get(sc.HERMES_CRON_USAGE_UNATTRIBUTED_TOKENS)
    is_some = total > on_calls and run.outcome is not Outcome.MISSED
    assert rest == (total - on_calls if is_some else None)


@given(run=strategies.runs, conversation=strategies.conversations)
def test_any_trace_is_built_the_same_again(run: Run, conversation: Conversation) -> None:
    assert build_trace(run, conversation) == build_trace(run, conversation)


@given(run=strategies.runs, conversation=strategies.conversations)
def test_the_parts_of_a_runs_time_are_not_more_than_the_whole(
    run: Run, conversation: Conversation
) -> None:
    root = build_trace(run, conversation)[0]
    parts = [
        value
        for name in (
            sc.HERMES_CRON_RUN_SCRIPT_TIME,
            sc.HERMES_CRON_RUN_STARTUP_TIME,
            sc.HERMES_CRON_RUN_MODEL_TIME,
            sc.HERMES_CRON_RUN_TOOL_TIME,
            sc.HERMES_CRON_RUN_DELIVERY_TIME,
        )
        if isinstance(value := root.attributes.get(name), float)
    ]
    whole = (root.end_ns - root.start_ns) / SECOND
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= whole * (1 + 1e-9) + 1e-9


@given(
    run=strategies.runs, conversation=strategies.conversations, observations=strategies.observations
)
def test_the_costs_of_calls_are_part_of_the_run_s(
    run: Run, conversation: Conversation, observations: dict[str, Observations]
) -> None:
    spans = build_trace(run, conversation, observations=observations)
    costs = [s.attributes.get(sc.HERMES_CRON_STEP_COST) for s in spans]
    known = [cost for cost in costs if isinstance(cost, float)]
    assert sum(known) <= (run.known_cost_usd or 0.0) * (1 + 1e-9)


@given(run=strategies.runs, conversation=strategies.conversations)
def test_a_session_counts_its_usage_at_most_once(run: Run, conversation: Conversation) -> None:
    known: dict[str, list[int]] = {}

    def collect(session: Conversation) -> None:
        tokens = session.usage.input_tokens if session.usage else 0
        known.setdefault(session.session_id, []).append(tokens)
        for child in session.children:
            collect(child)

    collect(conversation)
    spent = sum(
        value
        for span in build_trace(run, conversation)
        if isinstance(value := span.attributes.get(sc.GEN_AI_USAGE_INPUT_TOKENS), int)
    )
    assert spent <= sum(max(tokens) for tokens in known.values())
