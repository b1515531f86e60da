"""What the host's files say of a run: one record for each kind of row or file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from enum import StrEnum
from typing import NamedTuple

from .run import OUTPUT_ID, DeliveryOutcome
from .times import to_datetime, wall_clock_ns
from .usage import ModelUsage

TERMINAL = frozenset({"completed", "failed", "unknown"})
OPEN = frozenset({"claimed", "running"})


class Watermark(NamedTuple):
    """The newest row of a host's table that was read: trusted only while that rowid still holds that id."""

    rowid: int = 0
    row_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One row of the ledger. `started_ns` is None when the run never began."""

    execution_id: str
    job_id: str
    source: str
    """`builtin` (scheduler), `direct` (`hermes cron run`), or a scheduler provider's name."""
    status: str
    claimed_ns: int
    started_ns: int | None
    finished_ns: int | None
    error: str | None
    pid: int | None
    process_started_at: int | None
    delivery_outcome: DeliveryOutcome | None
    """The host's `delivery_outcome`; None where it writes none."""
    scheduled_ns: int | None
    """The host's `scheduled_instant`; None where it writes none."""
    utc_offset_s: int | None = None
    """The offset from UTC that the host's clock had at the claim; None where the host wrote none."""

    def zone_in(self, home: tzinfo) -> tzinfo:
        """Return the zone that the host was in. It is the home's as it is now, unless the offset is
        another one: the home was moved since, and of its zone then only the offset is known."""
        if self.utc_offset_s is None:
            return home
        offset = timedelta(seconds=self.utc_offset_s)
        is_same = to_datetime(self.claimed_ns, home).utcoffset() == offset
        return home if is_same else timezone(offset)

    @property
    def is_terminal(self) -> bool:
        """Whether the host will not change the row any more."""
        return self.status in TERMINAL

    @property
    def is_open(self) -> bool:
        """Whether it is claimed or running. A status that we do not know is neither open nor terminal."""
        return self.status in OPEN

    @property
    def ended_itself(self) -> bool:
        """Whether its own process wrote how it ended. `unknown` means that the process died."""
        return self.status in ("completed", "failed")

    @property
    def counted_from_ns(self) -> int:
        """The time from which the host counts the next due time: the end, or the claim if it has none."""
        ended_ns = self.finished_ns if self.ended_itself else None
        return self.claimed_ns if ended_ns is None else ended_ns

    @property
    def began_ns(self) -> int:
        return self.started_ns if self.started_ns is not None else self.claimed_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRun:
    """An open row of the ledger: a run that is going on, or one whose process has died."""

    execution: Execution
    process_is_gone: bool
    """True only on proof."""


class LastMessage(NamedTuple):
    """The newest message of a session: whether it is an answer, and what the host makes of it.

    (A tuple, as `Session` is: a first sync makes one of each for every run, and a frozen dataclass takes
    three times as long to make.)
    """

    role: str
    timestamp_ns: int | None
    head: str
    """Its first 200 characters, without blanks around the message."""
    tail: str
    """Its last 200 characters."""
    ends_turn: bool = False
    """The model ended its turn with it, and asked for no tool."""
    asks_for_silence: bool = False
    """By the host's rule, it asks that nothing be delivered."""
    ends_run: bool = False
    """The host wrote it when the run was over, although it may never write that the session ended."""
    raised_if_failed: bool = False
    """If the host calls the run failed, the error that it has is this answer, perhaps changed."""


class Session(NamedTuple):
    """One row of the host's sessions: an agent's conversation."""

    session_id: str
    job_id: str | None
    """Read from the session id; None for a subagent's or a chat's session."""
    parent_id: str | None
    is_subagent: bool
    """False for the continuation of a session whose history was compressed."""
    source: str | None
    started_ns: int
    ended_ns: int | None
    title: str | None
    tool_calls: int | None
    """None where the host does not count them."""
    model_usage: ModelUsage
    base_url: str | None = None
    """The provider's, as the host has it."""
    last_message: LastMessage | None = None
    end_reason: str | None = None
    """The host's word for why it ended."""
    wall_clock: str | None = None
    """`YYYYMMDDHHMMSS` from the session's id: the home's wall clock when the agent was called."""
    has_uncounted_call: bool = False
    """The host did not count a call of a model: usage and cost are lower bounds."""
    resumed_ns: int | None = None
    """When somebody went on with the session after its run. Nothing from then on belongs to the run."""

    @property
    def compressed(self) -> bool:
        """Whether it ended because its history was compressed; another session continues it."""
        return self.end_reason == "compression"

    @property
    def moved_ns(self) -> int:
        """When it was last seen to be at work: its start, or its newest message."""
        last = self.last_message.timestamp_ns if self.last_message else None
        return max(self.started_ns, last or 0)

    def called_ns(self, zone: tzinfo) -> tuple[int, ...]:
        """Return when the agent was called, in whole seconds: two times in the hour that autumn
        repeats, none where the id has no stamp."""
        if self.wall_clock is None:
            return ()
        return wall_clock_ns(self.wall_clock, "%Y%m%d%H%M%S", zone)


class OutputStatus(StrEnum):
    """How a run ended by its output file; the host's own texts stand beside each."""

    ANSWERED = "answered"
    """`## Response`, or a script's output."""
    EMPTY = "empty"
    """`## Response`, and the host's words for an empty reply of the model."""
    FAILED = "failed"
    """`(FAILED)` in the title and `## Error` at the end, `script failed` or `BLOCKED` as status."""
    GATED = "gated"
    """`Script gate returned wakeAgent=false`."""
    NOTHING = "nothing"
    """An empty file: the script before the agent had no data for it, and it was not woken."""
    NO_OUTPUT = "no_output"
    """A script that printed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What an output file says of its run."""

    status: OutputStatus
    name: str | None
    """The job's name."""
    schedule: str | None
    """The job's schedule, in words."""
    is_script: bool
    error: str | None
    asks_for_silence: bool = False
    """By the host's rule, what a script printed asks that nothing be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """An output file, and when it was saved (whole seconds)."""

    job_id: str
    name: str
    saved_ns: int

    @property
    def run_id(self) -> str:
        """`output_<job id>_<YYYYMMDD>_<HHMMSS>`, which is the same wherever the file is read."""
        stamp = self.name.removesuffix(".md").replace("-", "")
        return f"{OUTPUT_ID}{self.job_id}_{stamp}"


@dataclass(frozen=True, slots=True)
class FedOutput:
    """An output of another job in a prompt. `saved` is its `Run Time`, on the home's wall clock."""

    job_id: str
    saved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a run's prompt shows of the run.

    When a skill was missing or the script failed, the agent began without what its job names. The host
    counts such a run as completed.
    """

    missing_skills: str | None = None
    """The names of the skills that were not found."""
    script_ran: bool = False
    """A script was to run before the agent, and it ran or failed."""
    script_error: str | None = None
    """The host's text on the script that failed."""
    fed: tuple[FedOutput, ...] = ()
