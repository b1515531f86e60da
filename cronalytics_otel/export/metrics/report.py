"""What one sync did for the metrics of one destination."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsReport:
    """What one sync did for the metrics of one destination. Counts are points."""

    name: str
    endpoint: str
    """Without secrets."""
    sent: int = 0
    refused: int = 0
    error: str | None = None
    not_served: bool = False
    """It has no endpoint for metrics: it is left alone."""
    next_try_ns: int | None = None
    """When the destination may be tried again (epoch ns), if it has failed."""
    began_failing: bool = False
    recovered: bool = False

    @property
    def fails(self) -> bool:
        return self.error is not None and not self.not_served

    def followed_by(self, later: MetricsReport) -> MetricsReport:
        """Return one report of two: the sum of their counts, and the newest state."""
        return replace(
            later,
            sent=self.sent + later.sent,
            refused=self.refused + later.refused,
            began_failing=self.began_failing or later.began_failing,
            recovered=self.recovered or later.recovered,
        )
