"""The lock that lets one process at a time sync a home. It ends with its owner, however that dies."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held_here: set[str] = set()
"""The paths that this process has locked."""

_guard = threading.Lock()


class SyncBusyError(Exception):
    """Another process, or another thread of this one, holds the lock."""


@contextmanager
def sync_lock(path: Path) -> Iterator[None]:
    """Hold the lock file for the time of the block.

    Raises `SyncBusyError` at once when it is held, and `OSError` when it cannot be locked. A forked
    child does not inherit a POSIX record lock, so a child of the host never keeps it. Such a lock does
    not exclude other threads of its process; `_held_here` does.
    """
    key = os.path.realpath(path)  # a home may be reached by several links
    with _guard:
        if key in _held_here:
            raise SyncBusyError("this process is syncing this home already")
        _held_here.add(key)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)
    finally:
        with _guard:
            _held_here.discard(key)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise SyncBusyError("another process is syncing this home: try again later") from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise  # for example a file system without locks
            raise SyncBusyError("another process is syncing this home: try again later") from error


def _forget_after_fork() -> None:
    """Start afresh: a forked child holds none of its parent's locks."""
    global _guard  # noqa: PLW0603 - another thread of the parent may have held it
    _guard = threading.Lock()
    _held_here.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
