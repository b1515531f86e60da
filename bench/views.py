"""The commands that answer from the journal, beside a command that does nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.lines import Bench, Line
from bench.timing import paired, run_process
from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import sync
from tests.support.large_homes import Size, large_home

CHECKOUT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-c", "from cronalytics_otel.cli import main; raise SystemExit(main())"]


def lines(bench: Bench) -> Iterator[Line]:
    """Wall time of the whole command; there is no bar for it."""

    def make(path: Path) -> None:
        bench.say(f"syncing {bench.runs:,} runs, once")
        home = Home(large_home(Size(runs=bench.runs)).borrow(path))
        sync(home, load_settings(path, {"OTEL_SDK_DISABLED": "true"}))

    path = bench.once(f"viewable-{bench.runs}", make)
    environment = os.environ | {"HERMES_HOME": str(path), "PYTHONPATH": str(CHECKOUT)}
    listed = subprocess.run(
        [*COMMAND, "runs", "--limit", "1", "--json"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    run_id = _first_id(listed.stdout)
    commands = {
        "runs": ["runs"],
        "runs --outcome failure --days 365": ["runs", "--outcome", "failure", "--days", "365"],
        "trace RUN": ["trace", run_id],
        "status": ["status"],
    }
    for name, arguments in commands.items():
        pair = paired(
            partial(_took_s, [*COMMAND, *arguments], environment, bench.folder),
            partial(_took_s, [*COMMAND, "--help"], environment, bench.folder),
            pairs=3 if bench.quick else 9,
        )
        yield Line(
            name=f"{name}: {bench.runs:,} runs",
            measured=f"{pair.measured * 1e3:.0f} ms",
            floor=f"{pair.floor * 1e3:.0f} ms (--help)",
            ratio=f"{pair.ratio:.2f}",
        )


def _took_s(command: list[str], environment: dict[str, str], folder: Path) -> float:
    return run_process(command, environment, folder).wall_s


def _first_id(text: str) -> str:
    listed = json.loads(text)
    runs = listed["runs"] if isinstance(listed, dict) else listed
    return str(runs[0]["run_id"])
