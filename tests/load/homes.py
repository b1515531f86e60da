"""A process with many homes: in each of them a run ends every second, and the plugin syncs it.

    python -m tests.load.homes PLAN.json      # writes its figures to standard output, as JSON

One loop serves all homes in turn, as fast as it can: it writes the runs that have ended, and then
syncs as a gateway's worker does. After the last run it goes on until nothing is pending.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.sync import Senders, sync
from tests.support.collector_configs import send_to
from tests.support.large_homes import LiveHome, Size

JOBS = 4
MESSAGES_PER_RUN = 6
"""A prompt, an answer, and two tool calls with their results: eight spans or so."""
PROMPT_BYTES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process does."""

    folder: str
    """The homes are made in it."""
    homes: int
    seed: int
    """Of its first home."""
    seconds: int
    """How long runs end; each home has one a second."""
    drained_within_s: float
    destination: dict[str, object]
    """As in config.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What it did."""

    runs: int
    syncs: int
    failed_requests: int
    """Syncs in which the destination took nothing, and said why."""
    cpu_s: float
    """Of the plugin: all threads of the process, without the writing of the host's files."""
    took_s: float
    pending: int
    """Runs without a receipt at the end."""


class _Watched:
    """One home, with its own connections."""

    def __init__(self, plan: Plan, number: int) -> None:
        path = Path(plan.folder) / f"home-{plan.seed + number}"
        size = Size(
            runs=0,
            jobs=JOBS,
            messages_per_run=MESSAGES_PER_RUN,
            system_prompt_bytes=PROMPT_BYTES,
            seed=plan.seed + number,
        )
        self.live = LiveHome(path, size)
        send_to(path, gateway=plan.destination)
        self.home = Home(path)
        self.settings = load_settings(path, {})
        self.offset_s = number / plan.homes
        self.senders = Senders()
        self.is_behind = False


def main() -> None:
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    watched = [_Watched(plan, number) for number in range(plan.homes)]
    print("ready", flush=True)
    sys.stdin.readline()
    done = _serve(plan, watched)
    for one in watched:
        one.senders.close()
        one.live.close()
    print(json.dumps(asdict(done)), flush=True)


def _serve(plan: Plan, watched: Sequence[_Watched]) -> Done:
    syncs = failed = 0
    writing_s = 0.0
    began_at_s, began, cpu_began = time.time(), time.monotonic(), time.process_time()
    while True:
        elapsed_s = time.monotonic() - began
        for one in watched:
            elapsed_s = time.monotonic() - began
            cpu_before = time.process_time()
            due = min(plan.seconds, int(elapsed_s - one.offset_s + 1))
            has_new = one.live.runs < due
            while one.live.runs < due:
                one.live.end_a_run(began_at_s + one.offset_s + one.live.runs)
            writing_s += time.process_time() - cpu_before
            if has_new or one.is_behind:
                report = sync(one.home, one.settings, SyncOptions(), senders=one.senders)
                syncs += 1
                (destination,) = report.destinations
                failed += destination.error is not None
                if destination.tried:
                    one.is_behind = bool(destination.pending) or destination.error is not None
        if all(one.live.runs == plan.seconds and not one.is_behind for one in watched):
            break
        if elapsed_s > plan.seconds + plan.drained_within_s:
            break
        time.sleep(0.02)
    return Done(
        runs=sum(one.live.runs for one in watched),
        syncs=syncs,
        failed_requests=failed,
        cpu_s=time.process_time() - cpu_began - writing_s,
        took_s=time.monotonic() - began,
        pending=sum(map(_pending, watched)),
    )


def _pending(one: _Watched) -> int:
    with Journal.open(one.home.journal) as journal:
        return sum(
            journal.outbox.pending(destination.id)
            for destination in journal.outbox.pending_destinations()
        )


if __name__ == "__main__":
    main()
