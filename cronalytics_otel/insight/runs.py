"""Runs: which ones match, their totals, which one a reference means, and their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice, repeat

from ..journal import Journal
from ..journal.figures import Dimension
from ..journal.filters import RunFilter
from ..journal.queries import MAX_FOUND, RunOrder
from ..model import Outcome, Run, Trigger
from .profiles import Profiles
from .run_figures import Group, RunFigures, figures_of

LATEST = "latest"
"""The reference that means the newest run of all."""

SHORT_ID_CHARS = 8
"""The length of an execution id in views. It is longer where two runs share these characters."""

_MISSED_PREFIX_CHARS = 4
"""The id of a missed run begins with a word, so that this many more characters tell it apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCount:
    """How many runs match, and what they come to."""

    rows: int
    """Runs, missed ones included."""
    kept: int
    """Those that are still there, a row of a table each; the others were deleted, and only sums are kept."""
    figures: RunFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The runs before and after a run, and those that it was fed by."""

    previous: Run | None
    """The job's run that began last before it."""
    following: Run | None
    """The job's run that began first after its end."""
    sources: list[Run]
    """The runs of other jobs whose outputs it was given."""


class NoRunError(LookupError):
    """No run and no job matches the reference."""


class AmbiguousRunError(LookupError):
    """The reference is the beginning of the ids of several runs."""

    def __init__(self, candidates: Sequence[Run]) -> None:
        super().__init__(f"{len(candidates)} runs match")
        self.candidates = sorted(candidates, key=lambda run: -run.started_ns)
        """Newest start first."""
        self.may_have_more = len(candidates) >= MAX_FOUND
        """Whether there may be more candidates than these."""


def count_runs(profiles: Profiles, wanted: RunFilter) -> RunCount:
    """Return how many runs match and what they come to, whatever the limit is."""
    groups = [
        Group(Outcome(outcome), Trigger(trigger) if trigger else None, amounts)
        for _, journal in profiles
        for (outcome, trigger), amounts in journal.figures.runs(
            wanted, by=[Dimension.OUTCOME, Dimension.TRIGGER]
        ).items()
    ]
    figures = figures_of(groups)
    rows = sum(figures.outcomes.values())
    was_pruned = any(journal.job_runs.complete_since_ns() for _, journal in profiles)
    return RunCount(
        rows=rows,
        kept=sum(journal.queries.count(wanted) for _, journal in profiles) if was_pruned else rows,
        figures=figures,
    )


def in_order(
    profiles: Profiles, wanted: RunFilter, order: RunOrder = RunOrder.ENDED
) -> Iterator[tuple[str, Run]]:
    """Yield the runs that match with the names of their profiles, the greatest first, at most `limit`."""
    streams = [
        zip(repeat(profile), journal.queries.in_order(wanted, order))
        for profile, journal in profiles
    ]
    if len(streams) == 1:
        return streams[0]
    key = _KEYS[order]
    merged = merge(*streams, key=lambda pair: (-(key(pair[1]) or 0.0), -pair[1].ended_ns))
    return islice(merged, wanted.limit)


_KEYS: dict[RunOrder, Callable[[Run], float | None]] = {
    RunOrder.ENDED: lambda run: run.ended_ns,
    RunOrder.COST: lambda run: run.known_cost_usd,
    RunOrder.DURATION: lambda run: run.duration_s,
    RunOrder.TOKENS: lambda run: run.total_tokens,
    RunOrder.LATENESS: lambda run: run.lateness_s,
}


def find_run(journal: Journal, reference: str) -> Run:
    """Return the run that a person means.

    `reference` is an execution or session id, the beginning of one, a job's name or id (for its
    latest run), or `latest`. An exact id wins over a job, and a job over the beginning of an id.
    Raises `NoRunError` or `AmbiguousRunError`.
    """
    queries = journal.queries
    if reference == LATEST:
        newest = queries.runs(RunFilter(limit=1))
        if newest:
            return newest[0]
        raise NoRunError(reference)
    candidates = queries.find(reference)
    exact = [run for run in candidates if reference in (run.execution_id, run.session_id)]
    if len(exact) == 1:
        return exact[0]
    of_job = queries.latest_of(reference)
    if of_job is not None:
        return of_job
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise AmbiguousRunError(candidates)
    raise NoRunError(reference)


def short_id(journal: Journal, run: Run) -> str:
    """Return the shortest beginning of the run's id that `find_run` takes for this run and no other.

    A session id is not cut: only its end differs from the job's other sessions.
    """
    if run.execution_id is None or run.left_output_only:
        return run.run_id
    prefix_chars = _MISSED_PREFIX_CHARS if run.outcome is Outcome.MISSED else 0
    shared_chars = journal.queries.shared_chars(run.execution_id)
    return run.execution_id[: max(SHORT_ID_CHARS + prefix_chars, shared_chars + 1)]


def neighbours(journal: Journal, run: Run) -> Neighbours:
    queries = journal.queries
    return Neighbours(
        previous=queries.previous(run),
        following=queries.following(run),
        sources=queries.context_runs(run),
    )
