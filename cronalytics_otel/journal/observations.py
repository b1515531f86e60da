"""Observations of hooks: they stay while a destination lacks their run, and for a while after."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..model import ApiError, ModelCall, Observation, Observations, ToolResult
from . import documents
from .database import Connection
from .facts import OBSERVATIONS_LOST, Facts

OBSERVATIONS_KEPT = 50_000
"""How many observations of runs that are sent are kept for `trace`, the newest: some 15 MB."""

_IDS_PER_QUERY = 500

_TYPES: Final[Mapping[str, type[Observation]]] = {
    "call": ModelCall,
    "error": ApiError,
    "tool": ToolResult,
}
_KINDS: Final = {cls: kind for kind, cls in _TYPES.items()}


def observation_to_json(observation: Observation) -> str:
    """Return the JSON of an observation, without what is unknown."""
    kind = {"kind": _KINDS[type(observation)]}
    return json.dumps(kind | documents.to_values(observation))


def observation_from_json(text: str) -> Observation | None:
    """Return the observation of a JSON text; None for a kind that only another version knows."""
    values = json.loads(text)
    cls = _TYPES.get(values["kind"])
    return None if cls is None else documents.from_values(cls, values)


class ObservationTable:
    """The table of observations."""

    def __init__(self, connection: Connection, facts: Facts) -> None:
        self._connection = connection
        self._facts = facts

    def add(self, observations: Iterable[tuple[str, str, Observation]], lost: int) -> None:
        """Store observations, each with the run's session and its own session.

        `lost` is how many more there were that could not be kept.
        """
        with self._connection.atomic():
            self._connection.executemany(
                "INSERT INTO observation (root_id, session_id, data) VALUES (?, ?, ?)",
                (
                    (root_id, session_id, observation_to_json(observation))
                    for root_id, session_id, observation in observations
                ),
            )
            if lost:
                self._facts.set(OBSERVATIONS_LOST, self._facts.get(OBSERVATIONS_LOST) + lost)
            self._forget_old()

    def of(self, root_ids: Sequence[str]) -> dict[str, Observations]:
        """Return by session the observations of these runs and of all their subagents."""
        found: dict[str, list[Observation]] = {}
        for start in range(0, len(root_ids), _IDS_PER_QUERY):
            chunk = root_ids[start : start + _IDS_PER_QUERY]
            rows = self._connection.execute(
                "SELECT session_id, data FROM observation WHERE root_id IN "  # noqa: S608
                f"({','.join('?' * len(chunk))}) ORDER BY id",
                chunk,
            )
            for session_id, data in rows:
                observation = observation_from_json(data)
                if observation is not None:
                    found.setdefault(session_id, []).append(observation)
        return {session_id: _grouped(group) for session_id, group in found.items()}

    def _forget_old(self) -> None:
        """Delete the oldest, unless a destination still lacks their run."""
        self._connection.execute(
            "DELETE FROM observation WHERE id <= (SELECT max(id) FROM observation) - ? AND NOT EXISTS "
            "(SELECT 1 FROM run r JOIN destination d JOIN outbox o ON o.destination_id = d.id "
            "AND o.ended_ns = r.ended_ns AND o.run_id = r.id WHERE r.session_id = observation.root_id)",
            (OBSERVATIONS_KEPT,),
        )


def _grouped(observations: Sequence[Observation]) -> Observations:
    return Observations(
        attempts=tuple(o for o in observations if isinstance(o, (ModelCall, ApiError))),
        tools=tuple(o for o in observations if isinstance(o, ToolResult)),
    )
