"""The traces of runs as they are sent: the root from the journal, the steps from the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..config import Settings
from ..faults import report_own_fault
from ..host import state_db
from ..host.home import Home
from ..host.sqlite import HostCorruptError, HostSchemaError, reading
from ..journal import Journal
from ..journal.outbox import Entry
from ..model import Conversation, Observations, Run, RunKey, Span
from .exporter import BuildTraces

if TYPE_CHECKING:
    from ..telemetry.content import ContentPolicy

READ_AT_ONCE, READ_AT_ONCE_WITH_CONTENT = 256, 16
"""Runs whose messages are in memory together: with content, each may hold megabytes."""


class _UnreadableError(Exception):
    """The file of the conversations is missing or cannot be read."""


def trace_builder(home: Home, settings: Settings, journal: Journal) -> BuildTraces:
    """Return a function that builds traces as they are sent."""
    content = content_policy(settings)

    def build_traces(entries: Sequence[Entry]) -> Iterator[list[Span] | None]:
        for runs in _groups([entry.run for entry in entries], content):
            yield from _traces_of_group(home, journal, runs, content)

    return build_traces


def preview_trace(home: Home, settings: Settings, journal: Journal, run: Run) -> list[Span]:
    """Return the spans of this run as they would be sent now.

    If its steps cannot be read, the trace is the root alone, marked as if the host had deleted them.
    """
    (trace,) = _traces_of_group(home, journal, [run], content_policy(settings))
    if trace is not None:
        return trace
    from ..telemetry.semconv import Partial
    from ..telemetry.traces.trace import build_trace

    return build_trace(
        run,
        None,
        partial=Partial.HOST_PRUNED,
        previous=journal.queries.previous(run),
        sources=journal.queries.context_runs(run),
    )


def content_policy(settings: Settings) -> ContentPolicy:
    """Return the settings' policy on which runs' content is sent."""
    from ..telemetry.content import ContentMode, ContentPolicy

    return ContentPolicy(
        mode=ContentMode(settings.content),
        jobs={job: ContentMode(mode) for job, mode in settings.content_jobs.items()},
        max_chars=settings.content_max_chars,
    )


def _traces_of_group(
    home: Home, journal: Journal, runs: Sequence[Run], content: ContentPolicy
) -> Iterator[list[Span] | None]:
    """Build the traces of runs whose messages may be in memory together.

    None stands for a run whose steps cannot be read for now. (A run without a session needs none.)
    """
    conversations: dict[str, Conversation] = {}
    is_readable = True
    try:
        conversations = _conversations(home, runs, content)
    except _UnreadableError:
        is_readable = False
    observations = journal.observations.of([run.session_id for run in runs if run.session_id])
    previous = journal.queries.previous_keys(runs)
    for run in runs:
        if run.session_id is not None and not is_readable:
            yield None
            continue
        yield _trace_or_root_only(
            run,
            None if run.session_id is None else conversations.pop(run.session_id, None),
            previous=previous.get((run.job_id, run.started_ns)),
            sources=journal.queries.context_runs(run) if run.fed_by else (),
            content=content,
            observations=observations,
        )


def _trace_or_root_only(
    run: Run,
    conversation: Conversation | None,
    *,
    previous: RunKey | None,
    sources: Sequence[Run],
    content: ContentPolicy,
    observations: Mapping[str, Observations],
) -> list[Span]:
    """Build a trace. It is the root alone if the host has deleted the steps, or at a fault of our own."""
    from ..telemetry.semconv import Partial
    from ..telemetry.traces.trace import build_trace

    is_pruned = run.session_id is not None and conversation is None
    try:
        return build_trace(
            run,
            conversation,
            partial=Partial.HOST_PRUNED if is_pruned else None,
            previous=previous,
            sources=sources,
            content=content,
            observations=observations,
        )
    except Exception as error:  # noqa: BLE001 - our own fault, and only this run loses its steps
        report_own_fault(error)
    return build_trace(run, None, partial=Partial.TRUNCATED, previous=previous, sources=sources)


def _groups(runs: Sequence[Run], content: ContentPolicy) -> Iterator[list[Run]]:
    """Yield runs in their order, in groups that may be in memory together."""
    group: list[Run] = []
    with_content = 0
    for run in runs:
        included = content.includes(run)
        if len(group) == READ_AT_ONCE or (included and with_content == READ_AT_ONCE_WITH_CONTENT):
            yield group
            group, with_content = [], 0
        group.append(run)
        with_content += included
    if group:
        yield group


def _conversations(
    home: Home, runs: Sequence[Run], content: ContentPolicy
) -> dict[str, Conversation]:
    """Read the conversations, with texts only for runs whose content is sent."""
    without_content = [run for run in runs if not content.includes(run)]
    found = _read_conversations(home, without_content, with_content=False)
    if len(without_content) == len(runs):
        return found
    runs_with_content = [run for run in runs if content.includes(run)]
    return found | _read_conversations(home, runs_with_content, with_content=True)


def _read_conversations(
    home: Home, runs: Sequence[Run], *, with_content: bool
) -> dict[str, Conversation]:
    """Return by session id what the host still has of these runs' conversations.

    Raises `_UnreadableError` when the file is missing or cannot be read (the harvest reports that):
    these traces wait until its owner repairs it or Hermes makes a new one. Raises `HostBusyError` when
    it is locked for now.
    """
    ids = [run.session_id for run in runs if run.session_id is not None]
    if not ids:
        return {}
    if not home.state_db.exists():
        raise _UnreadableError
    in_ledger = {run.session_id for run in runs if run.session_id and run.execution_id is not None}
    try:
        with reading(home.state_db) as connection:
            reader = state_db.StateReader(connection, home.state_db)
            return reader.conversations(ids, with_content=with_content, in_ledger=in_ledger)
    except (HostCorruptError, HostSchemaError) as error:
        raise _UnreadableError from error
