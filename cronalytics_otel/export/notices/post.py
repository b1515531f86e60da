"""How notices are sent: what a way of sending is, and what all of them share."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from ...config import NotifyTarget
from ...journal.notices import PendingNotice
from ...telemetry.content import masked_and_cut
from ..acknowledgement import Receipt

REQUEST_TIMEOUT_S: Final = 10.0
"""The longest that a request may take, where nothing asks for less."""

_REASON_CHARS: Final = 200
_MIN_SECRET_CHARS: Final = 4
_SEPARATORS: Final = re.compile(r"[/:?&=@#,]+")

Lines: TypeAlias = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What goes into one request, and is acknowledged with it."""

    notices: Sequence[PendingNotice]
    """Also those that are out of date by what is sent."""
    subject: Sequence[PendingNotice]
    """Those that the request is about."""


class Post(Protocol):
    """A way of sending notices."""

    def parcels(self, pending: Sequence[PendingNotice]) -> list[Parcel]:
        """Return what is sent, request by request."""

    def send(self, parcel: Parcel, *, timeout_s: float) -> Receipt:
        """Make one request. The time limit may be passed where a library has its own."""


class MissingAppriseError(Exception):
    """Apprise is not installed; the text says what to do."""


def reason_text(target: NotifyTarget, text: str) -> str:
    """Return a server's or an exception's words as one short line, without any part of the target's
    URL: keys may stand anywhere in it."""
    rest = target.url.partition("://")[2]
    parts = [part for part in _SEPARATORS.split(rest) if len(part) >= _MIN_SECRET_CHARS]
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return masked_and_cut(" ".join(words), _REASON_CHARS)


# --- the libraries' log lines --------------------------------------------------------------------

_LOGGERS: Final = ("apprise", "urllib3.connectionpool", "requests_oauthlib")
_warnings: Final[dict[int, Lines]] = {}
"""By thread that is sending a notice, what the libraries warned of."""


@contextmanager
def captured_log() -> Iterator[Lines]:
    """Keep the libraries' lines about this thread's requests out of the host's log, since they quote URLs;
    give those of warnings.

    The filter is never removed: otherwise another thread that logs just then would get a line through.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_keep)
    lines = _warnings[threading.get_ident()] = []
    try:
        yield lines
    finally:
        del _warnings[threading.get_ident()]


def _keep(record: logging.LogRecord) -> bool:
    lines = _warnings.get(record.thread or 0)
    if lines is None:
        return True
    if record.levelno >= logging.WARNING:
        lines.append(record.getMessage())
    return False
