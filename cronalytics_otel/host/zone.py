"""The time zone of a home: the one in which Hermes schedules its jobs."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..model.times import NS, Zone


def home_zone(configured: str | None, now_ns: int) -> Zone:
    """Return the configured zone (an IANA name), else the server's own, as the host does.

    A server's zone that has no name is the offset that the server has at `now_ns`.
    """
    for name in (configured, _server_zone()):
        if name:
            with contextlib.suppress(ZoneInfoNotFoundError, ValueError):
                return Zone(info=ZoneInfo(name), name=name)
    local = datetime.fromtimestamp(now_ns / NS, UTC).astimezone().tzinfo
    if local is None:  # pragma: no cover - astimezone always gives one
        raise ValueError("the server has no local time zone")
    return Zone(info=local, name=None)


def _server_zone() -> str | None:
    """Return the IANA name behind the server's local time: `TZ`, else what /etc/localtime links to."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named:
        return named
    target = os.path.realpath(Path("/etc/localtime"))
    _, found, name = target.partition("zoneinfo/")
    return name if found else None
