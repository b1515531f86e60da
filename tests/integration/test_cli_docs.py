"""docs/cli.md says what the commands take and give."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cronalytics_otel.cli import add_arguments
from cronalytics_otel.cli.errors import ExitStatus
from cronalytics_otel.model import Outcome
from tests.support.cli import DIGEST, LOST, Cli, fill
from tests.support.collector import FaultyCollector, status
from tests.support.homes import HomeBuilder

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.fixture
def cli(empty: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A home with steps, a link to a previous run, and a destination that refuses each run."""
    builder = HomeBuilder(empty.home.path)
    job_id = builder.job("nightly digest", every_minutes=60, job_id=DIGEST.job_id)
    built = builder.agent_run(job_id, datetime(2026, 1, 31, 6, 0, 4, tzinfo=UTC))
    builder.write()
    fill(empty.home, LOST, replace(DIGEST, session_id=built.expected.session_id))
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    collector.answer_with(status(400))
    return empty


def keys(value: object) -> Iterator[str]:
    """Of all objects within; a span's attributes are docs/telemetry.md's."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            if name != "attributes":
                yield from keys(item)


def section(title: str) -> str:
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE)
    return str(text)


@pytest.mark.parametrize(
    "command",
    ["sync", "status", "health", "doctor", "runs", "trace", "links", "forecast", "skills"],
)
def test_every_key_of_the_json_is_documented_where_its_command_is(cli: Cli, command: str) -> None:
    cli("sync")
    shape = cli(command, *(["latest"] if command == "trace" else []), "--json").json
    elsewhere = {"trace": "runs", "runs": "summary", "skills": "summary"}
    documented = section(command) + (section(elsewhere[command]) if command in elsewhere else "")

    found = set(keys(shape))

    assert len(found) > 3
    assert {key for key in found if f"`{key}`" not in documented} == set()


def test_every_option_is_documented_where_its_command_is() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    common = section("For all commands")
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))

    assert list(subparsers.choices) == [
        "summary", "jobs", "job", "runs", "trace", "links", "output", "watch", "models", "skills", "trends",
        "drift", "forecast", "export", "status", "health", "doctor", "sync",
    ]  # fmt: skip
    for name, command in subparsers.choices.items():
        for action in command._actions:
            for option in action.option_strings[-1:]:
                assert option in common or f"| `{option}" in section(name), f"{name} {option}"


def test_every_outcome_and_exit_status_is_documented() -> None:
    assert all(f"`{outcome}`" in section("runs") for outcome in Outcome)
    text = section("For all commands")
    assert all(re.search(rf"\b{int(code)}\s", text) for code in ExitStatus)
