"""The table of runs, and the line that sums it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from ...insight.runs import RunPage, RunTotals
from ...journal.queries import Totals
from ...model import Outcome, OutcomeSource, Run, SkipReason
from .. import formats
from ..errors import command
from ..table import Cell, Column, fit, lay_out


def outcome_cell(run: Run) -> Cell:
    """Return the outcome, with `*` if we inferred it and the host did not write it."""
    mark = "*" if run.outcome_source is OutcomeSource.INFERRED else ""
    style = "bad" if run.failed else "good" if run.outcome is Outcome.SUCCESS else "muted"
    return Cell(f"{run.outcome}{mark}", style)


_ID = Column(title="RUN")

_COLUMNS: tuple[tuple[Column, Callable[[Run], Cell]], ...] = (
    (Column(title="JOB", least=16), lambda run: Cell(formats.one_line(run.job_name), "heading")),
    (Column(title="OUTCOME"), outcome_cell),
    (Column(title="STARTED", rank=1), lambda run: Cell(formats.minute(run.started_ns))),
    (Column(title="TOOK", right=True, rank=2), lambda run: Cell(formats.duration(run.duration_s))),
    (Column(title="LATE", right=True, rank=5), lambda run: Cell(formats.duration(run.lateness_s))),
    (Column(title="TRIGGER", rank=7), lambda run: Cell(run.trigger or formats.UNKNOWN)),
    (Column(title="TOKENS", right=True, rank=4), lambda run: Cell(formats.count(run.total_tokens))),
    (
        Column(title="COST", right=True, rank=3),
        lambda run: Cell(formats.cost(run.known_cost_usd, run.cost_status)),
    ),
    (
        Column(title="MODEL", least=8, rank=6),
        lambda run: Cell(formats.one_line(run.model or "") or formats.UNKNOWN, "muted"),
    ),
)
"""Each column with the cell that a run has in it."""

_WHY = Column(title="WHY")
"""The part that failed, or the reason why nothing was done."""


def table(runs: Sequence[Run], ids: Sequence[str], width: int | None) -> list[Text]:
    """Return the lines of the table; `ids` are the short ids of the runs.

    Without a width nothing is cut, and the reason of each run is the last column. With a width the
    reason is on a line of its own below the run.
    """
    columns = [_ID, *(column for column, _ in _COLUMNS)]
    rows = [
        [Cell(run_id), *(cell(run) for _, cell in _COLUMNS)]
        for run, run_id in zip(runs, ids, strict=True)
    ]
    reasons = [_reason(run) for run in runs]
    if width is None:
        with_reasons = [[*row, reason] for row, reason in zip(rows, reasons, strict=True)]
        return lay_out([*columns, _WHY], with_reasons, None)
    heading, *lines = lay_out(columns, rows, width)
    shown = [heading]
    for line, reason in zip(lines, reasons, strict=True):
        shown.append(line)
        if reason.text:
            shown.append(Text(fit(f"  {reason.text}", width), style=reason.style))
    return shown


def summary(page: RunPage, totals: RunTotals) -> list[str]:
    """Return the lines below the table: `3 runs, 1 failed, $0.12 + 1 of unknown cost`."""
    line = (
        f"{formats.counted(totals.runs, 'run')}, {totals.failed:,} failed,"
        f" {formats.usd(totals.known_cost_usd)}"
    )
    if totals.unknown_costs:
        line += f" + {totals.unknown_costs:,} of unknown cost"
    lines = [line]
    if page.has_more:
        lines.append("There are more: --limit 0 shows all.")
    if any(run.outcome_source is OutcomeSource.INFERRED for run in page.runs):
        lines.append("* inferred: the host wrote no outcome")
    return lines


def nothing(totals: Totals) -> str:
    """Return the message for a table without rows; `totals` are those of the whole journal."""
    if totals.newest_ns is None:
        return f"No run is known yet: `{command('sync')}` reads what Hermes has."
    return (
        f"No run matches, of {formats.counted(totals.runs, 'run')} that"
        f" {'is' if totals.runs == 1 else 'are'} known; the newest ended"
        f" {formats.moment(totals.newest_ns)}."
    )


def skip_text(run: Run) -> str:
    """Return how the gate skipped the run; empty if it did not, or if that is unknown."""
    return _SKIPPED[run.skip_reason] if run.skip_reason is not None else ""


_SKIPPED = {
    SkipReason.WAKE_AGENT_FALSE: "the gate said no: wakeAgent is false",
    SkipReason.NO_OUTPUT: "the gate said no: it printed nothing",
}


def _reason(run: Run) -> Cell:
    error = formats.one_line(run.error_message or "")
    return Cell(error, "bad") if error else Cell(skip_text(run), "muted")
