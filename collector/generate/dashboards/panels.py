"""The kinds of panels that the boards are made of.

Each panel answers the question of its title. Its description says in plain words what the figures are, and
why it may rightly be empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statushistory,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    BarGaugeSizing,
    BarGaugeValueMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMapping,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from cronalytics_otel.config.links import DEFAULT_TEMPO_DATASOURCE

from ..names import PROMETHEUS_DATASOURCE
from ..promql import JOB_ID, JOB_NAME, PROFILE
from . import style

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid=PROMETHEUS_DATASOURCE)
TEMPO: Final = DataSourceRef(type_val="tempo", uid=DEFAULT_TEMPO_DATASOURCE)

USD: Final = "currencyUSD"
SECONDS: Final = "s"
COUNT: Final = "short"
SHARE: Final = "percentunit"
FACTOR: Final = "suffix:x"
AGO: Final = "dateTimeFromNow"
"""A point in time as the time from now; its values are in milliseconds."""
TEXT: Final = "string"

NO_CELL: Final = "-"
"""What stands in a cell of a table of which nothing is known."""

JOB_TITLE: Final = f"{{{{{JOB_NAME}}}}} · {{{{{PROFILE}}}}}"
"""How a series of one job is called."""

Panel: TypeAlias = (
    stat.Panel | table.Panel | bargauge.Panel | timeseries.Panel | statushistory.Panel
)
_P = TypeVar("_P", stat.Panel, table.Panel, bargauge.Panel, timeseries.Panel, statushistory.Panel)
Overrides: TypeAlias = Sequence[tuple[str, list[DynamicConfigValue]]]
"""By the name of a field, what is set for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A query whose results are shown over time, or as one value each."""

    expr: str
    name: str
    """With labels in double braces."""
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: the value of a query for each row, or one of its labels."""

    title: str
    unit: str = TEXT
    expr: str = ""
    label: str = ""
    width: int = 0
    decimals: int | None = None
    mappings: Sequence[ValueMapping] = ()
    thresholds: ThresholdsConfig | None = None
    is_filled: bool = False
    """Whether the colour of a value fills its cell."""
    link: tuple[str, str] | None = None
    """Its title and its address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the values of a panel look."""

    unit: str = COUNT
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    colour: FieldColor = field(default_factory=lambda: style.fixed(style.SKY))
    thresholds: ThresholdsConfig | None = None
    mappings: Sequence[ValueMapping] = ()
    overrides: Overrides = ()
    no_value: str = "none"


def job_link(profile: str = PROFILE, job_id: str = JOB_ID, *, of_row: bool) -> tuple[str, str]:
    """Return the link to the board of a job, from a row of a table or from a series."""
    value = "${{__data.fields.{}}}" if of_row else "${{__field.labels.{}}}"
    address = (
        f"/d/cronalytics-job?var-profile={value.format(profile)}&var-job={value.format(job_id)}"
        "&${__url_time_range}"
    )
    return "Open the job", address


