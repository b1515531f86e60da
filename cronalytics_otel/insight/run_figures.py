"""What a group of runs comes to: the one record behind each total, row, bar and gauge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..domain.projections import change_against
from ..journal.figures import Dimension
from ..journal.filters import RunFilter
from ..model import FAILED_RUNS, Amounts, Outcome, Trigger, Usage
from .profiles import Profiles
from .windows import Window

TOOK_PLACE = frozenset(Outcome) - {Outcome.MISSED}


class Group(NamedTuple):
    """The sums over the runs with the same outcome and the same trigger."""

    outcome: Outcome
    trigger: Trigger | None
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """The figures of some runs. Missed runs are in `missed` alone, in no other count.

    A cost is a lower bound where `cost_is_lower_bound` says so.
    """

    runs: int
    succeeded: int
    failed: int
    """Runs that took place and did not succeed; the gate of a skipped one did its work."""
    skipped: int
    missed: int
    """Occurrences at which nothing ran."""
    scheduled_runs: int
    """Runs that nobody is known to have started by hand. Older hosts do not write what started a run."""
    manual_runs: int
    success_rate: float | None
    """Succeeded ÷ (succeeded + failed); None without either."""
    duration_s: float
    """The sum of the known durations."""
    mean_duration_s: float | None
    cost_usd: float | None
    """The sum of the known costs; None if there are runs and nothing is known of any."""
    mean_cost_usd: float | None
    """Of a run whose cost is known."""
    cost_is_lower_bound: bool
    priced_runs: int
    unpriced_runs: int
    """Runs of whose cost nothing is known."""
    partial_runs: int
    """Runs whose cost is a lower bound."""
    wasted_usd: float | None
    """The known cost of the runs that failed."""
    wasted_is_lower_bound: bool
    usage: Usage
    outcomes: Mapping[Outcome, int]
    """Runs by outcome, for the outcomes that occurred. A missed run counts once here for each row of
    occurrences."""

    @property
    def tokens(self) -> int:
        return self.usage.total_tokens


class Samples(NamedTuple):
    """The costs that projections are made from."""

    spent: Amounts
    scheduled: Amounts
    failed: Amounts


def figures_of(groups: Sequence[Group]) -> RunFigures:
    """Return the figures of groups together."""
    took_place = [group for group in groups if group.outcome is not Outcome.MISSED]
    total = _sum(took_place)
    outcomes: dict[Outcome, int] = {}
    for group in groups:
        outcomes[group.outcome] = outcomes.get(group.outcome, 0) + group.amounts.runs
    succeeded = outcomes.get(Outcome.SUCCESS, 0)
    failed = sum(outcomes.get(outcome, 0) for outcome in FAILED_RUNS)
    scheduled = sum(group.amounts.runs for group in took_place if _is_scheduled(group))
    wasted = _sum(group for group in took_place if group.outcome in FAILED_RUNS)
    return RunFigures(
        runs=total.runs,
        succeeded=succeeded,
        failed=failed,
        skipped=outcomes.get(Outcome.SKIPPED, 0),
        missed=sum(g.amounts.occurrences for g in groups if g.outcome is Outcome.MISSED),
        scheduled_runs=scheduled,
        manual_runs=total.runs - scheduled,
        success_rate=succeeded / (succeeded + failed) if succeeded + failed else None,
        duration_s=total.duration_s,
        mean_duration_s=total.mean_duration_s,
        cost_usd=total.known_cost_usd,
        mean_cost_usd=total.mean_cost_usd,
        cost_is_lower_bound=total.cost_is_lower_bound,
        priced_runs=total.priced_runs,
        unpriced_runs=total.unpriced_runs,
        partial_runs=total.partial_runs,
        wasted_usd=wasted.known_cost_usd,
        wasted_is_lower_bound=wasted.cost_is_lower_bound,
        usage=total.usage,
        outcomes=dict(sorted(outcomes.items())),
    )


def samples_of(groups: Iterable[Group]) -> Samples:
    """Return what the runs of some groups cost: all of them, the scheduled ones, and those that failed."""
    took_place = [group for group in groups if group.outcome is not Outcome.MISSED]
    failed = (group for group in took_place if group.outcome in FAILED_RUNS)
    return Samples(
        spent=_sum(took_place),
        scheduled=_sum(filter(_is_scheduled, took_place)),
        failed=_sum(failed),
    )


def _sum(groups: Iterable[Group]) -> Amounts:
    return Amounts.sum(group.amounts for group in groups)


def _is_scheduled(group: Group) -> bool:
    return group.trigger is not Trigger.MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """By which part figures changed against the prior window: 0.5 is half as much again. None where the
    prior window has no such figure, or was not observed as a whole."""

    runs: float | None = None
    success_rate: float | None = None
    mean_duration_s: float | None = None
    cost_usd: float | None = None
    mean_cost_usd: float | None = None
    wasted_usd: float | None = None
    tokens: float | None = None
    missed: float | None = None


def changes(now: RunFigures, prior: RunFigures | None, *, is_comparable: bool) -> Changes:
    """Return how the figures changed against the prior window's."""
    if prior is None or not is_comparable:
        return Changes()
    return Changes(
        runs=change_against(now.runs, prior.runs),
        success_rate=change_against(now.success_rate, prior.success_rate),
        mean_duration_s=change_against(now.mean_duration_s, prior.mean_duration_s),
        cost_usd=change_against(now.cost_usd, prior.cost_usd),
        mean_cost_usd=change_against(now.mean_cost_usd, prior.mean_cost_usd),
        wasted_usd=change_against(now.wasted_usd, prior.wasted_usd),
        tokens=change_against(now.tokens, prior.tokens),
        missed=change_against(now.missed, prior.missed),
    )


JobKey: TypeAlias = tuple[str, str]
"""The profile and the id of a job."""


Groups: TypeAlias = Mapping[JobKey, Sequence[Group]]


class WindowSums(NamedTuple):
    """The sums over the runs of each job, in a window and in the one before it."""

    now: Groups
    prior: Groups | None
    """None for a window without a beginning."""


def window_sums(profiles: Profiles, wanted: RunFilter, window: Window) -> WindowSums:
    """Return the sums over the runs that match; two queries for each journal."""
    prior = window.prior
    return WindowSums(
        now=groups_by_job(profiles, wanted, window),
        prior=None if prior is None else groups_by_job(profiles, wanted, prior),
    )


_OUTCOMES = {str(outcome): outcome for outcome in Outcome}
_TRIGGERS = {"": None} | {str(trigger): trigger for trigger in Trigger}


def groups_by_job(profiles: Profiles, wanted: RunFilter, window: Window) -> Groups:
    """Return the sums over the runs of each job in the window; one query for each journal."""
    found: dict[JobKey, list[Group]] = {}
    for profile, journal in profiles:
        sums = journal.figures.runs(
            window.of_runs(wanted), by=[Dimension.JOB, Dimension.OUTCOME, Dimension.TRIGGER]
        )
        for (job_id, outcome, trigger), amounts in sums.items():
            group = Group(_OUTCOMES[outcome], _TRIGGERS[trigger], amounts)
            found.setdefault((profile, job_id), []).append(group)
    return found
