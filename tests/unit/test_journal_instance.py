"""The instance of a home: one id for each home on each machine, whatever becomes of the journal."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from cronalytics_otel.journal import JournalError
from cronalytics_otel.journal.instance import (
    FILE_NAME,
    instance_of,
    machine_hash,
    read_instance,
)


def test_a_home_keeps_its_random_id(tmp_path: Path) -> None:
    assert read_instance(tmp_path) is None
    first = instance_of(tmp_path, now_ns=1)

    assert UUID(first.id).version == 4
    assert instance_of(tmp_path, now_ns=2) == first == read_instance(tmp_path)
    assert first.moved_ns is None


def test_two_homes_of_one_machine_have_two_ids(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = (instance_of(tmp_path / name, now_ns=1) for name in ("a", "b"))
    assert one.machine == other.machine
    assert one.id != other.id


def test_on_another_machine_a_home_has_another_id_and_knows_since_when(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = instance_of(tmp_path, now_ns=1, machine="laptop")
    here = instance_of(tmp_path, now_ns=2, machine="server")

    assert here.id != there.id
    assert (here.machine, here.moved_ns) == ("server", 2)
    assert instance_of(tmp_path, now_ns=3, machine="server") == here
    assert [record.message for record in caplog.records] == [
        (
            "cronalytics-otel: this home was moved or cloned from another machine;"
            " its runs have a new service.instance.id"
        )
    ]


def test_the_file_is_its_owner_s_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    instance_of(tmp_path, now_ns=1, machine="laptop")
    instance_of(tmp_path, now_ns=2, machine="server")
    (file,) = tmp_path.iterdir()
    assert file.name == FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"id": ""}', b'{"id": "", "machine": "x"}']
)
def test_a_file_that_holds_something_else_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert read_instance(tmp_path) is None
    instance = instance_of(tmp_path, now_ns=1)
    assert json.loads((tmp_path / FILE_NAME).read_text())["id"] == instance.id


def test_a_file_that_cannot_be_read_is_a_fault_and_no_new_instance(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(JournalError):
        instance_of(tmp_path, now_ns=1)


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    known = instance_of(tmp_path, now_ns=1, machine="laptop")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(JournalError, match="make room"):
        instance_of(tmp_path, now_ns=2, machine="server")

    assert read_instance(tmp_path) == known
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


# The machine.


def test_the_machine_is_known_by_its_id_and_the_id_is_not_written_down(tmp_path: Path) -> None:
    ids = {}
    for name in ("0123456789abcdef" * 2, "fedcba9876543210" * 2):
        file = tmp_path / name
        file.write_text(f"{name}\n")
        ids[name] = machine_hash([file]) or ""

    assert len(set(ids.values())) == 2
    assert all(known and name not in known for name, known in ids.items())
    assert len(set(map(len, ids.values()))) == 1


@pytest.mark.parametrize("content", [None, "", "\n", "uninitialized\n"])
def test_a_machine_without_an_id_of_its_own_is_unknown(tmp_path: Path, content: str | None) -> None:
    """A container often has none, and its host name is another each time."""
    file = tmp_path / "machine-id"
    if content is not None:
        file.write_text(content)

    assert machine_hash([file]) is None


def test_an_unknown_machine_is_not_taken_for_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = instance_of(tmp_path, now_ns=1, machine="laptop")
    monkeypatch.setattr("cronalytics_otel.journal.instance.machine_hash", lambda: None)

    assert instance_of(tmp_path, now_ns=2) == known


def test_a_machine_that_comes_back_has_its_own_id_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As two machines that share a home do, in turn."""
    laptop = instance_of(tmp_path, now_ns=1, machine="laptop")
    server = instance_of(tmp_path, now_ns=2, machine="server")

    assert instance_of(tmp_path, now_ns=3, machine="laptop").id == laptop.id
    assert instance_of(tmp_path, now_ns=4, machine="server").id == server.id
    assert len(caplog.records) == 1
