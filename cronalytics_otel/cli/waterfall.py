"""A trace as a picture: the tree of its spans, each with a bar on the trace's scale of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from ..model import AttributeValue, Span, TimeSource
from ..model.times import NS
from ..telemetry import semconv as sc
from . import formats
from .table import GAP

Attributes = Mapping[str, AttributeValue]

PIPED_WIDTH = 100
_LEAST_BAR = 10
"""Below this a bar says nothing: the room goes to the names."""
_GOOD_BAR = 16
"""What names leave to the bars, if they can be told apart so."""
_LEAST_LABEL = 24
_DEEPEST_INDENT = 24
"""Deeper steps are drawn no further to the right: their names must remain readable."""


@dataclass(frozen=True, slots=True)
class Row:
    """A span in its place in the tree."""

    span: Span
    indent: str
    """The branch before its name."""
    below: str
    """What stands there on a second line of it."""


def draw(spans: Sequence[Span], width: int | None) -> list[Text]:
    """Lines at most `width` cells wide; without a width, errors are not cut."""
    rows = list(_tree(spans))
    if not rows:
        return []
    start = min(span.start_ns for span in spans)
    took = max(span.end_ns for span in spans) - start
    total = max(1, took)
    timed = _is_timed(rows[0].span)
    values = [_values(row.span, timed=timed) for row in rows]
    shown = [n for n in range(3) if any(cells[n] for cells in values)]
    widths = [max(len(cells[n]) for cells in values) for n in shown]
    while (room := (width or PIPED_WIDTH) - sum(GAP + w for w in widths)) < _LEAST_LABEL:
        if len(widths) == 1:
            break
        shown, widths = shown[:-1], widths[:-1]
    label_width, bar_width = _share(room, rows) if took or timed else (room, 0)
    lines = [_scale(label_width, bar_width, total)] if bar_width else []
    for row, cells in zip(rows, values, strict=True):
        line = _padded(_label(row), label_width)
        if bar_width:
            line.append(" " * GAP).append(_bar(row.span, start, total, bar_width))
        for n, value_width in zip(shown, widths, strict=True):
            line.append(" " * GAP).append(cells[n].rjust(value_width))
        lines.append(line)
        lines += _event_lines(row, start, width)
        lines += _error_line(row, spans, width)
    return lines


# --- the tree -----------------------------------------------------------------------------------


def _tree(spans: Sequence[Span]) -> Iterator[Row]:
    """Depth first, siblings by start; a span whose parent is not there stands at the top."""
    ids = {span.span_id for span in spans}
    children: dict[int | None, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in ids else None, []).append(span)
    for siblings in children.values():
        siblings.sort(key=lambda span: span.start_ns)
    stack = [Row(span, "", "") for span in reversed(children.get(None, ()))]
    while stack:
        row = stack.pop()
        yield row
        below = children.get(row.span.span_id, [])
        stack += reversed([_child(row, span, last=span is below[-1]) for span in below])


def _child(parent: Row, span: Span, *, last: bool) -> Row:
    indent = parent.below + ("└ " if last else "├ ")
    below = parent.below + ("  " if last else "│ ")
    return Row(span, indent[-_DEEPEST_INDENT:], below[-_DEEPEST_INDENT:])


# --- a row --------------------------------------------------------------------------------------


def _label(row: Row) -> Text:
    label = Text().append(row.indent, style="muted")
    if row.span.error is not None:
        label.append("✗ ", style="bad")
    label.append(formats.one_line(row.span.name), style="bad" if row.span.error else "none")
    if answers := row.span.attributes.get(sc.HERMES_CRON_STEP_API_CALLS):
        label.append(f" ({answers} answers)", style="warning")
    if row.span.attributes.get(sc.HERMES_CRON_STEP_UNFINISHED):
        label.append(" (no result)", style="warning")
    return label


def _padded(label: Text, width: int) -> Text:
    label.truncate(width, overflow="ellipsis", pad=True)
    return label


def _is_timed(root: Span) -> bool:
    """Otherwise a step without length is one whose time is not known."""
    return (
        root.attributes.get(sc.HERMES_CRON_RUN_TIME_SOURCE) != TimeSource.OUTPUT
        and root.attributes.get(sc.HERMES_CRON_TRACE_PARTIAL) != sc.Partial.UNTIMED
    )


def _values(span: Span, *, timed: bool) -> tuple[str, str, str]:
    """Duration, tokens, cost; empty where a span does not tell."""
    attributes = span.attributes
    tokens = attributes.get(sc.HERMES_CRON_USAGE_TOTAL_TOKENS)
    if tokens is None and sc.GEN_AI_USAGE_INPUT_TOKENS in attributes:
        tokens = sum(
            _whole(attributes.get(name))
            for name in (sc.GEN_AI_USAGE_INPUT_TOKENS, sc.GEN_AI_USAGE_OUTPUT_TOKENS)
        )
    amount, status = (
        attributes.get(name) for name in (sc.HERMES_CRON_COST_TOTAL, sc.HERMES_CRON_COST_STATUS)
    )
    return (
        formats.duration((span.end_ns - span.start_ns) / NS)
        if timed or span.end_ns > span.start_ns
        else formats.UNKNOWN,
        f"{_whole(tokens):,} tok" if tokens is not None else "",
        formats.cost(amount, str(status)) if isinstance(amount, float) else "",
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _error_line(row: Row, spans: Sequence[Span], width: int | None) -> Iterable[Text]:
    """The error of a step below it, unless it is the run's own, which stands above the picture."""
    error = row.span.error
    if row.span.parent_id is None or not error or error == spans[0].error:
        return ()
    line = (
        Text().append(f"{row.below}  ", style="muted").append(formats.one_line(error), style="bad")
    )
    if width is not None:
        line.truncate(width, overflow="ellipsis")
    return (line,)


