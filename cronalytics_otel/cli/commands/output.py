"""`output RUN`: what a run answered, from Hermes's file, while it is there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from .. import arguments
from ..errors import CommandError, ExitStatus
from ..scope import add_profiles, contexts_of, opened
from . import trace

if TYPE_CHECKING:
    from pathlib import Path

    from ...model import Run
    from ..context import Context

NAME: Final = "output"
SUMMARY: Final = "what a run answered, from Hermes's file, while it is there"
EXAMPLES: Final = """\
examples:
  %(prog)s latest
  %(prog)s 'nightly digest'    the latest run of a job
  %(prog)s 3f9a61c0 --whole    the file as it is, with the prompt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference", metavar="RUN", type=arguments.some_text, help="a run, as `trace` takes it"
    )
    parser.add_argument(
        "--whole", action="store_true", help="the file as it is, with its facts and its prompt"
    )
    add_profiles(parser.add_argument_group("which runs"))


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...host.outputs import answer_of
    from ..shapes import trace_id

    with opened(contexts_of(args, context)) as scope:
        there, _, found = trace.find(scope, args.reference)
        path = _path(there, found)
    text = path.read_text(encoding="utf-8", errors="replace")
    shown = text if args.whole else answer_of(text)
    if context.as_json:
        context.terminal.json(
            {
                "run_id": found.run_id,
                "trace_id": trace_id(found),
                "job_id": found.job_id,
                "path": str(path),
                "text": shown,
            }
        )
    else:
        context.terminal.data(*(line.expandtabs(4) for line in shown.splitlines()))
    return ExitStatus.OK


def _path(context: Context, run: Run) -> Path:
    """Return the file of a run. Raises `CommandError` if there is none."""
    from ...host.outputs import Outputs
    from ...host.zone import home_zone
    from ...model.times import NS

    zone = home_zone(context.settings().timezone, context.now_ns)
    outputs = Outputs(context.home.outputs, zone.info)
    slack_ns = 0 if run.execution_id is not None else SAVED_AFTER_SESSION_S * NS
    path = outputs.path_of_run(run.job_id, run.started_ns, run.ended_ns, slack_ns=slack_ns)
    if path is None:
        raise CommandError(
            f"There is no output file of run {run.run_id}.",
            "Hermes keeps the newest 50 of each job; a run that was killed or missed has none.",
        )
    return path


SAVED_AFTER_SESSION_S: Final = 60
"""Without a ledger, a run's file is saved up to so long after the end of its session."""
