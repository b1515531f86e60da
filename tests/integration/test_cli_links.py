"""`links`: which job or run is meant, what each explorer is asked, and what `trace` and `runs` show of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS
from cronalytics_otel.model import Job, Mode, Outcome
from tests.support.cli import DAY, DIGEST, NO_KEY, NOW_NS, SCRIPT, SECOND, Cli, fill, new_home

EVERYWHERE = {
    "jaeger": "http://localhost:16686",
    "grafana": "https://grafana.example.com",
    "honeycomb": "https://ui.honeycomb.io/team/environments/env",
    "datadog": "https://app.datadoghq.com",
}
NEW_JOB = Job(job_id="0a1b2c3d4e5f", name="not yet run", mode=Mode.AGENT, schedule=None)
DIGEST_JOB = replace(NEW_JOB, job_id=DIGEST.job_id, name=DIGEST.job_name, skills=DIGEST.skills)


def set_links(cli: Cli, links: Mapping[str, str]) -> None:
    plugins = {"enabled": ["cronalytics-otel"], "entries": {"cronalytics-otel": {"links": links}}}
    (cli.home.path / "config.yaml").write_text(json.dumps({"plugins": plugins}))


@pytest.fixture
def cli(empty: Cli) -> Cli:
    fill(empty.home, DIGEST, NO_KEY, SCRIPT)
    with Journal.open(empty.home.journal) as journal, journal.atomic():
        journal.facts.set(CURRENT_JOBS, (DIGEST_JOB, NEW_JOB))
    set_links(empty, EVERYWHERE)
    return empty


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, strict_parsing=True))


OF_DIGEST = """\
nightly digest, the last 7 days

Jaeger
  all runs           http://localhost:16686/search?…
  failed             http://localhost:16686/search?…
  missed             http://localhost:16686/search?…
  10 slowest         http://localhost:16686/search?…
  10 most expensive  Jaeger cannot compare numbers other than durations: `cronalytics-otel runs --sort cost --job 6c583f72f2e8 --days 7`
  skill news         Jaeger cannot search for a member of a list: `cronalytics-otel runs --job 6c583f72f2e8 --skill news --days 7`
  cost per day       Jaeger cannot add up: `cronalytics-otel trends --bars cost --job 6c583f72f2e8 --days 7`, or the metric hermes.cron.run.cost

  Jaeger and Grafana list at most 1,500 runs.
