"""The lock files in the journal's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..lock import sync_lock
from .database import JournalError


@contextlib.contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold a lock file in the journal's folder.

    Raises `SyncBusyError` when somebody else holds it, `JournalError` when it cannot be locked.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(sync_lock(path))
        except OSError as error:
            raise JournalError(
                f"{path} cannot be locked: {error}; its folder must be writable by this user, and"
                " on a file system with locks"
            ) from error
        yield
