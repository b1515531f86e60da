"""`make demo`: thirteen real cron jobs of a real Hermes, seen by the plugin and by a collector.

Everything happens on loopback and in a temporary folder. Only the model is a stand-in (a server
that answers by rote), so the demo costs nothing. The plugin is installed as a user installs it:
its wheel into Hermes' own environment, then `hermes plugins enable`. Where a Collector, Jaeger and Prometheus
are on this machine, the runs are sent to them, too. The exit status says whether
the collector received each run of Hermes' ledger just once, and whether all agree.
"""

# ruff: noqa: INP001, T201 -- a program that prints, not a package

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from collector.generate.promql import last
from tests.support.collector import FaultyCollector, SpanDict
from tests.support.fake_llm import FakeModel
from tests.support.go_programs import found_programs
from tests.support.hermes import PLUGIN, HermesHome, hermes_with_plugin
from tests.support.rotel import running_rotel
from tests.support.thirteen import Thirteen
from tests.support.venvs import ROTEL_VERSION
from tools.stack import Stack, running_stack

SHOWN_KEY = "delegate"
"""The run whose trace is shown: the one with a subagent."""

BACKENDS = ("otelcol", "jaeger", "prometheus")
ACCEPTED = "otelcol_receiver_accepted_spans"
"""The Collector's own count of the spans that it took."""

WIDTH = min(shutil.get_terminal_size((100, 24)).columns, 110)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="cronalytics-otel-demo-") as folder:
            return demo(Path(folder))
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is left running.", file=sys.stderr)
        return 128 + signal.SIGINT


def demo(folder: Path) -> int:
    begun = time.monotonic()
    heading("Setting up")
    hermes = hermes_with_plugin()
    with (
        FakeModel() as model,
        FaultyCollector() as sink,
        running_rotel(sink.endpoint, folder / "rotel.log") as rotel,
    ):
        home = HermesHome.make(
            folder / "home",
            hermes,
            model_url=model.url,
            plugins=[],
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.http_url},
        )
        fact("Hermes", f"{hermes.version}, with the wheel of {PLUGIN} in its environment")
        fact("model", f"{model.url}, answers by rote")
        fact("collector", f"rotel {ROTEL_VERSION}, {rotel.http_url}")
        with step(f"hermes plugins enable {PLUGIN}"):
            home.run("plugins", "enable", PLUGIN)
        with step("hermes cron create …  (13 jobs)"):
            jobs = Thirteen.create(home)

        heading("Running them through Hermes' scheduler")
        with step("hermes cron run …     (one by hand)"):
            home.run_job(jobs.job_ids["ok"])
        with step("hermes cron tick      (the twelve that are due)"):
            home.tick()
        with step(f"{PLUGIN} sync (what may be left)"):
            home.plugin("sync")

        heading(f"The runs: {PLUGIN} runs")
        show(home, "runs")

        ledger = {row["job_id"]: row["id"] for row in home.executions()}
        heading(f"One of them: {PLUGIN} trace {ledger[jobs.job_ids[SHOWN_KEY]]}")
        show(home, "trace", ledger[jobs.job_ids[SHOWN_KEY]])

        rotel.drain()
        heading("What the collector received")
        if not report(sink.spans, ledger, jobs.job_ids[SHOWN_KEY]):
            return 1

        heading("In a Collector, Jaeger and Prometheus")
        if not report_backends(folder, home, sink.spans, jobs.job_ids[SHOWN_KEY]):
            return 1
        print(f"\nAll {len(ledger)} runs of Hermes' ledger arrived, each once.", end=" ")
        print(f"It took {time.monotonic() - begun:.0f} s.")
    print("Everything is stopped, and the temporary home is deleted.")
    return 0


def report(spans: list[SpanDict], ledger: dict[str, str], shown_job: str) -> bool:
    """Print what came, and compare it with the ledger (execution by job); whether they agree."""
    for (kind, name), count in sorted(Counter(map(_sort_of, spans)).items()):
        print(f"  {count:>4}  {kind:<9} {name}")

    roots = [span for span in spans if span["parent_id"] is None]
    received = Counter(root["attributes"]["hermes.cron.run.id"] for root in roots)
    if received != Counter(ledger.values()):
        print(f"\nOf {len(ledger)} runs in Hermes' ledger, {received.total()} were received.")
        print("They do not agree: that is a defect.", file=sys.stderr)
        return False

    shown = root_of(shown_job, spans)
    print(f"\n  The root span of that run, {shown['name']!r}:")
    for name, value in sorted(shown["attributes"].items()):
        print(f"    {name:<36} {value}")
    return True


