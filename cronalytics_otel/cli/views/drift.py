"""How jobs changed against their own past."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.text import Text

from ...domain.drift import DefinitionChange, Drift, Measure
from ...insight.drifts import JobDrift
from .. import formats
from ..table import Cell, Column, lay_out

_MEASURES: Final[dict[Measure, tuple[str, Callable[[float], str]]]] = {
    Measure.DURATION_P50: ("time, p50", formats.duration),
    Measure.DURATION_P95: ("time, p95", formats.duration),
    Measure.TOKENS: ("tokens a run", formats.mean),
    Measure.COST: ("cost a run", formats.usd),
    Measure.LATENESS: ("lateness, p50", formats.duration),
    Measure.FAILURE_RATE: ("failure rate", formats.percent),
}


def lines(drifts: Sequence[JobDrift], width: int | None, *, with_profile: bool) -> Iterator[Text]:
    """Return the table, and below it what changed in the definitions of its jobs."""
    columns = [
        Column(title="JOB", least=14),
        Column(title="DRIFT"),
        Column(title="BEFORE", right=True),
        Column(title="NOW", right=True),
        Column(title="RUNS", right=True, rank=1),
    ]
    rows = [
        [Cell(_name(one, with_profile=with_profile), "heading"), *cells(one.drift)]
        for one in drifts
    ]
    yield from lay_out(columns, rows, width)
    changes = {
        (one.profile, one.job_id, change): _name(one, with_profile=with_profile)
        for one in drifts
        for change in one.definition_changes
    }
    if changes:
        yield Text()
    for (_, _, change), name in changes.items():
        yield Text(f"{name}: {definition_text(change)}")


def cells(one: Drift) -> list[Cell]:
    """Return the measure, what it was, what it is, and the numbers of values behind the two."""
    name, text = _MEASURES[one.measure]
    return [
        Cell(name, "muted"),
        Cell(text(one.before)),
        Cell(text(one.now), "bad" if one.grew else "good"),
        Cell(f"{one.values_before:,}, {one.values_now:,}", "muted"),
    ]


def definition_text(change: DefinitionChange) -> str:
    """`2026-01-17 09:00  model changed: none → claude-opus-4`."""
    return f"{formats.minute(change.at_ns)}  {change_of_part(change)}"


def change_of_part(change: DefinitionChange) -> str:
    """Return what was changed. A prompt is known by its hash alone, which means nothing to a reader."""
    if change.part == "prompt":
        return "prompt changed"
    before, now = (formats.one_line(text or "") or "none" for text in (change.before, change.now))
    return f"{change.part} changed: {before} → {now}"


def _name(one: JobDrift, *, with_profile: bool) -> str:
    name = formats.one_line(one.name)
    return f"{one.profile}/{name}" if with_profile else name
