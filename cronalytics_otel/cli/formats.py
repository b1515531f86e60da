"""Values as people read them: durations, money, counts, times. Pure functions that return text.

An unknown value is a dash everywhere, so that nobody takes it for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..model import CostStatus, known_cost_usd
from ..model.times import NS, to_datetime

UNKNOWN = "\N{EN DASH}"


def duration(seconds: float | None) -> str:
    """`40 ms`, `1.2 s`, `3 m 05 s`, `2 h 05 m`, `3 d 04 h`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest_s:02} s"
    hours, rest_m = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {rest_m:02} m"
    days, rest_h = divmod(round(seconds / 3600), 24)
    return f"{days} d {rest_h:02} h"


def ago(then_ns: int, now_ns: int) -> str:
    """`3 m 05 s ago` or `just now`; for a time to come `in 3 m 05 s` or `in a moment`."""
    if abs(now_ns - then_ns) < NS:
        return "just now" if then_ns <= now_ns else "in a moment"
    if then_ns > now_ns:
        return f"in {duration((then_ns - now_ns) / NS)}"
    return f"{duration((now_ns - then_ns) / NS)} ago"


def usd(amount: float | None) -> str:
    """`$0.0043`, `$12.34`, `$1,234`, and `<$0.0001`. `$0` is known to be nothing."""
    if amount is None:
        return UNKNOWN
    if amount == 0:
        return "$0"
    if 0 < amount < 0.00005:
        return "<$0.0001"
    if amount < 1:
        return f"${amount:.4f}"
    return f"${amount:,.2f}" if amount < 1000 else f"${amount:,.0f}"


def cost(amount_usd: float | None, status: CostStatus | str | None) -> str:
    """`≥$0.02` for a lower bound; `included` if a subscription covers it."""
    known_usd = known_cost_usd(amount_usd, status)
    if status == CostStatus.INCLUDED and not known_usd:
        return CostStatus.INCLUDED
    bound = "≥" if known_usd is not None and status == CostStatus.PARTIAL else ""
    return f"{bound}{usd(known_usd)}"


def count(number: int | None) -> str:
    """`1,234`."""
    return UNKNOWN if number is None else f"{number:,}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(octets: int) -> str:
    """`512 B`, `48 KB`, `1.2 MB`, in steps of 1000."""
    amount = float(octets)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit != "MB" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def local(ns: int) -> datetime:
    """Return the time in the machine's own time zone."""
    return to_datetime(ns).astimezone()


def moment(ns: int | None) -> str:
    """`2026-01-31 09:00:02` in local time."""
    return UNKNOWN if ns is None else f"{local(ns):%Y-%m-%d %H:%M:%S}"


def minute(ns: int) -> str:
    """`2026-01-31 09:00` in local time, for tables."""
    return f"{local(ns):%Y-%m-%d %H:%M}"


def iso(ns: int | None) -> str | None:
    """ISO 8601 in UTC to the microsecond, for JSON."""
    if ns is None:
        return None
    return to_datetime(ns).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def one_line(text: str) -> str:
    """Return the first line that is not empty, made safe for a terminal.

    Every character that cannot be printed becomes a blank: escape sequences, carriage returns, and
    marks that turn the direction of the text.
    """
    for line in text.splitlines():
        words = "".join(char if char.isprintable() else " " for char in line).split()
        if words:
            return " ".join(words)
    return ""


def lines(text: str) -> list[str]:
    """Return all lines, made safe for a terminal. The blanks within a line stay."""
    return [
        "".join(char if char.isprintable() else " " for char in line.expandtabs(4)).rstrip()
        for line in text.strip().splitlines()
    ]


_MAX_JOBS = 5


def content_by_job(jobs: Mapping[str, str]) -> str:
    """Return the jobs that have a content setting of their own, as text after the general setting."""
    named = [f"{one_line(job)} {mode}" for job, mode in jobs.items()]
    if len(named) > _MAX_JOBS:
        named[_MAX_JOBS:] = [f"{len(named) - _MAX_JOBS} more"]
    return f"; by job: {', '.join(named)}" if named else ""
