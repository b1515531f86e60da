"""Budgets and forecasts: what is used, what is to come, and what would come if something changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.domain.budgets import BudgetState, Period, Scope
from cronalytics_otel.domain.projections import Horizon
from cronalytics_otel.insight.budgets import read_budget_states
from cronalytics_otel.insight.findings import FindingKind
from cronalytics_otel.insight.forecast import Forecast, WhatIf, read_forecast
from cronalytics_otel.insight.health import HealthInput, read_health
from cronalytics_otel.insight.known_jobs import known_jobs
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.insight.windows import Window
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import (
    Budget,
    Budgets,
    CostStatus,
    Job,
    Mode,
    Outcome,
    OutcomeSource,
    Run,
    Schedule,
    ScheduleKind,
    Trigger,
    Usage,
)
from tests.support.cli import DAY, HOUR, MINUTE, NOW_NS, SECOND

# It is 2026-01-31 08:00 UTC, the last day of the month: 16 hours are left of both.


def cron(expression: str) -> Schedule:
    return Schedule(kind=ScheduleKind.CRON, expression=expression, cron=expression)


HOURLY = Job(
    job_id="h",
    name="hourly",
    mode=Mode.AGENT,
    schedule=cron("0 * * * *"),
    created_ns=NOW_NS - 60 * DAY,
    next_run_ns=NOW_NS + HOUR,
)
DAILY = replace(
    HOURLY, job_id="d", name="daily", schedule=cron("0 7 * * *"), next_run_ns=NOW_NS + 23 * HOUR
)


def run(job: Job, age_ns: int, cost_usd: float | None, **facts: object) -> Run:
    made = Run(
        profile="default",
        job_id=job.job_id,
        job_name=job.name,
        mode=Mode.AGENT,
        execution_id=f"{job.job_id}{age_ns:031d}",
        started_ns=NOW_NS - age_ns - 10 * SECOND,
        ended_ns=NOW_NS - age_ns,
        outcome=Outcome.SUCCESS,
        outcome_source=OutcomeSource.LEDGER,
        trigger=Trigger.SCHEDULE,
        model="small",
        provider="p",
        usage=Usage(input_tokens=10),
        api_calls=1,
        cost_usd=cost_usd,
        cost_status=CostStatus.UNKNOWN if cost_usd is None else CostStatus.ESTIMATED,
    )
    return replace(made, **facts)  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An hourly job at $0.10 a run for 40 days, and a daily one at $1 or $3, $2 in the mean."""
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.facts.set(CURRENT_JOBS, (HOURLY, DAILY))
        journal.facts.set(LAST_SYNC_NS, NOW_NS)
        with journal.atomic():
            journal.runs.add([run(HOURLY, n * HOUR + MINUTE, 0.10) for n in range(40 * 24)], NOW_NS)
            journal.runs.add(
                [run(DAILY, n * DAY + HOUR, 1.0 + 2 * (n % 2), model="large") for n in range(40)],
                NOW_NS,
            )
        yield journal


def profile(journal: Journal) -> Profile:
    return Profile("default", journal)


def by_scope(journal: Journal, budgets: Budgets) -> dict[tuple[str | None, str], BudgetState]:
    states = read_budget_states(profile(journal), budgets, NOW_NS)
    return {(state.job_name, str(state.period)): state for state in states}


# Budgets.


def test_used_is_what_ended_in_the_period_and_the_forecast_adds_the_rest_of_the_schedule(
    journal: Journal,
) -> None:
    budgets = Budgets(home=Budget(day=5.0, month=100.0), jobs={"daily": Budget(day=2.5)})

    states = by_scope(journal, budgets)

    day, month, own = states[None, "day"], states[None, "month"], states["daily", "day"]
    assert list(states) == [(None, "day"), (None, "month"), ("daily", "day")]
    # Since midnight: eight hourly runs, and the daily one of 07:00, which cost $1.
    assert (day.scope, day.period) == (Scope.ALL, Period.DAY)
    assert day.used_usd == pytest.approx(1.80)
    assert day.forecast_usd == pytest.approx(1.80 + 15 * 0.10)
    assert (day.over, day.forecast_over) == (False, False)
    # Since January 1: 30 days and 8 hours of runs; $1 and $3 in turns.
    assert month.used_usd == pytest.approx(728 * 0.10 + 16 * 1.0 + 15 * 3.0)
    assert (month.over, month.forecast_over) == (True, True)
    assert month.used_share == pytest.approx(1.338)
    assert (own.job_id, own.used_usd, own.forecast_usd) == ("d", 1.0, 1.0)


