"""Hermes homes with a long history, made fast: for measurements and for tests of bounded memory.

Same tables and same meaning as `homes.py`, but rows come by the thousand, indexes after the rows,
and the host's full-text index stays empty (nothing here reads it, and filling it takes longer than
all the rest). Everything follows from the parameters, so a home can be kept and used again.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cronalytics_otel.model import Outcome
from tests.support import host_schema

GENERATOR = 1
"""Part of the name of a kept home: raise it when other rows come out."""

CHUNK = 5_000
CYCLE_S = 3600
"""Each job runs hourly; runs of different jobs begin evenly spaced within the hour."""

INPUT, OUTPUT, CACHED, REASONING = 800, 50, 200, 20
PRICE_USD = 0.00214
"""Of one call; two thirds of it in a subagent's session, the same in an auxiliary call."""

_PROMPT = "[IMPORTANT: You are running as a scheduled cron job.]\n\nReport the news"
_ANSWER = "Fake answer: all good."
_ERROR = "RuntimeError: HTTP 500: upstream exploded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a large home holds. `runs` counts cron sessions; the ledger's share of script runs
    comes on top. `messages_per_run` is 0 or an even number: prompt, answer, a pair per tool call.
    """

    runs: int
    jobs: int = 12
    ledger_rows: int = 1000
    messages_per_run: int = 4
    system_prompt_bytes: int = 7500
    chat_sessions: int = 0
    until: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    seed: int = 0

    @property
    def name(self) -> str:
        """Unique by content: of parameters, generator and tables."""
        parts = (asdict(self), GENERATOR, host_schema.STATE_TABLES, host_schema.STATE_INDEXES)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
        return f"{self.runs}-runs-{self.system_prompt_bytes}-bytes-{digest}"

    @property
    def disk_bytes(self) -> int:
        """About what it takes."""
        session = 1200 + self.system_prompt_bytes + self.system_prompt_bytes // 6
        return int((self.runs * 1.03 + self.chat_sessions) * session) + (
            self.runs * self.messages_per_run * 350
        )


@dataclass(slots=True, kw_only=True)
class Truth:
    """What a harvest of it must find, summed over all runs."""

    runs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    """With what came from a cache."""
    output_tokens: int = 0
    cost_usd: float = 0.0
    unknown_costs: int = 0
    """Runs whose calls have no price; their cost is not in the sum."""
    subagents: int = 0
    first_started: float = 0.0
    last_finished: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeHome:
    path: Path
    truth: Truth

    def borrow(self, path: Path, *, writable: bool = False) -> Path:
        """A home of its own at `path` with this content.

        `state.db` is linked, not copied, unless it will be written to: whoever only reads it pays
        nothing and leaves nothing behind.
        """
        shutil.copytree(self.path, path, ignore=shutil.ignore_patterns("state.db*"))
        if writable:
            shutil.copyfile(self.path / "state.db", path / "state.db")
        else:
            (path / "state.db").symlink_to(self.path / "state.db")
        return path


def cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cronalytics-otel" / "homes"


def large_home(size: Size) -> LargeHome:
    """The kept home of this size, made on first use (300,000 runs: a minute and 3.5 GB)."""
    path = cache_folder() / size.name
    if not path.exists():
        cache_folder().mkdir(parents=True, exist_ok=True)
        _check_disk(cache_folder(), size)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=cache_folder()))
        try:
            write_large_home(unfinished, size)
            if not path.exists():
                unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    truth = Truth(**json.loads((path / "truth.json").read_text(encoding="utf-8")))
    return LargeHome(path=path, truth=truth)


def write_large_home(path: Path, size: Size) -> Truth:
    """Write it to the empty or missing folder `path`."""
    (path / "cron" / "output").mkdir(parents=True, exist_ok=True)
    jobs = _jobs(size)
    with (
        closing(_fresh(path / "state.db")) as state,
        closing(_fresh(path / "cron" / "executions.db")) as ledger,
    ):
        state.executescript(host_schema.STATE_TABLES)
        host_schema.create_ledger(ledger)
        truth = RowWriter(size, jobs, state, ledger).write()
        state.executescript(host_schema.STATE_INDEXES + host_schema.STATE_SEARCH)
        state.execute(
            "INSERT INTO schema_version (version) VALUES (?)", (host_schema.SCHEMA_VERSION,)
        )
        for connection in (state, ledger):
            connection.commit()
            connection.execute("PRAGMA journal_mode = WAL")
    updated = {"jobs": jobs, "updated_at": size.until.isoformat()}
    (path / "cron" / "jobs.json").write_text(json.dumps(updated, indent=2), encoding="utf-8")
    (path / "config.yaml").write_text("timezone: UTC\n", encoding="utf-8")
    (path / "truth.json").write_text(json.dumps(asdict(truth)), encoding="utf-8")
    return truth


class LiveHome:
    """A home that begins empty, and in which agents' runs end while it is read."""

    _LONGEST_RUN_S = 60.0

    def __init__(self, path: Path, size: Size) -> None:
        """`size.runs` is 0; its seed decides the ids of the jobs and of what they do."""
        write_large_home(path, size)
        self.path = path
        self.runs = 0
        self._jobs = _jobs(size)
        self._state = sqlite3.connect(path / "state.db")
        self._ledger = sqlite3.connect(path / "cron" / "executions.db")
        for connection in (self._state, self._ledger):
            connection.execute("PRAGMA synchronous = OFF")
        self._writer = RowWriter(size, self._jobs, self._state, self._ledger)

    def end_a_run(self, now_s: float) -> None:
        """Write a run that began a minute ago and has ended since, by the next of the jobs."""
        job = self._jobs[self.runs % len(self._jobs)]
        self._writer.agent_run(job, now_s - self._LONGEST_RUN_S, in_ledger=True)
        self._writer.flush()
        self._state.commit()
        self._ledger.commit()
        self.runs += 1

    def close(self) -> None:
        self._state.close()
        self._ledger.close()


