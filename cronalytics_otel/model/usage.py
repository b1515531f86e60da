"""Tokens and cost: what a run, a session or one use of a model took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class CostStatus(StrEnum):
    """What is known of a run's cost (`hermes.cron.cost.status`)."""

    ACTUAL = "actual"
    ESTIMATED = "estimated"
    INCLUDED = "included"
    """Covered by a subscription."""
    UNKNOWN = "unknown"
    PARTIAL = "partial"
    """Some of its calls have no known price: the sum is a lower bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a run or of a part of it; `input_tokens` includes what came from a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output; reasoning is a part of output already."""
        return self.input_tokens + self.output_tokens

    @classmethod
    def sum(cls, usages: Sequence[Usage]) -> Usage:
        if len(usages) == 1:
            return usages[0]
        return cls(
            input_tokens=sum(u.input_tokens for u in usages),
            output_tokens=sum(u.output_tokens for u in usages),
            cache_read_tokens=sum(u.cache_read_tokens for u in usages),
            cache_write_tokens=sum(u.cache_write_tokens for u in usages),
            reasoning_tokens=sum(u.reasoning_tokens for u in usages),
        )
