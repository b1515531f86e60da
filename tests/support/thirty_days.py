"""A home of nine jobs with the runs of 30 days up to now: what a fleet's boards and alerts would show.

    home = write_thirty_days(tmp_path / "home", now)

Some runs fail, one job has failed since yesterday, one is paused, some runs have a model without a price, and
one evening the scheduler was down. The ledger has room for all of them: Hermes keeps 1,000 rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from croniter import croniter

from tests.support.homes import HomeBuilder, Subagent

DAYS = 30
DOWN_DAYS_AGO = 5
DOWN_HOURS = range(18, 23)
"""On that day, in these hours (UTC), the scheduler was down."""
FAILING_SINCE = timedelta(days=1)
MARGIN = timedelta(hours=1)
"""So long after the beginning of the window of 30 days the home begins: no run leaves it during a test."""

Run = Callable[[HomeBuilder, str, datetime, int], object]
"""Writes the run number `n` of a job that starts at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job, and how its runs go."""

    name: str
    cron: str
    run: Run
    columns: dict[str, Any] = field(default_factory=dict)


def _agent(usd: float | None, duration_s: float = 40.0, **facts: Any) -> Run:
    def run(home: HomeBuilder, job_id: str, started: datetime, n: int) -> None:
        home.agent_run(job_id, started, duration_s + n % 7, cost=usd, **facts)

    return run


def _mostly(usual: Run, *, every: int, but: Run) -> Run:
    return lambda home, job_id, started, n: (but if n % every == every - 1 else usual)(
        home, job_id, started, n
    )


def _script(home: HomeBuilder, job_id: str, started: datetime, n: int) -> None:
    home.script_run(job_id, started, 1.0 + n % 3)


def _failed_script(home: HomeBuilder, job_id: str, started: datetime, _: int) -> None:
    home.script_run(job_id, started, outcome="failure")


def _gated(home: HomeBuilder, job_id: str, started: datetime, _: int) -> None:
    home.gated_run(job_id, started)


_FAILURE = _agent(
    None, 5.0, outcome="failure", tokens=None, error="RuntimeError: HTTP 500: upstream"
)
_DEEP = _agent(0.4, 300.0, model="large-model", tools=("terminal",), subagents=(Subagent(),))

PLANS = (
    Plan(name="morning digest", cron="0 8 * * *", run=_agent(0.25), columns={"skills": ("news",)}),
    Plan(
        name="inbox triage",
        cron="5 */2 * * *",
        run=_mostly(_agent(0.02, 12.0, model="small-model"), every=17, but=_FAILURE),
    ),
    Plan(name="disk report", cron="15 */6 * * *", run=_script, columns={"no_agent": True}),
    Plan(name="certificate check", cron="20 */8 * * *", run=_script, columns={"no_agent": True}),
    Plan(
        name="mail gate",
        cron="30 */4 * * *",
        run=_mostly(_gated, every=5, but=_agent(0.05, model="small-model")),
        columns={"script": "gate.sh"},
    ),
    Plan(name="research brief", cron="0 6 * * *", run=_DEEP),
    Plan(name="local notes", cron="40 9 * * *", run=_agent(None, model="house-model")),
    Plan(name="weekly report", cron="0 7 * * 1", run=_agent(1.2, 600.0, model="large-model")),
    Plan(name="paused watch", cron="45 */8 * * *", run=_agent(0.01, model="small-model")),
)


def write_thirty_days(path: Path, now: datetime, **home: Any) -> HomeBuilder:
    """Write the home; `now` is aware, in UTC, and `home` goes to the builder."""
    builder = HomeBuilder(path, **home)
    begun = now - timedelta(days=DAYS) + MARGIN
    starts: list[tuple[datetime, int, Plan]] = []
    ids = {}
    for plan in PLANS:
        ids[plan.name] = builder.job(plan.name, cron=plan.cron, created=begun, **plan.columns)
        starts += [(at, n, plan) for n, at in enumerate(_starts(plan, begun, now))]
    for at, n, plan in sorted(starts, key=lambda start: start[0]):
        fails = plan.name == "certificate check" and at > now - FAILING_SINCE
        (_failed_script if fails else plan.run)(builder, ids[plan.name], at, n)
    builder.jobs[ids["paused watch"]] |= {
        "enabled": False,
        "state": "paused",
        "paused_at": (now - timedelta(minutes=1)).isoformat(),
        "next_run_at": None,
    }
    builder.write()
    return builder


def _starts(plan: Plan, begun: datetime, now: datetime) -> list[datetime]:
    """When its runs started: two seconds after they were due, and none while the scheduler was down.

    The last one had time to end.
    """
    down_day = (now - timedelta(days=DOWN_DAYS_AGO)).date()
    times: list[datetime] = []
    schedule = croniter(plan.cron, begun)
    while (due := schedule.get_next(datetime)) < now - timedelta(minutes=15):
        if not (due.date() == down_day and due.hour in DOWN_HOURS):
            times.append(due + timedelta(seconds=2))
    return times
