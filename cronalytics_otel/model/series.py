"""The series of the metrics: what each one is of, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class SeriesKind(StrEnum):
    """What a series counts. Its labels come in the order that is given here; '' is an unknown one."""

    RUNS = "runs"
    """Runs, by outcome. A missed run counts once for each time at which it should have run."""
    ERRORS = "errors"
    """As `RUNS`, of those that have an error, by its type."""
    DURATION = "duration"
    """A histogram of the runs' durations, by `true` for those that failed, else `false`."""
    LATENESS = "lateness"
    """A histogram of the time by which runs were late."""
    COST = "cost"
    """US dollars, by model, provider and cost status."""
    TOKENS = "tokens"
    """By model, provider and `TokenType`."""
    UNPRICED_RUNS = "unpriced_runs"
    """Runs whose cost is not known, by model."""
    DELIVERIES = "deliveries"
    """Answers that were to be delivered, by what became of them."""
    CALL_TOKENS = "call_tokens"
    """A histogram of the tokens of single model calls, by model, provider, response model and `TokenType`.
    It has no job."""
    CALL_DURATION = "call_duration"
    """A histogram of the duration of single model calls, by model, provider, response model and type of
    error. It has no job."""


class TokenType(StrEnum):
    """Which tokens are counted (`gen_ai.token.type`). The two add up to the total."""

    INPUT = "input"
    """With those that were read from a cache."""
    OUTPUT = "output"
    """With those of reasoning."""


class SeriesKey(NamedTuple):
    """What tells one series from all others."""

    kind: SeriesKind
    job_id: str
    """`ONCE` for all jobs that run once, `OTHER` beyond the limit of series, '' where no job is meant."""
    job_name: str
    """The job's name at the run: a job that is renamed begins another series."""
    labels: tuple[str, ...] = ()


ONCE = "once"
"""The job id and the name that all jobs which run once share."""

OTHER = "other"
"""What stands for a job, a model or a provider beyond the limit of series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesValue:
    """What a series holds, or what is added to one."""

    value: float
    """The counter's value; the sum of all values of a histogram."""
    buckets: tuple[int, ...] = ()
    """Of a histogram: how many values fell into each bucket. Empty for a counter."""

    @property
    def count(self) -> int:
        """How many values a histogram holds."""
        return sum(self.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series as the journal has it."""

    id: int
    """Greater for a series that began later."""
    key: SeriesKey
    start_ns: int
    """From when it counts: the time of the last collection before it began. A series that began before any
    collection starts at the first one."""
    total: SeriesValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """The value of a metric at one moment."""

    metric: str
    """Its name in the catalog of metrics without the prefix, such as `job.state`."""
    value: float
    job_id: str = ""
    job_name: str = ""
    labels: tuple[str, ...] = ()
    """The values of its attributes, in the order of the catalog; '' is an unknown one."""
