"""How a run ended: decided from what the host wrote, never from a hook. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeGuard

from ..model import (
    Ending,
    Execution,
    Job,
    LastMessage,
    Mode,
    Outcome,
    OutcomeSource,
    Output,
    Prompt,
    SkipReason,
)
from .errors import ErrorType, classify

_NO_REPLY = frozenset({"", "(empty)"})
"""What the host keeps as the message of a model that said nothing."""

_SILENCE = frozenset({"[SILENT]", "SILENT", "NO_REPLY", "NO REPLY"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """What is known of a run's end. `error_message` is the host's own text, whole."""

    outcome: Outcome
    source: OutcomeSource
    error_type: ErrorType | None = None
    error_message: str | None = None
    skip_reason: SkipReason | None = None


_OUTCOME_OF = {
    ErrorType.TIMEOUT: Outcome.TIMEOUT,
    ErrorType.INTERRUPTED: Outcome.CANCELLED,
    ErrorType.BUDGET_EXCEEDED: Outcome.BUDGET_EXCEEDED,
}


REFUSED = "the model declined to respond"
_REFUSAL = re.compile(
    r"^(RuntimeError: content_policy_blocked: )(?!HTTP \d|Error code|model declined).*", re.DOTALL
)
"""A refusal in a successful answer: what follows is what the model said, and no provider's error."""


def failed(error: str | None, source: OutcomeSource) -> RunEnd:
    """A failure with the host's text; a timeout and an interruption are told apart by it."""
    if error is not None:
        error = _REFUSAL.sub(r"\1" + REFUSED, error)
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


ANSWER_FOR_ERROR = (
    "The agent had no turn left, or was interrupted: Hermes gives its answer for the error."
)
_RAISED = "RuntimeError: "
_RAISED_ELSEWHERE = re.compile(r"(?!RuntimeError)\w*(Error|Exception|Interrupt|Exit): |\[Errno ")
_HOST_S_ANSWER = re.compile(
    r"I apologize, but I encountered (repeated errors|an error while processing the model response)"
    r": Error during |Ollama loaded `|I stopped retrying .{1,200} because it hit the tool-call "
)
"""What the host itself puts in the place of an answer: an error's text."""
_TELLING_CHARS = 40
"""Two texts that have so many characters at an end in common have them by no coincidence."""


def without_answer(
    ended: RunEnd, last: LastMessage | None, *, at_turn_limit: bool, writes_late: bool
) -> RunEnd:
    """A failure whose text is what the agent said: that is content, and tells no class.

    Where a run is not completed and has no error, the host raises a `RuntimeError` of the answer.
    Before 0.18 (`writes_late`) that is every run that used its last turn, be it for the summary that
    the host asked for (`at_turn_limit`) or for an answer; since then one that was interrupted there.
    """
    if ended.source not in (OutcomeSource.LEDGER, OutcomeSource.JOB) or not _is_answer(last):
        return ended
    error = ended.error_message
    if ended.error_type in (None, ErrorType.EMPTY_RESPONSE, ErrorType.ABANDONED):
        return ended
    if writes_late and (at_turn_limit or last.is_final):
        is_answer = error is None or not _RAISED_ELSEWHERE.match(error)
    else:
        is_answer = _is_said(error or "", last) and not _HOST_S_ANSWER.match(last.head)
    if not is_answer:
        return ended
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=ended.source,
        error_type=ErrorType.INCOMPLETE_RESPONSE,
        error_message=ANSWER_FOR_ERROR,
    )


def _is_said(error: str, last: LastMessage) -> bool:
    """The host may have put a notice of its own after it, or taken a secret out of the message."""
    if not error.startswith(_RAISED):
        return False
    raised = error.removeprefix(_RAISED).strip()
    if raised == last.head or raised.startswith(last.head + "\n\n"):
        return True
    text, head, tail = (" ".join(part.split()) for part in (raised, last.head, last.tail))
    return min(len(text), len(head)) >= _TELLING_CHARS and (
        text[:_TELLING_CHARS] == head[:_TELLING_CHARS]
        or text[-_TELLING_CHARS:] == tail[-_TELLING_CHARS:]
    )


def _is_answer(last: LastMessage | None) -> TypeGuard[LastMessage]:
    return last is not None and last.role == "assistant" and last.head.strip() not in _NO_REPLY


EMPTY_REPLY = (
    "Agent completed but produced empty response (model error, timeout, or misconfiguration)"
)
"""The host's own text, so that one query finds these runs, whoever noticed."""


def with_prompt_fault(ended: RunEnd, prompt: Prompt | None) -> RunEnd:
    """A success for the host is a failure for us when the agent began without what its job names: a
    skill that was not found, or the data of a script that failed or was blocked."""
    if prompt is None or ended.outcome is not Outcome.SUCCESS:
        return ended
    error_type, error = None, prompt.script_error
    if prompt.missing_skills is not None:
        error_type = ErrorType.SKILL_NOT_FOUND
        error = f"Skill(s) not found and skipped: {prompt.missing_skills}"
    if error is None:
        return ended
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=OutcomeSource.SESSION,
        error_type=error_type or classify(error),
        error_message=error,
    )


_SKIPPED = {
    Ending.GATED: SkipReason.WAKE_AGENT_FALSE,
    Ending.NOTHING: SkipReason.NO_OUTPUT,
}

