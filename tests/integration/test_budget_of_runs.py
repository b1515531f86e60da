"""A run is held against its budget once, when it becomes final."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.sync import sync
from tests.support.homes import HomeBuilder

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def over_budget_by_job(home: HomeBuilder, budgets: object) -> dict[str, bool | None]:
    home.write()
    options = {"budgets": budgets, "destinations": {}}
    document = {"timezone": "UTC", "plugins": {"entries": {"cronalytics-otel": options}}}
    (home.path / "config.yaml").write_text(json.dumps(document))
    sync(Home(home.path), load_settings(home.path, {}))
    with Journal.open(home.path / "cronalytics-otel" / "journal.db") as journal:
        return {run.job_name: run.over_budget for run in journal.queries.runs(RunFilter())}


def with_runs(home: HomeBuilder) -> HomeBuilder:
    for n, (name, facts) in enumerate(
        {
            "cheap": {"cost": 0.01, "cost_status": "estimated"},
            "dear": {"cost": 0.30, "cost_status": "estimated"},
            "own limit": {"cost": 0.30, "cost_status": "estimated"},
            "no price": {},
        }.items()
    ):
        job = home.job(name, every_minutes=60)
        home.agent_run(job, NOON + timedelta(minutes=n), **facts)  # type: ignore[arg-type]
    script = home.job("script", every_minutes=60, script="x.sh", no_agent=True)
    home.script_run(script, NOON)
    return home


def test_each_run_is_over_its_budget_or_not_and_unknown_where_its_cost_is(
    home: HomeBuilder,
) -> None:
    budgets = {"run": 0.05, "jobs": {"own limit": {"run": 1}}}

    assert over_budget_by_job(with_runs(home), budgets) == {
        "cheap": False,
        "dear": True,
        "own limit": False,
        "no price": None,
        "script": False,
    }


def test_without_a_budget_nothing_is_said(home: HomeBuilder) -> None:
    assert set(over_budget_by_job(with_runs(home), {}).values()) == {None}
