"""What goes on now, as a screen that is drawn again and again, or as a line for each event."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from ...insight.now import GoingOn, Moment, NextUp
from ...model import Outcome, Run
from .. import formats
from .runs import error_line

MAX_FINISHED_SHOWN = 5


def screen(moment: Moment, *, with_profile: bool = False) -> Iterator[Text]:
    now_ns = moment.now_ns
    yield Text("Running now", style="heading")
    for each in moment.running:
        yield Text.assemble("  ", _running(each, with_profile=with_profile))
    if not moment.running:
        yield Text("  nothing", style="muted")
    yield Text()
    yield Text("Next up", style="heading")
    for due in moment.next_up:
        yield Text.assemble("  ", _next(due, now_ns, with_profile=with_profile))
    if not moment.next_up:
        yield Text("  nothing is scheduled", style="muted")
    yield Text()
    yield Text("Just finished", style="heading")
    for run in moment.finished[:MAX_FINISHED_SHOWN]:
        yield Text.assemble(
            "  ",
            _finished(run, with_profile=with_profile),
            (f", {formats.ago(run.ended_ns, now_ns)}", "muted"),
        )
    if not moment.finished:
        yield Text("  nothing", style="muted")
    yield Text()
    synced = "never" if moment.last_sync_ns is None else formats.ago(moment.last_sync_ns, now_ns)
    yield Text(f"{formats.moment(now_ns)}, last sync {synced}; Ctrl-C leaves", style="muted")


def running_line(each: GoingOn, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "running", _running(each, with_profile=with_profile))


def hung_line(each: GoingOn, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "hung", _running(each, with_profile=with_profile))


def next_line(due: NextUp, now_ns: int, *, with_profile: bool) -> Text:
    return _event(now_ns, "next", _next(due, now_ns, with_profile=with_profile))


def finished_line(run: Run, *, with_profile: bool) -> Text:
    return _event(run.ended_ns, "finished", _finished(run, with_profile=with_profile))


def _event(at_ns: int, name: str, what: Text) -> Text:
    return Text.assemble(f"{formats.moment(at_ns)} {name:<8} ", what)


def _name(one: GoingOn | NextUp | Run, *, with_profile: bool) -> tuple[str, str]:
    name = formats.one_line(one.job_name)
    return f"{one.profile}/{name}" if with_profile else name, "heading"


def _running(each: GoingOn, *, with_profile: bool) -> Text:
    style = "bad" if each.is_hung or each.process_is_gone else ""
    usual = "" if each.usual_s is None else f", usually {formats.duration(each.usual_s)} at most"
    gone = ", its process has died" if each.process_is_gone else ""
    return Text.assemble(
        _name(each, with_profile=with_profile),
        (f" for {formats.duration(each.elapsed_s)}{usual}{gone}", style),
    )


def _next(due: NextUp, now_ns: int, *, with_profile: bool) -> Text:
    style = "warning" if due.due_ns < now_ns else ""
    return Text.assemble(
        _name(due, with_profile=with_profile),
        (f" {formats.ago(due.due_ns, now_ns)}, {formats.minute(due.due_ns)}", style),
    )


def _finished(run: Run, *, with_profile: bool) -> Text:
    style = "bad" if run.failed else "good" if run.outcome is Outcome.SUCCESS else "muted"
    error = error_line(run).rstrip(".") if run.failed else ""
    return Text.assemble(
        _name(run, with_profile=with_profile),
        " ",
        (str(run.outcome), style),
        f" after {formats.duration(run.duration_s)}" if run.duration_s is not None else "",
        f", {formats.cost(run.known_cost_usd, run.cost_status)}"
        if run.known_cost_usd is not None
        else "",
        (f": {error}" if error else "", style),
    )
