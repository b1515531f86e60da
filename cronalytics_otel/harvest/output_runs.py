"""Runs that left an output file and nothing else, on hosts that keep no ledger (before 0.19).

Scripts, gated runs, and agents that never got a session. Everything else has a file too: the file of
an agent's run belongs to its session, and what a ledger covers belongs to its executions. A folder is
listed only when its time has moved, and its files are looked at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

from ..host.ledger import LedgerPage
from ..host.outputs import Outputs
from ..host.state_db import CRON_SESSION
from ..journal import Journal
from ..journal.facts import (
    LEDGER_FIRST_NS,
    OLD_OUTPUTS_READ,
    FactValues,
    FolderMark,
    output_folder,
)
from ..model import Ending, Job, Output, OutputFile
from ..model.times import NS, iso_to_ns
from .readiness import DELIVERY_GRACE_NS, UNMATCHED_GRACE_NS

_NO_SESSION = ("Blocked: ",)
"""How errors begin of agents that were never started."""


@dataclass(slots=True)
class _Folder:
    """One job's files that are new since the last look."""

    job_id: str
    changed_ns: int
    mark_ns: int
    new: list[OutputFile]
    waiting: list[OutputFile] = field(default_factory=list)

    @property
    def mark(self) -> FolderMark:
        """How far it was read. A folder with files that wait is listed again."""
        if self.waiting:
            return FolderMark(0, self.waiting[0].saved_ns - 1)
        mark_ns = max([self.mark_ns, *(saved.saved_ns for saved in self.new)])
        return FolderMark(self.changed_ns, mark_ns)


class OutputRuns:
    """First `look`, before the sessions are read: a file that is there has its session, if it ever
    had one, complete in what is read afterwards. Then, with all sessions in the journal, `found`."""

    def __init__(self, outputs: Outputs, zone: tzinfo, now_ns: int) -> None:
        self._outputs = outputs
        self._zone = zone
        self._now_ns = now_ns
        self._folders: list[_Folder] = []
        self._ends_history = False
        self._ledger_first_ns: int | None = None

    def look(self, facts: FactValues, page: LedgerPage | None, *, ledger: bool, full: bool) -> None:
        """With a ledger (`page` is None if it cannot be read) once, at what is older than it ever was
        (it may have been emptied since), and not at all if it may have known that and forgotten."""
        known_first_ns = facts.get(LEDGER_FIRST_NS)
        firsts = [] if known_first_ns is None else [known_first_ns]
        if page is not None and page.first_ns is not None:
            firsts.append(page.first_ns if page.is_complete else 0)
        self._ledger_first_ns = until_ns = min(firsts, default=None)
        done = facts.get(OLD_OUTPUTS_READ) and not full
        if ledger and (page is None or not page.is_complete or done):
            return
        self._ends_history = ledger and until_ns is not None
        for job_id, changed_ns in self._outputs.folders():
            seen_ns, mark_ns = facts.get(output_folder(job_id))
            if changed_ns == seen_ns and not full:
                continue
            new = self._outputs.saved_after(job_id, 0 if full else mark_ns)
            if until_ns is not None:
                new = [saved for saved in new if saved.saved_ns + NS <= until_ns]
            self._folders.append(_Folder(job_id, changed_ns, mark_ns, new))

    def found(
        self, journal: Journal, jobs: Mapping[str, Job], open_sessions: Collection[str]
    ) -> list[tuple[OutputFile, Output]]:
        """The files that are runs of their own; `jobs` as they are now."""
        found: list[tuple[OutputFile, Output]] = []
        opened = self._opened(open_sessions) if self._folders else {}
        for folder in self._folders:
            known = journal.runs.known_executions([saved.run_id for saved in folder.new])
            unknown = [saved for saved in folder.new if saved.run_id not in known]
            read = {saved: self._outputs.read(saved) for saved in unknown}
            claimed = self._claimed(journal, folder, read)
            for saved, output in read.items():
                if output is None or saved.name in claimed:
                    continue
                if self._is_early(saved, jobs.get(folder.job_id)) or (
                    may_have_session(output)
                    and any(at_ns <= saved.saved_ns + NS for at_ns in opened.get(folder.job_id, ()))
                ):
                    folder.waiting.append(saved)
                else:
                    found.append((saved, output))
        return found

    @property
    def waiting(self) -> list[str]:
        """The ids of runs that are not final yet."""
        return [saved.run_id for folder in self._folders for saved in folder.waiting]

    def remember(self, journal: Journal) -> None:
        """Writes down how far the files were read, once what was found is in the journal."""
        for folder in self._folders:
            journal.facts.set(output_folder(folder.job_id), folder.mark)
        if self._ends_history and not self.waiting:
            journal.facts.set(OLD_OUTPUTS_READ, value=True)
        if self._ledger_first_ns is not None:
            journal.facts.set(LEDGER_FIRST_NS, self._ledger_first_ns)

    def _is_early(self, saved: OutputFile, job: Job | None) -> bool:
        """The host is delivering: it marks the job afterwards."""
        unmarked = job is not None and (job.last_run_ns or 0) < saved.saved_ns
        return unmarked and self._now_ns - saved.saved_ns < DELIVERY_GRACE_NS

    def _opened(self, sessions: Collection[str]) -> dict[str, list[int]]:
        """By job, when its sessions that have not ended began, by the stamp in their ids."""
        found: dict[str, list[int]] = {}
        for match in filter(None, map(CRON_SESSION.match, sessions)):
            began_ns = iso_to_ns(f"{match['date']}T{match['time']}", self._zone)
            found.setdefault(match["job"], []).append(began_ns or 0)
        return found

    def _claimed(
        self, journal: Journal, folder: _Folder, read: Mapping[OutputFile, Output | None]
    ) -> set[str]:
        """The names of files that belong to runs known by more than a file."""
        theirs = [
            saved
            for saved, output in read.items()
            if output is not None and may_have_session(output)
        ]
        if not theirs:
            return set()
        first_ns = theirs[0].saved_ns - UNMATCHED_GRACE_NS
        last_ns = theirs[-1].saved_ns + NS
        ends = journal.runs.recorded_ends(folder.job_id, first_ns, last_ns)
        alone = {saved.name for saved in read} - {saved.name for saved in theirs}
        times = {name: at for at, name in self._outputs.between(folder.job_id, first_ns, last_ns)}
        times |= {saved.name: saved.saved_ns for saved in theirs}
        files = sorted((at, name) for name, at in times.items() if name not in alone)
        return claimed(files, ends)


def may_have_session(output: Output) -> bool:
    """Not of a script, a gate, or an agent that was kept from starting."""
    if output.is_script or output.ending is Ending.GATED:
        return False
    return output.ending is not Ending.FAILED or not (output.error or "").startswith(_NO_SESSION)


def claimed(files: Sequence[tuple[int, str]], ends: Sequence[int]) -> set[str]:
    """The names of (time, name) that were saved when runs ended, one each: the file nearest to the
    end, at most `UNMATCHED_GRACE_NS` after it. Both are in order."""
    names: set[str] = set()
    for end_ns in ends:
        near: list[tuple[int, str]] = []
        for at_ns, name in files[bisect_left(files, (end_ns - NS, "")) :]:
            if at_ns > end_ns + UNMATCHED_GRACE_NS:
                break
            if name not in names:
                near.append((abs(at_ns - end_ns), name))
        if near:
            names.add(min(near)[1])
    return names
