"""All that the host's files tell of a run, gathered and assembled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..domain.assembly import Evidence, assemble
from ..domain.matching import Matcher
from ..domain.schedule import UP_NS, is_right_on_a_later_time, previous_occurrence_ns
from ..domain.sessions import continued, last_of
from ..host import state_db
from ..host.home import Home
from ..host.outputs import Outputs
from ..journal import Journal
from ..model import (
    Execution,
    Job,
    ModelUsage,
    Output,
    OutputFile,
    Prompt,
    Run,
    ScheduleKind,
    Session,
)
from ..model.times import NS, Zone
from .job_history import JobHistory
from .overdue import OverdueJobs, counted_from
from .readiness import DELIVERY_GRACE_NS, UNMATCHED_GRACE_NS, is_stale, last_moved_ns

Pair = tuple[Execution | None, Session]
"""A session, and the execution that it belongs to if there is one."""


class RunAssembler:
    """Runs out of what one harvest has found."""

    def __init__(
        self,
        home: Home,
        journal: Journal,
        zone: Zone,
        now_ns: int,
        *,
        definitions: JobHistory,
        outputs: Outputs,
        outages: OverdueJobs,
    ) -> None:
        self._profile = home.profile
        self._journal = journal
        self._zone = zone
        self._now_ns = now_ns
        self._job_history = definitions
        self._outputs = outputs
        self._overdue_jobs = outages
        self.matcher = Matcher((), zone.info)
        """Of this harvest's executions."""

    def of_execution(self, reader: state_db.Reader | None, execution: Execution) -> Run:
        """Of one without a session."""
        return self._assembled(reader, execution, None)

    def runs_of(self, reader: state_db.Reader, pairs: list[Pair]) -> list[Run]:
        """Runs of these; a session alone whose continuation has not ended is left for later."""
        below = reader.descendants([session for _, session in pairs]) if pairs else {}
        pairs = [pair for pair in pairs if self._is_over(reader, *pair, below)]
        everyone = [s.session_id for _, s in pairs]
        everyone += [s.session_id for _, root in pairs for s in below.get(root.session_id, ())]
        usage = reader.usage_rows(everyone)
        tool_calls = reader.tool_calls([session for _, session in pairs], below)
        prompts = self._prompts(reader, [s for _, s in pairs if self._prompt_tells(s)], below)
        limited = self._at_turn_limit(reader, [s for _, s in pairs], below)
        return [
            self._assembled(
                reader,
                execution,
                session,
                below=below.get(session.session_id, ()),
                usage=usage,
                tool_calls=tool_calls,
                prompt=prompts.get(session.session_id),
                at_turn_limit=session.session_id in limited,
            )
            for execution, session in pairs
        ]

    @staticmethod
    def _at_turn_limit(
        reader: state_db.Reader, roots: Sequence[Session], below: dict[str, list[Session]]
    ) -> set[str]:
        """The roots that a host before 0.18 asked, at their end, for a summary; of a later one it is no
        question."""
        if not reader.messages.are_late:
            return set()
        lasts = {s.session_id: last_of(s, below.get(s.session_id, ())).session_id for s in roots}
        limited = reader.messages.at_turn_limit(list(lasts.values()))
        return {root_id for root_id, last_id in lasts.items() if last_id in limited}

    @staticmethod
    def _prompts(
        reader: state_db.Reader, roots: Sequence[Session], below: dict[str, list[Session]]
    ) -> dict[str, Prompt]:
        """By root id. Hosts before 0.17 write all that was said into the last of the sessions that
        went on with one another: the first that has anything has the prompt."""
        chains = {
            root.session_id: continued(root, below.get(root.session_id, ())) for root in roots
        }
        found = reader.messages.prompts([s.session_id for chain in chains.values() for s in chain])
        told = {
            root_id: next((found[s.session_id] for s in chain if s.session_id in found), None)
            for root_id, chain in chains.items()
        }
        return {root_id: prompt for root_id, prompt in told.items() if prompt is not None}

    def _prompt_tells(self, session: Session) -> bool:
        """Whether its job names skills, a script before the agent, or jobs whose outputs it is given:
        only then is there more in its prompt than its owner's words."""
        job = self._job_history.at(session.job_id or "", session.started_ns)
        return job is None or bool(job.skills or job.context_from) or job.has_script

    def _is_over(
        self,
        reader: state_db.Reader,
        execution: Execution | None,
        session: Session,
        below: dict[str, list[Session]],
    ) -> bool:
        if execution is not None or not session.compressed:
            return True
        last = last_of(session, below.get(session.session_id, ()))
        if last.ended_ns is not None or is_stale(last, self._now_ns):
            return True
        # Hosts before 0.18 never end what they continued under a new id: they only mark the job, or
        # delete it. Without either mark (the owner deleted it) the answer itself must do.
        moved_ns = last_moved_ns(last)
        job = self._job_history.now.get(session.job_id or "")
        if job is not None and (job.last_run_ns or 0) >= moved_ns:
            return True
        if job is None and self.saved_after(session.job_id or "", moved_ns):
            return True
        return (
            reader.messages.are_late
            and last.last_message is not None
            and last.last_message.is_final
            and self._now_ns - moved_ns > DELIVERY_GRACE_NS
        )

    def saved_after(self, job_id: str, done_ns: int) -> bool:
        """Whether there is a file of a run that was done then: hosts without a ledger save it, and
        delete a one-shot after that instead of marking it."""
        return bool(self._outputs.between(job_id, done_ns - NS, done_ns + UNMATCHED_GRACE_NS))

    def _assembled(
        self,
        reader: state_db.Reader | None,
        execution: Execution | None,
        session: Session | None,
        *,
        below: Sequence[Session] = (),
        usage: dict[str, list[tuple[str, ModelUsage]]] | None = None,
        tool_calls: dict[str, int] | None = None,
        prompt: Prompt | None = None,
        at_turn_limit: bool = False,
    ) -> Run:
        job_id = execution.job_id if execution else (session.job_id if session else None) or ""
        last = last_of(session, below) if session else None
        ended_ns = execution.finished_ns if execution else last.ended_ns if last else None
        began_ns = execution.began_ns if execution else session.started_ns if session else 0
        active_ns = self._last_activity(reader, last) if ended_ns is None else None
        if ended_ns is None and session is not None and session.ended_ns is not None:
            ended_ns = active_ns  # continued under a new id, whose end is not written (before 0.18)
        unended = ended_ns is None
        at_ns = ended_ns if ended_ns is not None else self._now_ns
        job = self._job_history.at(job_id, at_ns)
        previous = self.previous(execution) if execution else None
        counted_ns = previous[1] if previous else None
        if execution is None:
            due_ns = self._job_history.told_due(job_id, began_ns)
        else:
            due_ns = self._job_history.known_due(execution, previous)
            edited = self._edited_before(execution, due_ns)
            if edited is not None:
                job, due_ns = edited, None
                if edited.schedule is None or edited.schedule.kind is ScheduleKind.INTERVAL:
                    # It counts from the edit, and nobody saw that.
                    job, counted_ns = replace(edited, created_ns=None), None
            elif due_ns is not None and not self._still_held(execution, job, due_ns):
                due_ns = None
        # The output file is read only where the databases leave a question.
        complete = execution is not None and session is not None and job is not None
        return assemble(
            Evidence(
                profile=self._profile,
                job_id=job_id,
                job=job,
                job_now=self._job_history.now.get(job_id),
                execution=execution,
                session=session,
                below=below,
                usage_rows=usage or {},
                tool_calls=tool_calls or {},
                prompt=prompt,
                writes_late=reader is not None and reader.messages.are_late,
                at_turn_limit=at_turn_limit,
                output=None
                if complete or unended
                else self._outputs.of_run(
                    job_id, began_ns, at_ns, slack_ns=0 if execution else UNMATCHED_GRACE_NS
                ),
                known_due_ns=due_ns,
                previous_end_ns=counted_ns,
                last_activity_ns=active_ns,
            ),
            self._zone.info,
            self._zone.name,
        )

    def _edited_before(self, execution: Execution, due_ns: int | None) -> Job | None:
        """The definition with another schedule that was seen only after this run, if it explains the
        run better than what was due by the one before."""
        if due_ns is None or self._is_sure(execution, due_ns):
            return None
        edited = self._job_history.changed_schedule(execution.job_id, execution.claimed_ns)
        if edited is None or edited.schedule is None or edited.schedule.cron is None:
            return edited
        claimed_ns = execution.claimed_ns
        newest = previous_occurrence_ns(edited.schedule.cron, claimed_ns, self._zone.info)
        return edited if newest is not None and claimed_ns - newest <= UP_NS else None

    def _still_held(self, execution: Execution, job: Job | None, due_ns: int) -> bool:
        """Whether a run that came late for what was seen last was due for that.

        What was passed by in a pause was not. Nor, most likely, where the run came right on a later
        time: a scheduler that was down runs what is overdue whenever it comes back.
        """
        if self._is_sure(execution, due_ns):
            return True
        then = self._job_history.at(execution.job_id, execution.claimed_ns)
        if then is not None and not then.enabled:
            return False
        return not is_right_on_a_later_time(
            job.schedule if job else None,
            due_ns,
            claimed_ns=execution.claimed_ns,
            zone=self._zone.info,
        )

    def _is_sure(self, execution: Execution, due_ns: int) -> bool:
        """It came on time, or the host was seen to have it overdue."""
        return execution.claimed_ns - due_ns <= UP_NS or self._overdue_jobs.saw(execution, due_ns)

    def of_output(self, reader: state_db.Reader | None, saved: OutputFile, output: Output) -> Run:
        job = self._job_history.at(saved.job_id, saved.saved_ns)
        return assemble(
            Evidence(
                profile=self._profile,
                job_id=saved.job_id,
                job=job,
                job_now=self._job_history.now.get(saved.job_id),
                execution=None,
                session=None,
                writes_late=reader is not None and reader.messages.are_late,
                output=output,
                saved=saved,
                known_due_ns=self._job_history.told_due(saved.job_id, saved.saved_ns),
            ),
            self._zone.info,
            self._zone.name,
        )

    @staticmethod
    def _last_activity(reader: state_db.Reader | None, session: Session | None) -> int | None:
        if session is None:
            return None
        if session.ended_ns is not None:
            return session.ended_ns
        said_ns = reader.messages.last_activity_ns(session.session_id) if reader else None
        return max(session.started_ns, said_ns or 0)

    def previous(self, execution: Execution) -> tuple[int, int | None] | None:
        """Start of the job's run before this one, and the time that the host counted on from."""
        before = self.matcher.before(execution)
        if before is not None:
            return before.began_ns, counted_from(before)
        return self._journal.runs.previous_times(execution.job_id, execution.began_ns)
