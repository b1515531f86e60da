"""The cache of what tests bring along: each thing is made once, and what is unfinished never counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import go_programs
from tests.support.cache import build_folder, cache_root, cached
from tests.support.venvs import CHECKOUT

PROGRAM = "bin/program"
_ASK = f"""
import time
from tests.support.cache import cached

def build(folder):
    (folder / "bin").mkdir(parents=True)   # fails if another process builds or has built
    time.sleep(0.2)
    (folder / "{PROGRAM}").write_text("built")

print(cached("thing", program="{PROGRAM}", build=build))
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_program(folder: Path) -> None:
    (folder / PROGRAM).parent.mkdir(parents=True, exist_ok=True)
    (folder / PROGRAM).write_text("built")


def must_not_build(folder: Path) -> None:
    raise AssertionError(f"{folder} is built again")


def test_processes_that_ask_at_the_same_time_share_one_build() -> None:
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", _ASK], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]

    answers = [process.communicate()[0].strip() for process in asking]

    assert [process.returncode for process in asking] == [0, 0, 0]
    assert answers == [str(cache_root() / "thing")] * 3


def test_what_is_there_is_not_built_again() -> None:
    cached("thing", program=PROGRAM, build=write_program)

    folder = cached("thing", program=PROGRAM, build=must_not_build)

    assert (folder / PROGRAM).read_text() == "built"


def test_an_interrupted_build_does_not_count_although_its_program_is_there() -> None:
    def interrupted(folder: Path) -> None:
        write_program(folder)
        (folder / PROGRAM).write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("thing", program=PROGRAM, build=interrupted)

    folder = cached("thing", program=PROGRAM, build=write_program)
    assert (folder / PROGRAM).read_text() == "built"


def test_a_thing_whose_program_has_gone_is_built_again() -> None:
    folder = cached("thing", program=PROGRAM, build=write_program)
    (folder / PROGRAM).unlink()

    cached("thing", program=PROGRAM, build=write_program)

    assert (folder / PROGRAM).exists()


def test_builds_that_run_at_the_same_time_share_a_folder_and_the_last_one_deletes_it() -> None:
    with build_folder("shared") as first:
        (first / "module").write_text("downloaded")
        with build_folder("shared") as second:
            assert (second / "module").read_text() == "downloaded"
        assert first.exists()

    assert not first.exists()


def test_the_next_build_finds_what_an_interrupted_one_left_in_the_shared_folder() -> None:
    with pytest.raises(KeyboardInterrupt), build_folder("shared") as folder:
        (folder / "module").write_text("downloaded")
        raise KeyboardInterrupt

    with build_folder("shared") as folder:
        assert (folder / "module").read_text() == "downloaded"


def test_without_go_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(go_programs.GoMissingError, match=r"Install Go 1\.21 or newer"):
        go_programs.otelcol_program()
