"""What docs/scale.md says without measuring: its arithmetic, and the configuration that it shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from cronalytics_otel.domain.series import BOUNDS
from cronalytics_otel.model.series import SeriesKind
from tests.support.collector_configs import ANY_BACKEND, GATEWAY, surroundings
from tests.support.go_programs import otelcol_program
from tests.support.venvs import CHECKOUT

PAGE = (CHECKOUT / "docs/scale.md").read_text()
TELEMETRY = (CHECKOUT / "docs/telemetry.md").read_text()


def test_a_job_has_so_many_series_as_the_formula_says() -> None:
    """A histogram is one point of OTLP, and in Prometheus its buckets, `+Inf`, the sum and the count."""
    duration, lateness = (
        len(BOUNDS[kind]) + 3 for kind in (SeriesKind.DURATION, SeriesKind.LATENESS)
    )
    histograms = 2 * duration + lateness  # durations of runs that failed, and of those that did not
    points = int(re.findall(r"J x \((\d+) \+ E \+ D \+ 4 M\)", TELEMETRY)[0])

    assert f"three histograms of a job are {histograms} series" in PAGE
    assert f"J ({points} + E + D + 4 M) |" in PAGE
    assert f"J ({points - 3 + histograms} + E + D + 4 M):" in PAGE


def test_the_filter_of_the_page_is_one_that_the_collector_takes(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(snippet)
    around = surroundings(GATEWAY, tmp_path, backend="http://127.0.0.1:1")
    files = [f"--config={path}" for path in (GATEWAY, ANY_BACKEND, fleet)]

    done = subprocess.run(
        [otelcol_program(), "validate", *files],
        env=dict(around.environment),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
