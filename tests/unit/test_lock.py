"""One process, and one thread of it, syncs a home at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from cronalytics_otel.lock import SyncBusyError, sync_lock
from tests.support.holding import another_process

HOLD_LOCK = """
import sys
from pathlib import Path
from cronalytics_otel.lock import sync_lock
with sync_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

FORKS_WHILE_IT_HOLDS_IT = """
import os, sys
from pathlib import Path
from cronalytics_otel.lock import SyncBusyError, sync_lock

path = Path(sys.argv[1])

def tries() -> str:
    try:
        with sync_lock(path):
            return "got it"
    except SyncBusyError as error:
        return str(error)

def asked_in_a_child() -> str:
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, tries().encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 1000).decode()

with sync_lock(path):
    print("while held:", asked_in_a_child())
    print("the parent still:", tries())
print("afterwards:", asked_in_a_child())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronalytics-otel" / "sync.lock"


def test_a_second_lock_in_one_thread_is_refused_and_the_first_one_holds(path: Path) -> None:
    with sync_lock(path):
        for _ in range(2):
            with pytest.raises(SyncBusyError, match="this process"), sync_lock(path):
                pass


def test_another_thread_is_refused(path: Path) -> None:
    results: list[str] = []

    def tries() -> None:
        try:
            with sync_lock(path):
                results.append("got it")
        except SyncBusyError as error:
            results.append(str(error))

    with sync_lock(path):
        thread = threading.Thread(target=tries)
        thread.start()
        thread.join()
    assert results == ["this process is syncing this home already"]


def test_homes_do_not_hold_each_other_up(tmp_path: Path) -> None:
    with sync_lock(tmp_path / "a" / "sync.lock"), sync_lock(tmp_path / "b" / "sync.lock"):
        pass


def test_it_is_free_again_after_the_block(path: Path) -> None:
    with sync_lock(path):
        pass
    with sync_lock(path):
        pass


def test_it_is_free_again_after_an_error_in_the_block(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sync_lock(path):
        raise ZeroDivisionError
    with sync_lock(path):
        pass


def test_another_process_is_refused_and_asked_to_try_again(path: Path) -> None:
    with (
        another_process(HOLD_LOCK, path),
        pytest.raises(SyncBusyError, match="another process is syncing this home: try again"),
        sync_lock(path),
    ):
        pass


def test_a_refused_attempt_does_not_block_the_next_one(path: Path) -> None:
    with another_process(HOLD_LOCK, path), pytest.raises(SyncBusyError), sync_lock(path):
        pass
    with sync_lock(path):
        pass


def test_a_killed_process_holds_nothing(path: Path) -> None:
    with another_process(HOLD_LOCK, path) as process:
        process.kill()
        process.wait()
        with sync_lock(path):
            pass


def test_a_forked_child_neither_has_the_lock_nor_takes_it_from_its_parent(path: Path) -> None:
    """The host forks, and the child's copy of our memory has the path of the lock."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS_WHILE_IT_HOLDS_IT, str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "while held: another process is syncing this home: try again later",
        "the parent still: this process is syncing this home already",
        "afterwards: got it",
    ]


def test_only_the_owner_may_read_folder_and_file_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with sync_lock(path):
            pass
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made_does_not_block_a_later_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "cronalytics-otel"
    folder.write_text("in the way")
    with pytest.raises(OSError), sync_lock(folder / "sync.lock"):
        pass
    folder.unlink()
    with sync_lock(folder / "sync.lock"):
        pass


def test_a_file_system_without_locks_is_not_taken_for_a_busy_home(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would ask to "try again later" for ever. Some NFS file systems have no locks."""

    def no_locks(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with pytest.raises(OSError, match="No locks available"), sync_lock(path):
        pass
