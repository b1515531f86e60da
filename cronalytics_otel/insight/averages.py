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
    average,
    averages,
    totals_by_model,
    totals_by_skill,
)
from ..journal import Journal
from ..journal.filters import RunFilter
from ..model import Outcome
from ..model.times import NS
from .profiles import Profiles
from .windows import Window, in_whole_days

_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFigures:
    """One skill with one model: its runs in a window, and what a run with it is like lately."""

    skill: str
    model: str | None
    provider: str | None
    runs: int
    """In the window, as the cost."""
    average: Average
    """As of the end of the window."""
    cost_usd: float | None
    """The skill's share of the known costs of these runs; None if the cost of none is known."""
    cost_is_lower_bound: bool
    """Whether the cost of some run is not known, wholly or in part."""


def skill_figures(profiles: Profiles, wanted: RunFilter, window: Window) -> list[SkillFigures]:
    """Return the figures of each skill with each model in a window, the most expensive first.

    The cost of a run is split evenly over its skills. A filter for skills leaves the others out. The
    averages are of the 14 days up to the end of the window.
    """
    since_ns = window.since_ns
    recent_ns = min(_since_ns(journal, window.until_ns) for _, journal in profiles)
    all_since_ns = None if since_ns is None else min(since_ns, recent_ns)
    read = list(_agent_runs(profiles, replace(window.of_runs(wanted), since_ns=all_since_ns)))
    in_window = totals_by_skill(
        run for ended_ns, run in read if since_ns is None or ended_ns >= since_ns
    )
    # Days that are too old for the averages have no weight in them.
    totals = totals_by_skill(run for _, run in read)
    today = _today(profiles, window.until_ns)
    found = [
        _figures(key, key.skill, average(totals[key].values(), today), days.values())
        for key, days in in_window.items()
        if key.skill is not None and (wanted.skills is None or key.skill in wanted.skills)
    ]
    return sorted(found, key=lambda one: (-(one.cost_usd or 0.0), one.skill, str(one.model)))


def _figures(
    key: AverageKey, skill: str, recent: Average, days: Collection[DayTotals]
) -> SkillFigures:
    is_known = any(day.priced_runs for day in days)
    return SkillFigures(
        skill=skill,
        model=key.model,
        provider=key.provider,
        runs=sum(day.runs for day in days),
        average=recent,
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
    since_ns = min(_since_ns(journal, now_ns) for _, journal in profiles)
    recent = replace(wanted, since_ns=since_ns, until_ns=None, limit=None)
    totals = totals_by_model(run for _, run in _agent_runs(profiles, recent))
    return averages(totals, _today(profiles, now_ns))


def _today(profiles: Profiles, now_ns: int) -> int:
    return profiles[0].journal.figures.day_of(now_ns) + _EPOCH_DAY


def _since_ns(journal: Journal, now_ns: int) -> int:
    calendar = journal.figures
    return calendar.midnight_ns(calendar.day_of(now_ns) - DAYS + 1)


def _where_complete(wanted: RunFilter, journal: Journal) -> RunFilter:
    """Leave out the time of which only some runs were kept: they say how a job stands, and no average."""
    kept_ns = journal.job_runs.complete_since_ns()
    if kept_ns is None or (wanted.since_ns or 0) >= kept_ns:
        return wanted
    return replace(wanted, since_ns=kept_ns)


def _agent_runs(profiles: Profiles, wanted: RunFilter) -> Iterator[tuple[int, AgentRun]]:
    """Yield the runs of agents that match, each with its end (epoch ns)."""
    for _, journal in profiles:
        calendar = journal.figures
        for run in journal.job_runs.agent_runs(_where_complete(wanted, journal)):
            yield (
                run.ended_ns,
                AgentRun(
                    day=calendar.day_of(run.ended_ns) + _EPOCH_DAY,
                    skills=run.skills,
                    model=run.model,
                    provider=run.provider,
                    succeeded=run.outcome is Outcome.SUCCESS,
                    duration_s=None if run.duration_ns is None else run.duration_ns / NS,
                    cost_usd=run.cost_usd,
                    cost_is_partial=bool(run.cost_is_partial),
                ),
            )
