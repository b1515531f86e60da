"""From the host's files into the journal: what is new since the last time, and what was open.

The ledger is read before the sessions: the host finishes a session before its execution, so an
execution that is final has its session complete in what is read afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..domain.matching import Matcher
from ..host import ledger, state_db
from ..host.home import Home
from ..host.outputs import Outputs
from ..host.sqlite import (
    HostCorruptError,
    HostDataError,
    HostSchemaError,
    fingerprint,
    is_corrupt,
    reading,
)
from ..host.state_db import Watermark
from ..journal import Journal, OpenKind
from ..journal.facts import (
    FINGERPRINTS,
    LEDGER_LOST,
    LEDGER_MARK,
    SESSION_MARK,
    FactValues,
    RowMark,
)
from ..model import Execution, Mode, Run, Session
from ..model.times import Zone
from .assembly import Pair, RunAssembler
from .job_history import JobHistory, JobsSnapshot
from .output_runs import OutputRuns
from .overdue import OverdueJobs
from .readiness import in_ledger_times, is_abandoned, waited_enough


@dataclass(slots=True)
class Harvest:
    """What one harvest did. `problems` are lines for people, each with what to do."""

    new_runs: int = 0
    open_runs: int = 0
    problems: list[str] = field(default_factory=list)


Paced = Callable[[], None]
Counted = Callable[[int], None]


def harvest(
    home: Home,
    journal: Journal,
    zone: Zone,
    *,
    now_ns: int,
    full: bool = False,
    snapshots: Sequence[JobsSnapshot] = (),
    between_chunks: Paced = lambda: None,
    progress: Counted = lambda _: None,
) -> Harvest:
    """Reads what is new and makes final what has ended; safe to call at any time, any number.

    `full` reads everything again and adds what is missing. `between_chunks` may sleep or raise to
    stop: what was done until then stays, and the next call goes on from there.
    """
    return _Harvester(
        home, journal, zone, now_ns, between_chunks=between_chunks, progress=progress
    ).run(full=full, snapshots=snapshots)


class _Harvester:
    def __init__(
        self,
        home: Home,
        journal: Journal,
        zone: Zone,
        now_ns: int,
        *,
        between_chunks: Paced,
        progress: Counted,
    ) -> None:
        self._home = home
        self._journal = journal
        self._now_ns = now_ns
        self._zone = zone.info
        self._between_chunks = between_chunks
        self._progress = progress
        self._result = Harvest()
        self._job_history = JobHistory(home.jobs, journal, zone.info, now_ns)
        self._outputs = Outputs(home.outputs, zone.info)
        self._overdue_jobs = OverdueJobs(
            home, journal, self._job_history, zone.info, zone.name, now_ns
        )
        self._assembler = RunAssembler(
            home,
            journal,
            zone,
            now_ns,
            definitions=self._job_history,
            outputs=self._outputs,
            outages=self._overdue_jobs,
        )
        self._matcher = self._assembler.matcher
        self._executions: dict[str, Execution] = {}
        self._output_runs = OutputRuns(self._outputs, zone.info, now_ns)
        self._begins_ns: int | None = None
        self._had_runs = False
        self._sessions_unknown = False
        self._vanished: set[str] = set()
        self._lost = 0
        self._unsound: set[str] = set()

    def run(self, *, full: bool, snapshots: Sequence[JobsSnapshot]) -> Harvest:
        facts = self._journal.facts.read()
        self._had_runs = bool(facts.get(SESSION_MARK) or facts.get(LEDGER_MARK))
        fingerprints = {
            name: fingerprint(path)
            for name, path in (
                ("jobs", self._home.jobs),
                ("ledger", self._home.ledger),
                ("state", self._home.state_db),
            )
        }
        changed = facts.get(FINGERPRINTS) != fingerprints
        open_executions = self._journal.open_rows.seen_ns(OpenKind.EXECUTION)
        open_sessions = self._journal.open_rows.seen_ns(OpenKind.SESSION)
        is_told = self._overdue_jobs.recall(facts)
        open_outputs = self._journal.open_rows.seen_ns(OpenKind.OUTPUT)
        still_open = open_executions or open_sessions or open_outputs
        if not (full or changed or snapshots or still_open or is_told):
            return self._result
        try:
            for snapshot in snapshots:
                self._look_at_jobs(snapshot)
            self._look_at_jobs()
            self._read(facts, fingerprints, open_executions, open_sessions, full=full)
        except HostDataError as error:
            self._problem(str(error))
        has_ledger = self._home.ledger.exists()
        kinds = (OpenKind.EXECUTION,) if has_ledger else (OpenKind.SESSION, OpenKind.OUTPUT)
        self._result.open_runs = sum(len(self._journal.open_rows.seen_ns(kind)) for kind in kinds)
        return self._result

    def _problem(self, text: str, *, source: str | None = None) -> None:
        """Told once a harvest; a source that is named is read again next time, changed or not, so
        that its fault is told for as long as it lasts."""
        if text not in self._result.problems:
            self._result.problems.append(text)
        if source is not None:
            self._unsound.add(source)

    def _look_at_jobs(self, snapshot: JobsSnapshot | None = None) -> None:
        try:
            self._job_history.look(snapshot)
            self._overdue_jobs.look(snapshot.seen_ns if snapshot else self._now_ns)
        except HostDataError as error:
            self._problem(str(error), source="jobs")

    # Ledger and sessions.

    def _read(
        self,
        facts: FactValues,
        fingerprints: dict[str, str],
        open_executions: dict[str, int],
        open_sessions: dict[str, int],
        *,
        full: bool,
    ) -> None:
        page = self._read_ledger(facts, open_executions, full=full)
        self._output_runs.look(facts, page, ledger=self._home.ledger.exists(), full=full)
        # Again: the host writes how a job's run ended before it ends the execution.
        self._look_at_jobs()
        self._job_history.recall()
        self._overdue_jobs.keep()
        executions = page.executions if page else []
        self._begins_ns = page.begins_ns if page else None
        final = {e.execution_id for e in executions if e.terminal} | self._gone(
            executions, open_executions
        )
        self._matcher = self._assembler.matcher = Matcher(executions, self._zone)
        self._executions = {e.execution_id: e for e in executions}
        unpaired = dict(self._executions)
        waiting: list[Session] = []
        with ExitStack() as stack:
            reader, connection = self._open_state(stack)
            if reader is not None and connection is not None:
                chunks = self._chunks(reader, connection, facts, open_sessions, full=full)
                try:
                    for sessions, mark in chunks:
                        waiting += self._take_chunk(reader, sessions, mark, final, unpaired)
                        self._between_chunks()
                except sqlite3.DatabaseError as error:
                    self._go_without_state(error)
                    reader = None
            self._finish(reader, waiting, final, unpaired, open_sessions)
            if self._has_all(reader):
                self._take_leftovers(reader)
        with self._journal.atomic():
            if page is not None:
                self._add(self._overdue_jobs.settle())
                self._journal.facts.set(LEDGER_MARK, RowMark(page.last_rowid, page.last_id))
                if self._lost:
                    self._journal.facts.set(LEDGER_LOST, facts.get(LEDGER_LOST) + self._lost)
            self._overdue_jobs.keep()
            unsound = dict.fromkeys(self._unsound, "")
            self._journal.facts.set(FINGERPRINTS, fingerprints | unsound)

    def _read_ledger(
        self, facts: FactValues, open_ids: dict[str, int], *, full: bool
    ) -> ledger.LedgerPage | None:
        """None when there is no ledger: an older host, or a damaged file (which is told)."""
        path = self._home.ledger
        if not path.exists():
            return None
        mark = facts.get(LEDGER_MARK) or RowMark(0, "")
        try:
            with reading(path) as connection:
                page = ledger.read(
                    connection,
                    path,
                    after_rowid=0 if full else mark.rowid,
                    after_id=mark.row_id,
                    open_ids=open_ids,
                )
        except HostCorruptError as error:
            self._problem(str(error), source="ledger")
            return None
        if page.unread:
            self._problem(f"{path}: {page.unread} rows have no time that can be read")
        unknown = {e.status for e in page.executions if not e.terminal and not e.known_open}
        if unknown:
            self._problem(
                f"{path}: status {', '.join(sorted(unknown))} is not known to this version: "
                "these runs wait; update cronalytics-otel"
            )
        self._vanished = set(open_ids) - {e.execution_id for e in page.executions}
        if lost := len(self._vanished) + page.pruned_unread:
            self._problem(
                f"{path}: {lost} runs were deleted from it before they were read (it keeps the newest "
                "1000): those that have a session are taken from there"
            )
            self._lost += lost
        known = self._journal.runs.known_executions([e.execution_id for e in page.executions])
        page.executions[:] = [e for e in page.executions if e.execution_id not in known]
        return page

    def _gone(self, executions: list[Execution], seen_open: dict[str, int]) -> set[str]:
        """Open executions whose process is gone, asked again after that was certain.

        A process may finish its run and leave between our two looks.
        """
        suspects = [
            e.execution_id
            for e in executions
            if e.known_open
            and is_abandoned(e, seen_open_ns=seen_open.get(e.execution_id), now_ns=self._now_ns)
        ]
        if not suspects:
            return set()
        with reading(self._home.ledger) as connection:
            again = {
                e.execution_id: e for e in ledger.reread(connection, self._home.ledger, suspects)
            }
        executions[:] = [again.get(e.execution_id, e) for e in executions]
        return set(suspects)

    def _open_state(
        self, stack: ExitStack
    ) -> tuple[state_db.Reader | None, sqlite3.Connection | None]:
        path = self._home.state_db
        if not path.exists():
            return None, None
        connection = stack.enter_context(reading(path))
        try:
            return state_db.Reader(connection, path), connection
        except HostSchemaError as error:
            self._problem(f"{error}; runs of agents wait", source="state")
            self._sessions_unknown = True
            return None, None
        except sqlite3.DatabaseError as error:
            self._go_without_state(error)
            return None, None

    def _go_without_state(self, error: sqlite3.DatabaseError) -> None:
        """Damaged: what the ledger tells still goes out. Locked: everything waits (raised)."""
        if not is_corrupt(error):
            raise error
        self._problem(
            f"{self._home.state_db} is damaged ({error}): runs go out without their sessions",
            source="state",
        )

    def _chunks(
        self,
        reader: state_db.Reader,
        connection: sqlite3.Connection,
        facts: FactValues,
        open_sessions: dict[str, int],
        *,
        full: bool,
    ) -> Iterator[tuple[list[Session], Watermark | None]]:
        mark = Watermark(*(facts.get(SESSION_MARK) or ()))
        newest = state_db.watermark(connection)
        whole = full or not mark.rowid or not state_db.still_holds(connection, mark)
        if not whole:
            yield list(reader.sessions(open_sessions)), None
        for sessions, reached in reader.new_cron_sessions(0 if whole else mark.rowid, newest.rowid):
            known = self._journal.runs.known_sessions([s.session_id for s in sessions])
            yield [s for s in sessions if s.session_id not in known], reached
        yield [], newest

    def _take_chunk(
        self,
        reader: state_db.Reader,
        sessions: list[Session],
        mark: Watermark | None,
        final: set[str],
        unpaired: dict[str, Execution],
    ) -> list[Session]:
        """Makes final what can be; gives back the sessions whose execution is not known yet."""
        pairs: list[Pair] = []
        still_open: list[str] = []
        done: list[str] = []
        waiting: list[Session] = []
        for session in sessions:
            execution = self._matcher.by_start(session)
            if execution is not None:
                if execution.execution_id in final:
                    pairs.append((execution, session))
                    del unpaired[execution.execution_id]
                else:
                    still_open.append(session.session_id)
            elif in_ledger_times(session, self._begins_ns) or self._ended_with_one(session):
                waiting.append(session)
            elif self._waited_enough(session):
                if self._known_by_execution(session):
                    done.append(session.session_id)
                else:
                    pairs.append((None, session))
            else:
                still_open.append(session.session_id)
        runs = self._assembler.runs_of(reader, pairs)
        made = {run.session_id for run in runs}
        still_open += [s.session_id for _, s in pairs if s.session_id not in made]
        with self._journal.atomic():
            self._journal.open_rows.close(OpenKind.SESSION, done)
            self._journal.open_rows.add(OpenKind.SESSION, still_open, self._now_ns)
            self._journal.open_rows.add(
                OpenKind.SESSION, (s.session_id for s in waiting), self._now_ns
            )
            self._close(runs)
            if mark is not None:
                self._journal.facts.set(SESSION_MARK, RowMark(mark.rowid, mark.session_id))
        return waiting

    def _finish(
        self,
        reader: state_db.Reader | None,
        waiting: list[Session],
        final: set[str],
        unpaired: dict[str, Execution],
        open_sessions: dict[str, int],
    ) -> None:
        """What is left: sessions whose clocks disagree, and executions without a session."""
        pairs: list[Pair] = []
        done: list[str] = []
        for session in waiting:
            execution = self._matcher.by_end(session)
            if execution is not None and execution.execution_id in final:
                pairs.append((execution, session))
                del unpaired[execution.execution_id]
            elif execution is None and self._waited_enough(session):
                if self._known_by_execution(session):
                    done.append(session.session_id)
                else:
                    pairs.append((None, session))
        runs = self._assembler.runs_of(reader, pairs) if reader is not None else []
        ended = {e for e in unpaired if e in final and not self._waits_for_sessions(unpaired[e])}
        for execution_id in ended:
            if not self._known_by_session(unpaired[execution_id]):
                runs.append(self._assembler.of_execution(reader, unpaired[execution_id]))
        running = unpaired.keys() - ended
        with self._journal.atomic():
            self._journal.open_rows.add(OpenKind.EXECUTION, running, self._now_ns)
            self._journal.open_rows.close(OpenKind.EXECUTION, self._vanished)
            self._journal.open_rows.close(OpenKind.EXECUTION, ended)
            self._journal.open_rows.close(OpenKind.SESSION, done)
            self._close(runs)
            if reader is not None:
                # Sessions that the host has pruned meanwhile will never end.
                existing = {s.session_id for s in reader.sessions(open_sessions)}
                self._journal.open_rows.close(OpenKind.SESSION, set(open_sessions) - existing)

    def _has_all(self, reader: state_db.Reader | None) -> bool:
        """Whether what has a session or an execution can be told from what has none."""
        if reader is None:
            return not self._home.state_db.exists()
        return self._home.ledger.exists() or not reader.has_ledger_beside

    def _take_leftovers(self, reader: state_db.Reader | None) -> None:
        """What has neither an execution nor a session."""
        found = self._output_runs.found(
            self._journal, self._job_history.now, self._journal.open_rows.seen_ns(OpenKind.SESSION)
        )
        runs = [self._assembler.of_output(reader, saved, output) for saved, output in found]
        with self._journal.atomic():
            self._journal.open_rows.close(
                OpenKind.OUTPUT, self._journal.open_rows.seen_ns(OpenKind.OUTPUT)
            )
            self._journal.open_rows.add(OpenKind.OUTPUT, self._output_runs.waiting, self._now_ns)
            self._close(runs)
            self._output_runs.remember(self._journal)

    def _close(self, runs: list[Run]) -> None:
        self._journal.open_rows.close(
            OpenKind.EXECUTION, (r.execution_id for r in runs if r.execution_id)
        )
        self._journal.open_rows.close(
            OpenKind.SESSION, (r.session_id for r in runs if r.session_id)
        )
        self._add(self._overdue_jobs.with_missed(runs, self._executions, self._assembler.previous))

    def _add(self, runs: list[Run]) -> None:
        if runs:
            self._journal.runs.add(runs, self._now_ns)
            self._result.new_runs += len(runs)
            self._progress(self._result.new_runs)

    def _waited_enough(self, session: Session) -> bool:
        job_id = session.job_id or ""
        job = self._job_history.now.get(job_id)
        if (
            job is None
            and self._begins_ns is None
            and session.ended_ns is not None
            and self._assembler.saved_after(job_id, session.ended_ns)
        ):
            return True
        return waited_enough(session, job=job, begins_ns=self._begins_ns, now_ns=self._now_ns)

    def _ended_with_one(self, session: Session) -> bool:
        """A clock that was set back may let a session seem older than the whole ledger."""
        return self._matcher.ends_with(session) is not None

    def _known_by_execution(self, session: Session) -> bool:
        """Its execution went out alone, while the sessions could not be read."""
        return self._had_runs and self._journal.runs.execution_run_around(
            session.job_id or "", session.started_ns
        )

    def _waits_for_sessions(self, execution: Execution) -> bool:
        """Its session is there and cannot be read by this version: it goes out whole, or not yet."""
        job = self._job_history.now.get(execution.job_id)
        return self._sessions_unknown and not (job is not None and job.mode is Mode.SCRIPT)

    def _known_by_session(self, execution: Execution) -> bool:
        """Its session went out alone, while the ledger could not be read."""
        end_ns = execution.finished_ns or execution.began_ns
        return self._journal.runs.session_run_between(execution.job_id, execution.began_ns, end_ns)
