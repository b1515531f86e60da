"""The generator of homes: what it claims to be true is what it wrote."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.model import CostStatus, Outcome, Usage
from tests.support.homes import (
    Auxiliary,
    HomeBuilder,
    Shape,
    Stage,
    Subagent,
    Tokens,
    ToolUse,
)
from tests.support.large_homes import Size, write_large_home

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)


def rows(path: Path, query: str, *values: object) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, values)]


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    return HomeBuilder(tmp_path / "home", timezone="America/New_York")


def test_ledger_times_are_iso_strings_in_the_zone_of_the_home(home: HomeBuilder) -> None:
    home.agent_run(home.job("digest"), NINE, 20.0)
    home.write()

    (row,) = rows(home.disk.ledger_db, "SELECT * FROM executions")
    assert row["claimed_at"] == "2026-05-04T05:00:00.119456-04:00"
    assert row["started_at"] == "2026-05-04T05:00:00.123456-04:00"
    assert row["finished_at"] == "2026-05-04T05:00:20.123456-04:00"
    assert row["status"] == "completed"


def test_a_session_is_named_after_the_local_wall_clock_and_begins_after_its_execution(
    home: HomeBuilder,
) -> None:
    job_id = home.job("digest")
    home.agent_run(job_id, NINE, 20.0)
    home.write()

    (row,) = rows(home.disk.state_db, "SELECT * FROM sessions")
    assert row["id"] == f"cron_{job_id}_20260504_050000"
    assert row["started_at"] == pytest.approx(NINE.timestamp() + 2.5)
    assert row["ended_at"] == pytest.approx(NINE.timestamp() + 19.994)
    assert row["end_reason"] == "cron_complete"
    assert row["title"] == "digest · May 04 05:00"


def test_a_run_without_a_successful_call_has_no_cost_at_all(home: HomeBuilder) -> None:
    run = home.agent_run(home.job("digest"), NINE, outcome="failure", tokens=None)
    home.write()

    (row,) = rows(home.disk.state_db, "SELECT * FROM sessions")
    assert (row["estimated_cost_usd"], row["cost_status"], row["billing_provider"]) == (None,) * 3
    assert rows(home.disk.state_db, "SELECT * FROM session_model_usage") == []
    assert run.expected.usage == Usage()
    assert (run.expected.cost_usd, run.expected.cost_status) == (None, None)
    assert run.expected.outcome is Outcome.FAILURE


def test_an_unpriced_model_costs_zero_in_the_host_and_is_unknown_in_truth(
    home: HomeBuilder,
) -> None:
    run = home.agent_run(home.job("digest"), NINE)
    home.write()

    (row,) = rows(home.disk.state_db, "SELECT * FROM sessions")
    assert (row["estimated_cost_usd"], row["cost_status"]) == (0.0, "unknown")
    assert run.expected.cost_usd is None
    assert run.expected.cost_status is CostStatus.UNKNOWN


def test_the_truth_of_a_run_sums_subagents_and_auxiliary_calls(home: HomeBuilder) -> None:
    run = home.agent_run(
        home.job("digest"),
        NINE,
        tokens=Tokens(input=100, output=10, cache_read=5, cache_write=2),
        cost=0.5,
        tools=["terminal"],
        subagents=[Subagent(tokens=Tokens(input=7, output=3), cost=0.25, tools=["web_search"])],
        aux_calls=[Auxiliary(tokens=Tokens(input=1, output=1))],
    )
    home.write()

    assert run.expected.usage == Usage(
        input_tokens=115, output_tokens=14, cache_read_tokens=5, cache_write_tokens=2
    )
    assert run.expected.cost_usd == pytest.approx(0.75)
    assert run.expected.cost_status is CostStatus.PARTIAL
    assert (run.expected.api_calls, run.expected.tool_calls, run.expected.subagents) == (5, 3, 1)
    (total,) = rows(
        home.disk.state_db,
        "SELECT SUM(input_tokens) i, SUM(output_tokens) o, SUM(api_call_count) calls "
        "FROM session_model_usage",
    )
    assert total == {"i": 108, "o": 14, "calls": 6}
    (child,) = rows(home.disk.state_db, "SELECT * FROM sessions WHERE source = 'subagent'")
    assert child["parent_session_id"] == run.expected.session_id
    assert child["end_reason"] == "agent_close"


def test_messages_tell_the_story_in_order_and_within_the_session(home: HomeBuilder) -> None:
    use = ToolUse(name="terminal", arguments={"command": "ls"}, result="a b")
    home.agent_run(home.job("digest"), NINE, tools=[use, "web_search"])
    home.write()

    story = rows(home.disk.state_db, "SELECT * FROM messages ORDER BY id")
    assert [m["role"] for m in story] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    times = [m["timestamp"] for m in story]
    assert times == sorted(times)
    (call,) = json.loads(story[1]["tool_calls"])
    assert call["id"] == story[2]["tool_call_id"]
    assert json.loads(call["function"]["arguments"]) == {"command": "ls"}
    (session,) = rows(home.disk.state_db, "SELECT * FROM sessions")
    assert session["started_at"] < times[0]
    assert times[-1] < session["ended_at"]
    assert session["message_count"] == len(story)


@pytest.mark.parametrize(
    ("stage", "status", "ended", "output", "last_status"),
    [
        (Stage.CLAIMED, "claimed", None, 0, None),
        (Stage.RUNNING, "running", None, 0, None),
        (Stage.WORKED, "running", False, 0, None),
        (Stage.ENDED, "running", True, 0, None),
        (Stage.OUTPUT, "running", True, 1, None),
        (Stage.MARKED, "running", True, 1, "ok"),
        (Stage.FINISHED, "completed", True, 1, "ok"),
    ],
)
def test_a_run_can_stop_after_any_write_of_the_host(
    home: HomeBuilder,
    stage: Stage,
    status: str,
    ended: bool | None,
    output: int,
    last_status: str | None,
) -> None:
    job_id = home.job("digest")
    run = home.agent_run(job_id, NINE, stop_after=stage)
    home.write()

    (row,) = rows(home.disk.ledger_db, "SELECT status FROM executions")
    assert row["status"] == status
    sessions = rows(home.disk.state_db, "SELECT ended_at FROM sessions")
    assert [s["ended_at"] is not None for s in sessions] == ([] if ended is None else [ended])
    assert len(list((home.path / "cron" / "output").rglob("*.md"))) == output
    (job,) = json.loads(home.disk.jobs_json.read_text())["jobs"]
    assert job["last_status"] == last_status
    assert home.expected == ([run.expected] if stage is Stage.FINISHED else [])


def test_a_run_that_stood_still_can_go_on(home: HomeBuilder) -> None:
    run = home.agent_run(home.job("digest"), NINE, ended=False)
    home.write()
    home.advance(run)
    home.write()

    assert rows(home.disk.ledger_db, "SELECT status FROM executions") == [{"status": "completed"}]
    assert home.expected == [run.expected]


def test_a_one_shot_is_gone_from_the_jobs_after_its_run(home: HomeBuilder) -> None:
    job_id = home.job("once", once_at=NINE)
    home.write()
    assert [j["id"] for j in json.loads(home.disk.jobs_json.read_text())["jobs"]] == [job_id]
    home.agent_run(job_id, NINE)
    home.write()
    assert json.loads(home.disk.jobs_json.read_text())["jobs"] == []


def test_script_and_gated_runs_leave_no_session(home: HomeBuilder) -> None:
    home.script_run(home.job("disk", no_agent=True), NINE, outcome="failure")
    home.gated_run(home.job("gate", script="gate.py"), NINE)
    home.write()

    assert rows(home.disk.state_db, "SELECT * FROM sessions") == []
    texts = [p.read_text() for p in (home.path / "cron" / "output").rglob("*.md")]
    assert sum("**Status:** script failed" in text for text in texts) == 1
    assert sum("`wakeAgent=false` — agent skipped" in text for text in texts) == 1
    assert [e.outcome for e in home.expected] == [Outcome.FAILURE, Outcome.SKIPPED]


def test_the_ledger_keeps_its_newest_rows_and_pruned_sessions_take_their_messages_along(
    home: HomeBuilder,
) -> None:
    job_id = home.job("digest")
    first = home.agent_run(job_id, NINE)
    second = home.agent_run(job_id, NINE.replace(hour=10))
    home.prune_ledger(keep=1)
    home.prune_sessions(NINE.replace(minute=30))

    assert rows(home.disk.ledger_db, "SELECT id FROM executions") == [
        {"id": second.expected.execution_id}
    ]
    kept = {m["session_id"] for m in rows(home.disk.state_db, "SELECT * FROM messages")}
    assert kept == {second.expected.session_id}
    assert first.expected in home.expected


def test_older_and_newer_hosts_have_other_columns_and_shapes(tmp_path: Path) -> None:
    home = HomeBuilder(
        tmp_path / "old",
        shape=Shape(
            without_tables=frozenset({"session_model_usage"}),
            without_columns={"sessions": ("profile_name", "title")},
            extra_columns={"sessions": {"surprise": "TEXT"}},
        ),
        jobs_shape="mapping",
        with_ledger=False,
    )
    job_id = home.job("digest", schedule="every 30m")
    run = home.agent_run(job_id, NINE, session_columns={"surprise": "yes"})
    home.write()

    (session,) = rows(home.disk.state_db, "SELECT * FROM sessions")
    assert session["surprise"] == "yes"
    assert "profile_name" not in session
    assert not home.disk.ledger_db.exists()
    assert json.loads(home.disk.jobs_json.read_text())[job_id]["schedule"] == "every 30m"
    assert run.expected.execution_id is None


def test_a_large_home_holds_what_its_truth_says(tmp_path: Path) -> None:
    size = Size(runs=400, ledger_rows=120, chat_sessions=20, system_prompt_bytes=50)
    truth = write_large_home(tmp_path / "large", size)

    state, ledger = tmp_path / "large" / "state.db", tmp_path / "large" / "cron" / "executions.db"
    (sums,) = rows(
        state,
        "SELECT SUM(input_tokens + cache_read_tokens) i, SUM(output_tokens) o, "
        "SUM(estimated_cost_usd) cost FROM session_model_usage",
    )
    assert sums == {
        "i": truth.input_tokens,
        "o": truth.output_tokens,
        "cost": pytest.approx(truth.cost_usd),
    }
    by_source = {
        row["source"]: row["n"]
        for row in rows(state, "SELECT source, COUNT(*) n FROM sessions GROUP BY source")
    }
    assert by_source == {"cron": 400, "subagent": truth.subagents, "cli": 20}
    assert truth.subagents > 0
    kept = rows(ledger, "SELECT status, COUNT(*) n FROM executions GROUP BY status ORDER BY 1")
    assert [row["status"] for row in kept] == ["completed", "failed"]
    scripts = sum(row["n"] for row in kept) - 110
    assert truth.runs == 400 + scripts == sum(truth.outcomes.values())


def test_a_large_home_follows_from_its_parameters(tmp_path: Path) -> None:
    size = Size(runs=50, system_prompt_bytes=50)
    for name in ("one", "two"):
        write_large_home(tmp_path / name, size)
    query = "SELECT * FROM sessions ORDER BY rowid"
    assert rows(tmp_path / "one" / "state.db", query) == rows(tmp_path / "two" / "state.db", query)
