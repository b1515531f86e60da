"""The figures of jobs and of all jobs are what a slow and obvious calculation gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.job_state import JobState, state_of
from cronalytics_otel.domain.percentiles import percentile
from cronalytics_otel.domain.projections import Horizon
from cronalytics_otel.insight.jobs import STRIP_RUNS, JobFigures, job_figures
from cronalytics_otel.insight.models import model_figures
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.insight.run_figures import RunFigures
from cronalytics_otel.insight.summary import Summary, summarize
from cronalytics_otel.insight.windows import Window
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, GONE_JOBS
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import (
    FAILED_OUTCOMES,
    CostStatus,
    Job,
    Mode,
    Outcome,
    Run,
    Schedule,
    ScheduleKind,
    Trigger,
    Usage,
)
from cronalytics_otel.model.times import NS
from tests.strategies import HISTORY_BEGAN_NS, histories
from tests.support.cli import DAY, DIGEST, HOUR, NOW_NS, SECOND

END_NS = HISTORY_BEGAN_NS + 42 * DAY
"""After every generated run."""


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal.open(tmp_path_factory.mktemp("journal") / "journal.db")


# The slow and obvious calculation.


def in_window(run: Run, since_ns: int | None, until_ns: int | None) -> bool:
    return (since_ns is None or run.ended_ns >= since_ns) and (
        until_ns is None or run.ended_ns < until_ns
    )


def check(figures: RunFigures, runs: Sequence[Run]) -> None:
    """The figures are those of these runs."""
    ran = [run for run in runs if run.outcome is not Outcome.MISSED]
    failed = [run for run in ran if run.outcome in FAILED_OUTCOMES]
    succeeded = [run for run in ran if run.outcome is Outcome.SUCCESS]
    known = [run.known_cost_usd for run in ran if run.known_cost_usd is not None]
    priced = [run for run in ran if not run.cost_is_unknown]
    assert (figures.runs, figures.failed, figures.succeeded) == (
        len(ran), len(failed), len(succeeded)
    )  # fmt: skip
    assert figures.skipped == sum(run.outcome is Outcome.SKIPPED for run in ran)
    assert figures.missed == sum(run.missed_count or 0 for run in runs if run not in ran)
    assert figures.manual_runs == sum(run.trigger is Trigger.MANUAL for run in ran)
    assert figures.scheduled_runs + figures.manual_runs == figures.runs
    ended = len(failed) + len(succeeded)
    assert figures.success_rate == (len(succeeded) / ended if ended else None)
    durations_s = [run.duration_s for run in ran if run.duration_s is not None]
    assert figures.duration_s == pytest.approx(sum(durations_s))
    if not ran:
        assert figures.cost_usd == 0
    elif priced:
        assert figures.cost_usd == pytest.approx(sum(known))
    else:
        assert figures.cost_usd is None
    assert figures.cost_is_lower_bound == any(
        run.cost_is_unknown or run.cost_is_partial for run in ran
    )
    assert figures.unpriced_runs == len(ran) - len(priced)
    assert figures.wasted_usd in (
        None,
        pytest.approx(sum(run.known_cost_usd or 0.0 for run in failed)),
    )
    assert (figures.wasted_usd is None) == (
        bool(failed) and all(run.cost_is_unknown for run in failed)
    )
    assert figures.tokens == sum(run.total_tokens or 0 for run in ran)


windows = st.builds(
    lambda days, back: Window.of(
        END_NS,
        since_ns=END_NS - (days + back) * DAY if days else None,
        until_ns=END_NS - back * DAY,
    ),
    days=st.sampled_from([0, 1, 7, 20, 90]),
    back=st.sampled_from([0, 3, 30]),
)
filters = st.builds(
    RunFilter,
    jobs=st.none() | st.frozensets(st.sampled_from(["a", "b", "gone"])),
    outcomes=st.none() | st.just(frozenset(FAILED_OUTCOMES)),
    mode=st.none() | st.sampled_from(Mode),
    skills=st.none() | st.just(frozenset({"web"})),
)


def passes(run: Run, wanted: RunFilter) -> bool:
    return (
        (wanted.jobs is None or run.job_id in wanted.jobs)
        and (wanted.outcomes is None or run.outcome in wanted.outcomes)
        and (wanted.mode is None or run.mode is wanted.mode)
        and (wanted.skills is None or bool(set(run.skills) & wanted.skills))
    )


def distinct_starts(history: list[Run]) -> bool:
    return len({(run.job_id, run.started_ns) for run in history}) == len(history)


@given(history=histories.filter(distinct_starts), window=windows, wanted=filters)
def test_figures_of_jobs_are_those_of_their_runs(
    journal: Journal, history: list[Run], window: Window, wanted: RunFilter
) -> None:
    with journal.rolled_back():
        journal.runs.add(history, 0)
        summary = summarize([Profile("default", journal)], wanted, window, END_NS)
        found = job_figures([Profile("default", journal)], wanted, window, END_NS)

    since_ns, until_ns = window.since_ns, window.until_ns
    matching = [run for run in history if passes(run, wanted)]
    now = [run for run in matching if in_window(run, since_ns, until_ns)]
    check(summary.together.figures, now)
    assert {job.job_id for job in found} == {run.job_id for run in now}
    for job in found:
        check(job.figures, [run for run in now if run.job_id == job.job_id])
        own = [run for run in history if run.job_id == job.job_id]
        check_recent(job, sorted(own, key=lambda run: run.started_ns))
        newest_ns = window.until_ns - 90 * DAY
        durations_s = [
            run.duration_s
            for run in now
            if run.job_id == job.job_id and run.duration_s is not None and run.ended_ns >= newest_ns
        ]
        assert job.durations.runs == len(durations_s)
        assert job.durations.p50_s == percentile(durations_s, 50)
        assert job.durations.p95_s == percentile(durations_s, 95)
    if since_ns is not None:
        assert summary.together.prior is not None
        start_ns = since_ns - (until_ns - since_ns)
        check(
            summary.together.prior, [run for run in matching if in_window(run, start_ns, since_ns)]
        )


def check_recent(job: JobFigures, runs: Sequence[Run]) -> None:
    """How the job stands is what its runs say, oldest start first."""
    ran = [run for run in runs if run.outcome is not Outcome.MISSED]
    successes = [run.started_ns for run in ran if run.outcome is Outcome.SUCCESS]
    assert job.recent.outcomes == tuple(run.outcome for run in runs[-STRIP_RUNS:])
    assert job.recent.last_outcome == (ran[-1].outcome if ran else None)
    assert job.recent.last_started_ns == (ran[-1].started_ns if ran else None)
    assert job.recent.last_success_ns == max(successes, default=None)
    since_ns = max(successes, default=-math.inf)
    assert job.recent.consecutive_failures == sum(
        run.outcome in FAILED_OUTCOMES for run in ran if run.started_ns > since_ns
    )


@given(history=histories, window=windows)
def test_costs_of_models_add_up_to_the_cost_of_their_runs(
    journal: Journal, history: list[Run], window: Window
) -> None:
    with journal.rolled_back():
        journal.runs.add(history, 0)
        models = model_figures(
            [Profile("default", journal)], RunFilter(), window, known_since_ns=None
        )

    parts = [
        part
        for run in history
        if in_window(run, window.since_ns, window.until_ns)
        for part in run.usage_by_model
    ]
    total = sum(part.known_cost_usd or 0.0 for part in parts)
    assert sum(model.cost_usd or 0.0 for model in models) == pytest.approx(total)
    assert sum(model.tokens for model in models) == sum(part.total_tokens for part in parts)
    assert {(m.model, m.provider) for m in models} == {(p.model, p.provider) for p in parts}
    shares = [model.cost_share for model in models if model.cost_share is not None]
    assert not total or sum(shares) == pytest.approx(1)


# Worked by hand.

DAILY = Job(
    job_id=DIGEST.job_id,
    name="nightly digest",
    mode=Mode.AGENT,
    schedule=Schedule(kind=ScheduleKind.CRON, expression="0 7 * * *", cron="0 7 * * *"),
    created_ns=NOW_NS - 60 * DAY,
    next_run_ns=NOW_NS + 23 * HOUR,
)


def run_ago(days: float, outcome: Outcome = Outcome.SUCCESS, **facts: Any) -> Run:
    """A run of the daily job that ended so many days before now."""
    ended_ns = NOW_NS - round(days * DAY)
    run = replace(
        DIGEST,
        execution_id=f"{round(days * 1000):032d}",
        session_id=None,
        started_ns=ended_ns - 10 * SECOND,
        ended_ns=ended_ns,
        scheduled_ns=ended_ns - 20 * SECOND,
        outcome=outcome,
        cost_usd=0.5,
    )
    return replace(run, **facts)


@pytest.fixture
def summary_of(tmp_path: Path) -> Callable[..., Summary]:
    def summarized(*runs: Run, job: Job | None = DAILY, days: float = 10) -> Summary:
        with Journal.open(tmp_path / f"{len(runs)}.db") as journal:
            with journal.atomic():
                if job is not None:
                    journal.jobs.observe([job], job.created_ns or 0)
                    journal.facts.set(CURRENT_JOBS, (job,))
                journal.runs.add(runs, NOW_NS)
            return summarize(
                [Profile("default", journal)], RunFilter(), Window.of_days(days, NOW_NS), NOW_NS
            )

    return summarized


def test_ten_daily_runs_of_half_a_dollar(summary_of: Callable[..., Summary]) -> None:
    """Once a day at $0.50: 10 expected and 10 there, $15 in 30 days by schedule and by trend."""
    ran = [run_ago(n + 0.04) for n in range(30)]
    (job,) = summary_of(*ran).jobs

    assert (job.figures.runs, job.expected_runs, job.adherence) == (10, 10, 1.0)
    assert job.projection.outlook[Horizon.DAYS_30].scheduled_runs == 30
    assert job.projection.outlook[Horizon.DAYS_30].nominal.usd == pytest.approx(15)
    assert job.projection.outlook[Horizon.DAYS_30].trend.usd == pytest.approx(15)
    assert job.pace == pytest.approx(1)
    assert [job.changes.runs, job.changes.cost_usd] == pytest.approx([0, 0])
    assert (job.state, job.next_run_ns) == (JobState.SCHEDULED, DAILY.next_run_ns)


def test_models_change_only_against_a_window_that_was_observed_as_a_whole(
    summary_of: Callable[..., Summary],
) -> None:
    """As all jobs do: a run against 10 is no change by 900 % where nothing else was observed."""
    (observed,) = summary_of(*(run_ago(n + 0.04) for n in range(20)), run_ago(20.04)).models
    (young,) = summary_of(*(run_ago(n + 0.04) for n in range(11))).models

    assert (observed.cost_change, young.cost_change) == (0, None)


def test_a_young_job_has_one_trend_alone_and_among_all(tmp_path: Path) -> None:
    """It is five days old, in a home that is known for forty: each day costs $0.50 from now on."""
    young = replace(DAILY, job_id="young", name="young", created_ns=NOW_NS - 5 * DAY)
    runs = [run_ago(day) for day in range(40)]
    runs += [
        run_ago(day + 0.1, job_id="young", job_name="young", execution_id=f"y{day}")
        for day in range(5)
    ]
    with Journal.open(tmp_path / "two.db") as journal:
        with journal.atomic():
            journal.jobs.observe([DAILY], NOW_NS - 60 * DAY)
            journal.jobs.observe([DAILY, young], NOW_NS - 5 * DAY)
            journal.facts.set(CURRENT_JOBS, (DAILY, young))
            journal.runs.add(sorted(runs, key=lambda run: run.ended_ns), NOW_NS)
        found = [
            summarize([Profile("default", journal)], wanted, Window.of_days(30, NOW_NS), NOW_NS)
            for wanted in (RunFilter(), RunFilter(jobs=frozenset({"young"})))
        ]

    for summary in found:
        trends = [job.projection.outlook[Horizon.DAYS_30].trend.usd or 0 for job in summary.jobs]
        together = summary.together.projection
        assert together.outlook[Horizon.DAYS_30].trend.usd == pytest.approx(sum(trends))
        assert together.pace == pytest.approx(1, rel=0.05)


def test_runs_by_hand_cost_and_are_not_the_schedules(summary_of: Callable[..., Summary]) -> None:
    """Twice as many runs as planned: the trend is twice the nominal cost, the adherence stays 1."""
    ran = [run_ago(n + 0.04) for n in range(30)]
    by_hand = [run_ago(n + 0.5, trigger=Trigger.MANUAL) for n in range(10)]
    (job,) = summary_of(*ran, *by_hand).jobs

    assert (job.figures.runs, job.figures.scheduled_runs, job.figures.manual_runs) == (20, 10, 10)
    assert [job.adherence, job.pace] == pytest.approx([1, 2])


def test_a_young_job_is_divided_by_its_age(summary_of: Callable[..., Summary]) -> None:
    young = replace(DAILY, created_ns=NOW_NS - 2 * DAY - HOUR)
    (job,) = summary_of(run_ago(1.04), run_ago(0.04), job=young, days=30).jobs

    assert job.observed_s == pytest.approx(1.04 * 86_400 + 20, rel=1e-6)
    assert job.changes.runs is None


def test_what_failed_is_wasted_and_what_was_missed_is_counted_apart(
    summary_of: Callable[..., Summary],
) -> None:
    missed = run_ago(4, Outcome.MISSED, missed_count=3, usage=None, cost_usd=None)
    summary = summary_of(
        run_ago(1), run_ago(2, Outcome.TIMEOUT), run_ago(3, Outcome.SKIPPED, cost_usd=None), missed
    )
    figures = summary.together.figures

    assert (figures.runs, figures.failed, figures.skipped, figures.missed) == (3, 1, 1, 3)
    assert (figures.success_rate, figures.cost_usd, figures.wasted_usd) == (0.5, 1.0, 0.5)
    assert figures.outcomes == {"missed": 1, "skipped": 1, "success": 1, "timeout": 1}


def test_an_unknown_cost_is_no_zero(summary_of: Callable[..., Summary]) -> None:
    unknown: dict[str, Any] = {"cost_usd": None, "cost_status": CostStatus.UNKNOWN}
    (job,) = summary_of(run_ago(1, **unknown)).jobs
    assert (job.figures.cost_usd, job.figures.mean_cost_usd, job.pace) == (None, None, None)

    (job,) = summary_of(run_ago(1, **unknown), run_ago(2)).jobs
    assert (job.figures.cost_usd, job.figures.cost_is_lower_bound) == (0.5, True)
    assert job.figures.mean_cost_usd == 0.5


def test_a_run_that_failed_before_its_first_call_is_in_no_models_row(
    summary_of: Callable[..., Summary],
) -> None:
    """Its session names the model; the cost of 0 is known, and so the total of the models is."""
    denied: dict[str, Any] = {
        "cost_usd": None,
        "cost_status": None,
        "api_calls": 0,
        "usage": Usage(),
    }
    found = summary_of(run_ago(1, Outcome.FAILURE, **denied), run_ago(2))

    assert found.together.figures.cost_is_lower_bound is False
    (model,) = found.models
    assert (model.runs, model.cost_usd, model.cost_is_lower_bound) == (1, 0.5, False)


def test_a_streak_longer_than_the_strip_is_counted_whole(
    summary_of: Callable[..., Summary],
) -> None:
    failed = [run_ago(n / 100 + 0.01, Outcome.FAILURE) for n in range(30)]
    (job,) = summary_of(*failed).jobs
    assert (job.recent.consecutive_failures, job.recent.last_success_ns) == (30, None)

    (job,) = summary_of(*failed, run_ago(5)).jobs
    assert job.recent.consecutive_failures == 30
    assert job.recent.last_success_ns == run_ago(5).started_ns


def test_the_last_run_is_found_behind_many_missed_ones(summary_of: Callable[..., Summary]) -> None:
    missed = [run_ago(n / 100 + 0.01, Outcome.MISSED) for n in range(STRIP_RUNS)]
    (job,) = summary_of(*missed, run_ago(5)).jobs

    assert job.recent.last_outcome is Outcome.SUCCESS
    assert set(job.recent.outcomes) == {Outcome.MISSED}


def test_leaders_have_their_share(summary_of: Callable[..., Summary]) -> None:
    other: dict[str, Any] = {"job_id": "o", "job_name": "other"}
    runs = [run_ago(1), *(run_ago(n + 0.5, cost_usd=1.5, **other) for n in range(3))]
    leaders = summary_of(*runs).leaders

    assert [(job.name, job.value, job.share) for job in leaders.runs] == [
        ("other", 3, 0.75),
        ("nightly digest", 1, 0.25),
    ]
    assert [(job.name, job.value, job.share) for job in leaders.cost_usd] == [
        ("other", 4.5, 0.9),
        ("nightly digest", 0.5, 0.1),
    ]


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (None, JobState.DELETED),
        (DAILY, JobState.SCHEDULED),
        (replace(DAILY, runs_left=0, enabled=False), JobState.COMPLETED),
        (replace(DAILY, enabled=False), JobState.DISABLED),
        (replace(DAILY, enabled=False, paused_ns=5), JobState.PAUSED),
        (
            replace(
                DAILY,
                schedule=Schedule(kind=ScheduleKind.ONCE, expression="x", once_at_ns=5),
                next_run_ns=None,
                last_run_ns=6,
                enabled=False,
            ),
            JobState.COMPLETED,
        ),
    ],
)
def test_the_state_of_a_job(job: Job | None, state: JobState) -> None:
    assert state_of(job) is state


def test_a_window_of_days_has_one_of_the_same_length_before_it() -> None:
    window = Window.of_days(7, NOW_NS)
    prior = window.prior

    assert (window.since_ns, window.until_ns) == (NOW_NS - 7 * DAY, NOW_NS)
    assert prior is not None
    assert (prior.since_ns, prior.until_ns) == (NOW_NS - 14 * DAY, NOW_NS - 7 * DAY)
    assert Window.of_days(0, NOW_NS).prior is None
    assert Window.of_days(365, NOW_NS).for_percentiles.since_ns == NOW_NS - 90 * DAY
    assert Window.of(NOW_NS, since_ns=0, until_ns=NOW_NS + NS).until_ns == NOW_NS
    assert Window.of_days(1, NOW_NS).of_runs(RunFilter(limit=3)).until_ns is None


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ({"a": NOW_NS - 10 * DAY}, 20),  # until a sync saw it go
        ({}, 15),  # that is not known any more: until its last run
    ],
)
def test_a_job_that_is_gone_was_expected_only_while_it_was_there(
    tmp_path: Path, gone: dict[str, int], expected: int
) -> None:
    schedule = Schedule(kind=ScheduleKind.CRON, expression="0 7 * * *", cron="0 7 * * *")
    daily = Job(
        job_id="a", name="a", mode=Mode.AGENT, schedule=schedule, created_ns=NOW_NS - 80 * DAY
    )
    last = replace(
        DIGEST, job_id="a", started_ns=NOW_NS - 15 * DAY - HOUR, ended_ns=NOW_NS - 15 * DAY
    )
    first = replace(
        last,
        execution_id="first",
        session_id=None,
        started_ns=NOW_NS - 80 * DAY,
        ended_ns=NOW_NS - 80 * DAY,
    )
    with Journal.open(tmp_path / "journal.db") as journal:
        with journal.atomic():
            journal.jobs.observe([daily], NOW_NS - 80 * DAY)
            journal.runs.add([first, last], NOW_NS)
            journal.facts.set(GONE_JOBS, gone)
        window = Window.of_days(30, NOW_NS)
        (job,) = job_figures([Profile("default", journal)], RunFilter(), window, NOW_NS)

    assert job.expected_runs == expected
