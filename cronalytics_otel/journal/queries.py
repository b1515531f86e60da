"""Questions about runs: which ones match a filter or a reference, and which come before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from os.path import commonprefix
from typing import NamedTuple

from ..model import Run, RunKey
from . import run_rows
from .database import Connection
from .figures import COST_OF_RUN, DURATION_OF_RUN
from .filters import RunFilter, run_conditions
from .open_rows import OpenKind

_SECOND_NS = 1_000_000_000
_MAX_OVERLAPPING = 8
"""The most runs of one job that go on at the same time. The host itself starts no second one."""
MAX_FOUND = 10
"""The most runs that `Queries.find` returns."""
_RUNS_PER_QUERY = 400
"""Runs in one statement: each takes two parameters, of the 999 that an old SQLite allows."""
_RUNS_PER_PAGE = 500
_COLUMNS = ", ".join(run_rows.COLUMN_NAMES)


class Totals(NamedTuple):
    """How many runs are known, and when the oldest and the newest of them ended."""

    runs: int
    oldest_ns: int | None
    newest_ns: int | None


class RunOrder(StrEnum):
    """By what runs are ordered: the greatest first, unknown last."""

    ENDED = "ended"
    COST = "cost"
    DURATION = "duration"
    TOKENS = "tokens"
    LATENESS = "lateness"


_NEWEST = "ended_ns DESC, id DESC"
_ORDERS = {
    RunOrder.ENDED: _NEWEST,
    RunOrder.COST: f"{COST_OF_RUN} DESC, {_NEWEST}",
    RunOrder.DURATION: f"{DURATION_OF_RUN} DESC, {_NEWEST}",
    RunOrder.TOKENS: f"input_tokens + output_tokens DESC, {_NEWEST}",
    RunOrder.LATENESS: f"started_ns - scheduled_ns DESC, {_NEWEST}",
}


class Queries:
    """Questions to the table of runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # SQLite's own NOCASE covers ASCII only.
        connection.create_function("casefold", 1, str.casefold, deterministic=True)

    def runs(self, wanted: RunFilter) -> list[Run]:
        """Return the runs that pass every part of the filter, newest end first."""
        return list(self.in_order(wanted))

    def in_order(self, wanted: RunFilter, order: RunOrder = RunOrder.ENDED) -> Iterator[Run]:
        """Yield the runs that pass every part of the filter, the greatest first; one at a time in memory."""
        clauses, values = run_conditions(wanted)
        values.append(-1 if wanted.limit is None else wanted.limit)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE {' AND '.join(clauses)} "  # noqa: S608
            f"ORDER BY {_ORDERS[order]} LIMIT ?",
            values,
        )
        return map(run_rows.run_from_row, rows)

    def called_models(self) -> set[str]:
        """Return every model that was called, without a look at the runs."""
        rows = self._connection.execute("SELECT DISTINCT model FROM usage_group WHERE model <> ''")
        return {model for (model,) in rows.fetchall()}

    def has_run_of(self, model: str) -> bool:
        """Return whether a run had this model as its main one, also if it never called it. It looks at every
        run."""
        row = self._connection.execute("SELECT 1 FROM run WHERE model = ? LIMIT 1", [model])
        return row.fetchone() is not None

    def skills_of_runs(self) -> set[str]:
        """Return every skill that the job of a run had. It looks at every run."""
        rows = self._connection.execute(
            "SELECT DISTINCT value FROM (SELECT DISTINCT skills FROM run), json_each(skills)"
        )
        return {skill for (skill,) in rows.fetchall()}

    def run_keys(self, since_ns: int = 0) -> Iterator[RunKey]:
        """Yield the keys of the runs that ended since then, newest end first."""
        rows = self._connection.execute(
            "SELECT profile, coalesce(nullif(session_id, ''), execution_id, '') FROM run "
            "WHERE ended_ns >= ? ORDER BY ended_ns DESC",
            [since_ns],
        )
        return (RunKey(*row) for row in rows)

    def each(self, wanted: RunFilter) -> Iterator[Run]:
        """Yield the runs that pass every part of the filter, oldest end first, without its limit.

        It holds some hundred runs in memory, and reads no further while the caller is not ready: nothing is
        locked meanwhile.
        """
        # The earliest end is where the first page begins: as a condition it would be where each one begins.
        clauses, values = run_conditions(replace(wanted, since_ns=None))
        after = (-(2**63) if wanted.since_ns is None else wanted.since_ns, -1)
        query = (
            f"SELECT id, {_COLUMNS} FROM run INDEXED BY run_by_end "  # noqa: S608
            f"WHERE {' AND '.join(clauses)} AND (ended_ns, id) > (?, ?) "
            f"ORDER BY ended_ns, id LIMIT {_RUNS_PER_PAGE}"
        )
        while rows := self._connection.execute(query, (*values, *after)).fetchall():
            for row in rows:
                run = run_rows.run_from_row(row[1:])
                yield run
            after = (run.ended_ns, rows[-1][0])

    def of_key(self, key: RunKey) -> Run | None:
        """Return the run with this key."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE session_id = ?1 "  # noqa: S608
            f"UNION ALL SELECT {_COLUMNS} FROM run WHERE execution_id = ?1 LIMIT 1",
            (key.identity,),
        ).fetchone()
        return None if row is None else run_rows.run_from_row(row)

    def find(self, reference: str) -> list[Run]:
        """Return the newest runs whose execution or session id begins with the reference, at most `MAX_FOUND`."""
        high = reference + "\U0010ffff"
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE execution_id BETWEEN ? AND ? "  # noqa: S608
            f"UNION SELECT {_COLUMNS} FROM run WHERE session_id BETWEEN ? AND ? "
            "ORDER BY ended_ns DESC LIMIT ?",
            (reference, high, reference, high, MAX_FOUND),
        )
        return [run_rows.run_from_row(row) for row in rows]

    def shared_chars(self, execution_id: str) -> int:
        """Return how many first characters this id shares with another execution or session id."""
        rows = self._connection.execute(
            "SELECT max(execution_id) FROM run WHERE execution_id < ?1 "
            "UNION ALL SELECT min(execution_id) FROM run WHERE execution_id > ?1 "
            "UNION ALL SELECT max(session_id) FROM run WHERE session_id < ?1 "
            "UNION ALL SELECT min(session_id) FROM run WHERE session_id > ?1",
            (execution_id,),
        ).fetchall()
        neighbours = [other for (other,) in rows if other is not None]
        return max(
            (len(commonprefix((execution_id, other))) for other in neighbours),  # noqa: RUF071 - no paths
            default=0,
        )

    def latest_of(self, job: str) -> Run | None:
        """Return the newest run of the job with this id or name."""
        found = self.runs(RunFilter(job=job, limit=1))
        return found[0] if found else None

    def previous(self, run: Run) -> Run | None:
        """Return the job's run that began last before this one. A missed run never began."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE job_id = ? AND started_ns < ? "  # noqa: S608
            "AND outcome != 'missed' ORDER BY started_ns DESC LIMIT 1",
            (run.job_id, run.started_ns),
        ).fetchone()
        return None if row is None else run_rows.run_from_row(row)

    def previous_keys(self, runs: Sequence[Run]) -> dict[tuple[str, int], RunKey]:
        """Return the keys of the runs that `previous` would find, by job id and start of the later run."""
        found: dict[tuple[str, int], RunKey] = {}
        for start in range(0, len(runs), _RUNS_PER_QUERY):
            chunk = runs[start : start + _RUNS_PER_QUERY]
            rows = self._connection.execute(
                "WITH later(job_id, started_ns) AS (VALUES "  # noqa: S608
                f"{','.join(['(?, ?)'] * len(chunk))}) "
                "SELECT later.job_id, later.started_ns, profile, "
                "coalesce(nullif(session_id, ''), execution_id, '') FROM later JOIN run ON run.id = ("
                "SELECT id FROM run WHERE job_id = later.job_id AND started_ns < later.started_ns "
                "AND outcome != 'missed' ORDER BY started_ns DESC LIMIT 1)",
                [value for run in chunk for value in (run.job_id, run.started_ns)],
            ).fetchall()
            for job_id, started_ns, profile, identity in rows:
                found[job_id, started_ns] = RunKey(profile, identity)
        return found

    def context_runs(self, run: Run) -> list[Run]:
        """Return the runs whose outputs this run was given as context, as far as they are known.

        An output is saved before its run ends, and its time is in whole seconds. The runs of a job
        may overlap.
        """
        found: list[Run] = []
        for feed in run.fed_by:
            row = self._connection.execute(
                f"SELECT * FROM (SELECT {_COLUMNS} FROM run WHERE job_id = ? AND started_ns < ? "  # noqa: S608
                "ORDER BY started_ns DESC LIMIT ?) WHERE ended_ns >= ? ORDER BY ended_ns LIMIT 1",
                (feed.job_id, feed.saved_ns + _SECOND_NS, _MAX_OVERLAPPING, feed.saved_ns),
            ).fetchone()
            if row is not None:
                found.append(run_rows.run_from_row(row))
        return found

    def following(self, run: Run) -> Run | None:
        """Return the job's run that began first after this one's end."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE job_id = ? AND started_ns > ? "  # noqa: S608
            "AND outcome != 'missed' ORDER BY started_ns LIMIT 1",
            (run.job_id, run.ended_ns),
        ).fetchone()
        return None if row is None else run_rows.run_from_row(row)

    def newest_after(self, run_id: int, limit: int) -> list[Run]:
        """Return the runs that became final after the one with this id, the newest of them first."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE id > ? ORDER BY id DESC LIMIT ?",  # noqa: S608
            (run_id, limit),
        ).fetchall()
        return [run_rows.run_from_row(row) for row in rows]

    def count(self, wanted: RunFilter) -> int:
        """Return how many runs that match are there, without its limit: it walks through them."""
        clauses, values = run_conditions(wanted)
        (count,) = self._connection.execute(
            f"SELECT count(*) FROM run WHERE {' AND '.join(clauses)}",  # noqa: S608
            values,
        ).fetchone()
        return int(count)

    def totals(self) -> Totals:
        # In one SELECT together, SQLite would walk through all runs for each of the three.
        count, oldest, newest = self._connection.execute(
            "SELECT (SELECT count(*) FROM run), (SELECT min(ended_ns) FROM run), "
            "(SELECT max(ended_ns) FROM run)"
        ).fetchone()
        return Totals(count, oldest, newest)

    def open_count(self) -> int:
        """Return how many executions of the host are not final yet."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM open_row WHERE kind = ?", (OpenKind.EXECUTION,)
        ).fetchone()
        return int(count)
