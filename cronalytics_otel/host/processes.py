"""Whether the process that owned a run still lives; the ledger has its pid and start time."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def owner_is_gone(pid: int | None, started_at: int | None) -> bool:
    """True only on proof.

    `started_at` is the host's own reading: on Linux field 22 of `/proc/<pid>/stat` (clock ticks
    since boot), elsewhere the creation time in hundredths of a second. A pid that is not there may
    belong to a container of this machine, seen from outside under another number: so a process
    with that very start time counts as the owner, whatever its number.
    """
    if pid is None:
        return False
    if _PROC.is_dir() and (_PROC / "self" / "stat").exists():
        return _gone_by_proc(pid, started_at)
    return _gone_by_psutil(pid, started_at)


def _gone_by_proc(pid: int, started_at: int | None) -> bool:
    current = _start_ticks(_PROC / str(pid) / "stat")
    if started_at is None:
        return current is None
    if current == started_at:
        return False
    stats = (p / "stat" for p in _PROC.iterdir() if p.name.isdigit())
    return all(_start_ticks(stat) != started_at for stat in stats)


def _start_ticks(stat: Path) -> int | None:
    """As the host reads it, but past the last `)`: a command's name may hold spaces."""
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # A zombie is dead: only its parent has not looked yet.
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _gone_by_psutil(pid: int, started_at: int | None) -> bool:
    import psutil

    try:
        created = round(psutil.Process(pid).create_time() * 100)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return started_at is not None and created != started_at
