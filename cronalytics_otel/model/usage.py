"""Tokens and cost of a run, a session, or one use of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter


class CostStatus(StrEnum):
    """How much is known of a run's cost (`hermes.cron.cost.status`)."""

    ACTUAL = "actual"
    ESTIMATED = "estimated"
    INCLUDED = "included"
    """A subscription covers it."""
    UNKNOWN = "unknown"
    PARTIAL = "partial"
    """Some of its calls have no known price, so the sum is a lower bound."""


def known_cost_usd(cost_usd: float | None, status: CostStatus | str | None) -> float | None:
    """Return the part of a cost that is known; None if nobody wrote it down.

    Some hosts write 0 for a cost that they do not know.
    """
    return None if cost_usd is None or status == CostStatus.UNKNOWN else float(cost_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens of a run, or of a part of it. `input_tokens` includes those read from a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input plus output; output includes reasoning."""
        return self.input_tokens + self.output_tokens

    @classmethod
    def sum(cls, usages: Sequence[Usage]) -> Usage:
        if len(usages) == 1:
            return usages[0]
        sums = map(sum, zip(*map(_counts_of, usages), strict=True))
        return cls(**dict(zip(_COUNTS, sums, strict=False)))


_COUNTS = tuple(field.name for field in fields(Usage))
_counts_of = attrgetter(*_COUNTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """The tokens and cost of one use of a model: by a session, by an auxiliary call, or by a whole run.

    `cost_usd` is None where the host knows no price, `cost_status` where it made no call.
    """

    model: str | None
    provider: str | None
    usage: Usage | None
    """None where nobody counted the tokens."""
    api_calls: int | None
    """None where the host does not count them."""
    cost_usd: float | None
    cost_status: CostStatus | None

    @property
    def total_tokens(self) -> int:
        """The tokens that are known."""
        return 0 if self.usage is None else self.usage.total_tokens

    @property
    def known_cost_usd(self) -> float | None:
        """The cost, or the known part of it; None if nobody wrote it down."""
        return known_cost_usd(self.cost_usd, self.cost_status)
