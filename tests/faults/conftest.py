"""Homes with a history, for faults to happen to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.homes import HomeBuilder, Subagent


@pytest.fixture
def noon() -> datetime:
    """A whole minute, some hours ago: what ran then is history, and all of it has ended."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=6)


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    """An empty home; nothing is on disk before `write()`."""
    return HomeBuilder(tmp_path / "home", system_prompt_bytes=64)


@pytest.fixture
def mixed_home(home: HomeBuilder, noon: datetime) -> HomeBuilder:
    """On disk: agent runs (tools, a subagent, a failure), script runs, a gated one, a one-shot."""
    digest = home.job("digest", every_minutes=30)
    backup = home.job("backup", every_minutes=30, no_agent=True)
    inbox = home.job("inbox", every_minutes=30, script="any_mail.py")
    once = home.job("migration", once_at=noon + timedelta(minutes=5))
    home.agent_run(digest, noon, tools=["terminal"], subagents=[Subagent()], cost=0.01)
    home.script_run(backup, noon + timedelta(minutes=1))
    home.gated_run(inbox, noon + timedelta(minutes=2))
    home.agent_run(once, noon + timedelta(minutes=5))
    home.agent_run(digest, noon + timedelta(minutes=30), outcome="failure")
    home.script_run(backup, noon + timedelta(minutes=31), outcome="failure")
    home.write()
    return home
