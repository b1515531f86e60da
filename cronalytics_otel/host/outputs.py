"""What a run left in `cron/output/<job id>/%Y-%m-%d_%H-%M-%S.md` (the host keeps 50 a job)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path

from .times import NS, wall_clock_ns

_HEAD_BYTES = 4_096
_TAIL_BYTES = 8_192
_TITLE = re.compile(r"# Cron Job: (?P<name>.*?)(?P<failed> \(FAILED\))?")
_SCHEDULE = re.compile(r"^\*\*Schedule:\*\* (?P<schedule>.+)$", re.MULTILINE)
_STATUS = re.compile(r"^\*\*Status:\*\* (?P<status>.+)$", re.MULTILINE)
_SCANNER = re.compile(r"^\*\*Scanner result:\*\* (?P<error>.+)$", re.MULTILINE)
_ERROR = re.compile(r"^## Error\s+```\n(?P<error>.*?)\n?```\s*\Z", re.MULTILINE | re.DOTALL)


class Ending(StrEnum):
    """What the file says of the run; the host's own texts stand beside each."""

    ANSWERED = "answered"
    """`## Response`, or a script's output."""
    FAILED = "failed"
    """`(FAILED)` in the title, `script failed` or `BLOCKED` as status."""
    GATED = "gated"
    """`Script gate returned wakeAgent=false`."""
    NOTHING = "nothing"
    """An empty file: the script before the agent had no data for it, and it was not woken."""
    SILENT = "silent"
    """A script with nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    ending: Ending
    name: str | None
    schedule: str | None
    is_script: bool
    error: str | None


class Outputs:
    """The output files of a home; each job's folder is listed once."""

    def __init__(self, folder: Path, zone: tzinfo) -> None:
        """`zone` is the home's: the files are stamped with its wall clock, in whole seconds."""
        self._folder = folder
        self._zone = zone
        self._names: dict[str, list[str]] = {}

    def of_run(
        self, job_id: str, started_ns: int, ended_ns: int, *, slack_ns: int = 0
    ) -> Output | None:
        """What the file saved at the end of the run says of it; None when there is none.

        Without a ledger the session's end is known only, and the file is saved after it: that is
        what `slack_ns` allows for.
        """
        best: tuple[int, str] | None = None
        for name in self._listed(job_id):
            for saved_ns in wall_clock_ns(name, "%Y-%m-%d_%H-%M-%S.md", self._zone):
                # The stamp has whole seconds.
                if started_ns - NS < saved_ns <= ended_ns + slack_ns:
                    found = (abs(saved_ns - ended_ns), name)
                    best = found if best is None else min(best, found)
        return _read(self._folder / job_id / best[1]) if best is not None else None

    def _listed(self, job_id: str) -> list[str]:
        names = self._names.get(job_id)
        if names is None:
            try:
                entries = list((self._folder / job_id).iterdir())
            except OSError:
                entries = []
            names = [p.name for p in entries if p.suffix == ".md"]
            self._names[job_id] = names
        return names


def _read(path: Path) -> Output | None:
    """What the file says, from its head and its tail; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            head_bytes = file.read(_HEAD_BYTES)
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    return parse(head_bytes.decode("utf-8", "replace"), tail)


def parse(head: str, tail: str) -> Output:
    """A title, a paragraph of facts, and the body, which may hold anything."""
    title_text, facts, body = [*head.split("\n\n", 2), "", ""][:3]
    title = _TITLE.fullmatch(title_text.strip())
    status = _STATUS.search(facts)
    schedule = _SCHEDULE.search(facts)
    is_script = "**Mode:** no_agent" in facts
    ending = _ending(
        body,
        blank=not head.strip(),
        failed_title=bool(title and title["failed"]),
        status=status["status"] if status else "",
        is_script=is_script,
    )
    return Output(
        ending=ending,
        name=title["name"] if title else None,
        schedule=schedule["schedule"] if schedule and schedule["schedule"] != "N/A" else None,
        is_script=is_script,
        error=_error(body, tail, is_script=is_script) if ending is Ending.FAILED else None,
    )


def _error(body: str, tail: str, *, is_script: bool) -> str | None:
    if is_script:
        return body.strip() or None
    found = _ERROR.search(tail) or _SCANNER.search(body)
    return found["error"] if found else None


def _ending(body: str, *, blank: bool, failed_title: bool, status: str, is_script: bool) -> Ending:
    if failed_title or status in ("script failed", "BLOCKED"):
        return Ending.FAILED
    if status.startswith("silent"):
        return Ending.SILENT
    if blank:
        return Ending.NOTHING
    if not is_script and body.startswith("Script gate returned `wakeAgent=false`"):
        return Ending.GATED
    return Ending.ANSWERED
