"""`runs --outcome running`: what goes on by the ledger, and which options choose among it."""

from __future__ import annotations

import pytest

from cronalytics_otel.host import running as running_module
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS
from cronalytics_otel.model import Execution, Job, Mode, RunningRun
from tests.support.cli import DIGEST, MINUTE, NO_KEY, NOW_NS, SCRIPT, Cli, fill

JOBS = (
    Job(
        job_id=DIGEST.job_id,
        name="nightly digest",
        mode=Mode.AGENT,
        schedule=None,
        skills=("news",),
    ),
    Job(job_id=NO_KEY.job_id, name="billing summary", mode=Mode.AGENT, schedule=None),
    Job(job_id=SCRIPT.job_id, name="certificate check", mode=Mode.SCRIPT, schedule=None),
)


@pytest.fixture
def cli(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Each of three jobs has a run that goes on: the digest since three minutes, the script since one."""
    rows = tuple(
        RunningRun(
            execution=Execution(
                execution_id=f"open{n}",
                job_id=job.job_id,
                source="builtin",
                status="running",
                claimed_ns=NOW_NS - (3 - n) * MINUTE,
                started_ns=NOW_NS - (3 - n) * MINUTE,
                finished_ns=None,
                error=None,
                pid=1,
                process_started_at=1,
                delivery_outcome=None,
                scheduled_ns=None,
            ),
            process_is_gone=False,
        )
        for n, job in enumerate(JOBS)
    )
    monkeypatch.setattr(running_module, "read_running", lambda _: rows)
    fill(empty.home, NO_KEY, DIGEST)
    with Journal.open(empty.home.journal) as journal, journal.atomic():
        journal.jobs.observe(JOBS, NOW_NS - MINUTE)
        journal.facts.set(CURRENT_JOBS, JOBS)
    return empty


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ["nightly digest", "billing summary", "certificate check"]),
        (("--job", "billing"), ["billing summary"]),
        (("--mode", "agent"), ["nightly digest", "billing summary"]),
        (("--skill", "news"), ["nightly digest"]),
        (("--limit", "1"), ["nightly digest"]),
        (("--mode", "agent", "--limit", "1"), ["nightly digest"]),
    ],
)
@pytest.mark.parametrize("outcome", ["running", "running,failed"])
def test_these_options_choose(
    cli: Cli, outcome: str, args: tuple[str, ...], expected: list[str]
) -> None:
    found = cli("runs", "--outcome", outcome, *args, "--json").json

    assert [run["job_name"] for run in found["running"]] == expected


def test_a_limit_says_how_many_there_are(cli: Cli) -> None:
    alone = cli("runs", "--outcome", "running", "--limit", "1")
    found = cli("runs", "--outcome", "running", "--limit", "1", "--json").json
    beside = cli("runs", "--outcome", "running,failed", "--limit", "1")

    assert alone.lines[2:] == ["", "1 of 3 runs shown; --limit 0 shows all"]
    assert (found["matched"], found["shown"]) == (3, 1)
    assert beside.lines[2] == "1 of 3 running runs shown; --limit 0 shows all"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "claude-sonnet-4"),
        ("--trigger", "manual"),
        ("--days", "1"),
        ("--since", "1d"),
        ("--until", "1d"),
    ],
)
def test_what_is_known_only_at_the_end_of_a_run_is_wrong_usage(
    cli: Cli, option: str, value: str
) -> None:
    result = cli("runs", "--outcome", "running", option, value)

    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(
        f"error: {option} cannot be combined with --outcome running: what it asks for is known only"
    )


def test_beside_other_outcomes_the_time_is_that_of_runs_that_have_ended(cli: Cli) -> None:
    found = cli("runs", "--outcome", "running,failed", "--days", "1", "--json").json

    assert (len(found["running"]), len(found["runs"])) == (3, 1)
    assert cli("runs", "--outcome", "running,failed", "--trigger", "manual").status == 2
