"""The gateway under the load of a fleet: nothing is lost, and nothing comes twice but for a lost receipt.

`make test` has a small fleet for some seconds; `make load` the real one, and prints what it cost.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.load.gateway import REQUEST_TIMEOUT_S, Result, run_load

HOMES = int(os.environ.get("LOAD_HOMES", "8"))
SECONDS = int(os.environ.get("LOAD_SECONDS", "8"))
PROCESSES = 2


@pytest.mark.timeout(900)
def test_a_gateway_that_is_killed_under_load_loses_nothing(tmp_path: Path) -> None:
    result = run_load(tmp_path, homes=HOMES, seconds=SECONDS, processes=PROCESSES)
    print(_figures(result))

    assert result.runs == HOMES * SECONDS
    assert [one.pending for one in result.done] == [0] * PROCESSES
    assert result.taken.spans.keys() == result.expected
    for first_s, *later_s in result.repeated:
        assert result.killed_s - REQUEST_TIMEOUT_S <= first_s <= result.back_s
        assert len(later_s) == 1
        assert later_s[0] >= result.killed_s


def _figures(result: Result) -> str:
    taken, runs = result.taken, result.runs
    spans = sum(map(len, taken.spans.values()))
    plugin_s = sum(one.cpu_s for one in result.done)
    syncs = sum(one.syncs for one in result.done)
    rows = {
        "homes, seconds": f"{HOMES}, {SECONDS}",
        "runs; spans; spans a run": f"{runs:,}; {spans:,}; {spans / runs:.1f}",
        "spans a second": f"{spans / max(one.took_s for one in result.done):,.0f}",
        "until all had arrived": f"{max(one.took_s for one in result.done):.1f} s",
        "spans that came twice": f"{len(result.repeated)}",
        "the gateway was away": f"{result.back_s - result.killed_s:.1f} s",
        "failed syncs": f"{sum(one.failed_requests for one in result.done)} of {syncs:,}",
        "requests of traces; runs each": f"{taken.traces.requests:,}; {runs / taken.traces.requests:.1f}",
        "gateway: CPU for 1,000 spans": f"{result.gateway.cpu_s / spans * 1e6:.0f} ms",
        "gateway: peak memory": f"{result.gateway.peak_memory_mib:.0f} MiB",
        "plugin: CPU for a run": f"{plugin_s / runs * 1e3:.1f} ms",
        "a run: bytes, gzip": f"{taken.traces.protobuf_bytes / runs:,.0f}, {taken.traces.wire_bytes / runs:,.0f}",
        "a span: bytes, gzip": f"{taken.traces.protobuf_bytes / spans:,.0f}, {taken.traces.wire_bytes / spans:,.0f}",
        "requests of metrics; points each": f"{taken.metrics.requests}; {taken.points / max(1, taken.metrics.requests):.0f}",
        "a point: bytes, gzip": f"{taken.metrics.protobuf_bytes / max(1, taken.points):.0f}, {taken.metrics.wire_bytes / max(1, taken.points):.1f}",
    }
    width = max(map(len, rows))
    return "\n" + "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
