"""A finding: one thing that is wrong now. Every view, and every check of another program, shows the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..journal import Journal
from ..journal.facts import FINDINGS_SHOWN


class FindingKind(StrEnum):
    """What can be wrong, the worst first."""

    SCHEDULER_DEAD = "scheduler_dead"
    UNREADABLE = "unreadable"
    STALE_DATA = "stale_data"
    FAILING_IN_A_ROW = "failing_in_a_row"
    FAILING = "failing"
    HUNG = "hung"
    OVERDUE = "overdue"
    MISSED = "missed"
    LATE = "late"
    SCRIPT_ERROR = "script_error"
    """The run went on without the data of its script."""
    UNDELIVERED = "undelivered"
    OVER_BUDGET = "over_budget"
    REFUSED = "refused"
    PENDING = "pending"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    kind: FindingKind
    text: str
    """A sentence without its subject and without the time: what is wrong."""
    advice: str
    """What to do about it."""
    job_id: str | None = None
    subject: str | None = None
    """The job's name, or the name of the destination or of the file; None where there is only one."""
    since_ns: int | None = None
    episode: str = ""
    """What tells it from an earlier finding of the same kind and subject."""

    @property
    def finding_id(self) -> str:
        """The same for the same thing, as long as it lasts."""
        return "|".join((self.kind, self.job_id or self.subject or "", self.episode))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings, the worst first."""
    ranks = {kind: n for n, kind in enumerate(FindingKind)}
    return tuple(
        sorted(
            findings,
            key=lambda f: (ranks[f.kind], (f.subject or "").casefold(), f.since_ns or 0),
        )
    )


def new_findings(journal: Journal, findings: Sequence[Finding]) -> list[Finding]:
    """Return those that were not there at the last call of `remember_findings`."""
    shown = journal.facts.get(FINDINGS_SHOWN)
    return [finding for finding in findings if finding.finding_id not in shown]


def remember_findings(journal: Journal, findings: Sequence[Finding]) -> None:
    """Keep what was shown. What is gone by now is forgotten: if it comes back, it is new.

    Raises `JournalError` if this user may not write to the journal.
    """
    known = journal.facts.read()
    ids = tuple(sorted({finding.finding_id for finding in findings}))
    journal.facts.update(known, FINDINGS_SHOWN, ids)
