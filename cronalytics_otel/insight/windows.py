"""The window of time that figures are about, and the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..domain.projections import DAY_S, is_comparable
from ..journal.filters import RunFilter
from ..model.times import NS
from .profiles import Profiles, known_since_ns

PERCENTILE_DAYS = 90
"""Percentiles need the runs themselves, so they are of the window's last 90 days at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half open: a run belongs to it by its end."""

    since_ns: int | None
    """None is a window without a beginning: all that is known."""
    until_ns: int
    is_up_to_now: bool
    """Whether it ends now. Then it takes every run from `since_ns` on, also one that a fast clock wrote."""
    is_as_asked: bool = True
    """False if an edge was moved to a midnight; see `in_whole_days` and `for_runs`."""
    prior_since_ns: int | None = None
    """Where the prior window begins, if it was moved."""
    history_since_ns: int | None = None
    """Since when any run is known."""
    runs_since_ns: int | None = None
    """Since when all runs are kept; before, only the sums of days are. None if no run was deleted."""
    is_of_runs: bool = False
    """Whether the question needs the runs themselves, and runs were deleted."""

    @classmethod
    def of(cls, now_ns: int, *, since_ns: int | None = None, until_ns: int | None = None) -> Window:
        """Return the window between two times; without them, from the beginning and up to now."""
        is_up_to_now = until_ns is None or until_ns >= now_ns
        return cls(
            since_ns=since_ns,
            until_ns=now_ns if until_ns is None or is_up_to_now else until_ns,
            is_up_to_now=is_up_to_now,
        )

    @classmethod
    def of_days(cls, days: float, now_ns: int) -> Window:
        """Return the last so many days, each of 86,400 s; 0 is all."""
        return cls.of(now_ns, since_ns=now_ns - round(days * DAY_S * NS) if days else None)

    @property
    def prior(self) -> Window | None:
        """The window of the same length before this one; None without a beginning."""
        if self.since_ns is None:
            return None
        start_ns = self.prior_since_ns
        if start_ns is None:
            start_ns = self.since_ns - (self.until_ns - self.since_ns)
        return Window(
            since_ns=start_ns,
            until_ns=self.since_ns,
            is_up_to_now=False,
            history_since_ns=self.history_since_ns,
            runs_since_ns=self.runs_since_ns,
        )

    def prior_was_observed(self, *, known_since_ns: int | None) -> bool:
        """Return whether the prior window can be compared with this one: what is asked about (a job, or the
        history of all) was known for all of it."""
        if self.prior is None or self.prior.since_ns is None or self.prior_was_deleted:
            return False
        return is_comparable(self.prior.since_ns, known_since_ns)

    @property
    def prior_was_deleted(self) -> bool:
        """Whether the question needs runs of the prior window that were deleted."""
        prior, kept_ns = self.prior, self.runs_since_ns
        if not self.is_of_runs or kept_ns is None or prior is None or prior.since_ns is None:
            return False
        return prior.since_ns < kept_ns

    @property
    def prior_is_known(self) -> bool:
        """Whether the prior window was observed as a whole by the history of all jobs."""
        return self.prior_was_observed(known_since_ns=self.history_since_ns)

    @property
    def for_runs(self) -> Window:
        """The part of it of which all runs are kept: that is what a question is about which the sums of days
        cannot answer."""
        if self.runs_since_ns is None:
            return self
        if self.since_ns is not None and self.since_ns >= self.runs_since_ns:
            return replace(self, is_of_runs=True)
        return replace(
            self,
            since_ns=self.runs_since_ns,
            until_ns=max(self.until_ns, self.runs_since_ns),
            is_as_asked=False,
            prior_since_ns=None,
            is_of_runs=True,
        )

    def for_usage(self, wanted: RunFilter) -> Window:
        """The part of it of which it is known what the models took in the runs that match."""
        return self.for_runs if wanted.needs_runs or wanted.asks_how_it_ran else self

    @property
    def for_percentiles(self) -> Window:
        """The part of it that percentiles are computed of."""
        kept = self.for_runs
        earliest_ns = kept.until_ns - round(PERCENTILE_DAYS * DAY_S * NS)
        if kept.since_ns is not None and kept.since_ns >= earliest_ns:
            return kept
        return replace(kept, since_ns=earliest_ns, prior_since_ns=None)

    def of_runs(self, wanted: RunFilter) -> RunFilter:
        """Return the filter for the runs in this window, and no limit."""
        return replace(
            wanted,
            since_ns=self.since_ns,
            until_ns=None if self.is_up_to_now else self.until_ns,
            limit=None,
        )


def in_whole_days(window: Window, profiles: Profiles) -> Window:
    """Return the window for which the journals have figures.

    Of a day whose runs were deleted only sums are kept. If an edge of the window lies in such a day, the
    window takes the day as a whole. The prior window then begins at the midnight that is nearest to where it
    would begin, so it can be half a day longer or shorter than this one.
    """
    since_ns, until_ns = window.since_ns, window.until_ns
    if since_ns is not None:
        since_ns = min(
            (begin_ns for begin_ns, _ in _deleted_days(since_ns, profiles)), default=since_ns
        )
    if not window.is_up_to_now:
        ends_ns = (end_ns for _, end_ns in _deleted_days(until_ns - 1, profiles))
        until_ns = max(ends_ns, default=until_ns)
    moved = replace(window, since_ns=since_ns, until_ns=until_ns)
    moved = replace(
        moved,
        is_as_asked=moved == window,
        history_since_ns=known_since_ns(profiles),
        runs_since_ns=runs_since_ns(profiles),
    )
    if moved.prior is None or moved.prior.since_ns is None:
        return moved
    start_ns = moved.prior.since_ns
    midnights = [ns for day in _deleted_days(start_ns, profiles) for ns in day]
    nearest_ns = min(midnights, key=lambda ns: abs(ns - start_ns), default=None)
    return replace(moved, prior_since_ns=nearest_ns)


def runs_since_ns(profiles: Profiles) -> int | None:
    """Return since when the journals have all runs; None if none was deleted."""
    kept = (journal.job_runs.complete_since_ns() for _, journal in profiles)
    return max((since_ns for since_ns in kept if since_ns is not None), default=None)


def _deleted_days(at_ns: int, profiles: Profiles) -> Iterator[tuple[int, int]]:
    """Yield the day of a time in each home in which its runs were deleted."""
    for _, journal in profiles:
        day = journal.retention.deleted_day(at_ns)
        if day is not None:
            yield day
