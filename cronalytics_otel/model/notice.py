"""Notices: what the owner of the jobs is told of at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .run import Outcome


class NoticeEvent(StrEnum):
    """What a notice reports."""

    FAILED = "failed"
    """A run failed."""
    FAILING = "failing"
    """So many runs of a job have failed in a row."""
    MISSED = "missed"
    """A job was due and did not run."""
    OVERDUE = "overdue"
    """A job is past its time now."""
    OVER_BUDGET = "over_budget"
    """A run cost more than a run may, or the budget of a day or a month is exceeded."""
    RECOVERED = "recovered"
    """A job that had failed, or was overdue, has succeeded."""
    STARTED = "started"
    """A run has begun. For pings only, as the next one."""
    SUCCEEDED = "succeeded"
    """A run succeeded, or its gate found nothing to do."""


MESSAGE_EVENTS = tuple(
    event for event in NoticeEvent if event not in (NoticeEvent.STARTED, NoticeEvent.SUCCEEDED)
)
"""The events that a message can report."""

PING_EVENTS = (NoticeEvent.STARTED, NoticeEvent.SUCCEEDED, NoticeEvent.FAILED)
"""The events that a ping reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event of one job. Its texts are masked before it is written down."""

    event: NoticeEvent
    key: str
    """What it is about: the id of the run, the job and the time that it was due for, or the budget and its period.
    Each target has one notice of an event and a key."""
    job_id: str
    job_name: str
    """What the sentence begins with: `all jobs` where it is about no single job, whose id is '' then."""
    at_ns: int
    """When it happened, or was found."""
    text: str
    """The rest of a sentence that begins with the job's name: `failed: HTTP 429`."""
    occurrences: int = 1
    """How many it stands for: one row of missed runs is several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPast:
    """What is known of a job besides the run at hand."""

    outcomes: tuple[Outcome, ...] = ()
    """How the runs before it ended, the newest first: those that succeeded or failed, at most
    `MAX_FAILING_AFTER`."""
    failed_since: bool = False
    """Whether a run that began later has failed: then it has not recovered."""
    was_overdue: bool = False
    """Whether it was reported as overdue, and this is its first run since."""


MAX_FAILING_AFTER = 20
"""The most failures in a row that can be waited for."""
