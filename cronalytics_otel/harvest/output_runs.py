"""Runs that left an output file and nothing else, on hosts that keep no ledger.

These are scripts, gated runs, and agents that never got a session. Every other run has a file too: the
file of an agent's run belongs to its session, and what a ledger covers belongs to its executions. A
folder is listed only when its time has moved, and each file is read once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..host.ledger import LedgerPage
from ..host.outputs import Outputs
from ..host.state_db import CRON_SESSION
from ..journal.facts import (
    LEDGER_FIRST_NS,
    OLD_OUTPUTS_READ,
    FactValues,
    FolderReadUpTo,
    output_folder,
)
from ..model import Job, Output, OutputFile, OutputStatus, Run
from ..model.times import NS, iso_to_ns
from .context import HarvestContext
from .readiness import DELIVERY_GRACE_NS, OUTPUT_AFTER_END_NS

_NEVER_STARTED_PREFIXES = ("Blocked: ",)
"""The errors of agents that were never started begin like this."""


@dataclass(slots=True)
class _Folder:
    """One job's files that are new since the last harvest."""

    job_id: str
    changed_ns: int
    up_to_ns: int
    new: list[OutputFile]
    open: list[OutputFile] = field(default_factory=list)

    @property
    def read_up_to(self) -> FolderReadUpTo:
        """How far the folder was read. A folder with files that are not final is listed again."""
        if self.open:
            return FolderReadUpTo(0, min(saved.saved_ns for saved in self.open) - 1)
        up_to_ns = max([self.up_to_ns, *(saved.saved_ns for saved in self.new)])
        return FolderReadUpTo(self.changed_ns, up_to_ns)


class OutputRuns:
    """Finds runs that left a file alone, in two steps.

    First `list_new_files`: the files are listed before the sessions, so the session of every listed file
    is among those read later. Then, with all sessions in the journal, `runs_without_session`.
    """

    def __init__(self, context: HarvestContext, outputs: Outputs) -> None:
        self._outputs = outputs
        self._journal = context.journal
        self._zone = context.zone.info
        self._now_ns = context.now_ns
        self._folders: list[_Folder] = []
        self._is_last_look_back = False
        self._ledger_first_ns: int | None = None
        self._passed_over: dict[str, list[int]] = {}

    def pass_over(self, run: Run) -> None:
        """Note a run that the journal does not keep: a file may be its."""
        if not run.left_output_only:
            self._passed_over.setdefault(run.job_id, []).append(run.ended_ns)

    def list_new_files(
        self, facts: FactValues, page: LedgerPage | None, *, has_ledger: bool, full: bool
    ) -> None:
        """List what was saved since the last harvest.

        If there is a ledger, files from before its first row are read once. If rows may have been deleted
        from it, no files are read. `page` is None if the ledger cannot be read.
        """
        self._ledger_first_ns = _ledger_start_ns(facts, page)
        done = facts.get(OLD_OUTPUTS_READ) and not full
        if has_ledger and (page is None or not page.is_complete or done):
            return
        self._is_last_look_back = has_ledger and self._ledger_first_ns is not None
        for job_id, changed_ns in self._outputs.folders():
            before = facts.get(output_folder(job_id))
            if full or changed_ns != before.changed_ns:
                new = self._new_files(job_id, 0 if full else before.read_up_to_ns)
                if self._outputs.is_readable(job_id):  # else it is listed again
                    self._folders.append(_Folder(job_id, changed_ns, before.read_up_to_ns, new))

    def _new_files(self, job_id: str, after_ns: int) -> list[OutputFile]:
        """Return the job's files that were saved after this time, and before there was a ledger."""
        new = self._outputs.saved_after(job_id, after_ns)
        if self._ledger_first_ns is None:
            return new
        return [saved for saved in new if saved.saved_ns + NS <= self._ledger_first_ns]

    def runs_without_session(
        self,
        read: Callable[[OutputFile], Output | None],
        jobs: Mapping[str, Job],
        open_sessions: Collection[str],
    ) -> list[tuple[OutputFile, Output]]:
        """Return the files that are runs of their own. `jobs` are the definitions as they are now."""
        found: list[tuple[OutputFile, Output]] = []
        began_ns = self._began_ns(open_sessions) if self._folders else {}
        for folder in self._folders:
            outputs = self._unattributed(folder, read)
            job, opened = jobs.get(folder.job_id), began_ns.get(folder.job_id, ())
            for saved, output in outputs.items():
                if self._is_early(saved, job) or _may_be_of(opened, saved, output):
                    folder.open.append(saved)
                else:
                    found.append((saved, output))
        return found

    @property
    def open_run_ids(self) -> list[str]:
        """The ids of runs that are not final yet."""
        return [saved.run_id for folder in self._folders for saved in folder.open]

    def save_read_up_to(self) -> None:
        """Save how far the files were read. Call it once their runs are in the journal."""
        facts = self._journal.facts
        for folder in self._folders:
            facts.set(output_folder(folder.job_id), folder.read_up_to)
        if self._is_last_look_back and not self.open_run_ids:
            facts.set(OLD_OUTPUTS_READ, value=True)
        if self._ledger_first_ns is not None:
            facts.set(LEDGER_FIRST_NS, self._ledger_first_ns)

    def _is_early(self, saved: OutputFile, job: Job | None) -> bool:
        """Return whether the host may still be delivering: it writes the job's `last_run_at`
        afterwards."""
        is_pending = job is not None and (job.last_run_ns or 0) < saved.saved_ns
        return is_pending and self._now_ns - saved.saved_ns < DELIVERY_GRACE_NS

    def _began_ns(self, sessions: Collection[str]) -> dict[str, list[int]]:
        """Return by job when its open sessions began, by the stamp in their ids."""
        found: dict[str, list[int]] = {}
        for match in filter(None, map(CRON_SESSION.match, sessions)):
            began_ns = iso_to_ns(f"{match['date']}T{match['time']}", self._zone)
            found.setdefault(match["job"], []).append(began_ns or 0)
        return found

    def _unattributed(
        self, folder: _Folder, read: Callable[[OutputFile], Output | None]
    ) -> dict[OutputFile, Output]:
        """Return the folder's readable files that belong to no run in the journal."""
        known = self._journal.runs.known_executions([saved.run_id for saved in folder.new])
        outputs = {saved: read(saved) for saved in folder.new if saved.run_id not in known}
        # A file that is there and cannot be read is read at a later harvest.
        folder.open += [
            s for s, output in outputs.items() if output is None and self._outputs.exists(s)
        ]
        attributed = self._attributed(folder, outputs)
        return {
            saved: output
            for saved, output in outputs.items()
            if output is not None and saved.name not in attributed
        }

    def _attributed(self, folder: _Folder, outputs: Mapping[OutputFile, Output | None]) -> set[str]:
        """Return the names of files that belong to runs known by more than a file."""
        candidates = [
            saved
            for saved, output in outputs.items()
            if output is not None and may_have_session(output)
        ]
        if not candidates:
            return set()
        first_ns = candidates[0].saved_ns - OUTPUT_AFTER_END_NS
        last_ns = candidates[-1].saved_ns + NS
        ends = self._journal.runs.recorded_ends(folder.job_id, first_ns, last_ns)
        ends = sorted([*ends, *self._passed_over.get(folder.job_id, ())])
        unrelated = {saved.name for saved in outputs} - {saved.name for saved in candidates}
        times = {name: at for at, name in self._outputs.between(folder.job_id, first_ns, last_ns)}
        times |= {saved.name: saved.saved_ns for saved in candidates}
        files = sorted((at, name) for name, at in times.items() if name not in unrelated)
        return attributed(files, ends)


