"""The resource of a run is the one that it became final with, whenever and wherever it is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from cronalytics_otel import sync as sync_module
from cronalytics_otel.about import __version__
from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import instance
from cronalytics_otel.sync import SyncOptions, SyncReport, sync
from cronalytics_otel.telemetry import resource as telemetry_resource
from tests.support.collector import FaultyCollector, SpanDict
from tests.support.homes import HomeBuilder

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def send(
    home: HomeBuilder, collector: FaultyCollector | None, *, name: str = "default", **environ: str
) -> SyncReport:
    home.write()
    destinations = {name: {"endpoint": collector.endpoint}} if collector else {}
    document = {
        "timezone": "UTC",
        "plugins": {"entries": {"cronalytics-otel": {"destinations": destinations}}},
    }
    (home.path / "config.yaml").write_text(json.dumps(document))
    return sync(Home(home.path), load_settings(home.path, environ))


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new plugin in a new Hermes on a host with a new name."""
    monkeypatch.setattr(telemetry_resource, "__version__", "99.0.0")
    monkeypatch.setattr(telemetry_resource, "sdk_version", "98.0.0")
    monkeypatch.setattr(sync_module, "installed_hermes", lambda: "97.0.0")
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")


def by_span(spans: list[SpanDict]) -> dict[str, SpanDict]:
    return {span["span_id"]: span for span in spans}


def test_a_copy_that_is_sent_after_an_upgrade_is_the_same_span(
    home: HomeBuilder, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = home.job("digest", every_minutes=30)
    home.agent_run(digest, NOON)
    send(home, collector, OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod")
    before = by_span(collector.spans)
    collector.clear()

    upgrade(monkeypatch)
    send(
        home,
        collector,
        name="another",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod",
    )

    assert before
    assert by_span(collector.spans) == before


def test_names_that_the_user_gives_apply_to_all_that_is_sent_from_then_on(
    home: HomeBuilder, collector: FaultyCollector
) -> None:
    """Whoever sets up a backend after the first sync finds the history under the right name."""
    digest = home.job("digest", every_minutes=30)
    home.agent_run(digest, NOON)
    send(home, None)
    send(home, collector, OTEL_SERVICE_NAME="billing", OTEL_RESOURCE_ATTRIBUTES="team=blue")

    assert collector.spans
    for span in collector.spans:
        assert span["resource"]["service.name"] == "billing"
        assert span["resource"]["team"] == "blue"


def test_runs_of_before_and_after_an_upgrade_go_in_one_request_each_with_its_own(
    home: HomeBuilder, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = home.job("digest", every_minutes=30)
    home.agent_run(digest, NOON)
    send(home, None)
    upgrade(monkeypatch)
    home.agent_run(digest, NOON + timedelta(minutes=30))
    send(home, collector)

    assert collector.requests == 1
    versions: dict[str, set[str]] = {}
    for span in collector.spans:
        versions.setdefault(span["trace_id"], set()).add(span["resource"]["service.version"])
    assert all(len(of_trace) == 1 for of_trace in versions.values())
    assert {version for of_trace in versions.values() for version in of_trace} == {
        __version__,
        "99.0.0",
    }


def test_the_instance_outlives_the_journal(home: HomeBuilder, collector: FaultyCollector) -> None:
    digest = home.job("digest", every_minutes=30)
    home.agent_run(digest, NOON)
    send(home, collector)
    before = by_span(collector.spans)
    collector.clear()

    for file in Home(home.path).plugin_folder.glob("journal.db*"):
        file.unlink()
    send(home, collector)

    assert by_span(collector.spans) == before


def test_a_clone_has_an_instance_of_its_own(
    home: HomeBuilder, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = home.job("digest", every_minutes=30)
    home.agent_run(digest, NOON)
    send(home, collector)
    monkeypatch.setattr(instance, "machine_hash", lambda: "another")
    home.agent_run(digest, NOON + timedelta(minutes=30))
    send(home, collector)

    ids = {span["trace_id"]: span["resource"]["service.instance.id"] for span in collector.spans}
    assert len(ids) == len(set(ids.values())) == 2


def test_a_dry_run_makes_no_instance(home: HomeBuilder) -> None:
    digest = home.job("digest", every_minutes=30)
    send(home, None)
    (Home(home.path).plugin_folder / instance.FILE_NAME).unlink(missing_ok=True)
    home.agent_run(digest, NOON)
    home.write()
    report = sync(Home(home.path), load_settings(home.path, {}), SyncOptions(dry_run=True))

    assert report.new_runs == 1
    assert not (Home(home.path).plugin_folder / instance.FILE_NAME).exists()
