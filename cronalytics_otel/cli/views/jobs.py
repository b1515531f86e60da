"""The table of jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from ...domain.projections import CostEstimate, Horizon
from ...insight.jobs import JobFigures
from .. import formats
from ..table import Cell, Column, lay_out
from .figures import (
    STATE_STYLES,
    cost_cell,
    marks,
    outcome_style,
    pace_cell,
    rate_cell,
)

Columns = Sequence[tuple[Column, Callable[[JobFigures], Cell]]]


def _columns(now_ns: int) -> Columns:
    return (
        (
            Column(title="JOB", least=14),
            lambda job: Cell(formats.one_line(job.name), "heading"),
        ),
        (Column(title="STATE", rank=7), lambda job: Cell(job.state, STATE_STYLES[job.state])),
        (Column(title="RUNS", right=True, rank=2), _runs),
        (
            Column(title="OK", right=True, rank=1),
            lambda job: rate_cell(job.figures.success_rate),
        ),
        (
            Column(title="P50", right=True, rank=9),
            lambda job: Cell(formats.duration(job.durations.p50_s)),
        ),
        (
            Column(title="P95", right=True, rank=8),
            lambda job: Cell(formats.duration(job.durations.p95_s)),
        ),
        (Column(title="COST", right=True, rank=3), lambda job: cost_cell(job.figures)),
        (
            Column(title="A RUN", right=True, rank=11),
            lambda job: Cell(formats.usd(job.figures.mean_cost_usd)),
        ),
        (
            Column(title="NOMINAL 30D", right=True, rank=12),
            lambda job: _estimate(job.projection.outlook[Horizon.DAYS_30].nominal),
        ),
        (
            Column(title="TREND 30D", right=True, rank=10),
            lambda job: _estimate(job.projection.outlook[Horizon.DAYS_30].trend),
        ),
        (Column(title="PACE", right=True, rank=6), lambda job: pace_cell(job.projection)),
        (
            Column(title="ADHERENCE", right=True, rank=13),
            lambda job: Cell(formats.percent(job.adherence)),
        ),
        (
            Column(title="LAST", rank=4),
            lambda job: Cell(
                job.recent.last_outcome or formats.UNKNOWN, outcome_style(job.recent.last_outcome)
            ),
        ),
        (
            Column(title="WHEN", right=True, rank=14),
            lambda job: Cell(formats.distance(job.recent.last_ended_ns, now_ns)),
        ),
        (
            Column(title="NEXT", right=True, rank=5),
            lambda job: Cell(formats.distance(job.next_run_ns, now_ns)),
        ),
        (
            Column(title="LEFT", right=True, rank=16),
            lambda job: Cell(formats.count(job.runs_left)),
        ),
    )


_STRIP = Column(title="LAST 20", rank=15)
_PROFILE = Column(title="PROFILE", rank=1)
_ID = Column(title="ID")


def _runs(job: JobFigures) -> Cell:
    """`28/30`: scheduled runs of those that were expected; `+2` that a person started."""
    figures = job.figures
    text = f"{figures.scheduled_runs:,}"
    if job.expected_runs is not None:
        text += f"/{job.expected_runs:,}"
    if figures.manual_runs:
        text += f"+{figures.manual_runs:,}"
    return Cell(text, "bad" if figures.missed else "none")


def _estimate(estimate: CostEstimate) -> Cell:
    return Cell(formats.bounded_usd(estimate.usd, is_lower_bound=estimate.is_lower_bound))


def table(
    jobs: Sequence[JobFigures], now_ns: int, width: int | None, *, with_profile: bool
) -> list[Text]:
    """Return the lines of the table; without a width with all columns, and the ids of the jobs."""
    columns = list(_columns(now_ns))
    columns.append((_STRIP, lambda job: Cell(marks(job.recent.outcomes))))
    if with_profile:
        columns.insert(0, (_PROFILE, lambda job: Cell(job.profile, "muted")))
    if width is None:
        columns.insert(0, (_ID, lambda job: Cell(job.job_id, "muted")))
    rows = [[cell(job) for _, cell in columns] for job in jobs]
    return lay_out([column for column, _ in columns], rows, width)
