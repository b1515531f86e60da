"""Makes one `Run` of its evidence. Pure functions."""

from __future__ import annotations

import re
from datetime import tzinfo

from ..model import (
    Job,
    LastMessage,
    Mode,
    Outcome,
    Output,
    OutputStatus,
    Run,
    ScheduleKind,
    Session,
    Trigger,
)
from ..model.times import NS
from . import outcome as outcomes
from . import schedule as schedules
from . import scripts
from .delivery import delivery_of, platforms
from .evidence import Evidence
from .matching import SLACK_NS
from .sessions import recorded_times
from .spending import spent, sum_known

JOB_SLACK_NS = 60 * NS
"""From a session's end to jobs.json `last_run_at`: the answer is delivered in between."""

_TITLE_STAMP = re.compile(r" · [A-Z][a-z]{2} \d{2} \d{2}:\d{2}( #\d+)?$")


def assemble(evidence: Evidence, zone: tzinfo, zone_name: str | None) -> Run:
    """Return the run that the evidence describes. `zone` is the home's, `zone_name` its IANA name."""
    if evidence.execution is not None and evidence.execution.zone_in(zone) is not zone:
        zone, zone_name = evidence.execution.zone_in(zone), None
    last = evidence.last_session
    started_ns, ended_ns = _times(evidence, last)
    latest = _latest(evidence, ended_ns)
    prompt = scripts.own_prompt(evidence.prompt, evidence.definition)
    last_message = last.last_message if last is not None else None
    by_host = outcomes.hide_answer_in_error(_end_by_host(evidence, last, latest), last_message)
    end = outcomes.with_prompt_fault(by_host, prompt)
    silent = _silent(evidence, by_host.outcome, last_message)
    mode = _mode(evidence)
    kind, expression = _schedule_shown(evidence)
    due_ns, trigger = _origin(evidence, zone)
    spending = spent(evidence)
    delivery, delivery_error = delivery_of(evidence, end, latest, silent=silent)
    job, session, execution = evidence.definition, evidence.session, evidence.execution
    return Run(
        profile=evidence.profile,
        execution_id=_execution_id(evidence),
        session_id=session.session_id if session else None,
        job_id=evidence.job_id,
        job_name=_name(evidence),
        mode=mode,
        trigger=trigger,
        schedule_kind=kind,
        schedule_expression=expression,
        schedule_timezone=zone_name if kind is not None else None,
        skills=job.skills if job else (),
        scheduled_ns=due_ns,
        claimed_ns=execution.claimed_ns if execution else None,
        started_ns=started_ns,
        ended_ns=ended_ns,
        outcome=end.outcome,
        outcome_source=end.source,
        error_type=end.error_type,
        error_message=end.error_message,
        model=spending.model,
        provider=spending.provider,
        declared_model=job.model if job else None,
        usage=spending.usage,
        cost_usd=spending.cost_usd,
        cost_status=spending.cost_status,
        model_usage=spending.parts,
        api_calls=spending.api_calls,
        tool_calls=sum_known(
            evidence.tool_calls.get(s.session_id, s.tool_calls) for s in evidence.sessions
        ),
        subagents=sum(s.is_subagent for s in evidence.descendants) if session else None,
        silent=silent,
        delivery_outcome=delivery,
        delivery_target=platforms(job.deliver) if job and job.deliver else None,
        delivery_error=delivery_error,
        script_exit_code=scripts.exit_code(prompt, end, mode),
        script_ended_ns=scripts.ended_ns(prompt, execution, session, zone),
        skip_reason=end.skip_reason,
        fed_by=scripts.fed_by(prompt, session, zone),
    )


# --- when ---------------------------------------------------------------------------------------


def _times(evidence: Evidence, last: Session | None) -> tuple[int, int]:
    """Return start and end. A clock that was set back never gives a negative duration."""
    if evidence.output_file is not None:
        return evidence.output_file.saved_ns, evidence.output_file.saved_ns
    started_ns, ended_ns = recorded_times(evidence.execution, evidence.session, last)
    if ended_ns is not None and ended_ns < started_ns:
        # The clock was set back, perhaps only after the session had ended.
        ended_ns = last.ended_ns if last is not None else None
    if ended_ns is None:
        ended_ns = evidence.last_activity_ns
    return started_ns, max(started_ns, ended_ns if ended_ns is not None else started_ns)


