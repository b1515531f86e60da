"""The dashboards on a real Prometheus: each query finds something, and it is what the command line shows.

The figures come from real syncs over eight days: a Hermes with the profiles `default`, `work`, `gone`, which fell
silent, and `moved`, which is on another machine now; another Hermes whose profile is `default`, too; and a copy of
`work` that goes on beside it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import time_machine
import yaml
from croniter import croniter_range

from collector.generate import promql
from cronalytics_otel.cli import main
from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.model.times import NS
from cronalytics_otel.sync import sync
from cronalytics_otel.telemetry.semconv import HERMES_CRON_JOB_ID
from tests.support.boards import GRAFANA, NAMES, Question, filled_in, questions
from tests.support.collector import FaultyCollector, status
from tests.support.collector import partial as taken_in_part
from tests.support.fake_clock import FakeClock
from tests.support.homes import ONE_CALL, HomeBuilder, Stage
from tests.support.prometheus import Prometheus, Sample, prometheus
from tests.support.thirty_days import write_thirty_days

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
PROFILE, JOB_ID, JOB_NAME = promql.PROFILE, promql.JOB_ID, promql.JOB_NAME
WINDOW = "hermes_cron_window"
MODEL = "hermes_cron_model_name"
OUTCOME = promql.OUTCOME

WINDOWS = {"24h": 1, "7d": 7, "30d": 30}

DIGEST = "d16e57000001"
"""The job whose board is asked: it has all that a job's board shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boards:
    """Prometheus with the figures of the homes, and a moment at which all of them are present."""

    server: Prometheus
    root: Path
    other: Path
    """The other Hermes, with a profile of the same name."""
    working: WorkingHome
    runs_then: int
    """How many runs the first home had eight days ago."""
    at_s: float

    def ask(self, question: Question, **variables: str) -> list[Sample]:
        """The newest value of each series of a query."""
        expr = filled_in(question.expr, **{"job": DIGEST, **variables})
        if not question.over_time:
            return self.server.query(expr, self.at_s)
        found = self.server.query_range(expr, self.at_s - 86_400, self.at_s, 3600.0)
        return [series[-1] for series in found]

    def panel(self, board: str, title: str, ref: str = "A", **variables: str) -> list[Sample]:
        (question,) = (q for q in questions(board) if (q.panel, q.ref) == (title, ref))
        return self.ask(question, **variables)

    def number(self, board: str, title: str, ref: str = "A", **variables: str) -> float:
        (sample,) = self.panel(board, title, ref, **variables)
        return sample.value


def far_from(now: datetime) -> str:
    """A schedule on which nothing is due for months."""
    return (now + 100 * DAY).strftime("0 0 %d %m *")


Cli = Callable[..., Any]
"""Runs a command of ours in a home, and returns its JSON."""


class WorkingHome:
    """A home whose jobs go on between the syncs. One is renamed, one is deleted, and one runs once.

    None of them is due in the twenty minutes before `now`, and all their runs have ended by then.
    """

    def __init__(self, path: Path, now: datetime) -> None:
        began, job = now - 10 * DAY, (builder := HomeBuilder(path, seed=3)).job
        minute, hour = (now - timedelta(minutes=20)).minute, (now - 12 * HOUR).hour
        self.builder = builder
        self.schedule = f"{minute} */2 * * *"
        self.digest = job(
            "digest",
            cron=self.schedule,
            job_id=DIGEST,
            created=began,
            skills=("news",),
            deliver="telegram",
        )
        self.script = job("backup", cron=f"{minute} */6 * * *", created=began, no_agent=True)
        self.long = job("long", cron=f"{minute} {hour} * * *", created=began)
        self.renamed = job("old name", cron=f"{minute} * * * *", created=began)
        self.once = job("remind once", once_at=now - HOUR, created=began)
        self._runs: dict[str, Callable[[str, datetime], object]] = {
            self.digest: self._digest,
            self.script: builder.script_run,
            self.long: partial(builder.agent_run, duration_s=60.0, model="house-model"),
            self.renamed: partial(
                builder.agent_run, duration_s=8.0, cost=0.01, model="small-model"
            ),
        }
        self._until = began

    def run_until(self, now: datetime) -> None:
        """Write all runs that are due up to this time."""
        due = [
            (at, job)
            for job in self._runs
            for at in croniter_range(
                self._until, now, self.builder.jobs[job]["schedule"]["expr"], exclude_ends=True
            )
        ]
        for at, job in sorted(due):
            self._runs[job](job, at + 2 * SECOND)
        self._until = now

    def _digest(self, job: str, at: datetime) -> None:
        """Every fifth run fails, and no answer can be delivered."""
        self._digests += 1
        failed = self._digests % 5 == 0
        self.builder.agent_run(
            job,
            at,
            30.0 + self._digests % 9,
            cost=None if failed else 0.25,
            tokens=None if failed else ONE_CALL,
            outcome="failure" if failed else "success",
            error="RuntimeError: HTTP 500: upstream" if failed else None,
            model="large-model",
            delivery_error="chat not found",
        )

    _digests = 0

    def rename(self) -> None:
        self.builder.jobs[self.renamed]["name"] = "new name"

    def hang(self, now: datetime) -> None:
        """One run goes on far too long, one job is overdue, and one is deleted."""
        self.builder.remove_job(self.script)
        began = now - 7 * HOUR
        self.builder.agent_run(
            self.long,
            began,
            outcome="success",
            ended=False,
            stop_after=Stage.WORKED,
            ledger_columns={"process_started_at": None},
        )
        self.builder.agent_run(self.once, now - HOUR, cost=0.75, model="small-model")
        late = self.builder.job("late", cron="0 5 * * *", created=now - 2 * DAY)
        self.builder.jobs[late]["next_run_at"] = (now - 3 * HOUR).isoformat()


