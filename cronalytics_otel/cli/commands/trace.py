"""`trace RUN`: everything that is known of one run, and its steps as a waterfall."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from rich.text import Text

from ...export.traces import trace_of
from ...journal import Journal
from ...journal.queries import RunFilter
from ...model import Outcome, Run, Span, TimeSource
from ...telemetry import semconv as sc
from .. import formats
from ..context import Context
from ..errors import CommandError, ExitStatus, command
from ..shapes import run_shape, span_shape, trace_id
from ..waterfall import draw
from .runs import cost_is_unknown, outcome_cell, short_id, why_skipped

LATEST = "latest"

_MOST_CANDIDATES = 10
"""`Queries.find` gives no more."""

_PARTIAL = {
    sc.Partial.HOST_PRUNED: "Hermes has deleted this run's messages: its steps are gone.",
    sc.Partial.TRUNCATED: "There were more steps than a trace may hold: the later ones are left out.",
    sc.Partial.UNTIMED: "This Hermes wrote the steps down when the run was over: their times are not known.",
}


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    with context.journal() as journal:
        found = find_run(journal, args.reference)
        spans = trace_of(context.home, context.settings(), journal, found)
        facts = (
            _around(journal, found)
            if found.outcome is Outcome.MISSED
            else [*_facts(found, spans[0]), *_links(journal, found)]
        )
    if context.as_json:
        shape = {"run": run_shape(found), "spans": [span_shape(span) for span in spans]}
        context.terminal.json(shape)
    else:
        header = _header(found, facts)
        context.terminal.data(*header, "", *draw(spans, context.terminal.width))
        partial = spans[0].attributes.get(sc.HERMES_CRON_TRACE_PARTIAL)
        if partial is not None:
            context.terminal.data("", Text(_PARTIAL[sc.Partial(str(partial))], style="warning"))
    return ExitStatus.OK


def find_run(journal: Journal, reference: str) -> Run:
    """The run that is meant; what is exact goes before a beginning.

    Raises `CommandError` when there is none, or (with the candidates) more than one.
    """
    queries = journal.queries
    if reference == LATEST:
        newest = queries.runs(RunFilter(limit=1))
        if newest:
            return newest[0]
        raise CommandError("No run is known yet.", f"Run `{command('sync')}`.")
    candidates = queries.find(reference)
    exact = [r for r in candidates if reference in (r.execution_id, r.session_id)]
    if len(exact) == 1:
        return exact[0]
    of_job = queries.latest_of(reference)
    if of_job is not None:
        return of_job
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise CommandError(
            f"{reference!r} is the beginning of more than one run:", _listed(candidates)
        )
    raise CommandError(
        f"No run and no job is called {reference!r}.",
        f"Run `{command('runs')}` for those that are known, `{command('sync')}` for new ones.",
    )


def _listed(candidates: Sequence[Run]) -> str:
    lines = [
        f"{r.run_id}  {formats.minute(r.started_ns)}  {r.outcome:<9}  {formats.one_line(r.job_name)}"
        for r in sorted(candidates, key=lambda r: -r.started_ns)
    ]
    if len(lines) >= _MOST_CANDIDATES:
        lines.append("… and perhaps more: give more of the id.")
    return "\n".join(lines)


# --- the header ---------------------------------------------------------------------------------

_LABEL = 10


Fact: TypeAlias = tuple[str, str]
"""A label and its text; an empty text is not known or says nothing."""


def _header(run: Run, facts: Sequence[Fact]) -> Iterator[Text]:
    yield Text.assemble((formats.one_line(run.job_name), "heading"), "  ", outcome_cell(run))
    for label, value in (*_identity(run), *facts):
        if value:
            yield Text.assemble((f"  {label:<{_LABEL}}", "muted"), value)
    if run.failed:
        yield from _error(run)


def _identity(run: Run) -> Iterator[Fact]:
    yield "run", run.run_id
    yield "session", run.session_id if run.session_id and run.session_id != run.run_id else ""
    yield "trace id", trace_id(run)
    yield (
        "job",
        _listing(run.job_id, run.mode, ", ".join(run.skills) and f"skills {', '.join(run.skills)}"),
    )


def _facts(run: Run, root: Span) -> Iterator[Fact]:
    if run.time_source is TimeSource.OUTPUT:
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


def _links(journal: Journal, run: Run) -> Iterator[Fact]:
    """The runs that this one has to do with."""
    if (previous := journal.queries.previous(run)) is not None:
        yield "previous", _linked(run, previous)
    for source in journal.queries.sources(run):
        yield "fed by", _linked(run, source)


def _around(journal: Journal, run: Run) -> list[Fact]:
    """Of a run that never was: when it should have been, and the real ones before and after."""
    first, last = formats.moment(run.started_ns), formats.moment(run.ended_ns)
    before, after = journal.queries.previous(run), journal.queries.following(run)
    return [
        ("schedule", _schedule(run) or ""),
        ("missed", formats.counted(run.missed_count or 1, "time")),
        ("first due", first),
        ("last due", last if last != first else ""),
        ("scheduler", {True: "down", False: "at work", None: ""}[run.scheduler_down]),
        ("before", _real(journal, before)),
        ("after", _real(journal, after) or "has not run since"),
    ]


def _real(journal: Journal, run: Run | None) -> str:
    if run is None:
        return ""
    late = f"{formats.duration(run.lateness_s)} late" if run.lateness_s is not None else None
    began = f"{short_id(journal, run)} at {formats.moment(run.started_ns)}"
    return _listing(began, run.outcome, late)


def _listing(*parts: str | None) -> str:
    return ", ".join(formats.one_line(part) for part in parts if part)


def _time(root: Span) -> str:
    """Where it went, if not all to one."""
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
    if cost_is_unknown(run) and run.cost_usd is None:
        return "unknown"
    text = formats.cost(run.cost_usd, run.cost_status)
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
    is_part = run.script_ended_ns is not None  # else it is all of the run
    took = f"took {formats.duration(s)}" if is_part and isinstance(s, float) else None
    return _listing(code, took, why_skipped(run))


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
    """The class, and the host's text, whole."""
    yield Text.assemble((f"  {'error':<{_LABEL}}", "muted"), (run.error_type or "", "bad"))
    for line in formats.lines(run.error_message or ""):
        yield Text(f"  {'':<{_LABEL}}{line}", style="bad")
