"""What was said in runs, from the host's files to the wire: of the jobs that are allowed to, alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.config import load_settings
from cronalytics_otel.export import traces
from cronalytics_otel.host import state_db
from cronalytics_otel.host.home import Home
from cronalytics_otel.model import Conversation
from cronalytics_otel.sync import SyncReport, sync
from tests.support.cli import Cli
from tests.support.cli import commands as commands_in
from tests.support.collector import FaultyCollector, SpanDict, html, status
from tests.support.homes import HomeBuilder, ToolUse
from tests.support.secrets import SECRETS, Secret

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def send(home: HomeBuilder, collector: FaultyCollector, **options: object) -> SyncReport:
    """Writes the home with these settings, and syncs it."""
    home.write()
    document = {"timezone": "UTC", "plugins": {"entries": {"cronalytics-otel": options}}}
    (home.path / "config.yaml").write_text(json.dumps(document))
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    return sync(Home(home.path), load_settings(home.path, environ))


def jobs_whose_words_left(spans: Sequence[SpanDict]) -> set[str]:
    names = {s["trace_id"]: s["attributes"]["hermes.cron.job.name"] for s in spans
             if s["parent_id"] is None}  # fmt: skip
    return {names[s["trace_id"]] for s in spans if "gen_ai.input.messages" in s["attributes"]}


def test_content_leaves_by_job(home: HomeBuilder, collector: FaultyCollector) -> None:
    ids = {}
    for number, name in enumerate(("digest", "payroll", "flaky", "steady", "quiet")):
        ids[name] = home.job(name, every_minutes=30)
        for failed in (False, True):
            at = NOON + timedelta(hours=number, minutes=30 * failed)
            home.agent_run(ids[name], at, outcome="failure" if failed else "success")

    send(
        home,
        collector,
        content="errors",
        content_jobs={
            "payroll": "off",
            ids["digest"]: "full",
            "digest": "off",
            ids["quiet"]: "off",
        },
    )

    words = [s for s in collector.spans if "gen_ai.input.messages" in s["attributes"]]
    assert jobs_whose_words_left(collector.spans) == {"digest", "flaky", "steady"}
    assert len({span["trace_id"] for span in words}) == 2 + 1 + 1
    assert len({span["trace_id"] for span in collector.spans}) == 10


def test_what_was_said_is_read_of_those_runs_alone(
    home: HomeBuilder, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be megabytes; and a few hundred runs are in memory together only without it."""
    loud, silent = home.job("loud", every_minutes=5), home.job("silent", every_minutes=5)
    for number in range(60):
        home.agent_run(loud if number % 3 == 0 else silent, NOON + timedelta(minutes=5 * number))
    asked: list[tuple[bool, list[str]]] = []
    read = state_db.Reader.conversations

    def spy(
        self: state_db.Reader,
        ids: Sequence[str],
        *,
        with_content: bool = True,
        in_ledger: Collection[str] = (),
    ) -> dict[str, Conversation]:
        asked.append((with_content, list(ids)))
        return read(self, ids, with_content=with_content, in_ledger=in_ledger)

    monkeypatch.setattr(state_db.Reader, "conversations", spy)
    send(home, collector, content_jobs={"loud": "full"})

    with_words = [session for words, ids in asked if words for session in ids]
    without = [session for words, ids in asked if not words for session in ids]
    assert {session.split("_")[1] for session in with_words} == {loud}
    assert {session.split("_")[1] for session in without} == {silent}
    assert (len(with_words), len(without)) == (20, 40)
    assert max(len(ids) for words, ids in asked if words) == traces.READ_AT_ONCE_WITH_CONTENT
    assert jobs_whose_words_left(collector.spans) == {"loud"}


