"""What `register(ctx)` gives the host, and which processes get a worker's thread."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cronalytics_otel import plugin
from cronalytics_otel.hooks import HOOKS
from cronalytics_otel.worker import Worker


class Context:
    """The host's."""

    def __init__(self) -> None:
        self.hooks: dict[str, Callable[..., None]] = {}
        self.skills: dict[str, Path] = {}

    def register_hook(self, name: str, callback: Callable[..., None]) -> None:
        self.hooks[name] = callback

    def register_cli_command(self, **_: Any) -> None: ...

    def register_skill(self, name: str, path: Path) -> None:
        self.skills[name] = path


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    """The workers that were started, in a process that has none yet."""
    started: list[Worker] = []
    monkeypatch.setattr(plugin, "_workers", {})
    monkeypatch.setattr(plugin, "missing_packages", list)

    def start(worker: Worker) -> None:
        started.append(worker)

    monkeypatch.setattr(Worker, "start", start)
    return started


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Context]:
    def call(home: Path, *words: str) -> Context:
        monkeypatch.setenv("HERMES_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["hermes", *words])
        context = Context()
        plugin.register(context)
        return context

    return call


def test_every_hook_is_registered(register: Callable[..., Context], tmp_path: Path) -> None:
    assert tuple(register(tmp_path, "chat").hooks) == HOOKS


def test_the_skill_is_registered_with_a_file_that_names_it(
    register: Callable[..., Context], tmp_path: Path
) -> None:
    ((name, path),) = register(tmp_path, "chat").skills.items()

    _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(head)
    assert fields["name"] == path.parent.name == name
    assert 50 < len(fields["description"]) <= 1024
    assert "unknown" in text


def test_a_host_that_takes_no_skill_gets_all_the_rest(
    register: Callable[..., Context],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no skills here")

    monkeypatch.setattr(Context, "register_skill", refuse)
    assert tuple(register(tmp_path, "chat").hooks) == HOOKS
    assert "no skills here" in caplog.text

    monkeypatch.delattr(Context, "register_skill")
    assert tuple(register(tmp_path, "chat").hooks) == HOOKS


def test_a_home_that_is_registered_again_keeps_its_worker(
    register: Callable[..., Context], started: list[Worker], tmp_path: Path
) -> None:
    for _ in range(2):
        register(tmp_path, "gateway", "run")
    first, second = started
    assert first is second


def test_each_home_has_a_worker_and_hooks_of_its_own(
    register: Callable[..., Context], tmp_path: Path
) -> None:
    contexts = [register(tmp_path / name, "chat") for name in ("a", "b")]
    contexts[0].hooks["on_session_end"](session_id="cron_0123456789ab_20260101_000000")
    last_s = [worker.hooks.activity.last_hook_s for worker in plugin._workers.values()]
    assert [at_s is not None for at_s in last_s] == [True, False]


@pytest.mark.parametrize(
    ("words", "starts", "long_running"),
    [
        (["gateway", "run"], True, True),
        (["cron", "tick"], True, False),
        (["cron", "run", "0123456789ab"], True, False),
        (["chat"], False, False),
        (["cronalytics-otel", "sync"], False, False),
    ],
)
def test_the_worker_starts_where_the_host_runs_jobs(
    register: Callable[..., Context],
    started: list[Worker],
    tmp_path: Path,
    words: list[str],
    starts: bool,
    long_running: bool,
) -> None:
    register(tmp_path, *words)
    (worker,) = plugin._workers.values()
    assert bool(started) == starts
    assert worker._long_running == long_running


def test_the_gateway_is_known_by_its_module_too(
    register: Callable[..., Context], started: list[Worker], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HERMES_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["/site-packages/gateway/run.py"])
    plugin.register(Context())
    assert [worker._long_running for worker in started] == [True]
