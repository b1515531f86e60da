"""Recent averages of skills and models; the figures of a day's weight are worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.averages import (
    AgentRun,
    AverageKey,
    DayTotals,
    average,
    averages,
    totals_by_model,
    totals_by_skill,
)

TODAY = 740_000
NEWS = AverageKey("news", "small", "acme")
SMALL = AverageKey(None, "small", "acme")


def run(
    age: int = 0,
    *,
    skills: tuple[str, ...] = ("news",),
    succeeded: bool = True,
    duration_s: float | None = 1.0,
    cost_usd: float | None = 0.001,
    model: str | None = "small",
) -> AgentRun:
    return AgentRun(
        day=TODAY - age, skills=skills, model=model, provider="acme", succeeded=succeeded,
        duration_s=duration_s, cost_usd=cost_usd,
    )  # fmt: skip


def test_a_failure_a_week_ago_counts_little() -> None:
    """Days 0, 1 and 7, the last one failed: (1 + 0.7) ÷ (1 + 0.7 + 0.7⁷), and not 2 ÷ 3."""
    totals = totals_by_skill([run(0), run(1), run(7, succeeded=False)])

    success_rate = averages(totals, TODAY)[NEWS].success_rate

    assert success_rate == pytest.approx(1.7 / (1.7 + 0.7**7))
    assert success_rate == pytest.approx(0.954, abs=0.0005)


def test_a_day_counts_by_its_volume() -> None:
    """One call of 100 s and $0.20 yesterday, a hundred of 1 s and $0.001 today. A mean of the two days'
    means would say 41.8 s and $0.083."""
    runs = [run(1, duration_s=100.0, cost_usd=0.2)] + [run()] * 100

    found = averages(totals_by_skill(runs), TODAY)[NEWS]

    assert found.runs == 101
    assert found.duration_s == pytest.approx((100 * 1 + 0.7 * 100) / (100 + 0.7))
    assert found.duration_s == pytest.approx(1.69, abs=0.005)
    assert found.cost_usd == pytest.approx(0.0024, abs=0.00005)


def test_time_passes_on_days_without_runs() -> None:
    """By calendar days: with two runs on days 0 and 10 the older one has 0.7¹⁰, not 0.7."""
    found = averages(totals_by_skill([run(0), run(10, succeeded=False)]), TODAY)[NEWS]
    assert found.success_rate == pytest.approx(1 / (1 + 0.7**10))


def test_fourteen_days_count_and_no_more() -> None:
    totals = totals_by_skill([run(13), run(14, succeeded=False), run(-1, succeeded=False)])
    found = averages(totals, TODAY)[NEWS]
    assert (found.runs, found.success_rate) == (1, 1)


def test_a_key_without_a_run_in_the_fourteen_days_has_no_average() -> None:
    assert averages(totals_by_skill([run(14)]), TODAY) == {}


def test_a_run_s_cost_is_split_over_its_skills_and_the_rest_is_not() -> None:
    found = averages(totals_by_skill([run(skills=("news", "mail"), cost_usd=0.3)]), TODAY)

    assert set(found) == {NEWS, NEWS._replace(skill="mail")}
    for one in found.values():
        assert (one.runs, one.success_rate, one.duration_s) == (1, 1, 1)
        assert one.cost_usd == pytest.approx(0.15)


def test_an_unknown_cost_is_left_out_and_a_free_run_is_not() -> None:
    unknown, free = run(cost_usd=None), run(cost_usd=0.0)
    assert averages(totals_by_skill([unknown]), TODAY)[NEWS].cost_usd is None
    assert averages(totals_by_skill([run(cost_usd=0.2), unknown]), TODAY)[NEWS].cost_usd == 0.2
    assert averages(totals_by_skill([run(cost_usd=0.2), free]), TODAY)[NEWS].cost_usd == 0.1


def test_an_unknown_duration_is_left_out() -> None:
    assert averages(totals_by_skill([run(duration_s=None)]), TODAY)[NEWS].duration_s is None


def test_models_are_averaged_whatever_the_skills() -> None:
    runs = [run(skills=()), run(skills=("a", "b"), cost_usd=0.003), run(model=None)]

    assert averages(totals_by_model(runs), TODAY)[SMALL].cost_usd == pytest.approx(0.002)
    assert list(totals_by_model(runs)) == [SMALL]


def test_the_same_skill_with_another_model_is_another_average() -> None:
    totals = totals_by_skill([run(), run(model="large"), run(model=None)])
    assert {key.model for key in totals} == {"small", "large", None}


days = st.builds(
    DayTotals,
    day=st.integers(TODAY - 13, TODAY),
    runs=st.integers(1, 50),
    succeeded=st.just(0),
    timed_runs=st.integers(1, 50),
    duration_s=st.floats(0.01, 1e4),
    priced_runs=st.integers(1, 50),
    cost_usd=st.floats(0, 100),
)


@given(st.lists(days, min_size=1, max_size=14))
def test_an_average_lies_between_the_days(of_days: list[DayTotals]) -> None:
    found = average(of_days, TODAY)
    per_day = [day.duration_s / day.timed_runs for day in of_days]

    assert found.duration_s is not None
    assert min(per_day) * (1 - 1e-9) <= found.duration_s <= max(per_day) * (1 + 1e-9)
    assert found.success_rate == 0
