"""The answers to questions about many runs, from a journal with a long history, beside `--help`."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from bench.lines import Bench, Line
from bench.timing import paired, run_process
from bench.views import CHECKOUT, COMMAND
from cronalytics_otel.domain.series import increments, measurements
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from cronalytics_otel.model import (
    CostStatus,
    Job,
    Mode,
    Outcome,
    OutcomeSource,
    Run,
    Schedule,
    ScheduleKind,
    Trigger,
    Usage,
)
from cronalytics_otel.model.times import NS

JOBS = 200
STEADY_JOB = "steady"
"""A job with a run each day, however many runs the others have."""
DAYS = 400
"""A year's window holds nine runs in ten."""

CHUNK = 5_000
MODELS = ("claude-sonnet-4", "gpt-5-mini", "qwen3-coder")
_CRON = ("*/30 * * * *", "0 * * * *", "0 */2 * * *", "15 3 * * *", "0 9 * * 1-5")

BARS_S = {30: 0.3, 365: 0.5}
"""By days of the window, at 1,000,000 runs."""


def lines(bench: Bench) -> Iterator[Line]:
    """Wall time of the whole command, Python's start included."""
    path = bench.once(f"journal-{bench.most_runs}", partial(_make, bench))
    environment = os.environ | {"HERMES_HOME": str(path), "PYTHONPATH": str(CHECKOUT)}
    for days, bar_s in BARS_S.items():
        for command in ("summary", "jobs", "trends", "forecast"):
            yield _line(bench, environment, [command, "--days", str(days)], bar_s)
    yield _line(bench, environment, ["health"], BARS_S[30])
    yield _line(bench, environment, ["status"], None)
    yield _line(bench, environment, ["runs"], None)
    yield _one_job(bench, environment)


def _one_job(bench: Bench, environment: dict[str, str]) -> Line:
    """One job's history beside many runs of others, and beside few."""
    few = bench.once("journal-10000", partial(make_journal, runs=10_000, now_ns=time.time_ns()))
    command = [*COMMAND, "job", STEADY_JOB, "--days", "365"]
    pair = paired(
        partial(_took_s, command, environment, bench.folder),
        partial(_took_s, command, environment | {"HERMES_HOME": str(few)}, bench.folder),
        pairs=5 if bench.quick else 15,
    )
    return Line(
        name=f"job {STEADY_JOB} --days 365: {bench.most_runs:,} runs of others",
        measured=f"{pair.measured * 1e3:.0f} ms",
        floor=f"{pair.floor * 1e3:.0f} ms (10,000 runs of others)",
        ratio=f"{pair.ratio:.2f}",
        bar="≤ 1.2 x",
        met=pair.ratio <= 1.2,
    )


def _line(bench: Bench, environment: dict[str, str], words: list[str], bar_s: float | None) -> Line:
    pair = paired(
        partial(_took_s, [*COMMAND, *words], environment, bench.folder),
        partial(_took_s, [*COMMAND, "--help"], environment, bench.folder),
        pairs=3 if bench.quick else 9,
    )
    return Line(
        name=f"{' '.join(words)}: {bench.most_runs:,} runs, {JOBS} jobs",
        measured=f"{pair.measured * 1e3:.0f} ms",
        floor=f"{pair.floor * 1e3:.0f} ms (--help)",
        ratio=f"{pair.ratio:.2f}",
        bar="-" if bar_s is None else f"≤ {bar_s * 1e3:.0f} ms",
        met=None if bar_s is None else pair.measured <= bar_s,
    )


def _took_s(command: list[str], environment: dict[str, str], folder: Path) -> float:
    return run_process(command, environment, folder, statuses=(0, 1)).wall_s


def _make(bench: Bench, path: Path) -> None:
    bench.say(f"writing {bench.most_runs:,} runs into a journal, once")
    make_journal(path, bench.most_runs, time.time_ns())


def make_journal(path: Path, runs: int, now_ns: int, job_count: int = JOBS) -> None:
    """Make a home whose journal holds so many runs of some jobs, spread evenly over 400 days, and those of
    one more job with a run each day."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("plugins: {enabled: [cronalytics-otel]}\n")
    dice = random.Random(0)
    since_ns = now_ns - DAYS * 86_400 * NS
    jobs = [_job(n, since_ns, now_ns) for n in range(job_count)]
    steady = replace(_job(job_count, since_ns, now_ns), name=STEADY_JOB)
    step_ns = (now_ns - since_ns) // runs
    with Journal.open(Home(path).journal) as journal:
        with journal.atomic():
            journal.jobs.observe([*jobs, steady], since_ns)
            journal.facts.set(CURRENT_JOBS, (*jobs, steady))
            journal.facts.set(LAST_SYNC_NS, now_ns)
        for first in range(0, runs, CHUNK):
            last = min(first + CHUNK, runs)
            chunk = [_run(n, jobs, since_ns + n * step_ns, dice) for n in range(first, last)]
            with journal.atomic():
                journal.runs.add(chunk, now_ns)
                measured = chain.from_iterable(map(measurements, chunk))
                journal.series.add(increments(measured), now_ns)
        days = [_run(n, [steady], since_ns + n * 86_400 * NS, dice) for n in range(1, DAYS)]
        with journal.atomic():
            journal.runs.add(days, now_ns)
            journal.series.begin_collection(now_ns)


def _job(n: int, created_ns: int, now_ns: int) -> Job:
    cron = _CRON[n % len(_CRON)]
    return Job(
        job_id=f"{n:012x}",
        name=f"job {n}",
        mode=Mode.SCRIPT if n % 10 == 9 else Mode.AGENT,
        schedule=Schedule(kind=ScheduleKind.CRON, expression=cron, cron=cron),
        skills=("news",) if n % 3 else (),
        created_ns=created_ns,
        next_run_ns=now_ns + n * 60 * NS,
    )


def _run(n: int, jobs: list[Job], ended_ns: int, dice: random.Random) -> Run:
    job = jobs[n % len(jobs)]
    luck = dice.random()
    outcome = Outcome.SUCCESS if luck < 0.9 else Outcome.FAILURE if luck < 0.97 else Outcome.TIMEOUT
    is_agent = job.mode is Mode.AGENT
    started_ns = ended_ns - int(dice.uniform(1, 300) * NS)
    return Run(
        profile="default",
        job_id=job.job_id,
        job_name=job.name,
        mode=job.mode,
        execution_id=f"{dice.getrandbits(128):032x}",
        session_id=f"cron_{job.job_id}_{n}" if is_agent else None,
        started_ns=started_ns,
        ended_ns=ended_ns,
        outcome=outcome,
        outcome_source=OutcomeSource.LEDGER,
        trigger=Trigger.MANUAL if luck < 0.02 else Trigger.SCHEDULE,
        schedule_kind=ScheduleKind.CRON,
        schedule_expression=job.schedule.expression if job.schedule else None,
        skills=job.skills,
        scheduled_ns=started_ns - 20 * NS,
        claimed_ns=started_ns - NS,
        error_type=None if outcome is Outcome.SUCCESS else "timeout",
        error_message=None if outcome is Outcome.SUCCESS else "RuntimeError: upstream timed out",
        model=MODELS[n % len(MODELS)] if is_agent else None,
        provider="openrouter" if is_agent else None,
        usage=Usage(input_tokens=dice.randrange(20_000), output_tokens=900) if is_agent else None,
        cost_usd=dice.uniform(0.001, 0.2) if is_agent else None,
        cost_status=CostStatus.ESTIMATED if is_agent else None,
        api_calls=4 if is_agent else None,
        tool_calls=3 if is_agent else None,
    )
