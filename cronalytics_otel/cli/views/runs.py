"""The table of runs, and the line that sums it up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from rich.text import Text

from ...config import ExplorerName
from ...domain.errors import reason_of
from ...insight.now import GoingOn
from ...insight.runs import SHORT_ID_CHARS, RunCount
from ...journal.queries import Totals
from ...model import Outcome, OutcomeSource, Run, SkipReason
from ...telemetry.links import EXPLORERS
from .. import formats
from ..errors import command
from ..rows import how_many
from ..table import Cell, Column, Layout, fit, lay_out
from .figures import totals_line
from .links import link_style


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
        lambda run: Cell(formats.run_cost(run)),
    ),
    (
        Column(title="MODEL", least=8, rank=6),
        lambda run: Cell(formats.one_line(run.model or "") or formats.UNKNOWN, "muted"),
    ),
)
"""Each column with the cell that a run has in it."""

_WHY = Column(title="WHY")
"""The part that failed, or the reason why nothing was done."""

_PROFILE = Column(title="PROFILE")

_FIRST_PAGE = 500
"""The columns of a long table are as wide as these rows need."""


class Table:
    """The table of runs, which may be longer than what fits into memory.

    Without a width nothing is cut, and the reason of each run is the last column. With a width the
    reason is on a line of its own below the run.
    """

    def __init__(
        self,
        width: int | None,
        *,
        styled: bool = True,
        with_profile: bool = False,
        url_of: Callable[[str, Run], str | None] | None = None,
    ) -> None:
        """Without `styled`, lines are plain text, which takes less time. `url_of` returns where the trace of
        a run of a profile is; then the run's id is a link to it."""
        self._width = width
        self._styled = styled
        self._with_profile = with_profile
        self._url_of = url_of
        self.has_inferred = False
        """Whether a run that was shown has an outcome that we inferred."""

    def lines(self, runs: Iterable[tuple[str, str, Run]]) -> Iterator[Text | str]:
        """Yield the lines for runs, each with its profile and its id."""
        columns = [_ID, *(column for column, _ in _COLUMNS)]
        if self._with_profile:
            columns.insert(0, _PROFILE)
        if self._width is None:
            columns.append(_WHY)
        rows = iter(runs)
        first = [(self._cells(*row), row[2]) for row in islice(rows, _FIRST_PAGE)]
        layout = Layout(columns, [cells for cells, _ in first], self._width)
        yield layout.heading
        later = ((self._cells(*row), row[2]) for row in rows)
        for cells, run in chain(first, later):
            yield layout.line(cells) if self._styled else layout.plain(cells)
            if self._width is not None and (reason := _reason(run)).text:
                yield Text(fit(f"  {reason.text}", self._width), style=reason.style)

    def _cells(self, profile: str, run_id: str, run: Run) -> list[Cell]:
        if run.outcome_source is OutcomeSource.INFERRED:
            self.has_inferred = True
        url = None if self._url_of is None else self._url_of(profile, run)
        identity = Cell(run_id) if url is None else Cell(run_id, link_style(url))
        cells = [identity, *(cell(run) for _, cell in _COLUMNS)]
        if self._with_profile:
            cells.insert(0, Cell(profile, "muted"))
        if self._width is None:
            cells.append(_reason(run))
        return cells


def how_many_runs(shown: int, counted: RunCount) -> list[str]:
    """Return the line that says how many of the runs are shown, and which are not there any more."""
    deleted = counted.rows - counted.kept
    if not deleted:
        return how_many(shown, counted.rows, "run")
    more = "; --limit 0 shows more" if shown < counted.kept else ""
    matched = formats.counted(counted.rows, "run")
    return [f"{shown:,} of {matched} shown; {deleted:,} were deleted (`journal_days`){more}"]


def summary(counted: RunCount, *, has_inferred: bool) -> list[str]:
    """Return the lines below the table: `3 runs, 1 failed, $0.12 + 1 of unknown cost`."""
    line = totals_line(counted.figures)
    return [line, "* inferred: the host wrote no outcome"] if has_inferred else [line]


def links(explorers: Sequence[ExplorerName], *, clickable: bool) -> list[str]:
    """Return the line that names the trace explorers; nothing if there are none."""
    titles = list(dict.fromkeys(EXPLORERS[explorer].title for explorer in explorers))
    if not titles:
        return []
    if clickable:
        return [f"the id of a run is a link to {titles[0]}; `{command('links')}` shows more"]
    return [f"`{command('links RUN')}` shows where a run is in {', '.join(titles)}"]


def running(
    runs: Sequence[GoingOn], width: int | None, *, with_profile: bool = False
) -> list[Text]:
    """Return the table of the runs that have not ended."""
    columns = [
        *([_PROFILE] if with_profile else []),
        Column(title="RUNNING"),
        Column(title="JOB", least=14),
        Column(title="STATE"),
        Column(title="SINCE", right=True),
        Column(title="USUAL", right=True, rank=1),
        Column(title="STARTED", rank=2),
    ]
    rows = [
        [
            *([Cell(run.profile)] if with_profile else []),
            Cell(run.execution_id[:SHORT_ID_CHARS]),
            Cell(formats.one_line(run.job_name), "heading"),
            _going_on_cell(run),
            Cell(formats.duration(run.elapsed_s)),
            Cell(formats.duration(run.usual_s), "muted"),
            Cell(formats.minute(run.started_ns), "muted"),
        ]
        for run in runs
    ]
    return lay_out(columns, rows, width)


def _going_on_cell(run: GoingOn) -> Cell:
    if run.process_is_gone:
        return Cell("process gone", "bad")
    return Cell("hangs", "bad") if run.is_hung else Cell("runs", "good")


def nothing(totals: Sequence[Totals]) -> str:
    """Return the message for a table without rows; `totals` are those of each whole journal."""
    newest_ns = max((each.newest_ns for each in totals if each.newest_ns is not None), default=None)
    if newest_ns is None:
        return f"No run is known yet: `{command('sync')}` reads what Hermes has."
    known = sum(each.runs for each in totals)
    return (
        f"No run matches, of {formats.counted(known, 'run')} that"
        f" {'is' if known == 1 else 'are'} known; the newest ended"
        f" {formats.moment(newest_ns)}."
    )


def skip_text(run: Run) -> str:
    """Return how the gate skipped the run; empty if it did not, or if that is unknown."""
    return _SKIPPED[run.skip_reason] if run.skip_reason is not None else ""


_SKIPPED = {
    SkipReason.WAKE_AGENT_FALSE: "the gate said no: wakeAgent is false",
    SkipReason.NO_OUTPUT: "the gate said no: it printed nothing",
}


def _reason(run: Run) -> Cell:
    error = error_line(run)
    return Cell(error, "bad") if error else Cell(skip_text(run), "muted")


def error_line(run: Run) -> str:
    """Return a run's error in one line."""
    return formats.one_line(reason_of(run.error_message))