def test_without_a_limit_per_day_or_month_nothing_is_computed(journal: Journal) -> None:
    assert by_scope(journal, Budgets()) == {}
    assert by_scope(journal, Budgets(home=Budget(run=0.01))) == {}


def test_an_unknown_cost_leaves_it_open_whether_a_budget_is_kept(journal: Journal) -> None:
    with journal.atomic():
        journal.runs.add([run(HOURLY, 30 * SECOND, None)], NOW_NS)

    kept = by_scope(journal, Budgets(home=Budget(day=50.0)))[None, "day"]
    broken = by_scope(journal, Budgets(home=Budget(day=0.5)))[None, "day"]

    assert (kept.over, broken.over) == (None, True)


def test_health_finds_a_budget_that_is_exceeded_and_not_one_that_may_be(journal: Journal) -> None:
    budgets = Budgets(home=Budget(day=2.0, month=100.0), jobs={"d": Budget(day=0.5)})

    found = read_health(journal, HealthInput(now_ns=NOW_NS, budgets=budgets))

    assert [(f.kind, f.subject, f.text) for f in found] == [
        (
            FindingKind.OVER_BUDGET,
            "all jobs",
            "cost $133.80 this month, more than the budget of $100.00",
        ),
        (FindingKind.OVER_BUDGET, "daily", "cost $1.00 today, more than the budget of $0.5000"),
    ]
    later = HealthInput(now_ns=NOW_NS + 5 * DAY, budgets=budgets)
    assert not any(f.kind is FindingKind.OVER_BUDGET for f in read_health(journal, later))


# Forecasts.


def forecast(
    journal: Journal,
    *,
    what_if: WhatIf | None = None,
    wanted: RunFilter | None = None,
    budgets: Budgets | None = None,
    days: float = 30,
) -> Forecast:
    profiles = [profile(journal)]
    return read_forecast(
        profiles,
        known_jobs(profiles),
        wanted or RunFilter(),
        Window.of_days(days, NOW_NS),
        NOW_NS,
        budgets={"default": budgets or Budgets()},
        what_if=what_if,
    )


def nominal(of: Forecast, horizon: Horizon = Horizon.DAYS_30) -> dict[str, float | None]:
    return {
        each.job.name: None if (usd := each.job.projection.outlook[horizon].nominal.usd) is None
        else round(usd, 2)
        for each in of.jobs
    }  # fmt: skip


def test_each_job_costs_its_schedule_times_its_mean_the_most_expensive_first(
    journal: Journal,
) -> None:
    found = forecast(journal)

    assert list(nominal(found).items()) == [("hourly", 72.0), ("daily", 60.0)]
    assert nominal(found, Horizon.DAYS_365) == {"hourly": 876.0, "daily": 730.0}
    total = found.together.outlook[Horizon.DAYS_30].nominal
    assert total.usd == pytest.approx(132.0)
    assert total.low_usd is not None
    assert total.high_usd is not None
    assert total.low_usd < 132.0 < total.high_usd


def test_this_month_is_what_it_cost_and_what_is_left_of_it(journal: Journal) -> None:
    found = forecast(journal)

    assert found.month_usd.usd == pytest.approx(133.80 + 15 * 0.10)
    assert sum(each.month_usd.usd or 0 for each in found.jobs) == pytest.approx(135.30)


@pytest.mark.parametrize("days", [1, 7, 30, 0])
def test_this_month_is_the_same_in_each_window_and_that_of_the_budget(
    journal: Journal, days: int
) -> None:
    """A job that is gone ran before a window of 30 days, and in this month."""
    gone = replace(DAILY, job_id="g", name="gone")
    with journal.atomic():
        journal.runs.add([run(gone, 30 * DAY + 6 * HOUR, 40.0)], NOW_NS)

    found = forecast(journal, budgets=Budgets(home=Budget(month=100.0)), days=days)
    some = forecast(journal, wanted=RunFilter(jobs=frozenset({"h", "d"})), days=days)

    ((_, month),) = found.budgets
    assert found.month_usd.usd == pytest.approx(133.80 + 15 * 0.10 + 40)
    assert found.month_usd.usd == pytest.approx(month.forecast_usd)
    assert some.month_usd.usd == pytest.approx(133.80 + 15 * 0.10)


