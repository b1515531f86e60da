"""What the host's error texts mean: their class, and the parts of a script's error."""

from __future__ import annotations

import re
from enum import StrEnum


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
    CONTEXT_OVERFLOW = "context_overflow"
    INCOMPLETE_RESPONSE = "incomplete_response"
    CONTENT_POLICY_BLOCKED = "content_policy_blocked"
    SCRIPT_FAILED = "script_failed"
    SCRIPT_BLOCKED = "script_blocked"
    PERMISSION_DENIED = "permission_denied"
    SECURITY_CHECK_FAILED = "security_check_failed"
    SKILL_NOT_FOUND = "skill_not_found"
    BUDGET_EXCEEDED = "budget_exceeded"
    ABANDONED = "abandoned"
    SCHEDULER_DOWN = "scheduler_down"
    """A run was missed, and nothing at all was started meanwhile."""
    NOT_STARTED = "not_started"
    """A run was missed, and other jobs were started meanwhile, or that is unknown by now."""
    TOOL_ERROR = "tool_error"
    TOOL_BLOCKED = "tool_blocked"
    OTHER = "_OTHER"


_JOB_NAME = re.compile(r"\bCron (?:job|watchdog) '[^']*'")
"""This is taken out of a text first: a job may be called anything."""

# First match wins: the host's own texts (0.19) from their beginning, before what a provider, a
# script or a model may have put into them.
_CLASSES: tuple[tuple[re.Pattern[str], ErrorType], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error_type)
    for pattern, error_type in (
        (r"^Script timed out", ErrorType.TIMEOUT),
        (
            r"^(Script execution failed: |PermissionError: )?\[(Errno 1|Errno 13|WinError 5)\]",
            ErrorType.PERMISSION_DENIED,
        ),
        (r"^Script exited with code|^Script execution failed", ErrorType.SCRIPT_FAILED),
        (r"^Blocked: script path", ErrorType.SCRIPT_BLOCKED),
        (r"^Blocked: |blocked for safety", ErrorType.SECURITY_CHECK_FAILED),
        (
            r"^Script not found|^Script path is not|^Cannot run \.|no script is set",
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
        (r"Skipped to prevent unintended spend", ErrorType.INVALID_CONFIG),
        (
            # The host's own list of texts for an exhausted budget (error_classifier.py).
            (
                r"budget (was )?exceeded|exceeded .{0,40}budget|\bHTTP 402\b|error code: 402\b"
                r"|payment required|insufficient[ _](credits|quota|balance)|credit balance"
                r"|credits (have been )?exhausted|no usable credits|top up your credits"
                r"|billing hard limit|exceeded your current quota|out of (funds|extra usage)"
                r"|balance_depleted|spending.limit|billing_not_active"
            ),
            ErrorType.BUDGET_EXCEEDED,
        ),
        (r"^RuntimeError: content_policy_blocked", ErrorType.CONTENT_POLICY_BLOCKED),
        (
            (
                r"^RuntimeError: (Context (overflow|length exceeded)|Request payload too large"
                r"|max_tokens exceeds)|\bHTTP 413\b"
            ),
            ErrorType.CONTEXT_OVERFLOW,
        ),
        (
            (
                r"^RuntimeError: (First response|Response) (remained )?truncated"
                r"|^RuntimeError: (Incomplete REASONING|Model generated invalid tool call"
                r"|Codex response remained|Stream repeatedly dropped|Model used all output tokens"
                r"|I reached the iteration limit)"
            ),
            ErrorType.INCOMPLETE_RESPONSE,
        ),
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
                r"|name or service not known|network is unreachable|certificate.verify.failed"
            ),
            ErrorType.NETWORK_ERROR,
        ),
        (
            (
                r"no (inference provider|api key|provider|model)\b|not configured|\bHTTP 40[04]\b"
                r"|has no model|model .{0,80}not found|^no delivery target|^unknown platform"
            ),
            ErrorType.INVALID_CONFIG,
        ),
        (r"^RuntimeError: Invalid API response", ErrorType.INCOMPLETE_RESPONSE),
    )
)


def classify(error: str) -> ErrorType:
    """Return the class of an error text of the host."""
    text = _JOB_NAME.sub("", error)
    for pattern, error_type in _CLASSES:
        if pattern.search(text):
            return error_type
    return ErrorType.OTHER


_REASONS = {
    "auth": ErrorType.AUTH_FAILED,
    "auth_permanent": ErrorType.AUTH_FAILED,
    "rate_limit": ErrorType.RATE_LIMITED,
    "upstream_rate_limit": ErrorType.RATE_LIMITED,
    "overloaded": ErrorType.SERVER_ERROR,
    "server_error": ErrorType.SERVER_ERROR,
    "timeout": ErrorType.TIMEOUT,
    "ssl_cert_verification": ErrorType.NETWORK_ERROR,
    "model_not_found": ErrorType.INVALID_CONFIG,
    "billing": ErrorType.BUDGET_EXCEEDED,
    "context_overflow": ErrorType.CONTEXT_OVERFLOW,
    "payload_too_large": ErrorType.CONTEXT_OVERFLOW,
    "content_policy_blocked": ErrorType.CONTENT_POLICY_BLOCKED,
}
"""The host's own classes of a failed model call (agent/error_classifier.py). Others go by their text."""


def classify_api_error(
    reason: str | None, status_code: int | None, message: str | None
) -> ErrorType:
    """Return the class of a failed model call: by the host's own class, else by status and text."""
    if (known := _REASONS.get(reason or "")) is not None:
        return known
    return classify(f"HTTP {status_code}: {message}" if status_code else message or "")


_EXIT_CODE = re.compile(r"Script exited with code (?P<code>-?\d{1,10})(?=\n|\Z)")
_STDERR = re.compile(r"\nstderr:\n(?P<stderr>.*?)(?:\nstdout:\n|\Z)", re.DOTALL)


def exit_code(error: str | None) -> int | None:
    """Return the exit code of the script whose error this is; None where it never ran, or did not end by
    itself. A negative one is the number of the signal that ended it."""
    found = _EXIT_CODE.match(error or "")
    return int(found["code"]) if found is not None else None


def stderr_of(error: str | None) -> str | None:
    """Return what the script wrote to stderr, from the host's text of its error."""
    found = _STDERR.search(error or "") if exit_code(error) is not None else None
    return found["stderr"].strip() or None if found is not None else None


def without_stdout(error: str | None) -> str | None:
    """Return the host's text of a script's error without what the script printed, which is not an error."""
    if error is None or exit_code(error) is None:
        return error
    return error.partition("\nstdout:\n")[0]


def reason_of(error: str | None) -> str:
    """Return an error as one line: the first line of the host's text, and of a script also the last line
    that it wrote to stderr. What it printed to stdout is left out. Empty if there is no text."""
    first = next(filter(None, map(str.strip, (without_stdout(error) or "").splitlines())), "")
    stderr = stderr_of(error)
    return f"{first}: {stderr.splitlines()[-1].strip()}" if stderr else first


def is_of_script(error: str | None) -> bool:
    """Return whether this is the host's text for a script that failed, could not run, or may not run."""
    return _OF_SCRIPT.match(error or "") is not None


_OF_SCRIPT = re.compile(
    r"Script (timed out|exited with code|execution failed|not found|path is not)"
    r"|Blocked: script path|Cannot run \.sh"
)
