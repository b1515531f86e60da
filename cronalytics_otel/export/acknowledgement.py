"""What a destination said of a request: the only thing that moves an outbox entry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_RETRYABLE: Final = frozenset({408, 429, 502, 503, 504})
"""The OTLP specification's, and 408."""

_DENIED: Final = frozenset({401, 402, 403, 404, 405, 407, 410, 501})
"""The key, the account or the address is wrong: the next request would fare no better."""


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    """A 2xx with an OTLP body and nothing rejected (gRPC: OK and nothing rejected)."""
    RETRY = "retry"
    """Not taken, try later: connection, timeout, 408, 429, 502, 503, 504, or an answer that is
    not OTLP (a redirect, a login page)."""
    TOO_LARGE = "too_large"
    """Nothing taken: send less at once (413, gRPC RESOURCE_EXHAUSTED for size, our own limit)."""
    REFUSED = "refused"
    """For good, for what was sent, and nothing was taken (400, 422, 500, ...)."""
    DENIED = "denied"
    """For good, whatever is sent: a wrong key or a wrong address (401, 403, 404, 405; gRPC
    UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED). Nothing was taken."""
    PARTIAL = "partial"
    """Some spans were taken and some rejected for good: sending again would double the former."""


def verdict_of_http(status: int) -> Verdict:
    """Of a status that comes with no answer of OTLP's; for a gRPC port too, where a proxy said it."""
    if status < 400 or status in _RETRYABLE:
        return Verdict.RETRY
    if status == 413:
        return Verdict.TOO_LARGE
    return Verdict.DENIED if status in _DENIED else Verdict.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """`reason` is one line for people, without secrets; `retry_after_s` as the server asked;
    `rejected_spans` only with PARTIAL; `silent` when the time ran out without an answer."""

    verdict: Verdict
    reason: str = ""
    retry_after_s: float | None = None
    rejected_spans: int = 0
    silent: bool = False

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED
