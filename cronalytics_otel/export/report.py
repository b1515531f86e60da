"""What one sync did for one destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    """What one sync did for one destination. Counts are runs."""

    name: str
    endpoint: str
    """Without secrets."""
    sent: int = 0
    refused: int = 0
    given_up: int = 0
    pending: int | None = 0
    """None when it was not counted: a sync with nothing new must cost the same at any history."""
    error: str | None = None
    next_try_ns: int | None = None
    """When the destination may be tried again (epoch ns); None when that is at once."""
    began_failing: bool = False
    recovered: bool = False

    @property
    def tried(self) -> bool:
        """Whether anything was asked of the destination."""
        return bool(self.sent or self.refused or self.error)

    def followed_by(self, later: DestinationReport) -> DestinationReport:
        """Return one report of two: the sum of their counts, and the newest state."""
        newest = later if later.tried else self
        return replace(
            later,
            sent=self.sent + later.sent,
            refused=self.refused + later.refused,
            given_up=self.given_up + later.given_up,
            error=newest.error,
            began_failing=self.began_failing or later.began_failing,
            recovered=self.recovered or later.recovered,
            next_try_ns=later.next_try_ns or newest.next_try_ns,
        )


Reports = Mapping[str, DestinationReport]
"""Reports by the destination's name."""


def merged(*parts: Reports) -> dict[str, DestinationReport]:
    """Return one report for each destination, out of reports that followed each other."""
    result: dict[str, DestinationReport] = {}
    for part in parts:
        for name, report in part.items():
            result[name] = result[name].followed_by(report) if name in result else report
    return result
