"""Cronalytics 1.1.0 in short: what it reads of a home, and its formulas. docs/projections.md compares ours with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from croniter import croniter

MOST_OCCURRENCES = 100_000
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row of its facts: a session of the agent, or an output file of a script job."""

    job_id: str
    began_s: float
    duration_s: float | None
    cost_usd: float | None
    """0 for a model without a price; None where no call succeeded."""
    tokens: int
    model: str | None
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What it shows of some runs; None is a dash."""

    runs: int
    success_rate: float | None
    mean_duration_s: float | None
    cost_usd: float | None
    mean_cost_usd: float | None
    wasted_usd: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFigures:
    """A row of its table of jobs."""

    figures: Figures
    scheduled_30: int | None
    scheduled_365: int | None
    nominal_30_usd: float | None
    trend_30_usd: float | None
    pace: float | None
    drift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Its cards and lists."""

    figures: Figures
    runs_change: float | None
    cost_change: float | None
    nominal_30_usd: float | None
    trend_30_usd: float | None
    pace: float | None
    cost_by_model: Mapping[str, float]
    leaders: Mapping[str, str]
    """The name of the first job by runs, cost, tokens and pace."""
    jobs: int


def summary(home: Path, now: datetime, days: int) -> Summary:
    """Return the summary of the last `days` days. `now` is aware; its zone is that of the machine."""
    runs = runs_of(home, now)
    these = _window(runs, now, days)
    figures, before = figures_of(these), figures_of(_window(runs, now - timedelta(days), days))
    by_job = jobs(home, now, days)
    nominal_usd = sum(job.nominal_30_usd or 0.0 for job in by_job.values())
    trend_usd = sum(job.trend_30_usd or 0.0 for job in by_job.values())
    names = {job_id: str(job["name"]) for job_id, job in _definitions(home).items()}

    def leader(value: Callable[[JobFigures], float | None]) -> str:
        first = max(by_job, key=lambda job_id: value(by_job[job_id]) or 0.0)
        return names.get(first, first)

    by_model: dict[str, float] = {}
    for run in these:
        if run.cost_usd is not None and run.model is not None:
            by_model[run.model] = by_model.get(run.model, 0.0) + run.cost_usd
    return Summary(
        figures=figures,
        runs_change=_change(figures.runs, before.runs),
        cost_change=_change(figures.cost_usd, before.cost_usd),
        nominal_30_usd=nominal_usd or None,
        trend_30_usd=trend_usd or None,
        pace=trend_usd / nominal_usd if nominal_usd else None,
        cost_by_model=by_model,
        leaders={
            "runs": leader(lambda job: job.figures.runs),
            "cost": leader(lambda job: job.figures.cost_usd),
            "tokens": leader(lambda job: job.figures.tokens),
            "pace": leader(lambda job: job.pace),
        },
        jobs=len(by_job),
    )


@cache
def jobs(home: Path, now: datetime, days: int) -> Mapping[str, JobFigures]:
    """Return a row for each job that has a run in the last `days` days.

    Stepping through the times of a schedule takes seconds, so an answer is kept.
    """
    definitions = _definitions(home)
    groups: dict[str, list[Run]] = {}
    for run in _window(runs_of(home, now), now, days):
        groups.setdefault(run.job_id, []).append(run)
    return {
        job_id: _job(definitions.get(job_id), runs, now.replace(tzinfo=None), days)
        for job_id, runs in groups.items()
    }


