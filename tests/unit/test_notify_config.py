"""The targets of notices in config.yaml: wrong values become problems, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cronalytics_otel.config import NotifyTarget, Settings, load_settings
from cronalytics_otel.config.notify import slug
from cronalytics_otel.config.settings import PLUGIN_KEY
from cronalytics_otel.model import MESSAGE_EVENTS, PING_EVENTS, NoticeEvent

TOKEN = "123456789:AAFakeTokenOfABot"
CHECK = "5e0fd2a6-1b7c-4f0e-9d3a-2c4b8a6e7f10"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def of(notify: Any, environ: dict[str, str] | None = None) -> Settings:
        document = {"plugins": {"entries": {PLUGIN_KEY: {"notify": notify}}}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
        return load_settings(tmp_path, environ or {})

    return of


def one(settings: Settings) -> NotifyTarget:
    assert settings.problems == ()
    (target,) = settings.notify
    return target


def problem(settings: Settings) -> str:
    assert settings.notify == ()
    (line,) = settings.problems
    return line


def test_without_notify_nobody_is_told(load: Any) -> None:
    assert load(None).notify == ()


def test_a_url_alone_is_told_of_all_events_of_all_jobs(load: Any) -> None:
    target = one(load({"phone": {"url": f"tgram://{TOKEN}/42"}}))

    assert (target.name, target.is_ping, target.failing_after) == ("phone", False, 3)
    assert target.events == frozenset(MESSAGE_EVENTS)
    assert target.jobs == frozenset()


def test_all_that_can_be_said_of_a_message(load: Any) -> None:
    entry = {
        "url": "json://localhost/",
        "events": ["failing", "recovered"],
        "jobs": ["nightly digest", "0a1b2c3d4e5f"],
        "failing_after": 5,
    }
    target = one(load({"ops": entry}))

    assert target.events == {NoticeEvent.FAILING, NoticeEvent.RECOVERED}
    assert target.jobs == {"nightly digest", "0a1b2c3d4e5f"}
    assert target.failing_after == 5


def test_one_event_and_one_job_need_no_list(load: Any) -> None:
    target = one(load({"ops": {"url": "json://h/", "events": "failed", "jobs": "digest"}}))

    assert target.events == {NoticeEvent.FAILED}
    assert target.jobs == {"digest"}


def test_variables_are_filled_in(load: Any) -> None:
    target = one(load({"phone": {"url": "tgram://${BOT}/42"}}, {"BOT": TOKEN}))

    assert target.url == f"tgram://{TOKEN}/42"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ({"url": f"tgram://{TOKEN}/42"}, "tgram://***"),
        ({"ping": f"https://user:pw@hc-ping.com/{CHECK}", "jobs": "a"}, "https://hc-ping.com/***"),
    ],
)
def test_neither_address_nor_repr_shows_a_secret(
    load: Any, url: dict[str, str], shown: str
) -> None:
    target = one(load({"phone": url}))

    assert target.safe_address == shown
    for secret in (TOKEN, CHECK, "pw@"):
        assert secret not in repr(target)


# --- pings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "end", "called"),
    [
        ("https://hc/uuid", "", "https://hc/uuid"),
        ("https://hc/uuid/", "/start", "https://hc/uuid/start"),
        ("https://hc/key/{job}?create=1", "/fail", "https://hc/key/nightly-digest/fail?create=1"),
        ("https://hc/{job}", "", "https://hc/nightly-digest"),
    ],
)
def test_the_end_of_a_ping_stands_behind_its_path(
    load: Any, url: str, end: str, called: str
) -> None:
    target = one(load({"hc": {"ping": url, "jobs": "Nightly digest!"}}))

    assert target.is_ping
    assert target.events == frozenset(PING_EVENTS)
    assert target.check_url("0a1b", "Nightly digest!", end) == called


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Nightly digest!", "nightly-digest"), ("a_b-9", "a_b-9"), ("日報", ""), ("--x--", "x")],
)
def test_a_job_in_a_url_is_its_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_a_job_whose_name_has_nothing_for_a_url_is_called_by_its_id(load: Any) -> None:
    target = one(load({"hc": {"ping": "https://hc/{job}"}}))

    assert target.check_url("0a1b", "日報") == "https://hc/0a1b"


# --- what is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("tgram://x", "expected a name (as text) and a mapping"),
        ({}, "give either a url of Apprise or a ping"),
        ({"url": "json://h", "ping": "https://h"}, "give either a url of Apprise or a ping"),
        ({"url": TOKEN}, "not a URL of Apprise"),
        ({"url": f"tgram://{TOKEN}/4 2"}, "not a URL of Apprise"),
        ({"url": 7}, "expected a URL, not 7"),
        ({"url": "tgram://${BOT}/1"}, "the environment variable BOT is not set"),
        ({"url": "json://h", "events": ["failed", "broken"]}, "events: "),
        ({"url": "json://h", "events": []}, "no event is named"),
        ({"url": "json://h", "jobs": []}, "no job is named"),
        ({"url": "json://h", "jobs": [12]}, "12 is no text, put it into quotes"),
        ({"ping": f"https://hc/{CHECK}"}, "a check belongs to one job"),
        ({"ping": f"https://hc/{CHECK}", "jobs": ["a", "b"]}, "a check belongs to one job"),
        ({"ping": f"ftp://hc/{CHECK}", "jobs": "a"}, "not a URL that begins with http://"),
        ({"ping": f"https://h:x/{CHECK}", "jobs": "a"}, "not a URL that begins with http://"),
        ({"ping": "https://{job}.example.com/", "jobs": "a"}, "must stand in the path"),
    ],
)
def test_a_target_that_cannot_be_used_as_it_was_meant_is_left_out(
    load: Any, entry: Any, said: str
) -> None:
    line = problem(load({"phone": entry}))

    assert said in line
    assert "phone" in line
    assert TOKEN not in line
    assert CHECK not in line


@pytest.mark.parametrize("value", [1, 2.5, "x", None, [], 10**400])
def test_a_wrong_number_of_failures_is_reported_and_the_default_used(load: Any, value: Any) -> None:
    settings = load({"phone": {"url": "json://h", "failing_after": value}})

    assert [target.failing_after for target in settings.notify] == [3]
    assert len(settings.problems) == (value is not None)


def test_more_failures_than_are_remembered_count_as_the_most(load: Any) -> None:
    assert one(load({"phone": {"url": "json://h", "failing_after": 1000}})).failing_after == 20


def test_an_unknown_key_is_reported_with_the_nearest(load: Any) -> None:
    settings = load({"phone": {"url": "json://h", "event": "failed"}})

    assert "did you mean events?" in settings.problems[0]


def test_what_a_ping_does_not_use_is_reported(load: Any) -> None:
    settings = load({"hc": {"ping": "https://hc/{job}", "events": ["failed"]}})

    assert len(settings.notify) == 1
    assert "a ping reports every run" in settings.problems[0]


def test_notify_that_is_no_mapping_is_reported(load: Any) -> None:
    assert "expected a mapping" in problem(load([{"url": "json://h"}]))
