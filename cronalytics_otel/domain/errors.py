"""What the host's error texts mean: their class, and the parts of a script's error."""

from __future__ import annotations

import re

from .error_table import ERROR_TABLE, ErrorType

__all__ = [
    "ErrorType",
    "classify",
    "classify_api_error",
    "exit_code",
    "is_of_script",
    "reason_of",
    "stderr_of",
    "without_stdout",
]

_JOB_NAME = re.compile(r"\bCron (?:job|watchdog) '[^']*'")
"""This is taken out of a text first: a job may be called anything."""


def classify(error: str) -> ErrorType:
    """Return the class of an error text of the host."""
    text = _JOB_NAME.sub("", error)
    return next((row.error_type for row in ERROR_TABLE if row.matches(text)), ErrorType.OTHER)


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
