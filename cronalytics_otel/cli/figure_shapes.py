"""Figures as plain data for `--json` and `--csv`, which docs/cli.md describes. Unknown is null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields

from ..domain.averages import Average
from ..domain.drift import DefinitionChange, Drift
from ..domain.projections import CostEstimate, Projection
from ..insight.averages import SkillFigures
from ..insight.drifts import JobDrift
from ..insight.job_detail import JobDetail
from ..insight.jobs import JobFigures
from ..insight.models import ModelFigures
from ..insight.run_figures import Changes, RunFigures
from ..insight.summary import AllJobs, Leader, Summary
from ..insight.trends import DayFigures
from ..insight.windows import Window
from ..journal.job_runs import ErrorClass
from ..model import Outcome, Usage
from . import formats
from .shapes import Shape


def window_shape(window: Window) -> Shape:
    """Return the window; null is the beginning of all that is known, and now."""
    until_ns = None if window.is_up_to_now else window.until_ns
    return {
        "since_at": formats.iso(window.since_ns),
        "until_at": formats.iso(until_ns),
        "is_as_asked": window.is_as_asked,
        "runs_since_at": formats.iso(window.runs_since_ns),
        "prior_is_known": window.prior_is_known,
    }


def usage_shape(usage: Usage) -> Shape:
    return {"tokens": usage.total_tokens, **asdict(usage)}


def run_figures_shape(figures: RunFigures) -> Shape:
    """Return the figures of some runs, with their tokens among them."""
    shape: Shape = {field.name: getattr(figures, field.name) for field in fields(figures)}
    del shape["usage"], shape["outcomes"]
    # Every outcome has its place, so that a CSV always has the same columns.
    outcomes = {str(outcome): figures.outcomes.get(outcome, 0) for outcome in Outcome}
    return shape | usage_shape(figures.usage) | {"outcomes": outcomes}


def changes_shape(changes: Changes) -> Shape:
    return {field.name: getattr(changes, field.name) for field in fields(changes)}


def estimate_shape(name: str, estimate: CostEstimate) -> Shape:
    return {
        f"{name}_usd": estimate.usd,
        f"{name}_low_usd": estimate.low_usd,
        f"{name}_high_usd": estimate.high_usd,
        f"{name}_is_lower_bound": estimate.is_lower_bound,
    }


def projection_shape(projection: Projection) -> Shape:
    return {
        str(horizon): {
            "scheduled_runs": outlook.scheduled_runs,
            **estimate_shape("nominal", outlook.nominal),
            **estimate_shape("trend", outlook.trend),
        }
        for horizon, outlook in projection.outlook.items()
    }


def together_shape(together: AllJobs) -> Shape:
    """Return the figures of all jobs together."""
    return {
        **run_figures_shape(together.figures),
        "expected_runs": together.expected_runs,
        "adherence": together.projection.adherence,
        "pace": together.projection.pace,
        "pace_is_lower_bound": together.projection.pace_is_lower_bound,
        "change": changes_shape(together.changes),
        "projection": projection_shape(together.projection),
    }


def job_shape(job: JobFigures) -> Shape:
    return {
        "profile": job.profile,
        "job_id": job.job_id,
        "name": job.name,
        "mode": job.mode,
        "state": job.state,
        "schedule": job.schedule,
        "declared_model": job.model,
        "skills": list(job.skills),
        "next_run_at": formats.iso(job.next_run_ns),
        "runs_left": job.runs_left,
        "last_outcome": job.recent.last_outcome,
        "last_started_at": formats.iso(job.recent.last_started_ns),
        "last_ended_at": formats.iso(job.recent.last_ended_ns),
        "last_success_at": formats.iso(job.recent.last_success_ns),
        "consecutive_failures": job.recent.consecutive_failures,
        "consecutive_failures_is_lower_bound": job.recent.consecutive_failures_is_lower_bound,
        "last_outcomes": list(job.recent.outcomes),
        **run_figures_shape(job.figures),
        "expected_runs": job.expected_runs,
        "adherence": job.adherence,
        "pace": job.pace,
        "pace_is_lower_bound": job.projection.pace_is_lower_bound,
        "observed_s": job.observed_s,
        "durations": asdict(job.durations),
        "change": changes_shape(job.changes),
        "projection": projection_shape(job.projection),
    }


def model_shape(model: ModelFigures, average: Average | None) -> Shape:
    shape: Shape = {field.name: getattr(model, field.name) for field in fields(model)}
    del shape["usage"]
    return shape | usage_shape(model.usage) | {"recent": average_shape(average)}


def average_shape(average: Average | None) -> Shape | None:
    return None if average is None else {**asdict(average)}


def skill_shape(skill: SkillFigures) -> Shape:
    return {
        "skill": skill.skill,
        "model": skill.model,
        "provider": skill.provider,
        "runs": skill.average.runs,
        "success_rate": skill.average.success_rate,
        "mean_duration_s": skill.average.duration_s,
        "mean_cost_usd": skill.average.cost_usd,
        "cost_usd": skill.cost_usd,
        "cost_is_lower_bound": skill.cost_is_lower_bound,
    }


def skills_total_shape(skills: Sequence[SkillFigures]) -> Shape:
    """Return the sums over skills."""
    known = [skill.cost_usd for skill in skills if skill.cost_usd is not None]
    return {
        "cost_usd": sum(known) if known or not skills else None,
        "cost_is_lower_bound": any(skill.cost_is_lower_bound for skill in skills),
    }


def day_shape(day: DayFigures) -> Shape:
    return {
        "day": day.day.isoformat(),
        "is_whole": day.is_whole,
        **run_figures_shape(day.figures),
    }


def leader_shape(leader: Leader) -> Shape:
    return {field.name: getattr(leader, field.name) for field in fields(leader)}


def summary_shape(summary: Summary) -> Shape:
    leaders = summary.leaders
    return {
        "window": window_shape(summary.window),
        "jobs": {str(state): count for state, count in summary.states.items()},
        "totals": together_shape(summary.together),
        "leaders": {
            field.name: [leader_shape(leader) for leader in getattr(leaders, field.name)]
            for field in fields(leaders)
        },
        "models": [model_shape(model, None) for model in summary.models],
    }


def detail_shape(detail: JobDetail) -> Shape:
    return {
        "window": window_shape(detail.window),
        "job": job_shape(detail.figures),
        "days": [day_shape(day) for day in detail.days],
        "drift": [drift_shape(one) for one in detail.drift],
        "definition_changes": [definition_shape(one) for one in detail.definition_changes],
        "errors": [error_shape(one) for one in detail.errors],
        "models": [model_shape(model, None) for model in detail.models],
        "skills": [skill_shape(skill) for skill in detail.skills],
    }


def drift_shape(one: Drift) -> Shape:
    return {**{field.name: getattr(one, field.name) for field in fields(one)}, "grew": one.grew}


def job_drift_shape(one: JobDrift) -> Shape:
    return {
        "profile": one.profile,
        "job_id": one.job_id,
        "name": one.name,
        **drift_shape(one.drift),
        "definition_changes": [definition_shape(change) for change in one.definition_changes],
    }


def definition_shape(one: DefinitionChange) -> Shape:
    return {
        "at": formats.iso(one.at_ns),
        "part": one.part,
        "before": one.before,
        "now": one.now,
    }


def error_shape(one: ErrorClass) -> Shape:
    return {
        "error_type": one.error_type,
        "runs": one.runs,
        "last_ended_at": formats.iso(one.last_ended_ns),
        "last_message": one.last_message,
    }


def flat(shape: Mapping[str, object], prefix: str = "") -> Shape:
    """Return a shape for CSV: objects within become columns, `change.runs` as `change_runs`, and lists of
    values one text. Lists of objects are left out."""
    row: Shape = {}
    for name, value in shape.items():
        key = prefix + name
        if value is None or isinstance(value, (str, int, float)):  # nearly all
            row[key] = value
        elif isinstance(value, dict):
            row |= flat(value, f"{key}_")
        elif isinstance(value, (list, tuple)):
            if not any(isinstance(item, dict) for item in value):
                row[key] = " ".join(map(str, value))
        else:
            row[key] = value
    return row


def models_total_shape(models: Sequence[ModelFigures]) -> Shape:
    """Return the sums over models."""
    known = [model.cost_usd for model in models if model.cost_usd is not None]
    return {
        "api_calls": sum(model.api_calls for model in models),
        "cost_usd": sum(known) if known or not models else None,
        "cost_is_lower_bound": any(model.cost_is_lower_bound for model in models),
        **usage_shape(Usage.sum([model.usage for model in models])),
    }


def csv_rows(shapes: Iterable[Shape]) -> Iterator[list[object]]:
    """Give the head, which is the keys of the first shape, and a row for each shape; nothing for none."""
    columns: list[str] | None = None
    for row in map(flat, shapes):
        if columns is None:
            columns = [*row]
            yield [*columns]
        yield [row.get(column) for column in columns]
