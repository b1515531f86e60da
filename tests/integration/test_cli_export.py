"""`export`: one row for each run, with columns that stay."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from dataclasses import fields, replace

import pytest

from cronalytics_otel.cli.export_columns import COLUMNS
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import CostStatus, ModelUsage, Run, Usage
from tests.support.cli import DAY, DIGEST, NO_KEY, NOW_NS, OLD_HOST, RUNS, SCRIPT, SECOND, Cli, fill
from tests.unit.test_docs import codes, rows, section


@pytest.fixture
def cli(empty: Cli) -> Cli:
    fill(empty.home, *RUNS)
    return empty


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_run_is_a_row_and_its_columns_are_these(cli: Cli) -> None:
    result = cli("export", "--job", "nightly digest", "--days", "1")

    (row,) = parsed(result.out)
    assert row == {
        "run_id": "3f9a61c0000000000000000000000000",
        "trace_id": row["trace_id"],
        "profile": "default",
        "job_id": "6c583f72f2e8",
        "job_name": "nightly digest",
        "mode": "agent",
        "outcome": "success",
        "outcome_source": "ledger",
        "failed": "false",
        "trigger": "schedule",
        "schedule_kind": "cron",
        "schedule_expression": "0 7 * * *",
        "schedule_timezone": "Europe/Berlin",
        "skills": "news",
        "scheduled_at": "2026-01-31T06:00:00.000000Z",
        "claimed_at": "2026-01-31T06:00:03.000000Z",
        "started_at": "2026-01-31T06:00:04.000000Z",
        "ended_at": "2026-01-31T06:03:09.000000Z",
        "duration_s": "185.0",
        "lateness_s": "4.0",
        "queue_s": "1.0",
        "model": "claude-sonnet-4",
        "provider": "anthropic",
        "models": "claude-sonnet-4",
        "declared_model": "",
        "input_tokens": "11000",
        "output_tokens": "1345",
        "cache_read_tokens": "2000",
        "cache_write_tokens": "0",
        "reasoning_tokens": "300",
        "total_tokens": "12345",
        "cost_usd": "0.0432",
        "cost_status": "estimated",
        "over_budget": "",
        "api_calls": "3",
        "tool_calls": "2",
        "subagents": "0",
        "silent": "false",
        "delivery_outcome": "delivered",
        "delivery_target": "telegram",
        "delivery_error": "",
        "script_exit_code": "",
        "skip_reason": "",
        "error_type": "",
        "error_message": "",
        "missed_count": "",
        "scheduler_down": "",
        "execution_id": "3f9a61c0000000000000000000000000",
        "session_id": "cron_6c583f72f2e8_20260131_070004",
    }
    assert len(row["trace_id"]) == 32
    assert (result.status, result.err) == (0, "")


def test_all_runs_come_oldest_first_and_a_text_of_several_lines_stays_one_cell(cli: Cli) -> None:
    found = parsed(cli("export").out)

    assert [row["job_id"] for row in found] == [
        run.job_id for run in sorted(RUNS, key=lambda run: run.ended_ns)
    ]
    assert found[-2]["error_message"] == NO_KEY.error_message
    assert found[0]["job_name"] == OLD_HOST.job_name


def test_json_lines_have_the_same_columns_with_their_types_and_null_for_unknown(cli: Cli) -> None:
    lines = cli("export", "--format", "jsonl").lines

    found = [json.loads(line) for line in lines]
    assert lines == cli("export", "--json").lines
    assert [list(row) for row in found] == [list(COLUMNS)] * len(RUNS)
    script = next(row for row in found if row["job_id"] == SCRIPT.job_id)
    assert (script["failed"], script["cost_usd"], script["skills"]) == (True, None, [])
    assert script["error_message"] == SCRIPT.error_message


def test_every_model_of_a_run_is_named(cli: Cli) -> None:
    part = ModelUsage(
        model="b", provider="p", usage=Usage(), api_calls=1, cost_usd=1.0,
        cost_status=CostStatus.ESTIMATED,
    )  # fmt: skip
    parts = (part, replace(part, model="a"), replace(part, model=None))
    fill(cli.home, replace(DIGEST, execution_id="e", session_id="s", model_usage=parts))

    assert parsed(cli("export").out)[-1]["models"] == "a,b"


def test_a_missing_start_is_empty_and_an_id_of_our_own_making_is_none_of_the_host(
    cli: Cli,
) -> None:
    left_output = replace(
        SCRIPT, execution_id="output_7069c1546cba_x", started_ns=SCRIPT.ended_ns, ended_ns=NOW_NS
    )
    fill(cli.home, left_output)

    last = parsed(cli("export").out)[-1]

    assert (last["started_at"], last["duration_s"], last["execution_id"]) == ("", "", "")
    assert last["run_id"] == "output_7069c1546cba_x"


def test_no_run_is_the_heading_alone(cli: Cli) -> None:
    result = cli("export", "--days", "0.01")

    assert (result.lines, result.status) == ([",".join(COLUMNS)], 0)
    assert cli("export", "--days", "0.01", "--format", "jsonl").out == ""


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--json", "--format", "csv"], "--json and --format csv exclude each other"),
        (["--job", "nobody"], "No job is called 'nobody'"),
        (["--days", "x"], "'x' is no number of days"),
    ],
)
def test_wrong_usage_is_status_2(cli: Cli, args: list[str], error: str) -> None:
    result = cli("export", *args)

    assert (result.status, result.out) == (2, "")
    assert error in result.err


def test_every_fact_of_a_run_is_exported() -> None:
    inner = {
        "usage": "its tokens",
        "model_usage": "models",
        "fed_by": "links of traces",
        "script_ended_ns": "a step of the trace",
    }
    named = {f.name.removesuffix("_ns") + "_at" * f.name.endswith("_ns") for f in fields(Run)}

    assert {name for name in named if name not in COLUMNS} == {
        name.removesuffix("_ns") + "_at" * name.endswith("_ns") for name in inner
    }


def test_the_documents_list_the_columns_in_their_order() -> None:
    table = rows(section("docs/cli.md", "## export"))

    named = [name for names, *_ in table for name in codes(names) if not name.startswith("--")]
    assert named == list(COLUMNS)


# The query behind it.


def test_pages_hold_every_run_once_also_where_many_end_at_the_same_time(cli: Cli) -> None:
    many = [
        replace(
            DIGEST,
            execution_id=f"{n:032d}",
            session_id=None,
            started_ns=NOW_NS - DAY + n // 600 * SECOND,
            ended_ns=NOW_NS - DAY + n // 600 * SECOND,
        )
        for n in range(1300)
    ]
    fill(cli.home, *many)
    with Journal.open(cli.home.journal) as journal:
        wanted = RunFilter(since_ns=NOW_NS - DAY, until_ns=NOW_NS - DAY + 2 * SECOND)
        found = list(journal.queries.each(wanted))
        everything = list(journal.queries.each(RunFilter()))

    assert [run.execution_id for run in found] == [run.execution_id for run in many[:1200]]
    assert len(everything) == 1300 + len(RUNS)


def test_memory_does_not_grow_with_the_number_of_runs(cli: Cli) -> None:
    fill(
        cli.home,
        *(replace(DIGEST, execution_id=f"{n:032d}", session_id=f"s{n}") for n in range(5000)),
    )
    with Journal.open(cli.home.journal) as journal:
        tracemalloc.start()
        count = sum(1 for _ in journal.queries.each(RunFilter()))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == 5000 + len(RUNS)
    assert peak < 2_000_000
