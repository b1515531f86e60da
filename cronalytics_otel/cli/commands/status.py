"""`status`: what is known, from where, and where each destination stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from ...about import __version__
from ...config import Settings
from ...domain import missed
from ...host import jobs as jobs_file
from ...host.inspection import Source, look_at
from ...host.sqlite import HostDataError
from ...journal import Journal
from ...journal.facts import (
    HERMES_VERSION,
    LAST_SYNC_NS,
    LEDGER_LOST,
    OBSERVATIONS_LOST,
    PROBLEMS,
)
from ...journal.outbox import DestinationStatus
from ...model import Job, ScheduleKind
from ...model.times import NS
from .. import formats
from ..context import Context
from ..errors import ExitStatus
from ..shapes import Shape

_REASONS = 5

_CONTENT = {
    "off": "off: of what was said in a run, error texts alone are sent, masked",
    "errors": "errors: what was said in failed runs is sent",
    "full": "full: what was said in all runs is sent",
}

_MARKS = {"good": "✓", "bad": "✗", "warning": "!", "muted": formats.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFacts:
    runs: int
    oldest_ns: int | None
    newest_ns: int | None
    open_runs: int
    lost_rows: int
    """Of the ledger, pruned by the host before we read them."""
    lost_observations: int
    """What hooks told and could not be kept."""
    last_sync_ns: int | None
    problems: tuple[str, ...]
    """Of the last sync."""
    hermes_version: str | None
    destinations: tuple[DestinationStatus, ...]
    refusals: Mapping[int, Sequence[tuple[str, int]]]
    """By destination: reasons with their counts, most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    sources: list[Source]
    journal_size: int
    """Octets, with its write-ahead log."""
    settings: Settings
    journal: JournalFacts
    overdue: tuple[Job, ...]
    """Past their time by more than a scheduler that is up would let them be."""

    @property
    def healthy(self) -> bool:
        return (
            all(source.fault is None for source in self.sources)
            and not self.settings.problems
            and not self.journal.problems
            and not any(d.active and d.failures for d in self.journal.destinations)
        )


def run(context: Context) -> ExitStatus:
    context.require_home()
    with context.journal() as journal:
        facts = _journal_facts(journal)
    status = Status(
        sources=look_at(context.home),
        journal_size=_size(context.home.journal),
        settings=context.settings(),
        journal=facts,
        overdue=_overdue(context),
    )
    if context.as_json:
        context.terminal.json(_shape(status, context))
    else:
        context.terminal.data(*_lines(status, context))
    return ExitStatus.OK if status.healthy else ExitStatus.FAILED


def _journal_facts(journal: Journal) -> JournalFacts:
    facts = journal.facts.read()
    runs, oldest_ns, newest_ns = journal.queries.totals()
    destinations = tuple(journal.outbox.states())
    return JournalFacts(
        runs=runs,
        oldest_ns=oldest_ns,
        newest_ns=newest_ns,
        open_runs=journal.queries.open_count(),
        lost_rows=facts.get(LEDGER_LOST),
        lost_observations=facts.get(OBSERVATIONS_LOST),
        last_sync_ns=facts.get(LAST_SYNC_NS),
        problems=facts.get(PROBLEMS),
        hermes_version=facts.get(HERMES_VERSION),
        destinations=destinations,
        refusals={d.id: journal.outbox.refusals(d.id, _REASONS) for d in destinations},
    )


def _overdue(context: Context) -> tuple[Job, ...]:
    """A one-shot keeps its time while it runs: it is left out."""
    path = context.home.jobs
    try:
        jobs = jobs_file.parse(jobs_file.read_text(path) or "{}", path, None)
    except HostDataError:
        return ()  # the source's own line says so
    return tuple(
        job
        for job in jobs
        if job.enabled
        and (job.schedule is None or job.schedule.kind is not ScheduleKind.ONCE)
        and missed.look((), job, context.now_ns)
    )