class OtherHome:
    """A home with a job that recurs and two that run once: all one-shots of a home are the job `once`."""

    def __init__(self, path: Path, now: datetime) -> None:
        self.builder = HomeBuilder(path, seed=7)
        self._at = now - HOUR
        job = self.builder.job("elsewhere", cron=far_from(now), created=now - 3 * DAY)
        for hours in range(24):
            began = (now - DAY).replace(minute=0, second=2) + hours * HOUR
            self.builder.agent_run(job, began, cost=0.125, model="small-model")
        self._once = [
            self.builder.job("ask once", once_at=self._at, created=now - 2 * DAY) for _ in range(2)
        ]
        self.builder.write()

    def run_once(self) -> None:
        for job in self._once:
            self.builder.agent_run(job, self._at, cost=0.5, model="small-model")
        self.builder.write()


def configure(path: Path, metrics: str, traces: str) -> None:
    destinations = {
        "prometheus": {"endpoint": metrics, "traces": False},
        "jaeger": {"endpoint": traces, "metrics": False},
    }
    budgets = {"month": 50, "jobs": {"digest": {"day": 0.01}}} if path.name == "hermes" else {}
    options = {"destinations": destinations, "budgets": budgets}
    entries = {"plugins": {"entries": {"cronalytics-otel": options}}}
    (path / "config.yaml").write_text(json.dumps(entries))


