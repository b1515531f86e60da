"""When the clocks of a time zone change, as a table that is searched instead of asked anew."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

_PROBE_S = 7 * 86_400
"""Between two looks at the offset: no zone changes its clocks twice in a week."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The offsets from UTC that a zone has in a span of years. All times are seconds since the epoch; a
    time on the wall clock is the same plus the offset."""

    starts: tuple[int, ...]
    """From when each offset but the first holds."""
    offsets: tuple[int, ...]
    walls: tuple[int, ...]
    """Up to which time on the wall clock each offset but the last is used to read it: an hour that comes
    twice is read as its first pass, and one that is left out goes by the clock before."""

    def at(self, time_s: int) -> int:
        """Return which offset holds."""
        return bisect_right(self.starts, time_s)

    def end(self, place: int) -> int | None:
        """Return when an offset ends; None for the last one."""
        return self.starts[place] if place < len(self.starts) else None

    def read(self, wall_s: int) -> int:
        """Return the time at which the wall clock shows `wall_s` for the first time."""
        return wall_s - self.offsets[bisect_right(self.walls, wall_s)]


@lru_cache(maxsize=64)
def clocks_of(zone: tzinfo, first_year: int, last_year: int) -> Clocks:
    """Return the zone's offsets in these years."""
    begin = int(datetime(first_year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(last_year, 12, 31, tzinfo=UTC).timestamp()) + _PROBE_S
    starts: list[int] = []
    offsets = [_offset(zone, begin)]
    for low in range(begin, end, _PROBE_S):
        after = _offset(zone, low + _PROBE_S)
        if after != offsets[-1]:
            starts.append(_change_between(zone, low, low + _PROBE_S))
            offsets.append(after)
    walls = (
        start + max(before, after)
        for start, before, after in zip(starts, offsets, offsets[1:], strict=False)
    )
    return Clocks(tuple(starts), tuple(offsets), tuple(walls))


def _offset(zone: tzinfo, time_s: int) -> int:
    offset = datetime.fromtimestamp(time_s, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _change_between(zone: tzinfo, low: int, high: int) -> int:
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high