def _size(journal: Path) -> int:
    files = (journal, journal.with_name(f"{journal.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


# --- for people ---------------------------------------------------------------------------------


def _lines(status: Status, context: Context) -> Iterator[Text]:
    home, journal = context.home, status.journal
    yield _title("Hermes")
    yield _line("", "home", f"{home.path} (profile {home.profile})")
    yield _line("", "version", journal.hermes_version or formats.UNKNOWN)
    by_job = formats.content_by_job(status.settings.content_jobs)
    yield _line("", "content", f"{_CONTENT[status.settings.content]}{by_job}")
    yield Text()
    yield _title("Sources")
    for source in status.sources:
        yield from _source_lines(source, journal.last_sync_ns)
    yield Text()
    yield _title("Journal")
    yield _line("", "file", f"{home.journal}, {formats.size(status.journal_size)}")
    yield _line("", "runs", _runs_text(journal))
    yield _line("", "last sync", _when(journal.last_sync_ns, context.now_ns))
    for problem in journal.problems:
        yield _line("bad", "problem", problem)
    for job in status.overdue:
        due = f"was due {_when(job.next_run_ns, context.now_ns)}: is the scheduler running?"
        yield _line("warning", "overdue", f"{formats.one_line(job.name)} {due}")
    yield Text()
    yield _title("Destinations")
    yield from _destination_lines(status, context.now_ns)
    if status.settings.problems:
        yield Text()
        yield _title("Configuration")
        for problem in status.settings.problems:
            yield _line("bad", "", problem)


def _title(text: str) -> Text:
    return Text(text, style="heading")


def _line(mark: str, label: str, value: str) -> Text:
    """A mark alone stands before its text; without either the text continues the line above."""
    column = "" if mark and not label else f"{label:<10} "
    return Text.assemble((_MARKS.get(mark, " "), mark or "none"), " ", (column, "muted"), value)


def _source_lines(source: Source, last_sync_ns: int | None) -> Iterator[Text]:
    if not source.exists:
        yield _line("muted", source.name, f"{source.path}")
        yield _line("", "", f"not there: {source.absence}")
    elif source.fault is not None:
        yield _line("bad", source.name, source.fault)
    else:
        read = (
            f"read {formats.moment(last_sync_ns)}" if last_sync_ns else "no sync has finished yet"
        )
        yield _line("good", source.name, f"{source.path}")
        yield _line("", "", f"changed {formats.moment(source.changed_ns)}, {read}")


def _runs_text(journal: JournalFacts) -> str:
    known = formats.counted(journal.runs, "run")
    if journal.oldest_ns is not None and journal.newest_ns is not None:
        known += (
            f", ended {formats.minute(journal.oldest_ns)} to {formats.minute(journal.newest_ns)}"
        )
    lost = (
        f"; {journal.lost_rows:,} deleted by Hermes before they were read"
        if journal.lost_rows
        else ""
    )
    told = (
        f"; {formats.counted(journal.lost_observations, 'detail')} of calls not kept"
        if journal.lost_observations
        else ""
    )
    return f"{known}; {journal.open_runs:,} open{lost}{told}"


def _when(then_ns: int | None, now_ns: int) -> str:
    if then_ns is None:
        return "never"
    return f"{formats.moment(then_ns)} ({formats.ago(then_ns, now_ns)})"


def _destination_lines(status: Status, now_ns: int) -> Iterator[Text]:
    if status.settings.disabled:
        yield _line("warning", "", "OTEL_SDK_DISABLED is true: nothing is sent")
    elif not status.settings.destinations:
        yield _line("warning", "", "none: runs are kept in the journal and sent nowhere")
    known = {d.name for d in status.journal.destinations}
    for state in status.journal.destinations:
        refusals = status.journal.refusals[state.id]
        yield from _state_lines(state, refusals, status.settings, now_ns)
    for destination in status.settings.destinations:
        if destination.name not in known and not status.settings.disabled:
            yield _line("muted", destination.name, destination.safe_endpoint)
            yield _line("", "", "new: gets the whole history at the next sync")


def _state_lines(
    state: DestinationStatus,
    refusals: Sequence[tuple[str, int]],
    settings: Settings,
    now_ns: int,
) -> Iterator[Text]:
    yield _line(_mark(state), state.name, state.endpoint)
    if not state.active:
        yield _line("", "", f"{_why_inactive(state, settings)}; it keeps what it lacked")
    yield _line(
        "", "delivered", f"{state.delivered:,}, last receipt {_when(state.last_receipt_ns, now_ns)}"
    )
    oldest = (
        f", the oldest ended {formats.ago(state.oldest_pending_ns, now_ns)}"
        if state.oldest_pending_ns is not None
        else ""
    )
    yield _line("", "pending", f"{state.pending:,}{oldest}")
    if state.failures and state.failing_since_ns is not None:
        yield _line("", "failing", f"since {_when(state.failing_since_ns, now_ns)}")
        yield _line("", "", f"{state.last_error}")
        if state.next_attempt_ns is not None and state.active:
            asked = ", as the server asked" if state.asked_to_wait else ""
            yield _line("", "next try", f"{_when(state.next_attempt_ns, now_ns)}{asked}")
    if state.refused:
        yield _line("", "refused", f"{state.refused:,}; `sync --retry-refused` sends them again")
        for reason, number in refusals:
            yield _line("", "", f"{number:,} x {reason}")
    if state.given_up:
        yield _line("", "given up", f"{state.given_up:,}, which had waited too long")


def _why_inactive(state: DestinationStatus, settings: Settings) -> str:
    """As of the last sync; the settings may have changed since."""
    if all(destination.name != state.name for destination in settings.destinations):
        return "no longer in the settings"
    if settings.disabled:
        return "sending is switched off by OTEL_SDK_DISABLED"
    return "goes on at the next sync"


def _mark(state: DestinationStatus) -> str:
    if state.active and state.failures:
        return "bad"
    return "warning" if state.refused or not state.active else "good"


# --- for programs -------------------------------------------------------------------------------


def _shape(status: Status, context: Context) -> Shape:
    journal = status.journal
    return {
        "healthy": status.healthy,
        "home": str(context.home.path),
        "profile": context.home.profile,
        "hermes_version": journal.hermes_version,
        "version": __version__,
        "sources": [
            {
                "name": source.name,
                "path": str(source.path),
                "exists": source.exists,
                "fault": source.fault,
                "changed_at": formats.iso(source.changed_ns),
            }
            for source in status.sources
        ],
        "journal": {
            "path": str(context.home.journal),
            "size_bytes": status.journal_size,
            "runs": journal.runs,
            "open_runs": journal.open_runs,
            "lost_rows": journal.lost_rows,
            "lost_details": journal.lost_observations,
            "oldest_ended_at": formats.iso(journal.oldest_ns),
            "newest_ended_at": formats.iso(journal.newest_ns),
            "last_sync_at": formats.iso(journal.last_sync_ns),
            "problems": list(journal.problems),
        },
        "destinations": [
            _state_shape(state, journal.refusals[state.id], context.now_ns)
            for state in journal.destinations
        ],
        "overdue": [
            {"job_id": job.job_id, "job_name": job.name, "due_at": formats.iso(job.next_run_ns)}
            for job in status.overdue
        ],
        "disabled": status.settings.disabled,
        "content": status.settings.content,
        "content_jobs": status.settings.content_jobs,
        "config_problems": list(status.settings.problems),
    }


def _state_shape(
    state: DestinationStatus, refusals: Sequence[tuple[str, int]], now_ns: int
) -> Shape:
    oldest_ns = state.oldest_pending_ns
    return {
        "name": state.name,
        "endpoint": state.endpoint,
        "active": state.active,
        "delivered": state.delivered,
        "last_receipt_at": formats.iso(state.last_receipt_ns),
        "pending": state.pending,
        "oldest_pending_ended_at": formats.iso(oldest_ns),
        "oldest_pending_age_s": None if oldest_ns is None else (now_ns - oldest_ns) / NS,
        "refused": state.refused,
        "refusals": [{"reason": reason, "runs": number} for reason, number in refusals],
        "given_up": state.given_up,
        "failures": state.failures,
        "failing_since": formats.iso(state.failing_since_ns),
        "last_error": state.last_error,
        "next_attempt_at": formats.iso(state.next_attempt_ns),
        "asked_to_wait": state.asked_to_wait,
    }
