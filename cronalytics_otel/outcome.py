"""How a run ended: decided from what the host wrote, never from a hook. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from .host.ledger import Execution
from .host.outputs import Ending, Output
from .host.state_db import LastMessage, PromptFault
from .model import Job, Mode, Outcome, OutcomeSource

_NO_REPLY = frozenset({"", "(empty)"})
"""What the host keeps as the message of a model that said nothing."""

_SILENCE = frozenset({"[SILENT]", "SILENT", "NO_REPLY", "NO REPLY"})


class ErrorType(StrEnum):
    """`error.type`: one closed list. The host's own classes where it has one."""

    AUTH_FAILED = "auth_failed"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    NETWORK_ERROR = "network_error"
    SERVER_ERROR = "server_error"
    DISPATCH_FAILED = "dispatch_failed"
    INTERRUPTED = "interrupted"
    EMPTY_RESPONSE = "empty_response"
    INVALID_CONFIG = "invalid_config"
    SCRIPT_FAILED = "script_failed"
    SKILL_NOT_FOUND = "skill_not_found"
    BUDGET_EXCEEDED = "budget_exceeded"
    ABANDONED = "abandoned"
    OTHER = "_OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is known of a run's end. `error_message` is the host's own text, whole."""

    outcome: Outcome
    source: OutcomeSource
    error_type: ErrorType | None = None
    error_message: str | None = None


_JOB_NAME = re.compile(r"\bCron (?:job|watchdog) '[^']*'")
"""Taken out before the text is looked at: a job may be called anything."""

# First match wins: the host's own texts (0.19) from their beginning, before what a provider, a
# script or a model may have put into them.
_CLASSES: tuple[tuple[re.Pattern[str], ErrorType], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error_type)
    for pattern, error_type in (
        (r"^Script timed out", ErrorType.TIMEOUT),
        (r"^Script exited with code|^Script execution failed", ErrorType.SCRIPT_FAILED),
        (
            r"^Script not found|^Script path is not|^Blocked: |^Cannot run \.|no script is set",
            ErrorType.INVALID_CONFIG,
        ),
        (
            (
                r"^Interrupted by gateway|^RuntimeError: Operation interrupted"
                r"|^(RuntimeError: )?[^:]{0,40}interrupted during retry|^KeyboardInterrupt"
            ),
            ErrorType.INTERRUPTED,
        ),
        (r"^Dispatch claim rejected|^Executor dispatch failed", ErrorType.DISPATCH_FAILED),
        (r"^Agent completed but produced empty response", ErrorType.EMPTY_RESPONSE),
        (r"^TimeoutError:\s+idle for \d+s \(limit", ErrorType.TIMEOUT),
        (r"blocked for safety|Skipped to prevent unintended spend", ErrorType.INVALID_CONFIG),
        (r"budget (was )?exceeded|exceeded .{0,40}budget", ErrorType.BUDGET_EXCEEDED),
        (
            (
                r"\bHTTP 40[13]\b|error code: 40[13]\b|invalid api key|incorrect api key"
                r"|unauthori[sz]ed|re-authenticate"
            ),
            ErrorType.AUTH_FAILED,
        ),
        (r"\bHTTP 429\b|error code: 429\b|rate.?limit|too many requests", ErrorType.RATE_LIMITED),
        (
            r"\bHTTP 5\d\d\b|error code: 5\d\d\b|internal server error|overloaded",
            ErrorType.SERVER_ERROR,
        ),
        (r"^TimeoutError|timed out|\btimeout\b", ErrorType.TIMEOUT),
        (
            (
                r"connection (error|refused|reset|aborted)|ConnectionError|ConnectError"
                r"|name or service not known|network is unreachable"
            ),
            ErrorType.NETWORK_ERROR,
        ),
        (
            (
                r"no (inference provider|api key|provider|model)\b|not configured|\bHTTP 40[04]\b"
                r"|has no model|model .{0,80}not found"
            ),
            ErrorType.INVALID_CONFIG,
        ),
    )
)

_OUTCOME_OF = {
    ErrorType.TIMEOUT: Outcome.TIMEOUT,
    ErrorType.INTERRUPTED: Outcome.CANCELLED,
    ErrorType.BUDGET_EXCEEDED: Outcome.BUDGET_EXCEEDED,
}


def classify(error: str) -> ErrorType:
    """The class of an error text of the host."""
    text = _JOB_NAME.sub("", error)
    for pattern, error_type in _CLASSES:
        if pattern.search(text):
            return error_type
    return ErrorType.OTHER


def failed(error: str | None, source: OutcomeSource) -> Ended:
    """A failure with the host's text; a timeout and an interruption are told apart by it."""
    error_type = classify(error) if error else ErrorType.OTHER
    return Ended(
        outcome=_OUTCOME_OF.get(error_type, Outcome.FAILURE),
        source=source,
        error_type=error_type,
        error_message=error,
    )


def abandoned(source: OutcomeSource, message: str) -> Ended:
    return Ended(
        outcome=Outcome.ABANDONED,
        source=source,
        error_type=ErrorType.ABANDONED,
        error_message=message,
    )


