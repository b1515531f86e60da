"""Scripts, gates and fed runs: from the host's files to what `trace` shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronalytics_otel.host.home import Home
from tests.support.cli import Cli
from tests.support.homes import BuiltRun, HomeBuilder

SIX = datetime(2026, 1, 31, 6, 0, 4, 500_000, tzinfo=UTC)
ERROR = "Script exited with code 3\nstderr:\nno disk\nstdout:\nhalf"


@pytest.fixture
def cli(empty: Cli) -> Cli:
    return empty


@pytest.fixture
def host(cli: Cli) -> HomeBuilder:
    """A home far from the machine's own time zone."""
    return HomeBuilder(cli.home.path, timezone="America/St_Johns")


def traced(cli: Cli, run: BuiltRun) -> Any:
    assert cli("sync").status == 0
    run_id = run.expected.execution_id or run.expected.session_id or ""
    return cli("trace", "--json", run_id).json


def span(trace: Any, name: str) -> Any:
    (found,) = (s for s in trace["spans"] if s["name"] == name)
    return found


def test_a_script_before_an_agent_is_a_step_with_its_time_and_its_exit_code(
    cli: Cli, host: HomeBuilder
) -> None:
    job = host.job("report", every_minutes=30, script="data.sh")
    run = host.agent_run(job, SIX, 60.0, script_s=20.0, script_output="42 things")
    host.write()

    trace = traced(cli, run)

    root, script, startup, agent = trace["spans"][:4]
    assert (script["name"], script["started_at"]) == ("script", root["started_at"])
    assert script["ended_at"] == "2026-01-31T06:00:24.000000Z"  # the host's stamp: whole seconds
    assert script["attributes"] == {"process.exit.code": 0}
    assert (startup["name"], startup["started_at"]) == ("startup", script["ended_at"])
    assert startup["ended_at"] == agent["started_at"] > script["ended_at"]
    assert root["attributes"]["hermes.cron.run.script_time"] == 19.5
    assert root["error"] is None


def test_a_script_that_fails_before_an_agent_fails_the_run(cli: Cli, host: HomeBuilder) -> None:
    job = host.job("report", every_minutes=30, script="data.sh")
    run = host.agent_run(job, SIX, 60.0, script_s=20.0, script_error=ERROR)
    host.write()

    trace = traced(cli, run)

    assert trace["run"]["outcome"] == "failure"
    script = span(trace, "script")
    assert script["error"] == ERROR.partition("\nstdout:")[0]
    assert script["attributes"] == {"process.exit.code": 3, "error.type": "script_failed"}


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        ("Blocked: script path resolves outside the scripts directory (/h): '../x'", "script_blocked"),
        ("Script execution failed: [Errno 13] Permission denied: '/bin/bash'", "permission_denied"),
        ("Script not found: /h/scripts/x.sh", "invalid_config"),
    ],
)  # fmt: skip
def test_a_script_that_may_not_run_fails_the_run_and_has_no_exit_code(
    cli: Cli, host: HomeBuilder, error: str, error_type: str
) -> None:
    job = host.job("report", every_minutes=30, script="data.sh")
    run = host.agent_run(job, SIX, 60.0, script_error=error)
    host.write()

    trace = traced(cli, run)

    assert (trace["run"]["outcome"], trace["run"]["error_type"]) == ("failure", error_type)
    assert span(trace, "script")["attributes"] == {"error.type": error_type}


def test_a_job_that_was_given_a_script_later_had_none_in_its_earlier_runs(
    cli: Cli, host: HomeBuilder
) -> None:
    """The definition that is known is of today."""
    job = host.job("report", every_minutes=30, script="data.sh")
    run = host.agent_run(job, SIX, 60.0)
    host.write()

    trace = traced(cli, run)

    assert "script" not in {s["name"] for s in trace["spans"]}
    assert trace["run"]["script_exit_code"] is None