def send(path: Path, metrics: str, traces: str, at: datetime) -> None:
    """One sync at a time."""
    configure(path, metrics, traces)
    settings = load_settings(path, {"OTEL_METRIC_EXPORT_INTERVAL": "1000"})
    assert settings.problems == ()
    clock = FakeClock(now_ns=round(at.timestamp()) * NS)
    report = sync(Home(path), settings, SyncOptions(eager=True, clock=clock))
    assert [one.error for one in report.metrics] == [None]


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    folder = tmp_path_factory.mktemp("boards")
    root = folder / "hermes"
    # No run begins or ends in such a second, so that no window's edge meets a run.
    now = (datetime.now(UTC) - timedelta(minutes=1)).replace(second=55, microsecond=0)
    with (
        prometheus(folder) as server,
        FaultyCollector(always=status(503)) as down,
        FaultyCollector(always=taken_in_part(1)) as refuses,
    ):
        where = (server.otlp_endpoint, down.endpoint)
        working = WorkingHome(root, now)
        gone = HomeBuilder(root / "profiles" / "gone")
        moved = HomeBuilder(root / "profiles" / "moved", seed=5)
        for home in (gone, moved):
            job = home.job("yearly", cron=far_from(now), created=now - 6 * DAY)
            home.agent_run(job, now - 4 * DAY, cost=0.5, model="small-model")
            home.write()
        for ago in (8 * DAY, 3 * DAY, 26 * HOUR, 2 * HOUR):
            if ago == 3 * DAY:
                for home in (gone, moved):
                    send(home.path, server.otlp_endpoint, refuses.endpoint, now - ago)
                continue
            working.run_until(now - ago)
            if ago == 8 * DAY:
                runs_then = len(working.builder.expected)
            if ago == 2 * HOUR:
                working.rename()
            working.builder.write()
            send(root, *where, now - ago)
        other = OtherHome(folder / "other", now)
        send(other.builder.path, *where, now - 2 * HOUR)
        working.run_until(now)
        working.hang(now)
        working.builder.write()
        thirty = write_thirty_days(root / "profiles" / "work", now)
        copied = folder / "copy" / "profiles" / "work"
        shutil.copytree(thirty.path, copied)
        elsewhere = folder / "copy" / "profiles" / "moved"
        moved.path.rename(elsewhere)
        (instance,) = elsewhere.rglob("instance.json")
        instance.unlink()  # as on another machine
        other.run_once()
        for at in (
            now,
            now + 2 * SECOND,
        ):  # the second request has the percentiles and averages, too
            send(root, *where, at)
            send(thirty.path, *where, at)
            send(copied, *where, at)
            send(elsewhere, *where, at)
            send(other.builder.path, *where, at)
        yield Boards(
            server=server,
            root=root,
            other=other.builder.path,
            working=working,
            runs_then=runs_then,
            at_s=(now + 3 * SECOND).timestamp(),
        )


EVERY_QUERY = [question for name in NAMES for question in questions(name)]


@pytest.mark.parametrize("question", EVERY_QUERY, ids=str)
def test_every_query_of_every_panel_finds_something(boards: Boards, question: Question) -> None:
    found = boards.ask(question)

    assert found
    assert all(sample.value == sample.value for sample in found), "not a number"


