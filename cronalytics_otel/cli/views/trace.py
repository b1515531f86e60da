"""One run: its facts as labelled lines, then its steps as a waterfall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from rich.text import Text

from ...config import ExplorerName
from ...domain.errors import stderr_of
from ...insight.runs import AmbiguousRunError, Neighbours, short_id
from ...journal import Journal
from ...model import Outcome, Run, Span
from ...telemetry import semconv as sc
from .. import formats
from ..shapes import trace_id
from ..waterfall import draw
from .links import address
from .runs import error_line, outcome_cell, skip_text

_LABEL = 10
"""The width of a label."""

_PARTIAL = {
    sc.Partial.HOST_PRUNED: "Hermes has deleted this run's messages: its steps are gone.",
    sc.Partial.TRUNCATED: "There were more steps than a trace may hold: the later ones are left out.",
    sc.Partial.UNTIMED: "This Hermes wrote the steps down when the run was over: their times are not known.",
}

Fact: TypeAlias = tuple[str, str]
"""A label and its text. A fact whose text is empty is not shown."""


def header(run: Run, facts: Sequence[Fact]) -> Iterator[Text]:
    yield Text.assemble((formats.one_line(run.job_name), "heading"), "  ", outcome_cell(run))
    if run.failed:
        yield from _error(run)
    for label, value in (*_identity(run), *facts):
        if value:
            yield Text.assemble((f"  {label:<{_LABEL}}", "muted"), value)


def links(urls: Mapping[ExplorerName, str], *, clickable: bool) -> Iterator[Text]:
    """Yield a line for each trace explorer, with the address of the trace."""
    for explorer, url in urls.items():
        yield Text.assemble((f"  {explorer:<{_LABEL}}", "muted"), address(url, clickable=clickable))


def waterfall(spans: Sequence[Span], width: int | None) -> Iterator[Text]:
    yield Text()
    yield from draw(spans, width)
    partial = spans[0].attributes.get(sc.HERMES_CRON_TRACE_PARTIAL)
    if partial is not None:
        yield Text()
        yield Text(_PARTIAL[sc.Partial(str(partial))], style="warning")


def facts(journal: Journal, run: Run, root: Span, neighbours: Neighbours) -> list[Fact]:
    """Return the facts of a run; `root` is the first span of its trace."""
    if run.outcome is Outcome.MISSED:
        return list(_facts_of_missed(journal, run, neighbours))
    return [*_facts(run, root), *_links(run, neighbours)]


def candidate_lines(error: AmbiguousRunError) -> list[str]:
    """Return a line for each run that a reference may mean."""
    shown = [
        f"{r.run_id}  {formats.minute(r.started_ns)}  {r.outcome:<9}  {formats.one_line(r.job_name)}"
        for r in error.candidates
    ]
    if error.may_have_more:
        shown.append("… and perhaps more: give more of the id.")
    return shown


def _identity(run: Run) -> Iterator[Fact]:
    yield "run", run.run_id
    yield "session", run.session_id if run.session_id and run.session_id != run.run_id else ""
    yield "trace id", trace_id(run)
    yield (
        "job",
        _listing(run.job_id, run.mode, ", ".join(run.skills) and f"skills {', '.join(run.skills)}"),
    )


def _facts(run: Run, root: Span) -> Iterator[Fact]:
    if run.left_output_only:
        yield "ended", f"{formats.moment(run.ended_ns)}, began at an unknown time"
    else:
        yield (
            "started",
            f"{formats.moment(run.started_ns)}, took {formats.duration(run.duration_s)}",
        )
    yield "time", _time(root)
    yield "due", _due(run)
    yield "trigger", _listing(run.trigger, _schedule(run))
    yield "model", _listing(run.model, run.provider)
    yield "tokens", _tokens(run)
    yield "cost", _cost(run)
    yield "calls", _calls(run)
    yield "turns", _turns(root)
    yield "script", _script(run, root)
    yield "delivery", _delivery(run)


def _links(run: Run, neighbours: Neighbours) -> Iterator[Fact]:
    """Return the runs that this one's trace links to."""
    if neighbours.previous is not None:
        yield "previous", _linked(run, neighbours.previous)
    for source in neighbours.sources:
        yield "fed by", _linked(run, source)


def _facts_of_missed(journal: Journal, run: Run, neighbours: Neighbours) -> Iterator[Fact]:
    """Return when a missed run should have been, and the real runs before and after it."""
    first, last = formats.moment(run.started_ns), formats.moment(run.ended_ns)
    yield "schedule", _schedule(run) or ""
    yield "missed", formats.counted(run.missed_count or 1, "time")
    yield "first due", first
    yield "last due", last if last != first else ""
    yield "scheduler", {True: "down", False: "at work", None: ""}[run.scheduler_down]
    yield "before", _real(journal, neighbours.previous)
    yield "after", _real(journal, neighbours.following) or "has not run since"


