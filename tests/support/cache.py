"""What tests, benches and the demo need beside the checkout, made once per machine.

It lies in `$XDG_CACHE_HOME/cronalytics-otel` (default `~/.cache/…`), one folder for each thing. A
folder counts once it holds `.complete`, which is written last; a lock per folder keeps parallel test
workers from building the same one twice, and a shared lock, held until this process ends, keeps one
in use from being pruned.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

MARKER = ".complete"
_held: dict[Path, IO[bytes]] = {}
"""Shared locks of this process, until it ends."""


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = Path(base) / "cronalytics-otel"
    root.mkdir(parents=True, exist_ok=True)
    return root


def finished(name: str, *, program: str) -> Path | None:
    """The finished folder `name`, which this process then holds; None if there is none."""
    path = cache_root() / name
    if not (path / MARKER).exists():
        return None
    _hold_shared(path)
    if _is_usable(path, program):
        os.utime(path / MARKER)  # what was used last is pruned last
        return path
    _held.pop(path).close()
    return None


def cached(name: str, *, program: str, build: Callable[[Path], None]) -> Path:
    """The finished folder `name`; `build` fills it first if it is not there.

    `program` is a path within the folder. The folder is built again if that has gone, as a venv's
    Python does when the Python that it was made from is uninstalled. `build` may find what an
    interrupted one left.
    """
    path = cache_root() / name
    while True:
        if found := finished(name, program=program):
            return found
        with _lock(path, fcntl.LOCK_EX):
            if not _is_usable(path, program):
                print(f"making {name} (once, in {path.parent})", file=sys.stderr, flush=True)
                (path / MARKER).unlink(missing_ok=True)
                build(path)
                (path / MARKER).touch()


@contextlib.contextmanager
def build_folder(name: str) -> Iterator[Path]:
    """A folder that builds share while they run, in several processes too.

    The last one that finishes deletes it. A build that fails or is interrupted leaves it, so that the
    next one goes on from there.
    """
    path = cache_root() / name
    with _lock(path, fcntl.LOCK_SH):
        path.mkdir(exist_ok=True)
        yield path
    try:
        with _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if path.exists():
                shutil.rmtree(path)
    except BlockingIOError:
        pass  # another build is using it


def prune(prefix: str, *, kept: int) -> None:
    """Delete the folders that were used longest ago and that no process holds."""
    with _lock(cache_root() / "prune", fcntl.LOCK_EX):
        markers = cache_root().glob(f"{prefix}*/{MARKER}")
        for marker in sorted(markers, key=lambda marker: marker.stat().st_mtime)[:-kept]:
            folder = marker.parent
            try:
                lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # another test run is using it
            with lock:
                marker.unlink()
                shutil.rmtree(folder)
                _lock_file(folder).unlink()


def _is_usable(path: Path, program: str) -> bool:
    return (path / MARKER).exists() and (path / program).exists()


def _hold_shared(path: Path) -> None:
    if path not in _held:
        _held[path] = _lock(path, fcntl.LOCK_SH)
        atexit.register(_held[path].close)


def _lock(path: Path, operation: int) -> IO[bytes]:
    """Lock `path`'s lock file; closing what is returned releases it.

    Whoever prunes deletes the lock file too: a lock on a file that is gone by then is no lock.
    """
    lock_path = _lock_file(path)
    while True:
        file = lock_path.open("ab")
        try:
            fcntl.flock(file, operation)
        except BlockingIOError:
            file.close()
            raise
        try:
            if os.path.samestat(os.fstat(file.fileno()), lock_path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
