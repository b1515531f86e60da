"""Runs: which ones match, their totals, which one a reference means, and their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..journal import Journal
from ..journal.filters import RunFilter
from ..journal.queries import MAX_FOUND
from ..model import Outcome, Run

LATEST = "latest"
"""The reference that means the newest run of all."""

SHORT_ID_CHARS = 8
"""The length of an execution id in views. It is longer where two runs share these characters."""

_MISSED_PREFIX_CHARS = 4
"""The id of a missed run begins with a word, so that this many more characters tell it apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    runs: list[Run]
    """Newest end first."""
    has_more: bool
    """Whether the limit left some out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotals:
    """The counts and the cost of some runs together."""

    runs: int
    failed: int
    known_cost_usd: float
    """A lower bound if some costs are unknown."""
    unknown_costs: int
    """How many of the runs have a cost that is unknown, wholly or in part."""


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


def list_runs(journal: Journal, wanted: RunFilter) -> RunPage:
    if wanted.limit is None:
        return RunPage(runs=journal.queries.runs(wanted), has_more=False)
    # One more run than asked for shows that there are more.
    found = journal.queries.runs(replace(wanted, limit=wanted.limit + 1))
    return RunPage(runs=found[: wanted.limit], has_more=len(found) > wanted.limit)


def totals_of(runs: Sequence[Run]) -> RunTotals:
    return RunTotals(
        runs=len(runs),
        failed=sum(run.failed for run in runs),
        known_cost_usd=sum(run.known_cost_usd or 0.0 for run in runs),
        unknown_costs=sum(run.cost_is_unknown or run.cost_is_partial for run in runs),
    )


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