EMPTY_REPLY = (
    "Agent completed but produced empty response (model error, timeout, or misconfiguration)"
)
"""The host's own text, so that one query finds these runs, whoever noticed."""


def with_prompt_fault(ended: Ended, fault: PromptFault | None) -> Ended:
    """A success for the host is a failure for us when the agent began without what its job names: a
    skill that was not found, or the data of a script that failed or was blocked."""
    if fault is None or ended.outcome is not Outcome.SUCCESS:
        return ended
    if fault.missing_skills is not None:
        return Ended(
            outcome=Outcome.FAILURE,
            source=OutcomeSource.SESSION,
            error_type=ErrorType.SKILL_NOT_FOUND,
            error_message=f"Skill(s) not found and skipped: {fault.missing_skills}",
        )
    return Ended(
        outcome=Outcome.FAILURE,
        source=OutcomeSource.SESSION,
        error_type=classify(fault.script_error or ""),
        error_message=fault.script_error,
    )


OWNER_GONE = "The process that ran it is gone, and it never wrote how the run ended."


def from_ledger(
    execution: Execution,
    *,
    job: Job | None,
    has_session: bool,
    output: Output | None,
) -> Ended:
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
        return Ended(outcome=Outcome.SUCCESS, source=OutcomeSource.LEDGER)
    if output is not None:
        gated = output.ending is Ending.GATED
        return Ended(
            outcome=Outcome.SKIPPED if gated else Outcome.SUCCESS, source=OutcomeSource.LEDGER
        )
    if job is not None and job.has_script:
        return Ended(outcome=Outcome.SKIPPED, source=OutcomeSource.INFERRED)
    return Ended(outcome=Outcome.SUCCESS, source=OutcomeSource.LEDGER)


JobStatus = tuple[str, str | None]
"""jobs.json's (`last_status`, `last_error`), when it speaks of the very run."""


def from_output(output: Output, *, job: Job | None, job_status: JobStatus | None) -> Ended:
    """Of a run that left an output file and nothing else, on a host without a ledger."""
    if output.ending is Ending.FAILED:
        return failed(output.error, OutcomeSource.JOB)
    if job_status is not None and job_status[0] == "error":
        return failed(job_status[1], OutcomeSource.JOB)
    if output.ending is Ending.EMPTY:
        return _empty_reply(OutcomeSource.JOB)
    gated = output.ending is Ending.GATED and (job is None or job.mode is Mode.AGENT)
    return Ended(outcome=Outcome.SKIPPED if gated else Outcome.SUCCESS, source=OutcomeSource.JOB)


def from_session(
    *,
    last_message: LastMessage | None,
    output: Output | None,
    job_status: JobStatus | None,
    ended: bool,
) -> Ended:
    """Of a run that the ledger does not know: an older host, or a row that it has pruned.

    Before 0.18 the host takes its own notice of an empty reply for an answer.
    """
    if output is not None and output.ending is Ending.FAILED:
        return failed(output.error, OutcomeSource.JOB)
    if job_status is not None and job_status[0] == "error":
        return failed(job_status[1], OutcomeSource.JOB)
    answered = (
        last_message is not None
        and last_message.role == "assistant"
        and last_message.head.strip() not in _NO_REPLY
    )
    if output is not None and output.ending is Ending.EMPTY and not answered:
        return _empty_reply(OutcomeSource.JOB)
    if job_status is not None or (output is not None and output.ending is Ending.ANSWERED):
        return Ended(outcome=Outcome.SUCCESS, source=OutcomeSource.JOB)
    if not ended:
        return abandoned(OutcomeSource.INFERRED, "It never ended, and nothing has moved since.")
    if last_message is None:
        return failed(None, OutcomeSource.SESSION)
    if answered:
        return Ended(outcome=Outcome.SUCCESS, source=OutcomeSource.SESSION)
    if last_message.role == "assistant":
        return _empty_reply(OutcomeSource.SESSION)
    return Ended(
        outcome=Outcome.FAILURE,
        source=OutcomeSource.SESSION,
        error_type=ErrorType.OTHER,
        error_message="The session ended without an answer of the model.",
    )


def _empty_reply(source: OutcomeSource) -> Ended:
    return Ended(
        outcome=Outcome.FAILURE,
        source=source,
        error_type=ErrorType.EMPTY_RESPONSE,
        error_message=EMPTY_REPLY,
    )


def is_silent(last_message: LastMessage | None) -> bool | None:
    """Whether the agent asked that its answer be not delivered: the host's own rule.

    A marker alone, on the first or on the last line, or `[SILENT]` as a prefix. None without an
    answer.
    """
    if last_message is None or last_message.role != "assistant":
        return None
    head, tail = last_message.head.strip(), last_message.tail.strip()
    if head in _NO_REPLY:
        return None
    lines = (head, head.splitlines()[0], tail.splitlines()[-1] if tail else "")
    return head.upper().startswith("[SILENT]") or any(map(_is_marker, lines))


def _is_marker(line: str) -> bool:
    return " ".join(line.upper().split()) in _SILENCE
