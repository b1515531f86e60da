"""What a run left in `cron/output/<job id>/%Y-%m-%d_%H-%M-%S.md` (the host keeps 50 a job)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path

from .times import to_datetime

_HEAD_BYTES = 4_096
_TAIL_BYTES = 8_192
_STAMP_CHARS = len("2026-01-31_12-00-00")
_NAME = re.compile(r"^# Cron Job: (?P<name>.*?)(?P<failed> \(FAILED\))?$", re.MULTILINE)
_SCHEDULE = re.compile(r"^\*\*Schedule:\*\* (?P<schedule>.+)$", re.MULTILINE)
_STATUS = re.compile(r"^\*\*Status:\*\* (?P<status>.+)$", re.MULTILINE)
_ERROR = re.compile(r"^## Error\s+```\n(?P<error>.*?)\n?```\s*\Z", re.MULTILINE | re.DOTALL)


class Ending(StrEnum):
    """What the file says of the run; the host's own texts stand beside each."""

    ANSWERED = "answered"
    """`## Response`, or a script's output."""
    FAILED = "failed"
    """`(FAILED)` in the title, `script failed` or `BLOCKED` as status."""
    GATED = "gated"
    """`Script gate returned wakeAgent=false`, or an empty file: the gate script said nothing."""
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

    def of_run(self, job_id: str, started_ns: int, ended_ns: int) -> Output | None:
        """What the newest file saved while the run went says of it; None when there is none."""
        names = self._listed(job_id)
        if not names:
            return None
        low, high = (
            f"{to_datetime(ns, self._zone):%Y-%m-%d_%H-%M-%S}" for ns in (started_ns, ended_ns)
        )
        chosen = max((name for name in names if low <= name[:_STAMP_CHARS] <= high), default=None)
        return _read(self._folder / job_id / chosen) if chosen is not None else None

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
    top = head.partition("\n## ")[0].partition("\n---\n")[0]
    title = _NAME.search(top)
    status = _STATUS.search(top)
    schedule = _SCHEDULE.search(top)
    error = _ERROR.search(tail)
    is_script = "**Mode:** no_agent" in top
    text = error["error"] if error else None
    if status and is_script and status["status"] == "script failed":
        text = top[status.end() :].strip() or None
    return Output(
        ending=_ending(top, title, status, is_script=is_script),
        name=title["name"] if title else None,
        schedule=schedule["schedule"] if schedule and schedule["schedule"] != "N/A" else None,
        is_script=is_script,
        error=text,
    )


def _ending(
    top: str, title: re.Match[str] | None, status: re.Match[str] | None, *, is_script: bool
) -> Ending:
    said = status["status"] if status else ""
    if (title and title["failed"]) or said in ("script failed", "BLOCKED"):
        return Ending.FAILED
    if said.startswith("silent"):
        return Ending.SILENT
    if not is_script and (not top.strip() or "Script gate returned `wakeAgent=false`" in top):
        return Ending.GATED
    return Ending.ANSWERED
