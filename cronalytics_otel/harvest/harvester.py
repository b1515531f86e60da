"""One harvest: from the host's files into the journal.

A row of the host is read (`changes`) and matched (`session_matching`), becomes evidence and a run
(`run_builder`), is joined by what was missed before it (`missed_runs`), and is written into the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain

from ..clock import SYSTEM_CLOCK, Clock
from ..domain.evidence import Evidence
from ..domain.series import Measured, call_measurements, increments, measurements
from ..host.capabilities import CapabilityHistory
from ..host.home import Home
from ..host.outputs import Outputs
from ..host.sqlite import SQLITE_FAULTS, HostDataError
from ..journal import Journal, OpenKind
from ..journal.facts import (
    FINGERPRINTS,
    LEDGER_LOST,
    LEDGER_WATERMARK,
    RUNS_PASSED_OVER,
    SESSION_WATERMARK,
)
from ..model import Budgets, Execution, Mode, Run, Session, SourceName, Watermark
from ..model.times import Zone
from .changes import (
    EarlierHarvests,
    LedgerChanges,
    StateFile,
    fingerprints,
    has_changed,
    new_sessions,
    read_ledger,
)
from .context import HarvestContext, HarvestReport, Problems
from .due_times import DueTimes
from .job_history import JobHistory, JobsSnapshot
from .missed_runs import MissedRuns
from .output_runs import OutputRuns
from .overdue import OverdueJobs
from .readiness import Readiness
from .run_builder import RunBuilder
from .session_matching import SessionMatching
from .sources import recording_sources

Pause = Callable[[], None]
ReportProgress = Callable[[int], None]


def harvest(
    home: Home,
    journal: Journal,
    zone: Zone,
    *,
    now_ns: int,
    clock: Clock = SYSTEM_CLOCK,
    full: bool = False,
    snapshots: Sequence[JobsSnapshot] = (),
    budgets: Budgets | None = None,
    genai_metrics: bool = False,
    between_chunks: Pause = lambda: None,
    progress: ReportProgress = lambda _: None,
) -> HarvestReport:
    """Read what is new and make final what has ended. It is safe to call this at any time, often.

    `full` reads everything again and adds what is missing. `budgets` say what a run may cost.
    `genai_metrics` also counts the model calls that were observed live. `between_chunks` may sleep, or raise to stop:
    what was done until then stays, and the next call goes on from there.
    """
    result = HarvestReport()
    context = HarvestContext(
        home=home,
        journal=journal,
        zone=zone,
        now_ns=now_ns,
        clock=clock,
        problems=Problems(result.problems),
        budgets=budgets or Budgets(),
        genai_metrics=genai_metrics,
    )
    harvester = _Harvester(context, result, between_chunks, progress)
    with recording_sources(home, journal, zone.info, now_ns):
        harvester.run(full=full, snapshots=snapshots)
    return result


class _Harvester:
    """The sequence of one harvest."""

    def __init__(
        self,
        context: HarvestContext,
        result: HarvestReport,
        between_chunks: Pause,
        progress: ReportProgress,
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._result = result
        self._between_chunks = between_chunks
        self._progress = progress
        self._history = JobHistory(context)
        self._overdue = OverdueJobs(context, self._history)
        self._due_times = DueTimes(context, self._history)
        self._missed = MissedRuns(context, self._history, self._due_times, self._overdue)
        self._outputs = Outputs(context.home.outputs, context.zone.info)
        self._output_runs = OutputRuns(context, self._outputs)
        self._kept_since_ns = context.journal.retention.kept_since_ns
        self._passed_over = 0
        self._waits_for_ledger = False

    def run(self, *, full: bool, snapshots: Sequence[JobsSnapshot]) -> None:
        earlier = EarlierHarvests.of(self._context)
        latest_fingerprints = fingerprints(self._context)
        self._overdue.load(earlier.facts)
        must_read = full or bool(snapshots) or earlier.any_open or self._overdue.any_ready_to_report
        if not must_read and not has_changed(earlier, latest_fingerprints):
            return
        try:
            # 1. The definitions as the worker saw them: a one-shot's may be gone by now.
            for snapshot in snapshots:
                self._update_jobs(snapshot)
            # 2. The definitions before the ledger: the host moves `next_run_at` before it writes the row of
            #    a run, so a run that starts during this harvest has its due time seen.
            self._update_jobs()
            # 3. The ledger before the sessions: the session of an ended execution is complete by then.
            changes = read_ledger(self._context, earlier, full=full)
            self._result.running = changes.running
            self._waits_for_ledger = changes.is_unreadable
            # 4. The output files before the sessions, for the same reason.
            self._list_outputs(earlier, changes, full=full)
            # 5. The definitions again: the host writes `last_status` before it ends the execution, so
            #    an execution that was read as ended has it now.
            self._update_jobs()
            self._history.load()
            self._overdue.save()
            # 6. The sessions, and the runs of all that was read; each chunk is one transaction.
            self._read_runs(earlier, changes, full=full)
            # How far all was read comes last: whatever stops a harvest is read again.
            self._save_progress(earlier, changes, latest_fingerprints)
        except HostDataError as error:
            self._context.problems.add(str(error))
        has_ledger = self._context.home.ledger.exists() and not self._waits_for_ledger
        kinds = (OpenKind.EXECUTION,) if has_ledger else (OpenKind.SESSION, OpenKind.OUTPUT)
        self._result.open_runs = sum(len(self._journal.open_rows.ids(kind)) for kind in kinds)

    # --- jobs and output files ------------------------------------------------------------------

    def _update_jobs(self, snapshot: JobsSnapshot | None = None) -> None:
        try:
            self._history.update(snapshot)
            self._overdue.update(snapshot.seen_ns if snapshot else self._context.now_ns)
        except HostDataError as error:
            self._context.problems.add(str(error), source=SourceName.JOBS)

    def _list_outputs(
        self, earlier: EarlierHarvests, changes: LedgerChanges, *, full: bool
    ) -> None:
        has_ledger = self._context.home.ledger.exists() or changes.is_unreadable
        self._output_runs.list_new_files(
            earlier.facts, changes.page, has_ledger=has_ledger, full=full
        )

    # --- runs -----------------------------------------------------------------------------------

    def _read_runs(self, earlier: EarlierHarvests, changes: LedgerChanges, *, full: bool) -> None:
        readiness = Readiness(
            self._history.now,
            self._outputs,
            ledger_oldest_claim_ns=changes.oldest_claim_ns,
            ledger_is_unreadable=changes.is_unreadable,
            now_ns=self._context.now_ns,
        )
        matching = SessionMatching(self._context, earlier, changes, readiness)
        with ExitStack() as stack:
            state = StateFile(self._context, earlier, stack)
            capability_history = CapabilityHistory()
            if state.reader is not None:
                capability_history = state.reader.capability_history(changes.oldest_claim_ns)
            builder = RunBuilder(
                self._context,
                matcher=matching.matcher,
                readiness=readiness,
                history=self._history,
                due_times=self._due_times,
                overdue=self._overdue,
                outputs=self._outputs,
                capability_history=capability_history,
                reader=state.reader,
                sessions_are_unreadable=state.is_unreadable,
            )
            try:
                self._process_sessions(earlier, state, matching, builder, full=full)
            except SQLITE_FAULTS as error:
                state.go_without(error)
                builder.go_without_sessions()
                matching.forget_sessions()
            self._process_unmatched(earlier, changes, state, matching, builder, readiness)
            if self._can_identify_unattributed_outputs(state, capability_history):
                self._process_outputs(builder)

    def _process_sessions(
        self,
        earlier: EarlierHarvests,
        state: StateFile,
        matching: SessionMatching,
        builder: RunBuilder,
        *,
        full: bool,
    ) -> None:
        """Make final what can be, chunk by chunk: one transaction each, with the new watermark."""
        if state.reader is None:
            return
        for sessions, watermark in new_sessions(self._context, earlier, state.reader, full=full):
            self._process_chunk(sessions, watermark, matching, builder)
            self._between_chunks()

    def _process_chunk(
        self,
        sessions: Sequence[Session],
        watermark: Watermark | None,
        matching: SessionMatching,
        builder: RunBuilder,
    ) -> None:
        matches = matching.by_start(sessions)
        built = builder.runs_of(builder.of_matches(matches.ready))
        session_ids = {run.session_id for _, run in built}
        not_built = [s.session_id for _, s in matches.ready if s.session_id not in session_ids]
        rows = self._journal.open_rows
        with self._journal.atomic():
            rows.close(OpenKind.SESSION, matches.already_sent)
            rows.add(OpenKind.SESSION, (*matches.open, *not_built), self._context.now_ns)
            self._make_final(built)
            if watermark is not None:
                self._journal.facts.set(SESSION_WATERMARK, watermark)
        matching.written()

    def _process_unmatched(
        self,
        earlier: EarlierHarvests,
        changes: LedgerChanges,
        state: StateFile,
        matching: SessionMatching,
        builder: RunBuilder,
        readiness: Readiness,
    ) -> None:
        """Make final the sessions whose clocks disagree, and the executions without a session."""
        matches = matching.by_end() if state.reader is not None else None
        evidence = builder.of_matches(matches.ready) if matches is not None else []
        without_session = [
            execution
            for execution in matching.ended_without_session()
            if not (state.is_unreadable and self._waits_for_session(execution, readiness))
        ]
        evidence += [
            builder.of_execution(e) for e in without_session if not self._is_known_by_session(e)
        ]
        built = builder.runs_of(evidence)
        ended = {execution.execution_id for execution in without_session}
        rows = self._journal.open_rows
        with self._journal.atomic():
            unread = changes.page.unread if changes.page is not None else ()
            waiting = {*(matching.unmatched.keys() - ended), *unread}
            rows.add(OpenKind.EXECUTION, waiting, self._context.now_ns)
            rows.close(OpenKind.EXECUTION, ended | changes.vanished)
            rows.close(OpenKind.SESSION, matches.already_sent if matches is not None else ())
            self._make_final(built)
            if state.reader is not None:
                # Sessions that the host has pruned meanwhile will never end.
                existing = {s.session_id for s in state.reader.sessions(earlier.open_sessions)}
                rows.close(OpenKind.SESSION, set(earlier.open_sessions) - existing)

    def _waits_for_session(self, execution: Execution, readiness: Readiness) -> bool:
        """Return whether the execution must wait while sessions cannot be read."""
        job = self._history.now.get(execution.job_id)
        is_script = job is not None and job.mode is Mode.SCRIPT
        return not is_script and readiness.may_wait(execution.finished_ns or execution.began_ns)

    def _is_known_by_session(self, execution: Execution) -> bool:
        """Return whether the execution's session was sent alone, while the ledger could not be read."""
        ended_ns = execution.finished_ns or execution.began_ns
        return self._journal.runs.session_run_between(
            execution.job_id, execution.began_ns, ended_ns
        )

    # --- output files ---------------------------------------------------------------------------

    def _can_identify_unattributed_outputs(
        self, state: StateFile, capability_history: CapabilityHistory
    ) -> bool:
        """Return whether ledger and sessions could be read: without them we cannot know which output
        files belong to them."""
        if state.reader is None:
            return not state.is_unreadable
        has_ledger = self._context.home.ledger.exists()
        return has_ledger or not capability_history.newest.keeps_ledger

    def _process_outputs(self, builder: RunBuilder) -> None:
        """Make final the output files that belong to neither an execution nor a session."""
        rows = self._journal.open_rows
        found = self._output_runs.runs_without_session(
            builder.read_output, self._history.now, rows.ids(OpenKind.SESSION)
        )
        built = builder.runs_of([builder.of_output(*file) for file in found])
        with self._journal.atomic():
            rows.close(OpenKind.OUTPUT, rows.ids(OpenKind.OUTPUT))
            rows.add(OpenKind.OUTPUT, self._output_runs.open_run_ids, self._context.now_ns)
            self._make_final(built)
            self._output_runs.save_read_up_to()

    # --- into the journal -----------------------------------------------------------------------

    def _make_final(self, built: Sequence[tuple[Evidence, Run]]) -> None:
        """Add what was missed before these runs, and make all of them final."""
        rows = self._journal.open_rows
        rows.close(OpenKind.EXECUTION, (r.execution_id for _, r in built if r.execution_id))
        rows.close(OpenKind.SESSION, (r.session_id for _, r in built if r.session_id))
        self._add(self._missed.with_missed_before(built))

    def _add(self, found: Sequence[Run]) -> None:
        """Make these runs final, but for those that the journal no longer keeps: it may have had them."""
        runs = []
        for run in found:
            if run.ended_ns >= self._kept_since_ns:
                runs.append(run)
            else:
                self._passed_over += 1
                self._output_runs.pass_over(run)
        if runs:
            self._journal.runs.add(runs, self._context.now_ns)
            measured = chain.from_iterable(
                chain(map(measurements, runs), self._measured_calls(runs))
            )
            self._journal.series.add(increments(measured), self._context.now_ns)
            self._result.new_runs += len(runs)
            self._progress(self._result.new_runs)

    def _measured_calls(self, runs: Sequence[Run]) -> list[Iterator[Measured]]:
        """Return what the observed model calls of these runs add to their metrics, if these are wanted."""
        if not self._context.genai_metrics:
            return []
        ends = {run.session_id: run.ended_ns for run in runs if run.session_id is not None}
        observed = self._journal.observations.of(list(ends))
        return [
            # Somebody may have gone on with the session after its run.
            call_measurements(found.before(ends.get(session_id, self._context.now_ns)))
            for session_id, found in observed.items()
        ]

    def _save_progress(
        self, earlier: EarlierHarvests, changes: LedgerChanges, latest_fingerprints: dict[str, str]
    ) -> None:
        """Save what was missed by jobs without a run, and how far everything was read."""
        facts = self._journal.facts
        with self._journal.atomic():
            if changes.page is not None:
                self._add(self._missed.without_run())
                facts.set(
                    LEDGER_WATERMARK, Watermark(changes.page.last_rowid, changes.page.last_id)
                )
                if changes.lost:
                    facts.set(LEDGER_LOST, earlier.facts.get(LEDGER_LOST) + changes.lost)
            if self._passed_over:
                facts.set(RUNS_PASSED_OVER, self._passed_over)
            self._overdue.save()
            unsound = dict.fromkeys(self._context.problems.unsound, "")
            facts.set(FINGERPRINTS, latest_fingerprints | unsound)
