"""Each alert on a real Prometheus that got the metrics of a real sync: of a home with that fault, and of one that is well.

Where `health` looks at the same thing, it finds the same. Rules are not evaluated here, because some alerts wait for an
hour: their expressions are asked with the recording rules written out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.generate.alerts import ALERTS
from collector.generate.rules import EVALUATED, RULES
from cronalytics_otel.cli import main
from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.harvest import readiness
from cronalytics_otel.host import running as running_module
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal.instance import read_instance
from cronalytics_otel.sync import Senders, sync
from tests.support.collector import FaultyCollector, status
from tests.support.fake_clock import FakeClock
from tests.support.homes import HomeBuilder, Stage, epoch_ns
from tests.support.prometheus import Prometheus, prometheus

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOON_ZONE = f"Etc/GMT{NOW.hour - 12:+d}"
"""A zone in which it is about noon now, so that no test runs over midnight. `Etc/GMT-5` is five hours ahead."""
COLLECTOR = Path(__file__).parents[2] / "collector"


@pytest.fixture(scope="module")
def server(
    prometheus_programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(readiness, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(readiness, "booted_since", lambda _: False)
    monkeypatch.setattr(running_module, "process_is_gone", lambda *_: False)


class Place:
    """A home whose metrics go to Prometheus: two jobs that run each hour, last half an hour ago."""

    def __init__(self, path: Path, server: Prometheus) -> None:
        self.home = HomeBuilder(path, timezone=NOON_ZONE)
        self.clock = FakeClock(now_ns=epoch_ns(NOW - 20 * MINUTE))
        self.settings: dict[str, Any] = {}
        self.destinations: dict[str, Any] = {
            "prometheus": {"endpoint": server.otlp_endpoint, "traces": False}
        }
        self.senders = Senders()
        self.digest = self.hourly("digest")
        self.backup = self.hourly("backup")

    def hourly(self, name: str) -> str:
        job_id = self.home.job(name, every_minutes=60)
        for hour in range(7, -1, -1):
            self.home.agent_run(job_id, NOW - 30 * MINUTE - hour * HOUR, cost=0.2)
        return job_id

    def run(self, minutes_ago: int, **facts: Any) -> None:
        """One more run of the first job."""
        self.home.agent_run(self.digest, NOW - minutes_ago * MINUTE, **{"cost": 0.2, **facts})

    def due(self, minutes_ago: int) -> None:
        """Let the first job be due since so many minutes; a negative number lies in the future."""
        due = NOW - minutes_ago * MINUTE
        self.home.jobs[self.digest]["next_run_at"] = due.isoformat()

    def sync(self, minutes_ago: int = 0) -> None:
        self.home.write()
        self.sync_as_it_is(minutes_ago)

    def sync_as_it_is(self, minutes_ago: int = 0) -> None:
        """Sync, and leave Hermes's files as they are on disk."""
        then_ns = epoch_ns(NOW - minutes_ago * MINUTE)
        self.clock.advance((then_ns - self.clock.now_ns()) / 1e9)
        entry = {"destinations": self.destinations, **self.settings}
        config = {"timezone": NOON_ZONE, "plugins": {"entries": {"cronalytics-otel": entry}}}
        (self.home.path / "config.yaml").write_text(json.dumps(config))
        settings = load_settings(self.home.path, {"OTEL_METRIC_EXPORT_INTERVAL": "1000"})
        assert settings.problems == ()
        report = sync(
            Home(self.home.path),
            settings,
            SyncOptions(clock=self.clock, eager=True, jitter=lambda: 1.0),
            senders=self.senders,
        )
        (metrics,) = report.metrics
        assert metrics.error is None, metrics

    @property
    def instance(self) -> str:
        found = read_instance(Home(self.home.path).journal.parent)
        assert found is not None
        return found.id