def _event_lines(row: Row, start_ns: int, width: int | None) -> Iterable[Text]:
    """What happened in a step, with the seconds since the run's start."""
    for event in row.span.events:
        told = _EVENT_TEXT[event.name](event.attributes)
        when = formats.duration((event.time_ns - start_ns) / NS)
        line = Text().append(f"{row.below}  ", style="muted")
        line.append(formats.one_line(f"{when}: {told}"), style="warning")
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        yield line


def _exception_text(attributes: Attributes) -> str:
    attempt, limit = (
        attributes.get(name) for name in (sc.HERMES_CRON_RETRY_ATTEMPT, sc.HERMES_CRON_RETRY_LIMIT)
    )
    which = f"attempt {attempt + 1} of {limit}" if isinstance(attempt, int) and limit else "attempt"
    status = attributes.get(sc.HTTP_RESPONSE_STATUS_CODE)
    told = attributes.get(sc.EXCEPTION_MESSAGE) or attributes.get(sc.EXCEPTION_TYPE) or ""
    answered = f", HTTP {status}" if status else ""
    return f"{which} failed: {attributes[sc.ERROR_TYPE]}{answered}. {told}".rstrip(". ")


def _fallback_text(attributes: Attributes) -> str:
    before = attributes.get(sc.HERMES_CRON_FALLBACK_FROM_MODEL, formats.UNKNOWN)
    return f"fell back from {before} to {attributes.get(sc.HERMES_CRON_FALLBACK_TO_MODEL)}"


def _approval_text(attributes: Attributes) -> str:
    who = attributes.get(sc.HERMES_CRON_APPROVAL_SURFACE, formats.UNKNOWN)
    choice = attributes.get(sc.HERMES_CRON_APPROVAL_CHOICE, "no answer")
    return f"needed consent ({who}): {choice}"


_EVENT_TEXT = {
    sc.EVENT_EXCEPTION: _exception_text,
    sc.EVENT_MODEL_FALLBACK: _fallback_text,
    sc.EVENT_TOOL_APPROVAL: _approval_text,
}


# --- bars ---------------------------------------------------------------------------------------


def _share(room: int, rows: Sequence[Row]) -> tuple[int, int]:
    """The cells of the names and of the bars, out of `room`; no bars where there is no room."""
    longest = max(_label(row).cell_len for row in rows)
    label = min(longest, max(_LEAST_LABEL, min(room * 2 // 3, room - GAP - _GOOD_BAR)))
    bar = room - label - GAP
    return (label, bar) if bar >= _LEAST_BAR else (max(1, min(longest, room)), 0)


def _scale(label_width: int, bar_width: int, total_ns: int) -> Text:
    end = formats.duration(total_ns / NS)
    return Text(f"{' ' * (label_width + GAP)}0{end.rjust(bar_width - 1)}", style="muted")


def _bar(span: Span, start_ns: int, total_ns: int, width: int) -> Text:
    """In half cells, so that a step begins where the one before it ends; the shortest has one."""
    halves = 2 * width
    first = min(round((span.start_ns - start_ns) * halves / total_ns), halves - 1)
    last = max(first + 1, round((span.end_ns - start_ns) * halves / total_ns))
    cells = "".join(_cell(first <= 2 * n < last, first <= 2 * n + 1 < last) for n in range(width))
    return Text(cells, style=_bar_style(span))


def _cell(left: bool, right: bool) -> str:
    return {(True, True): "█", (True, False): "▌", (False, True): "▐"}.get((left, right), " ")


def _bar_style(span: Span) -> str:
    if span.error is not None:
        return "bad"
    operation = span.attributes.get(sc.GEN_AI_OPERATION_NAME)
    return {sc.SPAN_CHAT: "bar.model", sc.SPAN_EXECUTE_TOOL: "bar.tool"}.get(str(operation), "bar")
