"""Time and memory, in pairs: on a shared machine only figures measured side by side compare."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    """Call both in turn, first one then the other first; each returns its own figure."""
    for _ in range(warm_up):
        measured()
        floor()
    both: list[tuple[float, float]] = []
    with _only_new_objects_collected():
        for number in range(pairs):
            if number % 2:
                low = floor()
                both.append((measured(), low))
            else:
                high = measured()
                both.append((high, floor()))
    return summary(both)


@contextmanager
def _only_new_objects_collected() -> Iterator[None]:
    """Leave what the bench itself holds to no garbage collection: neither side made it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def summary(both: Sequence[tuple[float, float]]) -> Pair:
    """Return the medians of (measured, floor) pairs."""
    return Pair(
        measured=statistics.median(m for m, _ in both),
        floor=statistics.median(f for _, f in both),
        ratio=statistics.median(m / f for m, f in both),
    )


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of them do not exceed."""
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


# Between us and what is measured: Linux hands the peak of a process down to what it starts.
_STARTER = """
import json, os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
figures = [time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, time.time()]
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), *figures], file)
"""


def run_process(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    folder: Path,
    *,
    statuses: Collection[int] = (0,),
) -> Exited:
    """Run a process to its end; raises RuntimeError with its output at any other exit status."""
    figures = folder / "process.json"
    with (folder / "process.out").open("w+b") as output:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _STARTER, figures, *command],
            env=dict(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, check=True,
        )  # fmt: skip
        status, wall_s, cpu_s, peak_kb, ended_at = json.loads(figures.read_text())
        if status not in statuses:
            output.seek(0)
            text = output.read().decode(errors="replace")
            raise RuntimeError(f"{command} exited with {status}:\n{text[-4000:]}")
    return Exited(wall_s=wall_s, cpu_s=cpu_s, peak_mb=peak_kb / 1024, ended_at=ended_at)
