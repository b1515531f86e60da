"""When a run that the host has not ended is over, and how long we wait for what it has yet to write."""

from __future__ import annotations

from ..host.processes import booted_since, owner_is_gone
from ..model import Execution, Job, Session
from ..model.times import NS

UNMATCHED_GRACE_NS = 60 * NS
"""How long an ended session without an execution waits for one to turn up."""

DELIVERY_GRACE_NS = 900 * NS
"""How long the delivery of an answer may take on a host without a ledger."""

REBOOT_GRACE_NS = 600 * NS
"""How long a row stays open after this machine was started anew: its owner may be elsewhere."""

STALE_NS = 24 * 3600 * NS
"""A session that has not moved for so long is over: the host itself ends idle runs in minutes."""


def is_abandoned(execution: Execution, *, seen_open_ns: int | None, now_ns: int) -> bool:
    """Proven by its process; or the machine was started anew, and a while has passed in which no
    other machine that may share the home has moved the row (first seen open at `seen_open_ns`)."""
    if owner_is_gone(execution.pid, execution.process_started_at, execution.claimed_ns):
        return True
    return (
        seen_open_ns is not None
        and now_ns - seen_open_ns > REBOOT_GRACE_NS
        and booted_since(execution.claimed_ns)
    )


def in_ledger_times(session: Session, begins_ns: int | None) -> bool:
    """Whether the ledger, whose oldest claim is `begins_ns`, must know this session's execution."""
    return begins_ns is not None and session.started_ns >= begins_ns


def last_moved_ns(session: Session) -> int:
    last = session.last_message.timestamp_ns if session.last_message else None
    return max(session.started_ns, last or 0)


def is_stale(session: Session, now_ns: int) -> bool:
    return now_ns - last_moved_ns(session) > STALE_NS


def waited_enough(session: Session, *, job: Job | None, begins_ns: int | None, now_ns: int) -> bool:
    """Without an execution: what the host writes after the session's end is written by then.

    `job` is its definition in jobs.json as it is now.
    """
    if session.ended_ns is None:
        return is_stale(session, now_ns)
    if not in_ledger_times(session, begins_ns) and job is not None:
        if (job.last_run_ns or 0) >= session.ended_ns:
            return True  # marked
        if begins_ns is None:  # no ledger: the job will be marked when its answer is delivered
            return now_ns - session.ended_ns > DELIVERY_GRACE_NS
    return now_ns - session.ended_ns > UNMATCHED_GRACE_NS
