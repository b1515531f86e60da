"""`trace RUN`: which run is meant, its facts, the waterfall, and its JSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cronalytics_otel.cli import formats
from cronalytics_otel.model import CostStatus, Outcome, OutcomeSource, Run, Trigger
from tests.support.cli import (
    DAY,
    DIGEST,
    LOST,
    NO_KEY,
    NOW_NS,
    OLD_HOST,
    SCRIPT,
    Cli,
    fill,
)
from tests.support.homes import HomeBuilder, Subagent


@pytest.fixture
def cli(empty: Cli) -> Cli:
    fill(empty.home, DIGEST, NO_KEY, SCRIPT, LOST, OLD_HOST)
    return empty


@pytest.fixture
def with_steps(empty: Cli) -> Cli:
    """A run whose conversation the host still has: a tool call, and a subagent."""
    builder = HomeBuilder(empty.home.path)
    job_id = builder.job("nightly digest", cron="0 7 * * *", job_id=DIGEST.job_id)
    built = builder.agent_run(
        job_id,
        datetime(2026, 1, 31, 6, 0, 4, tzinfo=UTC),
        185.0,
        tools=["terminal"],
        subagents=[Subagent(goal="look it up")],
    )
    builder.write()
    fill(empty.home, replace(DIGEST, session_id=built.expected.session_id, subagents=1))
    return empty


HEADER = """\
nightly digest  success
  run       3f9a61c0000000000000000000000000
  session   cron_6c583f72f2e8_20260131_060004
  trace id  db066a36783ca70e575ca42823a58c9d
  job       6c583f72f2e8, agent, skills news
  started   2026-01-31 07:00:04, took 3 m 05 s
  time      queue 1.0 s, start-up 2.5 s, model 2 m 19 s, tools 43.8 s, delivery 6 ms
  due       2026-01-31 07:00:00, 4.0 s late
  trigger   schedule, 0 7 * * * (Europe/Berlin)
  model     claude-sonnet-4, anthropic
  tokens    12,345: 11,000 in (2,000 from cache), 1,345 out (300 reasoning)
  cost      $0.0432, estimated
  calls     3 model calls, 2 tool calls, 1 subagent
  delivery  delivered, telegram
"""

WIDE = """
                                0                                                3 m 05 s
cron nightly digest             █████████████████████████████████████████████████████████  3 m 05 s  12,345 tok  $0.0432
├ startup                       █                                                             2.5 s
├ invoke_agent hermes            ████████████████████████████████████████████████████████  3 m 02 s
│ ├ chat fake-model              ███████████                                                 36.5 s
│ ├ execute_tool terminal                   ███████████▌                                     36.5 s
│ ├ chat fake-model                                    ▐██████████▌                          36.5 s
│ ├ execute_tool delegate_task                                    ▐███████████               36.5 s
│ │ └ invoke_agent subagent                                        ▐█████████                31.0 s
│ │   └ chat fake-model                                            ▐████████▌                29.2 s   1,050 tok
│ └ chat fake-model                                                           ███████████    36.5 s
└ deliver telegram                                                                      ▐      6 ms
"""

NORMAL = """
                                0        3 m 05 s
cron nightly digest             █████████████████  3 m 05 s  12,345 tok  $0.0432
├ startup                       ▌                     2.5 s
├ invoke_agent hermes           █████████████████  3 m 02 s
│ ├ chat fake-model             ███▌                 36.5 s
│ ├ execute_tool terminal          ▐███              36.5 s
│ ├ chat fake-model                    ███▌          36.5 s
│ ├ execute_tool delegate_task            ▐██▌       36.5 s
│ │ └ invoke_agent subagent               ▐██▌       31.0 s
│ │   └ chat fake-model                   ▐██▌       29.2 s   1,050 tok
│ └ chat fake-model                          ▐███    36.5 s
└ deliver telegram                              ▐      6 ms
"""

NARROW = """
cron nightly digest             3 m 05 s
├ startup                          2.5 s
├ invoke_agent hermes           3 m 02 s
│ ├ chat fake-model               36.5 s
│ ├ execute_tool terminal         36.5 s
│ ├ chat fake-model               36.5 s
│ ├ execute_tool delegate_task    36.5 s
│ │ └ invoke_agent subagent       31.0 s
│ │   └ chat fake-model           29.2 s
│ └ chat fake-model               36.5 s
└ deliver telegram                  6 ms
"""


@pytest.mark.parametrize(
    ("columns", "waterfall"),
    [("120", WIDE), ("80", NORMAL), ("40", NARROW)],
    ids=["wide", "normal", "narrow"],
)
def test_the_waterfall_keeps_the_width_of_the_terminal(
    with_steps: Cli, monkeypatch: pytest.MonkeyPatch, columns: str, waterfall: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    result = with_steps("trace", DIGEST.run_id)

    assert result.out == HEADER + waterfall
    assert (result.status, result.err) == (0, "")
    assert max(map(len, waterfall.splitlines())) <= int(columns)


def test_piped_it_is_drawn_for_a_hundred_columns(with_steps: Cli) -> None:
    waterfall = with_steps("trace", "latest").lines[15:]

    assert max(map(len, waterfall)) == 100
    assert "█" in waterfall[1]


FAILED_SCRIPT = """\
certificate check  failure
  error     script_failed
            Script exited with code 3
            stderr:
                expires tomorrow
  run       d6ba2e91000000000000000000000000
  trace id  f0b6c64a4653c9beea69ac50d5f5dbc8
  job       7069c1546cba, script
  started   2026-01-31 05:00:00, took 170 ms
  trigger   manual

                          0                                       170 ms
