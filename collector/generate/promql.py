"""The expressions that dashboards, rules and alerts share.

Samples can be rare: a home that is served by single ticks sends only when a run became final. So the present
value of a gauge or a counter is its last one of two days, never an instant lookup, which sees five minutes.
"""

from __future__ import annotations

from typing import Final

from .names import metric

NOW: Final = "2d"
"""How far back the present value of a series may lie."""


def last(short_name: str, selector: str = "", within: str = NOW) -> str:
    """Return the last value of each series of `hermes.cron.SHORT_NAME`; `selector` is without its braces."""
    return f"last_over_time({metric(short_name)}{_braces(selector)}[{within}])"


def instant(short_name: str, selector: str = "") -> str:
    """Return the value of five minutes: for a gauge that is absent where it does not apply."""
    return f"{metric(short_name)}{_braces(selector)}"


def _braces(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""
