"""When a destination gets metrics. Pure functions of its progress and the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...journal.metric_destinations import MetricDestination
from ..backoff import next_try_ns

NOT_SERVED_S: Final = 86_400.0
"""A destination without an endpoint for metrics is asked again after a day."""


def due(
    destinations: Sequence[MetricDestination],
    *,
    now_ns: int,
    interval_ns: int,
    eager: bool,
    only_after_run_id: int | None,
) -> list[MetricDestination]:
    """Return the destinations that get a request now.

    There is at most one in an interval. `eager` ignores our own back-off, and tries a failing destination
    again before the interval is over. With `only_after_run_id`, the id of the newest run, a destination
    that has it gets nothing.
    """
    return [
        one
        for one in destinations
        if (only_after_run_id is None or one.received_run_id < only_after_run_id)
        and next_try_ns(one, now_ns=now_ns, eager=eager) is None
        and (_is_interval_over(one, now_ns, interval_ns) or (eager and one.failures > 0))
    ]


def next_due_ns(destinations: Sequence[MetricDestination], interval_ns: int) -> int | None:
    """Return when the first of these destinations gets its next request; None without any."""
    times = [
        max((one.requested_ns or 0) + interval_ns, one.next_try_ns or 0) for one in destinations
    ]
    return min(times, default=None)


def _is_interval_over(one: MetricDestination, now_ns: int, interval_ns: int) -> bool:
    """Return whether the newest request is an interval ago. One in the future was made before the clock
    was set back."""
    return one.requested_ns is None or not 0 <= now_ns - one.requested_ns < interval_ns
