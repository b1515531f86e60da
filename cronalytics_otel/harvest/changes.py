"""What is new in the host's files since the last harvest, and what was still open.

The ledger is read before the sessions: the host finishes a session before its execution, so an execution
that is final has its session complete in what is read afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ..host import ledger, state_db
from ..host.inspection import vanished_file
from ..host.ledger import LedgerPage
from ..host.sqlite import (
    SQLITE_FAULTS,
    HostBusyError,
    HostDataError,
    HostTableMissingError,
    fingerprint,
    is_busy,
    reading,
    translated,
)
from ..host.state_db import StateReader
from ..journal import OpenKind
from ..journal.facts import FINGERPRINTS, LEDGER_WATERMARK, SESSION_WATERMARK, FactValues
from ..model import Execution, Session, SourceName, Watermark
from .context import HarvestContext
from .readiness import is_abandoned
from .sources import names_with_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierHarvests:
    """What the journal knows from earlier harvests."""

    facts: FactValues
    open_executions: Mapping[str, int]
    """By id of an execution that was open, when it was first seen so."""
    open_sessions: Collection[str]
    open_outputs: Collection[str]

    @classmethod
    def of(cls, context: HarvestContext) -> EarlierHarvests:
        rows = context.journal.open_rows
        return cls(
            facts=context.journal.facts.read(),
            open_executions=rows.first_seen_ns(OpenKind.EXECUTION),
            open_sessions=rows.ids(OpenKind.SESSION),
            open_outputs=rows.ids(OpenKind.OUTPUT),
        )

    @property
    def any_open(self) -> bool:
        return bool(self.open_executions or self.open_sessions or self.open_outputs)

    @property
    def has_runs(self) -> bool:
        """Whether there was a harvest before."""
        return bool(self.facts.get(SESSION_WATERMARK) or self.facts.get(LEDGER_WATERMARK))


def fingerprints(context: HarvestContext) -> dict[str, str]:
    """Return by source a fingerprint of the host's file, which changes with the file."""
    home = context.home
    paths = {
        SourceName.JOBS: home.jobs,
        SourceName.LEDGER: home.ledger,
        SourceName.SESSIONS: home.state_db,
    }
    return {name: fingerprint(path, context.clock) for name, path in paths.items()}


def has_changed(earlier: EarlierHarvests, latest: Mapping[str, str]) -> bool:
    return earlier.facts.get(FINGERPRINTS) != latest


# --- the ledger ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerChanges:
    """The executions that are new or were open, and whose runs are not final."""

    page: LedgerPage | None = None
    """None when there is no ledger, or it cannot be read."""
    is_unreadable: bool = False
    """There is a ledger, or there was one, and it cannot be read now: what needs it waits."""
    executions: Mapping[str, Execution] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    """The ids of executions that are over, by their status or because their process is gone."""
    vanished: frozenset[str] = frozenset()
    """The ids of executions that were open and have been deleted from the ledger."""
    lost: int = 0
    """How many rows were deleted before they were read."""

    @property
    def oldest_claim_ns(self) -> int | None:
        """The oldest claim of an ended run in it; None without a ledger."""
        return self.page.oldest_claim_ns if self.page is not None else None

    @property
    def running(self) -> tuple[Execution, ...]:
        """The executions that have begun and not ended."""
        return tuple(
            execution
            for execution in self.executions.values()
            if execution.started_ns is not None and execution.execution_id not in self.ended
        )


def read_ledger(context: HarvestContext, earlier: EarlierHarvests, *, full: bool) -> LedgerChanges:
    """Read what is new in the ledger. One that cannot be read is a problem; an older host has none."""
    path = context.home.ledger
    had_rows = SourceName.LEDGER in names_with_rows(earlier.facts)
    try:
        page = _ledger_page(context, earlier, full=full)
        if page is None and had_rows:
            raise vanished_file(path)
    except HostBusyError:
        raise
    except HostTableMissingError as error:
        if had_rows:
            return _unreadable(context, error)
        return LedgerChanges()
    except HostDataError as error:
        return _unreadable(context, error)
    if page is None:
        return LedgerChanges()
    if page.unread:
        context.problems.add(f"{path}: {len(page.unread)} rows have no time that can be read")
    present = {e.execution_id for e in page.executions} | set(page.unread)
    vanished = frozenset(earlier.open_executions) - present
    lost = len(vanished) + page.pruned_unread
    if lost:
        context.problems.add(
            f"{path}: {lost} runs were deleted from it before they were read (it keeps the newest "
            "1000): those that have a session are taken from there"
        )
    _report_unknown_statuses(context, page)
    final_ids = context.journal.runs.known_executions([e.execution_id for e in page.executions])
    executions = {e.execution_id: e for e in page.executions if e.execution_id not in final_ids}
    gone = _gone(context, earlier, executions)
    return LedgerChanges(
        page=page,
        executions=executions | gone,
        ended=frozenset(e.execution_id for e in executions.values() if e.is_terminal) | gone.keys(),
        vanished=vanished,
        lost=lost,
    )


