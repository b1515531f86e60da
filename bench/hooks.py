"""What a hook costs the host's thread, while our worker is at work in the same process.

Run as a program it is the child that measures: its home and its collector are in the environment.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.lines import Bench, Line
from bench.sinks import Behaviour, sink
from bench.sync import little, synced
from bench.timing import percentile
from tests.support.large_homes import large_home

CALLS = 4000
"""Of each hook; a run's worth of other hooks between them."""

PAUSE_S = 0.0003
"""The host does something else meanwhile, and the worker gets its turn."""

RUN_KWARGS: dict[str, dict[str, Any]] = {
    "on_session_start": {"model": "fake-model"},
    "pre_llm_call": {
        "task_id": "t", "turn_id": "u", "user_message": "Report the news",
        "conversation_history": [{"role": "user", "content": "Report"}] * 20, "model": "fake-model",
    },
    "pre_api_request": {
        "task_id": "t", "turn_id": "u", "api_request_id": "a", "model": "fake-model",
        "provider": "custom", "api_call_count": 1, "message_count": 4, "started_at": 1.0,
    },
    "post_api_request": {
        "task_id": "t", "turn_id": "u", "api_request_id": "a", "model": "fake-model",
        "provider": "custom", "response_model": "fake-model", "api_call_count": 1,
        "api_duration": 0.5, "started_at": 1.0, "ended_at": 1.5, "finish_reason": "stop",
        "usage": {"input_tokens": 800, "output_tokens": 50, "cache_read_tokens": 200},
        "assistant_tool_call_count": 1,
    },
    "api_request_error": {
        "status_code": 500, "retry_count": 0, "max_retries": 2, "retryable": True,
        "reason": "server_error", "error": {"type": "InternalServerError", "message": "upstream"},
        "api_call_count": 1,
    },
    "pre_tool_call": {"tool_name": "terminal", "args": {"command": "ls"}, "tool_call_id": "c"},
    "post_tool_call": {
        "tool_name": "terminal", "args": {"command": "ls"}, "tool_call_id": "c",
        "result": "x" * 2000, "duration_ms": 12, "status": "ok", "error_type": None,
        "error_message": None,
    },
    "subagent_start": {"parent_session_id": "p", "child_session_id": "c", "child_role": "leaf"},
    "subagent_stop": {"parent_session_id": "p", "child_session_id": "c", "duration_ms": 12},
    "post_llm_call": {"task_id": "t", "turn_id": "u", "assistant_response": "x" * 2000},
    "on_session_end": {"completed": True, "interrupted": False, "model": "fake-model"},
}  # fmt: skip


def lines(bench: Bench) -> Iterator[Line]:
    """p50 and p99 of the slowest hook, for each state of the collector; medians of three rounds."""
    home = synced(bench, bench.most_runs).path
    unread = large_home(little(bench.most_runs)).borrow(bench.folder / "unread")
    cases: tuple[tuple[str, Behaviour, Path], ...] = (
        ("collector up", "up", home),
        ("collector down", "refusing", home),
        ("collector hanging", "hanging", home),
        ("first sync under way", "up", unread),
    )
    for case, behaviour, path in cases:
        with sink(behaviour) as url:
            rounds = [_measure(path, url) for _ in range(1 if bench.quick else 3)]
        figures = {
            name: tuple(statistics.median(one[name][i] for one in rounds) / 1e3 for i in (0, 1))
            for name in rounds[0]
        }
        floor_p50_us, floor_p99_us = figures.pop("(nothing)")
        slowest = max(figures, key=lambda name: figures[name][1])
        p50_us, p99_us = max(p50 for p50, _ in figures.values()), figures[slowest][1]
        yield Line(
            name=f"hooks, {bench.most_runs:,} runs, {case}",
            measured=f"p50 {p50_us:.1f} us, p99 {p99_us:.1f} us ({slowest})",
            floor=f"p50 {floor_p50_us:.1f} us, p99 {floor_p99_us:.1f} us (empty hook)",
            ratio=f"{p50_us / floor_p50_us:.1f}",
            bar="<= 10, <= 50 us",
            met=p50_us <= 10 and p99_us <= 50,
        )


def _measure(home: Path, url: str) -> dict[str, tuple[float, float]]:
    environment = os.environ | {"HERMES_HOME": str(home), "OTEL_EXPORTER_OTLP_ENDPOINT": url}
    done = subprocess.run(
        [sys.executable, "-m", "bench.hooks", "gateway", "run"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"hooks could not be measured:\n{done.stderr}")
    figures: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return figures


class _Context:
    """What the host gives to `register`: a stand-in that only collects hooks."""

    profile_name = "default"

    def __init__(self) -> None:
        self.hooks: dict[str, Callable[..., object]] = {}

    def register_hook(self, name: str, callback: Callable[..., object]) -> None:
        self.hooks[name] = callback

    def register_cli_command(self, **_: object) -> None:
        pass


def main() -> None:
    import cronalytics_otel

    context = _Context()
    cronalytics_otel.register(context)
    hooks = {"(nothing)": lambda **_: None, **context.hooks}
    took: dict[str, list[float]] = {name: [] for name in hooks}
    time.sleep(3.0)  # the worker starts its first sync
    for number in range(CALLS):
        session_id = f"cron_0123456789ab_20260101_{number:06d}"
        for name, hook in hooks.items():
            kwargs = RUN_KWARGS.get(name, {})
            began = time.perf_counter_ns()
            hook(
                session_id=session_id, platform="cron",
                telemetry_schema_version="hermes.observer.v1", **kwargs,
            )  # fmt: skip
            took[name].append(time.perf_counter_ns() - began)
            time.sleep(PAUSE_S)
    figures = {name: (percentile(ns, 0.5), percentile(ns, 0.99)) for name, ns in took.items()}
    print(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)  # the flush at exit is another line's business


if __name__ == "__main__":
    main()
