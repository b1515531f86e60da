"""One history by our formulas and by Cronalytics'; docs/projections.md shows the table and explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.domain.occurrences import expected_occurrences, goes_on, scheduled_runs
from cronalytics_otel.domain.projections import (
    Horizon,
    Projection,
    horizon_ends,
    observed_s,
    project,
)
from cronalytics_otel.model import CostStatus, Job, Mode, Outcome, Run, Trigger
from cronalytics_otel.model.times import NS, ns_of, to_datetime
from tests.support import cronalytics
from tests.support.amounts import took_place
from tests.support.cli import DIGEST
from tests.unit.test_docs import rows, section
from tests.unit.test_schedule import cron, every, once

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 6, 15, 12, tzinfo=ZONE)
NOW_NS = ns_of(NOW)
DAYS = 30
UNKNOWN = "-"
DAY_NS = 86_400 * NS
ENDS_NS = horizon_ends(NOW_NS, ZONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A job and its runs in the window of 30 days."""

    job: Job
    runs: Sequence[Run]
    due_to_end_s: float = 0.0


def a_job(name: str, **fields: object) -> Job:
    made = Job(
        job_id=name, name=name, mode=Mode.AGENT, schedule=cron("0 7 * * *"), created_ns=NOW_NS - 400 * DAY_NS,
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def some_runs(count: int, usd: float | None, **fields: object) -> list[Run]:
    status = CostStatus.UNKNOWN if usd is None else CostStatus.ESTIMATED
    run = replace(DIGEST, cost_usd=usd or 0.0, cost_status=status)
    return [replace(run, **fields)] * count  # type: ignore[arg-type]


CASES = {
    case.job.name: case
    for case in (
        Case(job=a_job("daily"), runs=some_runs(30, 0.5)),
        Case(job=a_job("three days old", created_ns=NOW_NS - 3 * DAY_NS), runs=some_runs(3, 1)),
        Case(job=a_job("paused today", enabled=False), runs=some_runs(30, 0.5)),
        Case(job=a_job("two repeats left", runs_left=2), runs=some_runs(30, 0.5)),
        Case(
            job=a_job("tomorrow once", schedule=once(NOW_NS + DAY_NS), created_ns=NOW_NS - DAY_NS),
            runs=[],
        ),
        Case(
            job=a_job("a third without a price"), runs=some_runs(20, 0.5) + some_runs(10, None)
        ),
        Case(
            job=a_job("also by hand"),
            runs=some_runs(30, 0.5) + some_runs(30, 0.5, trigger=Trigger.MANUAL),
        ),
        Case(
            job=a_job("failing"),
            runs=some_runs(20, 0.5) + some_runs(10, 0.5, outcome=Outcome.FAILURE),
        ),
        Case(
            job=a_job("hourly, half an hour long", schedule=every(60), next_run_ns=NOW_NS + 1),
            runs=some_runs(480, 0.5),
            due_to_end_s=1800,
        ),
        Case(job=a_job("every minute", schedule=cron("* * * * *")), runs=some_runs(43_200, 0.5)),
        Case(
            job=a_job("script", mode=Mode.SCRIPT),
            runs=some_runs(30, None, mode=Mode.SCRIPT, cost_usd=None, cost_status=None),
        ),
    )
}  # fmt: skip


def ours(case: Case) -> Projection:
    from_ns = NOW_NS - DAYS * DAY_NS
    upcoming = scheduled_runs(
        case.job, NOW_NS, tuple(ENDS_NS.values()), ZONE, due_to_end_s=case.due_to_end_s
    )
    # Until today the paused job was not paused.
    history = [(0, replace(case.job, enabled=True)), (NOW_NS, case.job)]
    return project(
        spent=took_place(case.runs),
        scheduled=took_place(run for run in case.runs if run.trigger is not Trigger.MANUAL),
        failed=took_place(run for run in case.runs if run.failed),
        observed_s=observed_s(from_ns, NOW_NS, created_ns=case.job.created_ns, first_run_ns=None),
        expected_runs=expected_occurrences(
            history, from_ns, NOW_NS, ZONE, due_to_end_s=case.due_to_end_s
        ),
        upcoming=dict(zip(ENDS_NS, upcoming, strict=True)),
        goes_on=goes_on(case.job),
        calls_model=case.job.mode is not Mode.SCRIPT,
        now_ns=NOW_NS,
        ends_ns=ENDS_NS,
    )


def theirs(case: Case) -> cronalytics.Figures:
    local = to_datetime(NOW_NS, ZONE).replace(tzinfo=None)
    return cronalytics.figures(case.job, case.runs, local, DAYS)


def usd(value: float | None) -> str:
    return UNKNOWN if value is None else f"${value:,.2f}"


def ratio(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def both(one: str, other: str) -> str:
    return one if one == other else f"{one} → **{other}**"


def row(name: str) -> list[str]:
    their, our = theirs(CASES[name]), ours(CASES[name])
    month, year = our.outlook[Horizon.DAYS_30], our.outlook[Horizon.DAYS_365]
    return [
        name,
        both(f"{their.scheduled_30:,}", f"{month.scheduled_runs:,}"),
        both(f"{their.scheduled_365:,}", f"{year.scheduled_runs:,}"),
        both(usd(their.nominal_30_usd), usd(month.nominal.usd)),
        both(usd(their.trend_30_usd), usd(month.trend.usd)),
        both(ratio(their.pace), ratio(our.pace)),
        both(ratio(their.drift), ratio(our.adherence)),
        both(usd(their.wasted_usd), usd(our.wasted_usd)),
    ]


@pytest.mark.parametrize("name", CASES)
def test_the_document_shows_what_both_make_of_a_history(name: str) -> None:
    table = rows(section("docs/projections.md", "## One history by both"))
    shown = {columns[0]: list(columns) for columns in table}

    assert shown[name] == row(name)


def test_the_document_shows_no_other_job() -> None:
    table = rows(section("docs/projections.md", "## One history by both"))
    assert [columns[0] for columns in table] == list(CASES)


def test_a_job_without_edges_is_the_same_by_both() -> None:
    """Scheduled, old enough, priced, successful, never run by hand."""
    their, our = theirs(CASES["daily"]), ours(CASES["daily"])
    month = our.outlook[Horizon.DAYS_30]

    assert (their.scheduled_30, their.nominal_30_usd) == (month.scheduled_runs, month.nominal.usd)
    assert their.trend_30_usd == pytest.approx(month.trend.usd)
    assert their.pace == pytest.approx(our.pace)
    assert their.drift == our.adherence
