"""What a harvest leaves for the views: the state of the host's files, and when each job is due next.

Views read these facts, so that they never open a file of the host.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from datetime import tzinfo

from ..host import jobs as jobs_file
from ..host.home import Home
from ..host.inspection import has_changed, inspect_sources
from ..host.sqlite import HostDataError
from ..journal import Journal
from ..journal.facts import DUE_JOBS, FINGERPRINTS, SOURCES
from ..model import DueJob, Job, ScheduleKind, SourceName


@contextmanager
def recording_sources(home: Home, journal: Journal, zone: tzinfo) -> Iterator[None]:
    """Record the sources after a harvest, unless all are as they were recorded last.

    `zone` is that of the host's times without an offset. A source with a fault is looked at again by
    every harvest, because a lock or a permission leaves no trace in the file.
    """
    before = journal.facts.read()
    try:
        yield
    except OSError:  # a folder that this user may not enter
        record_sources(home, journal, zone)
        raise
    known, fingerprints = before.get(SOURCES), journal.facts.get(FINGERPRINTS)
    had_fault = any(source.fault is not None for source in known)
    if fingerprints != before.get(FINGERPRINTS):
        # The harvest came to its end. A file that it could not read has an empty fingerprint.
        sound = {name for name, fingerprint in fingerprints.items() if fingerprint}
        same_jobs = fingerprints.get(SourceName.JOBS) == before.get(FINGERPRINTS).get(
            SourceName.JOBS
        )
        record_sources(home, journal, zone, just_read=sound, same_jobs=same_jobs)
    elif had_fault or has_changed(home, known):
        record_sources(home, journal, zone)


def record_sources(
    home: Home,
    journal: Journal,
    zone: tzinfo,
    *,
    just_read: Container[str] = (),
    same_jobs: bool = False,
) -> None:
    """Write the state of the sources, and when each job is due next unless the jobs are the same.

    The sources in `just_read` are known to be without a fault. Raises `JournalError`, and never for
    a fault of the host's files.
    """
    sources = inspect_sources(home, just_read=just_read)
    due_jobs = None if same_jobs else _due_jobs(home, zone)
    known = journal.facts.read()
    with journal.atomic():
        journal.facts.update(known, SOURCES, sources)
        if due_jobs is not None:
            journal.facts.update(known, DUE_JOBS, due_jobs)


def _due_jobs(home: Home, zone: tzinfo) -> tuple[DueJob, ...] | None:
    """Return when each job is due next. None if the file cannot be read: what was known stays, and its
    source has the fault.

    The file is read again here, because a harvest with nothing to read has no definitions in memory.
    """
    try:
        jobs = jobs_file.parse(jobs_file.read_text(home.jobs) or "{}", home.jobs, zone)
    except HostDataError:
        return None
    return tuple(
        DueJob(job_id=job.job_id, job_name=job.name, due_ns=job.next_run_ns)
        for job in jobs
        if job.next_run_ns is not None and job.enabled and not _is_one_shot(job)
    )


def _is_one_shot(job: Job) -> bool:
    """Return whether it is a one-shot: it stays due for its time while it runs, so that time proves
    nothing."""
    return job.schedule is not None and job.schedule.kind is ScheduleKind.ONCE
