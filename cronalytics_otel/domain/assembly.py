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
class Facts:
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


def assemble(facts: Facts, zone: tzinfo, zone_name: str | None) -> Run:
    """One run from its facts."""
    started_ns, ended_ns = _times(facts)
    prompt = scripts.own_prompt(facts.prompt, facts.job)
    said = outcomes.without_answer(
        _ended(facts, ended_ns),
        _last_message(facts),
        at_turn_limit=facts.at_turn_limit,
        writes_late=facts.writes_late,
    )
    ended = outcomes.with_prompt_fault(said, prompt)
    schedule = facts.job.schedule if facts.job else None
    kind, expression = _schedule_shown(facts)
    mode = _mode(facts)
    due_ns, trigger = _origin(facts, schedule, zone)
    model, provider = _main_model(facts)
    usage, cost_usd, cost_status = _spent(facts)
    session = facts.session
    silent = _silent(facts, said.outcome)
    delivery, delivery_error = _delivery(facts, ended, silent=silent, ended_ns=ended_ns)
    sessions = [session, *facts.below] if session else []
    return Run(
        profile=facts.profile,
        execution_id=_run_id(facts),
        session_id=session.session_id if session else None,
        job_id=facts.job_id,
        job_name=_name(facts),
        mode=mode,
        trigger=trigger,
        schedule_kind=kind,
        schedule_expression=expression,
        schedule_timezone=zone_name if kind is not None else None,
        skills=facts.job.skills if facts.job else (),
        scheduled_ns=due_ns,
        claimed_ns=facts.execution.claimed_ns if facts.execution else None,
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
        tool_calls=_sum_known(facts.tool_calls.get(s.session_id, s.tool_calls) for s in sessions),
        subagents=sum(s.is_subagent for s in facts.below) if sessions else None,
        silent=silent,
        delivery_outcome=delivery,
        delivery_target=_platforms(facts.job.deliver) if facts.job and facts.job.deliver else None,
        delivery_error=delivery_error,
        script_exit_code=scripts.exit_code(prompt, ended, mode),
        script_ended_ns=scripts.ended_ns(prompt, facts.execution, facts.session, zone),
        skip_reason=ended.skip_reason,
        fed_by=scripts.fed_by(prompt, facts.session, zone),
    )


def _run_id(facts: Facts) -> str | None:
    if facts.execution is not None:
        return facts.execution.execution_id
    return facts.saved.run_id if facts.saved is not None else None


def _times(facts: Facts) -> tuple[int, int]:
    if facts.saved is not None:
        return facts.saved.saved_ns, facts.saved.saved_ns
    execution, session = facts.execution, facts.session
    session_ended = last_of(session, facts.below).ended_ns if session else None
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
        ended = facts.last_activity_ns
    # A clock that was set back must not give a negative duration.
    return started, max(started, ended if ended is not None else started)


def _ended(facts: Facts, ended_ns: int) -> outcomes.Ended:
    if facts.execution is not None:
        return outcomes.from_ledger(
            facts.execution,
            job=facts.job,
            has_session=facts.session is not None,
            output=facts.output,
        )
    latest = _latest(facts, ended_ns)
    job_status = (
        (latest.last_status, latest.last_error)
        if latest is not None and latest.last_status is not None
        else None
    )
    if facts.saved is not None and facts.output is not None:
        return outcomes.from_output(facts.output, job=facts.job, job_status=job_status)
    last = last_of(facts.session, facts.below) if facts.session else None
    return outcomes.from_session(
        last_message=last.last_message if last else None,
        output=facts.output,
        job_status=job_status,
        ended=last is not None and last.ended_ns is not None,
        writes_late=facts.writes_late,
    )


def _last_message(facts: Facts) -> LastMessage | None:
    return last_of(facts.session, facts.below).last_message if facts.session else None


def _latest(facts: Facts, ended_ns: int) -> Job | None:
    """The job with its `last_*` fields if they speak of this run.

    The host writes them between the session's end and the execution's.
    """
    job = facts.job_now
    if job is None or job.last_run_ns is None:
        return None
    if facts.execution is not None:
        earliest, latest = facts.execution.began_ns, ended_ns + SLACK_NS
    else:
        earliest, latest = ended_ns - SLACK_NS, ended_ns + JOB_SLACK_NS
    return job if earliest <= job.last_run_ns <= latest else None


def _origin(
    facts: Facts, schedule: Schedule | None, zone: tzinfo
) -> tuple[int | None, Trigger | None]:
    """When it was due and what started it; only the ledger tells a manual run."""
    execution = facts.execution
    if execution is None:
        return facts.known_due_ns, None
    if execution.source == "direct":
        return None, Trigger.MANUAL
    due_ns = execution.scheduled_ns
    if due_ns is None:
        due_ns = schedules.scheduled_ns(
            schedule,
            claimed_ns=execution.claimed_ns,
            known_due_ns=facts.known_due_ns,
            previous_end_ns=facts.previous_end_ns,
            created_ns=facts.job.created_ns if facts.job else None,
            zone=zone,
        )
    return due_ns, schedules.trigger(
        execution.source, schedule, claimed_ns=execution.claimed_ns, due_ns=due_ns
    )


