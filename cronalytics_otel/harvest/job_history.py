"""Job definitions as they are, and as they were at each run: a one-shot's is gone by its end."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from ..domain.schedule import SAME_NS, counts_anew, grace_s
from ..host import jobs as jobs_file
from ..host.sqlite import HostDataError
from ..journal import Journal
from ..model import Execution, Job
from ..model.times import NS

TICK_NS = 60 * NS
"""Between two looks of the host's scheduler: a run may be so much later than the host counts."""

HALF_WRITTEN_PAUSES_S = (0.05, 0.1, 0.2, 0.2)
"""Before a jobs.json that was changed just now and cannot be read is read again."""

HALF_WRITTEN_S = 60.0
"""How lately it must have been changed for that."""


@dataclass(frozen=True, slots=True)
class JobsSnapshot:
    """jobs.json as it was read at a time: a one-shot's definition may be gone by now."""

    seen_ns: int
    text: str


class JobHistory:
    def __init__(self, path: Path, journal: Journal, zone: tzinfo, now_ns: int) -> None:
        self._path = path
        self._journal = journal
        self._zone = zone
        self._now_ns = now_ns
        self._text: str | None = None
        self._history: dict[str, list[tuple[int, Job]]] = {}
        self.now: dict[str, Job] = {}
        """By job id; `last_*` speak of the job's latest run."""
        self._dues: dict[str, list[int]] | None = None
        self._newest_start: dict[str, int] = {}

    def look(self, snapshot: JobsSnapshot | None = None) -> None:
        """Takes the definitions from an earlier look, else from the file as it is now.

        Raises `HostDataError` when it cannot be read; what was known before stays.
        """
        text, jobs = (snapshot.text, self._parsed(snapshot.text)) if snapshot else self._of_file()
        if text == self._text:
            return
        self._text = text
        self.now = {job.job_id: job for job in jobs}
        with self._journal.atomic():
            self._journal.jobs.observe(jobs, snapshot.seen_ns if snapshot else self._now_ns)

    def recall(self) -> None:
        """Reads what the journal keeps, for `at`."""
        self._history = self._journal.jobs.history()

    def at(self, job_id: str, at_ns: int) -> Job | None:
        """The definition that held at a time: the newest seen by then, else the first seen."""
        versions = self._history.get(job_id)
        if not versions:
            return None
        held = [job for seen_ns, job in versions if seen_ns <= at_ns]
        return held[-1] if held else versions[0][1]

    def between(self, job_id: str, from_ns: int, to_ns: int) -> list[Job]:
        """The definitions that held at some time in between."""
        first = self.at(job_id, from_ns)
        later = [job for ns, job in self._history.get(job_id, ()) if from_ns < ns <= to_ns]
        return [first, *later] if first is not None else later

    def changed_schedule(self, job_id: str, at_ns: int) -> Job | None:
        """The definition that was seen next after a time, if it had another schedule by then."""
        before = self.at(job_id, at_ns)
        later = next((job for ns, job in self._history.get(job_id, ()) if ns > at_ns), None)
        if before is None or later is None or later.schedule == before.schedule:
            return None
        return later

    def known_due(
        self, execution: Execution, previous: tuple[int, int | None] | None
    ) -> int | None:
        """What the host had this run due for, as it was seen last. `previous` are the start of the
        job's run before, and the time that the host counted on from: what it had before is over."""
        began_ns, end_ns = previous or (0, None)
        # One that still went on, or was a person's beside this one, has not moved the time yet.
        ended = end_ns is not None and end_ns <= execution.claimed_ns
        after_ns = max(began_ns, end_ns - SAME_NS) if end_ns is not None and ended else began_ns
        due_ns = self._journal.jobs.due_between(
            execution.job_id, after_ns, execution.claimed_ns + NS
        )
        if due_ns is None or end_ns is None or not ended:
            return due_ns
        job = self.at(execution.job_id, execution.claimed_ns)
        anew = counts_anew(
            job.schedule if job else None,
            due_ns,
            claimed_ns=execution.claimed_ns,
            previous_end_ns=end_ns,
        )
        return None if anew else due_ns

    def told_due(self, job_id: str, began_ns: int) -> int | None:
        """When the host had a run due that no ledger knows: a time that it told before the run, after
        the job's run before, and not longer ago than it lets a run be late."""
        if self._dues is None:
            self._dues = self._journal.jobs.dues()
        dues = self._dues.get(job_id)
        if not dues:
            return None
        before_ns = self._newest_start.get(job_id, 0)
        self._newest_start[job_id] = max(before_ns, began_ns)
        told = bisect_right(dues, began_ns + NS)
        if not told or dues[told - 1] <= before_ns:
            return None
        due_ns = dues[told - 1]
        job = self.at(job_id, began_ns)
        late_s = grace_s(job.schedule) if job is not None and job.schedule is not None else 0
        if began_ns - due_ns > late_s * NS + TICK_NS:
            return None
        previous = self._journal.runs.previous_times(job_id, began_ns)
        return due_ns if previous is None or due_ns > previous[0] else None

    def _of_file(self) -> tuple[str | None, list[Job]]:
        """What is half-written is whole in a moment: an editor may be at it."""
        changed_lately = abs(time.time() - _modified_s(self._path)) < HALF_WRITTEN_S
        for pause_s in HALF_WRITTEN_PAUSES_S if changed_lately else ():
            try:
                return self._read()
            except HostDataError:
                time.sleep(pause_s)
        return self._read()

    def _read(self) -> tuple[str | None, list[Job]]:
        text = jobs_file.read_text(self._path)
        return text, self._parsed(text)

    def _parsed(self, text: str | None) -> list[Job]:
        return jobs_file.parse(text, self._path, self._zone) if text else []


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
