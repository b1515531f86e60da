"""What a harvest leaves for the views: the state of the host's files, and the jobs as they are now.

Views read these facts, so that they never open a file of the host.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from datetime import tzinfo

from ..host import jobs as jobs_file
from ..host.home import Home
from ..host.inspection import has_changed, inspect_sources
from ..host.sqlite import HostDataError
from ..journal import Journal
from ..journal.facts import (
    CURRENT_JOBS,
    FINGERPRINTS,
    GONE_JOBS,
    LAST_SYNC_NS,
    LEDGER_WATERMARK,
    SESSION_WATERMARK,
    SOURCES,
    FactValues,
)
from ..model import Job, SourceName, Watermark
from ..model.times import NS

GONE_JOBS_KEPT_NS = 30 * 86_400 * NS
"""How long it is known since when a job is gone."""


@contextmanager
def recording_sources(home: Home, journal: Journal, zone: tzinfo, now_ns: int) -> Iterator[None]:
    """Record the sources after a harvest, unless all are as they were recorded last.

    `zone` is that of the host's times without an offset. A source with a fault is looked at again by
    every harvest, because a lock or a permission leaves no trace in the file.
    """
    before = journal.facts.read()
    try:
        yield
    except OSError:  # a folder that this user may not enter
        record_sources(home, journal, zone, now_ns=now_ns)
        raise
    known, fingerprints = before.get(SOURCES), journal.facts.get(FINGERPRINTS)
    had_fault = any(source.fault is not None for source in known)
    if fingerprints != before.get(FINGERPRINTS):
        # The harvest came to its end. A file that it could not read has an empty fingerprint.
        sound = {name for name, fingerprint in fingerprints.items() if fingerprint}
        same_jobs = fingerprints.get(SourceName.JOBS) == before.get(FINGERPRINTS).get(
            SourceName.JOBS
        )
        record_sources(home, journal, zone, now_ns=now_ns, just_read=sound, same_jobs=same_jobs)
    elif had_fault or has_changed(home, known):
        record_sources(home, journal, zone, now_ns=now_ns)


def record_sources(
    home: Home,
    journal: Journal,
    zone: tzinfo,
    *,
    now_ns: int,
    just_read: Container[str] = (),
    same_jobs: bool = False,
) -> None:
    """Write the state of the sources, and the jobs as they are now unless they are the same.

    The sources in `just_read` are known to be without a fault. Raises `JournalError`, and never for
    a fault of the host's files.
    """
    known = journal.facts.read()
    had_rows = names_with_rows(known)
    sources = inspect_sources(home, just_read=just_read, had_rows=had_rows)
    is_lost = SourceName.JOBS in had_rows and not home.jobs.exists()
    jobs = None if same_jobs or is_lost else _current_jobs(home, zone)
    with journal.atomic():
        journal.facts.update(known, SOURCES, sources)
        if jobs is not None:
            seen_ns = known.get(LAST_SYNC_NS) or now_ns
            gone = _gone(known.get(CURRENT_JOBS), jobs, known.get(GONE_JOBS), seen_ns, now_ns)
            journal.facts.update(known, CURRENT_JOBS, jobs)
            journal.facts.update(known, GONE_JOBS, gone)


def names_with_rows(facts: FactValues) -> frozenset[SourceName]:
    """Return the sources in which an earlier harvest found something: they cannot be missing or empty."""
    marks = {SourceName.LEDGER: LEDGER_WATERMARK, SourceName.SESSIONS: SESSION_WATERMARK}
    found = {name for name, mark in marks.items() if (facts.get(mark) or Watermark()).rowid}
    was_there = any(
        source.name == SourceName.JOBS and (source.exists or source.fault is not None)
        for source in facts.get(SOURCES)
    )
    return frozenset(found | {SourceName.JOBS} if was_there and facts.get(CURRENT_JOBS) else found)


def _current_jobs(home: Home, zone: tzinfo) -> tuple[Job, ...] | None:
    """Return the jobs as they are now. None if the file cannot be read: what was known stays, and its
    source has the fault.

    The file is read again here, because a harvest with nothing to read has no definitions in memory.
    """
    try:
        return tuple(jobs_file.parse(jobs_file.read_text(home.jobs) or "{}", home.jobs, zone))
    except HostDataError:
        return None


def _gone(
    before: tuple[Job, ...],
    now: tuple[Job, ...],
    known: Mapping[str, int],
    seen_ns: int,
    now_ns: int,
) -> dict[str, int]:
    """Return since when each job is gone, for those that have not been gone for long.

    `seen_ns` is the time of the sync before, which saw the jobs that were there then.
    """
    present = {job.job_id for job in now}
    gone = {job.job_id: seen_ns for job in before} | dict(known)
    return {
        job_id: since_ns
        for job_id, since_ns in gone.items()
        if job_id not in present and now_ns - since_ns < GONE_JOBS_KEPT_NS
    }
