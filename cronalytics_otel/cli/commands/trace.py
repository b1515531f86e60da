"""`trace RUN`: everything that is known of one run, and its steps as a waterfall."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from .. import arguments
from ..errors import CommandError, ExitStatus, command
from ..scope import add_profiles, contexts_of, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...journal import Journal
    from ...model import Run, Span
    from ..context import Context
    from ..scope import Scope
    from ..shapes import Shape

NAME: Final = "trace"
SUMMARY: Final = "one run as a waterfall of its steps"
EXAMPLES: Final = """\
examples:
  %(prog)s latest
  %(prog)s 3f9a61c0            a run, by the beginning of its id (first column of `runs`)
  %(prog)s 'nightly digest'    the latest run of a job"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference",
        metavar="RUN",
        type=arguments.some_text,
        help="an execution or session id or the beginning of one, a job's name or id or a part of one"
        " (its latest run), a trace id, or `latest`",
    )
    add_profiles(parser.add_argument_group("which runs"))


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...export.traces import preview_trace
    from ...insight.runs import neighbours
    from ..views import trace as view

    with opened(contexts_of(args, context)) as scope:
        there, journal, found = find(scope, args.reference)
        spans = preview_trace(there.home, there.settings(), journal, found)
        if context.as_json:
            context.terminal.json(to_json(found, spans))
            return ExitStatus.OK
        facts = view.facts(journal, found, spans[0], neighbours(journal, found))
    context.terminal.data(*view.lines(found, facts, spans, context.terminal.width))
    return ExitStatus.OK


def find(scope: Scope, reference: str) -> tuple[Context, Journal, Run]:
    """Return the run that is meant, with the home and the journal that it is in: of several profiles the
    newest one. Raises `CommandError` if there is none, or more than one in a profile."""
    found, faults = [], []
    for profile, journal in scope.profiles:
        there = scope.contexts[profile]
        try:
            found.append((there, journal, _find(there, journal, reference)))
        except CommandError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    return max(found, key=lambda each: each[2].ended_ns)


def _find(context: Context, journal: Journal, reference: str) -> Run:
    from ...insight.known_jobs import AmbiguousJobError, UnknownJobError, find_job, known_jobs
    from ...insight.profiles import Profile
    from ...insight.runs import LATEST, AmbiguousRunError, NoRunError, find_run
    from ..scope import job_fault
    from ..views.trace import candidate_lines

    try:
        return find_run(journal, reference)
    except AmbiguousRunError as error:
        raise CommandError(
            f"{reference!r} is the beginning of more than one run:",
            "\n".join(candidate_lines(error)),
        ) from error
    except NoRunError as error:
        if reference == LATEST:
            raise CommandError("No run is known yet.", f"Run `{command('sync')}`.") from error
    of_trace = _of_trace(journal, reference)
    if of_trace is not None:
        return of_trace
    similar = ""
    try:
        job = find_job(known_jobs([Profile(context.home.profile, journal)]), reference)
        found = journal.queries.latest_of(job.job_id)
        if found is not None:
            return found
    except AmbiguousJobError as error:
        raise job_fault(error) from error
    except UnknownJobError as error:
        if error.suggestions:
            similar = f"Did you mean {' or '.join(map(repr, error.suggestions))}?\n"
    raise CommandError(
        f"No run and no job is called {reference!r}.",
        f"{similar}Run `{command('runs')}` for those that are known, `{command('sync')}` for new ones.",
    )


_TRACE_ID_DIGITS: Final = 32


def _of_trace(journal: Journal, reference: str) -> Run | None:
    """Return the run with this trace id. The id is derived from the run's key, so each key is tried."""
    from ...telemetry.ids import trace_id

    try:
        wanted = int(reference, 16) if len(reference) == _TRACE_ID_DIGITS else None
    except ValueError:
        wanted = None
    if wanted is None:
        return None
    for key in journal.queries.run_keys():
        if trace_id(*key) == wanted:
            return journal.queries.of_key(key)
    return None


def to_json(run: Run, spans: Sequence[Span]) -> Shape:
    from ..shapes import run_shape, span_shape

    return {"run": run_shape(run), "spans": [span_shape(span) for span in spans]}
