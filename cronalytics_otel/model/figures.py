"""Sums over runs: what a group of runs took together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Self

from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What some runs took together.

    A run is in just one of `priced_runs` and `unpriced_runs`, unless it was missed: nothing ran, so it is
    in neither. Runs that called no model are priced; they cost 0.
    """

    runs: int = 0
    """Runs, missed ones included."""
    occurrences: int = 0
    """As `runs`, but a missed run counts once for each time at which it should have run."""
    timed_runs: int = 0
    """The runs whose duration is known."""
    duration_s: float = 0.0
    """The sum of the known durations."""
    priced_runs: int = 0
    """The runs whose cost is known, also in part, or that certainly cost nothing."""
    cost_usd: float = 0.0
    """The sum of the known costs; a lower bound if there are unpriced or partial runs."""
    cost_usd_squared: float = 0.0
    """The sum of the squares of the known costs, in USD²."""
    unpriced_runs: int = 0
    """The runs of whose cost nothing is known."""
    partial_runs: int = 0
    """The priced runs whose cost is a lower bound."""
    usage: Usage = field(default_factory=Usage)

    @property
    def mean_duration_s(self) -> float | None:
        return self.duration_s / self.timed_runs if self.timed_runs else None

    @property
    def known_cost_usd(self) -> float | None:
        """The sum of the known costs: 0 for no runs, None if there are runs and none is priced."""
        return self.cost_usd if self.priced_runs or not self.unpriced_runs else None

    @property
    def mean_cost_usd(self) -> float | None:
        """The mean cost of a priced run; None without one."""
        return self.cost_usd / self.priced_runs if self.priced_runs else None

    @property
    def cost_is_lower_bound(self) -> bool:
        """Whether the runs cost at least, and perhaps more than, `cost_usd`."""
        return bool(self.unpriced_runs or self.partial_runs)

    @property
    def cost_deviation_usd(self) -> float | None:
        """The sample's standard deviation of a run's cost; None with fewer than two priced runs."""
        if self.priced_runs < 2:
            return None
        squares = self.cost_usd_squared - self.cost_usd**2 / self.priced_runs
        return math.sqrt(max(0.0, squares) / (self.priced_runs - 1))

    @classmethod
    def sum(cls, amounts: Iterable[Amounts]) -> Self:
        """Return the sum of some amounts; all zero for none."""
        parts = list(amounts)
        if len(parts) == 1 and type(parts[0]) is cls:
            return parts[0]
        # Column by column: views add up thousands of these.
        sums = map(sum, zip(*map(_numbers_of, parts), strict=True))
        return cls(
            usage=Usage.sum([part.usage for part in parts]),
            **dict(zip(AMOUNT_NAMES, sums, strict=False)),
        )


AMOUNT_NAMES = tuple(f.name for f in fields(Amounts) if f.name != "usage")
"""The numbers of `Amounts` beside its tokens, in the order of the columns of `day_runs`."""

_numbers_of = attrgetter(*AMOUNT_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAmounts:
    """What models took in some runs together."""

    runs: int = 0
    """A run counts once for each model, provider and cost status that had a part in it."""
    api_calls: int = 0
    cost_usd: float = 0.0
    usage: Usage = field(default_factory=Usage)

    @classmethod
    def sum(cls, amounts: Iterable[ModelAmounts]) -> Self:
        """Return the sum of some amounts; all zero for none."""
        parts = list(amounts)
        return cls(
            runs=sum(part.runs for part in parts),
            api_calls=sum(part.api_calls for part in parts),
            cost_usd=sum(part.cost_usd for part in parts),
            usage=Usage.sum([part.usage for part in parts]),
        )
