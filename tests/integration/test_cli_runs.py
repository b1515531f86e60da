"""`runs`: the table, its filters, its total, and its JSON."""
# ruff: noqa: RUF001 - the dash for what is unknown is what users see

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from cronalytics_otel.model import CostStatus, Mode, Outcome, SkipReason
from tests.support.cli import (
    DAY,
    DIGEST,
    LOST,
    NO_KEY,
    NOW_NS,
    OLD_HOST,
    SCRIPT,
    SECOND,
    Cli,
    fill,
)


@pytest.fixture
def cli(empty: Cli) -> Cli:
    fill(empty.home, SCRIPT, LOST, DIGEST, NO_KEY)
    return empty


WIDE = """\
RUN       JOB                OUTCOME     STARTED               TOOK      LATE  TRIGGER   TOKENS     COST  MODEL
3f9a61c0  nightly digest     success     2026-01-31 07:00  3 m 05 s     4.0 s  schedule  12,345  $0.0432  claude-sonnet-4
81c4f0aa  billing summary    failure     2026-01-31 06:00     3.0 s         –  schedule       0       $0  claude-sonnet-4
  RuntimeError: HTTP 401: Incorrect API key provided
d6ba2e91  certificate check  failure     2026-01-31 05:00    170 ms         –  manual         –       $0  –
  Script exited with code 3: expires tomorrow
a9013d21  nightly digest     abandoned*  2026-01-30 07:00  1 h 00 m  2 h 00 m  catch_up     920        –  claude-sonnet-4
  The process that ran it is gone, and it never wrote how the run ended.

4 runs, 3 failed, $0.0432 + 1 of unknown cost
* inferred: the host wrote no outcome
"""

NORMAL = """\
RUN       JOB                OUTCOME     STARTED               TOOK     COST
3f9a61c0  nightly digest     success     2026-01-31 07:00  3 m 05 s  $0.0432
81c4f0aa  billing summary    failure     2026-01-31 06:00     3.0 s       $0
  RuntimeError: HTTP 401: Incorrect API key provided
d6ba2e91  certificate check  failure     2026-01-31 05:00    170 ms       $0
  Script exited with code 3: expires tomorrow
a9013d21  nightly digest     abandoned*  2026-01-30 07:00  1 h 00 m        –
  The process that ran it is gone, and it never wrote how the run ended.

4 runs, 3 failed, $0.0432 + 1 of unknown cost
* inferred: the host wrote no outcome
"""

NARROW = """\
RUN       JOB               OUTCOME
3f9a61c0  nightly digest    success
81c4f0aa  billing summary   failure
  RuntimeError: HTTP 401: Incorrect A…
d6ba2e91  certificate che…  failure
  Script exited with code 3: expires …
a9013d21  nightly digest    abandoned*
  The process that ran it is gone, an…

4 runs, 3 failed, $0.0432 + 1 of unknown cost
* inferred: the host wrote no outcome
"""

PIPED = """\
RUN       JOB                OUTCOME     STARTED               TOOK      LATE  TRIGGER   TOKENS     COST  MODEL            WHY
3f9a61c0  nightly digest     success     2026-01-31 07:00  3 m 05 s     4.0 s  schedule  12,345  $0.0432  claude-sonnet-4
81c4f0aa  billing summary    failure     2026-01-31 06:00     3.0 s         –  schedule       0       $0  claude-sonnet-4  RuntimeError: HTTP 401: Incorrect API key provided
d6ba2e91  certificate check  failure     2026-01-31 05:00    170 ms         –  manual         –       $0  –                Script exited with code 3: expires tomorrow
a9013d21  nightly digest     abandoned*  2026-01-30 07:00  1 h 00 m  2 h 00 m  catch_up     920        –  claude-sonnet-4  The process that ran it is gone, and it never wrote how the run ended.

4 runs, 3 failed, $0.0432 + 1 of unknown cost
* inferred: the host wrote no outcome
"""


