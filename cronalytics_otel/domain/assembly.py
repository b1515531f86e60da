"""One `Run` out of all evidence of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache

from ..model import (
    CostStatus,
    DeliveryOutcome,
    Ending,
    Execution,
    Job,
    LastMessage,
    Mode,
    ModelUsage,
    Outcome,
    Output,
    OutputFile,
    Prompt,
    Run,
    Schedule,
    ScheduleKind,
    Session,
    Trigger,
    Usage,
)
from ..model.times import NS
from . import outcome as outcomes
from . import schedule as schedules
from . import scripts
from .errors import ErrorType
from .matching import SLACK_NS
from .sessions import last_of
from .spending import _is_unheard, total_cost

JOB_SLACK_NS = 60 * NS
"""From a session's end to jobs.json `last_run_at`: the answer is delivered in between."""

_TITLE_STAMP = re.compile(r" · [A-Z][a-z]{2} \d{2} \d{2}:\d{2}( #\d+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the host tells of one run."""

    profile: str
    job_id: str
    job: Job | None
    """As it was at the run."""
    job_now: Job | None
    """As it is: its `last_*` fields speak of the latest run."""
    execution: Execution | None
    session: Session | None
    below: Sequence[Session] = ()
    """Subagents and continuations."""
    usage_rows: dict[str, list[tuple[str, ModelUsage]]] = field(default_factory=dict)
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    """By session id, of those whose own count is none."""
    prompt: Prompt | None = None
    """None when it was not looked at: the job has nothing that the host could tell of there."""
    writes_late: bool = False
    """The host is older than 0.18, by its tables: it writes an agent's messages when that is done."""
    at_turn_limit: bool = False
    """Such a host asked the agent for a summary: it had no turn left."""
    output: Output | None = None
    saved: OutputFile | None = None
    """The file of `output`, of a run that left nothing else."""
    known_due_ns: int | None = None
    previous_end_ns: int | None = None
    last_activity_ns: int | None = None
    """Of a run that never ended: when it last did something."""


def assemble(evidence: Evidence, zone: tzinfo, zone_name: str | None) -> Run:
    """One run from its evidence."""
    started_ns, ended_ns = _times(evidence)
    prompt = scripts.own_prompt(evidence.prompt, evidence.job)
    said = outcomes.without_answer(
        _ended(evidence, ended_ns),
        _last_message(evidence),
        at_turn_limit=evidence.at_turn_limit,
        writes_late=evidence.writes_late,
    )
    ended = outcomes.with_prompt_fault(said, prompt)
    schedule = evidence.job.schedule if evidence.job else None
    kind, expression = _schedule_shown(evidence)
    mode = _mode(evidence)
    due_ns, trigger = _origin(evidence, schedule, zone)
    model, provider = _main_model(evidence)
    usage, cost_usd, cost_status = _spent(evidence)
    session = evidence.session
    silent = _silent(evidence, said.outcome)
    delivery, delivery_error = _delivery(evidence, ended, silent=silent, ended_ns=ended_ns)
    sessions = [session, *evidence.below] if session else []
    return Run(
        profile=evidence.profile,
        execution_id=_run_id(evidence),
        session_id=session.session_id if session else None,
        job_id=evidence.job_id,
        job_name=_name(evidence),
        mode=mode,
        trigger=trigger,
        schedule_kind=kind,
        schedule_expression=expression,
        schedule_timezone=zone_name if kind is not None else None,
        skills=evidence.job.skills if evidence.job else (),
        scheduled_ns=due_ns,
        claimed_ns=evidence.execution.claimed_ns if evidence.execution else None,
        started_ns=started_ns,
        ended_ns=ended_ns,
        outcome=ended.outcome,
        outcome_source=ended.source,
        error_type=ended.error_type,
        error_message=ended.error_message,
        model=model,
        provider=provider,
        usage=usage,
        cost_usd=cost_usd,
        cost_status=cost_status,
        api_calls=_sum_known(s.spending.api_calls for s in sessions),
        tool_calls=_sum_known(
            evidence.tool_calls.get(s.session_id, s.tool_calls) for s in sessions
        ),
        subagents=sum(s.is_subagent for s in evidence.below) if sessions else None,
        silent=silent,
        delivery_outcome=delivery,
        delivery_target=_platforms(evidence.job.deliver)
        if evidence.job and evidence.job.deliver
        else None,
        delivery_error=delivery_error,
        script_exit_code=scripts.exit_code(prompt, ended, mode),
        script_ended_ns=scripts.ended_ns(prompt, evidence.execution, evidence.session, zone),
        skip_reason=ended.skip_reason,
        fed_by=scripts.fed_by(prompt, evidence.session, zone),
    )


def _run_id(evidence: Evidence) -> str | None:
    if evidence.execution is not None:
        return evidence.execution.execution_id
    return evidence.saved.run_id if evidence.saved is not None else None


def _times(evidence: Evidence) -> tuple[int, int]:
    if evidence.saved is not None:
        return evidence.saved.saved_ns, evidence.saved.saved_ns
    execution, session = evidence.execution, evidence.session
    session_ended = last_of(session, evidence.below).ended_ns if session else None
    if execution is not None:
        started = execution.began_ns
        ended = execution.finished_ns
        if (
            ended is not None and ended < started
        ):  # a clock was set back, perhaps only after the session
            ended = session_ended
    else:
        started = session.started_ns if session else 0
        ended = session_ended
    if ended is None:
        ended = evidence.last_activity_ns
    # A clock that was set back must not give a negative duration.
    return started, max(started, ended if ended is not None else started)


def _ended(evidence: Evidence, ended_ns: int) -> outcomes.RunEnd:
    if evidence.execution is not None:
        return outcomes.from_ledger(
            evidence.execution,
            job=evidence.job,
            has_session=evidence.session is not None,
            output=evidence.output,
        )
    latest = _latest(evidence, ended_ns)
    job_status = (
        (latest.last_status, latest.last_error)
        if latest is not None and latest.last_status is not None
        else None
    )
    if evidence.saved is not None and evidence.output is not None:
        return outcomes.from_output(evidence.output, job=evidence.job, job_status=job_status)
    last = last_of(evidence.session, evidence.below) if evidence.session else None
    return outcomes.from_session(
        last_message=last.last_message if last else None,
        output=evidence.output,
        job_status=job_status,
        ended=last is not None and last.ended_ns is not None,
        writes_late=evidence.writes_late,
    )


def _last_message(evidence: Evidence) -> LastMessage | None:
    return last_of(evidence.session, evidence.below).last_message if evidence.session else None


def _latest(evidence: Evidence, ended_ns: int) -> Job | None:
    """The job with its `last_*` fields if they speak of this run.

    The host writes them between the session's end and the execution's.
    """
    job = evidence.job_now
    if job is None or job.last_run_ns is None:
        return None
    if evidence.execution is not None:
        earliest, latest = evidence.execution.began_ns, ended_ns + SLACK_NS
    else:
        earliest, latest = ended_ns - SLACK_NS, ended_ns + JOB_SLACK_NS
    return job if earliest <= job.last_run_ns <= latest else None


def _origin(
    evidence: Evidence, schedule: Schedule | None, zone: tzinfo
) -> tuple[int | None, Trigger | None]:
    """When it was due and what started it; only the ledger tells a manual run."""
    execution = evidence.execution
    if execution is None:
        return evidence.known_due_ns, None
    if execution.source == "direct":
        return None, Trigger.MANUAL
    due_ns = execution.scheduled_ns
    if due_ns is None:
        due_ns = schedules.scheduled_ns(
            schedule,
            claimed_ns=execution.claimed_ns,
            known_due_ns=evidence.known_due_ns,
            previous_end_ns=evidence.previous_end_ns,
            created_ns=evidence.job.created_ns if evidence.job else None,
            zone=zone,
        )
    return due_ns, schedules.trigger(
        execution.source, schedule, claimed_ns=execution.claimed_ns, due_ns=due_ns
    )


def _sum_known(counts: Iterable[int | None]) -> int | None:
    """None where nothing is known: that is not 0."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _spent(evidence: Evidence) -> tuple[Usage | None, float | None, CostStatus | None]:
    """Of its sessions and the auxiliary calls beside them.

    A session has the sum of its tokens; of its cost, where several models had a part in it, its rows
    know more: its own status is that of the last call alone.
    """
    if evidence.session is None:
        return None, None, None
    usages: list[Usage] = []
    priced: list[ModelUsage] = []
    for session in (evidence.session, *evidence.below):
        rows = evidence.usage_rows.get(session.session_id, ())
        own = [spending for task, spending in rows if not task]
        auxiliary = [spending for task, spending in rows if task]
        usages += [session.spending.usage, *(a.usage for a in auxiliary)]
        priced += [*(own if len(own) > 1 else [session.spending]), *auxiliary]
    cost_usd, status = total_cost(priced)
    if cost_usd is not None and any(map(_is_unheard, evidence.below)):
        status = CostStatus.PARTIAL
    return Usage.sum(usages), cost_usd, status


def _main_model(evidence: Evidence) -> tuple[str | None, str | None]:
    """The model with the most tokens, with its provider; the session's own where none has any."""
    if evidence.session is None:
        return None, None
    own = evidence.session.spending
    if not evidence.below and not evidence.usage_rows.get(evidence.session.session_id):
        return own.model, own.provider
    tokens: dict[tuple[str, str | None], int] = {}
    for session in (evidence.session, *evidence.below):
        rows = [s for _, s in evidence.usage_rows.get(session.session_id, ())]
        for spending in rows or [session.spending]:
            if spending.model is not None:
                key = (spending.model, spending.provider)
                tokens[key] = tokens.get(key, 0) + spending.usage.total_tokens
    best = max(tokens.items(), key=lambda item: item[1], default=None)
    if best is None or best[1] == 0:
        return own.model, own.provider
    return best[0]


def _mode(evidence: Evidence) -> Mode | None:
    if evidence.session is not None:
        return Mode.AGENT
    if evidence.output is not None and evidence.output.is_script:
        return Mode.SCRIPT
    if evidence.job is not None:
        return evidence.job.mode
    return Mode.AGENT if evidence.output is not None else None


def _name(evidence: Evidence) -> str:
    """The definition's; else what the host wrote of it beside the run; else the id."""
    if evidence.job is not None:
        return evidence.job.name
    title = evidence.session.title if evidence.session is not None else None
    if title and _TITLE_STAMP.search(title):  # any other title is the owner's own, or the model's
        return _TITLE_STAMP.sub("", title)
    if evidence.output is not None and evidence.output.name:
        return evidence.output.name
    return evidence.job_id


def _schedule_shown(evidence: Evidence) -> tuple[ScheduleKind | None, str | None]:
    """The definition's; else the words in the run's output file, which say the kind themselves."""
    if evidence.job is not None:
        schedule = evidence.job.schedule
        return (schedule.kind, schedule.expression) if schedule else (None, None)
    shown = evidence.output.schedule if evidence.output is not None else None
    if shown is None:
        return None, None
    kinds = {"once": ScheduleKind.ONCE, "every": ScheduleKind.INTERVAL}
    return kinds.get(shown.split(maxsplit=1)[0], ScheduleKind.CRON), shown


def _silent(evidence: Evidence, ended: Outcome) -> bool | None:
    if ended is not Outcome.SUCCESS:
        return None
    if evidence.session is not None:
        return outcomes.is_silent(_last_message(evidence), before_0_18=evidence.writes_late)
    if evidence.output is not None:
        return evidence.output.ending is Ending.SILENT or outcomes.asks_for_silence(
            *evidence.output.printed, before_0_18=evidence.writes_late
        )
    return None


@lru_cache(maxsize=256)
def _platforms(deliver: str) -> str | None:
    """Of the job's `deliver`, without the chats: whom it went to is private."""
    platforms = dict.fromkeys(part.strip().partition(":")[0] for part in deliver.split(","))
    return ",".join(p for p in platforms if p) or None


def _delivery(
    evidence: Evidence, ended: outcomes.RunEnd, *, silent: bool | None, ended_ns: int
) -> tuple[DeliveryOutcome | None, str | None]:
    """The host's own word if it has one; jobs.json tells of the latest run only."""
    latest = _latest(evidence, ended_ns)
    error = latest.last_delivery_error if latest else None
    if evidence.execution is not None and evidence.execution.delivery_outcome is not None:
        return evidence.execution.delivery_outcome, error
    if evidence.job is not None and evidence.job.deliver == "local":
        return DeliveryOutcome.NOT_CONFIGURED, None
    if error is not None:
        return DeliveryOutcome.FAILED, error
    empty = ended.error_type is ErrorType.EMPTY_RESPONSE
    if empty and evidence.writes_late:
        # Before 0.18 the host's notice of it is delivered, and the run marked as good.
        empty = latest is not None and latest.last_status == "error"
    if silent or empty or ended.outcome is Outcome.SKIPPED:
        return DeliveryOutcome.SUPPRESSED, None
    if latest is None or (evidence.job is not None and evidence.job.deliver == "origin"):
        # Without an origin it went to the home channels, and if there are none, nowhere: unsaid.
        return None, None
    return DeliveryOutcome.DELIVERED, None
