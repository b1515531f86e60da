"""A home with a job for each edge case of a figure: what ours and Cronalytics' figures are compared on."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import SyncOptions, sync
from tests.support.fake_clock import FakeClock
from tests.support.homes import ONE_CALL, HomeBuilder, Subagent, epoch_ns

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 4, 15, 12, 0, 30, tzinfo=ZONE)
"""The clocks went forward on 29 March."""
DAYS = 30
OLD = NOW - timedelta(days=75)
RECENT = NOW - timedelta(days=33)
CHANGED = NOW - timedelta(days=10)
"""When one job was paused, and one was deleted."""
DOWN = datetime(2026, 4, 3, 12, 30, tzinfo=ZONE)
UP = datetime(2026, 4, 3, 17, 20, tzinfo=ZONE)
"""The scheduler was down from the one to the other."""

Runs = Callable[[HomeBuilder, str, datetime, int], None]
"""Writes the run number `n` of a job that starts at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job, and how its runs go."""

    name: str
    run: Runs
    created: datetime = RECENT
    duration_s: float = 60.0
    until: datetime = NOW
    columns: dict[str, Any] = field(default_factory=dict)


def _agent_run(
    home: HomeBuilder,
    job_id: str,
    started: datetime,
    duration_s: float,
    *,
    model: str = "usual-model",
    **facts: Any,
) -> None:
    home.agent_run(job_id, started, duration_s, model=model, messages=False, **facts)


def agent(usd: float | None, *, manual: bool = False, **facts: Any) -> Runs:
    """Runs of an agent. With `manual`, a person starts one more an hour after each."""

    def run(home: HomeBuilder, job_id: str, started: datetime, _: int) -> None:
        _agent_run(home, job_id, started, 60.0, cost=usd, **facts)
        if manual:
            again = started + timedelta(hours=1)
            _agent_run(home, job_id, again, 60.0, cost=usd, source="direct", **facts)

    return run


def every_third(usual: Runs, third: Runs) -> Runs:
    return lambda home, job_id, started, n: (third if n % 3 == 2 else usual)(
        home, job_id, started, n
    )


def long_agent(home: HomeBuilder, job_id: str, started: datetime, _: int) -> None:
    _agent_run(home, job_id, started, 3 * 3600.0, cost=0.5)


def script(home: HomeBuilder, job_id: str, started: datetime, n: int) -> None:
    home.script_run(job_id, started, 60.0, outcome="failure" if n % 3 == 2 else "success")


def gated(home: HomeBuilder, job_id: str, started: datetime, n: int) -> None:
    if n % 3 == 2:
        _agent_run(home, job_id, started, 60.0, cost=0.5)
    else:
        home.gated_run(job_id, started, 60.0)


def killed_once(home: HomeBuilder, job_id: str, started: datetime, n: int) -> None:
    outcome = "abandoned" if n == 20 else "success"
    _agent_run(home, job_id, started, 60.0, cost=0.5, outcome=outcome)


def short_agent(home: HomeBuilder, job_id: str, started: datetime, _: int) -> None:
    _agent_run(home, job_id, started, 20.0, cost=0.001)


FAILS = agent(0.5, outcome="failure")
HELPER = (Subagent(tokens=ONE_CALL, cost=0.25, model="small-model"),)

PLANS = (
    Plan(
        name="daily, two skills",
        run=agent(0.5, model="small-model"),
        created=OLD,
        columns={"cron": "0 7 * * *", "skills": ["news", "mail"]},
    ),
    Plan(
        name="three days old",
        run=agent(1.0),
        created=NOW - timedelta(days=3),
        columns={"cron": "5 7 * * *"},
    ),
    Plan(
        name="a third without a price",
        run=every_third(agent(0.5), agent(None, model="new-model")),
        columns={"cron": "10 7 * * *"},
    ),
    Plan(
        name="two models",
        run=agent(0.5, model="big-model", subagents=HELPER),
        columns={"cron": "15 7 * * *"},
    ),
    Plan(name="also by hand", run=agent(0.5, manual=True), columns={"cron": "0 8 * * *"}),
    Plan(name="failing", run=every_third(agent(0.5), FAILS), columns={"cron": "20 7 * * *"}),
    Plan(
        name="failing at the first call",
        run=agent(None, outcome="failure", tokens=None),
        columns={"cron": "25 7 * * *"},
    ),
    Plan(name="killed once", run=killed_once, columns={"cron": "30 7 * * *"}),
    Plan(name="script", run=script, columns={"cron": "35 7 * * *", "no_agent": True}),
    Plan(name="gated", run=gated, columns={"cron": "40 7 * * *", "script": "gate.sh"}),
    Plan(name="four missed", run=agent(0.05), columns={"cron": "0 13-17 * * *"}),
    Plan(
        name="every 6 h, 3 h long",
        run=long_agent,
        # A run ends before the outage, and the next is due after it.
        created=DOWN - timedelta(hours=9, minutes=35) - 80 * timedelta(hours=9, seconds=2),
        duration_s=3 * 3600.0,
        columns={"every_minutes": 360},
    ),
    Plan(
        name="every minute",
        run=short_agent,
        created=NOW - timedelta(minutes=30),
        duration_s=20.0,
        columns={"cron": "* * * * *"},
    ),
    Plan(name="paused", run=agent(0.5), until=CHANGED, columns={"cron": "45 7 * * *"}),
    Plan(name="deleted", run=agent(0.5), until=CHANGED, columns={"cron": "50 7 * * *"}),
    Plan(name="two repeats left", run=agent(0.5), columns={"cron": "55 7 * * *", "times": 36}),
    Plan(name="repeats used up", run=agent(0.5), columns={"cron": "58 7 * * *", "times": 20}),
    Plan(
        name="tomorrow once",
        run=agent(0.5),
        created=NOW - timedelta(days=1),
        columns={"once_at": NOW + timedelta(days=1)},
    ),
)


def build(path: Path) -> dict[str, str]:
    """Write the home, and let our own sync read it as it grows. Return the ids of the jobs by name."""
    builder = HomeBuilder(
        path, timezone=str(ZONE), config={"plugins": {"enabled": ["cronalytics-otel"]}}
    )
    ids: dict[str, str] = {}
    numbers: dict[str, int] = {}
    # The second sees that the repeats of a job are used up.
    syncs = [NOW - timedelta(days=n) for n in (32, 14, 10, 0)]
    events: list[tuple[datetime, int]] = []
    for index, plan in enumerate(PLANS):
        heapq.heappush(events, (plan.created, index))
    while syncs:
        if not events or events[0][0] >= syncs[0]:
            at = syncs.pop(0)
            builder.write()
            _sync(path, at)
            if at == CHANGED:
                _change(builder, ids)
            continue
        at, index = heapq.heappop(events)
        plan = PLANS[index]
        if plan.name not in ids:
            ids[plan.name] = builder.job(plan.name, created=at, **plan.columns)
            numbers[plan.name] = 0
            ended = at
        else:
            plan.run(builder, ids[plan.name], at, numbers[plan.name])
            numbers[plan.name] += 1
            ended = at + timedelta(seconds=plan.duration_s)
        due = _next_due(plan, ended)
        ended_by_repeats = numbers[plan.name] == plan.columns.get("times")
        is_over = due is not None and due + timedelta(seconds=plan.duration_s) > plan.until
        if due is not None and not is_over and not ended_by_repeats:
            heapq.heappush(events, (due, index))
    return ids


def _next_due(plan: Plan, after: datetime) -> datetime | None:
    """Return when the scheduler starts the next run, as Hermes counts: from the end of the one before."""
    local = after.astimezone(ZONE)
    if "cron" in plan.columns:
        due = croniter(plan.columns["cron"], local).get_next(datetime)
    elif "every_minutes" in plan.columns:
        due = after + timedelta(minutes=plan.columns["every_minutes"])
    else:
        return None
    starts = due.astimezone(ZoneInfo("UTC")) + timedelta(seconds=2)
    return UP if DOWN <= starts < UP else starts


def _change(builder: HomeBuilder, ids: dict[str, str]) -> None:
    paused = builder.jobs[ids["paused"]]
    paused |= {
        "enabled": False,
        "state": "paused",
        "paused_at": CHANGED.isoformat(),
        "next_run_at": None,
    }
    builder.remove_job(ids["deleted"])
    builder.write()
    _sync(builder.path, CHANGED + timedelta(minutes=1))


def _sync(path: Path, at: datetime) -> None:
    environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    clock = FakeClock(now_ns=epoch_ns(at))
    report = sync(Home(path), load_settings(path, environ), SyncOptions(clock=clock))
    assert report.problems == (), json.dumps(report.problems)