OWNER_GONE = "The process that ran it is gone, and it never wrote how the run ended."


def from_ledger(
    execution: Execution,
    *,
    job: Job | None,
    has_session: bool,
    output: Output | None,
) -> RunEnd:
    """Of an execution in a final state, or (`abandoned`) one whose owner is gone.

    The ledger says `completed` of an agent job whose gate script said no: no session then exists,
    and the output file says so. Without that file, a job that has a gate and left no session was
    gated too, but that is inferred.
    """
    if execution.status == "failed":
        return failed(execution.error, OutcomeSource.LEDGER)
    if execution.status == "unknown":
        return abandoned(OutcomeSource.LEDGER, execution.error or OWNER_GONE)
    if not execution.terminal:
        return abandoned(OutcomeSource.INFERRED, OWNER_GONE)
    if has_session or (job is not None and job.mode is Mode.SCRIPT):
        return RunEnd(outcome=Outcome.SUCCESS, source=OutcomeSource.LEDGER)
    if output is not None:
        reason = _SKIPPED.get(output.ending)
        return RunEnd(
            outcome=Outcome.SKIPPED if reason else Outcome.SUCCESS,
            source=OutcomeSource.LEDGER,
            skip_reason=reason,
        )
    if job is not None and job.has_script:
        return RunEnd(outcome=Outcome.SKIPPED, source=OutcomeSource.INFERRED)
    return RunEnd(outcome=Outcome.SUCCESS, source=OutcomeSource.LEDGER)


JobStatus = tuple[str, str | None]
"""jobs.json's (`last_status`, `last_error`), when it speaks of the very run."""


def from_output(output: Output, *, job: Job | None, job_status: JobStatus | None) -> RunEnd:
    """Of a run that left an output file and nothing else, on a host without a ledger."""
    if output.ending is Ending.FAILED:
        return failed(output.error, OutcomeSource.JOB)
    if job_status is not None and job_status[0] == "error":
        return failed(job_status[1], OutcomeSource.JOB)
    if output.ending is Ending.EMPTY:
        return _empty_reply(OutcomeSource.JOB)
    is_agent = job is None or job.mode is Mode.AGENT
    reason = _SKIPPED.get(output.ending) if is_agent else None
    return RunEnd(
        outcome=Outcome.SKIPPED if reason else Outcome.SUCCESS,
        source=OutcomeSource.JOB,
        skip_reason=reason,
    )


def from_session(
    *,
    last_message: LastMessage | None,
    output: Output | None,
    job_status: JobStatus | None,
    ended: bool,
    writes_late: bool = False,
) -> RunEnd:
    """Of a run that the ledger does not know: an older host, or a row that it has pruned.

    Before 0.18 (`writes_late`) the host takes its own notice of an empty reply for an answer, and never
    ends a conversation that it continued under a new id: its messages are there when it is done.
    """
    if output is not None and output.ending is Ending.FAILED:
        return failed(output.error, OutcomeSource.JOB)
    if job_status is not None and job_status[0] == "error":
        return failed(job_status[1], OutcomeSource.JOB)
    answered = _is_answer(last_message)
    if output is not None and output.ending is Ending.EMPTY and not answered:
        return _empty_reply(OutcomeSource.JOB)
    if job_status is not None or (output is not None and output.ending is Ending.ANSWERED):
        return RunEnd(outcome=Outcome.SUCCESS, source=OutcomeSource.JOB)
    answered_last = answered and last_message is not None and last_message.is_final
    if not ended and not (writes_late and answered_last):
        return abandoned(OutcomeSource.INFERRED, "It never ended, and nothing has moved since.")
    if last_message is None:
        return failed(None, OutcomeSource.SESSION)
    if answered:
        return RunEnd(outcome=Outcome.SUCCESS, source=OutcomeSource.SESSION)
    if last_message.role == "assistant":
        return _empty_reply(OutcomeSource.SESSION)
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=OutcomeSource.SESSION,
        error_type=ErrorType.OTHER,
        error_message="The session ended without an answer of the model.",
    )


def _empty_reply(source: OutcomeSource) -> RunEnd:
    return RunEnd(
        outcome=Outcome.FAILURE,
        source=source,
        error_type=ErrorType.EMPTY_RESPONSE,
        error_message=EMPTY_REPLY,
    )


def is_silent(last_message: LastMessage | None, *, before_0_18: bool = False) -> bool | None:
    """Whether the agent asked that its answer be not delivered; None without an answer."""
    if not _is_answer(last_message):
        return None
    if before_0_18:
        return last_message.has_marker
    return asks_for_silence(last_message.head, last_message.tail)


def asks_for_silence(head: str, tail: str, *, before_0_18: bool = False) -> bool:
    """Whether a text that begins and ends like this is not to be delivered, by the host's own rule: a
    marker alone, on the first or on the last line, or `[SILENT]` as a prefix. Before 0.18: `[SILENT]`
    anywhere, and nothing else."""
    if before_0_18:
        return any("[SILENT]" in part.upper() for part in (head, tail))
    head, tail = head.strip(), tail.strip()
    if not head:
        return False
    lines = {head, head.splitlines()[0], tail.splitlines()[-1] if tail else ""}
    return head.upper().startswith("[SILENT]") or any(map(_is_marker, lines))


def _is_marker(line: str) -> bool:
    return " ".join(line.upper().split()) in _SILENCE