def test_a_models_part_is_as_it_was_and_the_parts_are_the_whole(journal: Journal) -> None:
    found = forecast(journal)

    assert {
        each.model: round(each.outlook[Horizon.DAYS_30].usd or 0, 2) for each in found.models
    } == {"small": 72.0, "large": 60.0}


def test_another_schedule_changes_that_job_the_total_and_the_budgets(journal: Journal) -> None:
    budgets = Budgets(home=Budget(day=3.5))
    every_two_hours = WhatIf(schedules={("default", "h"): cron("0 */2 * * *")})

    now = forecast(journal, budgets=budgets)
    changed = forecast(journal, what_if=every_two_hours, budgets=budgets)

    assert nominal(changed) == {"daily": 60.0, "hourly": 36.0}
    assert changed.together.outlook[Horizon.DAYS_30].nominal.usd == pytest.approx(96.0)
    assert now.budgets[0][1].forecast_usd == pytest.approx(3.30)
    assert changed.budgets[0][1].forecast_usd == pytest.approx(1.80 + 7 * 0.10)


def test_a_paused_job_costs_nothing_and_with_a_schedule_it_would_run_again(
    journal: Journal,
) -> None:
    journal.facts.set(CURRENT_JOBS, (HOURLY, replace(DAILY, enabled=False)))
    twice = WhatIf(schedules={("default", "d"): cron("0 7,19 * * *")})

    assert nominal(forecast(journal)) == {"hourly": 72.0}
    assert nominal(forecast(journal, what_if=twice)) == {"daily": 120.0, "hourly": 72.0}


def test_a_job_that_is_skipped_is_shown_with_nothing_and_is_in_no_total(journal: Journal) -> None:
    found = forecast(journal, what_if=WhatIf(skipped=frozenset({("default", "d")})))

    assert nominal(found) == {"hourly": 72.0, "daily": 0.0}
    outlook = found.together.outlook[Horizon.DAYS_30]
    assert outlook.nominal.usd == pytest.approx(72.0)
    assert outlook.trend.usd == pytest.approx(72.0)
    assert {each.model: each.outlook[Horizon.DAYS_30].usd for each in found.models} == {
        "small": pytest.approx(72.0),
        "large": 0.0,
    }


def test_a_filter_for_jobs_leaves_the_budgets_whole(journal: Journal) -> None:
    found = forecast(
        journal, wanted=RunFilter(jobs=frozenset({"d"})), budgets=Budgets(home=Budget(day=5.0))
    )

    assert nominal(found) == {"daily": 60.0}
    assert found.together.outlook[Horizon.DAYS_30].nominal.usd == pytest.approx(60.0)
    assert found.budgets[0][1].forecast_usd == pytest.approx(3.30)


def test_a_job_that_never_ran_makes_the_total_a_lower_bound(journal: Journal) -> None:
    new = replace(DAILY, job_id="n", name="new", created_ns=NOW_NS - HOUR)
    journal.facts.set(CURRENT_JOBS, (HOURLY, DAILY, new))

    found = forecast(journal)

    assert list(nominal(found)) == ["hourly", "daily", "new"]
    assert nominal(found)["new"] is None
    assert found.together.outlook[Horizon.DAYS_30].nominal.is_lower_bound
    assert found.together.outlook[Horizon.DAYS_30].nominal.usd == pytest.approx(132.0)


def test_a_script_that_never_ran_costs_nothing_and_leaves_the_total_exact(
    journal: Journal,
) -> None:
    script = replace(DAILY, job_id="s", name="check", mode=Mode.SCRIPT)
    journal.facts.set(CURRENT_JOBS, (HOURLY, DAILY, script))

    found = forecast(journal)

    (new,) = [each for each in found.jobs if each.job.job_id == "s"]
    month = new.job.projection.outlook[Horizon.DAYS_30]
    assert (month.scheduled_runs, month.nominal.usd, new.month_usd.usd) == (30, 0, 0)
    assert not found.together.outlook[Horizon.DAYS_30].nominal.is_lower_bound


@pytest.mark.parametrize(
    ("day_usd", "over"), [(1.0, True), (3.0, True), (3.5, False)], ids=["is", "will be", "kept"]
)
def test_it_is_over_when_a_budget_is_exceeded_or_will_be(
    journal: Journal, day_usd: float, over: bool
) -> None:
    assert forecast(journal, budgets=Budgets(home=Budget(day=day_usd))).is_over_budget is over
