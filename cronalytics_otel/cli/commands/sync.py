"""`sync`: read what is new, send what is pending, and report the result."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from .. import arguments
from ..errors import ExitStatus

if TYPE_CHECKING:
    from ...sync import DestinationReport, SyncReport
    from ..context import Context
    from ..shapes import Shape

NAME: Final = "sync"
SUMMARY: Final = "read what is new and send what is pending"
EXAMPLES: Final = """\
examples:
  %(prog)s --dry-run           what is new, and what is still to be sent
  %(prog)s --since 7d          send only runs that ended within the last week
  %(prog)s --retry-refused     send again what a destination had refused for good
  %(prog)s --full              read all of the host's history once more"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=arguments.since,
        help="send only runs that ended since then: 7d, 24h, 2026-01-31, or ISO 8601;"
        " the others stay pending",
    )
    parser.add_argument(
        "--full", action="store_true", help="read everything of the host again, add what is missing"
    )
    parser.add_argument(
        "--retry-refused", action="store_true", help="send again what was refused for good"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tell what would be done; write and send nothing"
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...sync import SyncOptions, sync
    from ..sources import no_destination
    from ..views.progress import show_progress
    from ..views.sync import lines

    context.require_home()
    settings = context.settings()
    options = SyncOptions(
        full=args.full,
        retry_refused=args.retry_refused,
        dry_run=args.dry_run,
        since_ns=args.since,
        eager=True,
    )
    with show_progress(context.terminal, context.home) as progress:
        report = sync(context.home, settings, options, progress=progress)
    if context.as_json:
        context.terminal.json(to_json(report, dry_run=args.dry_run))
    else:
        context.terminal.data(*lines(report, context.now_ns, dry_run=args.dry_run))
        if settings.disabled:
            context.terminal.note("OTEL_SDK_DISABLED is true: nothing was sent.")
        elif not report.destinations:
            context.terminal.note(f"There is {no_destination(settings)}.")
    for problem in report.problems:
        context.terminal.warn(problem)
    return ExitStatus.OK if _is_well(report) else ExitStatus.FAILED


def _is_well(report: SyncReport) -> bool:
    """Whether all went well. A destination whose server asked us to wait is not well either."""
    places = (*report.destinations, *report.notices)
    waits = any(place.pending and place.next_try_ns is not None for place in places)
    return report.healthy and not waits


def to_json(report: SyncReport, *, dry_run: bool) -> Shape:
    from .. import formats
    from ..shapes import record_shape

    return {
        "dry_run": dry_run,
        "new_runs": report.new_runs,
        "open_runs": report.open_runs,
        "problems": list(report.problems),
        "repair": None if report.repair is None else record_shape(report.repair),
        "destinations": [_place_json(destination) for destination in report.destinations],
        "metrics": [
            record_shape(metrics, without="next_try_ns")
            | {"next_attempt_at": formats.iso(metrics.next_try_ns)}
            for metrics in report.metrics
        ],
        "notices": [_place_json(target) for target in report.notices],
    }


def _place_json(report: DestinationReport) -> Shape:
    from .. import formats

    return {
        "name": report.name,
        "endpoint": report.endpoint,
        "sent": report.sent,
        "pending": report.pending,
        "refused": report.refused,
        "given_up": report.given_up,
        "error": report.error,
        "next_attempt_at": formats.iso(report.next_try_ns),
    }