def _ledger_start_ns(facts: FactValues, page: LedgerPage | None) -> int | None:
    """Return the oldest claim that a ledger of this home ever held; 0 if it may have forgotten some."""
    known_ns = facts.get(LEDGER_FIRST_NS)
    times = [] if known_ns is None else [known_ns]
    if page is not None and page.first_ns is not None:
        times.append(page.first_ns if page.is_complete else 0)
    return min(times, default=None)


def _may_be_of(opened: Sequence[int], saved: OutputFile, output: Output) -> bool:
    """Return whether a file may belong to one of the open sessions that began at these times."""
    return may_have_session(output) and any(at_ns <= saved.saved_ns + NS for at_ns in opened)


def may_have_session(output: Output) -> bool:
    """Return False for a script, a gated run, and an agent that was never started."""
    if output.is_script or output.status is OutputStatus.GATED:
        return False
    return output.status is not OutputStatus.FAILED or not (output.error or "").startswith(
        _NEVER_STARTED_PREFIXES
    )


def attributed(files: Sequence[tuple[int, str]], ends: Sequence[int]) -> set[str]:
    """Return the names of (time, name) that were saved when runs ended, one for each run.

    It is the file nearest to the end, at most `OUTPUT_AFTER_END_NS` after it. Both are in order.
    """
    names: set[str] = set()
    for end_ns in ends:
        near: list[tuple[int, str]] = []
        for at_ns, name in files[bisect_left(files, (end_ns - NS, "")) :]:
            if at_ns > end_ns + OUTPUT_AFTER_END_NS:
                break
            if name not in names:
                near.append((abs(at_ns - end_ns), name))
        if near:
            names.add(min(near)[1])
    return names
