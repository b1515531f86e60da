"""A real Hermes in pairs: the same home with the plugin and without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.lines import Bench
from bench.timing import Exited, run_process
from tests.support.hermes import PLUGIN, Hermes, HermesHome, hermes_with_plugin
from tests.support.large_homes import Size, large_home

NO_MODEL = "http://127.0.0.1:9/v1"


@cache
def hermes() -> Hermes:
    """With the plugin's wheel, built once for the whole bench."""
    return hermes_with_plugin()


@contextmanager
def model() -> Iterator[str]:
    """The offline model in a process of its own; its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fake_llm"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A home with its Hermes."""

    home: HermesHome

    def tick(self) -> Exited:
        """`hermes cron tick` in a process that is measured."""
        environment = self.home.environ()
        folder = Path(environment["HOME"])
        folder.mkdir(exist_ok=True)
        return run_process([self.home.hermes.bin / "hermes", "cron", "tick"], environment, folder)


def fresh(
    bench: Bench,
    name: str,
    *,
    model_url: str = NO_MODEL,
    with_plugin: bool,
    environment: Mapping[str, str] | None = None,
) -> Host:
    """A home without history."""
    path = bench.folder / name
    home = HermesHome.make(
        path,
        hermes(),
        model_url=model_url,
        plugins=[PLUGIN] if with_plugin else [],
        environment=environment,
    )
    return Host(home=home)


def with_history(
    bench: Bench,
    name: str,
    runs: int,
    *,
    with_plugin: bool,
    environment: Mapping[str, str] | None = None,
) -> Host:
    """A home of so many runs, none of its jobs due."""
    host = fresh(bench, name, with_plugin=with_plugin, environment=environment)
    settings = (host.home.path / "config.yaml").read_text()
    shutil.rmtree(host.home.path)
    large_home(Size(runs=runs)).borrow(host.home.path)
    (host.home.path / "config.yaml").write_text(settings)
    host.home.configure({"timezone": "UTC"})
    return host
