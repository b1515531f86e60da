"""The Grafana dashboards: one module for each board, and what they share.

`style` has the colours, `panels` the kinds of panels, `board` how a board is laid out and written.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import fleet, job, models, pipeline
from .board import text_of


def generate() -> Mapping[str, str]:
    """Return the JSON of each dashboard by its path in `collector/`."""
    boards = {"fleet": fleet, "job": job, "models": models, "pipeline": pipeline}
    return {
        f"grafana/dashboards/{name}.json": text_of(module.board())
        for name, module in boards.items()
    }
