"""Runs that left an output file and nothing else, on a host that keeps no ledger (before 0.19)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.harvest import HarvestReport, harvest
from cronalytics_otel.harvest import harvester as harvesting
from cronalytics_otel.host.capabilities import SINCE_0_18, Capabilities
from cronalytics_otel.host.home import Home
from cronalytics_otel.host.outputs import Outputs
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import (
    DeliveryOutcome,
    Mode,
    Outcome,
    OutcomeSource,
    Output,
    OutputFile,
    Run,
    TimeSource,
)
from cronalytics_otel.model.times import Zone
from tests.support.homes import HomeBuilder, Stage, epoch_ns

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


class Place:
    """A home of an older host, our journal beside it, and a clock."""

    def __init__(self, path: Path) -> None:
        self.host = HomeBuilder(path, timezone="Europe/Berlin", with_ledger=False)
        self.home = Home(path)
        self.now = NINE + timedelta(days=1)

    def harvest(self, *, full: bool = False, zone: ZoneInfo = BERLIN) -> HarvestReport:
        self.host.write()
        with Journal.open(self.home.journal) as journal:
            return harvest(
                self.home,
                journal,
                Zone(info=zone, name=zone.key),
                now_ns=epoch_ns(self.now),
                full=full,
            )

    def runs(self) -> dict[str, Run]:
        with Journal.open(self.home.journal) as journal:
            return {run.run_id: run for run in journal.queries.runs(RunFilter())}

    def forget(self) -> None:
        self.home.journal.unlink()

    def save(self, job_id: str, at: datetime, text: str) -> str:
        """A file as the host writes it; the id of its run."""
        self.host.write()
        stamp = at.astimezone(BERLIN)
        self.host.disk.save_output(job_id, stamp, text)
        return f"output_{job_id}_{stamp:%Y%m%d_%H%M%S}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


def document(*, failed: bool = False, body: str = "Fine.") -> str:
    """What the host saves of an agent's run."""
    end = f"## Error\n\n```\n{body}\n```\n" if failed else f"## Response\n\n{body}\n"
    return (
        f"# Cron Job: digest{' (FAILED)' if failed else ''}\n\n**Job ID:** abc\n"
        f"**Run Time:** 2026-05-04 11:00:20\n**Schedule:** every 30m\n\n## Prompt\n\nSum up\n\n{end}"
    )


# What such a run tells.


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("success", Outcome.SUCCESS),
        ("silent", Outcome.SUCCESS),
        ("failure", Outcome.FAILURE),
        ("timeout", Outcome.TIMEOUT),
    ],
)
def test_a_script_s_run_is_its_file(place: Place, outcome: str, expected: Outcome) -> None:
    job = place.host.job("disk", every_minutes=5, no_agent=True, deliver="telegram:-100")
    place.host.script_run(job, NINE, outcome=outcome)  # type: ignore[arg-type]
    place.harvest()

    (run,) = place.runs().values()
    assert run.run_id == f"output_{job}_20260504_110001"
    assert (run.outcome, run.outcome_source) == (expected, OutcomeSource.JOB)
    assert (run.mode, run.job_name, run.session_id) == (Mode.SCRIPT, "disk", None)
    assert run.silent == (outcome == "silent" if expected is Outcome.SUCCESS else None)
    silent = outcome == "silent"
    assert run.delivery_outcome is (
        DeliveryOutcome.SUPPRESSED if silent else DeliveryOutcome.DELIVERED
    )


def test_when_it_began_is_not_known_and_no_length_is_invented(place: Place) -> None:
    place.host.script_run(place.host.job("disk", no_agent=True), NINE)
    place.harvest()

    (run,) = place.runs().values()
    assert run.time_source is TimeSource.OUTPUT
    assert run.ended_ns == epoch_ns(NINE.replace(second=1, microsecond=0))
    assert (run.duration_s, run.lateness_s, run.queue_s, run.trigger) == (None, None, None, None)


def test_a_gated_run_is_its_file(place: Place) -> None:
    place.host.gated_run(place.host.job("inbox", script="any_mail.py"), NINE)
    place.harvest()

    (run,) = place.runs().values()
    assert (run.outcome, run.outcome_source) == (Outcome.SKIPPED, OutcomeSource.JOB)
    assert run.mode is Mode.AGENT


