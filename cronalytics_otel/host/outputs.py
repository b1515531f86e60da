"""Output files: `cron/output/<job id>/%Y-%m-%d_%H-%M-%S.md`.

The host keeps 50 of each job; before 0.18 it keeps all. Before 0.19 such a file is all that is left of a
script, of a gated run, and of an agent that never got a session.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from ..model import Output, OutputFile, OutputStatus
from ..model.times import NS, stamp_ns, to_datetime
from .capabilities import SINCE_0_18, Capabilities
from .silence import asks_for_silence

_HEAD_BYTES = 4_096
_TAIL_BYTES = 8_192
_TITLE = "# Cron Job: "
_FAILED = " (FAILED)"
"""Follows the job's name in the title. A job's name may end like this too, so the rest of the file
decides."""
_SCHEDULE = re.compile(r"^\*\*Schedule:\*\* (?P<schedule>.+)$", re.MULTILINE)
_STATUS = re.compile(r"^\*\*Status:\*\* (?P<status>.+)$", re.MULTILINE)
_SCANNER = re.compile(r"^\*\*Scanner result:\*\* (?P<error>.+)$", re.MULTILINE)
_ERROR = re.compile(r"(?:\A|.*\n)## Error\s+```\n(?P<error>.*?)\n?```\s*\Z", re.DOTALL)
"""Finds the last such section: the prompt may hold one too, from an output that this run was fed."""
_EMPTY = re.compile(
    # The host's words for an empty reply, in 0.13, in 0.18 and later, in 0.16 and 0.17.
    r"^## Response\n\n(?:\(empty\)|\(No response generated\)"
    r"|⚠️ No reply: the model returned empty content [^\n]*)\s*\Z",
    re.MULTILINE,
)
_RULE = "---\n\n"
"""Separates the facts of a script's run from what the script printed."""
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)\.md")
_MAX_OFFSET_NS = 15 * 3600 * NS
_QUARTER_NS = 900 * NS
_MAX_SAVE_DELAY_NS = 2 * NS
"""A file's own time is at most this much later than its stamp."""


