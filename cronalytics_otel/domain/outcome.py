"""How a run ended, decided from what the host wrote and never from a hook. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TypeGuard

from ..model import (
    Execution,
    Job,
    LastMessage,
    Mode,
    Outcome,
    OutcomeSource,
    Output,
    OutputStatus,
    Prompt,
    SkipReason,
)
from .errors import ErrorType, classify

_NO_REPLY = frozenset({"", "(empty)"})
"""What the host keeps as the message of a model that gave an empty reply."""

EMPTY_REPLY = (
    "Agent completed but produced empty response (model error, timeout, or misconfiguration)"
)
"""The host's own text. We use it wherever we find an empty reply, so that one query finds these runs."""

PROCESS_GONE = "The process that ran it is gone, and it never wrote how the run ended."
NEVER_ENDED = "It never ended, and nothing has moved since."
NO_ANSWER = "The session ended without an answer of the model."
MODEL_DECLINED = "the model declined to respond"
ANSWER_FOR_ERROR = (
    "The agent had no turn left, or was interrupted: Hermes reports the agent's answer as the error "
    "message."
)

JobStatus = tuple[str, str | None]
"""jobs.json's (`last_status`, `last_error`), when they describe this very run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended. `error_message` is the host's own text, whole."""

    outcome: Outcome
    source: OutcomeSource
    error_type: ErrorType | None = None
    error_message: str | None = None
    skip_reason: SkipReason | None = None


# --- the ways to end ----------------------------------------------------------------------------

_OUTCOME_OF = {
    ErrorType.TIMEOUT: Outcome.TIMEOUT,
    ErrorType.INTERRUPTED: Outcome.CANCELLED,
    ErrorType.BUDGET_EXCEEDED: Outcome.BUDGET_EXCEEDED,
}
_REFUSAL = re.compile(
    r"^(RuntimeError: content_policy_blocked: )(?!HTTP \d|Error code|model declined).*", re.DOTALL
)
"""A refusal within a successful response: the rest of the text is the model's, not a provider's error."""


def failed(error: str | None, source: OutcomeSource) -> RunEnd:
    """Return a failure with the host's text, which shows whether it was a timeout or an interruption."""
    if error is not None:
        error = _REFUSAL.sub(r"\1" + MODEL_DECLINED, error)
    error_type = classify(error) if error else ErrorType.OTHER
    return RunEnd(
        outcome=_OUTCOME_OF.get(error_type, Outcome.FAILURE),
        source=source,
        error_type=error_type,
        error_message=error,
    )


def abandoned(source: OutcomeSource, message: str) -> RunEnd:
    return RunEnd(
        outcome=Outcome.ABANDONED,
        source=source,
        error_type=ErrorType.ABANDONED,
        error_message=message,
    )


def _empty_reply(source: OutcomeSource) -> RunEnd:
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=source,
        error_type=ErrorType.EMPTY_RESPONSE,
        error_message=EMPTY_REPLY,
    )


@cache
def _succeeded(source: OutcomeSource) -> RunEnd:
    return RunEnd(outcome=Outcome.SUCCESS, source=source)


_SKIPPED = {
    OutputStatus.GATED: SkipReason.WAKE_AGENT_FALSE,
    OutputStatus.NOTHING: SkipReason.NO_OUTPUT,
}


def _skipped_or_succeeded(output: Output, source: OutcomeSource) -> RunEnd:
    """Return the end of an agent's run that left no session, by its output file."""
    reason = _SKIPPED.get(output.status)
    return RunEnd(
        outcome=Outcome.SKIPPED if reason else Outcome.SUCCESS, source=source, skip_reason=reason
    )


# --- by what the host wrote of the run ----------------------------------------------------------


def from_ledger(
    execution: Execution,
    *,
    job: Job | None,
    has_session: bool,
    output: Output | None,
    session_may_be_lost: bool = False,
) -> RunEnd:
    """Return the end of a terminal execution, or `abandoned` if the execution's process is gone.

    The ledger has `completed` also for a run whose gate script decided not to wake the agent. No session
    exists then, and the output file shows it. Without the file, a job with a script and no session counts
    as skipped too (inferred), unless a session may have been there.
    """
    if execution.status == "failed":
        return failed(execution.error, OutcomeSource.LEDGER)
    if execution.status == "unknown":
        return abandoned(OutcomeSource.LEDGER, execution.error or PROCESS_GONE)
    if not execution.is_terminal:
        return abandoned(OutcomeSource.INFERRED, PROCESS_GONE)
    if has_session or (job is not None and job.mode is Mode.SCRIPT):
        return _succeeded(OutcomeSource.LEDGER)
    if output is not None:
        return _skipped_or_succeeded(output, OutcomeSource.LEDGER)
    if job is not None and job.has_script and not session_may_be_lost:
        return RunEnd(outcome=Outcome.SKIPPED, source=OutcomeSource.INFERRED)
    return _succeeded(OutcomeSource.LEDGER)


def from_output(output: Output, *, job: Job | None, job_status: JobStatus | None) -> RunEnd:
    """Return the end of a run that left an output file and nothing else."""
    failure = _failure_by_job(output, job_status)
    if failure is not None:
        return failure
    if output.status is OutputStatus.EMPTY:
        return _empty_reply(OutcomeSource.JOB)
    if job is None or job.mode is Mode.AGENT:
        return _skipped_or_succeeded(output, OutcomeSource.JOB)
    return _succeeded(OutcomeSource.JOB)


