"""The traces of runs as they are sent: the root from the journal, the steps from the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..config import Settings
from ..faults import report_own_fault
from ..host import state_db
from ..host.home import Home
from ..host.sqlite import HostCorruptError, HostSchemaError, reading
from ..journal import Journal
from ..journal.outbox import Entry
from ..model import Conversation, Run, Span
from .exporter import BuildTraces

if TYPE_CHECKING:
    from ..telemetry.content import ContentPolicy

READ_AT_ONCE, READ_AT_ONCE_WITH_CONTENT = 256, 16
"""Runs whose messages are in memory together: with what was said, each may hold megabytes."""


def trace_builder(home: Home, settings: Settings, journal: Journal) -> BuildTraces:
    """Builds traces as they are sent: the root from the journal, the steps from the host."""
    from ..telemetry.semconv import Steps

    content = content_policy(settings)

    def build(entries: Sequence[Entry]) -> Iterator[list[Span] | None]:
        for runs in _batches([entry.run for entry in entries], content):
            conversations = _conversations(home, runs, content)
            details = journal.observations.of([run.session_id for run in runs if run.session_id])
            for run in runs:
                if run.session_id is not None and conversations is None:
                    yield None
                    continue
                conversation = (conversations or {}).pop(run.session_id or "", None)
                pruned = run.session_id is not None and conversation is None
                trace = _linked(journal, run)
                steps = Steps.HOST_PRUNED if pruned else Steps.COMPLETE
                try:
                    spans = trace(conversation, steps=steps, content=content, details=details)
                except Exception as error:  # noqa: BLE001 - ours, and of this run's steps alone
                    report_own_fault(error)
                    spans = trace(None, steps=Steps.TRUNCATED)
                yield spans

    return build


def content_policy(settings: Settings) -> ContentPolicy:
    from ..telemetry.content import ContentMode, ContentPolicy

    return ContentPolicy(
        mode=ContentMode(settings.content),
        jobs={job: ContentMode(mode) for job, mode in settings.content_jobs.items()},
        max_chars=settings.content_max_chars,
    )


def _batches(runs: Sequence[Run], content: ContentPolicy) -> Iterator[list[Run]]:
    """In their order; at most so many together as may be in memory."""
    batch: list[Run] = []
    wordy = 0
    for run in runs:
        included = content.includes(run)
        if len(batch) == READ_AT_ONCE or (included and wordy == READ_AT_ONCE_WITH_CONTENT):
            yield batch
            batch, wordy = [], 0
        batch.append(run)
        wordy += included
    if batch:
        yield batch


def _conversations(
    home: Home, runs: Sequence[Run], content: ContentPolicy
) -> dict[str, Conversation] | None:
    """As `read_conversations`; what was said is read of those runs alone whose content goes along."""
    silent = [run for run in runs if not content.includes(run)]
    found = read_conversations(home, silent, with_content=False)
    if len(silent) == len(runs) or found is None:
        return found
    said = read_conversations(home, [r for r in runs if content.includes(r)], with_content=True)
    return None if said is None else found | said


def read_conversations(
    home: Home, runs: Sequence[Run], *, with_content: bool
) -> dict[str, Conversation] | None:
    """By session id, what the host still has of these runs' conversations.

    None when the file is missing or cannot be read (the harvest says so): these traces wait for its
    owner to mend it, or for Hermes to make a new one. Raises `HostBusyError` when it is locked for now.
    """
    ids = [run.session_id for run in runs if run.session_id is not None]
    if not ids:
        return {}
    if not home.state_db.exists():
        return None
    try:
        with reading(home.state_db) as connection:
            reader = state_db.Reader(connection, home.state_db)
            return reader.conversations(ids, with_content=with_content)
    except (HostCorruptError, HostSchemaError):
        return None


def trace_of(home: Home, settings: Settings, journal: Journal, run: Run) -> list[Span]:
    """The spans of this run as they would be sent now; without its steps where they cannot be read."""
    from ..telemetry.semconv import Steps

    (trace,) = trace_builder(home, settings, journal)([Entry(0, run)])
    if trace is not None:
        return trace
    return _linked(journal, run)(None, steps=Steps.HOST_PRUNED)


def _linked(journal: Journal, run: Run) -> partial[list[Span]]:
    """`build_trace` of this run, with the runs that it links to."""
    from ..telemetry.traces.trace import build_trace

    return partial(
        build_trace,
        run,
        previous=journal.queries.previous(run),
        sources=journal.queries.sources(run),
    )
