"""The sums over runs, worked out the slow and obvious way."""

from __future__ import annotations

from collections.abc import Iterable

from cronalytics_otel.model import Amounts, Outcome, Run, Usage


def amounts_of(run: Run) -> Amounts:
    """What one run took."""
    has_run = run.outcome is not Outcome.MISSED
    cost_usd = run.known_cost_usd or 0.0
    return Amounts(
        runs=1,
        occurrences=run.missed_count or 1,
        timed_runs=run.duration_s is not None,
        duration_s=run.duration_s or 0.0,
        priced_runs=has_run and not run.cost_is_unknown,
        cost_usd=cost_usd,
        cost_usd_squared=cost_usd**2,
        unpriced_runs=has_run and run.cost_is_unknown,
        partial_runs=has_run and run.cost_is_partial,
        usage=run.usage or Usage(),
    )


def took_place(runs: Iterable[Run]) -> Amounts:
    """What the runs took that were not missed."""
    return Amounts.sum(amounts_of(run) for run in runs if run.outcome is not Outcome.MISSED)