class Outputs:
    """The output files of a home; each job's folder is listed once."""

    def __init__(self, folder: Path, zone: tzinfo) -> None:
        """`zone` is the home's: the files are stamped with its wall clock, in whole seconds."""
        self._folder = folder
        self._zone = zone
        self._listings: dict[str, list[tuple[int, str]]] = {}
        self._unreadable: set[str] = set()

    def of_run(
        self,
        job_id: str,
        started_ns: int,
        ended_ns: int,
        *,
        slack_ns: int = 0,
        capabilities: Capabilities = SINCE_0_18,
        zone: tzinfo | None = None,
    ) -> Output | None:
        """Return what the file that was saved at the end of the run says; None when there is none.

        A version with these `capabilities` wrote the file. See `path_of_run` for the rest.
        """
        path = self.path_of_run(job_id, started_ns, ended_ns, slack_ns=slack_ns, zone=zone)
        return None if path is None else _read(path, capabilities)

    def path_of_run(
        self,
        job_id: str,
        started_ns: int,
        ended_ns: int,
        *,
        slack_ns: int = 0,
        zone: tzinfo | None = None,
    ) -> Path | None:
        """Return the file that was saved at the end of the run; None when there is none.

        Without a ledger only the session's end is known, and the file is saved after it: `slack_ns`
        allows for that. `zone` is the one that the host was in, if it was another one than the home's.
        """
        moved_ns = 0 if zone is None else _moved_ns(ended_ns, zone, self._zone)
        # The stamp has whole seconds.
        near = self.between(job_id, started_ns + moved_ns - NS + 1, ended_ns + moved_ns + slack_ns)
        best = min(near, key=lambda entry: abs(entry[0] - moved_ns - ended_ns), default=None)
        return None if best is None else self._folder / job_id / best[1]

    def read(self, saved: OutputFile, capabilities: Capabilities = SINCE_0_18) -> Output | None:
        """Return the file's content; None when it cannot be read. A version with these `capabilities`
        wrote it."""
        return _read(self._folder / saved.job_id / saved.name, capabilities)

    def is_readable(self, job_id: str) -> bool:
        """Return whether the job's folder can be listed, if there is one."""
        self._listed(job_id)
        return job_id not in self._unreadable

    def exists(self, saved: OutputFile) -> bool:
        """Return whether an output file is still there."""
        return os.path.lexists(self._folder / saved.job_id / saved.name)

    def folders(self) -> Iterator[tuple[str, int]]:
        """Give each job that has output, with its folder's time, which moves when a file is saved."""
        try:
            with os.scandir(self._folder) as entries:
                found = [(e.name, e.stat().st_mtime_ns) for e in entries if e.is_dir()]
        except OSError:
            return
        yield from found

    def saved_after(self, job_id: str, after_ns: int) -> list[OutputFile]:
        """Return the job's files that were saved later than that, oldest first."""
        listed = self._listed(job_id)
        names = {name for _, name in listed[bisect_right(listed, (after_ns, "\U0010ffff")) :]}
        found = (
            OutputFile(job_id=job_id, name=name, saved_ns=self._saved_ns(job_id, name))
            for name in names
        )
        return sorted(
            (saved for saved in found if saved.saved_ns > after_ns),
            key=lambda saved: (saved.saved_ns, saved.name),
        )

    def between(self, job_id: str, from_ns: int, to_ns: int) -> list[tuple[int, str]]:
        """Return (time, name) of the job's files, oldest first. A stamp in the hour that autumn repeats
        stands for both of its times."""
        listed = self._listed(job_id)
        return listed[bisect_left(listed, (from_ns, "")) : bisect_left(listed, (to_ns + 1, ""))]

    def _saved_ns(self, job_id: str, name: str) -> int:
        """Return the stamp's time. Where the wall clock is ambiguous (an hour that is repeated, another
        time zone at the time), the file's own time decides, if it differs by the offset of a zone."""
        times = _times_of(name, self._zone)
        try:
            disk_ns = (self._folder / job_id / name).stat().st_mtime_ns
        except OSError:
            return times[0]
        for time_ns in times:
            if abs(disk_ns - time_ns) <= _MAX_SAVE_DELAY_NS:
                return time_ns
        offset_ns = _times_of(name, UTC)[0] - disk_ns
        whole_ns = round(offset_ns / _QUARTER_NS) * _QUARTER_NS
        if abs(offset_ns) <= _MAX_OFFSET_NS and abs(offset_ns - whole_ns) <= _MAX_SAVE_DELAY_NS:
            return _times_of(name, UTC)[0] - whole_ns
        return times[0]  # a copy, with a time of its own

    def _listed(self, job_id: str) -> list[tuple[int, str]]:
        listing = self._listings.get(job_id)
        if listing is None:
            try:
                with os.scandir(self._folder / job_id) as entries:
                    names = [entry.name for entry in entries]
            except (FileNotFoundError, NotADirectoryError, ValueError):
                names = []  # no folder can have the name of an id with a NUL
            except OSError:
                names = []
                self._unreadable.add(job_id)
            listing = sorted((at, name) for name in names for at in _times_of(name, self._zone))
            self._listings[job_id] = listing
        return listing


_RESPONSE = "\n## Response\n\n"


def answer_of(text: str) -> str:
    """Return what the run answered or printed, from the whole text of its file.

    That is the last section `Response`: the prompt before it may hold one too, from an output that this
    run was fed. Of a run that failed it is the error. A script's file has what it printed after a rule. Any
    other file is returned whole.
    """
    title, facts, _ = [*text.split("\n\n", 2), "", ""][:3]
    is_script = "**Mode:** no_agent" in facts
    if is_script:
        _, rule, printed = text.partition(f"\n{_RULE}")
        return printed.strip("\n") if rule else text.strip("\n")
    if title.rstrip().endswith(_FAILED) and (failed := _ERROR.match(text)):
        return failed["error"].strip("\n")
    _, found, answer = text.rpartition(_RESPONSE)
    return answer.strip("\n") if found else text.strip("\n")


