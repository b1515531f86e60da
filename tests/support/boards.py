"""The committed Grafana dashboards, and what their panels ask.

for question in questions(read_board("fleet")):
    server.query(filled_in(question.expr, window="7d"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRAFANA = Path(__file__).parents[2] / "collector" / "grafana"
NAMES = ("fleet", "job", "models", "pipeline")

_VARIABLE = re.compile(r"\$(__)?[a-z]+\b")
_LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query of a panel or of a variable."""

    board: str
    panel: str
    ref: str
    expr: str
    over_time: bool
    """Whether it is asked at each step of the time range, not only at its end."""
    exemplars: bool = False

    def __str__(self) -> str:
        return f"{self.board}: {self.panel} ({self.ref})"


def read_board(name: str) -> dict[str, Any]:
    board: dict[str, Any] = json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text())
    return board


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels, without the rows that are only headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def questions(name: str) -> Iterator[Question]:
    """All PromQL of a board."""
    board = read_board(name)
    for panel in panels(board):
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                yield Question(
                    board=name,
                    panel=panel["title"],
                    ref=target["refId"],
                    expr=target["expr"],
                    over_time=target["range"],
                    exemplars=target.get("exemplar", False),
                )
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Question(
                board=name,
                panel=f"variable {variable['name']}",
                ref="-",
                expr=_as_promql(variable["query"]["query"]),
                over_time=False,
            )


def traceql(name: str) -> list[str]:
    """All TraceQL of a board."""
    return [
        target["query"]
        for panel in panels(read_board(name))
        for target in panel["targets"]
        if target["datasource"]["type"] == "tempo"
    ]


def filled_in(
    text: str,
    *,
    profile: str = ".*",
    job: str = "",
    model: str = ".*",
    window: str = "7d",
    interval: str = "1h",
) -> str:
    """The text with the values of the variables. Raises KeyError for a variable that no board has."""
    values = {
        "$profile": profile,
        "$job": job,
        "$model": model,
        "$window": window,
        "$__interval": interval,
    }
    return _VARIABLE.sub(lambda found: values[found[0]], text)


def variables_in(text: str) -> set[str]:
    """The variables that a text uses, without those that Grafana always has."""
    return {found[0][1:] for found in _VARIABLE.finditer(text) if found[1] is None}


def _as_promql(query: str) -> str:
    """What a variable's query comes to in PromQL."""
    if found := _LABEL_VALUES.fullmatch(query):
        return f"count by ({found[2]}) ({found[1]})"
    return query.removeprefix("query_result(").removesuffix(")")