def _origin(evidence: Evidence, zone: tzinfo) -> tuple[int | None, Trigger | None]:
    """Return when the run was due and what started it. Only the ledger knows of a manual run."""
    execution, job = evidence.execution, evidence.definition
    if execution is None:
        return evidence.host_due_ns, None
    if execution.source == "direct" or evidence.is_out_of_turn:
        return None, Trigger.MANUAL
    schedule = job.schedule if job else None
    due_ns = execution.scheduled_ns
    if due_ns is None:
        due_ns = schedules.scheduled_ns(
            schedule,
            claimed_ns=execution.claimed_ns,
            host_due_ns=evidence.host_due_ns,
            counted_from_ns=evidence.counted_from_ns,
            created_ns=job.created_ns if job else None,
            zone=zone,
            zone_before=evidence.zone_before,
        )
    trigger = schedules.trigger_of(
        execution.source, schedule, claimed_ns=execution.claimed_ns, due_ns=due_ns
    )
    return due_ns, trigger


# --- how it ended -------------------------------------------------------------------------------


def _end_by_host(evidence: Evidence, last: Session | None, latest: Job | None) -> outcomes.RunEnd:
    """Return how the run ended by the host's records. `last` is the last session of its agent."""
    if evidence.execution is not None:
        return outcomes.from_ledger(
            evidence.execution,
            job=evidence.definition,
            has_session=evidence.session is not None,
            output=evidence.output,
            session_may_be_lost=evidence.session_may_be_lost,
        )
    job_status = (
        (latest.last_status, latest.last_error)
        if latest is not None and latest.last_status is not None
        else None
    )
    if evidence.output_file is not None and evidence.output is not None:
        return outcomes.from_output(evidence.output, job=evidence.definition, job_status=job_status)
    return outcomes.from_session(
        last_message=last.last_message if last is not None else None,
        output=evidence.output,
        job_status=job_status,
        has_end=last is not None and last.ended_ns is not None,
    )


def _latest(evidence: Evidence, ended_ns: int) -> Job | None:
    """Return the job as it is now if its `last_*` fields describe this run.

    The host writes them between the session's end and the execution's.
    """
    job = evidence.latest_definition
    if job is None or job.last_run_ns is None:
        return None
    if evidence.execution is not None:
        earliest, latest = evidence.execution.began_ns, ended_ns + SLACK_NS
    else:
        earliest, latest = ended_ns - SLACK_NS, ended_ns + JOB_SLACK_NS
    return job if earliest <= job.last_run_ns <= latest else None


def _silent(evidence: Evidence, outcome: Outcome, last: LastMessage | None) -> bool | None:
    """Return whether a run that the host counts as good asked that nothing be delivered."""
    if outcome is not Outcome.SUCCESS:
        return None
    if evidence.session is not None:
        return outcomes.is_silent(last)
    output = evidence.output
    if output is not None:
        return output.status is OutputStatus.NO_OUTPUT or output.asks_for_silence
    return None


# --- what it was --------------------------------------------------------------------------------


def _execution_id(evidence: Evidence) -> str | None:
    if evidence.execution is not None:
        return evidence.execution.execution_id
    return evidence.output_file.run_id if evidence.output_file is not None else None


def _mode(evidence: Evidence) -> Mode | None:
    if evidence.session is not None:
        return Mode.AGENT
    if evidence.output is not None and evidence.output.is_script:
        return Mode.SCRIPT
    if evidence.definition is not None:
        return evidence.definition.mode
    return Mode.AGENT if evidence.output is not None else None


def _name(evidence: Evidence) -> str:
    """Return the name that the host wrote beside the run, if no definition was seen by then; else the
    definition's name, else the id."""
    if evidence.name_then is not None:
        return evidence.name_then
    return evidence.definition.name if evidence.definition is not None else evidence.job_id


def name_beside(session: Session | None, output: Output | None) -> str | None:
    """Return the job's name in the session's title, else in the head of the output file."""
    title = session.title if session is not None else None
    if title and _TITLE_STAMP.search(title):  # any other title is the owner's own, or the model's
        return _TITLE_STAMP.sub("", title)
    return output.name if output is not None else None


def _schedule_shown(evidence: Evidence) -> tuple[ScheduleKind | None, str | None]:
    """Return the definition's schedule, else the one in the output file, whose words show the kind."""
    if evidence.definition is not None:
        schedule = evidence.definition.schedule
        return (schedule.kind, schedule.expression) if schedule else (None, None)
    shown = evidence.output.schedule if evidence.output is not None else None
    if shown is None:
        return None, None
    kinds = {"once": ScheduleKind.ONCE, "every": ScheduleKind.INTERVAL}
    return kinds.get(shown.split(maxsplit=1)[0], ScheduleKind.CRON), shown
