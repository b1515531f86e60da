"""Recent averages per skill and per model, of the last 14 days."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date

from ..domain.averages import (
    DAYS,
    AgentRun,
    Average,
    AverageKey,
    DayTotals,
    averages,
    totals_by_model,
    totals_by_skill,
)
from ..journal import Journal
from ..journal.filters import RunFilter
from ..model import Outcome
from ..model.times import NS
from .profiles import Profiles
from .windows import Window, in_whole_days, runs_since_ns

_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFigures:
    """One skill with one model: what a run with it is like lately."""

    skill: str
    model: str | None
    provider: str | None
    average: Average
    cost_usd: float | None
    """The skill's share of the known costs of these runs; None if the cost of none is known."""
    cost_is_lower_bound: bool
    """Whether the cost of some run is not known, wholly or in part."""


def skill_figures(profiles: Profiles, wanted: RunFilter, now_ns: int) -> list[SkillFigures]:
    """Return the figures of each skill with each model in the last 14 days, the most expensive first.

    The cost of a run is split evenly over its skills. A filter for skills leaves the others out.
    """
    totals = totals_by_skill(_agent_runs(profiles, wanted, now_ns))
    found = [
        _figures(key, key.skill, average, totals[key].values())
        for key, average in averages(totals, _today(profiles, now_ns)).items()
        if key.skill is not None and (wanted.skills is None or key.skill in wanted.skills)
    ]
    return sorted(found, key=lambda one: (-(one.cost_usd or 0.0), one.skill, str(one.model)))


def _figures(
    key: AverageKey, skill: str, average: Average, days: Collection[DayTotals]
) -> SkillFigures:
    is_known = any(day.priced_runs for day in days)
    return SkillFigures(
        skill=skill,
        model=key.model,
        provider=key.provider,
        average=average,
        cost_usd=sum(day.cost_usd for day in days) if is_known else None,
        cost_is_lower_bound=any(day.inexact_runs for day in days),
    )


def recent_window(profiles: Profiles, now_ns: int) -> Window:
    """Return the window of the averages: the last 14 calendar days, today among them; of these, those
    whose runs are all kept."""
    since_ns = min(_since_ns(journal, now_ns) for _, journal in profiles)
    return in_whole_days(Window.of(now_ns, since_ns=since_ns), profiles).for_runs


def model_averages(profiles: Profiles, wanted: RunFilter, now_ns: int) -> dict[AverageKey, Average]:
    """Return the averages of each model that did most of a run in the last 14 days."""
    totals = totals_by_model(_agent_runs(profiles, wanted, now_ns))
    return averages(totals, _today(profiles, now_ns))


def _today(profiles: Profiles, now_ns: int) -> int:
    return profiles[0].journal.figures.day_of(now_ns) + _EPOCH_DAY


def _since_ns(journal: Journal, now_ns: int) -> int:
    calendar = journal.figures
    return calendar.midnight_ns(calendar.day_of(now_ns) - DAYS + 1)


def _agent_runs(profiles: Profiles, wanted: RunFilter, now_ns: int) -> Iterator[AgentRun]:
    # Older runs that stay say how a job stands, and nothing of an average.
    kept_ns = runs_since_ns(profiles) or 0
    for _, journal in profiles:
        calendar = journal.figures
        since_ns = max(_since_ns(journal, now_ns), kept_ns)
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
                cost_is_partial=bool(run.cost_is_partial),
            )