def written_out(expression: str) -> str:
    """The expression with the recording rules in it written out, down to what is sent.

    No rule was evaluated before, so none remembers anything.
    """
    nothing = "(vector(0) > 0)"
    for rule in reversed(RULES):
        inner = rule.expression.replace(EVALUATED, nothing)
        name, inner = re.escape(rule.name), f"({inner})"
        expression = re.sub(rf"{name}(\[\w+)\]", rf"{inner}\1:1m]", expression)
        expression = expression.replace(rule.name, inner)
    return expression


def firing(server: Prometheus, since_sync: datetime, instance: str) -> set[str]:
    """The alerts whose expressions hold for a home; whether they have waited is not asked.

    Subqueries look at full minutes, and a request is made some seconds after its sync began.
    """
    at = since_sync + MINUTE + timedelta(seconds=10)
    return {
        alert.name
        for alert in ALERTS
        for sample in server.query(written_out(alert.expression), at.timestamp())
        if sample.labels.get("instance", instance) == instance
    }


# --- the faults --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    make: Callable[[Place], None]
    """Is called after a first sync, 20 minutes ago; a second one follows."""
    alerts: set[str]
    """All that fires then."""
    finding: str | None = None
    """What `health` calls it."""
    later: timedelta = timedelta()
    """How long after the second sync it is asked."""


def failed(place: Place) -> None:
    place.run(15, outcome="failure")


def failed_and_recovered(place: Place) -> None:
    place.run(15, outcome="failure")
    place.run(10)


def failed_in_a_row(place: Place) -> None:
    for minutes in (15, 12, 9):
        place.run(minutes, outcome="failure")


def all_failed(place: Place) -> None:
    jobs = [place.digest, place.backup, *map(place.hourly, ("one", "two", "three", "four"))]
    for job_id in jobs:
        place.home.agent_run(job_id, NOW - 10 * MINUTE, outcome="failure")


def missed(place: Place) -> None:
    place.due(18)
    place.sync(15)
    place.due(-42)
    place.sync(10)
    place.sync(5)


def overdue(place: Place) -> None:
    place.due(19)
    place.home.agent_run(place.backup, NOW - 5 * MINUTE, cost=0.2)


def dead(place: Place) -> None:
    place.due(19)


def hung(place: Place) -> None:
    place.run(15, stop_after=Stage.RUNNING)
    place.due(-45)


def spike(place: Place) -> None:
    place.run(15, cost=3.0)


def over_budget(place: Place) -> None:
    place.settings["budgets"] = {"day": 0.5}
    place.run(15)


def many_by_hand(place: Place) -> None:
    weekly = place.home.job("report", every_minutes=1_440)
    for day in range(10, -1, -1):
        place.home.agent_run(weekly, NOW - 40 * MINUTE - day * DAY, cost=0.5)
    for n in range(30):
        place.home.agent_run(weekly, NOW - 8 * HOUR + n * MINUTE, cost=0.5, source="direct")


def undelivered(place: Place) -> None:
    place.home.jobs[place.digest]["deliver"] = "telegram"
    place.sync(18)
    place.run(15, delivery_error="chat not found")


def unreadable(place: Place) -> None:
    Home(place.home.path).jobs.write_text("{")
    place.sync_as_it_is()


