"""Tables that keep a width."""
# ruff: noqa: RUF001 - the dash for what is unknown is what users see

from __future__ import annotations

import pytest

from cronalytics_otel.cli.table import Cell, Column, fit, lay_out

COLUMNS = (
    Column(title="ID"),
    Column(title="NAME", least=4),
    Column(title="SIZE", right=True, rank=2),
    Column(title="AGE", rank=1),
)
ROWS = [
    [Cell("a1"), Cell("something"), Cell("12"), Cell("old")],
    [Cell("b2"), Cell("other"), Cell("3456"), Cell("new")],
]


def table(width: int | None, rows: list[list[Cell]] | None = None) -> list[str]:
    return [line.plain.rstrip() for line in lay_out(COLUMNS, rows or ROWS, width)]


def test_without_a_width_everything_is_there() -> None:
    assert table(None) == [
        "ID  NAME       SIZE  AGE",
        "a1  something    12  old",
        "b2  other      3456  new",
    ]


def test_the_cells_that_may_be_cut_give_way_first() -> None:
    assert table(20) == [
        "ID  NAME   SIZE  AGE",
        "a1  some…    12  old",
        "b2  other  3456  new",
    ]


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (19, "ID  NAME  SIZE  AGE"),
        (18, "ID  NAME       AGE"),
        (13, "ID  NAME  AGE"),
        (12, "ID  NAME"),
    ],
)
def test_columns_give_way_by_rank(width: int, heading: str) -> None:
    assert table(width)[0] == heading


def test_a_column_in_which_nothing_is_known_gives_way_before_its_rank() -> None:
    unknown = [[*row[:3], Cell("–")] for row in ROWS]

    assert table(15, unknown)[0] == "ID  NAME   SIZE"
    assert table(15)[0] == "ID  NAME    AGE"


def test_what_has_no_rank_stays_however_narrow() -> None:
    assert table(1) == ["ID  NAME", "a1  som…", "b2  oth…"]


def test_no_rows_leave_the_heading() -> None:
    assert [line.plain for line in lay_out(COLUMNS, [], 80)] == ["ID  NAME  SIZE  AGE"]


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "abc…"),
        ("日報ジョブ", 10, "日報ジョブ"),
        ("日報ジョブ", 6, "日報 …"),
        ("日報ジョブ", 5, "日報…"),
        ("", 2, "  "),
    ],
)
def test_width_is_counted_as_the_terminal_does(text: str, width: int, fitted: str) -> None:
    assert fit(text, width) == fitted


def test_numbers_stand_at_the_right() -> None:
    assert fit("12", 5, right=True) == "   12"
