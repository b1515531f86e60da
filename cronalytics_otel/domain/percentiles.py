"""Percentiles by one rule, so that the same runs have the same p95 in every view."""

from __future__ import annotations

from collections.abc import Collection


def rank_of(count: int, percent: int) -> int:
    """Return which of `count` values in ascending order is the percentile, counted from 1.

    This is the nearest rank: the smallest value that at least `percent` in a hundred values do not
    exceed. It needs no interpolation, so the answer is always a value that was observed, and a query
    can ask for that row alone.
    """
    return max(1, -(-percent * count // 100))


def percentile(values: Collection[float], percent: int) -> float | None:
    """Return the percentile of the values by nearest rank; None of no values."""
    if not values:
        return None
    return sorted(values)[rank_of(len(values), percent) - 1]