def report_backends(folder: Path, home: HermesHome, spans: list[SpanDict], shown_job: str) -> bool:
    """Send all runs to the backends that are on this machine, and compare; whether they agree."""
    programs = {name: found.path for name, found in found_programs().items() if name in BACKENDS}
    if missing := [name for name in BACKENDS if name not in programs]:
        print("  Not shown, because these are neither built (`make backends`) nor on the PATH:")
        print(f"  {', '.join(missing)}")
        return True
    with ExitStack() as servers:
        try:
            stack = servers.enter_context(running_stack(folder / "stack", programs))
        except AssertionError as error:  # one from the PATH may be too old
            print(f"  Not shown: {error}")
            return True
        return _compare_backends(stack, home, spans, shown_job)


def _compare_backends(
    stack: Stack, home: HermesHome, spans: list[SpanDict], shown_job: str
) -> bool:
    destinations = {"stack": {"endpoint": stack.collector.http_endpoint}}
    home.configure({"plugins": {"entries": {PLUGIN: {"destinations": destinations}}}})
    with step(f"{PLUGIN} sync (to a new destination)"):
        home.plugin("sync")
    trace_id = root_of(shown_job, spans)["trace_id"]
    cost_query = f"sum({last('run.cost')})"
    summary = json.loads(home.plugin("--json", "summary").stdout)
    compared = (
        (
            "Collector",
            "spans, as many as above",
            stack.collector.own_metric(ACCEPTED),
            len(spans),
        ),
        (
            "Jaeger",
            "spans in the trace of that run, as many as above",
            len(stack.jaeger.trace(trace_id)),
            sum(span["trace_id"] == trace_id for span in spans),
        ),
        (
            "Prometheus",
            f"US dollars for all runs, as in `{PLUGIN} summary`",
            round(sum(sample.value for sample in stack.prometheus.query(cost_query)), 6),
            round(summary["totals"]["cost_usd"], 6),
        ),
    )
    for name, what, found, expected in compared:
        print(
            f"  {name:<10} {found:>8g} {what if found == expected else f'instead of {expected:g}'}"
        )
    print(f"\n  The trace in Jaeger:    {stack.trace_url(trace_id)}")
    print(f"  The cost in Prometheus: {stack.query_url(cost_query)}")
    if sys.stdin.isatty() and sys.stdout.isatty():
        print("\n  These links work until you press Enter. ", end="", flush=True)
        sys.stdin.readline()
    if any(found != expected for _, _, found, expected in compared):
        print("\nThey do not agree: that is a defect.", file=sys.stderr)
        return False
    return True


def root_of(job_id: str, spans: list[SpanDict]) -> SpanDict:
    """The root span of the only run of a job."""
    (root,) = (
        span
        for span in spans
        if span["parent_id"] is None and span["attributes"]["hermes.cron.job.id"] == job_id
    )
    return root


def _sort_of(span: SpanDict) -> tuple[str, str]:
    """Kind and name of a span; all runs are of one sort."""
    name = "cron {job name}" if span["parent_id"] is None else span["name"]
    return span["kind"], name


def show(home: HermesHome, *arguments: str) -> None:
    """Let a command of ours print to this terminal, in its width and colours."""
    environment = home.environ({"COLUMNS": str(WIDTH)})
    environment |= {
        name: os.environ[name] for name in ("TERM", "NO_COLOR", "FORCE_COLOR") if name in os.environ
    }
    sys.stdout.flush()
    subprocess.run([home.hermes.bin / PLUGIN, *arguments], env=environment, check=True, timeout=60)


def heading(text: str) -> None:
    print(f"\n== {text} ".ljust(WIDTH, "="), flush=True)


def fact(name: str, value: str) -> None:
    print(f"  {name:<10} {value}", flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    print(f"  {text:<52}", end="", flush=True)
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:5.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
