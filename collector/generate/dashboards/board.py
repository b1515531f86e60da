"""How a board is laid out, which variables it has, and how it is written.

The grid has 24 columns. On a narrow screen Grafana puts all panels into one column, from the left to the right
and row by row, so the order of the panels is that of their importance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    Dashboard,
    DashboardLink,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from cronalytics_otel.telemetry.semconv import HERMES_CRON_MODEL_NAME

from ..names import label, metric
from ..promql import JOB_ID, JOB_NAME, PROFILE, present
from .panels import PROMETHEUS, Panel

WIDTH: Final = 24
TAG: Final = "cronalytics"

FLEET: Final = "cronalytics-fleet"
JOB: Final = "cronalytics-job"
MODELS: Final = "cronalytics-models"
PIPELINE: Final = "cronalytics-pipeline"

MODEL: Final = label(HERMES_CRON_MODEL_NAME)
IN_PROFILE: Final = f'{PROFILE}=~"$profile"'
"""Selects the series of the chosen profiles."""

Variable = QueryVariable | CustomVariable


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Panels side by side, of one height, with their widths."""

    height: int
    panels: Sequence[tuple[int, Panel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    title: str
    lines: Sequence[Line]


def profile_variable() -> QueryVariable:
    return (
        QueryVariable("profile")
        .label("Profile")
        .description("The Hermes profiles that are shown.")
        .datasource(PROMETHEUS)
        .query(_query(f"label_values({metric('build.info')}, {PROFILE})"))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(_all())
    )


def job_variable() -> QueryVariable:
    """Return the job: its value is the id, its text the name."""
    jobs = f"max by ({JOB_ID}, {JOB_NAME}) ({present('job.info', IN_PROFILE)})"
    return (
        QueryVariable("job")
        .label("Job")
        .description("The job that is shown. A deleted job stays in the list for a week.")
        .datasource(PROMETHEUS)
        .query(_query(f"query_result({jobs})"))
        .regex(f'/{JOB_ID}="(?<value>[^"]+)".*{JOB_NAME}="(?<text>.*)"\\}}/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    )


def model_variable() -> QueryVariable:
    return (
        QueryVariable("model")
        .label("Model")
        .description("The models that are shown.")
        .datasource(PROMETHEUS)
        .query(_query(f"label_values({metric('run.tokens')}{{{IN_PROFILE}}}, {MODEL})"))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(_all())
    )


def window_variable() -> CustomVariable:
    windows = ("24h", "7d", "30d")
    return (
        CustomVariable("window")
        .label("Window")
        .description("How far the figures look back. The time range moves the charts only.")
        .values(",".join(windows))
        .allow_custom_value(False)
        .options([VariableOption(text=w, value=w, selected=w == "7d") for w in windows])
        .current(VariableOption(text="7d", value="7d", selected=True))
    )


def make_board(
    uid: str,
    title: str,
    description: str,
    variables: Sequence[Variable],
    sections: Sequence[Section],
) -> models.Dashboard:
    """Return the dashboard with its sections one below the other."""
    builder = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time("now-7d", "now")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(
            DashboardLink("Cronalytics")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .tooltip("The other boards, with the same profile, window and time range")
            .include_vars(True)
            .keep_time(True)
        )
    )
    for variable in variables:
        builder.with_variable(variable)
    panel_id, y = 1, 0
    for section in sections:
        row = Row(section.title).id(panel_id).grid_pos(GridPos(h=1, w=WIDTH, x=0, y=y))
        builder.with_row(row)
        panel_id, y = panel_id + 1, y + 1
        for line in section.lines:
            x = 0
            for width, panel in line.panels:
                place = GridPos(h=line.height, w=width, x=x, y=y)
                builder.with_panel(panel.id(panel_id).grid_pos(place))
                panel_id, x = panel_id + 1, x + width
            y += line.height
    return builder.build()


def text_of(board: models.Dashboard) -> str:
    """Return the JSON as it is committed."""
    return json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def _query(text: str) -> dict[str, object]:
    return {"query": text, "refId": "variable"}


def _all() -> VariableOption:
    return VariableOption(text=["All"], value=["$__all"], selected=True)
