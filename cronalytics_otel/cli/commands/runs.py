"""`runs`: a table of runs, newest first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import CommandError, ExitStatus
from ..filters import RUNNING, add_filters, add_rows, asking

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ...config import ExplorerName, Settings
    from ...insight.now import GoingOn
    from ...model import Run
    from ..context import Context
    from ..filters import Question
    from ..shapes import Shape

NAME: Final = "runs"
SUMMARY: Final = "a table of runs, newest first"
EXAMPLES: Final = """\
examples:
  %(prog)s --job 'nightly digest' --days 30
  %(prog)s --outcome failed,skipped --limit 0
  %(prog)s --outcome running   what runs or hangs now
  %(prog)s --json | jq '.runs[] | select(.cost_usd > 1)'"""

DEFAULT_LIMIT: Final = 20

ORDERS: Final = ("ended", "cost", "duration", "tokens", "lateness")
"""The values of `journal.queries.RunOrder`, which loads too much for `--help`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filters(parser, days=None, running=True)
    add_rows(parser, limit=DEFAULT_LIMIT, sort=ORDERS)


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.runs import count_runs
    from ..figure_shapes import flat, run_figures_shape, window_shape
    from ..links import trace_urls
    from ..rows import how_many
    from ..shapes import record_shape, run_shape
    from ..views import runs as view
    from ..views.figures import window_note

    names: list[str] = args.outcome or []
    if RUNNING in names:
        _refuse_what_only_ended_runs_have(args, names)
    with asking(args, context) as question:
        going_on = _running(question) if RUNNING in names else None
        running = None if going_on is None else going_on[: args.limit or None]
        if going_on is not None and set(names) == {RUNNING}:
            return _only_running(args, context, going_on, with_profile=question.several_profiles)
        counted = count_runs(question.profiles, question.in_window)
        shown = min(counted.kept, args.limit) if args.limit else counted.kept
        runs = _runs(args, question)
        if context.as_json:
            head: Shape = {
                "window": window_shape(question.window),
                "matched": counted.rows,
                "shown": shown,
                "totals": run_figures_shape(counted.figures),
            }
            if running is not None:
                head["running"] = [record_shape(each) for each in running]
            settings = _settings(question)
            shapes = (
                {**run_shape(found), "links": trace_urls(settings[profile], found)}
                for profile, found in runs
            )
            context.terminal.json_with_list(head, "runs", shapes)
        elif args.csv:
            context.terminal.csv(_csv_rows(flat(run_shape(found)) for _, found in runs))
        else:
            if running:
                table = view.running(
                    running, context.terminal.width, with_profile=question.several_profiles
                )
                hint = how_many(len(running), len(going_on or ()), "running run")
                context.terminal.data(*table, *hint, "")
            if counted.rows:
                terminal, settings = context.terminal, _settings(question)
                ended = view.Table(
                    terminal.width,
                    styled=terminal.styled,
                    with_profile=question.several_profiles,
                    url_of=(
                        (lambda profile, found: _first(trace_urls(settings[profile], found)))
                        if terminal.clickable
                        else None
                    ),
                )
                terminal.stream(ended.lines(_with_ids(question, runs, shown)))
                terminal.data("", *view.how_many_runs(shown, counted))
                terminal.data(*window_note(question.window))
                terminal.data(*view.summary(counted, has_inferred=ended.has_inferred))
                explorers = [
                    each.explorer for there in settings.values() for each in there.links or ()
                ]
                terminal.data(*view.links(explorers, clickable=terminal.clickable))
            elif not running:
                totals = [journal.queries.totals() for _, journal in question.profiles]
                context.terminal.note(view.nothing(totals))
    return ExitStatus.OK


def _settings(question: Question) -> dict[str, Settings]:
    """Return the settings of each profile: they name the trace explorers."""
    return {name: question.contexts[name].settings() for name, _ in question.profiles}


def _first(urls: Mapping[ExplorerName, str]) -> str | None:
    return next(iter(urls.values()), None)


def _runs(args: argparse.Namespace, question: Question) -> Iterator[tuple[str, Run]]:
    """Return the runs that match with their profiles, in the order that was asked for."""
    from dataclasses import replace

    from ...insight.runs import in_order
    from ...journal.queries import RunOrder

    wanted = replace(question.in_window, limit=args.limit or None)
    return in_order(question.profiles, wanted, RunOrder(args.sort))


def _with_ids(
    question: Question, runs: Iterator[tuple[str, Run]], shown: int
) -> Iterator[tuple[str, str, Run]]:
    """Return the runs with the ids that are shown: short ones, unless there are so many that it takes long."""
    from ...insight.runs import short_id

    journals = dict(question.profiles)
    for profile, found in runs:
        is_short = shown <= MOST_SHORT_IDS
        yield profile, short_id(journals[profile], found) if is_short else found.run_id, found


MOST_SHORT_IDS: Final = 1_000


def _csv_rows(shapes: Iterator[Shape]) -> Iterator[list[object]]:
    for number, shape in enumerate(shapes):
        if not number:
            yield [*shape]
        yield [*shape.values()]


def _running(question: Question) -> list[GoingOn]:
    """Return the runs that have not ended, by the ledger of each home: the oldest first."""
    from ...insight.now import Now

    wanted = question.wanted
    jobs = {
        (job.profile, job.job_id)
        for job in question.jobs
        if job.latest is not None
        and wanted.mode in (None, job.latest.mode)
        and (wanted.skills is None or not wanted.skills.isdisjoint(job.latest.skills))
    }
    any_job = wanted.mode is None and wanted.skills is None
    found = [
        each
        for profile in question.profiles
        for each in Now()
        .look(
            profile,
            question.contexts[profile.name].running(),
            question.now_ns,
            job_ids=wanted.jobs,
        )
        .running
        if any_job or (each.profile, each.job_id) in jobs
    ]
    return sorted(found, key=lambda each: each.started_ns)


def _refuse_what_only_ended_runs_have(args: argparse.Namespace, names: Collection[str]) -> None:
    """Raise `CommandError` for an option that asks for something which is known only when a run has ended.

    Beside other outcomes, the options of time choose the runs that have ended.
    """
    asked = {"--model": args.models, "--trigger": args.trigger}
    if set(names) == {RUNNING}:
        asked |= {"--days": args.days, "--since": args.since, "--until": args.until}
    for option, value in asked.items():
        if value is not None:
            raise CommandError(
                f"{option} cannot be combined with --outcome {RUNNING}:"
                " what it asks for is known only of runs that have ended.",
                "Of running runs, --job, --mode, --skill and --limit can be chosen.",
                status=ExitStatus.USAGE,
            )


def _only_running(
    args: argparse.Namespace, context: Context, going_on: list[GoingOn], *, with_profile: bool
) -> ExitStatus:
    from ..rows import how_many
    from ..shapes import record_shape
    from ..views import runs as view

    running = going_on[: args.limit or None]
    shapes = [record_shape(each) for each in running]
    if context.as_json:
        context.terminal.json({"matched": len(going_on), "shown": len(running), "running": shapes})
    elif args.csv:
        context.terminal.csv(_csv_rows(iter(shapes)))
    elif running:
        context.terminal.data(
            *view.running(running, context.terminal.width, with_profile=with_profile)
        )
        if hint := how_many(len(running), len(going_on), "run"):
            context.terminal.data("", *hint)
    else:
        context.terminal.note("No run is going on, as far as the ledger of Hermes shows.")
    return ExitStatus.OK
