"""The registry: the contract of names, and the documentation rendered from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cronalytics_otel.domain.errors import ErrorType
from cronalytics_otel.model import Outcome
from cronalytics_otel.telemetry import semconv as sc
from docs.render import main, render
from tests.support.semconv import fits

ROOT = Path(__file__).parents[2]

# Dashboards, alerts and users' queries stand on these: name, type, unit.
ROOT_AND_MISSED = (sc.Where.ROOT, sc.Where.MISSED)
CONTRACT: list[tuple[tuple[sc.Where, ...], str, str, str]] = [
    *((ROOT_AND_MISSED, *row) for row in (
        ("hermes.cron.job.id", "string", ""),
        ("hermes.cron.job.name", "string", ""),
        ("hermes.cron.schedule.kind", "string", ""),
        ("hermes.cron.schedule.expression", "string", ""),
        ("hermes.cron.schedule.timezone", "string", ""),
        ("hermes.cron.run.id", "string", ""),
        ("hermes.cron.run.outcome", "string", ""),
        ("hermes.cron.run.outcome_source", "string", ""),
        ("hermes.cron.run.failed", "boolean", ""),
    )),
    *(((sc.Where.MISSED,), *row) for row in (
        ("hermes.cron.run.missed_count", "int", "{run}"),
        ("hermes.cron.run.missed_since", "string", ""),
    )),
    *(((sc.Where.ROOT,), *row) for row in (
        ("hermes.cron.job.mode", "string", ""),
        ("hermes.cron.job.skills", "string[]", ""),
        ("hermes.cron.run.time_source", "string", ""),
        ("hermes.cron.run.trigger", "string", ""),
        ("hermes.cron.run.scheduled_time", "string", ""),
        ("hermes.cron.run.lateness", "double", "s"),
        ("hermes.cron.run.queue_time", "double", "s"),
        ("hermes.cron.run.startup_time", "double", "s"),
        ("hermes.cron.run.model_time", "double", "s"),
        ("hermes.cron.run.tool_time", "double", "s"),
        ("hermes.cron.run.script_time", "double", "s"),
        ("hermes.cron.run.delivery_time", "double", "s"),
        ("hermes.cron.run.api_calls", "int", "{call}"),
        ("hermes.cron.run.tool_calls", "int", "{call}"),
        ("hermes.cron.run.subagents", "int", "{agent}"),
        ("hermes.cron.run.turns", "int", "{turn}"),
        ("hermes.cron.run.silent", "boolean", ""),
        ("hermes.cron.run.skip_reason", "string", ""),
        ("hermes.cron.run.over_budget", "boolean", ""),
        ("hermes.cron.usage.input_tokens", "int", "{token}"),
        ("hermes.cron.usage.output_tokens", "int", "{token}"),
        ("hermes.cron.usage.cache_read_tokens", "int", "{token}"),
        ("hermes.cron.usage.cache_write_tokens", "int", "{token}"),
        ("hermes.cron.usage.reasoning_tokens", "int", "{token}"),
        ("hermes.cron.usage.total_tokens", "int", "{token}"),
        ("hermes.cron.cost.total", "double", "USD"),
        ("hermes.cron.cost.status", "string", ""),
        ("hermes.cron.model.name", "string", ""),
        ("hermes.cron.model.provider", "string", ""),
        ("hermes.cron.model.declared", "string", ""),
        ("hermes.cron.delivery.outcome", "string", ""),
        ("hermes.cron.delivery.target", "string", ""),
        ("hermes.cron.delivery.error", "string", ""),
        ("hermes.cron.trace.partial", "string", ""),
    )),
    *(((sc.Where.CHAT,), *row) for row in (
        ("server.address", "string", ""),
        ("hermes.cron.step.cost", "double", "USD"),
    )),
    *(((sc.Where.RESOURCE,), *row) for row in (
        ("hermes.profile.name", "string", ""),
        ("hermes.version", "string", ""),
    )),
]  # fmt: skip


def _constants() -> dict[str, str]:
    """Constant name to attribute name, of all that look like an attribute."""
    return {
        name: value
        for name, value in vars(sc).items()
        if name[0].isalpha() and name.isupper() and isinstance(value, str) and "." in value
        if not name.startswith("EVENT_") and name != "SCHEMA_URL"
    }


@pytest.mark.parametrize(("where", "name", "type_", "unit"), CONTRACT)
def test_a_name_of_the_contract_keeps_its_place_its_type_and_its_unit(
    where: tuple[sc.Where, ...], name: str, type_: str, unit: str
) -> None:
    (attribute,) = [a for a in sc.ATTRIBUTES if a.name == name]
    assert (attribute.type, attribute.unit) == (type_, unit)
    assert set(where) <= set(attribute.where)


def test_a_missed_span_carries_only_what_is_known_of_missed_runs() -> None:
    missed = {a.name for a in sc.ATTRIBUTES if sc.Where.MISSED in a.where}
    assert missed == {
        *(name for where, name, _, _ in CONTRACT if sc.Where.MISSED in where),
        "error.type",
        "hermes.cron.run.scheduler_down",
    }


def test_conventions_that_do_not_describe_a_scheduled_job_are_not_used() -> None:
    assert not [a.name for a in sc.ATTRIBUTES if a.name.startswith(("faas.", "cicd."))]


def test_every_genai_span_names_its_agent() -> None:
    where = {a.name: a.where for a in sc.ATTRIBUTES}
    assert where["gen_ai.agent.name"] == where["gen_ai.operation.name"]
    assert where["gen_ai.agent.name"] == (sc.Where.AGENT, sc.Where.CHAT, sc.Where.TOOL)


def test_each_constant_is_registered_once() -> None:
    names = [attribute.name for attribute in sc.ATTRIBUTES]
    assert sorted(names) == sorted(_constants().values())


def test_a_constant_is_named_like_its_attribute() -> None:
    for constant, name in _constants().items():
        assert constant == re.sub(r"[.]", "_", name).upper()


def test_no_name_is_also_the_namespace_of_another() -> None:
    names = {attribute.name for attribute in sc.ATTRIBUTES}
    names |= {str(event.where) for event in sc.EVENTS} - {sc.EVENT_EXCEPTION}  # OpenTelemetry's own
    nested = [(a, b) for a in names for b in names if b.startswith(f"{a}.")]
    assert nested == []


def test_a_model_call_can_be_told_by_model_and_usage_because_only_chat_has_them() -> None:
    """Backends price every span that has them."""
    for attribute in sc.ATTRIBUTES:
        if attribute.name.startswith(("gen_ai.usage.", "gen_ai.request.", "gen_ai.response.")):
            assert attribute.where == (sc.Where.CHAT,)


def test_every_kind_of_span_and_of_event_is_described_once() -> None:
    described = [form.where for form in sc.SPANS] + [form.where for form in sc.EVENTS]
    assert described == [
        w for w in sc.Where if w not in (sc.Where.RESOURCE, sc.Where.LINK, sc.Where.METRIC)
    ]
    for form in sc.SPANS:
        assert form.name == form.where or form.name.startswith(f"{form.where} {{")


def test_every_outcome_and_every_error_type_has_a_meaning() -> None:
    assert set(sc.OUTCOME_MEANING) == set(Outcome)
    assert list(sc.ERROR_MEANING) == list(ErrorType)


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (sc.ValueType.INT, 1, True),
        (sc.ValueType.INT, True, False),
        (sc.ValueType.INT, 1.0, False),
        (sc.ValueType.DOUBLE, 1.0, True),
        (sc.ValueType.DOUBLE, 1, False),
        (sc.ValueType.STRING, Outcome.SUCCESS, False),
        (sc.ValueType.STRING, "success", True),
        (sc.ValueType.STRINGS, ("a",), True),
        (sc.ValueType.STRINGS, "a", False),
    ],
)
def test_a_value_fits_only_the_type_that_goes_onto_the_wire(
    type_: sc.ValueType, value: str | float | tuple[str, ...], expected: bool
) -> None:
    assert fits(type_, value) is expected


def test_the_documentation_is_what_the_registry_says() -> None:
    assert (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8") == render()


def test_the_check_notices_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "telemetry.md"
    monkeypatch.setattr("docs.render.TARGET", target)
    assert main(["--check"]) == 1
    assert "run `python docs/render.py`" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
    target.write_text(render().replace("double", "int", 1), encoding="utf-8")
    assert main(["--check"]) == 1


def test_the_documentation_has_every_attribute() -> None:
    text = render()
    for attribute in sc.ATTRIBUTES:
        row = f"| `{attribute.name}` | {attribute.type} |"
        assert text.count(row) == len(attribute.where)
