"""How a command ends: its exit status, and the errors that are told in plain words."""

from __future__ import annotations

import sys
from enum import IntEnum


class ExitStatus(IntEnum):
    OK = 0
    FAILED = 1
    """The command did its work and something is wrong, or it could not do it."""
    USAGE = 2
    """What argparse exits with."""
    INTERRUPTED = 130
    """128 + SIGINT, as shells count."""
    BROKEN_PIPE = 141
    """128 + SIGPIPE: whoever read us has had enough."""


def command(words: str) -> str:
    """A command of ours as this user has to type it: a git install brings no console script."""
    host = "hermes " if "cronalytics-otel" in sys.argv[1:] else ""
    return f"{host}cronalytics-otel {words}"


class CommandError(Exception):
    """What went wrong, in one sentence that says where; `remedy` is what to do about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
