"""The part of docs/projections.md that compares our figures with Cronalytics' on one history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import cronalytics
from tests.support.one_history import DAYS, NOW, PLANS

NOTHING = "–"  # noqa: RUF001 - as the command line shows it
EQUAL = "equal"

REASONS = {
    "a": "Hermes's croniter gives a daily job two times on the Sunday on which the clocks go forward, and Hermes runs both; "
    "Cronalytics counts local times without a zone.",
    "b": "A job of three days, or of half an hour, is divided by its age (by a day at least), not by 30 days.",
    "c": "An unknown cost is left out of the mean; Cronalytics counts it as $0.",
    "d": "Runs of unknown cost are missing from the sum, so it is a lower bound (≥).",
    "e": "The cost of subagents belongs to the run; Cronalytics reads the first session alone.",
    "f": "A run by hand does not keep the schedule.",
    "g": "Hermes ends a failed session as it ends a good one; we take the outcome from the ledger.",
    "h": "A run that failed before any call succeeded cost nothing, and that is known.",
    "i": "The session of a killed run has no end, so Cronalytics does not see it.",
    "j": "A run that its gate skipped has no session, so Cronalytics does not see it.",
    "k": "Hermes counts an interval from the end of a run: here it is due every nine hours, and not every six.",
    "l": "Cronalytics stops counting at 100,000.",
    "m": "A paused job is not due.",
    "n": "A job that ends has no trend, because what it cost does not go on.",
    "o": "A job that Hermes has no more has no schedule in jobs.json, so Cronalytics has no figure; we know the schedule that it had, "
    "and that nothing of it is to come.",
    "p": "Only the repeats that are left will run.",
    "q": "Cronalytics shows only jobs with a run in the window, and counts no due time of a one-time schedule.",
    "r": "Our time of a run is that of the ledger; a session begins when the agent has started up.",
    "s": "Hermes's ledger has the time of a script; its output file, which Cronalytics reads, has only its end.",
    "t": "The job was paused for a part of the window, and was not due then.",
    "u": "A run belongs to the window in which it ended, and not to the one in which it began.",
}
"""By letter, why a figure differs."""

OF_MOST_JOBS = {"mean time": "r", "due in 365 days": "a", "kept": "a"}
"""By column, the reason that holds unless a job has another one."""

OF_JOBS: Mapping[str, Mapping[str, str]] = {
    "three days old": {"trend": "b", "pace": "b", "kept": "b"},
    "a third without a price": {
        "cost": "d", "mean cost": "c", "nominal": "c", "trend": "d", "pace": "c",
    },
    "two models": {"cost": "e", "mean cost": "e", "nominal": "e", "trend": "e"},
    "also by hand": {"kept": "f"},
    "failing": {"success": "g", "wasted": "g"},
    "failing at the first call": {
        "success": "g", "cost": "h", "mean cost": "h", "trend": "h",
    },
    "killed once": {
        "runs": "i", "success": "i", "wasted": "i", "cost": "i", "trend": "i", "pace": "i",
    },
    "script": {"success": "g", "mean time": "s"},
    "gated": {
        "runs": "j", "mean time": "j", "mean cost": "j", "nominal": "j", "pace": "j", "kept": "j",
    },
    "every 6 h, 3 h long": {
        "runs": "u", "cost": "u", "trend": "u",
        "due in 30 days": "k", "due in 365 days": "k", "nominal": "k", "pace": "k", "kept": "k",
    },
    "every minute": {"due in 365 days": "l", "trend": "b", "pace": "b", "kept": "b"},
    "paused": {
        "due in 30 days": "m", "due in 365 days": "m", "nominal": "m", "trend": "n", "pace": "n", "kept": "t",
    },
    "deleted": {
        "due in 30 days": "o", "due in 365 days": "o", "nominal": "o", "trend": "n", "kept": "o",
    },
    "repeats used up": {
        "due in 30 days": "o", "due in 365 days": "o", "nominal": "o", "trend": "n", "kept": "o",
    },
    "two repeats left": {
        "due in 30 days": "p", "due in 365 days": "p", "nominal": "p", "trend": "n", "pace": "n",
    },
    "tomorrow once": dict.fromkeys(
        ("runs", "wasted", "cost", "due in 30 days", "due in 365 days"), "q"
    ),
}  # fmt: skip

OF_SUMMARY = {
    "jobs": "Cronalytics counts the jobs with a run in the window, and we also those that Hermes has.",
    "runs": "Cronalytics sees neither the run that was killed nor the 21 that a gate skipped, and leaves out one that began before the window.",
    "success": "Cronalytics takes each run that it sees for a success; skipped runs are in neither of our two counts.",
    "missed": "Cronalytics has no such figure.",
    "wasted": "Hermes ends a failed session as it ends a good one; we take the outcome from the ledger.",
    "cost": "Cronalytics lacks the subagents, the killed run and the one that began before the window; ours is a lower bound, because ten runs have no price.",
    "mean cost": "Cronalytics leaves out the 31 runs that failed at the first call; we count them, and the skipped ones, as $0. We leave out the ten runs of unknown cost, and include the subagents.",
    "mean time": "Ours is that of the ledger, and includes scripts and skipped runs.",
    "tokens": "Cronalytics lacks the subagents, the killed run and the one that began before the window.",
    "change of runs": "It follows from the runs.",
    "change of cost": "It follows from the cost.",
    "nominal, 30 days": "It is the sum over the jobs, whose differences are below.",
    "trend, 30 days": "Both carry on what all jobs cost; ours divides what a young job cost by its age, not by the window.",
    "pace": "It follows from nominal and trend.",
    "kept": "Cronalytics has this figure for single jobs only.",
    "most runs": "",
    "most cost": "",
    "most tokens": "",
    "highest pace": "",
    "cost of usual-model": "Cronalytics lacks the killed run and the one that began before the window.",
    "cost of big-model": "",
    "cost of small-model": "Cronalytics lacks the subagents.",
    "cost of new-model": "The cost of a model without a price is unknown, and not $0.",
}
"""By figure, why it differs; nothing where it is equal."""

RAN = ("runs", "success", "wasted", "mean time", "cost", "mean cost")
TO_COME = ("due in 30 days", "due in 365 days", "nominal", "trend", "pace", "kept")

Pairs = Mapping[str, tuple[str, str]]
"""By figure, theirs and ours as they are shown."""


def render(home: Path, ids: Mapping[str, str], summary: Any, jobs: Any) -> str:
    """Return the tables, from a home and what `summary --json` and `jobs --json` answer for it.

    Raises ValueError for a difference without a reason, and for a reason without a difference.
    """
    pairs = job_pairs(home, ids, jobs)
    used = sorted({letter for job, cells in pairs.items() for letter in _letters(job, cells)})
    return "\n".join(
        [
            "### The figures of `summary`\n",
            *_table(["figure", "Cronalytics", "ours", "why they differ"], _summary_rows(home, summary)),
            "",
            "### The rows of `jobs`: what ran\n",
            *_table(["job", *RAN], _job_rows(pairs, RAN)),
            "",
            "### The rows of `jobs`: what is to come\n",
            *_table(["job", *TO_COME], _job_rows(pairs, TO_COME)),
            "",
            "### Why the rows differ\n",
            *_table(["", "why"], [[f"({letter})", REASONS[letter]] for letter in used]),
            "",
        ]
    )  # fmt: skip


def job_pairs(home: Path, ids: Mapping[str, str], jobs: Any) -> dict[str, Pairs]:
    """Return all figures of each job."""
    theirs = cronalytics.jobs(home, NOW, DAYS)
    ours = {job["job_id"]: job for job in jobs["jobs"]}
    return {
        plan.name: _pairs_of_job(theirs.get(ids[plan.name]), ours[ids[plan.name]]) for plan in PLANS
    }


def _pairs_of_job(theirs: cronalytics.JobFigures | None, ours: Any) -> Pairs:
    month, year = ours["projection"]["30d"], ours["projection"]["365d"]
    our = {
        **_ours(ours),
        "due in 30 days": _count(month["scheduled_runs"]),
        "due in 365 days": _count(year["scheduled_runs"]),
        "nominal": _usd(month["nominal_usd"], is_lower_bound=month["nominal_is_lower_bound"]),
        "trend": _usd(month["trend_usd"], is_lower_bound=month["trend_is_lower_bound"]),
        "pace": _ratio(ours["pace"]),
        "kept": _percent(ours["adherence"]),
    }
    if theirs is None:
        return {figure: (NOTHING, value) for figure, value in our.items()}
    their = {
        **_theirs(theirs.figures),
        "due in 30 days": _count(theirs.scheduled_30),
        "due in 365 days": _count(theirs.scheduled_365),
        "nominal": _usd(theirs.nominal_30_usd),
        "trend": _usd(theirs.trend_30_usd),
        "pace": _ratio(theirs.pace),
        "kept": _percent(theirs.drift),
    }
    return {figure: (their[figure], value) for figure, value in our.items()}


def _ours(figures: Any) -> dict[str, str]:
    return {
        "runs": _count(figures["runs"]),
        "success": _percent(figures["success_rate"]),
        "wasted": _usd(figures["wasted_usd"]),
        "mean time": _seconds(figures["mean_duration_s"]),
        "cost": _usd(figures["cost_usd"], is_lower_bound=figures["cost_is_lower_bound"]),
        "mean cost": _usd(figures["mean_cost_usd"]),
    }


def _theirs(figures: cronalytics.Figures) -> dict[str, str]:
    return {
        "runs": _count(figures.runs),
        "success": _percent(figures.success_rate),
        "wasted": _usd(figures.wasted_usd),
        "mean time": _seconds(figures.mean_duration_s),
        "cost": _usd(figures.cost_usd),
        "mean cost": _usd(figures.mean_cost_usd),
    }


def summary_pairs(home: Path, summary: Any) -> Pairs:
    """Return all figures of all jobs together."""
    theirs, totals = cronalytics.summary(home, NOW, DAYS), summary["totals"]
    month = totals["projection"]["30d"]
    leaders = {name: jobs[0]["name"] for name, jobs in summary["leaders"].items()}
    names = {plan.name for plan in PLANS}
    of_models: dict[str, float | None] = {}
    for model in summary["models"]:
        if model["cost_usd"] is not None or model["model"] not in of_models:
            of_models[model["model"]] = model["cost_usd"]
    our_figures, their_figures = _ours(totals), _theirs(theirs.figures)
    assert set(leaders.values()) <= names
    return {
        "jobs": (_count(theirs.jobs), _count(sum(summary["jobs"].values()))),
        "runs": (their_figures["runs"], our_figures["runs"]),
        "success": (their_figures["success"], our_figures["success"]),
        "missed": (NOTHING, _count(totals["missed"])),
        **{
            name: (their_figures[name], our_figures[name])
            for name in ("wasted", "cost", "mean cost", "mean time")
        },
        "tokens": (_count(theirs.figures.tokens), _count(totals["tokens"])),
        "change of runs": (_percent(theirs.runs_change), _percent(totals["change"]["runs"])),
        "change of cost": (_percent(theirs.cost_change), _percent(totals["change"]["cost_usd"])),
        "nominal, 30 days": (
            _usd(theirs.nominal_30_usd),
            _usd(month["nominal_usd"], is_lower_bound=month["nominal_is_lower_bound"]),
        ),
        "trend, 30 days": (
            _usd(theirs.trend_30_usd),
            _usd(month["trend_usd"], is_lower_bound=month["trend_is_lower_bound"]),
        ),
        "pace": (_ratio(theirs.pace), _ratio(totals["pace"])),
        "kept": (NOTHING, _percent(totals["adherence"])),
        "most runs": (theirs.leaders["runs"], leaders["runs"]),
        "most cost": (theirs.leaders["cost"], leaders["cost_usd"]),
        "most tokens": (theirs.leaders["tokens"], leaders["tokens"]),
        "highest pace": (theirs.leaders["pace"], leaders["pace"]),
        **{
            f"cost of {model}": (_usd(usd), _usd(of_models[model]))
            for model, usd in sorted(theirs.cost_by_model.items(), key=lambda pair: -pair[1])
        },
    }


def _summary_rows(home: Path, summary: Any) -> Iterator[list[str]]:
    for figure, (their, our) in summary_pairs(home, summary).items():
        why = OF_SUMMARY[figure]
        if (their == our) is bool(why):
            raise ValueError(f"{figure}: {their}, {our}, because {why!r}")
        yield [figure, their, our, why or EQUAL]


def _job_rows(pairs: Mapping[str, Pairs], columns: Sequence[str]) -> Iterator[list[str]]:
    for job, cells in pairs.items():
        yield [job, *(_cell(job, column, *cells[column]) for column in columns)]


def _cell(job: str, column: str, their: str, our: str) -> str:
    reason = _reason(job, column)
    if their == our:
        if column in OF_JOBS.get(job, {}):
            raise ValueError(f"{job}: {column} is {our} in both, and has a reason to differ")
        return our
    if reason is None:
        raise ValueError(f"{job}: {column} is {their} and {our} without a reason")
    return f"{their} → **{our}** ({reason})"


def _reason(job: str, column: str) -> str | None:
    return OF_JOBS.get(job, {}).get(column, OF_MOST_JOBS.get(column))


def _letters(job: str, cells: Pairs) -> Iterator[str]:
    for column, (their, our) in cells.items():
        if their != our and (reason := _reason(job, column)):
            yield reason


def _table(head: Sequence[str], rows: Iterator[list[str]] | list[list[str]]) -> Iterator[str]:
    for line in (list(head), ["---"] * len(head), *rows):
        yield f"| {' | '.join(line)} |"


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _usd(value: float | None, *, is_lower_bound: bool = False) -> str:
    if value is None:
        return NOTHING
    digits = 3 if value < 1 and round(value, 2) != round(value, 4) else 2
    return f"{'≥' if is_lower_bound else ''}${value:,.{digits}f}"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}".replace("%", " %")


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.1f} s"
