"""Messages for people, by Apprise: Telegram, Slack, Gotify, e-mail, webhooks and a hundred others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import tzinfo
from importlib.util import find_spec
from typing import Final

from ...about import APPRISE_PACKAGE
from ...config import NotifyTarget
from ...domain.notices import NoticeMessage, message_of
from ...journal.notices import PendingNotice
from ..acknowledgement import Receipt, Verdict
from .post import MissingAppriseError, Parcel, captured_log, reason_text

_UNKNOWN_URL: Final = "Apprise does not know this URL: see https://appriseit.com/services/"


def check_apprise() -> None:
    """Raises `MissingAppriseError` when Apprise is not installed."""
    if find_spec("apprise") is None:
        raise MissingAppriseError(
            "notices need Apprise, which is not installed:"
            f" {sys.executable} -m pip install '{APPRISE_PACKAGE}'"
        )


class Messages:
    """Sends all that is pending as one message."""

    def __init__(self, target: NotifyTarget, *, profile: str, zone: tzinfo) -> None:
        """Raises `MissingAppriseError`."""
        check_apprise()
        self._target = target
        self._profile = profile
        self._zone = zone

    def parcels(self, pending: Sequence[PendingNotice]) -> list[Parcel]:
        return [Parcel(notices=pending, subject=pending)]

    def send(self, parcel: Parcel, *, timeout_s: float) -> Receipt:
        notices = [pending.notice for pending in parcel.subject]
        message = message_of(notices, profile=self._profile, zone=self._zone)
        return send_message(self._target, message, timeout_s=timeout_s)


def send_message(target: NotifyTarget, message: NoticeMessage, *, timeout_s: float) -> Receipt:
    """Send one message. Apprise says only whether all went well; its log says why not."""
    with captured_log() as warnings:
        import apprise

        # With a time limit of its own, Apprise sends in a thread that the host would wait for at its exit.
        asset = apprise.AppriseAsset(async_mode=False, service_timeout=0, app_id="cronalytics-otel")
        service = apprise.Apprise.instantiate(target.url, asset=asset)
        if service is None:
            reason = f"{_UNKNOWN_URL}{_details(target, warnings)}"
            return Receipt(verdict=Verdict.RETRY, reason=reason)
        for limit in ("socket_connect_timeout", "socket_read_timeout"):
            setattr(service, limit, min(getattr(service, limit, None) or timeout_s, timeout_s))
        post = apprise.Apprise(asset=asset)
        post.add(service)
        accepted = post.notify(
            title=message.title,
            body=message.body,
            notify_type=message.severity.value,
            body_format="text",
        )
    if accepted:
        return Receipt(verdict=Verdict.ACCEPTED)
    return Receipt(verdict=Verdict.RETRY, reason=f"not taken{_details(target, warnings)}")


def _details(target: NotifyTarget, warnings: Sequence[str]) -> str:
    return f": {reason_text(target, '; '.join(warnings))}" if warnings else ""
