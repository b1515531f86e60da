"""What holds for all tests: nothing of the user's environment gets in."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

pytest.register_assert_rewrite("tests.support.fault_checks")

# The same examples in every run, so that a change is judged by itself; `make search` looks for new
# ones. A test of properties is slow on a busy machine, and that is no failure.
SEARCH = int(os.environ.get("SEARCH", "0"))
settings.register_profile(
    "project", deadline=None, derandomize=not SEARCH, max_examples=100 * max(SEARCH, 1)
)
settings.load_profile("project")

# Hypothesis also draws examples from the constants in the source of all modules that are loaded when a
# test begins. So a test would get other examples alone than after others, in another worker of xdist,
# and whenever a constant changes anywhere in the package. No setting switches this off, and loading
# every module first would not settle it: the script that starts pytest is among the modules. So the
# pool of these constants stays empty. If Hypothesis renames the function, this line raises.
if not SEARCH:
    pytest.MonkeyPatch().setattr(providers, "_get_local_constants", Constants)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* or HERMES_* setting of the user, and no proxy between us and loopback."""
    for name in os.environ:
        if name.startswith(("OTEL_", "HERMES_")):
            monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, f"127.0.0.1,localhost,{os.environ.get(name, '')}")
