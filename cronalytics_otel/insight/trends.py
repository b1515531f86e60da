"""The figures of each day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ..journal.figures import Dimension
from ..journal.filters import RunFilter
from ..model import Outcome, Trigger
from .profiles import Profiles, known_since_ns
from .run_figures import Group, RunFigures, figures_of
from .windows import Window

_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """The figures of the runs that ended on one day, in the home's time zone."""

    day: date
    is_whole: bool
    """Whether the window holds all of the day."""
    figures: RunFigures
    groups: tuple[Group, ...]
    """The sums that the figures are made of."""


def total_of(days: Iterable[DayFigures]) -> RunFigures:
    """Return the figures of all days together."""
    return figures_of([group for day in days for group in day.groups])


def daily_figures(profiles: Profiles, wanted: RunFilter, window: Window) -> list[DayFigures]:
    """Return the figures of each day, oldest first: also of days without runs, but for those before the
    oldest run that is known, of which nobody knows whether anything ran."""
    groups: dict[int, list[Group]] = {}
    for _, journal in profiles:
        sums = journal.figures.runs(
            window.of_runs(wanted), by=[Dimension.DAY, Dimension.OUTCOME, Dimension.TRIGGER]
        )
        for (day, outcome, trigger), amounts in sums.items():
            group = Group(Outcome(outcome), Trigger(trigger) if trigger else None, amounts)
            groups.setdefault(day, []).append(group)
    calendar = profiles[0].journal.figures
    known = sorted(groups)
    oldest_ns = known_since_ns(profiles)
    if window.since_ns is not None and oldest_ns is not None and oldest_ns < window.until_ns:
        known.insert(0, calendar.day_of(max(window.since_ns, oldest_ns)))
    if not known:
        return []
    last = max(known[-1], calendar.day_of(window.until_ns - 1))
    return [
        DayFigures(
            day=date.fromordinal(day + _EPOCH_DAY),
            is_whole=(
                (window.since_ns is None or calendar.midnight_ns(day) >= window.since_ns)
                and calendar.midnight_ns(day + 1) <= window.until_ns
            ),
            figures=figures_of(groups.get(day, [])),
            groups=tuple(groups.get(day, [])),
        )
        for day in range(min(known), last + 1)
    ]