def _real(journal: Journal, run: Run | None) -> str:
    if run is None:
        return ""
    late = f"{formats.duration(run.lateness_s)} late" if run.lateness_s is not None else None
    began = f"{short_id(journal, run)} at {formats.moment(run.started_ns)}"
    return _listing(began, run.outcome, late)


def _listing(*parts: str | None) -> str:
    return ", ".join(formats.one_line(part) for part in parts if part)


def _time(root: Span) -> str:
    """Return the parts of the run's time, unless one part is all of it."""
    known = ((word, root.attributes.get(name)) for word, name in _TIMES)
    parts = [f"{word} {formats.duration(s)}" for word, s in known if isinstance(s, float) and s]
    return ", ".join(parts) if len(parts) > 1 else ""


_TIMES = (
    ("queue", sc.HERMES_CRON_RUN_QUEUE_TIME),
    ("script", sc.HERMES_CRON_RUN_SCRIPT_TIME),
    ("start-up", sc.HERMES_CRON_RUN_STARTUP_TIME),
    ("model", sc.HERMES_CRON_RUN_MODEL_TIME),
    ("tools", sc.HERMES_CRON_RUN_TOOL_TIME),
    ("delivery", sc.HERMES_CRON_RUN_DELIVERY_TIME),
)


def _due(run: Run) -> str:
    if run.scheduled_ns is None:
        return ""
    late = "" if run.lateness_s is None else f", {formats.duration(run.lateness_s)} late"
    return f"{formats.moment(run.scheduled_ns)}{late}"


def _schedule(run: Run) -> str | None:
    if run.schedule_expression is None:
        return None
    zone = f" ({run.schedule_timezone})" if run.schedule_timezone else ""
    return f"{run.schedule_expression}{zone}"


def _tokens(run: Run) -> str:
    usage = run.usage
    if usage is None:
        return ""
    cached = f" ({usage.cache_read_tokens:,} from cache)" if usage.cache_read_tokens else ""
    reasoning = f" ({usage.reasoning_tokens:,} reasoning)" if usage.reasoning_tokens else ""
    return (
        f"{usage.total_tokens:,}: {usage.input_tokens:,} in{cached},"
        f" {usage.output_tokens:,} out{reasoning}"
    )


def _cost(run: Run) -> str:
    if run.cost_is_unknown:
        return "unknown"
    text = formats.cost(run.known_cost_usd, run.cost_status)
    return "" if text == formats.UNKNOWN else ", ".join(dict.fromkeys((text, str(run.cost_status))))


def _calls(run: Run) -> str:
    counts = (
        (run.api_calls, "model call"),
        (run.tool_calls, "tool call"),
        (run.subagents, "subagent"),
    )
    return _listing(*(formats.counted(n, noun) for n, noun in counts if n))


def _turns(root: Span) -> str:
    if not root.attributes.get(sc.HERMES_CRON_RUN_TURN_LIMIT_REACHED):
        return ""
    return "limit reached: the answer is the summary that it was asked for"


def _script(run: Run, root: Span) -> str:
    code = None if run.script_exit_code is None else f"exit code {run.script_exit_code}"
    s = root.attributes.get(sc.HERMES_CRON_RUN_SCRIPT_TIME)
    is_part = run.script_ended_ns is not None  # otherwise it took all of the run
    took = f"took {formats.duration(s)}" if is_part and isinstance(s, float) else None
    return _listing(code, took, skip_text(run))


def _linked(run: Run, other: Run) -> str:
    name = other.job_name if other.job_id != run.job_id else None
    return _listing(other.run_id, name, other.outcome, formats.moment(other.ended_ns))


def _delivery(run: Run) -> str:
    silent = "silent: it asked not to be delivered" if run.silent else None
    return _listing(
        run.delivery_outcome and run.delivery_outcome.replace("_", " "),
        run.delivery_target,
        silent,
        run.delivery_error,
    )


def _error(run: Run) -> Iterator[Text]:
    """Return the class of the error, and the whole text that the host wrote."""
    yield Text.assemble((f"  {'error':<{_LABEL}}", "muted"), (run.error_type or "", "bad"))
    message = run.error_message or ""
    if "\n" in (stderr_of(message) or ""):  # the last of many lines says most
        yield Text(f"  {'':<{_LABEL}}{error_line(run)}", style="bad")
    for line in formats.lines(message):
        yield Text(f"  {'':<{_LABEL}}{line}", style="bad")
