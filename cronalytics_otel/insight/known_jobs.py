"""Every job that is known, and which one a person means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..journal import Journal
from ..journal.facts import CURRENT_JOBS, GONE_JOBS
from ..model import Job
from .profiles import Profiles

MAX_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job that the host has, or once had."""

    profile: str
    job_id: str
    name: str
    """As jobs.json has it, else as it was at the newest run or in the last definition."""
    former_names: frozenset[str]
    current: Job | None
    """As the last sync read it; None if it is not in jobs.json any more."""
    definitions: tuple[tuple[int, Job], ...]
    """Each definition with the time at which it was first seen, oldest first."""
    first_run_ns: int | None
    """When its oldest known run was due, else was claimed, else began."""
    first_run_was_manual: bool
    """Whether a person started that run: it was not due."""
    gone_since_ns: int | None
    """When a sync saw it last, if it is not in jobs.json any more and a sync has seen it go."""

    @property
    def latest(self) -> Job | None:
        """Its definition as it is now, or was last."""
        return self.current or (self.definitions[-1][1] if self.definitions else None)


class UnknownJobError(LookupError):
    """No job matches."""

    def __init__(self, reference: str, suggestions: Sequence[str]) -> None:
        super().__init__(f"no job is called {reference!r}")
        self.reference = reference
        self.suggestions = tuple(suggestions)
        """The most similar names."""


class AmbiguousJobError(LookupError):
    """Several jobs match."""

    def __init__(self, reference: str, candidates: Iterable[KnownJob]) -> None:
        super().__init__(f"more than one job matches {reference!r}")
        self.reference = reference
        self.candidates = tuple(sorted(candidates, key=lambda job: (job.name, job.job_id)))


def known_jobs(profiles: Profiles) -> list[KnownJob]:
    """Return every job that is in jobs.json, had a definition or had a run, in the order of their names."""
    found = [job for name, journal in profiles for job in _known_jobs(name, journal)]
    return sorted(found, key=lambda job: (job.name.casefold(), job.profile, job.job_id))


def _known_jobs(profile: str, journal: Journal) -> list[KnownJob]:
    facts = journal.facts.read()
    current = {job.job_id: job for job in facts.get(CURRENT_JOBS)}
    gone = facts.get(GONE_JOBS)
    definitions = journal.jobs.history()
    lifetimes = journal.job_runs.lifetimes()
    found = []
    for job_id in {*current, *definitions, *lifetimes}:
        history = definitions.get(job_id, [])
        lifetime = lifetimes.get(job_id)
        names = [job.name for _, job in history]
        if lifetime is not None:
            names.append(lifetime.job_name)
        if job_id in current:
            names.append(current[job_id].name)
        found.append(
            KnownJob(
                profile=profile,
                job_id=job_id,
                name=names[-1],
                former_names=frozenset(names[:-1]) - {names[-1]},
                current=current.get(job_id),
                definitions=tuple(history),
                first_run_ns=None if lifetime is None else lifetime.first_run_ns,
                first_run_was_manual=lifetime is not None and lifetime.first_was_manual,
                gone_since_ns=gone.get(job_id),
            )
        )
    return found


def find_jobs(jobs: Sequence[KnownJob], reference: str) -> list[KnownJob]:
    """Return the jobs that a person means by an id, a name, or a part of one, in any case.

    An exact id wins over a name, a name over a former name, and a whole name over a part. All jobs of the
    same name are meant together: a job that was made anew has another id. A part has to mean one job.
    Raises `UnknownJobError` or `AmbiguousJobError`.
    """
    wanted = reference.casefold().strip()
    if not wanted:
        raise UnknownJobError(reference, ())
    for exact in (
        [job for job in jobs if job.job_id.casefold() == wanted],
        [job for job in jobs if job.name.casefold() == wanted],
        [job for job in jobs if wanted in map(str.casefold, job.former_names)],
    ):
        if exact:
            return exact
    for partial in (
        [job for job in jobs if wanted in job.name.casefold()],
        [job for job in jobs if job.job_id.casefold().startswith(wanted)],
    ):
        if len({(job.profile, job.name.casefold()) for job in partial}) > 1:
            raise AmbiguousJobError(reference, partial)
        if partial:
            return partial
    raise UnknownJobError(reference, _suggestions(jobs, wanted))


def find_job(jobs: Sequence[KnownJob], reference: str) -> KnownJob:
    """Return the one job that a person means; see `find_jobs`.

    Of several with the same name, the only one that is still there is meant.
    """
    found = find_jobs(jobs, reference)
    present = [job for job in found if job.current is not None]
    if len(found) == 1 or len(present) == 1:
        return (present or found)[0]
    raise AmbiguousJobError(reference, found)


def _suggestions(jobs: Iterable[KnownJob], wanted: str) -> list[str]:
    names = {job.name.casefold(): job.name for job in jobs}
    close = get_close_matches(wanted, list(names), MAX_SUGGESTIONS)
    return [names[name] for name in close]
