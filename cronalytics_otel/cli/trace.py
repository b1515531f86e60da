"""`trace RUN`: everything that is known of one run, and its steps as a waterfall."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from rich.text import Text

from ..journal import Journal
from ..journal.views import RunFilter
from ..model import Run, TimeSource
from ..telemetry import semconv as sc
from ..traces import trace_of
from . import formats
from .context import Context
from .errors import CommandError, ExitStatus, command
from .runs import cost_is_unknown, outcome_cell
from .shapes import run_shape, span_shape, trace_id
from .waterfall import draw

LATEST = "latest"

_MOST_CANDIDATES = 10
"""`Views.find` gives no more."""

_PARTIAL = {
    sc.Steps.HOST_PRUNED: "Hermes has deleted this run's messages: its steps are gone.",
    sc.Steps.TRUNCATED: "There were more steps than a trace may hold: the later ones are left out.",
    sc.Steps.UNTIMED: "This Hermes wrote the steps down when the run was over: their times are not known.",
}


def run(args: argparse.Namespace, context: Context) -> ExitStatus:
    with context.journal() as journal:
        found = find_run(journal, args.reference)
        spans = trace_of(context.home, context.settings(), journal, found)
    if context.as_json:
        shape = {"run": run_shape(found), "spans": [span_shape(span) for span in spans]}
        context.terminal.json(shape)
    else:
        context.terminal.data(*_header(found), "", *draw(spans, context.terminal.width))
        partial = spans[0].attributes.get(sc.HERMES_CRON_TRACE_PARTIAL)
        if partial is not None:
            context.terminal.data("", Text(_PARTIAL[sc.Steps(str(partial))], style="warning"))
    return ExitStatus.OK


def find_run(journal: Journal, reference: str) -> Run:
    """The run that is meant; what is exact goes before a beginning.

    Raises `CommandError` when there is none, or (with the candidates) more than one.
    """
    views = journal.views
    if reference == LATEST:
        newest = views.runs(RunFilter(limit=1))
        if newest:
            return newest[0]
        raise CommandError("No run is known yet.", f"Run `{command('sync')}`.")
    candidates = views.find(reference)
    exact = [r for r in candidates if reference in (r.execution_id, r.session_id)]
    if len(exact) == 1:
        return exact[0]
    of_job = views.latest_of(reference)
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


def _header(run: Run) -> Iterator[Text]:
    yield Text.assemble((formats.one_line(run.job_name), "heading"), "  ", outcome_cell(run))
    for label, value in _facts(run):
        if value:
            yield Text.assemble((f"  {label:<{_LABEL}}", "muted"), value)
    if run.failed:
        yield from _error(run)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """Label and text; an empty text is not known or says nothing."""
    yield "run", run.run_id
    yield "session", run.session_id if run.session_id and run.session_id != run.run_id else ""
    yield "trace id", trace_id(run)
    yield (
        "job",
        _listing(run.job_id, run.mode, ", ".join(run.skills) and f"skills {', '.join(run.skills)}"),
    )
    if run.time_source is TimeSource.OUTPUT:
        yield "ended", f"{formats.moment(run.ended_ns)}, began at an unknown time"
    else:
        yield (
            "started",
            f"{formats.moment(run.started_ns)}, took {formats.duration(run.duration_s)}",
        )
    yield "due", _due(run)
    yield "trigger", _listing(run.trigger, _schedule(run))
    yield "model", _listing(run.model, run.provider)
    yield "tokens", _tokens(run)
    yield "cost", _cost(run)
    yield "calls", _calls(run)
    yield "delivery", _delivery(run)


def _listing(*parts: str | None) -> str:
    return ", ".join(formats.one_line(part) for part in parts if part)


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
