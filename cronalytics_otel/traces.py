"""The traces of runs as they are sent: the root from the journal, the steps from the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .config import Settings
from .export import BuildTraces
from .host import state_db
from .host.home import Home
from .host.sqlite import HostCorruptError, HostSchemaError, reading
from .journal import Journal
from .journal.outbox import Entry
from .model import Conversation, Run, Span

READ_AT_ONCE, READ_AT_ONCE_WITH_CONTENT = 256, 16
"""Runs whose messages are in memory together: with what was said, each may hold megabytes."""


def trace_builder(home: Home, settings: Settings, journal: Journal) -> BuildTraces:
    """Builds traces as they are sent: the root from the journal, the steps from the host."""
    from .telemetry.content import ContentMode, ContentPolicy
    from .telemetry.semconv import Steps
    from .telemetry.spans import build_trace

    content = ContentPolicy(
        mode=ContentMode(settings.content), max_chars=settings.content_max_chars
    )

    with_content = content.mode is not ContentMode.OFF
    at_once = READ_AT_ONCE_WITH_CONTENT if with_content else READ_AT_ONCE

    def build(entries: Sequence[Entry]) -> Iterator[list[Span] | None]:
        for at in range(0, len(entries), at_once):
            runs = [entry.run for entry in entries[at : at + at_once]]
            conversations = read_conversations(home, runs, with_content=with_content)
            details = journal.details([run.session_id for run in runs if run.session_id])
            for run in runs:
                if run.session_id is not None and conversations is None:
                    yield None
                    continue
                conversation = (conversations or {}).pop(run.session_id or "", None)
                pruned = run.session_id is not None and conversation is None
                yield build_trace(
                    run,
                    conversation,
                    steps=Steps.HOST_PRUNED if pruned else Steps.COMPLETE,
                    previous=journal.views.previous(run),
                    sources=journal.views.sources(run),
                    content=content,
                    details=details,
                )

    return build


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
    from .telemetry.semconv import Steps
    from .telemetry.spans import build_trace

    (trace,) = trace_builder(home, settings, journal)([Entry(0, run)])
    if trace is not None:
        return trace
    return build_trace(
        run,
        None,
        steps=Steps.HOST_PRUNED,
        previous=journal.views.previous(run),
        sources=journal.views.sources(run),
    )
