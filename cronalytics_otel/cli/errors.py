"""How a command ends: its exit status, and the errors that a person can do something about."""

from __future__ import annotations

import sys
from enum import IntEnum


class ExitStatus(IntEnum):
    OK = 0
    FAILED = 1
    """Something is wrong, or the command could not do its work."""
    USAGE = 2
    """The exit status of argparse."""
    INTERRUPTED = 130
    """128 + SIGINT, as shells count."""
    BROKEN_PIPE = 141
    """128 + SIGPIPE: the reader of our output has left."""


def command(words: str) -> str:
    """Return one of our commands as this user has to type it.

    An installation from git has no console script, so that the host's command comes first.
    """
    host = "hermes " if "cronalytics-otel" in sys.argv[1:] else ""
    return f"{host}cronalytics-otel {words}"


class CommandError(Exception):
    """An error in one sentence that names its place. `remedy` is the advice on how to mend it."""

    def __init__(
        self, message: str, remedy: str = "", *, status: ExitStatus = ExitStatus.FAILED
    ) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.status = status
