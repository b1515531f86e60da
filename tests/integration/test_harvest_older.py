"""What agents' runs of hosts before 0.18 leave: an agent's messages are written when it is done, a
conversation that was compressed goes on under another id, which is never ended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.domain.outcome import ANSWER_FOR_ERROR
from cronalytics_otel.harvest import HarvestReport, harvest
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import DeliveryOutcome, Outcome, OutcomeSource, Run
from cronalytics_otel.model.times import Zone
from tests.support.homes import HomeBuilder, epoch_ns
from tests.support.host_schema import SHAPE_0_17, SHAPE_0_18, SHAPE_0_19, upgrade_state

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)


class Place:
    """A home of Hermes 0.17 or older, our journal beside it, and a clock."""

    def __init__(self, path: Path) -> None:
        self.host = HomeBuilder(path, with_ledger=False, shape=SHAPE_0_17)
        self.home = Home(path)
        self.now = NINE + timedelta(days=2)

    def rotated_run(
        self,
        job_id: str,
        *,
        prompt: str = "Sum up",
        reply: str | None = "All good.",
        said_until_then: bool = False,
    ) -> str:
        """A run that was compressed half a minute after nine, answered half a minute later, and left
        no file. Hosts before 0.17 write nothing into its first session (`said_until_then`)."""
        half, done = NINE + timedelta(seconds=30), NINE + timedelta(seconds=60)
        root, rest = f"cron_{job_id}_20260504_090000", "20260504_090030_abcdef"
        self.host.session(
            root, NINE, source="cron", ended_at=half.timestamp(), end_reason="compression"
        )
        self.host.session(rest, half, source="cron", parent_session_id=root)
        if said_until_then:
            self.host.message(root, half, "user", prompt)
        self.host.message(rest, done, "user", prompt)
        if reply is not None:
            self.host.message(rest, done, "assistant", reply, finish_reason="stop")
        return root

    def late_run(self, job_id: str, started: datetime, reply: str) -> None:
        """An agent's run of 0.16: all of its messages were written when it was done, 20 s later."""
        done = started + timedelta(seconds=20)
        session_id = f"cron_{job_id}_{started:%Y%m%d_%H%M%S}"
        self.host.session(session_id, started, source="cron", ended_at=done.timestamp(), end_reason="cron_complete")  # fmt: skip
        self.host.message(session_id, done, "user", "Sum up")
        self.host.message(session_id, done, "assistant", reply, finish_reason="stop")

    def upgrade(self) -> None:
        """A Hermes of today opens the home, and keeps a ledger from its first run on."""
        self.host.write()
        with closing(sqlite3.connect(self.home.state_db)) as connection, connection:
            upgrade_state(connection)
        self.host.disk.shape = SHAPE_0_19
        self.host.disk.with_ledger = True

    def harvest(self) -> HarvestReport:
        self.host.write()
        with Journal.open(self.home.journal) as journal:
            return harvest(
                self.home, journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(self.now)
            )

    def runs(self) -> list[Run]:
        with Journal.open(self.home.journal) as journal:
            return list(journal.queries.runs(RunFilter()))

    def silent(self) -> list[bool | None]:
        """Whether each run was silent, the oldest first."""
        return [run.silent for run in sorted(self.runs(), key=lambda run: run.ended_ns)]

    def run(self) -> Run:
        """The only one."""
        (run,) = self.runs()
        return run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


# The turn limit: the host raises what the agent answered.


@pytest.mark.parametrize(
    "reply",
    [
        "All good.",
        "Summary: two of five hosts timed out, the rest is fine",
        "Summary: March spending exceeded the budget of marketing",
        "The login page answers 401 unauthorized, as it should.\n\n" + "Observations. " * 2_000,
        "It says:\n\n## Error\n\n```\nHTTP 500\n```",
    ],
)
def test_the_summary_at_the_turn_limit_is_content_and_no_error_text(
    place: Place, reply: str
) -> None:
    job = place.host.job("digest", every_minutes=30)
    place.host.agent_run(
        job, NINE, outcome="turn_limit", reply=reply, error=f"RuntimeError: {reply}"
    )
    place.harvest()

    run = place.run()
    assert (run.outcome, run.outcome_source) == (Outcome.FAILURE, OutcomeSource.JOB)
    assert (run.error_type, run.error_message) == ("incomplete_response", ANSWER_FOR_ERROR)