@pytest.mark.parametrize(
    ("columns", "expected"),
    [("121", WIDE), ("80", NORMAL), ("38", NARROW)],
    ids=["wide", "normal", "narrow"],
)
def test_the_table_keeps_the_width_of_the_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: str, expected: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    result = cli("runs")

    assert result.out == expected
    assert (result.status, result.err) == (0, "")
    table = result.lines[: result.lines.index("")]
    assert max(map(len, table)) <= int(columns)


def test_piped_every_column_is_there_and_nothing_is_cut(cli: Cli) -> None:
    result = cli("runs")

    assert result.out == PIPED
    assert result.status == 0


def test_a_session_id_is_shown_whole_and_the_rest_makes_room(
    empty: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts before 0.19 know a run by its session alone, and only the id's end is its own."""
    fill(empty.home, OLD_HOST)
    monkeypatch.setenv("COLUMNS", "80")

    assert empty("runs").lines[:2] == [
        "RUN                                JOB                 OUTCOME  STARTED",
        "cron_71314c23fdcb_20260120_090000  [bold]weekly[/] r…  success  2026-01-20 09:00",
    ]


def test_a_jobs_name_is_neither_markup_nor_a_control_sequence(empty: Cli) -> None:
    fill(empty.home, replace(DIGEST, job_name="[red]a[/]\x1b[31m :tada:\r\nb"))

    assert "  [red]a[/] [31m :tada:  success" in empty("runs").lines[1]


def test_ids_that_begin_alike_are_shown_until_they_differ(empty: Cli) -> None:
    alike = [
        replace(DIGEST, execution_id="3f9a61c0aa" + 22 * "0"),
        replace(NO_KEY, execution_id="3f9a61c0ab" + 22 * "0"),
    ]
    fill(empty.home, *alike)

    assert [line.split()[0] for line in empty("runs").lines[1:3]] == ["3f9a61c0aa", "3f9a61c0ab"]


# Which runs.


def shown(cli: Cli, *args: str) -> list[str]:
    """The first characters of the ids of the runs that a filter lets through."""
    return [str(run["run_id"])[:4] for run in cli("runs", "--json", *args).json["runs"]]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ["3f9a", "81c4", "d6ba", "a901"]),
        (("--job", "nightly digest"), ["3f9a", "a901"]),
        (("--job", "NIGHTLY DIGEST"), ["3f9a", "a901"]),
        (("--job", "7069c1546cba"), ["d6ba"]),
        (("--job", "digest"), ["3f9a", "a901"]),
        (("--job", "7069", "--job", "billing"), ["81c4", "d6ba"]),
        (("--job", "7069", "--outcome", "success"), []),
        (("--skill", "news"), ["3f9a", "a901"]),
        (("--model", "claude-sonnet-4"), ["3f9a", "81c4", "a901"]),
        (("--trigger", "manual"), ["d6ba"]),
        (("--outcome", "success,abandoned"), ["3f9a", "a901"]),
        (("--since", "2026-01-31"), ["3f9a", "81c4", "d6ba"]),
        (("--until", "2026-01-31"), ["a901"]),
        (("--sort", "duration"), ["a901", "3f9a", "81c4", "d6ba"]),
        (("--sort", "cost", "--limit", "1"), ["3f9a"]),
        (("--sort", "tokens"), ["3f9a", "a901", "81c4", "d6ba"]),
        (("--sort", "lateness", "--limit", "1"), ["a901"]),
        (("--outcome", "success"), ["3f9a"]),
        (("--outcome", "success", "--outcome", "abandoned"), ["3f9a", "a901"]),
        (("--outcome", "failed"), ["81c4", "d6ba", "a901"]),
        (("--mode", "script"), ["d6ba"]),
        (("--mode", "agent"), ["3f9a", "81c4", "a901"]),
        (("--days", "1"), ["3f9a", "81c4", "d6ba"]),
        (("--days", "0"), ["3f9a", "81c4", "d6ba", "a901"]),
        (("--days", "0.1"), ["3f9a"]),
        (("--limit", "2"), ["3f9a", "81c4"]),
        (("--limit", "0"), ["3f9a", "81c4", "d6ba", "a901"]),
        (("--outcome", "failed", "--mode", "agent", "--limit", "1"), ["81c4"]),
    ],
)
def test_filters(cli: Cli, args: tuple[str, ...], expected: list[str]) -> None:
    assert shown(cli, *args) == expected