def _sum_known(counts: Iterable[int | None]) -> int | None:
    """None where nothing is known: that is not 0."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _spent(facts: Facts) -> tuple[Usage | None, float | None, CostStatus | None]:
    """Of its sessions and the auxiliary calls beside them.

    A session has the sum of its tokens; of its cost, where several models had a part in it, its rows
    know more: its own status is that of the last call alone.
    """
    if facts.session is None:
        return None, None, None
    usages: list[Usage] = []
    priced: list[ModelUsage] = []
    for session in (facts.session, *facts.below):
        rows = facts.usage_rows.get(session.session_id, ())
        own = [spending for task, spending in rows if not task]
        auxiliary = [spending for task, spending in rows if task]
        usages += [session.spending.usage, *(a.usage for a in auxiliary)]
        priced += [*(own if len(own) > 1 else [session.spending]), *auxiliary]
    cost_usd, status = total_cost(priced)
    if cost_usd is not None and any(map(_is_unheard, facts.below)):
        status = CostStatus.PARTIAL
    return Usage.sum(usages), cost_usd, status


def _main_model(facts: Facts) -> tuple[str | None, str | None]:
    """The model with the most tokens, with its provider; the session's own where none has any."""
    if facts.session is None:
        return None, None
    own = facts.session.spending
    if not facts.below and not facts.usage_rows.get(facts.session.session_id):
        return own.model, own.provider
    tokens: dict[tuple[str, str | None], int] = {}
    for session in (facts.session, *facts.below):
        rows = [s for _, s in facts.usage_rows.get(session.session_id, ())]
        for spending in rows or [session.spending]:
            if spending.model is not None:
                key = (spending.model, spending.provider)
                tokens[key] = tokens.get(key, 0) + spending.usage.total_tokens
    best = max(tokens.items(), key=lambda item: item[1], default=None)
    if best is None or best[1] == 0:
        return own.model, own.provider
    return best[0]


def _mode(facts: Facts) -> Mode | None:
    if facts.session is not None:
        return Mode.AGENT
    if facts.output is not None and facts.output.is_script:
        return Mode.SCRIPT
    if facts.job is not None:
        return facts.job.mode
    return Mode.AGENT if facts.output is not None else None


def _name(facts: Facts) -> str:
    """The definition's; else what the host wrote of it beside the run; else the id."""
    if facts.job is not None:
        return facts.job.name
    title = facts.session.title if facts.session is not None else None
    if title and _TITLE_STAMP.search(title):  # any other title is the owner's own, or the model's
        return _TITLE_STAMP.sub("", title)
    if facts.output is not None and facts.output.name:
        return facts.output.name
    return facts.job_id


def _schedule_shown(facts: Facts) -> tuple[ScheduleKind | None, str | None]:
    """The definition's; else the words in the run's output file, which say the kind themselves."""
    if facts.job is not None:
        schedule = facts.job.schedule
        return (schedule.kind, schedule.expression) if schedule else (None, None)
    shown = facts.output.schedule if facts.output is not None else None
    if shown is None:
        return None, None
    kinds = {"once": ScheduleKind.ONCE, "every": ScheduleKind.INTERVAL}
    return kinds.get(shown.split(maxsplit=1)[0], ScheduleKind.CRON), shown


def _silent(facts: Facts, ended: Outcome) -> bool | None:
    if ended is not Outcome.SUCCESS:
        return None
    if facts.session is not None:
        return outcomes.is_silent(_last_message(facts), before_0_18=facts.writes_late)
    if facts.output is not None:
        return facts.output.ending is Ending.SILENT or outcomes.asks_for_silence(
            *facts.output.printed, before_0_18=facts.writes_late
        )
    return None


@lru_cache(maxsize=256)
def _platforms(deliver: str) -> str | None:
    """Of the job's `deliver`, without the chats: whom it went to is private."""
    platforms = dict.fromkeys(part.strip().partition(":")[0] for part in deliver.split(","))
    return ",".join(p for p in platforms if p) or None


def _delivery(
    facts: Facts, ended: outcomes.Ended, *, silent: bool | None, ended_ns: int
) -> tuple[DeliveryOutcome | None, str | None]:
    """The host's own word if it has one; jobs.json tells of the latest run only."""
    latest = _latest(facts, ended_ns)
    error = latest.last_delivery_error if latest else None
    if facts.execution is not None and facts.execution.delivery_outcome is not None:
        return facts.execution.delivery_outcome, error
    if facts.job is not None and facts.job.deliver == "local":
        return DeliveryOutcome.NOT_CONFIGURED, None
    if error is not None:
        return DeliveryOutcome.FAILED, error
    empty = ended.error_type is ErrorType.EMPTY_RESPONSE
    if empty and facts.writes_late:
        # Before 0.18 the host's notice of it is delivered, and the run marked as good.
        empty = latest is not None and latest.last_status == "error"
    if silent or empty or ended.outcome is Outcome.SKIPPED:
        return DeliveryOutcome.SUPPRESSED, None
    if latest is None or (facts.job is not None and facts.job.deliver == "origin"):
        # Without an origin it went to the home channels, and if there are none, nowhere: unsaid.
        return None, None
    return DeliveryOutcome.DELIVERED, None
