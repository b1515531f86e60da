"""What to wait for: when a run that the host has not ended is over, and how long its files take."""

from __future__ import annotations

from collections.abc import Mapping

from ..host.outputs import Outputs
from ..host.processes import booted_since, process_is_gone
from ..model import Execution, Job, Session
from ..model.times import NS

UNMATCHED_GRACE_NS = 60 * NS
"""How long an ended session without an execution waits for one to appear."""

OUTPUT_AFTER_END_NS = 60 * NS
"""An output file is saved at most this much later than its session ends."""

DELIVERY_GRACE_NS = 900 * NS
"""How long the delivery of an answer may take on a host without a ledger."""

REBOOT_GRACE_NS = 600 * NS
"""How long a row stays open after this machine has rebooted: its process may run on another machine."""

UNREADABLE_NS = 7 * 24 * 3600 * NS
"""How long a run waits for a file of the host that cannot be read. Its owner may restore it by then."""

STALE_NS = 24 * 3600 * NS
"""A session in which nothing has happened for so long is over: the host itself ends idle runs in
minutes."""


def is_abandoned(execution: Execution, *, seen_open_ns: int | None, now_ns: int) -> bool:
    """Return whether an open execution's process is gone.

    Either its process is gone, or this machine has rebooted since and the row has stayed open for
    REBOOT_GRACE_NS (another machine that shares the home could still be running it). The row was first
    seen open at `seen_open_ns`.
    """
    if process_is_gone(execution.pid, execution.process_started_at, execution.claimed_ns):
        return True
    return (
        seen_open_ns is not None
        and now_ns - seen_open_ns > REBOOT_GRACE_NS
        and booted_since(execution.claimed_ns)
    )


class Readiness:
    """Decides which sessions without an execution can become final now."""

    def __init__(
        self,
        jobs: Mapping[str, Job],
        outputs: Outputs,
        *,
        ledger_oldest_claim_ns: int | None,
        ledger_is_unreadable: bool,
        now_ns: int,
    ) -> None:
        """`jobs` are the definitions as they are now, `ledger_oldest_claim_ns` the ledger's oldest
        claim."""
        self._ledger_is_unreadable = ledger_is_unreadable
        self._jobs = jobs
        self._outputs = outputs
        self._ledger_oldest_claim_ns = ledger_oldest_claim_ns
        self._now_ns = now_ns

    def may_wait(self, moved_ns: int) -> bool:
        """Return whether a run that last moved at this time still waits for a file that cannot be read."""
        return self._now_ns - moved_ns <= UNREADABLE_NS

    def ledger_covers(self, session: Session) -> bool:
        """Return whether the ledger must know this session's execution."""
        return (
            self._ledger_oldest_claim_ns is not None
            and session.started_ns >= self._ledger_oldest_claim_ns
        )

    def is_complete(self, session: Session) -> bool:
        """Return whether the host has written all that it writes after this session's end."""
        ended_ns = session.ended_ns
        if self._ledger_is_unreadable and self.may_wait(session.moved_ns):
            return False
        if ended_ns is None:
            return self._is_stale(session)
        job = self._jobs.get(session.job_id or "")
        if self._ledger_oldest_claim_ns is None:
            is_delivered = self._was_delivered(session, job, ended_ns)
            grace_ns = DELIVERY_GRACE_NS if job is not None else UNMATCHED_GRACE_NS
        else:
            is_older = not self.ledger_covers(session)
            is_delivered = is_older and job is not None and (job.last_run_ns or 0) >= ended_ns
            grace_ns = UNMATCHED_GRACE_NS
        return is_delivered or self._now_ns - ended_ns > grace_ns

    def conversation_is_over(self, root: Session, last: Session) -> bool:
        """Return whether a conversation that was compressed and continued in `last` has ended."""
        if not root.compressed or last.ended_ns is not None or self._is_stale(last):
            return True
        # Some hosts never end what they continued under a new id: they only write the job's last_run_at,
        # or delete the job. If the user has deleted the job, there is no such sign, so the answer itself
        # is accepted.
        job = self._jobs.get(root.job_id or "")
        if self._was_delivered(root, job, last.moved_ns):
            return True
        message = last.last_message
        return (
            message is not None
            and message.ends_run
            and self._now_ns - last.moved_ns > DELIVERY_GRACE_NS
        )

    def _was_delivered(self, session: Session, job: Job | None, done_ns: int) -> bool:
        """Return whether the host has written the job's last_run_at since its agent was done, or has
        saved an output file and deleted the job, as it does with a one-shot."""
        if job is not None:
            return (job.last_run_ns or 0) >= done_ns
        saved = self._outputs.between(
            session.job_id or "", done_ns - NS, done_ns + OUTPUT_AFTER_END_NS
        )
        return bool(saved)

    def _is_stale(self, session: Session) -> bool:
        return self._now_ns - session.moved_ns > STALE_NS