def test_twenty_are_shown_unless_more_are_asked_for(empty: Cli) -> None:
    fill(
        empty.home,
        *(
            replace(
                SCRIPT,
                execution_id=f"{n:032x}",
                ended_ns=NOW_NS - n * SECOND,
                started_ns=NOW_NS - DAY,
            )
            for n in range(1, 23)
        ),
    )

    page = empty("runs", "--json").json
    assert (len(page["runs"]), page["shown"], page["matched"]) == (20, 20, 22)
    assert (page["totals"]["runs"], page["totals"]["failed"]) == (22, 22)
    assert len(empty("runs", "--json", "--limit", "0").json["runs"]) == 22
    assert empty("runs").lines[-2:] == [
        "20 of 22 runs shown; --limit 0 shows all",
        "22 runs, 22 failed, $0",
    ]
    assert empty("runs", "--limit", "22").lines[-1] == "22 runs, 22 failed, $0"


def test_no_match_is_said_and_is_no_failure(cli: Cli) -> None:
    result = cli("runs", "--outcome", "cancelled")

    assert (result.status, result.out) == (0, "")
    assert result.err == (
        "No run matches, of 4 runs that are known; the newest ended 2026-01-31 07:03:09.\n"
    )


def test_an_empty_journal_says_what_to_run(empty: Cli) -> None:
    fill(empty.home)

    result = empty("runs")

    assert (result.status, result.out) == (0, "")
    assert result.err == "No run is known yet: `cronalytics-otel sync` reads what Hermes has.\n"


def test_without_a_journal_it_says_what_to_run_and_makes_none(empty: Cli) -> None:
    result = empty("runs")

    assert (result.status, result.out) == (1, "")
    assert result.err == (
        f"error: There is no journal yet: {empty.home.journal} does not exist.\n"
        f"  Run `cronalytics-otel sync --home {empty.home.path}`: it reads the history that Hermes still has.\n"
    )
    assert not empty.home.plugin_folder.exists()


def test_a_folder_that_is_no_hermes_home_is_named(empty: Cli) -> None:
    (empty.home.path / "config.yaml").unlink()

    result = empty("runs")

    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: {empty.home.path} is no Hermes home")
    assert "--home" in result.err


def test_a_journal_that_is_no_database_is_told_and_left_to_the_next_sync(empty: Cli) -> None:
    """A gateway may be syncing: its file must not be taken from under it."""
    fill(empty.home)
    for side in empty.home.plugin_folder.glob("journal.db-*"):
        side.unlink()
    damaged = b"this is no database\n" * 500
    empty.home.journal.write_bytes(damaged)

    result = empty("runs")

    assert result.status == 1
    assert "the next sync moves it aside and makes a new one" in result.err
    assert f"Run `cronalytics-otel sync --home {empty.home.path}`" in result.err
    assert empty.home.journal.read_bytes() == damaged


@pytest.mark.parametrize("args", [("runs",), ("status",), ("trace", "latest"), ("sync",)])
def test_a_journal_of_a_newer_version_is_named_once_and_no_sync_is_advised(
    empty: Cli, args: tuple[str, ...]
) -> None:
    fill(empty.home, DIGEST)
    with closing(sqlite3.connect(empty.home.journal)) as connection, connection:
        connection.execute("INSERT INTO migration VALUES ('m9999_of_the_future', '2030-01-01')")

    result = empty(*args)

    assert (result.status, result.out) == (1, "")
    assert result.err == (
        f"error: {empty.home.journal}: the journal was written by a newer cronalytics-otel"
        " (m9999_of_the_future): update this one\n"
    )


