"""Notices from a real Hermes: they arrive, and they are never in its way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.about import APPRISE_PACKAGE
from tests.support.hermes import PLUGIN, Hermes, HermesHome, JobSpec, hermes_with_plugin
from tests.support.venvs import OLDER_HERMES_VERSIONS, clone_venv, pip_install
from tests.support.waiting import wait_for
from tests.support.webhook import HANG, Webhook

pytestmark = pytest.mark.host

NO_MODEL = "http://127.0.0.1:9/v1"
BACKUP = JobSpec(name="backup", schedule="every 5m", script="backup.sh", no_agent=True)
FAIL = "echo disk full >&2; exit 3\n"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


@pytest.fixture(scope="module")
def hermes_with_apprise(tmp_path_factory: pytest.TempPathFactory) -> Hermes:
    plain = hermes_with_plugin()
    venv = tmp_path_factory.mktemp("apprise") / "venv"
    clone_venv(plain.venv, venv)
    pip_install(venv, [APPRISE_PACKAGE])
    return Hermes(venv=venv, version=plain.version)


def home_with(hermes: Hermes, folder: Path, notify: dict[str, Any], script: str) -> HermesHome:
    """A home with a script job and a target that is told of it; nothing has run yet."""
    home = HermesHome.make(
        folder / "home",
        hermes,
        model_url=NO_MODEL,
        environment={"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
    )
    home.configure({"plugins": {"entries": {PLUGIN: {"notify": notify}}}})
    home.add_script("backup.sh", script)
    home.create_job(BACKUP)
    home.plugin("sync")
    return home


def statuses(home: HermesHome) -> list[str]:
    return [row["status"] for row in home.executions()]


def test_a_tick_tells_of_a_failed_job_by_apprise(
    hermes_with_apprise: Hermes, webhook: Webhook, tmp_path: Path
) -> None:
    notify = {"phone": {"url": webhook.apprise_url}}
    home = home_with(hermes_with_apprise, tmp_path, notify, FAIL)
    home.make_due()

    home.tick()
    home.plugin("sync")

    assert statuses(home) == ["failed"]
    ((title, text),) = webhook.messages
    assert title == "backup: run failed"
    assert text.endswith("backup failed: Script exited with code 3: disk full")
    assert "Traceback" not in home.log()


def test_without_apprise_the_host_runs_on_and_its_log_says_what_is_missing(
    webhook: Webhook, tmp_path: Path
) -> None:
    notify = {"phone": {"url": webhook.apprise_url}}
    home = home_with(hermes_with_plugin(), tmp_path, notify, FAIL)
    home.make_due()

    home.tick()

    assert statuses(home) == ["failed"]
    assert f"pip install '{APPRISE_PACKAGE}'" in home.log()
    assert "Traceback" not in home.log()


def test_a_server_that_hangs_holds_up_no_tick(webhook: Webhook, tmp_path: Path) -> None:
    """Its request is still unanswered when the tick has ended, and goes out again later."""
    home = home_with(
        hermes_with_plugin(), tmp_path, {"hc": {"ping": f"{webhook.url}/{{job}}"}}, "echo fine\n"
    )
    webhook.status = HANG
    home.make_due()

    home.tick()

    assert statuses(home) == ["completed"]
    assert not webhook.released.is_set()
    webhook.status = 200
    home.plugin("sync")
    assert webhook.paths[-1] == "/backup"


def test_a_gateway_pings_while_the_job_runs_and_when_it_has_ended(
    webhook: Webhook, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    home = home_with(
        hermes_with_plugin(),
        tmp_path,
        {"hc": {"ping": f"{webhook.url}/{{job}}"}},
        f"while [ ! -e {go} ]; do sleep 0.1; done\n",
    )
    home.make_due()
    with home.gateway():
        wait_for(lambda: webhook.paths == ["/backup/start"], what="the ping of the start")
        go.touch()
        wait_for(lambda: len(webhook.paths) == 2, what="the ping of the end")

    assert webhook.paths == ["/backup/start", "/backup"]


@pytest.mark.parametrize("version", OLDER_HERMES_VERSIONS[:1])
def test_a_host_without_a_ledger_pings_at_the_end(
    version: str, webhook: Webhook, tmp_path: Path
) -> None:
    home = home_with(
        hermes_with_plugin(version), tmp_path, {"hc": {"ping": f"{webhook.url}/{{job}}"}}, FAIL
    )
    home.make_due()

    home.tick()
    home.plugin("sync")

    assert webhook.paths == ["/backup/fail"]
