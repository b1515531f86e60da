"""Notices: for each target of `notify`, what it has not acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ..model import FAILED_RUNS, JobPast, Notice, NoticeEvent, Outcome, Run
from ..model.notice import MAX_FAILING_AFTER
from ..model.times import NS
from . import run_rows
from .database import Connection
from .outbox import SET_ANSWERING, SET_FAILED, DestinationProgress

FOUND_LATE_NS: Final = 86_400 * 1_000_000_000
"""A run that is found so much later than it ended is counted, and nobody is told: it is no news."""

_KEPT_NS: Final = 30 * 86_400 * 1_000_000_000
"""How long a notice that was sent is kept, where another one would follow without it."""

_COLUMNS: Final = ", ".join(run_rows.COLUMN_NAMES)
_DECIDED: Final = (Outcome.SUCCESS, *sorted(FAILED_RUNS))
"""The outcomes that count for a row of failures."""
_DECIDED_MARKS: Final = ",".join("?" * len(_DECIDED))
_STAYING: Final = (NoticeEvent.STARTED, NoticeEvent.OVERDUE, NoticeEvent.OVER_BUDGET)
"""Events that last: the row stays after it was sent, until the run that ends them, or until it is old."""

NoticesOfRun: TypeAlias = Callable[[Run, JobPast], Sequence[Notice]]
"""Decides what a target is told of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingNotice:
    """A notice that a target has not acknowledged, with its row number."""

    id: int
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeTargetStatus:
    """All that is known of a target, for `status`. Times are epoch ns, counts are notices."""

    name: str
    address: str
    """Without secrets."""
    active: bool
    delivered: int
    refused: int
    given_up: int
    found_late: int
    last_receipt_ns: int | None
    failures: int
    """How many requests have failed in a row."""
    failing_since_ns: int | None
    next_try_ns: int | None
    last_error: str | None
    pending: int
    oldest_pending_ns: int | None
    """When the oldest of what is pending happened."""

    @property
    def fails(self) -> bool:
        """Whether it is in use, and its last request failed or was refused."""
        return self.active and self.last_error is not None


