"""The journal: it opens our own file and gives its parts, one for each noun."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from .attention import Attention
from .database import (
    Connection,
    JournalError,
    Repair,
    damage_behind,
    mark_suspect,
    open_database,
    open_for_reading,
)
from .facts import Facts
from .figures import Figures
from .job_runs import JobRuns
from .jobs import Jobs
from .metric_destinations import MetricDestinations
from .notices import Notices
from .observations import ObservationTable
from .open_rows import OpenRows
from .outbox import Outbox
from .queries import Queries
from .resources import Resources
from .retention import Retention
from .runs import Runs
from .series import SeriesTable


class Journal:
    """One open journal. Each method of its parts may raise `JournalError`, and then nothing was
    written."""

    def __init__(self, path: Path, connection: Connection, repair: Repair | None) -> None:
        self._path = path
        self._connection = connection
        self.repair = repair
        """Set when a damaged file was moved aside to make this one."""
        self.facts = Facts(connection)
        self.jobs = Jobs(connection)
        self.open_rows = OpenRows(connection)
        self.observations = ObservationTable(connection, self.facts)
        self.resources = Resources(connection)
        self.outbox = Outbox(connection, self.resources)
        self.figures = Figures(connection, self.facts)
        self.notices = Notices(connection)
        self.runs = Runs(connection, self.resources, self.outbox, self.figures, self.notices)
        self.series = SeriesTable(connection, self.facts)
        self.metric_destinations = MetricDestinations(connection)
        self.queries = Queries(connection)
        self.retention = Retention(connection, self.facts, self.figures)
        self.attention = Attention(connection)
        self.job_runs = JobRuns(connection, self.facts, self.figures)

    @classmethod
    def open(cls, path: Path, *, replace_damaged: bool = True) -> Self:
        """Open or make a journal. `replace_damaged` moves a damaged file aside and makes a new one. Only a
        sync may do that."""
        connection, repair = open_database(path, replace_damaged=replace_damaged)
        return cls(path, connection, repair)

    @classmethod
    def open_for_reading(cls, path: Path) -> Self:
        """Open a journal that is there, also one that this user cannot write."""
        return cls(path, open_for_reading(path), None)

    def atomic(self) -> AbstractContextManager[None]:
        """Write all that is written inside, or nothing; see `Connection.atomic`."""
        return self._connection.atomic()

    def rolled_back(self) -> AbstractContextManager[None]:
        """Undo at the end all that is written inside: a dry run."""
        return self._connection.rolled_back()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        """Close it. Raises `JournalError` in the place of an error that damage of the file has led to."""
        damage = damage_behind(self._connection, error)
        self.close()
        if damage is not None or (isinstance(error, JournalError) and error.damaged):
            mark_suspect(self._path)
        if damage is not None:
            raise damage from error
