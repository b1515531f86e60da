"""Sync: with nothing new, and the first one of a long history."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from bench.lines import Bench, Line
from bench.timing import paired, run_process, seconds, summary
from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import Senders, sync
from tests.support.large_homes import LargeHome, Size, large_home

NOBODY = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
"""A destination that is down: runs go into its outbox, and stay there."""

SETTLED_S = 2.5
"""A file that changed less than 2 s ago is read again in any case: that is not "nothing new"."""


def little(runs: int) -> Size:
    """A history of which a million runs fit on a disk."""
    return Size(runs=runs, system_prompt_bytes=200, messages_per_run=2)


def nothing_new(bench: Bench) -> Iterator[Line]:
    """`sync.sync` when no run has ended: all quiet, after a chat, and with a collector down."""
    few, many = (synced(bench, runs) for runs in (10_000, bench.most_runs))
    with Senders() as senders:
        for case, prepare, touch in (
            ("all delivered", _deliver_all, _nothing),
            ("state.db touched", _nothing, _chat),
            ("all pending", _enqueue_all, _nothing),
        ):
            for home in (few, many):
                prepare(home)
            time.sleep(SETTLED_S)
            pair = paired(
                partial(_sync_s, many, senders, touch),
                partial(_sync_s, few, senders, touch),
                pairs=40,
                warm_up=5,
            )
            yield Line(
                name=f"sync, nothing new, {case}: {bench.most_runs:,} sessions",
                measured=f"{pair.measured * 1e3:.2f} ms",
                floor=f"{pair.floor * 1e3:.2f} ms (10,000)",
                ratio=f"{pair.ratio:.2f}",
                bar="<= 5 ms, <= 1.5 x",
                met=pair.measured <= 0.005 and pair.ratio <= 1.5,
            )


def first_sync(bench: Bench) -> Iterator[Line]:
    """Host to journal, beside the bare SELECT and INSERT of the same rows."""
    few, large = large_home(Size(runs=10_000)), large_home(Size(runs=bench.runs))
    both: list[tuple[float, float]] = []
    peaks: list[tuple[float, float]] = []
    for _ in range(3):
        home = Home(large.borrow(bench.folder / "first"))
        took_s, peak_mb = _first_sync(bench, home, large)
        floor_s = _bare_select_s(large) + _bare_insert_s(home.journal, bench.folder)
        both.append((took_s, floor_s))
        shutil.rmtree(home.path)
        home = Home(few.borrow(bench.folder / "first"))
        peaks.append((peak_mb, _first_sync(bench, home, few)[1]))
        shutil.rmtree(home.path)
    pair, peak = summary(both), summary(peaks)
    rate = large.truth.runs / pair.measured
    yield Line(
        name=f"first sync: {large.truth.runs:,} runs",
        measured=f"{pair.measured:.1f} s",
        floor=f"{pair.floor:.1f} s (SELECT, INSERT)",
        ratio=f"{pair.ratio:.2f}",
        bar="<= 4 x",
        met=pair.ratio <= 4,
    )
    yield Line(
        name="first sync: speed",
        measured=f"{rate:,.0f} runs/s",
        bar="aim 10,000 runs/s",
        met=rate >= 10_000,
    )
    yield Line(
        name="first sync: memory of the process",
        measured=f"{peak.measured:.0f} MB",
        floor=f"{peak.floor:.0f} MB (10,000 runs)",
        ratio=f"{peak.ratio:.2f}",
        bar="<= 1.25 x",
        met=peak.ratio <= 1.25,
    )


def _first_sync(bench: Bench, home: Home, large: LargeHome) -> tuple[float, float]:
    """Seconds of the sync, and MB of the process of its own in which it runs."""
    told = bench.folder / "told.json"
    checkout = Path(__file__).resolve().parents[1]
    exited = run_process(
        [sys.executable, "-m", "bench.sync", home.path, told],
        os.environ | {"PYTHONPATH": str(checkout)},
        bench.folder,
    )
    result = json.loads(told.read_text())
    if result["runs"] != large.truth.runs:
        raise RuntimeError(f"{result['runs']} runs were read, there are {large.truth.runs}")
    return float(result["took_s"]), exited.peak_mb


def main() -> None:
    """The process of `_first_sync`: home and where to tell in its arguments."""
    home = Home(Path(sys.argv[1]))
    settings = load_settings(home.path, NOBODY)
    began = time.perf_counter()
    report = sync(home, settings)
    took_s = time.perf_counter() - began
    Path(sys.argv[2]).write_text(json.dumps({"runs": report.new_runs, "took_s": took_s}))


def synced(bench: Bench, runs: int) -> Home:
    """A home of that history whose journal is up to date; state.db is not shared."""

    def make(path: Path) -> None:
        bench.say(f"syncing {runs:,} runs, once")
        home = Home(large_home(little(runs)).borrow(path, writable=True))
        sync(home, load_settings(path, NOBODY))
        _deliver_all(home)

    return Home(bench.once(f"synced-{runs}", make))


def _sync_s(home: Home, senders: Senders, touch: Callable[[Home], None]) -> float:
    settings = load_settings(home.path, NOBODY)
    touch(home)
    return seconds(lambda: sync(home, settings, senders=senders))


def _deliver_all(home: Home) -> None:
    """As if the destination had taken everything."""
    with closing(sqlite3.connect(home.journal)) as journal, journal:
        journal.execute("DELETE FROM outbox")
        journal.execute("UPDATE destination SET failures = 0, next_try_ns = NULL")


def _enqueue_all(home: Home) -> None:
    """As if it had never taken anything, and were to be tried again in five minutes."""
    with closing(sqlite3.connect(home.journal)) as journal, journal:
        journal.execute(
            "INSERT INTO outbox (destination_id, ended_ns, run_id, enqueued_ns) "
            "SELECT d.id, r.ended_ns, r.id, ? FROM run r, destination d",
            (time.time_ns(),),
        )
        journal.execute(
            "UPDATE destination SET failures = 9, next_try_ns = ?",
            (time.time_ns() + 300_000_000_000,),
        )


def _nothing(_: Home) -> None:
    """The host has not written."""


def _chat(home: Home) -> None:
    """The host has written a session that is none of ours."""
    now = time.time()
    with closing(sqlite3.connect(home.state_db)) as state, state:
        row = (f"chat-{now}", now)
        state.execute("INSERT INTO sessions (id, source, started_at) VALUES (?, 'cli', ?)", row)


def _bare_select_s(large: LargeHome) -> float:
    """The rows that a harvest must see: sessions with the last message of each, children, usage,
    ledger; as one statement each, with nothing done to them."""
    sessions = (
        "SELECT s.rowid, s.id, source, model, parent_session_id, started_at, ended_at, end_reason, "
        "tool_call_count, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "
        "reasoning_tokens, billing_provider, estimated_cost_usd, actual_cost_usd, cost_status, "
        "title, api_call_count, m.role, m.timestamp, substr(m.content, 1, 200) "
        "FROM sessions s LEFT JOIN messages m ON m.rowid = (SELECT rowid FROM messages "
        "WHERE session_id = s.id ORDER BY timestamp DESC LIMIT 1) ORDER BY s.rowid"
    )
    usage = (
        "SELECT session_id, task, model, billing_provider, api_call_count, input_tokens, "
        "output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, "
        "estimated_cost_usd, cost_status FROM session_model_usage"
    )
    began = time.perf_counter()
    for name, queries in (
        ("state.db", (sessions, usage)),
        ("cron/executions.db", ("SELECT * FROM executions",)),
    ):
        with closing(sqlite3.connect(f"file:{large.path / name}?mode=ro", uri=True)) as connection:
            for query in queries:
                cursor = connection.execute(query)
                while cursor.fetchmany(2000):
                    pass
    return time.perf_counter() - began


def _bare_insert_s(journal: Path, folder: Path) -> float:
    """The same rows into the same tables with the same indexes, 2,000 a transaction."""
    copy = folder / "bare.db"
    copy.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(journal)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("PRAGMA synchronous = NORMAL")
        for (sql,) in source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"):
            target.execute(sql)
        took_s = 0.0
        for table in ("run", "outbox"):
            cursor = source.execute(f"SELECT * FROM {table}")
            marks = ", ".join("?" * len(cursor.description))
            while rows := cursor.fetchmany(2000):
                began = time.perf_counter()
                target.execute("BEGIN IMMEDIATE")
                target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
                target.execute("COMMIT")
                took_s += time.perf_counter() - began
    copy.unlink()
    return took_s


if __name__ == "__main__":
    main()