def test_an_agent_that_never_got_a_session_is_its_file(place: Place) -> None:
    job = place.host.job("digest")
    run_id = place.save(job, NINE, document(failed=True, body="RuntimeError: no provider"))
    place.harvest()

    run = place.runs()[run_id]
    assert (run.outcome, run.error_type) == (Outcome.FAILURE, "invalid_config")
    assert (run.error_message, run.mode) == ("RuntimeError: no provider", Mode.AGENT)


def test_a_script_job_without_a_script_leaves_an_empty_file_and_its_error_in_the_job(
    place: Place,
) -> None:
    job = place.host.job("disk", no_agent=True)
    run_id = place.save(job, NINE, "")
    place.host.jobs[job] |= {
        "last_run_at": NINE.isoformat(),
        "last_status": "error",
        "last_error": "no_agent=True but no script is set for this job",
    }
    place.harvest()

    run = place.runs()[run_id]
    assert (run.outcome, run.error_type) == (Outcome.FAILURE, "invalid_config")


def test_a_deleted_job_s_runs_are_told_by_what_the_file_says(place: Place) -> None:
    run_id = place.save("0123456789ab", NINE, document(failed=True, body="RuntimeError: no"))
    place.harvest()

    run = place.runs()[run_id]
    assert (run.job_name, run.schedule_expression) == ("digest", "every 30m")


def test_it_was_due_when_the_host_had_said_so_before(place: Place) -> None:
    job = place.host.job("disk", every_minutes=30, no_agent=True, created=NINE - 29 * MINUTE)
    place.harvest()
    due = NINE + MINUTE
    place.host.script_run(job, due + timedelta(seconds=40))
    place.harvest()

    (run,) = place.runs().values()
    assert run.scheduled_ns == epoch_ns(due)


def test_an_agent_s_run_was_due_too_and_its_lateness_is_that_of_its_session(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30, created=NINE - 29 * MINUTE)
    place.harvest()
    place.host.agent_run(job, NINE + MINUTE + timedelta(seconds=40), session_lag_s=2.5)
    place.harvest()

    (run,) = place.runs().values()
    assert run.lateness_s == pytest.approx(42.5)


def test_a_time_that_was_due_for_an_earlier_run_is_no_later_run_s(place: Place) -> None:
    """Both ended between two looks: only the first one's time was seen."""
    job = place.host.job("disk", every_minutes=1, no_agent=True, created=NINE - MINUTE)
    place.harvest()
    for n in range(2):
        place.host.script_run(job, NINE + n * MINUTE + timedelta(seconds=5))
    place.harvest()

    first, second = sorted(place.runs().values(), key=lambda run: run.ended_ns)
    assert first.scheduled_ns == epoch_ns(NINE)
    assert second.scheduled_ns is None


# Each once.


