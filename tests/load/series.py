"""What a home's metrics cost in the gateway and in a real Prometheus: half a day of them, minute by minute.

    python -m tests.load.series        # prints a table; about three minutes

The plugin's own sync makes and sends each request, with a clock that goes a minute ahead each time. Twelve
jobs run hourly, so that counters and gauges change as they do in a home. The blocks on disk are those that
Prometheus compacts by itself.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import requests

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import Senders, sync
from tests.load.gateway import usage_of
from tests.support.collector_configs import ANY_BACKEND, GATEWAY, send_to, surroundings
from tests.support.fake_clock import FakeClock
from tests.support.large_homes import LiveHome, Size
from tests.support.otelcol import otelcol
from tests.support.prometheus import Prometheus, prometheus

JOBS = 12
MINUTES = 12 * 60
RUN_EVERY_MINUTES = 60 // JOBS
COMPACTED = 0.5
"""The share of the samples that must be in blocks: the newest stay in memory for three hours."""


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(prometheus(folder))
        around = surroundings(GATEWAY, folder, backend=server.otlp_endpoint)
        gateway = stack.enter_context(
            otelcol(folder, GATEWAY, ANY_BACKEND, environment=around.environment)
        )
        destination = {**around.destination, "endpoint": gateway.http_endpoint, "traces": False}
        idle = usage_of(gateway.pid)
        _send(folder / "home", destination)
        passed = usage_of(gateway.pid).beyond(idle)
        points = gateway.own_metric("otelcol_exporter_sent_metric_points")
        used = usage_of(server.pid)
        samples_sent = _samples(server)
        blocks = _blocks(folder / "prometheus" / "data", round(COMPACTED * samples_sent))
    samples = sum(samples for samples, _, _ in blocks)
    rows = {
        "requests; points, samples a request": f"{MINUTES:,}; {points / MINUTES:,.0f}, {samples_sent / MINUTES:,.0f}",
        "gateway: CPU for a request; for 1,000 points": f"{passed.cpu_s / MINUTES * 1e3:.1f} ms; {passed.cpu_s / points * 1e6:.1f} ms",
        "Prometheus: CPU for 1,000 samples": f"{used.cpu_s / samples_sent * 1e6:.1f} ms",
        "Prometheus: peak memory": f"{used.peak_memory_mib:.0f} MiB",
        "blocks; samples; series in each": f"{len(blocks)}; {samples:,}; {max(series for _, series, _ in blocks):,}",
        "on disk: bytes for a sample": f"{sum(size for _, _, size in blocks) / samples:.2f}",
    }
    width = max(map(len, rows))
    print("\n".join(f"{row:{width}}  {value}" for row, value in rows.items()))


def _send(path: Path, destination: Mapping[str, object]) -> None:
    """Send the metrics of half a day up to now."""
    began_s = time.time() - MINUTES * 60
    clock = FakeClock(now_ns=round(began_s * 1e9))
    live = LiveHome(path, Size(runs=0, jobs=JOBS, messages_per_run=4, system_prompt_bytes=500))
    send_to(path, gateway=destination)
    settings = load_settings(path, {})
    with Senders() as senders:
        for minute in range(MINUTES):
            if minute % RUN_EVERY_MINUTES == 0:
                live.end_a_run(clock.now_ns() / 1e9)
            report = sync(Home(path), settings, SyncOptions(clock=clock), senders=senders)
            assert report.healthy, report
            clock.advance(60)
    live.close()


def _samples(server: Prometheus) -> float:
    """Return how many samples it has taken."""
    page = requests.get(f"{server.url}/metrics", timeout=30).text
    appended = re.findall(
        r"^prometheus_tsdb_head_samples_appended_total\{.*\} (\S+)$", page, re.MULTILINE
    )
    return sum(map(float, appended))


def _blocks(data: Path, least_samples: int) -> list[tuple[int, int, int]]:
    """Wait until so many samples are in blocks. Return for each block its samples, series and bytes."""
    deadline_s = time.monotonic() + 300
    while True:
        blocks = [measured for meta in data.glob("*/meta.json") if (measured := _measured(meta))]
        if sum(samples for samples, _, _ in blocks) >= least_samples:
            return blocks
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{blocks} after five minutes")
        time.sleep(1)


def _measured(meta: Path) -> tuple[int, int, int] | None:
    """Return None for a block that was merged into another meanwhile."""
    try:
        stats = json.loads(meta.read_text())["stats"]
        size = sum(file.stat().st_size for file in meta.parent.rglob("*") if file.is_file())
    except FileNotFoundError:
        return None
    return stats["numSamples"], stats["numSeries"], size


if __name__ == "__main__":
    main()