def _check_disk(folder: Path, size: Size) -> None:
    needed, free = size.disk_bytes * 2, shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder}: a home of {size.runs} runs needs {needed / 1e9:.1f} GB free, "
            f"there are {free / 1e9:.1f} GB. Set XDG_CACHE_HOME to a larger disk."
        )


def _fresh(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;"
    )
    return connection


def _jobs(size: Size) -> list[dict[str, Any]]:
    """Agent jobs, and as the last one (of more than one) a script job; never due by themselves."""
    rng = random.Random(size.seed)
    created = (size.until - timedelta(days=4000)).isoformat()
    jobs: list[dict[str, Any]] = []
    for number in range(size.jobs):
        is_script = size.jobs > 1 and number == size.jobs - 1
        jobs.append(
            {
                "id": f"{rng.getrandbits(48):012x}",
                "name": f"script job {number}" if is_script else f"job {number}",
                "prompt": "" if is_script else "Report the news",
                "skills": [],
                "skill": None,
                "model": None,
                "provider": None,
                "script": "check.sh" if is_script else None,
                "no_agent": is_script,
                "schedule": {"kind": "interval", "minutes": 60, "display": "every 60m"},
                "schedule_display": "every 60m",
                "repeat": {"times": None, "completed": 0},
                "enabled": True,
                "state": "scheduled",
                "created_at": created,
                "next_run_at": "2099-01-01T00:00:00+00:00",
                "last_run_at": size.until.isoformat(),
                "last_status": "ok",
                "last_error": None,
                "last_delivery_error": None,
                "deliver": "local",
                "origin": None,
            }
        )
    return jobs


_SESSION_SQL = (
    "INSERT INTO sessions (id, source, model, model_config, system_prompt, parent_session_id, "
    "started_at, ended_at, end_reason, message_count, tool_call_count, input_tokens, "
    "output_tokens, cache_read_tokens, reasoning_tokens, billing_provider, billing_base_url, "
    "estimated_cost_usd, cost_status, cost_source, title, api_call_count) "
    f"VALUES ({', '.join('?' * 22)})"
)
_USAGE_SQL = (
    "INSERT INTO session_model_usage (session_id, model, billing_provider, billing_base_url, task, "
    "api_call_count, input_tokens, output_tokens, cache_read_tokens, reasoning_tokens, "
    "estimated_cost_usd, cost_status, cost_source, first_seen, last_seen) "
    f"VALUES ({', '.join('?' * 15)})"
)
_MESSAGE_SQL = (
    "INSERT INTO messages (session_id, role, content, tool_call_id, tool_calls, tool_name, "
    f"timestamp, finish_reason) VALUES ({', '.join('?' * 8)})"
)
_LEDGER_SQL = f"INSERT INTO executions VALUES ({', '.join('?' * 11)})"

_CONFIG = '{"max_iterations": 6, "reasoning_config": null, "max_tokens": null}'
_URL = "http://127.0.0.1:18091/v1"


