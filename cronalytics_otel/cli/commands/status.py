"""`status`: what is known, from which files, and the status of each destination."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ...about import __version__
from ...model.times import NS
from ..errors import ExitStatus

if TYPE_CHECKING:
    from pathlib import Path

    from ...insight.overview import DestinationOverview
    from ...journal.metric_destinations import MetricDestination
    from ...journal.notices import NoticeTargetStatus
    from ..context import Context
    from ..shapes import Shape
    from ..views.status import Status

NAME: Final = "status"
SUMMARY: Final = "what is known, and where each destination stands"
EXAMPLES: Final = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`status` has no options of its own."""


def run(_args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.health import read_health
    from ...insight.overview import read_overview
    from ..views.status import Status, lines

    context.require_home()
    settings = context.settings()
    with context.journal() as journal:
        overview = read_overview(journal, now_ns=context.now_ns)
        findings = read_health(journal, context.health_input(settings))
    status = Status(
        home=context.home,
        now_ns=context.now_ns,
        settings=settings,
        overview=overview,
        findings=findings,
        journal_size_bytes=_size_bytes(context.home.journal),
    )
    if context.as_json:
        context.terminal.json(to_json(status))
    else:
        context.terminal.data(*lines(status))
    return ExitStatus.FAILED if findings else ExitStatus.OK


def _size_bytes(journal: Path) -> int:
    files = (journal, journal.with_name(f"{journal.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def to_json(status: Status) -> Shape:
    from ..formats import iso
    from ..shapes import finding_shape, record_shape

    overview = status.overview
    return {
        "healthy": not status.findings,
        "findings": [finding_shape(finding) for finding in status.findings],
        "home": str(status.home.path),
        "profile": status.home.profile,
        "hermes_version": overview.hermes_version,
        "version": __version__,
        "sources": [record_shape(source) for source in overview.sources],
        "journal": {
            "path": str(status.home.journal),
            "size_bytes": status.journal_size_bytes,
            "runs": overview.totals.runs,
            "open_runs": overview.open_runs,
            "lost_rows": overview.lost_rows,
            "complete_since": None
            if overview.complete_since is None
            else overview.complete_since.isoformat(),
            "passed_over": overview.passed_over,
            "lost_details": overview.lost_observations,
            "oldest_ended_at": iso(overview.totals.oldest_ns),
            "newest_ended_at": iso(overview.totals.newest_ns),
            "last_sync_at": iso(overview.last_sync_ns),
            "problems": list(overview.problems),
        },
        "destinations": [
            _destination_json(destination, status.now_ns) for destination in overview.destinations
        ],
        "metrics": [_metrics_json(metrics) for metrics in overview.metrics],
        "notices": [_target_json(target) for target in overview.notices],
        "overdue": [record_shape(overdue.job) for overdue in overview.overdue],
        "disabled": status.settings.disabled,
        "content": status.settings.content,
        "content_jobs": status.settings.content_jobs,
        "config_problems": list(status.settings.problems),
    }


def _metrics_json(metrics: MetricDestination) -> Shape:
    from ..formats import iso

    return {
        "name": metrics.name,
        "endpoint": metrics.endpoint,
        "temporality": metrics.temporality.value,
        "served": not metrics.not_served,
        "delivered_points": metrics.delivered_points,
        "last_receipt_at": iso(metrics.last_receipt_ns),
        "pending_points": metrics.request_points if metrics.request_waits else 0,
        "refused_points": metrics.refused_points,
        "refused_reason": metrics.refused_reason,
        "failures": metrics.failures,
        "failing_since": iso(metrics.failing_since_ns),
        "last_error": metrics.last_error,
        "next_attempt_at": iso(metrics.next_try_ns),
    }


def _target_json(target: NoticeTargetStatus) -> Shape:
    from ..formats import iso

    return {
        "name": target.name,
        "address": target.address,
        "active": target.active,
        "delivered": target.delivered,
        "last_receipt_at": iso(target.last_receipt_ns),
        "pending": target.pending,
        "oldest_pending_at": iso(target.oldest_pending_ns),
        "refused": target.refused,
        "given_up": target.given_up,
        "found_late": target.found_late,
        "failures": target.failures,
        "failing_since": iso(target.failing_since_ns),
        "last_error": target.last_error,
        "next_attempt_at": iso(target.next_try_ns),
    }


def _destination_json(destination: DestinationOverview, now_ns: int) -> Shape:
    from ..formats import iso
    from ..shapes import record_shape

    status = destination.status
    oldest_ns = status.oldest_pending_ns
    return {
        "name": status.name,
        "endpoint": status.endpoint,
        "active": status.active,
        "delivered": status.delivered,
        "last_receipt_at": iso(status.last_receipt_ns),
        "pending": status.pending,
        "oldest_pending_ended_at": iso(oldest_ns),
        "oldest_pending_age_s": None if oldest_ns is None else (now_ns - oldest_ns) / NS,
        "refused": status.refused,
        "refusals": [record_shape(refusal) for refusal in destination.refusals],
        "given_up": status.given_up,
        "failures": status.failures,
        "failing_since": iso(status.failing_since_ns),
        "last_error": status.last_error,
        "next_attempt_at": iso(status.next_try_ns),
        "asked_to_wait": status.asked_to_wait,
    }
