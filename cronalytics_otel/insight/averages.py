"""Recent averages per skill and per model, of the last 14 days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from ..domain.averages import (
    DAYS,
    AgentRun,
    Average,
    AverageKey,
    averages,
    totals_by_model,
    totals_by_skill,
)
from ..journal.filters import RunFilter
from ..model import Outcome
from ..model.times import NS
from .profiles import Profiles

_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFigures:
    """One skill with one model: what a run with it is like lately."""

    skill: str
    model: str | None
    provider: str | None
    average: Average
    cost_usd: float
    """The skill's share of the known costs of these runs."""


def skill_figures(profiles: Profiles, wanted: RunFilter, now_ns: int) -> list[SkillFigures]:
    """Return the figures of each skill with each model in the last 14 days, the most expensive first.

    The cost of a run is split evenly over its skills. A filter for skills leaves the others out.
    """
    totals = totals_by_skill(_agent_runs(profiles, wanted, now_ns))
    found = [
        SkillFigures(
            skill=key.skill,
            model=key.model,
            provider=key.provider,
            average=average,
            cost_usd=sum(day.cost_usd for day in totals[key].values()),
        )
        for key, average in averages(totals, _today(profiles, now_ns)).items()
        if key.skill is not None and (wanted.skills is None or key.skill in wanted.skills)
    ]
    return sorted(found, key=lambda one: (-one.cost_usd, one.skill, str(one.model)))


def model_averages(profiles: Profiles, wanted: RunFilter, now_ns: int) -> dict[AverageKey, Average]:
    """Return the averages of each model that did most of a run in the last 14 days."""
    totals = totals_by_model(_agent_runs(profiles, wanted, now_ns))
    return averages(totals, _today(profiles, now_ns))


def _today(profiles: Profiles, now_ns: int) -> int:
    return profiles[0].journal.figures.day_of(now_ns) + _EPOCH_DAY


def _agent_runs(profiles: Profiles, wanted: RunFilter, now_ns: int) -> Iterator[AgentRun]:
    for _, journal in profiles:
        calendar = journal.figures
        since_ns = calendar.midnight_ns(calendar.day_of(now_ns) - DAYS + 1)
        kept_ns = journal.job_runs.complete_since_ns()
        if (
            kept_ns is not None
        ):  # older runs that stay say how a job stands, and nothing of an average
            since_ns = max(since_ns, kept_ns)
        recent = replace(wanted, since_ns=since_ns, until_ns=None, limit=None)
        for run in journal.job_runs.agent_runs(recent):
            yield AgentRun(
                day=calendar.day_of(run.ended_ns) + _EPOCH_DAY,
                skills=run.skills,
                model=run.model,
                provider=run.provider,
                succeeded=run.outcome is Outcome.SUCCESS,
                duration_s=None if run.duration_ns is None else run.duration_ns / NS,
                cost_usd=run.cost_usd,
            )
