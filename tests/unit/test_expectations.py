"""How often a job was due is what is known of it: since when, until when, and how far its runs are apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.domain.projections import Horizon
from cronalytics_otel.insight.jobs import JobFigures, job_figures
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.insight.summary import AllJobs, summarize
from cronalytics_otel.insight.windows import Window
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, GONE_JOBS
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Job, Mode, Run, Schedule, Trigger
from tests.support.cli import DAY, DIGEST, HOUR, NOW_NS, SECOND
from tests.unit.test_schedule import cron, every

MINUTE = 60 * SECOND
LONG_AGO_NS = NOW_NS - 90 * DAY

DAILY = Job(
    job_id="daily", name="daily", mode=Mode.AGENT, schedule=cron("0 7 * * *"), created_ns=LONG_AGO_NS
)  # fmt: skip
OFTEN = replace(DAILY, job_id="often", name="often", schedule=every(5))


def run_of(job: Job, due_ns: int, *, took_s: int = 20, late_s: float = 0, **facts: Any) -> Run:
    """A run that was due then, began so late, and cost half a dollar."""
    started_ns = due_ns + round(late_s * SECOND)
    run = replace(
        DIGEST,
        job_id=job.job_id,
        job_name=job.name,
        execution_id=f"{job.job_id}{due_ns}",
        session_id=None,
        scheduled_ns=due_ns,
        claimed_ns=started_ns,
        started_ns=started_ns,
        ended_ns=started_ns + took_s * SECOND,
        cost_usd=0.5,
    )
    return replace(run, **facts)


def seven(days_ago: int) -> int:
    """Seven o'clock UTC, an hour before now."""
    return NOW_NS - HOUR - days_ago * DAY


@pytest.fixture
def figures_of(tmp_path: Path) -> Callable[..., tuple[dict[str, JobFigures], AllJobs]]:
    def of(
        *runs: Run,
        jobs: tuple[Job, ...],
        history: tuple[tuple[int, Job], ...] = (),
        gone: dict[str, int] | None = None,
        days: int = 30,
        now_ns: int = NOW_NS,
    ) -> tuple[dict[str, JobFigures], AllJobs]:
        with Journal.open(tmp_path / "journal.db") as journal, journal.rolled_back():
            for seen_ns, job in history or tuple((LONG_AGO_NS, job) for job in jobs):
                journal.jobs.observe([job], seen_ns)
            journal.facts.set(CURRENT_JOBS, jobs)
            journal.facts.set(GONE_JOBS, gone or {})
            journal.runs.add(runs, NOW_NS)
            home, window = [Profile("default", journal)], Window.of_days(days, now_ns)
            found = job_figures(home, RunFilter(), window, now_ns, all_jobs=True)
            together = summarize(home, RunFilter(), window, now_ns).together
        return {job.job_id: job for job in found}, together

    return of


# Since when.


@pytest.mark.parametrize("job", [DAILY, replace(DAILY, schedule=every(24 * 60))])
@pytest.mark.parametrize("runs", [1, 2, 30])
def test_each_run_of_a_young_home_has_its_due_time(
    figures_of: Callable[..., Any], job: Job, runs: int
) -> None:
    ran = [run_of(job, seven(day), late_s=40) for day in range(runs)]
    found, together = figures_of(*ran, jobs=(job,))

    figures = found["daily"]
    assert (figures.figures.scheduled_runs, figures.expected_runs) == (runs, runs)
    assert (figures.adherence, together.projection.adherence) == (1, 1)


def test_the_first_run_of_a_job_that_is_caught_up_with_was_due_before_it_began(
    figures_of: Callable[..., Any],
) -> None:
    late = run_of(DAILY, seven(5), late_s=3 * 3600, trigger=Trigger.CATCH_UP)
    found, _ = figures_of(late, *(run_of(DAILY, seven(n)) for n in range(5)), jobs=(DAILY,))

    assert (found["daily"].figures.runs, found["daily"].expected_runs) == (6, 6)


def test_a_home_that_began_today_was_not_expected_to_run_yesterday(
    figures_of: Callable[..., Any],
) -> None:
    found, _ = figures_of(run_of(OFTEN, NOW_NS - 20 * SECOND - 5 * MINUTE), jobs=(OFTEN,))

    assert found["often"].expected_runs == 1


