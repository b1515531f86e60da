"""What the points of a counter say."""

from __future__ import annotations

from enum import StrEnum


class Temporality(StrEnum):
    CUMULATIVE = "cumulative"
    """The sum since the series began: what Prometheus wants."""
    DELTA = "delta"
    """What came since the point before: what Datadog wants."""
