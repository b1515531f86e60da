"""The journal as the harvest writes it: job definitions, open rows, final runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from ..model import OUTPUT_ID, ApiError, Job, ModelCall, Observation, Observations, Run, ToolResult
from . import records
from .database import Repair, open_database, open_for_reading
from .outbox import Outbox
from .queries import Queries

_BATCH = 500
_DUES_KEPT = 100
_LONGEST_RUN_NS = 7 * 86_400 * 1_000_000_000
"""How far back a run may have begun that is looked for by its end."""

OBSERVATIONS_KEPT = 50_000
"""What hooks told of runs that are sent, for `trace`: some 15 MB, the newest."""

_INSERT_RUN = (
    f"INSERT INTO run (id, {', '.join(records.RUN_COLUMNS)}) "  # noqa: S608 - our own constant
    f"VALUES ({', '.join('?' * (len(records.RUN_COLUMNS) + 1))})"
)


class Journal:
    """One open journal. Every method may raise `JournalError`, and then nothing was written."""

    def __init__(self, connection: sqlite3.Connection, repair: Repair | None) -> None:
        self._connection = connection
        self.repair = repair
        """Set when a damaged file was moved aside to make this one."""
        self.outbox = Outbox(connection)
        self.queries = Queries(connection)
        self._depth = 0

    @classmethod
    def open(cls, path: Path, *, mend: bool = True) -> Self:
        """`mend` moves a damaged file aside and makes a new one: only who syncs may do that."""
        connection, repair = open_database(path, mend=mend)
        return cls(connection, repair)

    @classmethod
    def open_for_reading(cls, path: Path) -> Self:
        """For whoever only asks: also a journal that this user cannot write."""
        return cls(open_for_reading(path), None)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def atomic(self, *, keep: bool = True) -> Iterator[None]:
        """All or nothing; nests by savepoint. With `keep=False` nothing stays: a dry run."""
        begin, end, undo = (
            ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            if self._depth == 0
            else (f"SAVEPOINT s{self._depth}", f"RELEASE s{self._depth}",
                  f"ROLLBACK TO s{self._depth}")
        )  # fmt: skip
        self._connection.execute(begin)
        self._depth += 1
        try:
            yield
            self._connection.execute(end if keep else undo)
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute(undo)
            raise
        finally:
            self._depth -= 1

    # Facts: single values.

    def facts(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT name, value FROM fact").fetchall())

    def set_facts(self, facts: Mapping[str, str]) -> None:
        self._connection.executemany(
            "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            facts.items(),
        )

    # Jobs as they were.

    def observe_jobs(self, jobs: Iterable[Job], seen_ns: int) -> None:
        """Keeps each definition that differs from the one before it, and each time it was due."""
        latest = dict(
            self._connection.execute(
                "SELECT job_id, definition FROM job j WHERE seen_ns = "
                "(SELECT max(seen_ns) FROM job WHERE job_id = j.job_id)"
            ).fetchall()
        )
        for job in jobs:
            definition = records.job_to_json(job)
            if latest.get(job.job_id) != definition:
                self._connection.execute(
                    "INSERT OR REPLACE INTO job VALUES (?, ?, ?)",
                    (job.job_id, seen_ns, definition),
                )
            # One before the last run's end was for no run yet: where the clocks are set back, the host's
            # croniter goes back with them.
            if job.next_run_ns is not None and job.next_run_ns > (job.last_run_ns or 0):
                self._connection.execute(
                    "INSERT OR IGNORE INTO due VALUES (?, ?)", (job.job_id, job.next_run_ns)
                )
                self._connection.execute(
                    "DELETE FROM due WHERE job_id = ? AND due_ns < (SELECT due_ns FROM due "
                    "WHERE job_id = ? ORDER BY due_ns DESC LIMIT 1 OFFSET ?)",
                    (job.job_id, job.job_id, _DUES_KEPT),
                )

    def job_history(self) -> dict[str, list[tuple[int, Job]]]:
        """By job id, (first seen so, definition), oldest first."""
        history: dict[str, list[tuple[int, Job]]] = {}
        for job_id, seen_ns, definition in self._connection.execute(
            "SELECT job_id, seen_ns, definition FROM job ORDER BY job_id, seen_ns"
        ):
            history.setdefault(job_id, []).append((seen_ns, records.job_from_json(definition)))
        return history

    def due_between(self, job_id: str, after_ns: int, up_to_ns: int) -> int | None:
        """The newest time that the host had the job due for in `(after, up_to]`."""
        row = self._connection.execute(
            "SELECT max(due_ns) FROM due WHERE job_id = ? AND due_ns > ? AND due_ns <= ?",
            (job_id, after_ns, up_to_ns),
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def dues(self) -> dict[str, list[int]]:
        """By job id, the times that the host had it due for, oldest first."""
        found: dict[str, list[int]] = {}
        for job_id, due_ns in self._connection.execute(
            "SELECT job_id, due_ns FROM due ORDER BY job_id, due_ns"
        ):
            found.setdefault(job_id, []).append(int(due_ns))
        return found

    # Rows of the host that are not final yet.

    def open_ids(self, kind: str) -> dict[str, int]:
        """Id to when it was first seen open."""
        rows = self._connection.execute("SELECT id, seen_ns FROM open_run WHERE kind = ?", (kind,))
        return dict(rows.fetchall())

    def set_open(self, kind: str, ids: Iterable[str], now_ns: int) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO open_run VALUES (?, ?, ?)", ((kind, i, now_ns) for i in ids)
        )

    def close_open(self, kind: str, ids: Iterable[str]) -> None:
        self._connection.executemany(
            "DELETE FROM open_run WHERE kind = ? AND id = ?", ((kind, i) for i in ids)
        )

    # Final runs.

    def known(self, column: str, ids: Sequence[str]) -> set[str]:
        """Which of these are final already; `column` is `execution_id` or `session_id`."""
        query = {
            "execution_id": "SELECT execution_id FROM run WHERE execution_id IN ",
            "session_id": "SELECT session_id FROM run WHERE session_id IN ",
        }[column]
        found: set[str] = set()
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            rows = self._connection.execute(f"{query}({','.join('?' * len(batch))})", batch)
            found.update(row[0] for row in rows)
        return found

    def session_run_between(self, job_id: str, from_ns: int, to_ns: int) -> bool:
        """Whether a run known by its session alone began in this time."""
        row = self._connection.execute(
            "SELECT 1 FROM run WHERE job_id = ? AND started_ns BETWEEN ? AND ? "
            "AND execution_id IS NULL",
            (job_id, from_ns, to_ns),
        ).fetchone()
        return row is not None

    def execution_run_around(self, job_id: str, at_ns: int) -> bool:
        """Whether a run known by its execution alone was going on at this time."""
        row = self._connection.execute(
            "SELECT ended_ns FROM run WHERE job_id = ? AND started_ns <= ? AND session_id IS NULL "
            "AND outcome != 'missed' ORDER BY started_ns DESC LIMIT 1",
            (job_id, at_ns),
        ).fetchone()
        return row is not None and row[0] >= at_ns

    def recorded_ends(self, job_id: str, from_ns: int, to_ns: int) -> list[int]:
        """When the job's runs that have a session or an execution ended, of those that were going on
        in this time; oldest first."""
        rows = self._connection.execute(
            "SELECT ended_ns FROM run WHERE job_id = ? AND started_ns BETWEEN ? AND ? "
            "AND ended_ns >= ? "
            "AND (session_id IS NOT NULL OR substr(execution_id, 1, ?) <> ?) ORDER BY ended_ns",
            (job_id, from_ns - _LONGEST_RUN_NS, to_ns, from_ns, len(OUTPUT_ID), OUTPUT_ID),
        )
        return [int(ended_ns) for (ended_ns,) in rows]

    def previous_times(self, job_id: str, before_ns: int) -> tuple[int, int] | None:
        """Start and end of the job's run that began last before this time.

        For one that was abandoned the end is its claim: from there the host counts on.
        """
        row = self._connection.execute(
            "SELECT started_ns, CASE outcome WHEN 'abandoned' THEN coalesce(claimed_ns, started_ns) "
            "ELSE ended_ns END FROM run WHERE job_id = ? AND started_ns < ? AND outcome != 'missed' "
            "ORDER BY started_ns DESC LIMIT 1",
            (job_id, before_ns),
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def add_runs(self, runs: Sequence[Run], now_ns: int) -> None:
        """Makes runs final and puts them in every destination's outbox; call it in `atomic()`.

        Raises `JournalError` when one of them is final already: a run becomes final once.
        """
        (last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
        self._connection.executemany(
            _INSERT_RUN,
            ((last + n, *records.run_to_row(run)) for n, run in enumerate(runs, start=1)),
        )
        self.outbox.enqueue(now_ns)

    # What hooks told.

    def add_observations(self, details: Iterable[tuple[str, str, Observation]], lost: int) -> None:
        """Each with the run's session and its own; `lost` more were told and not kept."""
        with self.atomic():
            self._connection.executemany(
                "INSERT INTO detail (root_id, session_id, data) VALUES (?, ?, ?)",
                ((root, session, records.observation_to_json(d)) for root, session, d in details),
            )
            if lost:
                so_far = int(self.facts().get("details.lost", "0"))
                self.set_facts({"details.lost": str(so_far + lost)})
            self._forget_old_details()

    def details(self, root_ids: Sequence[str]) -> dict[str, Observations]:
        """By session, what hooks told of these runs and of all below them."""
        found: dict[str, list[Observation]] = {}
        for start in range(0, len(root_ids), _BATCH):
            batch = root_ids[start : start + _BATCH]
            rows = self._connection.execute(
                "SELECT session_id, data FROM detail WHERE root_id IN "  # noqa: S608
                f"({','.join('?' * len(batch))}) ORDER BY id",
                batch,
            )
            for session_id, data in rows:
                detail = records.observation_from_json(data)
                if detail is not None:
                    found.setdefault(session_id, []).append(detail)
        return {session_id: _details(details) for session_id, details in found.items()}

    def _forget_old_details(self) -> None:
        """The oldest, but for those of runs that somebody still lacks."""
        self._connection.execute(
            "DELETE FROM detail WHERE id <= (SELECT max(id) FROM detail) - ? AND NOT EXISTS "
            "(SELECT 1 FROM run r JOIN destination d JOIN outbox o ON o.destination_id = d.id "
            "AND o.ended_ns = r.ended_ns AND o.run_id = r.id WHERE r.session_id = detail.root_id)",
            (OBSERVATIONS_KEPT,),
        )


def _details(told: Sequence[Observation]) -> Observations:
    return Observations(
        attempts=tuple(d for d in told if isinstance(d, (ModelCall, ApiError))),
        tools=tuple(d for d in told if isinstance(d, ToolResult)),
    )
