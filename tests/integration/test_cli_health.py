"""`health`: one line for each thing that is wrong, and an exit status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from cronalytics_otel.model import DeliveryOutcome, Job, Mode, Outcome, Schedule, ScheduleKind
from tests.support.cli import DIGEST, HOUR, MINUTE, NO_KEY, NOW_NS, SCRIPT, Cli, fill, new_home

DAILY = Schedule(kind=ScheduleKind.CRON, expression="0 7 * * *", cron="0 7 * * *")


def job(run_job_id: str, name: str, **facts: object) -> Job:
    made = Job(
        job_id=run_job_id,
        name=name,
        mode=Mode.AGENT,
        schedule=DAILY,
        next_run_ns=NOW_NS + HOUR,
    )
    return replace(made, **facts)  # type: ignore[arg-type]


JOBS = (
    job(DIGEST.job_id, DIGEST.job_name),
    job(NO_KEY.job_id, NO_KEY.job_name),
    job(SCRIPT.job_id, SCRIPT.job_name),
)


def with_jobs(cli: Cli, *jobs: Job) -> None:
    with Journal.open(cli.home.journal) as journal:
        journal.facts.set(CURRENT_JOBS, jobs)


def with_failing_profile(cli: Cli, name: str) -> None:
    """Adds a profile with one job, which has no key."""
    home = new_home(cli.home.path / "profiles" / name)
    fill(home, replace(NO_KEY, profile=name))
    with Journal.open(home.journal) as journal:
        journal.facts.set(CURRENT_JOBS, JOBS[1:2])


@pytest.fixture
def cli(empty: Cli) -> Cli:
    """Three jobs: one is well, one has no key, and the script of one fails."""
    fill(empty.home, SCRIPT, NO_KEY, DIGEST)
    with_jobs(empty, *JOBS)
    return empty


def test_a_line_for_each_thing_that_is_wrong_and_status_1(cli: Cli) -> None:
    missed = replace(
        DIGEST,
        execution_id="missed_1",
        session_id=None,
        outcome=Outcome.MISSED,
        missed_count=3,
        started_ns=NOW_NS - 20 * HOUR,
        ended_ns=NOW_NS - 18 * HOUR,
    )
    lost = replace(
        DIGEST,
        execution_id="f" * 32,
        session_id="s",
        started_ns=NOW_NS - HOUR,
        ended_ns=NOW_NS - HOUR + MINUTE,
        scheduled_ns=NOW_NS - 2 * HOUR,
        delivery_outcome=DeliveryOutcome.FAILED,
        delivery_error="chat not found",
    )
    fill(cli.home, missed, lost)
    with_jobs(cli, *JOBS, job("b", "backup", next_run_ns=NOW_NS - 90 * MINUTE))

    result = cli("health")

    assert result.lines == [
        (
            "✗ failing: billing summary: failed: RuntimeError: HTTP 401: Incorrect API key provided,"
            " since 2026-01-31 06:00 (3 h 00 m ago)."
            " `trace 81c4f0aa` shows where."
        ),
        (
            "✗ failing: certificate check: failed: Script exited with code 3: expires tomorrow, since 2026-01-31 05:00"
            " (4 h 00 m ago). `trace d6ba2e91` shows where."
        ),
        (
            "✗ overdue: backup: was due and has not run, although a scheduler at work would have started"
            " it, since 2026-01-31 07:30 (1 h 30 m ago). See whether Hermes's gateway is running, and what"
            " its log says of the job."
        ),
        (
            "✗ missed: nightly digest: did not run 3 times when it was due, since 2026-01-30 13:00"
            " (20 h 00 m ago). See whether the machine or Hermes's gateway was down then."
        ),
        (
            "✗ late: nightly digest: its last run began 1 h 00 m after it was due, since 2026-01-31 08:00"
            " (1 h 00 m ago). See whether the machine slept, or other jobs held the scheduler up."
        ),
        (
            "✗ undelivered: nightly digest: its last answer could not be delivered to telegram: chat not"
            " found, since 2026-01-31 08:01 (59 m 00 s ago). See the job's `deliver` setting and the"
            " platform's credentials."
        ),
    ]
    assert (result.status, result.err) == (1, "")


def test_one_line_and_status_0_where_nothing_is_wrong(cli: Cli) -> None:
    with_jobs(cli, JOBS[0])

    result = cli("health")

    assert (result.status, result.out, result.err) == (0, "Nothing is wrong.\n", "")


def test_since_last_shows_what_is_new_and_is_silent_otherwise(cli: Cli) -> None:
    first = cli("health", "--since-last")
    second = cli("health", "--since-last")
    fill(
        cli.home,
        *(replace(NO_KEY, execution_id=f"{n}" * 32, session_id=f"s{n}") for n in range(2)),
    )
    with_jobs(cli, *JOBS)
    third = cli("health", "--since-last")

    assert [line.split(":")[0] for line in first.lines] == ["✗ failing", "✗ failing"]
    assert (second.status, second.out, second.err) == (0, "", "")
    assert [line.split(":")[0] for line in third.lines] == ["✗ failing in a row"]
    assert (first.status, third.status) == (1, 1)
    assert cli("health").status == 1


def test_json_has_the_findings_and_says_whether_all_of_them_are_there(cli: Cli) -> None:
    cli("health", "--since-last")

    everything, new = cli("health", "--json"), cli("health", "--json", "--since-last")

    assert everything.json["findings"][1] == {
        "profile": "default",
        "id": f"failing|{SCRIPT.job_id}|{SCRIPT.ended_ns}",
        "kind": "failing",
        "text": "failed: Script exited with code 3: expires tomorrow",
        "advice": "`trace d6ba2e91` shows where",
        "job_id": SCRIPT.job_id,
        "subject": "certificate check",
        "since_at": "2026-01-31T04:00:00.170000Z",
    }
    assert (everything.json["healthy"], everything.status) == (False, 1)
    assert new.json == {
        "healthy": False,
        "since_last": True,
        "last_sync_at": "2026-01-31T07:59:00.000000Z",
        "findings": [],
    }
    assert new.status == 0


def test_without_a_journal_it_is_no_success(empty: Cli) -> None:
    result = empty("health")

    assert (result.status, result.out) == (1, "")
    assert f"Run `cronalytics-otel sync --home {empty.home.path}`" in result.err


def test_a_name_cannot_break_a_line(cli: Cli) -> None:
    with_jobs(cli, replace(JOBS[1], name="bad\n\x1b[31mname"))

    (line,) = cli("health").lines

    assert line.startswith("✗ failing: bad: failed")


def test_a_ledger_that_is_damaged_since_the_last_sync_is_a_finding(cli: Cli) -> None:
    with_jobs(cli, JOBS[0])
    cli.home.ledger.parent.mkdir(parents=True, exist_ok=True)
    Path(cli.home.ledger).write_bytes(b"no database" * 1000)

    result = cli("health")

    assert result.status == 1
    assert f"{cli.home.ledger} is damaged" in result.out


def test_a_sync_long_ago_is_a_finding(cli: Cli) -> None:
    with_jobs(cli, JOBS[0])
    with Journal.open(cli.home.journal) as journal:
        journal.facts.set(LAST_SYNC_NS, NOW_NS - 50 * HOUR)

    (line,) = cli("health").lines

    assert line.startswith("✗ stale data: nothing was read for 2 d 02 h, since 2026-01-29 07:00")


def test_of_one_job_it_says_nothing_of_others_or_of_destinations(cli: Cli) -> None:
    (cli.home.path / "config.yaml").write_text(
        "plugins: {entries: {cronalytics-otel: {max_age_day: 3}}}\n"
    )

    everything, one = cli("health", "--json"), cli("health", "--job", "billing", "--json")
    well = cli("health", "--job", "nightly digest", "--job", DIGEST.job_id)

    assert [f["kind"] for f in everything.json["findings"]] == ["failing", "failing", "settings"]
    assert [f["subject"] for f in one.json["findings"]] == ["billing summary"]
    assert (well.status, well.out) == (0, "Nothing is wrong.\n")


def test_of_one_job_it_still_says_that_nothing_is_known_of_any(cli: Cli) -> None:
    with Journal.open(cli.home.journal) as journal:
        journal.facts.set(LAST_SYNC_NS, NOW_NS - 50 * HOUR)

    result = cli("health", "--job", "nightly digest")

    assert result.status == 1
    assert [line.split(":")[0] for line in result.lines] == ["✗ stale data"]


def test_since_last_of_one_job_leaves_what_is_new_of_others(cli: Cli) -> None:
    one = cli("health", "--since-last", "--job", "billing summary")
    rest = cli("health", "--since-last")
    nothing = cli("health", "--since-last", "--job", "billing summary")

    assert [line.split(":")[1].strip() for line in one.lines] == ["billing summary"]
    assert [line.split(":")[1].strip() for line in rest.lines] == ["certificate check"]
    assert (nothing.status, nothing.out) == (0, "")


@pytest.mark.parametrize("command", ["health", "status"])
def test_an_unknown_job_or_profile_is_wrong_usage(cli: Cli, command: str) -> None:
    job_, profile = cli(command, "--job", "billing sumary"), cli(command, "--profile", "wrk")
    empty = cli(command, "--job", "")

    assert [each.status for each in (job_, profile, empty)] == [2, 2, 2]
    assert "Did you mean 'billing summary'?" in job_.err
    assert "There is no profile 'wrk'." in profile.err
    assert (job_.out, profile.out) == ("", "")


def test_all_profiles_are_looked_at_and_each_line_names_its_profile(cli: Cli) -> None:
    with_failing_profile(cli, "work")
    with_jobs(cli, JOBS[2])

    both, alone = cli("health", "--all-profiles"), cli("health", "--profile", "work")

    assert [line.split(": ")[:2] for line in both.lines] == [
        ["✗ failing", "work/billing summary"],
        ["✗ failing", "default/certificate check"],
    ]
    assert [line.split(": ")[:2] for line in alone.lines] == [["✗ failing", "billing summary"]]
    profiles = [f["profile"] for f in cli("health", "--all-profiles", "--json").json["findings"]]
    assert profiles == ["work", "default"]


def test_what_was_shown_is_remembered_in_each_profile(cli: Cli) -> None:
    with_failing_profile(cli, "work")

    first = cli("health", "--since-last", "--all-profiles")
    again = [cli("health", "--since-last", "--profile", name) for name in ("default", "work")]

    assert len(first.lines) == 3
    assert [(each.status, each.out) for each in again] == [(0, ""), (0, "")]
