"""Homes without a run: one to build, and one with the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Cli, commands
from tests.support.homes import HomeBuilder


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """An empty home; nothing is on disk before `write()`."""
    return HomeBuilder(tmp_path / "home")


@pytest.fixture
def empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """The command line, on a home in which Hermes has never run a job."""
    with commands(tmp_path, monkeypatch, capsys) as cli:
        yield cli
