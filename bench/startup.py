"""What a start of the host costs with the plugin: the import, `register`, and an idle tick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.hosts import Host, hermes, with_history
from bench.lines import Bench, Line
from bench.sinks import Behaviour, sink
from bench.timing import paired, run_process

IMPORT = """
import sys, time
import hermes_cli.main, hermes_cli.plugins

class Context:
    profile_name = "default"
    def register_hook(self, *_, **__): pass
    def register_cli_command(self, *_, **__): pass

sys.argv = ["hermes", "cron", "tick"]
began = time.perf_counter()
import {module} as plugin
plugin.register(Context())
took_s = time.perf_counter() - began
with open("took", "w") as file:
    file.write(str(took_s))
import os
os._exit(0)
"""


def imported(bench: Bench) -> Iterator[Line]:
    """Import and `register`, in a process that has imported what the host itself imports."""
    folder = bench.folder / "import"
    folder.mkdir()
    (folder / "plugin_that_does_nothing.py").write_text("def register(ctx): pass\n")
    environment = {"HERMES_HOME": str(folder), "HOME": str(folder), "PYTHONPATH": str(folder)}

    def took_s(module: str) -> float:
        script = IMPORT.format(module=module)
        run_process([hermes().python, "-c", script], environment, folder)
        return float((folder / "took").read_text())

    pair = paired(
        partial(took_s, "cronalytics_otel"),
        partial(took_s, "plugin_that_does_nothing"),
        pairs=5 if bench.quick else 15,
    )
    yield Line(
        name="import and register()",
        measured=f"{pair.measured * 1e3:.1f} ms",
        floor=f"{pair.floor * 1e3:.1f} ms (empty plugin)",
        ratio="-",
        bar="<= 10 ms",
        met=pair.measured <= 0.010,
    )


def idle_tick(bench: Bench) -> Iterator[Line]:
    """`hermes cron tick` with nothing due, in a home with a long history."""
    behaviours: tuple[Behaviour, ...] = ("up", "refusing")
    plain = with_history(bench, "idle-plain", bench.runs, with_plugin=False)
    for behaviour in behaviours:
        with ExitStack() as stack:
            url = stack.enter_context(sink(behaviour))
            ours = with_history(
                bench,
                f"idle-{behaviour}",
                bench.runs,
                with_plugin=True,
                environment={"OTEL_EXPORTER_OTLP_ENDPOINT": url},
            )
            pair = paired(
                partial(_tick_s, ours),
                partial(_tick_s, plain),
                pairs=10 if bench.quick else 40,
                warm_up=2,
            )
        yield Line(
            name=f"idle tick, {bench.runs:,} runs, collector {behaviour}",
            measured=f"{pair.measured * 1e3:.0f} ms",
            floor=f"{pair.floor * 1e3:.0f} ms (no plugin)",
            ratio=f"{pair.ratio:.3f}",
            bar="<= 1.03",
            met=pair.ratio <= 1.03,
        )


def _tick_s(host: Host) -> float:
    return host.tick().wall_s