✗ cron certificate check  ██████████████████████████████████████████████  170 ms
└ ✗ script                ██████████████████████████████████████████████  170 ms
"""


def test_a_failure_shows_the_hosts_error_text_whole(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    result = cli("trace", "d6ba")

    assert result.out == FAILED_SCRIPT
    assert result.status == 0


def test_steps_that_the_host_has_deleted_are_not_passed_over(cli: Cli) -> None:
    assert cli("trace", "3f9a").lines[-1] == (
        "Hermes has deleted this run's messages: its steps are gone."
    )


def test_an_inferred_outcome_is_marked(cli: Cli) -> None:
    assert cli("trace", "a901").lines[0] == "nightly digest  abandoned*"


def test_an_unknown_cost_says_so_and_a_script_has_none(cli: Cli) -> None:
    assert "  cost      unknown" in cli("trace", "a901").lines
    assert "cost" not in cli("trace", "d6ba").out


def test_a_cost_that_is_partly_unknown_is_a_lower_bound(cli: Cli) -> None:
    result = cli("trace", str(OLD_HOST.session_id))

    assert "  cost      ≥$1.50, partial" in result.lines
    assert result.lines[-3].endswith("≥$1.50")


def test_a_cost_that_a_subscription_covers_is_said_so(empty: Cli) -> None:
    fill(empty.home, replace(DIGEST, cost_usd=0.0, cost_status=CostStatus.INCLUDED))

    assert "  cost      included" in empty("trace", "latest").lines


def test_an_answer_that_asked_not_to_be_delivered_is_told(empty: Cli) -> None:
    fill(empty.home, replace(DIGEST, silent=True))

    assert (
        "  delivery  delivered, telegram, silent: it asked not to be delivered"
        in empty("trace", "latest").lines
    )


def test_nothing_in_a_run_drives_the_terminal(empty: Cli) -> None:
    hostile = "\x1b]0;title\x07[red]x[/]\x9b31m"
    fill(
        empty.home,
        replace(
            NO_KEY,
            job_name=hostile,
            model=hostile,
            error_message=f"{hostile}\r\nsecond {hostile}",
            delivery_error=hostile,
            skills=(hostile,),
        ),
    )

    result = empty("trace", "latest")

    assert all(char.isprintable() or char == "\n" for char in result.out)
    assert "[red]x[/]" in result.lines[0]


# Which run is meant.


@pytest.mark.parametrize(
    ("reference", "run_id"),
    [
        ("latest", DIGEST.run_id),
        (DIGEST.run_id, DIGEST.run_id),
        ("3f9a61", DIGEST.run_id),
        (str(DIGEST.session_id), DIGEST.run_id),
        ("cron_6c583f72f2e8_20260130", LOST.run_id),
        ("cron_71314c23fdcb", OLD_HOST.run_id),
        ("nightly digest", DIGEST.run_id),
        ("Nightly Digest", DIGEST.run_id),
        ("6c583f72f2e8", DIGEST.run_id),
        ("7069c1546cba", SCRIPT.run_id),
    ],
)
def test_references(cli: Cli, reference: str, run_id: str) -> None:
    assert cli("trace", "--json", reference).json["run"]["run_id"] == run_id


@pytest.mark.parametrize("name", ["cron", "3f9a61c0", "81"])
def test_the_name_of_a_job_goes_before_the_beginning_of_an_id(cli: Cli, name: str) -> None:
    named = replace(SCRIPT, execution_id="ffff" + 28 * "0", job_id="ffffffffffff", job_name=name)
    fill(cli.home, named)

    assert cli("trace", "--json", name).json["run"]["run_id"] == named.run_id


def test_a_whole_id_goes_before_everything(cli: Cli) -> None:
    fill(cli.home, replace(SCRIPT, execution_id="0" * 32, job_name=DIGEST.run_id))

    assert cli("trace", "--json", DIGEST.run_id).json["run"]["run_id"] == DIGEST.run_id


def test_an_ambiguous_beginning_lists_the_candidates(cli: Cli) -> None:
    result = cli("trace", "cron_6c583f72f2e8")

    assert (result.status, result.out) == (1, "")
    assert result.err == (
        "error: 'cron_6c583f72f2e8' is the beginning of more than one run:\n"
        "  3f9a61c0000000000000000000000000  2026-01-31 07:00  success    nightly digest\n"
        "  a9013d21000000000000000000000000  2026-01-30 07:00  abandoned  nightly digest\n"
    )


def test_more_candidates_than_are_listed_are_hinted_at(empty: Cli) -> None:
    alike = [
        replace(SCRIPT, execution_id=f"abc{n:029x}", started_ns=SCRIPT.started_ns - n)
        for n in range(12)
    ]
    fill(empty.home, *alike)

    lines = empty("trace", "abc").err.splitlines()

    assert len(lines) == 12
    assert lines[-1] == "  … and perhaps more: give more of the id."


def test_an_unknown_run_is_a_failure_that_says_what_to_run(cli: Cli) -> None:
    result = cli("trace", "nobody")

    assert (result.status, result.out) == (1, "")
    assert result.err == (
        "error: No run and no job is called 'nobody'.\n"
        "  Run `cronalytics-otel runs` for those that are known, `cronalytics-otel sync` for new"
        " ones.\n"
    )


def test_the_latest_of_none_is_a_failure(empty: Cli) -> None:
    fill(empty.home)

    result = empty("trace", "latest")

    assert (result.status, result.err) == (
        1, "error: No run is known yet.\n  Run `cronalytics-otel sync`.\n"
    )  # fmt: skip


def test_without_a_journal_it_says_what_to_run(empty: Cli) -> None:
    result = empty("trace", "latest")

    assert (result.status, result.out) == (1, "")
    assert f"Run `cronalytics-otel sync --home {empty.home.path}`" in result.err


def test_a_damaged_host_database_is_no_end(cli: Cli) -> None:
    cli.home.state_db.write_bytes(b"this is no database\n" * 500)

    result = cli("trace", "3f9a")

    assert result.status == 0
    assert result.lines[0] == "nightly digest  success"


# For programs.


def test_json_has_the_run_and_its_spans_as_they_would_be_sent(with_steps: Cli) -> None:
    shape = with_steps("trace", "--json", "latest").json

    assert list(shape) == ["run", "spans"]
    assert shape["run"] == with_steps("runs", "--json").json["runs"][0]
    root, startup, agent, chat = shape["spans"][:4]
    assert (startup["name"], startup["kind"], startup["attributes"]) == ("startup", "internal", {})
    assert (startup["started_at"], startup["ended_at"]) == (root["started_at"], agent["started_at"])
    assert chat == {
        "trace_id": shape["run"]["trace_id"],
        "span_id": chat["span_id"],
        "parent_id": agent["span_id"],
        "name": "chat fake-model",
        "kind": "client",
        "started_at": "2026-01-31T06:00:06.501600Z",
        "ended_at": "2026-01-31T06:00:42.996800Z",
        "duration_s": 36.4952,
        "error": None,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.agent.name": "hermes",
            "gen_ai.conversation.id": shape["run"]["session_id"],
            "gen_ai.request.model": "fake-model",
            "gen_ai.provider.name": "custom",
            "server.address": "127.0.0.1",
            "gen_ai.response.finish_reasons": ["tool_calls"],
        },
        "links": [],
        "events": [],
    }
    assert (root["parent_id"], root["attributes"]["hermes.cron.job.skills"]) == (None, ["news"])
    assert len(chat["span_id"]) == 16
    assert len(chat["trace_id"]) == 32


def test_json_links_the_jobs_previous_run(cli: Cli) -> None:
    (root,) = cli("trace", "--json", "3f9a").json["spans"]
    (previous,) = cli("trace", "--json", "a901").json["spans"]

    assert root["links"] == [
        {
            "trace_id": previous["trace_id"],
            "span_id": previous["span_id"],
            "attributes": {"hermes.cron.link.relation": "previous_run"},
        }
    ]


MISSED = Run(
    profile="default",
    job_id=DIGEST.job_id,
    job_name="nightly digest",
    mode=DIGEST.mode,
    execution_id="missed_6a0f24f1c1d3ab90",
    trigger=Trigger.SCHEDULE,
    schedule_kind=DIGEST.schedule_kind,
    schedule_expression="0 7 * * *",
    schedule_timezone="Europe/Berlin",
    skills=("news",),
    started_ns=NOW_NS - 5 * DAY,
    ended_ns=NOW_NS - 2 * DAY,
    scheduled_ns=NOW_NS - 5 * DAY,
    outcome=Outcome.MISSED,
    outcome_source=OutcomeSource.INFERRED,
    error_type="scheduler_down",
    error_message="Should have run 4 times from 2026-01-26 07:00 to 2026-01-29 07:00 UTC; "
    "the scheduler was down",
    missed_count=4,
    scheduler_down=True,
)

MISSED_SCREEN = """\
nightly digest  missed*
  error     scheduler_down
            Should have run 4 times from 2026-01-26 07:00 to 2026-01-29 07:00 UTC; the scheduler was down
  run       missed_6a0f24f1c1d3ab90
  trace id  TRACE_ID
  job       6c583f72f2e8, agent, skills news
  schedule  0 7 * * * (Europe/Berlin)
  missed    4 times
  first due FIRST
  last due  LAST
  scheduler down
  before    BEFORE
  after     AFTER
