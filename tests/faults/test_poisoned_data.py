"""jobs.json half-written, of old shapes or absent; rows and jobs with impossible values."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta

import pytest

from tests.support.collector import FaultyCollector
from tests.support.fault_checks import (
    assert_all_there_once,
    assert_journal_tells_the_truth,
    outcomes,
    roots,
    trace_id_of,
)
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder


def test_a_half_written_jobs_file_is_told_and_read_when_it_is_whole(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The definitions are known from before: nothing of the runs is missing meanwhile."""
    jobs = mixed_home.disk.jobs_json
    processes.sync(mixed_home.path, environ)
    digest = next(key for key, job in mixed_home.jobs.items() if job["name"] == "digest")
    mixed_home.agent_run(digest, datetime.fromtimestamp(mixed_home.runs[0].expected.ended_ns / 1e9)
                         .astimezone() + timedelta(hours=2))  # fmt: skip
    mixed_home.write()
    whole = jobs.read_text()
    jobs.write_text(whole[: len(whole) // 2])

    done = processes.sync(mixed_home.path, environ)

    assert [str(jobs) in problem for problem in done.report.problems] == [True]
    jobs.write_text(whole)
    assert processes.sync(mixed_home.path, environ).report.healthy
    assert_all_there_once(collector, mixed_home.expected)
    # The last one is an hour late by its interval: the builder's truth knows of no lateness.
    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected, ignore=("trigger",))


def test_jobs_of_a_file_that_is_half_written_just_now_are_not_nameless(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    jobs = mixed_home.disk.jobs_json
    whole = jobs.read_text()
    jobs.write_text(whole[: len(whole) // 2])
    running = processes.start(mixed_home.path, environ)
    time.sleep(0.1)
    jobs.write_text(whole)
    assert running.wait().report.healthy

    kinds = {
        root["attributes"]["hermes.cron.job.name"]: root["attributes"].get(
            "hermes.cron.schedule.kind"
        )
        for root in roots(collector.spans)
    }
    assert kinds.keys() == {"digest", "backup", "inbox", "migration"}
    assert {kinds["digest"], kinds["backup"], kinds["inbox"]} == {"interval"}


@pytest.mark.parametrize("shape", ["list", "mapping"])
def test_jobs_files_of_old_shapes_are_read(
    shape: str,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    jobs = list(mixed_home.jobs.values())
    for job in jobs:
        job["schedule"] = "every 30m"
    content: object = jobs
    if shape == "mapping":
        content = {job["id"]: {k: v for k, v in job.items() if k != "id"} for job in jobs}
    mixed_home.disk.jobs_json.write_text(json.dumps(content))

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
    known = {job["id"] for job in jobs}
    for root in roots(collector.spans):
        if root["attributes"]["hermes.cron.job.id"] in known:
            assert root["attributes"]["hermes.cron.schedule.expression"] == "every 30m"


def test_without_a_jobs_file_runs_arrive_with_what_is_left_of_their_names(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    mixed_home.disk.jobs_json.unlink()

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_all_there_once(collector, mixed_home.expected)
    names = {root["attributes"]["hermes.cron.job.name"] for root in roots(collector.spans)}
    assert names == {"digest", "backup", "inbox", "migration"}


POISONED_JOBS = {
    "a name that is no UTF-8": {"name": "caf\ud800"},
    "a skill that is no UTF-8": {"skills": ["\udfff"]},
    "a schedule that is no UTF-8": {
        "schedule": {"kind": "cron", "expr": "\ud800", "display": "\ud800"}
    },
    "due in the year 9999": {
        "next_run_at": "9999-12-31T23:59:00+00:00",
        "schedule": {"kind": "once", "run_at": "9999-12-31T23:59:00+00:00", "display": "never"},
    },
    "made in the year 1": {"created_at": "0001-01-01T00:00:00"},
    "never": {"schedule": {"kind": "interval", "minutes": float("inf"), "display": "never"}},
    "at NaN": {"schedule": {"kind": "interval", "minutes": float("nan"), "display": "?"}},
    "a number for a name": {"name": 7, "skills": "all", "deliver": 9, "schedule": 5},
    "an error that is no UTF-8": {"last_error": "\ud800", "last_delivery_error": "\ud800"},
}


@pytest.mark.parametrize("change", POISONED_JOBS.values(), ids=POISONED_JOBS.keys())
def test_one_impossible_job_does_not_stop_the_others(
    change: dict[str, object],
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    jobs = [
        {**job, **(change if job["name"] == "digest" else {})} for job in mixed_home.jobs.values()
    ]
    mixed_home.disk.jobs_json.write_text(json.dumps({"jobs": jobs}))

    done = processes.sync(mixed_home.path, environ)

    assert done.report is not None, done.trace
    assert outcomes(collector.spans) == {
        trace_id_of(run): str(run.outcome) for run in mixed_home.expected
    }


POISONED_ROWS = {
    "started in the year 50000": ("state.db", "UPDATE sessions SET started_at = 1.5e12"),
    "started at infinity": ("state.db", "UPDATE sessions SET started_at = 9e999"),
    "ended at infinity": ("state.db", "UPDATE sessions SET ended_at = 9e999"),
    "started with text": ("state.db", "UPDATE sessions SET started_at = 'yesterday'"),
    "endless tokens": ("state.db", "UPDATE sessions SET input_tokens = 9e999"),
    "more tokens than fit": ("state.db", "UPDATE sessions SET input_tokens = 9e18, output_tokens = 9e18, cache_read_tokens = 9e18"),
    "an endless cost": ("state.db", "UPDATE sessions SET estimated_cost_usd = 9e999, cost_status = 'estimated'"),
    "a title of bytes": ("state.db", "UPDATE sessions SET title = CAST(x'ff00fe' AS TEXT)"),
    "a message of bytes": ("state.db", "UPDATE messages SET content = CAST(x'fffefd' AS TEXT)"),
    "a message at infinity": ("state.db", "UPDATE messages SET timestamp = 9e999"),
    "tool calls of nothing": ("state.db", "UPDATE messages SET tool_calls = '[null, 1, {\"function\": 3}]'"),
    "claimed in the year 9999": ("cron/executions.db", "UPDATE executions SET claimed_at = '9999-12-31T23:59:59+00:00'"),
    "finished in the year 9999": ("cron/executions.db", "UPDATE executions SET finished_at = '9999-12-31T23:59:59+00:00'"),
    "an error of bytes": ("cron/executions.db", "UPDATE executions SET error = CAST(x'ff00fe' AS TEXT)"),
    "a status of the future": ("cron/executions.db", "UPDATE executions SET status = 'sleeping'"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "sql"), POISONED_ROWS.values(), ids=POISONED_ROWS.keys())
def test_one_impossible_row_does_not_stop_the_others(
    name: str,
    sql: str,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """What is said of the run itself is open; all others arrive."""
    victim = mixed_home.runs[0].expected
    where = {
        "sessions": f"id = '{victim.session_id}'",
        "messages": f"session_id = '{victim.session_id}'",
        "executions": f"id = '{victim.execution_id}'",
    }
    table = sql.split()[1]
    with closing(sqlite3.connect(mixed_home.path / name)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"{sql} WHERE {where[table]}")

    done = processes.sync(mixed_home.path, environ)

    assert done.report is not None, done.trace
    others = {trace_id_of(run) for run in mixed_home.expected if run is not victim}
    assert others <= outcomes(collector.spans).keys()


def test_arguments_that_nest_beyond_all_bounds_hold_up_no_run(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A model may ask for anything, and Hermes keeps it as it came."""
    deep = '{"name": ' + "[" * 100_000 + "]" * 100_000 + "}"
    call = [{"id": "c", "function": {"name": "skill_view", "arguments": deep}}]
    with closing(sqlite3.connect(mixed_home.disk.state_db)) as connection, connection:
        connection.execute(
            "UPDATE messages SET tool_calls = ? WHERE role = 'assistant'", (json.dumps(call),)
        )

    assert processes.sync(mixed_home.path, environ).report.healthy
    assert len(roots(collector.spans)) == len(mixed_home.expected)
    names = {span["name"] for span in collector.spans}
    assert "execute_tool skill_view" in names


def test_no_nul_leaves_in_any_text(
    home: HomeBuilder,
    noon: datetime,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """A store on Postgres refuses the whole request for one, be it a character or an escape in JSON."""
    job = home.job(
        "di\0gest", every_minutes=5, prompt="Re\0port", skills=["ne\0ws"], deliver="local"
    )
    home.agent_run(
        job, noon, tools=["te\0rminal"], reply="all\0good", model="fa\0ke", provider="cu\0stom",
    )  # fmt: skip
    home.agent_run(job, noon + timedelta(minutes=5), outcome="failure", error="RuntimeError: a\0b")
    home.write()
    with closing(sqlite3.connect(home.disk.state_db)) as connection, connection:
        calls = [{"id": "c\0", "function": {"name": "t\0", "arguments": '{"a": "x\\u0000y"}'}}]
        connection.execute(
            "UPDATE messages SET tool_calls = ? WHERE tool_calls IS NOT NULL", (json.dumps(calls),)
        )
    settings = {"content": "full", "destinations": {"one": {"endpoint": collector.endpoint}}}
    plugins = {"plugins": {"entries": {"cronalytics-otel": settings}}}
    (home.path / "config.yaml").write_text(json.dumps(plugins))
    (home.path / ".env").write_bytes(b"OTEL_SERVICE_NAME=her\0mes\n")
    del environ["OTEL_EXPORTER_OTLP_ENDPOINT"]

    assert processes.sync(home.path, environ).report.healthy

    points = [point for request in collector.metric_requests for point in request.points]
    sent = list(texts([collector.spans, [[p.attributes, p.resource] for p in points]]))
    assert len(roots(collector.spans)) == 2
    assert points
    assert {"cron di\ufffdgest", "all\ufffdgood", "x\ufffdy", "her\ufffdmes"} <= set(sent)
    assert [text for text in sent if "\0" in text] == []


def texts(value: object) -> Iterator[str]:
    """Yield all texts in a value, and in texts that are JSON."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value
        with suppress(ValueError):
            yield from texts(json.loads(value))