def number(
    title: str, description: str, *values: Series, look: Look, only_name: bool = False
) -> stat.Panel:
    """Return one number, or a few side by side; `only_name` shows what the series is called instead.

    A number has a colour only where thresholds say whether it is good.
    """
    panel = (
        stat.Panel()
        .targets([_prometheus(one, n, instant=True) for n, one in enumerate(values)])
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(
            BigValueColorMode.VALUE if only_name or look.thresholds else BigValueColorMode.NONE
        )
        .text_mode(
            BigValueTextMode.NAME
            if only_name
            else BigValueTextMode.VALUE_AND_NAME
            if len(values) > 1
            else BigValueTextMode.VALUE
        )
        .orientation(VizOrientation.VERTICAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if len(values) > 1:
        panel.text(common.VizTextDisplayOptions().title_size(12).value_size(24))
    return _looks(panel, title, description, look)


def bars(
    title: str,
    description: str,
    *values: Series,
    look: Look,
    link: tuple[str, str] | None = None,
) -> bargauge.Panel:
    """Return one horizontal bar for each series."""
    panel = (
        bargauge.Panel()
        .targets([_prometheus(one, n, instant=True) for n, one in enumerate(values)])
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .value_mode(BarGaugeValueMode.TEXT)
        .name_placement(BarGaugeNamePlacement.TOP)
        .sizing(BarGaugeSizing.MANUAL)
        .min_viz_height(14)
        .max_viz_height(22)
        .text(common.VizTextDisplayOptions().title_size(12).value_size(14))
        .show_unfilled(False)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    panel = _looks(panel, title, description, look)
    if link is not None:
        panel.override_by_regexp(".*", [_links(link)])
    return panel


def lines(
    title: str, description: str, *values: Series, look: Look, stacked: bool = False
) -> timeseries.Panel:
    """Return lines over time, or areas that are stacked."""
    panel = (
        timeseries.Panel()
        .targets([_prometheus(one, n, instant=False) for n, one in enumerate(values)])
        .draw_style(GraphDrawStyle.LINE)
        .line_interpolation(LineInterpolation.STEP_AFTER)
        .line_width(2)
        .fill_opacity(60 if stacked else 0)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(True)
        .axis_soft_min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
        )
        .max_data_points(300)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return _looks(panel, title, description, look)


def strip(
    title: str, description: str, value: Series, *, interval: str, look: Look
) -> statushistory.Panel:
    """Return a row of cells for each series, one cell for each interval."""
    panel = (
        statushistory.Panel()
        .targets([_prometheus(value, 0, instant=False)])
        .interval(interval)
        .max_data_points(96)
        .show_value(VisibilityMode.AUTO)
        .row_height(0.9)
        .col_width(0.9)
        .fill_opacity(90)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(False)
        )
    )
    return _looks(panel, title, description, look)


def rows(
    title: str,
    description: str,
    *columns: Column,
    labels_of: Sequence[str] = (),
    hidden: Sequence[str] = (),
    sort: tuple[str, bool],
    no_value: str,
) -> table.Panel:
    """Return a table: the queries of its columns, joined by the labels that all of them have.

    `labels_of` are queries of which only the labels are shown, and `hidden` labels that only links need. `sort` is the
    title of a column, and whether it descends.
    """
    queries = [*labels_of, *(column.expr for column in columns if column.expr)]
    values = [f"Value #{_ref(n)}" for n in range(len(queries))] if queries[1:] else ["Value"]
    shown_values = iter(values[len(labels_of) :])
    shown = {column.label or next(shown_values): column.title for column in columns}
    dropped = ["Time", *values[: len(labels_of)]]
    transformations = {
        "organize": {
            "excludeByName": dict.fromkeys(dropped, True),
            "indexByName": {name: n for n, name in enumerate([*shown, *hidden])},
            "renameByName": shown,
        },
        "sortBy": {"fields": {}, "sort": [{"field": sort[0], "desc": sort[1]}]},
    }
    if len(queries) > 1:
        transformations = {"merge": {}} | transformations
    panel = (
        table.Panel()
        .targets([_table_query(expr, _ref(n)) for n, expr in enumerate(queries)])
        .transformations(
            [
                DataTransformerConfig(id_val=name, options=options)
                for name, options in transformations.items()
            ]
        )
    )
    panel = _looks(panel, title, description, Look(unit=TEXT, no_value=no_value))
    for column in columns:
        panel.override_by_name(column.title, _column_settings(column))
    for name in hidden:
        hide = [_set("custom.hideFrom", {"viz": True}), _set("noValue", "")]
        panel.override_by_name(name, hide)
    return panel


def traces(title: str, description: str, query: str, *, limit: int, no_value: str) -> table.Panel:
    """Return the spans that a TraceQL query finds; their ids open the traces."""
    target = (
        tempo.Dataquery()
        .datasource(TEMPO)
        .ref_id("A")
        .query_type("traceql")
        .query(query)
        .limit(limit)
        .spss(1)
        .table_type(SearchTableType.SPANS)
    )
    panel = table.Panel().datasource(TEMPO).targets([target])
    return (
        panel.title(title)
        .description(description)
        .no_value(no_value)
        .color_scheme(style.fixed(style.BLUE))
    )


def _prometheus(series: Series, n: int, *, instant: bool) -> prometheus.Dataquery:
    query = (
        prometheus.Dataquery()
        .datasource(PROMETHEUS)
        .ref_id(_ref(n))
        .expr(series.expr)
        .legend_format(series.name)
        .format(PromQueryFormat.TIME_SERIES)
    )
    if series.exemplars:
        query.exemplar(True)
    return query.instant() if instant else query.range()


def _table_query(expr: str, ref: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(PROMETHEUS)
        .ref_id(ref)
        .expr(expr)
        .format(PromQueryFormat.TABLE)
        .instant()
    )


def _ref(n: int) -> str:
    return chr(ord("A") + n)


def _looks(panel: _P, title: str, description: str, look: Look) -> _P:
    (
        panel.title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(look.unit)
        .color_scheme(look.colour)
        .no_value(look.no_value)
        .thresholds(look.thresholds or style.thresholds(style.BLUE))
    )
    if look.decimals is not None:
        panel.decimals(look.decimals)
    if look.minimum is not None:
        panel.min(look.minimum)
    if look.maximum is not None:
        panel.max(look.maximum)
    if look.mappings:
        panel.mappings(list(look.mappings))
    for name, properties in look.overrides:
        panel.override_by_name(name, properties)
    return panel


def _column_settings(column: Column) -> list[DynamicConfigValue]:
    settings = [_set("unit", column.unit), _set("noValue", NO_CELL)]
    if column.width:
        settings.append(_set("custom.width", column.width))
    if column.decimals is not None:
        settings.append(_set("decimals", column.decimals))
    if column.mappings:
        settings.append(_set("mappings", list(column.mappings)))
    if column.thresholds is not None:
        settings += [
            _set("thresholds", column.thresholds.build()),
            _set("color", {"mode": "thresholds"}),
        ]
    if column.is_filled:
        settings.append(_set("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    elif column.mappings or column.thresholds is not None:
        settings.append(_set("custom.cellOptions", {"type": "color-text"}))
    if column.link is not None:
        settings.append(_links(column.link))
    return settings


def _links(link: tuple[str, str]) -> DynamicConfigValue:
    title, address = link
    return _set("links", [{"title": title, "url": address}])


def _set(name: str, value: object) -> DynamicConfigValue:
    return DynamicConfigValue(id_val=name, value=value)


def named(settings: Mapping[str, Mapping[str, object]]) -> Overrides:
    """Return overrides: by the name of a field, its settings."""
    return [
        (name, [_set(key, value) for key, value in values.items()])
        for name, values in settings.items()
    ]
