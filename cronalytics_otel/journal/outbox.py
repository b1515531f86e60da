"""The outbox: for each destination, the runs that it has not acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..model import DestinationFault, Resource, Run
from ..model.times import NS
from . import run_rows
from .database import Connection
from .resources import Resources

MAX_DOUBT_WAIT_NS: Final = 3_600 * NS
"""The longest wait until a run in doubt is tried again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that a destination has not acknowledged."""

    run_id: int
    """The journal's row number."""
    run: Run
    resource: Resource | None = None
    """What the run became final with; None when that is unknown."""
    doubted_ns: int | None = None
    """When the run alone was not taken, by its own fault or the destination's; None if it never was. Later
    tries count, and move this time, only after the destination has accepted another run."""
    doubted_tries: int = 0
    """How many tries have counted since the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """All that is known of a destination, for `status`. Times are epoch ns."""

    id: int
    name: str
    endpoint: str
    active: bool
    delivered: int
    given_up: int
    last_receipt_ns: int | None
    failures: int
    failing_since_ns: int | None
    next_try_ns: int | None
    asked_to_wait: bool
    last_error: str | None
    fault: DestinationFault | None
    """What its last answer shows to be wrong."""
    pending: int
    oldest_pending_ns: int | None
    """When the oldest pending run ended."""
    waiting_since_ns: int | None
    """Since when a pending run waits, at the longest: from its end, or from when it was put there."""
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationProgress:
    """What the export needs to know of a destination. It takes no counting of rows."""

    id: int
    name: str
    endpoint: str
    failures: int
    """How many requests have failed in a row, since the last receipt."""
    next_try_ns: int | None
    asked_to_wait: bool
    """Whether `next_try_ns` is the server's own Retry-After, not our back-off."""
    timed_out: bool = False
    """Whether the last request ended without an answer in time."""
    fault: DestinationFault | None = None
    """What the last request shows to be wrong."""
    last_receipt_ns: int | None = None
    """When it last accepted something."""


SET_ANSWERING = (
    "failures = 0, failing_since_ns = NULL, next_try_ns = NULL, asked_to_wait = 0, timed_out = 0, "
    "last_error = NULL, fault = NULL"
)
"""Sets what is known of a destination that answers; destinations of metrics and targets of notices have the
same columns."""

SET_FAILED = (
    "failures = failures + 1, last_error = ?, next_try_ns = ?, asked_to_wait = ?, timed_out = ?, "
    "fault = ?, failing_since_ns = coalesce(failing_since_ns, ?)"
)
"""Sets what is known of one whose request failed. The parameters are those of `failed`: error, next_try_ns,
asked_to_wait, timed_out, fault, now_ns."""

_RUN_COLUMNS = ", ".join(f"r.{column}" for column in run_rows.COLUMN_NAMES)
_SELECT_ENTRIES = (
    f"SELECT r.id, r.resource_id, o.doubted_ns, o.doubted_tries, {_RUN_COLUMNS} FROM outbox o"  # noqa: S608
)
_WITH_RUN = "JOIN run r ON r.id = o.run_id"


def fault_from(value: str | None) -> DestinationFault | None:
    """Return the fault of a column; None if there is none, or if a newer version of the plugin wrote it."""
    return next((fault for fault in DestinationFault if fault == value), None)


