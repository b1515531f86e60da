"""`doctor`: every link from the host's files to a receipt, each with what to do about it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ..errors import CommandError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from ...model import Source
    from ..checks.check import Check
    from ..context import Context
    from ..shapes import Shape

NAME: Final = "doctor"
SUMMARY: Final = "check everything from the host's files to a receipt, with fixes"
EXAMPLES: Final = """\
examples:
  %(prog)s --notify     also send a test message to each target of notify"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--notify",
        action="store_true",
        help="send a test message to each target of notify, and a test ping to each check",
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ..views.doctor import lines, summary

    checks: list[Check] = []
    for check in _all_checks(context, notify=args.notify):
        checks.append(check)
        if not context.as_json:
            context.terminal.data(*lines(check))
    shape = to_json(checks)
    if context.as_json:
        context.terminal.json(shape)
    else:
        context.terminal.data("", summary(checks))
    return ExitStatus.OK if shape["healthy"] else ExitStatus.FAILED


def to_json(checks: Sequence[Check]) -> Shape:
    from ..checks.check import State
    from ..shapes import record_shape

    return {
        "healthy": all(check.state is not State.FAILED for check in checks),
        "checks": [record_shape(check) for check in checks],
    }


def _all_checks(context: Context, *, notify: bool) -> Iterator[Check]:
    """Run one check after the other, so that each is shown when it is done."""
    from ..checks import files, machine
    from ..checks.check import State, failed, ok, unreadable

    home = context.home
    try:
        context.require_home()
    except CommandError as error:
        yield failed("home", str(error), error.remedy)
        return
    except OSError as error:
        yield unreadable("home", error)
        return
    yield ok("home", f"{home.path} (profile {home.profile})")
    packages = machine.check_packages()
    yield packages
    settings = context.settings()
    yield from machine.check_config(settings)
    yield machine.check_plugin(home)
    yield from files.check_sources(home, _known_sources(context))
    last_run_in = yield from _own_files(context)
    if packages.state is State.OK:
        from ...host.version import installed_hermes
        from ..checks.destinations import check_destinations
        from ..checks.notify import check_notify

        installed = installed_hermes()
        yield machine.check_hermes(installed, last_run_in)
        yield from check_destinations(home, settings, installed or last_run_in)
        yield from check_notify(settings, _job_names(context), send=notify)


def _own_files(context: Context) -> Generator[Check, None, str | None]:
    """Check our own files. Returns the version of Hermes that the journal knows."""
    from ...insight.overview import read_overview
    from ..checks import files
    from ..checks.check import failed, unreadable

    home = context.home
    last_run_in = None
    try:
        if not home.journal.exists():
            yield files.check_no_journal(home)
            return None
        try:
            with context.journal() as journal:
                overview = read_overview(journal, now_ns=context.now_ns)
            last_run_in = overview.hermes_version
            yield files.check_journal(home, overview)
            yield files.check_clock(overview, context.now_ns)
        except CommandError as error:
            yield failed("journal", str(error), error.remedy or "see the message")
        yield from files.check_instance(home)
        yield files.check_permissions(home)
        yield files.check_lock(home)
    except OSError as error:
        yield unreadable("journal", error)
    return last_run_in


def _known_sources(context: Context) -> Sequence[Source]:
    """Return the host's files as the last sync found them; none if the journal cannot be read."""
    from ...journal.facts import SOURCES

    try:
        with context.journal() as journal:
            return journal.facts.get(SOURCES)
    except (CommandError, OSError):
        return ()  # `_own_files` reports the fault


def _job_names(context: Context) -> dict[str, str]:
    """Return the names of the jobs that the journal knows, by id; none if it cannot be read."""
    from ...journal.facts import CURRENT_JOBS

    try:
        with context.journal() as journal:
            return {job.job_id: job.name for job in journal.facts.get(CURRENT_JOBS)}
    except (CommandError, OSError):
        return {}  # `_own_files` reports the fault
