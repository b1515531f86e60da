"""`watch`: what runs now, what comes next, and what has just ended, until Ctrl-C."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from ...clock import SYSTEM_CLOCK
from .. import arguments
from ..errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from ...insight.now import GoingOn, Moment, Now
    from ...model import RunningRun
    from ..context import Context
    from ..shapes import Shape

NAME: Final = "watch"
SUMMARY: Final = "what runs now, what comes next, what has just ended; until Ctrl-C"
EXAMPLES: Final = """\
examples:
  %(prog)s                        a screen that is drawn again every two seconds
  %(prog)s | grep finished        a line for each event
  %(prog)s --json                 a JSON object for each event"""

DEFAULT_INTERVAL_S: Final = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=arguments.interval,
        default=DEFAULT_INTERVAL_S,
        help="between two looks (default: %(default)g)",
    )


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    from ...insight.now import Now
    from ..views.watch import screen

    context.require_home()
    now = Now()
    first = _look(context, now)  # without a journal this is an error
    try:
        if context.terminal.draws and not context.as_json:
            with context.terminal.drawing() as draw:
                for moment in _moments(context, now, first, args.interval):
                    draw(list(screen(moment)))
        else:
            events = _Events()
            for moment in _moments(context, now, first, args.interval):
                found = list(events.of(moment))
                if context.as_json:
                    context.terminal.json_lines(shape for _, shape in found)
                else:
                    context.terminal.data(*(line for line, _ in found))
    except KeyboardInterrupt:  # this is how it is left
        return ExitStatus.OK
    return ExitStatus.OK


def _moments(context: Context, now: Now, first: Moment, interval_s: float) -> Iterator[Moment]:
    yield first
    while True:
        SYSTEM_CLOCK.sleep(interval_s)
        yield _look(context, now)


def _look(context: Context, now: Now) -> Moment:
    """Look once. The journal is opened anew: a sync may have replaced it."""
    running = _running(context)
    with context.journal() as journal:
        return now.look(journal, running, SYSTEM_CLOCK.now_ns())


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

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._hung: set[str] = set()
        self._finished: set[str] | None = None
        self._next: tuple[str, int] | None = None

    def of(self, moment: Moment) -> Iterator[tuple[Text, Shape]]:
        from ..shapes import record_shape, run_shape
        from ..views import watch as view

        if self._finished is None:  # what ended before the first look is no event
            self._finished = {run.run_id for run in moment.finished}
        for run in reversed(moment.finished):
            if run.run_id not in self._finished:
                self._finished.add(run.run_id)
                yield view.finished_line(run), {"event": "finished"} | run_shape(run)
        for each in moment.running:
            if each.execution_id not in self._running:
                self._running.add(each.execution_id)
                yield view.running_line(each, moment.now_ns), _shape("running", each)
            if each.is_hung and each.execution_id not in self._hung:
                self._hung.add(each.execution_id)
                yield view.hung_line(each, moment.now_ns), _shape("hung", each)
        for due in moment.next_up[:1]:
            if (due.job_id, due.due_ns) != self._next:
                self._next = (due.job_id, due.due_ns)
                yield view.next_line(due, moment.now_ns), {"event": "next"} | record_shape(due)


def _shape(event: str, each: GoingOn) -> Shape:
    from ..shapes import record_shape

    return {"event": event} | record_shape(each)