def test_a_trace_too_large_goes_without_content_also_where_its_job_has_it(
    home: HomeBuilder, collector: FaultyCollector
) -> None:
    job = home.job("digest", every_minutes=30)
    home.agent_run(job, NOON)
    collector.answer_next(status(413))

    assert send(home, collector, content_jobs={"digest": "full"}).destinations[0].sent == 1

    first, second = collector.received
    assert jobs_whose_words_left(first.spans) == {"digest"}
    assert jobs_whose_words_left(second.spans) == set()


@pytest.mark.parametrize("name", ["github classic", "postgres", "bearer header", "e-mail"])
def test_no_secret_leaves_from_any_file_of_the_host(
    name: str, home: HomeBuilder, collector: FaultyCollector
) -> None:
    secret = SECRETS[name]
    job = home.job(f"job {secret.text}", every_minutes=30, prompt=f"Use {secret.text}",
                   skills=[secret.text], deliver=f"webhook:{secret.text}")  # fmt: skip
    tool = ToolUse(name="web", arguments={"with": secret.text}, result=f"it was {secret.text}")
    home.agent_run(job, NOON, tools=[tool], reply=f"Said {secret.text}", model=secret.text,
                   delivery_error=f"no: {secret.text}")  # fmt: skip
    home.agent_run(job, NOON + timedelta(minutes=30), outcome="failure", provider=secret.text,
                   error=f"HTTP 401: {secret.text}")  # fmt: skip
    script = home.job("script", every_minutes=30, no_agent=True)
    home.script_run(
        script,
        NOON + timedelta(minutes=40),
        outcome="failure",
        error=f"Script exited with code 3\nstderr:\n{secret.text}",
    )

    send(home, collector, content="full")

    sent = repr(collector.spans)
    assert len({span["trace_id"] for span in collector.spans}) == 3
    assert sent.count("[masked]") > 15
    assert secret.leaks_into(sent) is None


# --- what is told of a server's words ------------------------------------------------------


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    with commands_in(tmp_path, monkeypatch, capsys) as running:
        monkeypatch.delenv("OTEL_TRACES_EXPORTER")
        yield running


@pytest.mark.parametrize("name", ["jwt", "postgres", "bearer header", "slack hook", "e-mail"])
@pytest.mark.parametrize("answer", ["refused", "denied", "page"])
def test_no_secret_that_a_server_says_is_shown_or_kept(
    name: str, answer: str, cli: Cli, collector: FaultyCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of its own, that we cannot know."""
    secret: Secret = SECRETS[name]
    collector.answer_with(
        {"refused": status(400, secret.text), "denied": status(401, secret.text),
         "page": html(body=secret.text)}[answer]
    )  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    builder = HomeBuilder(cli.home.path)
    builder.agent_run(builder.job("digest", every_minutes=30), NOON - timedelta(days=120))
    builder.write()

    shown = [
        cli(*command) for command in (("sync",), ("status",), ("doctor",), ("status", "--json"))
    ]

    assert collector.received
    assert secret.leaks_into("".join(result.out + result.err for result in shown)) is None
    for path in cli.home.plugin_folder.iterdir():
        assert secret.leaks_into(path.read_bytes().decode("utf-8", "replace")) is None


def test_the_settings_of_jobs_are_shown(cli: Cli) -> None:
    jobs = {"payroll": "off", "0123456789ab": "full"}
    document = {"plugins": {"enabled": ["cronalytics-otel"], "entries": {
        "cronalytics-otel": {"content": "errors", "content_jobs": jobs, "destinations": {}}}}}  # fmt: skip
    HomeBuilder(cli.home.path).write()
    (cli.home.path / "config.yaml").write_text(json.dumps(document))
    cli("sync")

    by_job = "; by job: payroll off, 0123456789ab full"
    assert (
        f"  content    errors: what was said in failed runs is sent{by_job}" in cli("status").lines
    )
    assert f"✓ config       valid; content errors{by_job}" in cli("doctor").lines
    shown = cli("status", "--json").json
    assert (shown["content"], shown["content_jobs"]) == ("errors", jobs)
