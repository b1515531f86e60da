"""What was spent of each budget, and which run exceeds its limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.domain.budgets import (
    BudgetState,
    JobSpending,
    Period,
    Scope,
    Spending,
    budget_states,
    is_over_run_budget,
    period_start_ns,
)
from cronalytics_otel.domain.projections import NOTHING, CostEstimate, Horizon
from cronalytics_otel.model import Amounts, Budget, Budgets, CostStatus, Mode, Run
from cronalytics_otel.model.times import ns_of
from tests.support.cli import DIGEST

BERLIN = ZoneInfo("Europe/Berlin")


def spent(usd: float, *, unpriced: int = 0, partial: int = 0, rest: float | None = 0.0) -> Spending:
    return Spending(
        so_far=Amounts(
            runs=10 + unpriced, priced_runs=10, unpriced_runs=unpriced, partial_runs=partial,
            cost_usd=usd, cost_usd_squared=usd**2,
        ),
        rest=CostEstimate(usd=rest),
    )  # fmt: skip


def state(spending: Spending, limit: float = 10.0) -> BudgetState:
    (found,) = budget_states(
        Budgets(home=Budget(month=limit)), home={Period.MONTH: spending}, jobs=[]
    )
    return found


def test_a_budget_has_a_used_and_a_forecast_share() -> None:
    found = state(spent(4, rest=8))

    assert (found.used_usd, found.used_share, found.over) == (4, 0.4, False)
    assert (found.forecast_usd, found.forecast_share, found.forecast_over) == (12, 1.2, True)
    assert (found.scope, found.period, found.job_id) == (Scope.ALL, Period.MONTH, None)


def test_just_the_limit_is_not_over_it() -> None:
    assert state(spent(10)).over is False
    assert state(spent(10.01)).over is True


@pytest.mark.parametrize("incomplete", [{"unpriced": 1}, {"partial": 1}])
def test_a_lower_bound_beyond_the_limit_is_over_and_below_it_nobody_knows(
    incomplete: dict[str, int],
) -> None:
    assert state(spent(11, **incomplete)).over is True
    assert state(spent(9, **incomplete)).over is None
    assert state(spent(9, **incomplete)).forecast_over is None


def test_nothing_is_known_of_a_budget_if_no_cost_is() -> None:
    unknown = Spending(so_far=Amounts(runs=3, unpriced_runs=3), rest=CostEstimate(usd=None))
    found = state(unknown)

    assert (found.used_usd, found.used_share, found.over) == (None, None, None)
    assert (found.forecast_usd, found.forecast_share, found.forecast_over) == (None, None, None)


def test_a_forecast_without_a_projection_is_what_is_spent_and_may_be_more() -> None:
    found = state(spent(4, rest=None))
    assert (found.forecast_usd, found.forecast_over) == (4, None)
    assert state(spent(11, rest=None)).forecast_over is True


def test_a_period_without_runs_is_at_zero() -> None:
    found = state(Spending(so_far=Amounts(), rest=NOTHING))
    assert (found.used_usd, found.used_share, found.over) == (0, 0, False)


def test_each_limit_per_day_and_month_has_a_state() -> None:
    budgets = Budgets(
        home=Budget(run=1, day=3, month=50),
        jobs={"nightly digest": Budget(month=10), "b": Budget(run=1)},
    )
    both = {Period.DAY: spent(1), Period.MONTH: spent(5)}
    jobs = [
        JobSpending(job_id="a", job_name="nightly digest", by_period=both),
        JobSpending(job_id="b", job_name="other", by_period=both),
        JobSpending(job_id="c", job_name="third", by_period=both),
    ]

    found = budget_states(budgets, home=both, jobs=jobs)

    assert [(one.scope, one.period, one.job_id, one.limit_usd) for one in found] == [
        (Scope.ALL, Period.DAY, None, 3),
        (Scope.ALL, Period.MONTH, None, 50),
        (Scope.JOB, Period.MONTH, "a", 10),
    ]


def test_without_budgets_there_are_no_states() -> None:
    assert budget_states(Budgets(), home={Period.DAY: spent(1)}, jobs=[]) == []


def test_a_job_s_id_wins_over_its_name_and_its_run_limit_over_the_home_s() -> None:
    budgets = Budgets(
        home=Budget(run=1),
        jobs={"digest": Budget(run=2), "a": Budget(run=3), "b": Budget(month=5)},
    )
    assert budgets.run_limit_usd("a", "digest") == 3
    assert budgets.run_limit_usd("x", "digest") == 2
    assert budgets.run_limit_usd("b", "other") == 1
    assert budgets.of_job("x", "y") == Budget()
    assert Budgets().run_limit_usd("a", "digest") is None


def cost(usd: float | None, status: CostStatus | None) -> Run:
    return replace(DIGEST, cost_usd=usd, cost_status=status)


@pytest.mark.parametrize(
    ("run", "over"),
    [
        (cost(1.01, CostStatus.ESTIMATED), True),
        (cost(1.0, CostStatus.ESTIMATED), False),
        (cost(1.01, CostStatus.PARTIAL), True),
        (cost(0.99, CostStatus.PARTIAL), None),
        (cost(0.0, CostStatus.UNKNOWN), None),
        (cost(None, None), None),
        (cost(None, CostStatus.INCLUDED), False),
        (replace(cost(None, None), mode=Mode.SCRIPT), False),
    ],
)
def test_a_run_is_over_its_budget_within_it_or_nobody_knows(run: Run, *, over: bool | None) -> None:
    assert is_over_run_budget(run, 1.0) is over
    assert is_over_run_budget(run, None) is None


def test_a_period_begins_at_midnight_in_the_home_s_zone() -> None:
    now_ns = ns_of(datetime(2026, 4, 30, 23, 30, tzinfo=UTC))  # 1 May in Berlin

    assert period_start_ns(Period.DAY, now_ns, BERLIN) == ns_of(datetime(2026, 5, 1, tzinfo=BERLIN))
    assert period_start_ns(Period.MONTH, now_ns, BERLIN) == ns_of(
        datetime(2026, 5, 1, tzinfo=BERLIN)
    )
    assert period_start_ns(Period.MONTH, now_ns, UTC) == ns_of(datetime(2026, 4, 1, tzinfo=UTC))
    assert [period.horizon for period in Period] == [Horizon.DAY, Horizon.MONTH]