@pytest.fixture
def cli(boards: Boards, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line at the time of the figures."""

    def run(command: str, home: Path, *options: str) -> Any:
        capsys.readouterr()
        with time_machine.travel(boards.at_s, tick=False):
            assert main([command, "--home", str(home), *options, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def homes_of(boards: Boards, profile: str) -> list[Path]:
    """The homes of a profile that are each other's copies only in name."""
    if profile == "work":
        return [boards.root / "profiles" / "work"]
    return [boards.root, boards.other]


def by_label(samples: list[Sample], name: str) -> dict[str, float]:
    return {sample.labels.get(name, ""): sample.value for sample in samples}


PROFILE_AND_WINDOW = [(profile, window) for profile in ("default", "work") for window in WINDOWS]


@pytest.mark.parametrize(("profile", "window"), PROFILE_AND_WINDOW)
def test_the_verdict_is_that_of_the_summary(
    boards: Boards, cli: Cli, profile: str, window: str
) -> None:
    days = str(WINDOWS[window])
    totals = [cli("summary", home, "--days", days)["totals"] for home in homes_of(boards, profile)]

    def shown(title: str) -> float:
        return boards.number("fleet", title, profile=profile, window=window)

    def summed(name: str) -> float:
        return float(sum(total[name] for total in totals))

    assert shown("Ran") == summed("runs")
    assert shown("Failed") == summed("failed")
    assert shown("Missed") == summed("missed")
    assert shown("Due") == summed("runs") + summed("missed")
    assert shown("Cost") == pytest.approx(summed("cost_usd"), abs=1e-9)
    assert shown("Tokens") == summed("tokens")


def test_the_change_compares_with_the_window_before_in_homes_that_were_known_then(
    boards: Boards,
) -> None:
    """Eight days ago only the first home had sent figures, and had runs of two days."""
    then = boards.runs_then
    (now,) = (
        row.value
        for row in boards.panel("fleet", "Profiles and hosts", "B")
        if row.labels[PROFILE] == "default" and row.value > 100
    )

    change = boards.number("fleet", "Ran", "B")

    assert then > 0
    assert change == now - then


def test_the_table_of_jobs_shows_what_the_command_line_shows(boards: Boards, cli: Cli) -> None:
    homes = [("default", boards.root), ("work", homes_of(boards, "work")[0])]
    jobs = {
        (profile, job["job_id"]): job
        for profile, home in homes
        for job in cli("jobs", home, "--days", "7")["jobs"]
    }
    in_30d = {
        (profile, job["job_id"]): job
        for profile, home in homes
        for job in cli("jobs", home, "--days", "30")["jobs"]
    }
    refs = dict(zip("ABCDEFGHIJK", (
        "name", "state", "last_outcome", "last_ended_at", "runs", "failed", "missed", "cost_usd", "nominal", "trend",
        "pace",
    ), strict=True))  # fmt: skip

    def column(ref: str) -> dict[tuple[str, str], Sample]:
        found = boards.panel("fleet", "Jobs", ref, profile="default|work")
        keys = [(one.labels[PROFILE], one.labels[JOB_ID]) for one in found]
        assert len(set(keys)) == len(keys), f"a job has two rows for {refs[ref]}"
        return dict(zip(keys, found, strict=True))

    shown = {name: column(ref) for ref, name in refs.items()}
    checked = 0
    for key, job in jobs.items():
        if job["schedule"] is None or "once" in job["name"]:
            continue
        month = in_30d[key]
        assert shown["name"][key].labels[JOB_NAME] == job["name"]
        state = shown["state"].get(key)
        if job["state"] == "deleted":
            assert state is None
        else:
            assert state is not None
            assert state.labels["hermes_cron_job_state"] == job["state"]
        if job["runs"]:
            assert shown["last_outcome"][key].labels[OUTCOME] == job["last_outcome"]
        for name in ("runs", "failed", "missed"):
            assert shown[name][key].value == job[name], (key, name)
        for name, expected in (
            ("cost_usd", job["cost_usd"]),
            ("nominal", month["projection"]["30d"]["nominal_usd"]),
            ("trend", month["projection"]["30d"]["trend_usd"]),
            ("pace", month["pace"]),
        ):
            value = shown[name][key].value if key in shown[name] else None
            assert value == pytest.approx(expected, rel=1e-3) if expected else not value, (
                key,
                name,
            )
        checked += 1
    assert checked >= 12


def test_a_renamed_job_is_one_job_and_its_totals_count_both_names(boards: Boards) -> None:
    renamed = boards.working.renamed
    names = [
        sample.labels[JOB_NAME]
        for sample in boards.panel("fleet", "Jobs", "A")
        if sample.labels[JOB_ID] == renamed
    ]
    totals = promql.total(promql.counters("runs", selector=f'{JOB_ID}="{renamed}"'))
    runs = sum(run.job_id == renamed for run in boards.working.builder.expected)

    assert names == ["new name"]
    assert [sample.value for sample in boards.server.query(totals, boards.at_s)] == [runs]
    assert {s["hermes_cron_job_name"] for s in boards.server.series(f'hermes_cron_runs_total{{{JOB_ID}="{renamed}"}}')} == {"old name", "new name"}  # fmt: skip


def test_a_deleted_job_has_no_state_and_is_not_due(boards: Boards) -> None:
    deleted = boards.working.script

    assert boards.panel("job", "State", job=deleted) == []
    assert boards.panel("job", "Next run", job=deleted) == []
    assert boards.number("job", "Runs, last $window", job=deleted) > 0


def test_a_home_that_was_moved_counts_once_and_is_not_silent(boards: Boards) -> None:
    silent = boards.server.query(promql.silent_s(), boards.at_s)

    assert boards.number("fleet", "Ran", profile="moved") == 1
    assert boards.number("fleet", "Cost", profile="moved") == 0.5
    assert len(boards.panel("fleet", "Profiles and hosts", profile="moved")) == 2
    assert [home.labels[PROFILE] for home in silent] == ["gone"]


def test_the_history_of_a_new_home_is_no_change_and_no_addition(boards: Boards) -> None:
    added = promql.total(promql.added("runs", "1h", f'{PROFILE}="work"'))

    assert boards.panel("fleet", "Ran", "B", profile="work") == []
    assert boards.server.query(added, boards.at_s) == []


def test_one_shots_of_two_homes_with_one_profile_name_add_up(boards: Boards) -> None:
    costs = by_label(
        boards.panel("fleet", "Most expensive jobs", profile="default", window="24h"), JOB_NAME
    )

    assert costs["once"] == 0.75 + 2 * 0.5


def test_the_leaders_are_those_of_the_summary(boards: Boards, cli: Cli) -> None:
    leaders = cli("summary", homes_of(boards, "work")[0], "--days", "7")["leaders"]
    for title, name in (("Most expensive jobs", "cost_usd"), ("Most tokens", "tokens")):
        shown = by_label(boards.panel("fleet", title, profile="work"), JOB_NAME)
        assert shown == pytest.approx({one["name"]: one["value"] for one in leaders[name]})


def test_costs_by_model_are_those_of_the_command_line(boards: Boards, cli: Cli) -> None:
    found = [
        model
        for home in homes_of(boards, "default")
        for model in cli("models", home, "--days", "3650")["models"]
    ]
    costs: dict[str, float] = {}
    tokens: dict[str, float] = {}
    for model in found:
        tokens[model["model"]] = tokens.get(model["model"], 0) + model["tokens"]
        if model["cost_usd"] is not None:
            costs[model["model"]] = costs.get(model["model"], 0) + model["cost_usd"]

    assert by_label(boards.panel("models", "Cost by model", profile="default"), MODEL) == (
        pytest.approx({name: cost for name, cost in costs.items() if cost})
    )
    assert by_label(
        boards.panel("fleet", "Cost by model, of all time", profile="default"), MODEL
    ) == pytest.approx({name: cost for name, cost in costs.items() if cost})
    assert by_label(boards.panel("models", "Tokens by model", profile="default"), MODEL) == tokens


def test_averages_of_models_and_skills_are_those_of_the_command_line(
    boards: Boards, cli: Cli
) -> None:
    home = homes_of(boards, "work")[0]
    models = [model | _recent(model) for model in cli("models", home)["models"]]
    skills = cli("skills", home, "--days", "14")["skills"]
    for title, refs, rows, first in (
        ("Models: cost and success", "CDE", models, "model"),
        ("Skills: cost and success", "ABC", skills, "skill"),
    ):
        keys = (f"hermes_cron_{first}_name", MODEL, "hermes_cron_model_provider")
        for ref, name in zip(
            refs, ("success_rate", "mean_duration_s", "mean_cost_usd"), strict=True
        ):
            shown = {
                tuple(sample.labels.get(key, "") for key in keys): sample.value
                for sample in boards.panel("models", title, ref, profile="work")
            }
            known = {
                tuple(row[key] or "" for key in (first, "model", "provider")): row[name]
                for row in rows
                if row[name] is not None
            }
            assert known
            # Runs that failed before a model answered have no provider: the command line shows no tokens of them.
            answered = {key: value for key, value in shown.items() if key[2]}
            assert answered == pytest.approx(known, rel=1e-3), (title, name)


def _recent(model: dict[str, Any]) -> dict[str, Any]:
    recent = model["recent"] or {}
    return {
        "success_rate": recent.get("success_rate"),
        "mean_duration_s": recent.get("duration_s"),
        "mean_cost_usd": recent.get("cost_usd"),
    }


def test_the_forecast_is_the_sum_over_the_jobs(boards: Boards, cli: Cli) -> None:
    jobs = cli("jobs", homes_of(boards, "work")[0], "--days", "30")["jobs"]
    for ref, name in (("A", "scheduled_runs"), ("B", "nominal_usd"), ("C", "trend_usd")):
        shown = by_label(
            boards.panel("fleet", "Forecast of the jobs that recur", ref, profile="work"), WINDOW
        )
        assert shown == pytest.approx(
            {
                horizon: sum(job["projection"][horizon][name] or 0 for job in jobs)
                for horizon in ("30d", "90d", "365d")
            },
            rel=1e-3,
        )


def test_budgets_stand_as_the_command_line_shows(boards: Boards, cli: Cli) -> None:
    budgets = cli("forecast", boards.root)["budgets"]
    shown = {
        (row.labels["hermes_cron_budget_period"], row.labels.get(JOB_NAME)): row.value
        for row in boards.panel("fleet", "Budgets: how much is spent?", profile="default")
    }
    over = {
        row.labels[JOB_NAME]: row.value
        for row in boards.panel("fleet", "What is wrong", profile="default")
        if row.labels["problem"] == "percent of its budget spent"
    }
    known = {(one["period"], one["job_name"]): one["used_share"] for one in budgets}

    assert len(known) == 2
    assert shown == pytest.approx(known)
    assert over == pytest.approx(
        {name: 100 * share for (_, name), share in known.items() if share > 1}
    )


def test_what_is_wrong_is_named(boards: Boards) -> None:
    rows = boards.panel("fleet", "What is wrong")
    wrong = {(row.labels.get(JOB_NAME, row.labels[PROFILE]), row.labels["problem"]) for row in rows}

    assert {
        ("certificate check", "failed runs in a row"),
        ("late", "minutes overdue"),
        ("long", "minutes running, far longer than usual"),
        ("digest", "answers not delivered in 24 hours"),
        ("gone", "traces refused by a destination"),
        ("default", "hours that the oldest trace has been waiting"),
        ("gone", "hours since its files were read"),
    } <= wrong
    jobs = [(row.labels.get(JOB_NAME), row.labels[PROFILE], row.labels["problem"], row.labels.get("hermes_cron_destination")) for row in rows]  # fmt: skip
    assert len(set(jobs)) == len(jobs)
    assert ("paused watch", "failed runs in a row") not in wrong


def test_the_board_of_a_job_shows_what_the_command_line_shows(boards: Boards, cli: Cli) -> None:
    detail = cli("job", boards.root, DIGEST, "--days", "30")
    job = detail["job"]

    def shown(title: str, ref: str = "A") -> float:
        return boards.number("job", title, ref, window="30d")

    assert shown("Runs, last $window") == job["runs"]
    assert shown("Failed, last $window") == job["failed"]
    assert shown("Cost, last $window") == pytest.approx(job["cost_usd"])
    assert shown("Tokens, last $window") == job["tokens"]
    assert shown("Failures in a row") == job["consecutive_failures"]
    assert shown("Pace") == pytest.approx(job["pace"], rel=1e-3)
    assert shown("Schedule kept") == pytest.approx(job["adherence"])
    assert shown("How long do its runs take?", "C") == pytest.approx(job["durations"]["p95_s"])
    errors = by_label(boards.panel("job", "Errors by class, of all time"), "error_type")
    assert errors == {error["error_type"]: error["runs"] for error in detail["errors"]}
    (outcome,) = boards.panel("job", "Last outcome")
    assert outcome.labels[OUTCOME] == job["last_outcome"]
    (definition,) = boards.panel("job", "Definition")
    assert definition.labels["hermes_cron_schedule_expression"] == boards.working.schedule


def test_exemplars_lead_to_traces(boards: Boards) -> None:
    asked = [q for q in EVERY_QUERY if q.exemplars]
    assert len(asked) == 2
    for question in asked:
        found = boards.server.exemplars(filled_in(question.expr, job=DIGEST))
        assert found
        assert all(len(one.labels["trace_id"]) == 32 for one in found)


def test_a_home_is_shown_with_its_host_and_versions(boards: Boards) -> None:
    homes = boards.panel("pipeline", "Homes: last read, and versions", "A")

    assert sorted(home.labels[PROFILE] for home in homes) == (
        ["default", "default", "gone", "moved", "moved", "work", "work"]
    )
    assert all(home.labels["host_name"] and home.labels["service_version"] for home in homes)


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Overdue jobs", 1), ("Hung runs", 1), ("Silent homes", 1)],
)
def test_the_pipeline_counts_what_is_wrong(boards: Boards, title: str, expected: int) -> None:
    question = next(q for q in questions("pipeline") if q.panel == title)
    # Of `work` another job may just be due.
    (count,) = boards.ask(question, profile="default|gone|moved")

    assert count.value == expected


def test_nothing_is_counted_where_no_figures_arrive(boards: Boards) -> None:
    for question in questions("pipeline"):
        if question.panel in ("Overdue jobs", "Silent homes", "Traces refused"):
            assert boards.ask(question, profile="nobody") == []


def test_a_trace_leads_to_the_figures_of_its_job(boards: Boards) -> None:
    """Grafana puts the tags of the span where the provisioned queries have `$$__tags`."""
    provisioned = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/cronalytics.yaml").read_text()
    )
    (tempo,) = (one for one in provisioned["datasources"] if one["type"] == "tempo")
    to_metrics = tempo["jsonData"]["tracesToMetrics"]
    (tag,) = to_metrics["tags"]
    assert tag["key"] == HERMES_CRON_JOB_ID

    for query in to_metrics["queries"]:
        asked = query["query"].replace("$$__tags", f'{tag["value"]}="{DIGEST}"')
        assert boards.server.query(asked, boards.at_s), query["name"]
