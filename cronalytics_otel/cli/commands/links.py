"""`links [JOB|RUN]`: where Jaeger, Grafana, Honeycomb and Datadog show a run, or the runs of a job."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NamedTuple

from .. import arguments
from ..errors import CommandError, ExitStatus
from ..scope import add_profiles, contexts_of, one_job, opened
from . import trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...config import ExplorerAddress, Settings
    from ...insight.known_jobs import KnownJob
    from ...insight.profiles import Profile
    from ...model import Run
    from ..context import Context
    from ..links import Link, Subject
    from ..scope import Scope

NAME: Final = "links"
SUMMARY: Final = "links into Jaeger, Grafana, Honeycomb and Datadog, for a run or the runs of a job"
EXAMPLES: Final = """\
examples:
  %(prog)s                     the runs of all jobs
  %(prog)s 'nightly digest'    those of one job: failed, slowest, most expensive
  %(prog)s latest              the trace of the newest run
  %(prog)s 3f9a61c0 --json | jq -r '.links[].url'"""

DEFAULT_DAYS: Final = 7
"""Tempo searches no longer time unless somebody raises its limit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference",
        metavar="JOB|RUN",
        nargs="?",
        type=arguments.some_text,
        help="a job's name or id or a part of one, or a run as `trace` takes it (default: all jobs)",
    )
    parser.add_argument(
        "--days",
        metavar="N",
        type=arguments.whole_days,
        default=DEFAULT_DAYS,
        help="how many days the searches look back (default: %(default)s)",
    )
    add_profiles(parser.add_argument_group("which jobs"))


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ..shapes import record_shape
    from ..views import links as view

    with opened(contexts_of(args, context)) as scope:
        links = list(_links(args, scope))
    if context.as_json:
        context.terminal.json({"days": args.days, "links": [record_shape(link) for link in links]})
        return ExitStatus.OK
    context.terminal.data(*view.lines(links, args.days, clickable=context.terminal.clickable))
    all_settings = [there.settings() for there in scope.contexts.values()]
    if any(settings.links is None for settings in all_settings):
        context.terminal.note()
        context.terminal.note(view.NO_LINKS)
    for settings in all_settings:
        for problem in settings.problems:
            context.terminal.warn(problem)
    return ExitStatus.OK


def _links(args: argparse.Namespace, scope: Scope) -> Iterator[Link]:
    from ..links import links_of_jobs, links_of_run

    found = None if args.reference is None else _meant(scope, args.reference)
    if isinstance(found, RunFound):
        yield from links_of_run(_addresses(found.context.settings()), found.run)
        return
    subjects = [_one(scope, found)] if found is not None else map(_all_jobs, scope.profiles)
    for subject in subjects:
        there = scope.contexts[subject.profile.name]
        settings = there.settings()
        yield from links_of_jobs(
            _addresses(settings),
            subject,
            service_name=settings.service_name,
            days=args.days,
            now_ns=there.now_ns,
            options=_profile_options(args, subject),
        )


class RunFound(NamedTuple):
    context: Context
    run: Run


def _meant(scope: Scope, reference: str) -> RunFound | KnownJob:
    """Return the run or the job that is meant. A part of a job's name means the job, and `latest` a run.

    Raises `CommandError` as `trace` does.
    """
    from ...insight.known_jobs import known_jobs
    from ...insight.runs import LATEST
    from ..shapes import trace_id

    jobs = known_jobs(scope.profiles)
    try:
        there, _, run = trace.find(scope, reference)
    except CommandError as no_run:
        try:
            return one_job(jobs, reference)  # a job that has not run yet
        except CommandError:
            raise no_run from None
    ids = (run.execution_id, run.session_id, trace_id(run))
    wanted = reference.strip().lower()
    if reference == LATEST or any(each and each.startswith(wanted) for each in ids):
        return RunFound(there, run)
    return one_job(jobs, reference)


def _one(scope: Scope, job: KnownJob) -> Subject:
    from ..links import Subject

    (profile,) = (each for each in scope.profiles if each.name == job.profile)
    definitions = [definition for _, definition in job.definitions]
    if job.current is not None:
        definitions.append(job.current)
    return Subject(
        profile=profile,
        job_id=job.job_id,
        job_name=job.name,
        skills=sorted({skill for each in definitions for skill in each.skills}),
    )


def _all_jobs(profile: Profile) -> Subject:
    """Return all jobs of a profile, with the skills that they have now."""
    from ...insight.known_jobs import known_jobs
    from ..links import Subject

    current = [job.current for job in known_jobs([profile]) if job.current is not None]
    return Subject(
        profile=profile,
        job_id=None,
        job_name=None,
        skills=sorted({skill for job in current for skill in job.skills}),
    )


def _addresses(settings: Settings) -> Sequence[ExplorerAddress]:
    """Return the explorers of the settings; without any, those of this machine."""
    from ...config import LOCAL_ADDRESSES

    return LOCAL_ADDRESSES if settings.links is None else settings.links


def _profile_options(args: argparse.Namespace, subject: Subject) -> list[str]:
    """Return the options with which another command is about the same profile."""
    is_chosen = args.all_profiles or args.profiles
    return ["--profile", subject.profile.name] if is_chosen else []
