"""A trace as a waterfall: the tree of its spans, each with a bar on the trace's time scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from ..model import AttributeValue, Outcome, Span, TimeSource
from ..model.times import NS
from ..telemetry import semconv as sc
from . import formats
from .table import GAP

Attributes = Mapping[str, AttributeValue]

PIPED_WIDTH = 100
_MIN_BAR_CHARS = 10
"""A narrower bar shows nothing, so that the room goes to the names."""
_GOOD_BAR_CHARS = 16
"""The width that names leave to the bars, as long as the names stay distinct."""
_MIN_LABEL_CHARS = 24
_DEEPEST_INDENT = 24
"""Deeper steps are not drawn further to the right, so that their names stay readable."""


@dataclass(frozen=True, slots=True)
class Row:
    """A span at its place in the tree."""

    span: Span
    indent: str
    """The branches before its name."""
    below: str
    """The branches before a second line of it."""


def draw(spans: Sequence[Span], width: int | None) -> list[Text]:
    """Return lines at most `width` cells wide. Without a width, errors are not cut."""
    rows = list(_tree(spans))
    if not rows:
        return []
    scale = _Scale.of(spans)
    is_timed = _is_timed(rows[0].span)
    values = [_values(row.span, is_timed=is_timed) for row in rows]
    widths = _value_widths(values, width or PIPED_WIDTH)
    room = (width or PIPED_WIDTH) - _width_of(widths)
    label_width, bar_width = _share(room, rows) if scale.took_ns or is_timed else (room, 0)
    lines = [_scale_line(label_width, bar_width, scale)] if bar_width else []
    for row, cells in zip(rows, values, strict=True):
        line = _padded(_label(row), label_width)
        if bar_width:
            line.append(" " * GAP).append(_bar(row.span, scale, bar_width))
        for n, value_width in widths.items():
            line.append(" " * GAP).append(cells[n].rjust(value_width))
        lines.append(line)
        lines += _event_lines(row, scale.start_ns, width)
        lines += _error_line(row, spans, width)
    return lines


@dataclass(frozen=True, slots=True)
class _Scale:
    """The time that the whole trace took."""

    start_ns: int
    took_ns: int

    @classmethod
    def of(cls, spans: Sequence[Span]) -> _Scale:
        start_ns = min(span.start_ns for span in spans)
        return cls(start_ns, max(span.end_ns for span in spans) - start_ns)

    @property
    def length_ns(self) -> int:
        """At least 1, to divide by."""
        return max(1, self.took_ns)


def _value_widths(values: Sequence[tuple[str, ...]], width: int) -> dict[int, int]:
    """Return the width of each column of values that is shown, by its number.

    A column without any value is left out, and so are the last ones if names have no room.
    """
    widths = {
        n: max(len(cells[n]) for cells in values)
        for n in range(len(values[0]))
        if any(cells[n] for cells in values)
    }
    while len(widths) > 1 and width - _width_of(widths) < _MIN_LABEL_CHARS:
        widths.popitem()
    return widths


def _width_of(widths: Mapping[int, int]) -> int:
    return sum(GAP + width for width in widths.values())


# --- the tree -----------------------------------------------------------------------------------


def _tree(spans: Sequence[Span]) -> Iterator[Row]:
    """Return the rows depth first, siblings by start. A span without its parent is at the top."""
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
    """Whether the times of steps are known. If not, a step without length has an unknown one, or none."""
    return (
        root.attributes.get(sc.HERMES_CRON_RUN_OUTCOME) != Outcome.MISSED
        and root.attributes.get(sc.HERMES_CRON_RUN_TIME_SOURCE) != TimeSource.OUTPUT
        and root.attributes.get(sc.HERMES_CRON_TRACE_PARTIAL) != sc.Partial.UNTIMED
    )


def _values(span: Span, *, is_timed: bool) -> tuple[str, str, str]:
    """Return duration, tokens and cost; empty text for each that the span lacks."""
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
        if is_timed or span.end_ns > span.start_ns
        else formats.UNKNOWN,
        f"{_whole(tokens):,} tok" if tokens is not None else "",
        formats.cost(amount, str(status)) if isinstance(amount, float) else "",
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _error_line(row: Row, spans: Sequence[Span], width: int | None) -> Iterable[Text]:
    """Return the error of a step, unless it is the run's own, which the header shows."""
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
    """Return the events of a step, with the time since the run's start."""
    for event in row.span.events:
        text = _EVENT_TEXT[event.name](event.attributes)
        when = formats.duration((event.time_ns - start_ns) / NS)
        line = Text().append(f"{row.below}  ", style="muted")
        line.append(formats.one_line(f"{when}: {text}"), style="warning")
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        yield line


def _exception_text(attributes: Attributes) -> str:
    attempt, limit = (
        attributes.get(name) for name in (sc.HERMES_CRON_RETRY_ATTEMPT, sc.HERMES_CRON_RETRY_LIMIT)
    )
    which = f"attempt {attempt + 1} of {limit}" if isinstance(attempt, int) and limit else "attempt"
    status = attributes.get(sc.HTTP_RESPONSE_STATUS_CODE)
    message = attributes.get(sc.EXCEPTION_MESSAGE) or attributes.get(sc.EXCEPTION_TYPE) or ""
    answered = f", HTTP {status}" if status else ""
    return f"{which} failed: {attributes[sc.ERROR_TYPE]}{answered}. {message}".rstrip(". ")


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
    """Return how much of `room` the names and the bars get; 0 for bars that would be too narrow."""
    longest = max(_label(row).cell_len for row in rows)
    label = min(longest, max(_MIN_LABEL_CHARS, min(room * 2 // 3, room - GAP - _GOOD_BAR_CHARS)))
    bar = room - label - GAP
    return (label, bar) if bar >= _MIN_BAR_CHARS else (max(1, min(longest, room)), 0)


def _scale_line(label_width: int, bar_width: int, scale: _Scale) -> Text:
    end = formats.duration(scale.length_ns / NS)
    return Text(f"{' ' * (label_width + GAP)}0{end.rjust(bar_width - 1)}", style="muted")


def _bar(span: Span, scale: _Scale, width: int) -> Text:
    """Return a bar in steps of half a cell, so that a step begins where the one before it ends. The
    shortest bar is half a cell."""
    halves, start_ns, length_ns = 2 * width, scale.start_ns, scale.length_ns
    first = min(round((span.start_ns - start_ns) * halves / length_ns), halves - 1)
    last = max(first + 1, round((span.end_ns - start_ns) * halves / length_ns))
    cells = "".join(_cell(first <= 2 * n < last, first <= 2 * n + 1 < last) for n in range(width))
    return Text(cells, style=_bar_style(span))


def _cell(left: bool, right: bool) -> str:
    return {(True, True): "█", (True, False): "▌", (False, True): "▐"}.get((left, right), " ")


def _bar_style(span: Span) -> str:
    if span.error is not None:
        return "bad"
    if span.name == sc.SPAN_STARTUP:
        return "muted"
    operation = span.attributes.get(sc.GEN_AI_OPERATION_NAME)
    return {sc.SPAN_CHAT: "bar.model", sc.SPAN_EXECUTE_TOOL: "bar.tool"}.get(str(operation), "bar")
