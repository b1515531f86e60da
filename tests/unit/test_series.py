"""The series of the metrics: what a run adds, that nothing is ever taken away, and that they stay few."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.series import BOUNDS, bucket_of, increments, measurements
from cronalytics_otel.journal import Journal, series
from cronalytics_otel.journal.facts import CURRENT_JOBS, GONE_JOBS
from cronalytics_otel.model import (
    CostStatus,
    DeliveryOutcome,
    Job,
    Mode,
    ModelUsage,
    Outcome,
    Run,
    ScheduleKind,
    Usage,
)
from cronalytics_otel.model.series import ONCE, OTHER, SeriesKey, SeriesKind, SeriesValue
from cronalytics_otel.model.times import NS, Zone
from tests.strategies import histories
from tests.support.cli import DIGEST
from tests.unit.test_figures import ZONES

DAY_NS = 86_400 * NS


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.db")


def added_by(*runs: Run) -> dict[SeriesKey, SeriesValue]:
    return increments(chain.from_iterable(map(measurements, runs)))


def add(journal: Journal, runs: Sequence[Run], now_ns: int = 1) -> None:
    with journal.atomic():
        journal.runs.add(runs, now_ns)
        journal.series.add(added_by(*runs), now_ns)


def totals(journal: Journal) -> dict[SeriesKey, SeriesValue]:
    return {one.key: one.total for one in journal.series.all()}


def collect(journal: Journal, now_ns: int) -> int:
    with journal.atomic():
        return journal.series.begin_collection(now_ns)


def runs_series(outcome: Outcome, run: Run = DIGEST) -> SeriesKey:
    return SeriesKey(SeriesKind.RUNS, run.job_id, run.job_name, (outcome.value,))


# --- what a run adds ----------------------------------------------------------------------------


def test_a_run_counts_for_its_outcome_and_begins_all_eight() -> None:
    found = added_by(DIGEST)

    assert {key.labels[0]: value.value for key, value in found.items() if key.kind == "runs"} == {
        **dict.fromkeys(Outcome, 0.0),
        DIGEST.outcome: 1.0,
    }


def test_a_missed_run_counts_once_for_each_time_at_which_it_should_have_run() -> None:
    missed = replace(DIGEST, outcome=Outcome.MISSED, missed_count=7, error_type="scheduler_down")
    found = added_by(missed)

    assert found[runs_series(Outcome.MISSED)].value == 7
    errors = SeriesKey(SeriesKind.ERRORS, DIGEST.job_id, DIGEST.job_name, ("scheduler_down",))
    assert found[errors].value == 7
    assert not [key for key in found if key.kind in (SeriesKind.DURATION, SeriesKind.LATENESS)]


@pytest.mark.parametrize(("failed", "outcome"), [("true", "timeout"), ("false", "skipped")])
def test_durations_know_only_whether_the_run_failed(failed: str, outcome: str) -> None:
    run = replace(DIGEST, outcome=Outcome(outcome), started_ns=0, ended_ns=90 * NS, session_id="s")
    key = SeriesKey(SeriesKind.DURATION, DIGEST.job_id, DIGEST.job_name, (failed,))
    value = added_by(run)[key]

    bounds = BOUNDS[SeriesKind.DURATION]
    assert (value.value, value.count) == (90.0, 1)
    assert bounds[value.buckets.index(1)] == 120


def test_a_value_that_equals_a_bound_is_in_its_bucket() -> None:
    assert [bucket_of((1, 2), value) for value in (0.5, 1, 1.5, 2, 3)] == [0, 0, 1, 1, 2]


def test_each_model_has_its_own_tokens_and_cost() -> None:
    parts = [
        ModelUsage(
            model=model,
            provider="p",
            usage=Usage(input_tokens=10, output_tokens=3, cache_read_tokens=9),
            api_calls=1,
            cost_usd=cost_usd,
            cost_status=status,
        )
        for model, cost_usd, status in (
            ("small", 0.5, CostStatus.ESTIMATED),
            ("large", 2.0, CostStatus.UNKNOWN),
        )
    ]
    found = added_by(replace(DIGEST, model_usage=tuple(parts)))

    def of(kind: SeriesKind) -> dict[tuple[str, ...], float]:
        return {key.labels: value.value for key, value in found.items() if key.kind is kind}

    assert of(SeriesKind.COST) == {("small", "p", "estimated"): 0.5}
    assert of(SeriesKind.TOKENS) == {
        ("small", "p", "input"): 10, ("small", "p", "output"): 3,
        ("large", "p", "input"): 10, ("large", "p", "output"): 3,
    }  # fmt: skip


def test_a_cost_that_nobody_wrote_down_is_counted_and_never_0() -> None:
    run = replace(
        DIGEST, mode=Mode.AGENT, outcome=Outcome.SUCCESS, api_calls=2, cost_usd=None,
        cost_status=CostStatus.UNKNOWN, model="m",
    )  # fmt: skip
    found = added_by(run)

    unpriced = SeriesKey(SeriesKind.UNPRICED_RUNS, run.job_id, run.job_name, ("m",))
    assert found[unpriced].value == 1
    assert not [key for key in found if key.kind is SeriesKind.COST]


def test_all_jobs_that_run_once_are_one() -> None:
    found = added_by(
        replace(DIGEST, job_id="x1", job_name="remind me", schedule_kind=ScheduleKind.ONCE),
        replace(DIGEST, job_id="x2", job_name="and me", schedule_kind=ScheduleKind.ONCE),
    )

    assert {(key.job_id, key.job_name) for key in found} == {(ONCE, ONCE)}
    assert found[SeriesKey(SeriesKind.RUNS, ONCE, ONCE, (DIGEST.outcome.value,))].value == 2


@pytest.mark.parametrize("wrong", [-1.0, math.inf, math.nan])
def test_a_value_that_no_counter_can_take_adds_nothing(wrong: float) -> None:
    run = replace(DIGEST, model_usage=(), usage=None, cost_usd=wrong, cost_status=None)

    assert sum(value.value for key, value in added_by(run).items() if key.kind == "cost") == 0


# --- in the journal -----------------------------------------------------------------------------


@given(st.lists(histories, max_size=4), st.sampled_from(ZONES))
def test_series_never_go_down_and_are_the_sums_over_the_runs(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[list[Run]],
    zone: Zone,
) -> None:
    """Whatever happens to the day tables in between."""
    before: dict[SeriesKey, SeriesValue] = {}
    all_runs: list[Run] = []
    with Journal.open(tmp_path_factory.mktemp("series") / "journal.db") as journal:
        for n, chunk in enumerate(chunks):
            runs = [replace(run, execution_id=f"{n}_{run.execution_id}") for run in chunk]
            add(journal, runs)
            all_runs += runs
            journal.figures.use_zone(zone, 1)
            journal.figures.rebuild()
            now = totals(journal)
            assert_only_grown(before, now)
            before = now
    assert_same(before, slow_totals(all_runs))


def assert_only_grown(
    before: dict[SeriesKey, SeriesValue], now: dict[SeriesKey, SeriesValue]
) -> None:
    assert before.keys() <= now.keys()
    for key, value in before.items():
        assert value.value <= now[key].value
        assert all(
            then <= later for then, later in zip(value.buckets, now[key].buckets, strict=True)
        )


def assert_same(
    found: dict[SeriesKey, SeriesValue], expected: dict[SeriesKey, SeriesValue]
) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].value == pytest.approx(value.value)
        assert found[key].buckets == value.buckets


def slow_totals(runs: Iterable[Run]) -> dict[SeriesKey, SeriesValue]:
    """The slow and obvious calculation: value by value."""
    values: dict[SeriesKey, list[float]] = {}
    for run in runs:
        for outcome in Outcome:
            values.setdefault(runs_series(outcome, run), []).append(
                0 if outcome is not run.outcome else (run.missed_count or 1)
            )
        for key, value in measurements(run):
            if key[0] is not SeriesKind.RUNS:
                values.setdefault(SeriesKey(*key), []).append(value)
    return {
        key: SeriesValue(value=sum(all_of), buckets=slow_buckets(key.kind, all_of))
        for key, all_of in values.items()
    }


def slow_buckets(kind: SeriesKind, values: Sequence[float]) -> tuple[int, ...]:
    if kind not in BOUNDS:
        return ()
    edges = (-math.inf, *BOUNDS[kind], math.inf)
    return tuple(sum(low < value <= high for value in values) for low, high in pairwise(edges))


def test_a_run_and_its_series_are_written_together_or_not_at_all(journal: Journal) -> None:
    with pytest.raises(RuntimeError), journal.atomic():
        journal.runs.add([DIGEST], 1)
        journal.series.add(added_by(DIGEST), 1)
        raise RuntimeError

    assert totals(journal) == {}


def test_a_renamed_job_begins_other_series_and_the_former_stay(journal: Journal) -> None:
    add(journal, [DIGEST])
    add(journal, [replace(DIGEST, job_name="new", execution_id="e2", session_id=None)])

    found = totals(journal)
    assert found[runs_series(DIGEST.outcome)].value == 1
    assert found[runs_series(DIGEST.outcome, replace(DIGEST, job_name="new"))].value == 1


# --- when a series starts -----------------------------------------------------------------------


def start_of(journal: Journal, key: SeriesKey) -> int | None:
    return next(one.start_ns for one in journal.series.all() if one.key == key)


def test_history_starts_at_the_first_collection(journal: Journal) -> None:
    add(journal, [DIGEST])
    assert start_of(journal, runs_series(DIGEST.outcome)) is None

    assert collect(journal, 50 * NS) == 50 * NS

    assert start_of(journal, runs_series(DIGEST.outcome)) == 50 * NS


def test_a_new_series_starts_at_the_collection_before_it_and_keeps_its_start(
    journal: Journal,
) -> None:
    collect(journal, 50 * NS)
    add(journal, [DIGEST])
    collect(journal, 60 * NS)
    add(journal, [replace(DIGEST, execution_id="e2", session_id=None)])

    assert start_of(journal, runs_series(DIGEST.outcome)) == 50 * NS


def test_points_never_go_back_while_a_clock_is_set_back_a_little(journal: Journal) -> None:
    times = [collect(journal, at_s * NS) for at_s in (10_000, 9_000, 9_000, 9_999, 10_001)]

    assert times == sorted(set(times))
    assert times[-1] == 10_001 * NS


def test_a_clock_that_was_wrong_by_far_is_followed_and_no_series_starts_after_its_points(
    journal: Journal,
) -> None:
    collect(journal, 500 * DAY_NS)
    add(journal, [DIGEST])

    time_ns = collect(journal, 100 * DAY_NS)

    assert time_ns == 100 * DAY_NS
    assert start_of(journal, runs_series(DIGEST.outcome)) == time_ns


# --- they stay few ------------------------------------------------------------------------------


def job_runs(count: int, **facts: object) -> list[Run]:
    return [
        replace(
            DIGEST, job_id=f"job{n:05d}", job_name=f"job {n}", execution_id=f"e{n}", session_id=None,
            **facts,  # type: ignore[arg-type]
        )
        for n in range(count)
    ]  # fmt: skip


def test_beyond_the_limit_jobs_are_counted_together_and_stay_there(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "MAX_SERIES", 24)  # the outcomes of three jobs
    add(journal, job_runs(5))
    add(journal, [replace(run, execution_id=f"again {run.execution_id}") for run in job_runs(5)])

    found = totals(journal)
    of_runs = {key.job_id: value.value for key, value in found.items()
               if key.kind is SeriesKind.RUNS and key.labels == (DIGEST.outcome.value,)}  # fmt: skip
    assert of_runs == {"job00000": 2, "job00001": 2, "job00002": 2, OTHER: 4}
    monkeypatch.setattr(series, "MAX_SERIES", 1_600)
    add(journal, [replace(job_runs(4)[3], execution_id="once more")])
    assert totals(journal)[
        SeriesKey(SeriesKind.RUNS, OTHER, OTHER, (DIGEST.outcome.value,))
    ].value == 5  # fmt: skip


def test_beyond_the_limit_models_are_counted_together(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "MAX_SERIES", 8)
    runs = [
        replace(
            DIGEST, model=f"model {n}", provider="p", model_usage=(), cost_usd=1.0,
            cost_status=CostStatus.ACTUAL, execution_id=f"e{n}", session_id=None,
        )
        for n in range(20)
    ]  # fmt: skip
    add(journal, runs)

    costs = {key: value.value for key, value in totals(journal).items() if key.kind == "cost"}
    assert len(costs) == 9
    assert costs[SeriesKey(SeriesKind.COST, OTHER, OTHER, (OTHER, OTHER, "actual"))] == 12
    assert sum(costs.values()) == 20


def test_the_number_of_series_follows_from_jobs_models_errors_and_deliveries(
    journal: Journal,
) -> None:
    jobs, models, errors, deliveries = 50, 8, 24, 6
    runs = [
        replace(
            DIGEST,
            job_id=f"job{job}",
            job_name=f"job {job}",
            execution_id=f"{job} {n}",
            session_id=None,
            scheduled_ns=DIGEST.started_ns,
            outcome=Outcome.FAILURE if n % 2 else Outcome.SUCCESS,
            error_type=f"error {n % errors}",
            delivery_outcome=list(DeliveryOutcome)[n % deliveries],
            model=f"model {n % models}",
            model_usage=(),
            usage=Usage(input_tokens=1),
            cost_usd=0.5 if n % 3 else None,
            cost_status=CostStatus.ACTUAL if n % 3 else CostStatus.UNKNOWN,
            mode=Mode.AGENT,
            api_calls=1,
        )
        for job in range(jobs)
        for n in range(48)
    ]
    add(journal, runs)

    by_kind = Counter(one.key.kind for one in journal.series.all())
    assert by_kind == {
        SeriesKind.RUNS: jobs * len(Outcome),
        SeriesKind.ERRORS: jobs * errors,
        SeriesKind.DURATION: jobs * 2,
        SeriesKind.LATENESS: jobs,
        SeriesKind.COST: jobs * models,
        SeriesKind.TOKENS: jobs * models * 2,
        SeriesKind.UNPRICED_RUNS: jobs * models,
        SeriesKind.DELIVERIES: jobs * deliveries,
    }
    gauges = 67 * jobs + 3 * (100 + 50)
    assert by_kind.total() + gauges < 10_000


# --- jobs that are gone -------------------------------------------------------------------------


def current(*runs: Run) -> tuple[Job, ...]:
    return tuple(
        Job(job_id=run.job_id, name=run.job_name, mode=Mode.AGENT, schedule=None) for run in runs
    )


def test_a_deleted_job_is_sent_for_seven_more_days(journal: Journal) -> None:
    stays, goes = job_runs(2)
    add(journal, [stays, goes], now_ns=NS)
    journal.facts.set(CURRENT_JOBS, current(stays))
    journal.facts.set(GONE_JOBS, {goes.job_id: DAY_NS})

    collect(journal, 7 * DAY_NS)
    assert {one.key.job_id for one in journal.series.all()} == {stays.job_id, goes.job_id}

    collect(journal, 9 * DAY_NS)
    assert {one.key.job_id for one in journal.series.all()} == {stays.job_id}


def test_a_job_that_is_not_known_to_be_gone_is_never_taken_for_it(journal: Journal) -> None:
    """jobs.json was never read."""
    add(journal, job_runs(1), now_ns=NS)

    collect(journal, 500 * DAY_NS)

    assert journal.series.all() != []


def test_jobs_that_run_once_are_never_gone(journal: Journal) -> None:
    add(journal, [replace(DIGEST, schedule_kind=ScheduleKind.ONCE)], now_ns=NS)
    journal.facts.set(CURRENT_JOBS, ())

    collect(journal, 500 * DAY_NS)

    assert {one.key.job_id for one in journal.series.all()} == {ONCE}
