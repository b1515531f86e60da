"""From the end of a run in the ledger to the collector, with a real gateway.

Jobs of a tick end one after the other, so that their ends meet the worker at any point of its
round. Script jobs fire no hook; they run in a tick of their own, long after the last hook.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from bench.hosts import fresh, model
from bench.lines import Bench, Line
from bench.timing import percentile
from tests.support.collector import FaultyCollector
from tests.support.hermes import HermesHome, JobSpec
from tests.support.waiting import wait_for

JOBS = 12
TICK_S = 60.0
RUN_ID = "hermes.cron.run.id"


class TimedCollector(FaultyCollector):
    """Notes when each run's root span came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[str, float] = {}

    def _record(self, *args: Any, **kwargs: Any) -> None:
        now = time.time()
        super()._record(*args, **kwargs)
        for span in self.received[-1].kept:
            if span["parent_id"] is None:
                self.came.setdefault(str(span["attributes"][RUN_ID]), now)


def lines(bench: Bench) -> Iterator[Line]:
    delays: dict[str, list[float]] = {"hook": [], "no hook": []}
    with ExitStack() as stack:
        collector = stack.enter_context(TimedCollector())
        home = fresh(
            bench,
            "arrival",
            model_url=stack.enter_context(model()),
            with_plugin=True,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        ).home
        jobs = {"hook": _agent_jobs(home), "no hook": _script_jobs(home)}
        for number in range(1 if bench.quick else 2):
            bench.say(f"round {number + 1}: two ticks of a gateway, some two minutes")
            home.make_due(*jobs["hook"])
            since = time.time()
            with home.gateway():
                delays["hook"] += _delays(home, collector, since)
                home.make_due(*jobs["no hook"])
                since = time.time()
                delays["no hook"] += _delays(home, collector, since)
    for kind, bar_s in (("hook", 5.0), ("no hook", 20.0)):
        values = delays[kind]
        p95_s = percentile(values, 0.95)
        yield Line(
            name=f"arrival, {len(values)} runs with {kind}",
            measured=f"p50 {percentile(values, 0.5):.1f} s, p95 {p95_s:.1f} s",
            floor="ledger finished_at",
            bar=f"p95 <= {bar_s:.0f} s",
            met=p95_s <= bar_s,
        )


def _agent_jobs(home: HermesHome) -> list[str]:
    return [
        home.create_job(
            JobSpec(name=f"agent {n}", schedule="0 0 1 1 *", prompt=f"FAKE:SLOW={n * 0.4:.1f}")
        )
        for n in range(JOBS)
    ]


def _script_jobs(home: HermesHome) -> list[str]:
    jobs = []
    for n in range(JOBS):
        home.add_script(f"sleep{n}.sh", f"#!/bin/bash\nsleep {n * 0.9:.1f}\necho slept\n")
        spec = JobSpec(
            name=f"script {n}", schedule="0 0 1 1 *", script=f"sleep{n}.sh", no_agent=True
        )
        jobs.append(home.create_job(spec))
    return jobs


def _delays(home: HermesHome, collector: TimedCollector, since: float) -> list[float]:
    """Of the runs that were claimed since then; waits for all of them to arrive."""

    def finished() -> dict[str, float]:
        rows = (row for row in home.executions() if row["finished_at"])
        return {
            row["id"]: datetime.fromisoformat(row["finished_at"]).timestamp()
            for row in rows
            if datetime.fromisoformat(row["claimed_at"]).timestamp() >= since
        }

    wait_for(
        lambda: len(finished()) == JOBS and finished().keys() <= collector.came.keys(),
        what=f"{JOBS} runs to arrive",
        timeout_s=2 * TICK_S + 60,
    )
    return [collector.came[run] - ended for run, ended in finished().items()]
