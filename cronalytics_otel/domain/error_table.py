"""Which texts of errors belong to which class: one table, with examples of each class.

The texts are those of the host, of the providers and their clients, and of three operating systems. A
test holds every example against the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """The texts of one class. `pattern` is searched for in any case."""

    error_type: ErrorType
    pattern: re.Pattern[str]
    examples: tuple[str, ...]

    def matches(self, text: str) -> bool:
        return self.pattern.search(text) is not None


def _row(error_type: ErrorType, patterns: tuple[str, ...], examples: tuple[str, ...]) -> ErrorRow:
    return ErrorRow(error_type, re.compile("|".join(patterns), re.IGNORECASE), examples)


def _status(codes: str) -> str:
    """Return the pattern of an HTTP status as the host, the providers' clients, httpx and requests write
    it."""
    return (
        rf"\b(?:HTTP|error code:|status(?:[ _]code)?:?|http error) ?(?:{codes})\b"
        rf"|\b(?:client|server) error '(?:{codes})\b|\b(?:{codes}) (?:client|server) error\b"
    )


ERROR_TABLE: tuple[ErrorRow, ...] = (
    # The host's own texts, from their beginning: before what a provider, a script or a model may have
    # put into them.
    _row(ErrorType.TIMEOUT, (r"^Script timed out",), ("Script timed out after 3600s: check.sh",)),
    _row(
        ErrorType.PERMISSION_DENIED,
        (r"^(Script execution failed: |PermissionError: )?\[(Errno 1|Errno 13|WinError 5)\]",),
        ("PermissionError: [Errno 13] Permission denied: '/h/state.db'",),
    ),
    _row(
        ErrorType.SCRIPT_FAILED,
        (r"^Script exited with code", r"^Script execution failed"),
        ("Script exited with code 3\nstderr:\nConnection refused",),
    ),
    _row(
        ErrorType.SCRIPT_BLOCKED,
        (r"^Blocked: script path",),
        ("Blocked: script path resolves outside the scripts directory",),
    ),
    _row(
        ErrorType.SECURITY_CHECK_FAILED,
        (r"^Blocked: ", r"blocked for safety"),
        ("Blocked: prompt matches threat pattern 'prompt_injection'.",),
    ),
    _row(
        ErrorType.INVALID_CONFIG,
        (
            r"^Script not found",
            r"^Script path is not",
            r"^Cannot run \.",
            r"no script is set",
            r"^\[blocked_config",
            r"^\[drift_skip",
            r"Skipped to prevent unintended spend",
        ),
        (
            "Script not found: /h/scripts/gone.sh",
            "[blocked_config] no API key for provider 'openai'",
            "RuntimeError: Skipped to prevent unintended spend: global inference config drifted",
        ),
    ),
    _row(
        ErrorType.INTERRUPTED,
        (
            r"^Interrupted by (gateway|shutdown)",
            r"^RuntimeError: Operation interrupted",
            r"^(RuntimeError: )?[^:]{0,40}interrupted during retry",
            r"^KeyboardInterrupt",
        ),
        (
            "Interrupted by shutdown before terminal completion.",
            "RuntimeError: Operation interrupted: handling API error (Request timed out.).",
        ),
    ),
    _row(
        ErrorType.DISPATCH_FAILED,
        (
            r"^Dispatch claim rejected",
            r"^Executor dispatch failed",
            r"^Fire claim\b",
            r"^Restart-safe cron worker dispatch failed",
        ),
        (
            "Dispatch claim rejected; execution was not started.",
            "Fire claim lost; execution was not started.",
            "Restart-safe cron worker dispatch failed: no user bus",
        ),
    ),
    _row(
        ErrorType.EMPTY_RESPONSE,
        (
            r"^Agent completed but produced empty response",
            r"returned an empty response|empty response despite retries|empty response stream",
        ),
        (
            "Agent completed but produced empty response (model error, timeout, or misconfiguration)",
            "RuntimeError: The provider returned an empty response; the model may have a very low max_tokens",
        ),
    ),
    _row(
        ErrorType.TIMEOUT,
        (r"^TimeoutError:\s+idle for \d+s \(limit",),
        ("TimeoutError:  idle for 600s (limit 600s) — last activity: tool: web_search",),
    ),
    _row(
        ErrorType.CONTENT_POLICY_BLOCKED,
        (
            r"^RuntimeError: content_policy_blocked",
            r"violates (our|openai's) usage policies|was flagged by|content_filter",
            r"ResponsibleAIPolicyViolation|cannot be generated due to safety",
        ),
        (
            "RuntimeError: content_policy_blocked: HTTP 400: flagged",
            "Error code: 400 - {'error': {'code': 'content_filter', 'message': 'The response was filtered'}}",
        ),
    ),
    _row(
        ErrorType.INCOMPLETE_RESPONSE,
        (
            r"^RuntimeError: (First response|Response) (remained )?truncated",
            r"^RuntimeError: (Incomplete REASONING|Model generated invalid tool call)",
            r"^RuntimeError: (Codex response remained|Stream repeatedly dropped)",
            r"^RuntimeError: (Model used all output tokens|I reached the iteration limit)",
            r"^The session ended without an answer",
        ),
        (
            "RuntimeError: Response remained truncated after 4 continuation attempts",
            "The session ended without an answer of the model.",
        ),
    ),
    # What a provider answered. The reason goes before the status that it came with.
    _row(
        ErrorType.BUDGET_EXCEEDED,
        (
            r"budget (was )?exceeded|exceeded .{0,40}budget",
            _status("402"),
            r"payment required|insufficient[ _](credits|quota|balance)|credit balance",
            r"credits (have been )?exhausted|no usable credits|top up your credits",
            r"billing hard limit|exceeded your current quota|out of (funds|extra usage)",
            r"balance_depleted|spending.limit|billing_not_active|free tier",
        ),
        (
            "Error code: 402 - {'error': {'message': 'This request requires more credits'}}",
            "RuntimeError: HTTP 429: You exceeded your current quota, please check your plan",
            "RuntimeError: HTTP 400: Your credit balance is too low to access the API.",
        ),
    ),
    _row(
        ErrorType.RATE_LIMITED,
        (
            _status("429"),
            r"throttl(ed|ing)|resource_exhausted|too many (concurrent )?requests",
            r"(tokens|requests) per (min|day|hour)",
        ),
        (
            "Error code: 429 - {'error': {'message': 'Request too large on tokens per min (TPM)'}}",
            "ThrottlingException: Too many tokens, please wait before trying again.",
        ),
    ),
    _row(
        ErrorType.CONTEXT_OVERFLOW,
        (
            r"^RuntimeError: (Context overflow|max_tokens exceeds)",
            _status("413"),
            r"(request|payload)( entity)? too large",
            r"context[ _](length|window|size|limit)|maximum context|max_model_len|maximum model length",
            r"(prompt|input)( text)? is too long|prompt (exceeds|length)|reduce the length",
            r"too many (input |prompt )?tokens|max(imum)? input tokens?|token limit",
            r"(exceeds?|more than) .{0,30}max(imum)? (number of |allowed |input |prompt )*tokens",
            r"tokens? .{0,40}exceeds? .{0,40}(limit|maximum|max)\b|input tokens? .{0,20}exceed",
            r"slot context|n_ctx|上下文长度|超过最大长度",
        ),
        (
            "Error code: 413 - {'error': {'message': 'Request Entity Too Large'}}",
            "Error code: 400 - {'error': {'message': \"This model's maximum context length is 8192 tokens.\"}}",
            "Error code: 400 - {'type': 'error', 'error': {'message': 'prompt is too long: 210000 tokens > 200000 maximum'}}",
            "400 INVALID_ARGUMENT. The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "HTTP 400: tokens in request more than max tokens allowed",
            "HTTP 400: the request exceeds the available context size (8192 tokens), try increasing it",
            "HTTP 400: 输入超过最大长度",
        ),
    ),
    _row(
        ErrorType.AUTH_FAILED,
        (
            _status("401|403"),
            r"(invalid|incorrect)[ _]api[ _]key|authentication[ _](error|failed)|unauthori[sz]ed",
            r"invalid token|token (has )?(expired|revoked)|permission_denied|re-authenticate",
        ),
        (
            "Error code: 401 - {'error': {'message': 'Incorrect API key provided: sk-1***'}}",
            "RuntimeError: HTTP 403: Forbidden",
            "Client error '401 Unauthorized' for url 'https://api.example.com/v1/chat/completions'",
        ),
    ),
    _row(
        ErrorType.RATE_LIMITED,
        (r"rate.?limit",),
        ("RuntimeError: Nous Portal rate limit active — resets in 4m.",),
    ),
    _row(
        ErrorType.SERVER_ERROR,
        (_status(r"5\d\d"), r"internal server error|overloaded|(at|over) capacity"),
        (
            "Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error'}}",
            "RuntimeError: HTTP 503 — Service Temporarily Unavailable",
            "Server error '502 Bad Gateway' for url 'https://api.example.com/v1'",
        ),
    ),
    # The way to the provider.
    _row(
        ErrorType.TIMEOUT,
        (r"^TimeoutError", r"timed out|\btimeout\b|deadline exceeded"),
        ("RuntimeError: Request timed out.", "RuntimeError: 504 Deadline Exceeded"),
    ),
    _row(
        ErrorType.NETWORK_ERROR,
        (
            # Name resolution: Linux (glibc, musl), macOS, Windows, Go.
            r"name or service not known|name resolution|no address associated|name does not resolve",
            r"nodename nor servname|getaddrinfo|no such host|could not resolve|failed to resolve",
            # No way, or nobody there.
            r"(network|host) is (unreachable|down)|no route to host|unreachable (host|network)",
            r"(connection|connect) ?(error|refused|reset|aborted|lost|failed)|actively refused",
            # Disconnects.
            r"connection (was )?(closed|dropped|broken|terminated)|(server|remote end) (has )?(disconnected|closed)",
            r"peer closed|forcibly closed|broken pipe|incomplete (chunked )?read|RemoteProtocolError",
            r"unexpected eof|EOF occurred|network connection lost",
            # TLS.
            r"certificate|\[ssl:|(ssl|tls)[ _](handshake|alert|error)|tlsv1 alert|sslv3 alert",
        ),
        (
            "httpx.ConnectError: [Errno -2] Name or service not known",
            "RuntimeError: [Errno -3] Temporary failure in name resolution",
            "RuntimeError: [Errno 8] nodename nor servname provided, or not known",
            "RuntimeError: [Errno 11001] getaddrinfo failed",
            "OSError: [Errno 113] No route to host",
            "OSError: [Errno 101] Network is unreachable",
            "[WinError 10065] A socket operation was attempted to an unreachable host",
            "[WinError 10061] No connection could be made because the target machine actively refused it",
            "RuntimeError: Server disconnected without sending a response.",
            "peer closed connection without sending complete message body (incomplete chunked read)",
            "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
            "[WinError 10054] An existing connection was forcibly closed by the remote host",
            "RuntimeError: Connection error.",
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
        ),
    ),
    # What the owner has to set.
    _row(
        ErrorType.INVALID_CONFIG,
        (
            r"no (inference provider|api key|provider|model)\b|not configured|has no model",
            r"model .{0,80}(not found|does not exist)|(unknown|unsupported|invalid) model|not a valid model",
            r"^no delivery target|^unknown platform",
            _status("400|404|405|422"),
        ),
        (
            "RuntimeError: HTTP 404: The model `nope` does not exist",
            "Error code: 404 - {'error': {'message': 'Not found'}}",
            "Error code: 400 - {'error': {'message': \"Unsupported parameter: 'temperature'\"}}",
            "404 Client Error: Not Found for url: https://api.example.com/v1/chat/completions",
            "RuntimeError: No inference provider configured. Run 'hermes model' to choose a provider",
        ),
    ),
    _row(
        ErrorType.INCOMPLETE_RESPONSE,
        (r"^RuntimeError: Invalid API response",),
        ("RuntimeError: Invalid API response after 3 retries: empty choices",),
    ),
)
"""The first row that matches a text has its class."""
