"""Facts: the single values that the journal keeps, each declared once with its type and meaning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ..model import Job, Source, Watermark
from ..model.series import Gauge
from . import documents
from .database import Connection, unreadable

T = TypeVar("T")


class FolderReadUpTo(NamedTuple):
    """How far a job's folder of output files was read."""

    changed_ns: int
    """The folder's mtime when it was last listed; 0 means that it must be listed again."""
    read_up_to_ns: int
    """Files that were saved up to this time are done with."""


class SlowGauges(NamedTuple):
    """Gauges, and when they were read."""

    read_ns: int
    gauges: tuple[Gauge, ...]


class OverdueRow(NamedTuple):
    """One time at which a job was seen overdue; `domain.missed.OverdueSighting` explains the
    fields. A sighting that has been reported as missed has 0 in `changed_ns`."""

    due_ns: int
    until_ns: int
    runs_left: int | None
    changed_ns: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Fact(Generic[T]):
    """The declaration of a fact. The journal stores its value as JSON."""

    name: str
    default: T
    """The value of a fact that was never written."""
    decode: Callable[[Any], T]
    """From the JSON value to the type of the fact; the inverse of `encode`."""
    encode: Callable[[T], object] = lambda value: value


def _records(cls: type[T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda values: tuple(documents.from_values(cls, value) for value in values)


def _row_mark(value: Any) -> Watermark | None:
    return None if value is None else Watermark(*value)


def _overdue(value: Any) -> Mapping[str, tuple[OverdueRow, ...]]:
    return {job_id: tuple(OverdueRow(*row) for row in rows) for job_id, rows in value.items()}


def _identity(value: Any) -> Any:
    return value


# What the harvest has read.

LEDGER_WATERMARK: Final[Fact[Watermark | None]] = Fact("ledger.mark", None, _row_mark)
"""The newest row of the ledger that was read; None before the first."""

SESSION_WATERMARK: Final[Fact[Watermark | None]] = Fact("sessions.mark", None, _row_mark)
"""The newest row of state.db's sessions that was read; None before the first."""

FINGERPRINTS: Final[Fact[Mapping[str, str]]] = Fact("fingerprints", {}, dict)
"""By source, the fingerprint of the host's file at the last harvest: while all are the same, nothing
has changed. A source that must be read again has an empty one."""

LEDGER_LOST: Final[Fact[int]] = Fact("ledger.lost", 0, int)
"""How many rows the host deleted from its ledger before they were read."""

LEDGER_FIRST_NS: Final[Fact[int | None]] = Fact("ledger.first_ns", None, _identity)
"""The oldest claim that the ledger of this home ever held; 0 when it may have forgotten older ones.
An output file that was saved later belongs to an execution."""

OLD_OUTPUTS_READ: Final[Fact[bool]] = Fact("outputs.old_read", default=False, decode=bool)
"""Whether all output files that are older than the ledger have been read."""

OVERDUE_SEEN: Final[Fact[Mapping[str, tuple[OverdueRow, ...]]]] = Fact("overdue.seen", {}, _overdue)
"""By job id, the times at which a job was seen overdue, oldest first: evidence for missed runs."""

OBSERVATIONS_LOST: Final[Fact[int]] = Fact("observations.lost", 0, int)
"""How many observations of hooks could not be written down."""


def output_folder(job_id: str) -> Fact[FolderReadUpTo]:
    """How far the folder of this job's output files was read."""
    return Fact(
        f"outputs.folder.{job_id}", FolderReadUpTo(0, 0), lambda value: FolderReadUpTo(*value)
    )


# The figures.

FIGURES_ZONE: Final[Fact[str]] = Fact("figures.zone", "UTC", str)
"""The zone whose days the day tables have: an IANA name, or an offset in seconds with its sign."""

FIRST_DAY_WITH_RUNS: Final[Fact[int | None]] = Fact("figures.first_day", None, _identity)
"""The first day whose runs are all there, as days since 1970-01-01; None while no run was ever deleted."""


# The metrics.

METRICS_COLLECTED_NS: Final[Fact[int | None]] = Fact("metrics.collected_ns", None, _identity)
"""The time of the points of the newest collection, for whichever destination it was. It hardly ever goes
back, whatever the clock does. None before the first collection."""

SLOW_GAUGES: Final[Fact[SlowGauges]] = Fact(
    "metrics.slow_gauges",
    SlowGauges(0, ()),
    lambda value: SlowGauges(value[0], _records(Gauge)(value[1])),
    lambda value: [value.read_ns, documents.plain(value.gauges)],
)
"""The gauges that take long to read, as they were read last."""


# What was deleted.

KEPT_SINCE_NS: Final[Fact[int | None]] = Fact("retention.kept_since_ns", None, _identity)
"""Runs that ended before are deleted, or will be; the harvest adds no such run. It never goes back. None
while no run was ever deleted."""

DELETED_BEFORE_NS: Final[Fact[int | None]] = Fact("retention.deleted_before_ns", None, _identity)
"""The value of `KEPT_SINCE_NS` at the last time that all that could be deleted was deleted."""

RUNS_PASSED_OVER: Final[Fact[int]] = Fact("retention.passed_over", 0, int)
"""How many runs from before `KEPT_SINCE_NS` the last harvest that met any did not add. It cannot tell
those that were deleted from those that were never read."""


# What `status` shows of the last harvest and sync.

SOURCES: Final[Fact[tuple[Source, ...]]] = Fact("sources", (), _records(Source), documents.plain)
"""The host's files as the last harvest found them."""

CURRENT_JOBS: Final[Fact[tuple[Job, ...]]] = Fact("jobs.now", (), _records(Job), documents.plain)
"""The jobs as the last harvest read them, with their state: when each is due next, and how its last run
ended."""

GONE_JOBS: Final[Fact[Mapping[str, int]]] = Fact("jobs.gone", {}, dict)
"""By job id, when a sync last saw a job that is not in jobs.json any more (epoch ns). After thirty days it is
forgotten."""

PROBLEMS: Final[Fact[tuple[str, ...]]] = Fact("problems", (), tuple)
"""What the last harvest could not read, as readable messages."""

LAST_SYNC_NS: Final[Fact[int | None]] = Fact("sync.last_ns", None, _identity)
"""When the last sync ended. It is written at most once a minute unless there are new runs."""

FINDINGS_SHOWN: Final[Fact[tuple[str, ...]]] = Fact("health.shown", (), tuple)
"""The ids of the findings that `health --since-last` has shown, and that were still there the last time."""

HERMES_VERSION: Final[Fact[str | None]] = Fact("hermes.version", None, _identity)
"""The version of the Hermes in which the plugin last ran."""


@dataclass(frozen=True, slots=True)
class FactValues:
    """All facts, as one query read them."""

    texts: Mapping[str, str]
    """By name, the JSON of each value."""

    def get(self, fact: Fact[T]) -> T:
        """Return the value of a fact; its default when it was never written.

        Raises `JournalError` when the journal holds a value that this version cannot read.
        """
        text = self.texts.get(fact.name)
        if text is None:
            return fact.default
        try:
            return fact.decode(json.loads(text))
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise unreadable(f"a value of {fact.name}", error) from error


class Facts:
    """The table of facts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> FactValues:
        """Return all facts; one query."""
        return FactValues(dict(self._connection.execute("SELECT name, value FROM fact").fetchall()))

    def get(self, fact: Fact[T]) -> T:
        """Return the value of one fact; see `FactValues.get`."""
        rows = self._connection.execute(
            "SELECT name, value FROM fact WHERE name = ?", (fact.name,)
        ).fetchall()
        return FactValues(dict(rows)).get(fact)

    def set(self, fact: Fact[T], value: T) -> None:
        self._connection.execute(
            "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (fact.name, _encoded(fact, value)),
        )

    def update(self, known: FactValues, fact: Fact[T], value: T) -> None:
        """Write a fact unless `known` has this value: a sync with nothing new writes nothing.

        A value that cannot be read is replaced.
        """
        if known.texts.get(fact.name) != _encoded(fact, value) and (
            value != fact.default or fact.name in known.texts
        ):
            self.set(fact, value)


def _encoded(fact: Fact[T], value: T) -> str:
    return json.dumps(fact.encode(value), sort_keys=True)
