"""Whether a run's owner still lives, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cronalytics_otel.host import processes
from cronalytics_otel.host.processes import booted_since, process_is_gone
from cronalytics_otel.model.times import NS


def start_ticks(pid: int) -> int:
    """As the host reads it (gateway/status.py `_get_process_start_time`)."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        yield process
        if process.stdin is not None:
            process.stdin.close()
        process.kill()


def now_ns() -> int:
    return time.time_ns()


def test_a_process_that_lives_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    assert not process_is_gone(child.pid, start_ticks(child.pid), now_ns())
    assert not process_is_gone(os.getpid(), start_ticks(os.getpid()), now_ns())


def test_a_process_that_has_ended_is_gone(child: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(child.pid)
    child.kill()
    child.wait()
    assert process_is_gone(child.pid, ticks, now_ns())


def test_a_zombie_is_gone_although_its_number_is_still_taken(
    child: subprocess.Popen[bytes],
) -> None:
    ticks = start_ticks(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has looked

    assert Path(f"/proc/{child.pid}/stat").exists()
    assert process_is_gone(child.pid, ticks, now_ns())


def test_a_number_that_another_process_has_now_is_no_life(child: subprocess.Popen[bytes]) -> None:
    """The pid came round again: the start time tells them apart."""
    other = start_ticks(child.pid) - 7
    assert process_is_gone(child.pid, other, now_ns())


def test_an_owner_that_shows_under_another_number_is_alive(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's pid 7 is some other pid outside; the kernel tells both."""
    real = Path.read_text
    status = Path(f"/proc/{child.pid}/status")

    def in_a_container(path: Path, **how: str) -> str:
        text = real(path, **how)
        return text.replace("\nNSpid:", "\nNSpid:\t1\t7\n#") if path == status else text

    monkeypatch.setattr(Path, "read_text", in_a_container)
    assert not process_is_gone(7, start_ticks(child.pid), now_ns())
    assert process_is_gone(2**22 + 1, start_ticks(child.pid), now_ns())


def test_of_an_owner_from_before_our_container_nothing_is_known(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = start_ticks(child.pid)
    real = processes._start_ticks
    monkeypatch.setattr(
        processes,
        "_start_ticks",
        lambda stat: ticks + 1 if stat == Path("/proc/1/stat") else real(stat),
    )
    child.kill()
    child.wait()
    assert not process_is_gone(child.pid, ticks, now_ns())


def test_a_process_that_began_after_the_claim_is_of_another_machine(
    child: subprocess.Popen[bytes],
) -> None:
    ticks = start_ticks(child.pid)
    child.kill()
    child.wait()
    began_ns = processes._boot_ns() + processes._ticks_ns(ticks)

    assert process_is_gone(child.pid, ticks, began_ns)
    assert not process_is_gone(child.pid, ticks, began_ns - 60 * NS)


def test_a_claim_from_before_the_machine_was_started_proves_nothing() -> None:
    before_boot_ns = processes._boot_ns() - 3600 * NS
    assert not process_is_gone(2**22 + 1, 17, before_boot_ns)


@pytest.mark.parametrize(("pid", "started"), [(None, 17), (17, None), (None, None)])
def test_a_row_without_a_process_proves_nothing(pid: int | None, started: int | None) -> None:
    assert not process_is_gone(pid, started, now_ns())


def test_a_command_with_blanks_and_brackets_in_its_name_is_read_right(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 2 (b c"
    odd.symlink_to(sys.executable)
    with subprocess.Popen(
        [odd, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        expected = psutil.Process(process.pid).create_time()
        assert process.stdin is not None
        began_ns = processes._boot_ns() + processes._ticks_ns(start_ticks(process.pid))
        assert not process_is_gone(process.pid, start_ticks(process.pid), now_ns())
        process.stdin.close()
    assert abs(began_ns / NS - expected) < 2


def test_the_machine_was_started_before_now_and_after_the_epoch() -> None:
    assert not booted_since(now_ns())
    assert booted_since(0)


# Without /proc (macOS, Windows) the host has psutil's creation time in hundredths of a second.


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stands in for a system without /proc; psutil and the processes are real."""
    monkeypatch.setattr(processes, "_PROC", tmp_path / "none")


@pytest.mark.usefixtures("no_proc")
def test_without_proc_psutil_tells_the_living_from_the_dead(
    child: subprocess.Popen[bytes],
) -> None:
    created = round(psutil.Process(child.pid).create_time() * 100)
    assert not process_is_gone(child.pid, created, now_ns())
    assert process_is_gone(child.pid, created - 700, now_ns())
    assert not process_is_gone(child.pid, created + 90_000, now_ns())  # after the claim
    child.kill()
    child.wait()
    assert process_is_gone(child.pid, created, now_ns())


@pytest.mark.usefixtures("no_proc")
def test_without_proc_the_machine_s_start_is_psutil_s() -> None:
    assert not booted_since(now_ns())
    assert booted_since(0)