def test_a_run_from_before_the_definition_shows_that_the_job_is_older(
    figures_of: Callable[..., Any],
) -> None:
    young = replace(DAILY, created_ns=NOW_NS - 3 * DAY)
    found, _ = figures_of(run_of(DAILY, seven(10)), jobs=(young,))
    older, _ = figures_of(run_of(DAILY, seven(2)), run_of(OFTEN, seven(10)), jobs=(young,))

    assert found["daily"].known_since_ns == seven(10)
    assert older["daily"].known_since_ns == young.created_ns


# How far apart.


def test_an_outage_among_the_last_runs_does_not_change_the_plan_of_an_interval(
    figures_of: Callable[..., Any],
) -> None:
    """The machine was off for two days; 19 runs ago one was caught up with."""
    newest_ns = NOW_NS - 4 * MINUTE
    outage_ns = newest_ns - 19 * 5 * MINUTE
    before_ns = outage_ns - 2 * DAY
    ran = [run_of(OFTEN, newest_ns - n * 5 * MINUTE, took_s=1) for n in range(19)]
    caught_up = run_of(OFTEN, before_ns, took_s=1, late_s=2 * 86_400, trigger=Trigger.CATCH_UP)
    before = [run_of(OFTEN, before_ns - n * 5 * MINUTE, took_s=1) for n in range(1, 28 * 288)]

    calm, _ = figures_of(*ran, *before, jobs=(OFTEN,))
    hit, _ = figures_of(*ran, caught_up, *before, jobs=(OFTEN,))

    for figures in (calm["often"], hit["often"]):
        outlook = figures.projection.outlook[Horizon.DAYS_30]
        assert outlook.scheduled_runs == pytest.approx(30 * 86_400 / 301, abs=1)
        assert figures.expected_runs == pytest.approx(30 * 86_400 / 301, abs=1)
        assert figures.adherence == pytest.approx(28 / 30, abs=0.01)
        assert figures.pace == pytest.approx(28 / 30, abs=0.01)


def test_a_late_run_and_one_by_hand_do_not_change_it_either(
    figures_of: Callable[..., Any],
) -> None:
    hourly = replace(OFTEN, schedule=every(60))
    period = HOUR + 20 * SECOND
    ran = [run_of(hourly, NOW_NS - HOUR - n * period) for n in range(18)]
    late = run_of(hourly, NOW_NS - 40 * HOUR, late_s=10 * 3600)
    by_hand = run_of(hourly, NOW_NS - 60 * HOUR, late_s=9 * 3600, trigger=Trigger.MANUAL)
    found, _ = figures_of(*ran, late, by_hand, jobs=(hourly,), days=90)

    outlook = found["often"].projection.outlook[Horizon.DAYS_30]
    assert outlook.scheduled_runs == pytest.approx(30 * DAY / period, abs=1)


@pytest.mark.parametrize("hours", range(1, 10))
def test_an_interval_is_due_as_often_as_it_ran_wherever_the_window_begins(
    figures_of: Callable[..., Any], hours: int
) -> None:
    """Every six hours, three hours long: a run begins every nine hours."""
    job = replace(OFTEN, schedule=every(6 * 60))
    newest_ns = NOW_NS - hours * HOUR - 3 * HOUR
    ran = [run_of(job, newest_ns - n * 9 * HOUR, took_s=3 * 3600) for n in range(200)]
    found, _ = figures_of(*ran, jobs=(job,), days=31)

    assert found["often"].adherence == 1


def by_hand(job: Job, began_ns: int) -> Run:
    return run_of(job, began_ns, trigger=Trigger.MANUAL, scheduled_ns=None)


@pytest.mark.parametrize("schedule", [every(24 * 60), cron("0 7 * * *")])
@pytest.mark.parametrize("minutes_ago", [(5,), (50, 5)])
def test_a_job_that_was_made_and_tried_by_hand_was_not_due_yet(
    figures_of: Callable[..., Any], schedule: Schedule, minutes_ago: tuple[int, ...]
) -> None:
    made_ns = NOW_NS - HOUR + MINUTE
    job = replace(DAILY, schedule=schedule, created_ns=made_ns)
    other = replace(OFTEN, schedule=cron("0 7 * * *"))
    tries = [by_hand(job, NOW_NS - ago * MINUTE) for ago in minutes_ago]

    for of_others in ([], [run_of(other, seven(day)) for day in range(10)]):
        found, _ = figures_of(
            *tries, *of_others, jobs=(job, other), history=((made_ns, job), (LONG_AGO_NS, other))
        )
        figures = found["daily"]
        assert (figures.figures.runs, figures.figures.scheduled_runs) == (len(tries), 0)
        assert (figures.expected_runs, figures.adherence) == (0, None)


