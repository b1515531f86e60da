"""The options that choose which homes and which jobs a command is about."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import arguments
from .errors import CommandError, ExitStatus, command

if TYPE_CHECKING:
    from ..host.home import Home
    from ..insight.findings import FoundIn
    from ..insight.known_jobs import KnownJob
    from ..insight.profiles import Profile
    from .context import Context


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that is about now, and not about runs of some time."""
    group = parser.add_argument_group("which jobs")
    add_job(group)
    add_profiles(group)


def add_job(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--job",
        metavar="JOB",
        action="append",
        type=arguments.some_text,
        help="of this job: its name, its id, or a part of one; may be given more than once",
    )


def add_profiles(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--profile",
        metavar="NAME",
        action="append",
        dest="profiles",
        type=arguments.some_text,
        help="of this profile of Hermes; may be given more than once",
    )
    group.add_argument("--all-profiles", action="store_true", help="of every profile of Hermes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The homes that a command is about."""

    profiles: Sequence[Profile]
    contexts: dict[str, Context]
    """By profile: the context of the command in that home."""
    is_whole: bool
    """Whether none of the homes was left out."""

    @property
    def several_profiles(self) -> bool:
        return len(self.profiles) > 1

    def job_ids(self, references: Collection[str] | None) -> frozenset[str] | None:
        """Return the ids of the jobs that `--job` names; None for all. An unknown job is wrong usage."""
        from ..insight.known_jobs import known_jobs

        return None if references is None else ids_of(known_jobs(self.profiles), references)

    def findings(self) -> list[FoundIn]:
        """Return everything that is wrong in each home, the worst first, each with its profile."""
        from ..insight.findings import rank_of

        found = [
            (profile, finding)
            for profile, journal in self.profiles
            for finding in self.contexts[profile].findings(journal)
        ]
        return sorted(found, key=lambda pair: rank_of(pair[1]))


@contextmanager
def opened(contexts: Sequence[Context]) -> Iterator[Scope]:
    """Open the journal of each home. A home whose journal is missing or faulty is left out, with an error
    and status 1 at the end of the command; raises `CommandError` if none can be opened."""
    from ..insight.profiles import Profile

    profiles: list[Profile] = []
    faults: list[tuple[Context, CommandError]] = []
    with ExitStack() as stack:
        for there in contexts:
            try:
                journal = stack.enter_context(there.journal())
            except CommandError as error:
                faults.append((there, error))
            else:
                profiles.append(Profile(there.home.profile, journal))
        if not profiles:
            raise faults[0][1]
        for there, fault in faults:
            _leave_out(there, fault)
        yield Scope(
            profiles=profiles,
            contexts={there.home.profile: there for there in contexts},
            is_whole=not faults,
        )


def _leave_out(context: Context, fault: CommandError) -> None:
    """Say once that the answer lacks this home, and why."""
    terminal, profile = context.terminal, context.home.profile
    if profile not in terminal.left_out:
        terminal.left_out[profile] = {
            "profile": profile,
            "home": str(context.home.path),
            "error": str(fault),
            "remedy": fault.remedy,
        }
        terminal.error(f"profile {profile} is left out: {fault}", fault.remedy)


def contexts_of(args: argparse.Namespace, context: Context) -> list[Context]:
    """Return the context of the command in each home that the options name; an unknown profile is wrong usage."""
    return [replace(context, home=home) for home in _homes(args, context)]


def ids_of(jobs: Sequence[KnownJob], references: Collection[str]) -> frozenset[str]:
    """Return the ids of the jobs that the references mean."""
    return frozenset(job.job_id for name in references for job in matching_jobs(jobs, name))


def matching_jobs(jobs: Sequence[KnownJob], reference: str) -> list[KnownJob]:
    """Return the jobs that a reference means; as wrong usage for none, or for several by a part."""
    from ..insight.known_jobs import AmbiguousJobError, UnknownJobError, find_jobs

    try:
        return find_jobs(jobs, reference)
    except (AmbiguousJobError, UnknownJobError) as error:
        raise job_fault(error) from error


def one_job(jobs: Sequence[KnownJob], reference: str) -> KnownJob:
    """Return the one job that a reference means; otherwise this is wrong usage."""
    from ..insight.known_jobs import AmbiguousJobError, UnknownJobError, find_job

    try:
        return find_job(jobs, reference)
    except (AmbiguousJobError, UnknownJobError) as error:
        raise job_fault(error) from error


def job_fault(error: Exception) -> CommandError:
    from ..insight.known_jobs import AmbiguousJobError, UnknownJobError
    from . import formats

    if isinstance(error, AmbiguousJobError):
        width = max(len(job.job_id) for job in error.candidates)
        several_profiles = len({job.profile for job in error.candidates}) > 1
        lines = [
            f"{job.job_id:<{width}}  {f'{job.profile}/' if several_profiles else ''}"
            f"{formats.one_line(job.name)}{'' if job.current is not None else '  (deleted)'}"
            for job in error.candidates
        ]
        return CommandError(
            f"More than one job matches {error.reference!r}:",
            "\n".join(lines),
            status=ExitStatus.USAGE,
        )
    if isinstance(error, UnknownJobError):
        similar = " or ".join(repr(formats.one_line(name)) for name in error.suggestions)
        advice = f"Did you mean {similar}?" if similar else f"Run `{command('jobs')}` for all."
        return CommandError(
            f"No job is called {error.reference!r}.", advice, status=ExitStatus.USAGE
        )
    raise error


def _homes(args: argparse.Namespace, context: Context) -> list[Home]:
    """Return the homes that are asked about. Each profile of the installation has one."""
    if not args.all_profiles and not args.profiles:
        return [context.home]
    from ..host.home import profile_homes
    from .checks.machine import is_enabled

    known = {home.profile: home for home in profile_homes(context.home)}
    if args.all_profiles:
        in_use = [home for home in known.values() if home.journal.exists() or is_enabled(home)]
        return in_use or [context.home]
    unknown = [name for name in args.profiles if name not in known]
    if unknown:
        raise CommandError(
            f"There is no profile {unknown[0]!r}.",
            f"There are: {', '.join(known)}.",
            status=ExitStatus.USAGE,
        )
    return [known[name] for name in dict.fromkeys(args.profiles)]