"""


def test_each_question_about_a_job_has_a_line(cli: Cli) -> None:
    set_links(cli, {"jaeger": EVERYWHERE["jaeger"]})

    shown = cli("links", "nightly digest")

    assert "\n".join(
        line.partition("?")[0] + "?…" if "?" in line else line for line in shown.lines
    ) == (OF_DIGEST.rstrip())
    assert (shown.status, shown.err) == (0, "")


def test_each_explorer_has_its_block(cli: Cli) -> None:
    lines = cli("links", "digest").lines

    assert [line for line in lines if line and not line.startswith(" ")] == [
        "nightly digest, the last 7 days", "Jaeger", "Tempo in Grafana", "Honeycomb", "Datadog",
    ]  # fmt: skip


def test_the_commands_that_are_named_exist_and_answer(cli: Cli) -> None:
    links = cli("links", "nightly digest", "--json").json["links"]
    named = [link["instead"].split()[1:] for link in links if link["instead"]]

    assert len(named) == 4
    assert [cli(*words).status for words in named] == [0, 0, 0, 0]


def test_the_slowest_and_the_most_expensive_begin_with_the_tenth(empty: Cli) -> None:
    runs = [
        replace(
            DIGEST,
            execution_id=f"{n:032x}",
            session_id=None,
            ended_ns=DIGEST.started_ns + n * SECOND + 1_999,
            cost_usd=n / 1000,
        )
        for n in range(1, 13)
    ]
    missed = replace(
        DIGEST,
        execution_id="missed_1",
        session_id=None,
        outcome=Outcome.MISSED,
        started_ns=NOW_NS - DAY,
        cost_usd=None,
    )
    long_ago = replace(runs[-1], execution_id="a" * 32, cost_usd=9.0)
    long_ago = replace(
        long_ago,
        started_ns=long_ago.started_ns - 8 * DAY,
        ended_ns=long_ago.ended_ns - 7 * DAY,
    )
    fill(empty.home, *runs, missed, long_ago)
    set_links(empty, {"jaeger": EVERYWHERE["jaeger"], "datadog": EVERYWHERE["datadog"]})

    links = {
        (link["explorer"], link["question"]): link
        for link in empty("links", "nightly digest", "--json").json["links"]
    }

    assert parameters(links["jaeger", "slowest"]["url"])["minDuration"] == "3000001us"
    assert links["datadog", "slowest"]["query"].endswith("@duration:>=3000001999")
    assert links["datadog", "most_expensive"]["query"].endswith(":>=0.003")


def test_a_job_without_costs_has_no_search_for_the_most_expensive(cli: Cli) -> None:
    questions = {
        link["question"] for link in cli("links", "certificate check", "--json").json["links"]
    }

    assert questions == {"all", "failed", "missed", "slowest", "cost_per_day"}


def test_without_an_argument_it_is_about_all_jobs_of_the_profile(cli: Cli) -> None:
    shown = cli("links", "--days", "1")
    jaeger = cli("links", "--json").json["links"][0]

    assert shown.lines[0] == "all jobs of profile default, the last day"
    assert json.loads(parameters(jaeger["url"])["tags"])["hermes.profile.name"] == "default"
    assert (jaeger["profile"], jaeger["job_id"], jaeger["job_name"]) == ("default", None, None)


@pytest.mark.parametrize(
    "reference",
    [DIGEST.run_id, "3f9a", "latest", DIGEST.session_id, "8C824F0"],
)
def test_a_run_has_its_trace_in_each_explorer(cli: Cli, reference: str) -> None:
    answer = cli("links", reference, "--json").json
    trace_id = cli("runs", "--json", "--limit", "1").json["runs"][0]["trace_id"]

    assert [link["explorer"] for link in answer["links"]] == list(EVERYWHERE)
    assert all(trace_id in link["url"] for link in answer["links"])
    assert {(link["run_id"], link["trace_id"]) for link in answer["links"]} == {
        (DIGEST.run_id, trace_id)
    }


def test_a_part_of_a_jobs_name_or_id_means_the_job(cli: Cli) -> None:
    for reference in ("nightly", "NIGHTLY DIGEST", "6c583f72f2e8", "6c58"):
        first = cli("links", reference, "--json").json["links"][0]
        assert (first["job_id"], first["run_id"]) == (DIGEST.job_id, None)


def test_a_job_that_has_not_run_yet_has_links(cli: Cli) -> None:
    links = cli("links", "not yet run", "--json").json["links"]

    assert {link["job_id"] for link in links} == {NEW_JOB.job_id}
    assert {link["question"] for link in links} == {"all", "failed", "missed", "cost_per_day"}


def test_without_the_setting_it_shows_the_usual_addresses_and_says_so(cli: Cli) -> None:
    set_links(cli, {})

    shown = cli("links", "latest")

    assert "http://localhost:16686/trace/" in shown.out
    assert "http://localhost:3000/explore?" in shown.out
    assert "config.yaml has no `links`" in shown.err
    assert shown.status == 0


def test_an_address_that_cannot_be_used_is_reported(cli: Cli) -> None:
    set_links(cli, {"jaeger": "localhost:16686"})

    shown = cli("links", "latest")

    assert "links.jaeger: it does not begin with http:// or https://" in shown.err
    assert "usual addresses" not in shown.err
    assert shown.out == ""
    assert "jaeger" not in cli("runs", "--json").json["runs"][0]["links"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nobody"], 1, "No run and no job is called 'nobody'."),
        (["i"], 2, "More than one job matches 'i':"),
        (["--profile", "other"], 2, "There is no profile 'other'."),
        (["--days", "0"], 2, "'0' is not a whole number of days from 1 to 99999"),
        (["--days", "week"], 2, "'week' is not a whole number of days from 1 to 99999"),
    ],
)
def test_what_is_wrong_is_said_as_other_commands_say_it(
    cli: Cli, arguments: list[str], status: int, message: str
) -> None:
    shown = cli("links", *arguments)

    assert (shown.status, shown.out) == (status, "")
    assert message in shown.err


def test_a_damaged_journal_is_named(cli: Cli) -> None:
    cli.home.journal.write_bytes(b"no database" * 1000)

    shown = cli("links")

    assert shown.status == 1
    assert str(cli.home.journal) in shown.err


def test_each_profile_has_its_own_links(cli: Cli) -> None:
    work = new_home(cli.home.path / "profiles" / "work")
    fill(work, replace(DIGEST, profile="work", job_id="a" * 12, job_name="report"))

    shown = cli("links", "--profile", "work")
    of_both = cli("links", "--all-profiles", "--json").json["links"]

    assert shown.lines[0] == "all jobs of profile work, the last 7 days"
    assert "`cronalytics-otel trends --bars cost --days 7 --profile work`" in shown.out
    assert {link["profile"] for link in of_both} == {"default", "work"}
    assert cli("links", "report", "--all-profiles", "--json").json["links"][0]["profile"] == "work"


def test_the_service_name_of_the_settings_is_searched(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-cron")

    links = cli("links", "--json").json["links"]

    assert parameters(links[0]["url"])["service"] == "my-cron"


# What other commands show.


def test_trace_has_a_line_for_each_explorer(cli: Cli) -> None:
    trace_id = cli("trace", "latest", "--json").json["run"]["trace_id"]
    lines = cli("trace", "latest").lines

    assert f"  jaeger    http://localhost:16686/trace/{trace_id}" in lines
    assert [line.split()[0] for line in lines if "://" in line] == list(EVERYWHERE)


def test_runs_names_the_explorers_in_one_line(cli: Cli) -> None:
    shown = cli("runs")

    assert shown.lines[-1] == (
        "`cronalytics-otel links RUN` shows where a run is in Jaeger, Tempo in Grafana, Honeycomb, Datadog"
    )
    assert "://" not in shown.out


def test_without_the_setting_trace_and_runs_show_no_links(cli: Cli) -> None:
    set_links(cli, {})

    assert "links" not in cli("runs").out
    assert "://" not in cli("trace", "latest").out
    assert cli("runs", "--json").json["runs"][0]["links"] == {}


def test_the_json_of_runs_and_trace_has_the_links_of_each_run(cli: Cli) -> None:
    first = cli("runs", "--json").json["runs"][0]

    assert list(first["links"]) == list(EVERYWHERE)
    assert first["links"]["jaeger"] == f"http://localhost:16686/trace/{first['trace_id']}"
    assert cli("trace", "latest", "--json").json["run"]["links"] == first["links"]
