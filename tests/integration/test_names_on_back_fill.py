"""A history that is read for the first time: each run has the name that its job had then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model.times import Zone
from tests.support.homes import HomeBuilder, epoch_ns
from tests.support.host_schema import SHAPE_0_18

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
PROMPT = "Ask my doctor for the results of Monday's test"


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


@pytest.fixture(params=["ledger", "no ledger"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> HomeBuilder:
    if request.param == "ledger":
        return HomeBuilder(tmp_path / "home")
    return HomeBuilder(tmp_path / "home", shape=SHAPE_0_18, with_ledger=False)


def names(home: HomeBuilder, now: datetime = NINE + timedelta(days=1)) -> list[str]:
    """The names of the runs, in their order."""
    home.write()
    with Journal.open(Home(home.path).journal) as journal:
        harvest(Home(home.path), journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(now))
        runs = journal.queries.runs(RunFilter())
    return [run.job_name for run in sorted(runs, key=lambda run: run.ended_ns)]


def test_a_job_that_was_renamed_since_had_its_old_name(home: HomeBuilder) -> None:
    job = home.job("morning news")
    home.agent_run(job, NINE)
    home.jobs[job]["name"] = "digest"
    home.agent_run(job, NINE + timedelta(hours=1))

    assert names(home) == ["morning news", "digest"]


def test_a_script_had_the_name_in_the_head_of_its_output(home: HomeBuilder) -> None:
    job = home.job("disk", no_agent=True)
    home.script_run(job, NINE)
    home.jobs[job]["name"] = "disk space"
    home.script_run(job, NINE + timedelta(hours=1))

    assert names(home) == ["disk", "disk space"]


def test_without_a_title_an_agent_had_the_name_in_the_head_of_its_output(home: HomeBuilder) -> None:
    """As in homes of Hermes before 0.17."""
    job = home.job("morning news")
    built = home.agent_run(job, NINE)
    home.jobs[job]["name"] = "digest"
    session = built.expected.session_id or ""
    home.do(lambda: home.disk.update("sessions", session, {"title": None}))

    assert names(home) == ["morning news"]


@pytest.mark.parametrize("later_name", [PROMPT[:50], "doctor"])
@pytest.mark.parametrize("deleted", [True, False])
def test_a_name_that_hermes_took_from_the_prompt_is_content(
    home: HomeBuilder, later_name: str, deleted: bool
) -> None:
    """A job without a name has one from its prompt, which is also in title and output file."""
    job = home.job(PROMPT[:50], prompt=PROMPT)
    home.agent_run(job, NINE)
    home.jobs[job]["name"] = later_name
    if deleted:
        home.remove_job(job)

    is_named = later_name == "doctor" and not deleted
    assert names(home) == ["doctor" if is_named else job]


def test_a_definition_that_was_seen_by_the_run_goes_first(home: HomeBuilder) -> None:
    job = home.job("digest", created=NINE - timedelta(days=1))
    names(home, NINE - timedelta(hours=1))
    built = home.agent_run(job, NINE)
    session = built.expected.session_id or ""
    other = {"title": "another name · May 04 09:00"}
    home.do(lambda: home.disk.update("sessions", session, other))

    assert set(names(home)) == {"digest"}
