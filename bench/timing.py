"""Time and memory, in pairs: on a shared machine only what is measured side by side compares."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Medians of both sides, and the median of the ratios of each pair."""

    measured: float
    floor: float
    ratio: float


def paired(
    measured: Callable[[], float], floor: Callable[[], float], *, pairs: int, warm_up: int = 1
) -> Pair:
    """Calls both in turn, first one then the other first; each returns its own figure."""
    for _ in range(warm_up):
        measured()
        floor()
    both: list[tuple[float, float]] = []
    for number in range(pairs):
        if number % 2:
            low = floor()
            both.append((measured(), low))
        else:
            high = measured()
            both.append((high, floor()))
    return summary(both)


def summary(both: Sequence[tuple[float, float]]) -> Pair:
    """Of (measured, floor) pairs."""
    return Pair(
        measured=statistics.median(m for m, _ in both),
        floor=statistics.median(f for _, f in both),
        ratio=statistics.median(m / f for m, f in both),
    )


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """A process that has ended: wall and CPU time, and its peak of memory."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    ended_at: float
    """Epoch seconds."""


def run_process(command: Sequence[str | Path], env: Mapping[str, str], folder: Path) -> Exited:
    """Run to the end; raises RuntimeError with its output when it fails."""
    with (folder / "process.out").open("w+b") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=dict(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall_s, ended_at = time.perf_counter() - began, time.time()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            text = output.read().decode(errors="replace")
            raise RuntimeError(f"{command} exited with {process.returncode}:\n{text[-4000:]}")
    return Exited(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
        ended_at=ended_at,
    )
