"""Single runs of a real Hermes, each for one question that the thirteen jobs do not answer."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.collector import PROTOBUF, FaultyCollector, decode_spans
from tests.support.fake_llm import UNPRICED_MODEL, FakeModel
from tests.support.hermes import HermesHome, JobSpec, hermes_with_plugin
from tests.support.observed import facts, roots
from tests.support.rotel import running_rotel
from tests.support.thirteen import job_specs

pytestmark = pytest.mark.host


def home_for(folder: Path, model: FakeModel, endpoint: str) -> HermesHome:
    return HermesHome.make(
        folder / "home",
        hermes_with_plugin(),
        model_url=model.url,
        environment={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
    )


def test_a_run_arrives_by_itself_and_needs_no_sync(
    model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    with running_rotel(collector.endpoint, tmp_path / "rotel.log") as rotel:
        home = home_for(tmp_path, model, rotel.http_url)
        job_id = home.create_job(job_specs(datetime.now())["delegate"])

        home.run_job(job_id)
        rotel.drain()

        (root,) = roots(collector.spans)
        assert root["attributes"]["hermes.cron.run.outcome"] == "success"


def test_a_gateway_reports_a_script_which_fires_no_hook(
    model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    home = home_for(tmp_path, model, collector.endpoint)
    home.add_script("ok.sh", "echo fine\n")
    home.create_job(JobSpec(name="s", schedule="every 5m", script="ok.sh", no_agent=True))
    home.make_due()

    with home.gateway():
        collector.wait_until(lambda collector: len(roots(collector.spans)) == 1)

    (execution,) = home.executions()
    (root,) = roots(collector.spans)
    assert root["attributes"]["hermes.cron.run.id"] == execution["id"]


def test_a_chat_that_goes_on_with_a_run_s_session_is_not_part_of_the_run(
    model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    """`hermes chat --resume`, before anything was read: the host writes both into the same rows."""
    home = home_for(tmp_path, model, collector.endpoint)
    home.configure({"plugins": {"enabled": []}})
    home.run_job(home.create_job(job_specs(datetime.now())["ok"]))
    (ended,) = home.sessions()
    home.run("chat", "--resume", ended["id"], "-q", "What does the contract pay?")
    (resumed,) = home.sessions()
    assert resumed["api_call_count"] > ended["api_call_count"]

    home.configure({"plugins": {"enabled": ["cronalytics-otel"]}})
    home.plugin("sync")

    (root,) = roots(collector.spans)
    assert root["attributes"]["hermes.cron.run.turns"] == 1
    assert "hermes.cron.usage.total_tokens" not in root["attributes"]
    assert root["attributes"]["hermes.cron.cost.status"] == "unknown"
    assert root["end_ns"] / 1e9 < ended["ended_at"] + 5


def test_a_model_without_a_price_has_an_unknown_cost_and_not_none(
    model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    """The host writes 0.0 with status `unknown`."""
    home = home_for(tmp_path, model, collector.endpoint)
    home.configure({"model": {"default": UNPRICED_MODEL}})
    job_id = home.create_job(job_specs(datetime.now())["ok"])

    home.run_job(job_id)

    (session,) = home.sessions()
    assert (session["estimated_cost_usd"], session["cost_status"]) == (0.0, "unknown")
    (root,) = roots(collector.spans)
    assert facts(root, "hermes.cron.cost.") == {"status": "unknown"}


def test_the_collector_of_these_tests_hands_spans_on_as_they_are(
    collector: FaultyCollector, tmp_path: Path
) -> None:
    """What is read behind rotel is what the plugin sent."""
    sent = request_with_everything()
    with running_rotel(collector.endpoint, tmp_path / "rotel.log") as rotel:
        answer = requests.post(
            f"{rotel.http_url}/v1/traces",
            data=sent.SerializeToString(),
            headers={"Content-Type": PROTOBUF},
            timeout=30,
        )
        rotel.drain()

        assert answer.status_code == 200
        assert collector.spans == decode_spans(sent)


def request_with_everything() -> ExportTraceServiceRequest:
    """One span in which each field and each type of value is used."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "any"
    scoped = group.scope_spans.add()
    scoped.scope.name, scoped.scope.version = "scope", "1"
    span = scoped.spans.add(
        trace_id=secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        parent_span_id=secrets.token_bytes(8),
        name="a name, with ünicode",
        kind="SPAN_KIND_PRODUCER",
        start_time_unix_nano=1_700_000_000_000_000_001,
        end_time_unix_nano=1_700_000_000_000_000_999,
        flags=0x100,
    )
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "two\nlines"
    span.attributes.add(key="string").value.string_value = ""
    span.attributes.add(key="bool").value.bool_value = False
    span.attributes.add(key="int").value.int_value = 2**62
    span.attributes.add(key="double").value.double_value = 0.1
    span.attributes.add(key="strings").value.array_value.values.add().string_value = "one"
    event = span.events.add(name="event", time_unix_nano=1_700_000_000_000_000_500)
    event.attributes.add(key="status").value.int_value = 500
    link = span.links.add(trace_id=secrets.token_bytes(16), span_id=secrets.token_bytes(8))
    link.attributes.add(key="relation").value.string_value = "previous_run"
    return request


def test_an_agent_that_began_without_its_skill_has_failed_though_hermes_says_completed(
    model: FakeModel, collector: FaultyCollector, tmp_path: Path
) -> None:
    home = home_for(tmp_path, model, collector.endpoint)
    spec = JobSpec(name="notes", schedule="every 1h", prompt="Write", skills=("no-such-skill",))
    home.run_job(home.create_job(spec))

    (execution,) = home.executions()
    (root,) = roots(collector.spans)

    assert execution["status"] == "completed"
    attributes = root["attributes"]
    assert attributes["hermes.cron.run.outcome"] == "failure"
    assert attributes["hermes.cron.run.outcome_source"] == "session"
    assert attributes["error.type"] == "skill_not_found"
    assert root["status_message"] == "Skill(s) not found and skipped: no-such-skill"
