"""How a job changed against its own past, and the percentile that every view uses."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.drift import (
    DefinitionChange,
    Drift,
    Measure,
    WindowSummary,
    definition_changes,
    drift,
    summarize,
)
from cronalytics_otel.domain.percentiles import percentile, rank_of
from cronalytics_otel.model import Job, Mode
from tests.unit.test_schedule import cron

# Percentiles.


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (4, 50, 2), (20, 95, 19), (21, 95, 20), (100, 55, 55), (19, 95, 19), (7, 0, 1), (7, 100, 7)],
)  # fmt: skip
def test_a_percentile_is_the_value_of_the_nearest_rank(count: int, percent: int, rank: int) -> None:
    assert rank_of(count, percent) == rank
    assert percentile([float(n) for n in range(count, 0, -1)], percent) == rank


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 50) is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.integers(0, 100))
def test_a_percentile_is_an_observed_value_that_so_many_do_not_exceed(
    values: list[float], percent: int
) -> None:
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 <= percent * len(values)


# Drift.


def window(
    runs: int = 100,
    *,
    failed: int = 0,
    duration_s: float = 10.0,
    tokens: int = 1000,
    cost_usd: float = 0.1,
    lateness_s: float = 30.0,
) -> WindowSummary:
    return summarize(
        runs=runs,
        failed_runs=failed,
        durations_s=[duration_s] * runs,
        tokens=[tokens] * runs,
        costs_usd=[cost_usd] * runs,
        latenesses_s=[lateness_s] * runs,
    )


def changed(now: WindowSummary, before: WindowSummary) -> dict[Measure, Drift]:
    return {one.measure: one for one in drift(now, before) if one.score > 1e-9}


def test_a_summary_has_the_percentiles_and_means_of_what_is_known() -> None:
    found = summarize(
        runs=4, failed_runs=1, durations_s=[4.0, 1.0, 3.0], tokens=[10, 20], costs_usd=[],
        latenesses_s=[7.0],
    )  # fmt: skip

    assert found == WindowSummary(
        runs=4, failed_runs=1, duration_p50_s=3.0, duration_p95_s=4.0, timed_runs=3,
        mean_tokens=15.0, counted_runs=2, mean_cost_usd=None, priced_runs=0, lateness_p50_s=7.0,
        due_runs=1,
    )  # fmt: skip


def test_a_job_that_did_not_change_has_no_drift() -> None:
    assert changed(window(), window()) == {}
    assert len(drift(window(), window())) == len(Measure)


def test_a_doubling_scores_one_less_the_doubt_of_the_sample() -> None:
    (found,) = changed(window(cost_usd=0.5), window(cost_usd=0.25)).values()

    assert (found.measure, found.before, found.now) == (Measure.COST, 0.25, 0.5)
    assert (found.values_before, found.values_now, found.grew) == (100, 100, True)
    assert found.score == pytest.approx(100 / 105)


def test_a_halving_scores_as_much_and_did_not_grow() -> None:
    (found,) = changed(window(tokens=500), window(tokens=1000)).values()
    assert found.score == pytest.approx(100 / 105)
    assert not found.grew


def test_the_greatest_change_comes_first() -> None:
    found = drift(window(tokens=2000, cost_usd=0.8, failed=10), window(failed=3))
    assert [one.measure for one in found[:3]] == [
        Measure.COST,
        Measure.FAILURE_RATE,
        Measure.TOKENS,
    ]
    assert all(one.score >= other.score for one, other in pairwise(found))


def test_the_smaller_sample_decides_how_much_a_change_counts() -> None:
    few = changed(window(5, cost_usd=0.2), window(500, cost_usd=0.1))[Measure.COST]
    many = changed(window(500, cost_usd=0.2), window(500, cost_usd=0.1))[Measure.COST]

    assert few.score == pytest.approx(0.5)
    assert many.score == pytest.approx(500 / 505)


def test_four_values_say_nothing_and_five_do() -> None:
    assert drift(window(4, cost_usd=9), window()) == []
    assert Measure.COST in changed(window(5, cost_usd=9), window())
    assert drift(window(), window(4, cost_usd=9)) == []


def test_a_95th_percentile_needs_twenty_values() -> None:
    assert Measure.DURATION_P95 not in changed(window(19, duration_s=99), window())
    assert Measure.DURATION_P95 in changed(window(20, duration_s=99), window())


def test_values_below_a_floor_are_no_change() -> None:
    """The scheduler looks once a minute: 50 s late instead of 1 s is chance."""
    assert changed(window(lateness_s=50), window(lateness_s=1)) == {}
    late = changed(window(lateness_s=240), window(lateness_s=0))[Measure.LATENESS]
    assert late.score == pytest.approx(2 * 100 / 105)
    assert (late.before, late.now) == (0, 240)


def test_first_failures_have_a_score() -> None:
    found = changed(window(10, failed=4), window(10))[Measure.FAILURE_RATE]
    assert (found.before, found.now) == (0, 0.4)
    squared_errors = 0.4**2 / (0.2 * 0.8 * (1 / 10 + 1 / 10))
    assert 1.96**2 < squared_errors < 2.5**2
    assert found.score == pytest.approx(math.log2(4.5 / 0.5) * 10 / 15 * squared_errors / 2.5**2)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (window(112, failed=13), window(112, failed=9)),
        (window(30, failed=3), window(29)),
        (window(29), window(30, failed=3)),
        (window(10, failed=3), window(10)),  # 1.88 standard errors apart
    ],
)
def test_failure_rates_that_may_differ_by_chance_are_no_change(
    now: WindowSummary, before: WindowSummary
) -> None:
    assert changed(now, before) == {}


def test_failure_rates_that_surely_differ_score_as_any_other_measure() -> None:
    for_sure = changed(window(112, failed=26), window(112, failed=9))[Measure.FAILURE_RATE]
    assert for_sure.score == pytest.approx(math.log2(26.5 / 9.5) * 112 / 117)


def test_a_job_that_always_fails_did_not_change() -> None:
    assert changed(window(10, failed=10), window(10, failed=10)) == {}


def test_an_unknown_cost_is_no_drift_of_it() -> None:
    unknown = replace(window(), mean_cost_usd=None, priced_runs=0)
    assert Measure.COST not in {one.measure for one in drift(unknown, window())}


# What was changed meanwhile.

DIGEST = Job(
    job_id="a", name="digest", mode=Mode.AGENT, schedule=cron("0 9 * * *"), model="small",
    prompt_hash="aaaa", skills=("news",),
)  # fmt: skip


def test_each_part_that_was_changed_is_named_with_what_it_was() -> None:
    large = replace(DIGEST, model="large", prompt_hash="bbbb")
    hourly = replace(large, schedule=cron("0 * * * *"), skills=("news", "mail"))

    assert definition_changes([(1, DIGEST), (5, large), (9, hourly)], 0, 9) == [
        DefinitionChange(at_ns=5, part="model", before="small", now="large"),
        DefinitionChange(at_ns=5, part="prompt", before="aaaa", now="bbbb"),
        DefinitionChange(at_ns=9, part="schedule", before="0 9 * * *", now="0 * * * *"),
        DefinitionChange(at_ns=9, part="skills", before="news", now="news, mail"),
    ]


def test_a_change_outside_the_window_is_left_out() -> None:
    history = [(1, DIGEST), (5, replace(DIGEST, model="large")), (9, DIGEST)]
    assert [one.at_ns for one in definition_changes(history, 5, 9)] == [9]
    assert [one.at_ns for one in definition_changes(history, 4, 8)] == [5]


def test_a_job_that_was_only_renamed_or_paused_changed_nothing_that_it_runs_with() -> None:
    other = replace(DIGEST, name="news", enabled=False)
    assert definition_changes([(1, DIGEST), (5, other)], 0, 9) == []
    assert definition_changes([], 0, 9) == []
