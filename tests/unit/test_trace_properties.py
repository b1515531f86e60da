"""What holds for the trace of any run whatever, with clocks that do what they want."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.model import (
    AttributeValue,
    Conversation,
    Run,
)
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import ContentMode, ContentPolicy
from cronalytics_otel.telemetry.spans import build_trace
from tests import strategies
from tests.support.traces import (
    FULL,
    SECOND,
    check_shape,
)

any_case = {
    "run": strategies.runs,
    "conversation": st.one_of(st.none(), strategies.conversations),
    "previous": st.one_of(st.none(), strategies.runs),
    "sources": st.lists(strategies.runs, max_size=2),
    "steps": st.sampled_from(sc.Steps),
    "content": st.sampled_from([None, FULL, ContentPolicy(mode=ContentMode.ERRORS, max_chars=9)]),
}


_REGISTERED = {attribute.name: attribute for attribute in sc.ATTRIBUTES}


def _check_names(attributes: dict[str, AttributeValue], where: sc.Where) -> None:
    for name, value in attributes.items():
        attribute = _REGISTERED[name]
        assert where in attribute.where, (where, name)
        assert attribute.type.fits(value), (name, value)
        assert value not in ("", ()), name
        if isinstance(value, str):
            value.encode("utf-8")
            assert not attribute.values or value in attribute.values, (name, value)


@given(**any_case)
def test_any_trace_is_a_tree_in_time(
    run: Run,
    conversation: Conversation | None,
    previous: Run | None,
    sources: list[Run],
    steps: sc.Steps,
    content: ContentPolicy | None,
) -> None:
    spans = build_trace(
        run, conversation, steps=steps, previous=previous, sources=sources, content=content
    )
    check_shape(spans)


@given(**any_case)
def test_any_trace_has_registered_names_of_the_registered_types(
    run: Run,
    conversation: Conversation | None,
    previous: Run | None,
    sources: list[Run],
    steps: sc.Steps,
    content: ContentPolicy | None,
) -> None:
    spans = build_trace(
        run, conversation, steps=steps, previous=previous, sources=sources, content=content
    )
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
            sc.HERMES_CRON_RUN_MODEL_TIME,
            sc.HERMES_CRON_RUN_TOOL_TIME,
            sc.HERMES_CRON_RUN_DELIVERY_TIME,
        )
        if isinstance(value := root.attributes.get(name), float)
    ]
    whole = (root.end_ns - root.start_ns) / SECOND
    assert all(part >= 0 for part in parts)
    assert sum(parts) <= whole * (1 + 1e-9) + 1e-9


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
