"""Faults of the plugin itself: what is logged of them, and how often."""

from __future__ import annotations

import logging

import pytest

from cronalytics_otel.faults import OncePerKind, report_own_fault

log = logging.getLogger("cronalytics_otel.test")


def test_a_text_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    once = OncePerKind(log)
    for _ in range(3):
        once.warning("the disk is full")
    once.warning("the disk is gone")
    assert caplog.messages == [
        "cronalytics-otel: the disk is full",
        "cronalytics-otel: the disk is gone",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_texts_of_one_kind_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    once = OncePerKind(log)
    for number in range(3):
        once.warning(f"refused: {number}", kind="refused")
    assert caplog.messages == ["cronalytics-otel: refused: 0"]


def test_the_number_of_kinds_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    once = OncePerKind(log, max_kinds=3)
    for number in range(10):
        once.warning(f"text {number}")
    assert len(caplog.messages) == 3


def test_a_fault_of_our_own_is_described_by_its_place_and_not_by_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quoted = "bad key tok3ntok3n"

    def fails() -> None:
        raise ValueError(quoted)

    descriptions = []
    for _ in range(2):
        try:
            fails()
        except ValueError as error:
            descriptions.append(report_own_fault(error))
    assert len(set(descriptions)) == 1
    assert descriptions[0].startswith(
        "a fault of cronalytics-otel itself (ValueError in test_faults.py, line "
    )
    assert len(caplog.records) == 1
    assert "in fails" in caplog.text
    assert "tok3n" not in caplog.text + descriptions[0]


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert "(KeyError in nowhere)" in report_own_fault(KeyError("x"))
