"""One history by our figures and by Cronalytics' formulas: docs/projections.md shows and explains each difference.

`make docs` writes the tables anew.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import time_machine

from cronalytics_otel.cli import main
from tests.support.comparison import OF_JOBS, REASONS, job_pairs, render
from tests.support.one_history import NOW, build
from tests.support.snapshots import UPDATE

DOCUMENT = Path(__file__).parents[2] / "docs" / "projections.md"
BEGIN, END = "<!-- computed: begin, `make docs` -->\n", "<!-- computed: end -->"


class History:
    """The home, and what our command line answers on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids = build(path)
        self.summary = self._answer("summary")
        self.jobs = self._answer("jobs")

    def _answer(self, command: str) -> Any:
        out = io.StringIO()
        with time_machine.travel(NOW.timestamp(), tick=False), contextlib.redirect_stdout(out):
            assert main([command, "--home", str(self.path), "--json"]) == 0
        return json.loads(out.getvalue())


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return History(tmp_path_factory.mktemp("history") / "home")


def test_the_document_shows_what_both_make_of_the_history(history: History) -> None:
    computed = render(history.path, history.ids, history.summary, history.jobs)
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    shown, _, after = rest.partition(END)
    if os.environ.get(UPDATE):
        DOCUMENT.write_text(f"{before}{BEGIN}\n{computed}\n{END}{after}", encoding="utf-8")
        return

    assert shown.strip() == computed.strip()


def test_a_job_without_edges_is_the_same_by_both_but_for_the_clocks_and_the_start_up(
    history: History,
) -> None:
    """It is scheduled, old enough, priced, successful, and was never run by hand."""
    pairs = job_pairs(history.path, history.ids, history.jobs)["daily, two skills"]

    assert {figure for figure, (their, our) in pairs.items() if their != our} == {
        "mean time", "due in 365 days", "kept",
    }  # fmt: skip


def test_every_reason_is_one_sentence_and_is_used() -> None:
    used = {letter for cells in OF_JOBS.values() for letter in cells.values()} | {"a", "r"}

    assert used == set(REASONS)
    assert [
        text for text in REASONS.values() if not re.fullmatch(r"[A-Z][^.]*(\.json[^.]*)?\.", text)
    ] == []
