"""The command line in tests: a Hermes home, a journal with known runs, and what a command said."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import time_machine

from cronalytics_otel.cli import main
from cronalytics_otel.harvest.sources import record_sources
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import LAST_SYNC_NS, Fact
from cronalytics_otel.model import (
    CostStatus,
    DeliveryOutcome,
    Mode,
    Outcome,
    OutcomeSource,
    Run,
    ScheduleKind,
    Trigger,
    Usage,
)

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
"""What the clock says in every command; 09:00 in the time zone of the tests."""

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW_NS = int(NOW.timestamp()) * SECOND


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command wrote, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Cli:
    """Runs commands in this process, at `NOW`, on one home."""

    def __init__(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, command: str, *args: str) -> CommandResult:
        self._capsys.readouterr()
        status = main([command, "--home", str(self.home.path), *args])
        captured = self._capsys.readouterr()
        return CommandResult(status, captured.out, captured.err)


@contextlib.contextmanager
def commands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """A `Cli` on a new home in `folder`; nothing is sent anywhere, and output is piped."""
    home = new_home(folder / "home")
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("TZ", "CET-1CEST")  # a rule, not a name: it needs no zone files
    time.tzset()
    try:
        with time_machine.travel(NOW.timestamp(), tick=False):
            yield Cli(home, capsys)
    finally:
        monkeypatch.undo()
        time.tzset()


def new_home(path: Path) -> Home:
    """A home in which Hermes was, and nothing has run."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("plugins: {enabled: [cronalytics-otel]}\n")
    return Home(path)


def fill(home: Home, *runs: Run, facts: Mapping[Fact[Any], object] = MappingProxyType({})) -> None:
    """Makes the home's journal, or adds to it; and sees the host's files, as a harvest does."""
    with Journal.open(home.journal) as journal, journal.atomic():
        if journal.facts.get(LAST_SYNC_NS) is None:
            journal.facts.set(LAST_SYNC_NS, NOW_NS - MINUTE)
        for fact, value in facts.items():
            journal.facts.set(fact, value)
        journal.runs.add(runs, NOW_NS)
        record_sources(home, journal, UTC, now_ns=NOW_NS)


# Runs, newest first, one of each kind that looks different.

DIGEST = Run(
    profile="default",
    job_id="6c583f72f2e8",
    job_name="nightly digest",
    mode=Mode.AGENT,
    execution_id="3f9a61c0" + 24 * "0",
    session_id="cron_6c583f72f2e8_20260131_070004",
    started_ns=NOW_NS - 2 * HOUR + 4 * SECOND,
    ended_ns=NOW_NS - 2 * HOUR + 189 * SECOND,
    outcome=Outcome.SUCCESS,
    outcome_source=OutcomeSource.LEDGER,
    trigger=Trigger.SCHEDULE,
    schedule_kind=ScheduleKind.CRON,
    schedule_expression="0 7 * * *",
    schedule_timezone="Europe/Berlin",
    skills=("news",),
    scheduled_ns=NOW_NS - 2 * HOUR,
    claimed_ns=NOW_NS - 2 * HOUR + 3 * SECOND,
    model="claude-sonnet-4",
    provider="anthropic",
    usage=Usage(
        input_tokens=11_000, output_tokens=1_345, cache_read_tokens=2_000, reasoning_tokens=300
    ),
    cost_usd=0.0432,
    cost_status=CostStatus.ESTIMATED,
    api_calls=3,
    tool_calls=2,
    subagents=0,
    silent=False,
    delivery_outcome=DeliveryOutcome.DELIVERED,
    delivery_target="telegram",
)

NO_KEY = replace(
    DIGEST,
    job_id="595dfb5ffb17",
    job_name="billing summary",
    execution_id="81c4f0aa" + 24 * "0",
    session_id="cron_595dfb5ffb17_20260131_060002",
    started_ns=NOW_NS - 3 * HOUR,
    ended_ns=NOW_NS - 3 * HOUR + 3 * SECOND,
    outcome=Outcome.FAILURE,
    schedule_kind=ScheduleKind.INTERVAL,
    schedule_expression="every 30m",
    skills=(),
    scheduled_ns=None,
    error_type="auth_failed",
    error_message="RuntimeError: HTTP 401: Incorrect API key provided\nsee the provider's console",
    provider=None,
    usage=Usage(),
    cost_usd=None,
    cost_status=None,
    api_calls=0,
    tool_calls=0,
    silent=None,
    delivery_outcome=DeliveryOutcome.NOT_CONFIGURED,
    delivery_target="local",
)

SCRIPT = Run(
    profile="default",
    job_id="7069c1546cba",
    job_name="certificate check",
    mode=Mode.SCRIPT,
    execution_id="d6ba2e91" + 24 * "0",
    started_ns=NOW_NS - 4 * HOUR,
    ended_ns=NOW_NS - 4 * HOUR + 170_000_000,
    outcome=Outcome.FAILURE,
    outcome_source=OutcomeSource.LEDGER,
    trigger=Trigger.MANUAL,
    error_type="script_failed",
    error_message="Script exited with code 3\nstderr:\n\texpires tomorrow",
)

LOST = replace(
    DIGEST,
    execution_id="a9013d21" + 24 * "0",
    session_id="cron_6c583f72f2e8_20260130_070003",
    started_ns=NOW_NS - 26 * HOUR,
    ended_ns=NOW_NS - 25 * HOUR,
    scheduled_ns=NOW_NS - 28 * HOUR,
    outcome=Outcome.ABANDONED,
    outcome_source=OutcomeSource.INFERRED,
    trigger=Trigger.CATCH_UP,
    error_type="abandoned",
    error_message="The process that ran it is gone, and it never wrote how the run ended.",
    usage=Usage(input_tokens=900, output_tokens=20),
    cost_usd=None,
    cost_status=CostStatus.UNKNOWN,
    delivery_outcome=None,
    delivery_target=None,
)

OLD_HOST = replace(
    DIGEST,
    job_name="[bold]weekly[/] retro :tada:",
    job_id="71314c23fdcb",
    execution_id=None,
    session_id="cron_71314c23fdcb_20260120_090000",
    started_ns=NOW_NS - 11 * DAY,
    ended_ns=NOW_NS - 11 * DAY + 40 * SECOND,
    outcome_source=OutcomeSource.SESSION,
    trigger=None,
    scheduled_ns=None,
    cost_usd=1.5,
    cost_status=CostStatus.PARTIAL,
)

RUNS = (DIGEST, NO_KEY, SCRIPT, LOST, OLD_HOST)
