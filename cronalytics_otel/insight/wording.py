"""How amounts read in a sentence: durations, money, counts. Pure functions that return text.

An unknown value is a dash everywhere, so that nobody takes it for nothing.
"""

from __future__ import annotations

from functools import lru_cache

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


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@lru_cache(maxsize=1024)
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
