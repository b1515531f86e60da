"""What a real collector received of the thirteen jobs from Hermes before it kept a ledger.

As in tests/hermes, each span is held against the host's own files: here its sessions, jobs.json and
the output files, which are all there is.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.domain.outcome import EMPTY_REPLY
from tests.support.collector import FaultyCollector, SpanDict
from tests.support.fake_llm import FakeModel
from tests.support.hermes import PLUGIN, HermesHome, Row, hermes_pristine, hermes_with_plugin
from tests.support.observed import (
    Observed,
    expected_steps,
    facts,
    iso_ns,
    iso_utc,
    near,
    roots,
    step,
    total,
    usage_of,
)
from tests.support.rotel import running_rotel
from tests.support.thirteen import KEYS, MANUAL, Thirteen
from tests.support.venvs import OLDER_HERMES_VERSIONS, pip_run

pytestmark = pytest.mark.host

OLDEST, *BETWEEN = OLDER_HERMES_VERSIONS
SCRIPTS = ("script", "bad_script")
FILE_ONLY = (*SCRIPTS, "gated")
AGENTS = tuple(key for key in KEYS if key not in FILE_ONLY)
ZONE = ZoneInfo("America/St_Johns")

every_job = pytest.mark.parametrize("key", KEYS)
every_agent = pytest.mark.parametrize("key", AGENTS)
every_file_only = pytest.mark.parametrize("key", FILE_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHost:
    observed: Observed
    jobs_after: dict[str, Row]
    """jobs.json after the runs, by job id; the one-shot is gone from it."""
    again: Observed
    """The same runs, sent by somebody who was not there: from a journal that was built anew."""
    status: str
    """What `hermes cronalytics-otel status` printed."""

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(map(int, self.observed.jobs.home.hermes.version.split(".")))

    @property
    def failed(self) -> dict[str, str]:
        """`error.type` by key."""
        found = {
            "bad_script": "script_failed",
            "http_401": "auth_failed",
            "http_500": "server_error",
            "empty": "empty_response",
        }
        if self.version < (0, 18):
            found["loop"] = "incomplete_response"  # these take the turn limit for an error
        return found

    def outcome(self, key: str) -> str:
        if key == "gated":
            return "skipped"
        return "failure" if key in self.failed else "success"

    def job_after(self, key: str) -> Row | None:
        return self.jobs_after.get(self.observed.job(key)["id"])

    def stamp(self, key: str) -> datetime:
        (file,) = self.observed.jobs.home.outputs(self.observed.job(key)["id"])
        return datetime.strptime(file.stem, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=ZONE)

    def run_id(self, key: str) -> str:
        if key in FILE_ONLY:
            return f"output_{self.observed.job(key)['id']}_{self.stamp(key):%Y%m%d_%H%M%S}"
        return str(self.observed.family(key)[0]["id"])


@pytest.fixture(
    scope="module",
    params=[OLDEST, *(pytest.param(version, marks=pytest.mark.slow) for version in BETWEEN)],
)
def host(
    request: pytest.FixtureRequest, model: FakeModel, tmp_path_factory: pytest.TempPathFactory
) -> OldHost:
    """All thirteen run once by that version's own scheduler."""
    folder = tmp_path_factory.mktemp("older")
    with FaultyCollector() as sink, running_rotel(sink.endpoint, folder / "rotel.log") as rotel:
        home = HermesHome.make(
            folder / "home",
            hermes_with_plugin(request.param),
            model_url=model.url,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.http_url},
        )
        # Two at a time: old hosts write a run's messages at its end, and wait for each other then.
        home.configure({"timezone": ZONE.key, "cron": {"max_parallel_jobs": 2}})
        jobs = Thirteen.create(home, ZONE)
        jobs_before = {job["id"]: job for job in home.jobs()}
        home.plugin("sync")  # sees what is due, as the worker of a gateway would
        jobs.run()
        home.plugin("sync")
        home.plugin("sync")  # has nothing to do, and must not send anything again
        rotel.drain()
        observed = Observed(jobs=jobs, jobs_before=jobs_before, spans=sink.spans)
        status = home.run(PLUGIN, "status", check=False).stdout  # some of the jobs fail
    with FaultyCollector() as sink:
        shutil.rmtree(home.path / PLUGIN)
        home.run("sync", program=PLUGIN, env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        return OldHost(
            observed=observed,
            jobs_after={job["id"]: job for job in home.jobs()},
            again=replace(observed, spans=sink.spans),
            status=status,
        )


# --- the plugin in such a host -------------------------------------------------------------


def test_installed_beside_that_version_it_moves_nothing_and_conflicts_with_nothing(
    host: OldHost,
) -> None:
    hermes = host.observed.jobs.home.hermes
    before, after = (
        set(pip_run([python, "-m", "pip", "list", "--format=freeze"]).splitlines())
        for python in (hermes_pristine(hermes.version).python, hermes.python)
    )

    assert before
    assert before <= after
    assert pip_run([hermes.python, "-m", "pip", "check"]).strip() == "No broken requirements found."


def test_it_loads_and_registers_just_the_hooks_that_this_version_knows(host: OldHost) -> None:
    code = (
        "import json\n"
        "from hermes_cli import plugins\n"
        "manager = plugins.get_plugin_manager()\n"
        "manager.discover_and_load()\n"
        "loaded = manager._plugins['cronalytics-otel']\n"
        "assert loaded.enabled and loaded.error is None, loaded.error\n"
        "from cronalytics_otel.hooks import HOOKS\n"
        "print(json.dumps([sorted(loaded.hooks_registered),\n"
        "                  sorted(set(HOOKS) & set(plugins.VALID_HOOKS))]))\n"
    )
    printed = host.observed.jobs.home.run("-c", code, program="python").stdout
    registered, known = json.loads(printed.splitlines()[-1])

    assert registered == known
    assert "on_session_end" in registered


def test_the_host_s_log_has_no_warning_about_the_plugin(host: OldHost) -> None:
    log = host.observed.jobs.home.log().replace("_", "-").splitlines()

    assert log
    assert [line for line in log if " WARNING " in line and PLUGIN in line] == []


def test_status_speaks_of_that_version_and_of_no_fault_but_the_jobs_own(host: OldHost) -> None:
    assert host.observed.jobs.home.hermes.version in host.status
    assert "13 runs" in host.status
    bad = [line for line in host.status.splitlines() if "✗" in line]
    assert bad == [line for line in bad if line.startswith("✗ failing: ")]


# --- all of them, once ---------------------------------------------------------------------


def test_each_run_arrives_as_one_trace_and_once(host: OldHost) -> None:
    spans = host.observed.spans
    arrived = Counter(root["attributes"]["hermes.cron.run.id"] for root in roots(spans))

    assert arrived == {host.run_id(key): 1 for key in KEYS}
    assert len({span["trace_id"] for span in spans}) == len(KEYS)
    assert len({(span["trace_id"], span["span_id"]) for span in spans}) == len(spans)


def test_a_journal_built_anew_gives_the_same_spans_under_the_same_ids(host: OldHost) -> None:
    """But for calls that failed for good: only hooks saw them."""

    def outline(spans: list[SpanDict]) -> list[tuple[object, ...]]:
        names = ("trace_id", "span_id", "parent_id", "name", "status")
        shown = (s for s in spans if not (s["name"].startswith("chat") and s["status"] == "error"))
        return sorted(tuple(str(span[name]) for name in names) for span in shown)

    assert outline(host.again.spans) == outline(host.observed.spans)


# --- the root span -------------------------------------------------------------------------


@every_job
def test_the_root_has_the_job_and_its_schedule(host: OldHost, key: str) -> None:
    root, job = host.observed.root(key), host.observed.job(key)

    assert root["name"] == f"cron {job['name']}"
    assert facts(root, "hermes.cron.job.") == {
        "id": job["id"],
        "name": job["name"],
        "mode": "script" if job["no_agent"] else "agent",
        **({"skills": job["skills"]} if job["skills"] else {}),
    }
    assert facts(root, "hermes.cron.schedule.") == {
        "kind": job["schedule"]["kind"],
        "expression": job["schedule"]["display"],
        "timezone": ZONE.key,
    }


@every_agent
def test_an_agent_s_run_is_its_session_from_start_to_end(host: OldHost, key: str) -> None:
    root, session = host.observed.root(key), host.observed.family(key)[0]

    assert root["attributes"]["hermes.cron.run.time_source"] == "session"
    assert root["attributes"]["session.id"] == session["id"]
    assert (root["start_ns"], root["end_ns"]) == (
        near(session["started_at"]),
        near(session["ended_at"]),
    )


@every_file_only
def test_a_run_that_left_a_file_alone_has_the_file_s_time_and_no_length(
    host: OldHost, key: str
) -> None:
    root, saved_ns = host.observed.root(key), iso_ns(host.stamp(key).isoformat())

    assert root["attributes"]["hermes.cron.run.time_source"] == "output"
    assert (root["start_ns"], root["end_ns"]) == (saved_ns, saved_ns)
    assert "session.id" not in root["attributes"]
    assert [span["name"] for span in host.observed.children(root)] == ["script"]


@every_job
def test_the_outcome_is_what_the_host_wrote_of_the_run_and_says_so(host: OldHost, key: str) -> None:
    attributes = host.observed.root(key)["attributes"]

    assert attributes["hermes.cron.run.outcome"] == host.outcome(key)
    assert attributes["hermes.cron.run.outcome_source"] == "job"


@every_job
def test_a_failure_has_the_host_s_own_text_and_anything_else_no_error(
    host: OldHost, key: str
) -> None:
    root, job = host.observed.root(key), host.job_after(key)
    if key not in host.failed:
        assert (root["status"], root["status_message"]) == ("unset", "")
        assert "error.type" not in root["attributes"]
        return

    assert job is not None
    assert root["status"] == "error"
    assert root["status_message"] == (job["last_error"] or EMPTY_REPLY)
    assert root["attributes"]["error.type"] == host.failed[key]


def test_before_0_18_the_host_itself_calls_an_empty_reply_fine(host: OldHost) -> None:
    """So that the text above is ours only where the host has none."""
    job = host.job_after("empty")

    assert job is not None
    assert job["last_status"] == ("ok" if host.version < (0, 18) else "error")


@every_job
def test_what_started_a_run_is_not_known(host: OldHost, key: str) -> None:
    attributes = host.observed.root(key)["attributes"]

    assert "hermes.cron.run.trigger" not in attributes
    assert "hermes.cron.run.queue_time" not in attributes
    assert "hermes.cron.run.delivery_time" not in attributes
    assert "hermes.cron.run.startup_time" not in attributes
    assert "startup" not in {span["name"] for span in host.observed.trace(key)}


@pytest.mark.parametrize("key", [key for key in KEYS if key != MANUAL])
def test_a_run_was_due_when_the_host_had_said_so_before(host: OldHost, key: str) -> None:
    root, due = host.observed.root(key), host.observed.jobs.due[key]
    attributes = root["attributes"]

    assert attributes["hermes.cron.run.scheduled_time"] == iso_utc(due)
    if key in FILE_ONLY:
        assert "hermes.cron.run.lateness" not in attributes  # when it began is not known
    else:
        late_s = host.observed.family(key)[0]["started_at"] - due.timestamp()
        assert attributes["hermes.cron.run.lateness"] == pytest.approx(late_s, abs=1e-3)


@every_job
def test_tokens_cost_and_counts_are_the_sums_of_the_sessions(host: OldHost, key: str) -> None:
    root, family = host.observed.root(key), host.observed.family(key)
    counts = {
        "api_calls": total(family, "api_call_count"),
        "tool_calls": total(family, "tool_call_count"),
        "subagents": len(family) - 1,
    }
    priced = [row["estimated_cost_usd"] for row in family if row["cost_status"]]
    # 0.18 may end before a subagent in the background has written what it took. No version counts the
    # summary that it asks for at the turn limit.
    is_lost = key == "loop" or any(
        not row["ended_at"] and not row["api_call_count"] for row in family[1:]
    )
    status = "partial" if is_lost else "estimated"
    cost = {"total": pytest.approx(sum(priced), rel=1e-12), "status": status}
    run = facts(root, "hermes.cron.run.")

    usage = facts(root, "hermes.cron.usage.")
    usage.pop("unattributed_tokens", None)
    assert usage == (usage_of(family) if family else {})
    assert {name: run.get(name) for name in counts} == (counts if family else dict.fromkeys(counts))
    assert facts(root, "hermes.cron.cost.") == (cost if priced else {})


@every_job
def test_local_delivery_is_none(host: OldHost, key: str) -> None:
    assert facts(host.observed.root(key), "hermes.cron.delivery.") == {
        "outcome": "not_configured",
        "target": "local",
    }


def test_only_the_silent_run_is_silent(host: OldHost) -> None:
    silent = [
        key for key in KEYS if host.observed.root(key)["attributes"].get("hermes.cron.run.silent")
    ]

    assert silent == ["silent"]


# --- the steps -----------------------------------------------------------------------------


def is_untimed(host: OldHost, session: Row) -> bool:
    """Before 0.18 messages are written when the agent is done. One answer alone took all its time."""
    return host.version < (0, 18) and len(host.observed.turns(session["id"])) > 2


@every_agent
def test_the_steps_are_the_host_s_messages(host: OldHost, key: str) -> None:
    """Of subagents too, whose source is `cron` before 0.17. The times are the messages', where these
    were written as they came; otherwise a step is as late as its message, and has no length."""
    agents = host.again.agents(key)

    assert agents.keys() == {session["id"] for session in host.again.family(key)}
    for session in host.again.family(key):
        children = [
            step(span)
            for span in host.again.children(agents[session["id"]])
            if not span["name"].startswith("invoke_agent")
            # 0.18 may leave before a subagent in the background is done.
            and not span["attributes"].get("hermes.cron.step.unfinished")
        ]
        expected = expected_steps(host.again, session)
        for child, true in zip(children, expected, strict=True):
            if is_untimed(host, session):
                (_, *below) = host.again.family(key)
                if below and session is not below[0]:
                    true["end_ns"] = child["end_ns"]  # it was over when the subagent began
                    true["start_ns"] = child["start_ns"]
                else:
                    true["start_ns"] = true["end_ns"]
            elif host.version < (0, 17):
                true["start_ns"] = near(session["started_at"])
            assert child == true


@every_agent
def test_what_the_host_wrote_too_late_has_no_times_and_the_root_says_so(
    host: OldHost, key: str
) -> None:
    attributes = host.again.root(key)["attributes"]
    untimed = any(is_untimed(host, session) for session in host.again.family(key))
    answers = [
        message
        for message in host.again.turns(host.again.family(key)[0]["id"])
        if message["role"] == "assistant"
    ]

    assert attributes.get("hermes.cron.trace.partial") == ("untimed" if untimed else None)
    assert ("hermes.cron.run.model_time" in attributes) == (bool(answers) and not untimed)
    assert ("hermes.cron.run.tool_time" in attributes) == (not untimed)
    assert attributes["hermes.cron.run.turns"] == len(answers)


@every_agent
def test_live_every_answer_has_its_own_tokens_and_its_own_time(host: OldHost, key: str) -> None:
    """What a host wrote down too late, its hooks told in time; before 0.16 none tells whose a
    subagent's calls are."""
    root = host.observed.root(key)
    on_calls = sum(
        span["attributes"].get(f"gen_ai.usage.{name}", 0)
        for span in host.observed.trace(key)
        for name in ("input_tokens", "output_tokens")
    )
    usage = facts(root, "hermes.cron.usage.")

    assert on_calls + usage.get("unattributed_tokens", 0) == usage["total_tokens"]
    hidden = key == "delegate" and host.version < (0, 16)
    rejected = key == "empty" and host.version < (0, 18)  # the host keeps no answer of these
    assert ("unattributed_tokens" in usage) == (hidden or (rejected and not on_calls))
    assert root["attributes"].get("hermes.cron.trace.partial") == ("untimed" if hidden else None)


def test_a_subagent_is_a_subagent_and_ends_with_its_last_message(host: OldHost) -> None:
    own, child = host.again.family("delegate")
    span = host.again.agents("delegate")[child["id"]]
    last = host.again.jobs.home.messages(child["id"])[-1]

    assert span["name"] == "invoke_agent subagent"
    assert span["end_ns"] == near(child["ended_at"] or last["timestamp"])
    assert own["parent_session_id"] is None


def test_a_subagent_that_was_waited_for_is_inside_the_call_that_started_it(host: OldHost) -> None:
    """0.18 starts it in the background, where it goes on beside the call."""
    _, child = host.observed.family("delegate")
    span = host.observed.agents("delegate")[child["id"]]
    (parent,) = (s for s in host.observed.spans if s["span_id"] == span["parent_id"])

    if host.version >= (0, 18):
        assert parent["name"] == "invoke_agent hermes"
        return
    assert parent["name"] == "execute_tool delegate_task"
    (agent,) = host.observed.children(host.observed.root("delegate"))
    steps = [s["name"] for s in host.observed.children(agent)]
    assert steps == ["chat fake-model", "execute_tool delegate_task", "chat fake-model"]


@every_job
def test_each_step_lies_within_its_parent(host: OldHost, key: str) -> None:
    by_id = {span["span_id"]: span for span in host.observed.trace(key)}
    for span in by_id.values():
        if span["parent_id"] is not None:
            parent = by_id[span["parent_id"]]
            assert parent["start_ns"] <= span["start_ns"] <= span["end_ns"] <= parent["end_ns"]


def test_the_resource_says_which_version_ran(host: OldHost) -> None:
    versions = {span["resource"]["hermes.version"] for span in host.observed.spans}

    assert versions == {host.observed.jobs.home.hermes.version}
