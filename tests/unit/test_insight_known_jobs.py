"""Which jobs are known, and which one a person means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.insight.known_jobs import (
    AmbiguousJobError,
    UnknownJobError,
    find_job,
    find_jobs,
    known_jobs,
)
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, FIRST_DAY_WITH_RUNS, GONE_JOBS
from cronalytics_otel.model import Job, Mode, Trigger
from tests.support.cli import DAY, DIGEST, LOST, NOW_NS, RUNS, SCRIPT


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        with journal.atomic():
            journal.runs.add(RUNS, 0)
        yield journal


def a_job(job_id: str, name: str) -> Job:
    return Job(job_id=job_id, name=name, mode=Mode.AGENT, schedule=None)


def test_a_job_is_known_by_jobs_json_by_a_definition_or_by_a_run(journal: Journal) -> None:
    journal.facts.set(CURRENT_JOBS, (a_job("b1", "backup"),))
    journal.jobs.observe([a_job("a1", "archive")], 5)

    names = [job.name for job in known_jobs([Profile("default", journal)])]

    assert names == [
        "[bold]weekly[/] retro :tada:",
        "archive",
        "backup",
        "billing summary",
        "certificate check",
        "nightly digest",
    ]


def test_a_job_has_the_name_that_jobs_json_has_now_and_its_former_names(journal: Journal) -> None:
    renamed = a_job(DIGEST.job_id, "morning digest")
    journal.jobs.observe([a_job(DIGEST.job_id, "evening digest")], 5)
    journal.facts.set(CURRENT_JOBS, (renamed,))

    job = find_job(known_jobs([Profile("default", journal)]), DIGEST.job_id)

    assert job.name == "morning digest"
    assert job.former_names == {"evening digest", "nightly digest"}
    assert (job.current, job.latest, len(job.definitions)) == (renamed, renamed, 1)


def test_a_job_is_as_old_as_its_first_run_also_where_that_was_deleted(journal: Journal) -> None:
    profiles = [Profile("default", journal)]
    assert find_job(known_jobs(profiles), "nightly digest").first_run_ns == LOST.scheduled_ns

    with journal.atomic():  # as retention does
        journal.facts.set(FIRST_DAY_WITH_RUNS, journal.figures.day_of(NOW_NS))
    midnight_ns = journal.figures.midnight_ns(journal.figures.day_of(LOST.ended_ns))

    assert find_job(known_jobs(profiles), "nightly digest").first_run_ns == midnight_ns
    assert find_job(known_jobs(profiles), SCRIPT.job_id).first_run_ns == SCRIPT.started_ns


def test_a_job_knows_whether_a_person_started_its_first_run_also_where_that_was_deleted(
    journal: Journal,
) -> None:
    def by_hand() -> set[str]:
        jobs = known_jobs([Profile("default", journal)])
        return {job.name for job in jobs if job.first_run_was_manual}

    assert by_hand() == {"certificate check"}

    with journal.atomic():  # as retention does
        journal.facts.set(FIRST_DAY_WITH_RUNS, journal.figures.day_of(NOW_NS) + 1)
    assert by_hand() == {"certificate check"}

    scheduled = replace(
        SCRIPT, execution_id="b" * 32, trigger=Trigger.SCHEDULE, ended_ns=SCRIPT.ended_ns + 1
    )
    with journal.atomic():
        journal.runs.add([scheduled], 0)
    assert by_hand() == set()


def test_a_job_that_is_gone_says_since_when(journal: Journal) -> None:
    journal.facts.set(GONE_JOBS, {DIGEST.job_id: NOW_NS - DAY})

    job = find_job(known_jobs([Profile("default", journal)]), DIGEST.job_id)

    assert (job.gone_since_ns, job.current, job.latest) == (NOW_NS - DAY, None, None)


@pytest.mark.parametrize(
    ("reference", "ids"),
    [
        ("6C583F72F2E8", ["6c583f72f2e8"]),
        ("Nightly Digest", ["6c583f72f2e8"]),
        (" nightly digest ", ["6c583f72f2e8"]),
        ("digest", ["6c583f72f2e8"]),
        ("6c58", ["6c583f72f2e8"]),
        ("check", ["7069c1546cba"]),
    ],
)
def test_a_job_is_meant_by_its_id_its_name_or_a_part_in_any_case(
    journal: Journal, reference: str, ids: list[str]
) -> None:
    jobs = known_jobs([Profile("default", journal)])

    assert [job.job_id for job in find_jobs(jobs, reference)] == ids
    assert find_job(jobs, reference).job_id == ids[0]


def test_a_whole_name_wins_over_a_part_and_an_id_over_a_name(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        named = [("a1", "mail"), ("a2", "mail check"), ("mail check", "a2")]
        journal.facts.set(CURRENT_JOBS, tuple(a_job(*job) for job in named))
        jobs = known_jobs([Profile("default", journal)])

    assert find_job(jobs, "mail").job_id == "a1"
    assert find_job(jobs, "mail check").job_id == "mail check"
    assert find_job(jobs, "a2").job_id == "a2"


def test_a_part_that_means_several_jobs_lists_them(journal: Journal) -> None:
    with pytest.raises(AmbiguousJobError) as raised:
        find_jobs(known_jobs([Profile("default", journal)]), "ly")

    assert [job.name for job in raised.value.candidates] == [
        "[bold]weekly[/] retro :tada:",
        "nightly digest",
    ]


def test_jobs_of_one_name_are_meant_together_and_the_one_that_is_left_alone(
    journal: Journal,
) -> None:
    again = replace(DIGEST, job_id="ffff", execution_id="f" * 32, session_id=None)
    with journal.atomic():
        journal.runs.add([again], 0)
    profiles = [Profile("default", journal)]

    assert len(find_jobs(known_jobs(profiles), "nightly digest")) == 2
    assert len(find_jobs(known_jobs(profiles), "digest")) == 2
    with pytest.raises(AmbiguousJobError):
        find_job(known_jobs(profiles), "nightly digest")

    journal.facts.set(CURRENT_JOBS, (a_job("ffff", "nightly digest"),))
    assert find_job(known_jobs(profiles), "nightly digest").job_id == "ffff"


@pytest.mark.parametrize("reference", ["nobody", "", "  "])
def test_an_unknown_job_is_an_error(journal: Journal, reference: str) -> None:
    with pytest.raises(UnknownJobError):
        find_jobs(known_jobs([Profile("default", journal)]), reference)


def test_an_unknown_job_suggests_similar_names(journal: Journal) -> None:
    with pytest.raises(UnknownJobError) as raised:
        find_jobs(known_jobs([Profile("default", journal)]), "nihgtly digets")

    assert raised.value.suggestions == ("nightly digest",)


def test_jobs_of_two_profiles_are_told_apart(journal: Journal, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "other.db") as other:
        with other.atomic():
            other.runs.add([replace(DIGEST, job_id="0e0e", profile="work")], 0)
        jobs = known_jobs([Profile("default", journal), Profile("work", other)])

    assert [(job.profile, job.job_id) for job in find_jobs(jobs, "nightly digest")] == [
        ("default", DIGEST.job_id),
        ("work", "0e0e"),
    ]
