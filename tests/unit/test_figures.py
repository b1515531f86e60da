"""The sums over runs are what a slow and obvious calculation gives, for any history and any window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.figures import Dimension
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import (
    Amounts,
    CostStatus,
    Mode,
    ModelAmounts,
    ModelUsage,
    Outcome,
    Run,
    Trigger,
    Usage,
)
from cronalytics_otel.model.times import NS, Zone
from tests.strategies import HISTORY_BEGAN_NS, histories
from tests.support.amounts import amounts_of
from tests.support.cli import DIGEST

HOUR_NS = 3600 * NS
BERLIN = Zone(info=ZoneInfo("Europe/Berlin"), name="Europe/Berlin")
ZONES = [
    BERLIN,
    Zone(info=UTC, name="UTC"),
    Zone(info=ZoneInfo("America/Havana"), name="America/Havana"),  # its clocks change at midnight
    Zone(info=ZoneInfo("Asia/Kathmandu"), name="Asia/Kathmandu"),
]
RUN_DIMENSIONS = [
    Dimension.DAY, Dimension.JOB, Dimension.MODE, Dimension.OUTCOME, Dimension.TRIGGER,
]  # fmt: skip
USAGE_DIMENSIONS = [
    Dimension.DAY, Dimension.JOB, Dimension.MODEL, Dimension.PROVIDER, Dimension.COST_STATUS,
]  # fmt: skip

moments = st.integers(0, 60 * 24 * 40).map(lambda minutes: HISTORY_BEGAN_NS + minutes * 60 * NS)
filters = st.builds(
    RunFilter,
    jobs=st.none() | st.frozensets(st.sampled_from(["a", "b", "c", "gone"]), max_size=3),
    since_ns=st.none() | moments,
    until_ns=st.none() | moments,
    outcomes=st.none() | st.frozensets(st.sampled_from(Outcome)),
    mode=st.none() | st.sampled_from(Mode),
    trigger=st.none() | st.sampled_from(Trigger),
    models=st.none() | st.frozensets(st.sampled_from(["small", "large", "none"]), max_size=2),
    skills=st.none() | st.frozensets(st.sampled_from(["web", "mail"]), max_size=2),
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal.open(tmp_path_factory.mktemp("journal") / "journal.db")


# The slow and obvious calculation.


def matches(run: Run, wanted: RunFilter) -> bool:
    models = {part.model for part in run.usage_by_model} | {run.model}
    return (
        (wanted.jobs is None or run.job_id in wanted.jobs)
        and (wanted.since_ns is None or run.ended_ns >= wanted.since_ns)
        and (wanted.until_ns is None or run.ended_ns < wanted.until_ns)
        and (wanted.outcomes is None or run.outcome in wanted.outcomes)
        and (wanted.mode is None or run.mode is wanted.mode)
        and (wanted.trigger is None or run.trigger is wanted.trigger)
        and (wanted.models is None or bool(models & wanted.models))
        and (wanted.skills is None or bool(set(run.skills) & wanted.skills))
    )


def model_amounts_of(part: ModelUsage) -> ModelAmounts:
    return ModelAmounts(
        runs=1,
        api_calls=part.api_calls or 0,
        cost_usd=part.known_cost_usd or 0.0,
        usage=part.usage or Usage(),
    )


def local_day(run: Run, zone: Zone) -> int:
    local = datetime.fromtimestamp(run.ended_ns // NS, zone.info)
    return (local.date() - datetime(1970, 1, 1).date()).days


def run_key(run: Run, zone: Zone) -> dict[Dimension, Any]:
    return {
        Dimension.DAY: local_day(run, zone),
        Dimension.JOB: run.job_id,
        Dimension.MODE: run.mode or "",
        Dimension.OUTCOME: run.outcome,
        Dimension.TRIGGER: run.trigger or "",
    }


def usage_key(run: Run, part: ModelUsage, zone: Zone) -> dict[Dimension, Any]:
    return {
        Dimension.DAY: local_day(run, zone),
        Dimension.JOB: run.job_id,
        Dimension.MODEL: part.model or "",
        Dimension.PROVIDER: part.provider or "",
        Dimension.COST_STATUS: part.cost_status or "",
    }


def grouped(
    rows: Iterable[tuple[dict[Dimension, Any], Any]],
    by: Sequence[Dimension],
    add_up: Callable[[list[Any]], Any],
) -> dict[tuple[Any, ...], Any]:
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for key, amounts in rows:
        groups.setdefault(tuple(key[dimension] for dimension in by), []).append(amounts)
    return {key: add_up(members) for key, members in groups.items()}


def slow_runs(runs: Sequence[Run], wanted: RunFilter, by: Sequence[Dimension], zone: Zone) -> Any:
    rows = [(run_key(run, zone), amounts_of(run)) for run in runs if matches(run, wanted)]
    return grouped(rows, by, Amounts.sum)


def slow_usage(runs: Sequence[Run], wanted: RunFilter, by: Sequence[Dimension], zone: Zone) -> Any:
    rows = [
        (usage_key(run, part, zone), model_amounts_of(part))
        for run in runs
        if matches(run, wanted)
        for part in run.usage_by_model
    ]
    return grouped(rows, by, ModelAmounts.sum)


def close_to(amounts: Any) -> Any:
    """Sums of floats depend on their order a little."""
    if isinstance(amounts, dict):
        return {key: close_to(value) for key, value in amounts.items()}
    floats = {
        name: pytest.approx(getattr(amounts, name), rel=1e-9, abs=1e-9)
        for name in ("cost_usd", "cost_usd_squared", "duration_s")
        if hasattr(amounts, name)
    }
    return replace(amounts, **floats)


# The same, fast.


@given(
    history=histories,
    later=histories,
    zone=st.sampled_from(ZONES),
    wanted=filters,
    by=st.lists(st.sampled_from(RUN_DIMENSIONS), unique=True),
)
def test_runs_are_summed_as_the_slow_calculation_does(
    journal: Journal,
    history: list[Run],
    later: list[Run],
    zone: Zone,
    wanted: RunFilter,
    by: list[Dimension],
) -> None:
    later = [replace(run, execution_id=f"later {run.execution_id}") for run in later]
    with journal.rolled_back():
        journal.figures.use_zone(zone, HISTORY_BEGAN_NS)
        journal.runs.add(history, 0)
        journal.runs.add(later, 0)
        assert journal.figures.runs(wanted, by=by) == close_to(
            slow_runs([*history, *later], wanted, by, zone)
        )


@given(
    history=histories,
    zone=st.sampled_from(ZONES),
    wanted=filters,
    by=st.lists(st.sampled_from(USAGE_DIMENSIONS), unique=True),
)
def test_usage_is_summed_as_the_slow_calculation_does(
    journal: Journal, history: list[Run], zone: Zone, wanted: RunFilter, by: list[Dimension]
) -> None:
    with journal.rolled_back():
        journal.figures.use_zone(zone, HISTORY_BEGAN_NS)
        journal.runs.add(history, 0)
        assert journal.figures.usage(wanted, by=by) == close_to(
            slow_usage(history, wanted, by, zone)
        )


@given(history=histories, before=st.sampled_from(ZONES), after=st.sampled_from(ZONES))
def test_after_a_change_of_the_zone_the_days_are_those_of_the_new_one(
    journal: Journal, history: list[Run], before: Zone, after: Zone
) -> None:
    with journal.rolled_back():
        journal.figures.use_zone(before, HISTORY_BEGAN_NS)
        journal.runs.add(history, 0)
        journal.figures.use_zone(after, HISTORY_BEGAN_NS)
        assert journal.figures.runs(RunFilter(), by=RUN_DIMENSIONS) == close_to(
            slow_runs(history, RunFilter(), RUN_DIMENSIONS, after)
        )
        assert journal.figures.usage(RunFilter(), by=USAGE_DIMENSIONS) == close_to(
            slow_usage(history, RunFilter(), USAGE_DIMENSIONS, after)
        )


def test_a_journal_without_runs_has_no_sums(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as journal:
        assert journal.figures.runs(RunFilter()) == {}
        assert journal.figures.usage(RunFilter(since_ns=5)) == {}


def test_a_run_of_two_models_counts_once_in_the_runs_and_once_for_each_model(
    tmp_path: Path,
) -> None:
    small, large = (
        ModelUsage(
            model=model,
            provider="p",
            usage=Usage(input_tokens=tokens, output_tokens=1),
            api_calls=1,
            cost_usd=cost_usd,
            cost_status=CostStatus.ESTIMATED,
        )
        for model, tokens, cost_usd in (("small", 10, 0.25), ("large", 20, 0.5))
    )
    run = replace(
        DIGEST,
        model="large",
        cost_usd=0.75,
        usage=Usage(input_tokens=30, output_tokens=2),
        model_usage=(small, large),
    )
    with Journal.open(tmp_path / "j.db") as journal:
        with journal.atomic():
            journal.runs.add([run], 0)

        (amounts,) = journal.figures.runs(RunFilter()).values()
        assert (amounts.runs, amounts.cost_usd, amounts.usage.total_tokens) == (1, 0.75, 32)
        by_model = journal.figures.usage(RunFilter(), by=[Dimension.MODEL])
        assert {key: (a.runs, a.cost_usd, a.usage.total_tokens) for key, a in by_model.items()} == {
            ("small",): (1, 0.25, 11),
            ("large",): (1, 0.5, 21),
        }


def test_sums_are_not_asked_for_by_the_name_of_a_job(journal: Journal) -> None:
    with pytest.raises(ValueError, match="ids"):
        journal.figures.runs(RunFilter(job="nightly digest"))
