"""`health`: what is wrong now, one line each, with an exit status for other programs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus
from ..scope import add_scope, contexts_of, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...insight.findings import FoundIn
    from ..context import Context
    from ..scope import Scope

NAME: Final = "health"
SUMMARY: Final = "what is wrong now, one line each; the exit status is 1 if anything is"
EXAMPLES: Final = """\
examples:
  %(prog)s                     for a person, or a check of Nagios
  %(prog)s --since-last        only what is new since the last such call: for cron, which mails it
  %(prog)s --job 'nightly digest'
                                 only what concerns this job
  %(prog)s && curl -fsS https://hc-ping.com/UUID
                                 a ping to Healthchecks while all is well"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scope(parser)
    parser.add_argument(
        "--since-last",
        action="store_true",
        help="only what was not there at the last call with this option",
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.findings import concerns, new_findings
    from ...journal.facts import LAST_SYNC_NS
    from .. import formats
    from ..shapes import finding_shape
    from ..views.health import findings as lines

    contexts = contexts_of(args, context)
    for there in contexts:
        there.require_home()
    with opened(contexts) as scope:
        job_ids = scope.job_ids(args.job)
        everything = scope.findings()
        found = [pair for pair in everything if concerns(pair[1], job_ids)]
        shown = new_findings(scope.profiles, found) if args.since_last else found
        if context.as_json:
            synced_ns = [journal.facts.get(LAST_SYNC_NS) for _, journal in scope.profiles]
            oldest_ns = None if None in synced_ns else min(ns for ns in synced_ns if ns is not None)
            context.terminal.json(
                {
                    "healthy": not found and scope.is_whole,
                    "since_last": args.since_last,
                    "last_sync_at": formats.iso(oldest_ns),
                    "findings": [finding_shape(*pair) for pair in shown],
                }
            )
        elif shown:
            context.terminal.data(
                *lines(shown, context.now_ns, with_profile=scope.several_profiles)
            )
        elif scope.is_whole and not args.since_last:  # cron would mail this line
            context.terminal.data("Nothing is wrong.")
        if args.since_last:  # at the end: what could not be printed is new once more
            _remember(context, scope, everything, found)
    return ExitStatus.FAILED if shown else ExitStatus.OK


def _remember(
    context: Context,
    scope: Scope,
    everything: Sequence[FoundIn],
    shown: Sequence[FoundIn],
) -> None:
    from ...insight.findings import remember_findings
    from ...journal import JournalError

    for profile in scope.profiles:
        try:
            remember_findings(profile, everything, shown)
        except JournalError as error:
            if not error.unwritable:
                raise
            context.terminal.warn(
                "this user may not write to the journal, so the next call with --since-last shows the same"
            )
