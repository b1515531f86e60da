"""Each query of collector/queries.md, and each link, against a real Jaeger and a real Prometheus.

They hold 30 days of nine jobs, which a real sync sent there. The command that the document names beside a query
is the measure: both have to find the same runs.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine

from collector.generate.queries import JOB, LEAST_DURATION_S, SKILL
from cronalytics_otel.cli import main
from cronalytics_otel.telemetry.links import MOST_LISTED, Question
from tests.support.homes import HomeBuilder
from tests.support.jaeger import Jaeger, jaeger
from tests.support.prometheus import Prometheus, prometheus
from tests.support.queries import README, queries
from tests.support.thirty_days import write_thirty_days

JAEGER_QUERIES = queries("jaeger")
THE_SKILL = "news"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A home, and the backends that have all of it."""

    home: HomeBuilder
    now: datetime
    jaeger: Jaeger
    prometheus: Prometheus

    @property
    def job_ids(self) -> dict[str, str]:
        """By the name of the job."""
        return {row["name"]: job_id for job_id, row in self.home.jobs.items()}


@pytest.fixture(scope="module")
def filled(
    jaeger_programs: None, prometheus_programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("queries")
    # Jobs are due at the beginning of a minute: none of them is at an edge of a window then.
    now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(seconds=30)
    with jaeger(folder / "jaeger", badger=True) as traces, prometheus(folder) as metrics:
        home = write_thirty_days(folder / "home", now)
        configure(home, traces, metrics)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NO_PROXY", "127.0.0.1")
            patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            for later_s in (0, 2):  # percentiles and averages come with the second request
                with time_machine.travel(now + timedelta(seconds=later_s), tick=False):
                    assert main(["sync", "--home", str(home.path)]) == 0
        yield Filled(home=home, now=now, jaeger=traces, prometheus=metrics)


def configure(home: HomeBuilder, traces: Jaeger, metrics: Prometheus) -> None:
    ours = {
        "destinations": {
            "jaeger": {"endpoint": traces.http_endpoint, "metrics": False},
            "prometheus": {"endpoint": metrics.otlp_endpoint, "traces": False},
        },
        "links": {"jaeger": traces.url},
    }
    (home.path / "config.yaml").write_text(
        json.dumps({"plugins": {"entries": {"cronalytics-otel": ours}}})
    )


class Commands:
    """Runs commands on the home at the time of its sync, and returns their JSON."""

    def __init__(self, filled: Filled, capsys: pytest.CaptureFixture[str]) -> None:
        self._filled = filled
        self._capsys = capsys

    def __call__(self, *words: str) -> Any:
        self._capsys.readouterr()
        with time_machine.travel(self._filled.now, tick=False):
            main([*words, "--json", "--home", str(self._filled.home.path)])
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture
def command(filled: Filled, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(filled, capsys)


def for_job(text: str, job_id: str) -> str:
    return text.replace(JOB, job_id).replace(SKILL, THE_SKILL)


def documented(question: Question, job_id: str) -> list[str]:
    """The words of the command that the document names, for a job, behind the name of the program."""
    return shlex.split(for_job(queries("sh")[question], job_id))[1:]


def trace_ids(runs: list[dict[str, Any]]) -> set[str]:
    return {run["trace_id"] for run in runs}


def typed(text: str) -> dict[str, str]:
    """What Jaeger's page sends when this is typed into its search form."""
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    tags = dict(tag.split("=", 1) for tag in fields["Tags"].split())
    found = {"service": fields["Service"], "tags": json.dumps(tags), "start": "0", "limit": "1500"}
    if "Min Duration" in fields:
        found["minDuration"] = fields["Min Duration"]
    return found


def page(url: str) -> dict[str, str]:
    """What Jaeger's page sends when it is opened at this address."""
    parts = urlsplit(url)
    assert parts.path == "/search"
    return dict(parse_qsl(parts.query, strict_parsing=True))


# --- Jaeger --------------------------------------------------------------------------------


@pytest.mark.parametrize("question", JAEGER_QUERIES)
def test_a_query_of_jaeger_finds_the_runs_of_the_command_beside_it(
    filled: Filled, command: Commands, question: Question
) -> None:
    for name, job_id in filled.job_ids.items():
        runs = command(*documented(question, job_id), "--limit", "0")["runs"]
        if question is Question.SLOWEST:
            runs = [run for run in runs if took_s(run) >= LEAST_DURATION_S]

        found = filled.jaeger.search(typed(for_job(JAEGER_QUERIES[question], job_id)))

        assert set(found) == trace_ids(runs), name
        assert len(found) == len(runs), name


def took_s(run: dict[str, Any]) -> float:
    """A missed run has no length in Jaeger."""
    return 0.0 if run["outcome"] == "missed" else float(run["duration_s"])


def test_the_jaeger_queries_of_the_document_find_something(filled: Filled) -> None:
    counts = {
        question: sum(
            len(filled.jaeger.search(typed(for_job(text, job_id))))
            for job_id in filled.job_ids.values()
        )
        for question, text in JAEGER_QUERIES.items()
    }

    assert set(counts) == {Question.ALL, Question.FAILED, Question.MISSED, Question.SLOWEST}
    assert min(counts.values()) > 0


LINKED = {
    Question.ALL: [],
    Question.FAILED: ["--outcome", "failed"],
    Question.MISSED: ["--outcome", "missed"],
}


@pytest.mark.parametrize("name", ["morning digest", "inbox triage", "certificate check", None])
def test_a_link_to_jaeger_opens_the_runs_that_it_names(
    filled: Filled, command: Commands, name: str | None
) -> None:
    of_job = [] if name is None else [filled.job_ids[name]]
    links = {link["question"]: link for link in command("links", *of_job, "--days", "30")["links"]}
    chosen = ["--days", "30", "--limit", "0", *(["--job", *of_job] if of_job else [])]

    for question, options in LINKED.items():
        runs = command("runs", *chosen, *options)["runs"]
        asked = page(links[question]["url"]) | {"limit": "5000"}
        assert set(filled.jaeger.search(asked)) == trace_ids(runs), question
    runs = [run for run in command("runs", *chosen)["runs"] if run["outcome"] != "missed"]
    shortest = sorted(map(took_s, runs), reverse=True)[MOST_LISTED - 1]
    slowest = [run for run in runs if took_s(run) >= shortest]
    assert set(filled.jaeger.search(page(links["slowest"]["url"]))) == trace_ids(slowest)


def test_the_commands_that_stand_in_for_jaeger_find_something(
    filled: Filled, command: Commands
) -> None:
    links = command("links", filled.job_ids["morning digest"], "--days", "30")["links"]
    instead = {link["question"]: link["instead"] for link in links if link["instead"]}

    expensive = command(*shlex.split(instead["most_expensive"])[1:])["runs"]
    with_skill = command(*shlex.split(instead["skill"])[1:])["runs"]
    days = command(*shlex.split(instead["cost_per_day"])[1:])["days"]

    assert expensive[0]["cost_usd"] == max(run["cost_usd"] for run in expensive) > 0
    assert {THE_SKILL} == {skill for run in with_skill for skill in run["skills"]}
    assert sum(day["cost_usd"] for day in days) > 0


@pytest.mark.parametrize("outcome", ["success", "failure", "skipped", "missed"])
def test_the_link_of_a_run_opens_its_trace(filled: Filled, command: Commands, outcome: str) -> None:
    run = command("runs", "--outcome", outcome, "--limit", "1")["runs"][0]
    (link,) = command("links", run["run_id"])["links"]
    path = urlsplit(link["url"]).path

    assert link["url"] == run["links"]["jaeger"] == filled.jaeger.url + path
    spans = filled.jaeger.trace(path.removeprefix("/trace/"))
    assert [
        span["attributes"]["hermes.cron.run.id"] for span in spans if span["parent_id"] is None
    ] == [run["run_id"]]


# --- Prometheus ----------------------------------------------------------------------------


def value(filled: Filled, question: Question, name: str) -> float:
    (sample,) = ask(filled, question, name)
    return float(sample.value)


def ask(filled: Filled, question: Question, name: str) -> list[Any]:
    text = for_job(queries("promql")[question], filled.job_ids[name])
    return filled.prometheus.query(text, filled.now.timestamp() + 60)


@pytest.mark.parametrize("name", ["morning digest", "inbox triage", "mail gate"])
def test_prometheus_counts_what_the_command_line_counts(
    filled: Filled, command: Commands, name: str
) -> None:
    month = command("runs", "--job", filled.job_ids[name], "--days", "30")["totals"]
    day = command("runs", "--job", filled.job_ids[name], "--days", "1")["totals"]
    by_outcome = {
        sample.labels["hermes_cron_run_outcome"]: sample.value
        for sample in ask(filled, Question.ALL, name)
    }

    assert by_outcome == month["outcomes"] | {"missed": month["missed"]}
    assert value(filled, Question.FAILED, name) == month["failed"]
    assert value(filled, Question.MISSED, name) == month["missed"]
    assert value(filled, Question.COST_PER_DAY, name) == pytest.approx(day["cost_usd"])


def test_prometheus_knows_how_long_most_runs_take(filled: Filled, command: Commands) -> None:
    name = "research brief"
    runs = command("runs", "--job", filled.job_ids[name], "--days", "30", "--limit", "0")["runs"]
    durations = sorted(run["duration_s"] for run in runs if run["outcome"] == "success")

    assert durations[len(durations) // 2] <= value(filled, Question.SLOWEST, name) <= durations[-1]


def test_prometheus_knows_what_a_run_with_a_skill_costs(filled: Filled, command: Commands) -> None:
    (skill,) = (row for row in command("skills")["skills"] if row["skill"] == THE_SKILL)

    assert value(filled, Question.SKILL, "morning digest") == pytest.approx(skill["mean_cost_usd"])


def test_each_question_that_a_metric_answers_is_tried_here() -> None:
    assert set(queries("promql")) == {
        Question.ALL, Question.FAILED, Question.MISSED, Question.SLOWEST, Question.SKILL,
        Question.COST_PER_DAY,
    }  # fmt: skip


def test_the_query_of_the_quick_start_shows_the_runs_of_the_last_day(
    filled: Filled, command: Commands
) -> None:
    (query,) = re.findall(
        r"^```promql\n(sum by \(hermes_cron_job_name, .*?)\n```$", README.read_text(), re.MULTILINE
    )
    shown = Counter[str]()
    for sample in filled.prometheus.query(query, filled.now.timestamp() + 60):
        shown[sample.labels["hermes_cron_run_outcome"]] += int(sample.value)

    totals = command("runs", "--days", "1")["totals"]
    assert shown == +Counter(totals["outcomes"])
    assert shown.total() == totals["runs"] > 0
