"""What a run was given: its script's result, and outputs of other jobs. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from ..model import Execution, Feed, Job, Mode, Outcome, Prompt, Session
from ..model.times import NS, wall_clock_ns
from . import errors
from . import outcome as outcomes


def own_prompt(prompt: Prompt | None, job: Job | None) -> Prompt | None:
    """Return the prompt without the script of another run, whose output this run was fed: the job's
    definition shows whether the run has a script of its own."""
    if prompt is not None and prompt.fed and job is not None and not job.has_script:
        return replace(prompt, script_ran=False, script_error=None)
    return prompt


def exit_code(prompt: Prompt | None, end: outcomes.RunEnd, mode: Mode | None) -> int | None:
    """Return the exit code of the run's script; None where it has none, or that is unknown.

    The host counts a script as good, and asks its gate, only when it exited with 0.
    """
    if prompt is not None and prompt.script_ran:
        error = prompt.script_error
        return 0 if error is None else errors.exit_code(error)
    if end.outcome is Outcome.SKIPPED:
        return 0
    if mode is Mode.SCRIPT:
        is_good = end.outcome is Outcome.SUCCESS
        return 0 if is_good else errors.exit_code(end.error_message)
    return None


def ended_ns(
    prompt: Prompt | None, execution: Execution | None, session: Session | None, zone: tzinfo
) -> int | None:
    """Return when the script before the agent ended, in whole seconds.

    The host names the session by the wall clock right after it. None when the run's start is unknown (no
    ledger), and when that time is not within the run: the home was in another time zone then.
    """
    if prompt is None or not prompt.script_ran or execution is None or session is None:
        return None
    times = session.called_ns(zone)
    at_ns = min(times, key=lambda at: abs(at - session.started_ns), default=None)
    if at_ns is None or not execution.began_ns - NS < at_ns <= session.started_ns:
        return None
    return max(at_ns, execution.began_ns)


def fed_by(prompt: Prompt | None, session: Session | None, zone: tzinfo) -> tuple[Feed, ...]:
    """Return the outputs that the run was fed. One that was saved after the session began cannot have
    stood in its prompt."""
    if prompt is None or session is None:
        return ()
    found = []
    for output in prompt.fed:
        times = wall_clock_ns(output.saved, "%Y-%m-%d %H:%M:%S", zone)
        saved_ns = max((at for at in times if at <= session.started_ns), default=None)
        if saved_ns is not None:
            found.append(Feed(job_id=output.job_id, saved_ns=saved_ns))
    return tuple(found)