class Outbox:
    """The tables of destinations and of what they lack.

    An entry leaves the outbox when the destination accepts it, when it is set aside, or when it is too
    old. Each of them is counted.
    """

    def __init__(self, connection: Connection, resources: Resources) -> None:
        self._connection = connection
        self._resources = resources

    def set_destinations(self, endpoints: Mapping[str, str], now_ns: int) -> None:
        """Store the settings' destinations (name to endpoint without secrets).

        A new destination gets the whole history. One that was removed keeps its entries.
        """
        known = self._connection.execute("SELECT name, endpoint FROM destination WHERE active = 1")
        if dict(known.fetchall()) == dict(endpoints):
            return
        self._connection.execute("UPDATE destination SET active = 0 WHERE active = 1")
        self._connection.executemany(
            "INSERT INTO destination (name, endpoint, active) VALUES (?, ?, 1) "
            "ON CONFLICT (name) DO UPDATE SET active = 1",
            endpoints.items(),
        )
        # The former server's answers do not bind another one.
        self._connection.executemany(
            "UPDATE outbox SET doubted_ns = NULL, doubted_tries = 0, next_try_ns = NULL "
            "WHERE doubted_ns IS NOT NULL AND destination_id = "
            "(SELECT id FROM destination WHERE name = ?2 AND endpoint <> ?1)",
            ((endpoint, name) for name, endpoint in endpoints.items()),
        )
        self._connection.executemany(
            f"UPDATE destination SET endpoint = ?1, {SET_ANSWERING} "  # noqa: S608 - our own constant
            "WHERE name = ?2 AND endpoint <> ?1",
            ((endpoint, name) for name, endpoint in endpoints.items()),
        )
        self.enqueue(now_ns)

    def enqueue(self, now_ns: int) -> None:
        """Put every run that is newer than a destination's mark into its outbox."""
        (newest,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
        marks = self._connection.execute(
            "SELECT id, enqueued_up_to FROM destination WHERE active = 1 AND enqueued_up_to < ?",
            (newest,),
        ).fetchall()
        for destination_id, mark in marks:
            self._connection.execute(
                "INSERT INTO outbox (destination_id, ended_ns, run_id, enqueued_ns) "
                "SELECT ?, ended_ns, id, ? FROM run WHERE id > ?",
                (destination_id, now_ns, mark),
            )
            self._connection.execute(
                "UPDATE destination SET enqueued_up_to = ? WHERE id = ?", (newest, destination_id)
            )

    def states(self) -> list[DestinationStatus]:
        """Return each destination that is in the settings, or that has pending or refused runs."""
        rows = self._connection.execute(
            "SELECT d.id, d.name, d.endpoint, d.active, d.delivered, d.given_up, "
            "d.last_receipt_ns, d.failures, d.failing_since_ns, d.next_try_ns, "
            "d.asked_to_wait, d.last_error, d.fault, "
            "(SELECT count(*) FROM outbox WHERE destination_id = d.id), "
            "(SELECT min(ended_ns) FROM outbox WHERE destination_id = d.id), "
            "(SELECT min(max(enqueued_ns, ended_ns)) FROM outbox WHERE destination_id = d.id), "
            "(SELECT count(*) FROM refused WHERE destination_id = d.id) "
            "FROM destination d ORDER BY d.name"
        )
        states = [
            DestinationStatus(
                id=r[0], name=r[1], endpoint=r[2], active=bool(r[3]), delivered=r[4],
                given_up=r[5], last_receipt_ns=r[6], failures=r[7], failing_since_ns=r[8],
                next_try_ns=r[9], asked_to_wait=bool(r[10]), last_error=r[11],
                fault=fault_from(r[12]), pending=r[13], oldest_pending_ns=r[14],
                waiting_since_ns=r[15], refused=r[16],
            )
            for r in rows
        ]  # fmt: skip
        return [s for s in states if s.active or s.pending or s.refused]

    def pending_destinations(self) -> list[DestinationProgress]:
        """Return the destinations in the settings that have pending runs."""
        rows = self._connection.execute(
            "SELECT id, name, endpoint, failures, next_try_ns, asked_to_wait, timed_out, fault, "
            "last_receipt_ns "
            "FROM destination d WHERE active = 1 AND EXISTS (SELECT 1 FROM outbox WHERE destination_id = d.id) "
            "ORDER BY id"
        )
        return [
            DestinationProgress(id=r[0], name=r[1], endpoint=r[2], failures=r[3],
                                next_try_ns=r[4], asked_to_wait=bool(r[5]), timed_out=bool(r[6]),
                                fault=fault_from(r[7]), last_receipt_ns=r[8])
            for r in rows
        ]  # fmt: skip

    def pending(self, destination_id: int) -> int:
        (count,) = self._connection.execute(
            "SELECT count(*) FROM outbox WHERE destination_id = ?", (destination_id,)
        ).fetchone()
        return int(count)

    def take(
        self, destination_id: int, limit: int, *, fresh_since_ns: int, since_ns: int = 0
    ) -> list[Entry]:
        """Return at most `limit` entries: runs that ended lately, then the backlog, oldest first.

        So a backlog never delays a new run. Runs that ended before `since_ns` are passed over, and so are
        those in doubt (`take_doubted`).
        """
        fresh = self._select(destination_id, max(fresh_since_ns, since_ns), None, limit)
        if len(fresh) >= limit or fresh_since_ns <= since_ns:
            return fresh
        return fresh + self._select(destination_id, since_ns, fresh_since_ns, limit - len(fresh))

    def _select(
        self, destination_id: int, from_ns: int, before_ns: int | None, limit: int
    ) -> list[Entry]:
        rows = self._connection.execute(
            f"{_SELECT_ENTRIES} {_WITH_RUN} "
            "WHERE o.destination_id = ? AND o.ended_ns >= ? AND o.ended_ns < ? "
            "AND o.doubted_ns IS NULL ORDER BY o.ended_ns, o.run_id LIMIT ?",
            (destination_id, from_ns, before_ns if before_ns is not None else 2**63 - 1, limit),
        )
        return [self._entry(*row) for row in rows]

    def take_doubted(
        self, destination_id: int, limit: int, *, due_ns: int | None, since_ns: int = 0
    ) -> list[Entry]:
        """Return at most `limit` entries in doubt, the one that was tried longest ago first.

        With `due_ns` (now), only those that are due. A time that is further ahead than any wait was set
        before the clock was set back.
        """
        latest_ns = 2**63 - 1 if due_ns is None else due_ns
        rows = self._connection.execute(
            f"{_SELECT_ENTRIES} INDEXED BY outbox_in_doubt {_WITH_RUN} "  # or all pending would be read
            "WHERE o.destination_id = ?1 AND o.doubted_ns IS NOT NULL "
            "AND (o.next_try_ns <= ?2 OR o.next_try_ns - ?2 > ?3) AND o.ended_ns >= ?4 "
            "ORDER BY o.next_try_ns LIMIT ?5",
            (destination_id, latest_ns, MAX_DOUBT_WAIT_NS, since_ns, limit),
        )
        return [self._entry(*row) for row in rows]

    def _entry(
        self,
        run_id: int,
        resource_id: int | None,
        doubted_ns: int | None,
        doubted_tries: int,
        *values: Any,
    ) -> Entry:
        resource = None if resource_id is None else self._resources.get(resource_id)
        return Entry(run_id, run_rows.run_from_row(values), resource, doubted_ns, doubted_tries)

    def doubt(
        self, destination_id: int, entry: Entry, *, doubted_ns: int, tries: int, next_try_ns: int
    ) -> None:
        """Record that a run alone was not taken, and that it or the destination may be at fault."""
        self._connection.execute(
            "UPDATE outbox SET doubted_ns = ?, doubted_tries = ?, next_try_ns = ? "
            "WHERE destination_id = ? AND ended_ns = ? AND run_id = ?",
            (doubted_ns, tries, next_try_ns, destination_id, entry.run.ended_ns, entry.run_id),
        )

    def accepted(self, destination_id: int, entries: Sequence[Entry], now_ns: int) -> None:
        """Remove entries that the destination has accepted."""
        self._remove(destination_id, entries)
        self._connection.execute(
            "UPDATE destination SET delivered = delivered + ?, last_receipt_ns = ? WHERE id = ?",
            (len(entries), now_ns, destination_id),
        )

    def answers(self, destination_id: int) -> None:
        """Record that a destination that was failing answers again."""
        self._connection.execute(
            f"UPDATE destination SET {SET_ANSWERING} WHERE id = ?",  # noqa: S608 - our own constant
            (destination_id,),
        )

    def refuse(
        self, destination_id: int, entries: Sequence[Entry], reason: str, now_ns: int
    ) -> None:
        """Set entries aside with the reason."""
        self._remove(destination_id, entries)
        self._connection.executemany(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
            ((destination_id, entry.run_id, now_ns, reason) for entry in entries),
        )

    def has_refused_since(self, destination_id: int, since_ns: int) -> bool:
        """Return whether an entry was set aside, or was not taken alone, since then."""
        found = self._connection.execute(
            "SELECT 1 FROM refused WHERE destination_id = ?1 AND refused_ns > ?2 UNION ALL "
            "SELECT 1 FROM outbox INDEXED BY outbox_in_doubt "
            "WHERE destination_id = ?1 AND doubted_ns > ?2 LIMIT 1",
            (destination_id, since_ns),
        ).fetchone()
        return found is not None

    def retry_refused(self, now_ns: int) -> int:
        """Put what was set aside back into the outbox of each active destination; return how many."""
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO outbox (destination_id, ended_ns, run_id, enqueued_ns) "
            "SELECT f.destination_id, r.ended_ns, r.id, ? "
            "FROM refused f JOIN run r ON r.id = f.run_id "
            "JOIN destination d ON d.id = f.destination_id WHERE d.active = 1",
            (now_ns,),
        )
        self._connection.execute(
            "DELETE FROM refused WHERE destination_id IN "
            "(SELECT id FROM destination WHERE active = 1)"
        )
        return cursor.rowcount

    def failed(
        self,
        destination_id: int,
        error: str,
        *,
        now_ns: int,
        next_try_ns: int,
        asked_to_wait: bool,
        timed_out: bool,
        fault: DestinationFault | None = None,
    ) -> None:
        self._connection.execute(
            f"UPDATE destination SET {SET_FAILED} WHERE id = ?",  # noqa: S608 - our own constant
            (error, next_try_ns, asked_to_wait, timed_out, fault, now_ns, destination_id),
        )

    def give_up(self, destination_id: int, before_ns: int) -> int:
        """Drop entries that have waited since before `before_ns`; return how many.

        A run never waits from before its end: the clock may have been wrong when it was enqueued.
        """
        cursor = self._connection.execute(
            "DELETE FROM outbox WHERE destination_id = ? AND max(enqueued_ns, ended_ns) < ?",
            (destination_id, before_ns),
        )
        if cursor.rowcount:
            self._connection.execute(
                "UPDATE destination SET given_up = given_up + ? WHERE id = ?",
                (cursor.rowcount, destination_id),
            )
        return cursor.rowcount

    def refusals(self, destination_id: int, limit: int) -> list[tuple[str, int]]:
        """Return reasons with their counts, the most frequent first."""
        return self._connection.execute(
            "SELECT reason, count(*) FROM refused WHERE destination_id = ? "
            "GROUP BY reason ORDER BY 2 DESC LIMIT ?",
            (destination_id, limit),
        ).fetchall()

    def _remove(self, destination_id: int, entries: Sequence[Entry]) -> None:
        self._connection.executemany(
            "DELETE FROM outbox WHERE destination_id = ? AND ended_ns = ? AND run_id = ?",
            ((destination_id, entry.run.ended_ns, entry.run_id) for entry in entries),
        )
