"""Checks of the targets of `notify`; a test notice is sent only when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from ...about import APPRISE_PACKAGE
from ...config import NotifyTarget, Settings
from ...domain.notices import NoticeMessage, Severity
from ...export.acknowledgement import Receipt
from ...export.notices.messages import check_apprise, send_message
from ...export.notices.pings import ping
from ...export.notices.post import REQUEST_TIMEOUT_S, MissingAppriseError
from .. import formats
from ..errors import command
from .check import Check, failed, ok, warning

_TEST = NoticeMessage(
    title="Test notice",
    body="cronalytics-otel can reach you here. No job has failed.",
    severity=Severity.SUCCESS,
)


def check_notify(settings: Settings, jobs: Mapping[str, str], *, send: bool) -> Iterator[Check]:
    """Check each target. `jobs` are the names of the jobs by id."""
    for target in settings.notify:
        yield _check_target(target, jobs, send=send)
        unknown = sorted(target.jobs - jobs.keys() - {name.strip() for name in jobs.values()})
        if unknown and jobs:
            yield warning(
                f"to {target.name}",
                f"no job is called {formats.one_line(', '.join(unknown))}",
                "correct jobs of this target, unless the job is still to be made",
            )


def _check_target(target: NotifyTarget, jobs: Mapping[str, str], *, send: bool) -> Check:
    name, where = f"to {target.name}", target.safe_address
    if not target.is_ping:
        try:
            check_apprise()
        except MissingAppriseError as error:
            return failed(name, str(error), f"{sys.executable} -m pip install '{APPRISE_PACKAGE}'")
    if not send:
        return ok(name, f"{where}; `{command('doctor --notify')}` sends a test notice")
    receipt = _test_ping(target, jobs) if target.is_ping else _test_message(target)
    if receipt is None:
        return warning(name, f"{where}: no job of this target is known", "make the job, then sync")
    if not receipt.accepted:
        return failed(name, f"{where}: {receipt.reason}", "check its URL")
    return ok(name, f"{where} took a test {'ping' if target.is_ping else 'notice'}")


def _test_message(target: NotifyTarget) -> Receipt:
    return send_message(target, _TEST, timeout_s=REQUEST_TIMEOUT_S)


def _test_ping(target: NotifyTarget, jobs: Mapping[str, str]) -> Receipt | None:
    """Ping the check of the target's first job with `/log`, which leaves its state as it is."""
    wanted = [
        (job_id, name)
        for job_id, name in jobs.items()
        if not target.jobs or job_id in target.jobs or name.strip() in target.jobs
    ]
    if not wanted:
        return None
    url = target.check_url(*wanted[0], "/log")
    return ping(target, url, _TEST.body, timeout_s=REQUEST_TIMEOUT_S)