@pytest.mark.parametrize("runs", [1, 19, 20, 47])
@pytest.mark.parametrize("others", [False, True])
def test_a_try_by_hand_before_the_first_scheduled_run_is_no_due_time(
    figures_of: Callable[..., Any], runs: int, others: bool
) -> None:
    period = HOUR + 20 * SECOND
    tried_ns = NOW_NS - 10 * MINUTE - runs * period
    hourly = replace(DAILY, schedule=every(60), created_ns=tried_ns - 2 * MINUTE)
    ran = [run_of(hourly, tried_ns + n * period) for n in range(1, runs + 1)]
    older = [run_of(OFTEN, seven(10))] if others else []
    found, _ = figures_of(by_hand(hourly, tried_ns), *ran, *older, jobs=(hourly,))

    assert (found["daily"].figures.scheduled_runs, found["daily"].expected_runs) == (runs, runs)
    assert found["daily"].adherence == 1


def test_a_run_by_hand_after_the_last_scheduled_one_is_no_due_time(
    figures_of: Callable[..., Any],
) -> None:
    hourly = replace(DAILY, schedule=every(60))
    period = HOUR + 20 * SECOND
    ran = [run_of(hourly, NOW_NS - 50 * MINUTE - n * period) for n in range(100)]
    tried = by_hand(hourly, NOW_NS - MINUTE)
    found, _ = figures_of(tried, *ran, jobs=(hourly,), days=3)

    scheduled = found["daily"].figures.scheduled_runs
    assert (found["daily"].expected_runs, found["daily"].adherence) == (scheduled, 1)


# Until when.


def test_a_job_that_was_paused_before_it_was_first_seen_was_due_until_then(
    figures_of: Callable[..., Any],
) -> None:
    paused = replace(DAILY, enabled=False, paused_ns=seven(5) + HOUR)
    other = replace(OFTEN, schedule=cron("0 7 * * *"))
    ran = [run_of(paused, seven(day)) for day in range(5, 30)]
    ran += [run_of(other, seven(day)) for day in range(30)]
    found, together = figures_of(
        *ran, jobs=(paused, other), history=((NOW_NS, paused), (NOW_NS, other))
    )

    assert (found["daily"].expected_runs, found["daily"].adherence) == (25, 1)
    assert (together.expected_runs, together.projection.adherence) == (55, 1)


def test_a_job_that_is_disabled_since_nobody_knows_when_was_due_until_its_last_run(
    figures_of: Callable[..., Any],
) -> None:
    disabled = replace(DAILY, enabled=False)
    ran = [run_of(disabled, seven(day)) for day in range(5, 30)]
    found, _ = figures_of(*ran, jobs=(disabled,), history=((NOW_NS, disabled),))

    assert (found["daily"].expected_runs, found["daily"].adherence) == (25, 1)


def test_a_job_with_its_repeats_used_up_was_due_until_its_last_run(
    figures_of: Callable[..., Any],
) -> None:
    used_up = replace(DAILY, runs_left=0)
    ran = [run_of(used_up, seven(day)) for day in (25, 26, 27)]
    found, _ = figures_of(*ran, jobs=(used_up,))

    assert (found["daily"].expected_runs, found["daily"].adherence) == (3, 1)


def test_a_job_that_ran_after_a_sync_had_seen_it_last_was_due_until_it_ran(
    figures_of: Callable[..., Any],
) -> None:
    ran = [run_of(DAILY, seven(day)) for day in range(10, 20)]
    found, _ = figures_of(*ran, jobs=(), history=((LONG_AGO_NS, DAILY),), gone={"daily": seven(15)})

    assert (found["daily"].figures.runs, found["daily"].expected_runs) == (10, 10)


# All together.


def test_a_job_of_which_it_is_unknown_how_often_it_was_due_is_in_neither_side_of_adherence(
    figures_of: Callable[..., Any],
) -> None:
    unknown = replace(DIGEST, job_id="unknown", ended_ns=seven(1) + DAY // 2)
    ran = [run_of(DAILY, seven(day)) for day in range(30)]
    found, together = figures_of(unknown, *ran, jobs=(DAILY,))

    assert found["unknown"].expected_runs is None
    assert (together.expected_runs, together.scheduled_runs) == (30, 30)
    assert together.projection.adherence == 1
