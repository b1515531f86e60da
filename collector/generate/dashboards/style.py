"""Colours that everybody can tell apart, and how values are mapped to them.

The palette is that of Okabe and Ito (https://jfly.uni-koeln.de/color/), without its black, which is invisible
on a dark page, and with a grey. An outcome has the same colour on every board.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from cronalytics_otel.domain.job_state import JobState
from cronalytics_otel.model import Outcome

GREEN: Final = "#009E73"
VERMILLION: Final = "#D55E00"
ORANGE: Final = "#E69F00"
PURPLE: Final = "#CC79A7"
YELLOW: Final = "#F0E442"
SKY: Final = "#56B4E9"
BLUE: Final = "#0072B2"
GREY: Final = "#8C8C8C"

PALETTE: Final = frozenset({GREEN, VERMILLION, ORANGE, PURPLE, YELLOW, SKY, BLUE, GREY})

OUTCOME_COLOURS: Final[Mapping[str, str]] = {
    Outcome.SUCCESS: GREEN,
    Outcome.SKIPPED: SKY,
    Outcome.FAILURE: VERMILLION,
    Outcome.TIMEOUT: ORANGE,
    Outcome.BUDGET_EXCEEDED: YELLOW,
    Outcome.CANCELLED: BLUE,
    Outcome.ABANDONED: GREY,
    Outcome.MISSED: PURPLE,
}
STATE_COLOURS: Final[Mapping[str, str]] = {
    JobState.SCHEDULED: GREEN,
    JobState.PAUSED: ORANGE,
    JobState.COMPLETED: SKY,
    JobState.DISABLED: GREY,
}
SEVERITY_COLOURS: Final[Mapping[str, str]] = {"1 serious": VERMILLION, "2 worth a look": ORANGE}
"""The numbers are there for the order of the rows."""


def fixed(colour: str) -> FieldColor:
    """Return the setting that gives all values one colour."""
    return FieldColor().mode(FieldColorModeId.FIXED).fixed_color(colour)


def shades(colour: str) -> FieldColor:
    """Return the setting that gives each series a shade of one colour."""
    return FieldColor().mode(FieldColorModeId.SHADES).fixed_color(colour)


def by_threshold() -> FieldColor:
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def thresholds(base: str, *steps: tuple[float, str]) -> ThresholdsConfig:
    """Return thresholds: the colour below all of them, and each value with the colour from there on."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(color=base), *(Threshold(value=at, color=to) for at, to in steps)])
    )


def mapped(colours: Mapping[str, str]) -> list[ValueMapping]:
    """Return the mappings that give each of these words its colour."""
    options = {
        str(word): ValueMappingResult(text=str(word), color=colour, index=n)
        for n, (word, colour) in enumerate(colours.items())
    }
    return [ValueMap(options=options)]


def coloured_series(colours: Mapping[str, str]) -> list[tuple[str, list[DynamicConfigValue]]]:
    """Return the overrides that give the series of each of these names its colour."""
    return [
        (
            str(word),
            [DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})],
        )
        for word, colour in colours.items()
    ]