def test_a_script_job_has_its_exit_code(cli: Cli, host: HomeBuilder) -> None:
    job = host.job("disk", every_minutes=30, no_agent=True)
    good = host.script_run(job, SIX, 2.0)
    bad = host.script_run(job, SIX + timedelta(minutes=30), outcome="failure")
    late = host.script_run(job, SIX + timedelta(minutes=60), outcome="timeout")
    host.write()

    assert span(traced(cli, good), "script")["attributes"]["process.exit.code"] == 0
    assert span(traced(cli, bad), "script")["attributes"]["process.exit.code"] == 3
    assert "process.exit.code" not in span(traced(cli, late), "script")["attributes"]
    assert traced(cli, good)["spans"][0]["attributes"]["hermes.cron.run.script_time"] == 2.0


@pytest.mark.parametrize(
    ("nothing", "reason"), [(False, "wake_agent_false"), (True, "no_output")]
)  # fmt: skip
def test_a_gate_s_no_has_its_reason(
    cli: Cli, host: HomeBuilder, nothing: bool, reason: str
) -> None:
    job = host.job("mail", every_minutes=30, script="any.py")
    run = host.gated_run(job, SIX, nothing=nothing)
    host.write()

    root, script = traced(cli, run)["spans"]

    assert root["attributes"]["hermes.cron.run.outcome"] == "skipped"
    assert root["attributes"]["hermes.cron.run.skip_reason"] == reason
    assert script["attributes"] == {"process.exit.code": 0}


def test_the_turn_limit_is_told_apart_from_other_successes(cli: Cli, host: HomeBuilder) -> None:
    job = host.job("dig", every_minutes=30)
    free = host.agent_run(job, SIX)
    bound = host.agent_run(
        job, SIX + timedelta(minutes=30), outcome="turn_limit", tools=["terminal"] * 3
    )
    host.write()

    name = "hermes.cron.run.turn_limit_reached"
    assert traced(cli, free)["spans"][0]["attributes"][name] is False
    root = traced(cli, bound)["spans"][0]
    assert (root["attributes"][name], root["error"]) == (True, None)


# Runs that were given another job's output.


def links(trace: Any, relation: str) -> list[str]:
    """The trace ids of the links of one kind."""
    root = trace["spans"][0]
    found = (s for s in root["links"] if s["attributes"]["hermes.cron.link.relation"] == relation)
    return [link["trace_id"] for link in found]


def trace_id(cli: Cli, run: BuiltRun) -> str:
    return str(traced(cli, run)["run"]["trace_id"])


def test_a_run_links_to_those_whose_outputs_it_was_given(cli: Cli, host: HomeBuilder) -> None:
    script = host.job("disk", every_minutes=30, no_agent=True)
    digest = host.job("digest", every_minutes=30, context_from=[script])
    report = host.job("report", every_minutes=30, context_from=[script, digest])
    host.script_run(script, SIX, 0.2)
    newest = host.script_run(script, SIX + timedelta(minutes=2), 0.2)
    middle = host.agent_run(digest, SIX + timedelta(minutes=3))
    later = host.script_run(script, SIX + timedelta(minutes=4), 0.2)
    last = host.agent_run(report, SIX + timedelta(minutes=5))
    host.script_run(script, SIX + timedelta(minutes=6), 0.2)
    host.write()

    assert links(traced(cli, middle), "context_from") == [trace_id(cli, newest)]
    # The output of `digest` has its own prompt in it, with the older output of `disk`.
    assert sorted(links(traced(cli, last), "context_from")) == sorted(
        [trace_id(cli, later), trace_id(cli, middle)]
    )
    assert links(traced(cli, middle), "previous_run") == []


def test_a_gate_that_printed_nothing_feeds_nobody(cli: Cli, host: HomeBuilder) -> None:
    """Its output file is the newest, and is empty: the host passes it over."""
    gate = host.job("gate", every_minutes=30, script="any.py")
    report = host.job("report", every_minutes=30, context_from=[gate])
    host.agent_run(gate, SIX, script_output="one mail")
    host.gated_run(gate, SIX + timedelta(minutes=30), nothing=True)
    run = host.agent_run(report, SIX + timedelta(minutes=31))
    host.write()

    assert links(traced(cli, run), "context_from") == []


