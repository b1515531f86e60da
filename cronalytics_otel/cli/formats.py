"""Values as people read them: durations, money, counts, times. Pure functions that return text.

An unknown value is a dash everywhere, so that nobody takes it for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from ..insight.wording import UNKNOWN, counted, duration, one_line, usd
from ..model import CostStatus, Outcome, Run, known_cost_usd
from ..model.times import NS, to_datetime

__all__ = ["UNKNOWN", "counted", "duration", "one_line", "usd"]


def ago(then_ns: int, now_ns: int) -> str:
    """`3 m 05 s ago` or `just now`; for a time to come `in 3 m 05 s` or `in a moment`."""
    if abs(now_ns - then_ns) < NS:
        return "just now" if then_ns <= now_ns else "in a moment"
    if then_ns > now_ns:
        return f"in {duration((then_ns - now_ns) / NS)}"
    return f"{duration((now_ns - then_ns) / NS)} ago"


def cost(amount_usd: float | None, status: CostStatus | str | None) -> str:
    """`≥$0.02` for a lower bound; `included` if a subscription covers it."""
    known_usd = known_cost_usd(amount_usd, status)
    if status == CostStatus.INCLUDED and not known_usd:
        return CostStatus.INCLUDED
    bound = "≥" if known_usd is not None and status == CostStatus.PARTIAL else ""
    return f"{bound}{usd(known_usd)}"


def run_cost(run: Run) -> str:
    """Return what a run cost, as `cost` does; `$0` for one that certainly called no model."""
    is_free = run.called_no_model and not run.cost_is_unknown and run.outcome is not Outcome.MISSED
    if is_free and run.known_cost_usd is None:
        return usd(0.0)
    return cost(run.known_cost_usd, run.cost_status)


def count(number: int | None) -> str:
    """`1,234`."""
    return UNKNOWN if number is None else f"{number:,}"


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
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ns // NS))


def iso(ns: int | None) -> str | None:
    """ISO 8601 in UTC to the microsecond, for JSON."""
    if ns is None:
        return None
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.isoformat(timespec="microseconds") + "Z"


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - every time here is in UTC


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


def bounded_usd(amount_usd: float | None, *, is_lower_bound: bool) -> str:
    """`≥$12.30` for a sum in which some costs are missing."""
    return f"{'≥' if is_lower_bound and amount_usd is not None else ''}{usd(amount_usd)}"


def bounded_ratio(number: float | None, *, is_lower_bound: bool) -> str:
    """`≥1.04` for the ratio of such a sum to a known figure."""
    return f"{'≥' if is_lower_bound and number is not None else ''}{ratio(number)}"


def percent(part: float | None) -> str:
    """`96 %`; `99.9 %` and `0.1 %` near the ends, so that only all is 100 % and only nothing is 0 %."""
    if part is None:
        return UNKNOWN
    number = part * 100
    if 99 < number < 100:
        return f"{min(number, 99.9):.1f} %"
    if 0 < number < 1:
        return f"{max(number, 0.1):.1f} %"
    return f"{number:.0f} %"


def change(part: float | None) -> str:
    """`+12 %`, `-3 %`, `±0 %`; `x25` for much more."""
    if part is None:
        return UNKNOWN
    if part >= 10:
        return f"x{part + 1:,.0f}"
    number = round(part * 100)
    return f"{number:+d} %" if number else "±0 %"


def ratio(number: float | None) -> str:
    """`1.04`; of a ratio of two figures."""
    return UNKNOWN if number is None else f"{number:.2f}" if number < 100 else f"{number:,.0f}"


def mean(number: float | None) -> str:
    """`1,234`; a mean of whole numbers."""
    return UNKNOWN if number is None else f"{number:,.0f}"


_UNITS_S = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def distance(then_ns: int | None, now_ns: int) -> str:
    """`3 h ago`, `in 5 m`, `now`: in one unit, for tables."""
    if then_ns is None:
        return UNKNOWN
    seconds = abs(now_ns - then_ns) // NS
    for unit, unit_s in _UNITS_S:
        if seconds >= 2 * unit_s or (seconds >= unit_s and unit in ("m", "s")):
            text = f"{seconds // unit_s:,} {unit}"
            return f"in {text}" if then_ns > now_ns else f"{text} ago"
    return "now"
