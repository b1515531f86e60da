"""What the command line asks of the journal."""

from __future__ import annotations

from dataclasses import dataclass

from ..model import Mode, Outcome, Run
from . import records
from .database import Connection

_SECOND_NS = 1_000_000_000
_OVERLAPPING = 8
"""Runs of a job at a time, at most; the host starts no second one itself."""
_COLUMNS = ", ".join(records.RUN_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """`job` is an id or a name; `since_ns` bounds the end; None means any."""

    job: str | None = None
    since_ns: int | None = None
    outcomes: frozenset[Outcome] | None = None
    mode: Mode | None = None
    limit: int | None = None


class Queries:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # SQLite's own NOCASE knows ASCII alone.
        connection.create_function("casefold", 1, str.casefold, deterministic=True)

    def runs(self, wanted: RunFilter) -> list[Run]:
        """Newest end first."""
        clauses, values = ["1"], list[object]()
        if wanted.job is not None:
            clauses.append("(job_id = ? OR casefold(job_name) = ?)")
            values += [wanted.job, wanted.job.casefold()]
        if wanted.since_ns is not None:
            clauses.append("ended_ns >= ?")
            values.append(wanted.since_ns)
        if wanted.outcomes is not None:
            clauses.append(f"outcome IN ({','.join('?' * len(wanted.outcomes))})")
            values += sorted(wanted.outcomes)
        if wanted.mode is not None:
            clauses.append("mode = ?")
            values.append(wanted.mode)
        values.append(-1 if wanted.limit is None else wanted.limit)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE {' AND '.join(clauses)} "  # noqa: S608
            "ORDER BY ended_ns DESC, id DESC LIMIT ?",
            values,
        )
        return [records.run_from_row(row) for row in rows]

    def find(self, reference: str) -> list[Run]:
        """The runs meant by an execution or session id, or the beginning of one (at most ten)."""
        high = reference + "\U0010ffff"
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE execution_id BETWEEN ? AND ? "  # noqa: S608
            f"UNION SELECT {_COLUMNS} FROM run WHERE session_id BETWEEN ? AND ? LIMIT 10",
            (reference, high, reference, high),
        )
        return [records.run_from_row(row) for row in rows]

    def latest_of(self, job: str) -> Run | None:
        """The newest run of the job with this id or name."""
        found = self.runs(RunFilter(job=job, limit=1))
        return found[0] if found else None

    def previous(self, run: Run) -> Run | None:
        """The job's run that began last before this one; a missed one never began."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE job_id = ? AND started_ns < ? "  # noqa: S608
            "AND outcome != 'missed' ORDER BY started_ns DESC LIMIT 1",
            (run.job_id, run.started_ns),
        ).fetchone()
        return None if row is None else records.run_from_row(row)

    def sources(self, run: Run) -> list[Run]:
        """The runs whose outputs this one was given, those that are known.

        An output is saved within its run, and stamped in whole seconds. A job's runs may overlap.
        """
        found: list[Run] = []
        for feed in run.fed_by:
            row = self._connection.execute(
                f"SELECT * FROM (SELECT {_COLUMNS} FROM run WHERE job_id = ? AND started_ns < ? "  # noqa: S608
                "ORDER BY started_ns DESC LIMIT ?) WHERE ended_ns >= ? ORDER BY ended_ns LIMIT 1",
                (feed.job_id, feed.saved_ns + _SECOND_NS, _OVERLAPPING, feed.saved_ns),
            ).fetchone()
            if row is not None:
                found.append(records.run_from_row(row))
        return found

    def following(self, run: Run) -> Run | None:
        """The job's first run that began after this one's end."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE job_id = ? AND started_ns > ? "  # noqa: S608
            "AND outcome != 'missed' ORDER BY started_ns LIMIT 1",
            (run.job_id, run.ended_ns),
        ).fetchone()
        return None if row is None else records.run_from_row(row)

    def totals(self) -> tuple[int, int | None, int | None]:
        """Runs known, and when the oldest and the newest of them ended."""
        count, oldest, newest = self._connection.execute(
            "SELECT count(*), min(ended_ns), max(ended_ns) FROM run"
        ).fetchone()
        return count, oldest, newest

    def open_count(self) -> int:
        """Rows of the host that we wait for: running, or not yet final."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM open_run WHERE kind = 'execution'"
        ).fetchone()
        return int(count)