def test_a_folder_in_place_of_the_journal_is_told(empty: Cli) -> None:
    empty.home.journal.mkdir(parents=True)

    result = empty("runs")

    assert result.status == 1
    assert result.err == (
        f"error: {empty.home.journal}: the journal cannot be used: unable to open database file;"
        " this user must be able to read and write it and its folder\n"
    )


def test_so_large_a_limit_is_all(cli: Cli) -> None:
    for limit in (str(2**63 - 1), str(2**64), "9" * 400):
        assert cli("runs", "--limit", limit).lines == cli("runs", "--limit", "0").lines


@pytest.mark.parametrize("args", [("runs", "--job", "\udcff"), ("trace", "\udcff")])
def test_what_is_no_text_is_wrong_usage(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli(*args)

    assert (result.status, result.out) == (2, "")
    assert result.err.endswith("'\\udcff' is no text in UTF-8\n")


@pytest.mark.parametrize("name", ["ÄRGER BACKUP", "ärger backup", "Ärger Backup"])
def test_a_job_s_name_is_taken_in_any_case(empty: Cli, name: str) -> None:
    fill(empty.home, DIGEST, replace(SCRIPT, job_name="Ärger backup"))

    assert [run["job_name"] for run in empty("runs", "--job", name, "--json").json["runs"]] == [
        "Ärger backup"
    ]
    assert empty("trace", name).lines[0].startswith("Ärger backup")


# What it costs.


@pytest.mark.parametrize(
    ("changes", "cell"),
    [
        ({"cost_usd": 0.0432, "cost_status": CostStatus.ESTIMATED}, "$0.0432"),
        ({"cost_usd": 12.3456, "cost_status": CostStatus.ACTUAL}, "$12.35"),
        ({"cost_usd": 0.0, "cost_status": CostStatus.ESTIMATED}, "$0"),
        ({"cost_usd": 0.00001, "cost_status": CostStatus.ESTIMATED}, "<$0.0001"),
        ({"cost_usd": None, "cost_status": CostStatus.UNKNOWN}, "–"),
        ({"cost_usd": None, "cost_status": None}, "–"),
        ({"cost_usd": 0.02, "cost_status": CostStatus.PARTIAL}, "≥$0.0200"),
        ({"cost_usd": 0.0, "cost_status": CostStatus.INCLUDED}, "included"),
    ],
)
def test_an_unknown_cost_is_never_nothing(
    empty: Cli, changes: dict[str, object], cell: str
) -> None:
    fill(empty.home, replace(DIGEST, **changes))  # type: ignore[arg-type]

    assert f"12,345  {cell:>{max(4, len(cell))}}  claude" in empty("runs").lines[1]


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"cost_status": CostStatus.UNKNOWN, "cost_usd": None}, "0 failed, 1 of unknown cost"),
        ({"cost_status": CostStatus.PARTIAL, "cost_usd": 0.5}, "$0.5000 + 1 of unknown cost"),
        ({"cost_status": None, "cost_usd": None}, "0 failed, 1 of unknown cost"),
        ({"cost_status": None, "cost_usd": None, "api_calls": 0}, "$0"),
        ({"cost_status": None, "cost_usd": None, "mode": Mode.SCRIPT}, "$0"),
        ({"cost_status": None, "cost_usd": None, "outcome": Outcome.SKIPPED}, "$0"),
        ({"cost_status": None, "cost_usd": None, "outcome": Outcome.MISSED}, "$0"),
        ({"cost_status": CostStatus.INCLUDED, "cost_usd": None}, "$0"),
    ],
)
def test_the_total_counts_what_may_have_cost_something(
    empty: Cli, changes: dict[str, object], total: str
) -> None:
    fill(empty.home, replace(DIGEST, **changes))  # type: ignore[arg-type]

    (line,) = [line for line in empty("runs").lines if " failed, " in line]
    assert line.removeprefix("0 runs, 0 failed, 1 missed").endswith(f", {total}")