FAULTS = {
    "failed": Fault(make=failed, alerts={"HermesCronJobFailed"}, finding="failing"),
    "failed and recovered": Fault(make=failed_and_recovered, alerts={"HermesCronJobFailed"}),
    "failed in a row": Fault(
        make=failed_in_a_row,
        alerts={"HermesCronJobFailed", "HermesCronJobFailingInARow"},
        finding="failing_in_a_row",
    ),
    "all failed": Fault(
        make=all_failed,
        alerts={"HermesCronJobFailed", "HermesCronManyJobsFailing"},
        finding="failing",
    ),
    "missed": Fault(make=missed, alerts={"HermesCronJobMissed"}, finding="missed"),
    "overdue": Fault(make=overdue, alerts={"HermesCronJobOverdue"}, finding="overdue"),
    "scheduler dead": Fault(
        make=dead, alerts={"HermesCronSchedulerDead"}, finding="scheduler_dead"
    ),
    "hung": Fault(make=hung, alerts={"HermesCronJobHung"}, finding="hung"),
    "cost spike": Fault(make=spike, alerts={"HermesCronCostSpike"}),
    "over budget": Fault(make=over_budget, alerts={"HermesCronOverBudget"}, finding="over_budget"),
    "pace": Fault(make=many_by_hand, alerts={"HermesCronPaceHigh"}),
    "undelivered": Fault(
        make=undelivered, alerts={"HermesCronDeliveryFailed"}, finding="undelivered"
    ),
    "unreadable": Fault(make=unreadable, alerts={"HermesCronHomeUnreadable"}, finding="unreadable"),
    "silent": Fault(
        make=lambda _: None, alerts={"HermesCronTelemetryStale"}, later=timedelta(hours=1)
    ),
}
ELSEWHERE = {"HermesCronTelemetryRefused", "HermesCronTelemetryPending", "HermesCronNobodyExports"}
"""They have tests of their own below."""


def test_every_alert_has_its_fault() -> None:
    known = set().union(*(fault.alerts for fault in FAULTS.values()), ELSEWHERE)

    assert known == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("name", FAULTS)
def test_a_home_with_a_fault_raises_its_alert_and_no_other(
    name: str, server: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault, place = FAULTS[name], Place(tmp_path / "home", server)
    place.sync(20)
    before = firing(server, NOW - 20 * MINUTE, place.instance)

    fault.make(place)
    if name != "unreadable":
        place.sync()

    assert before == set()
    assert firing(server, NOW + fault.later, place.instance) == fault.alerts
    if fault.finding is not None:
        assert fault.finding in found(place, capsys)


def test_a_home_that_is_well_raises_none(
    server: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path / "home", server)
    for minutes in (20, 10, 0):
        place.run(minutes + 2)
        place.sync(minutes)

    assert firing(server, NOW, place.instance) == set()
    assert found(place, capsys) == []


def found(place: Place, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `health` finds."""
    capsys.readouterr()
    main(["health", "--home", str(place.home.path), "--json"])
    return [finding["kind"] for finding in json.loads(capsys.readouterr().out)["findings"]]


@pytest.mark.parametrize(
    ("answer", "alert", "finding", "later"),
    [
        (400, "HermesCronTelemetryRefused", "refused", timedelta()),
        (503, "HermesCronTelemetryPending", "pending", timedelta(hours=1, minutes=2)),
    ],
)
def test_a_destination_that_takes_no_traces(
    answer: int,
    alert: str,
    finding: str,
    later: timedelta,
    server: Prometheus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = Place(tmp_path / "home", server)
    with FaultyCollector() as collector:
        place.destinations["traces"] = {"endpoint": collector.endpoint, "metrics": False}
        place.sync(20)
        collector.answer_with(status(answer, "no"))
        place.run(15)
        place.sync()

    assert alert in firing(server, NOW + later, place.instance)
    assert alert not in firing(server, NOW - 20 * MINUTE, place.instance)
    assert finding in found(place, capsys)


def test_nobody_exports(server: Prometheus, tmp_path: Path) -> None:
    place = Place(tmp_path / "home", server)
    place.sync()

    (alert,) = (alert for alert in ALERTS if alert.name == "HermesCronNobodyExports")
    expression = written_out(alert.expression)
    assert server.query(expression, (NOW - 2 * DAY).timestamp()) != []
    assert server.query(expression, (NOW + 2 * MINUTE).timestamp()) == []


def test_the_queries_of_the_runbooks_can_be_asked(server: Prometheus) -> None:
    pages = list((COLLECTOR / "runbooks").glob("*.md"))
    assert pages
    for page in pages:
        blocks = re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
        assert blocks, page.name
        for block in blocks:
            for query in re.split(r"\n(?=\S)", block.strip()):
                server.query(written_out(query), NOW.timestamp())