def test_an_error_in_an_output_that_a_run_was_given_is_not_the_run_s_own(place: Place) -> None:
    fed = "## Error\n\n```\nRuntimeError: HTTP 401: no\n```"
    job = place.host.job("digest", every_minutes=30, prompt=fed)
    place.host.agent_run(job, NINE, outcome="failure", error="RuntimeError: HTTP 500: oops")
    place.harvest()

    assert place.run().error_message == "RuntimeError: HTTP 500: oops"


# A conversation that goes on under another id.


@pytest.mark.parametrize("said_until_then", [False, True], ids=["0.16", "0.17"])
def test_what_the_prompt_tells_stands_in_the_session_that_has_it(
    place: Place, said_until_then: bool
) -> None:
    job = place.host.job("digest", every_minutes=30, skills=["gone"])
    prompt = (
        "[IMPORTANT: The following skill(s) were listed for this job but could not be found and were "
        "skipped: gone. Start your response with a brief notice]"
    )
    place.rotated_run(job, prompt=prompt, said_until_then=said_until_then)
    place.harvest()

    assert place.run().error_type == "skill_not_found"


def test_without_its_file_and_its_job_a_continued_run_is_known_by_its_answer(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    root = place.rotated_run(job)
    place.host.remove_job(job)
    place.now = NINE + timedelta(minutes=15)
    place.harvest()
    assert place.runs() == []
    place.now = NINE + timedelta(minutes=17)
    place.harvest()

    run = place.run()
    assert (run.session_id, run.ended_ns) == (root, epoch_ns(NINE + timedelta(seconds=60)))
    assert (run.outcome, run.outcome_source) == (Outcome.SUCCESS, OutcomeSource.SESSION)


def test_a_continued_one_shot_is_over_when_its_file_is_there(place: Place) -> None:
    """The host deletes such a job instead of marking it."""
    job = place.host.job("once", once_at=NINE)
    place.rotated_run(job)
    place.host.remove_job(job)
    place.now = NINE + timedelta(seconds=90)
    place.harvest()
    assert place.runs() == []
    saved = "# Cron Job: once\n\n**Job ID:** x\n\n## Prompt\n\nSum up\n\n## Response\n\nAll good.\n"
    place.host.disk.save_output(job, NINE + timedelta(seconds=60), saved)
    place.harvest()

    run = place.run()
    assert (run.outcome, run.outcome_source) == (Outcome.SUCCESS, OutcomeSource.JOB)


def test_a_continued_run_that_stopped_in_the_midst_is_abandoned(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    place.rotated_run(job, reply=None)
    place.now = NINE + timedelta(hours=1)
    place.harvest()
    assert place.runs() == []
    place.now = NINE + timedelta(days=2)
    place.harvest()

    assert place.run().outcome is Outcome.ABANDONED


# What was delivered: "[SILENT]" anywhere keeps an answer back, and nothing else does.


@pytest.mark.parametrize(
    ("text", "is_silent"),
    [
        ("[SILENT]", True),
        ("I stay [silent] but here", True),
        ("Report.\n" + "x" * 9_000 + " [SILENT] " + "x" * 9_000, True),
        ("NO_REPLY", False),
        ("3 checked\n\nSILENT", False),
    ],
)
def test_an_answer_is_kept_back_by_the_older_rule(place: Place, text: str, is_silent: bool) -> None:
    job = place.host.job("digest", every_minutes=30, deliver="telegram:-100")
    place.host.agent_run(job, NINE, reply=text)
    place.harvest()

    run = place.run()
    delivery = DeliveryOutcome.SUPPRESSED if is_silent else DeliveryOutcome.DELIVERED
    assert (run.outcome, run.silent, run.delivery_outcome) == (Outcome.SUCCESS, is_silent, delivery)


@pytest.mark.parametrize(
    ("printed", "is_silent"),
    [
        ("disk ok [Silent] today", True),
        ("x" * 6_000 + " [SILENT] " + "x" * 3_000, True),
        ("disk ok", False),
        ("NO_REPLY", False),
        ("x" * 6_000, False),
    ],
)
def test_so_is_what_a_script_printed(place: Place, printed: str, is_silent: bool) -> None:
    job = place.host.job("keep [SILENT]", every_minutes=30, no_agent=True, deliver="telegram:-100")
    place.host.script_run(job, NINE, output=printed)
    place.harvest()

    run = place.run()
    delivery = DeliveryOutcome.SUPPRESSED if is_silent else DeliveryOutcome.DELIVERED
    assert (run.outcome, run.silent, run.delivery_outcome) == (Outcome.SUCCESS, is_silent, delivery)


# A home that was upgraded: each row is read by the rules of the version that wrote it.

IN_THE_MIDST = "I stay [silent] but here"
"""Silent before 0.18, and not since."""


@pytest.mark.parametrize("days_before_first_sync", [0, 1])
def test_in_an_upgraded_home_each_answer_is_silent_by_the_rule_of_its_own_time(
    place: Place, days_before_first_sync: int
) -> None:
    """Whether the plugin was there before the upgrade or not."""
    job = place.host.job("digest", every_minutes=30)
    place.late_run(job, NINE, IN_THE_MIDST)
    place.late_run(job, NINE + timedelta(hours=1), "NO_REPLY")
    if days_before_first_sync == 0:
        place.harvest()
    place.upgrade()
    for hours, reply in ((24, IN_THE_MIDST), (25, "NO_REPLY")):
        place.host.agent_run(job, NINE + timedelta(hours=hours), reply=reply)
    place.harvest()

    assert place.silent() == [True, False, False, True]
    place.home.journal.unlink()
    place.harvest()
    assert place.silent() == [True, False, False, True]


def test_a_run_that_shows_no_version_is_of_the_one_that_wrote_later_than_it(place: Place) -> None:
    """Of 0.17 one answer alone shows nothing, and a file neither; versions follow one another."""
    agent = place.host.job("digest", every_minutes=30)
    script = place.host.job("disk", every_minutes=30, no_agent=True)
    place.host.agent_run(agent, NINE, reply=IN_THE_MIDST)
    place.host.script_run(script, NINE + timedelta(minutes=10), output="disk ok [Silent] today")
    place.late_run(agent, NINE + timedelta(hours=1), "All good.")
    place.host.agent_run(agent, NINE + timedelta(hours=2), reply=IN_THE_MIDST)
    place.host.script_run(script, NINE + timedelta(hours=3), output="disk ok [Silent] today")
    place.upgrade()
    place.host.agent_run(agent, NINE + timedelta(hours=24), reply=IN_THE_MIDST)
    place.harvest()

    assert place.silent() == [True, True, False, False, False, False]


def test_the_upgrade_is_found_in_a_long_history(place: Place) -> None:
    """More sessions than one probe reads, before it and after it."""
    job = place.host.job("digest", every_minutes=1)
    for n in range(240):
        place.late_run(job, NINE + timedelta(minutes=n), IN_THE_MIDST)
    place.upgrade()
    for n in range(240, 700):
        place.host.agent_run(job, NINE + timedelta(minutes=n), reply=IN_THE_MIDST, ledger=n > 600)
    place.harvest()

    assert place.silent() == [True] * 240 + [False] * 460


def test_a_home_that_began_with_0_18_has_no_older_rows(tmp_path: Path) -> None:
    """However its messages came to be so close to one another."""
    place = Place(tmp_path / "home")
    place.host.disk.shape = SHAPE_0_18
    job = place.host.job("digest", every_minutes=30)
    place.late_run(job, NINE, IN_THE_MIDST)
    place.upgrade()
    place.host.agent_run(job, NINE + timedelta(hours=24), reply=IN_THE_MIDST)
    place.harvest()

    assert place.silent() == [False, False]


def test_in_an_upgraded_home_an_old_run_that_was_continued_ends_with_its_answer(
    place: Place,
) -> None:
    """Its host never wrote that its last session ended."""
    job = place.host.job("digest", every_minutes=30)
    root = place.rotated_run(job)
    place.host.remove_job(job)
    place.upgrade()
    place.now = NINE + timedelta(minutes=17)
    place.harvest()

    run = place.run()
    assert (run.session_id, run.outcome) == (root, Outcome.SUCCESS)
    assert run.outcome_source is OutcomeSource.SESSION


def test_in_an_upgraded_home_an_old_answer_that_was_raised_for_an_error_stays_content(
    place: Place,
) -> None:
    """Its file has the error, and the ledger of today does not know the run."""
    job = place.host.job("digest", every_minutes=30)
    place.late_run(job, NINE, "All good.")
    place.upgrade()
    place.host.disk.save_output(
        job, NINE + timedelta(seconds=20),
        "# Cron Job: digest (FAILED)\n\n**Job ID:** x\n\n## Prompt\n\nSum up\n\n## Error\n\n```\n"
        "RuntimeError: another text altogether\n```\n",
    )  # fmt: skip
    place.harvest()

    run = place.run()
    assert (run.error_type, run.error_message) == ("incomplete_response", ANSWER_FOR_ERROR)
