"""kill -9 of a real Hermes in mid-run: the cut-off run is reported, and ended runs stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.collector import FaultyCollector
from tests.support.fake_llm import FakeModel
from tests.support.fault_checks import copies, roots
from tests.support.fault_process import SyncProcesses
from tests.support.hermes import HermesHome, JobSpec, hermes_with_plugin, kill
from tests.support.waiting import wait_for

pytestmark = pytest.mark.host

QUICK = JobSpec(name="quick", schedule="every 30m", prompt="Say hello")
CHECK = JobSpec(name="check", schedule="every 5m", script="check.sh", no_agent=True)
SLOW = JobSpec(name="slow", schedule="every 30m", prompt="Take your time FAKE:SLOW=120")


@pytest.fixture
def model() -> Iterator[FakeModel]:
    """A model that nobody has asked yet: the test waits for the slow job's request."""
    with FakeModel() as model:
        yield model


@pytest.fixture
def hermes_home(
    model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> tuple[HermesHome, dict[str, str]]:
    """A home with three jobs, and the ids of the jobs by name."""
    home = HermesHome.make(
        tmp_path / "home",
        hermes_with_plugin(),
        model_url=model.url,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
    )
    home.add_script("check.sh", "echo fine\n")
    return home, {spec.name: home.create_job(spec) for spec in (QUICK, CHECK, SLOW)}


def test_a_host_killed_in_mid_run(
    hermes_home: tuple[HermesHome, dict[str, str]],
    model: FakeModel,
    collector: FaultyCollector,
    processes: SyncProcesses,
) -> None:
    home, jobs = hermes_home
    home.make_due()
    with home.started("cron", "tick") as process:
        wait_for(lambda: slow_has_asked(model), what="the slow job's request to the model")
        wait_for(lambda: statuses(home, jobs) == MID_RUN, what="the other jobs' end")
        kill(process)

    done = processes.sync(home.path, home.environment)

    assert done.report.healthy
    assert statuses(home, jobs) == MID_RUN, "nobody has ended the ledger's row yet"
    assert arrived(collector) == {
        "quick": ("success", "ledger"),
        "check": ("success", "ledger"),
        "slow": ("abandoned", "inferred"),
    }
    (slow,) = (r for r in roots(collector.spans) if r["name"] == "cron slow")
    assert slow["status"] == "error"
    assert slow["attributes"]["session.id"].startswith(f"cron_{jobs['slow']}_")

    before = len(collector.spans)
    with home.gateway():
        wait_for(lambda: statuses(home, jobs)["slow"] == "unknown", what="the host's own recovery")
    done = processes.sync(home.path, home.environment, eager=True)

    assert done.report.healthy
    assert len(collector.spans) == before, "nothing is sent twice"
    assert all(len(found) == 1 for found in copies(collector.spans).values())


MID_RUN = {"quick": "completed", "check": "completed", "slow": "running"}


def slow_has_asked(model: FakeModel) -> bool:
    return any("SLOW" in request.markers for request in model.requests)


def statuses(home: HermesHome, jobs: dict[str, str]) -> dict[str, str]:
    """By job name, the status of its execution."""
    names = {job_id: name for name, job_id in jobs.items()}
    return {names[row["job_id"]]: row["status"] for row in home.executions()}


def arrived(collector: FaultyCollector) -> dict[str, tuple[str, str]]:
    """By job name, the outcome and its source."""
    return {
        root["attributes"]["hermes.cron.job.name"]: (
            root["attributes"]["hermes.cron.run.outcome"],
            root["attributes"]["hermes.cron.run.outcome_source"],
        )
        for root in roots(collector.spans)
    }
