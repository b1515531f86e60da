"""`trace RUN`: everything that is known of one run, and its steps as a waterfall."""

from __future__ import annotations

import argparse
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from .. import arguments
from ..errors import CommandError, ExitStatus, command
from ..scope import add_profiles, contexts_of, opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...config import ExplorerName
    from ...insight.runs import AmbiguousRunError
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
        help="an execution, session or trace id or the beginning of one, a job's name or id or a part of"
        " one (its latest run), or `latest`",
    )
    add_profiles(parser.add_argument_group("which runs"))


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...export.traces import preview_trace
    from ...insight.runs import neighbours
    from ..links import trace_urls
    from ..views import trace as view

    with opened(contexts_of(args, context)) as scope:
        there, journal, found = find(scope, args.reference)
        settings = there.settings()
        spans = preview_trace(there.home, settings, journal, found)
        urls = trace_urls(settings, found)
        if context.as_json:
            context.terminal.json(to_json(found, urls, spans))
            return ExitStatus.OK
        facts = view.facts(journal, found, spans[0], neighbours(journal, found))
    terminal = context.terminal
    head = [*view.header(found, facts), *view.links(urls, clickable=terminal.clickable)]
    terminal.data(*head, *view.waterfall(spans, terminal.width))
    return ExitStatus.OK


def find(scope: Scope, reference: str) -> tuple[Context, Journal, Run]:
    """Return the run that is meant, with the home and the journal that it is in. If several profiles
    have one, it is the newest. Raises `CommandError` if there is none, or more than one in a profile."""
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

    try:
        return find_run(journal, reference)
    except AmbiguousRunError as error:
        raise _ambiguous(reference, error) from error
    except NoRunError as error:
        if reference == LATEST:
            raise CommandError("No run is known yet.", f"Run `{command('sync')}`.") from error
    similar = ""
    try:
        job = find_job(known_jobs([Profile(context.home.profile, journal)]), reference)
        found = journal.queries.latest_of(job.job_id)
        if found is not None:
            return found
    except AmbiguousJobError as error:
        raise job_fault(error) from error
    except UnknownJobError as error:
        of_trace = _of_trace(journal, reference, context.now_ns)
        if len(of_trace) == 1:
            return of_trace[0]
        if of_trace:
            raise _ambiguous(reference, AmbiguousRunError(of_trace)) from error
        if error.suggestions:
            similar = f"Did you mean {' or '.join(map(repr, error.suggestions))}?\n"
    raise CommandError(
        f"No run and no job is called {reference!r}.",
        f"{similar}Run `{command('runs')}` for those that are known, `{command('sync')}` for new ones.",
    )


def _ambiguous(reference: str, error: AmbiguousRunError) -> CommandError:
    from ..views.trace import candidate_lines

    return CommandError(
        f"{reference!r} is the beginning of more than one run:", "\n".join(candidate_lines(error))
    )


_TRACE_ID: Final = re.compile(r"[0-9a-f]{7,32}")
"""A trace id, or enough of its beginning: backends show the first seven digits."""
_TRACE_ID_DIGITS: Final = 32
_PREFIX_NS: Final = 90 * 86_400 * 10**9
"""The beginning of a trace id finds a run that ended in this time."""


def _of_trace(journal: Journal, reference: str, now_ns: int) -> list[Run]:
    """Return the newest runs whose trace ids begin with the reference.

    A trace id is derived from the key of its run, so that of each run is computed: of all runs for a whole
    id, and of those of the last 90 days for its beginning.
    """
    from ...journal.queries import MAX_FOUND
    from ...telemetry.ids import trace_id

    wanted = reference.strip().lower()
    if not _TRACE_ID.fullmatch(wanted):
        return []
    since_ns = 0 if len(wanted) == _TRACE_ID_DIGITS else now_ns - _PREFIX_NS
    keys = (
        key
        for key in journal.queries.run_keys(since_ns)
        if f"{trace_id(*key):0{_TRACE_ID_DIGITS}x}".startswith(wanted)
    )
    runs = (journal.queries.of_key(key) for key in islice(keys, MAX_FOUND))
    return [run for run in runs if run is not None]


def to_json(run: Run, urls: Mapping[ExplorerName, str], spans: Sequence[Span]) -> Shape:
    from ..shapes import run_shape, span_shape

    return {
        "run": {**run_shape(run), "links": urls},
        "spans": [span_shape(span) for span in spans],
    }
