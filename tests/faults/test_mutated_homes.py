"""Homes that are damaged at random: no sync fails, one bad record stops nothing else, and all heals."""

from __future__ import annotations

import shutil
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.host.home import PLUGIN_FOLDER, Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome
from cronalytics_otel.model.times import Zone
from tests.support.homes import Auxiliary, HomeBuilder, Subagent, Tokens, epoch_ns
from tests.support.host_schema import SHAPE_0_18, SHAPE_0_19
from tests.support.mutations import mutate, settle

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
AT_ONCE, HOMES = 100, 1_000
SEEDS = [
    pytest.param(range(begin, begin + AT_ONCE), marks=[pytest.mark.slow] if begin else [])
    for begin in range(0, HOMES, AT_ONCE)
]


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> list[HomeBuilder]:
    """A home of 0.19, and one of a host without a ledger: each kind of run."""
    found = []
    for name, shape, has_ledger in (("new", SHAPE_0_19, True), ("old", SHAPE_0_18, False)):
        home = HomeBuilder(
            tmp_path_factory.mktemp(name) / "home",
            with_ledger=has_ledger,
            system_prompt_bytes=64,
            shape=shape,
        )
        agent = home.job(
            "digest", cron="0 * * * *", skills=["news"], created=NINE - timedelta(days=1)
        )
        script = home.job("disk", every_minutes=60, no_agent=True, created=NINE)
        gate = home.job("gate", every_minutes=60, script="gate.sh", created=NINE)
        for hour in range(4):
            at = NINE + timedelta(hours=hour, seconds=20)
            home.agent_run(
                agent, at, cost=0.5, tools=["terminal"], subagents=[Subagent(goal="look")],
                aux_calls=[Auxiliary(task="vision", model="v", tokens=Tokens(input=9))] if has_ledger else (),
                outcome="failure" if hour == 2 else "success",
            )  # fmt: skip
            home.script_run(script, at + timedelta(minutes=10))
            home.gated_run(gate, at + timedelta(minutes=20))
        home.write()
        settle(home.path)
        found.append(home)
    return found


def runs_of(home: Path, now: datetime, *, full: bool = False) -> list[str]:
    """Harvest, and return the ids of all runs that took place."""
    with Journal.open(Home(home).journal) as journal:
        zone = Zone(info=UTC, name="UTC")
        harvest(Home(home), journal, zone, now_ns=epoch_ns(now), full=full)
        runs = journal.queries.runs(RunFilter())
    return [run.run_id for run in runs if run.outcome is not Outcome.MISSED]


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds.start}")
def test_a_damaged_home(seeds: range, homes: list[HomeBuilder], tmp_path: Path) -> None:
    failures = {}
    later = NINE + timedelta(days=1)
    for seed in seeds:
        whole = homes[seed % 2]
        wanted = {run.execution_id or run.session_id for run in whole.expected}
        home = tmp_path / f"home-{seed}"
        shutil.copytree(whole.path, home)
        damage, is_one_record = mutate(home, seed)
        try:
            during = runs_of(home, later)
            lacking = len(wanted) - len(during)
            if is_one_record and lacking > 1:
                failures[seed] = f"{damage}: {lacking} of {len(wanted)} runs did not arrive"
            _restore(whole.path, home)
            # A file that comes back with an old stamp is found by a full look.
            is_full = damage.startswith("cron/output")
            after = runs_of(home, later + timedelta(hours=1), full=is_full)
            if len(after) != len(set(after)) or len(after) < len(wanted):
                failures[seed] = f"{damage}: {len(after)} of {len(wanted)} runs after it was mended"
        except Exception:
            failures[seed] = f"{damage}: {''.join(traceback.format_exc(limit=-3))}"
        shutil.rmtree(home)
    print(*failures.values(), sep="\n", file=sys.stderr)
    assert list(failures) == []


def _restore(whole: Path, home: Path) -> None:
    """Put the host's files back as they were."""
    journal = home / PLUGIN_FOLDER
    kept = home.with_name(f"{home.name}-journal")
    journal.rename(kept)
    shutil.rmtree(home)
    shutil.copytree(whole, home)
    kept.rename(journal)
    for path in (Home(home).state_db, Home(home).jobs):
        path.touch()  # else it may have the fingerprint of the damaged one