# For programs.


def test_json_has_every_fact_with_null_for_unknown(cli: Cli) -> None:
    first = cli("runs", "--json", "--limit", "1").json["runs"]
    script = cli("runs", "--json", "--mode", "script").json["runs"]

    assert first == [
        {
            "run_id": "3f9a61c0000000000000000000000000",
            "execution_id": "3f9a61c0000000000000000000000000",
            "session_id": "cron_6c583f72f2e8_20260131_070004",
            "trace_id": "8c824f058e18898c5e630a3e004fc473",
            "profile": "default",
            "job_id": "6c583f72f2e8",
            "job_name": "nightly digest",
            "mode": "agent",
            "trigger": "schedule",
            "schedule_kind": "cron",
            "schedule_expression": "0 7 * * *",
            "schedule_timezone": "Europe/Berlin",
            "skills": ["news"],
            "scheduled_at": "2026-01-31T06:00:00.000000Z",
            "claimed_at": "2026-01-31T06:00:03.000000Z",
            "started_at": "2026-01-31T06:00:04.000000Z",
            "ended_at": "2026-01-31T06:03:09.000000Z",
            "time_source": "ledger",
            "duration_s": 185.0,
            "lateness_s": 4.0,
            "queue_s": 1.0,
            "outcome": "success",
            "outcome_source": "ledger",
            "failed": False,
            "error_type": None,
            "error_message": None,
            "model": "claude-sonnet-4",
            "provider": "anthropic",
            "declared_model": None,
            "input_tokens": 11000,
            "output_tokens": 1345,
            "cache_read_tokens": 2000,
            "cache_write_tokens": 0,
            "reasoning_tokens": 300,
            "total_tokens": 12345,
            "cost_usd": 0.0432,
            "cost_status": "estimated",
            "model_usage": [],
            "api_calls": 3,
            "tool_calls": 2,
            "subagents": 0,
            "silent": False,
            "delivery_outcome": "delivered",
            "delivery_target": "telegram",
            "delivery_error": None,
            "script_exit_code": None,
            "script_ended_at": None,
            "skip_reason": None,
            "fed_by": [],
            "missed_count": None,
            "scheduler_down": None,
            "over_budget": None,
            "links": {},
        }
    ]
    assert script[0].keys() == first[0].keys()
    assert script[0]["total_tokens"] is None
    assert script[0]["cost_usd"] is None
    assert script[0]["error_message"] == "Script exited with code 3\nstderr:\n\texpires tomorrow"


def test_json_without_a_match_is_an_empty_list(cli: Cli) -> None:
    result = cli("runs", "--json", "--outcome", "cancelled")

    assert (result.json["runs"], result.json["matched"], result.err, result.status) == (
        [],
        0,
        "",
        0,
    )


def test_an_unknown_job_is_wrong_usage_and_similar_ones_are_named(cli: Cli) -> None:
    result = cli("runs", "--job", "nightly digset")

    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "error: No job is called 'nightly digset'.\n  Did you mean 'nightly digest'?\n"
    )


def test_a_part_of_several_names_is_wrong_usage_and_lists_the_jobs(cli: Cli) -> None:
    result = cli("runs", "--job", "i")

    assert (result.status, result.out) == (2, "")
    assert [line.split()[0] for line in result.err.splitlines()[1:]] == [
        "595dfb5ffb17", "7069c1546cba", "6c583f72f2e8",
    ]  # fmt: skip


def test_a_skipped_run_tells_which_no_its_gate_gave(empty: Cli) -> None:
    gated = replace(
        DIGEST, outcome=Outcome.SKIPPED, skip_reason=SkipReason.NO_OUTPUT, session_id=None
    )
    fill(empty.home, gated)

    assert "the gate said no: it printed nothing" in empty("runs").lines[1]
    assert empty("runs", "--json").json["runs"][0]["skip_reason"] == "no_output"
