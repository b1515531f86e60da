"""`status`: sources, journal, and where each destination stands."""
# ruff: noqa: RUF001 - the dash for what is unknown is what users see

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS, PROBLEMS
from cronalytics_otel.model import DestinationFault, Job, Mode, Schedule, ScheduleKind
from tests.support.cli import (
    DIGEST,
    HOUR,
    LOST,
    MINUTE,
    NO_KEY,
    NOW_NS,
    SCRIPT,
    SECOND,
    Cli,
    fill,
    new_home,
)
from tests.support.homes import HomeBuilder

ENDPOINT = "https://collector.example/v1/traces"


@pytest.fixture
def cli(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Four runs, all of them pending at one destination."""
    HomeBuilder(empty.home.path).write()
    fill(empty.home, SCRIPT, LOST, DIGEST, NO_KEY, facts={LAST_SYNC_NS: NOW_NS - MINUTE})
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example")
    with_outbox(empty, lambda outbox, _: outbox.set_destinations({"default": ENDPOINT}, NOW_NS))
    return empty


def with_outbox(cli: Cli, act: Callable[[Any, Any], object]) -> None:
    """Lets `act` work on the outbox with the default destination's entries."""
    with Journal.open(cli.home.journal) as journal, journal.atomic():
        entries = journal.outbox.take(1, 100, fresh_since_ns=0)
        act(journal.outbox, entries)


def destination_lines(cli: Cli) -> list[str]:
    lines = cli("status").lines
    return lines[lines.index("Destinations") + 1 :]


def health_lines(cli: Cli) -> list[str]:
    lines = cli("status").lines
    return lines[lines.index("Health") + 1 : lines.index("Sources") - 1]


def test_everything_that_is_known(cli: Cli) -> None:
    for name in ("state.db", "cron/executions.db", "cron/jobs.json"):
        assert (cli.home.path / name).exists()

    result = cli("status")

    home = cli.home
    size = home.journal.stat().st_size
    assert [line for line in result.lines if "changed" not in line] == [
        "Hermes",
        f"  home       {home.path} (profile default)",
        "  version    –",
        "  content    off: of what was said in a run, error texts alone are sent, masked",
        "",
        "Health",
        "✓ nothing is wrong",
        "",
        "Sources",
        f"✓ jobs       {home.jobs}",
        f"✓ ledger     {home.ledger}",
        f"✓ sessions   {home.state_db}",
        f"✓ output     {home.outputs}",
        "",
        "Journal",
        f"  file       {home.journal}, {size / 1000:.0f} KB",
        "  runs       4 runs, ended 2026-01-30 08:00 to 2026-01-31 07:03; 0 open",
        "  last sync  2026-01-31 08:59:00 (1 m 00 s ago)",
        "",
        "Destinations",
        f"✓ default    {ENDPOINT}",
        "  delivered  0, last receipt never",
        "  pending    4, the oldest ended 1 d 01 h ago",
    ]
    assert result.lines[10].endswith(", read 2026-01-31 08:59:00")
    assert (result.status, result.err) == (0, "")


def test_a_destination_that_has_everything(cli: Cli) -> None:
    with_outbox(cli, lambda outbox, entries: outbox.accepted(1, entries, NOW_NS - SECOND))

    assert destination_lines(cli) == [
        f"✓ default    {ENDPOINT}",
        "  delivered  4, last receipt 2026-01-31 08:59:59 (1.0 s ago)",
        "  pending    0",
    ]
    assert cli("status").status == 0


def fail(outbox: Any, since_ns: int, *, asked_to_wait: bool) -> None:
    for at_ns in (since_ns, NOW_NS - SECOND):
        outbox.failed(
            1,
            "503 Service Unavailable",
            now_ns=at_ns,
            next_try_ns=NOW_NS + 30 * SECOND,
            asked_to_wait=asked_to_wait,
            timed_out=False,
            fault=DestinationFault.SERVER,
        )


def test_a_destination_that_fails_is_a_failure(cli: Cli) -> None:
    with_outbox(cli, lambda outbox, _: fail(outbox, NOW_NS - 2 * HOUR, asked_to_wait=False))

    assert destination_lines(cli) == [
        f"✗ default    {ENDPOINT}",
        "  delivered  0, last receipt never",
        "  pending    4, the oldest ended 1 d 01 h ago",
        "  failing    since 2026-01-31 07:00:00 (2 h 00 m ago)",
        "             503 Service Unavailable",
        "  fix        look at the log of the server",
        "  next try   2026-01-31 09:00:30 (in 30.0 s)",
    ]
    assert cli("status").status == 1


def test_a_wait_that_the_server_asked_for_is_told(cli: Cli) -> None:
    with_outbox(cli, lambda outbox, _: fail(outbox, NOW_NS - 2 * HOUR, asked_to_wait=True))

    assert destination_lines(cli)[-1] == (
        "  next try   2026-01-31 09:00:30 (in 30.0 s), as the server asked"
    )


def test_refused_and_given_up_runs_are_counted_with_reasons(cli: Cli) -> None:
    def refuse(outbox: Any, entries: Any) -> None:
        outbox.refuse(1, entries[:2], "400 Bad Request", NOW_NS)
        outbox.refuse(1, entries[2:3], "all 1 spans were rejected", NOW_NS)
        outbox.give_up(1, NOW_NS + 1)

    with_outbox(cli, refuse)

    assert destination_lines(cli) == [
        f"! default    {ENDPOINT}",
        "  delivered  0, last receipt never",
        "  pending    0",
        "  refused    3; `sync --retry-refused` sends them again",
        "             2 x 400 Bad Request",
        "             1 x all 1 spans were rejected",
        "  given up   1, which had waited too long",
    ]
    assert cli("status").status == 1


def test_a_destination_that_left_the_settings_keeps_what_it_lacked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with_outbox(cli, lambda outbox, _: outbox.set_destinations({}, NOW_NS))

    assert destination_lines(cli) == [
        "! no destination: runs are kept in the journal and sent nowhere",
        f"! default    {ENDPOINT}",
        "             no longer in the settings; it keeps what it lacked",
        "  delivered  0, last receipt never",
        "  pending    4, the oldest ended 1 d 01 h ago",
    ]


def test_with_the_sdk_disabled_the_destination_is_said_to_wait_for_that(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_outbox(cli, lambda outbox, _: fail(outbox, NOW_NS - MINUTE, asked_to_wait=False))
    with_outbox(cli, lambda outbox, _: outbox.set_destinations({}, NOW_NS))
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    disabled = destination_lines(cli)
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    enabled = destination_lines(cli)

    assert disabled[:3] == [
        "! OTEL_SDK_DISABLED is true: nothing is sent",
        f"! default    {ENDPOINT}",
        "             sending is switched off by OTEL_SDK_DISABLED; it keeps what it lacked",
    ]
    assert not any("next try" in line for line in disabled)
    assert enabled[1] == "             goes on at the next sync; it keeps what it lacked"


def test_a_new_destination_is_announced_without_its_secrets(
    empty: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(empty.home, DIGEST)
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@collector.example")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=hunter3")

    assert destination_lines(empty) == [
        f"– default    {ENDPOINT}",
        "             new: gets the whole history at the next sync",
    ]
    assert "hunter" not in empty("status", "--json").out


def test_without_a_destination_for_traces_the_one_of_metrics_is_not_denied(
    empty: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(empty.home)
    monkeypatch.delenv("OTEL_METRICS_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example")

    assert destination_lines(empty)[0] == (
        "! no destination for traces: runs are kept in the journal, and only their metrics are sent"
    )


def test_the_switch_that_turns_everything_off_is_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    assert destination_lines(cli)[0] == "! OTEL_SDK_DISABLED is true: nothing is sent"


def test_files_that_are_not_there_are_no_fault(empty: Cli) -> None:
    fill(empty.home)

    result = empty("status")

    lines = result.lines
    assert lines[lines.index("Sources") + 1 : lines.index("Journal") - 1] == [
        f"– jobs       {empty.home.jobs}",
        "             not there: Hermes has no cron job yet",
        f"– ledger     {empty.home.ledger}",
        "             not there: Hermes before 0.19 has none, and a new home gets it with its first run",
        f"– sessions   {empty.home.state_db}",
        "             not there: no agent has run yet",
        f"– output     {empty.home.outputs}",
        "             not there: no job has run yet",
    ]
    assert result.status == 0


def test_a_file_that_cannot_be_read_is_a_failure_that_names_it(cli: Cli) -> None:
    cli.home.jobs.write_text('{"jobs": [')
    cli.home.state_db.write_bytes(b"this is no database\n" * 500)
    cli.home.ledger.unlink()
    with sqlite3.connect(cli.home.ledger) as ledger:
        ledger.execute("CREATE TABLE executions (id TEXT, status TEXT)")
    ledger.close()
    fill(cli.home)  # as the next sync of the gateway sees them

    result = cli("status")

    sources = result.lines[result.lines.index("Sources") :]
    faults = [line for line in sources if line.startswith("✗")]
    assert [fault.split()[1] for fault in faults] == ["jobs", "ledger", "sessions"]
    assert f"{cli.home.jobs} is no valid JSON" in faults[0]
    assert "lacks columns job_id, claimed_at" in faults[1]
    assert f"{cli.home.state_db} is damaged" in faults[2]
    assert result.status == 1


def test_problems_of_the_last_sync_and_of_the_configuration_are_failures(cli: Cli) -> None:
    config = cli.home.path / "config.yaml"
    config.write_text("plugins: {entries: {cronalytics-otel: {max_age_day: 3}}}\n")
    fill(cli.home, facts={PROBLEMS: ("state.db is locked: it is read at the next sync",)})

    result = cli("status")

    problem, setting = health_lines(cli)
    assert problem.startswith("✗ unreadable: state.db is locked: it is read at the next sync. ")
    assert setting.startswith("✗ settings: ")
    assert "did you mean max_age_days?" in setting
    assert result.status == 1


def test_without_a_journal_it_says_what_to_run(empty: Cli) -> None:
    result = empty("status")

    assert (result.status, result.out) == (1, "")
    assert f"Run `cronalytics-otel sync --home {empty.home.path}`" in result.err
    assert not empty.home.plugin_folder.exists()


def test_json_has_the_same_facts(cli: Cli) -> None:
    def act(outbox: Any, entries: Any) -> None:
        outbox.refuse(1, entries[:1], "400 Bad Request", NOW_NS)
        fail(outbox, NOW_NS - HOUR, asked_to_wait=False)

    with_outbox(cli, act)

    result = cli("status", "--json")

    shape = result.json
    assert [set(source) for source in shape["sources"]] == [
        {"name", "path", "exists", "fault", "changed_at"}
    ] * 4
    assert shape["sources"][0]["path"] == str(cli.home.jobs)
    assert shape["journal"].pop("size_bytes") > 4096
    del shape["sources"], shape["version"]
    assert shape == {
        "healthy": False,
        "findings": [
            {
                "profile": "default",
                "id": "refused|default|1",
                "kind": "refused",
                "text": "refused 1 run: 400 Bad Request",
                "advice": "mend the cause, then `sync --retry-refused` sends them again",
                "job_id": None,
                "subject": "default",
                "since_at": None,
            },
            {
                "profile": "default",
                "id": f"pending|default|{NOW_NS - HOUR}",
                "kind": "pending",
                "text": "cannot be sent to: 503 Service Unavailable; 3 runs pending",
                "advice": "look at the log of the server; nothing is lost meanwhile, and what is pending is"
                " sent by itself once that is done. `doctor` sends a test",
                "job_id": None,
                "subject": "default",
                "since_at": "2026-01-31T07:00:00.000000Z",
            },
        ],
        "home": str(cli.home.path),
        "profile": "default",
        "hermes_version": None,
        "journal": {
            "path": str(cli.home.journal),
            "runs": 4,
            "open_runs": 0,
            "lost_rows": 0,
            "complete_since": None,
            "passed_over": 0,
            "lost_details": 0,
            "oldest_ended_at": "2026-01-30T07:00:00.000000Z",
            "newest_ended_at": "2026-01-31T06:03:09.000000Z",
            "last_sync_at": "2026-01-31T07:59:00.000000Z",
            "problems": [],
        },
        "destinations": [
            {
                "name": "default",
                "endpoint": ENDPOINT,
                "active": True,
                "delivered": 0,
                "last_receipt_at": None,
                "pending": 3,
                "oldest_pending_ended_at": "2026-01-31T04:00:00.170000Z",
                "oldest_pending_age_s": 14399.83,
                "refused": 1,
                "refusals": [{"reason": "400 Bad Request", "runs": 1}],
                "given_up": 0,
                "failures": 2,
                "failing_since": "2026-01-31T07:00:00.000000Z",
                "last_error": "503 Service Unavailable",
                "fault": "server",
                "next_attempt_at": "2026-01-31T08:00:30.000000Z",
                "asked_to_wait": False,
            }
        ],
        "metrics": [],
        "notices": [],
        "overdue": [],
        "disabled": False,
        "content": "off",
        "content_jobs": {},
        "config_problems": [],
    }
    assert result.status == 1


def test_a_job_that_no_scheduler_has_started_is_overdue(cli: Cli) -> None:
    builder = HomeBuilder(cli.home.path)
    due = datetime.fromtimestamp((NOW_NS - 3 * HOUR) / 1e9, tz=UTC)
    late = builder.job("backup", every_minutes=60, created=due - timedelta(hours=1))
    builder.job("in time", every_minutes=600, created=due)
    builder.job("paused", every_minutes=60, created=due, enabled=False, state="paused")
    builder.write()
    fill(cli.home)  # as the next sync of the gateway sees them

    (line,) = health_lines(cli)
    (shown,) = cli("status", "--json").json["overdue"]

    assert line == (
        "✗ overdue: backup: was due and has not run, although a scheduler at work would have started it,"
        " since 2026-01-31 06:00 (3 h 00 m ago). See whether Hermes's gateway is running, and what its"
        " log says of the job."
    )
    assert (shown["job_id"], shown["job_name"]) == (late, "backup")


def test_a_fault_that_came_after_the_last_sync_is_shown_after_the_next(empty: Cli) -> None:
    cli = empty
    HomeBuilder(cli.home.path).write()
    cli("sync")
    whole = cli.home.jobs.read_text()
    cli.home.jobs.write_text('{"jobs": [')
    before = cli("status").status
    cli("sync")
    damaged = cli("status")
    cli.home.jobs.write_text(whole)
    cli("sync")
    mended = cli("status")

    assert (before, damaged.status, mended.status) == (0, 1, 0)
    assert f"{cli.home.jobs} is no valid JSON" in damaged.out
    assert f"✓ jobs       {cli.home.jobs}" in mended.lines


def test_a_job_that_is_overdue_since_the_last_sync_may_have_run(cli: Cli) -> None:
    """A scheduler without the plugin may be at work: nobody has looked."""
    builder = HomeBuilder(cli.home.path)
    due = datetime.fromtimestamp((NOW_NS - 3 * HOUR) / 1e9, tz=UTC)
    builder.job("backup", every_minutes=60, created=due - timedelta(hours=1))
    builder.write()
    fill(cli.home, facts={LAST_SYNC_NS: NOW_NS - 4 * HOUR})

    (line,) = health_lines(cli)

    assert line.startswith(
        "✗ stale data: nothing was read although backup should have run since, since 2026-01-31 05:00"
    )


def test_before_the_first_harvest_nothing_is_said_of_the_sources(empty: Cli) -> None:
    with Journal.open(empty.home.journal):
        pass

    lines = empty("status").lines

    assert lines[lines.index("Sources") + 1] == "– no sync has finished yet"
    assert empty("status", "--json").json["sources"] == []


def test_status_of_one_job_says_nothing_of_other_jobs(cli: Cli) -> None:
    jobs = tuple(
        Job(
            job_id=run.job_id,
            name=run.job_name,
            mode=Mode.AGENT,
            schedule=Schedule(kind=ScheduleKind.CRON, expression="0 * * * *", cron="0 * * * *"),
            next_run_ns=NOW_NS - 5 * MINUTE,
        )
        for run in (DIGEST, NO_KEY)
    )
    with Journal.open(cli.home.journal) as journal:
        journal.facts.set(CURRENT_JOBS, jobs)
        journal.facts.set(PROBLEMS, ("state.db is locked",))

    found = cli("status", "--job", DIGEST.job_id, "--json").json

    assert [each["kind"] for each in found["findings"]] == ["unreadable", "overdue"]
    assert [each["job_id"] for each in found["overdue"]] == [DIGEST.job_id]


def test_status_of_several_profiles_is_one_after_the_other(cli: Cli) -> None:
    fill(new_home(cli.home.path / "profiles" / "work"))

    text, found = cli("status", "--all-profiles"), cli("status", "--all-profiles", "--json").json

    homes = [line for line in text.lines if line.startswith("  home")]
    assert [line.rsplit("(")[1] for line in homes] == ["profile default)", "profile work)"]
    assert [each["profile"] for each in found["profiles"]] == ["default", "work"]
    assert found["healthy"] is all(each["healthy"] for each in found["profiles"])
    assert cli("status", "--profile", "work", "--json").json["profile"] == "work"


def test_a_next_try_that_is_due_is_made_by_the_next_sync(cli: Cli) -> None:
    with Journal.open(cli.home.journal) as journal:
        journal.outbox.failed(
            1, "503", now_ns=NOW_NS - HOUR, next_try_ns=NOW_NS - MINUTE,
            asked_to_wait=False, timed_out=False,
        )  # fmt: skip

    assert "  next try   at the next sync" in cli("status").lines
