"""Pings to checks, as Healthchecks has them: `<url>/start`, `<url>`, `<url>/fail`.

A check reports by itself when no ping comes, so a missed run needs none. Only the newest state of a job is
sent: an older one would be taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from ...about import __version__
from ...clock import SYSTEM_CLOCK
from ...config import NotifyTarget
from ...journal.notices import PendingNotice
from ...model import NoticeEvent
from ..acknowledgement import Receipt, Verdict
from .post import Parcel, captured_log, reason_text

MAX_PING_AGE_NS: Final = 86_400 * 1_000_000_000
"""A ping says that something happened just now. One that has waited for so long is not sent any more."""

_ENDS: Final = {NoticeEvent.STARTED: "/start", NoticeEvent.FAILED: "/fail"}
_NO_SUCH_CHECK: Final = frozenset({400, 401, 403, 404, 405, 409, 410})
"""The check does not exist, or takes no pings. That of another job may."""


class Pings:
    """Sends one request for the newest end of each job's runs, and one for a start after it."""

    def __init__(self, target: NotifyTarget) -> None:
        self._target = target

    def parcels(self, pending: Sequence[PendingNotice]) -> list[Parcel]:
        by_job: dict[str, list[PendingNotice]] = {}
        for notice in pending:
            by_job.setdefault(notice.notice.job_id, []).append(notice)
        return [parcel for notices in by_job.values() for parcel in _of_job(notices)]

    def send(self, parcel: Parcel, *, timeout_s: float) -> Receipt:
        (pending,) = parcel.subject
        notice = pending.notice
        url = self._target.check_url(notice.job_id, notice.job_name, _ENDS.get(notice.event, ""))
        return ping(self._target, url, f"{notice.job_name} {notice.text}", timeout_s=timeout_s)


def _of_job(notices: Sequence[PendingNotice]) -> Iterator[Parcel]:
    """Yield the newest end with all that came before it, and the newest start if one came after."""
    ordered = sorted(notices, key=lambda pending: (pending.notice.at_ns, pending.id))
    ends = [n for n, p in enumerate(ordered) if p.notice.event is not NoticeEvent.STARTED]
    after_end = ends[-1] + 1 if ends else 0
    for part in (ordered[:after_end], ordered[after_end:]):
        if part:
            yield Parcel(notices=part, subject=part[-1:])


def ping(target: NotifyTarget, url: str, text: str, *, timeout_s: float) -> Receipt:
    """Make one request: a POST with a line of text, which the check shows beside the ping."""
    import requests

    from ..otlp.deadline import DeadlineAdapter, remaining_s, within_deadline
    from ..otlp.http_answer import parse_retry_after
    from ..otlp.http_faults import explained

    with (
        captured_log(),
        within_deadline(timeout_s),
        requests.Session() as session,
    ):
        session.mount("http://", DeadlineAdapter())
        if url.startswith("https://"):
            session.mount("https://", DeadlineAdapter(trusts_system=True))
        try:
            with session.post(
                url,
                data=text.encode("utf-8", "replace"),
                headers={
                    "content-type": "text/plain; charset=utf-8",
                    "user-agent": f"cronalytics-otel/{__version__}",
                },
                timeout=remaining_s(),
                allow_redirects=False,
                stream=True,  # the answer's body says nothing
            ) as response:
                status, headers = response.status_code, response.headers
        except Exception as error:  # noqa: BLE001 - any of them is a result
            trouble = explained(error, timeout_s)
            return Receipt(
                verdict=Verdict.RETRY,
                reason=reason_text(target, trouble.reason),
                timed_out=trouble.timed_out,
            )
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Receipt(verdict=Verdict.ACCEPTED)
    return Receipt(
        verdict=Verdict.BAD_REQUEST if status in _NO_SUCH_CHECK else Verdict.RETRY,
        reason=f"HTTP {status}",
        retry_after_s=parse_retry_after(headers.get("retry-after"), SYSTEM_CLOCK.now_ns() / 1e9),
    )
