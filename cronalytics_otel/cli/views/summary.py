"""The summary: totals, leaders, models, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.text import Text

from ...domain.projections import Horizon
from ...insight.findings import FoundIn
from ...insight.models import ModelFigures
from ...insight.summary import AllJobs, Leader, Summary
from .. import formats
from ..table import Cell, Column, fit, lay_out
from .figures import change_text, kept_note, pace_cell, prior_note, window_note, window_text
from .health import subject

_LABEL = 9
_SHOWN_LEADERS = 3
_SHOWN_FINDINGS = 5
_SHOWN_MODELS = 5


def lines(
    summary: Summary,
    findings: Sequence[FoundIn],
    width: int | None,
    now_ns: int,
    *,
    with_profile: bool,
) -> Iterator[Text]:
    yield Text(window_text(summary.window), style="heading")
    yield from _notes(window_note(summary.window), width)
    for line in _totals(summary, width):
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        yield line
    yield from _notes(prior_note(summary.window), width)
    yield from _leaders(summary, width, with_profile=with_profile)
    if summary.models:
        yield Text()
        yield from models(summary.models[:_SHOWN_MODELS], width)
        yield from _more(len(summary.models) - _SHOWN_MODELS, "model", "models")
        if summary.models_are_of_runs:
            yield from _notes(kept_note(summary.window, "models"), width)
    yield Text()
    yield from _attention(findings, width, now_ns, with_profile=with_profile)


def _notes(notes: Sequence[str], width: int | None) -> Iterator[Text]:
    for note in notes:
        yield from map(Text, [note] if width is None else wrap(note, width))


def _totals(summary: Summary, width: int | None) -> Iterator[Text]:
    together = summary.together
    figures = together.figures
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(summary.states.items()))
    rows = [
        ("jobs", f"{sum(summary.states.values()):,}", "", states),
        ("runs", f"{figures.runs:,}", change_text(together.changes, "runs"), _outcomes(together)),
        (
            "success",
            formats.percent(figures.success_rate),
            change_text(together.changes, "success_rate"),
            f"of {figures.succeeded + figures.failed:,} that succeeded or failed",
        ),
        (
            "cost",
            formats.bounded_usd(figures.cost_usd, is_lower_bound=figures.cost_is_lower_bound),
            change_text(together.changes, "cost_usd"),
            _cost(together),
        ),
        (
            "wasted",
            formats.bounded_usd(figures.wasted_usd, is_lower_bound=figures.wasted_is_lower_bound),
            change_text(together.changes, "wasted_usd"),
            "on runs that failed",
        ),
        (
            "tokens",
            formats.count(figures.tokens),
            change_text(together.changes, "tokens"),
            f"{figures.usage.input_tokens:,} in, {figures.usage.output_tokens:,} out",
        ),
        (
            "missed",
            f"{figures.missed:,}",
            change_text(together.changes, "missed"),
            _expected(together),
        ),
    ]
    values = max(len(value) for _, value, _, _ in rows)
    changes = max(len(change) for _, _, change, _ in rows)
    for label, value, change, note in rows:
        line = Text.assemble((f"  {label:<{_LABEL}}", "muted"), f"{value:>{values}}")
        if changes:
            line.append(f"  {change:>{changes}}")
        first, *others = _broken(note, None if width is None else width - len(line) - 2)
        indent = " " * len(line)
        yield line.append(f"  {first}", "muted")
        for other in others:
            yield Text(f"{indent}  {other}", style="muted")
    yield from _outlook(together)


def _broken(note: str, width: int | None) -> list[str]:
    """Return the note in as few lines as it needs, broken after a comma."""
    if width is None or len(note) <= width:
        return [note]
    lines = [""]
    for part in note.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and len(longer) >= width:  # a comma follows
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def _outcomes(together: AllJobs) -> str:
    figures = together.figures
    parts = [f"{figures.succeeded:,} succeeded", f"{figures.failed:,} failed"]
    if figures.skipped:
        parts.append(f"{figures.skipped:,} skipped")
    if figures.manual_runs:
        parts.append(f"{figures.manual_runs:,} started by hand")
    return ", ".join(parts)


def _cost(together: AllJobs) -> str:
    figures = together.figures
    parts = [f"{formats.usd(figures.mean_cost_usd)} a run"]
    unknown = figures.unpriced_runs + figures.partial_runs
    if unknown:
        parts.append(f"{unknown:,} of unknown cost")
    return ", ".join(parts)


def _expected(together: AllJobs) -> str:
    if together.expected_runs is None or together.projection.adherence is None:
        return ""
    return (
        f"{formats.counted(together.scheduled_runs, 'scheduled run')} of"
        f" {together.expected_runs:,} expected ({formats.percent(together.projection.adherence)})"
    )


def _outlook(together: AllJobs) -> Iterator[Text]:
    """Return the line of the next 30 days."""
    outlook = together.projection.outlook[Horizon.DAYS_30]
    if outlook.nominal.usd is None and outlook.trend.usd is None:
        return
    pace = pace_cell(together.projection)
    nominal, trend = (
        formats.bounded_usd(estimate.usd, is_lower_bound=estimate.is_lower_bound)
        for estimate in (outlook.nominal, outlook.trend)
    )
    yield Text.assemble(
        (f"  {'30 days':<{_LABEL}}", "muted"),
        f"{nominal} nominal, {trend} trend, pace ",
        (pace.text, pace.style),
    )


def _leaders(summary: Summary, width: int | None, *, with_profile: bool) -> Iterator[Text]:
    leaders = summary.leaders
    boards = [
        ("most runs", [(one, f"{one.value:,.0f}") for one in leaders.runs]),
        (
            "most cost",
            [
                (one, formats.bounded_usd(one.value, is_lower_bound=one.is_lower_bound))
                for one in leaders.cost_usd
            ],
        ),
        ("most tokens", [(one, f"{one.value:,.0f}") for one in leaders.tokens]),
        (
            "highest pace",
            [
                (one, formats.bounded_ratio(one.value, is_lower_bound=one.is_lower_bound))
                for one in leaders.pace
            ],
        ),
    ]
    rows = [
        [
            Cell(title if n == 0 else "", "muted"),
            Cell(_name(one, with_profile=with_profile), "heading"),
            Cell(value),
            Cell("" if one.share is None else formats.percent(one.share), "muted"),
        ]
        for title, board in boards
        for n, (one, value) in enumerate(board[:_SHOWN_LEADERS])
    ]
    if not rows:
        return
    yield Text()
    columns = [
        Column(title="LEADERS"),
        Column(title="JOB", least=14),
        Column(title="VALUE", right=True),
        Column(title="SHARE", right=True),
    ]
    yield from lay_out(columns, rows, width)


def _name(one: Leader, *, with_profile: bool) -> str:
    name = formats.one_line(one.name)
    return f"{one.profile}/{name}" if with_profile else name


def models(found: Sequence[ModelFigures], width: int | None) -> list[Text]:
    """Return the table of the models by cost."""
    columns = [
        Column(title="MODEL", least=10),
        Column(title="PROVIDER", rank=4),
        Column(title="RUNS", right=True, rank=2),
        Column(title="TOKENS", right=True, rank=3),
        Column(title="COST", right=True),
        Column(title="SHARE", right=True, rank=1),
        Column(title="CHANGE", right=True, rank=5),
    ]
    rows = [
        [
            Cell(formats.one_line(model.model or "") or formats.UNKNOWN, "heading"),
            Cell(formats.one_line(model.provider or "") or formats.UNKNOWN, "muted"),
            Cell(f"{model.runs:,}"),
            Cell(f"{model.tokens:,}"),
            Cell(formats.bounded_usd(model.cost_usd, is_lower_bound=model.cost_is_lower_bound)),
            Cell(formats.percent(model.cost_share), "muted"),
            Cell(formats.change(model.cost_change)),
        ]
        for model in found
    ]
    return lay_out(columns, rows, width)


def _attention(
    findings: Sequence[FoundIn], width: int | None, now_ns: int, *, with_profile: bool
) -> Iterator[Text]:
    if not findings:
        yield Text.assemble(("✓ ", "good"), "Nothing needs attention.")
        return
    yield Text("Needs attention", style="heading")
    for profile, finding in findings[:_SHOWN_FINDINGS]:
        place = subject(profile if with_profile else "", finding)
        since = f" ({formats.distance(finding.since_ns, now_ns)})" if finding.since_ns else ""
        text = f"✗ {f'{place}: ' if place else ''}{finding.text}{since}"
        line = Text(text if width is None else fit(text, width))
        line.stylize("bad", 0, 1)
        yield line
    yield from _more(len(findings) - _SHOWN_FINDINGS, "finding", "health")


def _more(count: int, noun: str, command: str) -> Iterator[Text]:
    if count > 0:
        yield Text(f"… and {formats.counted(count, f'more {noun}')}: see `{command}`", "muted")
