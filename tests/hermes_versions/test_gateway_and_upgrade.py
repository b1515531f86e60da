"""An older Hermes that runs by itself, that is out of turns, and that is brought up to date."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.domain.outcome import ANSWER_FOR_ERROR
from tests.support.collector import FaultyCollector
from tests.support.fake_llm import ANSWER, FakeModel
from tests.support.hermes import HermesHome, JobSpec, hermes_with_plugin
from tests.support.observed import roots
from tests.support.venvs import OLDER_HERMES_VERSIONS

pytestmark = pytest.mark.host

OLDEST, *BETWEEN = OLDER_HERMES_VERSIONS
every_version = pytest.mark.parametrize(
    "version", [OLDEST, *(pytest.param(version, marks=pytest.mark.slow) for version in BETWEEN)]
)


def a_home(folder: Path, version: str, model: FakeModel, collector: FaultyCollector) -> HermesHome:
    """With a script's job and an agent's, both due."""
    home = HermesHome.make(
        folder / "home",
        hermes_with_plugin(version),
        model_url=model.url,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
    )
    home.add_script("ok.sh", "echo fine\n")
    home.create_job(JobSpec(name="script", schedule="every 5m", script="ok.sh", no_agent=True))
    home.create_job(JobSpec(name="agent", schedule="every 5m", prompt="Look FAKE:TOOL"))
    home.make_due()
    return home


def sources(collector: FaultyCollector) -> Counter[tuple[str, str]]:
    """(job, where its times were read) of each run that arrived."""
    return Counter(
        (
            root["attributes"]["hermes.cron.job.name"],
            root["attributes"]["hermes.cron.run.time_source"],
        )
        for root in roots(collector.spans)
    )


@every_version
def test_a_gateway_reports_its_runs_by_itself(
    version: str, model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    home = a_home(tmp_path, version, model, collector)
    with home.started("gateway", "run"):
        collector.wait_until(lambda sink: len(roots(sink.spans)) == 2)

    assert sources(collector) == {("script", "output"): 1, ("agent", "session"): 1}
    assert all(
        "hermes.cron.run.scheduled_time" in root["attributes"] for root in roots(collector.spans)
    )


@every_version
def test_brought_up_to_date_each_run_arrives_once_as_the_version_that_ran_it_tells(
    version: str, model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    old = a_home(tmp_path, version, model, collector)
    old.tick()
    old.plugin("sync")
    home = replace(old, hermes=hermes_with_plugin())
    home.make_due()
    home.tick()
    home.plugin("sync")
    home.plugin("sync", "--full")

    expected = {
        ("script", "output"): 1,
        ("agent", "session"): 1,
        ("script", "ledger"): 1,
        ("agent", "ledger"): 1,
    }
    assert sources(collector) == expected
    assert len({root["trace_id"] for root in roots(collector.spans)}) == 4

    home.path.joinpath("cronalytics-otel", "journal.db").unlink()
    home.plugin("sync")
    assert sources(collector) == {key: 2 * count for key, count in expected.items()}
    assert len({root["trace_id"] for root in roots(collector.spans)}) == 4


@every_version
@pytest.mark.parametrize(
    "calls", [5, 6], ids=["answers on its last turn", "is asked for a summary"]
)
def test_no_answer_of_an_agent_that_used_its_last_turn_leaves_as_an_error(
    version: str, calls: int, model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    """Before 0.18 the host calls these runs failed, and gives the answer for the error."""
    home = HermesHome.make(
        tmp_path / "home",
        hermes_with_plugin(version),
        model_url=model.url,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
    )
    home.create_job(JobSpec(name="deep", schedule="every 5m", prompt=f"Dig FAKE:MULTI={calls}"))
    home.make_due()
    home.tick()
    home.plugin("sync")
    (job,) = home.jobs()
    (root,) = roots(collector.spans)

    raises = tuple(map(int, version.split("."))) < (0, 18)
    assert job["last_error"] == (f"RuntimeError: {ANSWER}" if raises else None)
    assert root["status_message"] == (ANSWER_FOR_ERROR if raises else "")
    assert root["attributes"].get("error.type") == ("incomplete_response" if raises else None)
    assert ANSWER not in str(collector.spans)
