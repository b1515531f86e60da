"""promtool reads our rules and alerts, and its unit tests of each alert pass."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from collector.generate.alerts import ALERTS
from tests.support.go_programs import promtool_program

pytestmark = pytest.mark.usefixtures("prometheus_programs")

COLLECTOR = Path(__file__).parents[2] / "collector"


def promtool(*arguments: str | Path) -> str:
    """What promtool prints, and its exit status in front."""
    done = subprocess.run([promtool_program(), *arguments], capture_output=True, text=True)
    return f"{done.returncode} {done.stdout}{done.stderr}"


def test_promtool_reads_the_rules_and_finds_no_fault() -> None:
    files = [*COLLECTOR.glob("rules/*.yml"), *COLLECTOR.glob("alerts/*.yml")]

    assert len(files) == 2
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", *files).startswith("0 ")


@pytest.mark.parametrize("alert", [alert.name for alert in ALERTS])
def test_an_alert_fires_when_it_must_and_is_quiet_when_it_must(alert: str) -> None:
    report = promtool("test", "rules", COLLECTOR / "alerts" / "tests" / f"{alert}.yml")

    assert report.startswith("0 "), report