def test_an_agent_s_file_belongs_to_its_session(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    for n, outcome in enumerate(("success", "failure", "empty", "silent")):
        place.host.agent_run(job, NINE + n * 31 * MINUTE, outcome=outcome)  # type: ignore[arg-type]
    place.harvest()

    assert {run.time_source for run in place.runs().values()} == {TimeSource.SESSION}
    assert len(place.runs()) == 4


def test_a_gate_that_says_no_within_a_minute_of_an_agent_s_end_is_a_run_of_its_own(
    place: Place,
) -> None:
    job = place.host.job("inbox", script="any_mail.py", every_minutes=1)
    place.host.agent_run(job, NINE)
    gated = place.host.gated_run(job, NINE + timedelta(seconds=45))
    place.harvest()

    assert len(place.runs()) == 2
    assert place.runs()[str(gated.expected.execution_id)].outcome is Outcome.SKIPPED


def test_two_failures_in_a_minute_one_with_a_session_and_one_without_are_two_runs(
    place: Place,
) -> None:
    job = place.host.job("digest", every_minutes=1)
    built = place.host.agent_run(job, NINE, outcome="failure")
    alone = place.save(job, NINE + timedelta(seconds=55), document(failed=True, body="RuntimeError: x"))  # fmt: skip
    place.harvest()
    place.harvest(full=True)

    assert place.runs().keys() == {built.expected.session_id, alone}


def test_the_same_id_whenever_the_journal_is_built(place: Place) -> None:
    script, gate = place.host.job("disk", no_agent=True), place.host.job("inbox", script="x.py")
    for n in range(3):
        place.host.script_run(script, NINE + n * 5 * MINUTE)
        place.harvest()
        place.host.gated_run(gate, NINE + n * 5 * MINUTE)
        place.harvest()
    before = place.runs()
    place.forget()
    place.harvest()

    assert len(before) == 6
    assert place.runs().keys() == before.keys()


def test_while_a_session_is_open_its_job_s_file_waits_for_it(place: Place) -> None:
    """The file may be saved when the session is not yet seen to have ended."""
    job = place.host.job("digest", every_minutes=30)
    built = place.host.agent_run(job, NINE, stop_after=Stage.WORKED)
    place.save(job, NINE + timedelta(seconds=20), document())
    place.now = NINE + timedelta(seconds=30)
    result = place.harvest()
    assert (place.runs(), result.open_runs) == ({}, 1 + 1)

    place.host.advance(built)
    place.now = NINE + timedelta(days=1)
    place.harvest()
    assert list(place.runs()) == [built.expected.session_id]


def test_a_script_waits_until_its_answer_is_delivered(place: Place) -> None:
    job = place.host.job("disk", no_agent=True, every_minutes=5, deliver="telegram:-100")
    built = place.host.script_run(
        job, NINE, stop_after=Stage.OUTPUT, delivery_error="telegram is down"
    )
    place.now = NINE + timedelta(seconds=30)
    assert place.harvest().open_runs == 1
    assert place.runs() == {}

    place.host.advance(built)
    place.harvest()
    (run,) = place.runs().values()
    assert (run.delivery_outcome, run.delivery_error) == (
        DeliveryOutcome.FAILED,
        "telegram is down",
    )


def test_a_host_that_died_while_delivering_holds_the_run_back_for_a_quarter_of_an_hour(
    place: Place,
) -> None:
    job = place.host.job("disk", no_agent=True, every_minutes=5)
    place.host.script_run(job, NINE, stop_after=Stage.OUTPUT)
    place.now = NINE + 14 * MINUTE
    place.harvest()
    assert place.runs() == {}

    place.now = NINE + 16 * MINUTE
    assert place.harvest().open_runs == 0
    assert len(place.runs()) == 1


def test_while_the_sessions_cannot_be_read_no_file_is_taken_for_a_run(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    built = place.host.agent_run(job, NINE)
    place.host.write()
    good = place.home.state_db.read_bytes()
    place.home.state_db.write_bytes(b"no database " * 1000)
    with Journal.open(place.home.journal) as journal:
        zone = Zone(info=BERLIN, name=BERLIN.key)
        result = harvest(place.home, journal, zone, now_ns=epoch_ns(place.now))
    assert result.problems
    assert place.runs() == {}

    place.home.state_db.write_bytes(good)
    place.harvest()
    assert list(place.runs()) == [built.expected.session_id]


# Brought up to date.


def test_after_an_upgrade_the_old_files_stay_runs_and_the_ledger_s_are_the_ledger_s(
    place: Place,
) -> None:
    job, script = place.host.job("digest"), place.host.job("disk", no_agent=True)
    place.host.script_run(script, NINE)
    place.host.agent_run(job, NINE)
    place.host.write()
    place.host.disk.with_ledger = True
    for n in (10, 20):
        place.host.script_run(script, NINE + n * MINUTE)
        place.host.agent_run(job, NINE + n * MINUTE)
    place.harvest()
    place.harvest(full=True)

    truth = {e.execution_id or e.session_id for e in place.host.expected}
    assert place.runs().keys() == truth
    sources = [run.time_source for run in place.runs().values()]
    assert sorted(map(str, sources)) == ["ledger"] * 4 + ["output", "session"]


def test_a_ledger_that_has_forgotten_is_not_second_guessed(place: Place) -> None:
    """What it deleted may have been sent under the ledger's id: the file would be a second run."""
    place.host.disk.with_ledger = True
    script = place.host.job("disk", no_agent=True)
    for n in range(4):
        place.host.script_run(script, NINE + n * 5 * MINUTE)
    place.harvest()
    place.host.prune_ledger(keep=2)
    place.forget()
    place.harvest()

    assert len(place.runs()) == 2
    assert {run.time_source for run in place.runs().values()} == {TimeSource.LEDGER}


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("forgot", [False, True])
def test_after_the_ledger_was_emptied_its_runs_files_are_no_second_runs(
    place: Place, deleted: bool, forgot: bool
) -> None:
    place.host.disk.with_ledger = True
    script, gated = place.host.job("disk", no_agent=True), place.host.job("gate", script="gate.py")
    place.host.script_run(script, NINE)
    place.host.gated_run(gated, NINE + 5 * MINUTE)
    place.harvest()
    if forgot:
        place.host.script_run(script, NINE + 10 * MINUTE)
        place.host.prune_ledger(keep=1)
        place.harvest()
    before = place.runs()
    place.host.prune_ledger(keep=0)
    if deleted:
        place.home.ledger.unlink()
        place.home.state_db.unlink()
    place.harvest(full=True)

    assert place.runs() == before


# Cheap.


def test_a_folder_is_listed_when_something_was_saved_in_it_and_a_file_is_read_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    read: list[str] = []

    class Watched(Outputs):
        def saved_after(self, job_id: str, after_ns: int) -> list[OutputFile]:
            listed.append(job_id)
            return super().saved_after(job_id, after_ns)

        def read(self, saved: OutputFile, host: Capabilities = SINCE_0_18) -> Output | None:
            read.append(saved.name)
            return super().read(saved, host)

    monkeypatch.setattr(harvesting, "Outputs", Watched)
    disk, mail = (place.host.job(name, no_agent=True) for name in ("disk", "mail"))
    for n in range(3):
        place.host.script_run(disk, NINE + n * 5 * MINUTE)
        place.host.script_run(mail, NINE + n * 5 * MINUTE)
    place.harvest()
    assert (sorted(listed), len(read)) == (sorted([disk, mail]), 6)

    place.host.script_run(mail, NINE + 30 * MINUTE)
    place.harvest()
    place.harvest()
    assert (listed[2:], len(read)) == ([mail], 7)


def test_with_a_ledger_nothing_is_listed_after_the_first_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.host.disk.with_ledger = True
    script = place.host.job("disk", no_agent=True)
    place.host.script_run(script, NINE)
    place.harvest()
    monkeypatch.setattr(Outputs, "folders", lambda _: pytest.fail("was listed again"))
    place.host.script_run(script, NINE + 5 * MINUTE)
    place.harvest()

    assert len(place.runs()) == 2


# Clocks and zones.


def test_the_hour_that_comes_twice_in_autumn_has_two_runs(place: Place) -> None:
    """The files' own times tell which is which."""
    job = place.host.job("disk", every_minutes=30, no_agent=True)
    first = datetime(2026, 10, 25, 0, 29, 59, 500000, tzinfo=UTC)  # 02:29:59 in Berlin
    place.now = first + timedelta(days=1)
    for at in (first, first + 61 * MINUTE):
        place.host.script_run(job, at)
        place.harvest()

    ended = sorted(run.ended_ns for run in place.runs().values())
    seconds = timedelta(seconds=1) - timedelta(microseconds=500000)
    assert ended == [epoch_ns(first + seconds), epoch_ns(first + 61 * MINUTE + seconds)]


def test_after_a_change_of_the_time_zone_the_old_files_are_not_taken_again(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    script = place.host.job("disk", every_minutes=30, no_agent=True)
    place.host.agent_run(job, NINE)
    place.host.script_run(script, NINE)
    place.harvest()
    before = place.runs()

    for zone in ("Asia/Tokyo", "America/New_York"):
        place.harvest(full=True, zone=ZoneInfo(zone))
        assert place.runs() == before
    place.forget()
    place.harvest(zone=ZoneInfo("Asia/Tokyo"))
    assert place.runs().keys() == before.keys()


def test_a_copy_with_times_of_its_own_has_the_same_runs(place: Place) -> None:
    job = place.host.job("disk", every_minutes=30, no_agent=True)
    place.host.script_run(job, NINE)
    place.harvest()
    before = place.runs()
    for path in place.home.outputs.rglob("*.md"):
        os.utime(path, (0, 0))
    place.forget()
    place.harvest()

    assert place.runs() == before


# A conversation that goes on under another id, which hosts before 0.18 never end.


def test_a_compressed_conversation_is_over_when_its_job_is_marked(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    built = place.host.agent_run(
        job, NINE, duration_s=60, session_columns={"end_reason": "compression"}
    )
    place.host.session(
        "20260504_110050_abcdef",
        NINE + timedelta(seconds=59.994),
        source="cron",
        parent_session_id=built.expected.session_id,
    )
    place.now = NINE + timedelta(seconds=90)
    place.harvest()

    (run,) = place.runs().values()
    assert run.session_id == built.expected.session_id
    assert (run.outcome, run.outcome_source) == (Outcome.SUCCESS, OutcomeSource.JOB)
