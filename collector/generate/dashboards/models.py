"""Models and skills: what do they cost, and how well do they do?"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models import dashboard as models

from cronalytics_otel.telemetry.semconv import (
    GEN_AI_TOKEN_TYPE,
    HERMES_CRON_COST_STATUS,
    HERMES_CRON_MODEL_PROVIDER,
    HERMES_CRON_SKILL_NAME,
)

from ..names import label
from ..promql import by_job, counters, known, present, total
from . import style
from .board import (
    IN_PROFILE,
    MODEL,
    MODELS,
    Line,
    Section,
    make_board,
    model_variable,
    profile_variable,
)
from .panels import (
    COUNT,
    SECONDS,
    SHARE,
    USD,
    Column,
    Look,
    Panel,
    Series,
    bars,
    lines,
    number,
    rows,
)

PROVIDER: Final = label(HERMES_CRON_MODEL_PROVIDER)
SKILL: Final = label(HERMES_CRON_SKILL_NAME)
STATUS: Final = label(HERMES_CRON_COST_STATUS)
TOKEN_TYPE: Final = label(GEN_AI_TOKEN_TYPE)

OF_MODEL: Final = f'{IN_PROFILE}, {MODEL}=~"$model"'

_ALL_TIME: Final = (
    " Since the first run that is known; jobs that were deleted more than a week ago are not in it."
)
_KEPT: Final = style.thresholds(style.VERMILLION, (0.8, style.ORANGE), (0.95, style.GREEN))


def board() -> models.Dashboard:
    return make_board(
        MODELS,
        "Cronalytics: models and skills",
        "What do the models and the skills cost, and how well do they do?",
        [profile_variable(), model_variable()],
        [
            Section(
                title="How much is spent, and how well is it known?",
                lines=[Line(height=3, panels=[(6, panel) for panel in _sums()])],
            ),
            Section(
                title="Which models?",
                lines=[
                    Line(height=9, panels=[(24, _models())]),
                    Line(height=8, panels=[(12, _costs()), (12, _tokens())]),
                    Line(height=9, panels=[(12, _costs_over_time()), (12, _tokens_over_time())]),
                ],
            ),
            Section(title="Which skills?", lines=[Line(height=10, panels=[(24, _skills())])]),
            Section(
                title="How well are the costs known?",
                lines=[Line(height=7, panels=[(12, _statuses()), (12, _unpriced())])],
            ),
        ],
    )


def _sum(metric: str, *by: str, selector: str = OF_MODEL) -> str:
    sums = total(counters(metric, selector), *by)
    return known(sums, MODEL) if MODEL in by else sums


def _sums() -> list[Panel]:
    def one(title: str, description: str, expr: str, look: Look) -> Panel:
        return number(title, description + _ALL_TIME, Series(expr=expr, name=title), look=look)

    unknown = style.thresholds(style.GREEN, (1, style.ORANGE))
    of_input, of_output = (f'{OF_MODEL}, {TOKEN_TYPE}="{one}"' for one in ("input", "output"))
    return [
        one("Cost", "The known cost of the chosen models.", _sum("run.cost"), Look(unit=USD, decimals=2, no_value="not known")),
        one("Input tokens", "Input with what came from a cache.", _sum("run.tokens", selector=of_input), Look(no_value="none")),
        one("Output tokens", "Output with reasoning.", _sum("run.tokens", selector=of_output), Look(no_value="none")),
        one("Runs without a known cost", "Runs whose cost nobody wrote down: they are in no sum of costs. Empty when there is none.", _sum("unpriced_runs"), Look(colour=style.by_threshold(), thresholds=unknown, no_value="none")),
    ]  # fmt: skip


def _models() -> Panel:
    key = (MODEL, PROVIDER)

    def average(metric: str) -> str:
        return f"avg by ({MODEL}, {PROVIDER}) ({by_job(present(metric, OF_MODEL), *key)})"

    def of_model(metric: str) -> str:
        return total(counters(metric, OF_MODEL), *key)

    return rows(
        "Models: cost and success",
        "Cost and tokens of all time. Success, duration and cost of a run are weighted means of 14 days, as"
        " `cronalytics-otel models` shows them; for several homes they are the mean of the means. A row without a provider stands for runs that failed"
        " before the model answered.",
        Column(title="Model", label=MODEL),
        Column(title="Provider", label=PROVIDER),
        Column(title="Cost", unit=USD, decimals=2, expr=of_model("run.cost"), width=100),
        Column(title="Tokens", unit=COUNT, expr=of_model("run.tokens"), width=100),
        Column(title="Success", unit=SHARE, decimals=0, expr=average("model.success"), thresholds=_KEPT, width=100),
        Column(title="Duration of a run", unit=SECONDS, decimals=1, expr=average("model.duration"), width=150),
        Column(title="Cost of a run", unit=USD, expr=average("model.cost"), width=130),
        sort=("Cost", True),
        no_value="no model was asked",
    )  # fmt: skip


def _costs() -> Panel:
    return bars(
        "Cost by model",
        "The known cost of each model." + _ALL_TIME,
        Series(expr=f"sort_desc({_sum('run.cost', MODEL)})", name=f"{{{{{MODEL}}}}}"),
        look=Look(unit=USD, decimals=2, minimum=0, no_value="no known cost"),
    )


def _tokens() -> Panel:
    return bars(
        "Tokens by model",
        "Input and output tokens of each model." + _ALL_TIME,
        Series(expr=f"sort_desc({_sum('run.tokens', MODEL)})", name=f"{{{{{MODEL}}}}}"),
        look=Look(minimum=0, colour=style.fixed(style.SKY), no_value="no tokens"),
    )


def _costs_over_time() -> Panel:
    return lines(
        "Cost by model, summed up",
        "The known cost up to each time, one model on top of the other: the steeper, the more is spent." + _ALL_TIME,
        Series(expr=_sum("run.cost", MODEL), name=f"{{{{{MODEL}}}}}"),
        look=Look(unit=USD, colour=style.shades(style.BLUE), no_value="no known cost"),
        stacked=True,
    )  # fmt: skip


def _tokens_over_time() -> Panel:
    return lines(
        "Tokens by type, summed up",
        "Input and output tokens up to each time: the steeper, the more are used." + _ALL_TIME,
        Series(expr=_sum("run.tokens", TOKEN_TYPE), name=f"{{{{{TOKEN_TYPE}}}}}"),
        look=Look(
            overrides=style.coloured_series({"input": style.SKY, "output": style.ORANGE}),
            no_value="no tokens",
        ),
        stacked=True,
    )


def _skills() -> Panel:
    def average(metric: str) -> str:
        key = (SKILL, MODEL, PROVIDER)
        return f"avg by ({', '.join(key)}) ({by_job(present(metric, OF_MODEL), *key)})"

    return rows(
        "Skills: cost and success",
        "Weighted means of 14 days of the runs with each skill and model, as `cronalytics-otel skills` shows them; the cost is"
        " the skill's share of the run. Empty when no run used a skill.",
        Column(title="Skill", label=SKILL),
        Column(title="Model", label=MODEL),
        Column(title="Provider", label=PROVIDER),
        Column(title="Success", unit=SHARE, decimals=0, expr=average("skill.success"), thresholds=_KEPT, width=100),
        Column(title="Duration of a run", unit=SECONDS, decimals=1, expr=average("skill.duration"), width=150),
        Column(title="Cost of a run", unit=USD, expr=average("skill.cost"), width=130),
        sort=("Cost of a run", True),
        no_value="no run of 14 days used a skill",
    )  # fmt: skip


def _statuses() -> Panel:
    return bars(
        "Cost by how it is known",
        "`actual` was billed, `estimated` comes from prices, `included` is in a subscription, and `partial` is a lower bound."
        + _ALL_TIME,
        Series(expr=f"sort_desc({_sum('run.cost', STATUS)})", name=f"{{{{{STATUS}}}}}"),
        look=Look(unit=USD, decimals=2, minimum=0, no_value="no known cost"),
    )  # fmt: skip


def _unpriced() -> Panel:
    return bars(
        "Runs without a known cost, by model",
        "Runs whose cost nobody wrote down, mostly because the model has no price. Empty when there is none." + _ALL_TIME,
        Series(expr=f"sort_desc({_sum('unpriced_runs', MODEL)} > 0)", name=f"{{{{{MODEL}}}}}"),
        look=Look(minimum=0, colour=style.fixed(style.ORANGE), no_value="none"),
    )  # fmt: skip
