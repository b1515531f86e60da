"""`runs`: a table of runs, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.text import Text

from ...journal import Journal
from ...journal.queries import RunFilter
from ...model import (
    FAILED_OUTCOMES,
    CostStatus,
    Mode,
    Outcome,
    OutcomeSource,
    Run,
    SkipReason,
    TimeSource,
)
from ...model.times import NS
from .. import formats
from ..arguments import FAILED
from ..context import Context
from ..errors import ExitStatus, command
from ..shapes import run_shape
from ..table import Cell, Column, fit, lay_out

COLUMNS = (
    Column(title="RUN"),
    Column(title="JOB", least=16),
    Column(title="OUTCOME"),
    Column(title="STARTED", rank=1),
    Column(title="TOOK", right=True, rank=2),
    Column(title="LATE", right=True, rank=5),
    Column(title="TRIGGER", rank=7),
    Column(title="TOKENS", right=True, rank=4),
    Column(title="COST", right=True, rank=3),
    Column(title="MODEL", least=8, rank=6),
)
WHY = Column(title="WHY")
"""What failed, or why nothing was done."""

SHORT_ID = 8
"""Digits of an execution id, more where two runs share them. A session id is not cut: what tells
it from the same job's others is its end."""

_DAY_NS = 86_400 * NS


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    wanted = _wanted(args, context.now_ns)
    with context.journal() as journal:
        # One more than asked for tells that there are more.
        found = journal.queries.runs(wanted)
        has_more = wanted.limit is not None and len(found) == wanted.limit
        shown = found[:-1] if has_more else found
        if context.as_json:
            context.terminal.json([run_shape(r) for r in shown])
        elif shown:
            ids = [short_id(journal, r) for r in shown]
            context.terminal.data(*table(shown, ids, context.terminal.width))
            context.terminal.data("", *summary(shown, has_more=has_more))
        else:
            context.terminal.note(_nothing(journal))
    return ExitStatus.OK


def short_id(journal: Journal, run: Run) -> str:
    """The beginning of the run's id that `trace` takes for this run alone."""
    if run.execution_id is None or run.time_source is TimeSource.OUTPUT:
        return run.run_id
    least = SHORT_ID + (4 if run.outcome is Outcome.MISSED else 0)  # its id begins with a word
    for length in range(least, len(run.execution_id)):
        start = run.execution_id[:length]
        if len(journal.queries.find(start)) == 1:
            return start
    return run.execution_id


def table(runs: Sequence[Run], ids: Sequence[str], width: int | None) -> list[Text]:
    """The lines of the table; where there is no room for a column that tells why, it stands below
    each run that it is told of. Without a width nothing is cut."""
    rows = [_row(run, run_id) for run, run_id in zip(runs, ids, strict=True)]
    reasons = [_why(run) for run in runs]
    if width is None:
        with_reasons = [[*row, reason] for row, reason in zip(rows, reasons, strict=True)]
        return lay_out([*COLUMNS, WHY], with_reasons, None)
    heading, *lines = lay_out(COLUMNS, rows, width)
    shown = [heading]
    for line, reason in zip(lines, reasons, strict=True):
        shown.append(line)
        if reason.text:
            shown.append(Text(fit(f"  {reason.text}", width), style=reason.style))
    return shown


def _why(run: Run) -> Cell:
    error = formats.one_line(run.error_message or "")
    return Cell(error, "bad") if error else Cell(why_skipped(run), "muted")


def why_skipped(run: Run) -> str:
    """Which no the gate gave; empty where it gave none, or it is not known."""
    return _NO[run.skip_reason] if run.skip_reason is not None else ""


_NO = {
    SkipReason.WAKE_AGENT_FALSE: "the gate said no: wakeAgent is false",
    SkipReason.NO_OUTPUT: "the gate said no: it printed nothing",
}


def _row(run: Run, run_id: str) -> list[Cell]:
    return [
        Cell(run_id),
        Cell(formats.one_line(run.job_name), "heading"),
        outcome_cell(run),
        Cell(formats.minute(run.started_ns)),
        Cell(formats.duration(run.duration_s)),
        Cell(formats.duration(run.lateness_s)),
        Cell(run.trigger or formats.UNKNOWN),
        Cell(formats.count(run.usage.total_tokens if run.usage else None)),
        Cell(formats.cost(run.cost_usd, run.cost_status)),
        Cell(formats.one_line(run.model or "") or formats.UNKNOWN, "muted"),
    ]


def outcome_cell(run: Run) -> Cell:
    """The outcome, with `*` when it is our conclusion and not the host's word."""
    mark = "*" if run.outcome_source is OutcomeSource.INFERRED else ""
    style = "bad" if run.failed else "good" if run.outcome is Outcome.SUCCESS else "muted"
    return Cell(f"{run.outcome}{mark}", style)


def summary(runs: Sequence[Run], *, has_more: bool) -> list[str]:
    """`3 runs, 1 failed, $0.12 + 1 of unknown cost`."""
    failed = sum(run.failed for run in runs)
    total = sum(run.cost_usd or 0.0 for run in runs)
    unknown = sum(map(cost_is_unknown, runs))
    line = f"{formats.counted(len(runs), 'run')}, {failed:,} failed, {formats.usd(total)}"
    if unknown:
        line += f" + {unknown:,} of unknown cost"
    lines = [line]
    if has_more:
        lines.append("There are more: --limit 0 shows all.")
    if any(run.outcome_source is OutcomeSource.INFERRED for run in runs):
        lines.append("* inferred: the host wrote no outcome")
    return lines


def cost_is_unknown(run: Run) -> bool:
    """Whether the run may have cost something that nobody knows; a script costs nothing."""
    if run.cost_status in (CostStatus.UNKNOWN, CostStatus.PARTIAL):
        return True
    called_no_model = (
        run.mode is Mode.SCRIPT
        or run.outcome in (Outcome.SKIPPED, Outcome.MISSED)
        or run.api_calls == 0
    )
    covered = run.cost_status is CostStatus.INCLUDED
    return run.cost_usd is None and not called_no_model and not covered


def _wanted(args: argparse.Namespace, now_ns: int) -> RunFilter:
    names: list[str] | None = args.outcome
    outcomes: set[Outcome] = set()
    for name in names or ():
        outcomes |= FAILED_OUTCOMES if name == FAILED else {Outcome(name)}
    return RunFilter(
        job=args.job,
        since_ns=now_ns - round(args.days * _DAY_NS) if args.days else None,
        outcomes=frozenset(outcomes) if names else None,
        mode=Mode(args.mode) if args.mode else None,
        limit=args.limit + 1 if args.limit else None,
    )


def _nothing(journal: Journal) -> str:
    known, _, newest_ns = journal.queries.totals()
    if newest_ns is None:
        return f"No run is known yet: `{command('sync')}` reads what Hermes has."
    return (
        f"No run matches, of {formats.counted(known, 'run')} that"
        f" {'is' if known == 1 else 'are'} known; the newest ended {formats.moment(newest_ns)}."
    )
