"""What a job costs and will cost, by hand-worked cases. docs/projections.md explains each formula."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.projections import (
    NOTHING,
    CostEstimate,
    Horizon,
    Projection,
    adherence,
    change_against,
    expected_cost,
    horizon_ends,
    is_comparable,
    observed_s,
    project,
    project_all,
    sum_of_estimates,
)
from cronalytics_otel.model import Amounts, CostStatus, Mode, Outcome
from cronalytics_otel.model.times import NS, ns_of
from tests.support.amounts import took_place
from tests.support.cli import DIGEST

DAY_S = 86_400.0
DAY_NS = 86_400 * NS
BERLIN = ZoneInfo("Europe/Berlin")
NOW_NS = ns_of(datetime(2026, 5, 4, 9, tzinfo=UTC))
ENDS_NS = horizon_ends(NOW_NS, UTC)


def sample(*costs_usd: float | None, partial: int = 0) -> Amounts:
    """Runs with these costs; None is unknown."""
    known = [cost for cost in costs_usd if cost is not None]
    return Amounts(
        runs=len(costs_usd),
        priced_runs=len(known),
        unpriced_runs=len(costs_usd) - len(known),
        partial_runs=partial,
        cost_usd=sum(known),
        cost_usd_squared=sum(cost**2 for cost in known),
    )


def projected(
    spent: Amounts,
    *,
    scheduled: Amounts | None = None,
    failed: Amounts | None = None,
    days: float | None = 30,
    expected: int | None = 30,
    runs: int = 30,
    goes_on: bool = True,
    calls_model: bool = True,
) -> Projection:
    """A job that is due once a day, if nothing else is said."""
    return project(
        spent=spent,
        scheduled=spent if scheduled is None else scheduled,
        failed=failed or Amounts(),
        observed_s=None if days is None else days * DAY_S,
        expected_runs=expected,
        upcoming={Horizon.DAYS_30: runs, Horizon.DAYS_365: runs * 12},
        goes_on=goes_on,
        calls_model=calls_model,
        now_ns=NOW_NS,
        ends_ns=ENDS_NS,
    )


# Horizons.


def test_days_are_counted_from_now_and_today_and_this_month_end_at_midnight_in_the_home_s_zone() -> (
    None
):
    ends = horizon_ends(ns_of(datetime(2026, 10, 24, 12, tzinfo=BERLIN)), BERLIN)

    assert ends == {
        # Clocks go back on the 25th: 30 days of 24 hours end at 11 by the clock.
        Horizon.DAYS_30: ns_of(datetime(2026, 11, 23, 11, tzinfo=BERLIN)),
        Horizon.DAYS_90: ns_of(datetime(2027, 1, 22, 11, tzinfo=BERLIN)),
        Horizon.DAYS_365: ns_of(datetime(2027, 10, 24, 12, tzinfo=BERLIN)),
        Horizon.DAY: ns_of(datetime(2026, 10, 25, tzinfo=BERLIN)),
        Horizon.MONTH: ns_of(datetime(2026, 11, 1, tzinfo=BERLIN)),
    }


@pytest.mark.parametrize(
    ("now", "month_ends"),
    [((2026, 12, 31), (2027, 1, 1)), ((2028, 2, 29), (2028, 3, 1)), ((2026, 1, 1), (2026, 2, 1))],
)
def test_a_month_ends_where_the_next_one_begins(
    now: tuple[int, int, int], month_ends: tuple[int, int, int]
) -> None:
    ends = horizon_ends(ns_of(datetime(*now, 23, 59, tzinfo=UTC)), UTC)
    assert ends[Horizon.MONTH] == ns_of(datetime(*month_ends, tzinfo=UTC))


# How long a job was observed.


def seen(days: float | None, *, known: float | None = None) -> float | None:
    """The observed days of a window of `days` that ends now; it is known since so many days ago."""

    def ago(value: float | None) -> int | None:
        return None if value is None else NOW_NS - round(value * DAY_NS)

    found = observed_s(ago(days), NOW_NS, known_since_ns=ago(known))
    return None if found is None else found / DAY_S


def test_an_old_job_was_observed_for_the_whole_window() -> None:
    assert seen(30, known=400) == 30
    assert seen(30, known=30) == 30


def test_a_job_younger_than_the_window_was_observed_for_its_age() -> None:
    assert seen(30, known=3) == 3
    assert seen(30, known=5) == 5


def test_a_window_without_a_beginning_is_as_long_as_the_job_is_old() -> None:
    assert seen(None, known=400) == 400
    assert seen(None, known=90) == 90


def test_a_job_of_a_few_minutes_counts_as_a_day_old() -> None:
    assert seen(30, known=0.01) == 1
    assert seen(None, known=0.01) == 1


def test_a_window_shorter_than_a_day_is_taken_whole() -> None:
    assert seen(0.25, known=400) == 0.25
    assert seen(0.25, known=0.1) == 0.25


def test_a_job_of_which_nothing_is_known_was_not_observed() -> None:
    assert seen(None) is None
    assert seen(30, known=-1) is None


def test_without_a_known_age_a_job_was_there_for_the_window() -> None:
    assert seen(30) == 30


# The sums over runs.

SCRIPT = replace(DIGEST, mode=Mode.SCRIPT, cost_usd=None, cost_status=None, api_calls=None)
UNKNOWN = replace(DIGEST, cost_usd=0.0, cost_status=CostStatus.UNKNOWN)
PARTIAL = replace(DIGEST, cost_usd=0.25, cost_status=CostStatus.PARTIAL)
PRICED = replace(DIGEST, cost_usd=0.5, cost_status=CostStatus.ACTUAL)
INCLUDED = replace(DIGEST, cost_usd=None, cost_status=CostStatus.INCLUDED)
MISSED = replace(DIGEST, outcome=Outcome.MISSED, cost_usd=None, cost_status=None)


def test_runs_are_priced_partly_priced_or_unpriced() -> None:
    costs = took_place([PRICED, PRICED, PARTIAL, UNKNOWN])
    assert (costs.runs, costs.priced_runs, costs.unpriced_runs, costs.partial_runs) == (4, 3, 1, 1)
    assert (costs.cost_usd, costs.cost_usd_squared) == (1.25, 0.5625)


def test_a_script_costs_nothing_and_is_not_unknown() -> None:
    for free in (SCRIPT, INCLUDED, replace(UNKNOWN, outcome=Outcome.SKIPPED, cost_status=None)):
        costs = took_place([free])
        assert (costs.runs, costs.priced_runs, costs.known_cost_usd) == (1, 1, 0)


def test_a_missed_run_is_no_run() -> None:
    assert took_place([MISSED, PRICED]) == took_place([PRICED])


def test_what_is_unknown_is_counted_and_is_never_zero() -> None:
    unknown = took_place([UNKNOWN])
    assert (unknown.unpriced_runs, unknown.known_cost_usd, unknown.mean_cost_usd) == (1, None, None)
    assert (Amounts().known_cost_usd, Amounts().mean_cost_usd) == (0, None)


@given(st.lists(st.floats(0, 100), max_size=8), st.lists(st.floats(0, 100), max_size=8))
def test_sums_of_parts_are_the_sums_of_the_whole(one: list[float], other: list[float]) -> None:
    whole, parts = sample(*one, *other), Amounts.sum([sample(*one), sample(*other)])
    assert (whole.runs, whole.priced_runs) == (parts.runs, parts.priced_runs)
    assert whole.cost_usd == pytest.approx(parts.cost_usd)


def test_the_deviation_is_that_of_a_sample() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9: the squares of the distances from 5 sum up to 32."""
    deviation = sample(2, 4, 4, 4, 5, 5, 7, 9).cost_deviation_usd
    assert deviation == pytest.approx(math.sqrt(32 / 7))


