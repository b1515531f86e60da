"""Figures as cells and lines, as every view of figures shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from ...domain.job_state import JobState
from ...domain.projections import Projection
from ...insight.run_figures import Changes, RunFigures
from ...insight.windows import Window
from ...model import FAILED_OUTCOMES, Outcome
from .. import formats
from ..table import Cell

PACE_IS_FINE = 1.0
PACE_IS_HIGH = 2.0


def pace_cell(projection: Projection) -> Cell:
    """Return the pace: below 1 is good, unless it may be higher; 2 and more is bad."""
    pace, is_lower_bound = projection.pace, projection.pace_is_lower_bound
    style = "none"
    if pace is not None and pace >= PACE_IS_HIGH:
        style = "bad"
    elif pace is not None and pace < PACE_IS_FINE and not is_lower_bound:
        style = "good"
    return Cell(formats.bounded_ratio(pace, is_lower_bound=is_lower_bound), style)


def rate_cell(rate: float | None) -> Cell:
    style = "none" if rate is None else "good" if rate == 1 else "bad" if rate < 0.9 else "none"
    return Cell(formats.percent(rate), style)


def outcome_style(outcome: Outcome | None) -> str:
    if outcome is Outcome.SUCCESS:
        return "good"
    return "bad" if outcome in FAILED_OUTCOMES else "muted"


_MARKS = {Outcome.SUCCESS: "✓", Outcome.SKIPPED: formats.UNKNOWN, Outcome.MISSED: "○"}


def marks(outcomes: Iterable[Outcome]) -> str:
    """Return a mark for each outcome: ✓ success, ✗ a failure, a dash for skipped, ○ missed."""
    return "".join(_MARKS.get(outcome, "✗") for outcome in outcomes)


def strip(outcomes: Iterable[Outcome]) -> Text:
    """Return the marks in colour."""
    text = Text()
    for outcome in outcomes:
        text.append(marks([outcome]), outcome_style(outcome))
    return text


STATE_STYLES = {
    JobState.SCHEDULED: "none",
    JobState.PAUSED: "warning",
    JobState.COMPLETED: "muted",
    JobState.DISABLED: "warning",
    JobState.DELETED: "muted",
}


def cost_cell(figures: RunFigures) -> Cell:
    return Cell(formats.bounded_usd(figures.cost_usd, is_lower_bound=figures.cost_is_lower_bound))


def totals_line(figures: RunFigures) -> str:
    """`1,125 runs, 43 failed, 2 missed, $12.30 + 1 of unknown cost`; no amount where no cost is known."""
    parts = [formats.counted(figures.runs, "run"), f"{figures.failed:,} failed"]
    if figures.missed:
        parts.append(f"{figures.missed:,} missed")
    costs = [] if figures.cost_usd is None else [formats.usd(figures.cost_usd)]
    unknown = figures.unpriced_runs + figures.partial_runs
    if unknown:
        costs.append(f"{unknown:,} of unknown cost")
    return ", ".join([*parts, *([" + ".join(costs)] if costs else [])])


def window_text(window: Window) -> str:
    """`2026-01-01 09:00 to now`."""
    until = "now" if window.is_up_to_now else formats.minute(window.until_ns)
    if window.since_ns is None:
        return f"all that is known up to {until}"
    return f"{formats.minute(window.since_ns)} to {until}"


def window_note(window: Window) -> list[str]:
    """Return the line that says that the window is not quite the one that was asked for."""
    if window.is_as_asked:
        return []
    if window.is_of_runs and window.since_ns == window.runs_since_ns:
        return ["the window begins where all runs are kept: earlier ones were deleted"]
    return [
        "the window takes whole days where runs were deleted: only the sums of these days are kept"
    ]


def prior_note(window: Window) -> list[str]:
    """Return the line that says why there is nothing, or not all, to compare with."""
    if window.prior_is_known or window.prior is None or window.history_since_ns is None:
        return []
    why = f"the history begins on {formats.minute(window.history_since_ns)}"
    if window.prior_was_deleted and window.runs_since_ns is not None:
        why = f"runs before {formats.minute(window.runs_since_ns)} were deleted"
    return [f"the window before is not known as a whole: {why}"]


def kept_note(window: Window, what: str) -> list[str]:
    """Return the line that says since when some figures count, if the window begins where runs were deleted.
    `what` is the plural of their noun."""
    kept_ns = window.runs_since_ns
    if kept_ns is None or (window.since_ns is not None and window.since_ns >= kept_ns):
        return []
    return [f"{what} count from {formats.minute(kept_ns)} on: earlier runs were deleted"]


def percentile_note(window: Window) -> list[str]:
    """Return the line that says of which days percentiles are, unless they are of the whole window."""
    if window.for_percentiles.since_ns == window.since_ns:
        return []
    if note := kept_note(window, "percentiles"):
        return note
    return ["percentiles are of the last 90 days"]


_LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Return one character per value, as high as it is; a blank for 0."""
    most = max(values, default=0.0)
    if most <= 0:
        return " " * len(values)
    return "".join(
        _LEVELS[min(len(_LEVELS) - 1, int(value / most * len(_LEVELS)))] if value > 0 else " "
        for value in values
    )


def bar(value: float, most: float, width: int) -> str:
    """Return a bar of full and half blocks; at least half a block for any value above 0."""
    if value <= 0 or most <= 0:
        return ""
    halves = max(1, round(value / most * width * 2))
    return "█" * (halves // 2) + "▌" * (halves % 2)


CHANGE_NAMES = (
    ("runs", "runs"),
    ("success_rate", "success"),
    ("cost_usd", "cost"),
    ("wasted_usd", "wasted"),
    ("tokens", "tokens"),
    ("missed", "missed"),
)


def change_text(changes: Changes, name: str) -> str:
    value = getattr(changes, name)
    return "" if value is None else formats.change(value)