def _unreadable(context: HarvestContext, error: HostDataError) -> LedgerChanges:
    context.problems.add(f"{error}; runs wait for it", source=SourceName.LEDGER)
    return LedgerChanges(is_unreadable=True)


def _ledger_page(
    context: HarvestContext, earlier: EarlierHarvests, *, full: bool
) -> LedgerPage | None:
    path = context.home.ledger
    if not path.exists():
        return None
    watermark = earlier.facts.get(LEDGER_WATERMARK) or Watermark()
    with reading(path) as connection:
        return ledger.read(
            connection,
            path,
            after_rowid=0 if full else watermark.rowid,
            after_id=watermark.row_id,
            open_ids=earlier.open_executions,
        )


def _report_unknown_statuses(context: HarvestContext, page: LedgerPage) -> None:
    unknown = {e.status for e in page.executions if not e.is_terminal and not e.is_open}
    if unknown:
        context.problems.add(
            f"{context.home.ledger}: status {', '.join(sorted(unknown))} is not known to this version: "
            "these runs wait; update cronalytics-otel"
        )


def _gone(
    context: HarvestContext, earlier: EarlierHarvests, executions: Mapping[str, Execution]
) -> dict[str, Execution]:
    """Return the open executions whose process is gone, as they are now.

    They are read again once that is certain: a process may finish its run and exit after the first
    reading.
    """
    suspects = [
        e.execution_id
        for e in executions.values()
        if e.is_open
        and is_abandoned(
            e, seen_open_ns=earlier.open_executions.get(e.execution_id), now_ns=context.now_ns
        )
    ]
    if not suspects:
        return {}
    with reading(context.home.ledger) as connection:
        current = {
            e.execution_id: e for e in ledger.reread(connection, context.home.ledger, suspects)
        }
    return {suspect: current.get(suspect, executions[suspect]) for suspect in suspects}


# --- the sessions -------------------------------------------------------------------------------


class StateFile:
    """state.db, while it is open for one harvest."""

    def __init__(self, context: HarvestContext, earlier: EarlierHarvests, stack: ExitStack) -> None:
        """Opens the file until `stack` is closed. Raises `HostBusyError` when it is locked."""
        self._context = context
        self.is_unreadable = False
        """There are sessions, or there were some, and they cannot be read now: runs of agents wait."""
        self.reader: StateReader | None = None
        """None when there is no session yet, or none can be read."""
        path = context.home.state_db
        had_rows = SourceName.SESSIONS in names_with_rows(earlier.facts)
        try:
            if path.exists():
                connection = stack.enter_context(reading(path))
                self.reader = _reader(connection, path)
            elif had_rows:
                raise vanished_file(path)
        except HostBusyError:
            raise
        except HostTableMissingError as error:
            if had_rows:
                self._wait(error)
        except HostDataError as error:
            self._wait(error)

    def go_without(self, error: Exception) -> None:
        """Go on with the ledger alone when the file turns out to be damaged. Raises the error when it is
        locked."""
        if is_busy(error):
            raise error
        self._wait(HostDataError(f"{self._context.home.state_db} is damaged ({error})"))

    def _wait(self, error: HostDataError) -> None:
        self._context.problems.add(f"{error}; runs of agents wait", source=SourceName.SESSIONS)
        self.is_unreadable = True
        self.reader = None


def _reader(connection: sqlite3.Connection, path: Path) -> StateReader:
    """Raises a `HostDataError` for every fault of the file."""
    try:
        return StateReader(connection, path)
    except SQLITE_FAULTS as error:
        raise translated(path, error) from error


def new_sessions(
    context: HarvestContext, earlier: EarlierHarvests, reader: StateReader, *, full: bool
) -> Iterator[tuple[list[Session], Watermark | None]]:
    """Give the cron sessions that were open and those that are new, in chunks, each with the watermark
    that holds once the chunk is in the journal. Raises `sqlite3.DatabaseError`."""
    seen = earlier.facts.get(SESSION_WATERMARK) or Watermark()
    newest = state_db.newest_row(reader.connection)
    whole = full or not seen.rowid or not state_db.still_holds(reader.connection, seen)
    if not whole:
        yield list(reader.sessions(earlier.open_sessions)), None
    for sessions, watermark in reader.new_cron_sessions(0 if whole else seen.rowid, newest.rowid):
        final_ids = context.journal.runs.known_sessions([s.session_id for s in sessions])
        # A damaged index lets a session have two rows.
        unknown = {s.session_id: s for s in sessions if s.session_id not in final_ids}
        yield list(unknown.values()), watermark
    yield [], newest
