"""Our own file: full disk, deleted, corrupt, newer, not writable. Nothing but time is lost."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.host.home import Home
from tests.support.collector import FaultyCollector
from tests.support.fault_checks import (
    assert_all_there,
    assert_all_there_once,
    assert_journal_tells_the_truth,
    copies,
    host_files,
    outcomes,
    trace_id_of,
)
from tests.support.fault_namespace import MOUNTS, mounting
from tests.support.fault_process import SyncProcesses
from tests.support.homes import HomeBuilder

PAGE = 4096


def journal_of(home: HomeBuilder) -> Path:
    return Home(home.path).journal


@pytest.fixture
def history(home: HomeBuilder, noon: datetime) -> HomeBuilder:
    """Enough runs to fill some pages of each table."""
    backup = home.job("backup", every_minutes=1, no_agent=True)
    digest = home.job("digest", every_minutes=30)
    for number in range(70):
        at = noon + timedelta(minutes=number)
        home.script_run(backup, at, outcome="failure", error="e" * 200)
    for number in range(4):
        home.agent_run(digest, noon + timedelta(minutes=30 * number))
    home.write()
    return home


# --- no room -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [4096, 16_384, 65_536])
def test_when_the_disk_is_full_the_sync_says_so_and_the_next_one_goes_on(
    limit: int,
    history: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """At the making of the file, in its first transaction, and in the midst of the runs: no file
    of the process may become larger."""
    before = host_files(history.path)
    done = processes.sync(history.path, environ, largest_file_bytes=limit)
    assert done.error is not None
    assert done.error.startswith("JournalError: ")
    assert "make room" in done.error
    assert host_files(history.path) == before

    assert processes.sync(history.path, environ).report.healthy

    assert_all_there_once(collector, history.expected)
    assert_journal_tells_the_truth(history.path, history.expected)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


# Where nobody lets us mount anything, the limit above stands for it.
if MOUNTS:

    @mounting
    def test_on_a_disk_that_is_really_full(
        history: HomeBuilder,
        collector: FaultyCollector,
        environ: dict[str, str],
        processes: SyncProcesses,
    ) -> None:
        with small_disk(Home(history.path).plugin_folder, "384k"):
            ballast = Home(history.path).plugin_folder / "ballast"
            ballast.write_bytes(b"x" * 310_000)
            done = processes.sync(history.path, environ)
            assert done.error is not None
            assert done.error.startswith("JournalError: ")
            assert "make room" in done.error
            ballast.unlink()

            assert processes.sync(history.path, environ).report.healthy

            assert_all_there_once(collector, history.expected)
            assert_journal_tells_the_truth(history.path, history.expected)


def test_a_disk_that_is_full_when_the_receipt_comes_has_the_runs_sent_again(
    history: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """The worst moment: the same spans again, never others."""
    collector.stop()
    processes.sync(history.path, environ)
    collector.start()
    size = journal_of(history).stat().st_size
    shared_memory = 32_768

    done = processes.sync(
        history.path, environ, eager=True, largest_file_bytes=max(shared_memory, size // 8)
    )
    assert done.error is not None, "the limit must be met: else this tests nothing"

    assert processes.sync(history.path, environ, eager=True).report.healthy
    assert_all_there(collector, history.expected)


# --- gone or damaged -----------------------------------------------------------------------------


@pytest.mark.parametrize("also", [(), ("-wal", "-shm")], ids=["the file", "with its -wal"])
def test_a_deleted_journal_is_filled_again_with_the_same_ids(
    also: tuple[str, ...],
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    assert processes.sync(mixed_home.path, environ, die_before_request=True).killed
    assert processes.sync(mixed_home.path, environ).report.healthy
    for suffix in ("", *also):
        journal_of(mixed_home).with_name("journal.db" + suffix).unlink(missing_ok=True)

    assert processes.sync(mixed_home.path, environ).report.healthy

    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected)
    ids = {key: len(found) for key, found in copies(collector.spans).items()}
    assert set(ids.values()) == {2}


def test_a_copy_that_a_rebuilt_journal_sends_is_the_same_to_the_last_attribute(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """But for the one-shot, whose definition the host has deleted since."""
    processes.sync(mixed_home.path, environ)
    journal_of(mixed_home).unlink()

    processes.sync(mixed_home.path, environ)

    assert_all_there(collector, mixed_home.expected)


@pytest.mark.parametrize("garbage", [b"garbage!" * 12, b"", b"\0" * 100], ids=["text", "cut", "0"])
def test_a_journal_with_a_broken_header_is_moved_aside_and_rebuilt(
    garbage: bytes,
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    processes.sync(mixed_home.path, environ)
    collector.clear()
    journal = journal_of(mixed_home)
    content = journal.read_bytes()
    journal.write_bytes(garbage + content[len(garbage) :] if garbage else content[: PAGE + 100])

    done = processes.sync(mixed_home.path, environ)

    assert done.report is not None, done.trace
    assert done.report.repair is not None
    assert done.report.repair.moved_to.exists()
    assert done.report.healthy
    assert_all_there_once(collector, mixed_home.expected)
    assert_journal_tells_the_truth(mixed_home.path, mixed_home.expected)


def test_garbage_in_any_page_of_the_journal_is_met_and_mended(
    history: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
    tmp_path: Path,
) -> None:
    """Page by page, with everything still to send: whatever the sync meets, at its end (or at that
    of the next one) all runs are there, and no destination was told anything else."""
    collector.stop()
    processes.sync(history.path, environ)
    collector.start()
    wanted = {trace_id_of(run): str(run.outcome) for run in history.expected}
    pages = journal_of(history).stat().st_size // PAGE
    assert pages > 20
    failures: dict[int, str] = {}
    for page in range(1, pages):
        collector.clear()
        path = Path(shutil.copytree(history.path, tmp_path / "copy"))
        journal = Home(path).journal
        content = bytearray(journal.read_bytes())
        content[page * PAGE : (page + 1) * PAGE] = b"\xa5\x5a" * (PAGE // 2)
        journal.write_bytes(content)

        done = processes.sync(path, environ, eager=True)

        shutil.rmtree(path)
        if done.report is None:
            failures[page] = done.error or "died"
        elif done.report.problems:
            failures[page] = repr(done.report.problems)
        elif outcomes(collector.spans) != wanted:
            failures[page] = f"{len(outcomes(collector.spans))} of {len(wanted)} runs arrived"
    assert failures == {}


def test_text_in_the_journal_that_is_no_utf_8_is_met_and_mended(
    history: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    """In a row of a run: SQLite itself sees nothing wrong."""
    collector.stop()
    processes.sync(history.path, environ)
    collector.start()
    journal = journal_of(history)
    content = journal.read_bytes()
    assert content.count(b"e" * 200) >= 70
    at = content.index(b"e" * 200)
    journal.write_bytes(content[:at] + b"\xff\xfe" * 100 + content[at + 200 :])

    done = processes.sync(history.path, environ, eager=True)

    assert done.report is not None, done.trace
    assert done.report.healthy
    assert_all_there(collector, history.expected)


# --- not ours to write ---------------------------------------------------------------------------


def test_a_journal_of_a_newer_version_is_told_and_left_untouched(
    mixed_home: HomeBuilder,
    collector: FaultyCollector,
    environ: dict[str, str],
    processes: SyncProcesses,
) -> None:
    processes.sync(mixed_home.path, environ)
    with closing(sqlite3.connect(journal_of(mixed_home))) as connection, connection:
        connection.execute("INSERT INTO migration VALUES ('m9999_of_the_future', '2030-01-01')")
    before = journal_of(mixed_home).read_bytes()
    requests = collector.requests
    job = next(iter(mixed_home.jobs))
    mixed_home.script_run(job, datetime.fromtimestamp(1.7e9).astimezone())
    mixed_home.write()

    done = processes.sync(mixed_home.path, environ)

    assert done.error is not None
    assert done.error.startswith("JournalError: ")
    assert "newer" in done.error
    assert "m9999_of_the_future" in done.error
    assert journal_of(mixed_home).read_bytes() == before
    assert collector.requests == requests


if MOUNTS:  # else the file in the place of the folder, below, stands for it

    @mounting
    def test_a_folder_that_is_read_only_is_told(
        mixed_home: HomeBuilder,
        collector: FaultyCollector,
        environ: dict[str, str],
        processes: SyncProcesses,
    ) -> None:
        folder = Home(mixed_home.path).plugin_folder
        with small_disk(folder, "1m"):
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)

            done = processes.sync(mixed_home.path, environ)

            assert done.error is not None
            assert done.error.startswith("JournalError: ")
            assert str(folder) in done.error
            subprocess.run(["mount", "-o", "remount,bind,rw", folder], check=True)

            assert processes.sync(mixed_home.path, environ).report.healthy
            assert_all_there_once(collector, mixed_home.expected)


def test_a_folder_that_is_a_file_is_told(
    mixed_home: HomeBuilder, environ: dict[str, str], processes: SyncProcesses
) -> None:
    folder = Home(mixed_home.path).plugin_folder
    folder.write_text("not a folder")

    done = processes.sync(mixed_home.path, environ)

    assert done.error is not None
    assert done.error.startswith("JournalError: ")
    assert str(folder) in done.error
    assert folder.read_text() == "not a folder"


def test_the_journal_is_readable_by_its_owner_alone(
    mixed_home: HomeBuilder, environ: dict[str, str], processes: SyncProcesses
) -> None:
    assert processes.sync(mixed_home.path, environ, die_before_request=True).killed
    folder = Home(mixed_home.path).plugin_folder

    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {"journal.db", "journal.db-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}
