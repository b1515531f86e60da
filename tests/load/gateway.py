"""Many homes that send through one gateway, which is killed and started again in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.traces import trace_builder
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.outbox import Entry
from tests.load.homes import Done, Plan
from tests.support.collector_configs import ANY_BACKEND, GATEWAY, surroundings
from tests.support.counting_sink import CountingSink, Taken
from tests.support.otelcol import otelcol
from tests.support.venvs import CHECKOUT

COLLECTOR = CHECKOUT / "collector"
TOKEN = "a-token-of-the-load-test"
DRAINED_WITHIN_S = 120.0
REQUEST_TIMEOUT_S = 60
"""Long enough that on a busy machine, too, only the kill loses a receipt."""
AWAY_S = 2.0
"""How long nothing listens where the gateway was."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has used."""

    cpu_s: float
    peak_memory_mib: float

    def beyond(self, start: Usage) -> Usage:
        """Without the CPU time that its start took."""
        return replace(self, cpu_s=self.cpu_s - start.cpu_s)

    def and_then(self, other: Usage) -> Usage:
        """Of two processes that followed each other."""
        return Usage(
            cpu_s=self.cpu_s + other.cpu_s,
            peak_memory_mib=max(self.peak_memory_mib, other.peak_memory_mib),
        )


def usage_of(pid: int) -> Usage:
    """Read it from /proc; the process must still run."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2]
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICK,
        peak_memory_mib=int(status.split()[0]) / 1024,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a load."""

    done: tuple[Done, ...]
    taken: Taken
    expected: frozenset[bytes]
    """The span ids of all runs in all journals."""
    gateway: Usage
    killed_s: float
    """Monotonic times: of the kill, and when the gateway was ready again."""
    back_s: float

    @property
    def runs(self) -> int:
        return sum(one.runs for one in self.done)

    @property
    def repeated(self) -> list[list[float]]:
        """The times of each span that came more than once."""
        return [times for times in self.taken.spans.values() if len(times) > 1]


def run_load(folder: Path, *, homes: int, seconds: int, processes: int) -> Result:
    """Let a run end in each home every second, and kill the gateway at half-time."""
    with ExitStack() as stack:
        sink = stack.enter_context(CountingSink())
        around = surroundings(GATEWAY, folder, backend=sink.endpoint)
        gateway = stack.enter_context(
            otelcol(folder, GATEWAY, ANY_BACKEND, environment=around.environment)
        )
        destination = {
            **around.destination,
            "endpoint": gateway.http_endpoint,
            "timeout": REQUEST_TIMEOUT_S,
        }
        plan = Plan(
            folder=str(folder),
            homes=homes // processes,
            seed=0,
            seconds=seconds,
            drained_within_s=DRAINED_WITHIN_S,
            destination=destination,
        )
        plans = [replace(plan, seed=number * plan.homes) for number in range(processes)]
        senders = [stack.enter_context(_sender(plan)) for plan in plans]
        for sender in senders:
            assert _read_line(sender) == "ready"
        idle = usage_of(gateway.pid)
        began = time.monotonic()
        for sender in senders:
            _write_line(sender)
        time.sleep(max(0.0, began + seconds / 2 - time.monotonic()))
        used = usage_of(gateway.pid).beyond(idle)
        killed_s = time.monotonic()
        gateway.kill()
        time.sleep(AWAY_S)
        gateway.start()
        back_s = time.monotonic()
        idle = usage_of(gateway.pid)
        done = tuple(Done(**json.loads(_read_line(sender))) for sender in senders)
        used = used.and_then(usage_of(gateway.pid).beyond(idle))
    return Result(
        done=done,
        taken=sink.taken,
        expected=frozenset(_span_ids(folder)),
        gateway=used,
        killed_s=killed_s,
        back_s=back_s,
    )


@contextmanager
def _sender(plan: Plan) -> Iterator[subprocess.Popen[str]]:
    """A process that makes its homes, says so, and then waits for a line."""
    path = Path(plan.folder) / f"plan-{plan.seed}.json"
    path.write_text(json.dumps(asdict(plan)))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.load.homes", path],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _write_line(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _span_ids(folder: Path) -> set[bytes]:
    """The ids of the spans that the journals' runs have, built anew."""
    ids: set[bytes] = set()
    for path in folder.glob("home-*"):
        home = Home(path)
        with Journal.open(home.journal) as journal:
            entries = [Entry(0, run) for run in journal.queries.runs(RunFilter())]
            build = trace_builder(home, load_settings(path, {}), journal)
            for trace in build(entries):
                assert trace is not None
                ids |= {span.span_id.to_bytes(8, "big") for span in trace}
    return ids
