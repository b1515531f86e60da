"""The dashboards on a real Prometheus: each query finds something, and it is what the command line shows.

The figures come from real syncs of three homes over eight days: two profiles of one Hermes, and one that fell silent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.generate import promql
from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.boards import NAMES, Question, filled_in, questions
from tests.support.collector import FaultyCollector, status
from tests.support.fake_clock import ShiftedClock
from tests.support.homes import ONE_CALL, HomeBuilder, Stage
from tests.support.prometheus import Prometheus, Sample, prometheus
from tests.support.thirty_days import write_thirty_days

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
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


class WorkingHome:
    """A home whose jobs go on between the syncs."""

    def __init__(self, path: Path, began: datetime) -> None:
        self.builder = HomeBuilder(path)
        self.digest = self.builder.job(
            "digest",
            cron="0 */2 * * *",
            job_id=DIGEST,
            created=began,
            skills=("news",),
            deliver="telegram",
        )
        self.script = self.builder.job("backup", cron="30 */6 * * *", created=began, no_agent=True)
        self.long = self.builder.job("long", cron="0 3 * * *", created=began)
        self.renamed = self.builder.job("old name", cron="10 * * * *", created=began)
        self._at = began
        self._n = 0

    def run_until(self, now: datetime) -> None:
        """All runs that are due up to this time, of which some fail, some cost nothing known, and one is not delivered."""
        at = self._at.replace(minute=0, second=0, microsecond=0) + HOUR
        while at < now - timedelta(minutes=40):
            self._hour(at)
            at += HOUR
        self._at = at - HOUR

    def _hour(self, at: datetime) -> None:
        self._n += 1
        builder, soon = self.builder, timedelta(seconds=2)
        if at.hour % 2 == 0:
            failed = self._n % 5 == 0
            builder.agent_run(
                self.digest,
                at + soon,
                30.0 + self._n % 9,
                cost=None if failed else 0.25,
                tokens=None if failed else ONE_CALL,
                outcome="failure" if failed else "success",
                error="RuntimeError: HTTP 500: upstream" if failed else None,
                model="large-model",
                delivery_error="chat not found" if self._n % 7 == 0 else None,
            )
        if at.hour == 3:
            builder.agent_run(self.long, at + soon, 60.0, cost=None, model="house-model")
        builder.agent_run(
            self.renamed, at + timedelta(minutes=10), 8.0, cost=0.01, model="small-model"
        )
        if at.hour % 6 == 0:
            builder.script_run(self.script, at + timedelta(minutes=30))

    def now_rename_and_hang(self, now: datetime) -> None:
        """One job gets a new name, one run goes on far too long, and one job is overdue."""
        self.builder.jobs[self.renamed]["name"] = "new name"
        began = now - 7 * HOUR
        self.builder.agent_run(
            self.long,
            began,
            outcome="success",
            ended=False,
            stop_after=Stage.WORKED,
            ledger_columns={"process_started_at": None},
        )
        late = self.builder.job("late", cron="0 5 * * *", created=now - 2 * DAY)
        self.builder.jobs[late]["next_run_at"] = (now - 3 * HOUR).isoformat()


def configure(path: Path, metrics: str, traces: str) -> None:
    destinations = {
        "prometheus": {"endpoint": metrics, "traces": False},
        "jaeger": {"endpoint": traces, "metrics": False},
    }
    budgets = {"month": 50, "jobs": {"digest": {"day": 0.01}}}
    options = {"destinations": destinations, "budgets": budgets}
    entries = {"plugins": {"entries": {"cronalytics-otel": options}}}
    (path / "config.yaml").write_text(json.dumps(entries))


def send(path: Path, metrics: str, traces: str, ago: timedelta = timedelta()) -> None:
    """One sync, at a time that is so long ago."""
    configure(path, metrics, traces)
    settings = load_settings(path, {"OTEL_METRIC_EXPORT_INTERVAL": "1000"})
    assert settings.problems == ()
    clock = ShiftedClock(-round(ago.total_seconds() * 1e9))
    report = sync(Home(path), settings, SyncOptions(eager=True, clock=clock))
    assert [one.error for one in report.metrics] == [None]


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    folder = tmp_path_factory.mktemp("boards")
    root = folder / "hermes"
    now = datetime.now(UTC).replace(microsecond=0)
    with prometheus(folder) as server, FaultyCollector(always=status(400)) as refuses:
        where = (server.otlp_endpoint, refuses.endpoint)
        working = WorkingHome(root, now - 10 * DAY)
        gone = HomeBuilder(root / "profiles" / "gone")
        job = gone.job("nightly", cron="0 2 * * *", created=now - 6 * DAY)
        gone.agent_run(job, now - 4 * DAY, cost=0.5, model="small-model")
        for ago in (8 * DAY, 3 * DAY, 26 * HOUR, 2 * HOUR):
            if ago == 3 * DAY:
                gone.write()
                send(gone.path, *where, ago)
                continue
            working.run_until(now - ago)
            working.builder.write()
            send(root, *where, ago)
        working.run_until(now)
        working.now_rename_and_hang(now)
        working.builder.write()
        thirty = write_thirty_days(root / "profiles" / "work", now)
        for _ in range(2):  # the second request has the percentiles and averages, too
            send(root, *where)
            send(thirty.path, *where)
            time.sleep(1.1)
        yield Boards(server=server, root=root, at_s=time.time())


EVERY_QUERY = [question for name in NAMES for question in questions(name)]


@pytest.mark.parametrize("question", EVERY_QUERY, ids=str)
def test_every_query_of_every_panel_finds_something(boards: Boards, question: Question) -> None:
    found = boards.ask(question)

    assert found
    assert all(sample.value == sample.value for sample in found), "not a number"
