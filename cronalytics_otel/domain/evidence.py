"""The evidence of one run: what the host's files say of it, in one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from types import MappingProxyType
from typing import NamedTuple

from ..model import Execution, Job, ModelUsage, Output, OutputFile, Prompt, Session
from .sessions import last_of

UsageRows = Mapping[str, Sequence[tuple[str, ModelUsage]]]
"""By session id, its uses of models as (task, usage). The task of the conversation itself is empty."""


class PreviousRun(NamedTuple):
    """The job's run before this one."""

    began_ns: int
    counted_from_ns: int
    """The time that the host counted on from: the run's end, or its claim if it never came to an end."""


class Evidence(NamedTuple):
    """All that the host's files say of one run. (A tuple: one is made for each run.)"""

    profile: str
    job_id: str
    definition: Job | None
    """The definition that held at the run."""
    latest_definition: Job | None
    """The definition as it is now: its `last_*` fields describe the job's latest run."""
    execution: Execution | None
    session: Session | None
    name_then: str | None = None
    """The job's name that the host wrote beside the run, where no definition was seen by then."""
    descendants: Sequence[Session] = ()
    """Subagents and continuations of the session, parents first."""
    usage_rows: UsageRows = MappingProxyType({})
    tool_calls: Mapping[str, int] = MappingProxyType({})
    """By session id, the calls that were counted where the host's own count is wrong."""
    prompt: Prompt | None = None
    """None when the prompt was not read: the job has nothing that the host could have written there."""
    output: Output | None = None
    output_file: OutputFile | None = None
    """The file of `output`, for a run that left nothing else."""
    delivers_notice_of_empty_reply: bool = False
    """The host delivers a notice in place of an empty reply, unless it marks the run as failed."""
    host_due_ns: int | None = None
    """The time that the host itself had the run due for."""
    previous: PreviousRun | None = None
    is_out_of_turn: bool = False
    """The job was not due when its scheduler started this run: somebody asked for it."""
    zone_before: tzinfo | None = None
    """The zone that the host was in at the job's run before, if it was another one: the due time may have
    been counted in it."""
    counted_from_ns: int | None = None
    """The time that an interval counts from; None when nobody saw it."""
    last_activity_ns: int | None = None
    """For a run that never ended: when it last did something."""

    session_may_be_lost: bool = False
    """The run may have had a session that cannot be read, or that the host has deleted."""

    @property
    def last_session(self) -> Session | None:
        """The session that the agent's conversation ended in."""
        return last_of(self.session, self.descendants) if self.session is not None else None

    @property
    def sessions(self) -> Sequence[Session]:
        """The run's sessions, its own first."""
        return (self.session, *self.descendants) if self.session is not None else ()
