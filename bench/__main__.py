"""`python -m bench [NAME ...] [--quick]`: measure, print the table, and say what was missed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator

from bench import (
    answers,
    arrival,
    export,
    hooks,
    metrics,
    projections,
    startup,
    sync,
    ticks,
    traces,
    views,
)
from bench.lines import Bench, Line, bench, table

GROUPS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "import": startup.imported,
    "hooks": hooks.lines,
    "traces": traces.lines,
    "export": export.lines,
    "first-sync": sync.first_sync,
    "nothing-new": sync.nothing_new,
    "views": views.lines,
    "answers": answers.lines,
    "metrics": metrics.lines,
    "projections": projections.lines,
    "idle-tick": startup.idle_tick,
    "ticks": ticks.lines,
    "arrival": arrival.lines,
}


def main() -> int:
    """0 when every bar is met, 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="smaller histories, fewer pairs")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in GROUPS]
    if unknown:
        parser.error(f"no such line: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    lines: list[Line] = []
    with bench(quick=options.quick) as shared:
        for name in options.names or GROUPS:
            began = time.perf_counter()
            print(f"{name} ...", file=sys.stderr, flush=True)
            lines += GROUPS[name](shared)
            print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(lines))
    load, cores = os.getloadavg()[1], os.cpu_count()
    missed = sum(line.met is False for line in lines)
    print(f"\n{len(lines)} lines, {missed} missed; load average {load:.1f} on {cores} cores")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