def runs_of(home: Path, now: datetime) -> list[Run]:
    """Return its facts: it reads neither the ledger nor sessions without an end nor those of subagents."""
    with closing(sqlite3.connect(home / "state.db")) as connection:
        rows = connection.execute(
            "SELECT id, started_at, ended_at - started_at, estimated_cost_usd, input_tokens + output_tokens"
            " + cache_read_tokens + cache_write_tokens, model, end_reason FROM sessions "
            "WHERE source = 'cron' AND ended_at IS NOT NULL"
        ).fetchall()
    found = [
        Run(
            job_id="_".join(session_id.split("_")[1:-2]),
            began_s=began_s,
            duration_s=duration_s,
            cost_usd=cost_usd,
            tokens=tokens,
            model=model,
            succeeded=reason == "cron_complete",
        )
        for session_id, began_s, duration_s, cost_usd, tokens, model, reason in rows
    ]
    for job_id, job in _definitions(home).items():
        if job["no_agent"]:
            found += (
                Run(
                    job_id=job_id,
                    began_s=datetime.strptime(path.stem, "%Y-%m-%d_%H-%M-%S")
                    .replace(tzinfo=now.tzinfo)
                    .timestamp(),
                    duration_s=None,
                    cost_usd=0.0,
                    tokens=0,
                    model=None,
                    succeeded=True,
                )
                for path in (home / "cron" / "output" / job_id).glob("*.md")
            )
    return found


def figures_of(runs: Sequence[Run]) -> Figures:
    costs = [run.cost_usd for run in runs if run.cost_usd is not None]
    durations = [run.duration_s for run in runs if run.duration_s is not None]
    return Figures(
        runs=len(runs),
        success_rate=sum(run.succeeded for run in runs) / len(runs) if runs else None,
        mean_duration_s=_mean(durations),
        cost_usd=sum(costs) if costs else None,
        mean_cost_usd=_mean(costs),
        wasted_usd=sum(run.cost_usd or 0.0 for run in runs if not run.succeeded),
        tokens=sum(run.tokens for run in runs),
    )


def _job(
    definition: Mapping[str, Any] | None, runs: Sequence[Run], now: datetime, days: int
) -> JobFigures:
    """Return its row of a job. `now` is a local time without a zone.

    Whether the job is paused, how old it is and what started a run plays no part.
    """
    figures = figures_of(runs)
    schedule = None if definition is None else definition["schedule"]
    scheduled_30 = _count(schedule, now, now + timedelta(30))
    average_usd = figures.mean_cost_usd or 0.0
    nominal_usd = None if scheduled_30 is None else average_usd * scheduled_30
    trend_usd = None if figures.cost_usd is None else figures.cost_usd / days * 30
    expected = _count(schedule, now - timedelta(days), now)
    return JobFigures(
        figures=figures,
        scheduled_30=scheduled_30,
        scheduled_365=_count(schedule, now, now + timedelta(365)),
        nominal_30_usd=nominal_usd,
        trend_30_usd=trend_usd,
        pace=trend_usd / nominal_usd if nominal_usd and trend_usd is not None else None,
        drift=len(runs) / expected if expected else None,
    )


def _definitions(home: Path) -> dict[str, Mapping[str, Any]]:
    document = json.loads((home / "cron" / "jobs.json").read_text(encoding="utf-8"))
    return {job["id"]: job for job in document["jobs"]}


def _window(runs: Iterable[Run], now: datetime, days: int) -> list[Run]:
    """Return the runs that began in the `days` days before a time."""
    until_s = now.timestamp()
    return [run for run in runs if until_s - days * DAY_S <= run.began_s < until_s]


def _count(schedule: Mapping[str, Any] | None, after: datetime, up_to: datetime) -> int | None:
    if schedule is None:
        return None
    if schedule["kind"] == "interval":
        return int((up_to - after) / timedelta(minutes=schedule["minutes"]))
    count = 0
    for due in _occurrences(schedule, after):
        if due > up_to or count == MOST_OCCURRENCES:
            break
        count += 1
    return count


def _occurrences(schedule: Mapping[str, Any], after: datetime) -> Iterator[datetime]:
    if schedule["kind"] == "cron":
        times = croniter(schedule["expr"], after)
        while True:
            yield times.get_next(datetime)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _change(value: float | None, prior: float | None) -> float | None:
    return (value - prior) / prior if value is not None and prior else None
