"""`watch`: what runs now, what comes next, and what has just ended, until Ctrl-C."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ...clock import SYSTEM_CLOCK
from .. import arguments
from ..errors import ExitStatus
from ..scope import add_scope, contexts_of, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

    from ...insight.now import GoingOn, Moment, NextUp
    from ...model import RunningRun
    from ..context import Context
    from ..shapes import Shape

NAME: Final = "watch"
SUMMARY: Final = "what runs now, what comes next, what has just ended; until Ctrl-C"
EXAMPLES: Final = """\
examples:
  %(prog)s                        a screen that is drawn again every two seconds
  %(prog)s | grep finished        a line for each event
  %(prog)s --job 'nightly digest'
  %(prog)s --json                 a JSON object for each event"""

DEFAULT_INTERVAL_S: Final = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scope(parser)
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=arguments.interval,
        default=DEFAULT_INTERVAL_S,
        help="between two looks (default: %(default)g)",
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ..views.watch import screen

    contexts = contexts_of(args, context)
    for there in contexts:
        there.require_home()
    look = _Looks(contexts, args.job)
    first = look()  # without a journal, or for an unknown job, this is an error
    several = len(contexts) > 1
    try:
        if context.terminal.draws and not context.as_json:
            with context.terminal.drawing() as draw:
                for moment in _moments(look, first, args.interval):
                    draw(list(screen(moment, with_profile=several)))
        else:
            events = _Events(with_profile=several)
            for moment in _moments(look, first, args.interval):
                found = list(events.of(moment))
                if context.as_json:
                    context.terminal.json_lines(shape for _, shape in found)
                else:
                    context.terminal.data(*(line for line, _ in found))
    except KeyboardInterrupt:  # this is how it is left
        return ExitStatus.OK
    return ExitStatus.OK


def _moments(look: _Looks, first: Moment, interval_s: float) -> Iterator[Moment]:
    yield first
    while True:
        SYSTEM_CLOCK.sleep(interval_s)
        yield look()


class _Looks:
    """Looks at all homes, again and again. The journals are opened anew: a sync may have replaced them."""

    def __init__(self, contexts: Sequence[Context], references: Sequence[str] | None) -> None:
        from ...insight.now import Now

        self._contexts = contexts
        self._references = references
        self._now = {there.home.profile: Now() for there in contexts}
        self._job_ids: frozenset[str] | None = None

    def __call__(self) -> Moment:
        running = {there.home.profile: _running(there) for there in self._contexts}
        with opened(self._contexts) as scope:
            if self._job_ids is None:  # read once: a job that goes meanwhile is still meant
                self._job_ids = scope.job_ids(self._references)
            first, *others = [
                self._now[profile.name].look(
                    profile,
                    running[profile.name],
                    SYSTEM_CLOCK.now_ns(),
                    job_ids=self._job_ids,
                )
                for profile in scope.profiles
            ]
        return sum(others, start=first)


def _running(context: Context) -> tuple[RunningRun, ...]:
    """Return the open rows of the ledger; none while it cannot be read."""
    from ...host.running import read_running
    from ...host.sqlite import HostDataError

    try:
        return read_running(context.home)
    except (HostDataError, OSError):
        return ()


class _Events:
    """What is new from one look to the next: each event is a line, or a JSON object."""

    def __init__(self, *, with_profile: bool) -> None:
        self._with_profile = with_profile
        self._running: set[str] = set()
        self._hung: set[str] = set()
        self._finished: set[str] | None = None
        self._overdue: set[NextUp] = set()
        self._next: NextUp | None = None

    def of(self, moment: Moment) -> Iterator[tuple[Text, Shape]]:
        from ..shapes import record_shape, run_shape
        from ..views import watch as view

        if self._finished is None:  # what ended before the first look is no event
            self._finished = {run.run_id for run in moment.finished}
        for run in reversed(moment.finished):
            if run.run_id not in self._finished:
                self._finished.add(run.run_id)
                line = view.finished_line(run, with_profile=self._with_profile)
                yield line, {"event": "finished"} | run_shape(run)
        for each in moment.running:
            if each.execution_id not in self._running:
                self._running.add(each.execution_id)
                line = view.running_line(each, moment.now_ns, with_profile=self._with_profile)
                yield line, _shape("running", each)
            if each.is_hung and each.execution_id not in self._hung:
                self._hung.add(each.execution_id)
                line = view.hung_line(each, moment.now_ns, with_profile=self._with_profile)
                yield line, _shape("hung", each)
        for due in moment.overdue:
            if due not in self._overdue:
                self._overdue.add(due)
                line = view.overdue_line(due, moment.now_ns, with_profile=self._with_profile)
                yield line, {"event": "overdue"} | record_shape(due)
        for due in moment.next_up[:1]:
            if due != self._next:
                self._next = due
                line = view.next_line(due, moment.now_ns, with_profile=self._with_profile)
                yield line, {"event": "next"} | record_shape(due)


def _shape(event: str, each: GoingOn) -> Shape:
    from ..shapes import record_shape

    return {"event": event} | record_shape(each)
