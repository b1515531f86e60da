"""jobs.json in every shape that homes hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.host import jobs
from cronalytics_otel.host.sqlite import HostDataError
from cronalytics_otel.model import Job, Mode, Schedule, ScheduleKind
from cronalytics_otel.model.times import ns_of

PATH = Path("/home/me/.hermes/cron/jobs.json")
BERLIN = ZoneInfo("Europe/Berlin")
NINE_NS = ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC))


def parse(document: object) -> list[Job]:
    return jobs.parse(json.dumps(document), PATH, BERLIN)


def one(**record: Any) -> Job:
    (job,) = parse({"jobs": [{"id": "abc", "name": "digest", **record}], "updated_at": "x"})
    return job


@pytest.mark.parametrize(
    ("name", "prompt", "known_as"),
    [
        ("Ask Ann what she thinks of the offer, and then cal", "Ask Ann what she thinks of the offer, and then call her", "abc"),
        ("Ask Ann what she thinks of the offer, and then", "Ask Ann what she thinks of the offer, and then     " + "x" * 9, "abc"),
        ("ask Ann", "ask Ann", "abc"),
        ("ask Ann", "Ask Ann what she thinks", "ask Ann"),
        ("disk", "", "disk"),
        (None, "ask Ann", "abc"),
    ],
)  # fmt: skip
def test_the_beginning_of_its_prompt_is_no_name_of_a_job(
    name: str | None, prompt: str, known_as: str
) -> None:
    """Hermes takes it for the name of a job that was given none."""
    assert one(name=name, prompt=prompt).name == known_as


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("delivery to signal:+4917012345678 failed: timed out", "delivery to signal failed: timed out"),
        ("live adapter delivery to telegram:-1001234 failed: x; no chat", "live adapter delivery to telegram failed: x; no chat"),
        ("configured thread_id 17 for telegram:-100:17 was not found", "configured thread_id for telegram was not found"),
        ("2 media attachment(s) not delivered to matrix:!r:example.org (timed out)", "2 media attachment(s) not delivered to matrix (timed out)"),
        ("no answer to https://example.org/x for 30 s", "no answer to https://example.org/x for 30 s"),
    ],
)  # fmt: skip
def test_a_failed_delivery_is_told_without_the_chat(error: str, expected: str) -> None:
    assert one(last_delivery_error=error).last_delivery_error == expected


def test_a_record_of_the_host_becomes_a_job() -> None:
    job = one(
        skills=["news", "mail"], skill="news", model="small", provider="acme", script="gate.py",
        no_agent=False, schedule={"kind": "interval", "minutes": 30, "display": "every 30m"},
        enabled=True, state="scheduled", created_at="2026-05-04T09:00:00+00:00",
        next_run_at="2026-05-04T11:00:00+02:00", last_run_at="2026-05-04T09:00:00Z",
        last_status="error", last_error="boom", last_delivery_error="no chat", deliver="telegram:7",
        repeat={"times": None, "completed": 3}, surprise={"of": "a newer host"},
    )  # fmt: skip
    assert job == Job(
        job_id="abc", name="digest", mode=Mode.AGENT, skills=("news", "mail"),
        model="small", provider="acme", deliver="telegram:7", has_script=True, created_ns=NINE_NS, next_run_ns=NINE_NS,
        last_run_ns=NINE_NS, last_status="error", last_error="boom",
        last_delivery_error="no chat",
        schedule=Schedule(
            kind=ScheduleKind.INTERVAL, expression="every 30m", interval_s=1800.0
        ),
    )  # fmt: skip


def test_a_prompt_is_known_by_a_hash_and_its_text_is_kept_nowhere() -> None:
    job = one(prompt="Ask Ann about the offer")

    assert job.prompt_hash == one(prompt="Ask Ann about the offer").prompt_hash
    assert job.prompt_hash != one(prompt="Ask Ann about the offers").prompt_hash
    assert "Ann" not in repr(job)
    assert [one(prompt=empty).prompt_hash for empty in (None, "", "  ", 7)] == [None] * 4
    assert one(prompt="half a pair \ud800").prompt_hash


def test_a_job_without_a_model_of_its_own_runs_with_the_host_s() -> None:
    """The snapshots are what the default was when the job was made: nobody asked for them."""
    job = one(model=None, provider=" ", model_snapshot="large", provider_snapshot="acme")

    assert (job.model, job.provider) == (None, None)


@pytest.mark.parametrize(
    "document",
    [
        {"jobs": [{"id": "abc", "name": "digest"}], "updated_at": "x"},
        {"jobs": {"abc": {"name": "digest"}}},
        [{"id": "abc", "name": "digest"}],
        [{"job_id": "abc", "name": "digest"}],
        {"abc": {"name": "digest"}},
        {"abc": {"id": "abc", "name": "digest"}},
    ],
)
def test_every_shape_of_the_file_holds_the_same_job(document: object) -> None:
    (job,) = parse(document)
    assert (job.job_id, job.name) == ("abc", "digest")


@pytest.mark.parametrize("document", [{}, [], {"jobs": []}, {"jobs": {}}, None, 7, "text"])
def test_a_file_without_jobs_has_none(document: object) -> None:
    assert parse(document) == []


def test_a_job_that_cannot_be_understood_is_passed_over_and_not_its_siblings() -> None:
    document = {"jobs": [None, 7, {}, {"id": 7}, {"id": None, "job_id": ["x"]}, {"id": "abc"}]}
    assert [job.job_id for job in parse(document)] == ["abc"]


def test_a_job_without_a_name_is_called_by_its_id() -> None:
    for name in (None, "", "  ", 7):
        assert one(name=name).name == "abc"


def test_a_no_agent_job_is_a_script() -> None:
    assert one(no_agent=True, script="check.sh").mode is Mode.SCRIPT
    assert one(no_agent=None).mode is Mode.AGENT


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"skills": ["a", "b", "a"]}, ("a", "b")),
        ({"skill": "a"}, ("a",)),
        ({"skills": [], "skill": "a"}, ("a",)),
        ({"skills": [None, 7, "", "a"]}, ("a",)),
        ({"skills": "a"}, ()),
        ({}, ()),
    ],
)
def test_skills_are_in_order_and_each_once(
    record: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert one(**record).skills == expected


@pytest.mark.parametrize(
    ("deliver", "expected"),
    [
        (None, "local"), ("", "local"), ("origin", "origin"), ("telegram:-100:7", "telegram:-100:7"),
        (["telegram", "discord:5"], "telegram,discord:5"), ([], "local"), (7, "local"),
    ],
)  # fmt: skip
def test_where_an_answer_goes(deliver: object, expected: str) -> None:
    assert one(deliver=deliver).deliver == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()), ("", ()), (7, ()), ("0123456789ab", ("0123456789ab",)),
        (["a", "b", "a", None, ""], ("a", "b")), ([], ()),
    ],
)  # fmt: skip
def test_whose_outputs_a_job_is_given(given: object, expected: tuple[str, ...]) -> None:
    assert one(context_from=given).context_from == expected


@pytest.mark.parametrize(
    ("deliver", "origin", "expected"),
    [
        ("origin", {"platform": "telegram", "chat_id": -100}, "telegram"),
        ("origin, discord:5", {"platform": "telegram", "chat_id": "7"}, "telegram,discord:5"),
        ("discord", {"platform": "telegram", "chat_id": "7"}, "discord"),
        ("origin", {"platform": "telegram"}, "origin"),
        ("origin", "made-by-hand", "origin"), ("origin", None, "origin"),
    ],
)  # fmt: skip
def test_an_origin_is_the_platform_that_the_job_was_made_on(
    deliver: str, origin: object, expected: str
) -> None:
    assert one(deliver=deliver, origin=origin).deliver == expected


def cron(expression: str) -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, expression=expression, cron=expression)


def every(text: str, seconds: float) -> Schedule:
    return Schedule(kind=ScheduleKind.INTERVAL, expression=text, interval_s=seconds)


def once(text: str, at_ns: int = NINE_NS) -> Schedule:
    return Schedule(kind=ScheduleKind.ONCE, expression=text, once_at_ns=at_ns)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # as the host writes them today
        ({"kind": "cron", "expr": "0 9 * * 1-5", "display": "0 9 * * 1-5"}, cron("0 9 * * 1-5")),
        ({"kind": "cron", "expr": "*/5 * * * * 30"}, cron("*/5 * * * * 30")),
        ({"kind": "interval", "minutes": 90, "display": "every 90m"}, every("every 90m", 5400.0)),
        ({"kind": "interval", "minutes": 1.5}, every("every 1.5m", 90.0)),
        (
            {"kind": "once", "run_at": "2026-05-04T09:00:00+00:00", "display": "once in 30m"},
            once("once in 30m"),
        ),
        ({"kind": "once", "run_at": "2026-05-04T11:00:00"}, once("2026-05-04T11:00:00")),
        # as old homes have them
        ("every 30m", every("every 30m", 1800.0)),
        ("every 2h", every("every 2h", 7200.0)),
        ("every 1d", every("every 1d", 86400.0)),
        ("Every 10 minutes", every("Every 10 minutes", 600.0)),
        ("every 2hrs", every("every 2hrs", 7200.0)),
        ("every 5mins", every("every 5mins", 300.0)),
        ("0 9 * * *", cron("0 9 * * *")),
        ("2026-05-04T09:00:00+00:00", once("2026-05-04T09:00:00+00:00")),
        ("2026-05-04 11:00", once("2026-05-04 11:00")),
        # what nothing can be said of
        ("whenever", None), ("", None), (None, None), (7, None), ([], None), ({}, None),
        ({"kind": "cron"}, None), ({"kind": "cron", "expr": 5}, None),
        ({"kind": "interval", "minutes": "ten"}, None),
        ({"kind": "once", "run_at": "soon"}, None), ({"kind": "moonrise"}, None),
    ],
)  # fmt: skip
def test_every_form_of_a_schedule(schedule: object, expected: Schedule | None) -> None:
    assert one(schedule=schedule).schedule == expected


def test_the_words_of_an_interval_may_stand_beside_the_schedule() -> None:
    job = one(schedule={"kind": "interval", "minutes": 30}, schedule_display="each half hour")
    assert job.schedule == every("each half hour", 1800.0)


@pytest.mark.parametrize("text", ["", "{", '{"jobs": [', "\x00", "NaNs"])
def test_a_half_written_file_is_said_to_be_met_again(text: str) -> None:
    with pytest.raises(HostDataError, match=r"jobs\.json is no valid JSON .* next sync"):
        jobs.parse(text, PATH, BERLIN)


def test_a_missing_file_is_no_fault_and_an_unreadable_one_is_named(tmp_path: Path) -> None:
    assert jobs.read_text(tmp_path / "jobs.json") is None
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(HostDataError, match=r"folder\.json cannot be read"):
        jobs.read_text(tmp_path / "folder.json")
    (tmp_path / "latin.json").write_bytes(b'{"jobs": "\xe9"}')
    with pytest.raises(HostDataError, match=r"latin\.json cannot be read"):
        jobs.read_text(tmp_path / "latin.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = ["id", "job_id", "name", "skills", "skill", "model", "provider", "script", "no_agent",
        "schedule", "schedule_display", "enabled", "state", "created_at", "next_run_at",
        "last_run_at", "last_status", "last_error", "last_delivery_error", "deliver", "origin", "kind", "context_from",
        "minutes", "expr", "run_at", "display"]  # fmt: skip


@given(
    st.one_of(
        json_values,
        st.lists(st.dictionaries(st.sampled_from(KEYS), json_values), max_size=3),
        st.lists(
            st.dictionaries(st.sampled_from(KEYS), json_values).map(
                lambda schedule: {"id": "abc", "schedule": schedule}
            ),
            max_size=2,
        ),
    )
)
def test_whatever_json_the_file_holds_it_is_read_without_a_crash(document: object) -> None:
    for job in parse(document):
        assert job.job_id
        assert job.name
