"""One job: its facts as labelled lines, then its days, projections, drift, errors, models and skills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.text import Text

from ...domain.drift import NOTABLE_SCORE
from ...domain.errors import reason_of
from ...domain.projections import CostEstimate, Horizon
from ...insight.job_detail import JobDetail
from ...insight.jobs import JobFigures
from ...journal.job_runs import ErrorClass
from .. import formats
from ..table import Cell, Column, lay_out
from .drift import cells as drift_cells
from .drift import definition_text
from .figures import (
    STATE_STYLES,
    change_text,
    kept_note,
    outcome_style,
    pace_cell,
    percentile_note,
    sparkline,
    strip,
    window_note,
    window_text,
)
from .models import skill_table
from .summary import models

_LABEL = 10
_OF_RUNS: Final = "percentiles, drift, errors, skills (and models, if the runs are filtered)"
_SHOWN_DRIFTS = 4
_SHOWN_CHANGES = 5
_SHOWN_ERRORS = 5


def lines(detail: JobDetail, width: int | None, now_ns: int) -> Iterator[Text]:
    job = detail.figures
    yield Text.assemble(
        (formats.one_line(job.name), "heading"), "  ", (job.state, STATE_STYLES[job.state])
    )
    yield from _standing(job, now_ns)
    yield Text()
    yield Text(window_text(detail.window), style="heading")
    yield from _figures(detail)
    yield from _days(detail, width)
    yield from _projections(job, width)
    yield from _drift(detail, width)
    yield from _errors(detail.errors, width, now_ns)
    if detail.models:
        yield Text()
        yield from models(detail.models, width)
    if detail.skills:
        yield Text()
        yield from skill_table(detail.skills, width)
    notes = [
        *window_note(detail.window),
        *(kept_note(detail.window, _OF_RUNS) or percentile_note(detail.window)),
    ]
    if notes:
        yield Text()
        yield from map(Text, notes)


def _fact(label: str, value: str | Text) -> Iterator[Text]:
    if value:
        yield Text.assemble((f"  {label:<{_LABEL}}", "muted"), value)


def _listing(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _standing(job: JobFigures, now_ns: int) -> Iterator[Text]:
    recent = job.recent
    yield from _fact("id", _listing(job.job_id, job.mode, job.profile and f"profile {job.profile}"))
    yield from _fact("schedule", job.schedule or "")
    yield from _fact("model", formats.one_line(job.model or ""))
    yield from _fact("skills", formats.one_line(", ".join(job.skills)))
    if job.next_run_ns is not None:
        left = None if job.runs_left is None else f"{formats.counted(job.runs_left, 'run')} left"
        when = f"{formats.moment(job.next_run_ns)} ({formats.distance(job.next_run_ns, now_ns)})"
        yield from _fact("next", _listing(when, left))
    if recent.last_ended_ns is not None:
        at = f"  {formats.moment(recent.last_ended_ns)} ({formats.distance(recent.last_ended_ns, now_ns)})"
        outcome = (recent.last_outcome or "", outcome_style(recent.last_outcome))
        yield from _fact("last", Text.assemble(outcome, at))
    if recent.consecutive_failures:
        since = (
            "never succeeded, as far as is known"
            if recent.last_success_ns is None
            else f"last success {formats.distance(recent.last_success_ns, now_ns)}"
        )
        at_least = "at least " if recent.consecutive_failures_is_lower_bound else ""
        times = formats.counted(recent.consecutive_failures, "time")
        text = f"{at_least}{times} in a row, {since}"
        yield from _fact("failing", Text(text, style="bad"))
    yield from _fact("last 20", strip(recent.outcomes))


def _figures(detail: JobDetail) -> Iterator[Text]:
    job, figures = detail.figures, detail.figures.figures
    yield from _fact(
        "runs",
        _listing(
            f"{figures.runs:,}{_change(job, 'runs')}",
            f"{figures.succeeded:,} succeeded",
            f"{figures.failed:,} failed",
            f"{figures.skipped:,} skipped" if figures.skipped else None,
            f"{figures.missed:,} missed" if figures.missed else None,
            f"{figures.manual_runs:,} started by hand" if figures.manual_runs else None,
        ),
    )
    rate = formats.percent(figures.success_rate)
    yield from _fact("success", f"{rate}{_change(job, 'success_rate')}")
    if job.expected_runs is not None:
        kept = "" if job.adherence is None else f" ({formats.percent(job.adherence)})"
        yield from _fact(
            "expected",
            f"{job.expected_runs:,} by the schedule,"
            f" {formats.counted(figures.scheduled_runs, 'scheduled run')}{kept}",
        )
    took = job.durations
    if took.runs:
        yield from _fact(
            "took",
            f"p50 {formats.duration(took.p50_s)}, p90 {formats.duration(took.p90_s)},"
            f" p95 {formats.duration(took.p95_s)}, p99 {formats.duration(took.p99_s)},"
            f" at most {formats.duration(took.max_s)}",
        )
    cost = formats.bounded_usd(figures.cost_usd, is_lower_bound=figures.cost_is_lower_bound)
    wasted = formats.bounded_usd(figures.wasted_usd, is_lower_bound=figures.wasted_is_lower_bound)
    unknown = figures.unpriced_runs + figures.partial_runs
    yield from _fact(
        "cost",
        _listing(
            f"{cost}{_change(job, 'cost_usd')}",
            f"{formats.usd(figures.mean_cost_usd)} a run",
            f"{unknown:,} of unknown cost" if unknown else None,
            f"{wasted} wasted" if figures.failed else None,
        ),
    )
    yield from _fact(
        "tokens",
        f"{figures.tokens:,}{_change(job, 'tokens')}: {figures.usage.input_tokens:,} in,"
        f" {figures.usage.output_tokens:,} out",
    )


def _change(job: JobFigures, name: str) -> str:
    text = change_text(job.changes, name)
    return f" ({text})" if text else ""


def _days(detail: JobDetail, width: int | None) -> Iterator[Text]:
    """Return the cost of each day and its failures, as many days as there is room for."""
    room = len(detail.days) if width is None else max(1, width - 2 - _LABEL)
    days = detail.days[-room:]
    if not any(day.figures.runs for day in days):
        return
    costs = [day.figures.cost_usd or 0.0 for day in days]
    counts = [float(day.figures.runs) for day in days]
    failed = "".join("✗" if day.figures.failed else " " for day in days)
    yield from _fact("by day", f"{days[0].day.isoformat()} to {days[-1].day.isoformat()}")
    yield from _fact("  cost", Text(sparkline(costs), style="bar") if any(costs) else "")
    yield from _fact("  runs", Text(sparkline(counts), style="bar"))
    yield from _fact("  failed", Text(failed, style="bad") if failed.strip() else "")


_HORIZONS: Final = {
    Horizon.DAY: "the rest of today",
    Horizon.MONTH: "the rest of this month",
    Horizon.DAYS_30: "30 days",
    Horizon.DAYS_90: "90 days",
    Horizon.DAYS_365: "365 days",
}


def _projections(job: JobFigures, width: int | None) -> Iterator[Text]:
    columns = [
        Column(title="NEXT"),
        Column(title="RUNS", right=True),
        Column(title="NOMINAL", right=True),
        Column(title="RANGE", right=True, rank=2),
        Column(title="TREND", right=True),
        Column(title="RANGE", right=True, rank=1),
    ]
    rows = [
        [
            Cell(name, "muted"),
            Cell(f"{outlook.scheduled_runs:,}"),
            Cell(_usd(outlook.nominal)),
            Cell(_range(outlook.nominal), "muted"),
            Cell(_usd(outlook.trend)),
            Cell(_range(outlook.trend), "muted"),
        ]
        for horizon, name in _HORIZONS.items()
        if (outlook := job.projection.outlook[horizon]).scheduled_runs
    ]
    if not rows:
        return
    yield Text()
    yield from lay_out(columns, rows, width)
    if job.pace is not None:
        pace = pace_cell(job.projection)
        yield Text.assemble("pace ", (pace.text, pace.style), (" (trend ÷ nominal)", "muted"))


def _usd(estimate: CostEstimate) -> str:
    return formats.bounded_usd(estimate.usd, is_lower_bound=estimate.is_lower_bound)


def _range(estimate: CostEstimate) -> str:
    if estimate.low_usd is None or estimate.high_usd is None:
        return formats.UNKNOWN
    return f"{formats.usd(estimate.low_usd)} to {formats.usd(estimate.high_usd)}"


def _drift(detail: JobDetail, width: int | None) -> Iterator[Text]:
    """Return what changed against the window before, with the changes of the definition beside it."""
    notable = [one for one in detail.drift if one.score >= NOTABLE_SCORE][:_SHOWN_DRIFTS]
    changes = detail.definition_changes[-_SHOWN_CHANGES:]
    if not notable and not changes:
        return
    yield Text()
    if notable:
        columns = [
            Column(title="DRIFT"),
            Column(title="BEFORE", right=True),
            Column(title="NOW", right=True),
            Column(title="RUNS", right=True, rank=1),
        ]
        yield from lay_out(columns, [drift_cells(one) for one in notable], width)
    for change in changes:
        yield Text(definition_text(change))


def _errors(errors: tuple[ErrorClass, ...], width: int | None, now_ns: int) -> Iterator[Text]:
    if not errors:
        return
    columns = [
        Column(title="ERROR"),
        Column(title="RUNS", right=True),
        Column(title="LAST", right=True, rank=1),
        Column(title="LATEST MESSAGE", least=20, rank=2),
    ]
    rows = [
        [
            Cell(one.error_type or formats.UNKNOWN, "bad"),
            Cell(f"{one.runs:,}"),
            Cell(formats.distance(one.last_ended_ns, now_ns)),
            Cell(formats.one_line(reason_of(one.last_message))),
        ]
        for one in errors[:_SHOWN_ERRORS]
    ]
    yield Text()
    yield from lay_out(columns, rows, width)
    more = len(errors) - _SHOWN_ERRORS
    if more > 0:
        yield Text(f"… and {more:,} more", "muted")
