"""The closed lists of values, and what each value means."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ...domain.errors import ErrorType
from ...model import Outcome

AGENT_HERMES: Final = "hermes"
AGENT_SUBAGENT: Final = "subagent"
RELATION_PREVIOUS_RUN: Final = "previous_run"
RELATION_CONTEXT_FROM: Final = "context_from"


class Partial(StrEnum):
    """Why a trace is partial (`hermes.cron.trace.partial`)."""

    HOST_PRUNED = "host_pruned"
    """The host had deleted messages when the trace was built."""
    TRUNCATED = "truncated"
    """There were more steps than a trace may hold."""
    UNTIMED = "untimed"
    """The host wrote the steps when the run was over: they are in order, their times are not known."""


OUTCOME_MEANING: Final = {
    Outcome.SUCCESS: "The run did its work. An answer of `[SILENT]` is a success.",
    Outcome.FAILURE: "The run failed.",
    Outcome.TIMEOUT: "It was stopped after a limit of time.",
    Outcome.CANCELLED: "It was interrupted.",
    Outcome.BUDGET_EXCEEDED: "It was stopped at a limit of cost: the provider's, as Hermes has none.",
    Outcome.ABANDONED: "Its process died: how far it came is not known.",
    Outcome.SKIPPED: "The gate script reported that there is nothing to do.",
    Outcome.MISSED: "It was due and never ran.",
}
"""One sentence for each outcome; a failed run's status description when the host gave no text."""


ERROR_MEANING: Final = {
    ErrorType.AUTH_FAILED: "The provider refused the key or the account: 401, 403.",
    ErrorType.RATE_LIMITED: "The provider asked to wait: 429.",
    ErrorType.TIMEOUT: "No activity for Hermes's limit, a script's limit, or a request's.",
    ErrorType.NETWORK_ERROR: "The provider could not be reached, or the connection was lost: name resolution, routing, TLS.",
    ErrorType.SERVER_ERROR: "The provider failed: 5xx, overloaded.",
    ErrorType.DISPATCH_FAILED: "Hermes's scheduler took the job and could not start it.",
    ErrorType.INTERRUPTED: "Hermes was shut down, or a person interrupted it.",
    ErrorType.EMPTY_RESPONSE: "The model's answer was empty.",
    ErrorType.INVALID_CONFIG: "No model, no provider, no such script or platform, a request that the "
    "provider does not understand, or settings that changed under the job.",
    ErrorType.CONTEXT_OVERFLOW: "The conversation grew beyond what the model takes.",
    ErrorType.INCOMPLETE_RESPONSE: (
        "The model's answer was cut, or of no use, after all retries; or the session ended without one; or "
        "Hermes itself gives the answer for the error."
    ),
    ErrorType.CONTENT_POLICY_BLOCKED: "The provider's content filter stopped the request.",
    ErrorType.SCRIPT_FAILED: "The script ended with another code than 0, or could not be run.",
    ErrorType.SCRIPT_BLOCKED: "Hermes does not run a script outside its `scripts` folder.",
    ErrorType.PERMISSION_DENIED: "The operating system did not let Hermes run the script, or use a "
    "file of its own.",
    ErrorType.SECURITY_CHECK_FAILED: "Hermes's scanner found an injection in the prompt, or the job "
    "would have sent a stored key to a foreign address: the agent was not run.",
    ErrorType.SKILL_NOT_FOUND: "The agent began without a skill that its job names.",
    ErrorType.BUDGET_EXCEEDED: "No money left: the provider's credit or spending limit.",
    ErrorType.ABANDONED: "The process died.",
    ErrorType.SCHEDULER_DOWN: "It was missed, and the scheduler started nothing at all meanwhile.",
    ErrorType.NOT_STARTED: "It was missed, and other jobs were started, or that is no longer known.",
    ErrorType.TOOL_ERROR: "A tool failed. It is on its `execute_tool` alone, because the agent sees the error and goes on.",
    ErrorType.TOOL_BLOCKED: "A tool was not allowed; on its `execute_tool` alone.",
    ErrorType.OTHER: "None of these; the status description has the text.",
}
"""One sentence for each `error.type`, in the order of the enumeration."""
