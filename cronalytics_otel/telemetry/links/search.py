"""What a trace explorer is asked, and what it offers to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

from ...config import ExplorerAddress
from ...model import Outcome, Run
from ...model.series import SeriesKind
from ...model.times import NS
from .. import ids
from ..semconv import (
    HERMES_CRON_JOB_ID,
    HERMES_CRON_RUN_FAILED,
    HERMES_CRON_RUN_OUTCOME,
    SERIES_METRICS,
)

DAY_S: Final = 86_400

MOST_LISTED: Final = 10
"""How many runs `slowest` and `most expensive` list."""


class Question(StrEnum):
    """What can be asked about the runs of a job."""

    ALL = "all"
    FAILED = "failed"
    MISSED = "missed"
    SLOWEST = "slowest"
    MOST_EXPENSIVE = "most_expensive"
    SKILL = "skill"
    COST_PER_DAY = "cost_per_day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One question about the runs of one job, or of all jobs of a profile, in the last days."""

    question: Question
    service_name: str
    """`service.name` of the resource."""
    profile: str
    job_id: str | None
    """None means all jobs of the profile. An id is enough without the profile."""
    until_ns: int
    days: int
    skill: str = ""
    """The skill that `Question.SKILL` is about."""
    least_duration_ns: int = 0
    """The slowest runs took at least so long."""
    least_cost_usd: float = 0.0
    """The most expensive runs cost at least so much."""

    @property
    def since_ns(self) -> int:
        return self.until_ns - self.days * DAY_S * NS

    @property
    def least_cost(self) -> str:
        """The least cost with a point and without an exponent, as query languages read it."""
        text = format(Decimal(repr(self.least_cost_usd)), "f")
        return text if "." in text else f"{text}.0"

    @property
    def equalities(self) -> dict[str, str | bool]:
        """The attributes of a run's root span that must have exactly these values."""
        found: dict[str, str | bool] = {}
        if self.job_id is not None:
            found[HERMES_CRON_JOB_ID] = self.job_id
        if self.question is Question.FAILED:
            found[HERMES_CRON_RUN_FAILED] = True
        if self.question is Question.MISSED:
            found[HERMES_CRON_RUN_OUTCOME] = Outcome.MISSED.value
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRef:
    """What a link to the trace of a run needs."""

    trace_id: str
    """32 hexadecimal digits."""
    started_ns: int
    ended_ns: int


def trace_of(run: Run) -> TraceRef:
    return TraceRef(
        trace_id=f"{ids.trace_id(run.profile, run.identity):032x}",
        started_ns=run.started_ns,
        ended_ns=run.ended_ns,
    )


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Return a URL with a query. A blank is `%20`, which every page reads, and what needs no escape has none."""
    return f"{url}?{urlencode(parameters, quote_via=quote, safe=':,@')}"


SearchUrl: TypeAlias = Callable[[ExplorerAddress, Search], str]
TraceUrl: TypeAlias = Callable[[ExplorerAddress, TraceRef], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """How one trace explorer is asked."""

    title: str
    query: Callable[[Search], str]
    """Returns the query as a person types it."""
    search_url: SearchUrl
    trace_url: TraceUrl
    cannot: Mapping[Question, str] = field(default_factory=dict)
    """The questions that it cannot answer, each with what it cannot do."""

    def reason(self, question: Question) -> str | None:
        """Return why it cannot answer; None if it can."""
        unable = self.cannot.get(question)
        return None if unable is None else f"{self.title} cannot {unable}"


METRICS: Final[Mapping[Question, str]] = {
    Question.COST_PER_DAY: SERIES_METRICS[SeriesKind.COST].name,
}
"""The metrics that answer what an explorer cannot."""