@given(st.floats(0, 1000), st.integers(2, 500))
def test_equal_costs_have_hardly_any_deviation(cost_usd: float, runs: int) -> None:
    """A sum of squares loses some digits, and must not go below 0."""
    deviation = sample(*[cost_usd] * runs).cost_deviation_usd
    assert deviation is not None
    assert 0 <= deviation <= 1e-5 * max(cost_usd, 1)


# Estimates.


def test_an_estimate_has_the_spread_of_the_runs_and_the_doubt_about_their_mean() -> None:
    """Four runs of 1, 1, 3, 3: mean 2, sd √(4÷3). Ten more: 20 ± 1.96 · sd · √(10 + 100÷4)."""
    found = expected_cost(sample(1, 1, 3, 3), 10, is_lower_bound=False)

    margin = 1.96 * math.sqrt(4 / 3) * math.sqrt(35)
    assert found.usd == 20
    assert found.low_usd == pytest.approx(20 - margin)
    assert found.high_usd == pytest.approx(20 + margin)


def test_a_range_is_never_below_zero() -> None:
    found = expected_cost(sample(0, 0, 0, 9), 1, is_lower_bound=False)
    assert (found.usd, found.low_usd) == (2.25, 0)


def test_equal_runs_have_no_spread() -> None:
    assert expected_cost(sample(2, 2, 2), 10, is_lower_bound=False) == CostEstimate(
        usd=20, low_usd=20, high_usd=20
    )


def test_one_priced_run_gives_a_cost_without_a_range() -> None:
    assert expected_cost(sample(2, None), 10, is_lower_bound=False) == CostEstimate(usd=20)


