"""Jobs as they were: each definition that was seen, and each time that a job was due."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..model import Job
from . import documents
from .database import Connection

DUES_KEPT = 100
"""How many due times of a job are kept, the newest."""


_STATE: Final = frozenset(
    {"next_run_ns", "last_run_ns", "last_status", "last_error", "last_delivery_error", "runs_left"}
)
"""The fields of a job that change with every run; they are no part of its definition."""


def definition_to_json(job: Job) -> str:
    """Return the JSON of a job's definition; two looks at an unchanged job give the same text."""
    return documents.to_json(job, omit=_STATE)


def definition_from_json(text: str) -> Job:
    return documents.from_json(Job, text)


class Jobs:
    """The tables of job definitions and of due times."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def observe(self, jobs: Iterable[Job], seen_ns: int) -> None:
        """Keep each definition that differs from the job's last one, and each time it was due."""
        latest = dict(
            self._connection.execute(
                "SELECT job_id, definition FROM job j WHERE seen_ns = "
                "(SELECT max(seen_ns) FROM job WHERE job_id = j.job_id)"
            ).fetchall()
        )
        for job in jobs:
            definition = definition_to_json(job)
            if latest.get(job.job_id) != definition:
                self._connection.execute(
                    "INSERT OR REPLACE INTO job VALUES (?, ?, ?)",
                    (job.job_id, seen_ns, definition),
                )
            # A due time from before the last run's end belongs to no coming run: where the clocks are
            # set back, the host's croniter goes back with them.
            if job.next_run_ns is not None and job.next_run_ns > (job.last_run_ns or 0):
                self._keep_due(job.job_id, job.next_run_ns)

    def _keep_due(self, job_id: str, due_ns: int) -> None:
        self._connection.execute("INSERT OR IGNORE INTO due VALUES (?, ?)", (job_id, due_ns))
        self._connection.execute(
            "DELETE FROM due WHERE job_id = ? AND due_ns < (SELECT due_ns FROM due "
            "WHERE job_id = ? ORDER BY due_ns DESC LIMIT 1 OFFSET ?)",
            (job_id, job_id, DUES_KEPT),
        )

    def history(self) -> dict[str, list[tuple[int, Job]]]:
        """Return by job id each definition with the time at which it was first seen, oldest first."""
        history: dict[str, list[tuple[int, Job]]] = {}
        for job_id, seen_ns, definition in self._connection.execute(
            "SELECT job_id, seen_ns, definition FROM job ORDER BY job_id, seen_ns"
        ):
            history.setdefault(job_id, []).append((seen_ns, definition_from_json(definition)))
        return history

    def due_between(self, job_id: str, after_ns: int, up_to_ns: int) -> int | None:
        """Return the newest time in `(after, up_to]` at which the host had the job due."""
        row = self._connection.execute(
            "SELECT max(due_ns) FROM due WHERE job_id = ? AND due_ns > ? AND due_ns <= ?",
            (job_id, after_ns, up_to_ns),
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def dues(self) -> dict[str, list[int]]:
        """Return by job id the times at which the host had it due, oldest first."""
        found: dict[str, list[int]] = {}
        for job_id, due_ns in self._connection.execute(
            "SELECT job_id, due_ns FROM due ORDER BY job_id, due_ns"
        ):
            found.setdefault(job_id, []).append(int(due_ns))
        return found
