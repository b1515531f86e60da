"""What a harvest leaves for the views: the state of the host's files, and when each job is due next.

Views read these facts, so that they never open a file of the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo

from ..host import jobs as jobs_file
from ..host.home import Home
from ..host.inspection import inspect_sources
from ..host.sqlite import HostDataError
from ..journal import Journal
from ..journal.facts import DUE_JOBS, FINGERPRINTS, SOURCES
from ..model import DueJob, Job, ScheduleKind


@contextmanager
def recording_sources(home: Home, journal: Journal, zone: tzinfo) -> Iterator[None]:
    """Record the sources after a harvest that read something, or that could not enter a folder.

    A harvest that read nothing leaves the fingerprints of the files as they were. A source that had
    a fault is looked at again by every harvest.
    """
    before = journal.facts.read()
    try:
        yield
    except OSError:  # a folder that this user may not enter
        record_sources(home, journal, zone)
        raise
    has_read = journal.facts.get(FINGERPRINTS) != before.get(FINGERPRINTS)
    had_fault = any(source.fault is not None for source in before.get(SOURCES))
    if has_read or had_fault:
        record_sources(home, journal, zone)


def record_sources(home: Home, journal: Journal, zone: tzinfo) -> None:
    """Write the state of the sources. `zone` is that of the host's times without an offset.

    Raises `JournalError`, and never for a fault of the host's files.
    """
    sources, due_jobs = inspect_sources(home), _due_jobs(home, zone)
    known = journal.facts.read()
    with journal.atomic():
        journal.facts.update(known, SOURCES, sources)
        journal.facts.update(known, DUE_JOBS, due_jobs)


def _due_jobs(home: Home, zone: tzinfo) -> tuple[DueJob, ...]:
    """Return none if the file cannot be read: the state of the source has the fault."""
    try:
        jobs = jobs_file.parse(jobs_file.read_text(home.jobs) or "{}", home.jobs, zone)
    except HostDataError:
        return ()
    return tuple(
        DueJob(job_id=job.job_id, job_name=job.name, due_ns=job.next_run_ns)
        for job in jobs
        if job.next_run_ns is not None and job.enabled and not _is_one_shot(job)
    )


def _is_one_shot(job: Job) -> bool:
    """A one-shot is still due for its time while it runs, so its time proves nothing."""
    return job.schedule is not None and job.schedule.kind is ScheduleKind.ONCE
