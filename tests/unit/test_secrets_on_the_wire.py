"""Known forms of secrets, thrown at every path that a text can take to the wire.

The records are filled by their types, field by field: a field that is added is thrown at, too. And the
registry is walked: an attribute of text that no test reaches fails one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from cronalytics_otel.config import Settings, load_settings
from cronalytics_otel.export.otlp.spans import span_converter
from cronalytics_otel.model import (
    ApiError,
    AttributeValue,
    Conversation,
    DeliveryOutcome,
    Message,
    Mode,
    ModelCall,
    Observations,
    Outcome,
    Run,
    ScheduleKind,
    Span,
    ToolCall,
    Trigger,
)
from cronalytics_otel.redaction import MASK, mask
from cronalytics_otel.telemetry import semconv as sc
from cronalytics_otel.telemetry.content import (
    error_text,
    masked_and_cut,
    messages_json,
    name_text,
    value_text,
)
from cronalytics_otel.telemetry.resource import build_resource, with_settings
from cronalytics_otel.telemetry.traces.trace import build_trace
from tests.support.filled import filled, filled_arguments
from tests.support.secrets import SECRETS, Secret
from tests.support.traces import FULL, at

every_secret = pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())


def forms(secret: Secret) -> dict[str, str]:
    """The ways in which it stands in a text."""
    lines = f"first line\n{secret.text}\nlast line"
    once = json.dumps({"text": lines})
    return {
        "alone": secret.text,
        "in prose": f"It failed with {secret.text} today.",
        "in brackets": f"({secret.text})",
        "in Chinese": f"\u5bc6\u94a5 {secret.text}\uff0c\u5931\u8d25",
        "in lines": lines,
        "in JSON": once,
        "in JSON in JSON": json.dumps({"arguments": once, "n": [1]}),
        "in JSON for HTML": once.replace("&", "\\u0026").replace("=", "\\u003d"),
        "in JSON in JSON for HTML": json.dumps({"a": once.replace("=", "\\u003D")}),
    }


# --- the trace -----------------------------------------------------------------------------


def a_conversation(text: str, session_id: str, **facts: object) -> Conversation:
    """With a message of each role, of which all know the same tool call."""
    roles = ("system", "user", "assistant", "tool", "assistant", text)
    messages = tuple(
        filled(Message, text, role=role, timestamp_ns=at(2 + n), is_copy=False)
        for n, role in enumerate(roles)
    )
    loads = ToolCall(call_id="c", name="skill_view", arguments=json.dumps({"name": text}))
    messages += (Message(role="assistant", timestamp_ns=at(8), content=text, tool_calls=(loads,)),)
    return filled(
        Conversation,
        text,
        session_id=session_id,
        resumed_ns=None,
        started_ns=at(2),
        ended_ns=at(9),
        messages=messages,
        **facts,
    )


def a_family(text: str) -> Conversation:
    """An agent that was continued under another id, and a subagent."""
    children = (
        a_conversation(text, f"{text} again", is_subagent=False, children=()),
        a_conversation(text, f"{text} below", is_subagent=True, children=()),
    )
    return a_conversation(text, text, is_subagent=False, children=children)


def a_fallback(text: str) -> Observations:
    """What hooks observed, in the course of which another model took over."""
    observed = filled(Observations, text)
    call = filled(ModelCall, text)
    later = replace(call, started_ns=at(3.5), model=f"{text} 2", provider=f"{text} 2")
    return replace(observed, attempts=(call, filled(ApiError, text), later))


def runs(text: str) -> Iterator[Run]:
    """One of each kind, scheduled by cron, with the text wherever a run has one."""
    for outcome, mode, delivery in itertools.product(
        Outcome, Mode, (DeliveryOutcome.DELIVERED, DeliveryOutcome.FAILED)
    ):
        error = text if mode is Mode.AGENT else f"Script exited with code 3\nstderr:\n{text}"
        yield filled(
            Run, text, outcome=outcome, mode=mode, delivery_outcome=delivery, started_ns=at(0),
            ended_ns=at(10), trigger=Trigger.SCHEDULE, schedule_kind=ScheduleKind.CRON,
            error_message=error, declared_model=f"{text} 2",
        )  # fmt: skip


_KINDS_WITH_EVERY_SPAN = {
    (Outcome.FAILURE, Mode.AGENT, DeliveryOutcome.FAILED),
    (Outcome.FAILURE, Mode.SCRIPT, DeliveryOutcome.DELIVERED),
}
"""The kinds of runs that between them have every span."""


def traces(text: str, *, all_kinds: bool = False) -> Iterator[list[Span]]:
    arguments = filled_arguments(build_trace, text) | {
        "content": FULL, "partial": None, "observations": {text: a_fallback(text)},
    }  # fmt: skip
    for run in runs(text):
        kind = (run.outcome, run.mode, run.delivery_outcome)
        if all_kinds or kind in _KINDS_WITH_EVERY_SPAN:
            conversation = a_family(text) if run.mode is Mode.AGENT else None
            yield build_trace(**arguments | {"run": run, "conversation": conversation})


def on_the_wire(spans: list[Span], resource: Mapping[str, AttributeValue] | None = None) -> str:
    """All that the encoder makes of them, as text."""
    convert = span_converter(resource or {}, scope_version="0")
    encoded: bytes = encode_spans([convert(span) for span in spans]).SerializeToString()
    return encoded.decode("utf-8", "replace")


@every_secret
def test_no_secret_is_anywhere_in_a_trace(secret: Secret) -> None:
    for form, text in forms(secret).items():
        for spans in traces(text):
            wire = on_the_wire(spans)
            assert MASK in wire
            assert secret.leaks_into(wire) is None, form


def test_no_secret_is_in_a_trace_of_any_kind_of_run() -> None:
    secret = SECRETS["github classic"]
    for spans in traces(secret.text, all_kinds=True):
        assert secret.leaks_into(on_the_wire(spans)) is None


def _attributes(span: Span) -> Iterator[Mapping[str, AttributeValue]]:
    yield span.attributes
    yield from (link.attributes for link in span.links)
    yield from (event.attributes for event in span.events)


_NO_TEXT = {
    sc.HERMES_CRON_RUN_SCHEDULED_TIME: "a time",
    sc.HERMES_CRON_RUN_MISSED_SINCE: "a time",
}


def test_every_attribute_of_text_has_been_thrown_at() -> None:
    """An attribute that is added and is not reached here has to be led here."""
    reached = {
        name
        for spans in traces(f"a {SECRETS['github classic'].text} b", all_kinds=True)
        for span in spans
        for attributes in _attributes(span)
        for name, value in attributes.items()
        if MASK in str(value)
    }
    of_text = {
        attribute.name
        for attribute in sc.ATTRIBUTES
        if attribute.type in (sc.ValueType.STRING, sc.ValueType.STRINGS)
        and not attribute.values
        and not set(attribute.where) <= {sc.Where.RESOURCE, sc.Where.DOCTOR, sc.Where.METRIC}
    }
    assert of_text - reached == set(_NO_TEXT)


# --- the resource --------------------------------------------------------------------------


def test_names_of_machine_and_profile_are_masked_and_the_owners_own_attributes_are_not(
    tmp_path: Path,
) -> None:
    """What is in OTEL_RESOURCE_ATTRIBUTES is there to be sent."""
    secret = SECRETS["github classic"].text
    settings = replace(
        load_settings(tmp_path, {}), resource_attributes={"team": secret}, service_name="cron"
    )
    built = build_resource(profile=secret, hermes_version=None, hostname=secret, instance_id=None)
    resource = with_settings(built, settings)
    assert {name for name, value in resource.attributes if secret in str(value)} == {"team"}


# --- texts ---------------------------------------------------------------------------------


@every_secret
def test_a_cut_leaves_no_rest_of_a_secret(secret: Secret) -> None:
    """Wherever the limit falls."""
    text = f"it said {secret.text} and more"
    message = Message(role="user", timestamp_ns=1, content=text)
    for limit in range(1, len(text) + 2):
        assert secret.leaks_into(masked_and_cut(text, limit)) is None
        assert secret.leaks_into(messages_json((message, message), limit) or "") is None


@every_secret
def test_a_secret_before_and_after_whatever_bound_is_not_told(secret: Secret) -> None:
    for length in (100, 110, 120, 127, 480, 500, 511, 1_900, 1_980, 1_999):
        text = f"{'word ' * (length // 5)}{secret.text}"
        for text_of in (name_text, value_text, error_text):
            assert secret.leaks_into(text_of(text) or "") is None


@pytest.mark.parametrize(
    "name", sorted(SECRETS.keys() - {"pem cut off"})
)  # of that, no end is known
def test_json_with_a_secret_in_it_stays_json(name: str) -> None:
    secret = SECRETS[name]
    for form in ("in JSON", "in JSON in JSON", "in JSON in JSON for HTML"):
        json.loads(mask(forms(secret)[form]))


@every_secret
def test_masking_twice_changes_nothing_more_of_any_form(secret: Secret) -> None:
    for text in forms(secret).values():
        assert mask(mask(text)) == mask(text)


# --- settings ------------------------------------------------------------------------------


@every_secret
def test_no_problem_of_the_settings_shows_a_secret(secret: Secret, tmp_path: Path) -> None:
    """A key that stands in the wrong line."""
    wrong = ("flush_timeout", "content", "content_jobs", "content_max_chars", "destinations")
    for option in (*wrong, secret.text):
        document = {"plugins": {"entries": {"cronalytics-otel": {option: secret.text}}}}
        (tmp_path / "config.yaml").write_text(json.dumps(document))
        settings: Settings = load_settings(tmp_path, {"HERMES_TIMEZONE": secret.text})
        assert settings.problems
        assert secret.leaks_into("\n".join(settings.problems)) is None, option