class Notices:
    """The tables of targets and of what they have not acknowledged.

    A notice leaves when the target accepts it, when it refuses it for good, or when it is too old. Each of
    them is counted.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.rules: Mapping[str, NoticesOfRun] = {}
        """By target, what it is told of a run. While a target has none here, runs wait for its decision."""

    # --- targets --------------------------------------------------------------------------------

    def set_targets(self, addresses: Mapping[str, str], now_ns: int) -> None:
        """Store the settings' targets (name to address without secrets).

        A new target is told nothing of what ended before now. One that was removed keeps what is pending.
        """
        known = self._connection.execute("SELECT name, address FROM notice_target WHERE active = 1")
        if dict(known.fetchall()) != dict(addresses):
            self._connection.execute("UPDATE notice_target SET active = 0 WHERE active = 1")
            self._connection.executemany(
                "INSERT INTO notice_target (name, address, active, since_ns, decided_up_to) "
                "VALUES (?, ?, 1, ?, (SELECT coalesce(max(id), 0) FROM run)) "
                "ON CONFLICT (name) DO UPDATE SET active = 1",
                # An output file, which may be all that a run left, has its time in whole seconds.
                ((name, address, now_ns - now_ns % NS) for name, address in addresses.items()),
            )
            # The former server's answers do not bind another one.
            self._connection.executemany(
                f"UPDATE notice_target SET address = ?1, {SET_ANSWERING} "  # noqa: S608 - our own constant
                "WHERE name = ?2 AND address <> ?1",
                ((address, name) for name, address in addresses.items()),
            )
        if addresses:
            self.enqueue(now_ns)

    def pending_targets(self) -> list[DestinationProgress]:
        """Return the targets in the settings that have pending notices."""
        rows = self._connection.execute(
            "SELECT id, name, address, failures, next_try_ns, asked_to_wait, timed_out "
            "FROM notice_target t WHERE active = 1 AND EXISTS "
            "(SELECT 1 FROM notice WHERE target_id = t.id AND sent_ns IS NULL) ORDER BY id"
        )
        return [
            DestinationProgress(id=r[0], name=r[1], endpoint=r[2], failures=r[3],
                                next_try_ns=r[4], asked_to_wait=bool(r[5]), timed_out=bool(r[6]))
            for r in rows
        ]  # fmt: skip

    def states(self) -> list[NoticeTargetStatus]:
        """Return each target that is in the settings, or that has pending notices."""
        rows = self._connection.execute(
            "SELECT name, address, active, delivered, refused, given_up, found_late, last_receipt_ns, "
            "failures, failing_since_ns, next_try_ns, last_error, "
            "(SELECT count(*) FROM notice WHERE target_id = t.id AND sent_ns IS NULL), "
            "(SELECT min(at_ns) FROM notice WHERE target_id = t.id AND sent_ns IS NULL) "
            "FROM notice_target t ORDER BY name"
        )
        states = [
            NoticeTargetStatus(
                name=r[0], address=r[1], active=bool(r[2]), delivered=r[3], refused=r[4],
                given_up=r[5], found_late=r[6], last_receipt_ns=r[7], failures=r[8],
                failing_since_ns=r[9], next_try_ns=r[10], last_error=r[11], pending=r[12],
                oldest_pending_ns=r[13],
            )
            for r in rows
        ]  # fmt: skip
        return [state for state in states if state.active or state.pending]

    # --- what is written ------------------------------------------------------------------------

    def enqueue(self, now_ns: int) -> None:
        """Decide for each target what it is told of the runs that are newer than its mark; call it in
        `atomic()`."""
        if not self.rules:
            return
        (newest,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
        targets = self._connection.execute(
            "SELECT id, name, decided_up_to, since_ns FROM notice_target "
            "WHERE active = 1 AND decided_up_to < ?",
            (newest,),
        ).fetchall()
        for target_id, name, mark, since_ns in targets:
            if (rule := self.rules.get(name)) is None:
                continue
            self._decide(target_id, rule, mark, since_ns, now_ns)
            self._connection.execute(
                "UPDATE notice_target SET decided_up_to = ? WHERE id = ?", (newest, target_id)
            )

    def _decide(
        self, target_id: int, rule: NoticesOfRun, mark: int, since_ns: int, now_ns: int
    ) -> None:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM run WHERE id > ? AND ended_ns >= ? ORDER BY ended_ns, id",  # noqa: S608
            (mark, since_ns),
        ).fetchall()
        for run in map(run_rows.run_from_row, rows):
            self._end_what_lasts(target_id, run)
            notices = rule(run, self._past(target_id, run))
            if now_ns - run.ended_ns > FOUND_LATE_NS:
                self._connection.execute(
                    "UPDATE notice_target SET found_late = found_late + ? WHERE id = ?",
                    (len(notices), target_id),
                )
            else:
                self._insert(target_id, notices, now_ns)

    def _end_what_lasts(self, target_id: int, run: Run) -> None:
        """Forget the start of a run that has ended, sent or not, and what was overdue before its job's
        run before this one."""
        self._connection.execute(
            "DELETE FROM notice WHERE target_id = ? AND event = ? AND key = ?",
            (target_id, NoticeEvent.STARTED, run.execution_id),
        )
        self._connection.execute(
            "DELETE FROM notice WHERE target_id = ? AND event = ? AND job_id = ? AND at_ns < ? "
            "AND sent_ns IS NOT NULL",
            (target_id, NoticeEvent.OVERDUE, run.job_id, self._previous_start_ns(run)),
        )

    def _previous_start_ns(self, run: Run) -> int:
        (start_ns,) = self._connection.execute(
            "SELECT coalesce(max(started_ns), 0) FROM run WHERE job_id = ? AND started_ns < ? "
            "AND outcome != 'missed'",
            (run.job_id, run.started_ns),
        ).fetchone()
        return int(start_ns)

    def _past(self, target_id: int, run: Run) -> JobPast:
        before = self._connection.execute(
            "SELECT outcome FROM run WHERE job_id = ? AND started_ns < ? "  # noqa: S608 - our own constant
            f"AND outcome IN ({_DECIDED_MARKS}) ORDER BY started_ns DESC LIMIT ?",
            (run.job_id, run.started_ns, *_DECIDED, MAX_FAILING_AFTER),
        ).fetchall()
        (failed_since,) = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM run WHERE job_id = ? AND started_ns > ? "  # noqa: S608
            f"AND outcome IN ({_DECIDED_MARKS[2:]}))",
            (run.job_id, run.started_ns, *_DECIDED[1:]),
        ).fetchone()
        (was_overdue,) = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM notice WHERE target_id = ? AND event = ? AND job_id = ? "
            "AND at_ns BETWEEN ? AND ?)",
            (target_id, NoticeEvent.OVERDUE, run.job_id, self._previous_start_ns(run),
             run.started_ns),
        ).fetchone()  # fmt: skip
        return JobPast(
            outcomes=tuple(Outcome(outcome) for (outcome,) in before),
            failed_since=bool(failed_since),
            was_overdue=bool(was_overdue),
        )

    def add_lasting(
        self, target: str, event: NoticeEvent, lasting: Sequence[Notice], now_ns: int
    ) -> None:
        """Add notices of runs that are going on, of jobs that are overdue, or of exceeded budgets, each once
        while it lasts; call it in `atomic()`.

        `lasting` are all notices of this event that hold now.
        """
        row = self._connection.execute(
            "SELECT id, since_ns FROM notice_target WHERE name = ? AND active = 1", (target,)
        ).fetchone()
        if row is None:
            return
        target_id, since_ns = row
        self._insert(target_id, [n for n in lasting if n.at_ns >= since_ns], now_ns)
        old = self._connection.execute(
            "SELECT id, key FROM notice WHERE target_id = ? AND event = ? AND sent_ns < ?",
            (target_id, event, now_ns - _KEPT_NS),
        ).fetchall()
        keys = {notice.key for notice in lasting}
        self._connection.executemany(
            "DELETE FROM notice WHERE id = ?", [(id_,) for id_, key in old if key not in keys]
        )

    def _insert(self, target_id: int, notices: Iterable[Notice], now_ns: int) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO notice (target_id, event, key, job_id, job_name, at_ns, text, "
            "occurrences, enqueued_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    target_id,
                    n.event.value,
                    n.key,
                    n.job_id,
                    n.job_name,
                    n.at_ns,
                    n.text,
                    n.occurrences,
                    now_ns,
                )
                for n in notices
            ),
        )

    # --- what is sent ---------------------------------------------------------------------------

    def take(self, target_id: int, limit: int) -> list[PendingNotice]:
        """Return at most `limit` pending notices, the oldest first."""
        rows = self._connection.execute(
            "SELECT id, event, key, job_id, job_name, at_ns, text, occurrences FROM notice "
            "WHERE target_id = ? AND sent_ns IS NULL ORDER BY id LIMIT ?",
            (target_id, limit),
        )
        return [_pending(*row) for row in rows]

    def pending(self, target_id: int) -> int:
        (count,) = self._connection.execute(
            "SELECT count(*) FROM notice WHERE target_id = ? AND sent_ns IS NULL", (target_id,)
        ).fetchone()
        return int(count)

    def accepted(self, target_id: int, notices: Sequence[PendingNotice], now_ns: int) -> None:
        """Record that the target has accepted these notices, and so that it answers."""
        self._remove(notices, now_ns)
        self._connection.execute(
            f"UPDATE notice_target SET {SET_ANSWERING}, delivered = delivered + ?, "  # noqa: S608
            "last_receipt_ns = ? WHERE id = ?",
            (len(notices), now_ns, target_id),
        )

    def refused(
        self, target_id: int, notices: Sequence[PendingNotice], reason: str, now_ns: int
    ) -> None:
        """Record that the target answers, and that it will never take these notices."""
        self._remove(notices, now_ns)
        self._connection.execute(
            f"UPDATE notice_target SET {SET_ANSWERING}, refused = refused + ?, last_error = ? "  # noqa: S608
            "WHERE id = ?",
            (len(notices), reason, target_id),
        )

    def failed(
        self,
        target_id: int,
        error: str,
        *,
        now_ns: int,
        next_try_ns: int,
        asked_to_wait: bool,
        timed_out: bool,
    ) -> None:
        self._connection.execute(
            f"UPDATE notice_target SET {SET_FAILED} WHERE id = ?",  # noqa: S608 - our own constant
            (error, next_try_ns, asked_to_wait, timed_out, None, now_ns, target_id),
        )

    def give_up(self, target_id: int, before_ns: int) -> int:
        """Drop notices that have waited since before `before_ns`; return how many."""
        cursor = self._connection.execute(
            "DELETE FROM notice WHERE target_id = ? AND sent_ns IS NULL AND enqueued_ns < ?",
            (target_id, before_ns),
        )
        if cursor.rowcount:
            self._connection.execute(
                "UPDATE notice_target SET given_up = given_up + ? WHERE id = ?",
                (cursor.rowcount, target_id),
            )
        return cursor.rowcount

    def _remove(self, notices: Sequence[PendingNotice], now_ns: int) -> None:
        staying = [(now_ns, n.id) for n in notices if n.notice.event in _STAYING]
        leaving = [(n.id,) for n in notices if n.notice.event not in _STAYING]
        self._connection.executemany("UPDATE notice SET sent_ns = ? WHERE id = ?", staying)
        self._connection.executemany("DELETE FROM notice WHERE id = ?", leaving)


def _pending(id_: int, event: str, *values: Any) -> PendingNotice:
    key, job_id, job_name, at_ns, text, occurrences = values
    notice = Notice(
        event=NoticeEvent(event),
        key=key,
        job_id=job_id,
        job_name=job_name,
        at_ns=at_ns,
        text=text,
        occurrences=occurrences,
    )
    return PendingNotice(id=id_, notice=notice)
