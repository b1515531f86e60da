"""What holds for all tests: nothing of the user's environment gets in."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support.fault_checks")

# The same examples in every run, so that a change is judged by itself; `make search` looks for new
# ones. A test of properties is slow on a busy machine, and that is no failure.
SEARCH = int(os.environ.get("SEARCH", "0"))
settings.register_profile(
    "project", deadline=None, derandomize=not SEARCH, max_examples=100 * max(SEARCH, 1)
)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* or HERMES_* setting of the user, and no proxy between us and loopback."""
    for name in os.environ:
        if name.startswith(("OTEL_", "HERMES_")):
            monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, f"127.0.0.1,localhost,{os.environ.get(name, '')}")