def from_session(
    *,
    last_message: LastMessage | None,
    output: Output | None,
    job_status: JobStatus | None,
    has_end: bool,
) -> RunEnd:
    """Return the end of a run that has a session and no execution.

    The job's own record goes before the session's last message. An answer goes before an output file
    that only ends like one of an empty reply.
    """
    failure = _failure_by_job(output, job_status)
    if failure is not None:
        return failure
    answered = is_answer(last_message)
    if output is not None and output.status is OutputStatus.EMPTY and not answered:
        return _empty_reply(OutcomeSource.JOB)
    if job_status is not None or (output is not None and output.status is OutputStatus.ANSWERED):
        return _succeeded(OutcomeSource.JOB)
    if not has_end and not (answered and last_message is not None and last_message.ends_run):
        return abandoned(OutcomeSource.INFERRED, NEVER_ENDED)
    return _by_last_message(last_message)


def _failure_by_job(output: Output | None, job_status: JobStatus | None) -> RunEnd | None:
    """Return the failure that the output file or jobs.json has on record, if there is one."""
    if output is not None and output.status is OutputStatus.FAILED:
        return failed(output.error, OutcomeSource.JOB)
    if job_status is not None and job_status[0] == "error":
        return failed(job_status[1], OutcomeSource.JOB)
    return None


def _by_last_message(last: LastMessage | None) -> RunEnd:
    if is_answer(last):
        return _succeeded(OutcomeSource.SESSION)
    if last is not None and last.role == "assistant":
        return _empty_reply(OutcomeSource.SESSION)
    return failed(NO_ANSWER, OutcomeSource.SESSION)


# --- what we know better than the host ----------------------------------------------------------

_RAISED = "RuntimeError: "
_OTHER_EXCEPTION = re.compile(r"(?!RuntimeError)\w*(Error|Exception|Interrupt|Exit): |\[Errno ")
_ERROR_TEXT_AS_ANSWER = re.compile(
    r"I apologize, but I encountered (repeated errors|an error while processing the model response)"
    r": Error during |Ollama loaded `|I stopped retrying .{1,200} because it hit the tool-call "
)
"""The texts of errors that the host itself puts in the place of an answer."""
_MIN_COMMON_CHARS = 40
"""Two texts that share this many characters at an end share them for a reason."""


def hide_answer_in_error(end: RunEnd, last: LastMessage | None) -> RunEnd:
    """Return the end without an error text that is the agent's answer.

    The host raises a `RuntimeError` of the answer where a run is not completed and has no error. An
    answer is content, and says nothing of the error's class.
    """
    if end.source not in (OutcomeSource.LEDGER, OutcomeSource.JOB) or not is_answer(last):
        return end
    if end.error_type in (None, ErrorType.EMPTY_RESPONSE, ErrorType.ABANDONED):
        return end
    if not _is_error_the_answer(end.error_message, last):
        return end
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=end.source,
        error_type=ErrorType.INCOMPLETE_RESPONSE,
        error_message=ANSWER_FOR_ERROR,
    )


def _is_error_the_answer(error: str | None, last: LastMessage) -> bool:
    if last.raised_if_failed:
        return error is None or not _OTHER_EXCEPTION.match(error)
    return _repeats(error or "", last) and not _ERROR_TEXT_AS_ANSWER.match(last.head)


def _repeats(error: str, last: LastMessage) -> bool:
    """Return whether the error text is the message.

    The host may have added a notice of its own at the end, or taken a secret out of the message.
    """
    if not error.startswith(_RAISED):
        return False
    raised = error.removeprefix(_RAISED).strip()
    if raised == last.head or raised.startswith(last.head + "\n\n"):
        return True
    text, head, tail = (" ".join(part.split()) for part in (raised, last.head, last.tail))
    return min(len(text), len(head)) >= _MIN_COMMON_CHARS and (
        text[:_MIN_COMMON_CHARS] == head[:_MIN_COMMON_CHARS]
        or text[-_MIN_COMMON_CHARS:] == tail[-_MIN_COMMON_CHARS:]
    )


def with_prompt_fault(end: RunEnd, prompt: Prompt | None) -> RunEnd:
    """Return a failure where the agent began without what its job names, although the host counts a
    success: a skill was not found, or the script before the agent failed or was blocked."""
    if prompt is None or end.outcome is not Outcome.SUCCESS:
        return end
    error_type, error = None, prompt.script_error
    if prompt.missing_skills is not None:
        error_type = ErrorType.SKILL_NOT_FOUND
        error = f"Skill(s) not found and skipped: {prompt.missing_skills}"
    if error is None:
        return end
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=OutcomeSource.SESSION,
        error_type=error_type or classify(error),
        error_message=error,
    )


# --- the last message ---------------------------------------------------------------------------


def is_answer(last: LastMessage | None) -> TypeGuard[LastMessage]:
    return last is not None and last.role == "assistant" and last.head.strip() not in _NO_REPLY


def is_silent(last: LastMessage | None) -> bool | None:
    """Return whether the agent asked not to have its answer delivered; None without an answer."""
    return last.asks_for_silence if is_answer(last) else None
