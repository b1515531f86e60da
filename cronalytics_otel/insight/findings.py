"""A finding: one thing that is wrong now. Every view, and every check of another program, shows the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ..journal.facts import FINDINGS_SHOWN
from .profiles import Profile, Profiles


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


FoundIn: TypeAlias = tuple[str, Finding]
"""A profile, and what is wrong in it."""


_RANKS = {kind: n for n, kind in enumerate(FindingKind)}

_OF_EVERY_JOB = frozenset(
    {FindingKind.SCHEDULER_DEAD, FindingKind.UNREADABLE, FindingKind.STALE_DATA}
)
"""While one of these lasts, no job runs, or it is not known how any job does."""


def rank_of(finding: Finding) -> tuple[int, str, int]:
    """Return the key by which the worst findings come first."""
    return _RANKS[finding.kind], (finding.subject or "").casefold(), finding.since_ns or 0


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings, the worst first."""
    return tuple(sorted(findings, key=rank_of))


def concerns(finding: Finding, job_ids: Collection[str] | None) -> bool:
    """Return whether a finding concerns one of these jobs: it is their own, or concerns every job. None
    is all jobs."""
    return job_ids is None or finding.job_id in job_ids or finding.kind in _OF_EVERY_JOB


def is_of_other_job(finding: Finding, job_ids: Collection[str] | None) -> bool:
    """Return whether a finding is that of a job which is none of these. None is all jobs."""
    return job_ids is not None and finding.job_id is not None and finding.job_id not in job_ids


def new_findings(profiles: Profiles, found: Iterable[FoundIn]) -> list[FoundIn]:
    """Return those that were not there at the last call of `remember_findings`."""
    shown = {profile: journal.facts.get(FINDINGS_SHOWN) for profile, journal in profiles}
    return [(where, finding) for where, finding in found if finding.finding_id not in shown[where]]


def remember_findings(
    profile: Profile, everything: Iterable[FoundIn], shown: Iterable[FoundIn]
) -> None:
    """Keep what was shown, now or before, of everything that is wrong in this profile. What is gone by now
    is forgotten: if it comes back, it is new.

    Raises `JournalError` if this user may not write to the journal.
    """
    facts = profile.journal.facts
    known = facts.read()
    seen = {*known.get(FINDINGS_SHOWN), *_ids(shown, profile.name)}
    facts.update(known, FINDINGS_SHOWN, tuple(sorted(seen & _ids(everything, profile.name))))


def _ids(found: Iterable[FoundIn], profile: str) -> set[str]:
    return {finding.finding_id for where, finding in found if where == profile}
