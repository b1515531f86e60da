"""The options that choose which runs a command is about, and what they come to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from ..model import FAILED_OUTCOMES, Mode, Outcome, Trigger
from . import arguments
from .errors import CommandError, ExitStatus, command
from .scope import Scope, add_job, add_profiles, contexts_of, ids_of, opened

if TYPE_CHECKING:
    from ..insight.known_jobs import KnownJob
    from ..insight.profiles import Profile
    from ..insight.windows import Window
    from ..journal.filters import RunFilter
    from .context import Context

FAILED: Final = "failed"
"""The value of `--outcome` that means every outcome that is a failure."""

RUNNING: Final = "running"
"""The value of `--outcome` that means runs that have not ended."""

DEFAULT_DAYS: Final = 30.0


def add_filters(
    parser: argparse.ArgumentParser,
    *,
    days: float | None = DEFAULT_DAYS,
    jobs: bool = True,
    window: bool = True,
    running: bool = False,
) -> None:
    """Add the options that choose the runs. `days` None is no limit by default; without `jobs` the
    command is about one job that it names itself; without `window` about the last 14 days, as averages are."""
    group = parser.add_argument_group("which runs")
    if window:
        _add_window(group, days)
    else:
        for option in ("--days", "--since", "--until"):
            group.add_argument(option, type=_no_window, help=argparse.SUPPRESS)
    if jobs:
        add_job(group)
    group.add_argument(
        "--skill",
        metavar="SKILL",
        action="append",
        type=arguments.some_text,
        help="of jobs with this skill; may be given more than once",
    )
    special = (FAILED, RUNNING) if running else (FAILED,)
    group.add_argument(
        "--outcome",
        metavar="OUTCOME",
        action="extend",
        type=arguments.one_or_more(*Outcome, *special),
        help=f"with this outcome: {', '.join(Outcome)}; {FAILED} is every failure"
        f"{f', {RUNNING} is what has not ended' if running else ''}; a,b or more than once for several",
    )
    group.add_argument("--mode", choices=[*map(str, Mode)], help="of agent jobs, or of script jobs")
    group.add_argument(
        "--model",
        metavar="MODEL",
        action="append",
        # The host's own parser has an option of this name.
        dest="models",
        type=arguments.some_text,
        help="in which this model had a part; may be given more than once",
    )
    group.add_argument(
        "--trigger",
        choices=[*map(str, Trigger)],
        help="that this started: the schedule, a person (manual), or the scheduler after it had been down"
        " (catch_up: late, for a time that had passed)",
    )
    add_profiles(group)
    parser.set_defaults(default_days=days)


def _no_window(_: str) -> NoReturn:
    raise argparse.ArgumentTypeError(
        "these figures are always of the last 14 days, weighted by their age; `models` takes other windows"
    )


def _add_window(group: argparse._ArgumentGroup, days: float | None) -> None:
    group.add_argument(
        "--days",
        metavar="N",
        type=arguments.days,
        help=f"that ended in the last N days (default: {'0' if days is None else f'{days:.0f}'}; 0: all)",
    )
    group.add_argument(
        "--since",
        metavar="WHEN",
        type=arguments.since,
        help="that ended at or after this time: 24h, 7d, 2026-01-31, 2026-01-31T09:00",
    )
    group.add_argument(
        "--until", metavar="WHEN", type=arguments.since, help="that ended before this time"
    )


def add_rows(parser: argparse.ArgumentParser, *, limit: int, sort: Sequence[str] = ()) -> None:
    """Add the options for the rows of a table. The first name in `sort` is the default order."""
    group = parser.add_argument_group("which rows")
    if sort:
        group.add_argument(
            "--sort",
            metavar="COLUMN",
            type=arguments.one_of(*sort),
            default=sort[0],
            help=f"order by: {', '.join(sort)} (default: %(default)s)",
        )
    group.add_argument(
        "--limit",
        metavar="N",
        type=arguments.whole_number,
        default=limit,
        help="at most so many; totals are over all (default: %(default)s; 0: all)",
    )
    add_csv(parser)


def add_csv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--csv", action="store_true", help="print CSV: a line for each row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Scope):
    """Which runs a command is about."""

    jobs: Sequence[KnownJob]
    """Every known job of these profiles."""
    wanted: RunFilter
    """Without its window and its limit."""
    window: Window
    now_ns: int

    @property
    def in_window(self) -> RunFilter:
        return self.window.of_runs(self.wanted)


@contextmanager
def asking(args: argparse.Namespace, context: Context) -> Iterator[Question]:
    """Open the journals that the options name, and read the options.

    Raises `CommandError`, as wrong usage for a job, skill, model or profile that is not known.
    """
    from ..insight.known_jobs import known_jobs
    from ..insight.windows import in_whole_days

    if args.csv and context.as_json:
        raise CommandError("--csv and --json exclude each other.", status=ExitStatus.USAGE)
    with opened(contexts_of(args, context)) as scope:
        jobs = known_jobs(scope.profiles)
        wanted = _wanted(args, scope.profiles, jobs)
        window = in_whole_days(_window(args, context.now_ns), scope.profiles)
        yield Question(
            profiles=scope.profiles,
            contexts=scope.contexts,
            is_whole=scope.is_whole,
            jobs=jobs,
            wanted=wanted,
            window=window.for_runs if wanted.needs_runs else window,
            now_ns=context.now_ns,
        )


def _window(args: argparse.Namespace, now_ns: int) -> Window:
    from ..insight.windows import Window

    if args.days is not None and args.since is not None:
        raise CommandError("--days and --since exclude each other.", status=ExitStatus.USAGE)
    since_ns = args.since
    until_ns = args.until
    if since_ns is None:
        days = args.default_days if args.days is None else args.days
        end_ns = now_ns if until_ns is None else until_ns
        since_ns = Window.of_days(days or 0, end_ns).since_ns
    if until_ns is not None and since_ns is not None and until_ns <= since_ns:
        raise CommandError("--until must come after --since.", status=ExitStatus.USAGE)
    return Window.of(now_ns, since_ns=since_ns, until_ns=until_ns)


def _wanted(
    args: argparse.Namespace, profiles: Sequence[Profile], jobs: Sequence[KnownJob]
) -> RunFilter:
    from ..insight.known_names import UnknownNameError, check_models, check_skills
    from ..journal.filters import RunFilter

    try:
        if args.models:
            check_models(profiles, jobs, args.models)
        if args.skill:
            check_skills(profiles, jobs, args.skill)
    except UnknownNameError as error:
        similar = " or ".join(map(repr, error.suggestions))
        raise CommandError(
            f"No {error.noun} is called {error.name!r}.",
            f"Did you mean {similar}?"
            if similar
            else f"Run `{command(f'{error.noun}s')}` for all.",
            status=ExitStatus.USAGE,
        ) from error
    names: list[str] | None = getattr(args, "job", None)
    return RunFilter(
        jobs=None if names is None else ids_of(jobs, names),
        outcomes=outcomes_of(args.outcome),
        mode=Mode(args.mode) if args.mode else None,
        trigger=Trigger(args.trigger) if args.trigger else None,
        models=frozenset(args.models) if args.models else None,
        skills=frozenset(args.skill) if args.skill else None,
    )


def outcomes_of(names: Sequence[str] | None) -> frozenset[Outcome] | None:
    """Return the outcomes that `--outcome` names; None for all. `running` is no outcome of a run."""
    if not names:
        return None
    found: set[Outcome] = set()
    for name in names:
        if name != RUNNING:
            found |= FAILED_OUTCOMES if name == FAILED else {Outcome(name)}
    return frozenset(found)
