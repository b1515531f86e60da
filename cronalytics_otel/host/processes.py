"""Whether the process of a run still lives. The ledger has its pid and start time."""

from __future__ import annotations

import os
from pathlib import Path

from ..model.times import NS

_PROC = Path("/proc")
_SLACK_NS = 2 * NS


def process_is_gone(pid: int | None, started_at: int | None, claimed_ns: int) -> bool:
    """Return True only on proof.

    `started_at` is the host's own reading: on Linux field 22 of `/proc/<pid>/stat` (clock ticks
    since boot), elsewhere the creation time in hundredths of a second.

    Numbers that do not fit prove nothing: a start after the claim comes from another machine or
    another clock, and a start before our own container's from outside of it. A missing pid alone proves
    little, too: it may be a container's, seen from outside under another number.
    """
    if pid is None or started_at is None:
        return False
    if (_PROC / "self" / "stat").exists():
        return _gone_by_proc(pid, started_at, claimed_ns)
    return started_at * (NS // 100) <= claimed_ns + _SLACK_NS and _gone_by_psutil(pid, started_at)


def _gone_by_proc(pid: int, started_at: int, claimed_ns: int) -> bool:
    return (
        _start_ticks(_PROC / str(pid) / "stat") != started_at
        and _boot_ns() <= claimed_ns
        and _boot_ns() + _ticks_ns(started_at) <= claimed_ns + _SLACK_NS
        and (_start_ticks(_PROC / "1" / "stat") or 0) <= started_at
        and not any(_is_same_inside(p, pid, started_at) for p in _processes())
    )


def booted_since(ns: int) -> bool:
    """Return whether this machine was started after that time: no process from before lives."""
    if (_PROC / "stat").exists():
        return _boot_ns() > ns + _SLACK_NS
    import psutil

    return round(psutil.boot_time() * NS) > ns + _SLACK_NS


def _processes() -> list[Path]:
    return [p for p in _PROC.iterdir() if p.name.isdigit()]


def _is_same_inside(process: Path, pid: int, started_at: int) -> bool:
    """Return whether this process, of a container below us, has that pid there."""
    if _start_ticks(process / "stat") != started_at:
        return False
    try:
        status = (process / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    inside = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
    return not inside or str(pid) in inside[0][1:]


def _start_ticks(stat: Path) -> int | None:
    """Return the start time as the host reads it, but behind the last `)`: a command's name may hold
    spaces."""
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # A zombie is dead: only its parent has not looked yet.
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _boot_ns() -> int:
    for line in (_PROC / "stat").read_text(encoding="utf-8").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) * NS
    return 0


def _ticks_ns(ticks: int) -> int:
    return ticks * NS // os.sysconf("SC_CLK_TCK")


def _gone_by_psutil(pid: int, started_at: int) -> bool:
    import psutil

    try:
        created = round(psutil.Process(pid).create_time() * 100)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return created != started_at
