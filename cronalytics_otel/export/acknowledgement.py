"""What a destination's answer means: for the request (verdict), and for its runs (consequence).

An entry leaves the outbox when the destination accepts it, when it is set aside, or when it is too old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_BAD_REQUESTS: Final = 20
"""After this many refused requests in a row, we blame the server, not the runs."""

_RETRYABLE: Final = frozenset({408, 429, 502, 503, 504})
"""The statuses that the OTLP specification calls retryable, and 408."""

_DENIED: Final = frozenset({401, 402, 403, 404, 405, 407, 410, 501})
"""The key, the account or the address is wrong, so the next request would fare no better."""


class Verdict(StrEnum):
    """What a destination's answer means for a request."""

    ACCEPTED = "accepted"
    """A 2xx with an OTLP body and nothing rejected (gRPC: OK and nothing rejected)."""
    RETRY = "retry"
    """Nothing was taken, and a later try may succeed: connection, time-out, 408, 429, 502, 503, 504,
    or an answer that is not OTLP (a redirect, a login page)."""
    TOO_LARGE = "too_large"
    """Nothing was taken, and a smaller request may succeed: 413, gRPC RESOURCE_EXHAUSTED for size, the
    exporter's own limit."""
    BAD_REQUEST = "bad_request"
    """Nothing was taken, and the same request will never succeed: 400, 422, 500, ... The request was
    refused for what it contains."""
    DENIED = "denied"
    """Nothing was taken, and no request will succeed: a wrong key, account or address (401, 402, 403,
    404, 405, 407, 410, 501; gRPC UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, NOT_FOUND)."""
    PARTIAL = "partial"
    """Some spans (or points) were taken and some rejected for good. Sending again would double the
    former."""


NOT_SERVED_STATUSES: Final = frozenset({404, 405, 501})
"""The statuses of a server that has no such service."""


def verdict_of_http(status: int) -> Verdict:
    """Return the verdict of a status without an OTLP answer. A proxy before a gRPC port gives one
    too."""
    if status < 400 or status in _RETRYABLE:
        return Verdict.RETRY
    if status == 413:
        return Verdict.TOO_LARGE
    return Verdict.DENIED if status in _DENIED else Verdict.BAD_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A destination's answer to a request.

    `reason` is one line for people, without secrets. `retry_after_s` is what the server asked for.
    `rejected`, a number of spans or points, comes with PARTIAL only. `timed_out` means that the time ran out
    without an answer, `not_served` that the server has no service for what was sent.
    """

    verdict: Verdict
    reason: str = ""
    retry_after_s: float | None = None
    rejected: int = 0
    timed_out: bool = False
    not_served: bool = False

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED


class Consequence(StrEnum):
    """What becomes of the runs in a request."""

    DONE = "done"
    """They leave the outbox, and count as delivered."""
    BACK_OFF = "back_off"
    """They stay in the outbox, and the destination is left alone for a while."""
    HALVE = "halve"
    """They are sent again at once, in two halves, to find the run at fault."""
    WITHOUT_CONTENT = "without_content"
    """The one run is sent again at once, without its content."""
    SUSPECT = "suspect"
    """The one run is set aside once the destination has accepted something."""
    SET_ASIDE = "set_aside"
    """They are set aside as refused."""
    SET_ASIDE_AND_SHRINK = "set_aside_and_shrink"
    """They are set aside as refused, and the next requests are small: the server does not say which
    runs it rejected, so a smaller request leaves fewer in doubt."""
    SET_ASIDE_AND_BACK_OFF = "set_aside_and_back_off"
    """They are set aside as refused, and the destination is left alone for a while. The user must mend
    the key or the address, and then `sync --retry-refused` sends the runs again."""


_CONSEQUENCES: Final[Mapping[Verdict, Consequence]] = {
    Verdict.ACCEPTED: Consequence.DONE,
    Verdict.RETRY: Consequence.BACK_OFF,
    Verdict.TOO_LARGE: Consequence.SET_ASIDE,
    Verdict.BAD_REQUEST: Consequence.SUSPECT,
    Verdict.DENIED: Consequence.SET_ASIDE_AND_BACK_OFF,
    Verdict.PARTIAL: Consequence.SET_ASIDE_AND_SHRINK,
}
"""What becomes of the one run in a request."""


def consequence_of(
    verdict: Verdict, *, runs: int, bad_requests_in_a_row: int, can_omit_content: bool
) -> Consequence:
    """Return what becomes of the `runs` in a request.

    `bad_requests_in_a_row` counts such requests since something was last accepted, this one included.
    `can_omit_content` says whether the request can be sent again without content.
    """
    if verdict is Verdict.BAD_REQUEST and bad_requests_in_a_row >= MAX_BAD_REQUESTS:
        return Consequence.BACK_OFF
    if verdict in (Verdict.TOO_LARGE, Verdict.BAD_REQUEST) and runs > 1:
        return Consequence.HALVE
    if verdict is Verdict.TOO_LARGE and can_omit_content:
        return Consequence.WITHOUT_CONTENT
    return _CONSEQUENCES[verdict]
