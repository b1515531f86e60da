"""The forecast as a table of jobs, what changes if something changed, models, and budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from ...domain.budgets import BudgetState, Scope
from ...domain.projections import CostEstimate, Horizon
from ...insight.forecast import Forecast, JobForecast, ModelForecast
from ...insight.windows import Window
from .. import formats
from ..shapes import Shape, record_shape
from ..table import Cell, Column, lay_out
from .figures import window_note

HORIZONS = (Horizon.DAYS_30, Horizon.DAYS_90, Horizon.DAYS_365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that `forecast` shows."""

    forecast: Forecast
    before: Forecast | None
    """Without the changes of a what-if; None without one."""
    window: Window
    several_profiles: bool
    limit: int | None

    @property
    def jobs(self) -> Sequence[JobForecast]:
        return self.forecast.jobs[: self.limit]


def usd(estimate: CostEstimate) -> str:
    """`$1.23`, `≥$1.23` for a lower bound. At least nothing is unknown."""
    if estimate.is_lower_bound and not estimate.usd:
        return formats.UNKNOWN
    bound = "≥" if estimate.is_lower_bound and estimate.usd is not None else ""
    return f"{bound}{formats.usd(estimate.usd)}"


def span(estimate: CostEstimate) -> str:
    """Return the range in which 95 of 100 outcomes lie."""
    if estimate.low_usd is None or estimate.high_usd is None:
        return formats.UNKNOWN
    return f"{formats.usd(estimate.low_usd)}–{formats.usd(estimate.high_usd)}"  # noqa: RUF001


def _of(horizon: Horizon) -> Callable[[JobForecast], CostEstimate]:
    return lambda each: each.job.projection.outlook[horizon].nominal


def _runs(each: JobForecast) -> str:
    return formats.count(each.job.projection.outlook[Horizon.DAYS_30].scheduled_runs)


def _trend(each: JobForecast) -> str:
    return usd(each.job.projection.outlook[Horizon.DAYS_30].trend)


_COLUMNS: tuple[tuple[Column, Callable[[JobForecast], str]], ...] = (
    (
        Column(title="SCHEDULE", least=8, rank=5),
        lambda each: formats.one_line(each.job.schedule or "") or formats.UNKNOWN,
    ),
    (Column(title="RUNS 30D", right=True, rank=3), _runs),
    (Column(title="30 DAYS", right=True), lambda each: usd(_of(Horizon.DAYS_30)(each))),
    (
        Column(title="LOW–HIGH", right=True, rank=4),  # noqa: RUF001
        lambda each: span(_of(Horizon.DAYS_30)(each)),
    ),
    (Column(title="TREND 30D", right=True, rank=6), _trend),
    (Column(title="90 DAYS", right=True, rank=7), lambda each: usd(_of(Horizon.DAYS_90)(each))),
    (Column(title="365 DAYS", right=True, rank=2), lambda each: usd(_of(Horizon.DAYS_365)(each))),
    (Column(title="THIS MONTH", right=True, rank=1), lambda each: usd(each.month_usd)),
)


def lines(shown: Shown, width: int | None) -> Iterator[Text | str]:
    yield from _table(shown, width)
    yield ""
    yield from _summary(shown)
    if shown.forecast.models:
        yield ""
        yield from _models(shown.forecast.models, width)
    if shown.forecast.budgets:
        yield ""
        yield Text("Budgets", style="heading")
        for profile, state in shown.forecast.budgets:
            yield _budget(profile if shown.several_profiles else "", state)


def _table(shown: Shown, width: int | None) -> list[Text]:
    columns = [Column(title="JOB", least=16), *(column for column, _ in _COLUMNS)]
    rows = [
        [Cell(_name(each, shown), "heading"), *(Cell(cell(each)) for _, cell in _COLUMNS)]
        for each in shown.jobs
    ]
    together, month = shown.forecast.together.outlook, shown.forecast.month_usd
    first = together[Horizon.DAYS_30]
    total = [
        "all that match",
        "",
        formats.count(first.scheduled_runs),
        usd(first.nominal),
        span(first.nominal),
        usd(first.trend),
        usd(together[Horizon.DAYS_90].nominal),
        usd(together[Horizon.DAYS_365].nominal),
        usd(month),
    ]
    return lay_out(columns, [*rows, [Cell(text, "heading") for text in total]], width)


def _name(each: JobForecast, shown: Shown) -> str:
    name = formats.one_line(each.job.name)
    return f"{each.job.profile}: {name}" if shown.several_profiles else name


def _summary(shown: Shown) -> Iterator[str]:
    total = len(shown.forecast.jobs)
    if len(shown.jobs) < total:
        yield f"{len(shown.jobs):,} of {formats.counted(total, 'job')} shown; --limit 0 shows all"
    if shown.before is not None:
        yield from _difference(shown.forecast, shown.before)
    yield (
        "By the schedules and what a scheduled run cost"
        f" {_window(shown.window)}; low–high holds 95 of 100 times."  # noqa: RUF001
    )
    yield from window_note(shown.window)
    if _is_lower_bound(shown.forecast):
        yield "≥: at least, because the cost of some runs is not known."


def _difference(now: Forecast, before: Forecast) -> Iterator[str]:
    for horizon, words in zip(HORIZONS, ("30 days", "90 days", "365 days"), strict=True):
        new, old = (each.together.outlook[horizon].nominal for each in (now, before))
        if new.usd is None and old.usd is None:
            yield f"In {words}: unknown, because the cost of no scheduled run is known."
            continue
        if new.usd is None or old.usd is None:
            yield f"In {words}: {usd(new)} instead of {usd(old)}."
            continue
        change = new.usd - old.usd
        share = f" ({change / old.usd * 100:+.0f} %)" if old.usd else ""
        sign = "-" if change < 0 else "+"
        yield (
            f"In {words}: {usd(new)} instead of {usd(old)},"
            f" {sign}{formats.usd(abs(change))}{share}."
        )


def _window(window: Window) -> str:
    if window.since_ns is None:
        return "so far"
    until = "now" if window.is_up_to_now else formats.minute(window.until_ns)
    return f"from {formats.minute(window.since_ns)} to {until}"


def _is_lower_bound(forecast: Forecast) -> bool:
    return any(each.nominal.is_lower_bound for each in forecast.together.outlook.values())


def _models(models: Sequence[ModelForecast], width: int | None) -> list[Text]:
    columns = [
        Column(title="MODEL", least=8),
        Column(title="PROVIDER", least=8, rank=2),
        Column(title="30 DAYS", right=True),
        Column(title="LOW–HIGH", right=True, rank=3),  # noqa: RUF001
        Column(title="90 DAYS", right=True, rank=4),
        Column(title="365 DAYS", right=True, rank=1),
    ]
    rows = [
        [
            Cell(formats.one_line(each.model or "") or formats.UNKNOWN),
            Cell(formats.one_line(each.provider or "") or formats.UNKNOWN, "muted"),
            Cell(usd(each.outlook[Horizon.DAYS_30])),
            Cell(span(each.outlook[Horizon.DAYS_30])),
            Cell(usd(each.outlook[Horizon.DAYS_90])),
            Cell(usd(each.outlook[Horizon.DAYS_365])),
        ]
        for each in models
    ]
    return lay_out(columns, rows, width)


def _budget(profile: str, state: BudgetState) -> Text:
    """Return `! work: all jobs, $20.00 a month: $12.00 (60 %) used, $25.00 (125 %) expected`; the profile,
    where it is given, comes first."""
    who = "all jobs" if state.scope is Scope.ALL else formats.one_line(state.job_name or "")
    if profile:
        who = f"{profile}: {who}"
    mark, style = ("✓", "good")
    if state.over:
        mark, style = ("✗", "bad")
    elif state.forecast_over:
        mark, style = ("!", "warning")
    elif state.forecast_over is None:
        mark, style = (formats.UNKNOWN, "muted")
    return Text.assemble(
        (mark, style),
        f" {who}, {formats.usd(state.limit_usd)} a {state.period}:"
        f" {_used(state.used_usd, state.used_share, exact=state.over is not None)} used,"
        f" {_used(state.forecast_usd, state.forecast_share, exact=state.forecast_over is not None)}"
        " expected",
    )


def _used(amount_usd: float | None, share: float | None, *, exact: bool) -> str:
    if amount_usd is None or share is None:
        return formats.UNKNOWN
    return f"{'' if exact else '≥'}{formats.usd(amount_usd)} ({share * 100:.0f} %)"


# --- for programs -------------------------------------------------------------------------------


def to_json(shown: Shown) -> Shape:
    forecast, before = shown.forecast, shown.before
    return {
        "total": _total_json(forecast),
        "without_changes": None if before is None else _total_json(before),
        "jobs": [
            {
                "profile": each.job.profile,
                "job_id": each.job.job_id,
                "job_name": each.job.name,
                "schedule": each.job.schedule,
                "outlook": _outlooks_json(each),
                "month": record_shape(each.month_usd),
            }
            for each in shown.jobs
        ],
        "matched": len(forecast.jobs),
        "models": [
            {
                "model": each.model,
                "provider": each.provider,
                "outlook": {
                    str(horizon): record_shape(each.outlook[horizon]) for horizon in HORIZONS
                },
            }
            for each in forecast.models
        ],
        "budgets": [budget_shape(*each) for each in forecast.budgets],
    }


def budget_shape(profile: str, state: BudgetState) -> Shape:
    return (
        {"profile": profile}
        | record_shape(state)
        | {
            "used_share": state.used_share,
            "forecast_share": state.forecast_share,
        }
    )


def _total_json(forecast: Forecast) -> Shape:
    return {
        "outlook": {
            str(horizon): record_shape(forecast.together.outlook[horizon]) for horizon in HORIZONS
        },
        "month": record_shape(forecast.month_usd),
    }


def _outlooks_json(each: JobForecast) -> Shape:
    outlook = each.job.projection.outlook
    return {str(horizon): record_shape(outlook[horizon]) for horizon in HORIZONS}


def csv_shapes(shown: Shown) -> Iterator[Shape]:
    for each in shown.jobs:
        row: Shape = {
            "profile": each.job.profile,
            "job_id": each.job.job_id,
            "job_name": each.job.name,
            "schedule": each.job.schedule,
        }
        for horizon in HORIZONS:
            outlook = each.job.projection.outlook[horizon]
            row |= {
                f"scheduled_runs_{horizon}": outlook.scheduled_runs,
                f"nominal_usd_{horizon}": outlook.nominal.usd,
                f"low_usd_{horizon}": outlook.nominal.low_usd,
                f"high_usd_{horizon}": outlook.nominal.high_usd,
                f"trend_usd_{horizon}": outlook.trend.usd,
            }
        row["month_usd"] = each.month_usd.usd
        row["is_lower_bound"] = outlook.nominal.is_lower_bound
        yield row
