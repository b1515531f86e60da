"""`status`: what is known, from which files, and the status of each destination."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ...about import __version__
from ...model.times import NS
from ..errors import ExitStatus
from ..scope import add_scope, contexts_of, opened

if TYPE_CHECKING:
    from pathlib import Path

    from ...insight.overview import DestinationOverview
    from ...journal import Journal
    from ...journal.metric_destinations import MetricDestination
    from ...journal.notices import NoticeTargetStatus
    from ..context import Context
    from ..shapes import Shape
    from ..views.status import Status

NAME: Final = "status"
SUMMARY: Final = "what is known, and where each destination stands"
EXAMPLES: Final = """\
examples:
  %(prog)s
  %(prog)s --all-profiles      one home after the other
  %(prog)s --json | jq .healthy"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scope(parser)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ..views.status import lines

    contexts = contexts_of(args, context)
    for there in contexts:
        there.require_home()
    with opened(contexts) as scope:
        job_ids = scope.job_ids(args.job)
        found = [
            _status(scope.contexts[profile], journal, job_ids)
            for profile, journal in scope.profiles
        ]
    if context.as_json:
        shapes = [to_json(status) for status in found]
        several = args.all_profiles or len(contexts) > 1
        healthy = scope.is_whole and all(shape["healthy"] for shape in shapes)
        context.terminal.json({"healthy": healthy, "profiles": shapes} if several else shapes[0])
    else:
        for number, status in enumerate(found):
            context.terminal.data(*([""] if number else []), *lines(status))
    return ExitStatus.FAILED if any(status.findings for status in found) else ExitStatus.OK


def _status(context: Context, journal: Journal, job_ids: frozenset[str] | None) -> Status:
    """Return the status of one home. With `job_ids` it says nothing of other jobs."""
    from ...insight.findings import is_of_other_job
    from ...insight.overview import read_overview
    from ..views.status import Status

    return Status(
        home=context.home,
        now_ns=context.now_ns,
        settings=context.settings(),
        overview=read_overview(journal, now_ns=context.now_ns, job_ids=job_ids),
        findings=[f for f in context.findings(journal) if not is_of_other_job(f, job_ids)],
        journal_size_bytes=_size_bytes(context.home.journal),
    )


def _size_bytes(journal: Path) -> int:
    files = (journal, journal.with_name(f"{journal.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def to_json(status: Status) -> Shape:
    from ..formats import iso
    from ..shapes import finding_shape, record_shape

    overview = status.overview
    return {
        "healthy": not status.findings,
        "findings": [finding_shape(status.home.profile, finding) for finding in status.findings],
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
        "fault": metrics.fault,
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
        "fault": status.fault,
        "next_attempt_at": iso(status.next_try_ns),
        "asked_to_wait": status.asked_to_wait,
    }