def test_no_priced_run_gives_no_cost() -> None:
    assert expected_cost(sample(None, None), 10, is_lower_bound=False) == CostEstimate(usd=None)
    assert expected_cost(Amounts(), 10, is_lower_bound=False) == CostEstimate(usd=None)


def test_no_runs_cost_nothing_whatever_is_known() -> None:
    assert expected_cost(sample(None), 0, is_lower_bound=True) == NOTHING


def test_jobs_together_vary_less_than_each() -> None:
    """Margins of 3 and 4 make 5."""
    one = CostEstimate(usd=10, low_usd=7, high_usd=13)
    other = CostEstimate(usd=20, low_usd=16, high_usd=24)
    assert sum_of_estimates([one, other]) == CostEstimate(usd=30, low_usd=25, high_usd=35)


def test_a_sum_with_an_unknown_part_is_a_lower_bound() -> None:
    one = CostEstimate(usd=10, low_usd=7, high_usd=13)
    unknown = CostEstimate(usd=None)
    assert sum_of_estimates([one, unknown]) == replace(one, is_lower_bound=True)
    assert sum_of_estimates([unknown]) == CostEstimate(usd=None, is_lower_bound=True)
    assert sum_of_estimates([]) == NOTHING


def test_a_sum_has_a_range_only_if_every_part_has() -> None:
    one = CostEstimate(usd=10, low_usd=7, high_usd=13)
    assert sum_of_estimates([one, CostEstimate(usd=5)]) == CostEstimate(usd=15)
    assert sum_of_estimates([one, NOTHING]) == one


# A job's projection.


def test_nominal_is_the_mean_of_a_scheduled_run_times_the_runs_that_are_scheduled() -> None:
    month = projected(sample(*[0.5] * 10), runs=30).outlook[Horizon.DAYS_30]
    assert (month.scheduled_runs, month.nominal.usd) == (30, 15)


def test_trend_is_the_cost_of_the_window_carried_on() -> None:
    found = projected(sample(*[0.5] * 10), days=15)
    assert found.outlook[Horizon.DAYS_30].trend.usd == pytest.approx(10)
    assert found.outlook[Horizon.DAYS_365].trend.usd == pytest.approx(5 / 15 * 365)


def test_a_young_job_is_not_understated() -> None:
    """Three days old, daily, $1 a run: $30 a month, and not 3 ÷ 30 · 30 = $3."""
    days = seen(30, known=3)
    assert projected(sample(1, 1, 1), days=days).outlook[Horizon.DAYS_30].trend.usd == 30


def test_pace_compares_what_is_spent_with_what_is_scheduled() -> None:
    """Thirty scheduled runs of $1 and thirty manual ones: twice the plan."""
    scheduled = sample(*[1.0] * 30)
    found = projected(Amounts.sum([scheduled, scheduled]), scheduled=scheduled)
    assert found.pace == pytest.approx(2)
    assert projected(scheduled).pace == pytest.approx(1)


def test_pace_has_no_meaning_without_a_nominal_cost() -> None:
    assert projected(sample(0, 0)).pace is None
    assert projected(sample(None)).pace is None
    assert projected(Amounts()).pace is None
    assert projected(sample(1, 1), scheduled=Amounts()).pace is None


def test_pace_is_a_lower_bound_where_the_trend_alone_is_one() -> None:
    exact = projected(sample(*[1.0] * 30))
    unknown = projected(sample(*[1.0] * 30, None))
    partial = projected(sample(*[1.0] * 30, partial=1))
    nothing = projected(sample(None))

    assert [each.pace for each in (exact, unknown, partial, nothing)] == [1, 1, 1, None]
    assert [each.pace_is_lower_bound for each in (exact, unknown, partial, nothing)] == [
        False, True, False, False,
    ]  # fmt: skip


def test_adherence_is_scheduled_runs_per_expected_occurrence_and_manual_runs_do_not_count() -> None:
    scheduled = sample(*[1.0] * 27)
    everything = Amounts.sum([scheduled, sample(*[1.0] * 8)])
    found = projected(everything, scheduled=scheduled, expected=30)
    assert found.adherence == 0.9


def test_adherence_is_unknown_where_nothing_was_expected() -> None:
    assert projected(sample(1.0), expected=0).adherence is None
    assert projected(sample(1.0), expected=None).adherence is None


def test_a_job_that_was_due_and_never_ran_has_an_adherence_of_zero() -> None:
    assert projected(Amounts(), expected=30).adherence == 0


def test_an_unknown_cost_is_left_out_and_counted() -> None:
    """Two runs of $1 and one unknown: a run costs $1. The trend lacks the unknown one, and says so."""
    found = projected(sample(1, 1, None), days=30)
    month = found.outlook[Horizon.DAYS_30]

    assert (found.runs, found.unpriced_runs, found.mean_cost_usd, found.cost_usd) == (3, 1, 1, 2)
    assert (month.nominal.usd, month.nominal.is_lower_bound) == (30, False)
    assert month.trend.usd == pytest.approx(2)
    assert month.trend.is_lower_bound