class RowWriter:
    """Makes the rows in the order of their time and hands them over by the chunk."""

    def __init__(
        self,
        size: Size,
        jobs: list[dict[str, Any]],
        state: sqlite3.Connection,
        ledger: sqlite3.Connection,
    ) -> None:
        self._size = size
        self._jobs = jobs
        self._agents = max(1, size.jobs - 1)
        self._state = state
        self._ledger = ledger
        self._random = random.Random(size.seed + 1)
        self._prompt = "You are Hermes Agent. ".ljust(size.system_prompt_bytes, "x")
        self._prompt = self._prompt[: size.system_prompt_bytes]
        self._titles: Counter[str] = Counter()
        self._outcomes: Counter[Outcome] = Counter()
        self._truth = Truth()
        self._sessions: list[tuple[Any, ...]] = []
        self._usage: list[tuple[Any, ...]] = []
        self._messages: list[tuple[Any, ...]] = []
        self._executions: list[tuple[Any, ...]] = []

    def write(self) -> Truth:
        size, truth = self._size, self._truth
        chat_every = size.runs // size.chat_sessions if size.chat_sessions else 0
        for number, started in enumerate(self._starts()):
            job = self._jobs[number % self._agents]
            self.agent_run(job, started, in_ledger=size.runs - number <= self._agent_ledger_rows)
            if chat_every and number % chat_every == 0:
                self._chat(started + 30.0)
            if number % self._agents == self._agents - 1 and size.jobs > 1:
                self._script_run(
                    started + CYCLE_S / size.jobs,
                    in_ledger=size.runs - number <= self._agent_ledger_rows,
                )
            if len(self._sessions) >= CHUNK:
                self.flush()
        self.flush()
        truth.runs = sum(self._outcomes.values())
        truth.outcomes = {outcome.value: count for outcome, count in self._outcomes.items()}
        return truth

    @property
    def _agent_ledger_rows(self) -> int:
        """How many of the newest cron sessions are still in the ledger."""
        return self._size.ledger_rows * self._agents // self._size.jobs

    def _starts(self) -> Iterator[float]:
        """When each cron run started, oldest first, ending an hour before `until`."""
        size = self._size
        cycles = -(-size.runs // self._agents)
        first = size.until.timestamp() - (cycles + 1) * CYCLE_S
        self._truth.first_started = first
        for number in range(size.runs):
            cycle, slot = divmod(number, self._agents)
            yield first + cycle * CYCLE_S + slot * (CYCLE_S / size.jobs) + 0.25

    def flush(self) -> None:
        self._state.executemany(_SESSION_SQL, self._sessions)
        self._state.executemany(_USAGE_SQL, self._usage)
        self._state.executemany(_MESSAGE_SQL, self._messages)
        self._ledger.executemany(_LEDGER_SQL, self._executions)
        for rows in (self._sessions, self._usage, self._messages, self._executions):
            rows.clear()

    def agent_run(self, job: dict[str, Any], started: float, *, in_ledger: bool) -> None:
        """In a hundred: 3 fail without a call, 2 have no price, 3 delegate, 2 compress."""
        kind = self._random.random()
        finished = started + 5.0 + 50.0 * self._random.random()
        moment = datetime.fromtimestamp(started + 0.5, tz=UTC)
        session_id = f"cron_{job['id']}_{moment:%Y%m%d_%H%M%S}"
        failed, priced = kind < 0.03, kind >= 0.05
        tools = 0 if failed else max(0, self._size.messages_per_run - 2) // 2
        title = f"{job['name']} · {moment:%b %d %H:%M}"
        self._titles[title] += 1
        if self._titles[title] > 1:
            title = f"{title} #{self._titles[title]}"
        begun, ended = started + 2.5, finished - 0.006
        self._session(
            session_id, "cron", None, begun, ended, "cron_complete", title,
            calls=0 if failed else tools + 1, tools=tools, priced=priced,
        )  # fmt: skip
        if not failed and 0.05 <= kind < 0.08:
            child_id = f"{moment:%Y%m%d_%H%M%S}_{self._random.getrandbits(24):06x}"
            middle = (begun + ended) / 2
            self._session(
                child_id, "subagent", session_id, begun + 1, middle, "agent_close", None,
                calls=1, tools=0, priced=True,
            )  # fmt: skip
            self._truth.subagents += 1
        if not failed and 0.08 <= kind < 0.10:
            self._usage_row(session_id, "compression", begun, ended, 1, PRICE_USD, None)
        self._truth.unknown_costs += not failed and not priced
        self._finish(job["id"], started, finished, _ERROR if failed else None, in_ledger=in_ledger)

    def _script_run(self, started: float, *, in_ledger: bool) -> None:
        """Once it is out of the ledger, nothing of it is left."""
        if in_ledger:
            self._finish(self._jobs[-1]["id"], started, started + 0.8, None, in_ledger=True)

    def _chat(self, started: float) -> None:
        moment = datetime.fromtimestamp(started, tz=UTC)
        session_id = f"{moment:%Y%m%d_%H%M%S}_{self._random.getrandbits(24):06x}"
        row = (
            session_id, "cli", "fake-model", _CONFIG, self._prompt, None, started, started + 60,
            "user_exit", 2, 0, INPUT, OUTPUT, CACHED, REASONING, "custom", _URL, PRICE_USD,
            "estimated", "provider_models_api", None, 1,
        )  # fmt: skip
        self._sessions.append(row)

    def _finish(
        self, job_id: str, started: float, finished: float, error: str | None, *, in_ledger: bool
    ) -> None:
        self._outcomes[Outcome.FAILURE if error else Outcome.SUCCESS] += 1
        self._truth.last_finished = max(self._truth.last_finished, finished)
        if not in_ledger:
            return
        claimed, begun, ended = (
            datetime.fromtimestamp(at, tz=UTC).isoformat()
            for at in (started - 0.004, started, finished)
        )
        execution_id = f"{self._random.getrandbits(128):032x}"
        self._executions.append(
            (execution_id, job_id, "builtin", "5339e22ab0f642f3ab776cce842e892f", 2780, 40127,
             "failed" if error else "completed", claimed, begun, ended, error)
        )  # fmt: skip

    def _session(
        self,
        session_id: str,
        source: str,
        parent: str | None,
        started: float,
        ended: float,
        reason: str,
        title: str | None,
        *,
        calls: int,
        tools: int,
        priced: bool,
    ) -> None:
        messages = 0 if not self._size.messages_per_run else 1 if not calls else 2 + 2 * tools
        cost = calls * PRICE_USD if priced else 0.0
        status = "estimated" if priced else "unknown"
        accounted: tuple[Any, ...] = ("custom", _URL, cost, status, "provider_models_api")
        self._sessions.append(
            (session_id, source, "fake-model", _CONFIG, self._prompt, parent, started, ended,
             reason, messages, tools, calls * INPUT, calls * OUTPUT, calls * CACHED,
             calls * REASONING, *(accounted if calls else (None,) * 5), title, calls)
        )  # fmt: skip
        if calls:
            self._usage_row(session_id, "", started, ended, calls, cost, status)
        if messages:
            self._conversation(session_id, started, ended, tools, has_answer=calls > 0)

    def _usage_row(
        self,
        session_id: str,
        task: str,
        started: float,
        ended: float,
        calls: int,
        cost: float,
        status: str | None,
    ) -> None:
        self._truth.input_tokens += calls * (INPUT + CACHED)
        self._truth.output_tokens += calls * OUTPUT
        self._truth.cost_usd += cost
        self._usage.append(
            (session_id, "fake-model", "custom", _URL, task, calls, calls * INPUT, calls * OUTPUT,
             calls * CACHED, calls * REASONING, cost, status,
             "provider_models_api" if status else None, started, ended)
        )  # fmt: skip

    def _conversation(
        self, session_id: str, started: float, ended: float, tools: int, *, has_answer: bool
    ) -> None:
        add = self._messages.append
        add((session_id, "user", _PROMPT, None, None, None, started + 0.002, None))
        share = (ended - started) / (2 * tools + 2)
        for number in range(tools):
            call_id = f"call_{self._random.getrandbits(32):08x}"
            call = (
                f'[{{"id": "{call_id}", "call_id": "{call_id}", "type": "function", "function": '
                '{"name": "terminal", "arguments": "{\\"command\\": \\"echo hello\\"}"}}]'
            )
            asked = started + share * (2 * number + 1)
            add((session_id, "assistant", "", None, call, None, asked, "tool_calls"))
            result = '{"output": "hello", "exit_code": 0, "error": null}'
            add((session_id, "tool", result, call_id, None, "terminal", asked + share, None))
        if has_answer:
            add((session_id, "assistant", _ANSWER, None, None, None, ended - 0.01, "stop"))
