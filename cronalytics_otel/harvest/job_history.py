"""Job definitions as they are, and as they were at each run: the host deletes a one-shot's when it
ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..host import jobs as jobs_file
from ..host.inspection import vanished_file
from ..host.sqlite import HostDataError
from ..model import Job, SourceName
from ..model.times import NS
from .context import HarvestContext
from .sources import names_with_rows

HALF_WRITTEN_PAUSES_S = (0.05, 0.1, 0.2, 0.2)
"""Pauses before a jobs.json that was changed just now and cannot be read is read again."""

HALF_WRITTEN_S = 60.0
"""How recently it must have been changed for that."""


@dataclass(frozen=True, slots=True)
class JobsSnapshot:
    """jobs.json as it was read at a time: a one-shot's definition may be gone by now."""

    seen_ns: int
    text: str


class JobHistory:
    """The definitions of all jobs, as they are and as they were."""

    def __init__(self, context: HarvestContext) -> None:
        self._path = context.home.jobs
        self._journal = context.journal
        self._zone = context.zone.info
        self._now_ns = context.now_ns
        self._clock = context.clock
        self._text: str | None = None
        self._history: dict[str, list[tuple[int, Job]]] = {}
        self.now: dict[str, Job] = {}
        """By job id, the definition as it is; its `last_*` fields describe the job's latest run."""

    def update(self, snapshot: JobsSnapshot | None = None) -> None:
        """Update the definitions from a snapshot, or else from the file as it is now.

        Raises `HostDataError` when they cannot be read; what was known before stays.
        """
        text, jobs = (snapshot.text, self._parsed(snapshot.text)) if snapshot else self._of_file()
        if text == self._text:
            return
        self._text = text
        self.now = {job.job_id: job for job in jobs}
        with self._journal.atomic():
            self._journal.jobs.observe(jobs, snapshot.seen_ns if snapshot else self._now_ns)

    def load(self) -> None:
        """Load the history of the definitions from the journal, for the methods below."""
        self._history = self._journal.jobs.history()

    def at(self, job_id: str, at_ns: int) -> Job | None:
        """Return the definition that held at a time: the newest seen by then, else the first seen."""
        versions = self._history.get(job_id)
        if not versions:
            return None
        held = versions[0][1]
        for seen_ns, job in versions:
            if seen_ns > at_ns:
                break
            held = job
        return held

    def was_seen_by(self, job_id: str, at_ns: int) -> bool:
        """Return whether a definition of the job was seen by that time. One that was first seen later may
        have been another one then."""
        versions = self._history.get(job_id)
        return versions is not None and versions[0][0] <= at_ns

    def between(self, job_id: str, from_ns: int, to_ns: int) -> list[Job]:
        """Return the definitions that held at some time in between."""
        first = self.at(job_id, from_ns)
        later = [job for ns, job in self._history.get(job_id, ()) if from_ns < ns <= to_ns]
        return [first, *later] if first is not None else later

    def held(self, job: Job, from_ns: int, to_ns: int) -> bool:
        """Return whether the job was seen to have this schedule at a time, and kept it until another."""
        versions = self._history.get(job.job_id)
        if not versions or versions[0][0] > from_ns:
            return False
        return all(
            other.schedule == job.schedule for other in self.between(job.job_id, from_ns, to_ns)
        )

    def changed_schedule(self, job_id: str, at_ns: int) -> Job | None:
        """Return the definition that was seen next after a time, if it had another schedule by then."""
        before = self.at(job_id, at_ns)
        later = next((job for ns, job in self._history.get(job_id, ()) if ns > at_ns), None)
        if before is None or later is None or later.schedule == before.schedule:
            return None
        return later

    def _of_file(self) -> tuple[str | None, list[Job]]:
        """Read the file. A half-written one is complete in a moment: somebody is saving it."""
        changed_lately = abs(self._clock.now_ns() / NS - _modified_s(self._path)) < HALF_WRITTEN_S
        for pause_s in HALF_WRITTEN_PAUSES_S if changed_lately else ():
            try:
                return self._read()
            except HostDataError:
                self._clock.sleep(pause_s)
        return self._read()

    def _read(self) -> tuple[str | None, list[Job]]:
        text = jobs_file.read_text(self._path)
        if text is None and SourceName.JOBS in names_with_rows(self._journal.facts.read()):
            raise vanished_file(self._path)
        return text, self._parsed(text)

    def _parsed(self, text: str | None) -> list[Job]:
        return jobs_file.parse(text, self._path, self._zone) if text else []


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
