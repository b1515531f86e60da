"""Which version's rules hold for a row, in a home that several versions have written to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cronalytics_otel.host.capabilities import (
    BEFORE_0_18,
    SINCE_0_18,
    SINCE_0_19,
    Capabilities,
    CapabilityHistory,
    SilenceRule,
)
from cronalytics_otel.host.silence import asks_for_silence
from cronalytics_otel.host.sqlite import reading
from cronalytics_otel.host.state_db import StateReader
from tests.support.host_schema import (
    SHAPE_0_17,
    SHAPE_0_18,
    SHAPE_0_19,
    Shape,
    create_state,
    upgrade_state,
)


def test_the_upgrade_is_searched_for_once_and_only_for_rows_that_no_ledger_knows() -> None:
    searched: list[int] = []

    def search() -> int:
        searched.append(1)
        return 100

    history = CapabilityHistory(SINCE_0_19, search)
    assert history.for_run(50, in_ledger=True) is SINCE_0_19
    assert searched == []
    assert history.for_run(100, in_ledger=False) is BEFORE_0_18
    assert history.for_run(101, in_ledger=False) is SINCE_0_19
    assert searched == [1]


def test_without_a_proof_a_row_is_of_the_newest_version() -> None:
    assert CapabilityHistory(SINCE_0_19, lambda: None).for_run(1, in_ledger=False) is SINCE_0_19
    assert CapabilityHistory(BEFORE_0_18).for_run(1, in_ledger=False) is BEFORE_0_18


def test_a_version_that_keeps_a_ledger_wrote_what_stands_in_it() -> None:
    assert CapabilityHistory(BEFORE_0_18).for_run(1, in_ledger=True) is SINCE_0_19


@pytest.mark.parametrize(
    ("made_by", "upgraded", "newest", "has_older_rows"),
    [
        (SHAPE_0_17, False, BEFORE_0_18, True),
        (SHAPE_0_17, True, SINCE_0_19, True),
        (SHAPE_0_18, False, SINCE_0_18, False),
        (SHAPE_0_18, True, SINCE_0_19, False),
        (SHAPE_0_19, False, SINCE_0_19, False),
    ],
    ids=["0.17", "0.17 to 0.19", "0.18", "0.18 to 0.19", "0.19"],
)
def test_the_file_shows_the_newest_version_and_whether_an_older_one_made_it(
    tmp_path: Path, made_by: Shape, upgraded: bool, newest: Capabilities, has_older_rows: bool
) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        create_state(connection, made_by)
        if upgraded:
            upgrade_state(connection)
    with reading(path) as connection:
        history = StateReader(connection, path).capability_history(None)

        assert (history.newest, history.has_older_rows) == (newest, has_older_rows)
        assert history.for_run(1, in_ledger=False) is newest  # no session shows anything else


@pytest.mark.parametrize(
    ("text", "anywhere", "own_line"),
    [
        ("[SILENT]", True, True),
        ("I stay [silent] but here", True, False),
        ("NO_REPLY", False, True),
        ("3 checked\n\nSILENT", False, True),
        ("All good.", False, False),
    ],
)
def test_each_rule_of_silence_has_texts_of_its_own(
    text: str, anywhere: bool, own_line: bool
) -> None:
    assert asks_for_silence(text, text, SilenceRule.ANYWHERE) is anywhere
    assert asks_for_silence(text, text, SilenceRule.OWN_LINE) is own_line
