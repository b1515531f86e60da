"""Final runs, as the harvest writes them and asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model import OUTPUT_ID, Resource, Run
from . import run_rows
from .database import Connection
from .figures import Figures
from .notices import Notices
from .outbox import Outbox
from .resources import Resources

_IDS_PER_QUERY = 500

MAX_RUN_NS = 7 * 86_400 * 1_000_000_000
"""The longest time that a run can have taken, when runs are looked up by their end."""

_COLUMN_NAMES = ("id", "resource_id", *run_rows.COLUMN_NAMES)


class Runs:
    """The table of runs. A row is never changed."""

    def __init__(
        self,
        connection: Connection,
        resources: Resources,
        outbox: Outbox,
        figures: Figures,
        notices: Notices,
    ) -> None:
        self._connection = connection
        self._resources = resources
        self._outbox = outbox
        self._figures = figures
        self._notices = notices
        self.resource_factory: Callable[[], Resource] | None = None
        """Returns the resource that runs become final with in this process. It is called when there are
        runs. Without it, their resource is unknown."""

    def add(self, runs: Sequence[Run], now_ns: int) -> None:
        """Make runs final, add them to the figures, put them in every destination's outbox, and write
        what is told of them; call it in `atomic()`.

        Raises `JournalError` when one of them is final already: a run becomes final once.
        """
        if not runs:
            return
        (last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
        factory = self.resource_factory
        resource_id = self._resources.id_of(factory()) if factory is not None else None
        self._insert(
            [
                (last + n, resource_id, *run_rows.run_to_row(run))
                for n, run in enumerate(runs, start=1)
            ]
        )
        self._figures.add(last)
        self._outbox.enqueue(now_ns)
        self._notices.enqueue(now_ns)

    def _insert(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows of `_COLUMN_NAMES`.

        A column that is unknown in all of them is left out: sqlite3 takes ten times as long to bind a None
        as to bind a text.
        """
        known = [
            (name, values)
            for name, values in zip(_COLUMN_NAMES, zip(*rows, strict=True), strict=True)
            if any(value is not None for value in values)
        ]
        names = ", ".join(name for name, _ in known)
        self._connection.executemany(
            f"INSERT INTO run ({names}) VALUES ({', '.join('?' * len(known))})",  # noqa: S608 - our own names
            zip(*(values for _, values in known), strict=True),
        )

    def known_executions(self, execution_ids: Sequence[str]) -> set[str]:
        """Return those of these executions whose runs are final already."""
        return self._known("SELECT execution_id FROM run WHERE execution_id IN ", execution_ids)

    def known_sessions(self, session_ids: Sequence[str]) -> set[str]:
        """Return those of these sessions whose runs are final already."""
        return self._known("SELECT session_id FROM run WHERE session_id IN ", session_ids)

    def _known(self, query: str, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(ids), _IDS_PER_QUERY):
            chunk = ids[start : start + _IDS_PER_QUERY]
            rows = self._connection.execute(f"{query}({','.join('?' * len(chunk))})", chunk)
            found.update(row[0] for row in rows)
        return found

    def session_run_between(self, job_id: str, from_ns: int, to_ns: int) -> bool:
        """Return whether a run that is known by its session alone began in this time."""
        row = self._connection.execute(
            "SELECT 1 FROM run WHERE job_id = ? AND started_ns BETWEEN ? AND ? "
            "AND execution_id IS NULL",
            (job_id, from_ns, to_ns),
        ).fetchone()
        return row is not None

    def execution_run_around(self, job_id: str, at_ns: int) -> bool:
        """Return whether a run that is known by its execution alone was going on at this time."""
        row = self._connection.execute(
            "SELECT ended_ns FROM run WHERE job_id = ? AND started_ns <= ? AND session_id IS NULL "
            "AND outcome != 'missed' ORDER BY started_ns DESC LIMIT 1",
            (job_id, at_ns),
        ).fetchone()
        return row is not None and row[0] >= at_ns

    def recorded_ends(self, job_id: str, from_ns: int, to_ns: int) -> list[int]:
        """Return when the job's runs with a session or an execution ended, oldest first: those that
        were going on in this time."""
        rows = self._connection.execute(
            "SELECT ended_ns FROM run WHERE job_id = ? AND started_ns BETWEEN ? AND ? "
            "AND ended_ns >= ? "
            "AND (session_id IS NOT NULL OR substr(execution_id, 1, ?) <> ?) ORDER BY ended_ns",
            (job_id, from_ns - MAX_RUN_NS, to_ns, from_ns, len(OUTPUT_ID), OUTPUT_ID),
        )
        return [int(ended_ns) for (ended_ns,) in rows]

    def previous_times(self, job_id: str, before_ns: int) -> tuple[int, int] | None:
        """Return start and end of the job's run that began last before this time.

        For an abandoned run the end is its claim: from there the host counts on.
        """
        row = self._connection.execute(
            "SELECT started_ns, CASE outcome WHEN 'abandoned' THEN coalesce(claimed_ns, started_ns) "
            "ELSE ended_ns END FROM run WHERE job_id = ? AND started_ns < ? AND outcome != 'missed' "
            "ORDER BY started_ns DESC LIMIT 1",
            (job_id, before_ns),
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))
