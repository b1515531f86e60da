"""What a destination's answer means: for the request (verdict), and for its runs (consequence).

An entry leaves the outbox when the destination accepts it, when it is set aside, or when it is too old. It is
set aside only for what is the run's own fault. A fault of the destination, or of the way to it, passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..journal.outbox import MAX_DOUBT_WAIT_NS
from ..model import DestinationFault
from ..model.times import NS

MAX_BAD_REQUESTS: Final = 20
"""After this many refused requests in a row, we blame the server, not the runs."""

DOUBT_TRIES: Final = 2
"""A run that alone met a server error is set aside if it meets one this many times more, each time after the
destination has accepted another run."""

DOUBT_WAIT_NS: Final = 60 * NS
"""The first wait until a run in doubt is tried again. Once it was tried after another run was accepted, it
waits for an hour."""


class Verdict(StrEnum):
    """What a destination's answer means for a request."""

    ACCEPTED = "accepted"
    """A 2xx with an OTLP body and nothing rejected (gRPC: OK and nothing rejected)."""
    RETRY = "retry"
    """Nothing was taken, and the runs are not at fault. There was no answer, or it was not OTLP, or it was
    about the key, the account, the address, a proxy, or the load of the server."""
    SERVER_ERROR = "server_error"
    """Nothing was taken, because the server failed: just now, or whenever it gets one of these runs (500;
    gRPC INTERNAL, UNKNOWN)."""
    TOO_LARGE = "too_large"
    """Nothing was taken, and a smaller request may succeed: 413, gRPC RESOURCE_EXHAUSTED for size, the
    exporter's own limit."""
    BAD_REQUEST = "bad_request"
    """Nothing was taken, and the same request will never succeed: 400, 422, gRPC INVALID_ARGUMENT. The
    request was refused for what it contains."""
    PARTIAL = "partial"
    """Some spans (or points) were taken and some rejected for good. Sending again would double the
    former."""


NOT_SERVED_STATUSES: Final = frozenset({404, 405, 501})
"""The statuses of a server that has no such service."""

_VERDICT_OF_HTTP: Final[Mapping[int, Verdict]] = {
    400: Verdict.BAD_REQUEST,
    413: Verdict.TOO_LARGE,
    422: Verdict.BAD_REQUEST,
    501: Verdict.RETRY,
    502: Verdict.RETRY,
    503: Verdict.RETRY,
    504: Verdict.RETRY,
}
"""Of a status that is not listed, a 5xx is a server error, and any other is for another try."""

_FAULT_OF_HTTP: Final[Mapping[int, DestinationFault]] = {
    401: DestinationFault.CREDENTIALS,
    402: DestinationFault.ACCOUNT,
    403: DestinationFault.CREDENTIALS,
    404: DestinationFault.ADDRESS,
    405: DestinationFault.ADDRESS,
    407: DestinationFault.PROXY,
    410: DestinationFault.ADDRESS,
    415: DestinationFault.WRONG_PROTOCOL,
    501: DestinationFault.ADDRESS,
    511: DestinationFault.PROXY,
}


def verdict_of_http(status: int) -> Verdict:
    """Return the verdict of a status without an OTLP answer. A proxy before a gRPC port gives one
    too."""
    return _VERDICT_OF_HTTP.get(status, Verdict.SERVER_ERROR if status >= 500 else Verdict.RETRY)


def fault_of_http(status: int) -> DestinationFault | None:
    """Return what a status without an OTLP answer shows to be wrong; None if that may be the request."""
    if 300 <= status < 400:
        return DestinationFault.NOT_OTLP
    if verdict_of_http(status) in (Verdict.BAD_REQUEST, Verdict.TOO_LARGE):
        return None
    return _FAULT_OF_HTTP.get(status, DestinationFault.SERVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A destination's answer to a request.

    `reason` is one line for people, without secrets. `fault` is what has to be mended before the destination
    takes anything. `retry_after_s` is what the server asked for. `rejected`, a number of spans or points,
    comes with PARTIAL only. `timed_out` means that the time ran out without an answer, `not_served` that the
    server has no service for what was sent.
    """

    verdict: Verdict
    reason: str = ""
    fault: DestinationFault | None = None
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
    FIRST_ALONE = "first_alone"
    """The first of them is sent again at once, alone. The others stay in the outbox."""
    WITHOUT_CONTENT = "without_content"
    """The one run is sent again at once, without its content."""
    SUSPECT = "suspect"
    """The one run is set aside once the destination has shown that it accepts others."""
    DOUBT = "doubt"
    """The one run stays in the outbox, and others go first. It is set aside if it is still not taken after
    several waits, although the destination has accepted others meanwhile."""
    SET_ASIDE = "set_aside"
    """They are set aside as refused."""
    SET_ASIDE_AND_SHRINK = "set_aside_and_shrink"
    """They are set aside as refused, and the next requests are small: the server does not say which
    runs it rejected, so a smaller request leaves fewer in doubt."""


_CONSEQUENCES: Final[Mapping[Verdict, Consequence]] = {
    Verdict.ACCEPTED: Consequence.DONE,
    Verdict.RETRY: Consequence.BACK_OFF,
    Verdict.SERVER_ERROR: Consequence.DOUBT,
    Verdict.TOO_LARGE: Consequence.SET_ASIDE,
    Verdict.BAD_REQUEST: Consequence.SUSPECT,
    Verdict.PARTIAL: Consequence.SET_ASIDE_AND_SHRINK,
}
"""What becomes of the one run in a request."""

_CONSEQUENCES_FOR_SEVERAL: Final[Mapping[Verdict, Consequence]] = {
    **_CONSEQUENCES,
    Verdict.SERVER_ERROR: Consequence.FIRST_ALONE,
    Verdict.TOO_LARGE: Consequence.HALVE,
    Verdict.BAD_REQUEST: Consequence.HALVE,
}


def consequence_of(
    verdict: Verdict, *, runs: int, bad_requests_in_a_row: int, can_omit_content: bool
) -> Consequence:
    """Return what becomes of the `runs` in a request.

    `bad_requests_in_a_row` counts such requests since something was last accepted, this one included.
    `can_omit_content` says whether the request can be sent again without content.
    """
    if verdict is Verdict.BAD_REQUEST and bad_requests_in_a_row >= MAX_BAD_REQUESTS:
        return Consequence.BACK_OFF
    if runs > 1:
        return _CONSEQUENCES_FOR_SEVERAL[verdict]
    if verdict is Verdict.TOO_LARGE and can_omit_content:
        return Consequence.WITHOUT_CONTENT
    return _CONSEQUENCES[verdict]


def doubt_wait_ns(tries: int) -> int:
    """Return the wait until a run in doubt is tried again, after so many tries that count."""
    return MAX_DOUBT_WAIT_NS if tries else DOUBT_WAIT_NS
