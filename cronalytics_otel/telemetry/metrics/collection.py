"""What one request holds: the values of all series and gauges at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...model import Resource, Run
from ...model.series import Gauge, Series, SeriesKey, SeriesValue
from ...model.temporality import Temporality


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """The point of one series."""

    key: SeriesKey
    start_ns: int
    """From when `value` counts. It is never later than the point itself."""
    value: SeriesValue
    begins: bool = False
    """Whether the destination has nothing of the series yet, so that a 0 at its start comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The metrics of a home at one time."""

    time_ns: int
    """The time of all points but those that begin a series."""
    profile: str
    resource: Resource
    temporality: Temporality = Temporality.CUMULATIVE
    series: Sequence[SeriesPoint] = ()
    gauges: Sequence[Gauge] = ()
    exemplars: Mapping[SeriesKey, tuple[Run, float]] = field(default_factory=dict)
    """By series, the newest run that added to it, and what it added."""


def cumulative_points(
    series: Sequence[Series], *, time_ns: int, received_series_id: int | None
) -> list[SeriesPoint]:
    """Return the points of a destination that has all series up to this id; None before its first
    request.

    History from before the first request is in the first values: no series begins with a 0 then, or
    backends would take it for a burst.
    """
    return [
        SeriesPoint(
            key=one.key,
            start_ns=min(one.start_ns, time_ns),
            value=one.total,
            begins=received_series_id is not None
            and one.id > received_series_id
            and one.start_ns < time_ns,
        )
        for one in series
    ]


def delta_points(
    additions: Sequence[tuple[Series, SeriesValue]],
    *,
    time_ns: int,
    received_ns: int | None,
    history_began_ns: int,
) -> list[SeriesPoint]:
    """Return the points of what was added since the last request, or since the history began."""
    start_ns = min(history_began_ns if received_ns is None else received_ns, time_ns)
    return [SeriesPoint(key=one.key, start_ns=start_ns, value=added) for one, added in additions]