"""


def test_a_missed_run_tells_when_it_was_due_and_which_runs_it_lies_between(empty: Cli) -> None:
    fill(empty.home, replace(DIGEST, execution_id="0b" * 16, session_id="s1", started_ns=NOW_NS - 6 * DAY, ended_ns=NOW_NS - 6 * DAY), MISSED, LOST)  # fmt: skip

    result = empty("trace", "missed_6a0f")

    found = result.lines[: result.lines.index("")]
    expected = MISSED_SCREEN.splitlines()
    assert [line[:12] for line in found] == [line[:12] for line in expected]
    shown = dict(zip((line[:12].strip() for line in expected), found, strict=True))
    assert "0b0b0b0b at 2026-01-25" in shown["before"]
    assert "success" in shown["before"]
    assert "a9013d21 at 2026-01-30" in shown["after"]
    assert "2 h 00 m late" in shown["after"]
    assert shown["missed"].endswith("4 times")
    assert found[1:3] == expected[1:3]
    assert result.lines[-1].split() == [
        "✗",
        "missed",
        "nightly",
        "digest",
        formats.UNKNOWN,
    ]  # without a bar
    assert result.status == 0


def test_an_outage_without_a_run_after_it_says_so(empty: Cli) -> None:
    fill(empty.home, replace(MISSED, scheduler_down=None))

    result = empty("trace", "missed_6a0f")

    assert "  after     has not run since" in result.lines
    assert not any(line.startswith(("  before", "  scheduler")) for line in result.lines)


# Which run.


def test_a_run_is_found_by_its_trace_id_and_by_a_part_of_its_jobs_name(cli: Cli) -> None:
    trace_id = cli("runs", "--job", "billing", "--json").json["runs"][0]["trace_id"]

    assert cli("trace", trace_id).lines[0] == "billing summary  failure"
    assert cli("trace", "billing").lines[0] == "billing summary  failure"
    assert cli("trace", "0" * 32).status == 1


def test_a_run_of_the_last_90_days_is_found_by_the_beginning_of_its_trace_id(cli: Cli) -> None:
    old = replace(
        SCRIPT,
        execution_id="0e" * 16,
        started_ns=SCRIPT.started_ns - 90 * DAY,
        ended_ns=SCRIPT.ended_ns - 90 * DAY,
    )
    fill(cli.home, old)
    trace_id = cli("runs", "--job", "billing", "--json").json["runs"][0]["trace_id"]
    old_id = cli("runs", "--limit", "0", "--json").json["runs"][-1]["trace_id"]

    for reference in (trace_id[:7], trace_id[:31], trace_id[:9].upper()):
        assert cli("trace", reference).lines[0] == "billing summary  failure"
    assert cli("trace", trace_id[:6]).status == 1
    assert cli("trace", old_id).lines[0] == "certificate check  failure"
    assert cli("trace", old_id[:31]).status == 1


def test_the_beginning_of_several_trace_ids_lists_their_runs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronalytics_otel.telemetry.ids.trace_id", lambda *_: 0xABCDEF0 << 100)

    result = cli("trace", "abcdef0")

    assert (result.status, result.out) == (1, "")
    assert "'abcdef0' is the beginning of more than one run:" in result.err
    assert "nightly digest" in result.err
    assert "billing summary" in result.err


@pytest.mark.parametrize("reference", ["", "  "])
def test_nothing_is_wrong_usage(cli: Cli, reference: str) -> None:
    result = cli("trace", reference)

    assert (result.status, result.out) == (2, "")
    assert result.err.endswith("argument RUN: it is empty\n")


def test_an_unknown_run_names_similar_jobs(cli: Cli) -> None:
    assert "Did you mean 'billing summary'?" in cli("trace", "biling sumary").err


def test_the_last_line_of_a_long_stderr_stands_first(empty: Cli) -> None:
    error = "Script exited with code 1\nstderr:\nTraceback\n  File x\nKeyError: 'a'"
    fill(empty.home, replace(SCRIPT, error_message=error))

    assert empty("trace", "latest").lines[2:4] == [
        "            Script exited with code 1: KeyError: 'a'",
        "            Script exited with code 1",
    ]