def test_a_run_is_not_fed_by_a_definition_alone(cli: Cli, host: HomeBuilder) -> None:
    """The job was told to take that output only after this run."""
    source = host.job("source", every_minutes=30)
    report = host.job("report", every_minutes=30)
    host.agent_run(source, SIX)
    run = host.agent_run(report, SIX + timedelta(minutes=5))
    host.jobs[report]["context_from"] = [source]
    host.write()

    assert links(traced(cli, run), "context_from") == []


def test_a_job_that_is_given_its_own_last_output_links_to_that_run_alone(
    cli: Cli, host: HomeBuilder
) -> None:
    diary = host.job("diary", every_minutes=30, context_from=[], job_id="0123456789ab")
    host.jobs[diary]["context_from"] = [diary]
    runs = [host.agent_run(diary, SIX + timedelta(minutes=30 * n)) for n in range(4)]
    host.write()

    before, last = trace_id(cli, runs[2]), traced(cli, runs[3])
    assert links(last, "context_from") == links(last, "previous_run") == [before]


def test_a_journal_that_is_made_anew_gives_the_same_links(cli: Cli, host: HomeBuilder) -> None:
    source = host.job("source", every_minutes=30)
    report = host.job("report", every_minutes=30, script="data.sh", context_from=[source])
    host.agent_run(source, SIX)
    run = host.agent_run(
        report, SIX + timedelta(minutes=5), 60.0, script_s=9.0, script_output="42 things"
    )
    host.write()
    known = traced(cli, run)

    Home(cli.home.path).journal.unlink()
    assert traced(cli, run) == known
    assert len(links(known, "context_from")) == 1


# On one screen.

STORY = """\
report  failure
  error     script_failed
            Script exited with code 3
            stderr:
            no disk
            stdout:
            half
  run       {run_id}
  session   {session_id}
  trace id  {trace_id}
  job       0123456789ab, agent
  started   2026-01-31 07:30:04, took 50.0 s
  time      queue 4 ms, script 19.5 s, start-up 3.0 s, model 27.5 s
  due       2026-01-31 07:30:04, 0 ms late
  trigger   schedule, every 30m (America/St_Johns)
  model     fake-model, custom
  tokens    1,050: 1,000 in (200 from cache), 50 out (20 reasoning)
  cost      unknown
  calls     1 model call
  script    exit code 3, took 19.5 s
  delivery  not configured, local
  previous  {previous}, skipped, 2026-01-31 07:00:04
  fed by    {source}, disk, success, 2026-01-31 07:29:05

                       0                               50.0 s
✗ cron report          ██████████████████████████████████████  50.0 s  1,050 tok
├ ✗ script             ███████████████                         19.5 s
├ startup                             ██                        3.0 s
└ invoke_agent hermes                   █████████████████████  27.5 s
  └ chat fake-model                     █████████████████████  27.5 s  1,050 tok
"""


def test_one_screen_tells_what_ran_before_the_agent_and_what_fed_it(
    cli: Cli, host: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = host.job("disk", every_minutes=30, no_agent=True)
    job = host.job(
        "report", every_minutes=30, script="any.py", job_id="0123456789ab", context_from=[disk]
    )
    gated = host.gated_run(job, SIX)
    source = host.script_run(disk, SIX + timedelta(minutes=29), 1.0)
    run = host.agent_run(
        job, SIX + timedelta(minutes=30), 50.0, script_s=20.0, script_error=ERROR
    )  # fmt: skip
    host.write()
    known = traced(cli, run)["run"]
    monkeypatch.setenv("COLUMNS", "80")

    assert cli("trace", known["run_id"]).out == STORY.format(
        **known | {"previous": gated.expected.execution_id, "source": source.expected.execution_id}
    )
    lines = cli("trace", str(gated.expected.execution_id)).lines
    assert "  script    exit code 0, the gate said no: wakeAgent is false" in lines
