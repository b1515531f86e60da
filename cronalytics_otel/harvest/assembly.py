"""A run's assembly: puts the evidence of a run together, step by step, and makes the run of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..domain.assembly import assemble
from ..domain.evidence import Evidence, PreviousRun, UsageRows
from ..domain.matching import Matcher
from ..domain.missed import counted_from_ns
from ..domain.sessions import continued, last_of
from ..host.capabilities import Capabilities, CapabilityHistory
from ..host.outputs import Outputs
from ..host.state_db import Reader
from ..model import Execution, Job, Output, OutputFile, Prompt, Run, Session
from .context import Context
from .due_times import DueTime, DueTimes
from .job_history import JobHistory
from .matching import Match
from .overdue import OverdueJobs
from .readiness import UNMATCHED_GRACE_NS, Readiness

Families = Mapping[str, Sequence[Session]]
"""By root id, every session below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """What was read for the sessions of several runs together."""

    below: Families = field(default_factory=dict)
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


class RunAssembler:
    """Makes runs of what one harvest has found."""

    def __init__(
        self,
        context: Context,
        *,
        matcher: Matcher,
        readiness: Readiness,
        history: JobHistory,
        due_times: DueTimes,
        overdue: OverdueJobs,
        outputs: Outputs,
        hosts: CapabilityHistory,
        reader: Reader | None,
    ) -> None:
        """`reader` is None when there is no state.db, or it cannot be read."""
        self._context = context
        self._matcher = matcher
        self._readiness = readiness
        self._history = history
        self._due_times = due_times
        self._overdue = overdue
        self._outputs = outputs
        self._hosts = hosts
        self._reader = reader

    def go_without_sessions(self) -> None:
        """Read no more from state.db: it turned out to be damaged."""
        self._reader = None

    # --- evidence -------------------------------------------------------------------------------

    def of_matches(self, matches: Sequence[Match]) -> list[Evidence]:
        """Return the evidence of these sessions' runs. A session alone whose continuation has not ended
        is left out."""
        reader = self._reader
        if reader is None or not matches:
            return []
        matches, below = self._with_host_rules(
            reader, matches, reader.descendants([match.session for match in matches])
        )
        matches = [
            match
            for match in matches
            if match.execution is not None
            or self._readiness.conversation_is_over(match.session, _last(match.session, below))
        ]
        steps = self._read_steps(reader, [match.session for match in matches], below)
        return [self._evidence(match.execution, match.session, steps) for match in matches]

    def of_execution(self, execution: Execution) -> Evidence:
        """Return the evidence of an execution that has no session."""
        return self._evidence(execution, None, _Steps())

    def of_output(self, saved: OutputFile, output: Output) -> Evidence:
        """Return the evidence of a run that left an output file and nothing else."""
        host = self._hosts.of_row(saved.saved_ns, in_ledger=False)
        return Evidence(
            profile=self._context.home.profile,
            job_id=saved.job_id,
            job=self._history.at(saved.job_id, saved.saved_ns),
            job_now=self._history.now.get(saved.job_id),
            execution=None,
            session=None,
            delivers_notice_of_empty_reply=host.delivers_notice_of_empty_reply,
            output=output,
            saved=saved,
            known_due_ns=self._due_times.without_execution(saved.job_id, saved.saved_ns),
        )

    def read_output(self, saved: OutputFile) -> Output | None:
        """Return what an output file says that belongs to no execution."""
        host = self._hosts.of_row(saved.saved_ns, in_ledger=False)
        return self._outputs.read(saved, host)

    def runs_of(self, evidence: Sequence[Evidence]) -> list[tuple[Evidence, Run]]:
        """Return the evidence, each with the run that it describes."""
        zone = self._context.zone
        return [(each, assemble(each, zone.info, zone.name)) for each in evidence]

    # --- what the steps of an agent say ---------------------------------------------------------

    def _with_host_rules(
        self, reader: Reader, matches: Sequence[Match], below: Families
    ) -> tuple[Sequence[Match], Families]:
        """Return the same, with what the host that wrote each session makes of its last message."""
        if not self._hosts.are_several:
            return matches, below
        lasts: dict[Capabilities, list[Session]] = {}
        for execution, session in matches:
            last = _last(session, below)
            host = self._hosts.of_row(_ended_ns(last), in_ledger=execution is not None)
            lasts.setdefault(host, []).append(last)
        changed: dict[str, Session] = {}
        for host, sessions in lasts.items():
            changed |= reader.as_written_by(host, sessions)
        return (
            [Match(e, changed.get(s.session_id, s)) for e, s in matches],
            {root: [changed.get(s.session_id, s) for s in some] for root, some in below.items()},
        )

    def _read_steps(self, reader: Reader, roots: Sequence[Session], below: Families) -> _Steps:
        everyone = [root.session_id for root in roots]
        everyone += [s.session_id for root in roots for s in below.get(root.session_id, ())]
        return _Steps(
            below=below,
            usage_rows=reader.usage_rows(everyone),
            tool_calls=reader.tool_calls(roots, below),
            prompts=_prompts(
                reader, [root for root in roots if self._has_telling_prompt(root)], below
            ),
        )

    def _has_telling_prompt(self, session: Session) -> bool:
        """Return whether its job names skills, a script before the agent, or jobs whose outputs it is
        given: only then does its prompt hold more than its owner's words."""
        job = self._history.at(session.job_id or "", session.started_ns)
        return job is None or bool(job.skills or job.context_from) or job.has_script

    # --- one run --------------------------------------------------------------------------------

    def _evidence(
        self, execution: Execution | None, session: Session | None, steps: _Steps
    ) -> Evidence:
        below = steps.below.get(session.session_id, ()) if session else ()
        job_id = _job_id(execution, session)
        times = self._times(execution, session, last_of(session, below) if session else None)
        ended_ns = self._context.now_ns if times.ended_ns is None else times.ended_ns
        job = self._history.at(job_id, ended_ns)
        previous = self._previous(execution) if execution is not None else None
        due = self._due(execution, job_id, job, previous, times)
        host = self._hosts.of_row(ended_ns, in_ledger=execution is not None)
        # The output file is read only where the databases leave a question.
        is_complete = execution is not None and session is not None and due.job is not None
        return Evidence(
            profile=self._context.home.profile,
            job_id=job_id,
            job=due.job,
            job_now=self._history.now.get(job_id),
            execution=execution,
            session=session,
            below=below,
            usage_rows=steps.usage_rows,
            tool_calls=steps.tool_calls,
            prompt=steps.prompts.get(session.session_id) if session else None,
            output=None if is_complete else self._output(execution, job_id, times, host),
            delivers_notice_of_empty_reply=host.delivers_notice_of_empty_reply,
            known_due_ns=due.known_ns,
            previous=previous,
            counted_from_ns=due.counted_from_ns,
            last_activity_ns=times.last_activity_ns,
        )

    def _due(
        self,
        execution: Execution | None,
        job_id: str,
        job: Job | None,
        previous: PreviousRun | None,
        times: _Times,
    ) -> DueTime:
        if execution is None:
            return DueTime(job, self._due_times.without_execution(job_id, times.began_ns), None)
        overdue = self._overdue.of_job(job_id)
        return self._due_times.of_execution(execution, job, previous, overdue)

    def _output(
        self, execution: Execution | None, job_id: str, times: _Times, host: Capabilities
    ) -> Output | None:
        """Return what the output file of the run says; None for a run that never ended."""
        if times.ended_ns is None:
            return None
        slack_ns = 0 if execution is not None else UNMATCHED_GRACE_NS
        return self._outputs.of_run(
            job_id, times.began_ns, times.ended_ns, slack_ns=slack_ns, host=host
        )

    def _times(
        self, execution: Execution | None, session: Session | None, last: Session | None
    ) -> _Times:
        if execution is not None:
            began_ns, ended_ns = execution.began_ns, execution.finished_ns
        else:
            began_ns = session.started_ns if session else 0
            ended_ns = last.ended_ns if last else None
        active_ns = self._last_activity_ns(last) if ended_ns is None else None
        if ended_ns is None and session is not None and session.ended_ns is not None:
            ended_ns = active_ns  # it was continued under a new id, whose end was not written
        return _Times(began_ns=began_ns, ended_ns=ended_ns, last_activity_ns=active_ns)

    def _last_activity_ns(self, session: Session | None) -> int | None:
        if session is None or session.ended_ns is not None:
            return session.ended_ns if session is not None else None
        said_ns = (
            self._reader.messages.last_activity_ns(session.session_id) if self._reader else None
        )
        return max(session.started_ns, said_ns or 0)

    def _previous(self, execution: Execution) -> PreviousRun | None:
        """Return the job's run before this one, from this harvest or from the journal."""
        before = self._matcher.before(execution)
        if before is not None:
            return PreviousRun(began_ns=before.began_ns, counted_from_ns=counted_from_ns(before))
        times = self._context.journal.runs.previous_times(execution.job_id, execution.began_ns)
        return None if times is None else PreviousRun(began_ns=times[0], counted_from_ns=times[1])


def _job_id(execution: Execution | None, session: Session | None) -> str:
    if execution is not None:
        return execution.job_id
    return (session.job_id if session is not None else None) or ""


def _last(root: Session, below: Families) -> Session:
    return last_of(root, below.get(root.session_id, ()))


def _ended_ns(session: Session) -> int:
    return session.moved_ns if session.ended_ns is None else session.ended_ns


def _prompts(reader: Reader, roots: Sequence[Session], below: Families) -> dict[str, Prompt]:
    """Return by root id what its prompt shows.

    The first session of a conversation that has any message holds the prompt: some hosts write all that
    was said into the last of the sessions that continue one another.
    """
    chains = {root.session_id: continued(root, below.get(root.session_id, ())) for root in roots}
    found = reader.messages.prompts([s.session_id for chain in chains.values() for s in chain])
    prompts: dict[str, Prompt] = {}
    for root_id, chain in chains.items():
        prompt = next((found[s.session_id] for s in chain if s.session_id in found), None)
        if prompt is not None:
            prompts[root_id] = prompt
    return prompts
