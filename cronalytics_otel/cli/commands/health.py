"""`health`: what is wrong now, one line each, with an exit status for other programs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...insight.findings import Finding
    from ...journal import Journal
    from ..context import Context

NAME: Final = "health"
SUMMARY: Final = "what is wrong now, one line each; the exit status is 1 if anything is"
EXAMPLES: Final = """\
examples:
  %(prog)s                     for a person, or a check of Nagios
  %(prog)s --since-last        only what is new since the last such call: for cron, which mails it
  %(prog)s && curl -fsS https://hc-ping.com/UUID
                                 a ping to Healthchecks while all is well"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since-last",
        action="store_true",
        help="only what was not there at the last call with this option",
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.findings import new_findings
    from ...insight.health import read_health
    from ...journal.facts import LAST_SYNC_NS
    from .. import formats
    from ..shapes import finding_shape
    from ..views.health import findings as lines

    context.require_home()
    settings = context.settings()
    with context.journal() as journal:
        everything = read_health(journal, context.health_input(settings))
        shown = new_findings(journal, everything) if args.since_last else list(everything)
        if context.as_json:
            context.terminal.json(
                {
                    "healthy": not everything,
                    "since_last": args.since_last,
                    "last_sync_at": formats.iso(journal.facts.get(LAST_SYNC_NS)),
                    "findings": [finding_shape(finding) for finding in shown],
                }
            )
        elif shown:
            context.terminal.data(*lines(shown, context.now_ns))
        elif not args.since_last:  # cron would mail this line
            context.terminal.data("Nothing is wrong.")
        if args.since_last:  # at the end: what could not be printed is new once more
            _remember(context, journal, everything)
    return ExitStatus.FAILED if shown else ExitStatus.OK


def _remember(context: Context, journal: Journal, everything: Sequence[Finding]) -> None:
    from ...insight.findings import remember_findings
    from ...journal import JournalError

    try:
        remember_findings(journal, everything)
    except JournalError as error:
        if not error.unwritable:
            raise
        context.terminal.warn(
            "this user may not write to the journal, so the next call with --since-last shows the same"
        )
