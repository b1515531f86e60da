"""Linux namespaces of a test's own, for root and for ordinary users alike.

A command before another one, such as `MOUNTS`, runs that one in a namespace. It is empty where we
may not make one (in many containers even root may not), and then a test that needs it is not
defined.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.venvs import CHECKOUT

Command = tuple[str, ...]

_INSIDE = "CRONALYTICS_OTEL_TEST_MOUNTS"
_AS_ROOT_OF_ITS_OWN = ("--user", "--map-root-user")
"""What lets an ordinary user make the other namespaces."""


def _allowed(*options: str, trial: Command) -> Command:
    """The command, if `trial` succeeds in its namespace."""
    if shutil.which("unshare") is None:
        return ()
    for rights in ((), _AS_ROOT_OF_ITS_OWN):
        command = ("unshare", *rights, *options)
        if subprocess.run([*command, *trial], check=False, capture_output=True).returncode == 0:
            return command
    return ()


ALONE = _allowed("--pid", "--fork", "--mount-proc", "--kill-child", trial=("true",))
"""It sees no process but its own, as in a container."""

MOUNTS = _allowed("--mount", trial=("mount", "-t", "tmpfs", "tmpfs", "/tmp"))
"""What it mounts, it alone sees, and it is gone with it."""


def mounting(test: Callable[..., None]) -> Callable[..., None]:
    """Has a test that mounts run by a pytest of its own within `MOUNTS`: a process with threads, as
    pytest's is, cannot change its namespace."""
    if _INSIDE in os.environ:
        return test

    def outside(request: pytest.FixtureRequest, tmp_path: Path) -> None:
        # Nothing of how the outer pytest was called.
        env = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [
                *MOUNTS, sys.executable, "-m", "pytest", "-p", "no:cacheprovider",
                f"--basetemp={tmp_path / 'inside'}", request.node.nodeid,
            ],
            check=False,
            cwd=CHECKOUT,
            env={**env, _INSIDE: "1"},
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    outside.__name__, outside.__doc__ = test.__name__, test.__doc__
    return outside
