"""What goes on now, as a screen that is drawn again and again, or as a line for each event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ...insight.now import GoingOn, Moment, NextUp
from ...model import Outcome, Run
from .. import formats
from ..table import fit
from .runs import error_line

MAX_FINISHED_SHOWN = 5


MAX_OVERDUE_SHOWN = 5
_NAME_WIDTH = 32
"""A longer name is cut on the screen, so that what follows it is seen. In lines of events it is whole."""


def screen(moment: Moment, *, with_profile: bool = False) -> Iterator[Text]:
    now_ns = moment.now_ns
    yield from _part(
        "Running now", [_running(_cut(each, with_profile), each) for each in moment.running]
    )
    if moment.overdue:
        shown = moment.overdue[:MAX_OVERDUE_SHOWN]
        yield from _part("Overdue", [_due(_cut(due, with_profile), due, now_ns) for due in shown])
    yield from _part(
        "Next up",
        [_due(_cut(due, with_profile), due, now_ns) for due in moment.next_up],
        nothing="nothing is scheduled",
    )
    yield from _part(
        "Just finished",
        [
            _finished(_cut(run, with_profile), run, f", {formats.ago(run.ended_ns, now_ns)}")
            for run in moment.finished[:MAX_FINISHED_SHOWN]
        ],
    )
    synced = "never" if moment.last_sync_ns is None else formats.ago(moment.last_sync_ns, now_ns)
    yield Text(f"{formats.moment(now_ns)}, last sync {synced}; Ctrl-C leaves", style="muted")


def _part(title: str, lines: Sequence[Text], nothing: str = "nothing") -> Iterator[Text]:
    yield Text(title, style="heading")
    for line in lines:
        yield Text.assemble("  ", line)
    if not lines:
        yield Text(f"  {nothing}", style="muted")
    yield Text()


def running_line(each: GoingOn, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "running", _running(_name(each, with_profile), each))


def hung_line(each: GoingOn, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "hung", _running(_name(each, with_profile), each))


def next_line(due: NextUp, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "next", _due(_name(due, with_profile), due, now_ns))


def overdue_line(due: NextUp, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "overdue", _due(_name(due, with_profile), due, now_ns))


def finished_line(run: Run, *, with_profile: bool) -> Text:
    return _event(run.ended_ns, "finished", _finished(_name(run, with_profile), run))


def _event(at_ns: int, name: str, what: Text) -> Text:
    return Text.assemble(f"{formats.moment(at_ns)} {name:<8} ", what)


def _name(one: GoingOn | NextUp | Run, with_profile: bool) -> str:
    name = formats.one_line(one.job_name)
    return f"{one.profile}/{name}" if with_profile else name


def _cut(one: GoingOn | NextUp | Run, with_profile: bool) -> str:
    return fit(_name(one, with_profile), _NAME_WIDTH).rstrip()


def _running(name: str, each: GoingOn) -> Text:
    style = "bad" if each.is_hung or each.process_is_gone else ""
    usual = "" if each.usual_s is None else f", usually {formats.duration(each.usual_s)} at most"
    gone = ", its process has died" if each.process_is_gone else ""
    return Text.assemble(
        (name, "heading"), (f" for {formats.duration(each.elapsed_s)}{usual}{gone}", style)
    )


def _due(name: str, due: NextUp, now_ns: int) -> Text:
    style = "bad" if due.due_ns < now_ns else ""
    when = f"{formats.ago(due.due_ns, now_ns)}, {formats.minute(due.due_ns)}"
    return Text.assemble((name, "heading"), (f" {when}", style))


def _finished(name: str, run: Run, when: str = "") -> Text:
    """Return how a run ended. Its error comes last, because it may be longer than the line."""
    style = "bad" if run.failed else "good" if run.outcome is Outcome.SUCCESS else "muted"
    error = error_line(run).rstrip(".") if run.failed else ""
    return Text.assemble(
        (name, "heading"),
        " ",
        (str(run.outcome), style),
        f" after {formats.duration(run.duration_s)}" if run.duration_s is not None else "",
        f", {formats.cost(run.known_cost_usd, run.cost_status)}"
        if run.known_cost_usd is not None
        else "",
        (when, "muted"),
        (f": {error}" if error else "", style),
    )