def test_a_partial_cost_makes_lower_bounds() -> None:
    found = projected(sample(1, 1, partial=1))
    month = found.outlook[Horizon.DAYS_30]

    assert found.partial_runs == 1
    assert month.nominal.is_lower_bound
    assert month.trend.is_lower_bound


def test_runs_of_which_no_cost_is_known_have_no_cost() -> None:
    found = projected(sample(None, None))
    month = found.outlook[Horizon.DAYS_30]

    assert (found.cost_usd, found.mean_cost_usd) == (None, None)
    assert (month.nominal.usd, month.trend.usd) == (None, None)


def test_a_script_job_costs_nothing_now_and_later() -> None:
    month = projected(took_place([SCRIPT] * 30)).outlook[Horizon.DAYS_30]
    assert (month.scheduled_runs, month.nominal, month.trend) == (30, NOTHING, NOTHING)


def test_a_script_job_that_has_never_run_costs_nothing_too() -> None:
    found = projected(Amounts(), days=None, calls_model=False)
    month = found.outlook[Horizon.DAYS_30]

    assert (month.scheduled_runs, month.nominal, month.trend) == (30, NOTHING, NOTHING)
    assert found.pace is None


def test_an_agent_that_became_a_script_is_free_from_now_on_and_its_trend_is_what_it_was() -> None:
    month = projected(sample(*[1.0] * 30), calls_model=False).outlook[Horizon.DAYS_30]

    assert (month.nominal, month.trend.usd) == (NOTHING, 30)


def test_a_window_without_runs_says_nothing_of_the_future() -> None:
    found = projected(Amounts())
    month = found.outlook[Horizon.DAYS_30]

    assert (found.cost_usd, found.wasted_usd, found.mean_cost_usd) == (0, 0, None)
    assert (month.nominal.usd, month.trend.usd) == (None, None)


def test_a_job_that_will_not_run_again_costs_nothing_and_has_no_trend() -> None:
    found = projected(sample(1, 1, 1), runs=0, goes_on=False)
    month = found.outlook[Horizon.DAYS_30]

    assert (month.scheduled_runs, month.nominal, month.trend.usd) == (0, NOTHING, None)
    assert found.pace is None


def test_a_job_with_two_runs_left_costs_those_two_and_has_no_trend() -> None:
    found = projected(sample(*[1.0] * 30), runs=2, goes_on=False)
    month = found.outlook[Horizon.DAYS_30]

    assert (month.nominal.usd, month.trend.usd, found.pace) == (2, None, None)


def test_wasted_is_what_failed_runs_cost() -> None:
    assert projected(sample(1, 2, 3), failed=sample(2)).wasted_usd == 2
    assert projected(sample(1, 2, 3), failed=Amounts()).wasted_usd == 0
    assert projected(sample(1, 2, None), failed=sample(None)).wasted_usd is None


# All jobs together.


def test_jobs_together_have_the_sums_of_their_costs_and_what_ended_jobs_cost() -> None:
    """One job of $1 a day, and a one-shot that cost $6 and is gone: others will follow."""
    daily, gone = sample(*[1.0] * 30), sample(6)
    found = project_all(
        [projected(daily), projected(gone, runs=0, goes_on=False)],
        ended=gone,
        spent=Amounts.sum([daily, gone]),
        scheduled=Amounts.sum([daily, gone]),
        failed=gone,
        observed_s=30 * DAY_S,
        adherence=adherence(31, 31),
        now_ns=NOW_NS,
        ends_ns=ENDS_NS,
    )
    month = found.outlook[Horizon.DAYS_30]

    assert (month.scheduled_runs, month.nominal.usd) == (30, 30)
    assert month.trend.usd == pytest.approx(36)
    assert found.pace == pytest.approx(1.2)
    assert (found.adherence, found.wasted_usd, found.cost_usd) == (1, 6, 36)


# Change.


def test_change_is_the_part_by_which_a_figure_grew() -> None:
    assert change_against(15, 10) == 0.5
    assert change_against(5, 10) == -0.5
    assert change_against(0, 10) == -1


def test_change_has_no_meaning_against_nothing_or_against_another_kind_of_window() -> None:
    assert change_against(5, 0) is None
    assert change_against(5, None) is None
    assert change_against(None, 5) is None
    assert change_against(5, 10, is_comparable=False) is None


def test_a_window_that_began_before_anything_was_known_is_not_comparable() -> None:
    assert is_comparable(prior_from_ns=100, known_since_ns=100)
    assert not is_comparable(prior_from_ns=100, known_since_ns=101)
    assert not is_comparable(prior_from_ns=100, known_since_ns=None)
