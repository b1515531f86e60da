"""Values as people read them."""
# ruff: noqa: RUF001 - the dash for what is unknown is what users see

from __future__ import annotations

import pytest

from cronalytics_otel.cli import formats
from cronalytics_otel.model import CostStatus


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.0404, "40 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1.234, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 00 s"),
        (185, "3 m 05 s"),
        (3599.4, "59 m 59 s"),
        (3599.6, "1 h 00 m"),
        (7500, "2 h 05 m"),
        (86_399, "1 d 00 h"),
        (3 * 86_400 + 4 * 3600, "3 d 04 h"),
        (400 * 86_400, "400 d 00 h"),
    ],
)
def test_durations_have_two_units_and_no_overflowing_one(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("then_s", "text"),
    [
        (-185, "3 m 05 s ago"),
        (-0.5, "just now"),
        (0, "just now"),
        (0.5, "in a moment"),
        (40, "in 40.0 s"),
    ],
)
def test_ages(then_s: float, text: str) -> None:
    assert formats.ago(10**18 + round(then_s * 1e9), 10**18) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (0.0, "$0"),
        (0.00004, "<$0.0001"),
        (0.00006, "$0.0001"),
        (0.0043, "$0.0043"),
        (1, "$1.00"),
        (12.345, "$12.35"),
        (999.99, "$999.99"),
        (1234.5, "$1,234"),
    ],
)
def test_money(amount: float | None, text: str) -> None:
    assert formats.usd(amount) == text


@pytest.mark.parametrize(
    ("amount", "status", "text"),
    [
        (0.5, CostStatus.ACTUAL, "$0.5000"),
        (0.5, CostStatus.PARTIAL, "≥$0.5000"),
        (0.5, CostStatus.INCLUDED, "$0.5000"),
        (0.0, CostStatus.INCLUDED, "included"),
        (None, CostStatus.INCLUDED, "included"),
        (0.0, CostStatus.UNKNOWN, "–"),
        (None, None, "–"),
    ],
)
def test_a_cost_says_what_is_known_of_it(
    amount: float | None, status: CostStatus | None, text: str
) -> None:
    assert formats.cost(amount, status) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (48_200, "48 KB"),
        (1_250_000, "1.2 MB"),
        (3_400_000_000, "3.4 GB"),
    ],
)
def test_sizes(octets: int, text: str) -> None:
    assert formats.size(octets) == text


def test_counts() -> None:
    assert [formats.count(n) for n in (None, 0, 1234567)] == ["–", "0", "1,234,567"]
    assert [formats.counted(n, "run") for n in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]


def test_json_times_are_utc_to_the_microsecond() -> None:
    assert formats.iso(1_769_846_400_000_001_999) == "2026-01-31T08:00:00.000001Z"
    assert formats.iso(None) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n \n  first\tline \n second", "first line"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("over\rwritten", "over"),
        ("turned \u202egnp.exe", "turned gnp.exe"),
        ("lone \ud800 half", "lone half"),
    ],
)
def test_one_line_of_a_text_cannot_drive_the_terminal(text: str, line: str) -> None:
    assert formats.one_line(text) == line


def test_all_lines_keep_their_layout() -> None:
    assert formats.lines("\n exit 3\n\tboom\x07 \n\nend\n") == ["exit 3", "    boom", "", "end"]
