"""Collects the evidence of each run and builds the run from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import NamedTuple

from ..domain.assembly import assemble, name_beside
from ..domain.budgets import is_over_run_budget
from ..domain.evidence import Evidence, PreviousRun, UsageRows
from ..domain.matching import Matcher
from ..domain.sessions import continued, last_of, recorded_times
from ..host.capabilities import Capabilities, CapabilityHistory
from ..host.outputs import Outputs
from ..host.state_db import StateReader
from ..model import Execution, Job, Output, OutputFile, Prompt, Run, Session, Usage
from .context import HarvestContext
from .due_times import DueTime, DueTimes
from .job_history import JobHistory
from .overdue import OverdueJobs
from .readiness import OUTPUT_AFTER_END_NS, Readiness
from .session_matching import Match

Families = Mapping[str, Sequence[Session]]
"""By root id, every session below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SessionData:
    """What was read for the sessions of several runs together."""

    descendants: Families = field(default_factory=dict)
    usage_rows: UsageRows = field(default_factory=dict)
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """By root id."""


class _Times(NamedTuple):
    """When a run began and ended, as far as it is known before its evidence is complete."""

    began_ns: int
    ended_ns: int | None
    last_activity_ns: int | None
    """For a run that never ended: when it last did something."""


class RunBuilder:
    """Builds the runs of one harvest."""

    def __init__(
        self,
        context: HarvestContext,
        *,
        matcher: Matcher,
        readiness: Readiness,
        history: JobHistory,
        due_times: DueTimes,
        overdue: OverdueJobs,
        outputs: Outputs,
        capability_history: CapabilityHistory,
        reader: StateReader | None,
        sessions_are_unreadable: bool,
    ) -> None:
        """`reader` is None when there is no session yet, or none can be read."""
        self._sessions_are_unreadable = sessions_are_unreadable
        self._context = context
        self._matcher = matcher
        self._readiness = readiness
        self._history = history
        self._due_times = due_times
        self._overdue = overdue
        self._outputs = outputs
        self._capability_history = capability_history
        self._reader = reader

    def go_without_sessions(self) -> None:
        """Read no more from state.db: it turned out to be damaged."""
        self._reader = None
        self._sessions_are_unreadable = True

    # --- evidence -------------------------------------------------------------------------------

    def of_matches(self, matches: Sequence[Match]) -> list[Evidence]:
        """Return the evidence of these sessions' runs. A session alone whose continuation has not ended
        is left out."""
        reader = self._reader
        if reader is None or not matches:
            return []
        matches, descendants = self._reinterpreted(
            reader, matches, reader.descendants([match.session for match in matches])
        )
        matches = [
            match
            for match in matches
            if match.execution is not None
            or self._readiness.conversation_is_over(
                match.session, _last(match.session, descendants)
            )
        ]
        matches = [
            Match(execution, self._with_observed_usage(reader, session))
            for execution, session in matches
        ]
        data = self._read_session_data(reader, [match.session for match in matches], descendants)
        return [self._evidence(match.execution, match.session, data) for match in matches]

    def of_execution(self, execution: Execution) -> Evidence:
        """Return the evidence of an execution that has no session."""
        evidence = self._evidence(execution, None, _SessionData())
        return evidence._replace(session_may_be_lost=self._may_be_lost(execution))

    def _may_be_lost(self, execution: Execution) -> bool:
        """Return whether the execution may have had a session that is not there now: it cannot be read, or
        is older than all sessions that are kept. Nor do we know if the job's output cannot be read."""
        if self._sessions_are_unreadable or not self._outputs.is_readable(execution.job_id):
            return True
        oldest_ns = self._reader.oldest_start_ns if self._reader is not None else None
        return oldest_ns is not None and execution.began_ns < oldest_ns

    def of_output(self, saved: OutputFile, output: Output) -> Evidence:
        """Return the evidence of a run that left an output file and nothing else."""
        capabilities = self._capability_history.for_run(saved.saved_ns, in_ledger=False)
        definition = self._history.at(saved.job_id, saved.saved_ns)
        was_seen = self._history.was_seen_by(saved.job_id, saved.saved_ns)
        return Evidence(
            profile=self._context.home.profile,
            job_id=saved.job_id,
            definition=definition,
            name_then=None if was_seen else self._name_then(definition, None, output),
            latest_definition=self._history.now.get(saved.job_id),
            execution=None,
            session=None,
            delivers_notice_of_empty_reply=capabilities.delivers_notice_of_empty_reply,
            output=output,
            output_file=saved,
            host_due_ns=self._due_times.take_without_execution(saved.job_id, saved.saved_ns),
        )

    def read_output(self, saved: OutputFile) -> Output | None:
        """Return the content of an output file that belongs to no execution."""
        capabilities = self._capability_history.for_run(saved.saved_ns, in_ledger=False)
        return self._outputs.read(saved, capabilities)

    def runs_of(self, evidence: Sequence[Evidence]) -> list[tuple[Evidence, Run]]:
        """Return each evidence with the run that it describes."""
        return [(each, self._run_of(each)) for each in evidence]

    def _run_of(self, evidence: Evidence) -> Run:
        zone, budgets = self._context.zone, self._context.budgets
        run = assemble(evidence, zone.info, zone.name)
        limit_usd = budgets.run_limit_usd(run.job_id, run.job_name)
        if limit_usd is None:
            return run
        return replace(run, over_budget=is_over_run_budget(run, limit_usd))

    # --- the rows of the sessions ---------------------------------------------------------------

    def _reinterpreted(
        self, reader: StateReader, matches: Sequence[Match], descendants: Families
    ) -> tuple[Sequence[Match], Families]:
        """Return the matches and families with each last message as the version that wrote it means
        it."""
        if not self._capability_history.has_older_rows:
            return matches, descendants
        last_sessions: dict[Capabilities, list[Session]] = {}
        for execution, session in matches:
            last = _last(session, descendants)
            capabilities = self._capability_history.for_run(
                _ended_ns(last), in_ledger=execution is not None
            )
            last_sessions.setdefault(capabilities, []).append(last)
        changed: dict[str, Session] = {}
        for capabilities, sessions in last_sessions.items():
            changed |= reader.reinterpreted_for(capabilities, sessions)
        return (
            [Match(e, changed.get(s.session_id, s)) for e, s in matches],
            {
                root: [changed.get(s.session_id, s) for s in sessions]
                for root, sessions in descendants.items()
            },
        )

    def _with_observed_usage(self, reader: StateReader, session: Session) -> Session:
        """Return a resumed session with the tokens that hooks observed in its run, where the host's rows do
        not show them and each answer was observed."""
        if session.resumed_ns is None or session.model_usage.usage is not None:
            return session
        session_id = session.session_id
        observed = self._context.journal.observations.of([session_id]).get(session_id)
        calls = observed.before(session.resumed_ns).calls if observed is not None else ()
        usages = [call.usage for call in calls if call.usage is not None]
        conversation = reader.conversations([session_id], with_content=False)[session_id]
        answers = sum(bool(m.finish_reason) and not m.is_copy for m in conversation.messages)
        if not usages or len(usages) < max(len(calls), answers):
            return session
        used = replace(session.model_usage, usage=Usage.sum(usages), api_calls=len(usages))
        return session._replace(model_usage=used)

    def _read_session_data(
        self, reader: StateReader, roots: Sequence[Session], descendants: Families
    ) -> _SessionData:
        below = [s for root in roots for s in descendants.get(root.session_id, ())]
        return _SessionData(
            descendants=descendants,
            usage_rows=reader.usage.rows([*roots, *below]),
            tool_calls=reader.tool_calls(roots, descendants),
            prompts=_prompts(
                reader, [root for root in roots if self._prompt_has_host_text(root)], descendants
            ),
        )

    def _prompt_has_host_text(self, session: Session) -> bool:
        """Return whether the host may have written passages into the session's prompt: it does if the
        job names skills, a script, or jobs whose outputs the agent is given."""
        job = self._history.at(session.job_id or "", session.started_ns)
        return job is None or bool(job.skills or job.context_from) or job.has_script

    # --- one run --------------------------------------------------------------------------------

    def _evidence(
        self, execution: Execution | None, session: Session | None, data: _SessionData
    ) -> Evidence:
        descendants = data.descendants.get(session.session_id, ()) if session else ()
        job_id = _job_id(execution, session)
        times = self._times(execution, session, last_of(session, descendants) if session else None)
        ended_ns = self._context.now_ns if times.ended_ns is None else times.ended_ns
        job = self._history.at(job_id, ended_ns)
        previous = self._previous(execution) if execution is not None else None
        due = self._due(execution, job_id, job, previous, times)
        capabilities = self._capability_history.for_run(ended_ns, in_ledger=execution is not None)
        was_seen = self._history.was_seen_by(job_id, ended_ns)
        # The output file is read only where the databases leave a question.
        is_complete = (
            execution is not None
            and session is not None
            and due.job is not None
            and (was_seen or name_beside(session, None) is not None)
        )
        output = None if is_complete else self._output(execution, job_id, times, capabilities)
        return Evidence(
            profile=self._context.home.profile,
            job_id=job_id,
            definition=due.job,
            latest_definition=self._history.now.get(job_id),
            execution=execution,
            session=session,
            descendants=descendants,
            usage_rows=data.usage_rows,
            tool_calls=data.tool_calls,
            prompt=data.prompts.get(session.session_id) if session else None,
            output=output,
            name_then=None if was_seen else self._name_then(due.job, session, output),
            delivers_notice_of_empty_reply=capabilities.delivers_notice_of_empty_reply,
            host_due_ns=due.host_due_ns,
            previous=previous,
            is_out_of_turn=due.is_out_of_turn,
            zone_before=self._zone_before(execution),
            counted_from_ns=due.counted_from_ns,
            last_activity_ns=times.last_activity_ns,
        )

    def _name_then(
        self, definition: Job | None, session: Session | None, output: Output | None
    ) -> str | None:
        """Return the job's name that the host wrote beside the run; None if that may be content.

        Hermes takes the prompt's beginning for the name of a job that was given none.
        """
        name = name_beside(session, output)
        if name is None or (definition is not None and name == definition.name):
            return name
        if session is None or self._reader is None:
            is_script = output is not None and output.is_script
            return name if is_script or definition is None else None
        is_borrowed = self._reader.messages.prompt_begins_with(session.session_id, name)
        return None if is_borrowed else name

    def _due(
        self,
        execution: Execution | None,
        job_id: str,
        job: Job | None,
        previous: PreviousRun | None,
        times: _Times,
    ) -> DueTime:
        if execution is None:
            return DueTime(
                job, self._due_times.take_without_execution(job_id, times.began_ns), None
            )
        overdue = self._overdue.of_job(job_id)
        return self._due_times.of_execution(execution, job, previous, overdue)

    def _output(
        self, execution: Execution | None, job_id: str, times: _Times, capabilities: Capabilities
    ) -> Output | None:
        """Return the content of the run's output file; None for a run that never ended."""
        if times.ended_ns is None:
            return None
        return self._outputs.of_run(
            job_id,
            times.began_ns,
            times.ended_ns,
            slack_ns=0 if execution is not None else OUTPUT_AFTER_END_NS,
            capabilities=capabilities,
            zone=None if execution is None else execution.zone_in(self._context.zone.info),
        )

    def _times(
        self, execution: Execution | None, session: Session | None, last: Session | None
    ) -> _Times:
        began_ns, ended_ns = recorded_times(execution, session, last)
        active_ns = self._last_activity_ns(last) if ended_ns is None else None
        if ended_ns is None and session is not None and session.ended_ns is not None:
            ended_ns = active_ns  # it was continued under a new id, whose end was not written
        return _Times(began_ns=began_ns, ended_ns=ended_ns, last_activity_ns=active_ns)

    def _last_activity_ns(self, session: Session | None) -> int | None:
        if session is None or session.ended_ns is not None:
            return session.ended_ns if session is not None else None
        message_ns = (
            self._reader.messages.last_activity_ns(session.session_id) if self._reader else None
        )
        return max(session.started_ns, message_ns or 0)

    def _zone_before(self, execution: Execution | None) -> tzinfo | None:
        """Return the zone of the job's run before, as far as the ledger was read, if it was another one."""
        before = self._matcher.before(execution) if execution is not None else None
        if execution is None or before is None:
            return None
        home = self._context.zone.info
        zone = before.zone_in(home)
        return zone if zone != execution.zone_in(home) else None

    def _previous(self, execution: Execution) -> PreviousRun | None:
        """Return the job's run before this one, from this harvest or from the journal."""
        before = self._matcher.before(execution)
        if before is not None:
            return PreviousRun(began_ns=before.began_ns, counted_from_ns=before.counted_from_ns)
        times = self._context.journal.runs.previous_times(execution.job_id, execution.began_ns)
        return None if times is None else PreviousRun(began_ns=times[0], counted_from_ns=times[1])


def _job_id(execution: Execution | None, session: Session | None) -> str:
    if execution is not None:
        return execution.job_id
    return (session.job_id if session is not None else None) or ""


def _last(root: Session, descendants: Families) -> Session:
    return last_of(root, descendants.get(root.session_id, ()))


def _ended_ns(session: Session) -> int:
    return session.moved_ns if session.ended_ns is None else session.ended_ns


def _prompts(
    reader: StateReader, roots: Sequence[Session], descendants: Families
) -> dict[str, Prompt]:
    """Return by root id what its prompt shows.

    The first session of a conversation that has any message holds the prompt: some hosts write all
    messages into the last of the sessions that continue one another.
    """
    chains = {
        root.session_id: continued(root, descendants.get(root.session_id, ())) for root in roots
    }
    found = reader.messages.prompts([s.session_id for chain in chains.values() for s in chain])
    prompts: dict[str, Prompt] = {}
    for root_id, chain in chains.items():
        prompt = next((found[s.session_id] for s in chain if s.session_id in found), None)
        if prompt is not None:
            prompts[root_id] = prompt
    return prompts