def _moved_ns(at_ns: int, then: tzinfo, now: tzinfo) -> int:
    """Return by how much a stamp that was written in one zone seems to be later when it is read in
    another one."""
    offsets = [to_datetime(at_ns, zone).utcoffset() or timedelta() for zone in (then, now)]
    return round((offsets[0] - offsets[1]).total_seconds()) * NS


def _times_of(name: str, zone: tzinfo) -> tuple[int, ...]:
    """Return the times that a stamp may mean, the earlier first; none for a name that is no stamp."""
    match = _STAMP.fullmatch(name)
    if match is None:
        return ()
    date, *clock = match.groups()
    try:
        return stamp_ns(datetime.fromisoformat(f"{date}T{':'.join(clock)}"), zone)
    except (OverflowError, ValueError):
        return ()


def _read(path: Path, capabilities: Capabilities) -> Output | None:
    """Return what the file says, from its head and its tail; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            head_bytes = file.read(_HEAD_BYTES)
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    return parse(head_bytes.decode("utf-8", "replace"), tail, capabilities)


def parse(head: str, tail: str, capabilities: Capabilities = SINCE_0_18) -> Output:
    """Read a title, a paragraph of facts, and the body, which may hold anything."""
    title_text, facts, body = [*head.split("\n\n", 2), "", ""][:3]
    title = title_text.strip()
    is_script = "**Mode:** no_agent" in facts
    raised = not is_script and title.endswith(_FAILED) and _ends_in_error(title, tail)
    ending = (
        OutputStatus.FAILED if raised else _ending(head, facts, body, tail, is_script=is_script)
    )
    return Output(
        status=ending,
        name=_name(title.removesuffix(_FAILED) if raised else title),
        schedule=_schedule(facts),
        is_script=is_script,
        error=_error(body, tail, is_script=is_script) if ending is OutputStatus.FAILED else None,
        asks_for_silence=is_script
        and ending is OutputStatus.ANSWERED
        and asks_for_silence(*_printed(title_text, body, tail), capabilities.silence),
    )


def _schedule(facts: str) -> str | None:
    schedule = _SCHEDULE.search(facts)
    return schedule["schedule"] if schedule and schedule["schedule"] != "N/A" else None


def _name(title: str) -> str | None:
    is_title = title.startswith(_TITLE) and "\n" not in title
    return title.removeprefix(_TITLE) if is_title else None


def _ends_in_error(title: str, tail: str) -> bool:
    """Return whether the file ends with an error. The tail has only the end of a very long one."""
    is_whole = tail.startswith(title)
    return _ERROR.match(tail) is not None or (not is_whole and tail.rstrip().endswith("\n```"))


def _printed(title: str, body: str, tail: str) -> tuple[str, str]:
    """Return how what a script printed begins and ends.

    The tail of a short file is the whole file, with the facts that stand before what was printed.
    """
    is_whole = tail.startswith(title)
    return body.removeprefix(_RULE), tail.partition(_RULE)[2] if is_whole else tail


def _error(body: str, tail: str, *, is_script: bool) -> str | None:
    if is_script:
        return body.strip() or None
    found = _ERROR.match(tail) or _SCANNER.search(body)
    return found["error"] if found else None


def _ending(head: str, facts: str, body: str, tail: str, *, is_script: bool) -> OutputStatus:
    """Return how a run ended whose agent raised no error."""
    found = _STATUS.search(facts)
    status = found["status"] if found else ""
    if status in ("script failed", "BLOCKED"):
        return OutputStatus.FAILED
    if status.startswith("silent"):
        return OutputStatus.NO_OUTPUT
    if not head.strip():
        return OutputStatus.NOTHING
    if is_script:
        return OutputStatus.ANSWERED
    if body.startswith("Script gate returned `wakeAgent=false`"):
        return OutputStatus.GATED
    return OutputStatus.EMPTY if _EMPTY.search(tail) else OutputStatus.ANSWERED
